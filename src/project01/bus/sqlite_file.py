"""The one SQLite file of a bus: format, durability, who may write when, and what its errors mean to people.

Every connection to the file goes through `SqliteFile`. Writers take turns by a lock file beside it, in which SQLite
holds an exclusive lock and nothing is ever written: two connections that write or checkpoint a write-ahead log at the
same instant can corrupt it in every SQLite before 3.51.3 (sqlite.org/wal.html#walresetbug).
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from project01.domain import BusError

FORMAT = 1
# Lies in the file's header, so that another program's SQLite file is never taken for a bus: "P01B".
APPLICATION_ID = 0x50303142
# A message's id is its partition's id times this, plus its offset: one sorted table, appended at each partition's end.
OFFSETS = 1 << 40

_PAGE_BYTES = 16_384
_CHECKPOINT_PAGES = 2_048
_LOG_BYTES_KEPT = 64 << 20
_WAIT_FOR_WRITERS_S = 30.0
_TURN_PAUSE_S = 0.002

_SETTINGS = (
    "synchronous = FULL",  # a commit has reached the disk when it returns
    "secure_delete = ON",  # what retention removes is overwritten, not only unlinked
    f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    f"journal_size_limit = {_LOG_BYTES_KEPT}",
    "cache_size = -16000",
)
_SCHEMA = f"""
CREATE TABLE topics (
    name TEXT PRIMARY KEY, identity TEXT NOT NULL, retention_ms INTEGER NOT NULL, cleanup TEXT NOT NULL,
    max_message_bytes INTEGER NOT NULL, replication INTEGER NOT NULL
) STRICT;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL REFERENCES topics, number INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0 CHECK (next <= {OFFSETS}),
    UNIQUE (topic, number)
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, published_at INTEGER NOT NULL, key BLOB, value BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


class SqliteFile:
    """One connection to the file of a bus; threads may share it, they wait for each other.

    The file is made, readable by its owner alone, where there is none.

    Raises:
        BusError: the file cannot be opened, is no bus, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._turn: sqlite3.Connection | None = None
        with _explained(path):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _make_private(path)
            self._inode = path.stat().st_ino
            self._connection = _connect(path)
            try:
                self._settle()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction that sees one state of the file."""
        with self._mutex, _explained(self.path):
            self._check_in_place()
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction that is on disk when the block has ended, or not at all."""
        with self._mutex, _explained(self.path), self._turn_to_write():
            self._check_in_place()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                # SQLite rolls back by itself after some errors; then there is nothing left to undo.
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                raise

    def version(self) -> int:
        """A number that differs after another connection has committed; costs no disk access."""
        with self._mutex, _explained(self.path):
            self._check_in_place()
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def shrink(self) -> None:
        """Give the space of removed messages back to the disk, and empty the write-ahead log of their contents."""
        left = 1
        while left:
            with self._mutex, _explained(self.path), self._turn_to_write():
                # As a script, for it frees a page a step, and `execute` takes a single step where no row comes.
                self._connection.executescript(f"PRAGMA incremental_vacuum({_CHECKPOINT_PAGES})")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                left = _number(self._connection, "freelist_count")

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        with self._mutex:
            self._connection.close()
            if self._turn is not None:
                self._turn.close()

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        if self._turn is None:
            lock = self.path.with_name(self.path.name + "-lock")
            if not lock.exists():
                _make_private(lock)
            self._turn = sqlite3.connect(lock, timeout=0, isolation_level=None, check_same_thread=False)
        deadline = time.monotonic() + _WAIT_FOR_WRITERS_S
        while not _took(self._turn):
            if time.monotonic() > deadline:
                raise BusError(
                    f"Another process has been writing to {self.path} for {_WAIT_FOR_WRITERS_S:.0f} s. Nothing was "
                    f"written here; see whether that process hangs, then try again."
                )
            time.sleep(_TURN_PAUSE_S)
        try:
            yield
        finally:
            self._turn.rollback()

    def _check_in_place(self) -> None:
        """SQLite goes on writing into a deleted file, and all of it is gone when the last process ends."""
        try:
            same = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise BusError(f"The bus file {self.path} was deleted or replaced while in use. Open the bus again.")

    def _settle(self) -> None:
        if _number(self._connection, "application_id") != APPLICATION_ID:
            with self._turn_to_write():
                self._initialise()
        version = _number(self._connection, "user_version")
        if version > FORMAT:
            raise BusError(
                f"The bus file {self.path} has format {version}; this version of Project01 knows up to {FORMAT}. "
                f"Upgrade Project01, or use another file."
            )

    def _initialise(self) -> None:
        """Make the tables, unless another process did while this one waited for its turn."""
        if _number(self._connection, "application_id") == APPLICATION_ID:
            return
        if (
            _number(self._connection, "user_version")
            or self._connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        ):
            raise BusError(f"{self.path} is a SQLite file of another program, not a bus. Name another file.")
        self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")


def _make_private(path: Path) -> None:
    """Make the file with mode 0600; SQLite gives the same mode to the files it makes beside it.

    Only a file that does not exist is opened: closing a second descriptor of a file in use drops SQLite's locks on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_FOR_WRITERS_S, isolation_level=None, check_same_thread=False)
    try:
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _took(turn: sqlite3.Connection) -> bool:
    try:
        turn.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if _primary(error) != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BusError(_explain(error, path)) from error
    except OSError as error:
        raise BusError(f"The bus file {path} cannot be opened: {error.strerror}. Name a file you may write.") from error


def _primary(error: sqlite3.Error) -> int:
    # Errors of Python's own binding carry no code of SQLite's; the low byte of those that do is the kind.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


_MEANINGS = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing of this write was kept. Free space, then try again",
    sqlite3.SQLITE_READONLY: "it is read-only. Make the file and its folder writable, or name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged. Keep it aside, start a new file, and fetch again what was not landed",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file. Name another file",
    sqlite3.SQLITE_BUSY: "another process kept it locked for too long. See whether that process hangs, then try again",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. Its folder must exist and be writable, also for readers",
    sqlite3.SQLITE_IOERR: "reading or writing failed. Nothing of this write was kept. See to the disk, then try again",
}


def _explain(error: sqlite3.Error, path: Path) -> str:
    meaning = _MEANINGS.get(_primary(error), "SQLite refused")
    return f"The bus file {path}: {meaning} (SQLite: {error})."
