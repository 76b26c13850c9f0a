"""Times of sessions: when a day's bar was complete, and the exchange's own clock."""

from datetime import time

import polars as pl

from project01.domain import TradingCalendar


def exchange_zone(calendar: TradingCalendar) -> str:
    """IANA zone of the exchange, e.g. ``America/New_York``."""
    import exchange_calendars  # costs about a second, so only when a zone is asked for

    known = exchange_calendars.get_calendar(calendar.name, start=str(calendar.sessions[0]))
    return str(known.tz)


def close_times(sessions: pl.Series, calendar: TradingCalendar) -> pl.Series:
    """The instant each day's bar was complete, Datetime us UTC, same length as `sessions` (Date).

    A half day closes early. A day without a session gets 21:00 UTC, so that its row can be carried to the gate, which
    refuses it; a null stays null.
    """
    closes = calendar.as_frame().select("session", pl.col("close_at"))
    days = pl.DataFrame({"session": sessions.cast(pl.Date)})
    joined = days.join(closes, on="session", how="left", maintain_order="left")
    usual = pl.col("session").dt.combine(time(21)).dt.replace_time_zone("UTC")
    return joined.select(pl.coalesce("close_at", usual).cast(pl.Datetime("us", "UTC")).alias("close_at")).to_series()
