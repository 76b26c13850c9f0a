"""The feature table, whole and session by session: the same rows, and a full build wherever the past has moved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.etl.conftest import make_bars, make_macro

from project01.domain import BARS, CORPORATE_ACTIONS
from project01.etl import build, compute_features, feature_set, prepare_bars, usable
from project01.ingest import INDEX_SOURCE
from project01.lake import Lake
from project01.pipelines import feature_build
from project01.pipelines.feature_build import FEATURES, STATES, build_table
from project01.pipelines.market import MarketData, read_market

RAW = make_bars(seed=21, symbols=6, sessions=330)
SESSIONS = RAW["session"].unique().sort()
FEATURES_BUILT, _ = usable(
    tuple(f for f in (*feature_set("core"), *feature_set("cross_section")) if not f.across.startswith("industry")),
    prepare_bars(RAW),
    MarketData(prepare_bars(RAW), macro=make_macro(RAW)).context(),
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(build, "ROWS_A_BLOCK", 700)
    return


def market_until(session: object, raw: pl.DataFrame = RAW) -> MarketData:
    bars = raw.filter(pl.col("session") <= session)
    macro = make_macro(RAW)
    return MarketData(prepare_bars(bars), macro=macro.filter(pl.col("knowledge_time") <= bars["knowledge_time"].max()))


def table(lake: Lake) -> pl.DataFrame:
    return lake.scan(FEATURES).collect().sort("symbol", "session")


def expected(market: MarketData) -> pl.DataFrame:
    return compute_features(market.bars, FEATURES_BUILT, market.context())


def test_session_by_session_equals_the_whole_to_the_bit(tmp_path: Path) -> None:
    lake, whole = Lake(tmp_path / "steps"), Lake(tmp_path / "whole")
    first = build_table(lake, market_until(SESSIONS[280]), FEATURES_BUILT, threads=2)
    assert (first.mode, first.reason) == ("full", "first build")
    for place in (281, 300, 329):
        market = market_until(SESSIONS[place])
        built = build_table(lake, market, FEATURES_BUILT, threads=1)
        assert (built.mode, built.rows) == ("incremental", market.bars.height)
        assert 0 < built.new_rows < 6 * 40
        assert table(lake).equals(expected(market))
    assert build_table(lake, market, FEATURES_BUILT, threads=1).new_rows == 0
    build_table(whole, market, FEATURES_BUILT, threads=2)
    kept, anew = (found.scan(STATES.name).collect().sort("symbol") for found in (lake, whole))
    assert kept.select("symbol", "rows", "state").equals(anew.select("symbol", "rows", "state"))


def test_content_does_not_hang_on_blocks_or_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = market_until(SESSIONS[-1])
    digests = set()
    for number, (rows, threads) in enumerate(((700, 1), (10_000, 2), (1, 2))):
        monkeypatch.setattr(build, "ROWS_A_BLOCK", rows)
        digests.add(build_table(Lake(tmp_path / str(number)), market, FEATURES_BUILT, threads=threads).digest)
    assert len(digests) == 1
    moved = replace(market, bars=market.bars.with_columns(pl.col("close") * 1.01))
    assert build_table(Lake(tmp_path / "moved"), moved, FEATURES_BUILT, threads=1).digest not in digests


def late_bar(raw: pl.DataFrame) -> pl.DataFrame:
    """A bar of an old session that comes in much later."""
    absent = raw.filter((pl.col("symbol") == "S1") & (pl.col("session") == SESSIONS[150]))
    return raw.join(absent, on=["symbol", "session"], how="anti")


def test_a_past_that_has_moved_is_built_anew(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    before = market_until(SESSIONS[300])
    build_table(lake, market_until(SESSIONS[300], late_bar(RAW)), FEATURES_BUILT, threads=1)
    built = build_table(lake, before, FEATURES_BUILT, threads=1)
    assert built.mode == "full"
    assert "earlier bars of 1 instruments have changed, first S1" in built.reason
    assert table(lake).equals(expected(before))
    shorter = build_table(lake, before, FEATURES_BUILT[:-1], threads=1)
    assert "definitions" in shorter.reason
    macro = before.macro
    assert macro is not None
    build_table(lake, replace(before, macro=macro.slice(5)), FEATURES_BUILT, threads=1, full=True)
    later = build_table(lake, before, FEATURES_BUILT, threads=1)
    assert "macro, facts, news or tweets" in later.reason
    assert table(lake).equals(expected(before))


def test_a_new_instrument_with_a_past_builds_anew(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    without = market_until(SESSIONS[300], RAW.filter(pl.col("symbol") != "S5"))
    build_table(lake, without, FEATURES_BUILT, threads=1)
    built = build_table(lake, market_until(SESSIONS[310]), FEATURES_BUILT, threads=1)
    assert "have come in since" in built.reason
    assert table(lake).equals(expected(market_until(SESSIONS[310])))


@pytest.mark.parametrize("killed_at", ["states", "table"])
def test_killed_between_its_two_commits_it_repairs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    lake = Lake(tmp_path)
    build_table(lake, market_until(SESSIONS[300]), FEATURES_BUILT, threads=1)

    def killed(*arguments: object, **named: object) -> int:
        raise KeyboardInterrupt

    if killed_at == "states":
        monkeypatch.setattr(feature_build, "replace_by_files", killed)
    else:
        monkeypatch.setattr(Lake, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        build_table(lake, market_until(SESSIONS[310]), FEATURES_BUILT, threads=1)
    monkeypatch.undo()
    built = build_table(lake, market_until(SESSIONS[310]), FEATURES_BUILT, threads=1)
    assert built.mode == ("full" if killed_at == "states" else "incremental")
    assert table(lake).equals(expected(market_until(SESSIONS[310])))
    assert not np.isnan(table(lake)["ret_1"].to_numpy()[1])


def test_the_market_knows_whether_its_closes_were_adjusted(tmp_path: Path) -> None:
    """One bar that says so is enough, from the time it was known; an index says nothing of the universe."""
    last, before = RAW["knowledge_time"].max(), RAW["knowledge_time"].unique().sort()[-2]
    rows = RAW.with_row_index("source_id").with_columns(
        pl.col("source_id").cast(pl.String), source=pl.lit("made"), interval=pl.lit("1d"), simulated=pl.lit(value=True),
        licence=pl.lit("own"), adjusted=pl.when(pl.col("knowledge_time") == last).then(pl.lit("splits")),
    )  # fmt: skip
    index = rows.filter(pl.col("symbol") == "S1").with_columns(source=pl.lit(INDEX_SOURCE), adjusted=pl.lit("splits"))
    lake = Lake(tmp_path / "lake")
    lake.append(BARS, pl.concat([rows, index]).select(name for name in BARS.schema.names if name in rows.columns))
    lake.append(CORPORATE_ACTIONS, pl.DataFrame(CORPORATE_ACTIONS.schema.empty_table()))
    assert read_market(lake, before).adjusted is False
    assert read_market(lake, last).adjusted is True
