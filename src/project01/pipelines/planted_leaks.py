"""Planted leaks up to the store: each mistake as people make it, beside the honest form of the same step.

An audit that misses one of them is worthless, and one that flags the honest form cries wolf. Every entry is a small
variant of one layer over a SIMULATED market: the same code, looking ahead or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from project01.evaluate import Layer, Tables
from project01.pipelines.lookahead_world import simulated_tables

Variant = Callable[[Tables, bool], pl.DataFrame]
SYMBOLS, SESSIONS, SEED = 4, 60, 5
_ROW = ("symbol", "session")


@dataclass(frozen=True)
class PlantedLeak:
    """One mistake and its honest twin.

    Attributes:
        name: of the mistake.
        layer: where it is made.
        why: the mistake, in a few words.
        reads: tables it reads.
        variant: tables, and whether to look ahead -> symbol, as_of and value.
    """

    name: str
    layer: str
    why: str
    reads: tuple[str, ...]
    variant: Variant

    def as_layer(self, *, leaky: bool, tables: Tables | None = None) -> Layer:
        """The step as the audit takes it, leaky or honest.

        Args:
            leaky: whether it looks ahead.
            tables: what it reads; None: a small SIMULATED market.
        """
        held = planted_tables() if tables is None else tables
        read = {name: held[name] for name in self.reads}
        return Layer(self.layer, read, lambda rows, _: {"": self.variant(rows, leaky)})


@lru_cache(maxsize=1)
def planted_tables() -> Mapping[str, pl.DataFrame]:
    """The SIMULATED market all planted leaks stand in."""
    return simulated_tables(SYMBOLS, SESSIONS, SEED)


PLANTED: dict[str, PlantedLeak] = {}


def planted(layer: str, why: str, *reads: str) -> Callable[[Variant], Variant]:
    """Enter a variant into the catalogue under its function's name."""

    def enter(variant: Variant) -> Variant:
        name = variant.__name__
        PLANTED[name] = PlantedLeak(name, layer, why, reads or ("bars",), variant)
        return variant

    return enter


def first_bars(tables: Tables) -> pl.DataFrame:
    """Each bar as it was first known, sorted."""
    ordered = tables["bars"].sort(*_ROW, "knowledge_time").unique(list(_ROW), keep="first", maintain_order=True)
    return ordered.with_columns(
        as_of="knowledge_time", move=(pl.col("close") / pl.col("close").shift() - 1).over("symbol")
    )


def valued(bars: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    """A value at the time each bar was known."""
    return bars.select("symbol", "as_of", value=value.cast(pl.Float64)).drop_nulls("as_of")


def _step(leaky: bool) -> int:
    return -1 if leaky else 1


@planted("bus", "a compacted topic: the newest message of a key stands at the place of the first")
def compacted_topic(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Messages in the order they were published."""
    log = tables["bars"].sort("knowledge_time", *_ROW)
    kept = log.unique(list(_ROW), keep="last" if leaky else "first", maintain_order=True)
    first = log.group_by(_ROW).agg(as_of=pl.col("knowledge_time").min())
    return valued(kept.join(first, on=list(_ROW)), pl.col("close"))


@planted("bus", "messages put in order of their event instead of their arrival", "news")
def sorted_by_event(tables: Tables, leaky: bool) -> pl.DataFrame:
    """The number of each story in its topic."""
    by = "event_time" if leaky else "knowledge_time"
    log = tables["news"].with_columns(pl.col("event_time") - pl.duration(hours=6 * (pl.col("relevance") > 0.5)))
    placed = log.sort(by, "source_id", "action").with_row_index("place")
    return placed.select("symbol", as_of="knowledge_time", item=pl.col("source_id") + pl.col("action"), value="place")


@planted("lake", "the newest version of a row, whatever the time asked for")
def newest_version(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Each bar as read at its own close."""
    ordered = tables["bars"].sort(*_ROW, "knowledge_time")
    kept = ordered.unique(list(_ROW), keep="last" if leaky else "first", maintain_order=True)
    # Read as it stood at the close: a row first known later is not there.
    known = kept if leaky else kept.filter(pl.col("knowledge_time") <= pl.col("event_time"))
    return valued(known.with_columns(as_of="event_time"), pl.col("close"))


@planted("lake", "rows up to a time by when they happened, not by when they were known", "news")
def read_by_event(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Stories read an hour after they happened, when half were not yet known."""
    told = tables["news"].with_columns(pl.col("event_time") - pl.duration(hours=6 * (pl.col("relevance") > 0.5)))
    asked = told.with_columns(as_of=pl.col("event_time") + pl.duration(hours=1))
    there = asked if leaky else asked.filter(pl.col("knowledge_time") <= pl.col("as_of"))
    return there.select("symbol", "as_of", item=pl.col("source_id") + pl.col("action"), value="relevance")


@planted("features", "shift(-1): the next session's return")
def next_return(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Return to the next close, or from the last."""
    return valued(first_bars(tables), (pl.col("close").shift(_step(leaky)) / pl.col("close") - 1).over("symbol"))


@planted("features", "a window centred on the bar reaches two bars ahead")
def centred_window(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Close over its mean of five bars."""
    mean = pl.col("close").rolling_mean(5, center=leaky, min_samples=1).over("symbol")
    return valued(first_bars(tables), pl.col("close") / mean)


@planted("features", "mean and deviation of the whole sample")
def whole_sample_scaler(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Standardised return."""
    move = pl.col("move")
    mean = move.mean() if leaky else move.cum_sum() / move.cum_count()
    return valued(first_bars(tables), (move - mean).over("symbol"))


@planted("features", "each symbol encoded by its mean outcome over all rows")
def target_encoding(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Mean of the returns that followed; honest: of those known."""
    move = pl.col("move")
    value = move.shift(-1).mean() if leaky else move.cum_sum() / move.cum_count()
    return valued(first_bars(tables), value.over("symbol"))


@planted("features", "the close of the session whose open it trades at")
def close_for_the_open(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Move within the session, for a decision before its open; honest: of the session before."""
    return valued(first_bars(tables), (pl.col("close") / pl.col("open") - 1).shift(-1 if leaky else 0).over("symbol"))


@planted("features", "holes filled from the next bar that has a value")
def filled_from_the_future(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Volume with holes filled."""
    holed = pl.when(pl.col("volume") % 3 != 0).then("volume")
    return valued(first_bars(tables), (holed.backward_fill() if leaky else holed.forward_fill()).over("symbol"))


@planted("features", "rank within a window that holds the future")
def whole_history_rank(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Rank of a return; honest: among the session's."""
    return valued(first_bars(tables), pl.col("move").rank().over("symbol" if leaky else "as_of"))


@planted("features", "the level of prices adjusted back for later splits and dividends")
def future_split_factor(tables: Tables, leaky: bool) -> pl.DataFrame:
    """A vendor's adjusted close; honest: its step."""
    ratio = pl.col("adj_close") / pl.col("close")
    value = pl.col("adj_close") if leaky else (ratio / ratio.shift()).over("symbol")
    return valued(first_bars(tables), value)


@planted("features", "gaps interpolated between the bars on either side")
def interpolated_gaps(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Close with every fourth bar missing."""
    holed = pl.when(pl.int_range(pl.len()) % 4 != 2).then(pl.col("close"))
    return valued(first_bars(tables), (holed.interpolate() if leaky else holed.forward_fill()).over("symbol"))


@planted("features", "only names that still trade at the end")
def survivors_only(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Return less the mean of the universe."""
    bars = first_bars(tables)
    last = bars.group_by("symbol").agg(pl.col("session").max().alias("last"))
    alive = last.filter(pl.col("last") >= pl.col("last").max() - pl.duration(days=5)).select("symbol")
    kept = bars.join(alive, on="symbol", how="semi", maintain_order="left") if leaky else bars
    return valued(kept, pl.col("move") - pl.col("move").mean().over("as_of"))


@planted("features", "the universe sorted by volume that is still to come")
def sorted_by_future_volume(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Rank of a name by turnover of the whole sample; honest: so far."""
    volume = pl.col("volume").fill_null(0.0)
    total = (volume.sum() if leaky else volume.cum_sum()).over("symbol")
    return valued(first_bars(tables).with_columns(total=total), pl.col("total").rank().over("as_of"))


@planted("features", "restated fundamentals from the day the first version was filed", "facts")
def restated_fundamentals(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Revenue of each period, from its first filing on."""
    told = tables["facts"].filter(pl.col("concept") == "Revenues").sort("symbol", "period_end", "knowledge_time")
    first = pl.col("knowledge_time").first().over("symbol", "period_end")
    kept = told.with_columns(as_of=first).unique(
        ["symbol", "period_end"], keep="last" if leaky else "first", maintain_order=True
    )
    return kept.select("symbol", "as_of", item="period_end", value="value")


@planted("features", "a fact from its period's end on, weeks before it was filed", "facts")
def fact_by_period_end(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Assets of each period."""
    told = tables["facts"].filter(pl.col("concept") == "Assets").sort("symbol", "period_end", "knowledge_time")
    first = told.unique(["symbol", "period_end"], keep="first", maintain_order=True)
    ended = pl.col("period_end").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return first.select("symbol", as_of=ended if leaky else pl.col("knowledge_time"), item="period_end", value="value")


@planted("features", "the final revision of a series at the time of its first print", "macro")
def final_revision(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Industrial production of each month as of its first print."""
    told = tables["macro"].filter(pl.col("series_id") == "INDPRO").sort("period", "knowledge_time")
    kept = told.with_columns(as_of=pl.col("knowledge_time").first().over("period")).unique(
        "period", keep="last" if leaky else "first", maintain_order=True
    )
    return kept.select(symbol=pl.lit("INDPRO"), as_of="as_of", item="period", value="value")


@planted("features", "a story counted from the time it is about, not from when it was received", "bars", "news")
def news_by_event_time(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Stories up to each close."""
    when = (pl.col("knowledge_time") - pl.duration(hours=6)) if leaky else pl.col("knowledge_time")
    told = (
        tables["news"]
        .select("symbol", at=when)
        .sort("at")
        .with_columns(value=pl.int_range(1, pl.len() + 1).over("symbol"))
    )
    bars = first_bars(tables).select("symbol", "as_of").sort("as_of")
    found = bars.join_asof(told, left_on="as_of", right_on="at", by="symbol", check_sortedness=False)
    return found.select("symbol", "as_of", "value")


@planted("store", "joined by event time without the filter on when a row was created", "facts")
def join_without_created_filter(tables: Tables, leaky: bool) -> pl.DataFrame:
    """The newest assets of each symbol, asked for at every filing."""
    told = tables["facts"].filter(pl.col("concept") == "Assets")
    ended = pl.col("period_end").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    by = ended if leaky else pl.max_horizontal(ended, "knowledge_time")
    rows = told.select("symbol", "value", "knowledge_time", at=by).sort("at", "knowledge_time")
    asked = tables["facts"].select("symbol", as_of="knowledge_time").unique().sort("as_of", "symbol")
    found = asked.join_asof(rows, left_on="as_of", right_on="at", by="symbol", check_sortedness=False)
    return found.select("symbol", "as_of", "value")


@planted("store", "the nearest row in time, on either side")
def nearest_join(tables: Tables, leaky: bool) -> pl.DataFrame:
    """The nearest close of a table that is written from Wednesday to Friday."""
    bars = first_bars(tables).sort("as_of")
    rows = bars.filter(pl.col("session").dt.weekday() > 2).select("symbol", "close", at="as_of")
    found = bars.select("symbol", "as_of").join_asof(
        rows, left_on="as_of", right_on="at", by="symbol", strategy="nearest" if leaky else "backward",
        check_sortedness=False,
    )  # fmt: skip
    return found.select("symbol", "as_of", value="close")


@planted("store", "the online store pushes a later value under an earlier time")
def pushed_under_an_earlier_time(tables: Tables, leaky: bool) -> pl.DataFrame:
    """What is served after each bar: the value pushed with it."""
    bars = first_bars(tables)
    return valued(bars, pl.col("close").shift(-2 if leaky else 0).over("symbol"))
