"""Feast's online store in one SQLite file. Importing this module imports Feast."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Literal

from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from project01.domain import StoreError
from project01.store.online_packed import PackedOnlineStore, ViewRead, ViewWrite, table_of
from project01.store.packed import CLOCKS_SIZE

_WAIT_S = 30  # for another writer
_KEYS_A_QUERY = 900  # SQLite's oldest limit on parameters is 999,
_VIEWS_A_QUERY = 60  # and on tables of a join 64
_MOST_ANSWERS = 16  # of a thousand symbols and 30 features, a few MB

_SHARED = """
    CREATE TABLE IF NOT EXISTS layouts (identity BLOB PRIMARY KEY, columns BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS reached (view TEXT PRIMARY KEY, us INTEGER NOT NULL) WITHOUT ROWID;"""
_CREATE = """CREATE TABLE IF NOT EXISTS "{table}" (entity_key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID"""
# The clocks stand first in a row, and greater bytes are newer.
_UPSERT = f"""INSERT INTO "{{table}}" (entity_key, row) VALUES (?, ?)
    ON CONFLICT (entity_key) DO UPDATE SET row = excluded.row
    WHERE substr(excluded.row, 1, {CLOCKS_SIZE}) >= substr(row, 1, {CLOCKS_SIZE})"""  # noqa: S608
# One statement for all views: a seventh of the time that one for each takes.
_SELECT = """WITH asked (place, entity_key) AS (VALUES {keys})
    SELECT place, {rows} FROM asked {joins}"""
_REACH = """INSERT INTO reached (view, us) VALUES (?, ?)
    ON CONFLICT (view) DO UPDATE SET us = max(us, excluded.us)"""


class NewestSqliteOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast's classes are untyped here
    """The ``online_store`` section of ``feature_store.yaml``.

    Attributes:
        type: path of the store's class.
        path: the SQLite file; a relative one stands under the Feast repository.
    """

    type: Literal["project01.store.online.NewestSqliteOnlineStore"] = "project01.store.online.NewestSqliteOnlineStore"
    path: str = "online.db"


class NewestSqliteOnlineStore(PackedOnlineStore):
    """The newest row of each entity, one SQLite table a view."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._open: tuple[tuple[int, int, int], sqlite3.Connection] | None = None
        self._answers = _Answers()

    def write_views(self, config: RepoConfig, writes: Sequence[ViewWrite]) -> None:
        """Write rows of several views in one transaction; a row older than what is there changes nothing.

        Raises:
            StoreError: the file cannot be written.
        """
        with _transaction(config) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                layout = (write.layout.identity, write.layout.to_json())
                connection.execute("INSERT OR IGNORE INTO layouts VALUES (?, ?)", layout)
                rows = zip(write.keys, write.rows, strict=True)
                connection.executemany(_UPSERT.format(table=_quoted(write.table)), rows)
                if write.reached is not None:
                    connection.execute(_REACH, (write.table, write.reached))

    def read_views(self, config: RepoConfig, tables: Sequence[str], keys: Sequence[bytes]) -> list[ViewRead]:
        """Rows of the same entities from several views, as they stood at one moment.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._reading, _told_clearly(_path(config)):
            connection = self._reader(config)
            connection.execute("BEGIN")
            try:
                reached = dict(connection.execute("SELECT view, us FROM reached"))
                rows = self._answers.rows(connection, tuple(tables), tuple(keys))
                return [ViewRead(reached.get(table), held) for table, held in zip(tables, rows, strict=True)]
            finally:
                connection.rollback()

    def read_layout(self, config: RepoConfig, table: str, identity: bytes) -> bytes:  # noqa: ARG002  # one file for all
        """A layout some row names, as it was written."""
        with _transaction(config) as connection:
            found = connection.execute("SELECT columns FROM layouts WHERE identity = ?", (identity,)).fetchone()
        return bytes(found[0])

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002  # Feast passes it by name
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Make and drop the views' tables."""
        with _transaction(config) as connection:
            connection.executescript(_SHARED)
            connection.execute("BEGIN IMMEDIATE")
            for view in tables_to_keep:
                connection.execute(_CREATE.format(table=_quoted(table_of(config, view))))
            for view in tables_to_delete:
                table = table_of(config, view)
                connection.execute(f'DROP TABLE IF EXISTS "{_quoted(table)}"')
                connection.execute("DELETE FROM reached WHERE view = ?", (table,))

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:  # noqa: ARG002
        """Remove the file."""
        self.close()
        _path(config).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connection kept for reading; the next read opens it again."""
        with self._reading:
            if self._open is not None:
                self._open[1].close()
                self._open = None

    def _reader(self, config: RepoConfig) -> sqlite3.Connection:
        """One connection for all reads, with its statements and pages; anew after a fork or for another file."""
        path = _path(config)
        found = path.stat()
        here = (os.getpid(), found.st_dev, found.st_ino)
        if self._open is None or self._open[0] != here:
            if self._open is not None and self._open[0][0] == here[0]:
                self._open[1].close()
            # Reads take turns, so that one connection serves every thread.
            self._open = here, _connect(path, check_same_thread=False)
            self._answers = _Answers()
        return self._open[1]


class _Answers:
    """What one connection was asked since anyone last wrote: who serves asks for the same symbols again and again."""

    def __init__(self) -> None:
        self._version = -1
        self._held: dict[tuple[tuple[str, ...], tuple[bytes, ...]], list[list[bytes | None]]] = {}

    def rows(
        self, connection: sqlite3.Connection, tables: tuple[str, ...], keys: tuple[bytes, ...]
    ) -> list[list[bytes | None]]:
        """As `_rows`; the connection must have read within its transaction, so that it knows of every commit."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or len(self._held) >= _MOST_ANSWERS:
            self._version, self._held = version, {}
        if (tables, keys) not in self._held:
            self._held[tables, keys] = _rows(connection, tables, keys)
        return self._held[tables, keys]


def _rows(connection: sqlite3.Connection, tables: Sequence[str], keys: Sequence[bytes]) -> list[list[bytes | None]]:
    """Of each table the rows of the keys, in their order."""
    found: list[list[bytes | None]] = [[] for _ in tables]
    for first in range(0, len(tables), _VIEWS_A_QUERY):
        views = tuple(tables[first : first + _VIEWS_A_QUERY])
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = keys[start : start + _KEYS_A_QUERY]
            read = connection.execute(_select(views, len(part)), part).fetchall()
            # SQLite goes through the keys as they stand, but does not promise it; to let it sort costs a sixth more.
            places, *columns = zip(*read, strict=True)
            if list(places) != list(range(len(part))):
                _, *columns = zip(*sorted(read, key=itemgetter(0)), strict=True)
            for number, column in enumerate(columns, start=first):
                found[number] += column
    return found


@lru_cache(maxsize=64)
def _select(tables: tuple[str, ...], count: int) -> str:
    return _SELECT.format(
        keys=", ".join(f"({place}, ?)" for place in range(count)),
        rows=", ".join(f"v{number}.row" for number in range(len(tables))),
        joins=" ".join(
            f'LEFT JOIN "{_quoted(table)}" v{number} ON v{number}.entity_key = asked.entity_key'
            for number, table in enumerate(tables)
        ),
    )


def _path(config: RepoConfig) -> Path:
    return Path(config.repo_path or Path(), config.online_store.path)


def _quoted(table: str) -> str:
    return table.replace('"', '""')


def _connect(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=check_same_thread)


@contextmanager
def _transaction(config: RepoConfig) -> Iterator[sqlite3.Connection]:
    """A connection for one piece of work: what was begun is committed, or rolled back after an error.

    Raises:
        StoreError: the file cannot be opened, read or written.
    """
    path = _path(config)
    with _told_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path)) as connection:
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise
            if connection.in_transaction:
                connection.commit()


@contextmanager
def _told_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"The online store {path} cannot be used: {error}. Apply the feature catalogue (project01 features) first; "
            "if the file is damaged, delete it and materialise again."
        ) from error
