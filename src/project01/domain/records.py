"""Arrow schemas of every lake table, each row with its two clocks.

`event_time` is when a thing happened, `knowledge_time` when it could first be known; both UTC, microseconds.
`ingested_at` is our own clock, for audit only; no feature, label or forecast may depend on it.
For history that is backfilled, `knowledge_time` is the publication time, never the download time.
"""

from dataclasses import dataclass

import pyarrow as pa

from project01.domain.errors import SchemaError

TIMESTAMP = pa.timestamp("us", tz="UTC")

RECORD_FIELDS = (
    pa.field("source", pa.string(), nullable=False),
    pa.field("source_id", pa.string(), nullable=False),
    pa.field("event_time", TIMESTAMP, nullable=False),
    pa.field("knowledge_time", TIMESTAMP, nullable=False),
    pa.field("ingested_at", TIMESTAMP, nullable=False),
    pa.field("simulated", pa.bool_(), nullable=False),
)


@dataclass(frozen=True)
class TableSpec:
    """One lake table.

    Attributes:
        name: folder name under the lake's root.
        schema: Arrow schema, the record fields first.
        key: columns that name one fact; rows with equal key are versions of it, told apart by `knowledge_time`.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]


def _record(name: str, key: tuple[str, ...], *fields: pa.Field) -> TableSpec:
    return TableSpec(name, pa.schema([*RECORD_FIELDS, *fields]), key)


# Prices in USD (or the listing currency), volume in shares. A daily bar's event_time and knowledge_time are its
# session's close. Null open, high, low or volume: the source carries closes only; nothing is made up.
# adj_close: the vendor's close adjusted for splits and dividends; only the ratio of two neighbours is used.
BARS = _record(
    "bars",
    ("source", "symbol", "interval", "event_time"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("interval", pa.string(), nullable=False),
    pa.field("session", pa.date32(), nullable=False),
    pa.field("open", pa.float64()),
    pa.field("high", pa.float64()),
    pa.field("low", pa.float64()),
    pa.field("close", pa.float64(), nullable=False),
    pa.field("adj_close", pa.float64()),
    pa.field("volume", pa.float64()),
)

NEWS = _record(
    "news",
    ("source", "source_id"),
    pa.field("symbol", pa.string()),
    pa.field("headline", pa.string(), nullable=False),
    pa.field("body", pa.string()),
    pa.field("url", pa.string()),
)

TWEETS = _record(
    "tweets",
    ("source", "source_id"),
    pa.field("symbol", pa.string()),
    pa.field("text", pa.string(), nullable=False),
    pa.field("author", pa.string()),
)

# One reported number of one filing: concept such as NetIncomeLoss, value in `unit`.
FACTS = _record(
    "facts",
    ("source", "symbol", "concept", "period_end"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("concept", pa.string(), nullable=False),
    pa.field("period_end", pa.date32(), nullable=False),
    pa.field("form", pa.string()),
    pa.field("value", pa.float64(), nullable=False),
    pa.field("unit", pa.string(), nullable=False),
)

# One value of a macro or market series (VIX in index points, yields as fractions: 0.0239 is 2.39 %).
# A revision is a row of the same period with a later knowledge_time.
MACRO = _record(
    "macro",
    ("source", "series_id", "period"),
    pa.field("series_id", pa.string(), nullable=False),
    pa.field("period", pa.date32(), nullable=False),
    pa.field("value", pa.float64(), nullable=False),
)

# kind: split (ratio = new shares for one old), dividend (amount in USD a share), halt, delisting.
CORPORATE_ACTIONS = _record(
    "corporate_actions",
    ("source", "symbol", "kind", "effective"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("effective", pa.date32(), nullable=False),
    pa.field("ratio", pa.float64()),
    pa.field("amount", pa.float64()),
)

# What could not be accepted, whole, with the reason. `raw` is the row as JSON text.
DEAD_LETTERS = TableSpec(
    "dead_letters",
    pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            pa.field("source_id", pa.string(), nullable=False),
            pa.field("table", pa.string(), nullable=False),
            pa.field("symbol", pa.string()),
            pa.field("session", pa.date32()),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("detail", pa.string(), nullable=False),
            pa.field("raw", pa.string(), nullable=False),
            pa.field("ingested_at", TIMESTAMP, nullable=False),
            pa.field("simulated", pa.bool_(), nullable=False),
        ]
    ),
    ("source", "source_id", "reason"),
)

TABLES = {spec.name: spec for spec in (BARS, NEWS, TWEETS, FACTS, MACRO, CORPORATE_ACTIONS, DEAD_LETTERS)}


def conform(table: pa.Table, schema: pa.Schema, *, where: str) -> pa.Table:
    """`table` with exactly the columns, order and types of `schema`; nullable columns may be absent.

    Args:
        table: any Arrow table.
        schema: what the lake table holds.
        where: named in the error, e.g. the file read.
    Raises:
        SchemaError: a required column is missing, holds nulls or cannot be cast without loss.
    """
    missing = [f.name for f in schema if f.name not in table.column_names and not f.nullable]
    if missing:
        raise SchemaError(
            f"{where}: missing column(s) {', '.join(missing)}; found {', '.join(table.column_names)}; "
            f"expected {', '.join(schema.names)}."
        )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(
                f"{where}: column {field.name} is {column.type}, which cannot become {field.type}: {error}"
            ) from error
        if not field.nullable and column.null_count:
            raise SchemaError(f"{where}: column {field.name} holds {column.null_count} nulls; it may hold none.")
        columns.append(column)
    return pa.table(columns, schema=schema)
