"""Seconds of a back-test with its whole tear sheet: 500 symbols x 2,520 sessions, top decile in 5 tranches.

Run: python benchmarks/tear_sheet.py

One costed back-test, the same of equal weight, every figure of the tear sheet, the frontier over six costs and four
delays and three shares of volume. SIMULATED prices: random walks, a signal of noise. The bar is 5 s.
Prints one JSON object, processor seconds beside those of the clock.
"""

import json
import sys
import time

import numpy as np

from backtest import drawn_market
from project01.backtest import (
    EqualWeight,
    Market,
    Slippage,
    TopQuantile,
    frontier,
    overlapping_targets,
    run_backtest,
)
from project01.evaluate import sharpe_per_session
from project01.pipelines.frontier import VOLUME_SHARE, frontier_part
from project01.pipelines.sharpe import Luck
from project01.pipelines.tear_sheet import Sheet, tear_sheet_part

SYMBOLS, SESSIONS, HORIZON, CASH, THREADS = 500, 2520, 5, 1e6, 2


def main() -> int:
    drawn, signal = drawn_market(SESSIONS, SYMBOLS)
    volume = np.exp(np.random.default_rng(8).normal(13.0, 1.0, drawn.close.shape))
    market = Market(drawn.sessions, drawn.symbols, drawn.fill_price, drawn.close, volume)
    targets = overlapping_targets(signal, market, TopQuantile(0.1), HORIZON)
    yardstick = overlapping_targets(signal, market, EqualWeight(), HORIZON)
    short = drawn.sessions[:130]
    small = Market(short, drawn.symbols, drawn.fill_price[:130], drawn.close[:130], volume[:130])
    compiled = overlapping_targets(type(signal)(short, signal.symbols, signal.values[:130]), small, EqualWeight(), 5)
    frontier(small, compiled, initial_cash=CASH, cost_bps=(0,), delay_bars=(0,), volume_share=VOLUME_SHARE)

    clock, processor = [time.perf_counter()], [time.process_time()]

    def lap() -> None:
        clock.append(time.perf_counter())
        processor.append(time.process_time())

    result, equal = (run_backtest(market, t, [Slippage(10.0)], initial_cash=CASH) for t in (targets, yardstick))
    lap()
    returns = result.net_returns
    luck = Luck(np.array([sharpe_per_session(returns)]), returns[:, None])
    tear_sheet_part(Sheet(market, result, returns, equal.net_returns, None, luck, None))
    lap()
    frontier_part(market, targets, yardstick, luck, initial_cash=CASH, threads=THREADS)
    lap()
    names = ("two_back_tests", "tear_sheet", "frontier_72_cells")
    figures = {f"{name}_s": round(clock[n + 1] - clock[n], 3) for n, name in enumerate(names)}
    figures |= {f"{name}_processor_s": round(processor[n + 1] - processor[n], 3) for n, name in enumerate(names)}
    figures |= {"whole_s": round(clock[-1] - clock[0], 3), "whole_processor_s": round(processor[-1] - processor[0], 3)}
    print(json.dumps(figures | {"bar_s": 5.0, "fills": result.trades.height}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
