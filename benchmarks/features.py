"""Speed and memory of 25 daily features together, beside the limit of a bare loop and pandas by column.

Run: python benchmarks/features.py [symbols] [sessions]

Prints rows a second of: the compiled features alone (one thread and two), the whole of `compute_features` (market,
inputs, output table), a bare compiled loop over the same arithmetic without windows' upkeep, one that only reads the
inputs and writes 25 outputs, the stream one bar at a time, and pandas. Random walks; nothing is read or written.
"""

import resource
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, trading_calendar
from project01.etl import Inputs, StreamState, bar_inputs, compute_features, feature_set, prepare_bars
from project01.etl.engine import _starts, advance
from project01.etl.fuse import Fused, kernel_for

DAILY = tuple(
    feature
    for feature in feature_set("core")
    if feature.kind == "series" and feature.group not in {"calendar", "macro"}
)
PANDAS_SYMBOLS = 40


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


@numba.njit(nogil=True, error_model="numpy")
def copy_through(inputs: FloatArray, out: FloatArray) -> None:
    """Read what the features read and write as much as they write: what memory alone allows."""
    for row in range(inputs.shape[1]):
        total = 0.0
        for column in range(7):
            total += inputs[column, row]
        for column in range(out.shape[0]):
            out[column, row] = total


@numba.njit(nogil=True, error_model="numpy")
def bare_loop(inputs: FloatArray, starts: FloatArray, out: FloatArray) -> None:
    """25 windows over the closes, each a sum that adds and subtracts: what a loop without rules or care costs."""
    windows = (
        5,
        10,
        14,
        20,
        21,
        21,
        21,
        26,
        42,
        60,
        63,
        63,
        100,
        120,
        126,
        126,
        150,
        180,
        200,
        200,
        220,
        252,
        252,
        252,
        252,
    )
    for instrument in range(len(starts) - 1):
        sums = np.zeros(25)
        first = starts[instrument]
        for row in range(first, starts[instrument + 1]):
            close = inputs[3, row] * inputs[5, row]
            for column in range(25):
                window = windows[column]
                sums[column] += close
                if row - window >= first:
                    sums[column] -= inputs[3, row - window] * inputs[5, row - window]
                out[column, row] = close / (sums[column] / window) - 1.0 if row - first + 1 >= window else np.nan


def pandas_by_column(bars: pl.DataFrame) -> pd.DataFrame:
    """The same 25 features, one symbol at a time, the way they are usually written."""
    parts = []
    wide = bars.to_pandas()
    move = wide.groupby("symbol")["close"].pct_change()
    wide["market"] = move.groupby(wide["session"]).transform("mean")
    for _, own in wide.groupby("symbol"):
        parts.append(_pandas_symbol(own))
    return pd.concat(parts)


def _pandas_symbol(own: pd.DataFrame) -> pd.DataFrame:
    close, high, low, volume, index = own["close"], own["high"], own["low"], own["volume"], own["market"]
    previous = close.shift()
    log, move = np.log(close / previous), close / previous - 1
    found = {f"ret_{n}": close / close.shift(n) - 1 for n in (1, 5, 21, 63, 126, 252)}
    found["mom_12_1"] = close.shift(21) / close.shift(252) - 1
    found |= {f"dist_sma_{n}": close / close.rolling(n).mean() - 1 for n in (5, 20, 60, 200)}
    gain = (close - previous).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (previous - close).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    found["rsi_14"] = 100 * gain / (gain + loss)
    line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    found["macd_hist"] = (line - line.ewm(span=9, adjust=False).mean()) / close
    mean, spread = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    found["bollinger_b_20"] = (close - mean + 2 * spread) / (4 * spread)
    found["bollinger_width_20"] = 4 * spread / mean
    true_range = np.maximum(high - low, np.maximum((high - previous).abs(), (low - previous).abs()))
    found["atr_14"] = true_range.ewm(alpha=1 / 14, adjust=False).mean() / close
    found |= {f"realised_vol_{n}": log.rolling(n).std() * np.sqrt(252) for n in (21, 63)}
    found["parkinson_vol_21"] = np.sqrt((np.log(high / low) ** 2).rolling(21).mean() * 252 / (4 * np.log(2)))
    found["volume_z_20"] = (volume - volume.rolling(20).mean()) / volume.rolling(20).std()
    found["log_dollar_volume"] = np.log(close * volume)
    found["amihud_21"] = np.log10(1e6 * (log.abs() / (close * volume)).rolling(21).mean())
    found["overnight_gap"] = own["open"] / previous - 1
    slope = move.rolling(252).cov(index) / index.rolling(252).var()
    found["beta_252"] = slope
    left = (move.rolling(252).sum() - move.rolling(21).sum()) - slope * (
        index.rolling(252).sum() - index.rolling(21).sum()
    )
    unexplained = move.rolling(252).var() - slope**2 * index.rolling(252).var()
    found["residual_momentum"] = left / np.sqrt(unexplained * 231)
    return pd.DataFrame(found)


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Least wall time of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def alone(kernel: Fused, given: Inputs, starts: NDArray[np.int64], names: list[str], threads: int) -> object:
    """The compiled functions without what surrounds them."""
    states = np.zeros((len(starts) - 1, kernel.state_size))
    return advance(kernel, given, starts, names, states, threads)


def report(name: str, rows: int, seconds: float) -> None:
    print(f"{name:<58}{rows / seconds / 1e6:>8.2f} M rows/s{seconds:>9.2f} s", flush=True)


def stream_rate(rows: FloatArray) -> tuple[int, float]:
    state = StreamState(DAILY)
    return len(rows), best(lambda: [state.update(row) for row in rows], 3)


def main() -> None:
    symbols, sessions = (int(text) for text in (sys.argv[1:] + ["800", "3528"][len(sys.argv) - 1 :])[:2])
    bars = market(symbols, sessions)
    rows, names = bars.height, [feature.name for feature in DAILY]
    print(f"{len(names)} features, {symbols} symbols x {sessions} sessions = {rows / 1e6:.2f} M rows\n")
    started = time.process_time()
    kernel = kernel_for(DAILY)
    print(f"compiled or loaded in {time.process_time() - started:.1f} s of processor time")
    given, starts = bar_inputs(bars, DAILY), _starts(bars)
    inputs = given.matrix
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for threads in (1, 2):
        report(
            f"compiled features, {threads} thread(s)",
            rows,
            best(lambda t=threads: alone(kernel, given, starts, names, t)),
        )
    report("compute_features, 2 threads", rows, best(lambda: compute_features(bars, DAILY, threads=2), 3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 2**10:.0f} MiB, of which bars and inputs {before / 2**10:.0f} MiB")
    out = np.empty((len(names), rows), dtype=np.float32)
    copy_through(inputs[:, :2], out[:, :2])
    bare_loop(inputs[:, :2], np.array([0, 2]), out[:, :2])
    report("limit: 7 inputs read, 25 outputs written, 1 thread", rows, best(lambda: copy_through(inputs, out)))
    report("bare loop: 25 sums that add and subtract, 1 thread", rows, best(lambda: bare_loop(inputs, starts, out)))
    report("stream, one bar at a time from Python", *stream_rate(bar_inputs(bars.head(20_000), DAILY).rows()))
    some = bars.head(PANDAS_SYMBOLS * sessions)
    report(f"pandas by column ({PANDAS_SYMBOLS} symbols)", some.height, best(lambda: pandas_by_column(some), 1))


if __name__ == "__main__":
    main()
