"""Speed and memory of the lake on a million bars, beside what bare Parquet allows on the same machine in the same run.

Each step runs in a process of its own, so that its peak memory is its own. Where other work shares the machine, CPU
seconds (over all threads) tell more than seconds. Run: python benchmarks/lake.py [rows]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from project01.domain import BARS
from project01.lake import Lake, Transaction

SESSIONS = 1_000
AS_OF = datetime(2030, 1, 1, tzinfo=UTC)
HALF_WAY = datetime(2001, 5, 15, tzinfo=UTC)


def make_bars(folder: Path, rows: int) -> None:
    """Seeded daily bars of rows / 1000 symbols, in the order a vendor sends them: session by session."""
    rng = np.random.default_rng(7)
    number = np.arange(rows)
    symbols = max(rows // SESSIONS, 1)
    first = datetime(2000, 1, 3, 21, tzinfo=UTC)
    closes = pl.datetime_range(first, first + timedelta(days=SESSIONS), "1d", time_unit="us", eager=True)
    close = 100 * np.exp(rng.normal(0, 0.3, rows))
    spread = np.abs(rng.normal(0, 0.01, (2, rows)))
    at = closes.gather(np.minimum(number // symbols, SESSIONS))
    symbol = pl.Series(number % symbols).cast(pl.String).str.zfill(5)
    pl.DataFrame(
        {
            "source": pl.repeat("benchmark", rows, eager=True),
            "source_id": symbol + ":" + at.dt.date().cast(pl.String),
            "event_time": at,
            "knowledge_time": at,
            "simulated": pl.repeat(value=True, n=rows, dtype=pl.Boolean, eager=True),
            "symbol": "S" + symbol,
            "interval": pl.repeat("1d", rows, eager=True),
            "session": at.dt.date(),
            "open": close * (1 + rng.normal(0, 0.005, rows)),
            "high": close * (1 + spread[0]),
            "low": close * (1 - spread[1]),
            "close": close,
            "adj_close": close,
            "volume": np.floor(rng.lognormal(13, 1, rows)),
        }
    ).write_parquet(folder / "bars.parquet")


def steps(folder: Path) -> dict[str, tuple[bool, Callable[[Lake, pl.DataFrame], object]]]:
    """Name -> (whether it needs the input rows in memory, what is timed)."""
    plain = folder / "plain.parquet"
    return {
        "polars write_parquet": (True, lambda _lake, bars: bars.write_parquet(plain)),
        "polars read_parquet": (False, lambda _lake, _bars: pl.read_parquet(plain)),
        "append": (True, lambda lake, bars: lake.append(BARS, bars, transaction=Transaction("benchmark", 1))),
        "append repeated": (True, lambda lake, bars: lake.append(BARS, bars, transaction=Transaction("benchmark", 1))),
        "read as of the end": (False, lambda lake, _bars: lake.read("bars", as_of=AS_OF)),
        "read as of half way": (False, lambda lake, _bars: lake.read("bars", as_of=HALF_WAY)),
        "digest": (False, lambda lake, _bars: lake.digest("bars")),
        "merge, all known": (True, lambda lake, bars: lake.merge(BARS, bars)),
        "merge, all revised": (
            True,
            lambda lake, bars: lake.merge(BARS, bars.with_columns(pl.col("knowledge_time").dt.offset_by("1d"))),
        ),
        "read as of, two versions": (False, lambda lake, _bars: lake.read("bars", as_of=AS_OF)),
        "digest, two versions": (False, lambda lake, _bars: lake.digest("bars")),
        "compact": (False, lambda lake, _bars: lake.compact("bars")),
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_step(folder: Path, name: str) -> None:
    """Times one step in this process and prints seconds, CPU seconds, peak memory and what was held before, as JSON."""
    needs_rows, work = steps(folder)[name]
    bars = pl.read_parquet(folder / "bars.parquet") if needs_rows else pl.DataFrame()
    lake = Lake(folder / "lake")
    before, start, spent = peak_mib(), time.perf_counter(), time.process_time()
    work(lake, bars)
    took, spent = time.perf_counter() - start, time.process_time() - spent
    print(json.dumps({"seconds": took, "cpu": spent, "peak": peak_mib(), "before": before}))


def main(rows: int) -> None:
    print(f"{'step':26} {'seconds':>8} {'CPU s':>6} {'rows/s':>12} {'peak MiB':>9} {'of it new':>9}")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        subprocess.run([sys.executable, __file__, "make", text, str(rows)], check=True)
        for name in steps(folder):
            done = subprocess.run([sys.executable, __file__, "step", text, name], check=True, stdout=subprocess.PIPE)
            told = json.loads(done.stdout)
            rate, new = rows / told["seconds"], told["peak"] - told["before"]
            times = f"{told['seconds']:8.2f} {told['cpu']:6.2f} {rate:12,.0f}"
            print(f"{name:26} {times} {told['peak']:9.0f} {new:9.0f}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", target, count]:
            make_bars(Path(target), int(count))
        case ["step", target, step]:
            run_step(Path(target), step)
        case [count]:
            main(int(count))
        case _:
            main(1_000_000)
