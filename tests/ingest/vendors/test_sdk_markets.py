"""Bloomberg and LSEG, both behind SDKs: what must hold for each beyond the contract."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.contracts import bloomberg_case, lseg_case
from tests.ingest.vendors.running import client_of, records, told_without_sdk

from project01.domain import AuthenticationError, DeadLetter, InputError
from project01.ingest.decoding import Reason
from project01.ingest.stand_ins import Fault, FaultScript, bloomberg, lseg
from project01.ingest.stand_ins.sdk_market import SdkMarket
from project01.ingest.vendor import Query
from project01.ingest.vendors import bloomberg_decode, lseg_decode
from project01.ingest.vendors.elements import Origin

RECEIVED = 1_760_000_000_000_000
START = bloomberg_case.START
JUNK = [0] * 1_500_000


@dataclass(frozen=True, kw_only=True)
class Behind:
    """One vendor behind an SDK.

    Attributes:
        name: in the registry.
        start: its market as the contract has it.
        stand_in: its market with options.
        stream: its dataset of trades and quotes.
        daily: its dataset of daily bars.
        unentitled: what an entitlement that is missing is told by.
        sdk: module of the SDK.
        told: beginning of the line that says that the SDK is missing, and what it must hold.
        decode: of payloads.
        junk: makes a payload of `stream` with millions of elements.
    """

    name: str
    start: Callable[[FaultScript], SdkMarket]
    stand_in: Callable[..., SdkMarket]
    stream: str
    daily: str
    unentitled: str
    sdk: str
    told: tuple[str, str]
    decode: Callable[[Origin, str, bytes, int], Any]
    junk: Callable[[], bytes]

    def query(self, dataset: str, **more: Any) -> Query:
        """What is asked of AAPL up to the present."""
        return Query(dataset=dataset, symbols=("AAPL",), end=START, **more)


BLOOMBERG = Behind(
    name="bloomberg",
    start=bloomberg_case.start,
    stand_in=bloomberg.stand_in,
    stream="market_data",
    daily="daily",
    unentitled="UNENTITLED",
    sdk="blpapi",
    told=("Bloomberg needs its SDK, the Python module 'blpapi'", "install"),
    decode=bloomberg_decode.decode,
    junk=lambda: bloomberg_case.response(security="IBM US Equity", tickData={"tickData": JUNK}),
)
LSEG = Behind(
    name="lseg",
    start=lseg_case.start,
    stand_in=lseg.stand_in,
    stream="pricing",
    daily="bars",
    unentitled="NotEntitled",
    sdk="lseg.data",
    told=("LSEG (Refinitiv) needs its SDK, the Python module 'lseg.data'", "pip install lseg-data"),
    decode=lseg_decode.decode,
    junk=lambda: lseg_case.table(interval="tick", data=JUNK),
)
VENDORS = {found.name: found for found in (BLOOMBERG, LSEG)}


def each(**values: list[Any]) -> list[Any]:
    """Every value of each vendor with that vendor."""
    return [pytest.param(VENDORS[name], value, id=f"{name}-{value}") for name in values for value in values[name]]


@pytest.fixture(params=VENDORS.values(), ids=list(VENDORS))
def vendor(request: pytest.FixtureRequest) -> Behind:
    found: Behind = request.param
    return found


def test_the_stream_goes_on_without_an_unknown_instrument(vendor: Behind, tmp_path: Path) -> None:
    market = vendor.stand_in(symbols=("AAPL",), start=START, count=30, speed=200)
    with market, client_of(market, tmp_path) as client:
        stop, ids, letters = Event(), set[str](), list[DeadLetter]()
        for page in client.stream(Query(dataset=vendor.stream, symbols=("AAPL", "ZZZZ")), stop):
            ids.update(record.source_id for record in page.decoded.records)
            letters += page.decoded.letters
            if market.finished and market.sent <= ids:
                stop.set()
        assert ids == market.sent
    assert [letter.reason for letter in letters] == [Reason.UNKNOWN_SYMBOL]
    assert len(ids) == 30


def test_a_missing_entitlement_ends_the_stream_and_says_why(vendor: Behind, tmp_path: Path) -> None:
    with vendor.stand_in(symbols=("AAPL",), start=START) as market, client_of(market, tmp_path) as client:
        pages = client.stream(Query(dataset=vendor.stream, symbols=("AAPL", "UNENTITLED")), Event())
        with pytest.raises(AuthenticationError, match=vendor.unentitled):
            next(pages)


SPOILT = {"retyped_field": Reason.SCHEMA, "not_a_number": Reason.NOT_FINITE}


@pytest.mark.parametrize(
    ("vendor", "kind"), each(bloomberg=[*SPOILT, "missing_field"], lseg=[*SPOILT, "lone_surrogate"])
)
def test_a_spoilt_event_is_one_letter(vendor: Behind, kind: Any, tmp_path: Path) -> None:
    script = FaultScript(Fault(kind, after=5, where="stream"))
    market = vendor.stand_in(symbols=("AAPL",), start=START, count=60, speed=200, faults=script)
    with market, client_of(market, tmp_path) as client:
        stop, letters = Event(), list[DeadLetter]()
        for page in client.stream(Query(dataset=vendor.stream, symbols=("AAPL",)), stop):
            letters += page.decoded.letters
            if letters:
                stop.set()
    assert [letter.reason for letter in letters] == [SPOILT.get(kind, Reason.SCHEMA)]


PASSING = ["refused", "500", "503", "half_message", "pause"]


@pytest.mark.parametrize(("vendor", "kind"), each(bloomberg=[*PASSING, "tls_error"], lseg=[*PASSING, "error_body_200"]))
def test_passing_faults_of_requests_change_nothing(vendor: Behind, kind: Any, tmp_path: Path) -> None:
    ticks = vendor.query(vendor.stream, start=START - timedelta(hours=1))
    with vendor.start(FaultScript()) as market, client_of(market, tmp_path) as client:
        expected = [record.source_id for record in records(list(client.history(ticks)))]
    script = FaultScript(Fault(kind, seconds=0.05))
    with vendor.start(script) as market, client_of(market, tmp_path / "faulty") as client:
        assert [record.source_id for record in records(list(client.history(ticks)))] == expected
    assert script.done
    assert expected


HARMLESS = ["new_field", "duplicates", "disorder"]
HARMFUL = ["renamed_field", "missing_field", "retyped_field", "not_a_number"]


@pytest.mark.parametrize(
    ("vendor", "kind"),
    each(
        bloomberg=[*HARMLESS, *HARMFUL, "lone_surrogate", "ten_megabytes"],
        lseg=[*HARMLESS, *HARMFUL, "lone_surrogate"],
    ),
)
def test_drift_of_rows_is_accounted_for(vendor: Behind, kind: Any, tmp_path: Path) -> None:
    # What a lone surrogate falls on: a field that is read at LSEG, another one at Bloomberg.
    spoils = kind in HARMFUL or (kind == "lone_surrogate" and vendor is LSEG)
    days = vendor.query(vendor.daily, start=datetime(2024, 2, 1, 12, tzinfo=UTC))
    with vendor.start(FaultScript(Fault(kind))) as market, client_of(market, tmp_path) as client:
        pages = list(client.history(days))
    letters = sum(len(page.decoded.letters) for page in pages)
    assert (len(records(pages)), letters) == ((0, 27) if spoils else (27, 0))


def test_without_the_sdk_one_line_says_what_to_do_within_a_second(vendor: Behind) -> None:
    seconds, told = told_without_sdk(vendor.name, vendor.sdk)
    assert seconds < 1.0
    beginning, hint = vendor.told
    assert told.startswith(beginning)
    assert hint in told


def test_symbols_are_needed_unless_the_market_is_made_up(vendor: Behind, tmp_path: Path) -> None:
    query = Query(dataset=vendor.daily, start=datetime(2024, 3, 1, tzinfo=UTC), end=START)
    with vendor.start(FaultScript()) as market:
        with client_of(market, tmp_path / "made_up") as client:
            assert {record.symbol for record in records(list(client.history(query)))} == {"AAPL", "MSFT", "BRK.B"}
        with client_of(market, tmp_path / "real", simulated=False) as client:
            with pytest.raises(InputError, match="needs symbols"):
                client.history(query)
            with pytest.raises(InputError, match="needs symbols"):
                client.stream(Query(dataset=vendor.stream), Event())


def test_a_payload_of_millions_of_elements_is_one_letter(vendor: Behind, tmp_path: Path) -> None:
    with vendor.start(FaultScript()) as market:
        decoded = vendor.decode(Origin.of(market.connection(tmp_path)), vendor.stream, vendor.junk(), RECEIVED)
    assert [letter.reason for letter in decoded.letters] == [Reason.TOO_LARGE]
