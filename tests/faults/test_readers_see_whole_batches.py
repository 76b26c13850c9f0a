"""Whoever reads while landing goes on sees whole batches only, and never fewer than before."""

import threading
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from tests.faults.numbered_source import BEGIN

from project01.bus import TOPICS, SqliteBus, encode
from project01.domain import Trade
from project01.lake import Lake, Lander, LandingLimits

BATCH, READS = 100, 1_000


def message(number: int) -> tuple[bytes, bytes]:
    made = Trade(
        source="test", source_id=str(number), event_time=BEGIN, knowledge_time=BEGIN, received_at=BEGIN,
        licence="own", symbol="ABC", price=1.0, size=1.0,
    )  # fmt: skip
    return b"ABC", encode(made)


@pytest.mark.slow
def test_a_thousand_reads_beside_a_landing_see_whole_batches(tmp_path: Path) -> None:
    lake, heights, failures = Lake(tmp_path / "lake"), [], []
    bus = SqliteBus(tmp_path / "bus.sqlite")
    bus.create(TOPICS["ticks"])
    producer, numbers, stop = bus.producer(), count(), threading.Event()
    lander = Lander(lake, bus, "ticks", LandingLimits(rows=BATCH, poll=BATCH, small_files=16))

    def publish_a_batch(_: object = None) -> None:
        """All of one key, so in one partition; a poll gives the batch, a commit holds it."""
        if len(heights) >= READS:
            stop.set()
        else:
            producer.publish("ticks", [message(next(numbers)) for _ in range(BATCH)])
            producer.flush()

    def work() -> None:
        try:
            publish_a_batch()
            lander.run(stop, report=publish_a_batch)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        if lake.exists("raw_ticks"):
            heights.append(lake.scan("raw_ticks").select(pl.len()).collect().item())
    worker.join()
    producer.close()
    bus.close()
    assert failures == []
    assert len(heights) >= READS
    assert {height % BATCH for height in heights} == {0}
    assert heights == sorted(heights)
    assert len(set(heights)) > 100, "the reader saw the table grow"
    assert lake.scan("raw_ticks").select(pl.len()).collect().item() == next(numbers)
