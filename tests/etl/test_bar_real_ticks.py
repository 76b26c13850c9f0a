"""Second bars from 2.67 million real trades against the vendor's own; docs/bars-from-ticks.md explains the figures."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.etl.bar_trades import digest, real_trades

from project01.etl import build_bars, check_trades

pytestmark = pytest.mark.slow

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
SET_ALL, VOLUME_ONLY, SET_NOTHING = "1", "100000", "1000000"


@pytest.fixture(scope="module")
def trades(shared_data: Path) -> pl.DataFrame:
    return real_trades(shared_data)


@pytest.fixture(scope="module")
def vendor_bars(shared_data: Path, trades: pl.DataFrame) -> pl.DataFrame:
    """The vendor's second bars of the days of the trades, stamped at their end; 198,413 of them."""
    bars = pl.read_parquet(shared_data / "intraday_us" / "second_trade.parquet")
    days = trades["event_time"].dt.date().unique().implode()
    return bars.filter(pl.col("ts").dt.date().is_in(days)).select(
        "symbol", pl.col("ts").dt.offset_by("1s").alias("event_time"), *FIELDS
    )


def bit(number: int) -> pl.Expr:
    return pl.col("conditions").str.to_integer(base=16) // (1 << number) % 2 == 1


def any_bit(*numbers: int) -> pl.Expr:
    return pl.any_horizontal(bit(number) for number in numbers)


# Found by comparing seconds whose trades all carry the same conditions. Sweeps (5), seller's options (3), auctions
# (6, 7), official prices (24, 26), derivative prices (9) and average prices exempt from the trade-through rule (20 with
# 29) set no price, unless in extended hours (13); ticks marked suspicious never do.
VENDOR_SETS_PRICE = (bit(13) | ~(any_bit(3, 5, 6, 7, 9, 24, 26) | (bit(20) & bit(29)))) & ~pl.col("suspicious")
# Neither auctions nor official prices count as volume; suspicious ticks do.
VENDOR_COUNTS_VOLUME = ~any_bit(6, 7, 24, 26)


def shares_equal(vendor: pl.DataFrame, built: pl.DataFrame, *by: str) -> pl.DataFrame:
    both = vendor.join(built, on=["symbol", "event_time"], suffix="_built")
    equal = (pl.col(field).eq_missing(pl.col(f"{field}_built")).mean().alias(field) for field in FIELDS)
    return both.group_by(*by).agg(pl.len().alias("bars"), *equal).sort(*by) if by else both.select(pl.len(), *equal)


def test_bars_by_the_tapes_rules_against_the_vendors(trades: pl.DataFrame, vendor_bars: pl.DataFrame) -> None:
    built = build_bars(trades)
    assert built.counts["unknown_conditions"] == 0
    assert built.versions.height == built.counts["bars"]
    shares = shares_equal(vendor_bars, built.versions, "symbol")
    assert shares["bars"].sum() == vendor_bars.height, "each of the vendor's bars is among ours"
    least = pl.DataFrame(
        [
            ("AIG", 0.948, 0.963, 0.952, 0.960, 0.838),
            ("BAC", 0.981, 0.994, 0.976, 0.984, 0.959),
            ("SPY", 0.942, 0.954, 0.937, 0.937, 0.948),
        ],
        schema=["symbol", *FIELDS],
        orient="row",
    )
    for field in FIELDS:
        assert (shares[field] >= least[field]).all(), shares
    official = trades.filter(any_bit(24, 26))["size"].sum()
    assert built.versions["volume"].sum() == trades["size"].sum() - official


def test_where_both_let_the_same_trades_set_prices_the_prices_are_equal(
    trades: pl.DataFrame, vendor_bars: pl.DataFrame
) -> None:
    built = build_bars(trades).versions
    # What our rules let set a price in a bar that has regular trades, or in extended hours those.
    ours = ~any_bit(1, 2, 3, 20, 24, 26)
    agreed = trades.group_by("symbol", pl.col("event_time").dt.truncate("1s").dt.offset_by("1s")).agg(
        (ours == VENDOR_SETS_PRICE).all().alias("agreed"), any_bit(9, 13, 14, 25).any().alias("conditional")
    )
    same_rule = vendor_bars.join(agreed.filter("agreed", ~pl.col("conditional")), on=["symbol", "event_time"])
    assert same_rule.height > 90_000
    shares = shares_equal(same_rule.select(vendor_bars.columns), built)
    for field in PRICES:
        assert shares[field].item() == 1.0, shares


def test_by_the_vendors_own_rules_all_but_a_few_bars_are_equal(trades: pl.DataFrame, vendor_bars: pl.DataFrame) -> None:
    as_vendor = trades.with_columns(
        pl.when(VENDOR_SETS_PRICE).then(pl.lit(SET_ALL))
        .when(VENDOR_COUNTS_VOLUME).then(pl.lit(VOLUME_ONLY))
        .otherwise(pl.lit(SET_NOTHING)).alias("conditions")
    )  # fmt: skip
    built = build_bars(as_vendor).versions
    priced = pl.col("close").is_not_null()
    # The vendor opens no bar for a second without a price: its volume goes to the bar that is open.
    day = pl.col("event_time").dt.date()
    built = built.with_columns(pl.when(priced).then("event_time").forward_fill().over("symbol", day).alias("holder"))
    volume = built.group_by("symbol", event_time="holder").agg(pl.col("volume").sum())
    merged = built.filter(priced).drop("volume").join(volume, on=["symbol", "event_time"])
    shares = shares_equal(vendor_bars, merged)
    assert shares["len"].item() == vendor_bars.height - 1
    assert merged.height == vendor_bars.height - 1
    for field in FIELDS:
        assert shares[field].item() >= 0.9999, shares


def test_the_gate_refuses_no_real_trade(trades: pl.DataFrame) -> None:
    checked = check_trades(trades, as_of=datetime(2013, 10, 13, tzinfo=UTC), listed={"SPY": date(1993, 1, 29)})
    assert checked.refused.height / trades.height < 0.001
    assert checked.accepted.height + checked.refused.height == trades.height


def test_five_hundred_orders_and_repetitions_of_a_real_hour_give_the_same_bytes(shared_data: Path) -> None:
    start = datetime(2013, 10, 7, 14, tzinfo=UTC)
    hour = real_trades(shared_data, symbol="AIG").filter(
        pl.col("event_time").is_between(start, datetime(2013, 10, 7, 15, tzinfo=UTC), closed="left")
    )
    assert hour.height > 1_000
    expected = digest(build_bars(hour).versions)
    for seed in range(500):
        repeated = hour.sample(fraction=0.3, with_replacement=True, seed=seed)
        shuffled = pl.concat([hour, repeated]).sample(fraction=1.0, shuffle=True, seed=seed)
        assert digest(build_bars(shuffled).versions) == expected, seed
