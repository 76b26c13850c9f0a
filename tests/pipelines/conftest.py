"""A small simulated market in files, and a finished run on it, made once."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from project01.ingest import MarketSettings, SimulatorSource

CLI = Path(sys.executable).with_name("project01")
QUICK = {
    "PROJECT01__WALK_FORWARD__TRAIN_SESSIONS": "200",
    "PROJECT01__WALK_FORWARD__TEST_SESSIONS": "150",
    "PROJECT01__FORECAST__MODELS": "ridge,momentum,zero",
    "PROJECT01__TRACKING__BACKEND": "none",
}


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


def run_cli(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Done:
    """The installed command in a process of its own."""
    import os

    command = [str(CLI), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=400, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | QUICK | environment,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def small_bars() -> pl.DataFrame:
    """Daily bars of 12 symbols over 700 sessions, without faults."""
    source = SimulatorSource(MarketSettings(seed=11, symbols=12, sessions=700))
    bars = pl.concat([batch.rows for batch in source.read() if batch.spec.name == "bars"])
    return bars.filter(pl.col("interval") == "1d").select(
        "symbol", pl.col("session").alias("date"), "open", "high", "low", "close", "adj_close", "volume"
    )


@pytest.fixture(scope="session")
def bars_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bars")
    small_bars().write_csv(folder / "bars.csv")
    return folder


@pytest.fixture(scope="session")
def finished(bars_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("runs") / "one"
    done = run_cli("run", "--bars", bars_folder, "--out", out)
    assert done.code == 0, done.err
    return out
