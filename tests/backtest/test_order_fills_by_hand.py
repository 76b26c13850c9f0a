"""Each kind of order and each way of not being filled, worked out on paper."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tests.backtest.conftest import weekdays

from project01.backtest import (
    Account,
    Levy,
    Order,
    OrderBook,
    OrderExecution,
    RawMarket,
    Slippage,
    run_backtest,
    run_orders,
)
from project01.domain import DataError, InputError, SchemaError

NAN = float("nan")


def day(number: int) -> dt.datetime:
    """Of January 2015."""
    return dt.datetime(2015, 1, number)  # noqa: DTZ001 - bars are dates


NETTING = Account("netting")
# One name, three days: open, high, low, close.
DAYS = [(10.0, 10.5, 9.5, 10.0), (11.0, 12.0, 10.5, 11.5), (12.0, 12.5, 11.0, 12.0)]


def market_of(days=DAYS, volume=None, halted=None, bars=None) -> RawMarket:
    grids = [np.array([[day[i]] for day in days]) for i in range(4)]
    stamps = weekdays(len(days)) if bars is None else bars
    volumes = None if volume is None else np.array(volume, dtype=float)[:, None]
    halts = None if halted is None else np.array(halted)[:, None]
    return RawMarket(stamps, ("A",), *grids, volumes, halts)


def run(orders, market=None, costs=(), cash=10_000.0, account=NETTING, **execution):
    given = market_of() if market is None else market
    return run_orders(
        given,
        OrderBook.of(orders),
        costs,
        initial_cash=cash,
        account=account,
        execution=OrderExecution(**execution),
    )


def order(quantity=100.0, decided=0, **terms) -> Order:
    return Order(weekdays(10)[decided], "A", quantity, **terms)


@pytest.mark.parametrize(
    ("terms", "quantity", "price"),
    [
        ({}, 100.0, 11.0),
        ({"kind": "market_on_open"}, 100.0, 11.0),
        ({"kind": "market_on_close"}, 100.0, 11.5),
        ({"kind": "limit", "limit": 11.5}, 100.0, 11.0),  # the open is better than the limit
        ({"kind": "limit", "limit": 11.0}, 100.0, 11.0),  # at the open, and the day traded through it to 10.50
        ({"kind": "limit", "limit": 10.75}, 100.0, 10.75),
        ({"kind": "limit", "limit": 10.5}, 100.0, None),  # the low touches it and no more
        ({"kind": "limit", "limit": 11.75}, -100.0, 11.75),
        ({"kind": "limit", "limit": 10.75}, -100.0, 11.0),
        ({"kind": "limit", "limit": 12.0}, -100.0, None),  # the high touches it and no more
    ],
)
def test_what_the_next_bar_gives(terms, quantity, price):
    result = run([order(quantity, **terms)])
    if price is None:
        assert result.fills.is_empty()
        assert result.unfilled["reason"].to_list() == ["limit not reached"]
        return
    assert result.fills["price"].to_list() == [price]
    assert result.fills["bar"].to_list() == [day(6)]
    assert result.cash_cents.tolist()[1] == round(1_000_000 - quantity * price * 100)
    # Day 1 closes at 11.50: equity is cash and the shares there.
    assert result.equity_cents.tolist()[1] == round(1_000_000 + quantity * (11.5 - price) * 100)


def test_a_limit_at_the_open_that_nothing_traded_through_does_not_fill():
    days = [DAYS[0], (11.0, 12.0, 11.0, 11.5), DAYS[2]]
    assert run([order(kind="limit", limit=11.0)], market_of(days)).fills.is_empty()


def test_good_till_cancelled_waits_and_a_day_order_does_not():
    days = [DAYS[0], DAYS[1], DAYS[2], (9.0, 9.5, 8.0, 9.0)]
    terms = {"kind": "limit", "limit": 10.0}
    result = run([order(**terms), order(time_in_force="good_till_cancelled", **terms)], market_of(days))
    assert result.fills.select("bar", "order", "price").rows() == [(day(8), 1, 9.0)]
    assert result.unfilled.rows() == [(day(6), 0, "A", 100.0, "limit not reached")]


def test_rest_of_a_capped_order_waits_or_is_cancelled_and_orders_share_the_volume():
    # A tenth of 500, 300 and 2000 shares: 30 on day 1, 200 on day 2. The first order takes all 30.
    market = market_of(volume=[500, 300, 2000])
    terms = {"time_in_force": "good_till_cancelled"}
    orders = [order(50.0, rest="wait", **terms), order(40.0, rest="cancel", **terms), order(40.0, rest="wait", **terms)]
    result = run(orders, market, volume_share=0.1)
    assert result.fills.select("bar", "order", "quantity", "reason").rows() == [
        (day(6), 0, 30.0, "cut to volume"),
        (day(7), 0, 20.0, "filled"),
        (day(7), 2, 40.0, "filled"),
    ]
    assert result.unfilled.rows() == [(day(6), 1, "A", 40.0, "no volume left")]


def test_an_order_alive_after_the_last_bar_is_open():
    result = run([order(kind="limit", limit=1.0, time_in_force="good_till_cancelled"), order(5.0, decided=2)])
    assert result.open_orders.rows() == [(0, "A", 100.0), (1, "A", 5.0)]


def test_a_halted_bar_and_a_missing_one_fill_nothing():
    halted = run([order(), order(kind="market_on_close")], market_of(halted=[False, True, False]))
    assert halted.unfilled["reason"].to_list() == ["halted", "halted"]
    waits = run([order(time_in_force="good_till_cancelled")], market_of(halted=[False, True, False]))
    assert waits.fills.select("bar", "price").rows() == [(day(7), 12.0)]
    missing = run([order()], market_of([DAYS[0], (NAN,) * 4, DAYS[2]]))
    assert missing.unfilled["reason"].to_list() == ["no bar"]
    no_open = run([order()], market_of([DAYS[0], (NAN, 12.0, 10.5, 11.5), DAYS[2]]))
    assert no_open.unfilled["reason"].to_list() == ["no price at its time"]
    above = run([order(kind="limit", limit=99.0)], market_of([DAYS[0], (NAN, 12.0, 10.5, 11.5), DAYS[2]]))
    assert above.fills["price"].to_list() == [12.0]  # without an open, the worst the bar had


def test_intraday_bars_open_and_close_their_date():
    stamps = np.array(["2015-01-05T16:00", "2015-01-06T10:00", "2015-01-06T16:00", "2015-01-07T10:00"], "datetime64[s]")
    days = [DAYS[0], DAYS[1], DAYS[2], (13.0, 13.0, 13.0, 13.0)]
    market = market_of(days, bars=stamps)
    orders = [
        Order(stamps[0], "A", 1.0, kind="market_on_close"),  # the close of 6 January
        Order(stamps[1], "A", 2.0, kind="market_on_open", time_in_force="good_till_cancelled"),  # the open of the 7th
        Order(stamps[1], "A", 3.0),  # the next bar's open
        Order(stamps[0], "A", 4.0, kind="limit", limit=11.25),  # at the open of the first bar, 11.00
        Order(stamps[1], "A", 5.0, kind="market_on_open"),  # a day order: no further open on the 6th
    ]
    result = run(orders, market)
    assert sorted(result.fills.select("quantity", "price").rows()) == [
        (1.0, 12.0),
        (2.0, 13.0),
        (3.0, 12.0),
        (4.0, 11.0),
    ]
    assert result.unfilled["remaining"].to_list() == [5.0]


def test_costs_stand_beside_the_fill_and_know_their_side():
    costs = [
        Slippage(10.0),
        Levy("sale", bps=100.0, name="duty"),
        Levy("buy", per_share=1.0, maximum=7.0, name="stamp"),
    ]
    result = run([order(100.0), order(-100.0, decided=1)], costs=costs)
    # Bought at 11.00: 1100.00, slippage 1.10, stamp 100.00 cut to 7.00. Sold at 12.00: 1200.00, slippage 1.20, duty 12.
    assert result.fills.select("price", "cost_slippage", "cost_duty", "cost_stamp").rows() == [
        (11.0, 1.1, 0.0, 7.0),
        (12.0, 1.2, 12.0, 0.0),
    ]
    assert result.cash_cents.tolist() == [1_000_000, 889_190, 1_007_870]


def test_too_little_cash_cuts_the_buy():
    # 100 x 11.00 + 10 bps = 1101.10; cash 1000.00, so 101.10 short and one order: floor(1e6 x (110110-10110-1)/110110)
    # = 908173 millionths: 90.8173 shares, 998.9903 -> 998.99, slippage 1.00 (0.99899): cash 0.01.
    result = run([order()], costs=[Slippage(10.0)], cash=1000.0)
    assert result.fills.select("quantity", "value", "reason").rows() == [(90.8173, 998.99, "cut to buying power")]
    assert result.cash_cents.tolist() == [100_000, 1, 1]
    assert result.unfilled.rows() == [(day(6), 0, "A", 9.1827, "no buying power")]


def test_a_decision_between_bars_belongs_to_the_bar_it_falls_in():
    late = Order(np.datetime64("2015-01-05T15:00"), "A", 1.0)
    assert run([late]).fills["bar"].to_list() == [day(7)]


def test_weights_refuse_a_levy(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0]])
    with pytest.raises(InputError, match="duty is charged on one side"):
        run_backtest(market, make_targets(market, {0: [1.0]}), [Levy("sale", bps=1.0, name="duty")], initial_cash=100.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: OrderBook.of([order(0.0)]),
        lambda: OrderBook.of([order(NAN)]),
        lambda: OrderBook.of([order(kind="limit")]),
        lambda: OrderBook.of([order(limit=3.0)]),
        lambda: OrderBook.of([order(kind="stop")]),
        lambda: OrderBook.of([order(rest="hope")]),
        lambda: run([Order(weekdays(1)[0], "B", 1.0)]),
        lambda: run([order()], volume_share=0.1),
        lambda: run([order()], cash=0.0),
        lambda: OrderExecution(delisting_return=-1.5),
        lambda: Account("margin", initial_margin=0.0),
        lambda: Account("slate"),
        lambda: Levy("sale", bps=-1.0),
        lambda: market_of([(10.0, 9.0, 8.0, 8.5)]),
        lambda: market_of([(10.0, 11.0, 9.0, -1.0)]),
        lambda: market_of(DAYS, bars=weekdays(3)[::-1]),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(InputError):
        make()


def test_orders_without_a_needed_column_are_refused():
    with pytest.raises(SchemaError, match="quantity"):
        OrderBook(pl.DataFrame({"decided": [dt.date(2015, 1, 5)], "symbol": ["A"]}))


def test_more_fills_than_there_was_room_for():
    """Two orders that get ten shares a bar for 5,000 bars: half the bars each, and every fill is kept."""
    bars = 5_001
    market = market_of([(10.0, 10.0, 10.0, 10.0)] * bars, volume=[100] * bars)
    terms = {"time_in_force": "good_till_cancelled", "rest": "wait"}
    result = run([order(25_000.0, **terms), order(25_000.0, **terms)], market, cash=1e6, volume_share=0.1)
    assert result.fills.height == 5_000
    assert result.fills.group_by("order").agg(n="quantity").sort("order")["n"].list.sum().to_list() == [25_000.0] * 2
    assert result.cash_cents[-1] == 100_000_000 - 50_000_000


@pytest.mark.parametrize("quantity", [4e9, -4e9])
@pytest.mark.parametrize("kind", ["margin", "netting"])
def test_an_order_beyond_exact_cents_stops_the_run(quantity, kind):
    with pytest.raises(DataError, match="beyond 9e"):
        run([order(quantity)], market_of([(100.0, 100.0, 100.0, 100.0)] * 3), account=Account(kind))
