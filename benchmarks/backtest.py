"""Speed of the backtest: 500 symbols x 2,520 sessions, top decile by a daily signal, all rebalanced daily, 10 bps.

Run: python benchmarks/backtest.py [--rounds 15] [--peers PYTHON]

A bar-event is one symbol in one session. Beside our run stand bare ledgers in numba and numpy (floats, no cents, no
trades written down: `backtest_bare.py`) and the least any backtest could do, weights times returns in numpy. All take
their turns in each round, so that a busy machine disturbs them alike; rates are by the best wall time, and by the least
processor time, which other programs disturb less. `--peers` names an interpreter that has vectorbt, backtrader and bt:
the first runs the same weights, the slow ones the first 50 symbols and 504 sessions. Random walks; SIMULATED. Prints
one JSON object.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alpha158 import watched  # beside this file
from backtest_bare import numba_ledger, numpy_ledger, numpy_product  # beside this file
from project01.backtest import (
    BacktestResult,
    EqualWeight,
    Every,
    Market,
    Signal,
    Slippage,
    TargetWeights,
    TopQuantile,
    frontier,
    overlapping_targets,
    rebalanced_targets,
    run_backtest,
)

SYMBOLS, SESSIONS = 500, 2520
CASH, BPS = 1_000_000.0, 10.0
PEER = Path(__file__).with_name("backtest_peer.py")
# Of sessions and symbols, what each library is given: those that walk bar by bar in Python get a corner.
PEERS = {"vectorbt": (SESSIONS, SYMBOLS), "backtrader": (504, 50), "bt": (504, 50)}
Work = Callable[[], object]


def drawn_market(sessions: int, symbols: int) -> tuple[Market, Signal]:
    """Random walks with a gap at the open, and a signal of noise."""
    random = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0003, 0.02, (sessions, symbols)), axis=0))
    fill = close * np.exp(random.normal(0.0, 0.005, close.shape))
    days = np.busday_offset(np.datetime64("2008-01-01"), np.arange(sessions), roll="forward").astype("datetime64[D]")
    names = tuple(f"S{i:03}" for i in range(symbols))
    return Market(days, names, fill, close), Signal(days, names, random.normal(size=close.shape))


def peak_mib() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Work) -> tuple[float, float]:
    """Seconds by the wall and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def best(works: dict[str, Work], rounds: int) -> dict[str, tuple[float, float]]:
    """Least wall time and least processor time of each, all in turn in each round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(timed(work))
    return {name: (min(wall for wall, _ in runs), min(used for _, used in runs)) for name, runs in found.items()}


def with_tables(result: BacktestResult) -> None:
    """Everything a result has to show."""
    for name in ("trades", "refused", "positions", "notes"):
        getattr(result, name)


def contenders(market: Market, targets: TargetWeights) -> dict[str, Work]:
    """What is timed in each round; the bare ledgers get what ours reads."""

    def run() -> BacktestResult:
        return run_backtest(market, targets, [Slippage(BPS)], initial_cash=CASH)

    bare = market.fill_price, market.close, targets.weights, CASH, BPS / 1e4
    return {
        "ours": run,
        "ours_with_tables": lambda: with_tables(run()),
        "bare_numba_ledger": lambda: numba_ledger(*bare),
        "bare_numpy_ledger": lambda: numpy_ledger(*bare),
        "bare_numpy_product": lambda: numpy_product(market.close, targets.weights),
    }


def peers(python: str, market: Market, targets: TargetWeights) -> dict[str, Any]:
    """Libraries of another interpreter, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        given, result = Path(name) / "given.npz", Path(name) / "result.npz"
        for library, (sessions, symbols) in PEERS.items():
            corner = np.s_[:sessions, :symbols]
            weights = targets.weights[corner]
            np.savez(
                given, open=market.fill_price[corner], close=market.close[corner], weights=weights, cash=CASH,
                rate=BPS / 1e4,
            )  # fmt: skip
            told, peak = watched([python, str(PEER), library, "weights", str(given), str(result)])
            found[library] = {
                "version": told["version"],
                "symbols_x_sessions": f"{symbols} x {sessions}",
                "fills": told["fills"],
                "first_run_s": round(told["first_s"], 3),
                "run_s": round(told["seconds"], 4),
                "bar_events_per_s": round(told["bars"] / told["seconds"]),
                "peak_mib": round(peak / 2**20),
            }
    return found


def smaller() -> dict[str, float]:
    """Seconds of the other steps of a full run, on 350 symbols x 1,764 sessions; the second run of each."""
    market, signal = drawn_market(1764, 350)
    targets = overlapping_targets(signal, market, TopQuantile(0.1), 5)
    steps: dict[str, Work] = {
        "overlapping_targets_top_decile_s": lambda: overlapping_targets(signal, market, TopQuantile(0.1), 5),
        "overlapping_targets_equal_weight_s": lambda: overlapping_targets(signal, market, EqualWeight(), 5),
        "run_with_tables_s": lambda: with_tables(run_backtest(market, targets, [Slippage(BPS)], initial_cash=CASH)),
        "frontier_without_yardstick_s": lambda: frontier(market, targets, initial_cash=CASH),
    }
    return {name: round(wall, 4) for name, (wall, _) in best(steps, 2).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", help="interpreter that has vectorbt, backtrader and bt")
    options = parser.parse_args()
    market, signal = drawn_market(SESSIONS, SYMBOLS)
    started = time.perf_counter()
    targets = rebalanced_targets(signal, market, TopQuantile(0.1), Every(1))
    targets_s = time.perf_counter() - started
    works, before = contenders(market, targets), peak_mib()
    first_s, _ = timed(works["ours"])
    used_mib = peak_mib() - before
    for work in works.values():
        work()
    found = best(works, options.rounds)
    wall, processor = found["ours"]
    result = run_backtest(market, targets, [Slippage(BPS)], initial_cash=CASH)
    bare = numba_ledger(market.fill_price, market.close, targets.weights, CASH, BPS / 1e4)
    events = SYMBOLS * SESSIONS
    figures = {
        "bar_events": events,
        "fills": result.trades.height,
        "first_run_s": round(first_s, 3),
        "runs": {
            name: {
                "wall_ms": round(seconds * 1e3, 2),
                "bar_events_per_s": round(events / seconds),
                "processor_ms": round(used * 1e3, 2),
                "bar_events_per_processor_s": round(events / used),
                "ours_over_it": round(seconds / wall, 3),
                "ours_over_it_by_processor": round(used / processor, 3),
            }
            for name, (seconds, used) in found.items()
        },
        "last_equity_usd": {"ours": result.equity[-1], "bare_numba_ledger_never_cut_to_cash": round(bare[-1], 2)},
        "targets_s": round(targets_s, 3),
        "on_350_x_1764": smaller(),
        "added_peak_mib": round(used_mib, 1),
        "peak_mib": round(peak_mib(), 1),
    }
    if options.peers:
        figures["peers"] = peers(options.peers, market, targets)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
