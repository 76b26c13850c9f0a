"""LSEG for the contract suite, through the stand-in for its library."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.lseg import LsegStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.lseg import SPEC, connect

START = datetime(2024, 3, 12, 14, 30, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "BRK.B")


def start(faults: FaultScript) -> LsegStandIn:
    return stand_in(symbols=SYMBOLS, start=START, count=120, speed=100.0, faults=faults)


def table(**parts: Any) -> bytes:
    return json.dumps({"rics": ["AAPL.O"]} | parts).encode()


UPDATE = {
    "ric": "AAPL.O", "type": "Update",
    "fields": {"TRDPRC_1": 75.09, "SALTIM_MS": 52_200_120, "BID": 75.08, "QUOTIM_MS": 52_200_120, "SEQNUM": 4711},
    "merged": {"TRDVOL_1": 100, "TRADE_DATE": "2020-01-02", "QUOTE_DATE": "2020-01-02", "BIDSIZE": 3},
}  # fmt: skip
TICKS = [
    {"Date": "2020-01-02T14:30:00.120Z", "EVENT_TYPE": "trade", "TRDPRC_1": 75.09, "TRDVOL_1": 100, "SEQNUM": 4711},
    {"Date": "2020-01-02T14:30:00.130Z", "EVENT_TYPE": "quote", "BID": 75.08, "BIDSIZE": 3, "ASK": 75.1, "ASKSIZE": 5},
]
DAYS = [
    {"Date": "2020-01-02", "HIGH": 75.15, "LOW": 73.80, "OPEN": 74.06, "CLOSE": 75.09, "VOLUME": 135_480_400},
    {"Date": "2020-01-03", "HIGH_1": 75.14, "LOW_1": 74.13, "OPEN_PRC": 74.29, "TRDPRC_1": 74.36, "ACVOL_UNS": 146e6},
]
MINUTES = [
    {
        "Date": "2020-01-02T14:31:00Z",
        "HIGH_1": 75.15,
        "LOW_1": 75.0,
        "OPEN_PRC": 75.0,
        "TRDPRC_1": 75.09,
        "NUM_MOVES": 9,
    }
]
REVENUE = {
    "Instrument": "AAPL.O", "TR.REVENUE": 260_174e6, "TR.REVENUE.PERIODENDDATE": "2019-09-28",
    "TR.REVENUE.FPERIOD": "FY2019", "TR.REVENUE.CURRENCY": "USD",
}  # fmt: skip
ESTIMATE = {
    "Instrument": "AAPL.O", "TR.EPSMean": 13.2, "TR.EPSMean.periodenddate": "2020-09-30",
    "TR.EPSMean.fperiod": "FY2020", "TR.EPSMean.currency": "USD", "TR.EPSMean.calcdate": "2020-01-02",
}  # fmt: skip
STORY = {
    "versionCreated": "2020-01-02T14:03:00Z", "headline": "Apple raises outlook", "storyId": "urn:newsml:x:1",
    "sourceCode": "NS:RTRS",
}  # fmt: skip

CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "pricing": Query(dataset="pricing", symbols=SYMBOLS, start=START - timedelta(hours=3), end=START),
        "bars": Query(dataset="bars", symbols=SYMBOLS, start=datetime(2004, 1, 2, tzinfo=UTC), end=START),
        "fundamentals": Query(dataset="fundamentals", symbols=SYMBOLS),
        "estimates": Query(dataset="estimates", symbols=SYMBOLS, start=START - timedelta(days=500), end=START),
        "news": Query(dataset="news", symbols=SYMBOLS, start=START - timedelta(days=20), end=START),
    },
    empty=Query(
        dataset="pricing",
        symbols=SYMBOLS,
        start=datetime(2024, 1, 6, tzinfo=UTC),
        end=datetime(2024, 1, 6, 5, tzinfo=UTC),
    ),
    streams={"pricing": Query(dataset="pricing", symbols=SYMBOLS)},
    samples={
        "pricing": (json.dumps(UPDATE).encode(), table(interval="tick", data=TICKS)),
        "bars": (table(interval="daily", data=DAYS), table(interval="1min", data=MINUTES)),
        "fundamentals": (
            table(concept="Revenue", field="TR.Revenue", fetchedAt="2020-02-01T00:00:00Z", data=[REVENUE]),
        ),
        "estimates": (table(concept="estimate.EPS.mean", field="TR.EPSMean", data=[ESTIMATE]),),
        "news": (table(headlines=[STORY, STORY | {"storyId": "urn:newsml:x:2"}]),),
    },
    http=False,
    grow=LsegStandIn.grow,
)
