"""Nasdaq Data Link for the contract suite."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.quandl import TABLE, QuandlStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.quandl import SPEC, connect

CODES = ("FRED/GDP", "LBMA/GOLD")
SERIES: dict[str, Any] = {
    "project01_request": {"code": "CHRIS/CME_SP1", "lag": "1", "keys": "dimension"},
    "dataset_data": {
        "limit": None,
        "transform": None,
        "column_index": None,
        "column_names": ["Date", "Value"],
        "start_date": "2018-01-01",
        "end_date": "2018-01-02",
        "frequency": "daily",
        "data": [["2018-01-02", 2695.8], ["2018-01-03", None]],
        "collapse": None,
        "order": "asc",
    },
}
FUNDAMENTALS: dict[str, Any] = {
    "project01_request": {"code": TABLE, "lag": "1", "keys": "dimension"},
    "datatable": {
        "data": [
            ["AAPL", "ARQ", "2017-12-31", "2018-02-02", "2017-12-30", "2018-02-02", 88293000000, 3.92],
            ["BRK.B", "MRQ", "2017-12-31", "2017-12-31", "2017-12-31", "2018-05-05", 58365000000, "1.25"],
        ],
        "columns": [
            {"name": "ticker", "type": "String"},
            {"name": "dimension", "type": "String"},
            {"name": "calendardate", "type": "Date"},
            {"name": "datekey", "type": "Date"},
            {"name": "reportperiod", "type": "Date"},
            {"name": "lastupdated", "type": "Date"},
            {"name": "revenue", "type": "Integer"},
            {"name": "eps", "type": "BigDecimal(34,12)"},
        ],
    },
    "meta": {"next_cursor_id": None},
}


def start(faults: FaultScript) -> QuandlStandIn:
    return stand_in(symbols=CODES, faults=faults, page_limit=10)


def grow(vendor: QuandlStandIn) -> None:
    vendor.series["FRED/GDP"].append(["2019-05-01", 1.5, 0.5])


def elements(dataset: str, parsed: Any) -> list[Any] | None:
    found: list[Any] = parsed["dataset_data" if dataset == "timeseries" else "datatable"]["data"]
    return found


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "timeseries": Query(dataset="timeseries", symbols=CODES),
        "tables": Query(dataset="tables", parameters={"table": TABLE}),
    },
    empty=Query(
        dataset="timeseries",
        symbols=CODES,
        start=datetime(1950, 1, 1, tzinfo=UTC),
        end=datetime(1951, 1, 1, tzinfo=UTC),
    ),
    samples={
        "timeseries": (json.dumps(SERIES).encode(),),
        "tables": (json.dumps(FUNDAMENTALS).encode(),),
    },
    elements=elements,
    grow=grow,
)
