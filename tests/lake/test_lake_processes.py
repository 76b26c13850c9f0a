"""The lake among processes: writers killed at random, readers beside writers, exit codes."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from project01.domain import MACRO, TableSpec
from project01.lake import Lake

EVENTS = TableSpec(
    "events",
    pa.schema([pa.field("batch", pa.int64(), nullable=False), pa.field("row", pa.int64(), nullable=False)]),
    ("batch", "row"),
)
ROWS = 5

PREAMBLE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl, pyarrow as pa
from project01.domain import MACRO, TableSpec
from project01.lake import Lake, Transaction
EVENTS = TableSpec("events", pa.schema([pa.field("batch", pa.int64(), nullable=False),
                                        pa.field("row", pa.int64(), nullable=False)]), ("batch", "row"))
lake = Lake(sys.argv[1])
EVENTS_TYPES = {"batch": pl.Int64, "row": pl.Int64}
def batch(number, rows):
    return pl.DataFrame({"batch": [number] * rows, "row": range(rows)}, schema=EVENTS_TYPES)
"""

# Goes on from what the table says, as a consumer does after a crash, and notes each batch it was told is safe.
RACER = (
    PREAMBLE
    + """
acknowledged, stop = Path(sys.argv[2]), Path(sys.argv[3])
number = lake.last_transaction("events", "race") or 0
print("ready", flush=True)
with acknowledged.open("a") as notes:
    while not stop.exists():
        number += 1
        lake.append(EVENTS, batch(number, 5), transaction=Transaction("race", number))
        notes.write(f"{number}\\n")
        notes.flush()
"""
)

APPENDER = (
    PREAMBLE
    + """
for number in range(int(sys.argv[2])):
    lake.append(EVENTS, batch(number, 7))
"""
)


class Racer:
    def __init__(self, lake: Path, notes: Path, stop: Path) -> None:
        self.command = [sys.executable, "-c", RACER, str(lake), str(notes), str(stop)]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def kill_and_restart(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.finish() == -signal.SIGKILL
        self.process = self._start()

    def finish(self) -> int:
        with self.process:
            return self.process.wait(timeout=60)


@pytest.mark.slow
def test_two_racing_writers_killed_at_random_lose_and_double_nothing(tmp_path: Path) -> None:
    seed, kills = 20, 20
    moments = random.Random(seed)
    stop, notes = tmp_path / "stop", [tmp_path / "notes-0", tmp_path / "notes-1"]
    racers = [Racer(tmp_path / "lake", note, stop) for note in notes]
    try:
        for _ in range(kills):
            time.sleep(moments.uniform(0.0, 0.4))
            moments.choice(racers).kill_and_restart()
    finally:
        stop.touch()
        codes = [racer.finish() for racer in racers]
    assert codes == [0, 0]
    found = Lake(tmp_path / "lake").scan("events").collect().sort("batch", "row")
    last = Lake(tmp_path / "lake").last_transaction("events", "race")
    assert last is not None
    assert last > 2 * kills, "too few batches for the kills to hit anything"
    assert found.rows() == [(number, row) for number in range(1, last + 1) for row in range(ROWS)], f"seed {seed}"
    told_safe = {int(line) for note in notes for line in note.read_text().split()}
    assert told_safe <= set(found["batch"])


def test_readers_beside_a_writer_and_a_compaction_see_whole_batches_only(tmp_path: Path) -> None:
    lake, commits = Lake(tmp_path / "lake"), 40
    command = [sys.executable, "-c", APPENDER, str(tmp_path / "lake"), str(commits)]
    heights: list[int] = []
    with subprocess.Popen(command) as writer:
        while writer.poll() is None:
            if lake.exists("events"):
                heights.append(lake.scan("events").collect().height)
                if len(heights) % 20 == 0:
                    lake.compact("events")
            else:
                time.sleep(0.01)
    assert writer.returncode == 0
    heights.append(lake.scan("events").collect().height)
    assert heights[-1] == 7 * commits
    assert len(set(heights)) > 3, "the reader saw the table grow"
    assert all(height % 7 == 0 for height in heights)
    assert heights == sorted(heights)


READ_AND_EXIT = (
    PREAMBLE
    + """
as_of = datetime(2030, 1, 1, tzinfo=UTC)
assert lake.read("macro", as_of=as_of).height == 24
assert len(lake.digest("macro", as_of)) == 64
assert lake.scan("macro").collect().height == 24
"""
)

WRITE_AND_EXIT = (
    PREAMBLE
    + """
rows = lake.scan("macro").drop("ingested_at").collect()
lake.append(MACRO, rows.with_columns(source=pl.lit("other")), transaction=Transaction("t", 1))
assert lake.merge(MACRO, rows).unchanged == rows.height
lake.replace(MACRO, rows)
lake.compact("macro"), lake.vacuum("macro"), lake.history("macro")
"""
)

FAIL_AND_EXIT = (
    PREAMBLE
    + """
from project01.domain import LakeError
try:
    lake.scan("absent")
except LakeError as error:
    sys.exit(error.exit_code)
"""
)


@pytest.fixture
def macro_lake(lake: Lake, macro_rows) -> Lake:
    for month in range(1, 13):
        lake.append(MACRO, macro_rows([("GDP", month, 0, 1.0), ("CPI", month, 0, 1.0)]))
    return lake


@pytest.mark.parametrize(("script", "code"), [(READ_AND_EXIT, 0), (WRITE_AND_EXIT, 0), (FAIL_AND_EXIT, 1)])
@pytest.mark.slow
def test_a_script_ends_with_its_own_exit_code(macro_lake: Lake, run_python, script: str, code: int) -> None:
    done = run_python(script, macro_lake.url)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.slow
def test_twenty_readers_in_a_row_exit_cleanly(macro_lake: Lake, run_python) -> None:
    assert [run_python(READ_AND_EXIT, macro_lake.url).returncode for _ in range(20)] == [0] * 20
