"""From raw tables to curated ones: bars, trades, quotes, news, tweets, facts, macro vintages, corporate actions.

Curated tables are sets of rows made by a pure function of the raw messages, so doing it again, in pieces or at once,
gives the same content. How far each partition has been curated stands in a small table of its own; a crash between the
two repeats a piece, which changes nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from project01.bus import decode
from project01.domain import (
    DEAD_LETTERS,
    TABLES,
    TIMESTAMP,
    AnyRecord,
    DeadLetter,
    MessageError,
    TableSpec,
    Tweet,
    raw_table,
)
from project01.lake.curation_rows import incomplete, rows_by_table
from project01.lake.erasure import honour_deletions
from project01.lake.lake import Lake
from project01.lake.union import add_to_set

_LOG = logging.getLogger(__name__)

# Where curation goes on; the largest next_offset of a partition counts.
CURATED = TableSpec(
    "curated",
    pa.schema(
        [
            pa.field("topic", pa.string(), nullable=False),
            pa.field("topic_id", pa.string(), nullable=False),
            pa.field("partition", pa.int32(), nullable=False),
            pa.field("next_offset", pa.int64(), nullable=False),
            pa.field("ingested_at", TIMESTAMP, nullable=False),
        ]
    ),
    ("topic", "topic_id", "partition", "next_offset"),
)
_TEND_EVERY = 32
_SMALL_FILES = 32


@dataclass
class CurationCounts:
    """What became of raw messages.

    Attributes:
        messages: how many were read.
        added: rows added, by table.
        known: rows that were there already, by table.
        refused: messages that became no row of their table; they are in `dead_letters`.
        erased: rows deleted because their author or the platform took the post back.
        rows: rows of these messages, by table, for what is computed from them; those that were there already too, as
            a crash may have come before anything was computed from them.
    """

    messages: int = 0
    added: dict[str, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    erased: int = 0
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stretch:
    """Messages of one partition from offset `start` to before `end`."""

    topic_id: str
    partition: int
    start: int
    end: int

    def holds(self) -> pl.Expr:
        within = pl.col("offset").is_between(self.start, self.end, closed="left")
        return (pl.col("topic_id") == self.topic_id) & (pl.col("partition") == self.partition) & within


class Curator:
    """Curates topics of one lake into the same or another one.

    Args:
        raw: the lake with the raw tables.
        curated: where the curated tables go; another lake than `raw` rebuilds them beside those that are there.
        rows: messages taken at once; bounds the memory needed.
    """

    def __init__(self, raw: Lake, curated: Lake | None = None, *, rows: int = 200_000) -> None:
        self._raw, self._curated, self._rows = raw, curated or raw, rows

    def run(self, topic: str) -> Iterator[CurationCounts]:
        """Curate all that has landed and was not curated yet, piece by piece.

        A piece counts as done when the next one is asked for: what is computed from its rows must be there before.

        Raises:
            LakeError: a table cannot be read or written; the pieces before are done.
        """
        rounds = 0
        while pieces := self._pieces(topic):
            for piece in pieces:
                rows = self._read(topic, piece)
                if rows.height:
                    yield self._curate(topic, rows)
                    self._note(topic, rows)
                rounds += 1
                if rounds % _TEND_EVERY == 0:
                    self._tend()
        # Whoever follows a topic comes here with one small piece after another.
        if rounds % _TEND_EVERY:
            self._tend()

    def _tend(self) -> None:
        for name in (CURATED.name, *TABLES):
            if self._curated.small_files(name) >= _SMALL_FILES:
                self._curated.compact(name)

    def _pieces(self, topic: str) -> list[list[_Stretch]]:
        """What is to be done, in pieces of at most so many messages; a partition is done before the next begins."""
        spec = raw_table(topic)
        if not self._raw.exists(spec.name):
            return []
        done = self._done(topic)
        fresh = self._raw.scan(spec.name).filter(_beyond(done)) if done else self._raw.scan(spec.name)
        offset = pl.col("offset")
        ends = fresh.group_by("topic_id", "partition").agg(offset.min().alias("first"), offset.max().alias("last"))
        pieces: list[list[_Stretch]] = []
        room = 0
        for topic_id, partition, first, last in ends.sort("topic_id", "partition").collect().rows():
            start = first
            while start <= last:
                if not room:
                    pieces.append([])
                    room = self._rows
                end = min(start + room, last + 1)
                pieces[-1].append(_Stretch(topic_id, partition, start, end))
                room -= end - start
                start = end
        return pieces

    def _read(self, topic: str, piece: Sequence[_Stretch]) -> pl.DataFrame:
        columns = ["topic_id", "partition", "offset", "published_at", "value", "encoding", "problem", "simulated"]
        rows = self._raw.scan(raw_table(topic).name).select(columns)
        within = pl.any_horizontal(stretch.holds() for stretch in piece)
        return rows.filter(within).collect().sort("topic_id", "partition", "offset")

    def _done(self, topic: str) -> dict[tuple[str, int], int]:
        if not self._curated.exists(CURATED.name):
            return {}
        rows = self._curated.scan(CURATED.name).filter(pl.col("topic") == topic)
        newest = rows.group_by("topic_id", "partition").agg(pl.col("next_offset").max()).collect()
        return {(topic_id, number): offset for topic_id, number, offset in newest.rows()}

    def _curate(self, topic: str, piece: pl.DataFrame) -> CurationCounts:
        counts = CurationCounts(messages=piece.height)
        records, refused = _decoded(piece, topic)
        if topic in {Tweet.topic, DeadLetter.topic}:
            counts.erased = honour_deletions(self._raw, self._curated, records)
        tables = rows_by_table(records)
        letters = [refused, tables.pop(DEAD_LETTERS.name, refused.clear())]
        for name, rows in tables.items():
            bad = incomplete(rows, TABLES[name])
            letters.append(_as_letters(bad, name))
            named = ["source", "source_id"]
            good = rows.join(bad.select(named), on=named, how="anti") if bad.height else rows
            self._add(TABLES[name], good, counts)
            counts.refused += bad.height
        counts.refused += refused.height
        self._add(DEAD_LETTERS, pl.concat(letters), counts)
        _LOG.debug("curated %d messages of %s: %s", counts.messages, topic, counts.added)
        return counts

    def _add(self, spec: TableSpec, rows: pl.DataFrame, counts: CurationCounts) -> None:
        if not rows.height:
            return
        done, _ = add_to_set(self._curated, spec, rows)
        counts.added[spec.name], counts.known[spec.name] = done.added, done.known
        counts.rows[spec.name] = rows

    def _note(self, topic: str, piece: pl.DataFrame) -> None:
        reached = piece.group_by("topic_id", "partition").agg((pl.col("offset").max() + 1).alias("next_offset"))
        rows = reached.with_columns(pl.lit(topic).alias("topic"))
        add_to_set(self._curated, CURATED, rows.select("topic", "topic_id", "partition", "next_offset"))


def _beyond(done: dict[tuple[str, int], int]) -> pl.Expr:
    """Messages that were not curated yet."""
    known = pl.lit(value=False)
    for (topic_id, partition), offset in done.items():
        known = known | (
            (pl.col("topic_id") == topic_id) & (pl.col("partition") == partition) & (pl.col("offset") < offset)
        )
    return ~known


def _decoded(piece: pl.DataFrame, topic: str) -> tuple[list[AnyRecord], pl.DataFrame]:
    """Records of a piece, and dead letters of the messages that hold none."""
    records: list[AnyRecord] = []
    problems: list[str | None] = []
    for value, problem in piece.select("value", "problem").iter_rows():
        try:
            records.append(decode(value))
            problems.append(None)
        except MessageError as error:
            problems.append(problem or str(error))
    refused = piece.with_columns(pl.Series("detail", problems, pl.String)).filter(pl.col("detail").is_not_null())
    place = pl.concat_str(pl.lit(f"{topic}-"), "partition", pl.lit("-"), "offset", pl.lit("@"), "topic_id")
    letters = refused.select(
        pl.lit("bus").alias("source"),
        place.alias("source_id"),
        pl.lit(topic).alias("table"),
        pl.lit("unreadable").alias("reason"),
        "detail",
        pl.col("value").alias("raw"),
        "encoding",
        pl.col("published_at").alias("ingested_at"),
        pl.col("simulated").fill_null(value=False),
    )
    return records, _letters(letters)


def _as_letters(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows that lack a required value, whole, as dead letters."""
    content = [name for name in rows.columns if name not in {"#missing", "ingested_at"}]
    return _letters(
        rows.select(
            pl.col("source").fill_null(""),
            pl.col("source_id").fill_null(""),
            pl.lit(table).alias("table"),
            (pl.col("symbol") if "symbol" in rows.columns else pl.lit(None, pl.String)).alias("symbol"),
            pl.lit("schema").alias("reason"),
            pl.concat_str(pl.lit("missing or unreadable: "), "#missing").alias("detail"),
            pl.struct(content).struct.json_encode().alias("raw"),
            pl.lit("utf-8").alias("encoding"),
            "licence",
            "simulated",
            "ingested_at",
        )
    )


def _letters(rows: pl.DataFrame) -> pl.DataFrame:
    empty = pl.from_arrow(DEAD_LETTERS.schema.empty_table())
    types = empty.schema  # type: ignore[union-attr]
    absent = [pl.lit(None).alias(name) for name in types if name not in rows.columns]
    return rows.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in types.items())
