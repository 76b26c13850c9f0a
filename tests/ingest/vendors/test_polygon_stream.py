"""Polygon's stream against its stand-in, beyond what the contract suite asks."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from project01.domain import AuthenticationError, InputError, Trade
from project01.ingest.stand_ins import Fault, FaultScript, Socket, StandInServer
from project01.ingest.stand_ins.polygon import KEY, stand_in
from project01.ingest.stand_ins.polygon_market import frames_of, simulated_frames
from project01.ingest.transport import RetryPolicy
from project01.ingest.vendor import Gap, Page, Query
from project01.ingest.vendors.polygon import connect

START = datetime(2024, 3, 12, 14, 30, tzinfo=UTC)
TRADE: dict[str, Any] = {
    "ev": "T", "sym": "AAPL", "i": "1", "x": 4, "z": 3, "p": 156.43, "s": 10, "c": [], "t": 1705329000000, "q": 1,
}  # fmt: skip


def status(name: str, message: str) -> str:
    return json.dumps([{"ev": "status", "status": name, "message": message}])


def heard(connection: Any, query: Query, enough: Callable[[list[Page]], bool]) -> list[Page]:
    client, stop, pages = connect(connection), threading.Event(), []
    watchdog = threading.Timer(20.0, stop.set)
    watchdog.start()
    try:
        for page in client.stream(query, stop):
            pages.append(page)
            if enough(pages):
                stop.set()
    finally:
        watchdog.cancel()
        watchdog.join()
        client.close()
    return pages


def ids(pages: list[Page]) -> set[str]:
    return {record.source_id for page in pages for record in page.decoded.records}


def gaps(pages: list[Page]) -> list[Gap]:
    return [page.gap for page in pages if page.gap is not None]


@contextmanager
def scripted(folder: Path, talk: Callable[[Socket], None]) -> Iterator[Any]:
    with StandInServer(socket=talk) as server, stand_in(events=[TRADE]) as other:
        yield other.connection(folder, stream_address=server.socket_url, address=server.http_url)


def test_minute_bars_are_their_own_channel(tmp_path: Path) -> None:
    with stand_in(symbols=("SIMA",), start=START, seconds=180, speed=300) as server:
        query = Query(dataset="aggregates", symbols=("SIMA",), parameters={"span": "1m"}, start=START)
        pages = heard(server.connection(tmp_path), query, lambda pages: len(ids(pages)) == 3)
        assert ids(pages) == server.sent
    assert {source_id.split(":")[1] for source_id in ids(pages)} == {"1m"}


def test_recorded_events_are_played_whole(tmp_path: Path) -> None:
    frames = simulated_frames(("AAPL", "MSFT"), seed=5, start_ms=1705329000000, seconds=40)
    events = [event for frame in frames for event in sorted(frame, key=lambda event: event.get("e", event.get("t")))]
    assert sum(map(len, frames_of(events))) == len(events)
    with stand_in(events=events, speed=200) as server:
        query = Query(dataset="trades", symbols=("AAPL", "MSFT"))
        trades = sum(event["ev"] == "T" for event in events)
        pages = heard(server.connection(tmp_path), query, lambda pages: len(ids(pages)) == trades)
        assert ids(pages) == server.sent
    found = [record for page in pages for record in page.decoded.records]
    assert all(isinstance(record, Trade) and record.simulated for record in found)


def test_all_shares_after_a_gap_are_filled_as_far_as_known(tmp_path: Path) -> None:
    faults = FaultScript(Fault("close_1006", after=10, where="stream"))
    with stand_in(symbols=("SIMA", "SIMB"), start=START, seconds=60, speed=60, faults=faults) as server:
        connection = server.connection(tmp_path, retry=RetryPolicy(base_s=0.02, cap_s=0.1))
        query = Query(dataset="aggregates", start=START)
        pages = heard(connection, query, lambda pages: server.finished and ids(pages) >= server.sent)
        assert ids(pages) >= server.sent
    (gap,) = gaps(pages)
    assert not gap.filled
    assert "2 symbols seen before" in gap.reason


def test_a_gap_that_history_cannot_fill_says_so_and_the_stream_goes_on(tmp_path: Path) -> None:
    faults = FaultScript(Fault("close_1000", after=10, where="stream"), *[Fault("500")] * 20)
    with stand_in(symbols=("SIMA",), start=START, seconds=60, speed=60, faults=faults) as server:
        connection = server.connection(tmp_path, retry=RetryPolicy(attempts=2, base_s=0.02, cap_s=0.1))
        pages = heard(connection, Query(dataset="aggregates", symbols=("SIMA",)), lambda _: server.finished)
    (gap,) = gaps(pages)
    assert not gap.filled
    assert "close 1000; not filled: " in gap.reason
    after = next(number for number, page in enumerate(pages) if page.gap is not None)
    assert ids(pages[after + 1 :])


def test_data_before_the_last_acknowledgement_is_kept(tmp_path: Path) -> None:
    def talk(socket: Socket) -> None:
        socket.reply(status("connected", "Connected Successfully"))
        assert json.loads(socket.receive(5.0) or "") == {"action": "auth", "params": KEY}
        socket.reply(status("auth_success", "authenticated"))
        assert json.loads(socket.receive(5.0) or "") == {"action": "subscribe", "params": "T.AAPL,T.MSFT"}
        socket.reply(status("success", "subscribed to: T.AAPL"))
        socket.reply(json.dumps([TRADE]))
        mixed = [TRADE | {"i": "2"}, {"ev": "status", "status": "success", "message": "subscribed to: T.MSFT"}]
        socket.reply(json.dumps(mixed))
        socket.reply(json.dumps([TRADE | {"i": "3"}]))
        while True:
            socket.receive(0.1)

    with scripted(tmp_path, talk) as connection:
        query = Query(dataset="trades", symbols=("MSFT", "AAPL"))
        pages = heard(connection, query, lambda pages: len(ids(pages)) == 3)
    assert [source_id.rpartition(":")[2] for source_id in sorted(ids(pages))] == ["1", "2", "3"]
    assert gaps(pages) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("auth_failed", "authentication failed"), ("error", "You are not authorized to access T.AAPL")],
)
def test_a_refusal_ends_the_stream_and_says_why(tmp_path: Path, name: str, message: str) -> None:
    def talk(socket: Socket) -> None:
        socket.reply(status("connected", "Connected Successfully"))
        socket.receive(5.0)
        if name == "error":
            socket.reply(status("auth_success", "authenticated"))
            socket.receive(5.0)
        socket.reply(status(name, message))
        while True:
            socket.receive(0.1)

    with scripted(tmp_path, talk) as connection, pytest.raises(AuthenticationError, match=message):
        heard(connection, Query(dataset="trades", symbols=("AAPL",)), lambda _: False)


def test_a_wrong_key_is_refused_and_not_told(tmp_path: Path) -> None:
    with stand_in(symbols=("SIMA",), seconds=5) as server:
        connection = server.connection(tmp_path, secrets={"key": SecretStr("wrong-key-0123")})
        with pytest.raises(AuthenticationError) as refused:
            heard(connection, Query(dataset="trades", symbols=("SIMA",)), lambda _: False)
    assert "wrong-key-0123" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        Query(dataset="splits", symbols=("SIMA",)),
        Query(dataset="aggregates", symbols=("SIMA",), parameters={"span": "5m"}),
        Query(dataset="no_such_thing"),
    ],
)
def test_what_is_not_streamed_is_refused(tmp_path: Path, query: Query) -> None:
    with stand_in(symbols=("SIMA",), seconds=5) as server, pytest.raises(InputError):
        heard(server.connection(tmp_path), query, lambda _: False)


def test_the_same_seed_is_the_same_market_and_never_ahead_of_us() -> None:
    one, other = (simulated_frames(("SIMA",), seed=3, start_ms=1705329000000, seconds=90) for _ in range(2))
    assert one == other
    assert one != simulated_frames(("SIMA",), seed=4, start_ms=1705329000000, seconds=90)
    alone = simulated_frames(("SIMA", "SIMB"), seed=3, start_ms=1705329000000, seconds=90)
    assert [[event for event in frame if event["sym"] == "SIMA"] for frame in alone] == [list(frame) for frame in one]
