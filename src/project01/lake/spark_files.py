"""What Spark's executors do: messages to rows, rows to one Parquet file a task. Nothing is visible before the commit.

The rows are made by the same function as on a laptop, so that a table is the same whoever landed it. `TableFile` also
writes the large tables that one process builds, see decision 0026.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction
from pyarrow.fs import FileSystem, LocalFileSystem, PyFileSystem, SubTreeFileSystem

from project01.bus import Message
from project01.domain import raw_table
from project01.lake.commits import noted_columns
from project01.lake.landing import landing_batch

# The columns a task is given: those of Spark's Kafka source under its names.
KAFKA_COLUMNS = ("partition", "offset", "key", "value", "timestamp")
WRITTEN_SCHEMA = "written binary"


class Written(msgspec.Struct, frozen=True):
    """What one task has to say to the driver.

    Attributes:
        ends: by partition, the offset after the last message seen, landed before or not.
        path: name of the file in the table's folder, None where every message had landed before.
        size_bytes: of the file.
        stats: Delta's statistics of the file, as JSON.
        rows: how many the file holds.
        unreadable: of those, how many hold no record of ours.
    """

    ends: dict[int, int]
    path: str | None
    size_bytes: int
    stats: str
    rows: int
    unreadable: int

    def action(self, path: str) -> AddAction:
        """The entry of the table's log that makes the file part of it."""
        return AddAction(path, self.size_bytes, {}, int(time.time() * 1000), data_change=True, stats=self.stats)


@dataclass(frozen=True)
class WriteTask:
    """Writes one task's messages; handed to executors by ``mapInArrow``.

    Attributes:
        topic: the topic's name.
        topic_id: its identity.
        address: of the table.
        storage_options: of the lake; on S3 what is absent comes from the executor's environment.
        landed: by partition, the offset before which messages are in the table already.
        indexed: columns that statistics are kept of.
    """

    topic: str
    topic_id: str
    address: str
    storage_options: Mapping[str, str] = field(repr=False)
    landed: Mapping[int, int]
    indexed: Sequence[str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """One `Written` for a task that saw messages, none for another.

        Args:
            batches: with `KAFKA_COLUMNS`, each partition in order of offset.
        """
        spec, ends, unreadable = raw_table(self.topic), dict[int, int](), 0
        with TableFile(self.address, self.storage_options, spec.schema, self.indexed) as file:
            for batch in batches:
                messages = _messages(batch)
                ends |= {each.partition: each.offset + 1 for each in messages}
                fresh = [each for each in messages if each.offset >= self.landed.get(each.partition, 0)]
                if fresh:
                    rows = landing_batch(spec, self.topic_id, fresh, dict.fromkeys(ends, 0))
                    unreadable += rows.unreadable
                    file.write(rows.rows)
        if ends:
            done = Written(ends, file.path, file.size_bytes, file.stats, file.rows, unreadable)
            yield pa.RecordBatch.from_pydict({"written": pa.array([msgspec.json.encode(done)], pa.binary())})


def _messages(batch: pa.RecordBatch) -> list[Message]:
    partitions, offsets, keys, values, published = (batch.column(name) for name in KAFKA_COLUMNS)
    return [
        # A tombstone of a compacted topic has no value.
        Message(partition, offset, key, value or b"", micros)
        for partition, offset, key, value, micros in zip(
            partitions.to_pylist(),
            offsets.to_pylist(),
            keys.to_pylist(),
            values.to_pylist(),
            published.cast(pa.int64()).to_pylist(),
            strict=True,
        )
    ]


class TableFile:
    """A data file of a table, written by a process that does not commit; none is made until there are rows for it.

    Attributes:
        path: name of the file in the table's folder; None without rows.
        size_bytes: of the file; 0 until it is closed.
        rows: how many it holds.
        stats: Delta's statistics of the file, as JSON.
    """

    def __init__(self, address: str, options: Mapping[str, str], schema: pa.Schema, indexed: Sequence[str]) -> None:
        """A file that does not exist yet.

        Args:
            address: of the table.
            options: of the lake.
            schema: of the table.
            indexed: columns that statistics are kept of.
        """
        self._address, self._options, self._schema, self._indexed = address, dict(options), schema, indexed
        self._writer: pq.ParquetWriter | None = None
        self._sink: pa.NativeFile | None = None
        self._footers: list[Any] = []
        self.path: str | None = None
        self.size_bytes, self.rows, self.stats = 0, 0, ""

    def write(self, rows: pl.DataFrame) -> None:
        """Add rows that fit the schema."""
        if self._writer is None:
            self.path = f"part-{uuid.uuid4()}.snappy.parquet"
            noted = noted_columns(self._schema)
            self._sink = self._files().open_output_stream(self.path)
            self._writer = pq.ParquetWriter(
                self._sink,
                self._schema,
                compression="snappy",
                use_dictionary=noted,
                write_statistics=noted,
                metadata_collector=self._footers,
            )
        # Arrow's plain strings hold 2 GiB a batch; Spark hands out far less at once.
        self._writer.write_table(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._schema))
        self.rows += rows.height

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None or self._sink is None:
            return
        try:
            if error is None:
                self._writer.close()
                self._sink.close()
                self.size_bytes = self._files().get_file_info(self.path).size
                self.stats = _statistics(self._footers[0], self._indexed)
        finally:
            if not self.stats:
                self._abandon(self._writer, self._sink)

    def _abandon(self, writer: pq.ParquetWriter, sink: pa.NativeFile) -> None:
        """Leave nothing of a file that failed: on a full disk its room is what all wait for."""
        writer.is_open = False  # else it would try to end the file once more when it is forgotten
        for attempt in (sink.close, lambda: self._files().delete_file(self.path)):
            with suppress(OSError):
                attempt()

    def _files(self) -> FileSystem:
        if "://" not in self._address:
            # Through delta-rs every written byte would be copied into memory that must be found and cleared first.
            return SubTreeFileSystem(self._address, LocalFileSystem())
        return PyFileSystem(DeltaStorageHandler(self._address, self._options))


def _statistics(footer: Any, indexed: Sequence[str]) -> str:
    """Delta's statistics of a file, from what the Parquet writer noted of each row group."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    smallest, largest, nulls = {}, {}, {}
    for number, name in enumerate(footer.schema.names):
        if name in indexed:
            noted = [group.column(number).statistics for group in groups]
            nulls[name] = sum(each.null_count for each in noted)
            bounds = [each for each in noted if each.has_min_max]
            if bounds:
                smallest[name] = _as_json(min(each.min for each in bounds), up=False)
                largest[name] = _as_json(max(each.max for each in bounds), up=True)
    return json.dumps({"numRecords": footer.num_rows, "minValues": smallest, "maxValues": largest, "nullCount": nulls})


def _as_json(value: Any, *, up: bool) -> Any:
    """Delta writes instants in milliseconds; a bound is rounded away from the values it bounds."""
    if not isinstance(value, datetime):
        return value.isoformat() if isinstance(value, date) else value
    if up and value.microsecond % 1000:
        value += timedelta(microseconds=1000 - value.microsecond % 1000)
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
