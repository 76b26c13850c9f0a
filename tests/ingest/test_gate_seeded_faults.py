"""Faults planted in clean simulated bars: every one is caught, and next to nothing else is."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial

import numpy as np
import polars as pl
import pytest

from project01.domain import TradingCalendar
from project01.ingest import GateRules, MarketSettings, Reason, SimulatorSource, gate_bars

AS_OF = datetime(2020, 1, 1, tzinfo=UTC)
PRICES = ("open", "high", "low", "close", "adj_close")
PLANTED = 60
KEY = ["symbol", "event_time"]


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    market = MarketSettings(
        seed=11, symbols=60, sessions=500, intraday_symbols=0, intraday_sessions=0,
        news_per_symbol_year=0.0, tweets_per_symbol_year=0.0,
    )  # fmt: skip
    bars = pl.concat([batch.rows for batch in SimulatorSource(market).read() if batch.spec.name == "bars"])
    return bars.sort(KEY)


def places(clean: pl.DataFrame, seed: int) -> pl.Series:
    """Rows to spoil: at most one a symbol, away from both ends of its life, on ordinary days.

    A split on a day of great news, with a large move overnight or a multiple of the usual turnover, cannot be told from
    a crash by prices alone; such days are left out.
    """
    overnight = (pl.col("open") / pl.col("close").shift(1) - 1).abs()
    intraday = (pl.col("close") / pl.col("open") - 1).abs()
    usual = pl.col("volume").shift(1).rolling_median(20)
    marked = clean.with_row_index("row").with_columns(
        ((overnight < 0.03) & (intraday < 0.03) & (pl.col("volume") < 2 * usual)).over("symbol").alias("ordinary"),
        pl.int_range(pl.len()).over("symbol").alias("age"),
        pl.len().over("symbol").alias("life"),
    )
    inside = marked.filter("ordinary", pl.col("age").is_between(30, pl.col("life") - 30))
    drawn = inside.with_columns(pl.Series("draw", np.random.default_rng(seed).random(inside.height)))
    picked = drawn.sort("draw").unique("symbol", keep="first", maintain_order=True)
    return picked.sort("row")["row"].cast(pl.Int64).head(PLANTED)


def put(rows: pl.DataFrame, at: pl.Series, **values: pl.Expr | float | datetime | date) -> pl.DataFrame:
    chosen = pl.int_range(pl.len()).is_in(at.implode())
    return rows.with_columns(
        pl.when(chosen).then(value if isinstance(value, pl.Expr) else pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def scaled_prices(factor: float) -> dict[str, pl.Expr]:
    return {name: pl.col(name) * factor for name in PRICES}


def spike(factor: float, rows: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    return put(rows, at, **scaled_prices(factor))


def split(ratio: float, rows: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    """From the chosen bar on, prices over `ratio` and volume times it, which nothing in the series accounts for."""
    first = pl.Series("first", rows["event_time"].gather(at))
    starts = pl.DataFrame({"symbol": rows["symbol"].gather(at), "first": first})
    joined = rows.join(starts, on="symbol", how="left", maintain_order="left")
    after = pl.col("event_time") >= pl.col("first")
    changed = {name: pl.col(name) / ratio for name in PRICES} | {"volume": pl.col("volume") * ratio}
    return joined.with_columns(
        pl.when(after).then(value).otherwise(pl.col(name)).alias(name) for name, value in changed.items()
    ).drop("first")


def conflict(rows: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    return pl.concat([rows, rows[at].with_columns(close=(pl.col("low") + pl.col("high")) / 2)])


def simple(rows: pl.DataFrame, at: pl.Series, **values: pl.Expr | float | datetime | date) -> pl.DataFrame:
    return put(rows, at, **values)


JUMP = {Reason.UNEXPLAINED_JUMP, Reason.UNADJUSTED_SPLIT}
FAULTS: dict[str, tuple[Callable[[pl.DataFrame, pl.Series], pl.DataFrame], set[Reason]]] = {
    "close NaN": (partial(simple, close=math.nan), {Reason.NOT_FINITE}),
    "close missing": (partial(simple, close=pl.lit(None)), {Reason.MISSING_CLOSE}),
    "high infinite": (partial(simple, high=math.inf), {Reason.NOT_FINITE}),
    "open zero": (partial(simple, open=0.0), {Reason.UNKNOWN_OPEN}),
    "close negative": (partial(simple, close=-pl.col("close")), {Reason.NOT_POSITIVE_PRICE}),
    "low zero": (partial(simple, low=0.0), {Reason.NOT_POSITIVE_PRICE}),
    "volume negative": (partial(simple, volume=-5.0), {Reason.NEGATIVE_VOLUME}),
    "high and low swapped": (partial(simple, high=pl.col("low"), low=pl.col("high")), {Reason.HIGH_BELOW_LOW}),
    "open above high": (partial(simple, open=pl.col("high") * 1.001), {Reason.OPEN_OUTSIDE_RANGE}),
    "close below low": (partial(simple, close=pl.col("low") * 0.999), {Reason.CLOSE_OUTSIDE_RANGE}),
    "holiday": (partial(simple, session=date(2011, 12, 25)), {Reason.NOT_A_SESSION}),
    "future": (partial(simple, knowledge_time=datetime(2021, 1, 1, tzinfo=UTC)), {Reason.IN_FUTURE}),
    "other values again": (conflict, {Reason.DUPLICATE_CONFLICT}),
    "ten times too high": (partial(spike, 10.0), JUMP),
    "ten times too low": (partial(spike, 0.1), JUMP),
    "in cents": (partial(spike, 100.0), JUMP),
    "split of two": (partial(split, 2.0), JUMP),
    "split of three for two": (partial(split, 1.5), JUMP),
    "split of seven": (partial(split, 7.0), JUMP),
    "reverse split of two": (partial(split, 0.5), JUMP),
    "reverse split of ten": (partial(split, 0.1), JUMP),
}  # fmt: skip


def test_clean_bars_are_let_through(clean: pl.DataFrame, calendar: TradingCalendar) -> None:
    outcome = gate_bars(clean, calendar, GateRules(as_of=AS_OF))
    assert clean.height == 30_000
    assert outcome.counts["refused"] < 0.001 * clean.height


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_caught(clean: pl.DataFrame, calendar: TradingCalendar, fault: str) -> None:
    plant, reasons = FAULTS[fault]
    at = places(clean, seed=len(fault))
    assert len(at) == PLANTED
    outcome = gate_bars(plant(clean, at), calendar, GateRules(as_of=AS_OF))
    caught = outcome.dead_letters.filter(pl.col("reason").is_in([str(reason) for reason in reasons]))
    planted = clean["source_id"].gather(at)
    assert set(planted) <= set(caught["source_id"]), "recall is 100 %"
    wrongly = outcome.dead_letters.filter(~pl.col("source_id").is_in(planted.implode()))
    assert wrongly.height < 0.001 * clean.height, "false quarantine is under 0.1 %"


def test_repeated_bars_are_counted_and_not_refused(clean: pl.DataFrame, calendar: TradingCalendar) -> None:
    at = places(clean, seed=5)
    outcome = gate_bars(pl.concat([clean, clean[at]]), calendar, GateRules(as_of=AS_OF))
    assert outcome.counts["duplicates"] == PLANTED
    assert outcome.counts["refused"] < 0.001 * clean.height


def test_splits_break_the_series_where_they_were_planted(clean: pl.DataFrame, calendar: TradingCalendar) -> None:
    at = places(clean, seed=6)
    outcome = gate_bars(split(2.0, clean, at), calendar, GateRules(as_of=AS_OF))
    expected = clean[at + 1].select("symbol", "session").rows()
    assert set(expected) <= set(outcome.breaks.select("symbol", "effective").rows())
