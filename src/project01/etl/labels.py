"""What followed: returns over a horizon from the first price after `as_of`."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, trading_calendar
from project01.etl.context import floats, known_microseconds
from project01.etl.peers import known_peer_mean

Rows = NDArray[np.int64]
# Sessions to wait for a bar that should be there. Then the name counts as gone, and a bar that turns up still later
# as never seen: what was concluded once stays.
PATIENCE = 5
# A label is a return against the others; alone there are none.
FEWEST_PEERS = 2
_US = "datetime64[us]"


@dataclass(frozen=True)
class _Market:
    """The sessions of the data.

    Attributes:
        days: shape (n_sessions,), datetime64[D], ascending.
        opens: shape (n_sessions,), microseconds since 1970, from the exchange's calendar; of a session the calendar
            does not hold, the close before it: the first moment its open can follow.
        closes: shape (n_sessions,), microseconds since 1970, as the bars say.
    """

    days: NDArray[np.datetime64]
    opens: Rows
    closes: Rows


def _market(bars: pl.DataFrame) -> _Market:
    ends = bars.group_by("session").agg(pl.col("event_time").max().dt.epoch("us")).sort("session")
    days = ends["session"].to_numpy().astype("datetime64[D]")
    closes = ends["event_time"].to_numpy().astype(np.int64)
    calendar = trading_calendar()
    place = calendar.index_of(days)
    before = np.concatenate([[np.iinfo(np.int64).min], closes[:-1] + 1])
    opens = np.where(place >= 0, calendar.opens[np.maximum(place, 0)].astype(_US).astype(np.int64), before)
    return _Market(days, opens, closes)


def _in_time(bars: pl.DataFrame, market: _Market) -> pl.DataFrame:
    """Bars known before patience for them ran out; and of those one symbol learnt of at once, only the newest."""
    day = np.searchsorted(market.days, bars["session"].to_numpy().astype("datetime64[D]"))
    until = np.append(market.closes, [np.iinfo(np.int64).max] * PATIENCE)[day + PATIENCE]
    kept = bars.with_columns(day=pl.Series(day)).filter(pl.Series(known_microseconds(bars) <= until))
    return kept.unique(["symbol", "knowledge_time"], keep="last", maintain_order=True)


def forward_returns(bars: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Labels of every bar whose outcome is known within the data.

    Entry is the first price after `as_of`: the open of the symbol's first bar in a session that opens later, or that
    bar's close where it carries no open. Exit is the same kind of price `horizon` market sessions after the session
    that entry was due in, or of the next bar if one comes within `PATIENCE` sessions. A symbol without one counts as
    gone: its label ends at its last close, what a holder could last sell at, which flatters names that went to zero
    afterwards, and is known when patience ran out.

    Args:
        bars: prepared bars, sorted by symbol and session.
        horizon: market sessions, at least 1.
    Returns:
        symbol, session, as_of (when the bar was known), raw_label (total return as a fraction), label (raw less the
        mean over the symbols due to enter in the same session whose outcome was known by then), label_known_at;
        sorted by symbol and session. Bars whose outcome lies beyond the data, that were followed by no bar to enter
        at, or have no peer, are absent.
    Raises:
        InputError: a horizon below 1.
    """
    if horizon < 1:
        raise InputError(f"A horizon of {horizon} sessions cannot be; pass at least 1.")
    market = _market(bars)
    rows = _in_time(bars, market)
    due = np.searchsorted(market.opens, known_microseconds(rows), side="right")
    raw, known = _outcomes(rows, market, due, horizon)
    label = raw - known_peer_mean(due, known, raw, FEWEST_PEERS)
    return (
        rows.select("symbol", "session", pl.col("knowledge_time").alias("as_of"))
        .with_columns(
            raw_label=pl.Series(raw),
            label=pl.Series(label),
            label_known_at=pl.Series(known.astype(_US)).dt.replace_time_zone("UTC"),
        )
        .filter(pl.col("label").is_finite())
    )


def _outcomes(rows: pl.DataFrame, market: _Market, due: Rows, horizon: int) -> tuple[FloatArray, Rows]:
    """Return of each row, NaN where there is none yet, and when it was known in microseconds."""
    width = len(market.days) + horizon + PATIENCE + 2
    symbol = (rows["symbol"].rle_id().cast(pl.Int64) * width).to_numpy()
    day, last = rows["day"].to_numpy(), len(rows) - 1
    key = symbol + day
    entry = np.searchsorted(key, symbol + due)
    leave = np.searchsorted(key, symbol + due + horizon)
    latest = due + horizon + PATIENCE
    sold = np.searchsorted(key, symbol + latest, side="right") > leave
    entered = leave > entry
    concluded = latest < len(market.days)
    price, close = _prices(rows)
    exit_price = np.where(sold, price[np.minimum(leave, last)], close[np.maximum(leave - 1, 0)])
    exit_known = known_microseconds(rows)[np.minimum(leave, last)]
    known = np.where(sold, exit_known, market.closes[np.minimum(latest, len(market.days) - 1)])
    raw = exit_price / price[np.minimum(entry, last)] - 1.0
    return np.where(entered & (sold | concluded), raw, np.nan), known


def _prices(rows: pl.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Total-return price orders fill at, and total-return close, both shape (n_rows,)."""
    factor = floats(rows["factor"])
    close, opened = floats(rows["close"]), floats(rows["open"])
    return np.where(opened > 0.0, opened, close) * factor, close * factor
