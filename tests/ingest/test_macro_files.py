"""VIX, Treasury yields and benchmarks from files, each value known when it was."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from project01.domain import BARS
from project01.ingest import INDEX_SOURCE, BenchmarkFileSource, MacroFilesSource


def macro_of(path: Path) -> pl.DataFrame:
    (batch,) = MacroFilesSource(path).read()
    return batch.rows


def test_yields_are_known_in_the_evening(tmp_path: Path) -> None:
    path = tmp_path / "yields.csv"
    path.write_text("date,1month,3month,10year\n2010-11-24,,0.0017,0.0293\n2010-11-26,0.0012,0.0016,\n")
    rows = macro_of(path)
    assert rows.select("series_id", "period", "value").rows() == [
        ("DGS10", date(2010, 11, 24), 0.0293), ("DGS1MO", date(2010, 11, 26), 0.0012),
        ("DGS3MO", date(2010, 11, 24), 0.0017), ("DGS3MO", date(2010, 11, 26), 0.0016),
    ]  # fmt: skip
    assert rows["event_time"][0] == datetime(2010, 11, 24, 20, 30, tzinfo=UTC)
    assert rows["knowledge_time"][0] == datetime(2010, 11, 24, 23, tzinfo=UTC)


@pytest.mark.parametrize("header", ["DGS10", "10 Yr", "10year", "US10Y", "10Y"])
def test_yields_in_percent_become_fractions(tmp_path: Path, header: str) -> None:
    path = tmp_path / "yields.csv"
    path.write_text(f"Date,{header}\n07/13/2010,3.15\n07/14/2010,3.07\n")
    rows = macro_of(path)
    assert rows["series_id"].unique().to_list() == ["DGS10"]
    assert rows["value"].to_list() == pytest.approx([0.0315, 0.0307])


def test_real_macro_folder(shared_data: Path) -> None:
    source = MacroFilesSource(shared_data / "macro")
    (batch,) = source.read()
    rows = batch.rows
    ids = {"DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7", "DGS10", "DGS20", "DGS30", "VIX"}
    assert set(rows["series_id"]) == ids
    ten = rows.filter(series_id="DGS10").tail(1).row(0, named=True)
    assert (ten["period"], ten["value"]) == (date(2017, 3, 29), 0.0239)
    vix = rows.filter(series_id="VIX", period=date(2017, 11, 24)).row(0, named=True)
    assert vix["value"] == 9.67
    assert vix["knowledge_time"] == datetime(2017, 11, 24, 18, 15, tzinfo=UTC), "a half day"
    gaps = rows.filter(series_id="DGS30", period=pl.lit(date(2004, 1, 5)))
    assert gaps.is_empty(), "no 30-year bond then, and nothing filled in"
    assert {file.name for file in source.skipped} == {
        "fred_md_tcodes.csv", "fred_md_vintages.parquet", "us_real_gdp_vintages.parquet",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "symbol", "last"),
    [
        ("sp500_index_close.csv", "SP500_INDEX", 2673.61),
        ("spy_ohlcv_1998_2017.csv", "SPY", 251.471171),
        ("spy_total_return_daily.csv", "SPY_TOTAL_RETURN", None),
    ],
)
def test_real_benchmarks(shared_data: Path, file: str, symbol: str, last: float | None) -> None:
    (batch,) = BenchmarkFileSource(shared_data / "benchmark" / file).read()
    assert batch.spec is BARS
    rows = batch.rows
    assert rows["source"].unique().to_list() == [INDEX_SOURCE]
    assert rows["symbol"].unique().to_list() == [symbol]
    if last is not None:
        assert rows["close"][-1] == pytest.approx(last)
    assert (rows["event_time"] == rows["knowledge_time"]).all()


def test_daily_returns_are_chained_to_a_level(tmp_path: Path) -> None:
    path = tmp_path / "fund.csv"
    path.write_text("date,return\n2010-11-26,-0.5\n2010-11-24,0.1\n2010-11-29,1.0\n")
    (batch,) = BenchmarkFileSource(path, symbol="FUND").read()
    assert batch.rows["close"].to_list() == pytest.approx([1.1, 0.55, 1.1])
    assert batch.rows["session"].to_list() == [date(2010, 11, 24), date(2010, 11, 26), date(2010, 11, 29)]
