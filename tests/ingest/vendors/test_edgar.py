"""EDGAR: when a filing was known, restated and comparative figures, real filings through the whole way."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.ingest.vendors.running import RECEIVED_AT, decoded_by, fetched_as, running

from project01.domain import AuthenticationError, Fact, InputError, Observation, QuotaError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.stand_ins import Fault, FaultScript, Reply, Request, StandInServer
from project01.ingest.stand_ins.edgar import filings_of, stand_in
from project01.ingest.stand_ins.edgar_server import EdgarStandIn, Filing, Number
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendor import Query
from project01.ingest.vendors.edgar import SPEC, connect
from project01.ingest.vendors.edgar_clock import Stamp, known_us, reading_of
from project01.ingest.vendors.edgar_decoding import read_facts

APPLE = 320_193
FACTS = Query(dataset="company_facts", symbols=("AAPL",))
fetched = partial(fetched_as, Fact)
decoded = partial(decoded_by, stand_in, dataset="company_facts")


def utc(*parts: int) -> int:
    year, month, day, *clock = parts
    return micros_of(datetime(year, month, day, *clock, tzinfo=UTC))


def fact(**changes: Any) -> dict[str, Any]:
    first = {"start": "2015-01-01", "end": "2015-03-31", "val": 0.1, "accn": "0000320193-15-000001"}
    return first | {"fy": 2015, "fp": "Q1", "form": "10-Q", "filed": "2015-04-28"} | changes


def facts(*elements: Any, concept: str = "NetIncomeLoss", taxonomy: str = "us-gaap") -> dict[str, Any]:
    about = {"label": "…", "description": "…", "units": {"USD": list(elements)}}
    return {"cik": APPLE, "entityName": "Example", "facts": {taxonomy: {concept: about}}}


def filing(serial: int, form: str, filed: date, accepted: str, *numbers: Number) -> Filing:
    return Filing(APPLE, f"0000320193-15-{serial:06d}", form, filed, accepted, date(2015, 3, 31), 2015, "Q1", numbers)


def income(value: float, year: int = 2015) -> Number:
    return Number("NetIncomeLoss", "USD", date(year, 1, 1), date(year, 3, 31), value)


class TestClock:
    def test_utc_where_the_stamps_can_only_be_utc(self) -> None:
        # 22:08 as New York time is after EDGAR closes.
        stamps = [
            Stamp("2023-11-02T22:08:27.000Z", "2023-11-03", "10-K"),
            Stamp("2023-08-03T20:30:33.000Z", "2023-08-03", "8-K"),
        ]
        assert reading_of(stamps) == "utc"
        # Accepted 18:08 on the 2nd in New York, dated the 3rd: given out at 6:00 that day, 10:00 UTC in summer time.
        assert known_us(stamps[0], "utc") == utc(2023, 11, 3, 10)
        assert known_us(stamps[1], "utc") == utc(2023, 8, 3, 20, 30, 33)

    def test_new_york_where_the_stamps_can_only_be_new_york(self) -> None:
        # 07:30 as UTC would be 03:30 in New York, when EDGAR is closed.
        stamps = [
            Stamp("2025-04-30T07:30:32.000Z", "2025-04-30", "8-K"),
            Stamp("2025-05-01T16:21:59.000Z", "2025-05-01", "8-K"),
        ]
        assert reading_of(stamps) == "new_york"
        assert known_us(stamps[0], "new_york") == utc(2025, 4, 30, 11, 30, 32)
        assert known_us(stamps[1], "new_york") == utc(2025, 5, 1, 20, 21, 59)

    def test_the_cut_at_half_past_five_tells_them_apart(self) -> None:
        """Dated the next day: accepted after 17:30. Dated the same day: before."""
        assert reading_of([Stamp("2015-07-21T18:45:00.000Z", "2015-07-22", "8-K")]) == "new_york"
        assert reading_of([Stamp("2015-07-21T20:31:00.000Z", "2015-07-21", "8-K")]) == "utc"

    def test_in_doubt_the_later_reading_counts(self) -> None:
        noon = Stamp("2015-07-21T15:00:00.000Z", "2015-07-21", "10-Q")
        assert reading_of([noon]) == reading_of([]) == "new_york"
        assert known_us(noon, "new_york") > known_us(noon, "utc")

    def test_insiders_and_the_secs_own_forms_do_not_count(self) -> None:
        evening = [Stamp("2015-07-21T20:31:00.000Z", "2015-07-21", form) for form in ("4", "EFFECT", "UPLOAD")]
        assert reading_of(evening) == "new_york"

    def test_one_odd_stamp_does_not_turn_a_company(self) -> None:
        stamps = [Stamp(f"2015-07-{day:02d}T20:31:00.000Z", f"2015-07-{day:02d}", "8-K") for day in range(1, 21)]
        odd = Stamp("2015-07-30T07:30:32.000Z", "2015-07-30", "8-K")
        assert reading_of([*stamps, odd]) == "utc"

    @pytest.mark.parametrize("accepted", ["", "yesterday", "2015-07-21T15:00:00", "20150721150000"])
    def test_without_a_stamp_a_filing_is_known_when_its_day_is_over(self, accepted: str) -> None:
        assert known_us(Stamp(accepted, "2015-07-21", "10-Q"), "utc") == utc(2015, 7, 22, 4)
        assert known_us(Stamp(accepted, "2015-12-21", "10-Q"), "utc") == utc(2015, 12, 22, 5)


class TestFacts:
    def test_facts_alone_are_known_when_the_day_of_filing_is_over(self, tmp_path: Path) -> None:
        (row,) = decoded(tmp_path, facts(fact())).records
        assert isinstance(row, Fact)
        assert row.knowledge_time == utc(2015, 4, 29, 4)
        assert row.event_time == utc(2015, 4, 1)
        assert row.source_id == "320193:0000320193-15-000001:us-gaap:NetIncomeLoss:USD:2015-01-01:2015-03-31"
        assert (row.symbol, row.value, row.concept, row.unit) == ("AAPL", 0.1, "NetIncomeLoss", "USD")
        assert (row.fiscal_year, row.fiscal_period, row.form) == (2015, "Q1", "10-Q")

    def test_instants_other_taxonomies_and_large_numbers(self, tmp_path: Path) -> None:
        content = facts(fact(val=24_160_000_001) | {"start": None}, concept="EntityPublicFloat", taxonomy="dei")
        (row,) = decoded(tmp_path, content).records
        assert isinstance(row, Fact)
        assert (row.concept, row.value, row.period_start) == ("dei:EntityPublicFloat", 24_160_000_001.0, None)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"val": None}, Reason.SCHEMA),
            ({"val": "1"}, Reason.SCHEMA),
            ({"val": True}, Reason.SCHEMA),
            ({"val": float("nan")}, Reason.SCHEMA),
            ({"end": "2015-02-30"}, Reason.SCHEMA),
            ({"start": "2015-04-01"}, Reason.OUTSIDE_RANGE),
            ({"filed": "2031-01-01"}, Reason.IN_FUTURE),
            ({"accn": ""}, Reason.SCHEMA),
            ({"fy": 10**30}, Reason.SCHEMA),
        ],
    )
    def test_a_bad_fact_is_refused_alone_and_its_letter_can_be_replayed(
        self, tmp_path: Path, changes: dict[str, Any], reason: str
    ) -> None:
        later = fact(accn="0000320193-15-000002")
        found = decoded(tmp_path, facts(fact(), fact(**changes), later))
        assert (len(found.records), [each.reason for each in found.letters]) == (2, [reason])
        again = decoded(tmp_path / "again", json.loads(found.letters[0].payload))
        assert (again.accepted, [each.reason for each in again.letters]) == (0, [reason])

    def test_a_concept_that_cannot_be_read_costs_no_other(self, tmp_path: Path) -> None:
        content = facts(fact())
        content["facts"]["us-gaap"]["Assets"] = {"label": "Assets", "measures": {}}
        found = decoded(tmp_path, content)
        assert (len(found.records), [each.reason for each in found.letters]) == (1, [Reason.SCHEMA])
        assert "Assets" in found.letters[0].payload

    def test_the_same_fact_twice_in_a_filing_is_one_and_two_values_are_refused(self, tmp_path: Path) -> None:
        found = decoded(tmp_path, facts(fact(), fact(frame="CY2015Q1"), fact(val=0.2)))
        assert (len(found.records), found.accepted, len(found.letters)) == (1, 2, 1)

    def test_the_ticker_is_that_of_the_day(self, tmp_path: Path) -> None:
        content = facts(fact(filed="2015-04-28"), fact(filed="2023-04-28", accn="0000320193-23-000001"))
        content["cik"] = 1_326_801
        with running(tmp_path, stand_in()) as client:
            connection = replace(client.connection, symbols=SymbolMap.default())  # type: ignore[attr-defined]
            _, found = read_facts(connection, json.dumps(content).encode(), RECEIVED_AT)
        assert [each.symbol for each in found.records] == ["FB", "META"]

    def test_a_company_without_ticker_stays_in(self, tmp_path: Path) -> None:
        content = facts(fact()) | {"cik": "0000000042"}
        assert [each.symbol for each in decoded(tmp_path, content).records] == ["CIK0000000042"]


class TestHistory:
    def test_restated_and_comparative_figures_are_known_at_their_own_filing(self, tmp_path: Path) -> None:
        first = filing(1, "10-Q", date(2015, 4, 28), "2015-04-28T20:32:09.000Z", income(100.0), income(80.0, 2014))
        amended = filing(2, "10-Q/A", date(2015, 6, 1), "2015-06-01T21:15:00.000Z", income(95.0))
        older = filing(3, "10-Q", date(2014, 4, 24), "2014-04-24T20:33:00.000Z", income(81.0, 2014))
        with running(tmp_path, stand_in(symbols=("AAPL",), filings=[first, amended, older])) as client:
            found, _ = fetched(client, FACTS)
        known = {(each.period_end, each.form, each.value): each.knowledge_time for each in found}
        assert known == {
            ("2015-03-31", "10-Q", 100.0): utc(2015, 4, 28, 20, 32, 9),
            ("2015-03-31", "10-Q/A", 95.0): utc(2015, 6, 1, 21, 15),
            ("2014-03-31", "10-Q", 80.0): utc(2015, 4, 28, 20, 32, 9),
            ("2014-03-31", "10-Q", 81.0): utc(2014, 4, 24, 20, 33),
        }
        # First known at the smallest filed, with the value of then.
        comparative = [each for each in found if each.period_end == "2014-03-31"]
        assert min(comparative, key=lambda each: each.knowledge_time).value == 81.0

    def test_acceptance_is_found_in_the_older_files_too(self, tmp_path: Path) -> None:
        filings = [
            filing(day, "10-Q", date(2015, 7, day), f"2015-07-{day:02d}T20:31:00.000Z", income(float(day)))
            for day in range(1, 11)
        ]
        with running(tmp_path, stand_in(symbols=("AAPL",), filings=filings, recent_limit=3)) as client:
            found, _ = fetched(client, FACTS)
            rows, _ = fetched(client, replace(FACTS, dataset="filings"))
        expected = {float(day): utc(2015, 7, day, 20, 31) for day in range(1, 11)}
        assert {each.value: each.knowledge_time for each in found} == expected
        assert {each.knowledge_time for each in rows} == set(expected.values())
        assert {(each.concept, each.value, each.form) for each in rows} == {("filing:10-Q", 1.0, "10-Q")}

    def test_only_what_is_new_comes_and_a_quiet_company_is_not_downloaded(self, tmp_path: Path) -> None:
        first = filing(1, "10-Q", date(2015, 4, 28), "2015-04-28T20:32:09.000Z", income(100.0))
        server = stand_in(symbols=("AAPL",), filings=[first])
        with running(tmp_path, server) as client:
            _, cursor = fetched(client, FACTS)
            before = len(server.server.requests)
            assert fetched(client, FACTS, cursor)[0] == []
            assert [each.path for each in server.server.requests[before:]] == ["/submissions/CIK0000320193.json"]
            # A straggler: accepted before what was seen last, but listed after it.
            server.add([filing(2, "8-K", date(2015, 4, 20), "2015-04-20T20:31:00.000Z", income(7.0))])
            server.add([filing(3, "10-Q/A", date(2015, 6, 1), "2015-06-01T21:15:00.000Z", income(95.0))])
            found, cursor = fetched(client, FACTS, cursor)
            assert sorted(each.value for each in found) == [7.0, 95.0]
            assert fetched(client, FACTS, cursor)[0] == []

    def test_bounds_are_about_when_it_was_known(self, tmp_path: Path) -> None:
        query = replace(FACTS, start=datetime(2015, 6, 1, tzinfo=UTC), end=datetime(2016, 1, 1, tzinfo=UTC))
        with running(tmp_path, stand_in()) as client:
            found, _ = fetched(client, query)
        assert found
        assert all(utc(2015, 6, 1) <= each.knowledge_time < utc(2016, 1, 1) for each in found)

    @pytest.mark.parametrize("symbols", [("BRK.B",), ("CIK0001067983",), ("BRK.B", "CIK0001067983")])
    def test_a_company_is_named_by_symbol_or_key(self, tmp_path: Path, symbols: tuple[str, ...]) -> None:
        with running(tmp_path, stand_in()) as client:
            found, _ = fetched(client, replace(FACTS, symbols=symbols))
        assert {each.symbol for each in found} == {"BRK.B"}

    def test_the_secs_list_finds_what_the_map_does_not_know(self, tmp_path: Path) -> None:
        with running(tmp_path, stand_in(), symbols=SymbolMap()) as client:
            found, _ = fetched(client, replace(FACTS, symbols=("BRK.B",)))
            assert {each.symbol for each in found} == {"CIK0001067983"}
            with pytest.raises(InputError, match="NOPE"):
                fetched(client, replace(FACTS, symbols=("NOPE",)))

    @pytest.mark.parametrize("dataset", ["company_facts", "filings"])
    def test_the_answer_of_another_company_is_not_taken(self, tmp_path: Path, dataset: str) -> None:
        server = stand_in(faults=FaultScript(Fault("wrong_page_order")))
        with running(tmp_path, server) as client, pytest.raises(VendorError, match="asked was 320193"):
            fetched(client, replace(FACTS, dataset=dataset))

    def test_older_files_must_hold_as_many_as_was_said(self, tmp_path: Path) -> None:
        server = stand_in(recent_limit=4, faults=FaultScript(Fault("duplicates", path="submissions-001")))
        with running(tmp_path, server) as client, pytest.raises(VendorError, match=r"repeat|holds"):
            fetched(client, replace(FACTS, dataset="filings"))

    @pytest.mark.parametrize("kind", ["new_field", "renamed_field", "retyped_field", "missing_field", "not_a_number"])
    def test_drift_of_the_value_costs_letters_and_nothing_else(self, tmp_path: Path, kind: Any) -> None:
        server = stand_in(symbols=("AAPL",), faults=FaultScript(Fault(kind, path="companyfacts")))
        with running(tmp_path, server) as client:
            pages = list(client.history(FACTS))
        elements = sum(page.decoded.elements for page in pages)
        letters = sum(len(page.decoded.letters) for page in pages)
        assert elements == sum(len(each.numbers) for each in server.filings)
        assert (letters == 0) == (kind == "new_field")


class TestWhoAsks:
    def test_without_a_contact_it_says_what_to_set(self, tmp_path: Path) -> None:
        server = stand_in()
        with server:
            client = connect(server.connection(tmp_path, secrets={"user agent": "some-robot/1.0"}))
            with pytest.raises(AuthenticationError, match="EDGAR_USER_AGENT"):
                fetched(client, FACTS)
            client.close()

    def test_the_contact_is_sent_with_every_request(self, tmp_path: Path) -> None:
        server = stand_in()
        with running(tmp_path, server) as client:
            fetched(client, FACTS)
        assert {each.headers["user-agent"] for each in server.server.requests} == {server.secrets["user agent"]}

    def test_too_many_requests_come_as_403_and_are_no_matter_of_the_contact(self, tmp_path: Path) -> None:
        page = b"<html><body><h1>Your Request Originates ... Request Rate Threshold Exceeded</h1></body></html>"

        def blocked(_: Request) -> Reply:
            return Reply(403, page, {"Content-Type": "text/html"})

        spare = stand_in()
        with spare, StandInServer(http=blocked) as server:
            connection = replace(spare.connection(tmp_path), address=server.http_url)
            client = connect(connection)
            with pytest.raises(QuotaError, match="10 minutes"):
                fetched(client, FACTS)
            client.close()

    def test_at_most_ten_requests_a_second(self) -> None:
        assert [(each.unit, each.limit, each.period_s) for each in SPEC.budgets] == [("call", 10, 1)]


def test_the_list_of_tickers_is_what_the_symbol_map_reads(tmp_path: Path) -> None:
    with running(tmp_path, stand_in()) as client:
        pages = list(client.history(Query(dataset="tickers")))
        again = list(client.history(Query(dataset="tickers"), pages[-1].cursor))
    rows = [row for page in pages for row in page.decoded.records if isinstance(row, Observation)]
    assert {(each.symbol, each.value) for each in rows} == {("AAPL", 320_193.0), ("BRK.B", 1_067_983.0)}
    assert again == []
    named = {str(n): json.loads(bytes(each.raw)) for n, each in enumerate(rows)}
    (tmp_path / "company_tickers.json").write_text(json.dumps(named))
    found = SymbolMap.from_files(ciks=tmp_path / "company_tickers.json")
    assert (found.cik_of("BRK.B"), found.of_cik(APPLE)) == (1_067_983, "AAPL")


def replayed(tmp_path: Path, rows: list[dict[str, Any]]) -> tuple[EdgarStandIn, list[Fact], Connection]:
    server = stand_in(reports=rows)
    with server:
        connection = replace(server.connection(tmp_path), budgets=())
        client = connect(connection)
        found, _ = fetched(client, Query(dataset="company_facts"))
        client.close()
    return server, found, connection


def test_real_filings_come_through_equal(tmp_path: Path, shared_data: Path) -> None:
    table = pl.read_parquet(shared_data / "pystock" / "reports_pit_2015_2016.parquet")
    some = table["symbol"].unique().sort().gather_every(60)
    rows = table.filter(pl.col("symbol").is_in(some.implode()) | pl.col("symbol").str.contains("/")).to_dicts()
    server, found, _ = replayed(tmp_path, rows)
    assert len(rows) > 200
    ciks = {row["symbol"]: int(each.accession[:10]) for row, each in zip(rows, server.filings, strict=True)}
    expected = {
        (row["symbol"], number.concept, number.unit, number.end.isoformat(), number.value, row["first_seen"])
        for row, each in zip(rows, filings_of(rows, ciks), strict=True)
        for number in each.numbers
    }
    got = {
        (each.symbol, each.concept, each.unit, each.period_end, each.value, known_day(each.knowledge_time))
        for each in found
    }
    assert got == expected
    assert len(found) == sum(len(each.numbers) for each in server.filings) == len(server.sent - filings_ids(server))
    for column, concept in (("revenues", "Revenues"), ("cash_flow_fin", "NetCashProvidedByUsedInFinancingActivities")):
        told = sorted(row[column] for row in rows if row[column] is not None)
        assert sorted(each.value for each in found if each.concept == concept) == told


@pytest.mark.slow
def test_all_real_filings_come_through(tmp_path: Path, shared_data: Path) -> None:
    """Every number of 17,206 reports, also of those whose filers typed fiscal years 1215 and 29953000."""
    rows = pl.read_parquet(shared_data / "pystock" / "reports_pit_2015_2016.parquet").to_dicts()
    server, found, _ = replayed(tmp_path, rows)
    assert sorted(each.source_id for each in found) == sorted(
        each.fact_id(number) for each in server.filings for number in each.numbers
    )


def filings_ids(server: EdgarStandIn) -> set[str]:
    return {each for each in server.sent if ":filing:" in each or each.startswith("ticker:")}


def known_day(knowledge_time: int) -> date:
    """The New York day at whose end it became known."""
    instant = datetime.fromtimestamp((knowledge_time - 1_000_000) / 1e6, UTC)
    return date.fromordinal(instant.toordinal() - 1)
