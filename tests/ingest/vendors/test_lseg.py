"""LSEG beyond the contract: merging of changed fields, clocks of facts, tables that are cut off, its own failures."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr
from tests.contracts.lseg_case import DAYS, ESTIMATE, REVENUE, START, UPDATE, start, table
from tests.ingest.vendors.running import client_of, records

from project01.domain import (
    AuthenticationError,
    Bar,
    Fact,
    InputError,
    NewsItem,
    QuotaError,
    Quote,
    Trade,
    UnreachableError,
    VendorError,
)
from project01.ingest.decoding import Reason
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.vendor import Query
from project01.ingest.vendors import lseg_client
from project01.ingest.vendors.elements import Origin
from project01.ingest.vendors.lseg import connect
from project01.ingest.vendors.lseg_decode import decode
from project01.ingest.vendors.lseg_session import plain, rows_of

RECEIVED = 1_760_000_000_000_000
TICKS = Query(dataset="pricing", symbols=("AAPL",), start=START - timedelta(hours=1), end=START)
DAILY = Query(dataset="bars", symbols=("AAPL",), start=datetime(2024, 2, 1, 12, tzinfo=UTC), end=START)
NEWS = Query(dataset="news", symbols=("AAPL",), start=START - timedelta(days=10), end=START)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with start(FaultScript()) as market:
        yield Origin.of(market.connection(tmp_path))


def update(fields: dict[str, Any], **merged: Any) -> bytes:
    return json.dumps({"ric": "BRKb.N", "type": "Update", "fields": fields, "merged": merged}).encode()


def test_an_update_tells_a_trade_and_one_side_of_the_quote(origin: Origin) -> None:
    trade, quote = decode(origin, "pricing", json.dumps(UPDATE).encode(), RECEIVED).records
    assert isinstance(trade, Trade)
    assert isinstance(quote, Quote)
    assert (trade.price, trade.size, trade.sequence) == (75.09, 100.0, 4711)
    assert trade.event_time == 1_577_975_400_120_000  # 2020-01-02 14:30:00.120
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (75.08, 3.0, None, None)


def test_what_did_not_change_is_no_quote_again(origin: Origin) -> None:
    kept = {"BID": 1.0, "BIDSIZE": 2, "ASK": 1.1, "ASKSIZE": 2, "QUOTE_DATE": "2020-01-02", "TRDPRC_1": 1.05}
    (quote,) = decode(origin, "pricing", update({"ASKSIZE": 9, "QUOTIM_MS": 1}, **kept), RECEIVED).records
    assert isinstance(quote, Quote)
    assert (quote.symbol, quote.bid, quote.ask, quote.ask_size) == ("BRK.B", None, 1.1, 9.0)
    nothing = decode(origin, "pricing", update({"NETCHNG_1": 0.1}, **kept), RECEIVED)
    assert (len(nothing.records), nothing.accepted, len(nothing.letters)) == (0, 1, 0)


def test_milliseconds_of_a_day_are_checked(origin: Origin) -> None:
    fields = {"TRDPRC_1": 1.0, "TRDVOL_1": 1, "TRADE_DATE": "2020-01-02", "SALTIM_MS": 86_400_000}
    decoded = decode(origin, "pricing", update(fields), RECEIVED)
    assert [letter.reason for letter in decoded.letters] == [Reason.WRONG_UNIT_OF_TIME]


def test_both_generations_of_column_names_give_bars(origin: Origin) -> None:
    first, second = decode(origin, "bars", table(interval="daily", data=DAYS), RECEIVED).records
    assert isinstance(first, Bar)
    assert isinstance(second, Bar)
    assert (first.open, first.high, first.low, first.close, first.volume) == (74.06, 75.15, 73.80, 75.09, 135_480_400)
    assert (second.open, second.close, second.session) == (74.29, 74.36, "2020-01-03")
    assert first.event_time == first.knowledge_time == 1_577_998_800_000_000  # 21:00 UTC, the close


def test_a_bar_within_the_day_is_stamped_with_its_end(origin: Origin) -> None:
    row = {"Date": "2020-01-02T14:31:00Z", "TRDPRC_1": 75.09}
    (bar,) = decode(origin, "bars", table(interval="1min", data=[row]), RECEIVED).records
    assert isinstance(bar, Bar)
    assert (bar.event_time, bar.interval, bar.session) == (1_577_975_460_000_000, "1m", "2020-01-02")


def test_reported_numbers_are_known_when_fetched_and_estimates_after_their_day(origin: Origin) -> None:
    asked = {"concept": "Revenue", "field": "TR.Revenue", "fetchedAt": "2020-02-01T00:00:00Z"}
    (reported,) = decode(origin, "fundamentals", table(**asked, data=[REVENUE]), RECEIVED).records
    assert isinstance(reported, Fact)
    assert (reported.value, reported.period_end, reported.unit) == (260_174e6, "2019-09-28", "USD")
    assert reported.knowledge_time == 1_580_515_200_000_000
    asked = {"concept": "estimate.EPS.mean", "field": "TR.EPSMean"}
    (estimate,) = decode(origin, "estimates", table(**asked, data=[ESTIMATE]), RECEIVED).records
    assert isinstance(estimate, Fact)
    assert (estimate.concept, estimate.value, estimate.fiscal_period) == ("estimate.EPS.mean", 13.2, "FY2020")
    assert estimate.knowledge_time == 1_578_009_600_000_000  # midnight after 2020-01-02


def test_a_headline_is_linked_to_the_company_asked_for_and_those_it_names(origin: Origin) -> None:
    row = {"versionCreated": "2020-01-02T14:03:00Z", "text": "$MSFT and others rise", "storyId": "urn:1"}
    (item,) = decode(origin, "news", table(headlines=[row]), RECEIVED).records
    assert isinstance(item, NewsItem)
    assert (item.symbol, item.symbols, item.source_id) == ("AAPL", ("AAPL", "MSFT"), "urn:1:AAPL")
    assert item.knowledge_time == 1_577_973_780_000_000


def test_a_letter_of_a_row_can_be_decoded_after_a_fix(origin: Origin) -> None:
    good = {"Date": "2020-01-02T14:31:00Z", "TRDPRC_1": 75.09}
    rows = [good, good | {"TRDPRC_1": "Infinity"}]
    decoded = decode(origin, "bars", table(interval="1min", data=rows), RECEIVED)
    assert [letter.reason for letter in decoded.letters] == [Reason.NOT_FINITE]
    letter = json.loads(decoded.letters[0].payload)
    assert letter["data"] == [rows[1]]
    replayed = decode(origin, "bars", json.dumps(letter | {"data": [good]}).encode(), RECEIVED)
    assert next(iter(replayed.records)).source_id == decoded.records[0].source_id


def test_values_of_tables_become_json() -> None:
    values = [pd.NA, pd.NaT, np.float64("nan"), np.float64("inf"), np.int64(7), pd.Timestamp(2020, 1, 2, 3), "\ud800"]
    assert [plain(value) for value in values] == [
        None,
        None,
        None,
        "Infinity",
        7,
        "2020-01-02T03:00:00+00:00",
        "\\ud800",
    ]
    assert [plain(value) for value in (True, 1.5, None, date(2020, 1, 2))] == [True, 1.5, None, "2020-01-02"]
    frame = pd.DataFrame({("AAPL.O", "TRDPRC_1"): [1.0, None]}, index=pd.to_datetime(["2020-01-02", "2020-01-03"]))
    assert rows_of(frame, "Date") == [
        {"Date": "2020-01-02T00:00:00+00:00", "TRDPRC_1": 1.0},
        {"Date": "2020-01-03T00:00:00+00:00"},
    ]
    assert rows_of(None, "Date") == rows_of(pd.DataFrame(), "Date") == []


def test_a_table_that_is_cut_off_is_asked_for_in_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(FaultScript()) as market, client_of(market, tmp_path) as client:
        expected = sorted(record.source_id for record in records(list(client.history(NEWS))))
        monkeypatch.setattr(lseg_client, "_MOST_HEADLINES", 5)
        halved = sorted(record.source_id for record in records(list(client.history(NEWS))))
    assert len(expected) > 30
    assert halved == expected


def test_more_rows_in_a_moment_than_can_be_had_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lseg_client, "_MOST_HEADLINES", 1)
    with (
        start(FaultScript()) as market,
        client_of(market, tmp_path) as client,
        pytest.raises(VendorError, match="hole"),
    ):
        list(client.history(NEWS))


def test_an_unknown_instrument_is_one_letter(tmp_path: Path) -> None:
    with start(FaultScript()) as market, client_of(market, tmp_path) as client:
        pages = list(client.history(replace(DAILY, symbols=("ZZZZ", "AAPL"))))
    assert [letter.reason for page in pages for letter in page.decoded.letters] == [Reason.UNKNOWN_SYMBOL]
    assert len(records(pages)) == 27


@pytest.mark.parametrize(
    ("kinds", "error"),
    [
        (["401"], AuthenticationError),
        (["403"], AuthenticationError),
        (["429_date"], QuotaError),
        (["500"] * 4, UnreachableError),
    ],
)
def test_refusals_of_requests_are_told_apart(kinds: list[Any], error: type[Exception], tmp_path: Path) -> None:
    script = FaultScript(*[Fault(kind) for kind in kinds], Fault("503"))
    with start(script) as market, client_of(market, tmp_path) as client, pytest.raises(error):
        list(client.history(TICKS))
    assert [fault.kind for fault in script.struck] == kinds


def test_a_headline_of_ten_megabytes_is_a_letter(tmp_path: Path) -> None:
    with start(FaultScript(Fault("ten_megabytes"))) as market, client_of(market, tmp_path) as client:
        pages = list(client.history(NEWS))
    assert [letter.reason for page in pages for letter in page.decoded.letters] == [Reason.TOO_LARGE]


@pytest.mark.parametrize("platform", [False, True])
def test_a_wrong_key_is_refused_and_not_told(platform: bool, tmp_path: Path) -> None:
    secrets = {"app key": SecretStr("wrong-key-0123")}
    if platform:
        secrets |= {"username": SecretStr("user-name-0123"), "password": SecretStr("pass-word-0123")}
    with start(FaultScript()) as market:
        connection = replace(market.connection(tmp_path), secrets=secrets)
        client = connect(connection)
        with pytest.raises(AuthenticationError) as refused:
            list(client.history(TICKS))
        client.close()
    told = f"{refused.value!r} {client!r} {vars(client)!r} {connection!r}"
    assert not [secret for secret in secrets.values() if secret.get_secret_value() in told]


def test_a_platform_session_is_opened_with_a_username(tmp_path: Path) -> None:
    with start(FaultScript()) as market:
        connection = market.connection(tmp_path)
        named = {"username": SecretStr("user-name-0123"), "password": SecretStr("pass-word-0123")}
        client = connect(replace(connection, secrets={**connection.secrets, **named}))
        assert len(records(list(client.history(DAILY)))) == 27
        client.close()


@pytest.mark.parametrize(
    "query",
    [Query(dataset="bars", symbols=("AAPL",), parameters={"interval": "2min"}), Query(dataset="nothing")],
)
def test_what_cannot_be_asked_is_said(query: Query, tmp_path: Path) -> None:
    with start(FaultScript()) as market, client_of(market, tmp_path) as client, pytest.raises(InputError):
        list(client.history(query))
