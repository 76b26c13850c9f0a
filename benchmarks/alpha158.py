"""All 158 features of Alpha158 beside Qlib's own handler: agreement of each, speed and memory of both, in one run.

Run: python benchmarks/alpha158.py [--qlib PYTHON] [--symbols 60] [--sessions 1000] [--speed 800x3528]

`--qlib` is an interpreter that has pyqlib; without it an environment is made once under the cache folder. The same bars
(random walks on a grid of cents; SIMULATED) are written in Qlib's format and to Parquet. Agreement is measured on
`--symbols` x `--sessions` bars against Qlib with columns widened to float64 when read, and against Qlib as shipped,
which divides and subtracts in float32; a difference is relative to the larger of the value and the feature's mean
absolute value. Three more instruments have bars missing, bars without trade and a price that hardly moves, and show
where the definitions differ and that nothing else does. `--speed` (say 800x3528,
14 years of 800 stocks; takes Qlib minutes and 6 GiB) times both on two processes or threads, each started anew, from
files to a table. The exit status is 1 if a feature differs by more than float32 explains, or where it should not.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray

from project01.domain import trading_calendar
from project01.etl import compute_features, feature_set, prepare_bars
from project01.etl.catalogue.alpha158 import published_name
from project01.etl.fuse import cache_folder, kernel_for

FIELDS = ("open", "high", "low", "close", "vwap", "volume")
PEER = Path(__file__).with_name("alpha158_peer.py")
QLIB = "pyqlib==0.9.7"
# float32 keeps 24 bits: rounding a value and rounding its neighbour differ by 1.2e-7 of it.
TOLERANCE = 1e-6
FEATURES = feature_set("alpha158")
STILL = """a standard deviation below 2e-5 is NaN in Qlib's RSQR, CORR and CORD, here below 1e-12 of the level; the
running variance under Qlib's STD and WVMA keeps rounding of the large values of before, here nothing is subtracted"""
# Odd instruments: the features whose definitions differ (none named: all, while the gap is in their windows), and why.
DIFFER: dict[str, tuple[tuple[str, ...], str]] = {
    "HALTED": (
        (),
        "a missing bar takes a place in Qlib's windows, and here it does not; all differ until it has passed",
    ),
    "SILENT": (("VMA", "VSTD", "CORD"), "no volume: Qlib divides by 1e-12 or drops an infinite logarithm; here NaN"),
    "STILL": (("RSQR", "CORR", "CORD", "STD", "WVMA"), STILL),
}


def simulated(symbols: int, sessions: int) -> pl.DataFrame:
    """Bars of random walks, all numbers of float32, so that both sides read the same."""
    random = np.random.default_rng(0)
    days = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2004).head(sessions)
    shape = (symbols, sessions)
    close = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.015, shape), axis=1)), 2) + 0.01
    opened = np.round(close * np.exp(random.normal(0, 0.005, shape)), 2) + 0.01
    high = np.maximum(opened, close) + np.round(random.exponential(0.2, shape), 2)
    low = np.minimum(opened, close) * np.exp(-random.exponential(0.004, shape))
    numbers = {
        "open": opened, "high": high, "low": low, "close": close, "vwap": (high + low + close) / 3,
        "volume": np.round(random.lognormal(13, 0.6, shape)),
    }  # fmt: skip
    keys = days.select("session", event_time="close_at", knowledge_time="close_at")
    names = pl.Series([f"S{number:04d}" for number in range(symbols)])
    return pl.concat([keys] * symbols).with_columns(
        symbol=names.gather(pl.Series(np.repeat(np.arange(symbols), sessions))),
        **{name: pl.Series(value.ravel().astype(np.float32)) for name, value in numbers.items()},
    )


def odd_ones(bars: pl.DataFrame) -> pl.DataFrame:
    """Three more instruments, each with one thing in which the definitions differ."""
    own = bars.filter(pl.col("symbol") == bars["symbol"][0])
    place = pl.int_range(pl.len())
    # A tick up and down of a cheap stock, then nothing at all.
    ticks = 0.5 + pl.when(place < 260).then(place % 2).otherwise(0) * 1e-5
    still = own.with_columns(
        pl.when(place.is_between(200, 330)).then(ticks).otherwise(name).cast(pl.Float32).alias(name)
        for name in FIELDS[:-1]
    )
    silent = own.with_columns(pl.when(place % 97 == 96).then(0).otherwise("volume").cast(pl.Float32).alias("volume"))
    odd = {"HALTED": own.filter(place % 150 != 149), "SILENT": silent, "STILL": still}
    return pl.concat(rows.with_columns(symbol=pl.lit(name)) for name, rows in odd.items())


def write_qlib(bars: pl.DataFrame, folder: Path) -> None:
    """Bars in Qlib's format: a calendar, the instruments, and a float32 file for each column, gaps as NaN."""
    days = bars["session"].unique().sort()
    for part in ("calendars", "instruments", "features"):
        (folder / part).mkdir(parents=True)
    (folder / "calendars/day.txt").write_text("\n".join(map(str, days)) + "\n")
    spans = bars.group_by("symbol", maintain_order=True).agg(first=pl.min("session"), last=pl.max("session"))
    lines = [f"{symbol}\t{first}\t{last}\n" for symbol, first, last in spans.iter_rows()]
    (folder / "instruments/all.txt").write_text("".join(lines))
    for (symbol,), rows in bars.group_by("symbol"):
        own = folder / "features" / str(symbol).lower()
        own.mkdir()
        wide = pl.DataFrame({"session": days}).join(rows, on="session", how="left", maintain_order="left")
        for name in FIELDS:
            values = wide[name].fill_null(np.nan).to_numpy().astype("<f4")
            np.concatenate([[0.0], values]).astype("<f4").tofile(own / f"{name}.day.bin")


class Peak:
    """Most memory that a process and its children held together, in bytes, sampled ten times a second."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self._stop = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            family = self._family()
            self.most = max(self.most, sum(_held(process, alone=len(family) == 1) for process in family))

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []

    def stop(self) -> int:
        """End the watch; the most seen."""
        self._stop.set()
        self._thread.join()
        return self.most


def _held(process: psutil.Process, *, alone: bool) -> int:
    """Memory of a process; of several, what they share counted in parts, which the kernel takes long to tell."""
    try:
        return int(process.memory_info().rss if alone else process.memory_full_info().pss)
    except psutil.Error:
        return 0


def watched(command: list[str]) -> tuple[dict[str, float], int]:
    """Run a command that ends with a line of JSON; that line with its processor time, and its peak memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = Peak(process.pid)
        out, errors = process.communicate()
        most = peak.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-3000:]}")
    found: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found["processor"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found, most


def qlib_interpreter() -> str:
    """An interpreter of an environment that has pyqlib, made on first use."""
    folder = cache_folder() / "peers" / "qlib"
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Making an environment with {QLIB} in {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", QLIB, "setuptools<81"], check=True)
    return str(python)


def ours(bars: pl.DataFrame) -> pl.DataFrame:
    return compute_features(prepare_bars(bars), FEATURES, threads=2)


def time_ours(path: str) -> None:
    """From Parquet to a table, in a process of its own."""
    started = time.perf_counter()
    kernel_for(FEATURES)
    loaded = time.perf_counter() - started
    found = ours(pl.read_parquet(path))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": found.height, "loaded": loaded}))


def peer_values(python: str, bars: pl.DataFrame, folder: Path, precision: str) -> tuple[list[str], NDArray[np.float32]]:
    """Qlib's names and values, shape (instruments x days, 158)."""
    result = folder / precision
    result.mkdir()
    if not (folder / "qlib").exists():
        write_qlib(bars, folder / "qlib")
    watched([python, str(PEER), str(folder / "qlib"), "1", precision, str(result)])
    return json.loads((result / "names.json").read_text()), np.load(result / "values.npy")


def on_calendar(bars: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Our rows laid out as Qlib's: every instrument on every day from its first to its last."""
    days = bars.select(pl.col("session").unique().sort())
    spans = bars.group_by("symbol").agg(first=pl.min("session"), last=pl.max("session"))
    grid = spans.join(days, how="cross").filter(pl.col("session").is_between("first", "last"))
    return grid.select("symbol", "session").sort("symbol", "session").join(found, on=["symbol", "session"], how="left")


def difference(own: NDArray[np.float32], peer: NDArray[np.float32]) -> float:
    """Largest difference where both have a value."""
    both = np.isfinite(own) & np.isfinite(peer)
    right, left = peer[both].astype(float), own[both].astype(float)
    return float(np.max(np.abs(left - right) / np.maximum(np.abs(right), np.abs(right).mean())))


def agreement(python: str, symbols: int, sessions: int) -> bool:
    """Print the largest difference of every feature; whether all are within what float32 explains."""
    bars = simulated(symbols, sessions)
    bars = pl.concat([odd_ones(bars), bars])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (names, exact), (_, shipped) = (peer_values(python, bars, folder, kind) for kind in ("float64", "shipped"))
    found = on_calendar(bars, ours(bars))
    plain = (~found["symbol"].is_in(list(DIFFER))).to_numpy()
    bar = found.select(number=pl.int_range(1, pl.len() + 1).over("symbol"))["number"].to_numpy()
    print(f"{symbols} symbols x {sessions} sessions; largest difference from Qlib, relative\n")
    print(f"{'feature':<10}{'float64 read':>14}{'as shipped':>14}{'values':>10}   one has a value, the other not")
    worst, within = 0.0, True
    for feature in FEATURES:
        column = names.index(published_name(feature.name))
        own, rows = found[feature.name].to_numpy(), plain & (bar >= feature.warm_up)
        gap, gap_shipped = difference(own[rows], exact[rows, column]), difference(own[rows], shipped[rows, column])
        unmatched = int((np.isfinite(own[rows]) != np.isfinite(exact[rows, column])).sum())
        flag = "" if gap <= TOLERANCE and not unmatched else "   BEYOND float32"
        print(f"{names[column]:<10}{gap:>14.1e}{gap_shipped:>14.1e}{int(rows.sum()):>10}   {unmatched}{flag}")
        worst, within = max(worst, gap), within and not flag
    print(f"\nlargest of all: {worst:.1e}; tolerance {TOLERANCE:.0e}")
    peers = pl.DataFrame({feature.name: exact[:, names.index(published_name(feature.name))] for feature in FEATURES})
    explained = [
        differs_as_told(symbol, found.filter(pl.col("symbol") == symbol), peers.filter(found["symbol"] == symbol))
        for symbol in DIFFER
    ]
    return within and all(explained)


def differs_as_told(symbol: str, found: pl.DataFrame, peers: pl.DataFrame) -> bool:
    """Print where one odd instrument differs from Qlib; whether only where the definitions do."""
    families, reason = DIFFER[symbol]
    print(f"\n{symbol}: {reason}")
    print(f"{'feature':<10}{'equal':>8}{'differ':>8}{'only ours':>11}{'only Qlib':>11}")
    bar = np.arange(found.height)
    gap = np.where(found["knowledge_time"].is_null().to_numpy(), bar, -1)
    since_gap = bar - np.maximum.accumulate(gap)
    as_told = True
    for feature in FEATURES:
        own, right = (frame[feature.name].to_numpy().astype(float) for frame in (found, peers))
        size = np.maximum(np.abs(right), np.nanmean(np.abs(own)))
        with np.errstate(invalid="ignore"):
            same = (np.abs(own - right) <= TOLERANCE * size) | (~np.isfinite(own) & ~np.isfinite(right))
        rows = bar + 1 >= feature.warm_up
        different = rows & ~same
        # After a halt, as soon as the window has passed it, nothing differs any more.
        told = since_gap <= feature.warm_up - 1 if not families else published_name(feature.name).startswith(families)
        surprise = bool((different & ~told).any())
        as_told = as_told and not surprise
        if different.any():
            both, mine = np.isfinite(own) & np.isfinite(right), np.isfinite(own)
            counts = (rows & same, different & both, different & mine & ~both, different & ~mine)
            numbers = "".join(
                f"{int(count.sum()):>{width}}" for count, width in zip(counts, (8, 8, 11, 11), strict=True)
            )
            print(f"{published_name(feature.name):<10}{numbers}{'   NOT EXPLAINED' if surprise else ''}")
    return as_told


def record(python: str, path: Path) -> None:
    """Write made-up bars of one instrument, and Qlib's values at three of them."""
    bars = simulated(1, 130)
    with tempfile.TemporaryDirectory() as name:
        names, values = peer_values(python, bars, Path(name), "float64")
    rows = [64, 97, 129]
    content = {
        "made": f"python benchmarks/alpha158.py --record FILE, with {QLIB}, columns widened to float64 when read",
        "bars": {name: [round(value, 6) for value in bars[name].to_list()] for name in FIELDS},
        "rows": rows,
        "values": {name: [float(f"{values[row, n]:.9g}") for row in rows] for n, name in enumerate(names)},
    }
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def speed(python: str, symbols: int, sessions: int) -> None:
    """Both from files to a table, on two processes or threads."""
    bars = simulated(symbols, sessions)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bars.write_parquet(folder / "bars.parquet")
        write_qlib(bars, folder / "qlib")
        rows = bars.height
        del bars
        own, own_peak = watched([sys.executable, __file__, "--time-ours", str(folder / "bars.parquet")])
        peer, peer_peak = watched([python, str(PEER), str(folder / "qlib"), "2", "shipped"])
    print(f"\n{symbols} symbols x {sessions} sessions = {rows / 1e6:.2f} M rows, 158 features")
    print(f"{'':<32}{'seconds':>9}{'rows/s':>11}{'peak GiB':>10}{'processor s, start-up included':>32}")
    for label, found, peak in (
        ("Qlib's handler, two processes", peer, peer_peak),
        ("ours, two threads", own, own_peak),
    ):
        seconds, processor = found["seconds"], found["processor"]
        print(f"{label:<32}{seconds:>9.1f}{rows / seconds:>11.0f}{peak / 2**30:>10.2f}{processor:>32.1f}")
    times, work = peer["seconds"] / own["seconds"], peer["processor"] / own["processor"]
    print(f"{times:.1f} times as fast, {work:.1f} times less processor time; code loaded in {own['loaded']:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qlib", help="interpreter that has pyqlib")
    parser.add_argument("--symbols", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--speed", default="60x1000", help="symbols x sessions of the timing, 0x0 for none")
    parser.add_argument("--record", type=Path, help="write a few of Qlib's values for the tests to this file, and stop")
    parser.add_argument("--time-ours", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.time_ours:
        time_ours(options.time_ours)
        return
    python = options.qlib or qlib_interpreter()
    if options.record:
        record(python, options.record)
        return
    within = agreement(python, options.symbols, options.sessions)
    symbols, sessions = (int(text) for text in options.speed.split("x"))
    if symbols:
        speed(python, symbols, sessions)
    sys.exit(0 if within else 1)


if __name__ == "__main__":
    main()
