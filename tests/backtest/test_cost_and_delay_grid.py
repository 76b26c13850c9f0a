"""The grid of costs and delays."""

import numpy as np
import pytest

from project01.backtest import (
    Signal,
    Slippage,
    TargetWeights,
    TopQuantile,
    cost_and_delay,
    overlapping_targets,
    run_backtest,
)
from project01.domain import InputError, NotEnoughDataError


@pytest.fixture(scope="module")
def planted(make_market):
    """A signal that knows a little of the next session's return."""
    random = np.random.default_rng(4)
    returns = random.normal(0, 0.02, (200, 30))
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    market = make_market(close, np.vstack([close[:1], close[:-1]]))
    scores = np.vstack([returns[1:], returns[:1]]) + random.normal(0, 0.08, returns.shape)
    signal = Signal(market.sessions, market.symbols, scores)
    return market, overlapping_targets(signal, market, TopQuantile(0.2), 1)


def test_each_cell_is_that_backtest(planted):
    market, targets = planted
    grid = cost_and_delay(market, targets, initial_cash=1e6, cost_bps=(0.0, 25.0), delay_bars=(0, 2))
    for i, bps in enumerate((0.0, 25.0)):
        for j, delay in enumerate((0, 2)):
            result = run_backtest(market, targets, [Slippage(bps)], initial_cash=1e6, delay_bars=delay)
            returns = np.diff(result.equity) / result.equity[:-1]
            assert grid.annual_return[i, j] == pytest.approx(returns.mean() * 252, rel=1e-9)
            assert grid.sharpe[i, j] == pytest.approx(returns.mean() / returns.std(ddof=1) * 252**0.5, rel=1e-9)
    assert grid.frame().rows()[1][:2] == (0.0, 2)


def test_costs_and_delay_eat_a_short_lived_edge(planted):
    grid = cost_and_delay(*planted, initial_cash=1e6)
    assert (np.diff(grid.annual_return[:, 0]) < 0).all()
    assert grid.annual_return[0, 0] > 1.0
    assert grid.annual_return[0, 1] < grid.annual_return[0, 0] / 2


def test_break_even_is_where_the_net_return_meets_the_hurdle(planted):
    market, targets = planted
    grid = cost_and_delay(market, targets, initial_cash=1e6, cost_bps=np.arange(0, 101, 5), hurdle=0.2)
    at = float(grid.break_even_bps[0])
    check = cost_and_delay(market, targets, initial_cash=1e6, cost_bps=(at,), delay_bars=(0,), hurdle=0.2)
    assert check.annual_return[0, 0] == pytest.approx(0.2, abs=0.01)


def test_break_even_outside_the_grid(planted):
    market, targets = planted
    assert cost_and_delay(market, targets, initial_cash=1e6, hurdle=-99.0).break_even_bps[0] == float("inf")
    assert np.isnan(cost_and_delay(market, targets, initial_cash=1e6, hurdle=99.0).break_even_bps[0])


def test_a_lost_book_is_said_to_be_lost(make_market):
    close = np.ones((200, 1))
    close[100:] = 3.0
    market = make_market(close)
    weights = np.full((200, 1), np.nan)
    weights[0] = -1.0
    grid = cost_and_delay(
        market,
        TargetWeights(market.sessions, market.symbols, weights),
        initial_cash=1e4,
        cost_bps=(0.0,),
        delay_bars=(0,),
    )
    assert grid.annual_return.tolist() == [[-1.0]]
    assert np.isnan(grid.sharpe).all()


def test_what_cannot_be_stated_is_refused(planted, make_market):
    market, targets = planted
    with pytest.raises(InputError, match="ascending"):
        cost_and_delay(market, targets, initial_cash=1e6, cost_bps=(10.0, 5.0))
    short = make_market(np.ones((126, 1)))
    with pytest.raises(NotEnoughDataError, match="126"):
        cost_and_delay(short, TargetWeights(short.sessions, short.symbols, np.ones((126, 1))), initial_cash=1e6)
