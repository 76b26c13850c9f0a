"""Records as rows of the curated tables: one table for each kind, one row for each record, nothing filled in."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    DEAD_LETTERS,
    FACTS,
    MACRO,
    NEWS,
    QUOTES,
    TRADES,
    TWEETS,
    AnyRecord,
    Bar,
    CorporateAction,
    DeadLetter,
    Fact,
    NewsItem,
    Observation,
    Quote,
    Record,
    TableSpec,
    Trade,
    Tweet,
)

TABLE_OF: dict[type[Record], TableSpec] = {
    Trade: TRADES,
    Quote: QUOTES,
    Bar: BARS,
    NewsItem: NEWS,
    Tweet: TWEETS,
    Fact: FACTS,
    Observation: MACRO,
    CorporateAction: CORPORATE_ACTIONS,
    DeadLetter: DEAD_LETTERS,
}

# Columns that go by another name in the table than in the message.
_RENAMED = {"received_at": "ingested_at", "intended_topic": "table", "payload": "raw"}
_KIND_OF_ACTION: dict[type[Record], dict[str, str]] = {CorporateAction: {"action": "kind"}}
_EXCHANGE_ZONE = "America/New_York"
_JOINED = "|"


def rows_by_table(records: Iterable[AnyRecord]) -> dict[str, pl.DataFrame]:
    """Rows of each table, in the order of the records; what lacks a required value is among the rows all the same."""
    sorted_out: dict[type[Record], list[AnyRecord]] = {}
    for record in records:
        sorted_out.setdefault(type(record), []).append(record)
    return {TABLE_OF[kind].name: _rows(kind, of_kind) for kind, of_kind in sorted_out.items()}


def incomplete(rows: pl.DataFrame, spec: TableSpec) -> pl.DataFrame:
    """Rows that lack a value their table cannot do without, with the names of what is missing in `#missing`."""
    required = [field.name for field in spec.schema if not field.nullable]
    if not any(rows[name].null_count() for name in required):
        return rows.clear().with_columns(pl.lit("").alias("#missing"))
    missing = pl.concat_str(
        [pl.when(pl.col(name).is_null()).then(pl.lit(name)) for name in required], separator=", ", ignore_nulls=True
    )
    return rows.with_columns(missing.alias("#missing")).filter(pl.col("#missing") != "")


def _rows(kind: type[Record], records: Sequence[AnyRecord]) -> pl.DataFrame:
    spec = TABLE_OF[kind]
    names = _RENAMED | _KIND_OF_ACTION.get(kind, {})
    found = {names.get(name, name): name for name in kind.__struct_fields__ if name not in {"raw", "version"}}
    wanted = [field for field in spec.schema if field.name in found]
    made = [_column(field, [getattr(record, found[field.name]) for record in records]) for field in wanted]
    frame = pl.DataFrame(made)
    if "session" in spec.schema.names and "session" not in frame.columns and "event_time" in frame.columns:
        local = pl.col("event_time").dt.convert_time_zone(_EXCHANGE_ZONE)
        frame = frame.with_columns(local.dt.date().alias("session"))
    absent = [pl.lit(None).alias(name) for name in spec.schema.names if name not in frame.columns]
    types = pl.from_arrow(spec.schema.empty_table()).schema  # type: ignore[union-attr]
    return frame.with_columns(absent).select(pl.col(name).cast(types[name]) for name in spec.schema.names)


def _column(field: pa.Field, values: Sequence[Any]) -> pl.Series:
    if pa.types.is_timestamp(field.type):
        return pl.Series(field.name, values, pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if pa.types.is_date(field.type):
        return pl.Series(field.name, values, pl.String).str.to_date("%Y-%m-%d", strict=False)
    if values and isinstance(values[0], tuple):
        values = [_JOINED.join(parts) for parts in values]
    if pa.types.is_floating(field.type):
        return pl.Series(field.name, values, pl.Float64, strict=False)
    if pa.types.is_integer(field.type):
        return pl.Series(field.name, values, pl.Int64)
    return pl.Series(field.name, values)
