"""Bars built from trades, kept true: when trades, cancels or corrections come in, their hours are built again.

A bar is a function of the set of its trades, so an hour built again gives the same rows, whatever came in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from project01.domain import BARS, LATE, TRADES
from project01.etl import build_bars, check_trades
from project01.lake import Lake, UnionCounts, exchange

INTERVAL = "1s"
_HOUR = "1h"
_LOOK_BACK = timedelta(days=7)  # a print is cancelled or corrected within days, not weeks
_BAR_IDENTITY = ("source", "symbol", "interval", "event_time", "knowledge_time")
_LATE_IDENTITY = tuple(name for name in LATE.schema.names if name != "ingested_at")


def rebuild_bars(lake: Lake, fresh: pl.DataFrame, interval: str = INTERVAL) -> UnionCounts:
    """Build the bars of all hours that `fresh` trades touch, and put them in place of what those hours held.

    Args:
        lake: with the trades table, `fresh` already in it.
        fresh: rows of the trades table that came in.
        interval: length of a bar, at most an hour.

    Returns:
        Bars (versions of bars) added, and those that were there already.
    """
    added = known = 0
    for (source, symbol), rows in fresh.partition_by("source", "symbol", as_dict=True).items():
        tape = _Tape(lake, str(source), str(symbol))
        hours = _hours(pl.concat([rows, tape.related(rows)]))
        counts = _rebuild(lake, tape, hours, interval)
        added, known = added + counts.added, known + counts.known
    return UnionCounts(added, known)


@dataclass(frozen=True)
class _Tape:
    """The trades of one symbol of one source."""

    lake: Lake
    source: str
    symbol: str

    def rows(self) -> pl.LazyFrame:
        """All of them."""
        mine = (pl.col("source") == self.source) & (pl.col("symbol") == self.symbol)
        return self.lake.scan(TRADES.name).filter(mine)

    def related(self, trades: pl.DataFrame) -> pl.DataFrame:
        """What `trades` cancel or correct, what cancels or corrects them, and so on: whole chains."""
        if trades.is_empty():
            return trades
        oldest, newest = (pl.lit(trades["event_time"].min()), pl.lit(trades["event_time"].max()))
        near = self.rows().filter(pl.col("event_time").is_between(oldest - _LOOK_BACK, newest + _LOOK_BACK))
        changes = near.filter(pl.col("refers_to").is_not_null()).select("source_id", "refers_to").collect()
        if changes.is_empty():
            return trades.clear()
        linked = pl.concat([changes["source_id"], changes["refers_to"]]).unique()
        mine = pl.concat([trades["source_id"], trades["refers_to"].drop_nulls()])
        chain, before = set(mine.filter(mine.is_in(linked.implode()))), -1
        while len(chain) != before:
            before = len(chain)
            more = changes.filter(pl.col("source_id").is_in(chain) | pl.col("refers_to").is_in(chain))
            chain |= set(more["source_id"]) | set(more["refers_to"])
        names = pl.LazyFrame({"source_id": sorted(chain)}, schema={"source_id": pl.String})
        return near.join(names, on="source_id", how="semi").collect().select(trades.columns)


def _hours(trades: pl.DataFrame) -> list[datetime]:
    return trades["event_time"].dt.truncate(_HOUR).unique().sort().to_list()


def _rebuild(lake: Lake, tape: _Tape, hours: Sequence[datetime], interval: str) -> UnionCounts:
    span = pl.col("event_time").is_between(hours[0], hours[-1] + timedelta(hours=1), closed="left")
    trades = tape.rows().filter(span & pl.col("event_time").dt.truncate(_HOUR).is_in(hours)).collect()
    trades = pl.concat([trades, tape.related(trades)]).unique(maintain_order=True)
    # Ticks from the future were refused where they came in; here only what cannot be a price must not enter a bar.
    sound = check_trades(trades, as_of=datetime.max.replace(tzinfo=UTC)).accepted
    built = build_bars(sound, interval)
    # A bar is stamped with its end: the bar that ends with an hour belongs to that hour.
    within = (pl.col("event_time") - timedelta(microseconds=1)).dt.truncate(_HOUR).is_in(hours)
    mine = (pl.col("source") == f"built:{tape.source}") & (pl.col("symbol") == tape.symbol)
    scope = mine & (pl.col("interval") == interval) & within
    if built.late.height or lake.exists(LATE.name):
        # What was too late may no longer be: the same print may have come again as known in time, or been cancelled.
        then = pl.col("event_time").dt.truncate(_HOUR).is_in(hours)
        theirs = (pl.col("source") == tape.source) & (pl.col("symbol") == tape.symbol) & then
        exchange(lake, LATE, built.late.filter(then).select(LATE.schema.names), theirs, _LATE_IDENTITY)
    return exchange(lake, BARS, built.versions.filter(within), scope, _BAR_IDENTITY)
