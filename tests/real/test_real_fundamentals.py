"""Real vintages, filings and daily prices the whole way, each known when it was known."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.real import fundamentals
from tests.real.through import fetch_all, landed, proven, publish, unequal

from project01.domain import BARS
from project01.ingest import Query
from project01.ingest.stand_ins import edgar, fred
from project01.pipelines import Place

pytestmark = pytest.mark.slow

RECEIVED = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
BEFORE, BETWEEN, AFTER = (datetime(year, 10, 1, 12, tzinfo=UTC) for year in (2018, 2019, 2024))
NEVER_KNOWN = None
# As they stand in the files, written down by hand: series, period, when asked, what was known then.
KNOWN = [
    ("INDPRO", date(2010, 1, 1), BEFORE, NEVER_KNOWN),
    ("INDPRO", date(2010, 1, 1), BETWEEN, 91.6642),
    ("INDPRO", date(2010, 1, 1), AFTER, 89.1897),
    ("PAYEMS", date(2019, 3, 1), BETWEEN, 150796.0),
    ("PAYEMS", date(2019, 3, 1), AFTER, 150294.0),
    ("CPIAUCSL", date(2018, 12, 1), BETWEEN, 252.723),
    ("CPIAUCSL", date(2018, 12, 1), AFTER, 252.767),
    ("UNRATE", date(2019, 7, 1), BETWEEN, 3.7),
    # Vintage 2019-09 is there at the end of September: on that day it is not known yet, in Chicago it is not over.
    ("UNRATE", date(2019, 7, 1), datetime(2019, 9, 30, 23, tzinfo=UTC), NEVER_KNOWN),
    ("UNRATE", date(2019, 7, 1), datetime(2019, 10, 1, 5, tzinfo=UTC), 3.7),
    ("US_REAL_GDP", date(2008, 7, 1), datetime(2008, 12, 31, 12, tzinfo=UTC), NEVER_KNOWN),
    ("US_REAL_GDP", date(2008, 7, 1), datetime(2009, 1, 1, 12, tzinfo=UTC), 2928075.0),
    ("US_REAL_GDP", date(2008, 7, 1), datetime(2009, 6, 1, tzinfo=UTC), 2928100.0),
    ("US_REAL_GDP", date(2008, 7, 1), datetime(2009, 10, 1, 12, tzinfo=UTC), 3331150.0),
    ("US_REAL_GDP", date(1980, 1, 1), datetime(2003, 6, 1, tzinfo=UTC), 1239725.0),
    ("US_REAL_GDP", date(1980, 1, 1), datetime(2010, 1, 1, 12, tzinfo=UTC), 1477125.0),
    ("US_REAL_GDP", date(1980, 1, 1), datetime(2018, 1, 2, tzinfo=UTC), 1631228.0),
]


def test_all_vintages_through_freds_pages_and_each_known_in_its_time(shared_data: Path, tmp_path: Path) -> None:
    place, given = Place(tmp_path / "out"), fundamentals.vintages(shared_data)
    assert given.height == 183_036 + 7_381
    query = Query(dataset="observations", symbols=tuple(given["series_id"].unique().sort()))
    rows = given.select("series_id", "date", "vintage", "value").iter_rows()
    with fred.stand_in(vintages=rows, page_limit=1_000) as server:
        assert fetch_all(place, server.connection(tmp_path), query) == given.height
        assert len(server.server.requests) > given.height / 1_000
    assert landed(place, "fundamentals")["fundamentals"].rows == {"macro": given.height}
    assert unequal(given, fundamentals.vintages_back(place.lake), ["series_id", "date", "vintage"]) == 0
    as_known = {asked: place.lake.read("macro", as_of=asked) for asked in {row[2] for row in KNOWN}}
    for series, period, asked, value in KNOWN:
        found = as_known[asked].filter(pl.col("series_id") == series, pl.col("period") == period)["value"].to_list()
        assert found == ([] if value is None else [value]), (series, period, asked)
    assert all(row["equal"] for row in proven(place, tmp_path / "rebuilt", "fundamentals"))


def test_filings_through_edgar_and_what_was_restated(shared_data: Path, tmp_path: Path) -> None:
    given = fundamentals.reports(shared_data)
    amended = given.filter("amend")["symbol"].unique(maintain_order=True)
    symbols = pl.concat([amended, given["symbol"].unique(maintain_order=True)[:300]]).unique()
    given = given.filter(pl.col("symbol").is_in(symbols.implode()))
    place = Place(tmp_path / "out")
    with edgar.stand_in(reports=given.iter_rows(named=True)) as server:
        companies = tuple(f"CIK{cik:010d}" for cik in {filing.cik: None for filing in server.filings})
        records = fetch_all(place, server.connection(tmp_path), Query(dataset="company_facts", symbols=companies))
        numbers = {filing.fact_id(number) for filing in server.filings for number in filing.numbers}
    assert records == len(numbers)
    assert landed(place, "fundamentals")["fundamentals"].rows == {"facts": records}
    assert (
        unequal(given, fundamentals.reports_back(place.lake, given), ["symbol", "first_seen", "end_date", "amend"]) == 0
    )
    income = [
        pl.col("symbol") == "SON",
        pl.col("concept") == "NetIncomeLoss",
        pl.col("period_end") == date(2015, 3, 29),
    ]
    # Filed on 2015-04-29: not known at that day's close, known at the next open; restated by the amendment of 08-28.
    for asked, expected in [
        (datetime(2015, 4, 29, 20, tzinfo=UTC), []),
        (datetime(2015, 4, 30, 13, 30, tzinfo=UTC), [87_920_000.0]),
        (datetime(2015, 8, 28, 20, tzinfo=UTC), [87_920_000.0]),
        (datetime(2015, 8, 31, 13, 30, tzinfo=UTC), [85_780_000.0]),
    ]:
        assert place.lake.read("facts", as_of=asked).filter(income)["value"].to_list() == expected, asked
    assert all(row["equal"] for row in proven(place, tmp_path / "rebuilt", "fundamentals"))


def test_prices_as_first_published_and_as_restated_by_the_next_archive(shared_data: Path, tmp_path: Path) -> None:
    given = fundamentals.prices(shared_data).filter(pl.col("symbol").str.starts_with("B"))
    place = Place(tmp_path / "out")
    restated = (
        (pl.col("close") != pl.col("close_last_obs")) | (pl.col("adj_close") != pl.col("adj_close_last_obs"))
    ).sum()
    records = given.height + given.select(restated).item()
    assert publish(place, fundamentals.price_records(given, RECEIVED)) == records > given.height
    assert landed(place, "ticks")["ticks"].rows == {BARS.name: records}
    expected = given.drop("file_date", "last_obs_file_date")
    assert unequal(expected, fundamentals.prices_back(place.lake, given), ["symbol", "date"]) == 0
    # Baxter spun off Baxalta on 2015-07-01: the next day's archive cut the adjusted close of 06-30 by 46 %.
    versions = fundamentals.day_known(place.lake, "BAX", date(2015, 6, 30)).to_list()
    assert versions == [datetime(2015, 7, 1, 13, 30, tzinfo=UTC), datetime(2015, 7, 2, 13, 30, tzinfo=UTC)]
    for asked, adjusted in [(versions[0], 69.93), (versions[1], 37.98479)]:
        bars = place.lake.read("bars", as_of=asked, symbols=["BAX"])
        assert bars.filter(pl.col("session") == date(2015, 6, 30))["adj_close"].item() == pytest.approx(
            adjusted, abs=1e-5
        )
