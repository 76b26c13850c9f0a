"""The smallest vendor that has everything: a JSON API with pages, a WebSocket with a login, gap filling.

It shows how the parts of the transport fit together, and lets the suite be tested without any real vendor.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Self

import msgspec
from pydantic import SecretStr
from tests.contracts.vendor_case import VendorCase

from project01.domain import TICKS, AuthenticationError, InputError, SystemClock, Trade, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, letter
from project01.ingest.stand_ins import FaultScript, Feed, Reply, Request, Socket, StandInServer, drift
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import (
    Disconnected,
    HeaderKey,
    HttpClient,
    QuotaLedger,
    Received,
    Session,
    WebSocketSession,
    listen,
)
from project01.ingest.vendor import Credential, Dataset, Decoded, Gap, Page, Query, VendorSpec

SPEC = VendorSpec(
    name="toy",
    title="Toy vendor",
    licence="own",
    datasets=(Dataset(name="prints", topic=TICKS, history=True, stream=True, summary="made-up trades"),),
    documentation="this file",
    module=__name__,
    credentials=(Credential(name="key", variables=("TOY_KEY",)),),
    address="https://toy.invalid",
    stream_address="wss://toy.invalid",
)
KEY = "toy-key/with+odd characters="
_START = 1_700_000_000_000_000
_PAGE = 40


class _Print(msgspec.Struct, frozen=True):
    id: int
    symbol: str
    price: float
    size: float
    at: int


class ToyClient:
    """Asks by id: a page is what follows the last id seen."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        key = HeaderKey("X-Key", connection.secrets["key"])
        self._http = HttpClient(connection.address, source="toy", key=key, connection=connection)

    def decode(self, _dataset: str, payload: bytes, received_at: int) -> Decoded:
        try:
            elements = msgspec.json.decode(payload, type=list[msgspec.Raw] | _Body)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return Decoded(letters=[self._letter(Reason.UNREADABLE, str(error), payload, received_at)])
        if isinstance(elements, _Body):
            elements = elements.prints
        records, letters = [], []
        for element in elements:
            try:
                records.append(self._record(bytes(element), received_at))
            except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError) as error:
                letters.append(self._letter(Reason.SCHEMA, str(error), bytes(element), received_at))
        return Decoded(records, letters, len(records))

    def _record(self, element: bytes, received_at: int) -> Trade:
        found = msgspec.json.decode(element, type=_Print)
        if not (0 < found.price < math.inf and 0 <= found.size < math.inf and 0 < found.at < 7e15):
            raise ValueError("price, size or time out of range")
        return Trade(
            source="toy", source_id=str(found.id), event_time=found.at, knowledge_time=found.at, symbol=found.symbol,
            received_at=received_at, licence=self._connection.licence, simulated=self._connection.simulated,
            price=found.price, size=found.size, raw=msgspec.Raw(element),
        )  # fmt: skip

    def _letter(self, reason: str, detail: str, payload: bytes, received_at: int) -> Any:
        return letter(
            source="toy", licence=self._connection.licence, simulated=self._connection.simulated, dataset="prints",
            intended_topic=TICKS, reason=reason, detail=detail, payload=payload, received_at=received_at,
        )  # fmt: skip

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        SPEC.dataset(query.dataset)
        if cursor is not None and not cursor.isdecimal():
            raise InputError(f"{cursor!r} is no cursor of toy. Leave it out to start anew.")
        last = int(cursor or -1)
        while True:
            answer = self._http.get("prints", {"after": last, "limit": _PAGE, **_span(query)})
            decoded = self.decode("prints", answer.body, self._connection.micros())
            if b'"prints"' not in answer.body:
                raise VendorError(f"toy: expected prints, found {answer.body[:80]!r}.")
            if not decoded.elements:
                return
            found = [int(record.source_id) for record in decoded.records]
            if found != sorted(set(found)) or (found and found[0] <= last):
                raise VendorError(f"toy: page after {last} starts with {found[:3]}: out of order, or seen before.")
            last = found[-1] if found else last + _PAGE
            yield Page(decoded=decoded, cursor=str(last))

    def stream(self, _query: Query, stop: Event) -> Iterator[Page]:
        for event in listen(self._open, stop, connection=self._connection, idle_timeout_s=30.0):
            if isinstance(event, Received):
                yield Page(decoded=self.decode("prints", event.payload, event.at))
                continue
            start, end = (datetime.fromtimestamp(at / 1e6, UTC) for at in (event.start, event.end))
            for page in self.history(Query(dataset="prints", parameters={"told_since": str(event.start - 100_000)})):
                yield Page(decoded=page.decoded)
            yield Page(decoded=Decoded(), gap=Gap(start, end, event.reason, filled=True))

    def _open(self) -> Session:
        session = WebSocketSession(self._connection.stream_address, connection=self._connection)
        try:
            session.send(json.dumps({"key": self._connection.secrets["key"].get_secret_value()}))
            if session.receive(10.0) != b'"welcome"':
                raise AuthenticationError("toy refused the key. Check TOY_KEY.")
            session.send(json.dumps({"subscribe": "prints"}))
            if session.receive(10.0) != b'"subscribed"':
                raise Disconnected("no answer to subscribe")
        except BaseException:
            session.close()
            raise
        return session

    def close(self) -> None:
        self._http.close()


class _Body(msgspec.Struct):
    prints: list[msgspec.Raw]


def _span(query: Query) -> dict[str, str]:
    ends = {"start": query.start, "end": query.end}
    span = {name: str(int(end.timestamp() * 1e6)) for name, end in ends.items() if end is not None}
    return span | dict(query.parameters)


def prints(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {"id": i, "symbol": "TOY", "price": 10 + i % 7, "size": 100.0, "at": _START + i * 1_000_000}
        for i in range(first, first + count)
    ]


class ToyStandIn:
    """100 prints of the past, and a feed of more, by default 120 in about a second."""

    def __init__(self, faults: FaultScript, *, count: int = 120, per_second: float = 120) -> None:
        self._past = prints(0, 100)
        self._feed: Feed[dict[str, Any]] = Feed(prints(1_000, count), per_second=per_second)
        self._server = StandInServer(http=self._answer, socket=self._talk, faults=faults)
        self._stack = contextlib.ExitStack()

    @property
    def sent(self) -> Sequence[str]:
        return [str(each["id"]) for each in self._feed.published]

    @property
    def finished(self) -> bool:
        return self._feed.finished

    def grow(self) -> None:
        self._past += prints(500, 5)

    def connection(self, folder: Path) -> Connection:
        clock = SystemClock()
        ledger = QuotaLedger(folder / "quota.sqlite", clock)
        self._stack.callback(ledger.close)
        return Connection(
            spec=SPEC, secrets={"key": SecretStr(KEY)}, address=self._server.http_url, clock=clock, quota=ledger,
            stream_address=self._server.socket_url, symbols=SymbolMap.default(), spill_folder=folder / "spill",
            simulated=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._stack.enter_context(self._server)
        self._stack.callback(self._feed.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("x-key") != KEY:
            return Reply(401, b'{"error": "unknown key ' + request.headers.get("x-key", "").encode() + b'"}')
        if request.fault == "error_body_200":
            return Reply(body=b'{"status": "error", "message": "out of order"}')
        after = int(request.first("after", "-1"))
        if request.fault == "looping_cursor":
            after = -1
        known = [each for each in (*self._past, *self._feed.published) if each["id"] > after]
        known = [each for each in known if each["at"] >= int(request.first("start", "0"))]
        page = known[: int(request.first("limit"))]
        if request.fault == "wrong_page_order":
            page = known[len(page) :][:_PAGE] + page
        body = json.dumps({"prints": page}).encode()
        return Reply(body=body if request.fault is None else drift(request.fault, body, "price"))

    def _talk(self, socket: Socket) -> None:
        while (login := socket.receive(1.0)) is None:
            pass
        if json.loads(login) != {"key": KEY} or socket.refuses_credentials:
            socket.reply('"go away"')
            return
        socket.reply('"welcome"')
        while socket.receive(1.0) is None:
            pass
        subscription = self._feed.subscribe()
        socket.acknowledge('"subscribed"')
        while True:
            event = subscription.next(0.1)
            if event is not None:
                socket.send(json.dumps([event]))
            else:
                socket.receive(0.001)


CASE = VendorCase(
    spec=SPEC,
    connect=ToyClient,
    stand_in=ToyStandIn,
    histories={"prints": Query(dataset="prints", symbols=("TOY",))},
    empty=Query(dataset="prints", start=datetime(2030, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 2, tzinfo=UTC)),
    streams={"prints": Query(dataset="prints", symbols=("TOY",))},
    samples={"prints": (json.dumps({"prints": prints(0, 5)}).encode(), json.dumps(prints(7, 3)).encode())},
    elements=lambda _, parsed: parsed["prints"] if isinstance(parsed, dict) else parsed,
    grow=ToyStandIn.grow,
)
