"""FRED: clocks and values worked out by hand, vintages as of a day, the whole way over real HTTP."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.ingest.vendors.running import RECEIVED_AT, decoded_by, fetched_as, running

from project01.domain import AuthenticationError, FixedClock, InputError, Observation, VendorError
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.stand_ins.fred import Vintage, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.fred import connect

UNRATE = Query(dataset="observations", symbols=("UNRATE",))
fetched = partial(fetched_as, Observation)
decoded = partial(decoded_by, stand_in, dataset="observations")


def row(**changes: Any) -> dict[str, Any]:
    first = {"realtime_start": "2008-02-01", "realtime_end": "2008-03-06", "date": "2008-01-01", "value": "4.9"}
    return first | changes


def asked(*rows: Any) -> dict[str, Any]:
    return {"project01_request": {"series_id": "UNRATE"}, "observations": list(rows)}


def known_by(found: list[Observation], as_of: datetime) -> dict[str, float | None]:
    """What somebody could know at that time: for each period the newest vintage."""
    at = micros_of(as_of)
    ordered = sorted((each for each in found if each.knowledge_time <= at), key=lambda each: each.knowledge_time)
    return {each.period: each.value for each in ordered}


def test_a_vintage_is_known_when_its_day_is_over_in_st_louis(tmp_path: Path) -> None:
    found = decoded(tmp_path, asked(row(), row(realtime_start="2008-07-03"))).records
    # 1 February 2008, winter: midnight in Chicago is 06:00 UTC; 3 July, summer: 05:00 UTC.
    assert found[0].knowledge_time == micros_of(datetime(2008, 2, 2, 6, tzinfo=UTC))
    assert found[1].knowledge_time == micros_of(datetime(2008, 7, 4, 5, tzinfo=UTC))
    # After the day's close in New York, before the next open.
    assert found[0].knowledge_time > micros_of(datetime(2008, 2, 1, 16, tzinfo=ZoneInfo("America/New_York")))
    assert found[0].event_time == micros_of(datetime(2008, 1, 1, tzinfo=UTC))
    assert found[0].source_id == "UNRATE:2008-01-01:2008-02-01"


@pytest.mark.parametrize(
    ("text", "value"), [(".", None), ("4.9", 4.9), ("-0.01", -0.01), ("1239725.1", 1239725.1), ("1e3", 1000.0)]
)
def test_values_are_exact_and_a_dot_is_missing(tmp_path: Path, text: str, value: float | None) -> None:
    found = decoded(tmp_path, asked(row(value=text))).records
    assert [each.value for each in found if isinstance(each, Observation)] == [value]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": "NaN"}, Reason.SCHEMA),
        ({"value": "1_000"}, Reason.SCHEMA),
        ({"value": ""}, Reason.SCHEMA),
        ({"value": 4.9}, Reason.SCHEMA),
        ({"value": None}, Reason.SCHEMA),
        ({"value": "1e999"}, Reason.NOT_FINITE),
        ({"value": float("nan")}, Reason.SCHEMA),
        ({"date": "2008-02-30"}, Reason.SCHEMA),
        ({"date": "20080201"}, Reason.SCHEMA),
        ({"date": "1776-07-04"}, Reason.TOO_OLD),
        ({"realtime_start": "2031-01-01"}, Reason.IN_FUTURE),
    ],
)
def test_a_bad_row_is_refused_alone_and_its_letter_can_be_replayed(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    found = decoded(tmp_path, asked(row(), row(**changes), row(realtime_start="2008-04-04")))
    assert (found.accepted, [each.reason for each in found.letters]) == (2, [reason])
    again = decoded(tmp_path / "again", json.loads(found.letters[0].payload))
    assert [(each.reason, each.detail) for each in again.letters] == [(reason, found.letters[0].detail)]
    good = json.loads(found.letters[0].payload)
    good["observations"] = [row()]
    assert [each.source_id for each in decoded(tmp_path / "good", good).records] == ["UNRATE:2008-01-01:2008-02-01"]


def test_one_lone_surrogate_costs_one_row(tmp_path: Path) -> None:
    body = json.dumps(asked(row(), row(value="WRONG"))).replace("WRONG", "\\ud800").encode()
    with running(tmp_path, stand_in()) as client:
        found = client.decode("observations", body, RECEIVED_AT)
    assert (len(found.records), [each.reason for each in found.letters]) == (1, [Reason.SCHEMA])


def test_an_error_in_the_body_is_named(tmp_path: Path) -> None:
    said = {"error_code": 400, "error_message": "Bad Request.  The series does not exist."}
    assert [each.reason for each in decoded(tmp_path, said).letters] == [Reason.ERROR_BODY]


def test_vintages_as_of_a_day(tmp_path: Path) -> None:
    vintages: list[Vintage] = [
        ("GDPC1", date(2010, 1, 1), date(2010, 4, 30), 100.0),
        ("GDPC1", date(2010, 1, 1), date(2010, 5, 27), 101.5),
        ("GDPC1", date(2010, 4, 1), date(2010, 7, 30), None),
        ("GDPC1", date(2010, 4, 1), date(2010, 8, 27), 103.25),
    ]
    with running(tmp_path, stand_in(vintages=vintages)) as client:
        found, _ = fetched(client, Query(dataset="observations", symbols=("GDPC1",)))
    assert known_by(found, datetime(2010, 4, 30, 23, tzinfo=UTC)) == {}
    assert known_by(found, datetime(2010, 5, 1, 12, tzinfo=UTC)) == {"2010-01-01": 100.0}
    assert known_by(found, datetime(2010, 5, 28, 12, tzinfo=UTC)) == {"2010-01-01": 101.5}
    assert known_by(found, datetime(2010, 8, 1, 12, tzinfo=UTC)) == {"2010-01-01": 101.5, "2010-04-01": None}
    assert known_by(found, datetime(2024, 1, 1, tzinfo=UTC)) == {"2010-01-01": 101.5, "2010-04-01": 103.25}


def many(count: int) -> list[Vintage]:
    """One period revised on `count` days in a row: more vintages than FRED gives in one answer."""
    first = date(2000, 1, 1)
    return [("DFF", first, first + timedelta(days=number), float(number)) for number in range(1, count + 1)]


def test_more_vintages_than_one_answer_may_hold(tmp_path: Path) -> None:
    server = stand_in(vintages=many(4_500), page_limit=1_000)
    with running(tmp_path, server) as client:
        found, _ = fetched(client, Query(dataset="observations", symbols=("DFF",)))
    assert len(found) == 4_500
    assert {each.source_id for each in found} == server.sent
    windows = [request for request in server.server.requests if request.path.endswith("observations")]
    assert len({request.first("realtime_start") for request in windows}) == 3


def test_a_row_cut_to_the_window_is_not_taken_for_a_new_vintage(tmp_path: Path) -> None:
    """FRED shows a value that stands since years as if it began with the window asked for."""
    server = stand_in(vintages=[("UNRATE", date(2015, 1, 1), date(2015, 2, 6), 5.7)])
    with running(tmp_path, server) as client:
        first, cursor = fetched(client, UNRATE)
        server.add(
            [("UNRATE", date(2015, 2, 1), date(2015, 3, 6), 5.5), ("UNRATE", date(2015, 1, 1), date(2015, 3, 6), 5.6)]
        )
        second, cursor = fetched(client, UNRATE, cursor)
        third, _ = fetched(client, UNRATE, cursor)
    assert [each.source_id for each in first] == ["UNRATE:2015-01-01:2015-02-06"]
    assert [each.source_id for each in second] == ["UNRATE:2015-01-01:2015-03-06", "UNRATE:2015-02-01:2015-03-06"]
    assert third == []


def test_todays_vintage_waits_until_the_day_is_over(tmp_path: Path) -> None:
    """At 20:00 in St. Louis more may still be published today; an hour past midnight nothing can."""
    vintages: list[Vintage] = [("UNRATE", date(2015, 1, 1), date(2015, 2, 6), 5.7)]
    evening, night = (datetime(2015, 2, day, hour, tzinfo=UTC) for day, hour in ((7, 2), (7, 7)))
    with running(tmp_path, stand_in(vintages=vintages), clock=FixedClock(evening)) as client:
        found, cursor = fetched(client, UNRATE)
        assert found == []
    with running(tmp_path / "night", stand_in(vintages=vintages), clock=FixedClock(night)) as client:
        found, _ = fetched(client, UNRATE, cursor)
    assert [each.value for each in found] == [5.7]


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 40)),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=60,
    ),
    cut=st.integers(0, 40),
    page_limit=st.integers(1, 70),
)
def test_any_vintages_come_once_in_two_fetches(
    tmp_path_factory: pytest.TempPathFactory,
    cells: dict[tuple[int, int], float | None],
    cut: int,
    page_limit: int,
) -> None:
    """Whatever was published before the first fetch and after it: both together bring each vintage once, exact."""
    vintages = [
        ("UNRATE", date(2010, month + 1, 1), date(2012, 1, 1) + timedelta(days=7 * told), value)
        for (month, told), value in cells.items()
    ]
    edge = date(2012, 1, 1) + timedelta(days=7 * cut)
    early = [each for each in vintages if each[2] <= edge]
    server = stand_in(vintages=[("OTHER", date(2010, 1, 1), date(2010, 2, 1), 1.0), *early], page_limit=page_limit)
    with running(tmp_path_factory.mktemp("fred"), server) as client:
        found: list[Observation] = []
        cursor = None
        if early:
            found, cursor = fetched(client, UNRATE)
        server.add([each for each in vintages if each[2] > edge])
        later, _ = fetched(client, UNRATE, cursor)
    got = {(each.period, each.source_id.split(":")[2]): each.value for each in [*found, *later]}
    assert len(found) + len(later) == len(vintages)
    assert got == {(period.isoformat(), told.isoformat()): value for _, period, told, value in vintages}


@pytest.mark.parametrize("kind", ["duplicates", "disorder", "wrong_page_order", "looping_cursor"])
def test_pages_that_are_wrong_are_found_out(tmp_path: Path, kind: Any) -> None:
    script = FaultScript(Fault(kind, after=1, path="observations"))
    with (
        running(tmp_path, stand_in(page_limit=30, faults=script)) as client,
        pytest.raises(VendorError, match=r"order|count|repeated"),
    ):
        fetched(client, UNRATE)


@pytest.mark.parametrize("kind", ["new_field", "renamed_field", "retyped_field", "missing_field", "not_a_number"])
def test_drift_of_the_value_costs_letters_and_nothing_else(tmp_path: Path, kind: Any) -> None:
    server = stand_in(faults=FaultScript(Fault(kind, path="observations")))
    with running(tmp_path, server) as client:
        pages = list(client.history(UNRATE))
    records = sum(len(page.decoded.records) for page in pages)
    letters = sum(len(page.decoded.letters) for page in pages)
    assert records + letters == len(server.sent)
    assert (letters == 0) == (kind == "new_field")


def test_a_wrong_key_and_an_unknown_series_are_told_apart(tmp_path: Path) -> None:
    server = stand_in()
    with server:
        wrong = connect(server.connection(tmp_path, secrets={"api key": "not-the-right-key-000"}))
        with pytest.raises(AuthenticationError, match="FRED_API_KEY"):
            fetched(wrong, UNRATE)
        wrong.close()
        right = connect(server.connection(tmp_path))
        with pytest.raises(VendorError, match="series does not exist"):
            fetched(right, Query(dataset="observations", symbols=("NOPE",)))
        right.close()


@pytest.mark.parametrize(
    "query", [Query(dataset="observations"), replace(UNRATE, parameters={"vintages": "first"}), Query(dataset="series")]
)
def test_a_query_that_does_not_fit_is_refused(tmp_path: Path, query: Query) -> None:
    with running(tmp_path, stand_in()) as client, pytest.raises(InputError):
        list(client.history(query))


def test_units_and_popularity(tmp_path: Path) -> None:
    with running(tmp_path, stand_in()) as client:
        found, cursor = fetched(client, Query(dataset="series", symbols=("UNRATE",)))
        again, _ = fetched(client, Query(dataset="series", symbols=("UNRATE",)), cursor)
    assert [(each.series_id, each.value, each.unit) for each in found] == [("UNRATE:popularity", 94.0, "Percent")]
    assert again == []


def test_release_days_within_bounds(tmp_path: Path) -> None:
    query = Query(
        dataset="releases",
        symbols=("1",),
        start=datetime(2016, 1, 1, tzinfo=UTC),
        end=datetime(2016, 3, 1, tzinfo=UTC),
    )
    with running(tmp_path, stand_in()) as client:
        found, cursor = fetched(client, query)
        again, _ = fetched(client, query, cursor)
    assert found
    assert {each.series_id for each in found} == {"release:1"}
    assert all("2016-01-01" <= each.period < "2016-03-01" for each in found)
    assert again == []


def test_a_million_junk_elements_are_one_letter(tmp_path: Path) -> None:
    found = decoded(tmp_path, asked(*[0] * 1_000_000))
    assert [each.reason for each in found.letters] == [Reason.TOO_LARGE]


def test_real_gdp_vintages_come_through_equal(tmp_path: Path, shared_data: Path) -> None:
    """Each value of the table as one record, and the level as it was told in a quarter equal to that vintage."""
    table = pl.read_parquet(shared_data / "macro" / "us_real_gdp_vintages.parquet").drop_nulls()
    table = table.with_columns(pl.col("quarter", "vintage").str.to_date())
    vintages = [("GDPC1", quarter, told, value) for quarter, told, value in table.iter_rows()]
    server = stand_in(vintages=vintages)
    with running(tmp_path, server) as client:
        found, cursor = fetched(client, Query(dataset="observations", symbols=("GDPC1",)))
        again, _ = fetched(client, Query(dataset="observations", symbols=("GDPC1",)), cursor)
    assert again == []
    got = sorted((each.period, each.source_id.split(":")[2], each.value) for each in found)
    assert got == sorted((quarter.isoformat(), told.isoformat(), value) for _, quarter, told, value in vintages)
    assert known_by(found, datetime(2008, 1, 15, tzinfo=UTC)) == {
        quarter.isoformat(): value for _, quarter, told, value in vintages if told == date(2008, 1, 1)
    }


@pytest.mark.slow
def test_real_fred_md_vintages_come_through_equal(tmp_path: Path, shared_data: Path) -> None:
    table = pl.read_parquet(shared_data / "macro" / "fred_md_vintages.parquet")
    told = table.with_columns(pl.format("{}-01", "vintage").str.to_date().dt.month_end())
    vintages = [(series, day, told, value) for told, series, day, value in told.iter_rows()]
    symbols = tuple(table["series_id"].unique().sort())
    with running(tmp_path, stand_in(vintages=vintages)) as client:
        found, _ = fetched(client, Query(dataset="observations", symbols=symbols))
    got = {(each.series_id, each.period, each.source_id.rsplit(":", 1)[1]): each.value for each in found}
    assert len(found) == len(got) == table.height
    assert got == {(series, day.isoformat(), told.isoformat()): value for series, day, told, value in vintages}
