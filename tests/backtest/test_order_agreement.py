"""Orders made from target weights against the ledger of weights: the same cents, and why not where not."""

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from tests.backtest.conftest import weekdays
from tests.effort import examples

from project01.backtest import (
    Account,
    Commission,
    Execution,
    Impact,
    Market,
    OrderBook,
    OrderExecution,
    OrderLedger,
    RawMarket,
    Slippage,
    TargetWeights,
    market_from_bars,
    orders_from_targets,
    run_backtest,
    run_orders,
)
from project01.domain import InputError

COSTS = [Commission(per_share=0.005, minimum=1.0, maximum_bps=100.0), Slippage(7.5), Impact(3.0, 5_000.0)]
SESSIONS, NAMES = 40, 8


def drawn(seed: int) -> tuple[Market, RawMarket, TargetWeights]:
    """SIMULATED: a third of the draws with gaps, a third with names that vanish, a third with both and shorts."""
    random = np.random.default_rng(seed)
    shape = (SESSIONS, NAMES)
    close = random.uniform(5, 200, NAMES) * np.exp(np.cumsum(random.normal(0, 0.03, shape), axis=0))
    fill = close * np.exp(random.normal(0, 0.01, shape))
    if seed % 3 != 1:
        fill[random.random(shape) < 0.05] = np.nan
        close[random.random(shape) < 0.05] = np.nan
        close[random.random(SESSIONS) < 0.05] = np.nan
    if seed % 3 != 0:
        close[SESSIONS // 2 :, :2] = np.nan
    fill[np.isnan(close)] = np.nan
    weights = random.dirichlet(np.ones(NAMES), SESSIONS)
    if seed % 3 == 2:
        weights *= random.choice([-1.0, 1.0, 1.0], shape)
    weights[random.random(SESSIONS) < 0.3] = np.nan
    bars, names = weekdays(SESSIONS), tuple(f"S{i}" for i in range(NAMES))
    volume = random.integers(0, 5_000, shape).astype(float)
    raw = RawMarket(bars, names, fill, np.fmax(fill, close), np.fmin(fill, close), close, volume)
    return Market(bars, names, fill, close, volume), raw, TargetWeights(bars, names, weights)


@given(seed=st.integers(0, 2**31), cap=st.sampled_from([None, 0.25]), least=st.sampled_from([0.0, 1.0]))
@settings(max_examples=examples(40), deadline=None, derandomize=True)
def test_orders_from_weights_give_the_same_cents(seed, cap, least):
    market, raw, targets = drawn(seed)
    costs = [Commission(per_share=0.005, minimum=least, maximum_bps=100.0), *COSTS[1:]]
    arguments = {
        "initial_cash": 100_000.0,
        "account": Account("netting"),
        "execution": OrderExecution(cap, bars_until_delisted=3, delisting_return=0.0),
    }
    weights = run_backtest(market, targets, costs, initial_cash=100_000.0, execution=Execution(3, cap))
    orders = orders_from_targets(raw, targets, costs, **arguments)
    found = run_orders(raw, orders, costs, **arguments)
    assert found.equity_cents.tolist() == weights.equity_cents.tolist()
    assert found.cash_cents.tolist() == weights.cash_cents.tolist()
    assert found.cost_cents.tolist() == weights.cost_cents.tolist()
    assert found.traded_cents.tolist() == weights.traded_cents.tolist()
    columns = ["symbol", "quantity", "price", "value", "cost_commission", "cost_slippage", "cost_impact"]
    ours = found.fills.with_columns(session=pl.col("bar").cast(pl.Date)).select("session", *columns)
    assert ours.sort("session", "symbol").equals(weights.trades.select("session", *columns).sort("session", "symbol"))
    assert found.positions.equals(weights.positions)


def prepared(raw: RawMarket, factor: np.ndarray) -> pl.DataFrame:
    days = [day.item() for day in raw.bars]
    return pl.concat(
        pl.DataFrame(
            {"symbol": [name] * len(days), "session": days, "open": raw.open[:, i], "high": raw.high[:, i],
             "low": raw.low[:, i], "close": raw.close[:, i], "volume": [1e6] * len(days), "factor": factor[:, i]}
        )
        for i, name in enumerate(raw.symbols)
    )  # fmt: skip


def flat(bars, prices, actions=()) -> RawMarket:
    schema = {"symbol": pl.String, "kind": pl.String, "effective": pl.Date, "ratio": pl.Float64, "amount": pl.Float64}
    frame = pl.DataFrame(list(actions), schema=schema, orient="row")
    names = ("A", "B")[: prices.shape[1]]
    return RawMarket(bars, names, prices, prices * 1.01, prices * 0.99, prices, None, None, frame)


def both(raw, factor, weights, account, costs=(), cash=100_000.0):
    targets = TargetWeights(raw.bars, raw.symbols, weights)
    arguments = {"initial_cash": cash, "account": account, "execution": OrderExecution(delisting_return=0.0)}
    orders = orders_from_targets(raw, targets, costs, **arguments)
    adjusted = run_backtest(market_from_bars(prepared(raw, factor)), targets, costs, initial_cash=cash)
    return run_orders(raw, orders, costs, **arguments), adjusted


@given(seed=st.integers(0, 2**31), ratio=st.sampled_from([2.0, 4.0, 0.5, 0.25]), at=st.integers(2, 9))
@settings(max_examples=examples(20), deadline=None, derandomize=True)
def test_a_split_gives_the_cents_of_adjusted_prices_where_share_counts_are_exact(seed, ratio, at):
    """Prices in 1/64 and ratios of two: shares of both runs are whole millionths, but for those below it in a reverse
    split, whose value goes to cash; at these prices that is less than half a cent."""
    random = np.random.default_rng(seed)
    bars, after = weekdays(12), (np.arange(12) >= at)[:, None]
    worth = random.integers(20 * 64, 60 * 64, (12, 2)) / 64
    price = np.where(after & np.array([True, False]), worth / ratio, worth)
    factor = np.where(after & np.array([True, False]), ratio, 1.0)
    weights = np.full((12, 2), np.nan)
    weights[0] = [0.5, 0.25]  # decided once before the split: later orders are sized in other shares
    raw = flat(bars, price, [("A", "split", bars[at].item(), ratio, None)])
    orders, adjusted = both(raw, factor, weights, Account("netting"), [Slippage(10.0)])
    assert orders.equity_cents.tolist() == adjusted.equity_cents.tolist()
    assert orders.cash_cents.tolist() == adjusted.cash_cents.tolist()


def test_a_dividend_reinvested_by_orders_gives_the_equity_of_total_return_prices():
    """100 falls to 95 ex 5. All in A: adjusted prices hold the worth at once. In raw prices 5 % is cash until an order
    buys shares with it at the next open, so both agree when the price stands still in between, and differ by that bar's
    return on the dividend when it moves."""
    bars = weekdays(6)
    weights = np.full((6, 1), np.nan)
    weights[[0, 2]] = 1.0  # again at the close of the ex-date: the dividend is bought back
    factor = np.array([1, 1, 100 / 95, 100 / 95, 100 / 95, 100 / 95])[:, None]
    action = [("A", "dividend", bars[2].item(), None, 5.0)]
    for late in (95.0, 104.5):
        prices = np.array([100.0, 100.0, 95.0, late, late, late * 1.1])[:, None]
        orders, adjusted = both(flat(bars, prices, action), factor, weights, Account("netting"), cash=1_000_000.0)
        assert orders.dividend_cents.sum() == 5_000_000
        idle = 5_000_000 * (late / 95 - 1)  # what the dividend misses in the night it is cash
        later = orders.equity_cents[3:] / adjusted.equity_cents[3:]
        expected = (95_000_000 * late / 95 + 5_000_000) / (100_000_000 * late / 95)
        assert later == pytest.approx(np.full(3, expected), abs=1e-8)
        assert adjusted.equity_cents[3] - orders.equity_cents[3] == pytest.approx(idle, abs=2)


def test_targets_need_bars_and_no_limit():
    raw = flat(weekdays(3), np.full((3, 1), 10.0))
    arguments = {"initial_cash": 1000.0}
    off = TargetWeights(weekdays(3) + 1, ("A",), np.ones((3, 1)))
    with pytest.raises(InputError, match="no bar"):
        orders_from_targets(raw, off, [], **arguments)
    on = TargetWeights(weekdays(3), ("A",), np.ones((3, 1)))
    with pytest.raises(InputError, match="limit"):
        orders_from_targets(raw, on, [], kind="limit", **arguments)


def test_a_run_in_pieces_is_the_run_in_one(make_market):
    """Orders submitted bar by bar, as a live account would get them, fill as all of them known before."""
    _, raw, targets = drawn(7)
    arguments = {"initial_cash": 100_000.0, "account": Account("cash"), "execution": OrderExecution(0.25)}
    orders = orders_from_targets(raw, targets, COSTS, **arguments)
    whole, again = (run_orders(raw, orders, COSTS, **arguments) for _ in range(2))
    ledger = OrderLedger(raw, COSTS, most_orders=orders.rows.height, **arguments)
    for bar, stamp in enumerate(raw.bars.astype("datetime64[us]").tolist()):
        ledger.run_to(bar + 1)
        ledger.submit(OrderBook(orders.rows.filter(pl.col("decided") == stamp)))
    pieces = ledger.result()
    for other in (pieces, again):
        assert other.equity_cents.tobytes() == whole.equity_cents.tobytes()
        assert other.fills.equals(whole.fills)
    with pytest.raises(InputError, match="in the order they are decided"):
        ledger.submit(OrderBook(orders.rows.head(1)))


@given(seed=st.integers(0, 2**31), cut=st.integers(0, SESSIONS - 2), erased=st.booleans())
@settings(max_examples=examples(20), deadline=None, derandomize=True)
def test_nothing_after_a_bar_changes_anything_up_to_it(seed, cut, erased):
    _, raw, targets = drawn(seed)
    random = np.random.default_rng(seed)
    noise = (
        np.full(raw.close[cut + 1 :].shape, np.nan) if erased else random.uniform(1, 500, raw.close[cut + 1 :].shape)
    )
    grids = [grid.copy() for grid in (raw.open, raw.high, raw.low, raw.close)]
    for grid in grids:
        grid[cut + 1 :] = noise
    other = RawMarket(raw.bars, raw.symbols, *grids, raw.volume)
    arguments = {"initial_cash": 100_000.0, "account": Account("margin"), "execution": OrderExecution(0.25)}
    found = [
        run_orders(market, orders_from_targets(market, targets, COSTS, **arguments), COSTS, **arguments)
        for market in (raw, other)
    ]
    stamp = raw.bars[cut].item()
    assert found[0].equity_cents[: cut + 1].tobytes() == found[1].equity_cents[: cut + 1].tobytes()
    past = [one.fills.filter(pl.col("bar").cast(pl.Date) <= stamp) for one in found]
    assert past[0].equals(past[1])
