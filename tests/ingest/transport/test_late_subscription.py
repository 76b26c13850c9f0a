"""A server that answers before it has subscribed us: what happens between the two lies inside the gap."""

import time
from collections.abc import Iterator
from threading import Event

from tests.ingest.transport.conftest import MakeConnection
from tests.ingest.transport.test_listen import COUNT, patient

from project01.ingest.stand_ins import Fault, FaultScript, Feed, Reply, Request, StandInServer
from project01.ingest.transport import HttpClient, LineSession, NoKey, Reconnected, listen


def test_a_server_that_subscribes_after_its_headers_loses_nothing(connect: MakeConnection) -> None:
    """Between the 200 and the subscription events happen that no frame brings: they must lie inside the gap."""
    stop, connection = Event(), patient(connect)
    feed = Feed(list(range(COUNT)), 100.0)
    asked = []

    def lines(_: Request) -> Reply:
        def endless() -> Iterator[bytes]:
            if asked:
                time.sleep(0.3)
            asked.append(True)
            subscription = feed.subscribe()
            while True:
                event = subscription.next(0.05)
                yield b"" if event is None else str(event).encode()

        return Reply(lines=endless())

    known: set[int] = set()
    with StandInServer(http=lines, faults=FaultScript(Fault("close_1006", after=30, where="stream"))) as server:
        client = HttpClient(server.http_url, source="vendor", key=NoKey(), connection=connection)
        for event in listen(
            lambda: LineSession(client, "stream", idle_timeout_s=5.0), stop, connection=connection, idle_timeout_s=5.0
        ):
            if isinstance(event, Reconnected):
                known |= set(feed.published)
            elif event.payload:
                known.add(int(event.payload))
            if feed.finished and COUNT - 1 in known:
                stop.set()
        client.close()
        feed.close()
    assert known == set(range(COUNT))
