"""Splits, dividends, renames and delistings, worked out on paper."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tests.backtest.conftest import weekdays

from project01.backtest import (
    Account,
    Order,
    OrderBook,
    OrderExecution,
    RawMarket,
    Slippage,
    raw_market_from_bars,
    run_orders,
)
from project01.domain import InputError, SchemaError

NAN = float("nan")


def day(number: int) -> dt.datetime:
    """Of January 2015."""
    return dt.datetime(2015, 1, number)  # noqa: DTZ001 - bars are dates


NETTING = Account("netting", settlement_days=0)
DAY = [day.item() for day in weekdays(10)]


def flat_market(prices: list[list[float]], actions: list[dict], names=("A", "B")) -> RawMarket:
    """Bars with one price each: open, high, low and close."""
    grid = np.array(prices, dtype=float)
    frame = pl.DataFrame(actions, infer_schema_length=None) if actions else pl.DataFrame(schema={
        "symbol": pl.String, "kind": pl.String, "effective": pl.Date,
    })  # fmt: skip
    wide = np.where(np.isnan(grid), grid, grid * 2), np.where(np.isnan(grid), grid, grid / 2)
    return RawMarket(weekdays(len(grid)), names[: grid.shape[1]], grid, *wide, grid, actions=frame)


def run(market, orders, costs=(), account=NETTING, **execution):
    return run_orders(
        market,
        OrderBook.of(orders),
        costs,
        initial_cash=10_000.0,
        account=account,
        execution=OrderExecution(**execution),
    )


def order(quantity, decided=0, symbol="A", **terms) -> Order:
    return Order(weekdays(10)[decided], symbol, quantity, **terms)


def split(ratio, on=2, symbol="A"):
    return {"symbol": symbol, "kind": "split", "effective": DAY[on], "ratio": ratio}


def test_a_split_leaves_equity_and_doubles_shares():
    market = flat_market([[30.0], [30.0], [15.0], [16.0]], [split(2.0)])
    result = run(market, [order(10.0), order(-20.0, decided=2)])
    assert result.equity_cents.tolist() == [1_000_000, 1_000_000, 1_000_000, 1_002_000]
    assert result.fills["quantity"].to_list() == [10.0, -20.0]
    assert result.positions.is_empty()


def test_a_short_and_a_reverse_split_keep_fractions_to_a_millionth_and_pay_the_rest_in_cash():
    market = flat_market([[1000.0], [3000.0], [9000.0], [9000.0]], [split(1 / 3)])
    result = run(market, [order(-1.000001)])
    # 1.000001 x 3000 = 3000.003 -> 3000.00 received; 1 for 3 leaves 0.333333 and 2/3 of a millionth: 0.006 USD, a cent.
    assert result.cash_cents.tolist() == [1_000_000, 1_300_000, 1_299_999, 1_299_999]
    assert result.in_lieu_cents.tolist() == [0, 0, -1, 0]
    assert result.positions["quantity"].to_list() == [-0.333333]
    assert result.equity_cents.tolist()[2] == 1_299_999 - 300_000


def test_an_open_order_is_split_with_the_shares():
    prices = [[30.0], [30.0], [15.0], [10.0], [10.0]]
    waiting = order(10.0, kind="limit", limit=14.0, time_in_force="good_till_cancelled")
    result = run(flat_market(prices, [split(2.0)]), [waiting, order(10.0, decided=1)])
    # The limit becomes 7.00 for 20 shares, and the low of day 2 (7.50) and the low of day 3 (5.00) are above and below.
    # The order decided on the eve of the split is for 20 shares at 15.00.
    assert result.fills.select("bar", "order", "quantity", "price").rows() == [
        (day(7), 1, 20.0, 15.0),
        (day(8), 0, 20.0, 7.0),
    ]


def test_a_dividend_goes_to_who_held_before_the_ex_date_and_is_owed_until_paid():
    paid = {"symbol": "A", "kind": "dividend", "effective": DAY[2], "amount": 1.0, "paid": DAY[4]}
    market = flat_market([[20.0], [20.0], [19.0], [19.0], [19.0]], [paid])
    result = run(market, [order(10.0), order(10.0, decided=1)])
    # Ten shares get 10.00 on the ex-date; the ten bought at that day's open do not.
    assert result.receivable_cents.tolist() == [0, 0, 1000, 1000, 0]
    assert result.cash_cents.tolist() == [1_000_000, 980_000, 961_000, 961_000, 962_000]
    assert result.equity_cents.tolist() == [1_000_000] * 5
    assert result.dividend_cents.tolist() == [0, 0, 0, 0, 1000]


def test_a_short_pays_the_dividend_and_one_beyond_the_end_stays_owed():
    late = {"symbol": "A", "kind": "dividend", "effective": DAY[2], "amount": 1.0, "paid": dt.date(2030, 1, 1)}
    result = run(flat_market([[20.0], [20.0], [19.0]], [late]), [order(-10.0)])
    assert result.receivable_cents.tolist() == [0, 0, -1000]
    assert result.equity_cents.tolist() == [1_000_000] * 3


def test_a_rename_moves_position_and_orders():
    renamed = {"symbol": "A", "kind": "rename", "effective": DAY[2], "new_symbol": "B"}
    market = flat_market([[10.0, NAN], [10.0, NAN], [NAN, 11.0], [NAN, 5.0]], [renamed])
    waiting = order(3.0, kind="limit", limit=4.0, time_in_force="good_till_cancelled")
    result = run(market, [order(10.0), waiting])
    assert result.equity_cents.tolist() == [1_000_000, 1_000_000, 1_001_000, 995_300]
    assert result.fills.select("symbol", "quantity", "price").rows() == [("A", 10.0, 10.0), ("B", 3.0, 4.0)]
    assert result.positions.rows() == [("B", 13.0, 5.0, 65.0)]


@pytest.mark.parametrize(("known", "default", "price"), [(None, -0.3, 14.0), (0.05, -0.3, 21.0), (-1.0, -0.3, 0.0)])
def test_a_delisting_pays_its_return_or_the_default(known, default, price):
    gone = {"symbol": "A", "kind": "delisting", "effective": DAY[2], "delisting_return": known}
    market = flat_market([[20.0, 1.0], [20.0, 1.0], [NAN, 1.0], [NAN, 1.0]], [gone])
    waiting = order(1.0, kind="limit", limit=1.0, time_in_force="good_till_cancelled")
    result = run(market, [order(10.0), waiting], [Slippage(100.0)], delisting_return=default)
    # Bought for 200.00 + 2.00; sold for 10 x price less 1 %.
    cents = round(price * 10 * 99)
    assert result.cash_cents.tolist() == [1_000_000, 979_800, 979_800 + cents, 979_800 + cents]
    assert result.fills["reason"].to_list() == ["filled", "delisted"]
    assert result.fills["price"].to_list() == [20.0, price]
    assert result.unfilled["reason"].to_list() == ["delisted"]


def test_a_name_that_falls_silent_is_sold_after_patience_at_the_same_loss():
    market = flat_market([[20.0, 1.0], [20.0, 1.0], [NAN, 1.0], [NAN, 1.0], [NAN, 1.0]], [])
    result = run(market, [order(10.0)], bars_until_delisted=2, delisting_return=-0.5)
    assert result.equity_cents.tolist() == [1_000_000, 1_000_000, 1_000_000, 990_000, 990_000]
    held = run(market, [order(10.0)], bars_until_delisted=None)
    assert held.equity_cents.tolist() == [1_000_000] * 5


@pytest.mark.parametrize(
    "action",
    [
        split(None),
        split(3.14159265),
        split(-2.0),
        {"symbol": "A", "kind": "dividend", "effective": DAY[2], "amount": -1.0},
        {"symbol": "A", "kind": "dividend", "effective": DAY[2], "amount": 1.0, "paid": DAY[1]},
        {"symbol": "A", "kind": "rename", "effective": DAY[2], "new_symbol": "B"},
        {"symbol": "A", "kind": "delisting", "effective": DAY[2]},
        {"symbol": "A", "kind": "spin_off", "effective": DAY[2]},
        {"symbol": "C", "kind": "split", "effective": DAY[2], "ratio": 2.0},
    ],
)
def test_an_action_that_contradicts_itself_or_the_bars_is_refused(action):
    with pytest.raises(InputError):
        flat_market([[20.0, 1.0]] * 4, [action])


def test_actions_without_a_date_are_refused():
    with pytest.raises(SchemaError, match="effective"):
        flat_market([[20.0, 1.0]], [{"symbol": "A", "kind": "split", "ratio": 2.0}])


def test_actions_outside_the_bars_touch_nothing():
    actions = [split(2.0, on=9), {"symbol": "A", "kind": "split", "effective": dt.date(2000, 1, 3), "ratio": 2.0}]
    assert run(flat_market([[20.0]] * 3, actions), [order(10.0)]).positions["quantity"].to_list() == [10.0]


def bars_table(**columns) -> pl.DataFrame:
    rows = {"symbol": ["B", "A", "A"], "session": [DAY[0], DAY[1], DAY[0]], "open": [5.0, None, 9.0]}
    rows |= {"high": [6.0, 12.0, 11.0], "low": [4.0, 8.0, 8.0], "close": [5.5, 11.0, 10.0], "volume": [100, 300, None]}
    return pl.DataFrame(rows | columns)


def test_a_raw_market_from_tables():
    kinds = ["halt", "resume", "listing", "split"]
    actions = pl.DataFrame(
        {"symbol": ["A"] * 4, "kind": kinds, "effective": [DAY[0], DAY[1], DAY[0], DAY[1]], "ratio": [None] * 3 + [2.0]}
    )
    market = raw_market_from_bars(bars_table(), actions)
    assert market.symbols == ("A", "B")
    np.testing.assert_array_equal(market.close, [[10.0, 5.5], [11.0, NAN]])
    np.testing.assert_array_equal(market.open, [[9.0, 5.0], [NAN, NAN]])
    np.testing.assert_array_equal(market.volume, [[NAN, 100.0], [300.0, NAN]])
    assert market.halted.tolist() == [[True, False], [False, False]]
    assert [(event.bar, event.kind) for event in market.events] == [(1, "split")]
    assert raw_market_from_bars(bars_table(volume=[None] * 3)).volume is None


@pytest.mark.parametrize(
    "bars",
    [
        bars_table().drop("low"),
        bars_table(session=[DAY[0], DAY[0], DAY[0]]),
        bars_table(close=[None, 10.0, 10.0]),
        bars_table().clear(),
    ],
)
def test_bars_that_make_no_market_are_refused(bars):
    with pytest.raises(InputError):
        raw_market_from_bars(bars)
