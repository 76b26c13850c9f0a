"""Streams over real sockets: every fault, nothing lost without a gap that says so, and no thread left behind."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event
from urllib.parse import quote

import pytest
from tests.ingest.transport.conftest import MARKER, Authority, MakeConnection

from project01.domain import AuthenticationError, SystemClock, UnreachableError
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import (
    STREAM_FAULTS,
    Fault,
    FaultScript,
    Feed,
    Reply,
    Request,
    Socket,
    StandInServer,
    TlsFiles,
)
from project01.ingest.transport import (
    Disconnected,
    HttpClient,
    LineSession,
    NoKey,
    Received,
    Reconnected,
    RetryPolicy,
    Session,
    WebSocketSession,
    listen,
)

COUNT = 150
IDLE_S = 0.4
REASONS = {
    "close_1000": "close 1000",
    "close_1001": "close 1001",
    "close_1006": "close 1006",
    "close_1008": "close 1008",
    "close_1011": "close 1011",
    "half_message": "close 1006",
    "silence": "silence for 0.4 s",
}


@dataclass
class Vendor:
    """A feed of numbers on a WebSocket and as endless lines; the time each was published is known."""

    server: StandInServer
    feed: Feed[str]
    faults: FaultScript
    threads: list[str] = field(default_factory=list)


@contextlib.contextmanager
def vendor(
    *faults: Fault, count: int = COUNT, per_second: float = 200, tls: TlsFiles | None = None
) -> Iterator[Vendor]:
    feed = Feed([str(number) for number in range(count)], per_second)
    script = FaultScript(*faults)

    def talk(socket: Socket) -> None:
        while socket.receive(0.5) is None:
            pass
        if socket.refuses_credentials:
            socket.reply("wrong key")
            return
        subscription = feed.subscribe()
        socket.acknowledge("subscribed")
        while True:
            event = subscription.next(0.05)
            if event is None:
                socket.receive(0.001)
            else:
                socket.send(event)

    def lines(_: Request) -> Reply:
        subscription = feed.subscribe()

        def endless() -> Iterator[bytes]:
            yield b"subscribed"
            while True:
                event = subscription.next(0.05)
                yield b"" if event is None else event.encode()

        return Reply(lines=endless())

    with StandInServer(http=lines, socket=talk, faults=script, tls=tls) as server:
        try:
            yield Vendor(server, feed, script)
        finally:
            feed.close()


def patient(connect: MakeConnection, **changes: object) -> Connection:
    """In real time, and in a hurry."""
    hurry = RetryPolicy(attempts=4, base_s=0.05, cap_s=0.1)
    usual = {"clock": SystemClock(), "sleep": time.sleep, "retry": hurry, "random": random.Random(3)}
    return connect(**(usual | changes))


def over_socket(vendor: Vendor, connection: Connection) -> Callable[[], Session]:
    def opening() -> Session:
        session = WebSocketSession(vendor.server.socket_url, connection=connection, open_timeout_s=2.0)
        try:
            session.send(f"login {MARKER}")
            answer = session.receive(2.0)
            if answer == b"wrong key":
                raise AuthenticationError("the vendor refused the key")
            if answer != b"subscribed":
                raise Disconnected("no answer to subscribe")
        except BaseException:
            session.close()
            raise
        return session

    return opening


def over_lines(vendor: Vendor, connection: Connection) -> tuple[Callable[[], Session], HttpClient]:
    client = HttpClient(vendor.server.http_url, source="vendor", key=NoKey(), connection=connection)
    return lambda: LineSession(client, "stream", idle_timeout_s=IDLE_S), client


@dataclass
class Heard:
    numbers: list[int] = field(default_factory=list)
    gaps: list[Reconnected] = field(default_factory=list)
    # Numbers heard before each gap.
    before: list[int] = field(default_factory=list)


def hear(events: Iterator[Received | Reconnected], stop: Event, last: int = COUNT - 1) -> Heard:
    """Everything up to the last number."""
    heard = Heard()
    watchdog = threading.Timer(20.0, stop.set)
    watchdog.start()
    try:
        for event in events:
            if isinstance(event, Reconnected):
                heard.gaps.append(event)
                heard.before.append(len(heard.numbers))
            elif event.payload.isdigit():
                heard.numbers.append(int(event.payload))
                if heard.numbers[-1] == last:
                    stop.set()
    finally:
        watchdog.cancel()
        watchdog.join()
    return heard


def assert_gaps_explain_losses(heard: Heard, count: int = COUNT) -> None:
    """In order, none twice; whatever is missing is missing at a gap."""
    assert heard.numbers == sorted(set(heard.numbers))
    assert heard.numbers[-1] == count - 1
    jumps = [place for place in range(1, len(heard.numbers)) if heard.numbers[place] - heard.numbers[place - 1] > 1]
    assert set(jumps) <= set(heard.before)


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("receive", "line session"))]


ENDING = [kind for kind in STREAM_FAULTS if kind not in {"bad_credentials", "pause"}]


@pytest.mark.parametrize("kind", ENDING)
def test_every_fault_of_a_web_socket(connect: MakeConnection, kind: str) -> None:
    stop = Event()
    connection = patient(connect)
    with vendor(Fault(kind, after=30, where="stream", seconds=0.1)) as running:  # type: ignore[arg-type]
        opening = over_socket(running, connection)
        heard = hear(listen(opening, stop, connection=connection, idle_timeout_s=IDLE_S), stop)
        assert running.faults.done
    assert_gaps_explain_losses(heard)
    assert heard.numbers[0] == 0
    assert len(heard.gaps) == 1
    assert heard.before == [30]
    gap = heard.gaps[0]
    assert gap.start < gap.end
    assert gap.reason == REASONS.get(kind, "close 1006")
    assert threads_of_ours() == []


@pytest.mark.parametrize("kind", ENDING)
def test_every_fault_of_endless_lines(connect: MakeConnection, kind: str) -> None:
    stop = Event()
    connection = patient(connect)
    with vendor(Fault(kind, after=31, where="stream", seconds=0.1)) as running:  # type: ignore[arg-type]
        opening, client = over_lines(running, connection)
        heard = hear(listen(opening, stop, connection=connection, idle_timeout_s=IDLE_S), stop)
        client.close()
        assert running.faults.done
    assert_gaps_explain_losses(heard)
    assert len(heard.gaps) == 1
    assert heard.gaps[0].start < heard.gaps[0].end
    assert threads_of_ours() == []


def test_a_pause_shorter_than_the_idle_time_is_no_gap(connect: MakeConnection) -> None:
    stop, connection = Event(), patient(connect)
    with vendor(Fault("pause", after=30, where="stream", seconds=IDLE_S / 2)) as running:
        heard = hear(listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S), stop)
    assert heard.numbers == list(range(COUNT))
    assert heard.gaps == []


def test_a_pause_longer_than_the_idle_time_is_a_gap(connect: MakeConnection) -> None:
    stop, connection = Event(), patient(connect)
    with vendor(Fault("pause", after=30, where="stream", seconds=IDLE_S * 3), per_second=50) as running:
        heard = hear(listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S), stop)
    assert_gaps_explain_losses(heard)
    assert [gap.reason for gap in heard.gaps] == ["silence for 0.4 s"]


def test_a_gap_spans_all_failed_attempts(connect: MakeConnection) -> None:
    """Dropped, then refused, then dropped while subscribing: one gap, from the last message to the first success."""
    stop, connection = Event(), patient(connect)
    faults = [Fault("drop_in_subscribe", after=30, where="stream"), Fault("refused", after=10, where="stream")]
    with vendor(*faults, per_second=100) as running:
        heard = hear(listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S), stop)
    assert_gaps_explain_losses(heard)
    assert len(heard.gaps) == 2
    assert heard.gaps[0].end <= heard.gaps[1].start


def test_a_first_connection_that_fails_is_tried_again(connect: MakeConnection) -> None:
    stop, connection = Event(), patient(connect)
    attempts: list[int] = []
    with vendor() as running:
        genuine = over_socket(running, connection)

        def opening() -> Session:
            attempts.append(connection.micros())
            if len(attempts) == 1:
                raise Disconnected("not yet")
            if len(attempts) == 2:
                raise UnreachableError("the rules cannot be set")
            return genuine()

        started = connection.micros()
        heard = hear(listen(opening, stop, connection=connection, idle_timeout_s=IDLE_S), stop)
    assert heard.numbers == list(range(COUNT))
    assert len(attempts) == 3
    assert [gap.reason for gap in heard.gaps] == ["not yet"]
    assert started <= heard.gaps[0].start <= attempts[0] <= heard.gaps[0].end


def test_a_refused_key_ends_the_stream_at_once_after_what_came_before(connect: MakeConnection) -> None:
    stop, connection = Event(), patient(connect)
    got: list[bytes] = []
    with vendor(Fault("bad_credentials", after=30, where="stream")) as running:
        events = listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S)
        with pytest.raises(AuthenticationError, match="refused the key"):
            got.extend(event.payload for event in events if isinstance(event, Received))
        assert len(running.server.requests) == 2, "it logged in again after it was refused"
    assert got == [str(number).encode() for number in range(30)]
    assert threads_of_ours() == []


def test_a_mistake_of_ours_is_raised_not_retried(connect: MakeConnection) -> None:
    connection = patient(connect)

    def opening() -> Session:
        raise KeyError("our own mistake")

    with pytest.raises(KeyError, match="our own mistake"):
        list(listen(opening, Event(), connection=connection, idle_timeout_s=IDLE_S))
    assert threads_of_ours() == []


def test_a_reader_that_leaves_ends_the_thread(connect: MakeConnection) -> None:
    connection = patient(connect)
    with vendor() as running:
        events = listen(over_socket(running, connection), Event(), connection=connection, idle_timeout_s=IDLE_S)
        next(events)
        assert threads_of_ours() == ["receive vendor"]
        events.close()  # type: ignore[attr-defined]
        assert threads_of_ours() == []


def test_stop_ends_also_a_stream_that_never_connects(connect: MakeConnection) -> None:
    connection = patient(connect, retry=RetryPolicy(base_s=30.0, cap_s=60.0))
    stop = Event()

    def opening() -> Session:
        stop.set()
        raise Disconnected("nobody there")

    started = time.monotonic()
    assert list(listen(opening, stop, connection=connection, idle_timeout_s=IDLE_S)) == []
    assert time.monotonic() - started < 2.0


def test_what_was_received_before_stop_is_still_given(connect: MakeConnection) -> None:
    stop, connection = Event(), patient(connect)
    with vendor(count=100, per_second=100_000) as running:
        events = listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=5.0)
        first = next(events)
        deadline = time.monotonic() + 5.0
        while not running.feed.finished and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        stop.set()
        rest = list(events)
    assert [event.payload for event in (first, *rest)] == [str(n).encode() for n in range(100)]  # type: ignore[union-attr]


def test_streams_are_encrypted_and_verified(connect: MakeConnection, authority: Authority) -> None:
    files = authority.issue()
    with vendor(tls=files) as running:
        with pytest.raises(Disconnected, match="CERTIFICATE_VERIFY_FAILED"):
            WebSocketSession(running.server.socket_url, connection=patient(connect))
        stop, connection = Event(), patient(connect, trust=authority.file)
        opening, client = over_lines(running, connection)
        heard = hear(listen(opening, stop, connection=connection, idle_timeout_s=IDLE_S), stop, last=20)
        assert heard.numbers[:21] == list(range(21))
        client.close()
    with vendor(Fault("tls_error", after=20, where="stream"), tls=files) as running:
        stop = Event()
        heard = hear(listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S), stop)
        assert_gaps_explain_losses(heard)
        assert running.faults.done


def test_no_key_in_the_logs_of_a_stream(connect: MakeConnection, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in ours nor in those of the WebSocket library, which writes whole frames."""
    caplog.set_level(logging.DEBUG)
    for name in [*logging.root.manager.loggerDict]:
        logging.getLogger(name).disabled = False
    stop, connection = Event(), patient(connect)
    with vendor(Fault("close_1006", after=30, where="stream")) as running:
        url = f"{running.server.socket_url}/path?apiKey={quote(MARKER)}"
        with contextlib.closing(WebSocketSession(url, connection=connection)) as session:
            session.send(MARKER)
        hear(listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=IDLE_S), stop)
    told = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert "the stream broke off: close 1006" in told
    assert "MARKER" not in told


def test_two_faces_of_a_large_frame(connect: MakeConnection) -> None:
    """16 MiB pass, a byte more closes the connection with 1009 instead of eating the memory."""
    sizes = iter([(16 << 20), (16 << 20) + 1])

    def talk(socket: Socket) -> None:
        socket.send("x" * next(sizes))
        socket.receive(5.0)

    with StandInServer(socket=talk) as server:
        connection = patient(connect)
        with contextlib.closing(WebSocketSession(server.socket_url, connection=connection)) as session:
            assert len(session.receive(10.0) or b"") == 16 << 20
        larger = contextlib.closing(WebSocketSession(server.socket_url, connection=connection))
        with larger as session, pytest.raises(Disconnected):
            session.receive(10.0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_handshake_refused_for_the_key_is_told(connect: MakeConnection, status: int) -> None:
    refusing = StandInServer(http=lambda _: Reply(status))
    with refusing as server, pytest.raises(AuthenticationError, match=f"status {status}"):
        WebSocketSession(server.http_url.replace("http", "ws"), connection=patient(connect))


def test_a_handshake_refused_for_anything_else_is_tried_again(connect: MakeConnection) -> None:
    with StandInServer(http=lambda _: Reply(503)) as server, pytest.raises(Disconnected, match="503"):
        WebSocketSession(server.http_url.replace("http", "ws"), connection=patient(connect))


def test_a_redirect_to_another_host_gets_no_key(connect: MakeConnection) -> None:
    heard: list[str | None] = []

    def listen_in(socket: Socket) -> None:
        heard.append(socket.receive(2.0))

    with StandInServer(socket=listen_in) as thief:
        moved = StandInServer(http=lambda _: Reply(302, headers={"Location": thief.socket_url}))
        with moved as server, pytest.raises(Disconnected, match="redirected to another host"):
            WebSocketSession(server.http_url.replace("http", "ws"), connection=patient(connect))
    assert heard in ([], [None])
