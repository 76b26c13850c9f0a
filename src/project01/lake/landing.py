"""A topic into its raw table, each message once: the offsets stand in the commit that holds the rows.

Each partition is an application of the table's transactions, its version the offset of the next message. So where to go
on is read from the table alone, by this writer and by Spark's. delta-rs does not skip a version by itself; here rows
that are there already are left out, and rows that would leave a hole are refused.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake import Transaction as DeltaTransaction

from project01.bus import Message, decode_header
from project01.domain import Header, MessageError, TableSpec, TransactionError
from project01.lake.order import content_digest

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

    rows: pl.DataFrame
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
    partitions, offsets, keys, values, published = zip(*messages, strict=True) if messages else ((),) * 5
    ends = dict(zip(partitions, offsets, strict=True))
    spans = {partition: Span(positions[partition], last + 1) for partition, last in ends.items()}
    headers, problems = _headers(values)
    key, _ = _texts("key", keys)
    value, encoding = _texts("value", values)
    # Polars rather than pyarrow makes the columns: pyarrow would import pandas to look for its types.
    rows = pl.DataFrame(
        [
            pl.Series("topic_id", [topic_id], pl.String).new_from_index(0, len(messages)),
            pl.Series("partition", partitions, pl.Int32),
            pl.Series("offset", offsets, pl.Int64),
            _instants("published_at", published),
            key,
            *_header_columns(headers),
            encoding,
            value,
            pl.Series("problem", problems, pl.String),
        ]
    )
    return LandingBatch(rows.select(spec.schema.names), spans, sum(problem is not None for problem in problems))


def _headers(values: Sequence[bytes]) -> tuple[list[Header | None], list[str | None]]:
    headers: list[Header | None] = []
    problems: list[str | None] = []
    for value in values:
        try:
            headers.append(decode_header(value))
            problems.append(None)
        except MessageError as error:
            headers.append(None)
            problems.append(str(error))
    return headers, problems


def _header_columns(headers: Sequence[Header | None]) -> list[pl.Series]:
    """The common columns of each message, null where it could not be read."""
    # Field by field: turning rows of tuples round costs several times as much.
    values = {
        name: [None if header is None else getattr(header, name) for header in headers]
        for name in Header.__struct_fields__
    }
    return [
        *(pl.Series(name, values[name], pl.String) for name in _TEXT_FIELDS),
        *(_instants(name, values[name]) for name in _TIME_FIELDS),
        pl.Series("simulated", values["simulated"], pl.Boolean),
        pl.Series("schema_version", values["version"], pl.Int32),
    ]


def _instants(name: str, micros: Sequence[int | None]) -> pl.Series:
    return pl.Series(name, micros, pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _texts(name: str, values: Sequence[bytes | None]) -> tuple[pl.Series, pl.Series]:
    """Bytes as text, base64 where they are no UTF-8; and which it is."""
    try:
        texts = pl.Series(name, values, pl.Binary).cast(pl.String)
    except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError):
        pairs = [_text(value) for value in values]
        return (
            pl.Series(name, [text for text, _ in pairs], pl.String),
            pl.Series("encoding", [how for _, how in pairs], pl.String),
        )
    return texts, pl.Series("encoding", ["utf-8"], pl.String).new_from_index(0, len(values))


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


def refuse_holes(spans: Mapping[int, Span], landed: Mapping[int, int], name: str) -> None:
    """Refuses a batch that begins after the next message to land.

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


def rows_to_land(batch: pl.DataFrame, spans: Mapping[int, Span], landed: Mapping[int, int], name: str) -> pl.DataFrame:
    """The rows of a batch that the table does not hold yet.

    Raises:
        TransactionError: messages between what the table holds and the batch are missing.
    """
    refuse_holes(spans, landed, name)
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
