"""Second bars built in the lake against the vendor's own; docs/bars-from-ticks.md says why they differ."""

import polars as pl
from tests.etl.test_bar_real_ticks import FIELDS, PRICES, VENDOR_SETS_PRICE, any_bit

from project01.lake import Lake

# What our rules let set a price in a bar that has regular trades, and what may do so in bars without any.
_OURS = ~any_bit(1, 2, 3, 20, 24, 26)
_CONDITIONAL = any_bit(9, 13, 14, 25)


def both(lake: Lake) -> pl.DataFrame:
    """The vendor's second bars of the days of the trades, each beside the one built from them (null where none is)."""
    bars = (
        lake.scan("bars")
        .filter(pl.col("interval") == "1s")
        .select("source", "symbol", "session", "event_time", *FIELDS)
    )
    own = bars.filter(pl.col("source") == "algoseek").collect()
    built = bars.filter(pl.col("source") == "built:algoseek").collect()
    days = built.select("symbol", "session").unique()
    own = own.join(days, on=["symbol", "session"], how="semi")
    found = built.select("symbol", "event_time", *FIELDS, pl.lit(value=True).alias("built"))
    return own.join(found, on=["symbol", "event_time"], how="left", suffix="_built")


def shares(pairs: pl.DataFrame) -> pl.DataFrame:
    """By symbol: how many bars, how many were built too, and the share of those that are equal, field by field."""
    equal = (pl.col(field).eq_missing(pl.col(f"{field}_built")).mean().alias(field) for field in FIELDS)
    return pairs.group_by("symbol").agg(pl.len().alias("bars"), pl.col("built").sum(), *equal).sort("symbol")


def agreed(lake: Lake, pairs: pl.DataFrame) -> pl.DataFrame:
    """Those pairs in whose second both rules let the same trades set the prices; odd ticks set none at the vendor."""
    trades = lake.scan("trades").filter(pl.col("source") == "algoseek").select("symbol", "event_time", "conditions")
    suspicious = pl.lit(value=False).alias("suspicious")  # ten ticks of five days; their seconds are SPY's
    end = pl.col("event_time").dt.truncate("1s").dt.offset_by("1s").alias("event_time")
    same = trades.with_columns(suspicious).group_by("symbol", end).agg(
        (_OURS == VENDOR_SETS_PRICE).all().alias("same"), _CONDITIONAL.any().alias("conditional")
    ).filter("same", ~pl.col("conditional")).collect()  # fmt: skip
    return pairs.join(same, on=["symbol", "event_time"], how="semi")


def all_prices_equal(pairs: pl.DataFrame) -> bool:
    """Whether each of the four prices is equal in every pair."""
    return all(pairs[field].eq_missing(pairs[f"{field}_built"]).all() for field in PRICES)
