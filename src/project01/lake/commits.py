"""Commits to one Delta table: opening it safely, the exactly-once guard, and strict commits.

delta-rs does not skip a repeated or lower transaction version by itself, so the guard is here: open one handle, read
the version recorded for the application, skip if it is there, and commit through that same handle. Of two writers with
stale handles delta-rs refuses one; it reopens and looks again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake import Transaction as DeltaTransaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from project01.domain import InputError, LakeError, SchemaError, TableSpec, TransactionError
from project01.lake.location import Location

KEY_PROPERTY = "project01.key"
APP_ID, APP_VERSION, DIGEST = "project01.app_id", "project01.app_version", "project01.digest"

_ATTEMPTS = 100
_RECENT_COMMITS = 100
_ROWS_A_BATCH = 131_072
_COMMIT_FILE = re.compile(r"(\d{20})\.json")
_CHECKPOINT_FILE = re.compile(r"(\d{20})\.checkpoint\..*")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Transaction:
    """Names a batch so that it lands once: a later batch of the same `app_id` has a higher `version`.

    Attributes:
        app_id: the writer's stream, e.g. topic and partition.
        version: for instance the last bus offset in the batch plus one.
    """

    app_id: str
    version: int

    def __post_init__(self) -> None:
        if not self.app_id or self.version < 0:
            raise InputError(f"A transaction has an app_id and a version of 0 or more; found {self}.")


def open_table(location: Location, name: str, version: int | None = None) -> DeltaTable | None:
    """A handle on one table, None where there is none.

    Raises:
        LakeError: the newest commit file is empty, as after a power failure. delta-rs would read it as a commit
            without changes and so lose what it held without a word.
    """
    folder = location.folder_of(name)
    if folder is not None:
        if not (folder / "_delta_log").is_dir():
            return None
        if version is None:
            _refuse_empty_commits(folder / "_delta_log")
    try:
        return DeltaTable(location.address(name), version=version, storage_options=location.options or None)
    except TableNotFoundError:
        return None


def open_or_create(location: Location, spec: TableSpec, properties: Mapping[str, str] | None = None) -> DeltaTable:
    """A handle on the table of `spec`, made empty first if need be; safe when several writers race to make it.

    Args:
        location: the lake.
        spec: the table.
        properties: Delta table properties that a new table gets.
    """
    handle = open_table(location, spec.name)
    if handle is not None:
        return handle
    _refuse_orphans(location, spec.name)
    try:
        return DeltaTable.create(
            location.address(spec.name),
            spec.schema,
            name=spec.name,
            configuration={KEY_PROPERTY: ",".join(spec.key), **(properties or {})},
            storage_options=location.options or None,
            raise_if_key_not_exists=False,
        )
    except DeltaError:
        handle = open_table(location, spec.name)
        if handle is None:
            raise
        return handle


def check_files(location: Location, name: str, handle: DeltaTable) -> None:
    """Compares the data files on local disk with their sizes in the log: Polars panics on one that was cut short.

    Raises:
        LakeError: a file is gone or has another size. S3 stores objects whole, so nothing is asked there.
    """
    folder = location.folder_of(name)
    if folder is None:
        return
    actions = pl.DataFrame(handle.get_add_actions(flatten=True)).select("path", "size_bytes").to_dicts()
    for action in actions:
        file = folder / unquote(action["path"])
        size = file.stat().st_size if file.exists() else None
        if size != action["size_bytes"]:
            state = "is gone" if size is None else f"holds {size} bytes"
            raise LakeError(
                f"Table {name}: data file {file} {state}, the log says {action['size_bytes']} bytes. Restore the file "
                f"from a backup, or read an earlier version with scan(name, version=...), or ingest the table again."
            )


def key_of(handle: DeltaTable) -> tuple[str, ...] | None:
    """The key the table was made with; None for a table that another program made."""
    stored = handle.metadata().configuration.get(KEY_PROPERTY)
    return tuple(stored.split(",")) if stored else None


def until_committed(name: str, attempt: Callable[[], Result]) -> Result:
    """Repeats `attempt`, which must open its own handle, for as long as other writers come first.

    Raises:
        LakeError: it lost every time.
    """
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except CommitFailedError as error:
            lost_to = error
    raise LakeError(
        f"Table {name}: {_ATTEMPTS} attempts to commit lost to other writers. Run fewer writers on it at once."
    ) from lost_to


def commit_append(handle: DeltaTable, rows: pl.DataFrame, schema: pa.Schema, properties: CommitProperties) -> int:
    """Adds rows through `handle`; the version that holds them."""
    write_deltalake(
        handle,
        _stream(rows, schema),
        mode="append",
        commit_properties=properties,
        writer_properties=_encodings(schema),
    )
    return handle.version()


def commit_replace(handle: DeltaTable, rows: pl.DataFrame, schema: pa.Schema) -> int:
    """Replaces all rows, and the schema, in one commit that fails if any other came in between."""
    write_deltalake(
        handle,
        _stream(rows, schema),
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=strict_commit(),
        writer_properties=_encodings(schema),
    )
    return handle.version()


def strict_commit() -> CommitProperties:
    """Commits only as the very next version: what was read through the handle is still all there is."""
    return CommitProperties(max_commit_retries=0)


def guarded_commit(transaction: Transaction, digest: str) -> CommitProperties:
    """Records the transaction and what it held in the commit itself."""
    return CommitProperties(
        custom_metadata={
            APP_ID: transaction.app_id,
            APP_VERSION: str(transaction.version),
            DIGEST: digest,
        },
        app_transactions=[DeltaTransaction(transaction.app_id, transaction.version)],
    )


def has_landed(handle: DeltaTable, name: str, transaction: Transaction, digest: str) -> bool:
    """Whether the transaction is in the table already.

    Where the log no longer tells what a recorded version held (cleaned up, or written by Spark), the version itself
    counts as done and a lower one as out of order.

    Raises:
        TransactionError: it is there with other content, or a higher one is and this one cannot be found.
    """
    recorded = handle.transaction_version(transaction.app_id)
    if recorded is None or recorded < transaction.version:
        return False
    found = _recorded_digest(handle, transaction)
    if found == digest or (found is None and recorded == transaction.version):
        return True
    if found is None:
        raise TransactionError(
            f"Table {name}: version {transaction.version} of {transaction.app_id} comes after version {recorded} was "
            f"recorded, and the log knows nothing of it. Versions must rise; find out which writer went back, or give "
            f"it a new app_id."
        )
    raise TransactionError(
        f"Table {name}: version {transaction.version} of {transaction.app_id} has landed with other content "
        f"(digest {found[:12]}, now {digest[:12]}). The same version must always carry the same rows; nothing was "
        f"written. Use the next version for new rows."
    )


def check_schema(handle: DeltaTable, spec: TableSpec) -> None:
    """Refuses rows of another shape than the table's, and another key.

    Raises:
        SchemaError: columns, types or the key differ.
    """
    there = {field.name: field.type for field in pa.schema(handle.schema())}
    given = {field.name: field.type for field in spec.schema}
    differing = sorted(
        f"{column} (table {there.get(column, 'none')}, given {given.get(column, 'none')})"
        for column in there.keys() | given.keys()
        if there.get(column) != given.get(column)
    )
    if differing:
        raise SchemaError(
            f"Table {spec.name} has other columns than the rows given: {', '.join(differing)}. "
            f"Rewrite the table with replace, or use another name."
        )
    check_key(handle, spec)


def check_key(handle: DeltaTable, spec: TableSpec) -> None:
    """Refuses a key other than the one the table was made with.

    Raises:
        SchemaError: the keys differ.
    """
    key = key_of(handle)
    if key is not None and key != spec.key:
        raise SchemaError(
            f"Table {spec.name} has the key {', '.join(key)}; the rows given have {', '.join(spec.key)}. "
            f"Use another table name for another key."
        )


def noted_columns(schema: pa.Schema) -> list[str]:
    """Columns whose repeats and whose smallest and largest values are worth noting in a file.

    Features and packed bytes hardly ever repeat: to look for repeats took five sixths of the time of writing them.
    Nobody looks for rows by their range either.
    """
    return [field.name for field in schema if not (pa.types.is_float32(field.type) or pa.types.is_binary(field.type))]


def _encodings(schema: pa.Schema) -> WriterProperties:
    bare = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    plain = dict.fromkeys(set(schema.names) - set(noted_columns(schema)), bare)
    return WriterProperties(compression="SNAPPY", column_properties=plain or None)


def _stream(rows: pl.DataFrame, schema: pa.Schema) -> pa.RecordBatchReader:
    # In slices: Arrow's plain strings hold 2 GiB a batch at most, and memory stays flat.
    def batches() -> Iterator[pa.RecordBatch]:
        for part in rows.iter_slices(_ROWS_A_BATCH):
            yield from part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _recorded_digest(handle: DeltaTable, transaction: Transaction) -> str | None:
    for limit in (_RECENT_COMMITS, None):
        for commit in handle.history(limit):
            if commit.get(APP_ID) == transaction.app_id and commit.get(APP_VERSION) == str(transaction.version):
                digest = commit.get(DIGEST)
                return digest if isinstance(digest, str) else None
    return None


def _refuse_empty_commits(log: Path) -> None:
    names = [entry.name for entry in log.iterdir()]
    checkpoints = [int(found[1]) for name in names if (found := _CHECKPOINT_FILE.fullmatch(name))]
    newest = max(checkpoints, default=-1)
    for name in sorted(names):
        commit = _COMMIT_FILE.fullmatch(name)
        if commit and int(commit[1]) > newest and (log / name).stat().st_size == 0:
            raise LakeError(
                f"Table {log.parent.name}: commit {int(commit[1])} is an empty file ({log / name}), as a power failure "
                f"leaves it. Versions before it are whole: read them with scan(name, version=...), or move that file "
                f"and any later one away to go back to version {int(commit[1]) - 1}, then ingest again."
            )


def _refuse_orphans(location: Location, name: str) -> None:
    folder = location.folder_of(name)
    if folder is not None and folder.is_dir() and any(folder.glob("*.parquet")):
        raise LakeError(
            f"{folder} holds data files but no _delta_log, so which of them count is unknown. Restore the log from a "
            f"backup, or move the folder away."
        )
