"""Speed of nine rolling features over second bars of many symbols, as events and in per-second batches.

Run: python benchmarks/stream.py [symbols] [seconds]

Rates hold the Python loop; latencies are taken event by event with the clock's own cost inside. Events lie in the
stream's inbox, where a decoder puts them; one line shows what it costs to put them there from Python. The limits are
compiled functions without session, watermark, revision or late rows: nine windows that add and subtract, called with
the same events on one thread. TA-Lib's stream functions and river run beside them if installed. Random walks; nothing
is read.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import numba
import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray
from project01.etl import Feature, steps_intraday
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream import SecondStream
from project01.etl.second_stream_threads import most_threads

WINDOW = 60
START = 1_700_000_000
NINE = tuple(
    Feature(
        name=name, group="benchmark", clock="second", inputs=inputs, window=WINDOW, warm_up=WINDOW, unit="", source="",
        description="", step=step, parameters=parameters, columns=columns,
    )
    for name, step, inputs, columns, parameters in (
        ("past_return", steps_intraday.return_over, ("last",), ("former",), ()),
        ("vwap", steps_intraday.vwap_distance, ("last", "dollar_volume", "volume"), ("sum", "sum"), ()),
        ("volatility", steps_intraday.window_volatility, ("log_return",), ("sum",), ()),
        ("bipower", steps_intraday.bipower_volatility, ("neighbour_product",), ("sum",), ()),
        ("reach", steps_intraday.range_over, ("high", "low", "traded"), ("highest", "highest"), ()),
        ("imbalance", steps_intraday.share_in, ("signed_volume", "volume"), ("sum", "sum"), ()),
        ("illiquidity", steps_intraday.window_illiquidity, ("log_return", "dollar_volume"), ("sum", "sum"), ()),
        ("intensity", steps_intraday.rate_in, ("trades",), ("sum",), (WINDOW,)),
        ("surge", steps_intraday.over_rate, ("volume",), ("sum",), (WINDOW,)),
    )
)  # fmt: skip


def events(symbols: int, seconds: int) -> tuple[NDArray[np.int32], NDArray[np.int64], FloatArray]:
    """Symbol, knowledge time and inputs of each event: every symbol each second, in an order that changes."""
    random = np.random.default_rng(0)
    order = np.concatenate([random.permutation(symbols) for _ in range(seconds)]).astype(np.int32)
    time_of = np.repeat(np.arange(START, START + seconds, dtype=np.float64), symbols)
    close = 50.0 * np.exp(np.cumsum(random.normal(0, 1e-4, (seconds, symbols)), axis=0))
    close = close[np.arange(seconds).repeat(symbols), order]
    rows = np.full((len(order), len(SECOND_INPUTS)), np.nan)
    columns = {
        "time": time_of, "session_start": float(START - 1), "open": close, "high": close * 1.0001,
        "low": close * 0.9999, "close": close, "volume": random.integers(1, 900, len(order)),
        "vwap": close, "trades": random.integers(1, 9, len(order)),
        "signed_volume": random.integers(-900, 900, len(order)),
    }  # fmt: skip
    for place, name in enumerate(SECOND_INPUTS):
        rows[:, place] = columns.get(name, np.nan)
    return order, (time_of * 1e6).astype(np.int64), rows


@numba.njit(error_model="numpy")
def bare_event(state: FloatArray, rows: FloatArray, out: FloatArray, symbol: int, place: int) -> None:
    """Nine windows over three columns, each a ring and a sum that adds and subtracts."""
    own = state[symbol]
    at = int(own[0])
    for feature in range(9):
        value = rows[place, 3 + feature % 3]
        ring = 10 + feature * WINDOW + at
        own[1 + feature] += value - own[ring]
        own[ring] = value
        out[feature] = value / (own[1 + feature] / WINDOW) - 1.0
    own[0] = at + 1 if at + 1 < WINDOW else 0


@numba.njit(error_model="numpy")
def bare_batch(state: FloatArray, symbol: NDArray[np.int32], rows: FloatArray, out: FloatArray) -> None:
    """The same for a batch, in one call."""
    for place in range(len(symbol)):
        bare_event(state, rows, out[place], symbol[place], place)


@numba.njit("i8(i8, i8, i8)")
def nothing(one: int, other: int, third: int) -> int:
    """What a call from Python costs."""
    return one + other + third


def report(name: str, count: int, seconds: float, nanoseconds: NDArray[np.int64] | None = None) -> None:
    tail = ""
    if nanoseconds is not None:
        middle, slow = np.percentile(nanoseconds, [50, 99]) / 1e3
        tail = f"   p50 {middle:.2f} us, p99 {slow:.2f} us"
    print(f"{name:<66}{count / seconds / 1e6:>7.2f} M events/s{tail}", flush=True)


def by_event(name: str, call: Callable[[int, int], object], order: list[int], repeats: int = 3) -> None:
    """Rate of the loop, best of some; then latencies, event by event."""
    share = len(order) // (repeats + 1)
    times = []
    for repeat in range(repeats):
        started = time.perf_counter()
        for place in range(repeat * share, (repeat + 1) * share):
            call(order[place], place)
        times.append(time.perf_counter() - started)
    clock, taken = time.perf_counter_ns, np.empty(len(order) - repeats * share, dtype=np.int64)
    for number, place in enumerate(range(repeats * share, len(order))):
        before = clock()
        call(order[place], place)
        taken[number] = clock() - before
    report(name, share, min(times), taken)


def by_second(calls: dict[str, Callable[[slice], object]], symbols: int, seconds: int, repeats: int = 5) -> None:
    """Rates of batches of one second each, best of some rounds in which all take turns; ratios to the last one.

    A machine that others use too is slow for a second and fast in the next, so only neighbours can be compared.
    """
    share = seconds // repeats
    times = np.empty((repeats, len(calls)))
    for repeat in range(repeats):
        for place, call in enumerate(calls.values()):
            started = time.perf_counter()
            for second in range(repeat * share, (repeat + 1) * share):
                call(slice(second * symbols, (second + 1) * symbols))
            times[repeat, place] = time.perf_counter() - started
    ratios = np.median(times[:, -1:] / times, axis=0)
    for name, best, ratio in zip(calls, times.min(axis=0), ratios, strict=True):
        rate = share * symbols / best / 1e6
        print(f"{name:<66}{rate:>7.2f} M events/s   {ratio:.2f} of the limit beside it", flush=True)


def ours(order: NDArray[np.int32], known: NDArray[np.int64], rows: FloatArray, symbols: int) -> None:
    names = [f"S{number}" for number in range(symbols)]
    started = time.process_time()
    SecondStream(NINE, names[:1]).update(order[:1] * 0, known[:1], rows[:1])
    print(f"compiled or loaded in {time.process_time() - started:.1f} s of processor time")
    listed = order.tolist()
    for watermark in (timedelta(seconds=10), timedelta(0)):
        held = f"watermark {watermark.total_seconds():.0f} s"
        stream = SecondStream(NINE, names, watermark=watermark, places=len(order))
        stream.inbox[:], stream.inbox_known[:] = rows, known
        by_event(f"SecondStream.push, {held}", stream.push, listed)
    stream = SecondStream(NINE, names)

    def from_python(symbol: int, place: int) -> None:
        stream.inbox[0], stream.inbox_known[0] = rows[place], known[place]
        stream.push(symbol, 0)

    by_event("SecondStream.push, each row copied in from Python", from_python, listed)


def batches(order: NDArray[np.int32], known: NDArray[np.int64], rows: FloatArray, symbols: int, seconds: int) -> None:
    names = [f"S{number}" for number in range(symbols)]
    state, wide = np.zeros((symbols, 10 + 9 * WINDOW)), np.empty((symbols, 9))
    bare_batch(state, order[:1], rows[:1], wide)
    calls: dict[str, Callable[[slice], object]] = {}
    for watermark, threads in ((10, most_threads()), (0, most_threads()), (10, 1), (0, 1)):
        stream = SecondStream(NINE, names, watermark=timedelta(seconds=watermark), threads=threads)
        name = f"SecondStream.update, watermark {watermark} s, threads: {threads}"
        calls[name] = lambda part, stream=stream: stream.update(order[part], known[part], rows[part])
    calls["limit: bare numba, nine sums, threads: 1"] = lambda part: bare_batch(state, order[part], rows[part], wide)
    by_second(calls, symbols, seconds)


def limits(order: NDArray[np.int32], rows: FloatArray, symbols: int) -> None:
    state, out = np.zeros((symbols, 10 + 9 * WINDOW)), np.empty(9)
    bare_event(state, rows, out, 0, 0)
    listed = order.tolist()
    by_event("limit: a compiled call that does nothing", lambda symbol, place: nothing(1, symbol, place), listed)
    by_event("limit: bare numba, nine sums", lambda symbol, place: bare_event(state, rows, out, symbol, place), listed)


def peers(order: NDArray[np.int32], rows: FloatArray, symbols: int) -> None:
    if importlib.util.find_spec("talib"):
        _talib(order, rows, symbols)
    else:
        print("TA-Lib is not installed: left out")
    if importlib.util.find_spec("river"):
        _river(order, rows, symbols)
    else:
        print("river is not installed: left out")


def _talib(order: NDArray[np.int32], rows: FloatArray, symbols: int) -> None:
    from talib import stream as talib

    close = np.full((symbols, WINDOW + 1), 50.0)
    views = [close[number] for number in range(symbols)]
    calls = (
        talib.SMA, talib.STDDEV, talib.MOM, talib.ROC, talib.MAX, talib.MIN, talib.LINEARREG_SLOPE, talib.WMA, talib.SUM
    )  # fmt: skip

    def one(symbol: int, place: int) -> None:
        own = views[symbol]
        own[:-1] = own[1:]
        own[-1] = rows[place, 5]
        for call in calls:
            call(own, timeperiod=WINDOW)

    by_event("TA-Lib, nine stream functions of the close", one, order[: len(order) // 4].tolist())


def _river(order: NDArray[np.int32], rows: FloatArray, symbols: int) -> None:
    from river import stats, utils

    states = [[utils.Rolling(stats.Mean(), window_size=WINDOW) for _ in range(9)] for _ in range(symbols)]

    def one(symbol: int, place: int) -> None:
        value = float(rows[place, 5])
        for state in states[symbol]:
            state.update(value)

    by_event("river, nine rolling means", one, order[: len(order) // 10].tolist())


def main() -> None:
    symbols, seconds = (int(text) for text in (sys.argv[1:] + ["500", "1000"][len(sys.argv) - 1 :])[:2])
    order, known, rows = events(symbols, seconds)
    print(f"{len(NINE)} features over {WINDOW} s, {symbols} symbols, {len(order) / 1e6:.2f} M events\n")
    ours(order, known, rows, symbols)
    limits(order, rows, symbols)
    batches(order, known, rows, symbols, seconds)
    peers(order, rows, symbols)


if __name__ == "__main__":
    main()
