"""Time of each step, rows a second and peak memory of the whole path on real daily bars.

Run: python benchmarks/main_job.py [FOLDER] [--second]

The job runs as its user runs it: `project01 run` in a process of its own, into a new folder, compiled features cached
on disk or not as they stand. The limit beside it is a bare Polars scan of the same files. `--second` runs the same
command again, to show what a run costs whose inputs did not change.
"""

import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import polars as pl

CLI = Path(sys.executable).with_name("project01")
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "daily_us"


def bare_scan(folder: Path) -> tuple[int, float]:
    """Rows and seconds of reading every file of the folder without looking at it."""
    started = time.perf_counter()
    files = sorted(p for p in folder.rglob("*") if p.suffix in {".csv", ".parquet"})
    rows = 0
    for file in files:
        frame = pl.read_csv(file, infer_schema_length=1000, ignore_errors=True) if file.suffix == ".csv" else None
        rows += (frame if frame is not None else pl.read_parquet(file)).height
    return rows, time.perf_counter() - started


def run(folder: Path, out: Path) -> tuple[dict[str, float], float, dict[str, object]]:
    """Seconds of each step, of the whole command, and its figures."""
    command = [str(CLI), "run", "--bars", str(folder), "--out", str(out), "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    steps = {name: float(seconds) for name, seconds in re.findall(r"^ +(\w+) +([\d.]+) s$", done.stderr, re.MULTILINE)}
    return steps, wall, msgspec.json.decode(done.stdout)


def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    folder = Path(words[0]) if words else DEFAULT
    if not folder.is_dir():
        print(f"no real data at {folder}: pass a folder of daily bars")
        return
    rows, scan = bare_scan(folder)
    print(f"{folder.name}: {rows:,} rows; bare Polars reads them in {scan:.2f} s ({rows / scan / 1e6:.2f} M rows/s)\n")
    with tempfile.TemporaryDirectory() as scratch:
        for again in range(2 if "--second" in sys.argv else 1):
            steps, wall, figures = run(folder, Path(scratch) / "run")
            print("second run" if again else "first run")
            for name, seconds in steps.items():
                print(f"  {name:<12}{seconds:>8.1f} s{rows / max(seconds, 1e-9) / 1e3:>12.1f} k rows/s")
            print(f"  {'whole':<12}{wall:>8.1f} s{rows / wall / 1e3:>12.1f} k rows/s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"\npeak memory {peak:.2f} GiB\n{figures['verdict']['sentence']}")


if __name__ == "__main__":
    main()
