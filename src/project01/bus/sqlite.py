"""The bus of a laptop: topics in one SQLite file, durable, for several processes at once, without a server."""

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import count
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from project01.bus.bus import Message, PartitionRange, partition_of
from project01.bus.memory import check_sizes, check_start, no_such_topic
from project01.bus.sqlite_file import OFFSETS, SqliteFile
from project01.bus.sqlite_retention import expire, remove_expired
from project01.bus.topics import TopicSpec
from project01.domain import BusError

# What a producer holds back at most before it commits; a commit costs a disk flush, so larger batches go faster.
_BATCH_MESSAGES = 10_000
_BATCH_BYTES = 4 << 20
# A waiting consumer looks for news this often: first, and after a while.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05

_SELECT_TOPICS = """
    SELECT name, count(*), retention_ms, cleanup, max_message_bytes, replication
    FROM topics JOIN partitions ON topic = name GROUP BY name ORDER BY name
"""


class SqliteBus:
    """Topics in one file in write-ahead mode; made, readable by its owner alone, where there is none.

    Args:
        path: the file; beside it lie ``-wal``, ``-shm`` and ``-lock`` while it is in use. It must be on a local disk.

    Raises:
        BusError: the file cannot be opened, is no bus, or was written by a newer version of Project01.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).absolute()
        self._file = SqliteFile(self._path)

    @property
    def url(self) -> str:
        """``sqlite://`` and the absolute path."""
        return f"sqlite://{self._path}"

    def identity(self, topic: str) -> str:
        """An id made with the topic."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT identity FROM topics WHERE name = ?", (topic,)).fetchone()
            if found is None:
                raise self._no_such_topic(connection, topic)
            return str(found[0])

    def topics(self) -> dict[str, TopicSpec]:
        """The topics that exist, with the settings in force."""
        with self._file.reading() as connection:
            return _topics(connection)

    def create(self, spec: TopicSpec) -> None:
        """Make a topic.

        Raises:
            BusError: it exists.
        """
        with self._file.writing() as connection:
            if spec.name in _topics(connection):
                raise BusError(f"Topic {spec.name} exists on {self.url} already. Use alter to change it.")
            connection.execute(
                "INSERT INTO topics (name, identity, retention_ms, cleanup, max_message_bytes, replication) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (spec.name, uuid4().hex, spec.retention_ms, spec.cleanup, spec.max_message_bytes, spec.replication),
            )
            _add_partitions(connection, spec.name, range(spec.partitions))

    def alter(self, spec: TopicSpec) -> None:
        """Change a topic's settings, or give it more partitions.

        Raises:
            BusError: there is no such topic, or fewer partitions were asked for.
        """
        with self._file.writing() as connection:
            held = _topics(connection).get(spec.name)
            if held is None:
                raise self._no_such_topic(connection, spec.name)
            if spec.partitions < held.partitions:
                raise BusError(
                    f"Topic {spec.name} has {held.partitions} partitions; {spec.partitions} were asked for. "
                    f"Partitions cannot be taken away: keep the number, or make another topic."
                )
            connection.execute(
                "UPDATE topics SET retention_ms = ?, cleanup = ?, max_message_bytes = ?, replication = ? "
                "WHERE name = ?",
                (spec.retention_ms, spec.cleanup, spec.max_message_bytes, spec.replication, spec.name),
            )
            _add_partitions(connection, spec.name, range(held.partitions, spec.partitions))

    def ranges(self, topic: str) -> dict[int, PartitionRange]:
        """Offsets of every partition."""
        with self._file.reading() as connection:
            found = _partitions(connection, topic)
            if not found:
                raise self._no_such_topic(connection, topic)
            return {number: PartitionRange(first, following) for number, _, first, following in found}

    def producer(self) -> "SqliteProducer":
        """A producer with its own connection."""
        return SqliteProducer(self.url, SqliteFile(self._path))

    def consumer(self, topic: str, start: Mapping[int, int]) -> "SqliteConsumer":
        """A consumer of the partitions in `start`, with its own connection."""
        check_start(topic, start, self.ranges(topic))
        return SqliteConsumer(self.url, SqliteFile(self._path), topic, dict(start))

    def retain(self, now: int) -> dict[str, int]:
        """Remove what is past its topic's retention, and give the space back to the disk.

        Args:
            now: microseconds UTC; messages published more than `retention_ms` before it go.

        Returns:
            How many messages were removed from each topic. From a ``compact`` topic only those go that a newer message
            with the same key has replaced.
        """
        removed = {name: remove_expired(self._file, spec, now) for name, spec in self.topics().items()}
        self._file.shrink()
        return removed

    def close(self) -> None:
        """Close the connection of the bus itself; producers and consumers have their own."""
        self._file.close()

    def _no_such_topic(self, connection: sqlite3.Connection, topic: str) -> BusError:
        return no_such_topic(topic, self.url, list(_topics(connection)))


class SqliteProducer:
    """Gathers messages and commits them in batches; threads may share one."""

    def __init__(self, url: str, file: SqliteFile) -> None:
        self._url, self._file = url, file
        self._mutex = threading.Lock()
        self._pending: list[tuple[str, Sequence[tuple[bytes | None, bytes]]]] = []
        self._pending_messages = self._pending_bytes = self._unreported = 0
        self._keyless = count()

    def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Hand messages over; a full batch is committed at once, a call is never torn apart."""
        with self._mutex:
            with self._file.reading() as connection:
                known = _topics(connection)
            if topic not in known:
                raise no_such_topic(topic, self._url, list(known))
            check_sizes(known[topic], messages)
            self._pending.append((topic, tuple(messages)))
            self._pending_messages += len(messages)
            self._pending_bytes += sum(len(value) for _, value in messages)
            if self._pending_messages >= _BATCH_MESSAGES or self._pending_bytes >= _BATCH_BYTES:
                self._commit()

    def flush(self) -> int:
        """Commit what is left; how many messages are on disk since the last flush."""
        with self._mutex:
            self._commit()
            acknowledged, self._unreported = self._unreported, 0
            return acknowledged

    def close(self) -> None:
        """Flush and close the connection."""
        try:
            self.flush()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        """The producer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _commit(self) -> None:
        pending, messages = self._pending, self._pending_messages
        self._pending, self._pending_messages, self._pending_bytes = [], 0, 0
        if not messages:
            return
        try:
            with self._file.writing() as connection:
                for topic, batch in pending:
                    self._append(connection, topic, batch)
        except BusError as error:
            raise BusError(f"{messages} messages were not acknowledged: {error} Then publish them again.") from error
        self._unreported += messages

    def _append(self, connection: sqlite3.Connection, topic: str, batch: Sequence[tuple[bytes | None, bytes]]) -> None:
        held = _partitions(connection, topic)
        following = [partition * OFFSETS + offset for _, partition, _, offset in held]
        now, partitions, rows = time.time_ns() // 1000, len(held), []
        for key, value in batch:
            number = next(self._keyless) % partitions if key is None else partition_of(key, partitions)
            rows.append((following[number], now, key, value))
            following[number] += 1
        # In order of the table, so that SQLite stays on one page after another.
        rows.sort(key=itemgetter(0))
        connection.executemany("INSERT INTO messages (id, published_at, key, value) VALUES (?, ?, ?, ?)", rows)
        connection.executemany(
            "UPDATE partitions SET next = ? WHERE id = ?",
            [(following[number] - partition * OFFSETS, partition) for number, partition, _, _ in held],
        )
        # Twice what came in may go, so that the file stops growing without a writer ever being held up for long.
        expire(connection, topic, now, most=2 * len(batch))


class SqliteConsumer:
    """Reads partitions of one topic; one thread at a time."""

    def __init__(self, url: str, file: SqliteFile, topic: str, positions: dict[int, int]) -> None:
        self._url, self._file, self._topic, self._positions = url, file, topic, positions
        self._turns = list(positions)

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """What is there, or what comes within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        pause = _SHORTEST_PAUSE_S
        while True:
            seen = self._file.version()
            taken = self._take(max_messages)
            while not taken and self._file.version() == seen:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            if taken or time.monotonic() >= deadline:
                return taken

    def close(self) -> None:
        """Close the connection."""
        self._file.close()

    def __enter__(self) -> Self:
        """The consumer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _take(self, most: int) -> list[Message]:
        taken: list[Message] = []
        with self._file.reading() as connection:
            held = {number: rest for number, *rest in _partitions(connection, self._topic)}
            for number in list(self._turns):
                partition, first, following = held[number]
                position = self._positions[number]
                if position < first:
                    raise BusError(
                        f"Topic {self._topic}, partition {number}: messages {position} to {first - 1} were removed by "
                        f"retention before they were read; {self._url} holds {first} to {following - 1}. Start "
                        f"from {first} and fetch the lost ones again, or set a longer retention_ms."
                    )
                if position == following or len(taken) >= most:
                    continue
                taken += self._read(connection, number, partition, position, most - len(taken))
        return taken

    def _read(
        self, connection: sqlite3.Connection, number: int, partition: int, position: int, most: int
    ) -> list[Message]:
        base = partition * OFFSETS
        rows = connection.execute(
            "SELECT ?, id - ?, key, value, published_at FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (number, base, base + position, base + OFFSETS, most),
        ).fetchall()
        found = list(map(Message._make, rows))
        if found:
            self._positions[number] = found[-1].offset + 1
            # Whoever was read goes to the end of the queue, so that no busy partition keeps the others waiting.
            self._turns.remove(number)
            self._turns.append(number)
        return found


def _topics(connection: sqlite3.Connection) -> dict[str, TopicSpec]:
    return {row[0]: TopicSpec(*row) for row in connection.execute(_SELECT_TOPICS)}


def _partitions(connection: sqlite3.Connection, topic: str) -> list[tuple[int, int, int, int]]:
    """Number, id, first and next offset of every partition, in order of number."""
    query = "SELECT number, id, first, next FROM partitions WHERE topic = ? ORDER BY number"
    return connection.execute(query, (topic,)).fetchall()


def _add_partitions(connection: sqlite3.Connection, topic: str, numbers: range) -> None:
    connection.executemany(
        "INSERT INTO partitions (topic, number) VALUES (?, ?)", [(topic, number) for number in numbers]
    )
