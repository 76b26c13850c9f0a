"""Real restatements and real prices through the store."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake

from project01.store import FeatureStore

SHARED = Path(os.environ.get("PROJECT01_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
GDP = SHARED / "macro" / "us_real_gdp_vintages.parquet"
PRICES = SHARED / "daily_us" / "daily_2005_2017.parquet"
AS_OF = pl.Datetime("us", "UTC")


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=f"no {path.name}; set PROJECT01_SHARED_DATA to the shared data")


@needs(GDP)
def test_gross_domestic_product_reads_as_first_published_then_as_revised(tmp_path: Path, info_type: Any) -> None:
    """Sixty vintages of every quarter: at each time the newest quarter published, in its newest vintage."""
    end_of_quarter = {
        name: pl.col(column).str.to_date().dt.offset_by("3mo").cast(AS_OF)
        for name, column in {"event_time": "quarter", "knowledge_time": "vintage"}.items()
    }
    table = (
        pl.read_parquet(GDP)
        .select(pl.lit("GDP").alias("symbol"), **end_of_quarter, gdp=pl.col("value").cast(pl.Float32))
        .drop_nulls()
        .with_columns(session=pl.col("event_time").dt.date())
    )
    write_deltalake(str(tmp_path / "lake" / "features"), table.sample(fraction=1, shuffle=True, seed=1).to_arrow())
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake", time_to_live=timedelta(days=200))
    store.apply([info_type("gdp", "macro")])
    times = [datetime(2002, 12, 1, tzinfo=UTC) + timedelta(days=17 * step) for step in range(330)]
    asked = pl.DataFrame({"symbol": ["GDP"] * len(times), "as_of": pl.Series(times, dtype=AS_OF)})
    read = store.training_features(asked, ["gdp"])
    expected = []
    for at in times:
        known = table.filter(pl.col("knowledge_time") <= at, pl.col("event_time") <= at)
        newest = known.sort("event_time", "knowledge_time").tail(1)
        expected.append(newest["gdp"].item() if newest.height else None)
    assert read.frame["gdp"].fill_nan(None).to_list() == expected
    assert expected[0] is None
    assert len({value for value in expected if value is not None}) > 50


@needs(PRICES)
@pytest.mark.slow
def test_a_million_real_bars_read_exactly(tmp_path: Path, info_type: Any) -> None:
    """Each bar is known from its close on: at the close it is read, a microsecond before it is the bar before."""
    close_at = pl.col("date").cast(pl.Datetime("us")).dt.offset_by("21h").dt.replace_time_zone("UTC")
    bars = (
        pl.read_parquet(PRICES, columns=["symbol", "date", "close"])
        .sort("symbol", "date")
        .select("symbol", session="date", event_time=close_at, knowledge_time=close_at, price=pl.col("close"))
    )
    write_deltalake(str(tmp_path / "lake" / "features"), bars.to_arrow())
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake", time_to_live=timedelta(days=20000))
    store.apply([info_type("price", "level")])
    at_close = store.training_features(bars.select("symbol", as_of="event_time"), ["price"])
    ordered = bars.sort("event_time", "symbol")
    assert at_close.frame.select("symbol", "session", "price").equals(ordered.select("symbol", "session", "price"))
    before = bars.select("symbol", as_of=pl.col("event_time") - timedelta(microseconds=1))
    lagged = store.training_features(before, ["price"]).frame.sort("symbol", "as_of")["price"].fill_nan(None)
    previous = bars.select(pl.col("price").shift().over("symbol")).to_series()
    assert lagged.equals(previous.rename("price"), null_equal=True)

    end = datetime(2011, 8, 8, 12, tzinfo=UTC)
    store.materialise(datetime(2005, 1, 1, tzinfo=UTC), end)
    symbols = bars["symbol"].unique().sort().to_list()
    questions = pl.DataFrame({"symbol": symbols, "as_of": pl.Series([end] * len(symbols), dtype=AS_OF)})
    offline = store.training_features(questions, ["price"])
    assert store.online(symbols, ["price"]).frame.equals(offline.frame, null_equal=True)
    assert offline.frame["session"].drop_nulls().max() == datetime(2011, 8, 5).date()  # noqa: DTZ001
