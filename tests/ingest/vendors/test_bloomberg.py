"""Bloomberg beyond the contract: merging of changed fields, identities, failures in Bloomberg's own words, replays."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
from tests.contracts.bloomberg_case import START, TRADE, event, response, start
from tests.ingest.vendors.running import client_of, records

from project01.domain import (
    AuthenticationError,
    Bar,
    Fact,
    InputError,
    Observation,
    QuotaError,
    Quote,
    Trade,
    UnreachableError,
    VendorError,
)
from project01.ingest.decoding import Reason
from project01.ingest.stand_ins import Fault, FaultScript, bloomberg_sdk
from project01.ingest.stand_ins.bloomberg import BloombergStandIn, stand_in
from project01.ingest.stand_ins.bloomberg_elements import Choice, CorrelationId, Message
from project01.ingest.vendor import Page, Query, VendorClient
from project01.ingest.vendors.bloomberg import connect
from project01.ingest.vendors.bloomberg_decode import decode
from project01.ingest.vendors.bloomberg_session import Elements, MarketDataSession, Occurrences
from project01.ingest.vendors.elements import Origin

RECEIVED = 1_760_000_000_000_000
NOON = datetime(2024, 3, 11, 16, 0, tzinfo=UTC)
TICKS = Query(dataset="market_data", symbols=("AAPL",), start=START - timedelta(hours=1), end=START)
DAYS = Query(dataset="daily", symbols=("AAPL",), start=datetime(2024, 2, 1, 12, tzinfo=UTC), end=START)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with start(FaultScript()) as market:
        yield Origin.of(market.connection(tmp_path))


def heard(client: VendorClient, market: BloombergStandIn, symbols: tuple[str, ...]) -> list[Page]:
    """Pages until the market has ended and everything of it was heard, or ten seconds."""
    stop, pages, ids = Event(), list[Page](), set[str]()
    watchdog = Timer(10.0, stop.set)
    watchdog.start()
    for page in client.stream(Query(dataset="market_data", symbols=symbols), stop):
        pages.append(page)
        ids.update(record.source_id for record in page.decoded.records)
        if market.finished and market.sent <= ids:
            stop.set()
    watchdog.cancel()
    watchdog.join()
    return pages


class TestMerging:
    """A session fed with events, one after the other, in place of a market."""

    @pytest.fixture
    def session(self, tmp_path: Path) -> Iterator[Any]:
        with stand_in(symbols=("IBM",), start=START, count=0) as market:
            found = MarketDataSession(market.connection(tmp_path), bloomberg_sdk, ["IBM US Equity"])
            while found.receive(0.01) is not None:
                pass
            found._state.clear()
            yield found
            found.close()

    @staticmethod
    def told(session: MarketDataSession, **fields: Any) -> dict[str, Any]:
        message = Message("MarketDataEvents", fields, CorrelationId("IBM US Equity"))
        session._data(message, Elements(bloomberg_sdk).view("SUBSCRIPTION_DATA", message))
        frame = session.receive(0.01)
        assert frame is not None
        return dict(json.loads(frame))

    def test_a_trade_takes_price_or_size_that_did_not_change_from_before(self, session: Any, origin: Origin) -> None:
        whole = {"MKTDATA_EVENT_TYPE": "TRADE", "LAST_PRICE": 187.42, "SIZE_LAST_TRADE": 100}
        self.told(session, **whole, TRADE_UPDATE_STAMP_RT=NOON)
        changes: list[tuple[dict[str, Any], float, float]] = [
            ({"SIZE_LAST_TRADE": 300}, 187.42, 300.0),
            ({"LAST_PRICE": 187.5}, 187.5, 300.0),
            ({}, 187.5, 300.0),
        ]
        for number, (changed, price, size) in enumerate(changes):
            stamp = NOON + timedelta(seconds=1 + number)
            view = self.told(session, MKTDATA_EVENT_TYPE="TRADE", TRADE_UPDATE_STAMP_RT=stamp, **changed)
            (trade,) = decode(origin, "market_data", json.dumps(view).encode(), RECEIVED).records
            assert isinstance(trade, Trade)
            assert (trade.price, trade.size) == (price, size)

    def test_a_quote_tells_only_the_side_that_changed_with_its_other_half(self, session: Any, origin: Origin) -> None:
        both = {"BID": 187.41, "BID_SIZE": 3, "ASK": 187.43, "ASK_SIZE": 5}
        self.told(session, MKTDATA_EVENT_TYPE="SUMMARY", MKTDATA_EVENT_SUBTYPE="INITPAINT", **both)
        view = self.told(session, MKTDATA_EVENT_TYPE="QUOTE", BID_SIZE=8, BID_UPDATE_STAMP_RT=NOON)
        (quote,) = decode(origin, "market_data", json.dumps(view).encode(), RECEIVED).records
        assert isinstance(quote, Quote)
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (187.41, 8.0, None, None)

    def test_present_values_are_no_trade(self, session: Any, origin: Origin) -> None:
        view = self.told(session, MKTDATA_EVENT_TYPE="SUMMARY", LAST_PRICE=187.42, SIZE_LAST_TRADE=100)
        decoded = decode(origin, "market_data", json.dumps(view).encode(), RECEIVED)
        assert (len(decoded.records), decoded.accepted, len(decoded.letters)) == (0, 1, 0)

    def test_equal_prints_without_ids_stay_two(self, session: Any, origin: Origin) -> None:
        print_ = {"MKTDATA_EVENT_TYPE": "TRADE", "LAST_PRICE": 187.42, "SIZE_LAST_TRADE": 100}
        views = [self.told(session, **print_, TRADE_UPDATE_STAMP_RT=NOON) for _ in range(2)]
        ids = {decode(origin, "market_data", json.dumps(v).encode(), RECEIVED).records[0].source_id for v in views}
        assert len(ids) == 2


def test_occurrences_forget_the_oldest_only() -> None:
    seen = Occurrences()
    assert [seen.nth("a"), seen.nth("a"), seen.nth("b")] == [0, 1, 0]
    for number in range(5_000):
        seen.nth(number)
    assert (seen.nth("a"), seen.nth(4_999)) == (0, 1)


def test_values_as_the_sdk_gives_them() -> None:
    content = Choice(
        "securityData",
        [
            {
                "a": float("nan"),
                "b": float("-inf"),
                "c": None,
                "d": NOON.replace(tzinfo=None),
                "e": NOON.date(),
                "f": "\ud800",
            }
        ],
    )
    view = Elements(bloomberg_sdk).view("RESPONSE", Message("ReferenceDataResponse", content, None))
    assert view["securityData"] == [
        {"a": "NaN", "b": "-Infinity", "c": None, "d": "2024-03-11T16:00:00+00:00", "e": "2024-03-11", "f": "\\ud800"}
    ]


@pytest.mark.parametrize(("subtype", "action"), [("CANCEL", "cancel"), ("CORRECTION", "correct")])
def test_cancels_and_corrections_name_the_trade(origin: Origin, subtype: str, action: str) -> None:
    named = TRADE | {"EVT_TRADE_IDENTIFIER_RT": "7"}
    (trade,) = decode(origin, "market_data", event(**named), RECEIVED).records
    (change,) = decode(origin, "market_data", event(**named | {"MKTDATA_EVENT_SUBTYPE": subtype}), RECEIVED).records
    assert isinstance(change, Trade)
    assert (change.action, change.refers_to) == (action, trade.source_id)
    assert change.source_id != trade.source_id
    unnamed = decode(origin, "market_data", event(**TRADE | {"MKTDATA_EVENT_SUBTYPE": subtype}), RECEIVED)
    assert [letter.reason for letter in unnamed.letters] == [Reason.SCHEMA]


def test_golden_bar(origin: Origin) -> None:
    row = {
        "time": "2014-06-05T13:30:00Z",
        "open": 1,
        "high": 4,
        "low": 1,
        "close": 2,
        "volume": 10,
        "numEvents": 3,
        "value": 25,
    }
    payload = response(security="BRK/B US Equity", interval=5, barData={"barTickData": [row]})
    (bar,) = decode(origin, "intraday_bars", payload, RECEIVED).records
    assert isinstance(bar, Bar)
    assert bar.symbol == "BRK.B"
    assert bar.event_time == bar.knowledge_time == 1_401_975_300_000_000  # 13:35: the end
    assert (bar.interval, bar.session, bar.vwap, bar.trades, bar.adjusted) == ("5m", "2014-06-05", 2.5, 3, "none")


def test_numbers_as_of_now_are_known_when_they_were_fetched(origin: Origin) -> None:
    part = {"security": "IBM US Equity", "fieldData": {"IS_EPS": 1.5, "LATEST_PERIOD_END_DT_FULL_RECORD": "2014-12-31"}}
    payload = response(fetchedAt="2015-02-01T12:00:00Z", securityData=[part])
    (fact,) = decode(origin, "reference", payload, RECEIVED).records
    assert isinstance(fact, Fact)
    assert (fact.period_end, fact.value, fact.knowledge_time) == ("2014-12-31", 1.5, 1_422_792_000_000_000)
    unknown = decode(origin, "reference", response(securityData=[part]), RECEIVED)
    assert [letter.reason for letter in unknown.letters] == [Reason.SCHEMA]


def news(*rows: dict[str, Any], security: str = "IBM US Equity") -> bytes:
    return response(securityData={"security": security, "fieldExceptions": [], "fieldData": list(rows)})


def test_golden_figures_of_news_are_known_when_their_day_is_over_in_new_york(origin: Origin) -> None:
    rows = (
        {"date": "2014-01-15", "NEWS_SENTIMENT_DAILY_AVG": -0.5, "NEWS_PUBLICATION_COUNT": 7, "brandNewField": 1},
        {"date": "2014-06-05T00:00:00", "NEWS_SENTIMENT_DAILY_AVG": None, "NEWS_HEAT_READ_DMAX": 4},
    )
    decoded = decode(origin, "news_analytics", news(*rows, security="BRK/B US Equity"), RECEIVED)
    assert (decoded.accepted, decoded.letters) == (2, ())
    found = [record for record in decoded.records if isinstance(record, Observation)]
    assert [(each.symbol, each.series_id, each.period, each.value, each.knowledge_time) for each in found] == [
        ("BRK.B", "NEWS_SENTIMENT_DAILY_AVG", "2014-01-15", -0.5, 1_389_848_400_000_000),  # 05:00 UTC of the 16th
        ("BRK.B", "NEWS_PUBLICATION_COUNT", "2014-01-15", 7.0, 1_389_848_400_000_000),
        ("BRK.B", "NEWS_HEAT_READ_DMAX", "2014-06-05", 4.0, 1_402_027_200_000_000),  # 04:00 UTC of the 6th: summer
    ]
    assert len({each.source_id for each in found}) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"date": "2014-06-05", "NEWS_SENTIMENT_DAILY_AVG": "NaN"}, Reason.NOT_FINITE),
        ({"date": "2014-06-05", "NEWS_PUBLICATION_COUNT": "many"}, Reason.SCHEMA),
        ({"date": "9999-12-31", "NEWS_PUBLICATION_COUNT": 1}, Reason.SCHEMA),
        ({"date": "2025-10-09", "NEWS_PUBLICATION_COUNT": 1}, Reason.IN_FUTURE),
        ({"NEWS_PUBLICATION_COUNT": 1}, Reason.SCHEMA),
    ],
)
def test_a_spoilt_day_of_news_costs_itself(origin: Origin, row: dict[str, Any], reason: str) -> None:
    good = {"date": "2014-06-04", "NEWS_PUBLICATION_COUNT": 3}
    decoded = decode(origin, "news_analytics", news(good, row), RECEIVED)
    assert (len(decoded.records), [letter.reason for letter in decoded.letters]) == (1, [reason])
    assert json.loads(decoded.letters[0].payload)["securityData"]["fieldData"] == [row]


def test_news_is_asked_by_whole_days_and_any_field(tmp_path: Path) -> None:
    """15 h UTC of 12 March is within a day of New York that is not over: the 11th is the last."""
    asked = Query(
        dataset="news_analytics",
        symbols=("AAPL",),
        start=datetime(2024, 3, 7, 5, tzinfo=UTC),
        parameters={"fields": "TWITTER_SENTIMENT_DAILY_AVG, NEWS_HEAT_PUB_DNUMSTORIES"},
    )
    with stand_in(symbols=("AAPL",), start=START) as market, client_of(market, tmp_path) as client:
        pages = list(client.history(asked))
        found = [record for record in records(pages) if isinstance(record, Observation)]
        # The 6th becomes known at the very start.
        assert sorted({each.period for each in found}) == ["2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11"]
        assert {each.series_id for each in found} == {"TWITTER_SENTIMENT_DAILY_AVG", "NEWS_HEAT_PUB_DNUMSTORIES"}
        assert len(found) == 8
        assert records(list(client.history(asked, pages[-1].cursor))) == []


SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"close": 0}, Reason.NOT_POSITIVE),
    ({"close": "NaN"}, Reason.NOT_FINITE),
    ({"high": 0.5}, Reason.HIGH_BELOW_LOW),
    ({"close": 9}, Reason.OUTSIDE_RANGE),
    ({"volume": -1}, Reason.NEGATIVE_SIZE),
    ({"time": "2014-06-05T13:30:00"}, Reason.SCHEMA),
    ({"time": "2034-06-05T13:30:00Z"}, Reason.IN_FUTURE),
]


@pytest.mark.parametrize(("change", "reason"), SPOILT)
def test_a_spoilt_row_costs_itself_and_its_letter_can_be_decoded_after_a_fix(
    origin: Origin, change: dict[str, Any], reason: str
) -> None:
    good = {"time": "2014-06-05T13:30:00Z", "open": 1, "high": 4, "low": 1, "close": 2, "volume": 10}
    rows = [good, good | change, good | {"time": "2014-06-05T13:35:00Z"}]
    payload = response(security="IBM US Equity", interval=5, barData={"barTickData": rows})
    decoded = decode(origin, "intraday_bars", payload, RECEIVED)
    assert (len(decoded.records), [letter.reason for letter in decoded.letters]) == (2, [reason])
    letter = json.loads(decoded.letters[0].payload)
    assert letter["barData"]["barTickData"] == [good | change]
    letter["barData"]["barTickData"] = [good]
    replayed = decode(origin, "intraday_bars", json.dumps(letter).encode(), RECEIVED)
    assert [record.source_id for record in replayed.records] == [decoded.records[0].source_id]


@pytest.mark.parametrize("kind", ["duplicates", "disorder", "new_field", "lone_surrogate"])
def test_harmless_faults_in_the_stream_cost_nothing(kind: Any, tmp_path: Path) -> None:
    script = FaultScript(*[Fault(kind, after=3, where="stream") for _ in range(4)])
    market = stand_in(symbols=("AAPL",), start=START, count=40, speed=200, faults=script)
    with market, client_of(market, tmp_path) as client:
        pages = heard(client, market, ("AAPL",))
    assert {record.source_id for record in records(pages)} == market.sent
    assert [letter for page in pages for letter in page.decoded.letters] == []
    assert script.done


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("401", AuthenticationError),
        ("403", AuthenticationError),
        ("429_seconds", QuotaError),
        ("error_body_200", VendorError),
    ],
)
def test_refusals_of_requests_end_at_once(kind: Any, error: type[Exception], tmp_path: Path) -> None:
    script = FaultScript(Fault(kind), Fault("500"))
    with start(script) as market, client_of(market, tmp_path) as client, pytest.raises(error):
        list(client.history(TICKS))
    assert [fault.kind for fault in script.struck] == [kind]


def test_nobody_there_is_named(tmp_path: Path) -> None:
    with start(FaultScript()) as market, client_of(market, tmp_path, stream_address="stand-in:99999") as client:
        pages = client.history(TICKS)
        with pytest.raises(UnreachableError, match="stand-in:99999"):
            list(pages)


def test_a_wrong_application_is_refused_and_not_told(tmp_path: Path) -> None:
    with start(FaultScript()) as market:
        connection = market.connection(tmp_path)
        secret = type(connection.secrets["application"])("wrong-application-0123")
        client = connect(replace(connection, secrets={"application": secret}))
        with pytest.raises(AuthenticationError) as refused:
            list(client.history(TICKS))
        assert "wrong-application-0123" not in f"{refused.value!r} {client!r} {vars(client)!r} {connection!r}"
        client.close()


@pytest.mark.parametrize(
    "query",
    [
        Query(dataset="intraday_bars", symbols=("AAPL",), parameters={"minutes": "0"}),
        Query(dataset="daily", symbols=("AAPL",), start=datetime(2024, 1, 2)),  # noqa: DTZ001 - that is the point
        Query(dataset="daily", symbols=("AAPL",), start=START, end=START - timedelta(days=1)),
    ],
)
def test_what_cannot_be_asked_is_said(query: Query, tmp_path: Path) -> None:
    with start(FaultScript()) as market, client_of(market, tmp_path) as client, pytest.raises(InputError):
        list(client.history(query))
