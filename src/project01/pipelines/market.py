"""What the lake knew at one time, ready for features."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    FACTS,
    MACRO,
    NEWS,
    TWEETS,
    InputError,
    NotEnoughDataError,
    TableSpec,
)
from project01.etl import Context, prepare_bars
from project01.ingest import AS_TRADED, INDEX_SOURCE
from project01.lake import Lake
from project01.pipelines.ingest import DAILY

FEWEST_SYMBOLS = 3
_ALWAYS = datetime(1900, 1, 1, tzinfo=UTC)
_UNIVERSE = (pl.col("interval") == DAILY) & (pl.col("source") != INDEX_SOURCE)


@dataclass(frozen=True)
class MarketData:
    """What was known at one time, ready for features.

    Attributes:
        bars: prepared daily bars of the universe.
        index: sessions, closes and knowledge times of the index; None where the data has none.
        macro, facts, news, tweets: rows of those tables, all versions; None where the lake has none.
        industries: symbol, industry, knowledge_time; None where none were given.
        actions: rows of the corporate actions table, all versions, for splits; None where the lake has none.
        adjusted: whether a source had adjusted daily prices of the universe for splits before they came here.
    """

    bars: pl.DataFrame
    index: pl.DataFrame | None = None
    macro: pl.DataFrame | None = None
    facts: pl.DataFrame | None = None
    news: pl.DataFrame | None = None
    tweets: pl.DataFrame | None = None
    industries: pl.DataFrame | None = None
    actions: pl.DataFrame | None = None
    adjusted: bool = False

    def context(self) -> Context:
        """What features are given beside the bars."""
        return Context(
            market=self.index,
            macro=self.macro,
            facts=self.facts,
            news=self.news,
            tweets=self.tweets,
            industries=self.industries,
            actions=self.actions,
            adjusted=self.adjusted,
        )

    def known_until(self, instant: datetime) -> str:
        """How much of the context was known at a time: it changes when something of that time comes in later."""
        frames = (self.index, self.macro, self.facts, self.news, self.tweets, self.industries, self.actions)
        return " ".join("-" if f is None else str(f.filter(pl.col("knowledge_time") <= instant).height) for f in frames)


def first_published(rows: pl.LazyFrame, as_of: datetime) -> pl.DataFrame:
    """Bars as they were first known, up to `as_of`.

    A correction that came later may not reach back into features of the past; so features rest on each bar's first
    version, whatever it was corrected to.
    """
    known = rows.filter(pl.col("knowledge_time") <= as_of).collect().sort(*BARS.key, "knowledge_time")
    return known.unique(list(BARS.key), keep="first", maintain_order=True)


def read_market(lake: Lake, as_of: datetime, industries: Path | None = None) -> MarketData:
    """The universe's daily bars, and what stands beside them, as they were known at `as_of`.

    Args:
        lake: of the run.
        as_of: timezone-aware.
        industries: CSV of symbol, industry and, if there is one, known_from (a date).
    Raises:
        NotEnoughDataError: fewer than three symbols were known, too few to rank.
        InputError: the file of industries cannot be used.
    """
    bars, index = read_bars(lake, as_of)
    return read_beside(lake, as_of, bars, index, industries)


def read_beside(
    lake: Lake, as_of: datetime, bars: pl.DataFrame, index: pl.DataFrame | None, industries: Path | None = None
) -> MarketData:
    """Bars with all that stands beside them, as it was known at `as_of`; see `read_market`."""
    return MarketData(
        bars=bars,
        index=index,
        macro=_versions(lake, MACRO, as_of),
        facts=_versions(lake, FACTS, as_of),
        news=_versions(lake, NEWS, as_of),
        tweets=_versions(lake, TWEETS, as_of),
        industries=None if industries is None else read_industries(industries),
        actions=_splits(lake, as_of),
        adjusted=_adjusted(lake, as_of),
    )


def _adjusted(lake: Lake, as_of: datetime) -> bool:
    known = lake.scan(BARS.name).filter(_UNIVERSE & (pl.col("knowledge_time") <= as_of))
    kinds = known.select(pl.col("adjusted").unique()).collect()["adjusted"]
    return bool((kinds.drop_nulls() != AS_TRADED).any())


def _splits(lake: Lake, as_of: datetime) -> pl.DataFrame | None:
    """Splits told by a source; None where none was, since they are then read off the bars' factor."""
    actions = _versions(lake, CORPORATE_ACTIONS, as_of)
    return None if actions is None or "split" not in actions["kind"] else actions


def read_index(rows: pl.LazyFrame, as_of: datetime) -> pl.DataFrame | None:
    """Sessions, closes and knowledge times of the index; None where there is none."""
    daily = rows.filter((pl.col("interval") == DAILY) & (pl.col("source") == INDEX_SOURCE))
    index = first_published(daily, as_of).select("session", "close", "knowledge_time")
    return index.sort("session") if index.height else None


def too_few_symbols(count: int, as_of: datetime) -> NotEnoughDataError:
    """What is said where there are too few symbols to rank."""
    return NotEnoughDataError(
        f"The lake knew daily bars of {count} symbol(s) at {as_of:%Y-%m-%d}; ranking needs at least "
        f"{FEWEST_SYMBOLS}. Ingest more symbols, or pass a later time."
    )


def read_breaks(lake: Lake, as_of: datetime) -> pl.DataFrame:
    """Where instruments begin anew."""
    return lake.read(CORPORATE_ACTIONS, as_of=as_of).filter(pl.col("kind") == "break")


def read_bars(lake: Lake, as_of: datetime) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Prepared daily bars of the universe, and the index's sessions, closes and knowledge times if it has one.

    Raises:
        NotEnoughDataError: fewer than three symbols were known, too few to rank.
    """
    rows = lake.scan(BARS.name)
    known = first_published(rows, as_of).filter(_UNIVERSE)
    if known["symbol"].n_unique() < FEWEST_SYMBOLS:
        raise too_few_symbols(known["symbol"].n_unique(), as_of)
    return prepare_bars(known, read_breaks(lake, as_of)), read_index(rows, as_of)


def _versions(lake: Lake, spec: TableSpec, as_of: datetime) -> pl.DataFrame | None:
    """All versions known, since a value counts from its own knowledge time to that of its revision."""
    if not lake.exists(spec.name):
        return None
    rows = lake.scan(spec.name).filter(pl.col("knowledge_time") <= as_of).collect()
    return rows.sort("knowledge_time", *spec.key) if rows.height else None


def read_industries(path: Path) -> pl.DataFrame:
    """Industries of symbols from a CSV file.

    Without a column known_from the classification is taken as always known, which today's is not for the past.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    try:
        rows = pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"Industries {path} cannot be read as CSV: {str(error).splitlines()[0]}.") from error
    missing = [name for name in ("symbol", "industry") if name not in rows.columns]
    if missing:
        raise InputError(f"Industries {path} lack column(s) {', '.join(missing)}; found {', '.join(rows.columns)}.")
    known: pl.Expr = pl.lit(_ALWAYS)
    if "known_from" in rows.columns:
        known = pl.col("known_from").cast(pl.Date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return rows.select(
        pl.col("symbol", "industry").cast(pl.String), knowledge_time=known.cast(pl.Datetime("us", "UTC"))
    )
