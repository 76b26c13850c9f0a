"""Speed of the backtest: 500 symbols x 2,520 sessions, top decile by a daily signal, all rebalanced daily, 10 bps.

Run: python benchmarks/backtest.py
A bar-event is one symbol in one session. Beside it stands the least any backtest could do, weights times returns in
numpy without fills, cash or costs, timed in the same run. Prints one JSON object.
"""

import json
import resource
import sys
import time

import numpy as np

from project01.backtest import (
    Every,
    Market,
    Signal,
    Slippage,
    TopQuantile,
    frontier,
    rebalanced_targets,
    run_backtest,
)

SYMBOLS, SESSIONS, REPEATS = 500, 2520, 5


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


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> int:
    market, signal = drawn_market(SESSIONS, SYMBOLS)
    start = time.perf_counter()
    targets = rebalanced_targets(signal, market, TopQuantile(0.1), Every(1))
    targets_s = time.perf_counter() - start
    before = peak_mib()

    def backtest() -> None:
        run_backtest(market, targets, [Slippage(10.0)], initial_cash=1e6)

    def bare() -> None:
        returns = market.close[1:] / market.close[:-1] - 1.0
        np.cumprod(1.0 + (targets.weights[:-1] * returns).sum(axis=1))

    first_s = timed(backtest)
    seconds, bare_s = min(timed(backtest) for _ in range(REPEATS)), min(timed(bare) for _ in range(REPEATS))
    used = peak_mib() - before
    trades = run_backtest(market, targets, [Slippage(10.0)], initial_cash=1e6).trades.height
    small, small_signal = drawn_market(1764, 350)
    small_targets = rebalanced_targets(small_signal, small, TopQuantile(0.1), Every(1))
    grid_s = timed(lambda: frontier(small, small_targets, initial_cash=1e6))
    events = SYMBOLS * SESSIONS
    figures = {
        "bar_events": events,
        "fills": trades,
        "first_run_s": round(first_s, 3),
        "run_s": round(seconds, 4),
        "bar_events_per_s": round(events / seconds),
        "fills_per_s": round(trades / seconds),
        "bare_numpy_s": round(bare_s, 4),
        "bare_numpy_bar_events_per_s": round(events / bare_s),
        "times_slower_than_bare": round(seconds / bare_s, 1),
        "targets_s": round(targets_s, 3),
        "grid_24_runs_1764x350_s": round(grid_s, 3),
        "added_peak_mib": round(used, 1),
        "peak_mib": round(peak_mib(), 1),
    }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
