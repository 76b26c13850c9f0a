"""How a strategy's net result depends on what trading costs, how late orders arrive and how much may be traded."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.costs import Slippage
from project01.backtest.engine import DEFAULT_EXECUTION, Execution, LedgerInput, align, simulate
from project01.backtest.ledger_tables import CUT_TO_VOLUME
from project01.backtest.market import Market
from project01.backtest.result import growth
from project01.backtest.targets import TargetWeights
from project01.domain import FloatArray, InputError
from project01.evaluate import Estimate, annual_mean

COST_BPS = (0.0, 5.0, 10.0, 20.0, 30.0, 50.0)
DELAY_BARS = (0, 1, 2, 3)
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class Frontier:
    """Net results of the same targets over a grid; cells are numbered (share of volume, delay, cost).

    More cost takes from the result as long as every target can be paid: equity falls by each cost, and what a smaller
    book then wins back is the product of a cost and a price move between close and fill. Only moves by a multiple can
    make that the larger; where buys are cut to the cash at hand, the book of a higher cost is less invested too.

    Attributes:
        cost_bps: C levels, ascending, basis points of traded value, one way, all costs in one.
        delay_bars: L levels, extra sessions between decision and fill.
        volume_share: S levels, most of a session's volume an order may take; None: no cap.
        initial_cash: USD at the start; how much a share of volume binds depends on it.
        returns: shape (S, L, C, n), net, by session after the first; NaN from where the book was lost.
        yardstick: shape (C, n), of what is compared with, at each cost, without delay or cap; zeros without one.
        orders_cut: shape (S, L), share of filled orders that were cut to the share of volume, at the lowest cost.
    """

    cost_bps: FloatArray
    delay_bars: NDArray[np.int64]
    volume_share: tuple[float | None, ...]
    initial_cash: float
    returns: FloatArray
    yardstick: FloatArray
    orders_cut: FloatArray

    @property
    def cells(self) -> list[Cell]:
        """All cells, in order of share, delay, cost."""
        return list(np.ndindex(self.returns.shape[:3]))

    def net(self, cell: Cell) -> Estimate:
        """Net return a year, arithmetic mean times 252; -1 without an error if the book was lost."""
        return _yearly(self.returns[cell])

    def excess(self, cell: Cell) -> Estimate:
        """Net return a year above the yardstick's at the same cost; -1 without an error if the book was lost."""
        return _yearly(self.returns[cell] - self.yardstick[cell[2]])

    def break_even(self, share: int = 0, delay: int = 0) -> Estimate:
        """Cost in bps at which the excess over the yardstick reaches zero; see `break_even`."""
        return break_even(self.cost_bps, [self.excess((share, delay, c)) for c in range(len(self.cost_bps))])

    def frame(self) -> pl.DataFrame:
        """One row a cell: volume_share, delay_bars, cost_bps, annual_return, annual_excess, excess_low, excess_high."""
        rows = []
        for cell in self.cells:
            share, delay, cost = cell
            excess = self.excess(cell)
            rows.append(
                (self.volume_share[share], int(self.delay_bars[delay]), float(self.cost_bps[cost]),
                 self.net(cell).value, excess.value, excess.low, excess.high)
            )  # fmt: skip
        levels: dict[str, pl.DataType] = {
            "volume_share": pl.Float64(),
            "delay_bars": pl.Int64(),
            "cost_bps": pl.Float64(),
        }
        figures: list[str] = ["annual_return", "annual_excess", "excess_low", "excess_high"]
        return pl.DataFrame(rows, schema=levels | dict.fromkeys(figures, pl.Float64()), orient="row")


def frontier(
    market: Market,
    targets: TargetWeights,
    *,
    initial_cash: float,
    yardstick: TargetWeights | None = None,
    cost_bps: Sequence[float] = COST_BPS,
    delay_bars: Sequence[int] = DELAY_BARS,
    volume_share: Sequence[float | None] = (None,),
    threads: int = 1,
) -> Frontier:
    """Run the same targets at every cost, delay and share of volume.

    Args:
        market: as `run_backtest`.
        targets: as `run_backtest`.
        initial_cash: USD.
        yardstick: targets to compare with, from the same session on, e.g. equal weight; None: cash at zero.
        cost_bps: ascending, one way, all costs in one.
        delay_bars: ascending, extra sessions between decision and fill.
        volume_share: most of a session's volume an order may take, None for no cap; shares need a market with volume.
        threads: runs at a time; the result is the same for any.
    Raises:
        InputError: as `run_backtest`, costs or delays that do not ascend, or a yardstick of other sessions.
        NotEnoughDataError: under 126 sessions of returns, when a cell is asked for; a yearly figure from less would
            mislead.
    """
    costs, delays = np.asarray(cost_bps, dtype=np.float64), np.asarray(delay_bars, dtype=np.int64)
    if not all(len(levels) and (np.diff(levels) > 0).all() for levels in (costs, delays)) or not len(volume_share):
        raise InputError(
            f"cost_bps {list(cost_bps)}, delay_bars {list(delay_bars)}, volume_share {list(volume_share)}: "
            "expected costs and delays that ascend, and none of them empty."
        )
    joined = align(market, targets)
    beside = None if yardstick is None else align(market, yardstick)
    if beside is not None and beside.first != joined.first:
        raise InputError(
            f"The yardstick starts on {market.sessions[beside.first]}, the targets on {market.sessions[joined.first]}; "
            "expected the same session. Decide both from the same one."
        )
    runs = [_Run(joined, c, int(d), replace(DEFAULT_EXECUTION, volume_share=v))
            for v in volume_share for d in delays for c in costs]  # fmt: skip
    if beside is not None:
        runs += [_Run(beside, c, 0, DEFAULT_EXECUTION) for c in costs]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        done = list(pool.map(lambda run: run.returns(initial_cash), runs))
    shape = (len(volume_share), len(delays), len(costs))
    cells = int(np.prod(shape))
    base = [returns for returns, _ in done[cells:]] or [np.zeros_like(done[0][0])] * len(costs)
    return Frontier(
        costs, delays, tuple(volume_share), initial_cash, np.array([r for r, _ in done[:cells]]).reshape(*shape, -1),
        np.array(base), np.array([cut for _, cut in done[:cells]]).reshape(shape)[:, :, 0],
    )  # fmt: skip


@dataclass(frozen=True)
class _Run:
    joined: LedgerInput
    cost: float
    delay: int
    execution: Execution

    def returns(self, initial_cash: float) -> tuple[FloatArray, float]:
        """Net returns by session, NaN from where equity was lost, and the share of orders cut to volume."""
        tape, _ = simulate(self.joined, [Slippage(float(self.cost))], initial_cash, self.delay, self.execution)
        equity, written = tape.days["equity"], int(tape.written[0])
        lost = np.maximum.accumulate(equity <= 0)[1:]
        cut = np.count_nonzero(tape.reason[:written] == CUT_TO_VOLUME) / max(written, 1)
        return np.where(lost, np.nan, growth(equity[1:], equity[:-1])), cut


def _yearly(returns: FloatArray) -> Estimate:
    if np.isnan(returns).any():
        missing = float("nan")
        return Estimate(-1.0, missing, missing, missing, len(returns), "the book was lost")
    return annual_mean(returns)


def break_even(cost_bps: FloatArray, excess: Sequence[Estimate]) -> Estimate:
    """Cost at which an excess return reaches zero, linear between the costs tried.

    The interval holds every cost at which the excess cannot be told from zero: it starts where the low end of the
    excess's 90 % interval reaches zero and ends where the high end does.

    Args:
        cost_bps: shape (C,), ascending.
        excess: C estimates, one at each cost.
    Returns:
        Basis points. Value and both ends alike: NaN if it is not above zero at the lowest cost already, infinite if it
        is above zero at the highest still.
    """
    ends = ([e.value for e in excess], [e.low for e in excess], [e.high for e in excess])
    value, low, high = (_crossing(cost_bps, np.array(level)) for level in ends)
    method = "where the excess and the ends of its 90 % interval reach zero, linear between the costs tried"
    return Estimate(value, float("nan"), low, high, excess[0].n, method)


def _crossing(costs: FloatArray, level: FloatArray) -> float:
    if not level[0] > 0:
        return float("nan")
    down = np.flatnonzero(~(level > 0))
    if len(down) == 0:
        return float("inf")
    right = int(down[0])
    if np.isnan(level[right]):
        return float(costs[right - 1])
    share = level[right - 1] / (level[right - 1] - level[right])
    return float(costs[right - 1] + share * (costs[right] - costs[right - 1]))
