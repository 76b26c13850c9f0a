"""When values of macro series could first be known, and series as records.

The sources here give one final value for each period, not vintages: revisions made later are in it. VIX and yields are
not revised; core CPI is (seasonal factors of five years, each February), which flatters its use by a little.
"""

from dataclasses import dataclass
from datetime import time, timedelta

import polars as pl

from project01.domain import BARS, MACRO, TradingCalendar
from project01.ingest.sessions import close_times
from project01.ingest.source import Batch

NEW_YORK = "America/New_York"
INDEX_SOURCE = "benchmark"
VIX_DELAY = timedelta(minutes=15)
YIELDS_MEASURED, YIELDS_PUBLISHED = time(15, 30), time(18)
# A month's core CPI is out about the 12th of the next; after the shutdown of 2013 it took 30 days (2013-10-30), and we
# take the late date for all. Monthly averages of yields are published in the first week.
CPI_DAYS, MONTHLY_YIELD_DAYS = 31, 7
MONTHLY_AT = time(16)
_UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Series:
    """Values of one series.

    Attributes:
        series_id: as FRED names it, e.g. ``DGS10``; ``VIX`` for the VIX.
        period: Date, the day or the first day of the month each value is for.
        value: Float64, in the unit of table `macro`; missing values are left out of the records.
    """

    series_id: str
    period: pl.Series
    value: pl.Series

    def records(self, source: str, event: pl.Series, known: pl.Series) -> pl.DataFrame:
        """Rows of table `macro`, sorted by period; where a value, its period or a clock is missing there is none."""
        rows = pl.DataFrame(
            {
                "period": self.period.cast(pl.Date),
                "value": self.value.cast(pl.Float64),
                "event_time": event.cast(_UTC),
                "knowledge_time": known.cast(_UTC),
            }
        )
        rows = rows.drop_nulls().filter(pl.col("value").is_finite()).sort("period")
        marked = rows.with_columns(
            pl.lit(source).alias("source"),
            pl.concat_str(pl.lit(f"{self.series_id}:"), pl.col("period").cast(pl.String)).alias("source_id"),
            pl.lit(value=False).alias("simulated"),
            pl.lit(self.series_id).alias("series_id"),
        )
        return Batch.of(MACRO, marked).rows


def vix_records(series: Series, source: str, calendar: TradingCalendar) -> pl.DataFrame:
    """The VIX is settled and known 15 minutes after the close; days without a session are left out."""
    traded = pl.Series(calendar.is_session(series.period.to_numpy().astype("datetime64[D]")))
    settled = close_times(series.period, calendar) + VIX_DELAY
    settled = pl.select(pl.when(traded).then(settled)).to_series()
    return series.records(source, settled, settled)


def yield_records(series: Series, source: str) -> pl.DataFrame:
    """Treasury par yields: measured at 15:30, published by 18:00 in New York, on bond market days."""
    return series.records(source, _at(series.period, YIELDS_MEASURED), _at(series.period, YIELDS_PUBLISHED))


def monthly_records(series: Series, source: str, days: int) -> pl.DataFrame:
    """A month's value happened when the month ended and is taken as known `days` later, at 16:00 in New York."""
    last_day = series.period.dt.month_end()
    return series.records(
        source, _at(last_day.dt.offset_by("1d"), time(0)), _at(last_day + timedelta(days), MONTHLY_AT)
    )


def index_records(symbol: str, days: pl.Series, closes: pl.Series, calendar: TradingCalendar) -> pl.DataFrame:
    """Close-only bars of an index or fund to compare with, under the source ``benchmark``, known at the close.

    Args:
        symbol: of the index.
        days: Date.
        closes: Float64, adjusted for splits and dividends where the data has it; missing ones are left out.
        calendar: sessions of the exchange.
    """
    rows = pl.DataFrame({"session": days.cast(pl.Date), "close": closes.cast(pl.Float64)}).drop_nulls().sort("session")
    known = close_times(rows["session"], calendar)
    marked = rows.with_columns(
        known.alias("event_time"),
        known.alias("knowledge_time"),
        pl.col("close").alias("adj_close"),
        pl.lit(INDEX_SOURCE).alias("source"),
        pl.concat_str(pl.lit(f"{symbol}:1d:"), pl.col("session").cast(pl.String)).alias("source_id"),
        pl.lit(value=False).alias("simulated"),
        pl.lit(symbol).alias("symbol"),
        pl.lit("1d").alias("interval"),
    )
    return Batch.of(BARS, marked).rows


def _at(days: pl.Series, clock: time) -> pl.Series:
    wall = days.cast(pl.Date).to_frame("day").select(pl.col("day").dt.combine(clock)).to_series()
    return wall.dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC")
