"""RavenPack for the contract suite."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.ravenpack import RavenPackStandIn, as_csv, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.ravenpack import SPEC, connect

# The dates in Retry-After are real ones, and so is the clock.
START = datetime.now(UTC).replace(microsecond=0)
RPNA_FILE = Path(__file__).with_name("ravenpack_rpna.csv")
RECORD = {
    "TIMESTAMP_UTC": "2020-01-02 14:03:00.120", "RP_STORY_ID": "1FB2B3F5E99C4D3BCF59FDB3E8C8C9BD",
    "RP_ENTITY_ID": "D8442A", "ENTITY_TYPE": "COMP", "ENTITY_NAME": "Apple Inc.", "RELEVANCE": 100,
    "EVENT_SENTIMENT_SCORE": 0.44, "EVENT_SIMILARITY_DAYS": 91.25, "CATEGORY": "earnings-above-expectations",
    "SOURCE_NAME": "Dow Jones Newswires", "RP_STORY_EVENT_INDEX": 1, "HEADLINE": "Apple raises outlook",
}  # fmt: skip
OTHER = RECORD | {"RP_STORY_EVENT_INDEX": 2, "EVENT_SENTIMENT_SCORE": None, "EVENT_SIMILARITY_DAYS": None}


def start(faults: FaultScript) -> RavenPackStandIn:
    return stand_in(start=START, count=120, speed=100.0, faults=faults)


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "analytics": Query(dataset="analytics", start=START - timedelta(days=3), end=START),
        "datafile": Query(dataset="datafile", start=START - timedelta(days=3), end=START - timedelta(hours=2)),
        "files": Query(dataset="files", parameters={"path": str(RPNA_FILE)}),
    },
    empty=Query(dataset="analytics", start=datetime(2024, 1, 6, tzinfo=UTC), end=datetime(2024, 1, 7, tzinfo=UTC)),
    streams={"analytics": Query(dataset="analytics")},
    samples={
        "analytics": (json.dumps({"records": [RECORD, OTHER]}).encode(), json.dumps(RECORD).encode()),
        "datafile": (as_csv([RECORD, OTHER]),),
        "files": (RPNA_FILE.read_bytes(),),
    },
    # Queries go by time and have no pages; what comes twice is left out.
    paging_faults=("duplicates",),
    grow=RavenPackStandIn.grow,
)
