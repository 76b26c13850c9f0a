"""SEC EDGAR for the contract suite."""

import json
from datetime import UTC, date, datetime
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.edgar import stand_in
from project01.ingest.stand_ins.edgar_server import EdgarStandIn, Filing, Number
from project01.ingest.vendor import Query
from project01.ingest.vendors.edgar import SPEC, connect

COMPANIES = ("AAPL", "BRK.B")
APPLE = 320_193
FACT: dict[str, Any] = {
    "start": "2022-12-25",
    "end": "2023-04-01",
    "val": 24160000000,
    "accn": "0000320193-23-000064",
    "fy": 2023,
    "fp": "Q2",
    "form": "10-Q",
    "filed": "2023-05-05",
}
LATER = FACT | {"accn": "0000320193-24-000069", "fy": 2024, "filed": "2024-05-03", "frame": "CY2023Q1"}
FACTS = {
    "cik": APPLE,
    "entityName": "Example Inc.",
    "facts": {"us-gaap": {"NetIncomeLoss": {"label": "Net", "description": "…", "units": {"USD": [FACT, LATER]}}}},
}
COLUMNS = {
    "accessionNumber": ["0000320193-24-000069", "0000320193-23-000064"],
    "filingDate": ["2024-05-03", "2023-05-05"],
    "reportDate": ["2024-03-30", "2023-04-01"],
    "acceptanceDateTime": ["2024-05-02T22:04:25.000Z", "2023-05-04T22:03:52.000Z"],
    "form": ["10-Q", "10-Q"],
    "items": ["", ""],
    "size": [5000000, 4900000],
    "isXBRL": [1, 1],
}
TICKERS = {
    "project01_request": {"as_of": "2024-05-03T12:00:00+00:00"},
    "0": {"cik_str": APPLE, "ticker": "AAPL", "title": "Apple Inc."},
    "1": {"cik_str": 1067983, "ticker": "BRK-B", "title": "BERKSHIRE HATHAWAY INC"},
}


def start(faults: FaultScript) -> EdgarStandIn:
    return stand_in(symbols=COMPANIES, faults=faults, recent_limit=4)


def grow(edgar: EdgarStandIn) -> None:
    number = Number("NetIncomeLoss", "USD", date(2019, 1, 1), date(2019, 3, 31), 1.5e9)
    new = Filing(
        cik=APPLE,
        accession="0000320193-19-000066",
        form="10-Q",
        filed=date(2019, 5, 1),
        accepted="2019-04-30T22:06:25.000Z",
        period=date(2019, 3, 31),
        fiscal_year=2019,
        fiscal_period="Q1",
        numbers=(number,),
    )
    edgar.add([new])


def elements(dataset: str, parsed: Any) -> list[Any] | None:
    if dataset != "company_facts":
        return None
    found: list[Any] = parsed["facts"]["us-gaap"]["NetIncomeLoss"]["units"]["USD"]
    return found


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={name: Query(dataset=name) for name in ("company_facts", "filings", "tickers")},
    empty=Query(
        dataset="company_facts",
        start=datetime(1950, 1, 1, tzinfo=UTC),
        end=datetime(1951, 1, 1, tzinfo=UTC),
    ),
    samples={
        "company_facts": (json.dumps(FACTS).encode(),),
        "filings": (
            json.dumps({"cik": str(APPLE), "filings": {"recent": COLUMNS, "files": []}}).encode(),
            json.dumps({"project01_request": {"cik": str(APPLE)}, **COLUMNS}).encode(),
        ),
        "tickers": (json.dumps(TICKERS).encode(),),
    },
    elements=elements,
    grow=grow,
)
