"""Faults sown into ticks are all found, and clean ticks all pass."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import inf, nan
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.etl.bar_trades import at, frame, made_up_day, trade

from project01.domain import SchemaError
from project01.etl import TickFault, check_quotes, check_trades

LISTED = {"ABC": date(2024, 3, 4)}
AS_OF = at(1_000_000)
TRADE_FAULTS: dict[str, tuple[TickFault, dict[str, object]]] = {
    "no symbol": (TickFault.MISSING_SYMBOL, {"symbol": " "}),
    "no price": (TickFault.MISSING_PRICE, {"price": None}),
    "no size": (TickFault.MISSING_PRICE, {"size": None}),
    "price NaN": (TickFault.NOT_FINITE, {"price": nan}),
    "price Inf": (TickFault.NOT_FINITE, {"price": inf}),
    "price -Inf": (TickFault.NOT_FINITE, {"price": -inf}),
    "size NaN": (TickFault.NOT_FINITE, {"size": nan}),
    "size Inf": (TickFault.NOT_FINITE, {"size": inf}),
    "price 0": (TickFault.NOT_POSITIVE_PRICE, {"price": 0.0}),
    "price -0": (TickFault.NOT_POSITIVE_PRICE, {"price": -0.0}),
    "price negative": (TickFault.NOT_POSITIVE_PRICE, {"price": -9.5}),
    "size negative": (TickFault.NEGATIVE_SIZE, {"size": -100.0}),
    "known first": (TickFault.CLOCKS_OUT_OF_ORDER, {"knowledge_time": at(-50_000)}),
    "future": (TickFault.IN_FUTURE, {"event_time": AS_OF + timedelta(microseconds=1), "knowledge_time": at(2_000_000)}),
    "known in future": (TickFault.IN_FUTURE, {"knowledge_time": AS_OF + timedelta(microseconds=1)}),
    "unlisted": (TickFault.BEFORE_LISTING, {"symbol": "ABC", "session": date(2024, 3, 3)}),
}
QUOTE_FAULTS: dict[str, tuple[TickFault, dict[str, object]]] = {
    "no symbol": (TickFault.MISSING_SYMBOL, {"symbol": None}),
    "no side": (TickFault.MISSING_PRICE, {"bid": None, "ask": None}),
    "bid NaN": (TickFault.NOT_FINITE, {"bid": nan}),
    "ask Inf": (TickFault.NOT_FINITE, {"ask": inf}),
    "size NaN": (TickFault.NOT_FINITE, {"ask_size": nan}),
    "bid 0": (TickFault.NOT_POSITIVE_PRICE, {"bid": 0.0}),
    "ask negative": (TickFault.NOT_POSITIVE_PRICE, {"ask": -1.0, "bid": None}),
    "bid size": (TickFault.NEGATIVE_SIZE, {"bid_size": -1.0}),
    "ask size": (TickFault.NEGATIVE_SIZE, {"ask_size": -1.0}),
    "crossed": (TickFault.CROSSED, {"bid": 500.01, "ask": 500.0}),
    "known first": (TickFault.CLOCKS_OUT_OF_ORDER, {"knowledge_time": at(-50_000)}),
    "future": (TickFault.IN_FUTURE, {"knowledge_time": AS_OF + timedelta(seconds=1)}),
    "unlisted": (TickFault.BEFORE_LISTING, {"session": date(2024, 3, 3)}),
}


def quotes(count: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    bid = np.round(random.uniform(90, 110, count), 2)
    spread = np.round(random.integers(0, 5, count) / 100, 2)
    return pl.DataFrame(
        {
            "source": ["tape"] * count, "source_id": [f"q{n}" for n in range(count)], "symbol": ["ABC"] * count,
            "event_time": [at(n / 10) for n in range(count)], "knowledge_time": [at(n / 10) for n in range(count)],
            "session": [date(2024, 3, 4)] * count, "bid": bid, "bid_size": random.integers(0, 900, count) * 1.0,
            "ask": np.round(bid + spread, 2), "ask_size": random.integers(0, 900, count) * 1.0,
        },
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("event_time", "knowledge_time")},
    )  # fmt: skip


def sow(
    clean: pl.DataFrame, faults: dict[str, tuple[TickFault, dict[str, object]]]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Clean rows among faulty copies of some, ten a fault; and the reason each of those must be refused with."""
    expected, rows = {}, []
    for number, (name, (fault, changes)) in enumerate(faults.items()):
        for row in clean.sample(10, seed=number).rows(named=True):
            rows.append(row | changes | {"source_id": f"{name}:{row['source_id']}"})
            expected[rows[-1]["source_id"]] = fault.value
    mixed = pl.concat([clean, pl.DataFrame(rows, schema=clean.schema)])
    return mixed.sample(fraction=1.0, shuffle=True, seed=1), expected


def clean_trades() -> pl.DataFrame:
    day = made_up_day(seed=3, trades=2_000)
    return day.filter(pl.col("action") == "new", pl.col("knowledge_time") < AS_OF)


@pytest.mark.parametrize(
    ("check", "clean", "faults"),
    [(check_trades, clean_trades(), TRADE_FAULTS), (check_quotes, quotes(2_000), QUOTE_FAULTS)],
    ids=["trades", "quotes"],
)
def test_every_sown_fault_is_found_and_nothing_else(
    check: Callable[..., object], clean: pl.DataFrame, faults: dict[str, tuple[TickFault, dict[str, object]]]
) -> None:
    mixed, expected = sow(clean, faults)
    checked = check(mixed, as_of=AS_OF, listed=LISTED)
    assert dict(checked.refused.select("source_id", "reason").iter_rows()) == expected
    accepted = checked.accepted.select(clean.columns)
    assert_frame_equal(accepted, mixed.filter(~pl.col("source_id").is_in(list(expected))))


def test_each_fault_is_sown() -> None:
    assert {fault for fault, _ in (*TRADE_FAULTS.values(), *QUOTE_FAULTS.values())} == set(TickFault)


def test_a_locked_quote_is_accepted_and_flagged() -> None:
    table = quotes(3).with_columns(pl.Series("bid", [10.0, 10.0, None]), pl.Series("ask", [10.0, 10.01, 10.0]))
    checked = check_quotes(table, as_of=AS_OF)
    assert checked.accepted["locked"].to_list() == [True, False, False]
    assert checked.refused.is_empty()


def test_a_cancel_need_not_repeat_price_and_size() -> None:
    table = frame(trade("x", 1.0, nan, -1.0, action="cancel", refers_to="a"))
    assert check_trades(table, as_of=AS_OF).refused.is_empty()
    late = table.with_columns(pl.lit(AS_OF + timedelta(days=1)).dt.cast_time_unit("us").alias("knowledge_time"))
    assert check_trades(late, as_of=AS_OF).refused["reason"].to_list() == ["in_future"]


def test_a_symbol_without_a_listing_is_not_checked_for_one() -> None:
    table = frame(trade("a", 1.0, 10.0, symbol="XYZ", session=date(1990, 1, 1)))
    assert check_trades(table, as_of=AS_OF, listed=LISTED).refused.is_empty()


def test_nothing_in_gives_nothing_out() -> None:
    checked = check_trades(frame(), as_of=AS_OF, listed=LISTED)
    assert checked.accepted.is_empty()
    assert checked.refused.columns == [*frame().columns, "reason"]


def test_missing_columns_are_named() -> None:
    with pytest.raises(SchemaError, match=r"lack column\(s\) price"):
        check_trades(frame().drop("price"), as_of=AS_OF)
    with pytest.raises(SchemaError, match=r"lack column\(s\) ask_size"):
        check_quotes(quotes(1).drop("ask_size"), as_of=AS_OF)


@pytest.mark.slow
def test_no_real_quote_is_refused(shared_data: Path) -> None:
    ticks = pl.read_parquet(shared_data / "intraday_us" / "ticks_quote_bac_20131007_11.parquet")
    table = ticks.with_columns(
        pl.col("ts").alias("event_time"),
        pl.col("ts").alias("knowledge_time"),
        pl.col("ts").dt.date().alias("session"),
    )
    checked = check_quotes(table, as_of=datetime(2013, 10, 13, tzinfo=UTC))
    assert checked.refused.height / table.height < 0.001
