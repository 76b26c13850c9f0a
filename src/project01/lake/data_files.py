"""Tables whose files are written before they are committed: by this process, or by others, Spark's executors.

Those need no jars for Delta and no settings for S3 but the lake's own: the driver names the files of one version, and
commits those that were written in one transaction, through delta-rs.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import PyFileSystem

from project01.domain import LakeError, TableSpec
from project01.lake.commits import (
    Transaction,
    check_files,
    check_key,
    check_schema,
    guarded_commit,
    has_landed,
    open_or_create,
    open_table,
    strict_commit,
    until_committed,
)
from project01.lake.faults import told_clearly
from project01.lake.lake import Lake
from project01.lake.spark_files import TableFile

# Before compression: files are read whole or by row groups, and each costs a request on S3.
BYTES_A_FILE = 1 << 28


@dataclass(frozen=True)
class TableFiles:
    """One version of a table as files that any process may read.

    Attributes:
        version: of the table.
        address: of the table.
        options: of the lake; on S3 what is absent comes from the environment of the reader.
        paths: names of the files below the address.
        rows: how many they hold together.
    """

    version: int
    address: str
    options: Mapping[str, str] = field(repr=False)
    paths: tuple[str, ...]
    rows: int

    def batches(
        self, paths: Sequence[str], columns: Sequence[str], wanted: pa.dataset.Expression
    ) -> Iterator[pa.RecordBatch]:
        """Rows of some of the files, batch by batch.

        Args:
            paths: out of `self.paths`.
            columns: in the order of the result.
            wanted: which rows.
        """
        files = PyFileSystem(DeltaStorageHandler(self.address, dict(self.options)))
        found = pa.dataset.dataset(list(paths), filesystem=files, format="parquet")
        yield from found.to_batches(columns=list(columns), filter=wanted)


class DataFile(msgspec.Struct, frozen=True):
    """A file that lies in a table's folder and is no part of the table yet.

    Attributes:
        path: name of the file in the table's folder.
        size_bytes: of the file.
        stats: Delta's statistics of the file, as JSON.
        rows: how many it holds.
    """

    path: str
    size_bytes: int
    stats: str
    rows: int


def data_files(lake: Lake, name: str) -> TableFiles:
    """The files of the newest version of a table.

    Raises:
        LakeError: there is no such table, or a file is gone or was cut short.
    """
    with told_clearly(f"Opening table {name}", lake.location):
        handle = open_table(lake.location, name)
        if handle is None:
            raise LakeError(f"There is no table {name} in {lake.url}. Ingest it first or correct the name.")
        check_files(lake.location, name, handle)
        actions = pl.DataFrame(handle.get_add_actions(flatten=True))
        rows = actions["num_records"].sum() if "num_records" in actions.columns else 0
        paths = tuple(unquote(path) for path in actions["path"].sort())
        return TableFiles(handle.version(), lake.location.address(name), lake.location.options, paths, int(rows))


def ready_for_files(lake: Lake, spec: TableSpec) -> None:
    """Make the table if it is not there, empty: files in a folder without a log would belong to nothing.

    Raises:
        SchemaError: the table has another key; LakeError: the storage failed.
    """
    with told_clearly(f"Opening table {spec.name}", lake.location):
        check_key(open_or_create(lake.location, spec), spec)


def written_file(
    address: str, options: Mapping[str, str], spec: TableSpec, parts: Iterable[pl.DataFrame], indexed: Sequence[str]
) -> DataFile | None:
    """Write rows to one new file of a table; nothing is visible before it is committed. None without rows.

    Args:
        address: of the table.
        options: of the lake.
        spec: the table; rows must have its columns.
        parts: the rows, best in the order of the key.
        indexed: columns that statistics are kept of.
    """
    with TableFile(address, options, spec.schema, indexed) as file:
        for rows in parts:
            if rows.height:
                file.write(rows)
    return None if file.path is None else DataFile(file.path, file.size_bytes, file.stats, file.rows)


def replace_by_files(lake: Lake, spec: TableSpec, parts: Iterable[pl.DataFrame], indexed: Sequence[str]) -> int:
    """As `Lake.replace`, for more rows than memory holds, and known to fit the table: they are not gone over again.

    Args:
        lake: holds the table.
        spec: the table.
        parts: taken once, each written as it comes; rows within and over the parts in the order of the key.
        indexed: columns that statistics are kept of.
    Returns:
        The version of the table that holds the rows.
    Raises:
        SchemaError: the table has another key.
        LakeError: the storage failed; the table is as before.
    """
    ready_for_files(lake, spec)
    address, coming = lake.location.address(spec.name), iter(parts)
    files: list[DataFile] = []
    with told_clearly(f"Writing table {spec.name}", lake.location):
        while (file := written_file(address, lake.location.options, spec, _one_file(coming), indexed)) is not None:
            files.append(file)
    return replace_with_files(lake, spec, files)


def _one_file(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The next parts, until they fill a file."""
    held = 0.0
    for part in parts:
        yield part
        held += part.estimated_size()
        if held >= BYTES_A_FILE:
            return


def replace_with_files(lake: Lake, spec: TableSpec, files: Sequence[DataFile]) -> int:
    """Put files in place of all that the table holds, and their columns in place of its own, in one commit.

    Returns:
        The version of the table that holds the files.
    Raises:
        SchemaError: the table has another key.
        LakeError: the storage failed; the table is as before.
    """

    def attempt() -> int:
        handle = open_or_create(lake.location, spec)
        check_key(handle, spec)
        handle.create_write_transaction(_actions(files), "overwrite", spec.schema, commit_properties=strict_commit())
        handle.update_incremental()
        return handle.version()

    with told_clearly(f"Replacing table {spec.name} by {len(files)} files", lake.location):
        return until_committed(spec.name, attempt)


def append_files(lake: Lake, spec: TableSpec, files: Sequence[DataFile], transaction: Transaction, digest: str) -> bool:
    """Make files part of a table once, however often the transaction is repeated.

    Args:
        lake: holds the table.
        spec: the table; made if need be.
        files: new files in its folder.
        transaction: names what the files hold.
        digest: of what they hold, so that the same transaction with other rows is refused.
    Returns:
        Whether they were added now; else the transaction had landed, and the files stay out.
    Raises:
        SchemaError: the table has other columns.
        TransactionError: the transaction has landed with other rows, or a later one has.
        LakeError: the storage failed; the table is as before.
    """

    def attempt() -> bool:
        handle = open_or_create(lake.location, spec)
        check_schema(handle, spec)
        if has_landed(handle, spec.name, transaction, digest):
            return False
        properties = guarded_commit(transaction, digest)
        handle.create_write_transaction(_actions(files), "append", handle.schema(), commit_properties=properties)
        return True

    with told_clearly(f"Adding {len(files)} files to table {spec.name}", lake.location):
        return until_committed(spec.name, attempt)


def _actions(files: Sequence[DataFile]) -> list[AddAction | RemoveAction]:
    now = int(time.time() * 1000)
    return [AddAction(each.path, each.size_bytes, {}, now, data_change=True, stats=each.stats) for each in files]
