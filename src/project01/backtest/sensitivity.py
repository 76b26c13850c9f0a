"""How a strategy's net result depends on what trading costs and on how late orders arrive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.costs import Slippage
from project01.backtest.engine import DEFAULT_EXECUTION, Execution, align, simulate
from project01.backtest.market import Market
from project01.backtest.result import growth
from project01.backtest.targets import TargetWeights
from project01.domain import FloatArray, InputError
from project01.evaluate import annual_mean, annual_sharpe


@dataclass(frozen=True)
class Sensitivity:
    """Net results over a grid of costs and delays.

    Attributes:
        cost_bps: C levels, ascending, basis points of traded value, one way.
        delay_bars: L levels, extra sessions between decision and fill.
        annual_return: shape (C, L), net, arithmetic mean times 252, a fraction a year; -1 if the book was lost.
        sharpe: shape (C, L), net, a year, over cash at zero; NaN if the book was lost. Each is one trial more of the
            same targets: judge it with its deflated value.
        hurdle: annual return that the break-even is measured against.
        break_even_bps: shape (L,), cost at which the annual return falls to `hurdle`, linear between grid points; NaN:
            below the hurdle at the lowest cost already; infinite: above it still at the highest.
    """

    cost_bps: FloatArray
    delay_bars: NDArray[np.int64]
    annual_return: FloatArray
    sharpe: FloatArray
    hurdle: float
    break_even_bps: FloatArray

    def frame(self) -> pl.DataFrame:
        """One row a cell: cost_bps, delay_bars, annual_return, sharpe; sorted by cost, then delay."""
        cost, delay = np.meshgrid(self.cost_bps, self.delay_bars, indexing="ij")
        return pl.DataFrame(
            {
                "cost_bps": cost.ravel(),
                "delay_bars": delay.ravel(),
                "annual_return": self.annual_return.ravel(),
                "sharpe": self.sharpe.ravel(),
            }
        )


def cost_and_delay(
    market: Market,
    targets: TargetWeights,
    *,
    initial_cash: float,
    cost_bps: Sequence[float] = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0),
    delay_bars: Sequence[int] = (0, 1, 2, 3),
    hurdle: float = 0.0,
    execution: Execution = DEFAULT_EXECUTION,
) -> Sensitivity:
    """Run the same targets at every cost and delay.

    Args:
        market: as `run_backtest`.
        targets: as `run_backtest`.
        initial_cash: USD.
        cost_bps: ascending, one way, all costs in one.
        delay_bars: extra sessions between decision and fill.
        hurdle: annual return to measure the break-even against, e.g. that of equal weight.
        execution: as `run_backtest`.
    Raises:
        InputError: as `run_backtest`, or costs that do not ascend.
        NotEnoughDataError: under 126 sessions of returns; a yearly figure from less would mislead.
    """
    costs = np.asarray(cost_bps, dtype=np.float64)
    delays = np.asarray(delay_bars, dtype=np.int64)
    if len(costs) == 0 or len(delays) == 0 or bool((np.diff(costs) <= 0).any()):
        raise InputError(f"cost_bps {list(cost_bps)} and delay_bars {list(delay_bars)}: expected ascending, not empty.")
    joined = align(market, targets)
    annual, sharpe = np.empty((len(costs), len(delays))), np.empty((len(costs), len(delays)))
    for i, bps in enumerate(costs):
        for j, delay in enumerate(delays):
            tape, _ = simulate(joined, [Slippage(float(bps))], initial_cash, int(delay), execution)
            annual[i, j], sharpe[i, j] = _yearly(tape.days["equity"])
    break_even = np.array([_break_even(costs, annual[:, j], hurdle) for j in range(len(delays))])
    return Sensitivity(costs, delays, annual, sharpe, hurdle, break_even)


def _yearly(equity: NDArray[np.int64]) -> tuple[float, float]:
    if equity.min() <= 0:
        return -1.0, float("nan")
    returns = growth(equity[1:], equity[:-1])
    return annual_mean(returns).value, annual_sharpe(returns).value


def _break_even(costs: FloatArray, annual: FloatArray, hurdle: float) -> float:
    above = annual >= hurdle
    if not above[0]:
        return float("nan")
    if above.all():
        return float("inf")
    below = int(np.argmin(above))
    left, right = annual[below - 1] - hurdle, annual[below] - hurdle
    return float(costs[below - 1] + (costs[below] - costs[below - 1]) * left / (left - right))
