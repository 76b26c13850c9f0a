"""Polygon's history against its stand-in: addresses, cursors, pages that cannot be."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from project01.domain import AuthenticationError, Bar, InputError, QuotaError, Record, VendorError
from project01.ingest.stand_ins import Reply, Request, StandInServer
from project01.ingest.stand_ins.polygon import KEY, PolygonStandIn, stand_in
from project01.ingest.vendor import Budget, Page, Query
from project01.ingest.vendors.polygon import PolygonClient, connect
from project01.ingest.vendors.polygon_pages import next_page

START = datetime(2024, 3, 12, 14, 30, tzinfo=UTC)


@contextmanager
def connected(folder: Path, **changes: Any) -> Iterator[tuple[PolygonStandIn, PolygonClient]]:
    with stand_in(symbols=("SIMA", "SIMB"), start=START, seconds=5) as server:
        client = connect(server.connection(folder, **changes))
        try:
            yield server, client
        finally:
            client.close()


@contextmanager
def scripted(folder: Path, answer: Callable[[Request], Reply]) -> Iterator[PolygonClient]:
    """A client whose server answers as told; everything else of its connection is the stand-in's."""
    with StandInServer(http=answer) as server, connected(folder, address=server.http_url) as (_, client):
        yield client


def records(pages: list[Page]) -> list[Record]:
    return [record for page in pages for record in page.decoded.records]


def bars(*starts: int, **envelope: Any) -> Reply:
    results = [{"o": 1, "h": 2, "l": 1, "c": 1, "v": 1, "t": start * 1000} for start in starts]
    return Reply(body=json.dumps({"status": "OK", "ticker": "SIMA", "results": results, **envelope}).encode())


BARS = Query(dataset="aggregates", symbols=("SIMA",))


def test_the_specification_loads_without_a_client_library() -> None:
    code = (
        "import sys; import project01.ingest.vendors.polygon as p; p.SPEC.dataset('trades');"
        "assert not {'httpx', 'websockets', 'exchange_calendars'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_range_is_from_its_start_to_before_its_end(tmp_path: Path) -> None:
    start = START - timedelta(seconds=500)
    query = Query(dataset="aggregates", symbols=("SIMA",), start=start, end=start + timedelta(seconds=60))
    with connected(tmp_path) as (_, client):
        found = records(list(client.history(query)))
        longer = records(list(client.history(Query(dataset="trades", symbols=("SIMA",), start=start, end=query.end))))
    first, end = (int(instant.timestamp()) for instant in (start, start + timedelta(seconds=60)))
    starts = [record.event_time // 1_000_000 - 1 for record in found]
    assert starts
    assert all(first <= begun < end for begun in starts)
    assert all(first <= record.knowledge_time / 1e6 < end for record in longer)


@pytest.mark.parametrize(("span", "length_s"), [("1s", 1), ("5s", 5), ("1m", 60)])
def test_bars_of_every_length_are_complete_at_their_end(tmp_path: Path, span: str, length_s: int) -> None:
    with connected(tmp_path) as (_, client):
        found = records(list(client.history(Query(dataset="aggregates", symbols=("SIMA",), parameters={"span": span}))))
    assert found
    for record in found:
        assert isinstance(record, Bar)
        assert record.interval == span
        assert record.event_time // 1_000_000 % length_s == 0


def test_every_dataset_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with connected(tmp_path) as (server, client):
        for dataset in ("ticker_events", "trades", "quotes", "splits", "dividends", "news", "tickers", "market_status"):
            symbols = () if dataset in {"news", "tickers", "market_status"} else ("SIMA", "SIMB")
            query = Query(dataset=dataset, symbols=symbols)
            before = list(client.history(query))
            assert records(list(client.history(query, before[-1].cursor))) == [], dataset
            server.grow()
            new = records(list(client.history(query, before[-1].cursor)))
            known = {record.source_id for record in records(before)}
            assert new, dataset
            assert not known & {record.source_id for record in new}, dataset


def test_a_cursor_holds_no_key_and_no_address(tmp_path: Path) -> None:
    with connected(tmp_path) as (server, client):
        cursors = [page.cursor or "" for page in client.history(BARS)]
        assert len(cursors) > 1
        assert not [cursor for cursor in cursors if KEY in cursor or server.server.http_url in cursor]
        assert not [request for request in server.server.requests if KEY in str(request.query) + request.path]


def test_the_next_page_is_asked_of_the_address_that_is_set() -> None:
    assert next_page("https://api.polygon.io/v3/trades/A?cursor=x%3D&apiKey=k") == "/v3/trades/A?cursor=x%3D"
    assert next_page("https://api.massive.com/v3/trades/A") == "/v3/trades/A"


def test_a_cursor_of_another_dataset_is_refused(tmp_path: Path) -> None:
    with connected(tmp_path) as (_, client):
        cursor = next(iter(client.history(BARS))).cursor
        with pytest.raises(InputError, match="belongs to 'aggregates'"):
            list(client.history(Query(dataset="trades", symbols=("SIMA",)), cursor))


@pytest.mark.parametrize(
    "query",
    [
        Query(dataset="aggregates"),
        Query(dataset="trades", symbols=("no symbol",)),
        Query(dataset="aggregates", symbols=("SIMA",), parameters={"span": "2d"}),
        Query(dataset="aggregates", symbols=("SIMA",), parameters={"span": "soon"}),
        Query(dataset="aggregates", symbols=("SIMA",), parameters={"adjusted": "maybe"}),
    ],
)
def test_a_query_that_does_not_fit_is_refused_before_anything_is_asked(tmp_path: Path, query: Query) -> None:
    with connected(tmp_path) as (server, client):
        with pytest.raises(InputError):
            list(client.history(query))
        assert server.server.requests == []


def test_a_page_that_holds_less_than_it_says_is_refused(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, lambda _: bars(1705329000, 1705329001, resultsCount=3)) as client,
        pytest.raises(VendorError, match="says 3 results and holds 2"),
    ):
        list(client.history(BARS))


def test_pages_that_go_backwards_repeat_or_circle_are_refused(tmp_path: Path) -> None:
    def link(request: Request, name: str) -> str:
        return f"https://api.massive.com{request.path}?cursor={name}"

    def backwards(request: Request) -> Reply:
        if "cursor" in request.query:
            return bars(1705328000)
        return bars(1705329000, next_url=link(request, "a"))

    def repeating(request: Request) -> Reply:
        return bars(1705329000, next_url=link(request, "a" + request.first("cursor")))

    def circling(request: Request) -> Reply:
        count = len(request.first("cursor"))
        return bars(1705329000 + count, next_url=link(request, "b" if count else "bb"))

    def endless(request: Request) -> Reply:
        return Reply(body=json.dumps({"status": "OK", "next_url": link(request, "same")}).encode())

    for answer, why in (
        (backwards, "out of order"),
        (repeating, "twice"),
        (circling, "out of order|circles"),
        (endless, "circles"),
    ):
        with scripted(tmp_path / answer.__name__, answer) as client, pytest.raises(VendorError, match=why):
            list(client.history(BARS))


def test_an_error_with_status_200_is_kept_and_raised(tmp_path: Path) -> None:
    def denied(status: str) -> Callable[[Request], Reply]:
        return lambda _: Reply(body=json.dumps({"status": status, "message": "upgrade your plan"}).encode())

    for status, kind in (("NOT_AUTHORIZED", AuthenticationError), ("ERROR", VendorError)):
        pages: list[Page] = []
        with scripted(tmp_path / status, denied(status)) as client:
            history = client.history(BARS)
            pages.append(next(history))
            with pytest.raises(kind, match="upgrade your plan"):
                next(history)
        assert [letter.reason for page in pages for letter in page.decoded.letters] == ["error_body"]


def test_the_plan_is_not_overrun(tmp_path: Path) -> None:
    budgets = (Budget(unit="call", limit=2, period_s=3_000_000_000),)
    with connected(tmp_path, budgets=budgets) as (server, client):
        with pytest.raises(QuotaError):
            list(client.history(BARS))
        assert len(server.server.requests) == 2
