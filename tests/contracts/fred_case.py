"""FRED for the contract suite."""

import json
from datetime import UTC, date, datetime

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.fred import FredStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.fred import SPEC, connect

SERIES = ("UNRATE", "CPIAUCSL")
ROWS = [
    {"realtime_start": "2008-02-01", "realtime_end": "2008-03-06", "date": "2008-01-01", "value": "4.9"},
    {"realtime_start": "2008-03-07", "realtime_end": "9999-12-31", "date": "2008-01-01", "value": "4.8"},
    {"realtime_start": "2008-03-07", "realtime_end": "9999-12-31", "date": "2008-02-01", "value": "."},
]
ENVELOPE = {"realtime_start": "1776-07-04", "realtime_end": "9999-12-31", "units": "lin", "output_type": 1}
OBSERVATIONS = {
    "project01_request": {"series_id": "UNRATE"},
    **ENVELOPE,
    "count": 3,
    "offset": 0,
    "limit": 100000,
    "observations": ROWS,
}
DESCRIPTION = {
    "id": "UNRATE",
    "title": "Unemployment Rate",
    "observation_start": "1948-01-01",
    "observation_end": "2024-01-01",
    "frequency": "Monthly",
    "units": "Percent",
    "last_updated": "2024-02-02 07:46:03-06",
    "popularity": 94,
    "notes": "…",
}
RELEASES = {
    **ENVELOPE,
    "count": 1,
    "offset": 0,
    "limit": 1000,
    "release_dates": [{"release_id": 50, "release_name": "Employment Situation", "date": "2024-02-02"}],
}


def start(faults: FaultScript) -> FredStandIn:
    return stand_in(symbols=SERIES, faults=faults, page_limit=40)


def grow(fred: FredStandIn) -> None:
    fred.add(
        [("UNRATE", date(2018, 1, 1), date(2019, 3, 8), 5.5), ("UNRATE", date(2015, 1, 1), date(2019, 3, 8), None)]
    )


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "observations": Query(dataset="observations", symbols=SERIES),
        "series": Query(dataset="series", symbols=SERIES),
        "releases": Query(dataset="releases"),
    },
    empty=Query(
        dataset="observations",
        symbols=SERIES,
        start=datetime(1950, 1, 1, tzinfo=UTC),
        end=datetime(1951, 1, 1, tzinfo=UTC),
    ),
    samples={
        "observations": (json.dumps(OBSERVATIONS).encode(),),
        "series": (json.dumps({**ENVELOPE, "seriess": [DESCRIPTION]}).encode(),),
        "releases": (json.dumps(RELEASES).encode(),),
    },
    grow=grow,
)
