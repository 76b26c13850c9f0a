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
    # Under whose terms the row was obtained, see `licences`; null: the user's own data.
    pa.field("licence", pa.string()),
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
# session's close. Null open, high, low or volume: the source carries closes only; nothing is made up. A null close:
# no trade of the bar may set a price, or all were cancelled; the gate lets no daily bar pass without a close.
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
    pa.field("close", pa.float64()),
    pa.field("adj_close", pa.float64()),
    pa.field("volume", pa.float64()),
    pa.field("vwap", pa.float64()),
    pa.field("trades", pa.int64()),
    pa.field("adjusted", pa.string()),
)

# One print. conditions: the vendor's sale-condition codes joined by "|". A cancel or correct names the print it
# changes in refers_to and counts from its own knowledge_time.
TRADES = _record(
    "trades",
    ("source", "source_id"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("session", pa.date32(), nullable=False),
    pa.field("price", pa.float64(), nullable=False),
    pa.field("size", pa.float64(), nullable=False),
    pa.field("exchange", pa.string()),
    pa.field("conditions", pa.string(), nullable=False),
    pa.field("sequence", pa.int64()),
    pa.field("tape", pa.string()),
    pa.field("action", pa.string(), nullable=False),
    pa.field("refers_to", pa.string()),
)

# Prints that came after the time in which bars are revised; the bars do without them.
LATE = TableSpec("late", pa.schema([*TRADES.schema, pa.field("reason", pa.string(), nullable=False)]), TRADES.key)

QUOTES = _record(
    "quotes",
    ("source", "source_id"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("session", pa.date32(), nullable=False),
    pa.field("bid", pa.float64()),
    pa.field("bid_size", pa.float64()),
    pa.field("ask", pa.float64()),
    pa.field("ask_size", pa.float64()),
    pa.field("bid_exchange", pa.string()),
    pa.field("ask_exchange", pa.string()),
    pa.field("conditions", pa.string(), nullable=False),
    pa.field("sequence", pa.int64()),
)

# relevance 0 to 1, sentiment -1 to 1, novelty 0 to 1 (1: first of its kind), as the vendor judged them.
# symbols: all that are named, joined by "|". action retract: the vendor withdrew the story.
NEWS = _record(
    "news",
    ("source", "source_id"),
    pa.field("symbol", pa.string()),
    pa.field("headline", pa.string(), nullable=False),
    pa.field("body", pa.string()),
    pa.field("url", pa.string()),
    pa.field("publisher", pa.string()),
    pa.field("language", pa.string()),
    pa.field("symbols", pa.string()),
    pa.field("entity_id", pa.string()),
    pa.field("category", pa.string()),
    pa.field("relevance", pa.float64()),
    pa.field("sentiment", pa.float64()),
    pa.field("novelty", pa.float64()),
    pa.field("action", pa.string()),
)

TWEETS = _record(
    "tweets",
    ("source", "source_id"),
    pa.field("symbol", pa.string()),
    pa.field("text", pa.string(), nullable=False),
    pa.field("author", pa.string()),
    pa.field("language", pa.string()),
    pa.field("cashtags", pa.string()),
    pa.field("symbols", pa.string()),
    pa.field("reposts", pa.string()),
    pa.field("followers", pa.int64()),
    pa.field("author_verified", pa.bool_()),
    pa.field("retweets", pa.int64()),
    pa.field("likes", pa.int64()),
    pa.field("action", pa.string()),
)

# One reported number of one filing: concept such as NetIncomeLoss, value in `unit`. period_start is null for numbers
# of an instant (a balance sheet's). fiscal_year and fiscal_period describe the filing.
FACTS = _record(
    "facts",
    ("source", "symbol", "concept", "unit", "period_end", "period_start"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("concept", pa.string(), nullable=False),
    pa.field("period_end", pa.date32(), nullable=False),
    pa.field("period_start", pa.date32()),
    pa.field("fiscal_year", pa.int64()),
    pa.field("fiscal_period", pa.string()),
    pa.field("form", pa.string()),
    pa.field("accession", pa.string()),
    pa.field("value", pa.float64(), nullable=False),
    pa.field("unit", pa.string(), nullable=False),
)

# One value of a macro or market series (VIX in index points, yields as fractions: 0.0239 is 2.39 %).
# A revision is a row of the same period with a later knowledge_time. A null value: missing in that vintage.
# symbol: where a series exists once for each company.
MACRO = _record(
    "macro",
    ("source", "series_id", "symbol", "period"),
    pa.field("series_id", pa.string(), nullable=False),
    pa.field("symbol", pa.string()),
    pa.field("period", pa.date32(), nullable=False),
    pa.field("value", pa.float64()),
    pa.field("unit", pa.string()),
)

# kind: split (ratio = new shares for one old), dividend (amount in `currency` a share), rename, halt, delisting.
CORPORATE_ACTIONS = _record(
    "corporate_actions",
    ("source", "symbol", "kind", "effective"),
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("effective", pa.date32(), nullable=False),
    pa.field("ratio", pa.float64()),
    pa.field("amount", pa.float64()),
    pa.field("currency", pa.string()),
    pa.field("new_symbol", pa.string()),
)

# What could not be accepted, whole, with the reason. `raw` is the row as JSON text, or a vendor's payload as it came,
# in base64 where `encoding` says so; `dataset` tells which parser to run again.
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
            pa.field("encoding", pa.string()),
            pa.field("dataset", pa.string()),
            pa.field("licence", pa.string()),
            pa.field("ingested_at", TIMESTAMP, nullable=False),
            pa.field("simulated", pa.bool_(), nullable=False),
        ]
    ),
    ("source", "source_id", "reason"),
)

# What a topic brought, one row a message, as it came: `value` is the message (base64 where it is no UTF-8 text). The
# other columns are read from it; where it could not be read they are null and `problem` says why.
# topic_id: the topic's identity on its bus, so that offsets of a topic made anew are not mistaken for old ones.
_RAW_SCHEMA = pa.schema(
    [
        pa.field("topic_id", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("published_at", TIMESTAMP, nullable=False),
        pa.field("key", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("source", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("symbol", pa.string()),
        pa.field("event_time", TIMESTAMP),
        pa.field("knowledge_time", TIMESTAMP),
        pa.field("received_at", TIMESTAMP),
        pa.field("simulated", pa.bool_()),
        pa.field("licence", pa.string()),
        pa.field("schema_version", pa.int32()),
        pa.field("encoding", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("problem", pa.string()),
    ]
)


def raw_table(topic: str) -> TableSpec:
    """The landing table of one topic."""
    return TableSpec(f"raw_{topic}", _RAW_SCHEMA, ("topic_id", "partition", "offset"))


TABLES = {
    spec.name: spec
    for spec in (BARS, TRADES, QUOTES, LATE, NEWS, TWEETS, FACTS, MACRO, CORPORATE_ACTIONS, DEAD_LETTERS)
}


def conform(table: pa.Table, schema: pa.Schema, *, where: str) -> pa.Table:
    """`table` with exactly the columns, order and types of `schema`; nullable columns may be absent.

    Args:
        table: any Arrow table.
        schema: what the lake table holds.
        where: named in the error, e.g. the file read.
    Raises:
        SchemaError: a required column is missing, holds nulls or cannot be cast without loss.
    """
    # Arrow makes its list of names anew each time it is asked.
    present = table.column_names
    missing = [f.name for f in schema if f.name not in present and not f.nullable]
    if missing:
        raise SchemaError(
            f"{where}: missing column(s) {', '.join(missing)}; found {', '.join(present)}; "
            f"expected {', '.join(schema.names)}."
        )
    columns = []
    for field in schema:
        if field.name not in present:
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
