"""Speed and memory of 25 daily features together, beside other libraries and a fused loop, in the same run.

Run: python benchmarks/features.py [symbols] [sessions] [--rounds 5] [--peers PYTHON]

Rows a second of the compiled features alone (one thread and two) and of the whole of `compute_features` (market,
inputs, output table); of TA-Lib, Polars and pandas; of vectorbt and pandas-ta-classic, if `--peers` is an interpreter
that has them; of a bare fused loop, and of a loop that only reads the inputs and writes 25 outputs. All take their
turns in each round, so that a busy machine disturbs them alike. Then, on one symbol, that features of the same
definition are the same number. Random walks; SIMULATED. Qlib stands beside its own features in `alpha158.py`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray

from alpha158 import Peak, watched  # beside this file
from features_fused import copied, fused  # beside this file
from project01.domain import FloatArray, trading_calendar
from project01.etl import Inputs, StreamState, bar_inputs, compute_features, feature_set, prepare_bars
from project01.etl.engine import _starts
from project01.etl.fuse import kernel_for

DAILY = tuple(
    feature
    for feature in feature_set("core")
    if feature.kind == "series" and feature.group not in {"calendar", "macro"}
)
OHLCV = ("open", "high", "low", "close", "volume")
PANDAS_SYMBOLS = 40
PEER = Path(__file__).with_name("features_peer.py")
PEERS = ("vectorbt", "pandas_ta_classic")
# float32 keeps 24 bits, 6e-8; the rest is what sums that subtract lose.
TOLERANCE = 1e-6
COMPUTED = """TA-Lib: ROCP (7), SMA (4), RSI, MACD, BBANDS (2 of its 3), ATR, STDDEV of returns (2) and of volume, SMA
of squared log ranges, LN of dollars traded, SMA of absolute return over dollars, DIV for the gap, BETA, CORREL; not
finished, as the distance from a mean is. Polars, pandas: our 25. vectorbt: MA (4), MSTD (3), BBANDS (2), RSI, MACD.
pandas-ta-classic: as TA-Lib, by its own code; a slope and a variance over 252 in place of the two of the market.
Fused loop: 17 compensated means and 8 strength indices of the close."""
Values = dict[str, Any]


def market(symbols: int, sessions: int) -> pl.DataFrame:
    """Prepared bars of random walks."""
    random = np.random.default_rng(0)
    days = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2004).head(sessions)
    rows = symbols * sessions
    close = 50.0 * np.exp(np.cumsum(random.normal(0, 0.015, (symbols, sessions)), axis=1)).ravel()
    opened = close * np.exp(random.normal(0, 0.005, rows))
    names = pl.Series([f"S{number:04d}" for number in range(symbols)])
    keys = days.select("session", event_time="close_at", knowledge_time="close_at")
    return prepare_bars(
        pl.concat([keys] * symbols).with_columns(
            symbol=names.gather(pl.Series(np.repeat(np.arange(symbols), sessions))),
            open=pl.Series(opened),
            high=pl.Series(np.maximum(opened, close) * 1.004),
            low=pl.Series(np.minimum(opened, close) * 0.996),
            close=pl.Series(close),
            volume=pl.Series(random.lognormal(12, 0.6, rows)),
        )
    )


@dataclass
class Contender:
    """Something timed in each round.

    Attributes:
        name: what it is.
        features: how many it computes.
        rows: bars it goes through.
        threads: on which of our rates it is measured.
        work: one run.
        remark: what is not equal.
        seconds: least of the rounds.
        processor: least processor time of the rounds, of all threads; what a busy machine disturbs least.
        peak: most memory of the process while it ran, in bytes.
    """

    name: str
    features: int
    rows: int
    threads: int
    work: Callable[[], object]
    remark: str = ""
    seconds: float = float("inf")
    processor: float = float("inf")
    peak: int = 0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    def run(self) -> None:
        """One round; memory in one of its own, which is not timed."""
        if not self.peak:
            watch = Peak(os.getpid())
            self.work()
            self.peak = max(psutil.Process().memory_info().rss, watch.stop())
        started, used = time.perf_counter(), time.process_time()
        self.work()
        self.seconds = min(self.seconds, time.perf_counter() - started)
        self.processor = min(self.processor, time.process_time() - used)


def on_threads(work: Callable[[int, int], object], count: int, threads: int) -> None:
    """Instruments `first` to `last` on each thread; an error of any is raised."""
    edges = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))


def ours(bars: pl.DataFrame, given: Inputs, starts: NDArray[np.int64]) -> list[Contender]:
    kernel, names = kernel_for(DAILY), [feature.name for feature in DAILY]

    plan, count = kernel.plan(given.names, names), len(starts) - 1
    # Made once, as for TA-Lib and the fused loop: a new table costs its pages, which `compute_features` pays.
    states, out = np.zeros((count, kernel.state_size)), np.empty((len(names), bars.height), dtype=np.float32)

    def turn(first: int, last: int) -> None:
        states[first:last] = 0.0
        plan.advance(starts, first, last, given.matrix, states, out)

    def alone(threads: int) -> None:
        on_threads(turn, count, threads)

    rows = bars.height
    return [
        Contender("ours, compiled features", len(DAILY), rows, 1, lambda: alone(1)),
        Contender("ours, compiled features", len(DAILY), rows, 2, lambda: alone(2)),
        Contender(
            "ours, compute_features", len(DAILY), rows, 2, lambda: compute_features(bars, DAILY, threads=2),
            "market, inputs and output table too",
        ),
    ]  # fmt: skip


def limits(given: Inputs, starts: NDArray[np.int64]) -> list[Contender]:
    """The fused loop and what memory alone allows, both compiled on their first, untimed run."""
    inputs, loop, rows = given.matrix, fused(), given.matrix.shape[1]
    by_row, by_column = np.empty((rows, 25), dtype=np.float32), np.empty((25, rows), dtype=np.float32)
    count = len(starts) - 1

    def turn(threads: int) -> None:
        on_threads(lambda first, last: loop(starts, first, last, inputs, by_row), count, threads)

    plain = "no missing values, no choice, no columns"
    return [
        Contender("fused numba loop", 25, rows, 1, lambda: turn(1), plain),
        Contender("fused numba loop", 25, rows, 2, lambda: turn(2), plain),
        Contender(
            "7 inputs read, 25 outputs written", 0, rows, 1, lambda: copied(inputs, by_column), "what memory allows"
        ),
    ]


def libraries(bars: pl.DataFrame, level: FloatArray, starts: NDArray[np.int64]) -> list[Contender]:
    import features_libraries as other  # beside this file

    columns = {name: bars[name].to_numpy() for name in OHLCV}
    rows, out = bars.height, np.empty((25, bars.height), dtype=np.float32)

    def by_symbol(threads: int, into: NDArray[np.float32] | None) -> None:
        count = len(starts) - 1
        on_threads(lambda first, last: other.talib_table(columns, level, starts, first, last, into), count, threads)

    some = bars.filter(pl.col("symbol").is_in(bars["symbol"].unique().sort()[:PANDAS_SYMBOLS].implode()))
    raw = "indicators unfinished, dropped"
    return [
        Contender("TA-Lib, calls alone", 25, rows, 1, lambda: by_symbol(1, None), raw),
        Contender("TA-Lib, calls alone", 25, rows, 2, lambda: by_symbol(2, None), raw),
        Contender("TA-Lib, into a table", 25, rows, 2, lambda: by_symbol(2, out), "indicators unfinished"),
        Contender("Polars expressions", 25, rows, 2, lambda: other.polars_features(bars), "all cores; float64"),
        Contender(
            "pandas by column", 25, some.height, 1, lambda: other.pandas_features(some),
            f"{some['symbol'].n_unique()} symbols",
        ),
    ]  # fmt: skip


def peers(python: str, bars: pl.DataFrame, starts: NDArray[np.int64]) -> tuple[list[Contender], dict[str, Values]]:
    """Libraries of another interpreter, each in a process of its own, and their features of the first symbol."""
    timed, found = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "bars.npz", **{name: bars[name].to_numpy().reshape(len(starts) - 1, -1) for name in OHLCV})
        for library in PEERS:
            result = folder / f"{library}.npz"
            told, peak = watched([python, str(PEER), library, str(folder / "bars.npz"), str(result)])
            remark = f"{told['version']}, warm; first call {told['cold']:.1f} s"
            if told["rows"] < bars.height:
                remark += f"; {int(told['rows'] * (len(starts) - 1) / bars.height)} symbols"
            spent = told["seconds"], told["used"], peak
            timed.append(Contender(library, int(told["features"]), int(told["rows"]), 1, lambda: None, remark, *spent))
            with np.load(result) as file:
                found[library] = {name: file[name] for name in file.files}
    return timed, found


def agreement(own: pl.DataFrame, found: dict[str, Values]) -> None:
    """Print the largest difference of each library's features of one symbol from ours, after our warm-up.

    Relative to the larger of the value and the feature's mean absolute value.
    """
    print(f"\nthe same features of one symbol: largest relative difference from ours, float32 (bar {TOLERANCE:.0e})")
    for library, values in found.items():
        gaps = {}
        for feature in DAILY:
            if feature.name in values:
                left = own[feature.name].to_numpy().astype(float)[feature.warm_up :]
                right = np.asarray(values[feature.name], dtype=float)[feature.warm_up :]
                size = np.maximum(np.abs(right), np.abs(right).mean())
                gaps[feature.name] = float(np.max(np.abs(left - right) / size))
        worst = max(gaps, key=lambda name: gaps[name])
        beyond = [f"{name} {gap:.0e}" for name, gap in gaps.items() if not gap <= TOLERANCE]
        print(
            f"  {library:<20}{len(gaps):>3} features, largest {gaps[worst]:.1e} ({worst})"
            + (f"; BEYOND: {', '.join(beyond)}" if beyond else "")
        )


def here(bars: pl.DataFrame, level: FloatArray, starts: NDArray[np.int64]) -> dict[str, Values]:
    """The same interpreter's libraries' features of the first symbol."""
    import features_libraries as other  # beside this file

    rows = slice(0, starts[1])
    own = {name: bars[name].to_numpy()[rows] for name in OHLCV}
    some = bars.head(int(starts[min(PANDAS_SYMBOLS, len(starts) - 1)]))
    # The market is the mean of all symbols given, so Polars gets them all.
    return {
        "TA-Lib": other.talib_features(own, level[rows]),
        "Polars": other.polars_features(bars).head(int(starts[1])).to_dict(as_series=False),
        "pandas, no market": {
            name: value.to_numpy()[rows]
            for name, value in other.pandas_features(some).items()
            if name not in {"beta_252", "residual_momentum"}
        },
    }


def table(timed: list[Contender]) -> None:
    """Print rates and ours over each: the compiled features on as many threads, the whole of compute_features.

    Then the same by processor time.
    """
    compiled, whole = {one.threads: one.rate for one in timed[:2]}, timed[2].rate
    heads = ("features", "threads", "M rows/s", "ours/it", "table/it", "M/CPU s", "ours/it", "peak MiB")
    print(f"\n{'':<34}" + "".join(f"{head:>10}" for head in heads))
    for one in timed:
        rates = f"{one.rate / 1e6:>10.2f}{compiled[one.threads] / one.rate:>10.2f}{whole / one.rate:>10.2f}"
        share = one.rows / one.processor / (timed[one.threads - 1].rows / timed[one.threads - 1].processor)
        rates += f"{one.rows / one.processor / 1e6:>10.2f}{1 / share:>10.2f}"
        size = f"{one.features or '-':>10}{one.threads:>10}"
        print(f"{one.name:<34}{size}{rates}{one.peak / 2**20:>10.0f}   {one.remark}")


def stream_rate(rows: FloatArray) -> float:
    """Bars a second, one at a time from Python."""
    state = StreamState(DAILY)
    started = time.perf_counter()
    for row in rows:
        state.update(row)
    return len(rows) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", type=int, nargs="?", default=800)
    parser.add_argument("sessions", type=int, nargs="?", default=3528)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", help="interpreter that has vectorbt and pandas-ta-classic")
    options = parser.parse_args()
    bars = market(options.symbols, options.sessions)
    size = f"{options.symbols} symbols x {options.sessions} sessions = {bars.height / 1e6:.2f} M rows"
    print(f"{len(DAILY)} features, {size}")
    started = time.process_time()
    kernel_for(DAILY)
    print(f"compiled or loaded in {time.process_time() - started:.1f} s of processor time", flush=True)
    given, starts = bar_inputs(bars, DAILY), _starts(bars)
    level = np.tile(np.cumprod(1 + np.nan_to_num(given.of("market_return")[: starts[1]])), options.symbols)
    timed = [*ours(bars, given, starts), *libraries(bars, level, starts), *limits(given, starts)]
    held = psutil.Process().memory_info().rss
    for _ in range(options.rounds):
        for one in timed:
            one.run()
    found = here(bars, level, starts)
    if options.peers:
        others, more = peers(options.peers, bars, starts)
        timed, found = [*timed, *others], found | more
    table(timed)
    print(f"each the best of {options.rounds} rounds in turn; bars, inputs and results hold {held / 2**20:.0f} MiB")
    print(f"{COMPUTED}\nload of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if not options.peers:
        print("vectorbt and pandas-ta are left out; --peers PYTHON names an interpreter that has them")
    print(f"stream, one bar at a time from Python: {stream_rate(given.rows()[:20_000]) / 1e6:.2f} M rows/s")
    agreement(compute_features(bars, DAILY).head(int(starts[1])), found)


if __name__ == "__main__":
    main()
