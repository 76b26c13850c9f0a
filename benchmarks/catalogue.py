"""The whole daily catalogue, from bars in Delta to features in Delta: rows a second, memory, and a new session alone.

Run: python benchmarks/catalogue.py [symbols] [sessions]

Random walks (simulated); no reports, news or macro, so the sets of those are left out. Beside it, in the same run: the
compiled functions without reading and writing, and bare writes of such rows. Targets on 800 x 3528: 100,000
rows/s or more under 4 GiB.
"""

import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from deltalake import write_deltalake

from features import market  # beside this file
from project01.domain import BARS
from project01.etl import FeatureBuild, feature_set, prepare_bars, usable
from project01.lake import Lake
from project01.pipelines.feature_build import FEATURES, build_table
from project01.pipelines.market import MarketData

SETS = ("core", "technical", "alpha158", "cross_section")


def landed(folder: Path, symbols: int, sessions: int) -> Lake:
    """A lake with bars of random walks."""
    bars = market(symbols, sessions).drop("factor")
    lake = Lake(folder / "lake")
    lake.replace(
        BARS,
        bars.with_columns(
            source=pl.lit("simulated"),
            source_id=pl.format("{}:{}", "symbol", "session"),
            ingested_at="knowledge_time",
            simulated=pl.lit(value=True),
            interval=pl.lit("1d"),
            vwap=(pl.col("high") + pl.col("low") + 2 * pl.col("close")) / 4,
        ),
    )
    return lake


def read(lake: Lake, until: date | None = None) -> MarketData:
    bars = lake.scan(BARS.name)
    return MarketData(prepare_bars((bars if until is None else bars.filter(pl.col("session") <= until)).collect()))


def report(name: str, rows: int, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:<56}{rows / seconds:>12,.0f} rows/s{seconds:>9.2f} s   peak so far {peak:.2f} GiB", flush=True)


def main() -> None:
    symbols, sessions = (int(text) for text in (sys.argv[1:] + ["200", "1000"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory(prefix="project01-benchmark-") as folder:
        lake = landed(Path(folder), symbols, sessions)
        wanted = tuple(feature for name in SETS for feature in feature_set(name))
        last = lake.scan(BARS.name).select(pl.col("session").max()).collect().item()
        before = lake.scan(BARS.name).filter(pl.col("session") < last).select(pl.col("session").max()).collect().item()
        started = time.perf_counter()
        data = read(lake, before)
        features, _ = usable(wanted, data.bars)
        built = build_table(lake, data, features, threads=2)
        report(f"{len(features)} features, Delta to Delta, first time", built.rows, time.perf_counter() - started)
        started = time.perf_counter()
        data = read(lake, before)
        built = build_table(lake, data, features, threads=2, full=True)
        report("the same, functions loaded", built.rows, time.perf_counter() - started)
        started = time.perf_counter()
        new = build_table(lake, read(lake), features, threads=2)
        seconds = time.perf_counter() - started
        print(f"a new session of {new.new_rows} instruments ({new.mode}): {seconds:.2f} s", flush=True)
        started = time.perf_counter()
        for block in FeatureBuild(data.bars, features, threads=2).blocks():
            del block
        report("compiled functions and comparisons alone", built.rows, time.perf_counter() - started)
        part = lake.scan(FEATURES).head(100_000).collect()
        table = part.to_arrow()
        started = time.perf_counter()
        write_deltalake(Path(folder) / "bare", table)
        report("peer: delta-rs as it comes, 100,000 rows written", part.height, time.perf_counter() - started)
        started = time.perf_counter()
        pq.write_table(table, Path(folder) / "bare.parquet", use_dictionary=False, write_statistics=False)
        report("limit: pyarrow, 100,000 rows written", part.height, time.perf_counter() - started)


if __name__ == "__main__":
    main()
