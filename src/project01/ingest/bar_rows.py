"""Rows of files put on the clock: session, event time and knowledge time of each bar."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from project01.domain import BARS, SchemaError, TradingCalendar
from project01.ingest.dates import Dates
from project01.ingest.sessions import close_times, exchange_zone

DAILY = "1d"
# For what prices can have been adjusted before they came here.
AS_TRADED = "none"
ADJUSTED = (AS_TRADED, "splits", "splits_and_dividends")
_UTC = pl.Datetime("us", "UTC")
# Above this many different times a symbol and day, the rows are bars within the day.
_TIMES_A_DAY = 1.5


@dataclass(frozen=True)
class Stamping:
    """How times in a file are meant.

    Attributes:
        calendar: the exchange the bars come from.
        stamped_at: whether a bar within the day carries the time of its start or of its end. A bar is known at its end;
            taking an end for a start makes it known one bar late, which is the safe mistake.
    """

    calendar: TradingCalendar
    stamped_at: Literal["start", "end"]

    def stamp(self, rows: pl.DataFrame, dates: Dates, where: str) -> pl.DataFrame:
        """`rows` with session, interval, event_time and knowledge_time; null session where the date was unreadable.

        Args:
            rows: columns symbol and file, one row each.
            dates: their dates, in the same order.
            where: named in the error.
        Raises:
            SchemaError: bars within the day whose times carry no zone.
        """
        rows = rows.with_columns(
            dates.sessions(exchange_zone(self.calendar)).alias("session"),
            dates.wall.alias("wall"),
            (pl.lit(None, _UTC) if dates.instant is None else dates.instant).alias("instant"),
        )
        seconds = _bar_seconds(rows) if dates.has_times else None
        daily = pl.Series([None], dtype=pl.Int64).new_from_index(0, rows.height) if seconds is None else seconds
        rows = rows.with_columns(daily.alias("seconds"))
        within = rows["seconds"].is_not_null()
        if dates.instant is None and within.any():
            raise SchemaError(
                f"{where}: several bars a day and times without a zone ({dates.form}). "
                "Pass timezone= of these times, e.g. timezone='America/New_York' or 'UTC'."
            )
        shift = pl.col("seconds") if self.stamped_at == "start" else pl.lit(0)
        end = pl.col("instant") + pl.duration(seconds=shift)
        closes = close_times(rows["session"], self.calendar)
        return rows.with_columns(
            _interval_name().alias("interval"),
            pl.when(pl.col("seconds").is_null()).then(closes).otherwise(end).alias("event_time"),
        ).with_columns(pl.col("event_time").alias("knowledge_time"))


def _bar_seconds(rows: pl.DataFrame) -> pl.Series:
    """Length of each row's bar: null for a daily bar, else the commonest step between bars of the same file and day."""
    days = rows.group_by("file", "symbol", "session").agg(pl.col("wall").n_unique().alias("times"))
    within = days.group_by("file").agg((pl.col("times").mean() > _TIMES_A_DAY).alias("within"))
    steps = rows.filter(pl.col("wall").is_not_null()).sort("file", "symbol", "wall")
    steps = steps.select(
        "file", pl.col("wall").diff().over("file", "symbol", "session").dt.total_seconds().alias("step")
    )
    lengths = steps.filter(pl.col("step") > 0).group_by("file").agg(pl.col("step").mode().min().alias("length"))
    files = within.join(lengths, on="file", how="left").with_columns(pl.when("within").then("length").alias("length"))
    return rows.select("file").join(files, on="file", how="left", maintain_order="left")["length"].cast(pl.Int64)


def _interval_name() -> pl.Expr:
    seconds = pl.col("seconds")
    named: pl.Expr = pl.lit(DAILY)
    for length, letter in ((1, "s"), (60, "m"), (3600, "h")):
        whole = seconds % length == 0
        written = pl.concat_str(seconds // length, pl.lit(letter))
        named = pl.when(whole).then(written).otherwise(named)
    return pl.when(seconds.is_null()).then(pl.lit(DAILY)).otherwise(named)


def bar_rows(rows: pl.DataFrame, source: str, adjusted: str) -> pl.DataFrame:
    """Stamped rows as records of table `bars`, not simulated, in the same order."""
    day, instant = pl.col("session").cast(pl.String), pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    moment = pl.when(pl.col("interval") == DAILY).then(day).otherwise(instant)
    return rows.select(
        pl.lit(source).alias("source"),
        pl.concat_str("symbol", "interval", moment, separator=":").alias("source_id"),
        pl.lit(value=False).alias("simulated"),
        pl.lit(adjusted).alias("adjusted"),
        *(name for name in BARS.schema.names if name in rows.columns),
    )
