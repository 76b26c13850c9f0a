"""Bloomberg for the contract suite, through the stand-in for its SDK."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.bloomberg import BloombergStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.bloomberg import SPEC, connect

START = datetime(2024, 3, 12, 14, 30, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "BRK.B")


def start(faults: FaultScript) -> BloombergStandIn:
    return stand_in(symbols=SYMBOLS, start=START, count=120, speed=100.0, faults=faults)


def event(**fields: Any) -> bytes:
    view = {"eventType": "SUBSCRIPTION_DATA", "messageType": "MarketDataEvents", "topic": "IBM US Equity"}
    return json.dumps(view | {"fields": fields}).encode()


def response(**parts: Any) -> bytes:
    return json.dumps({"eventType": "RESPONSE"} | parts).encode()


TRADE = {
    "MKTDATA_EVENT_TYPE": "TRADE", "MKTDATA_EVENT_SUBTYPE": "NEW", "LAST_PRICE": 187.42, "SIZE_LAST_TRADE": 100,
    "TRADE_UPDATE_STAMP_RT": "2014-06-05T14:30:00.120Z",
}  # fmt: skip
QUOTE = {
    "MKTDATA_EVENT_TYPE": "QUOTE", "MKTDATA_EVENT_SUBTYPE": "PAIRED", "BID": 187.41, "BID_SIZE": 3, "ASK": 187.43,
    "ASK_SIZE": 5, "BID_UPDATE_STAMP_RT": "2014-06-05T14:30:00.130Z", "ASK_UPDATE_STAMP_RT": "2014-06-05T14:30:00.130Z",
}  # fmt: skip
TICKS = [
    {"time": "2014-06-05T14:30:00.120Z", "type": "TRADE", "value": 187.42, "size": 100, "conditionCodes": "R6,IS"},
    {"time": "2014-06-05T14:30:00.130Z", "type": "BID", "value": 187.41, "size": 3},
    {"time": "2014-06-05T14:30:00.140Z", "type": "ASK", "value": 187.43, "size": 5},
]
BARS = [
    {
        "time": f"2014-06-05T14:3{minute}:00Z", "open": 187.2, "high": 187.6, "low": 187.1, "close": 187.5,
        "volume": 12_300, "numEvents": 88, "value": 2_305_000.0,
    }
    for minute in (0, 5)
]  # fmt: skip
DAYS = [
    {"date": day, "PX_OPEN": 185.0, "PX_HIGH": 186.1, "PX_LOW": 184.9, "PX_LAST": 185.98, "PX_VOLUME": 2_400_000}
    for day in ("2014-06-04", "2014-06-05")
]
NEWS = [
    {"date": "2014-06-04", "NEWS_SENTIMENT_DAILY_AVG": -0.1234, "NEWS_PUBLICATION_COUNT": 87, "NEWS_HEAT_READ_DMAX": 4},
    {"date": "2014-06-05", "NEWS_SENTIMENT_DAILY_AVG": 0.0, "NEWS_PUBLICATION_COUNT": 12},
]
FACTS = {"IS_EPS": 16.22, "SALES_REV_TURN": 99_751.0, "EQY_FUND_CRNCY": "USD"}
REFERENCE = {"security": "IBM US Equity", "sequenceNumber": 0, "fieldExceptions": [], "fieldData": FACTS}


def elements(dataset: str, parsed: Any) -> list[Any] | None:
    paths = {
        "market_data": ("tickData", "tickData"),
        "intraday_bars": ("barData", "barTickData"),
        "daily": ("securityData", "fieldData"),
        "news_analytics": ("securityData", "fieldData"),
    }
    if dataset not in paths or "fields" in parsed:
        return None
    first, second = paths[dataset]
    found: list[Any] = parsed[first][second]
    return found


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "market_data": Query(dataset="market_data", symbols=SYMBOLS, start=START - timedelta(hours=9), end=START),
        "intraday_bars": Query(
            dataset="intraday_bars",
            symbols=SYMBOLS,
            start=START - timedelta(days=45),
            end=START,
            parameters={"minutes": "30"},
        ),
        "daily": Query(dataset="daily", symbols=SYMBOLS, start=datetime(2004, 1, 2, tzinfo=UTC), end=START),
        "reference": Query(dataset="reference", symbols=SYMBOLS),
        "news_analytics": Query(
            dataset="news_analytics", symbols=SYMBOLS, start=datetime(2023, 10, 2, tzinfo=UTC), end=START
        ),
    },
    empty=Query(
        dataset="market_data",
        symbols=SYMBOLS,
        start=datetime(2024, 1, 6, tzinfo=UTC),
        end=datetime(2024, 1, 7, tzinfo=UTC),
    ),
    streams={"market_data": Query(dataset="market_data", symbols=SYMBOLS)},
    samples={
        "market_data": (
            event(**TRADE),
            event(**QUOTE),
            response(security="IBM US Equity", tickData={"tickData": TICKS}),
        ),
        "intraday_bars": (response(security="IBM US Equity", interval=5, barData={"barTickData": BARS}),),
        "daily": (response(securityData={"security": "IBM US Equity", "fieldExceptions": [], "fieldData": DAYS}),),
        "news_analytics": (
            response(securityData={"security": "IBM US Equity", "fieldExceptions": [], "fieldData": NEWS}),
        ),
        "reference": (response(fetchedAt="2015-01-05T10:00:00Z", securityData=[REFERENCE]),),
    },
    elements=elements,
    http=False,
    grow=BloombergStandIn.grow,
)
