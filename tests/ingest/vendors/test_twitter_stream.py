"""X's streams: gaps and how they are filled, backfill, keep-alives."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Timer

import pytest
from tests.ingest.vendors.twitter_running import SEARCH, STREAM, client_at, client_of, ids, until

from project01.domain import InputError
from project01.ingest.stand_ins import Fault, FaultScript, Reply, Request, StandInServer
from project01.ingest.stand_ins.twitter import stand_in
from project01.ingest.stand_ins.twitter_posts import made_up
from project01.ingest.vendor import Query
from project01.ingest.vendors.twitter_rules import TAG


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
