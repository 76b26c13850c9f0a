"""What can be wrong with a bus file, what it forgets, and what its owner is told."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bus.test_sqlite_processes import everything
from tests.bus.workers import TOPIC, running
from tests.effort import examples

from project01.bus import SqliteBus, TopicSpec
from project01.domain import BusError

SPEC = TopicSpec(TOPIC, 1, retention_ms=60_000)
FAR = 10**15


def publish(bus: SqliteBus, *values: bytes, key: bytes | None = b"k") -> None:
    with bus.producer() as producer:
        producer.publish(TOPIC, [(key, value) for value in values])


def values_of(bus: SqliteBus) -> list[bytes]:
    return [message.value for message in everything(bus)]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SqliteBus]:
    with closing(SqliteBus(tmp_path / "bus.db")) as opened:
        opened.create(SPEC)
        yield opened


def test_what_was_published_is_there_after_opening_again(tmp_path: Path, bus: SqliteBus) -> None:
    publish(bus, b"1", b"2")
    identity, ranges, messages = bus.identity(TOPIC), bus.ranges(TOPIC), everything(bus)
    bus.close()
    with closing(SqliteBus(tmp_path / "bus.db")) as again:
        assert (again.identity(TOPIC), again.ranges(TOPIC), everything(again)) == (identity, ranges, messages)
        assert again.topics() == {TOPIC: SPEC}
        assert again.url == f"sqlite://{tmp_path / 'bus.db'}"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_the_files(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with closing(SqliteBus(tmp_path / "bus.db")) as bus:
            bus.create(SPEC)
            publish(bus, b"secret")
            modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("bus.db", "bus.db-wal", "bus.db-shm", "bus.db-lock"), "0o600")


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path, bus: SqliteBus) -> None:
    bus.close()
    path = tmp_path / "bus.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(BusError, match=r"has format 2; .* knows up to 1\. Upgrade"):
        SqliteBus(path)
    assert path.read_bytes() == before


def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(BusError, match="SQLite file of another program"):
        SqliteBus(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(BusError, match=r"notes\.txt: it is no SQLite file"):
        SqliteBus(path)
    assert path.read_text() == "Dear diary, " * 1000


def test_a_folder_is_no_bus(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="cannot be opened"):
        SqliteBus(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BusError, match="cannot be opened: File exists"):
        SqliteBus(tmp_path / "file" / "bus.db")


def test_a_damaged_file_says_so(tmp_path: Path, bus: SqliteBus) -> None:
    publish(bus, *[b"x" * 5000] * 50)
    bus.close()
    path = tmp_path / "bus.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(16_384)
        file.write(os.urandom(size - 16_384))
    with pytest.raises(BusError, match="it is damaged"), closing(SqliteBus(path)) as damaged:
        everything(damaged)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_deleted_in_use_is_noticed_before_anything_is_lost(
    tmp_path: Path, bus: SqliteBus, replaced: bool
) -> None:
    producer, consumer = bus.producer(), bus.consumer(TOPIC, {0: 0})
    for file in tmp_path.glob("bus.db*"):
        file.unlink()
    if replaced:
        SqliteBus(tmp_path / "bus.db").close()
    with pytest.raises(BusError, match="deleted or replaced"):
        producer.publish(TOPIC, [(b"k", b"v")])
    with pytest.raises(BusError, match="deleted or replaced"):
        consumer.poll(1, 5)
    producer.close()
    consumer.close()


def test_retention_removes_the_old_and_never_gives_an_offset_again(bus: SqliteBus) -> None:
    publish(bus, b"1", b"2", b"3")
    now = time.time_ns() // 1000
    assert bus.retain(now + 59_000_000) == {TOPIC: 0}
    assert values_of(bus) == [b"1", b"2", b"3"]
    late = bus.consumer(TOPIC, {0: 1})
    assert bus.retain(now + 61_000_000) == {TOPIC: 3}
    assert (bus.ranges(TOPIC)[0].first, bus.ranges(TOPIC)[0].next) == (3, 3)
    with pytest.raises(BusError, match=r"messages 1 to 2 were removed by retention before they were read.*from 3"):
        late.poll(1, 0)
    late.close()
    with pytest.raises(BusError, match="offset 2 was asked for"):
        bus.consumer(TOPIC, {0: 2})
    publish(bus, b"4")
    assert [(message.offset, message.value) for message in everything(bus)] == [(3, b"4")]


def test_publishing_removes_what_is_past_retention(bus: SqliteBus) -> None:
    bus.alter(replace(SPEC, retention_ms=1))
    publish(bus, *[b"old"] * 10)
    deadline = time.time_ns() + 5_000_000
    while time.time_ns() <= deadline:
        pass
    publish(bus, *[b"new"] * 3)
    assert bus.ranges(TOPIC)[0].first == 6, "twice what came in may go"
    bus.alter(replace(SPEC, retention_ms=60_000))
    assert values_of(bus) == [b"old"] * 4 + [b"new"] * 3


def test_a_clock_set_back_makes_no_holes(tmp_path: Path, bus: SqliteBus) -> None:
    publish(bus, b"1", b"2", b"3")
    with closing(sqlite3.connect(tmp_path / "bus.db")) as connection, connection:
        connection.execute("UPDATE messages SET published_at = 0 WHERE value = CAST('2' AS BLOB)")
    assert bus.retain(time.time_ns() // 1000) == {TOPIC: 0}
    assert values_of(bus) == [b"1", b"2", b"3"]


def test_for_ever_is_for_ever(bus: SqliteBus) -> None:
    bus.alter(replace(SPEC, retention_ms=-1))
    publish(bus, b"1")
    assert bus.retain(time.time_ns() // 1000 + FAR) == {TOPIC: 0}


def test_removed_messages_leave_no_trace_and_give_their_space_back(tmp_path: Path, bus: SqliteBus) -> None:
    marker = b"an erased post"
    publish(bus, *[marker + b"." * 2000] * 2000)
    large = (tmp_path / "bus.db").stat().st_size + (tmp_path / "bus.db-wal").stat().st_size
    bus.retain(time.time_ns() // 1000 + FAR)
    bus.close()
    left = [file.read_bytes() for file in tmp_path.iterdir()]
    assert large > 4_000_000
    assert sum(map(len, left)) < 500_000
    assert not any(marker in content for content in left)


@settings(max_examples=examples(30), suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(st.sampled_from([None, b"", b"A", b"B"]), st.binary(max_size=5)), max_size=20))
def test_compaction_keeps_the_newest_of_each_key(tmp_path: Path, pairs: list[tuple[bytes | None, bytes]]) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    with closing(SqliteBus(tmp_path / "bus.db")) as bus:
        bus.create(replace(SPEC, partitions=2, cleanup="compact"))
        with bus.producer() as producer:
            producer.publish(TOPIC, pairs)
        before = everything(bus)
        newest = {message.key: message for message in before}
        bus.retain(time.time_ns() // 1000)
        assert everything(bus) == before, "nothing goes before its time"
        removed = bus.retain(time.time_ns() // 1000 + FAR)
        kept = [message for message in before if message.key is None or newest[message.key] == message]
        assert everything(bus) == kept
        assert removed == {TOPIC: len(before) - len(kept)}


def mounted(folder: Path, *options: str) -> None:
    """A small disk of its own at `folder`; skips where this user may not mount one."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("this user may not mount a small disk; the test with a limit on the file's size runs instead")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "size=4m", "mode=0700")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(bus: SqliteBus) -> tuple[list[bytes], str]:
    """Publish until the bus refuses; the acknowledged values and the error."""
    acknowledged: list[bytes] = []
    producer = bus.producer()
    try:
        for number in range(10_000):
            values = [b"%d-%d-" % (number, row) + bytes(20_000) for row in range(10)]
            producer.publish(TOPIC, [(b"k", value) for value in values])
            producer.flush()
            acknowledged += values
    except BusError as error:
        return acknowledged, str(error)
    finally:
        producer.close()
    raise AssertionError("the disk never filled up")


def test_a_full_disk_loses_nothing_and_works_again_once_there_is_space(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 20))
    with closing(SqliteBus(small_disk / "bus.db")) as bus:
        bus.create(SPEC)
        acknowledged, said = fill(bus)
        assert said.startswith("10 messages were not acknowledged: ")
        assert "the disk is full. Nothing of this write was kept. Free space" in said
        assert acknowledged
        assert values_of(bus) == acknowledged
        filler.unlink()
        publish(bus, b"after")
        assert values_of(bus) == [*acknowledged, b"after"]
    with closing(sqlite3.connect(small_disk / "bus.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with closing(SqliteBus(small_disk / "bus.db")) as bus:
        assert values_of(bus) == [*acknowledged, b"after"]


def fill_to_a_limit(path: Path, out: Path) -> None:
    import resource

    bus = SqliteBus(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))
    acknowledged, said = fill(bus)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert values_of(bus) == acknowledged
    publish(bus, b"after")
    bus.close()
    out.write_bytes(b"%d %s" % (len(acknowledged), said.encode()))


def test_a_write_refused_by_the_system_loses_nothing(tmp_path: Path, bus: SqliteBus) -> None:
    out = tmp_path / "out"
    with running(fill_to_a_limit, tmp_path / "bus.db", out) as worker:
        worker.join(60)
        assert worker.exitcode == 0
    count, said = out.read_text().split(" ", 1)
    assert said.startswith("10 messages were not acknowledged: ")
    assert "Nothing of this write was kept" in said
    values = values_of(bus)
    assert len(values) == int(count) + 1
    assert values[-1] == b"after"


def test_a_read_only_disk_says_so(small_disk: Path) -> None:
    with closing(SqliteBus(small_disk / "bus.db")) as bus:
        bus.create(SPEC)
        publish(bus, b"1")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(BusError, match="writable"):
        SqliteBus(small_disk / "bus.db")
    with pytest.raises(BusError, match="Read-only file system"):
        SqliteBus(small_disk / "new.db")


def test_a_disk_that_becomes_read_only_in_use_loses_nothing(tmp_path: Path, bus: SqliteBus) -> None:
    publish(bus, b"1")
    with bus.producer() as producer:
        producer._file._connection.execute("PRAGMA query_only = ON")
        producer.publish(TOPIC, [(b"k", b"2")])
        with pytest.raises(BusError, match=r"1 messages were not acknowledged: .* it is read-only"):
            producer.flush()
        producer._file._connection.execute("PRAGMA query_only = OFF")
    assert values_of(bus) == [b"1"]


def test_full_batches_are_committed_before_the_flush_that_counts_them(bus: SqliteBus) -> None:
    with bus.producer() as producer:
        for _ in range(25):
            producer.publish(TOPIC, [(b"k", b"v")] * 1000)
        assert bus.ranges(TOPIC)[0].next == 20_000
        assert producer.flush() == 25_000
    assert bus.ranges(TOPIC)[0].next == 25_000


def test_threads_may_share_a_producer(bus: SqliteBus) -> None:
    with bus.producer() as producer, ThreadPoolExecutor(4) as threads:

        def publish_as(name: int) -> int:
            flushed = 0
            for number in range(50):
                producer.publish(TOPIC, [(b"%d" % name, b"%d-%d" % (name, number))] * 3)
                flushed += producer.flush()
            return flushed

        assert sum(threads.map(publish_as, range(4))) + producer.flush() == 600
    values = values_of(bus)
    for name in range(4):
        mine = [value for value in values if value.startswith(b"%d-" % name)]
        assert mine == [b"%d-%d" % (name, number) for number in range(50) for _ in range(3)]


def test_no_partition_keeps_the_others_waiting(bus: SqliteBus) -> None:
    bus.alter(replace(SPEC, partitions=3))
    with bus.producer() as producer:
        producer.publish(TOPIC, [(None, b"v")] * 300)
    with bus.consumer(TOPIC, {0: 0, 1: 0, 2: 0}) as consumer:
        assert [{message.partition for message in consumer.poll(10, 0)} for _ in range(3)] == [{0}, {1}, {2}]


def test_a_poll_sees_no_half_of_what_was_committed_together(bus: SqliteBus) -> None:
    bus.alter(replace(SPEC, partitions=4))
    batch = [(b"%d" % row, b"v") for row in range(40)]
    with bus.consumer(TOPIC, dict.fromkeys(range(4), 0)) as consumer, ThreadPoolExecutor(1) as threads:

        def publish_all() -> None:
            with bus.producer() as producer:
                for _ in range(200):
                    producer.publish(TOPIC, batch)
                    producer.flush()

        done = threads.submit(publish_all)
        total = 0
        while total < 200 * len(batch):
            polled = len(consumer.poll(100_000, 5))
            assert polled
            assert polled % len(batch) == 0
            total += polled
        done.result()
