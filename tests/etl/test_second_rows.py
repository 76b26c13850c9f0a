"""Seconds from ticks: cases by hand, and any order and repetition of the ticks gives the same rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.etl.bar_trades import OPEN, at, frame, made_up_day, trade
from tests.etl.second_ticks import QUOTE_SCHEMA

from project01.domain import InputError, SchemaError
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.seconds import second_rows


def quote(number: int, happened: float, **sides: object) -> dict[str, object]:
    """bid=(price, size, exchange), ask alike; `known` seconds after the open."""
    known = sides.pop("known", happened)
    assert isinstance(known, int | float)
    row: dict[str, object] = dict.fromkeys(QUOTE_SCHEMA) | {
        "source": "tape", "source_id": f"q{number}", "symbol": "ABC", "event_time": at(happened),
        "knowledge_time": at(known), "sequence": number,
    }  # fmt: skip
    for side in ("bid", "ask"):
        if side in sides:
            row[side], row[f"{side}_size"], row[f"{side}_exchange"] = sides[side]  # type: ignore[misc]
    return row


def quotes_of(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=QUOTE_SCHEMA)


def bars_of(*rows: dict[str, object]) -> pl.DataFrame:
    empty = dict.fromkeys(("open", "high", "low", "close", "vwap", "volume"), 1.0)
    keys = {"source": "vendor", "symbol": "XYZ", "interval": "1s", "trades": None} | empty
    return pl.DataFrame([keys | row for row in rows]).with_columns(
        pl.col("event_time", "knowledge_time").cast(pl.Datetime("us", "UTC"))
    )


def test_the_best_of_all_exchanges_and_its_change() -> None:
    rows = second_rows(
        quotes=quotes_of(
            quote(1, 0.1, bid=(10.0, 300.0, "N")),
            quote(2, 0.2, ask=(10.02, 500.0, "N")),
            quote(3, 0.3, bid=(10.01, 200.0, "Q")),  # better: +200
            quote(4, 0.4, bid=(10.01, 100.0, "P")),  # joins: +300 - 200
            quote(5, 1.5, ask=(10.01, 400.0, "Q")),  # takes both bids out: +0 for the bid that fell, -300; ask -400
            quote(6, 2.5, bid=(10.0, 0.0, "N")),  # N leaves: none is left
        )
    )
    assert rows["time"].to_list() == [OPEN.timestamp() + n for n in (1, 2, 3)]
    assert rows["bid"].to_list()[:2] == [10.01, 10.0]
    assert rows["bid_size"].to_list()[:2] == [300.0, 300.0]
    assert rows["ask"].to_list() == [10.02, 10.01, 10.01]
    assert rows["ask_size"].to_list() == [500.0, 400.0, 400.0]
    assert rows["order_flow_imbalance"].to_list()[:2] == [300.0, -700.0]
    assert np.isnan(rows["bid"][2])
    assert rows["quotes"].to_list() == [4.0, 1.0, 1.0]
    assert rows["close"].is_nan().all()
    assert rows["volume"].is_nan().all(), "no trades were given: not known"


def test_a_quote_of_both_sides_is_the_national_best() -> None:
    rows = second_rows(
        quotes=quotes_of(
            quote(1, 0.1, bid=(10.0, 300.0, "N"), ask=(10.02, 500.0, "Q")),
            quote(2, 0.2, bid=(9.9, 100.0, "P"), ask=(10.0, 200.0, "P")),
        )
    )
    assert rows.select("bid", "bid_size", "ask", "ask_size").row(0) == (9.9, 100.0, 10.0, 200.0)
    # Bid fell: -300; ask fell: -200.
    assert rows["order_flow_imbalance"].item() == -500.0


def test_sides_of_trades_by_the_mid_then_by_the_tick() -> None:
    trades = frame(
        trade("a", 0.5, 10.00, 100.0),  # no quote, no price before: no side
        trade("b", 1.2, 10.02, 10.0),  # above the mid
        trade("c", 1.3, 10.00, 20.0),  # below
        trade("d", 1.4, 10.01, 40.0),  # at the mid, up from before: bought
        trade("e", 1.5, 10.01, 80.0),  # the same again: bought, as the last change was up
        trade("f", 1.6, 9.00, 160.0, conditions="I"),  # an odd lot has no side and sets no price
    )
    quotes = quotes_of(quote(1, 1.0, bid=(10.0, 1.0, "N"), ask=(10.02, 1.0, "N")))
    rows = second_rows(trades, quotes)
    assert rows["signed_volume"].to_list() == [0.0, 10.0 - 20.0 + 40.0 + 80.0]
    assert rows["volume"].to_list() == [100.0, 310.0]
    assert rows["close"].to_list() == [10.0, 10.01]
    alone = second_rows(trades)
    assert alone["signed_volume"].to_list() == [0.0, 10.0 - 20.0 + 40.0 + 80.0]
    assert alone["bid"].is_nan().all()


def test_a_trade_meets_the_quote_before_it_not_that_of_its_own_instant() -> None:
    trades = frame(trade("a", 0.1, 10.0), trade("b", 0.5, 10.0, 7.0))
    quotes = quotes_of(
        quote(1, 0.2, bid=(10.0, 1.0, "N"), ask=(10.02, 1.0, "N")),
        quote(2, 0.5, bid=(9.9, 1.0, "N"), ask=(9.95, 1.0, "N")),
    )
    assert second_rows(trades, quotes)["signed_volume"].item() == -7.0


def test_what_becomes_known_too_late_enters_no_row() -> None:
    trades = frame(
        trade("a", 0.5, 10.0, 1.0),
        trade("b", 0.6, 11.0, 2.0, known=4.0),
        trade("c", 0.7, 12.0, 4.0, known=12.5),
        trade("d", 5.5, 10.5, 8.0),
        trade("x", 5.5, 10.5, 8.0, action="cancel", refers_to="d", known=7.0),
        trade("e", 8.5, 10.5, 16.0),
    )
    rows = second_rows(trades)
    assert rows["volume"].to_list() == [3.0, 16.0]
    assert rows["knowledge_time"].to_list() == [at(4.0), at(9.0)]
    patient = second_rows(trades, patience=timedelta(seconds=30))
    assert patient["volume"].to_list() == [7.0, 16.0]
    assert patient["knowledge_time"].to_list() == [at(12.5), at(12.5)], "a row is not known before those it rests on"


def test_sessions_begin_at_midnight_and_at_the_open() -> None:
    early = OPEN - timedelta(seconds=1)
    trades = frame(trade("a", -0.5, 10.0), trade("b", 0.0, 11.0), trade("c", 3.0, 12.0))
    rows = second_rows(trades)
    midnight = datetime(2024, 3, 4, 5, tzinfo=UTC).timestamp()
    assert rows["session_start"].to_list() == [midnight, OPEN.timestamp(), OPEN.timestamp()]
    assert rows["event_time"][0] == early + timedelta(seconds=1)


def test_bars_of_a_vendor_leave_missing_what_they_do_not_say() -> None:
    bars = bars_of(
        {"event_time": at(2), "knowledge_time": at(2), "close": 5.0},
        {"event_time": at(1), "knowledge_time": at(1), "close": 4.0},
        {"event_time": at(1), "knowledge_time": at(3), "close": 4.5},
        {"event_time": at(1), "knowledge_time": at(60), "close": 9.0},
        {"event_time": at(60), "knowledge_time": at(60), "close": 9.0, "interval": "1m"},
    )
    rows = second_rows(bars=bars)
    assert rows["close"].to_list() == [4.5, 5.0]
    for name in ("trades", "signed_volume", "bid", "ask", "bid_size", "ask_size", "quotes", "order_flow_imbalance"):
        assert rows[name].is_nan().all(), name
    assert rows["knowledge_time"].to_list() == [at(3), at(2)], "each bar is known by itself, whatever came beside it"


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="none was given"):
        second_rows()
    with pytest.raises(InputError, match="both were given"):
        second_rows(frame(), bars=bars_of({"event_time": at(2), "knowledge_time": at(2)}))
    two = frame(trade("a", 1.0, 10.0), trade("b", 1.0, 10.0, source="other"))
    with pytest.raises(InputError, match="ABC come from other, tape"):
        second_rows(two)
    with pytest.raises(SchemaError, match="lack column"):
        second_rows(quotes=quotes_of().drop("bid"))
    with pytest.raises(SchemaError, match="must be"):
        second_rows(quotes=quotes_of().with_columns(pl.col("event_time").cast(pl.Datetime("ms"))))


def drawn_quotes(seed: int, count: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    happened = np.sort(random.uniform(0, 600, count)).round(2)
    rows = []
    for number in range(count):
        side = str(random.choice(["bid", "ask"]))
        price = 100.0 + (0.02 if side == "ask" else 0.0) + float(random.integers(-3, 4)) / 100
        exchange = str(random.choice(["N", "P", "Q"]))
        sides = {side: (price, float(random.integers(0, 9)) * 100, exchange)}
        known = happened[number] + (float(random.uniform(0, 30)) if random.random() < 0.1 else 0.0)
        rows.append(quote(number, float(happened[number]), known=known, **sides))
    return quotes_of(*rows)


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_any_order_and_repetition_gives_the_same_rows(seed: int, data: st.DataObject) -> None:
    day = made_up_day(seed % 7, 300).filter(pl.col("event_time") < at(600))
    quotes = drawn_quotes(seed, 200)
    expected = second_rows(day, quotes)
    shuffle = data.draw(st.integers(0, 1000))
    mixed = [
        pl.concat([ticks, ticks.sample(fraction=0.4, seed=shuffle)]).sample(fraction=1.0, shuffle=True, seed=shuffle)
        for ticks in (day, quotes)
    ]
    again = second_rows(*mixed)
    assert again.equals(expected)
    late = expected["knowledge_time"] - expected["event_time"]
    assert late.min() >= timedelta(0)
    assert late.max() <= timedelta(seconds=10)
    assert again.columns[3:] == list(SECOND_INPUTS)


@settings(max_examples=examples(15), deadline=None)
@given(seed=st.integers(0, 50), second=st.integers(1, 600))
def test_a_row_rests_on_nothing_that_was_not_known(seed: int, second: int) -> None:
    """Leaving out every tick known after a row's own knowledge time leaves the row as it was."""
    day, quotes = made_up_day(seed, 200), drawn_quotes(seed, 150)
    rows = second_rows(day, quotes)
    row = rows.filter(pl.col("symbol") == "ABC", pl.col("event_time") >= at(second)).head(1)
    if row.is_empty():
        return
    known = row["knowledge_time"].item()
    then = second_rows(*(ticks.filter(pl.col("knowledge_time") <= known) for ticks in (day, quotes)))
    assert then.join(row, on=["symbol", "event_time"], how="semi").equals(row)
