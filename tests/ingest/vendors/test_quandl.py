"""Nasdaq Data Link: clocks and values worked out by hand, both datasets over real HTTP."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.vendors.running import decoded_by, fetched_as, running

from project01.domain import AuthenticationError, FixedClock, InputError, Observation, VendorError
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.stand_ins.quandl import TABLE, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.quandl import connect

GDP = Query(dataset="timeseries", symbols=("FRED/GDP",))
SF1 = Query(dataset="tables", parameters={"table": TABLE})
COLUMNS = (
    ("ticker", "String"),
    ("dimension", "String"),
    ("datekey", "Date"),
    ("reportperiod", "Date"),
    ("lastupdated", "Date"),
    ("revenue", "Integer"),
    ("eps", "BigDecimal(34,12)"),
)
fetched = partial(fetched_as, Observation)
decoded = partial(decoded_by, stand_in)


def series(*rows: Any, lag: str = "1", member: str = "dataset_data", **more: Any) -> dict[str, Any]:
    inner = {"column_names": ["Date", "Value"], "frequency": "daily", "data": list(rows), **more}
    return {"project01_request": {"code": "X/Y", "lag": lag}, member: inner}


def table(*rows: Any, columns: Any = COLUMNS) -> dict[str, Any]:
    named = [{"name": name, "type": kind} for name, kind in columns]
    return {"project01_request": {"code": TABLE}, "datatable": {"data": list(rows), "columns": named}}


@pytest.mark.parametrize(
    ("frequency", "day", "lag", "known"),
    [
        ("daily", "2018-01-02", "1", datetime(2018, 1, 3, tzinfo=UTC)),
        ("daily", "2018-12-31", "3", datetime(2019, 1, 3, tzinfo=UTC)),
        (None, "2018-01-02", "1", datetime(2018, 1, 3, tzinfo=UTC)),
        # Dated by its first day or by its last, January is over on the 31st.
        ("monthly", "2018-01-01", "1", datetime(2018, 2, 1, tzinfo=UTC)),
        ("monthly", "2018-01-31", "1", datetime(2018, 2, 1, tzinfo=UTC)),
        ("monthly", "2018-12-01", "30", datetime(2019, 1, 30, tzinfo=UTC)),
        ("quarterly", "2018-04-01", "1", datetime(2018, 7, 1, tzinfo=UTC)),
        ("quarterly", "2018-12-31", "1", datetime(2019, 1, 1, tzinfo=UTC)),
        ("annual", "2020-02-29", "1", datetime(2021, 1, 1, tzinfo=UTC)),
        ("weekly", "2018-01-01", "1", datetime(2018, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_value_is_known_after_its_period_and_the_lag(
    tmp_path: Path, frequency: str | None, day: str, lag: str, known: datetime
) -> None:
    found = decoded(tmp_path, series([day, 1.5], lag=lag, frequency=frequency), "timeseries").records
    assert [each.knowledge_time for each in found] == [micros_of(known)]


def test_the_newest_value_is_not_known_before_the_refresh(tmp_path: Path) -> None:
    content = series(["2018-01-02", 1], ["2018-01-03", 2], member="dataset", refreshed_at="2018-02-10T09:30:00.000Z")
    found = decoded(tmp_path, content, "timeseries").records
    assert [each.knowledge_time for each in found] == [
        micros_of(datetime(2018, 1, 3, tzinfo=UTC)),
        micros_of(datetime(2018, 2, 10, 9, 30, tzinfo=UTC)),
    ]


def test_values_are_exact_and_null_is_missing(tmp_path: Path) -> None:
    content = series(["2018-01-02", 2695.8], ["2018-01-03", None], ["2018-01-04", "0.1"], ["2018-01-05", 7])
    found = decoded(tmp_path, content, "timeseries").records
    assert [each.value for each in found if isinstance(each, Observation)] == [2695.8, None, 0.1, 7.0]
    assert {each.series_id for each in found if isinstance(each, Observation)} == {"X/Y.Value"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["2018-01-02", True], Reason.SCHEMA),
        (["2018-01-02", "n/a"], Reason.SCHEMA),
        (["2018-01-02", [1]], Reason.SCHEMA),
        (["2018-01-02"], Reason.SCHEMA),
        (["2018-01-02", 1, 2], Reason.SCHEMA),
        ([20180102, 1], Reason.SCHEMA),
        (["02/01/2018", 1], Reason.SCHEMA),
        (["2018-01-02", 10**400], Reason.NOT_FINITE),
        (["2018-01-02", float("inf")], Reason.SCHEMA),
    ],
)
def test_a_bad_row_is_refused_alone_and_its_letter_can_be_replayed(tmp_path: Path, row: Any, reason: str) -> None:
    found = decoded(tmp_path, series(["2018-01-01", 1], row, ["2018-01-03", 2]), "timeseries")
    assert (found.accepted, [each.reason for each in found.letters]) == (2, [reason])
    good = json.loads(found.letters[0].payload)
    assert [each.reason for each in decoded(tmp_path / "again", good, "timeseries").letters] == [reason]
    good["dataset_data"]["data"] = [["2018-01-02", 3]]
    assert [each.source_id for each in decoded(tmp_path / "good", good, "timeseries").records] == [
        "X/Y.Value:2018-01-02"
    ]


def filing(dimension: str, datekey: str, updated: str | None, eps: Any = "3.920000000001") -> list[Any]:
    return ["AAPL", dimension, datekey, "2017-12-30", updated, 88_293_000_000, eps]


@pytest.mark.parametrize(
    ("row", "known"),
    [
        # As reported: the day of the filing, over in New York at 05:00 UTC, whenever the vendor touched the row.
        (filing("ARQ", "2018-02-02", "2023-01-05"), datetime(2018, 2, 3, 5, tzinfo=UTC)),
        # Restated: the vendor's day, never the period that datekey repeats there.
        (filing("MRQ", "2017-12-30", "2018-07-10"), datetime(2018, 7, 11, 4, tzinfo=UTC)),
        (filing("MRQ", "2017-12-30", None), datetime(2017, 12, 31, tzinfo=UTC)),
    ],
)
def test_a_row_of_a_table_is_known_on_the_day_it_names(tmp_path: Path, row: list[Any], known: datetime) -> None:
    found = decoded(tmp_path, table(row), "tables").records
    assert {each.knowledge_time for each in found} == {micros_of(known)}
    assert {(each.symbol, each.period) for each in found if isinstance(each, Observation)} == {("AAPL", "2017-12-30")}
    assert [(each.series_id, each.value) for each in found if isinstance(each, Observation)] == [
        (f"{TABLE}.{row[1]}.revenue", 88_293_000_000.0),
        (f"{TABLE}.{row[1]}.eps", 3.920000000001),
    ]


def test_a_row_updated_again_is_another_record(tmp_path: Path) -> None:
    rows = (filing("MRQ", "2017-12-30", day) for day in ("2018-02-02", "2018-05-01"))
    found = decoded(tmp_path, table(*rows), "tables").records
    assert len({each.source_id for each in found}) == 4


def test_tickers_that_are_none_and_types_that_are_new_are_refused(tmp_path: Path) -> None:
    bad = [["", "ARQ", "2018-02-02", "2017-12-30", None, 1, 1], [None, "ARQ", "2018-02-02", "2017-12-30", None, 1, 1]]
    wrong = [["?!", "ARQ", "2018-02-02", "2017-12-30", None, 1, 1]]
    found = decoded(tmp_path, table(*bad, *wrong, filing("ARQ", "2018-02-02", None)), "tables")
    assert [each.reason for each in found.letters] == [Reason.MISSING_SYMBOL] * 2 + [Reason.UNKNOWN_SYMBOL]
    assert found.accepted == 1
    columns = (*COLUMNS[:-1], ("eps", "Blob"))
    retyped = decoded(tmp_path / "type", table(filing("ARQ", "2018-02-02", None), columns=columns), "tables")
    assert [each.reason for each in retyped.letters] == [Reason.SCHEMA]
    assert "Blob" in retyped.letters[0].detail


def test_an_error_in_the_body_is_named(tmp_path: Path) -> None:
    said = {"project01_request": {"code": "X/Y"}, "quandl_error": {"code": "QEPx04", "message": "No permission."}}
    for dataset in ("timeseries", "tables"):
        found = decoded(tmp_path / dataset, said, dataset)
        assert [(each.reason, "QEPx04" in each.detail) for each in found.letters] == [(Reason.ERROR_BODY, True)]


def test_both_datasets_come_whole_and_then_only_what_is_new(tmp_path: Path) -> None:
    server = stand_in(page_limit=7)
    with running(tmp_path, server) as client:
        found, cursor = fetched(client, GDP)
        assert {each.source_id for each in found} == server.sent
        server.series["FRED/GDP"].append(["2019-01-02", 12.5, 0.25])
        later, cursor = fetched(client, GDP, cursor)
        assert [(each.series_id, each.value) for each in later] == [("FRED/GDP.Value", 12.5), ("FRED/GDP.Change", 0.25)]
        assert fetched(client, GDP, cursor)[0] == []
        rows, cursor = fetched(client, SF1)
        assert len({each.source_id for each in rows}) == len(rows) == 2 * len(server.rows)
        newer = ["IBM", "ARQ", "2016-12-31", "2017-02-28", "2016-12-31", "2017-02-28", 5, 1.5]
        server.rows.append(newer)
        more, _ = fetched(client, SF1, cursor)
    assert [(each.symbol, each.value) for each in more] == [("IBM", 5.0), ("IBM", 1.5)]


def test_todays_values_wait_until_they_are_known(tmp_path: Path) -> None:
    rows = [["2018-01-01", 1.0, 0.0], ["2018-01-02", 2.0, 1.0]]
    now = FixedClock(datetime(2018, 1, 2, 18, tzinfo=UTC))
    with running(tmp_path, stand_in(series={"FRED/GDP": rows}), clock=now) as client:
        found, cursor = fetched(client, GDP)
    assert {each.period for each in found} == {"2018-01-01"}
    later = FixedClock(datetime(2018, 1, 3, 0, tzinfo=UTC))
    with running(tmp_path / "later", stand_in(series={"FRED/GDP": rows}), clock=later) as client:
        more, _ = fetched(client, GDP, cursor)
    assert {each.period for each in more} == {"2018-01-02"}


def test_rows_updated_today_wait_until_the_day_is_over(tmp_path: Path) -> None:
    rows = [
        ["IBM", "ARQ", "2016-12-31", "2017-02-28", "2016-12-31", day, 5, 1.5] for day in ("2017-03-01", "2017-03-02")
    ]
    now = FixedClock(datetime(2017, 3, 3, 1, tzinfo=UTC))
    with running(tmp_path, stand_in(rows=rows), clock=now) as client:
        found, cursor = fetched(client, SF1)
    assert len(found) == 2
    with running(tmp_path / "later", stand_in(rows=rows)) as client:
        more, _ = fetched(client, SF1, cursor)
    assert len({each.source_id for each in [*found, *more]}) == 4


@pytest.mark.parametrize(
    ("query", "kind", "after"),
    [
        (GDP, "duplicates", 0),
        (GDP, "disorder", 0),
        (SF1, "duplicates", 0),
        (SF1, "wrong_page_order", 1),
        (SF1, "looping_cursor", 0),
    ],
)
def test_pages_that_are_wrong_are_found_out(tmp_path: Path, query: Query, kind: Any, after: int) -> None:
    faults = FaultScript(*[Fault(kind, after=after)] * 3)
    with running(tmp_path, stand_in(page_limit=7, faults=faults)) as client, pytest.raises(VendorError):
        fetched(client, query)


@pytest.mark.parametrize("query", [GDP, SF1])
@pytest.mark.parametrize("kind", ["retyped_field", "missing_field", "not_a_number", "lone_surrogate", "ten_megabytes"])
def test_drift_costs_letters_and_nothing_else(tmp_path: Path, query: Query, kind: Any) -> None:
    server = stand_in(faults=FaultScript(Fault(kind)))
    rows = len(server.rows) if query is SF1 else len(server.series["FRED/GDP"])
    with running(tmp_path, server) as client:
        pages = list(client.history(query))
    letters = sum(len(page.decoded.letters) for page in pages)
    assert letters == (1 if kind == "ten_megabytes" else rows)
    assert sum(page.decoded.elements for page in pages) == rows


@pytest.mark.parametrize("status", ["401", "403"])
def test_no_permission_and_a_wrong_key_stop_at_once(tmp_path: Path, status: Any) -> None:
    server = stand_in(faults=FaultScript(Fault(status)))
    with server:
        right = connect(server.connection(tmp_path))
        with pytest.raises(AuthenticationError):
            fetched(right, GDP)
        wrong = connect(server.connection(tmp_path / "wrong", secrets={"api key": "not-the-right-key-000"}))
        with pytest.raises(AuthenticationError, match="NASDAQ_DATA_LINK_API_KEY"):
            fetched(wrong, GDP)
        for client in (right, wrong):
            client.close()
    assert all("api_key" not in request.query for request in server.server.requests)


@pytest.mark.parametrize(
    "query",
    [
        Query(dataset="timeseries"),
        Query(dataset="timeseries", symbols=("GDP",)),
        Query(dataset="timeseries", symbols=("../x/y",)),
        replace(GDP, parameters={"publication_lag_days": "0"}),
        replace(GDP, parameters={"lag": "1"}),
        Query(dataset="tables"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(tmp_path: Path, query: Query) -> None:
    with running(tmp_path, stand_in()) as client, pytest.raises(InputError):
        list(client.history(query))
