"""X for the contract suite."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.contracts.vendor_case import VendorCase

from project01.ingest.stand_ins import FaultScript
from project01.ingest.stand_ins.twitter import TwitterStandIn, stand_in
from project01.ingest.vendor import Query
from project01.ingest.vendors.twitter import SPEC, connect

# The same past for every stand-in of a run.
NOW = datetime.now(UTC)
SYMBOLS = ("AAPL", "MSFT", "BRK.B")
AT_ONCE = {"searchable_after_s": "0"}
POST: dict[str, Any] = {
    "id": "1460000000000000001",
    "text": "$AAPL strong open",
    "author_id": "2244",
    "created_at": "2021-11-15T14:30:05.000Z",
    "lang": "en",
    "edit_history_tweet_ids": ["1460000000000000001"],
    "public_metrics": {"retweet_count": 1, "reply_count": 0, "like_count": 3, "quote_count": 0},
    "entities": {"cashtags": [{"start": 0, "end": 5, "tag": "AAPL"}]},
    "referenced_tweets": [{"type": "retweeted", "id": "1459"}],
}
USER = {
    "id": "2244",
    "username": "u",
    "name": "U",
    "verified": False,
    "public_metrics": {"followers_count": 10, "following_count": 5, "tweet_count": 7, "listed_count": 0},
}
PAGE = {
    "data": [POST, POST | {"id": "1460000000000000000", "text": "no cashtag 🚀", "entities": {}}],
    "includes": {"users": [USER]},
    "meta": {
        "newest_id": "1460000000000000001",
        "oldest_id": "1460000000000000000",
        "result_count": 2,
        "next_token": "b26v",
    },
}
LINE = {"data": POST, "includes": {"users": [USER]}, "matching_rules": [{"id": "1", "tag": "project01"}]}
DELETED = {
    "data": {"delete": {"event_at": "2021-11-16T10:00:00.000Z", "tweet": {"id": POST["id"], "author_id": "2244"}}}
}
LEFT = {"data": {"user_delete": {"event_at": "2021-11-16T10:00:00.000Z", "user": {"id": "2244"}}}}


def gone(identifier: str, problem: str = "resource-not-found") -> dict[str, str]:
    return {
        "value": identifier,
        "resource_id": identifier,
        "parameter": "ids",
        "resource_type": "tweet",
        "title": "Not Found Error",
        "detail": f"Could not find tweet with ids: [{identifier}].",
        "type": f"https://api.twitter.com/2/problems/{problem}",
    }


LOOKED_UP = {"errors": [gone("1460000000000000001"), gone("1460000000000000002", "not-authorized-for-resource")]}


def elements(dataset: str, parsed: Any) -> list[Any] | None:
    found = parsed.get("errors") if dataset == "compliance" else parsed.get("data")
    return found if isinstance(found, list) else None


def start(faults: FaultScript) -> TwitterStandIn:
    return stand_in(symbols=SYMBOLS, faults=faults, keep_alive_s=0.2, now=NOW, speed=2.0)


CASE = VendorCase(
    spec=SPEC,
    connect=connect,
    stand_in=start,
    histories={
        "search": Query(dataset="search", symbols=SYMBOLS),
        "stream": Query(dataset="stream", symbols=SYMBOLS, parameters=AT_ONCE),
        "compliance": Query(
            dataset="compliance",
            parameters={"ids": ",".join(str(1_460_000_000_000_000_000 + n * 4_194_304_000) for n in range(250))},
        ),
    },
    empty=Query(dataset="search", symbols=("ZZZZ",)),
    streams={
        "stream": Query(dataset="stream", symbols=SYMBOLS, parameters=AT_ONCE),
        "compliance": Query(dataset="compliance"),
    },
    samples={
        "search": (json.dumps(PAGE).encode(),),
        "stream": (json.dumps(LINE).encode(), json.dumps(PAGE).encode()),
        "compliance": tuple(json.dumps(each).encode() for each in (DELETED, LEFT, LOOKED_UP)),
    },
    elements=elements,
    grow=TwitterStandIn.grow,
)
