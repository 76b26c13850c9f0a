"""FRED's vintages, pystock's reports and prices as vendors' answers and records, and rows of the lake back again."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from project01.domain import Bar, trading_calendar
from project01.ingest.stand_ins.edgar import _COLUMNS
from project01.lake import Lake

FRED_MD_FILE, GDP_FILE = "macro/fred_md_vintages.parquet", "macro/us_real_gdp_vintages.parquet"
REPORTS_FILE, PRICES_FILE = "pystock/reports_pit_2015_2016.parquet", "pystock/prices_asof_2015_2016.parquet"
GDP = "US_REAL_GDP"
PYSTOCK = "pystock"
NEW_YORK = "America/New_York"
_PRICES = ("open", "high", "low", "close", "adj_close")


def vintages(folder: Path) -> pl.DataFrame:
    """Columns series_id, date, vintage (the day from which the value is known), value; 190,417 rows.

    A vintage of FRED-MD is there at the end of its month, one of GDP at the end of its quarter, as the README says.
    """
    monthly = pl.read_parquet(folder / FRED_MD_FILE).select(
        "series_id", "date", pl.col("vintage").str.to_date("%Y-%m").dt.month_end(), "value"
    )
    quarter = pl.read_parquet(folder / GDP_FILE).select(
        pl.lit(GDP).alias("series_id"), pl.col("quarter").str.to_date().alias("date"),
        pl.col("vintage").str.to_date().dt.offset_by("2mo").dt.month_end(), "value",
    )  # fmt: skip
    return pl.concat([monthly, quarter]).sort("series_id", "date", "vintage")


def vintages_back(lake: Lake) -> pl.DataFrame:
    """The lake's observations in the form of `vintages`: known from the end of the vintage's day in Chicago on."""
    known = pl.col("knowledge_time").dt.convert_time_zone("America/Chicago")
    rows = lake.scan("macro").filter(pl.col("source") == "fred").select(
        "series_id", pl.col("period").alias("date"), known.dt.offset_by("-1us").dt.date().alias("vintage"), "value"
    )  # fmt: skip
    return rows.collect().sort("series_id", "date", "vintage")


def reports(folder: Path) -> pl.DataFrame:
    """One row a 10-K or 10-Q."""
    return pl.read_parquet(folder / REPORTS_FILE)


def reports_back(lake: Lake, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's facts, one row a filing again, in the order in which EDGAR's stand-in numbered them."""
    column_of = {concept: column for column, (concept, _, _) in _COLUMNS.items()}
    facts = lake.scan("facts").filter(pl.col("source") == "edgar", pl.col("concept").is_in(list(column_of)))
    rows = facts.select(
        pl.col("accession").str.slice(-6).cast(pl.Int64).alias("place"), "symbol",
        pl.col("period_end").alias("end_date"), pl.col("form").str.ends_with("/A").alias("amend"),
        pl.col("fiscal_period").alias("period_focus"), pl.col("fiscal_year").cast(pl.Int32),
        pl.col("form").str.strip_suffix("/A").alias("doc_type"),
        pl.col("knowledge_time").dt.convert_time_zone(NEW_YORK).dt.offset_by("-1us").dt.date().alias("first_seen"),
        pl.col("concept").replace(column_of), "value",
    ).collect()  # fmt: skip
    index = ["place", "symbol", "end_date", "amend", "period_focus", "fiscal_year", "doc_type", "first_seen"]
    wide = rows.pivot("concept", index=index, values="value")
    absent = [pl.lit(None, pl.Float64).alias(name) for name in like.columns if name not in wide.columns]
    return wide.with_columns(absent).sort("place").select(like.columns)


def prices(folder: Path) -> pl.DataFrame:
    """One row a symbol and day: the bar as first published, and as it stood one archive later."""
    return pl.read_parquet(folder / PRICES_FILE)


def _openings(days: pl.Series) -> pl.Series:
    """The first open after each day, microseconds UTC: an archive is there before it, not before its day's close."""
    sessions = trading_calendar().as_frame().select(pl.col("session").alias("#session"), "open_at")
    asked = pl.DataFrame({"#day": days.dt.offset_by("1d"), "#place": pl.int_range(days.len(), eager=True)})
    found = asked.sort("#day").join_asof(sessions, left_on="#day", right_on="#session", strategy="forward")
    return found.sort("#place")["open_at"].dt.timestamp("us")


def price_records(rows: pl.DataFrame, received_at: int) -> Iterator[Bar]:
    """The bar as first published, and a second version where the next archive showed other prices."""
    at_four = pl.col("date").dt.combine(pl.time(16)).dt.replace_time_zone(NEW_YORK).dt.timestamp("us")
    marked = rows.with_columns(
        at_four.alias("end"),
        _openings(rows["file_date"]).alias("first"),
        _openings(rows["last_obs_file_date"]).alias("later"),
    )
    other = (pl.col("close") != pl.col("close_last_obs")) | (pl.col("adj_close") != pl.col("adj_close_last_obs"))
    restated = marked.filter(other).with_columns(
        pl.col("close_last_obs").alias("close"),
        pl.col("adj_close_last_obs").alias("adj_close"),
        pl.col("later").alias("first"),
    )
    both = pl.concat([marked, restated]).select(
        pl.format("{}:{}", "symbol", "date").alias("id"), "symbol", pl.col("date").cast(pl.String),
        "end", "first", "volume",
        *(pl.col(name).cast(pl.Float64) for name in _PRICES),
    )  # fmt: skip
    for source_id, symbol, session, end, known, volume, first, high, low, close, adjusted in both.iter_rows():
        yield Bar(
            source=PYSTOCK, source_id=source_id, event_time=end, knowledge_time=known, received_at=received_at,
            licence=PYSTOCK, symbol=symbol, interval="1d", session=session, open=first, high=high, low=low, close=close,
            adj_close=adjusted, volume=float(volume),
        )  # fmt: skip


def prices_back(lake: Lake, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's bars in the form of the file: of each day the first version, and the last one beside it.

    The archives' own dates are not carried: they are in the clocks, which are compared with them apart.
    """
    rows = lake.scan("bars").filter(pl.col("source") == PYSTOCK).collect().sort("symbol", "session", "knowledge_time")
    days = rows.group_by("symbol", "session", maintain_order=True).agg(
        *(pl.col(name).first() for name in (*_PRICES, "volume")),
        pl.col("close").last().alias("close_last_obs"), pl.col("adj_close").last().alias("adj_close_last_obs"),
    ).rename({"session": "date"})  # fmt: skip
    kept = [name for name in like.columns if not name.endswith("file_date")]
    return days.select(pl.col(name).cast(like.schema[name]) for name in kept).sort("symbol", "date")


def day_known(lake: Lake, symbol: str, day: date) -> pl.Series:
    """When each version of one daily bar could first be known."""
    mine = (pl.col("source") == PYSTOCK) & (pl.col("symbol") == symbol) & (pl.col("session") == day)
    return lake.scan("bars").filter(mine).select("knowledge_time").collect()["knowledge_time"].sort()
