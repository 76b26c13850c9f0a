"""How fast the feature store reads a training set, beside bare Polars doing the same join in the same run.

A million entity rows against three feature views on three Delta tables of 350 symbols x 3,024 sessions, through
Feast's `get_historical_features(...).to_arrow()`, Delta read included; peak memory is of a process that does only that.

    python benchmarks/store.py [--rows 1000000] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from deltalake import write_deltalake

from project01.store import FeatureStore
from project01.store.definitions import definitions
from project01.store.feast_import import delta_source, load_feast

SYMBOLS, SESSIONS, FEATURES_A_VIEW, VIEWS = 350, 3024, 8, 3
DAY = np.timedelta64(86_400_000_000, "us")
FIRST_CLOSE = np.datetime64("2005-01-03T21:00", "us")
BAR_ROWS_A_SECOND, BAR_MEMORY_MIB = 500_000, 2048


@dataclass(frozen=True)
class Info:
    """One feature of the benchmark's catalogue."""

    name: str
    group: str
    unit: str = "1"
    description: str = "random"
    source: str = "benchmark"


CATALOGUE = [Info(f"v{view}_f{i}", f"view{view}") for view in range(VIEWS) for i in range(FEATURES_A_VIEW)]


def feature_table(seed: int, columns: list[str], *, restated: bool) -> pl.DataFrame:
    """One row a symbol and session; `restated`: 5 % of rows come in a second version, 5 % late, in no order."""
    rng = np.random.default_rng(seed)
    event = np.tile(FIRST_CLOSE + np.arange(SESSIONS) * DAY, SYMBOLS)
    table = pl.DataFrame(
        {"symbol": np.repeat([f"S{i:03d}" for i in range(SYMBOLS)], SESSIONS), "event_time": event}
        | {name: rng.normal(size=len(event)).astype(np.float32) for name in columns}
    ).with_columns(pl.col("event_time").alias("knowledge_time"), pl.col("event_time").dt.date().alias("session"))
    if restated:
        later = pl.col("knowledge_time") + timedelta(days=3)
        again = table.sample(fraction=0.05, seed=seed).with_columns(later)
        late = pl.Series(rng.random(table.height) < 0.05)
        table = table.with_columns(pl.when(late).then(later).otherwise("knowledge_time").alias("knowledge_time"))
        table = pl.concat([table, again]).sample(fraction=1, shuffle=True, seed=seed)
    return table.with_columns(pl.col("event_time", "knowledge_time").dt.replace_time_zone("UTC"))


def entity_frame(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    at = FIRST_CLOSE + (rng.random(rows) * SESSIONS * DAY.astype(np.int64)).astype("timedelta64[us]")
    symbol = np.array([f"S{i:03d}" for i in range(SYMBOLS)])[rng.integers(0, SYMBOLS, rows)]
    return pl.DataFrame({"symbol": symbol, "as_of": at}).with_columns(pl.col("as_of").dt.replace_time_zone("UTC"))


def prepare(folder: Path, *, restated: bool) -> None:
    for view in range(VIEWS):
        names = [info.name for info in CATALOGUE if info.group == f"view{view}"]
        table = feature_table(view, names, restated=restated)
        write_deltalake(str(folder / "lake" / f"view{view}"), table.to_arrow())
    wide = feature_table(0, [info.name for info in CATALOGUE], restated=restated)
    write_deltalake(str(folder / "lake" / "features"), wide.to_arrow())


def three_tables(folder: Path) -> Any:
    """A Feast store whose three views read three tables; the project's own store keeps all its views in one."""
    store = FeatureStore(folder / "three", folder / "lake")
    store.apply(CATALOGUE)
    feast_store = store._open()  # the benchmark needs Feast's own interface on our configuration
    feast = load_feast()
    entity, _, _, *views, _ = definitions(CATALOGUE, "features", timedelta(days=7)).objects
    apart = [
        feast.FeatureView(
            name=view.name, entities=[entity], ttl=view.ttl, schema=view.schema, source=delta_source(table=view.name)
        )
        for view in views
    ]
    feast_store.apply([entity, *apart])
    return feast_store


def measure(folder: Path, rows: int, what: str) -> dict[str, float]:
    """Best of five in this process, with its peak memory."""
    asked = entity_frame(rows)
    if what == "feast":
        feast_store, references = three_tables(folder), [f"{info.group}:{info.name}" for info in CATALOGUE]
        frame = asked.rename({"as_of": "event_timestamp"}).to_pandas()

        def run() -> int:
            job = feast_store.get_historical_features(
                entity_df=frame, features=references, filter_by_created_timestamp=True
            )
            return int(job.to_arrow().num_rows)
    elif what == "training_features":
        store = FeatureStore(folder / "one", folder / "lake")
        store.apply(CATALOGUE)
        names = [info.name for info in CATALOGUE]

        def run() -> int:
            return len(store.training_features(asked, names))
    else:

        def run() -> int:
            return bare_polars(folder, asked)

    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        if run() != rows:
            raise SystemExit(f"{what} returned another number of rows than the {rows} asked for")
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "rows_a_second": rows / min(seconds), "peak_mib": peak_memory_mib()}


def peak_memory_mib() -> float:
    """Peak resident memory of this process; Linux only; `getrusage` would also count the parent before `exec`."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def bare_polars(folder: Path, asked: pl.DataFrame) -> int:
    """The three joins by hand, on event time alone and right only for tables without restatements."""
    result = asked.sort("as_of")
    for view in range(VIEWS):
        table = pl.read_delta(str(folder / "lake" / f"view{view}")).drop("knowledge_time", "session").sort("event_time")
        result = result.join_asof(
            table, left_on="as_of", right_on="event_time", by="symbol", check_sortedness=False
        ).drop("event_time", strict=False)
    return result.height


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "WHAT"), help="used by the benchmark itself")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), options.rows, options.measure[1])))
        return 0
    results: dict[str, dict[str, float]] = {}
    for restated in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), restated=restated)
            for what in ("polars", "feast", "training_features"):
                command = [sys.executable, __file__, "--rows", str(options.rows), "--measure", folder, what]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results[f"{what}{' (restated)' if restated else ''}"] = json.loads(out.splitlines()[-1])
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(f"{options.rows:,} entity rows, {VIEWS} views x {FEATURES_A_VIEW} features")
        for name, result in results.items():
            print(
                f"{name:30} {result['rows_a_second']:>12,.0f} rows/s {result['seconds']:>7.2f} s"
                f" {result['peak_mib']:>7,.0f} MiB peak"
            )
    ours = [result for name, result in results.items() if not name.startswith("polars")]
    reached = all(r["rows_a_second"] >= BAR_ROWS_A_SECOND and r["peak_mib"] < BAR_MEMORY_MIB for r in ours)
    print(f"bar of {BAR_ROWS_A_SECOND:,} rows/s and {BAR_MEMORY_MIB} MiB: {'reached' if reached else 'MISSED'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
