"""NewsAPI for the contract suite."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.newsapi import NewsApiStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.newsapi import SPEC, connect

# The same past for every stand-in of a run.
NOW = datetime.now(UTC)
SYMBOLS = ("AAPL", "MSFT", "BRK.B")
ARTICLE: dict[str, Any] = {
    "source": {"id": None, "name": "Example Wire"},
    "author": "A. Writer",
    "title": "Apple raises outlook",
    "description": "Orders grew faster than planned, as at Microsoft.",
    "url": "https://example.org/a1",
    "urlToImage": None,
    "publishedAt": "2025-02-07T14:03:00Z",
    "content": "Orders grew ... [+1200 chars]",
}
PAGE = {
    "status": "ok",
    "totalResults": 2,
    "articles": [ARTICLE, ARTICLE | {"url": "https://example.org/a2", "title": "AT&T; 📈", "description": None}],
}


def start(faults: FaultScript) -> NewsApiStandIn:
    return stand_in(symbols=SYMBOLS, faults=faults, now=NOW)


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={name: Query(dataset=name, symbols=SYMBOLS) for name in ("everything", "top-headlines")},
    empty=Query(
        dataset="everything",
        symbols=SYMBOLS,
        start=datetime(2010, 1, 4, tzinfo=UTC),
        end=datetime(2010, 1, 5, tzinfo=UTC),
    ),
    samples={name: (json.dumps(PAGE).encode(),) for name in ("everything", "top-headlines")},
    grow=NewsApiStandIn.grow,
)
