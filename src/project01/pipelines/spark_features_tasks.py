"""What Spark's executors do for the feature table, in Arrow: read files, work on blocks and slices, write files."""

import hashlib
import io
import zlib
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
from project01.pipelines.feature_build import INDEXED, Content, features_spec
from project01.pipelines.ingest import DAILY
from project01.pipelines.market import first_published

PRICES = ("open", "high", "low", "close", "adj_close", "volume", "vwap")
PLACE = "place"
# What tasks hand to each other, as Spark writes schemas. Rows travel packed, many to one of Spark's: it would else turn
# each value into one of Java's and back at every step. `place` is the number of a block of whole instruments, or of a
# slice of whole sessions.
PACKED = f"{PLACE} int, rows binary"
SUMMARY = "symbol string, rows long, session date, knowledge_time timestamp"
SUMMARY += "".join(f", {name} boolean" for name in PRICES if name != "adj_close")
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


def _arrow(rows: pl.DataFrame) -> pa.Table:
    """Spark's texts have offsets of 32 bits."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = (field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field for field in table.schema)
    return table.cast(pa.schema(plain))


def packed(rows: pl.DataFrame, place: pl.Expr) -> pa.Table:
    """`PACKED`: the rows by place."""
    parts = rows.with_columns(place.cast(pl.Int32).alias(PLACE)).partition_by(PLACE, as_dict=True, include_key=False)
    places, contents = [place for (place,) in parts], [_bytes(part) for part in parts.values()]
    return pa.table({PLACE: pa.array(places, pa.int32()), "rows": pa.array(contents, pa.binary())})


def _bytes(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def unpacked(table: pa.Table) -> pl.DataFrame:
    """The rows of `PACKED`, without their place."""
    return pl.concat(pl.read_ipc(io.BytesIO(part)) for part in table.column("rows").to_pylist())


@dataclass(frozen=True)
class Mapped:
    """A task for ``mapInArrow``, done on each packed block."""

    task: ArrowTask

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What the task gives."""
        for batch in batches:
            for number in range(batch.num_rows):
                yield from self.task(pa.Table.from_batches([batch.slice(number, 1)])).to_batches()


@dataclass(frozen=True)
class ReadTask:
    """Reads daily bars, but for those of the index, out of the files it is told; for ``mapInArrow``."""

    files: TableFiles
    as_of: datetime
    blocks: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """`PACKED` by blocks; each batch names files in its column ``path``."""
        instant = pa.scalar(self.as_of, BARS.schema.field("knowledge_time").type)
        wanted = (
            (pc.field("interval") == DAILY) & (pc.field("source") != INDEX_SOURCE)
            & (pc.field("knowledge_time") <= instant)
        )  # fmt: skip
        columns = ["source", "symbol", "interval", *INDEXED[1:], *PRICES]
        for batch in batches:
            for rows in self.files.batches(batch.column("path").to_pylist(), columns, wanted):
                if rows.num_rows:
                    yield from packed(pl.DataFrame(rows), self._block(pl.DataFrame(rows)["symbol"])).to_batches()

    def _block(self, symbols: pl.Series) -> pl.Expr:
        names = symbols.unique()
        # Polars' own hash may change from release to release, and executors may differ from each other.
        numbers = [zlib.crc32(name.encode()) % self.blocks for name in names]
        return pl.col("symbol").replace_strict(names, pl.Series(numbers))


def prepare_task(known: Shared[Known]) -> ArrowTask:
    """Of a block's bars, from all files: prepared bars, as `read_bars` makes them; packed."""

    def run(rows: pa.Table) -> pa.Table:
        bars = prepare_bars(first_published(unpacked(rows).lazy(), known.value.as_of), known.value.breaks)
        return packed(bars, pl.lit(rows.column(PLACE)[0].as_py()))

    return run


def summary_task(rows: pa.Table) -> pa.Table:
    """Of a block: `SUMMARY`, one row an instrument."""
    prices = [name for name in PRICES if name != "adj_close"]
    found = unpacked(rows).group_by("symbol", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col("session", "knowledge_time").last(),
        *(pl.col(name).is_not_null().any() for name in prices),
    )  # fmt: skip
    return _arrow(found)


def _slice_of(slices: int) -> pl.Expr:
    return pl.col("session").to_physical() % slices


def moves_task(slices: int) -> ArrowTask:
    """Of a block: rows of `block_moves`, packed by slices."""
    return lambda rows: packed(block_moves(unpacked(rows)), _slice_of(slices))


def means_task(rows: pa.Table) -> pa.Table:
    """Of a slice of moves: `MEANS`."""
    return _arrow(slice_means(unpacked(rows)))


def compared_task(known: Shared[Known], means: Shared[pl.DataFrame | None], slices: int) -> ArrowTask:
    """Of a block: symbol, session, knowledge_time and the features that are compared, packed by slices."""

    def run(rows: pa.Table) -> pa.Table:
        features = known.value.chosen.load()
        names = compared_names(features)
        found = block_features(unpacked(rows), features, known.value.context, means.value, names).rows
        block = pl.lit(rows.column(PLACE)[0].as_py(), pl.Int32).alias("block")
        return packed(found.select("symbol", "session", "knowledge_time", *names, block), _slice_of(slices))

    return run


def comparison_task(known: Shared[Known]) -> ArrowTask:
    """Of a slice of compared features: symbol, session and the cross-sections, packed by blocks."""

    def run(rows: pa.Table) -> pa.Table:
        given = unpacked(rows)
        found = slice_comparisons(given, known.value.chosen.load(), known.value.context.industries)
        blocks = given.select("symbol", "block").unique("symbol")
        return packed(found.join(blocks, on="symbol", maintain_order="left"), pl.col("block"))

    return run


def write_task(known: Shared[Known], means: Shared[pl.DataFrame | None]) -> ArrowTask:
    """Of a block: its features to one file of the table; `WRITTEN`, a row of the file, then one an instrument."""
    # Spark counts the parameters of what it calls, so these are functions and no callable objects.
    return lambda rows: _write(known.value, means.value, unpacked(rows), None)


def joined_write_task(
    known: Shared[Known], means: Shared[pl.DataFrame | None]
) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """As `write_task`, with the cross-sections of the block's rows."""
    return lambda rows, compared: _write(known.value, means.value, unpacked(rows), unpacked(compared))


def _write(known: Known, means: pl.DataFrame | None, bars: pl.DataFrame, compared: pl.DataFrame | None) -> pa.Table:
    features = known.chosen.load()
    block = block_features(bars, features, known.context, means)
    found = block.rows
    if compared is not None:
        found = found.join(compared.drop("block"), on=["symbol", "session"], how="left", maintain_order="left")
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
