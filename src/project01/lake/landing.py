"""A topic into its raw table, each message once: the offsets stand in the commit that holds the rows.

Each partition is an application of the table's transactions, its version the offset of the next message. So where to go
on is read from the table alone, by this writer and by Spark's. delta-rs does not skip a version by itself; here rows
that are there already are left out, and rows that would leave a hole are refused.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake import Transaction as DeltaTransaction

from project01.bus import Message, decode_header
from project01.domain import TIMESTAMP, Header, MessageError, TableSpec, TransactionError
from project01.lake.order import content_digest

_MICROSECONDS = pa.timestamp("us")
_TEXT_FIELDS = ("kind", "source", "source_id", "symbol", "licence")
_TIME_FIELDS = ("event_time", "knowledge_time", "received_at")


@dataclass(frozen=True)
class Span:
    """Offsets of one partition that a batch holds: from `start` to before `end`, without holes."""

    start: int
    end: int


@dataclass(frozen=True)
class LandingBatch:
    """Messages of one topic, ready for its raw table.

    Attributes:
        rows: shape (n_messages,), columns of `raw_table`.
        spans: by partition, the offsets that are in `rows` or that the bus left out on purpose (Kafka's own markers).
        unreadable: how many rows hold no record of ours; they have a `problem`.
    """

    rows: pa.Table
    spans: Mapping[int, Span]
    unreadable: int


def application(topic: str, topic_id: str, partition: int) -> str:
    """The application id under which a partition's offsets are recorded."""
    return f"{topic}-{partition}@{topic_id}"


def landing_batch(
    spec: TableSpec, topic_id: str, messages: Sequence[Message], positions: Mapping[int, int]
) -> LandingBatch:
    """Rows of messages, with the common columns read out of each; a message that cannot be read keeps its row.

    Args:
        spec: the raw table.
        topic_id: identity of the topic.
        messages: each partition in order of offset.
        positions: by partition, the offset of the first message not landed before.
    """
    ends = {message.partition: message.offset + 1 for message in messages}
    spans = {partition: Span(positions[partition], end) for partition, end in ends.items()}
    headers, problems = _headers(messages)
    values, encodings = _texts([message.value for message in messages])
    keys, _ = _texts([message.key for message in messages])
    columns = {
        "topic_id": pa.repeat(pa.scalar(topic_id), len(messages)),
        "partition": pa.array([message.partition for message in messages], pa.int32()),
        "offset": pa.array([message.offset for message in messages], pa.int64()),
        "published_at": _instants([message.published_at for message in messages]),
        "key": keys,
        **_header_columns(headers),
        "encoding": encodings,
        "value": values,
        "problem": pa.array(problems, pa.string()),
    }
    rows = pa.table([columns[name] for name in spec.schema.names], schema=spec.schema)
    return LandingBatch(rows, spans, sum(problem is not None for problem in problems))


def _headers(messages: Sequence[Message]) -> tuple[list[Header | None], list[str | None]]:
    headers: list[Header | None] = []
    problems: list[str | None] = []
    for message in messages:
        try:
            headers.append(decode_header(message.value))
            problems.append(None)
        except MessageError as error:
            headers.append(None)
            problems.append(str(error))
    return headers, problems


def _header_columns(headers: Sequence[Header | None]) -> dict[str, pa.Array]:
    """The common columns of each message, null where it could not be read."""
    fields = Header.__struct_fields__
    absent = (None,) * len(fields)
    rows = [absent if header is None else msgspec.structs.astuple(header) for header in headers]
    values = dict(zip(fields, zip(*rows, strict=True) if rows else ((),) * len(fields), strict=True))
    columns = {name: pa.array(values[name], pa.string()) for name in _TEXT_FIELDS}
    columns |= {name: _instants(values[name]) for name in _TIME_FIELDS}
    columns["simulated"] = pa.array(values["simulated"], pa.bool_())
    columns["schema_version"] = pa.array(values["version"], pa.int32())
    return columns


def _instants(micros: Sequence[int | None]) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(_MICROSECONDS).cast(TIMESTAMP)


def _texts(values: Sequence[bytes | None]) -> tuple[pa.Array, pa.Array]:
    """Bytes as text, base64 where they are no UTF-8; and which it is."""
    try:
        texts = pa.array(values, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        texts, encodings = zip(*map(_text, values), strict=True)
        return pa.array(texts, pa.string()), pa.array(encodings, pa.string())
    return texts, pa.repeat(pa.scalar("utf-8"), len(values))


def _text(value: bytes | None) -> tuple[str | None, str]:
    try:
        return (None if value is None else value.decode()), "utf-8"
    except UnicodeDecodeError:
        return b64encode(value or b"").decode(), "base64"


def landed_offsets(handle: DeltaTable | None, topic: str, topic_id: str, partitions: Sequence[int]) -> dict[int, int]:
    """By partition, the offset of the next message to land; partitions of which nothing landed are absent."""
    if handle is None:
        return {}
    found = {number: handle.transaction_version(application(topic, topic_id, number)) for number in partitions}
    return {number: version for number, version in found.items() if version is not None}


def rows_to_land(batch: pl.DataFrame, spans: Mapping[int, Span], landed: Mapping[int, int], name: str) -> pl.DataFrame:
    """The rows of a batch that the table does not hold yet.

    Raises:
        TransactionError: messages between what the table holds and the batch are missing.
    """
    for partition, span in spans.items():
        if partition in landed and landed[partition] < span.start:
            raise TransactionError(
                f"Table {name}, partition {partition}: landed up to offset {landed[partition] - 1}, and the batch "
                f"starts at {span.start}. Landing it would lose the messages between; start the landing again, it "
                f"goes on where the table stands."
            )
    if all(landed.get(partition, span.start) == span.start for partition, span in spans.items()):
        return batch
    old = pl.DataFrame({"partition": list(landed), "landed": list(landed.values())}, schema=_LANDED_SCHEMA)
    fresh = batch.join(old, on="partition", how="left", maintain_order="left")
    return fresh.filter(pl.col("offset") >= pl.col("landed").fill_null(0)).drop("landed")


_LANDED_SCHEMA = {"partition": pl.Int32(), "landed": pl.Int64()}


def check_repeated(there: pl.DataFrame, again: pl.DataFrame, spec: TableSpec) -> None:
    """Refuse a repeated offset with other content: one of the two is not what was published.

    Args:
        there: rows of the table.
        again: rows of the batch at the same offsets.
        spec: the raw table.

    Raises:
        TransactionError: they differ.
    """
    shared = [*spec.key, "value"]
    again = again.join(there, on=list(spec.key), how="semi").select(shared)
    if content_digest(there.select(shared), spec.key) != content_digest(again, spec.key):
        raise TransactionError(
            f"Table {spec.name} holds other messages at offsets that were read again from the bus. Offsets never "
            f"change their message; find out which program wrote to the table, or restored an old copy of the bus."
        )


def landing_commit(topic: str, topic_id: str, spans: Mapping[int, Span]) -> CommitProperties:
    """Records, in the commit of the rows, the offsets that are then landed."""
    return CommitProperties(
        app_transactions=[
            DeltaTransaction(application(topic, topic_id, partition), span.end) for partition, span in spans.items()
        ]
    )
