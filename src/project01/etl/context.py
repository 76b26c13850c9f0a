"""What comes with each bar: its own prices, the market's return, macro values known by then, the calendar."""

from collections.abc import Collection
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, SchemaError, trading_calendar
from project01.etl.feature import BAR_INPUTS, MACRO_SERIES, Feature
from project01.etl.peers import known_peer_mean

# An older macro value counts as missing: a series that ended must not look like one that stands still.
MACRO_LIFE = timedelta(days=10)
# A return over a longer gap than any closure of the exchange is not set against a single session of the market.
LONGEST_GAP = timedelta(days=7)
# The mean of fewer instruments is no market.
FEWEST_IN_MARKET = 3
_CALENDAR = ("weekday", "month_share", "month_left")


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


def _needed(features: Collection[Feature]) -> set[str]:
    """Bar inputs that the features rest on; prices and volume always."""
    asked = {name for feature in features for name in feature.inputs}
    return {name for name in BAR_INPUTS if name in asked or name in BAR_INPUTS[:6]}


def bar_inputs(
    bars: pl.DataFrame,
    features: Collection[Feature],
    market: pl.DataFrame | None = None,
    macro: pl.DataFrame | None = None,
) -> FloatArray:
    """What the step functions get with each bar; also what a `StreamState` is fed, one column a bar.

    Args:
        bars: prepared bars, sorted by symbol and session.
        features: inputs that none of them asks for are left NaN.
        market: columns session, close, knowledge_time of an index; None: the equal-weight mean of the bars.
        macro: rows of the macro table; None: none.
    Returns:
        Shape (len(BAR_INPUTS), n_rows), NaN where unknown.
    Raises:
        SchemaError, InputError: the market or macro frame cannot be used.
    """
    inputs = np.full((len(BAR_INPUTS), bars.height), np.nan)
    place = {name: n for n, name in enumerate(BAR_INPUTS)}
    needed = _needed(features)
    for name in BAR_INPUTS[:6]:
        inputs[place[name]] = floats(bars[name])
    if "market_return" in needed:
        inputs[place["market_return"]] = _equal_weight(bars) if market is None else _index_return(bars, market)
    for name, series in MACRO_SERIES.items():
        if name in needed and macro is not None:
            inputs[place[name]] = _newest_known(known_microseconds(bars), macro, series)
    if needed & set(_CALENDAR):
        calendar = bars.select("session").join(_months(), on="session", how="left", maintain_order="left")
        for name in _CALENDAR:
            inputs[place[name]] = floats(calendar[name])
    return inputs


def _equal_weight(bars: pl.DataFrame) -> FloatArray:
    """The mean total return of the instruments whose bars of the session were known by each bar's own time."""
    price = pl.col("close") * pl.col("factor")
    move = pl.when(_session_before().is_not_null() & ~_long_gap()).then(price / price.shift() - 1.0)
    moves = floats(bars.select(move.alias("move"))["move"])
    mean = known_peer_mean(session_codes(bars), known_microseconds(bars), moves, FEWEST_IN_MARKET)
    return np.where(np.isnan(moves), np.nan, mean)


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


def _newest_known(known: NDArray[np.int64], macro: pl.DataFrame, series: str) -> FloatArray:
    """Value of the newest period known at each time, shape (n_rows,); NaN where none of the last days is."""
    rows = macro.filter(pl.col("series_id") == series).sort("knowledge_time", "period")
    # A late revision of an old period does not replace the newest one.
    rows = rows.filter(pl.col("period") == pl.col("period").cum_max())
    if rows.is_empty():
        return np.full(len(known), np.nan)
    times, values = known_microseconds(rows), floats(rows["value"])
    newest = np.searchsorted(times, known, side="right") - 1
    found = np.maximum(newest, 0)
    fresh = (newest >= 0) & (known - times[found] <= MACRO_LIFE // timedelta(microseconds=1))
    return np.where(fresh, values[found], np.nan)


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
