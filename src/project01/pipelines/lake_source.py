"""Daily bars, and what features rest on beside them, that landed from vendors, as a source of the main job."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    FACTS,
    FUNDAMENTALS,
    MACRO,
    NEWS,
    NEWS_TOPIC,
    TICKS,
    TWEETS,
    TWEETS_TOPIC,
    InputError,
    TableSpec,
    raw_table,
)
from project01.ingest import INDEX_SOURCE, Batch
from project01.lake import Lake

DAILY = "1d"


class LakeSource:
    """Daily bars, series, reports, news, posts and corporate actions of a lake that was landed from the bus.

    Bars as known at one time; of the others every version known by then, since a value counts from its own knowledge
    time to that of its revision.

    Args:
        lake: with curated tables.
        vendor: only bars of this source; None: the only one there is.
        as_of: nothing known later is read.

    Raises:
        InputError: no daily bars, or those of several sources and none was chosen.
    """

    def __init__(self, lake: Lake, vendor: str | None, as_of: datetime) -> None:
        if not lake.exists(BARS.name):
            raise InputError(f"{lake.url} holds no bars. Fetch daily bars from a source and run `project01 land`.")
        bars = lake.read(BARS, as_of=as_of).filter(pl.col("interval") == DAILY, pl.col("close").is_not_null())
        found = sorted(set(bars["source"]) - {INDEX_SOURCE})
        if not found:
            raise InputError(f"{lake.url} holds no daily bars. Fetch some: `project01 ingest SOURCE --help`.")
        if vendor is None and len(found) > 1:
            raise InputError(f"{lake.url} holds daily bars of {', '.join(found)}. Choose one with --from-source.")
        if vendor is not None and vendor not in found:
            raise InputError(f"{lake.url} holds no daily bars of {vendor}; it has {', '.join(found)}.")
        self._bars = bars.filter(pl.col("source").is_in([vendor or found[0], INDEX_SOURCE]))
        self._lake, self._as_of = lake, as_of
        self.name = vendor or found[0]
        self.simulated = bool(self._bars["simulated"].any())

    def read(self) -> Iterator[Batch]:
        """The bars, then what stands beside them."""
        yield Batch.of(BARS, self._bars.drop("ingested_at"))
        traded = pl.col("symbol").is_in(self._bars["symbol"].unique().to_list())
        told: tuple[tuple[TableSpec, pl.Expr], ...] = (
            (MACRO, pl.col("symbol").is_null()),
            (FACTS, traded),
            (NEWS, pl.lit(value=True)),
            (TWEETS, pl.lit(value=True)),
            (CORPORATE_ACTIONS, traded),
        )
        for spec, wanted in told:
            rows = self._versions(spec, wanted)
            if rows.height:
                yield Batch.of(spec, rows.drop("ingested_at"))

    def bus_offsets(self) -> dict[str, int]:
        """Topic, partition and bus -> offset of the next message to land, over all that has landed in the lake."""
        found: dict[str, int] = {}
        for topic in (TICKS, NEWS_TOPIC, TWEETS_TOPIC, FUNDAMENTALS):
            table = raw_table(topic)
            if self._lake.exists(table.name):
                rows = self._lake.scan(table.name).group_by("topic_id", "partition").agg(pl.col("offset").max())
                for bus, partition, last in sorted(rows.collect().iter_rows()):
                    found[f"{topic}-{partition}@{bus}"] = last + 1
        return found

    def _versions(self, spec: TableSpec, wanted: pl.Expr) -> pl.DataFrame:
        if not self._lake.exists(spec.name):
            return pl.DataFrame()
        return self._lake.scan(spec.name).filter(wanted, pl.col("knowledge_time") <= self._as_of).collect()
