"""Polygon for the contract suite."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.polygon import PolygonStandIn, stand_in
from project01.ingest.stand_ins.polygon_market import simulated_frames
from project01.ingest.vendor import Query
from project01.ingest.vendors.polygon import SPEC, connect

START = datetime(2024, 3, 12, 14, 30, tzinfo=UTC)
SYMBOLS = ("SIMA", "SIMB")


def start(faults: FaultScript) -> PolygonStandIn:
    return stand_in(symbols=SYMBOLS, start=START, seconds=120, speed=200.0, faults=faults)


def frame_of(*kinds: str) -> bytes:
    second = simulated_frames(SYMBOLS, seed=1, start_ms=int(START.timestamp()) * 1000, seconds=1)[0]
    return json.dumps([event for event in second if event["ev"] in kinds]).encode()


def body(*results: dict[str, Any], **envelope: Any) -> bytes:
    return json.dumps({"status": "OK", "request_id": "a1", **envelope, "results": results}).encode()


BAR = {"v": 70790813, "vw": 131.63, "o": 130.46, "c": 131.96, "h": 133.04, "l": 129.89, "t": 1609772400000, "n": 69129}
TRADE = {
    "conditions": [12, 37], "correction": 8, "exchange": 11, "id": "183276", "price": 156.43, "size": 10, "tape": 3,
    "participant_timestamp": 1651181822461636600, "sequence_number": 7179341, "sip_timestamp": 1651181822461979400,
}  # fmt: skip
QUOTE = {
    "ask_exchange": 15, "ask_price": 155.87, "ask_size": 3, "bid_exchange": 19, "bid_price": 155.85, "bid_size": 4,
    "participant_timestamp": 1652191872800402200, "sequence_number": 19288684, "sip_timestamp": 1652191872800638700,
}  # fmt: skip
SPLIT = {"execution_date": "2022-07-18", "split_from": 1, "split_to": 20, "ticker": "GOOGL"}
DIVIDEND = {
    "cash_amount": 0.59375, "declaration_date": "2020-09-09", "dividend_type": "CD", "ex_dividend_date": "2025-06-12",
    "frequency": 4, "pay_date": "2025-06-30", "record_date": "2025-06-15", "ticker": "CSSEN",
}  # fmt: skip
TICKER = {"ticker": "AAPL", "name": "Apple Inc.", "active": True, "list_date": "1980-12-12"}
GONE = {"ticker": "TWTR", "active": False, "delisted_utc": "2022-11-08T05:00:00Z"}
EVENTS = {
    "events": [
        {"ticker_change": {"ticker": "META"}, "type": "ticker_change", "date": "2022-06-11"},
        {"ticker_change": {"ticker": "FB"}, "type": "ticker_change", "date": "2012-05-18"},
    ]
}
HOLIDAYS = [
    {"exchange": "NYSE", "name": "Memorial Day", "date": "2022-05-30", "status": "closed"},
    {
        "exchange": "NYSE", "name": "Thanksgiving", "date": "2022-11-25", "status": "early-close",
        "open": "2022-11-25T14:30:00.000Z", "close": "2022-11-25T18:00:00.000Z",
    },
]  # fmt: skip
STORY = {
    "id": "JeJEhAVoKaqJ2zF9nzQYMg07UlEeWlis6Dsop33TPQY", "publisher": {"name": "MarketWatch"}, "title": "A headline",
    "published_utc": "2022-04-28T17:08:00Z", "article_url": "https://example.org/a", "tickers": ["MSFT", "NFLX"],
    "description": "A text.",
}  # fmt: skip


def elements(dataset: str, parsed: Any) -> list[Any] | None:
    if isinstance(parsed, list):
        return parsed
    return parsed["results"] if dataset != "ticker_events" else None


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        name: Query(dataset=name, symbols=() if name in {"market_status", "news", "tickers"} else SYMBOLS)
        for name in (dataset.name for dataset in SPEC.datasets)
    },
    empty=Query(
        dataset="trades",
        symbols=SYMBOLS,
        start=datetime(2010, 1, 4, tzinfo=UTC),
        end=datetime(2010, 1, 5, tzinfo=UTC),
    ),
    streams={name: Query(dataset=name, symbols=SYMBOLS, start=START) for name in ("aggregates", "trades", "quotes")},
    samples={
        "aggregates": (
            frame_of("A"),
            body(BAR, BAR | {"t": 1609773400000}, ticker="AAPL", adjusted=True, resultsCount=2, queryCount=2),
        ),
        "trades": (frame_of("T"), body(TRADE, TRADE | {"exchange": 12}, ticker="AAPL")),
        "quotes": (frame_of("Q"), body(QUOTE, QUOTE | {"sequence_number": 1}, ticker="AAPL")),
        "tickers": (body(TICKER, GONE),),
        "ticker_events": (json.dumps({"results": EVENTS, "status": "OK"}).encode(),),
        "splits": (body(SPLIT, SPLIT | {"ticker": "GOOG"}),),
        "dividends": (body(DIVIDEND, DIVIDEND | {"declaration_date": None}),),
        "market_status": (json.dumps(HOLIDAYS).encode(),),
        "news": (body(STORY, STORY | {"id": "b", "tickers": []}),),
    },
    elements=elements,
    grow=PolygonStandIn.grow,
)
