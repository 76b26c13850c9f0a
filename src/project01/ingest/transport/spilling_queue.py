"""A queue between a thread that must never wait and a reader that may be slow: bounded in memory, the rest on disk."""

import contextlib
import logging
import os
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from pathlib import Path
from threading import Condition
from typing import TypeAlias

import msgspec

from project01.domain import SourceError
from project01.ingest.transport.backlog import Waiting

_LOG = logging.getLogger(__name__)


class Received(msgspec.Struct, frozen=True, gc=False, tag="received"):
    """One frame or line of a stream.

    Attributes:
        payload: as it came.
        at: when, microseconds UTC.
    """

    payload: bytes
    at: int


class Reconnected(msgspec.Struct, frozen=True, gc=False, tag="reconnected"):
    """The stream listens again after it did not; what was said in between must be fetched from history.

    Attributes:
        start: last sign of life before, microseconds UTC; what was on its way then may be lost as well, so fill from a
            little earlier.
        end: when it listened again, microseconds UTC.
        reason: why it broke off, e.g. ``close 1006``.
    """

    start: int
    end: int
    reason: str


StreamEvent: TypeAlias = Received | Reconnected


class SpillingQueue:
    """First in, first out; `put` never waits for the reader. What does not fit into memory goes to a SQLite file.

    The file reuses the room of what has been read. It is no store: it ends with the process, and what it held comes
    again through the vendor's history.

    Args:
        folder: where the file goes; it is made only when needed.
        events: how many wait in memory at most.
        size_bytes: how large they are together at most.
    """

    def __init__(self, folder: Path, *, events: int = 10_000, size_bytes: int = 32 << 20) -> None:
        self._folder, self._most, self._most_bytes = folder, events, size_bytes
        self._changed = Condition()
        self._memory: deque[StreamEvent] = deque()
        self._memory_bytes = 0
        self._disk: _Disk | None = None
        self._taken: Sequence[StreamEvent] = ()
        self._rest: Iterator[StreamEvent] = iter(())
        self._ended = False
        self._error: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many events the reader is behind."""
        with self._changed:
            return len(self._memory) + (self._disk.events if self._disk else 0)

    @property
    def on_disk(self) -> int:
        """How many of those are on disk."""
        with self._changed:
            return self._disk.events if self._disk else 0

    def put(self, event: StreamEvent) -> None:
        """Append."""
        with self._changed:
            # While anything is on disk, newer events go there too: order is kept.
            if self._disk is None and (len(self._memory) >= self._most or self._memory_bytes >= self._most_bytes):
                _LOG.warning("the reader of a stream is %d events behind; further ones wait on disk", self._most)
                self._disk = _Disk(self._folder)
            if self._disk is not None:
                self._disk.put(event)
            else:
                self._memory.append(event)
                self._memory_bytes += _size(event)
            self._changed.notify()

    def finish(self, error: Exception | None = None) -> None:
        """Nothing more will come; `error` is raised to the reader after everything before it was taken."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def take(self, timeout_s: float) -> Sequence[StreamEvent] | None:
        """What waits, in order; empty: nothing came within the time; None: the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._memory or self._disk or self._ended, timeout_s)
            taken: Sequence[StreamEvent] = self._memory
            self._memory, self._memory_bytes = deque(), 0
            if not taken and self._disk is not None:
                taken = self._disk.take(self._most, self._most_bytes)
                if not self._disk.events:
                    _LOG.warning("the reader of a stream has caught up with what waited on disk")
                    self._drop_disk()
            if taken or not self._ended:
                return taken
            if self._error is not None:
                raise self._error
            return None

    def hand_out(self, timeout_s: float) -> Iterator[StreamEvent] | None:
        """As `take`, but what the reader has not come to yet still waits, says `measure`."""
        with self._changed:
            taken = self.take(timeout_s)
            if taken is None:
                return None
            self._taken, self._rest = taken, iter(taken)
            return self._rest

    def measure(self) -> Waiting:
        """What the reader is behind, with what it was handed and has not come to; one short look, no copy."""
        with self._changed:
            on_disk = self._disk.events if self._disk is not None else 0
            handed = length_hint(self._rest)
            oldest: StreamEvent | None = None
            # The reader goes on meanwhile: an event it has just come to is as good as the next.
            if handed:
                oldest = self._taken[-handed]
            elif self._memory:
                oldest = self._memory[0]
            elif self._disk is not None:
                oldest = self._disk.oldest()
            since = None if oldest is None else oldest.at if isinstance(oldest, Received) else oldest.end
            return Waiting(handed + len(self._memory) + on_disk, on_disk, since)

    def close(self) -> None:
        """Forget everything, and remove the file."""
        with self._changed:
            self._memory.clear()
            self._taken, self._rest = (), iter(())
            self._drop_disk()

    def _drop_disk(self) -> None:
        if self._disk is not None:
            self._disk.close()
            self._disk = None


class _Disk:
    """A first-in-first-out list in a SQLite file of its own."""

    def __init__(self, folder: Path) -> None:
        self.events, self._folder = 0, folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="spill-", suffix=".sqlite", dir=folder)
            os.close(handle)
            self._path = Path(name)
            self._base = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
            # It need not survive a crash, so neither a journal nor waiting for the disk; one transaction for all.
            for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA locking_mode=EXCLUSIVE"):
                self._base.execute(statement)
            self._base.execute("CREATE TABLE spilled (place INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB)")
            self._base.execute("BEGIN")
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        # Open but without a name, the file goes with the process, also with one that is killed.
        with contextlib.suppress(OSError):
            self._path.unlink()

    def put(self, event: StreamEvent) -> None:
        try:
            self._base.execute("INSERT INTO spilled (event) VALUES (?)", (_encode(event),))
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        self.events += 1

    def take(self, most: int, most_bytes: int) -> list[StreamEvent]:
        taken, size, last = [], 0, 0
        rows = self._base.execute("SELECT place, event FROM spilled ORDER BY place LIMIT ?", (most,))
        for place, packed in rows:
            event = _decode(packed)
            taken.append(event)
            size, last = size + _size(event), place
            if size >= most_bytes:
                break
        rows.close()
        self._base.execute("DELETE FROM spilled WHERE place <= ?", (last,))
        self.events -= len(taken)
        return taken

    def oldest(self) -> StreamEvent | None:
        row = self._base.execute("SELECT event FROM spilled ORDER BY place LIMIT 1").fetchone()
        return None if row is None else _decode(row[0])

    def close(self) -> None:
        self._base.close()
        self._path.unlink(missing_ok=True)

    def _unusable(self, error: Exception) -> SourceError:
        return SourceError(
            f"A stream is faster than its reader, and {self._folder} cannot take what waits: {error}. Make room or set "
            f"another folder; what is lost comes again from history when the stream is started again."
        )


_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], StreamEvent] = msgspec.msgpack.Decoder(StreamEvent).decode


def _size(event: StreamEvent) -> int:
    # 100 bytes: about what the objects themselves take.
    return 100 + (len(event.payload) if isinstance(event, Received) else 0)
