"""X's client against its stand-in, and against servers that do what the stand-in does not."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import FixedClock, InputError, QuotaError, Tweet, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import micros_of
from project01.ingest.stand_ins import Fault, FaultScript, Reply, Request, StandInServer
from project01.ingest.stand_ins.twitter import TwitterStandIn, stand_in
from project01.ingest.stand_ins.twitter_posts import identifier, iso, made_up
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import HeaderKey, HttpClient, QuotaLedger, RetryPolicy
from project01.ingest.vendor import Budget, Page, Query
from project01.ingest.vendors.twitter import SPEC
from project01.ingest.vendors.twitter_client import TwitterClient
from project01.ingest.vendors.twitter_rules import TAG, Rule, apply, difference, standing_rules
from project01.ingest.vendors.twitter_search import query_texts

SEARCH = Query(dataset="search", symbols=("AAPL", "MSFT", "BRK.B"))
STREAM = Query(dataset="stream", symbols=SEARCH.symbols, parameters={"searchable_after_s": "0"})
POSTS_A_MONTH = 30 * 86_400


@contextlib.contextmanager
def client_of(standing: TwitterStandIn, folder: Path, **changes: Any) -> Iterator[TwitterClient]:
    client = TwitterClient(replace(standing.connection(folder), **changes))
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def client_at(server: StandInServer, standing: TwitterStandIn, folder: Path, **changes: Any) -> Iterator[TwitterClient]:
    with client_of(standing, folder, address=server.http_url, **changes) as client:
        yield client


def ids(pages: list[Page]) -> list[str]:
    return [record.source_id for page in pages for record in page.decoded.records]


def until(
    pages: Iterator[Page], stop: Event, enough: Callable[[list[Page]], bool], limit_s: float = 20.0
) -> list[Page]:
    """Pages until there are enough; the stream must then end by itself."""
    taken: list[Page] = []
    watchdog = Timer(limit_s, stop.set)
    watchdog.start()
    try:
        for page in pages:
            taken.append(page)
            if enough(taken):
                stop.set()
    finally:
        watchdog.cancel()
        watchdog.join()
    return taken


# Search.


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


@pytest.mark.parametrize(
    ("query", "match"),
    [
        (SEARCH, "no stream"),
        (replace(STREAM, parameters={"backfill_minutes": "6"}), "from 0 to 5"),
        (Query(dataset="compliance", parameters={"partition": "0"}), "from 1 to 4"),
        (Query(dataset="compliance", parameters={"about": "cats"}), "posts, users"),
    ],
)
def test_what_cannot_be_streamed_is_named(query: Query, match: str, tmp_path: Path) -> None:
    with stand_in() as x, client_of(x, tmp_path) as client, pytest.raises(InputError, match=match):
        list(client.stream(query, Event()))


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


# The plan's posts.


def spent(folder: Path, budget: Budget) -> int:
    ledger = QuotaLedger(folder / "quota.sqlite", FixedClock(datetime.now(UTC)))
    try:
        return budget.limit - ledger.left("twitter", [budget])[budget]
    finally:
        ledger.close()


def test_only_posts_that_came_are_spent(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=1_000, period_s=POSTS_A_MONTH)
    with stand_in() as x, client_of(x, tmp_path, budgets=(budget,)) as client:
        pages = list(client.history(SEARCH))
        assert spent(tmp_path, budget) == len(ids(pages)) == 60


def test_the_plan_is_never_overrun_also_after_a_restart(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=35, period_s=POSTS_A_MONTH)
    found: list[str] = []
    cursor = None
    for _ in range(3):
        with stand_in(now=NOW) as x, client_of(x, tmp_path, budgets=(budget,)) as client:
            pages: list[Page] = []
            with pytest.raises(QuotaError, match="35 posts"):
                pages.extend(client.history(SEARCH, cursor))
            found += ids(pages)
            cursor = pages[-1].cursor if pages else cursor
            assert sum(len(_served(request)) for request in x.server.requests) <= 35
    assert len(found) == len(set(found)) == 30  # the vendor's smallest page no longer fits into what is left
    assert spent(tmp_path, budget) == 30


def _served(request: Request) -> range:
    return range(min(10, int(request.first("max_results"))))


NOW = datetime.now(UTC)


def test_a_stream_stops_when_the_plan_is_used_up(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=50, period_s=POSTS_A_MONTH)
    heard: list[Page] = []
    with stand_in(keep_alive_s=0.2) as x, client_of(x, tmp_path, budgets=(budget,)) as client:
        with pytest.raises(QuotaError, match="50 posts"):
            heard.extend(client.stream(STREAM, Event()))
        assert len(ids(heard)) == 50


# Rules of the stream.


def rules_client(x: TwitterStandIn, folder: Path) -> HttpClient:
    connection: Connection = x.connection(folder)
    key = HeaderKey("Authorization", connection.secrets["bearer token"], "Bearer ")
    return HttpClient(x.server.http_url, source="twitter", key=key, connection=connection)


def test_rules_become_those_wanted_and_stay(tmp_path: Path) -> None:
    with stand_in() as x, contextlib.closing(rules_client(x, tmp_path)) as client:
        x.rules = [
            {"id": "a", "value": "$OLD", "tag": TAG},
            {"id": "b", "value": "$MSFT", "tag": TAG},
            {"id": "c", "value": "cats", "tag": "of another program"},
        ]
        change = apply(client, ["$AAPL", "$MSFT"])
        assert str(change) == "- $OLD\n+ $AAPL\n  $MSFT\n! cats"
        assert {(rule["value"], rule["tag"]) for rule in x.rules} == {
            ("$AAPL", TAG), ("$MSFT", TAG), ("cats", "of another program"),
        }  # fmt: skip
        before, asked = list(x.rules), len(x.server.requests)
        again = apply(client, ["$AAPL", "$MSFT"])
        assert (again.add, again.delete) == ((), ())
        assert x.rules == before
        assert [request.method for request in x.server.requests[asked:]] == ["GET"]


@given(st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdef"), max_size=6))
def test_applying_a_difference_gives_what_is_wanted(standing: list[str], wanted: list[str]) -> None:
    rules = [Rule(str(number), value, TAG) for number, value in enumerate(standing)]
    change = difference(wanted, rules)
    gone = {identifier for identifier, _ in change.delete}
    after = [rule.value for rule in rules if rule.id not in gone] + list(change.add)
    assert sorted(after) == sorted(set(wanted))


def test_a_refused_rule_is_told(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(body=b'{"meta":{"result_count":0}}')
        return Reply(201, b'{"errors":[{"value":"$$$","title":"Invalid Rule","detail":"no viable alternative"}]}')

    with stand_in() as x, StandInServer(http=answer) as server:
        connection = replace(x.connection(tmp_path), address=server.http_url)
        key = HeaderKey("Authorization", connection.secrets["bearer token"], "Bearer ")
        client = HttpClient(server.http_url, source="twitter", key=key, connection=connection)
        with contextlib.closing(client), pytest.raises(VendorError, match="no viable alternative"):
            apply(client, ["$$$"])
        with contextlib.closing(rules_client(x, tmp_path / "own")) as own:
            assert standing_rules(own) == ()


# The stream.


def test_every_fault_of_a_row_is_a_gap_that_is_filled(tmp_path: Path) -> None:
    faults = FaultScript(
        *(Fault(kind, after=25, where="stream") for kind in ("close_1000", "close_1006", "half_message"))
    )
    with stand_in(faults=faults, keep_alive_s=0.2) as x, client_of(x, tmp_path) as client:
        stop = Event()
        taken = until(client.stream(STREAM, stop), stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        assert set(ids(taken)) == set(x.sent)
        gaps = [page.gap for page in taken if page.gap]
        assert len(gaps) == 3
        assert all(gap.filled for gap in gaps)


def test_a_gap_waits_until_its_posts_can_be_searched(tmp_path: Path) -> None:
    query = replace(STREAM, parameters={"searchable_after_s": "1"})
    faults = FaultScript(Fault("close_1006", after=10, where="stream"))
    with stand_in(faults=faults, keep_alive_s=0.2) as x, client_of(x, tmp_path) as client:
        stop = Event()
        taken = until(client.stream(query, stop), stop, lambda pages: any(page.gap for page in pages))
        place = next(number for number, page in enumerate(taken) if page.gap)
        gap = taken[place].gap
        assert gap is not None
        assert gap.filled
        assert datetime.now(UTC) - gap.end >= timedelta(seconds=1)
        assert len(ids(taken[:place])) > 30  # the stream went on meanwhile


def test_a_gap_that_stopping_leaves_open_says_so(tmp_path: Path) -> None:
    query = replace(STREAM, parameters={})
    faults = FaultScript(Fault("close_1006", after=10, where="stream"))
    with stand_in(faults=faults, keep_alive_s=0.2) as x, client_of(x, tmp_path) as client:
        stop = Event()
        taken = until(client.stream(query, stop), stop, lambda pages: len(ids(pages)) >= 40)
        gap = taken[-1].gap
        assert gap is not None
        assert not gap.filled
        assert "stopped before" in gap.reason


def test_a_plan_without_search_has_open_gaps_and_goes_on(tmp_path: Path) -> None:
    faults = FaultScript(Fault("close_1006", after=10, where="stream"), Fault("403", path="search/recent"))
    with stand_in(faults=faults, keep_alive_s=0.2) as x, client_of(x, tmp_path) as client:
        stop = Event()
        taken = until(client.stream(STREAM, stop), stop, lambda _: x.finished)
        gap = next(page.gap for page in taken if page.gap)
        assert not gap.filled
        assert "403" in gap.reason
        assert len(ids(taken)) > 60


def test_backfill_is_asked_for_after_a_break_only_and_replaces_search(tmp_path: Path) -> None:
    query = replace(STREAM, parameters={**STREAM.parameters, "backfill_minutes": "2"})
    faults = FaultScript(Fault("close_1006", after=30, where="stream"))
    with stand_in(faults=faults, keep_alive_s=0.2) as x, client_of(x, tmp_path) as client:
        stop = Event()
        taken = until(client.stream(query, stop), stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        assert set(ids(taken)) == set(x.sent)
        streams = [r for r in x.server.requests if r.path.endswith("search/stream")]
        assert [request.first("backfill_minutes") for request in streams] == ["", "2"]
        assert not [r for r in x.server.requests if r.path.endswith("search/recent")]


def test_when_x_says_in_a_line_that_it_ends_the_stream_it_is_opened_again(tmp_path: Path) -> None:
    ending = {"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect", "detail": "bye"}
    opened: list[Request] = []

    def lines(first: bool) -> Iterator[bytes]:
        yield json.dumps({"data": made_up(len(opened), int(time.time() * 1e6), ("AAPL",), 7)}).encode()
        if first:
            yield json.dumps({"errors": [ending]}).encode()
        while True:
            time.sleep(0.05)
            yield b""

    def answer(request: Request) -> Reply:
        if request.path.endswith("rules"):
            return Reply(body=json.dumps({"data": [{"id": "1", "value": "$AAPL", "tag": TAG}]}).encode())
        if request.path.endswith("recent"):
            return Reply(body=b'{"meta":{"result_count":0}}')
        opened.append(request)
        return Reply(lines=lines(len(opened) == 1))

    with stand_in() as x, StandInServer(http=answer) as server, client_at(server, x, tmp_path) as client:
        stop = Event()
        query = replace(STREAM, symbols=("AAPL",))
        taken = until(client.stream(query, stop), stop, lambda pages: len(ids(pages)) == 2)
    assert len(set(ids(taken))) == 2
    assert "UpstreamOperationalDisconnect" in next(page.gap for page in taken if page.gap).reason
    assert [letter.reason for page in taken for letter in page.decoded.letters] == ["error_body"]


def test_keep_alives_keep_a_quiet_stream_alive(tmp_path: Path) -> None:
    with stand_in(live=1, keep_alive_s=0.1) as x, client_of(x, tmp_path, idle_timeout_s=0.5) as client:
        stop = Event()
        Timer(1.5, stop.set).start()
        taken = list(client.stream(STREAM, stop))
        assert not [page.gap for page in taken if page.gap]
        assert len(ids(taken)) == 1
        assert sum(page.decoded.accepted for page in taken) > 5


# What must be erased.


def test_erasures_come_by_stream_and_by_asking(tmp_path: Path) -> None:
    with stand_in(keep_alive_s=0.2, live=40) as x, client_of(x, tmp_path) as client:
        stop = Event()
        query = Query(dataset="compliance", parameters={"partition": "3"})
        taken = until(client.stream(query, stop), stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        erased = {record.source_id: record for page in taken for record in page.decoded.records}
        assert all(isinstance(record, Tweet) and record.action == "delete" for record in erased.values())
        assert sum(name.startswith("user:") for name in erased) == 4
        assert x.server.requests[0].first("partition") == "3"
        asked = replace(query, parameters={"ids": ",".join(x.past_ids)})
        found = ids(list(client.history(asked)))
        assert set(found) == {name for name in erased if not name.startswith("user:")}
        assert len(found) == 36


def test_after_a_break_events_are_asked_for_from_before_it(tmp_path: Path) -> None:
    faults = FaultScript(Fault("close_1006", after=10, where="stream"))
    with stand_in(faults=faults, keep_alive_s=0.2, live=40) as x, client_of(x, tmp_path) as client:
        stop = Event()
        pages = client.stream(Query(dataset="compliance", parameters={"about": "users"}), stop)
        taken = until(pages, stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        assert set(x.sent) == set(ids(taken))
        first, second = (request for request in x.server.requests if request.path == "/2/users/compliance/stream")
        assert not first.first("start_time")
        gap = next(page.gap for page in taken if page.gap)
        assert datetime.fromisoformat(second.first("start_time")) <= gap.start - timedelta(seconds=14)


def test_a_lookup_that_forgets_posts_is_an_error(tmp_path: Path) -> None:
    with (
        stand_in() as x,
        StandInServer(http=lambda _: Reply(body=b'{"data":[{"id":"1","text":""}]}')) as server,
        client_at(server, x, tmp_path) as client,
    ):
        pages = client.history(Query(dataset="compliance", parameters={"ids": "1 2 3"}))
        assert next(pages).cursor == '{"after":"0"}'
        with pytest.raises(VendorError, match="asked for 3 posts and spoke of 1"):
            next(pages)


def test_posts_and_ids_of_the_stand_in_agree_in_time() -> None:
    at = micros_of(datetime(2026, 3, 2, 15, 0, 0, 123_000, tzinfo=UTC))
    assert iso(at) == "2026-03-02T15:00:00.123Z"
    assert (int(identifier(at, 5)) >> 22) + 1_288_834_974_657 == at // 1000
    assert SPEC.dataset("stream").stream
