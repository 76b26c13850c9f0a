"""What Spark's executors do for the feature table, in Arrow: read files, work on blocks and slices, write files."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from project01.domain import BARS
from project01.etl import (
    Context,
    Feature,
    ShippedFeatures,
    block_features,
    block_moves,
    compared_names,
    prepare_bars,
    slice_comparisons,
    slice_means,
)
from project01.ingest import INDEX_SOURCE
from project01.lake import DataFile, TableFiles, written_file
from project01.pipelines.feature_build import Content, features_spec
from project01.pipelines.ingest import DAILY
from project01.pipelines.market import first_published

PRICES = ("open", "high", "low", "close", "adj_close", "volume", "vwap")
BLOCK, SLICE = "block", "slice"
INDEXED = ("symbol", "session", "event_time", "knowledge_time")
# What tasks hand to each other, as Spark writes schemas.
READ = "source string, symbol string, interval string, session date, event_time timestamp, knowledge_time timestamp"
READ += "".join(f", {name} double" for name in PRICES)
SUMMARY = "symbol string, rows long, session date, knowledge_time timestamp"
SUMMARY += "".join(f", {name} boolean" for name in PRICES if name != "adj_close")
MOVES = "symbol string, session date, knowledge_time timestamp, move double"
MEANS = "session date, knowledge_time timestamp, mean double"
WRITTEN = f"file binary, {SUMMARY.partition(', open')[0]}, content string, state binary"

Given_co = TypeVar("Given_co", covariant=True)
ArrowTask = Callable[[pa.Table], pa.Table]


class Shared(Protocol[Given_co]):
    """A broadcast variable: sent once to each executor, unpacked once in each of its processes."""

    @property
    def value(self) -> Given_co:
        """What was sent."""


@dataclass(frozen=True)
class Known:
    """What every task of a build is given.

    Attributes:
        as_of: nothing known later counts.
        breaks: where instruments begin anew.
        chosen: the features.
        context: what is known beside the bars.
        table: address of the feature table.
        options: of the lake.
    """

    as_of: datetime
    breaks: pl.DataFrame
    chosen: ShippedFeatures
    context: Context
    table: str
    options: Mapping[str, str]

    def bars(self, rows: pa.Table) -> pl.DataFrame:
        """Prepared bars of whole instruments, as `read_bars` makes them."""
        return prepare_bars(first_published(_frame(rows).lazy(), self.as_of), self.breaks)


def _frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(rows)


def _arrow(rows: pl.DataFrame) -> pa.Table:
    """Spark's texts have offsets of 32 bits."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = (field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field for field in table.schema)
    return table.cast(pa.schema(plain))


@dataclass(frozen=True)
class ReadTask:
    """Reads daily bars, but for those of the index, out of the files it is told; for ``mapInArrow``."""

    files: TableFiles
    as_of: datetime

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `READ`; each batch names files in its column ``path``."""
        instant = pa.scalar(self.as_of, BARS.schema.field("knowledge_time").type)
        wanted = (
            (pc.field("interval") == DAILY) & (pc.field("source") != INDEX_SOURCE)
            & (pc.field("knowledge_time") <= instant)
        )  # fmt: skip
        columns = ["source", "symbol", "interval", *INDEXED[1:], *PRICES]
        form = pa.schema([BARS.schema.field(name) for name in columns])
        for batch in batches:
            paths = batch.column("path").to_pylist()
            for rows in self.files.batches(paths, columns, wanted):
                if rows.num_rows:
                    yield rows.cast(form)


def summary_task(known: Shared[Known]) -> ArrowTask:
    """Of a block: `SUMMARY`, one row an instrument."""

    def run(rows: pa.Table) -> pa.Table:
        prices = [name for name in PRICES if name != "adj_close"]
        found = known.value.bars(rows).group_by("symbol", maintain_order=True).agg(
            pl.len().cast(pl.Int64).alias("rows"), pl.col("session", "knowledge_time").last(),
            *(pl.col(name).is_not_null().any() for name in prices),
        )  # fmt: skip
        return _arrow(found)

    return run


def moves_task(known: Shared[Known]) -> ArrowTask:
    """Of a block: `MOVES`."""
    return lambda rows: _arrow(block_moves(known.value.bars(rows)))


def means_task(rows: pa.Table) -> pa.Table:
    """Of a slice of moves: `MEANS`."""
    return _arrow(slice_means(_frame(rows)))


def compared_task(known: Shared[Known], means: Shared[pl.DataFrame | None]) -> ArrowTask:
    """Of a block: symbol, session, knowledge_time and the features that cross-sections compare."""

    def run(rows: pa.Table) -> pa.Table:
        features = known.value.chosen.load()
        names = compared_names(features)
        bars = known.value.bars(rows)
        found = block_features(bars, features, known.value.context, means.value, names).rows
        found = found.select("symbol", "session", "knowledge_time", *names)
        return _arrow(found.with_columns(pl.lit(rows.column(BLOCK)[0].as_py(), pl.Int32).alias(BLOCK)))

    return run


def comparison_task(known: Shared[Known]) -> ArrowTask:
    """Of a slice of compared features: symbol, session and the cross-sections."""

    def run(rows: pa.Table) -> pa.Table:
        features = known.value.chosen.load()
        given = _frame(rows)
        found = slice_comparisons(given, features, known.value.context.industries)
        blocks = given.select("symbol", BLOCK).unique("symbol")
        return _arrow(found.join(blocks, on="symbol", maintain_order="left"))

    return run


def write_task(known: Shared[Known], means: Shared[pl.DataFrame | None]) -> ArrowTask:
    """Of a block: its features to one file of the table; `WRITTEN`, a row of the file, then one an instrument."""
    # Spark counts the parameters of what it calls, so these are functions and no callable objects.
    return lambda rows: _write(known.value, means.value, rows, None)


def joined_write_task(
    known: Shared[Known], means: Shared[pl.DataFrame | None]
) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """As `write_task`, with the cross-sections of the block's rows."""
    return lambda rows, compared: _write(known.value, means.value, rows, _frame(compared))


def _write(known: Known, means: pl.DataFrame | None, rows: pa.Table, compared: pl.DataFrame | None) -> pa.Table:
    features = known.chosen.load()
    block = block_features(known.bars(rows), features, known.context, means)
    found = block.rows
    if compared is not None:
        found = found.join(compared, on=["symbol", "session"], how="left", maintain_order="left")
    names = [feature.name for feature in features]
    spec = features_spec(names)
    found = found.select(spec.schema.names)
    file = written_file(known.table, known.options, spec, [found], INDEXED)
    return _written(file, found, block.states, names)


def _written(file: DataFile | None, found: pl.DataFrame, states: Mapping[str, Any], names: list[str]) -> pa.Table:
    rows: list[dict[str, Any]] = [] if file is None else [{"file": msgspec.json.encode(file)}]
    for (symbol,), own in found.partition_by("symbol", as_dict=True, maintain_order=True).items():
        content = Content(names)
        content.add(own)
        rows.append({
            "symbol": symbol, "rows": own.height, "session": own["session"][-1],
            "knowledge_time": own["knowledge_time"][-1], "content": content.hexdigest(),
            "state": states[symbol].astype("<f8").tobytes(),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=WRITTEN_SCHEMA)


WRITTEN_SCHEMA = pa.schema(
    [
        ("file", pa.binary()),
        ("symbol", pa.string()),
        ("rows", pa.int64()),
        ("session", pa.date32()),
        ("knowledge_time", pa.timestamp("us", "UTC")),
        ("content", pa.string()),
        ("state", pa.binary()),
    ]
)


def content_of_all(contents: Mapping[str, str]) -> str:
    """SHA-256 over the contents of all instruments; it does not hang on blocks."""
    return hashlib.sha256("\n".join(f"{symbol} {contents[symbol]}" for symbol in sorted(contents)).encode()).hexdigest()


def comparison_schema(features: tuple[Feature, ...]) -> tuple[str, str]:
    """Schemas of `compared_task` and of `comparison_task`."""
    across = [feature.name for feature in features if feature.kind == "cross_section"]
    compared = "".join(f", {name} float" for name in compared_names(features))
    return (
        f"symbol string, session date, knowledge_time timestamp{compared}, {BLOCK} int",
        "symbol string, session date" + "".join(f", {name} float" for name in across) + f", {BLOCK} int",
    )
