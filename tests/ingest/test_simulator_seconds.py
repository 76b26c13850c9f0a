"""1-second bars agree with the daily bar of their session."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from project01.domain import BARS, trading_calendar
from project01.ingest.simulator import SimulatorSource
from project01.ingest.simulator_settings import Faults, MarketSettings

# Ends on 2012-12-24, which closes at 13:00 in New York.
SETTINGS = MarketSettings(
    seed=4,
    symbols=6,
    first_session=date(2012, 10, 31),
    sessions=38,
    intraday_symbols=3,
    intraday_sessions=2,
    faults=Faults(splits_per_symbol_year=10, halts_per_symbol_year=0, delistings_per_symbol_year=0),
)


@pytest.fixture(scope="module")
def source() -> SimulatorSource:
    return SimulatorSource(SETTINGS)


@pytest.fixture(scope="module")
def seconds(source: SimulatorSource) -> pl.DataFrame:
    return pl.concat([b.rows for b in source.read() if b.spec is BARS]).filter(pl.col("interval") == "1s")


def test_they_add_up_to_the_daily_bar(source: SimulatorSource, seconds: pl.DataFrame) -> None:
    market = source.truth().published
    daily = seconds.group_by("session", "symbol", maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    assert daily.height == 6
    for row in daily.iter_rows(named=True):
        session, symbol = market.sessions.tolist().index(row["session"]), market.symbols.index(row["symbol"])
        for name in ("open", "high", "low", "close", "volume"):
            assert row[name] == getattr(market, name)[session, symbol]


def test_each_bar_holds_together(seconds: pl.DataFrame) -> None:
    assert seconds.filter(
        (pl.col("high") < pl.max_horizontal("open", "close"))
        | (pl.col("low") > pl.min_horizontal("open", "close"))
        | (pl.col("low") <= 0)
        | (pl.col("volume") < 1)
    ).is_empty()
    assert seconds["adj_close"].is_null().all()
    assert (seconds["knowledge_time"] == seconds["event_time"]).all()
    assert seconds["source_id"].is_unique().all()


def test_they_fall_within_the_session_even_on_a_short_day(seconds: pl.DataFrame) -> None:
    hours = trading_calendar("XNYS").as_frame()
    timed = seconds.join(hours, on="session", how="left")
    assert (timed["event_time"] > timed["open_at"]).all()
    assert (timed["event_time"] <= timed["close_at"]).all()
    lengths = seconds.group_by("session").agg(pl.len() / 3).sort("session")
    assert lengths["session"].to_list() == [date(2012, 12, 21), date(2012, 12, 24)]
    assert lengths["len"][0] == pytest.approx(0.8 * 6.5 * 3600, rel=0.02)
    assert lengths["len"][1] == pytest.approx(0.8 * 3.5 * 3600, rel=0.02)


def test_the_last_second_closes_the_session(seconds: pl.DataFrame) -> None:
    hours = trading_calendar("XNYS").as_frame()
    last = seconds.group_by("session").agg(pl.col("event_time").max()).join(hours, on="session")
    assert (last["event_time"] == last["close_at"]).all()


def test_prices_wander_between_the_ends(seconds: pl.DataFrame) -> None:
    """Not a straight line: the steps of a path of seconds change sign about every other time."""
    steps = seconds.filter(pl.col("symbol") == "SIM0000")["close"].diff().drop_nulls().to_numpy()
    assert np.mean(steps[1:] * steps[:-1] < 0) == pytest.approx(0.5, abs=0.03)
