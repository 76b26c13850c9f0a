"""What must hold for any market and any targets."""

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from tests.effort import examples

from project01.backtest import (
    Commission,
    EqualWeight,
    Every,
    Execution,
    LongShortRank,
    Market,
    Signal,
    Slippage,
    TargetWeights,
    TopQuantile,
    market_from_bars,
    overlapping_targets,
    rebalanced_targets,
    run_backtest,
)

SEEDS = st.integers(0, 2**31)
PROPERTY = settings(max_examples=examples(40), deadline=None, derandomize=True)
COSTS = [Commission(per_share=0.005, minimum=1.0, maximum_bps=100.0), Slippage(10.0)]


def random_case(seed, make_market, *, long_only=False, missing=0.05, sessions=30, names=6):
    """Prices that walk, some bars missing, a decision in half of the sessions."""
    random = np.random.default_rng(seed)
    close = random.uniform(5, 200, names) * np.exp(np.cumsum(random.normal(0, 0.03, (sessions, names)), axis=0))
    fill = close * np.exp(random.normal(0, 0.01, close.shape))
    fill[random.random(close.shape) < missing] = np.nan
    close[random.random(close.shape) < missing] = np.nan
    fill[np.isnan(close)] = np.nan
    market = make_market(close, fill)
    weights = random.dirichlet(np.ones(names), sessions)
    if not long_only:
        weights *= random.choice([-1.0, 1.0], weights.shape)
    weights[random.random(sessions) < 0.5] = np.nan
    return market, TargetWeights(market.sessions, market.symbols, weights), random


def cents_of(frame: pl.DataFrame, column: str) -> np.ndarray:
    return np.rint(frame[column].to_numpy() * 100).astype(np.int64)


@given(seed=SEEDS, delay=st.integers(0, 3))
@PROPERTY
def test_cash_and_positions_are_what_the_trades_say_after_every_fill(make_market, seed, delay):
    market, targets, _ = random_case(seed, make_market)
    result = run_backtest(market, targets, COSTS, initial_cash=100_000.0, delay_bars=delay)
    paid = cents_of(result.trades, "value") + sum(cents_of(result.trades, f"cost_{m.name}") for m in COSTS)
    at = market.index_of(result.trades["session"].to_numpy().astype("datetime64[D]"))
    column = np.array([market.symbols.index(name) for name in result.trades["symbol"]], dtype=np.int64)
    micro = np.rint(result.trades["quantity"].to_numpy() * 1e6).astype(np.int64)
    mark = pl.DataFrame(market.close).fill_nan(None).select(pl.all().forward_fill()).fill_null(0).to_numpy()
    for t in range(len(market.sessions)):
        cash = 10_000_000 - int(paid[at <= t].sum())
        held = np.bincount(column[at <= t], weights=micro[at <= t], minlength=len(market.symbols))
        assert result.cash_cents[t] == cash
        assert result.equity_cents[t] == cash + int(np.rint(held * mark[t] / 1e4).sum())
    assert result.cost_cents.sum() == paid.sum() - cents_of(result.trades, "value").sum()
    assert result.traded_cents.sum() == np.abs(cents_of(result.trades, "value")).sum()


@given(seed=SEEDS, bps=st.floats(0, 500))
@PROPERTY
def test_a_long_only_book_never_owes_cash(make_market, seed, bps):
    market, targets, _ = random_case(seed, make_market, long_only=True)
    result = run_backtest(market, targets, [Slippage(bps)], initial_cash=100_000.0)
    assert result.cash_cents.min() >= 0
    held = result.trades.select(pl.col("quantity").cum_sum().over("symbol"))["quantity"]
    assert held.is_empty() or held.min() > -1e-9


@given(seed=SEEDS, bps=st.floats(0, 100), more=st.floats(0, 100), fee=st.floats(0, 2))
@PROPERTY
def test_higher_costs_take_exactly_their_difference_where_sizes_do_not_depend_on_them(
    make_market, seed, bps, more, fee
):
    """One decision long only, with cash to spare: the fills are the same, so equity differs by the costs alone."""
    market, targets, _ = random_case(seed, make_market, long_only=True, missing=0.0)
    weights = np.full(targets.weights.shape, np.nan)
    weights[0] = np.random.default_rng(seed).dirichlet(np.ones(6)) * 0.5
    once = TargetWeights(targets.sessions, targets.symbols, weights)
    cheap = run_backtest(market, once, [Slippage(bps)], initial_cash=100_000.0)
    dear_costs = [Commission(minimum=fee), Slippage(bps + more)]
    dear = run_backtest(market, once, dear_costs, initial_cash=100_000.0)
    assert dear.trades.select("session", "symbol", "quantity").equals(
        cheap.trades.select("session", "symbol", "quantity")
    )
    assert dear.equity_cents[-1] <= cheap.equity_cents[-1]
    assert cheap.equity_cents[-1] - dear.equity_cents[-1] == dear.cost_cents.sum() - cheap.cost_cents.sum()


@given(seed=SEEDS)
@PROPERTY
def test_the_first_fill_pays_no_less_at_higher_costs(make_market, seed):
    """For any targets: the same orders cost no less, part by part, at higher rates."""
    market, targets, random = random_case(seed, make_market)
    trades = run_backtest(market, targets, COSTS, initial_cash=100_000.0).trades
    quantity, price = trades["quantity"].to_numpy(), trades["price"].to_numpy()
    low, rise = random.uniform(0, 0.02, 4), random.uniform(0, 0.02, 4)
    cheap = Commission(per_share=low[0], bps=low[1] * 1e4, minimum=low[2] * 100)
    dear = Commission(*(np.array([low[0], low[1] * 1e4, low[2] * 100]) + rise[:3]))
    assert (dear.cost(quantity, price) >= cheap.cost(quantity, price)).all()
    assert (cheap.cost(quantity, price) >= 0).all()


@pytest.mark.parametrize("rule", [TopQuantile(0.5), LongShortRank()])
@pytest.mark.parametrize("level", [0.0, 0.3, np.nan])
def test_zero_signal_trades_nothing(make_market, rule, level):
    market, _, _ = random_case(1, make_market)
    signal = Signal(market.sessions, market.symbols, np.full(market.close.shape, level))
    for targets in (
        rebalanced_targets(signal, market, rule, Every(1)),
        overlapping_targets(signal, market, rule, 3),
    ):
        result = run_backtest(market, targets, COSTS, initial_cash=100_000.0)
        assert result.trades.is_empty()
        assert set(result.equity_cents.tolist()) == {10_000_000}


@given(seed=SEEDS, scale=st.floats(0.05, 20))
@PROPERTY
def test_scaling_all_prices_leaves_returns_unchanged(make_market, seed, scale):
    """Costs in bps. Tolerance: 3e-6 a session, for cents (1e-7 of the book each) and cash cuts in millionths."""
    market, targets, _ = random_case(seed, make_market)
    scaled = Market(market.sessions, market.symbols, market.fill_price * scale, market.close * scale)
    base, other = (run_backtest(m, targets, [Slippage(10)], initial_cash=100_000.0) for m in (market, scaled))
    np.testing.assert_allclose(other.net_returns, base.net_returns, rtol=0, atol=3e-6)


@given(seed=SEEDS)
@PROPERTY
def test_round_trip_at_constant_prices_and_no_cost_returns_every_cent(make_market, seed):
    random = np.random.default_rng(seed)
    market = make_market(np.tile(random.uniform(1, 500, 6), (4, 1)))
    weights = np.full((4, 6), np.nan)
    weights[0], weights[1] = random.dirichlet(np.ones(6)) * random.choice([-1.0, 1.0], 6), 0.0
    result = run_backtest(market, TargetWeights(market.sessions, market.symbols, weights), [], initial_cash=12_345.67)
    assert result.positions.is_empty()
    assert result.equity_cents[-1] == 1_234_567


@given(seed=SEEDS)
@PROPERTY
def test_order_of_symbols_does_not_matter(make_market, seed):
    market, targets, random = random_case(seed, make_market)
    order = random.permutation(len(market.symbols))
    names = tuple(market.symbols[i] for i in order)
    shuffled = Market(market.sessions, names, market.fill_price[:, order], market.close[:, order])
    base, other = (run_backtest(m, targets, COSTS, initial_cash=100_000.0) for m in (market, shuffled))
    assert other.equity_cents.tolist() == base.equity_cents.tolist()
    assert other.trades.sort("session", "symbol").equals(base.trades.sort("session", "symbol"))


@given(seed=SEEDS, delay=st.integers(1, 4))
@PROPERTY
def test_delay_moves_the_fills_and_nothing_else(make_market, seed, delay):
    market, targets, _ = random_case(seed, make_market, long_only=True, missing=0.0)
    weights = np.full(targets.weights.shape, np.nan)
    weights[3] = 0.1
    once = TargetWeights(targets.sessions, targets.symbols, weights)
    base, late = (run_backtest(market, once, [], initial_cash=100_000.0, delay_bars=d) for d in (0, delay))
    assert set(base.trades["session"]) == {market.sessions[4].item()}
    assert set(late.trades["session"]) == {market.sessions[4 + delay].item()}
    assert late.trades["quantity"].equals(base.trades["quantity"])
    assert late.trades["price"].to_list() == market.fill_price[4 + delay].tolist()


@given(seed=SEEDS, cut=st.integers(0, 29), delay=st.integers(0, 2), erased=st.booleans())
@PROPERTY
def test_nothing_after_a_session_changes_anything_up_to_it(make_market, seed, cut, delay, erased):
    """Prices after `cut` become noise, or nothing: signals' weights, trades and equity up to it stay bit for bit."""
    market, _, random = random_case(seed, make_market)
    scores = random.normal(size=market.close.shape)
    fill, close = market.fill_price.copy(), market.close.copy()
    noise = np.nan if erased else random.uniform(1, 1000, close[cut + 1 :].shape)
    fill[cut + 1 :], close[cut + 1 :] = noise, noise
    changed = Market(market.sessions, market.symbols, fill, close)
    rule = TopQuantile(0.4) if seed % 2 else LongShortRank(cap=0.3)
    found = []
    for one in (market, changed):
        signal = Signal(one.sessions, one.symbols, scores)
        targets = overlapping_targets(signal, one, rule, 3)
        execution = Execution(sessions_until_delisted=2)
        result = run_backtest(one, targets, COSTS, initial_cash=100_000.0, delay_bars=delay, execution=execution)
        past = result.trades.filter(pl.col("session") <= one.sessions[cut].item())
        found.append((targets.weights[: cut + 1], result.equity_cents[: cut + 1], past))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][2].equals(found[1][2])


def bars(sessions, close, factor, volume):
    return pl.DataFrame(
        {
            "symbol": ["A"] * len(close),
            "session": [dt.date(2015, 1, 5) + dt.timedelta(days=i) for i in range(sessions)],
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": volume,
            "factor": factor,
        }
    )


@given(seed=SEEDS, ratio=st.sampled_from([2.0, 4.0, 0.5, 7.0, 1.5, 0.1]), at=st.integers(1, 9))
@PROPERTY
def test_a_split_leaves_equity_unchanged(seed, ratio, at):
    """As published, the price falls by `ratio` and the factor rises by it; relative error below 1e-9 (C6)."""
    random = np.random.default_rng(seed)
    price = 50 * np.exp(np.cumsum(random.normal(0, 0.02, 10)))
    after = np.arange(10) >= at
    plain = market_from_bars(bars(10, price, np.ones(10), np.full(10, 1e4)))
    split = market_from_bars(
        bars(10, np.where(after, price / ratio, price), np.where(after, ratio, 1.0), np.where(after, 1e4 * ratio, 1e4))
    )
    np.testing.assert_allclose(split.close, plain.close, rtol=1e-9)
    np.testing.assert_allclose(split.volume, plain.volume, rtol=1e-9)
    weights = np.where(np.arange(10)[:, None] % 3 == 0, random.random((10, 1)), np.nan)
    targets = TargetWeights(plain.sessions, plain.symbols, weights)
    execution = Execution(volume_share=0.01)
    found = [
        run_backtest(m, targets, [Slippage(10)], initial_cash=100_000.0, execution=execution) for m in (plain, split)
    ]
    assert np.abs(found[0].equity_cents - found[1].equity_cents).max() <= 10  # cents of 1e7, where a last bit tips one


def test_a_dividend_is_reinvested():
    """100 falls to 95 when 5 is paid: the factor 100/95 keeps the holder's worth at 100."""
    market = market_from_bars(bars(4, [100.0, 100.0, 95.0, 95.0], [1.0, 1.0, 100 / 95, 100 / 95], [1.0] * 4))
    targets = TargetWeights(market.sessions, market.symbols, np.array([[1.0], [np.nan], [np.nan], [np.nan]]))
    result = run_backtest(market, targets, [], initial_cash=1000.0)
    assert result.equity_cents.tolist() == [100_000] * 4


def test_the_same_run_twice_gives_the_same_bytes(make_market):
    market, targets, _ = random_case(5, make_market)
    first, second = (run_backtest(market, targets, COSTS, initial_cash=100_000.0) for _ in range(2))
    assert first.equity_cents.tobytes() == second.equity_cents.tobytes()
    assert first.trades.equals(second.trades)
    assert first.notes == second.notes


def test_equal_weight_of_everything_without_costs_earns_the_mean(make_market):
    """Rebalanced at each close-only session: return of session t + 2 is the mean of the names' returns, to a cent."""
    market = make_market(np.cumprod(1 + np.random.default_rng(3).normal(0, 0.01, (20, 8)), axis=0) * 100)
    signal = Signal(market.sessions, market.symbols, np.ones(market.close.shape))
    targets = rebalanced_targets(signal, market, EqualWeight(), Every(100))
    result = run_backtest(market, targets, [], initial_cash=1_000_000.0)
    worth = (result.trades["quantity"].to_numpy() * market.close[1:]).sum(axis=1) + result.cash_cents[-1] / 100
    np.testing.assert_allclose(result.equity[1:], worth, atol=0.05)
