"""Programs that publish and consume beside a test, in processes of their own, and may be killed at any moment."""

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from project01.bus import SqliteBus, TopicSpec
from project01.domain import BusError

TOPIC = "events"
PARTITIONS = 4
KEYS = 7
# Starts from a server that has the package imported, so that a worker is at work after milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


@contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[ForkServerProcess]:
    """A worker that is killed, if it still runs, when the block ends."""
    worker = CONTEXT.Process(target=target, args=arguments)
    worker.start()
    try:
        yield worker
    finally:
        worker.kill()
        worker.join()
        worker.close()


def make_topic(path: Path, partitions: int = PARTITIONS, retention_ms: int = -1) -> None:
    bus = SqliteBus(path)
    bus.create(TopicSpec(TOPIC, partitions, retention_ms))
    bus.close()


def batch_of(name: str, number: int, rows: int, padding: int = 0) -> list[tuple[bytes, bytes]]:
    """Each value is unique, and tells its batch and how many rows that has."""
    return [
        (f"{name}/{row % KEYS}".encode(), f"{name} {number} {row} {rows} {'x' * padding}".encode())
        for row in range(rows)
    ]


def publish_for_ever(path: Path, notes: Path, name: str, most_rows: int, padding: int) -> None:
    """Publish batches of random size; note each, on disk, once the bus has acknowledged it."""
    rng = random.Random(name)
    bus = SqliteBus(path)
    with notes.open("a") as acknowledged, bus.producer() as producer:
        number = 0
        while True:
            rows = rng.randint(1, most_rows)
            producer.publish(TOPIC, batch_of(name, number, rows, padding))
            assert producer.flush() == rows
            acknowledged.write(f"{name} {number} {rows}\n")
            acknowledged.flush()
            os.fsync(acknowledged.fileno())
            number += 1


def consume_until(path: Path, seen: Path, stop: Path, size: int) -> None:
    """Read every partition from 0, and note what was seen; ends when `stop` exists and nothing is left."""
    bus = SqliteBus(path)
    with seen.open("w") as notes, bus.consumer(TOPIC, dict.fromkeys(range(PARTITIONS), 0)) as consumer:
        while True:
            stopped = stop.exists()
            messages = consumer.poll(size, 0.05)
            for message in messages:
                notes.write(json.dumps([message.partition, message.offset, message.value.decode()]) + "\n")
            if stopped and not messages:
                break
    bus.close()


def race_to_create(path: Path, out: Path) -> None:
    """Open a bus that may not exist yet, make the topic, and note who was first."""
    bus = SqliteBus(path)
    try:
        bus.create(TopicSpec(TOPIC, PARTITIONS, -1))
        out.write_text("made")
    except BusError as error:
        out.write_text(str(error))
    bus.close()


def publish_and_die(path: Path, sizes: Path) -> None:
    """Publish three batches and die as by a power cut, without closing; notes where the last one lies in the log."""
    bus = SqliteBus(path)
    producer = bus.producer()
    log = path.with_name(path.name + "-wal")
    lengths = []
    for number in range(3):
        lengths.append(log.stat().st_size)
        producer.publish(TOPIC, batch_of("torn", number, 5))
        producer.flush()
    sizes.write_text(json.dumps([lengths[-1], log.stat().st_size]))
    os.kill(os.getpid(), signal.SIGKILL)
