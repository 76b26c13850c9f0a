"""The lake: Delta tables in a folder or on S3, read as they were known at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from project01.domain import (
    DEAD_LETTERS,
    TABLES,
    TIMESTAMP,
    Clock,
    InputError,
    LakeError,
    SystemClock,
    TableSpec,
    conform,
)
from project01.lake.commits import (
    Transaction,
    check_files,
    check_key,
    check_schema,
    commit_append,
    commit_replace,
    guarded_commit,
    has_landed,
    key_of,
    open_or_create,
    open_table,
    strict_commit,
    until_committed,
)
from project01.lake.faults import told_clearly
from project01.lake.history import history_frame
from project01.lake.location import Location
from project01.lake.merging import MergeCounts, as_dead_letters, plan_merge
from project01.lake.order import (
    AUDIT_COLUMN,
    VERSION_COLUMN,
    canonical_order,
    content_digest,
    has_rival_versions,
    identity_columns,
    newest_versions,
)

SAFE_RETENTION_HOURS = 168
SMALL_FILE_BYTES = 64 << 20


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: the table's version after it, and how many files it read and wrote."""

    version: int
    files_removed: int
    files_added: int


class Lake:
    """Delta tables under one root.

    A write is a commit: it is there whole or not at all, and readers see the version they opened. Rows are kept for
    ever; a correction is another row of the same key with a later `knowledge_time`.

    Args:
        url: a folder, ``file:///...`` or ``s3://bucket/prefix``. Nothing is made until the first write.
        storage_options: S3 settings; what is absent comes from the environment (``AWS_ACCESS_KEY_ID``, ...).
        clock: stamps `ingested_at` on rows that lack it.
    """

    def __init__(
        self, url: str | Path, storage_options: Mapping[str, str] | None = None, *, clock: Clock | None = None
    ) -> None:
        self.location = Location(url, storage_options)
        self._clock: Clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"Lake({self.location.root!r})"

    @property
    def url(self) -> str:
        """The root: an absolute path or an ``s3://`` URL."""
        return self.location.root

    def append(self, spec: TableSpec, rows: pa.Table | pl.DataFrame, *, transaction: Transaction | None = None) -> int:
        """Adds rows without looking at what is there.

        Args:
            spec: the table; made on the first write.
            rows: columns of the spec, nullable ones and `ingested_at` may be absent.
            transaction: makes the append exactly-once: repeated, it changes nothing. Without one a caller that
                repeats an append whose answer was lost adds the rows twice; use `merge` or give a transaction.
        Returns:
            The version of the table that holds the rows.
        Raises:
            SchemaError: the rows do not fit the spec or the table.
            TransactionError: the transaction landed with other rows, or versions go backwards.
            LakeError: the storage failed; the table is as before.
        """
        frame = self.prepared(spec, rows)
        digest = content_digest(frame, spec.key) if transaction else ""

        def attempt() -> int:
            handle = open_or_create(self.location, spec)
            check_schema(handle, spec)
            if transaction is None:
                return (
                    commit_append(handle, frame, spec.schema, CommitProperties()) if frame.height else handle.version()
                )
            if has_landed(handle, spec.name, transaction, digest):
                return handle.version()
            return commit_append(handle, frame, spec.schema, guarded_commit(transaction, digest))

        with told_clearly(f"Appending {frame.height} rows to table {spec.name}", self.location):
            return until_committed(spec.name, attempt)

    def merge(self, spec: TableSpec, rows: pa.Table | pl.DataFrame) -> MergeCounts:
        """Adds those rows whose key and `knowledge_time` the table does not hold yet; all in one commit, or none.

        Repeating a merge changes nothing, not even the version. Rows that contradict another one (same key and
        `knowledge_time`, other content) go to the table `dead_letters` before the others land, so none is lost.

        Raises:
            SchemaError: the rows do not fit the spec or the table.
            LakeError: the storage failed; the table is as before.
        """
        frame = self.prepared(spec, rows)

        def attempt() -> MergeCounts:
            handle = open_or_create(self.location, spec)
            check_schema(handle, spec)
            existing = _neighbours(self._rows(spec.name, handle), frame, spec.key)
            plan = plan_merge(existing, frame, spec.key)
            if plan.conflicts.height:
                self.merge(DEAD_LETTERS, as_dead_letters(plan.conflicts, spec.name, spec.key))
            if plan.added.height:
                commit_append(handle, plan.added, spec.schema, strict_commit())
            return plan.counts

        with told_clearly(f"Merging {frame.height} rows into table {spec.name}", self.location):
            return until_committed(spec.name, attempt)

    def replace(self, spec: TableSpec, rows: pa.Table | pl.DataFrame) -> int:
        """Puts `rows` in place of all that the table holds, in one commit; columns may change, the key may not.

        Returns:
            The version of the table that holds the rows; earlier versions stay readable until `vacuum`.
        Raises:
            SchemaError: the rows do not fit the spec, or the table has another key.
            LakeError: the storage failed; the table is as before.
        """
        frame = self.prepared(spec, rows)

        def attempt() -> int:
            handle = open_or_create(self.location, spec)
            check_key(handle, spec)
            return commit_replace(handle, frame, spec.schema)

        with told_clearly(f"Replacing table {spec.name} by {frame.height} rows", self.location):
            return until_committed(spec.name, attempt)

    def read(
        self,
        table: str | TableSpec,
        *,
        as_of: datetime,
        symbols: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """The table as it was known at `as_of`: of each key the newest version with `knowledge_time` <= `as_of`.

        Args:
            table: its name or its spec.
            as_of: timezone-aware.
            symbols: only rows of these symbols.
            columns: only these columns, in this order; all if None.
        Returns:
            Rows sorted by key. Of two versions with the same `knowledge_time` the one that sorts last by content is
            taken, so that the answer does not hang on the order of writing.
        Raises:
            InputError: `as_of` is naive, or the table lacks `knowledge_time` or a column asked for.
            LakeError: there is no such table, or it cannot be read.
        """
        instant = _aware(as_of)
        name, handle = self._opened(table)
        key = self._key(table, handle)
        present = pa.schema(handle.schema()).names
        needed = [VERSION_COLUMN, *(columns or ()), *(["symbol"] if symbols is not None else [])]
        _require_columns(name, present, needed)
        known = self._rows(name, handle).filter(pl.col(VERSION_COLUMN) <= instant)
        if symbols is not None:
            known = known.filter(pl.col("symbol").is_in(list(symbols)))
        wanted = list(dict.fromkeys([*identity_columns(present, key), *(columns or present)]))
        with told_clearly(f"Reading table {name}", self.location):
            frame = known.select(wanted).collect()
            if len(wanted) < len(present) and has_rival_versions(frame, key):
                frame = known.collect()
        return newest_versions(frame, key).select(columns or present)

    def scan(self, name: str, *, version: int | None = None) -> pl.LazyFrame:
        """All rows of all versions of every key, lazily, as the table stands now or at an earlier table version."""
        _, handle = self._opened(name, version)
        return self._rows(name, handle)

    def version(self, name: str) -> int:
        """The newest version of the table; it rises by one with each commit."""
        return self._opened(name)[1].version()

    def last_transaction(self, name: str, app_id: str) -> int | None:
        """The newest version of `app_id` that has landed, where a writer goes on after a crash; None before the first.

        A table that does not exist yet holds none.
        """
        self.location.address(name)
        with told_clearly(f"Opening table {name}", self.location):
            handle = open_table(self.location, name)
            return None if handle is None else handle.transaction_version(app_id)

    def exists(self, name: str) -> bool:
        """Whether the lake holds the table."""
        self.location.address(name)
        with told_clearly(f"Looking for table {name}", self.location):
            return open_table(self.location, name) is not None

    def tables(self) -> list[str]:
        """Names of the tables, sorted; empty for a lake that was never written to."""
        with told_clearly("Listing the tables", self.location):
            names = self.location.candidates()
            if self.location.folder is not None:
                return names
            return [name for name in names if open_table(self.location, name) is not None]

    def history(self, name: str) -> pl.DataFrame:
        """Commits, newest first: version, time, operation, rows and files, and the transaction if there was one."""
        _, handle = self._opened(name)
        with told_clearly(f"Reading the history of table {name}", self.location):
            commits = handle.history()
        return history_frame(commits)

    def compact(self, name: str, *, target_bytes: int | None = None) -> Compaction:
        """Rewrites many small files as few large ones; content, versions of rows and digest stay the same.

        Args:
            name: the table.
            target_bytes: size of a file above which it is left alone; the engine's own, about 100 MiB, if None.
        """

        def attempt() -> Compaction:
            _, handle = self._opened(name)
            metrics = handle.optimize.compact(target_size=target_bytes)
            return Compaction(handle.version(), int(metrics["numFilesRemoved"]), int(metrics["numFilesAdded"]))

        with told_clearly(f"Compacting table {name}", self.location):
            return until_committed(name, attempt)

    def small_files(self, name: str) -> int:
        """How many data files are well below the size that compaction makes; 0 for a table that is not there."""
        with told_clearly(f"Opening table {name}", self.location):
            handle = open_table(self.location, name)
            if handle is None:
                return 0
            sizes = pl.DataFrame(handle.get_add_actions(flatten=True))["size_bytes"]
            return int((sizes < SMALL_FILE_BYTES).sum())

    def vacuum(
        self, name: str, retention_hours: int = SAFE_RETENTION_HOURS, *, allow_short_retention: bool = False
    ) -> list[str]:
        """Deletes data files that no version of the last `retention_hours` needs, and what killed writers left.

        Returns:
            The files deleted, sorted.
        Raises:
            InputError: fewer than 168 hours without `allow_short_retention`.
        """
        if retention_hours < 0 or (retention_hours < SAFE_RETENTION_HOURS and not allow_short_retention):
            raise InputError(
                f"Keeping {retention_hours} hours is less than {SAFE_RETENTION_HOURS}: running readers would lose "
                f"their files, running writers what they have not committed yet, and old versions could not be "
                f"read. If nothing else uses the lake now, pass allow_short_retention=True."
            )
        _, handle = self._opened(name)
        with told_clearly(f"Vacuuming table {name}", self.location):
            return sorted(handle.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False, full=True))

    def digest(self, name: str, as_of: datetime | None = None) -> str:
        """SHA-256 over the table's content, the same for the same rows whatever their files, order or `ingested_at`.

        Args:
            name: the table.
            as_of: hash what `read` would return at that time; None: all versions of every key.
        """
        _, handle = self._opened(name)
        key = self._key(name, handle)
        if as_of is not None:
            return content_digest(self.read(name, as_of=as_of), key)
        with told_clearly(f"Reading table {name}", self.location):
            frame = self._rows(name, handle).drop(AUDIT_COLUMN, strict=False).collect()
        return content_digest(frame, key)

    def prepared(self, spec: TableSpec, rows: pa.Table | pl.DataFrame) -> pl.DataFrame:
        """Conformed, stamped and in canonical order, which makes files small and later sorts cheap."""
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(rows, pl.DataFrame) else rows
        if AUDIT_COLUMN in spec.schema.names and AUDIT_COLUMN not in table.column_names:
            stamp = pa.scalar(self._clock.now(), TIMESTAMP)
            table = table.append_column(AUDIT_COLUMN, pa.repeat(stamp, table.num_rows))
        conformed = conform(table, spec.schema, where=f"table {spec.name}")
        frame = pl.from_arrow(conformed)
        if not isinstance(frame, pl.DataFrame):
            raise LakeError(f"Table {spec.name} needs at least one column.")
        return canonical_order(frame, spec.key)[0]

    def _opened(self, table: str | TableSpec, version: int | None = None) -> tuple[str, DeltaTable]:
        name = table if isinstance(table, str) else table.name
        self.location.address(name)
        with told_clearly(f"Opening table {name}", self.location):
            handle = open_table(self.location, name, version)
            if handle is not None:
                return name, handle
            held = ", ".join(self.tables()) or "no tables"
        raise LakeError(
            f"There is no table {name} in {self.url}; it holds {held}. Ingest it first or correct the name."
        )

    def _rows(self, name: str, handle: DeltaTable) -> pl.LazyFrame:
        check_files(self.location, name, handle)
        return pl.scan_delta(handle)

    def _key(self, table: str | TableSpec, handle: DeltaTable) -> tuple[str, ...]:
        if isinstance(table, TableSpec):
            return table.key
        key = key_of(handle)
        if key is None and table in TABLES:
            key = TABLES[table].key
        if key is None:
            raise LakeError(f"Table {table} was made by another program and names no key. Pass its TableSpec instead.")
        return key


def _neighbours(rows: pl.LazyFrame, incoming: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Rows of the table that may share a key with `incoming`: within its range of times, then by the key itself."""
    rows = rows.select(incoming.columns)
    for name in key:
        if incoming.height and incoming[name].dtype.is_temporal() and not incoming[name].null_count():
            rows = rows.filter(pl.col(name).is_between(incoming[name].min(), incoming[name].max()))
    return rows.join(incoming.lazy().select(key).unique(), on=list(key), how="semi", nulls_equal=True).collect()


def _aware(as_of: datetime) -> datetime:
    if as_of.tzinfo is None or as_of.utcoffset() is None:
        raise InputError(
            f"as_of {as_of.isoformat()} has no time zone, so it names no instant. Pass datetime(..., tzinfo=UTC)."
        )
    return as_of.astimezone(UTC)


def _require_columns(name: str, present: list[str], needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in present]
    if VERSION_COLUMN in missing:
        raise InputError(
            f"Table {name} has no column {VERSION_COLUMN}, so it cannot be read as of a time. Use scan({name!r})."
        )
    if missing:
        raise InputError(f"Table {name} has no column {', '.join(missing)}; it has {', '.join(present)}.")
