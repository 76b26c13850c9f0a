"""Where each fetch goes on, when a stream was not listening, how far it lags: one SQLite file beside the bus."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from project01.domain import InputError, SourceError
from project01.ingest.vendor import Gap, Query

FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS cursors (
  source TEXT NOT NULL, query TEXT NOT NULL, asked TEXT NOT NULL, cursor TEXT NOT NULL, saved_at TEXT NOT NULL,
  PRIMARY KEY (source, query)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
  source TEXT NOT NULL, dataset TEXT NOT NULL, symbols TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL,
  reason TEXT NOT NULL, filled INTEGER NOT NULL,
  PRIMARY KEY (source, dataset, symbols, started)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lags (
  source TEXT NOT NULL, dataset TEXT NOT NULL, symbols TEXT NOT NULL, events INTEGER NOT NULL,
  on_disk INTEGER NOT NULL, age_s REAL NOT NULL, measured_at TEXT NOT NULL,
  PRIMARY KEY (source, dataset, symbols)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class KnownGap:
    """A gap of one stream."""

    source: str
    dataset: str
    symbols: str
    gap: Gap


@dataclass(frozen=True, kw_only=True)
class StreamLag:
    """How far a running stream is behind what it received.

    Attributes:
        source: the vendor, as in the gaps.
        dataset: what it listens to.
        symbols: of which symbols, comma-separated.
        events: received and not yet on the bus.
        on_disk: how many of them wait on disk.
        age_s: how long the oldest of them has waited, seconds; 0: none waits.
        measured_at: when this was so, timezone-aware UTC.
    """

    source: str
    dataset: str
    symbols: str
    events: int
    on_disk: int
    age_s: float
    measured_at: datetime


class IngestState:
    """Cursors, gaps and lags; safe for several processes.

    Args:
        path: the file; made when it is not there.

    Raises:
        InputError: the file is no state of ours, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as file:
            found = file.execute("PRAGMA user_version").fetchone()[0]
            if found > FORMAT:
                raise InputError(f"{path} was written by a newer Project01 (format {found}, this one knows {FORMAT}).")
            file.executescript(_TABLES)
            file.execute(f"PRAGMA user_version = {FORMAT}")

    def cursor(self, source: str, query: Query) -> str | None:
        """Where the fetch of this query goes on; None if it was never begun."""
        with self._open() as file:
            rows = file.execute("SELECT cursor FROM cursors WHERE source = ? AND query = ?", (source, _name(query)))
            found = rows.fetchone()
        return found and str(found[0])

    def save_cursor(self, source: str, query: Query, cursor: str, at: datetime) -> None:
        """Keep where the fetch goes on; call it only when everything before is on the bus."""
        asked = _asked(query).decode()
        with self._open() as file:
            file.execute(
                "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)",
                (source, _name(query), asked, cursor, at.isoformat()),
            )

    def forget(self, source: str, query: Query) -> None:
        """Fetch the query from its beginning the next time."""
        with self._open() as file:
            file.execute("DELETE FROM cursors WHERE source = ? AND query = ?", (source, _name(query)))

    def add_gap(self, source: str, query: Query, gap: Gap) -> None:
        """Keep a gap; the same one again replaces what was known of it."""
        symbols = ",".join(query.symbols)
        with self._open() as file:
            file.execute(
                "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)",
                (source, query.dataset, symbols, gap.start.isoformat(), gap.end.isoformat(), gap.reason, gap.filled),
            )

    def gaps(self) -> list[KnownGap]:
        """Every gap, oldest first."""
        with self._open() as file:
            rows = file.execute("SELECT * FROM gaps ORDER BY started, source, dataset, symbols").fetchall()
        return [
            KnownGap(source, dataset, symbols, Gap(_instant(started), _instant(ended), reason, bool(filled)))
            for source, dataset, symbols, started, ended, reason, filled in rows
        ]

    def save_lag(self, lag: StreamLag) -> None:
        """Keep the lag of a running stream in place of the one before."""
        row = (lag.source, lag.dataset, lag.symbols, lag.events, lag.on_disk, lag.age_s, lag.measured_at.isoformat())
        with self._open() as file:
            file.execute("INSERT OR REPLACE INTO lags VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def forget_lag(self, lag: StreamLag) -> None:
        """The stream has ended and says so."""
        key = (lag.source, lag.dataset, lag.symbols)
        with self._open() as file:
            file.execute("DELETE FROM lags WHERE source = ? AND dataset = ? AND symbols = ?", key)

    def lags(self) -> list[StreamLag]:
        """The lag of every stream that runs, or that ended without saying so, by name."""
        with self._open() as file:
            rows = file.execute("SELECT * FROM lags ORDER BY source, dataset, symbols").fetchall()
        names = ("source", "dataset", "symbols", "events", "on_disk", "age_s")
        return [StreamLag(**dict(zip(names, row[:-1], strict=True)), measured_at=_instant(row[-1])) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as file, file:
                file.execute("PRAGMA synchronous = FULL")
                yield file
        except sqlite3.DatabaseError as error:
            raise SourceError(
                f"{self._path} (cursors and gaps of the sources) cannot be used: {error}. Free the disk or restore the "
                f"file; moving it away is safe: the sources are then fetched from the beginning, and what is known "
                f"already is recognised."
            ) from error


def _asked(query: Query) -> bytes:
    # Without the end: the same question asked tomorrow goes on where it stood today.
    start = query.start.isoformat() if query.start else None
    return msgspec.json.encode(
        {"dataset": query.dataset, "symbols": sorted(query.symbols), "start": start, "more": dict(query.parameters)},
        order="sorted",
    )


def _name(query: Query) -> str:
    return hashlib.sha256(_asked(query)).hexdigest()[:32]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
