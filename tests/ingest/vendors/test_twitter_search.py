"""X's search: each post once, later only newer ones, and what cannot be asked."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingest.vendors.twitter_running import SEARCH, client_at, client_of, ids

from project01.domain import FixedClock, InputError, VendorError
from project01.ingest.decoding import micros_of
from project01.ingest.stand_ins import Reply, StandInServer
from project01.ingest.stand_ins.twitter import stand_in
from project01.ingest.stand_ins.twitter_posts import identifier, iso, made_up
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import RetryPolicy
from project01.ingest.vendor import Query
from project01.ingest.vendors.twitter import SPEC
from project01.ingest.vendors.twitter_search import query_texts


def test_a_sweep_finds_every_post_once_newest_first(tmp_path: Path) -> None:
    with stand_in() as x, client_of(x, tmp_path) as client:
        found = ids(list(client.history(SEARCH)))
        assert found == sorted(x.past_ids, key=int, reverse=True)
        authorization = [request.headers["authorization"] for request in x.server.requests]
        assert all(text.startswith("Bearer ") for text in authorization)


def test_later_only_newer_posts_are_asked_for(tmp_path: Path) -> None:
    with stand_in() as x, client_of(x, tmp_path) as client:
        cursor = list(client.history(SEARCH))[-1].cursor
        newest = x.past_ids[-1]
        x.grow(5)
        assert set(ids(list(client.history(SEARCH, cursor)))) == set(x.past_ids[-5:])
        assert x.server.requests[-1].first("since_id") == newest
        assert "start_time" not in x.server.requests[-1].query


def test_the_newest_seconds_are_left_to_the_next_sweep(tmp_path: Path) -> None:
    now = datetime(2026, 3, 2, 15, 0, 0, tzinfo=UTC)
    with stand_in(now=now) as x, client_of(x, tmp_path, clock=FixedClock(now)) as client:
        list(client.history(replace(SEARCH, start=now - timedelta(minutes=2, seconds=0.5))))
        request = x.server.requests[0]
        assert (request.first("start_time"), request.first("end_time")) == (
            "2026-03-02T14:57:59Z",
            "2026-03-02T14:59:30Z",
        )
        assert request.path == "/2/tweets/search/recent"
        list(client.history(replace(SEARCH, parameters={"reach": "all"}, end=now - timedelta(hours=1))))
        assert x.server.requests[-1].path == "/2/tweets/search/all"
        assert x.server.requests[-1].first("end_time") == "2026-03-02T14:00:00Z"


def test_a_finished_range_is_not_asked_for_again(tmp_path: Path) -> None:
    with stand_in() as x, client_of(x, tmp_path) as client:
        query = replace(SEARCH, end=datetime.now(UTC) - timedelta(minutes=5))
        cursor = list(client.history(query))[-1].cursor
        asked = len(x.server.requests)
        assert list(client.history(query, cursor)) == []
        assert len(x.server.requests) == asked


@given(
    st.lists(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), min_size=1, max_size=300), st.sampled_from(["", "lang:en"])
)
def test_queries_fit_and_name_each_symbol_once(symbols: list[str], suffix: str) -> None:
    connection = QUERYING
    texts = query_texts(Query(dataset="search", symbols=tuple(symbols), parameters={"filter": suffix}), connection)
    assert all(len(text) <= 512 for text in texts)
    named = [word.strip("()") for text in texts for word in text.split() if "$" in word]
    assert named == [f"${symbol}" for symbol in dict.fromkeys(symbols)]
    assert all(text.endswith(suffix) for text in texts)


class _Querying:
    symbols = SymbolMap.default()


QUERYING: Any = _Querying()


@pytest.mark.parametrize(
    ("query", "match"),
    [
        (Query(dataset="search"), "symbols or a query"),
        (Query(dataset="search", parameters={"query": "x" * 600}), "600"),
        (Query(dataset="search", symbols=("AAPL",), parameters={"reach": "far"}), "recent, all"),
        (Query(dataset="search", symbols=("AAPL",), parameters={"colour": "red"}), "colour"),
        (Query(dataset="compliance"), "ids"),
        (Query(dataset="compliance", parameters={"ids": "1,two"}), "ids"),
        (Query(dataset="nothing"), "nothing"),
    ],
)
def test_what_cannot_be_asked_is_named(query: Query, match: str, tmp_path: Path) -> None:
    with stand_in() as x, client_of(x, tmp_path) as client:
        with pytest.raises(InputError, match=match):
            list(client.history(query))
        assert x.server.requests == []


def test_a_page_that_lacks_posts_is_an_error(tmp_path: Path) -> None:
    post = made_up(1, int(time.time() - 100) * 1_000_000, ("AAPL",), 7)
    body = json.dumps({"data": [post], "meta": {"result_count": 2}}).encode()
    with (
        stand_in() as x,
        StandInServer(http=lambda _: Reply(body=body)) as server,
        client_at(server, x, tmp_path) as client,
        pytest.raises(VendorError, match="announced 2 posts and sent 1"),
    ):
        list(client.history(SEARCH))


def test_a_rate_limit_is_waited_for_until_the_vendor_says(tmp_path: Path) -> None:
    waits: list[float] = []
    answers = [
        Reply(429, b"{}", {"x-rate-limit-reset": str(int(time.time()) + 30)}),
        Reply(body=b'{"meta":{"result_count":0}}'),
    ]
    with (
        stand_in() as x,
        StandInServer(http=lambda _: answers.pop(0)) as server,
        client_at(
            server, x, tmp_path, sleep=waits.append, retry=RetryPolicy(attempts=3, longest_wait_s=900.0)
        ) as client,
    ):
        assert ids(list(client.history(SEARCH))) == []
    assert len(waits) == 1
    assert 28 <= waits[0] <= 32


def test_posts_and_ids_of_the_stand_in_agree_in_time() -> None:
    at = micros_of(datetime(2026, 3, 2, 15, 0, 0, 123_000, tzinfo=UTC))
    assert iso(at) == "2026-03-02T15:00:00.123Z"
    assert (int(identifier(at, 5)) >> 22) + 1_288_834_974_657 == at // 1000
    assert SPEC.dataset("stream").stream
