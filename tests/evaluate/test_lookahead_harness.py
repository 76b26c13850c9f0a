"""The audit harness on small honest and leaky computations."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import InputError
from project01.evaluate import CHANGES, audit_lookahead, cut_times, perturb

SYMBOLS, SESSIONS = ("AAA", "MMM", "ZZZ"), 60


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for symbol in SYMBOLS:
        close = 50 * np.exp(np.cumsum(generator.normal(0, 0.02, SESSIONS)))
        for n, price in enumerate(close):
            at = datetime(2020, 1, 1, 21, tzinfo=UTC) + timedelta(days=n)
            opened = price * float(np.exp(generator.normal(0, 0.01)))
            rows.append(
                {
                    "symbol": symbol, "session": date(2020, 1, 1) + timedelta(days=n), "event_time": at,
                    "knowledge_time": at, "open": opened, "high": max(opened, price) * 1.01,
                    "low": min(opened, price) * 0.99, "close": price, "adj_close": price * 0.98,
                    "volume": float(generator.integers(1000, 9000)),
                }
            )  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.col("event_time", "knowledge_time").dt.cast_time_unit("us"))


def feature(value: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """As first published: a restated row is known later and does not enter."""

    def compute(rows: pl.DataFrame) -> pl.DataFrame:
        first = rows.sort("symbol", "session", "knowledge_time").unique(["symbol", "session"], keep="first")
        ordered = first.sort("symbol", "session").with_columns(pl.col("knowledge_time").alias("as_of"))
        return ordered.with_columns(value.alias("f")).select("symbol", "as_of", "f")

    return compute


C, V, S = pl.col("close"), pl.col("volume"), "symbol"
HONEST = {
    "return": C / C.shift(1).over(S) - 1,
    "average with a warm-up": C.rolling_mean(5).over(S),
    "range of today": pl.col("high") / pl.col("low"),
    "rank among symbols of the day": C.rank().over("session"),
    "running maximum": C.cum_max().over(S),
}
LEAKY = {
    "tomorrow's close": C.shift(-1).over(S),
    "tomorrow's range": (pl.col("high") / pl.col("low")).shift(-1).over(S),
    "tomorrow's volume": V.shift(-1).over(S),
    "centred average": C.rolling_mean(5, center=True).over(S),
    "whole-sample scaler": (C - C.mean().over(S)) / C.std().over(S),
    "filled from the future": pl.when(V > 6000).then(C).otherwise(None).backward_fill().over(S),
    "rank over all time": C.rank().over(S),
    "number of rows": pl.len().over(S),
    "position among all symbols": pl.col("symbol").rank("dense"),
    "adjusted by the last price": C / C.last().over(S),
    "split by whether it survives": (pl.col("session").max().over(S) >= date(2020, 2, 28)).cast(pl.Float64),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_features_pass_all_changes(bars: pl.DataFrame, name: str) -> None:
    assert audit_lookahead(feature(HONEST[name]), bars, cut_times(bars, 8, seed=1), seed=1) == []


@pytest.mark.parametrize("name", LEAKY)
def test_leaky_features_are_caught_and_the_first_difference_told(bars: pl.DataFrame, name: str) -> None:
    leaks = audit_lookahead(feature(LEAKY[name]), bars, cut_times(bars, 8, seed=1), seed=1)
    assert leaks
    assert {leak.output for leak in leaks} == {"f"}
    for leak in leaks:
        assert leak.symbol in SYMBOLS
        assert leak.before != leak.after
        assert np.datetime64(leak.as_of[:19]) <= np.datetime64(leak.cut)


@pytest.mark.parametrize("change", ["noise"])
@pytest.mark.parametrize("name", ["tomorrow's close", "tomorrow's range", "tomorrow's volume"])
def test_noise_alone_reaches_every_part_of_a_later_bar(bars: pl.DataFrame, name: str, change: str) -> None:
    assert audit_lookahead(feature(LEAKY[name]), bars, cut_times(bars, 5, seed=1), 1, ("noise",))


def test_the_newest_version_of_a_restated_row_is_a_leak(bars: pl.DataFrame) -> None:
    def newest(rows: pl.DataFrame) -> pl.DataFrame:
        last = rows.sort("symbol", "session", "knowledge_time").unique(["symbol", "session"], keep="last")
        return last.select("symbol", pl.col("event_time").alias("as_of"), C.alias("f")).sort("symbol", "as_of")

    leaks = audit_lookahead(newest, bars, cut_times(bars, 5, seed=1), 1)
    assert {leak.change for leak in leaks} == {"restated"}


def test_a_row_that_comes_or_goes_is_a_leak(bars: pl.DataFrame) -> None:
    def only_winners(rows: pl.DataFrame) -> pl.DataFrame:
        return feature(C)(rows.filter(C.last().over(S) > C.mean().over(S)))

    leaks = audit_lookahead(only_winners, bars, cut_times(bars, 8, seed=1), 1)
    assert "rows" in {leak.output for leak in leaks}


def test_missing_equals_missing_but_not_a_number(bars: pl.DataFrame) -> None:
    for quiet in (pl.lit(None, pl.Float64), pl.lit(float("nan"))):
        assert audit_lookahead(feature(quiet), bars, cut_times(bars, 3, seed=1), 1) == []
    known_later = pl.when(C.shift(-1).over(S).is_not_null()).then(1.0)
    leaks = audit_lookahead(feature(known_later), bars, cut_times(bars, 3, seed=1), 1, ("nothing",))
    assert leaks


def test_a_difference_of_one_bit_is_a_leak(bars: pl.DataFrame) -> None:
    tiny = 1.0 + pl.len().over(S) * 2.0**-52
    assert audit_lookahead(feature(tiny), bars, cut_times(bars, 3, seed=1), 1, ("nothing",))


def test_noise_changes_all_that_is_later_and_leaves_possible_bars(bars: pl.DataFrame) -> None:
    cut = cut_times(bars, 5, seed=2)[2]
    changed = perturb(bars, cut, "noise", seed=3)
    at = pl.lit(cut.item()).dt.replace_time_zone("UTC")
    past, later = bars.filter(pl.col("knowledge_time") <= at), bars.filter(pl.col("knowledge_time") > at)
    assert changed.filter(pl.col("knowledge_time") <= at).equals(past)
    after = changed.filter(pl.col("knowledge_time") > at)
    known = after.filter(pl.col("symbol").is_in(SYMBOLS))
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        assert (known[name] != later[name]).all()
    ends = (after["high"] >= after.select(pl.max_horizontal("open", "close")).to_series()).all()
    assert ends
    assert (after["low"] <= after.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert set(after["symbol"]) - set(SYMBOLS) == {"!LATER", "~LATER"}
    assert changed.schema == bars.schema
    assert changed.equals(perturb(bars, cut, "noise", seed=3))
    assert not changed.equals(perturb(bars, cut, "noise", seed=4))


def test_a_close_only_source_stays_close_only(bars: pl.DataFrame) -> None:
    bare = bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "volume"))
    changed = perturb(bare, cut_times(bars, 5, seed=2)[2], "noise", seed=3)
    assert changed.select("open", "high", "low", "volume").null_count().row(0) == (changed.height,) * 4


def test_cuts_are_drawn_by_seed_and_too_few_times_are_refused(bars: pl.DataFrame) -> None:
    assert np.array_equal(cut_times(bars, 10, seed=5), cut_times(bars, 10, seed=5))
    assert len(np.unique(cut_times(bars, 50, seed=5))) == 48
    with pytest.raises(InputError, match="at least 10"):
        cut_times(bars.head(5), 3, seed=1)
    assert CHANGES == ("noise", "nothing", "restated")
