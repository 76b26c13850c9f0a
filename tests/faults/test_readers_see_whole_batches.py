"""Whoever reads while landing goes on sees whole batches only, and never fewer than before."""

import threading
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from tests.faults.numbered_source import BEGIN

from project01.bus import TOPICS, SqliteBus, encode
from project01.domain import Trade
from project01.lake import Lake, Lander, LandingLimits

BATCH, READS, READS_A_LAKE, READS_A_COMMIT = 100, 10_000, 125, 5
# Most reads ask the log how many rows there are; each of so many reads the rows themselves.
WHOLE_EVERY = 10
TABLE = "raw_ticks"


def message(number: int) -> tuple[bytes, bytes]:
    made = Trade(
        source="test", source_id=str(number), event_time=BEGIN, knowledge_time=BEGIN, received_at=BEGIN,
        licence="own", symbol="ABC", price=1.0, size=1.0,
    )  # fmt: skip
    return b"ABC", encode(made)


def height_by_log(lake: Lake) -> int:
    """Rows that a reader who opens the table now would read, by the files of the newest version."""
    files = pl.DataFrame(DeltaTable(lake.location.address(TABLE)).get_add_actions(flatten=True))
    return int(files["num_records"].sum())


def height_by_rows(lake: Lake) -> int:
    """Rows read, of which none may be missing or there twice: offsets of the one partition rise by one from 0."""
    offsets = lake.scan(TABLE).select("offset").collect()["offset"].sort()
    whole = offsets.equals(pl.int_range(offsets.len(), dtype=pl.Int64, eager=True))
    assert whole, f"{offsets.len()} offsets from {offsets.min()} to {offsets.max()}"
    return offsets.len()


def reads_beside_a_landing(folder: Path) -> int:
    """Land batch after batch in a new lake and read it all the while; how many different heights were seen."""
    folder.mkdir()
    lake, bus = Lake(folder / "lake"), SqliteBus(folder / "bus.sqlite")
    bus.create(TOPICS["ticks"])
    producer, numbers, stop = bus.producer(), count(), threading.Event()
    lander = Lander(lake, bus, "ticks", LandingLimits(rows=BATCH, poll=BATCH, small_files=16))
    heights: list[int] = []
    failures: list[BaseException] = []

    def publish_a_batch(_: object = None) -> None:
        """All of one key, so in one partition; a poll gives the batch, a commit holds it."""
        producer.publish("ticks", [message(next(numbers)) for _ in range(BATCH)])
        producer.flush()

    def publish_after_reads(_: object) -> None:
        """Some reads to each commit: otherwise all would be spent on one table with a long log."""
        enough = len(heights) + READS_A_COMMIT
        while len(heights) < enough and not stop.wait(0.0005):
            pass
        if not stop.is_set():
            publish_a_batch()

    def work() -> None:
        try:
            publish_a_batch()
            lander.run(stop, report=publish_after_reads)
        except BaseException as error:
            failures.append(error)

    publish_a_batch()
    lander.run(threading.Event(), until_caught_up=True)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        while len(heights) < READS_A_LAKE and worker.is_alive():
            heights.append((height_by_log if len(heights) % WHOLE_EVERY else height_by_rows)(lake))
    finally:
        stop.set()
        worker.join()
        producer.close()
        bus.close()
    assert failures == []
    assert len(heights) == READS_A_LAKE
    assert {height % BATCH for height in heights} == {0}
    assert heights == sorted(heights)
    return len(set(heights))


@pytest.mark.slow
def test_ten_thousand_reads_beside_a_landing_see_whole_batches(tmp_path: Path) -> None:
    lakes = READS // READS_A_LAKE
    seen = sum(reads_beside_a_landing(tmp_path / str(number)) for number in range(lakes))
    assert seen > 10 * lakes, "the readers saw the tables grow"
    print(f"{READS} reads saw {seen} heights of {lakes} tables")  # noqa: T201 - a figure for whoever runs with -s
