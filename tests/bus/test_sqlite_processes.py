"""The bus of a laptop among processes that publish, consume, stop and are killed, all at once."""

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.bus.checker import Read, anomalies
from tests.bus.workers import (
    KEYS,
    PARTITIONS,
    TOPIC,
    batch_of,
    consume_until,
    make_topic,
    publish_and_die,
    publish_for_ever,
    race_to_create,
    running,
)

from project01.bus import Message, SqliteBus
from project01.domain import BusError

KILLS = 60
WAIT_S = 120.0


def everything(bus: SqliteBus) -> list[Message]:
    found: list[Message] = []
    ranges = bus.ranges(TOPIC)
    with bus.consumer(TOPIC, {number: held.first for number, held in ranges.items()}) as consumer:
        while messages := consumer.poll(5000, 0):
            found += messages
    return found


def assert_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def acknowledged_batches(notes: Path) -> list[tuple[str, int, int]]:
    """Name, number and rows of every batch whose note is whole."""
    if not notes.exists():
        return []
    lines = notes.read_text().split("\n")[:-1]
    return [(name, int(number), int(rows)) for name, number, rows in map(str.split, lines)]


def wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline, f"{path.name} did not grow to {size} bytes in time"
        time.sleep(0.002)


@pytest.mark.slow
def test_killed_at_random_moments_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    path, notes = tmp_path / "bus.db", tmp_path / "acknowledged"
    make_topic(path)
    rng, grown = random.Random(20261001), 0
    for kill in range(KILLS):
        with running(publish_for_ever, path, notes, f"w{kill}", 2000, 100):
            if kill % 4:
                wait_for(notes, grown + 1)
            time.sleep(rng.uniform(0, 0.06))
        grown = notes.stat().st_size if notes.exists() else 0
    assert_sound(path)

    batches = acknowledged_batches(notes)
    assert len(batches) > KILLS
    with closing(SqliteBus(path)) as bus:
        messages = everything(bus)
    rows_of: dict[tuple[str, int], list[int]] = {}
    expected_rows: dict[tuple[str, int], int] = {}
    for message in messages:
        name, number, row, rows, _ = message.value.decode().split(" ")
        rows_of.setdefault((name, int(number)), []).append(int(row))
        expected_rows[name, int(number)] = int(rows)
    assert not {(name, number) for name, number, _ in batches} - rows_of.keys(), "acknowledged and lost"
    for batch, rows in rows_of.items():
        assert sorted(rows) == list(range(expected_rows[batch])), f"batch {batch} is torn or doubled"
    for number in range(PARTITIONS):
        offsets = [message.offset for message in messages if message.partition == number]
        assert offsets == list(range(len(offsets)))


@pytest.mark.slow
def test_no_anomaly_in_100_000_messages_among_kills_and_pauses(tmp_path: Path) -> None:
    path, stop = tmp_path / "bus.db", tmp_path / "stop"
    make_topic(path)
    rng, wanted, names = random.Random(7), 100_000, []
    seen = [tmp_path / f"seen-{number}" for number in range(2)]
    deadline = time.monotonic() + WAIT_S
    with ExitStack() as readers:
        processes = [readers.enter_context(running(consume_until, path, out, stop, 997)) for out in seen]
        while sum(rows for name in names for _, _, rows in acknowledged_batches(tmp_path / name)) < wanted:
            assert time.monotonic() < deadline, "publishing takes too long"
            with ExitStack() as writers:
                for _ in range(3):
                    names.append(f"w{len(names)}")
                    writer = running(publish_for_ever, path, tmp_path / names[-1], names[-1], 100, 10)
                    last = writers.enter_context(writer)
                wait_for(tmp_path / names[-1], 1)
                time.sleep(rng.uniform(0.2, 1.0))
                assert last.pid is not None
                os.kill(last.pid, signal.SIGSTOP)
                time.sleep(rng.uniform(0, 0.1))
                os.kill(last.pid, signal.SIGCONT)
        stop.touch()
        for process in processes:
            process.join(WAIT_S)
            assert process.exitcode == 0
    assert_sound(path)

    with closing(SqliteBus(path)) as bus:
        final = [Read(message.partition, message.offset, message.value.decode()) for message in everything(bus)]
    readings = [[Read(*json.loads(line)) for line in out.read_text().splitlines()] for out in seen]
    acknowledged = {
        value.decode()
        for name in names
        for _, number, rows in acknowledged_batches(tmp_path / name)
        for _, value in batch_of(name, number, rows, 10)
    }
    assert len(acknowledged) >= wanted
    assert anomalies(sent_by(names, final, acknowledged), acknowledged, final, readings) == []
    assert [len(reading) for reading in readings] == [len(final)] * 2, "a reader did not see the tail"


def sent_by(names: list[str], final: list[Read], acknowledged: set[str]) -> dict[str, list[str]]:
    """What each writer sent, in its order: batches follow from the writer's name, so they can be made again."""
    last = dict.fromkeys(names, -1)
    for value in acknowledged | {read.value for read in final}:
        name, number, *_ = value.split(" ")
        last[name] = max(last[name], int(number))
    sent: dict[str, list[str]] = {f"{name}/{key}": [] for name in names for key in range(KEYS)}
    for name in names:
        rng = random.Random(name)
        for number in range(last[name] + 1):
            for key, value in batch_of(name, number, rng.randint(1, 100), 10):
                sent[key.decode()].append(value.decode())
    return sent


GOOD = [Read(0, 0, "a0"), Read(1, 0, "b0"), Read(0, 1, "a1"), Read(0, 2, "a2")]
SENT = {"a": ["a0", "a1", "a2"], "b": ["b0", "b1"]}


@pytest.mark.parametrize(
    ("final", "reading", "said"),
    [
        (GOOD[:-1], [], "lost: a2"),
        ([*GOOD, Read(0, 3, "a1")], [], "duplicate: a1"),
        ([*GOOD, Read(1, 1, "z")], [], "never sent: z"),
        ([Read(0, 0, "a1"), Read(1, 0, "b0"), Read(0, 1, "a0"), Read(0, 2, "a2")], [], "out of order: a"),
        ([GOOD[0], GOOD[1], GOOD[2], Read(1, 1, "a2")], [], "key in two partitions: a"),
        ([GOOD[0], GOOD[1], GOOD[2], Read(0, 3, "a2")], [], "gap: the log"),
        (GOOD, [GOOD[0], Read(0, 1, "a2")], "two values at one offset"),
        (GOOD, [GOOD[0], GOOD[3]], "gap: reader 0"),
        (GOOD, [GOOD[0], Read(1, 0, "b1")], "read and gone: reader 0"),
    ],
)
def test_the_checker_sees_each_anomaly(final: list[Read], reading: list[Read], said: str) -> None:
    acknowledged = {"a0", "a1", "a2", "b0"}
    assert anomalies(SENT, acknowledged, GOOD, [GOOD]) == []
    assert any(line.startswith(said) for line in anomalies(SENT, acknowledged, final, [reading]))


@pytest.mark.slow
def test_the_log_cut_at_every_byte_of_the_last_transaction_loses_only_that(tmp_path: Path) -> None:
    path, sizes = tmp_path / "bus.db", tmp_path / "sizes"
    make_topic(path, partitions=1)
    with running(publish_and_die, path, sizes) as worker:
        worker.join(WAIT_S)
        assert worker.exitcode == -signal.SIGKILL
    begin, end = json.loads(sizes.read_text())
    file, log = path.read_bytes(), path.with_name("bus.db-wal").read_bytes()
    assert begin < end == len(log)
    batches = [[value for _, value in batch_of("torn", number, 5)] for number in range(3)]
    # In memory where there is such a folder: tens of thousands of disk flushes would take minutes.
    memory = Path("/dev/shm")  # noqa: S108  # the folder inside it is made anew, for its owner alone
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        copy = Path(folder) / "bus.db"
        for cut in range(begin, end + 1):
            for left in Path(folder).iterdir():
                left.unlink()
            copy.write_bytes(file)
            copy.with_name("bus.db-wal").write_bytes(log[:cut])
            with closing(SqliteBus(copy)) as bus:
                values = [message.value for message in everything(bus)]
            assert values == list(chain(*batches[: 3 if cut == end else 2])), f"cut at byte {cut} of {end}"
            if cut % 1000 == 0 or cut >= end - 1:
                assert_sound(copy)


def test_processes_that_open_a_new_bus_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bus.db"
    with ExitStack() as stack:
        results = [tmp_path / f"out-{number}" for number in range(6)]
        workers = [stack.enter_context(running(race_to_create, path, out)) for out in results]
        for worker in workers:
            worker.join(WAIT_S)
            assert worker.exitcode == 0
    said = sorted(out.read_text() for out in results)
    assert said.count("made") == 1
    assert all("exists" in line for line in said if line != "made")
    assert_sound(path)


def test_a_writer_that_hangs_is_reported_and_readers_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project01.bus.sqlite_file._WAIT_FOR_WRITERS_S", 0.2)
    path = tmp_path / "bus.db"
    make_topic(path)
    with closing(SqliteBus(path)) as bus, closing(sqlite3.connect(f"{path}-lock", isolation_level=None)) as hanging:
        hanging.execute("BEGIN EXCLUSIVE")
        producer = bus.producer()
        producer.publish(TOPIC, batch_of("w", 0, 3))
        with pytest.raises(BusError, match="3 messages were not acknowledged: Another process has been writing"):
            producer.flush()
        assert everything(bus) == []
        hanging.rollback()
        producer.publish(TOPIC, batch_of("w", 1, 3))
        assert producer.flush() == 3
        producer.close()
        assert len(everything(bus)) == 3
