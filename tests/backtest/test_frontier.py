"""The grid of costs, delays and shares of volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.backtest import (
    EqualWeight,
    Every,
    Execution,
    Market,
    Signal,
    Slippage,
    TargetWeights,
    TopQuantile,
    break_even,
    frontier,
    overlapping_targets,
    rebalanced_targets,
    run_backtest,
)
from project01.domain import InputError, NotEnoughDataError
from project01.evaluate import Estimate, annual_mean


@pytest.fixture(scope="module")
def planted(make_market):
    """A signal that knows a little of the next session's return; a volume that binds some orders."""
    random = np.random.default_rng(4)
    returns = random.normal(0, 0.02, (200, 30))
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    market = make_market(close, np.vstack([close[:1], close[:-1]]), random.uniform(2e4, 4e5, close.shape))
    scores = np.vstack([returns[1:], returns[:1]]) + random.normal(0, 0.08, returns.shape)
    signal = Signal(market.sessions, market.symbols, scores)
    equal = rebalanced_targets(signal, market, EqualWeight(), Every(1))
    return market, overlapping_targets(signal, market, TopQuantile(0.2), 1), equal


def test_each_cell_is_that_backtest_less_the_yardstick_at_its_cost(planted):
    market, targets, equal = planted
    levels = {"cost_bps": (0.0, 25.0), "delay_bars": (0, 2), "volume_share": (None, 0.01)}
    grid = frontier(market, targets, initial_cash=1e6, yardstick=equal, **levels)
    assert len(grid.cells) == 8
    for share, delay, cost in grid.cells:
        execution = Execution(volume_share=levels["volume_share"][share])
        costs = [Slippage(levels["cost_bps"][cost])]
        result = run_backtest(
            market, targets, costs, initial_cash=1e6, delay_bars=levels["delay_bars"][delay], execution=execution
        )
        base = run_backtest(market, equal, costs, initial_cash=1e6)
        net, excess = grid.net((share, delay, cost)), grid.excess((share, delay, cost))
        assert net.value == pytest.approx(result.net_returns.mean() * 252, rel=1e-9)
        assert excess == annual_mean(result.net_returns - base.net_returns)
        if cost == 0:
            cut = result.trades["reason"].eq("target, cut to volume").mean()
            assert grid.orders_cut[share, delay] == pytest.approx(cut)
    assert grid.frame().rows()[1][:3] == (None, 0, 25.0)
    assert grid.frame()["annual_excess"][1] == grid.excess((0, 0, 1)).value


def test_threads_change_nothing(planted):
    market, targets, equal = planted
    grids = [
        frontier(market, targets, initial_cash=1e6, yardstick=equal, volume_share=(None, 0.01), threads=n)
        for n in (1, 3)
    ]
    assert grids[0].returns.tobytes() == grids[1].returns.tobytes()
    assert grids[0].yardstick.tobytes() == grids[1].yardstick.tobytes()


def test_costs_delay_and_volume_eat_a_short_lived_edge(planted):
    market, targets, _ = planted
    grid = frontier(market, targets, initial_cash=1e6, volume_share=(None, 0.01, 0.001))
    annual = grid.frame()["annual_return"].to_numpy().reshape(grid.returns.shape[:3])
    assert (np.diff(annual[0], axis=1) < 0).all()
    assert annual[0, 0, 0] > 1.0
    assert annual[0, 1, 0] < annual[0, 0, 0] / 2
    assert annual[0, 0, 0] > annual[1, 0, 0] > annual[2, 0, 0]


def test_a_share_of_volume_at_a_capital_is_ten_times_it_at_ten_times_the_capital(planted):
    """Tolerance: shares are cut at whole millionths and values rounded to the cent."""
    market, targets, _ = planted
    small = frontier(market, targets, initial_cash=1e6, cost_bps=(5,), delay_bars=(0,), volume_share=(0.001,))
    large = frontier(market, targets, initial_cash=1e7, cost_bps=(5,), delay_bars=(0,), volume_share=(0.01,))
    assert small.orders_cut[0, 0] > 0.5
    np.testing.assert_allclose(small.returns, large.returns, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 2**31), invested=st.floats(0.1, 0.8))
@settings(max_examples=examples(40), deadline=None, derandomize=True)
def test_a_higher_cost_never_raises_the_result_while_every_target_can_be_paid(make_market, seed, invested):
    """A fifth of the book stays in cash, which pays any cost here, so no buy is cut; moves are of a session's size."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, (140, 4)), axis=0))
    market = make_market(close, close * np.exp(random.normal(0, 0.01, close.shape)))
    weights = random.dirichlet(np.ones(4), 140) * invested
    targets = TargetWeights(market.sessions, market.symbols, weights)
    grid = frontier(market, targets, initial_cash=1e6, cost_bps=(0, 1, 5, 20, 60), delay_bars=(0, 1))
    grown = np.prod(1.0 + grid.returns, axis=-1)
    assert (np.diff(grown, axis=-1) < 0).all()
    assert (np.diff(grid.returns.mean(axis=-1), axis=-1) < 0).all()


def test_a_dearer_book_can_end_higher_where_prices_multiply_between_close_and_fill(make_market):
    """Why the rule above speaks of moves of a session's size: these are by a factor of two and more."""
    random = np.random.default_rng(1020)
    close = 100 * np.exp(np.cumsum(random.normal(-0.2, 0.6, (5, 2)), axis=0))
    fill = close * np.exp(random.normal(0, 0.6, close.shape))
    weights = random.dirichlet(np.ones(2), 5)
    weights[0] = [1, 0]
    weights *= random.uniform(0.8, 1)
    market = make_market(close, fill)
    targets = TargetWeights(market.sessions, market.symbols, weights)
    cheap, dear = (run_backtest(market, targets, [Slippage(bps)], initial_cash=1e6) for bps in (0.0, 50.0))
    assert dear.equity[-1] > cheap.equity[-1]
    assert dear.trades["reason"].unique().to_list() == ["target"]


def test_the_break_even_is_where_the_excess_and_its_interval_cross_zero():
    def at(value: float, low: float, high: float) -> Estimate:
        return Estimate(value, 0.01, low, high, 500, "")

    costs = np.array([0.0, 10.0, 20.0])
    # Value 4, 1, -5 at 0, 10, 20 bps: zero at 10 + 10 x 1/6. Low end 2, -1: zero at 10 x 2/3. High end never.
    found = break_even(costs, [at(4, 2, 6), at(1, -1, 4), at(-5, -9, 1)])
    assert (found.value, found.low, found.high) == (pytest.approx(10 + 10 / 6), pytest.approx(20 / 3), np.inf)
    assert found.n == 500
    none = break_even(costs, [at(-1, -2, 1), at(-2, -3, -1), at(-5, -9, -2)])
    assert np.isnan([none.value, none.low]).all()
    assert none.high == pytest.approx(5.0)
    above = break_even(costs, [at(9, 8, 10), at(6, 5, 7), at(3, 2, 4)])
    assert (above.value, above.low, above.high) == (np.inf, np.inf, np.inf)
    lost = break_even(costs, [at(4, 2, 6), Estimate(-1, np.nan, np.nan, np.nan, 9, ""), at(-5, -9, 1)])
    assert (lost.value, lost.low, lost.high) == (pytest.approx(8.0), 0.0, 0.0)


def test_the_excess_at_the_break_even_is_zero(planted):
    market, targets, equal = planted
    grid = frontier(market, targets, initial_cash=1e6, yardstick=equal, cost_bps=np.arange(0, 101, 5))
    at = grid.break_even()
    assert at.low < at.value < at.high
    ends = frontier(
        market, targets, initial_cash=1e6, yardstick=equal, cost_bps=(at.low, at.value, at.high), delay_bars=(0,)
    )
    assert ends.excess((0, 0, 0)).low == pytest.approx(0, abs=0.02)
    assert ends.excess((0, 0, 1)).value == pytest.approx(0, abs=0.02)
    assert ends.excess((0, 0, 2)).high == pytest.approx(0, abs=0.02)


def test_a_lost_book_is_said_to_be_lost(make_market):
    close = np.ones((200, 1))
    close[100:] = 3.0
    market = make_market(close)
    weights = np.full((200, 1), np.nan)
    weights[0] = -1.0
    targets = TargetWeights(market.sessions, market.symbols, weights)
    grid = frontier(market, targets, initial_cash=1e4, cost_bps=(0.0,), delay_bars=(0,))
    found = grid.net((0, 0, 0))
    assert found.value == -1.0
    assert np.isnan([found.standard_error, found.low, found.high]).all()
    assert found.method == "the book was lost"


def test_what_cannot_be_stated_is_refused(planted, make_market):
    market, targets, equal = planted
    with pytest.raises(InputError, match="ascend"):
        frontier(market, targets, initial_cash=1e6, cost_bps=(10.0, 5.0))
    with pytest.raises(InputError, match="none of them empty"):
        frontier(market, targets, initial_cash=1e6, volume_share=())
    late = TargetWeights(equal.sessions[1:], equal.symbols, equal.weights[1:])
    with pytest.raises(InputError, match="yardstick starts"):
        frontier(market, targets, initial_cash=1e6, yardstick=late)
    blind = Market(market.sessions, market.symbols, market.fill_price, market.close)
    with pytest.raises(InputError, match="no volume"):
        frontier(blind, targets, initial_cash=1e6, volume_share=(0.1,))
    short = make_market(np.ones((126, 1)))
    grid = frontier(short, TargetWeights(short.sessions, short.symbols, np.ones((126, 1))), initial_cash=1e6)
    with pytest.raises(NotEnoughDataError, match="126"):
        grid.net((0, 0, 0))
