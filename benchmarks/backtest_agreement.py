"""The same fills in our ledger and in other libraries: equity session by session, to within our rounding to cents.

Run: python benchmarks/backtest_agreement.py PYTHON

PYTHON is an interpreter that has vectorbt and backtrader. Our trades (session, symbol, quantity, fill price, 10 bps)
are given to them as orders; they keep float dollars, we keep cents. So the equities may differ by half a cent for each
value and each cost rounded so far, and half a cent for each position valued: the bound, which no single order may
break. Such errors cancel as a walk does, so a tighter one is held too: six standard errors of as many roundings, each
uniform within its cent. The libraries get cash to spare, taken off again, so that they cut nothing. Random walks;
SIMULATED. Exits 1 if a difference is beyond its bound.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpha158 import watched  # beside this file
from backtest import PEER, drawn_market  # beside this file
from project01.backtest import (
    BacktestResult,
    Every,
    LongShortRank,
    Market,
    Slippage,
    TopQuantile,
    WeightRule,
    rebalanced_targets,
    run_backtest,
)
from project01.domain import FloatArray

CASH, BPS = 1_000_000.0, 10.0
SPARE = 10 * CASH
# A rounding to the cent, uniform within half a cent, has this standard deviation in cents.
ONE_ROUNDING = 12**-0.5
ERRORS = 6.0


@dataclass(frozen=True)
class Case:
    """One comparison."""

    library: str
    sessions: int
    symbols: int
    rule: WeightRule
    words: str


CASES = (
    Case("vectorbt", 2520, 500, TopQuantile(0.1), "top decile"),
    Case("vectorbt", 1260, 100, LongShortRank(), "long and short by rank"),
    Case("backtrader", 500, 20, TopQuantile(0.25), "top quarter"),
    Case("backtrader", 500, 20, LongShortRank(), "long and short by rank"),
)


def grid_of(result: BacktestResult, market: Market, column: str) -> FloatArray:
    """Shape (T, N), a column of the trades where they were made, zero elsewhere."""
    place = {name: i for i, name in enumerate(market.symbols)}
    rows = market.index_of(result.trades["session"].to_numpy().astype("datetime64[D]"))
    grid = np.zeros(market.close.shape)
    grid[rows, [place[name] for name in result.trades["symbol"]]] = result.trades[column].to_numpy()
    return grid


def roundings(quantity: FloatArray) -> NDArray[np.int64]:
    """Shape (T,), how many amounts rounded to the cent are in each session's equity.

    A value and a cost for each trade so far, and a value for each position held.
    """
    trades = np.count_nonzero(quantity, axis=1).cumsum()
    held = np.count_nonzero(np.rint(np.cumsum(quantity, axis=0) * 1e6), axis=1)
    return np.asarray(2 * trades + held, dtype=np.int64)


def compare(case: Case, python: str, folder: Path) -> bool:
    """Print one comparison; whether it is within both bounds."""
    market, signal = drawn_market(case.sessions, case.symbols)
    targets = rebalanced_targets(signal, market, case.rule, Every(1))
    ours = run_backtest(market, targets, [Slippage(BPS)], initial_cash=CASH)
    quantity, given, result = grid_of(ours, market, "quantity"), folder / "given.npz", folder / "result.npz"
    np.savez(given, open=market.fill_price, close=market.close, quantity=quantity, cash=CASH + SPARE, rate=BPS / 1e4)
    told, _ = watched([python, str(PEER), case.library, "orders", str(given), str(result)])
    with np.load(result) as file:
        theirs = file["equity"] - SPARE
    gap, counted = np.abs(ours.equity - theirs) * 100.0, roundings(quantity)
    worst = int(gap.argmax())
    # What doubles lose on dollars: a unit in the last place of the account for each of their additions.
    floats = np.spacing(CASH + SPARE) * 100.0 * counted
    bound, likely = 0.5 * counted + floats, ERRORS * ONE_ROUNDING * np.sqrt(counted) + floats
    within = bool((gap <= bound).all()) and bool((gap <= likely).all())
    print(
        f"{case.library} {told['version']}, {case.symbols} symbols x {case.sessions} sessions, {case.words}: "
        f"{told['fills']:,} fills there, {ours.trades.height:,} here\n"
        f"  equity of {case.sessions:,} sessions compared: largest difference {gap[worst]:.2f} cents on "
        f"{ours.sessions[worst]}, of an equity of {ours.equity[worst]:,.2f} USD; median {np.median(gap):.2f} cents\n"
        f"  there {counted[worst]:,} amounts were rounded: bound {bound[worst]:,.1f} cents, {ERRORS:g} standard errors "
        f"{likely[worst]:.1f} cents; at the last session {gap[-1]:.2f} of {bound[-1]:,.1f} and {likely[-1]:.1f}\n"
        f"  {'agrees' if within else 'DOES NOT AGREE'}"
    )
    return within


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python benchmarks/backtest_agreement.py PYTHON (one that has vectorbt and backtrader)")
        return 2
    with tempfile.TemporaryDirectory() as name:
        fine = [compare(case, sys.argv[1], Path(name)) for case in CASES]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
