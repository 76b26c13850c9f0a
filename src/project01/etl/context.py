"""What comes with each bar: its own prices, the market's return, macro values known by then, the calendar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, SchemaError, trading_calendar
from project01.etl.attention_context import NEWS, TWEETS, attention_at
from project01.etl.facts_context import known_items
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_for
from project01.etl.inputs import BAR_INPUTS, SESSION_INPUTS
from project01.etl.macro_context import MacroHistory
from project01.etl.mentions import Mentions
from project01.etl.peers import known_peer_mean

# A return over a longer gap than any closure of the exchange is not set against a single session of the market.
LONGEST_GAP = timedelta(days=7)
# The mean of fewer instruments is no market.
FEWEST_IN_MARKET = 3


def session_codes(bars: pl.DataFrame) -> NDArray[np.int64]:
    """Shape (n_rows,): days of each row's session since the first, so from 0."""
    days: NDArray[np.int64] = bars["session"].to_physical().to_numpy().astype(np.int64)
    return days - days.min() if len(days) else days


def known_microseconds(bars: pl.DataFrame) -> NDArray[np.int64]:
    """Shape (n_rows,): knowledge_time in microseconds since 1970."""
    times: NDArray[np.int64] = bars["knowledge_time"].dt.epoch("us").to_numpy().astype(np.int64)
    return times


def floats(column: pl.Series) -> FloatArray:
    """The column as float64, NaN where null."""
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


@dataclass(frozen=True)
class Context:
    """What is known beside the bars; None: nothing of that kind, its features are then left out.

    Attributes:
        market: columns session, close, knowledge_time of an index; None: the equal-weight mean of the bars.
        macro: rows of the macro table.
        facts: rows of the facts table.
        news: rows of the news table.
        tweets: rows of the tweets table.
        industries: columns symbol, industry, knowledge_time.
        actions: rows of the corporate actions table, for splits; None: splits are read off the bars' factor.
        adjusted: whether the bars' prices hold splits that came after them, so that no close is the one of its day.
    """

    market: pl.DataFrame | None = None
    macro: pl.DataFrame | None = None
    facts: pl.DataFrame | None = None
    news: pl.DataFrame | None = None
    tweets: pl.DataFrame | None = None
    industries: pl.DataFrame | None = None
    actions: pl.DataFrame | None = None
    adjusted: bool = False

    @cached_property
    def history(self) -> MacroHistory | None:
        """The macro series, gone through once however many blocks of bars ask."""
        return None if self.macro is None else MacroHistory(self.macro)

    @cached_property
    def stories(self) -> Mentions | None:
        """The news by what they name."""
        return None if self.news is None else Mentions(self.news, "headline")

    @cached_property
    def posts(self) -> Mentions | None:
        """The tweets by what they name."""
        return None if self.tweets is None else Mentions(self.tweets, "text")


@dataclass(frozen=True)
class Inputs:
    """What step functions get with each bar.

    Attributes:
        names: names out of the clock's given inputs.
        matrix: shape (n_names, n_rows), NaN where unknown.
    """

    names: tuple[str, ...]
    matrix: FloatArray

    def of(self, name: str) -> FloatArray:
        """One input, shape (n_rows,)."""
        found: FloatArray = self.matrix[self.names.index(name)]
        return found

    def rows(self) -> FloatArray:
        """What a `StreamState` takes, shape (n_rows, number of the session's inputs); NaN where not computed."""
        wide = np.full((self.matrix.shape[1], len(BAR_INPUTS)), np.nan)
        for name, value in zip(self.names, self.matrix, strict=True):
            wide[:, BAR_INPUTS.index(name)] = value
        return wide


def bar_inputs(bars: pl.DataFrame, features: Sequence[Feature], context: Context | None = None) -> Inputs:
    """What the step functions of these features get with each bar; see `given_values`."""
    return given_values(bars, kernel_for(features).given, context or Context())


def given_values(
    bars: pl.DataFrame, names: Sequence[str], context: Context, known: Mapping[str, FloatArray] | None = None
) -> Inputs:
    """What comes with each bar.

    Args:
        bars: prepared bars, sorted by symbol and session.
        names: given inputs of the session's clock.
        context: what is known beside the bars.
        known: inputs that have been computed already, shape (n_rows,) each.
    Raises:
        SchemaError, InputError: a frame of the context cannot be used.
    """
    known = known or {}
    matrix = np.full((len(names), bars.height), np.nan)
    by_family: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        if name in known:
            matrix[place] = known[name]
        else:
            by_family.setdefault(SESSION_INPUTS[name].family, []).append(name)
    for family, members in by_family.items():
        for name, column in _PROVIDERS[family](bars, context, members).items():
            matrix[names.index(name)] = column
    return Inputs(tuple(names), matrix)


def _of_bars(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:  # noqa: ARG001
    return {name: floats(bars[name]) for name in names if name in bars.columns}


def _of_market(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:
    market = context.market
    return {name: _equal_weight(bars) if market is None else _index_return(bars, market) for name in names}


def _of_macro(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:
    if context.history is None:
        return {}
    known = known_microseconds(bars)
    return {name: context.history.read(name, known) for name in names}


def _of_reports(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:
    return {} if context.facts is None else known_items(bars, context.facts, context.actions, names)


def _of_texts(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for mentions, counted in ((context.stories, NEWS), (context.posts, TWEETS)):
        if mentions is not None:
            found |= attention_at(bars, mentions, {name: counted[name] for name in names if name in counted})
    return found


def _of_calendar(bars: pl.DataFrame, context: Context, names: Sequence[str]) -> dict[str, FloatArray]:  # noqa: ARG001
    calendar = bars.select("session").join(_months(), on="session", how="left", maintain_order="left")
    return {name: floats(calendar[name]) for name in names}


def _equal_weight(bars: pl.DataFrame) -> FloatArray:
    """The mean total return of the instruments whose bars of the session were known by each bar's own time."""
    moves = own_moves(bars)
    return np.where(np.isnan(moves), np.nan, mean_moves(bars, moves))


def own_moves(bars: pl.DataFrame) -> FloatArray:
    """Shape (n_rows,): each instrument's total return since its bar before; NaN over a long gap."""
    price = pl.col("close") * pl.col("factor")
    move = pl.when(_session_before().is_not_null() & ~_long_gap()).then(price / price.shift() - 1.0)
    return floats(bars.select(move.alias("move"))["move"])


def mean_moves(rows: pl.DataFrame, moves: FloatArray) -> FloatArray:
    """Shape (n_rows,): mean of `own_moves` over the rows of a session known by each row's time.

    Args:
        rows: columns session, knowledge_time; sums are taken in their order, so they must be sorted by symbol.
        moves: shape (n_rows,).
    """
    return known_peer_mean(session_codes(rows), known_microseconds(rows), moves, FEWEST_IN_MARKET)


def _session_before() -> pl.Expr:
    """The session of the instrument's bar before; rows are sorted by symbol, so a shift does."""
    return pl.when(pl.col("symbol") == pl.col("symbol").shift()).then(pl.col("session").shift())


def _long_gap() -> pl.Expr:
    return (pl.col("session") - _session_before()) > pl.lit(LONGEST_GAP)


def _index_return(bars: pl.DataFrame, market: pl.DataFrame) -> FloatArray:
    """The index's return over the same session as the bar's own, if its close was known with the bar."""
    missing = [name for name in ("session", "close", "knowledge_time") if name not in market.columns]
    if missing:
        raise SchemaError(f"The market series lacks {', '.join(missing)}; found {', '.join(market.columns)}.")
    if market["session"].is_duplicated().any():
        raise InputError("The market series holds a session twice; pass one close for each session.")
    moves = market.sort("session").select(
        "session",
        (pl.col("close") / pl.col("close").shift() - 1.0).alias("move"),
        pl.col("session").shift().alias("before"),
        pl.col("knowledge_time").cum_max().alias("known"),
    )
    own = bars.select("session", "knowledge_time", _session_before().alias("own_before"))
    joined = own.join(moves, on="session", how="left", maintain_order="left")
    comparable = (pl.col("known") <= pl.col("knowledge_time")) & (pl.col("before") == pl.col("own_before"))
    return floats(joined.select(pl.when(comparable).then("move").alias("move"))["move"])


@cache
def _months() -> pl.DataFrame:
    """Weekday, place in the month and sessions left in it, all known years ahead from the exchange's calendar."""
    sessions = trading_calendar().as_frame().select("session")
    month = pl.col("session").dt.truncate("1mo")
    place, count = pl.int_range(pl.len()).over(month), pl.len().over(month)
    return sessions.with_columns(
        weekday=(pl.col("session").dt.weekday() - 1).cast(pl.Float64),
        month_share=(place / count).cast(pl.Float64),
        month_left=(count.cast(pl.Int64) - 1 - place).cast(pl.Float64),
    )


_PROVIDERS: dict[str, Callable[[pl.DataFrame, Context, Sequence[str]], dict[str, FloatArray]]] = {
    "bar": _of_bars,
    "market": _of_market,
    "macro": _of_macro,
    "calendar": _of_calendar,
    "fundamental": _of_reports,
    "attention": _of_texts,
}
