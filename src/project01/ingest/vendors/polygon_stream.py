"""Polygon's stream: log in, subscribe, wait for every acknowledgement; after a gap fetch what was missed."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from project01.domain import AuthenticationError, InputError, SourceError
from project01.ingest.decoding import micros_of
from project01.ingest.transport import Disconnected, Received, Reconnected, Session, WebSocketSession, listen
from project01.ingest.vendor import Decoded, Gap, Page, Query
from project01.ingest.vendors.polygon_decode import STREAMED, PolygonDecoder
from project01.ingest.vendors.polygon_formats import Event, StatusEvent
from project01.ingest.vendors.polygon_history import PolygonHistory, theirs
from project01.ingest.vendors.polygon_spans import Span

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_CHANNELS = {"trades": "T", "quotes": "Q"}
_BAR_CHANNELS = {"1s": "A", "1m": "AM"}
_ANSWER_S = 10.0
_IDLE_S = 60.0
# Events of several tickers are not in strict order, and a bar comes a moment after its end.
_MARGIN_US = 5_000_000
_EVENTS = msgspec.json.Decoder(list[Event])


class PolygonSession:
    """One WebSocket, logged in and subscribed.

    Args:
        connection: with the key and the address of the stream.
        channels: such as ``A.AAPL``.
    Raises:
        AuthenticationError: the key is wrong, or the plan does not include what was asked.
        Disconnected: no connection, or no acknowledgement in time.

    Attributes:
        confirmed: see `Session`; opening waits for the vendor's answer to the subscription.
    """

    confirmed = True

    def __init__(self, connection: "Connection", channels: frozenset[str]) -> None:
        self._early: deque[bytes] = deque()
        self._socket = WebSocketSession(connection.stream_address, connection=connection)
        try:
            key = connection.secrets["key"].get_secret_value()
            self._socket.send(json.dumps({"action": "auth", "params": key}))
            self._await("auth_success", None)
            self._socket.send(json.dumps({"action": "subscribe", "params": ",".join(sorted(channels))}))
            self._await("success", set(channels))
        except BaseException:
            self._socket.close()
            raise

    def receive(self, timeout_s: float) -> bytes | None:
        """One frame; None: nothing came in time.

        Raises:
            Disconnected: the connection is gone.
        """
        return self._early.popleft() if self._early else self._socket.receive(timeout_s)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _await(self, status: str, channels: set[str] | None) -> None:
        """Read until `status` came, for each of the channels; data that comes meanwhile is kept."""
        deadline = time.monotonic() + _ANSWER_S
        while (left_s := deadline - time.monotonic()) > 0:
            frame = self._socket.receive(left_s)
            if frame is None:
                break
            for event in self._statuses(frame):
                _refuse(event)
                if event.status == status:
                    if channels is not None:
                        channels.discard(event.message.rpartition(" ")[2])
                    if not channels:
                        return
        raise Disconnected(f"no {status} within {_ANSWER_S:.0f} s")

    def _statuses(self, frame: bytes) -> list[StatusEvent]:
        """The frame's statuses; a frame that holds anything else as well is kept for the reader."""
        try:
            events = _EVENTS.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            events = []
        statuses = [event for event in events if isinstance(event, StatusEvent)]
        if not events or len(statuses) < len(events):
            self._early.append(frame)
        return statuses


def _refuse(event: StatusEvent) -> None:
    if event.status in {"auth_failed", "not_authorized"} or "not authorized" in event.message.lower():
        raise AuthenticationError(
            f"Polygon refuses the stream: {event.message[:200]!r} ({event.status[:40]}). Check the key, and that the "
            f"plan includes this feed."
        )
    if event.status in {"max_connections", "auth_timeout", "error"}:
        raise Disconnected(f"{event.status}: {event.message[:200]}")


class PolygonStream:
    """Live pages, with what was missed fetched from history."""

    def __init__(self, decoder: PolygonDecoder, history: PolygonHistory, connection: "Connection") -> None:
        self._decoder, self._history, self._connection = decoder, history, connection
        self._newest: int | None = None

    def pages(self, query: Query, stop: threading.Event) -> Iterator[Page]:
        """Pages until `stop` is set.

        Of the query's parameters `span` counts: 1s or 1m, for bars. From its `start` a gap before the first event is
        filled, for feeds that run behind our clock.

        Raises:
            AuthenticationError: the vendor refused the key, or the plan does not include the feed.
            InputError: the dataset or the span has no stream.
        """
        channels = _channels(query, theirs(self._connection, query) or ["*"])

        def open_session() -> Session:
            return PolygonSession(self._connection, channels)

        for item in listen(open_session, stop, connection=self._connection, idle_timeout_s=_IDLE_S):
            if isinstance(item, Received):
                decoded = self._decoder.frame(query.dataset, item.payload, item.at)
                if decoded.records:
                    newest = decoded.records[-1].knowledge_time
                    self._newest = newest if self._newest is None else max(self._newest, newest)
                yield Page(decoded=decoded)
            else:
                yield from self._filled(query, item)

    def _filled(self, query: Query, gap: Reconnected) -> Iterator[Page]:
        """What history has since the newest event received, then the gap itself.

        From the newest event, not from the moment of the disconnect: delayed feeds run behind our clock.
        """
        start = gap.start
        if self._newest is not None:
            start = min(self._newest, start)
        elif query.start is not None:
            start = min(micros_of(query.start), start)
        symbols = query.symbols or tuple(sorted(self._decoder.symbols_met))
        missed = Query(
            dataset=query.dataset,
            symbols=symbols,
            start=_instant(start - _margin(query)),
            parameters={name: value for name, value in query.parameters.items() if name == "span"},
        )
        reason, filled = gap.reason, bool(query.symbols)
        if not query.symbols:
            reason += f"; filled for the {len(symbols)} symbols seen before it, others may have been missed"
        if symbols:
            try:
                for page in self._history.pages(missed, None):
                    yield Page(decoded=page.decoded)
            except SourceError as error:
                reason, filled = f"{gap.reason}; not filled: {error}", False
        yield Page(decoded=Decoded(), gap=Gap(_instant(gap.start), _instant(gap.end), reason, filled))


def _channels(query: Query, tickers: list[str]) -> frozenset[str]:
    if query.dataset not in STREAMED:
        raise InputError(f"Polygon has no stream of {query.dataset}; choose one of {', '.join(sorted(STREAMED))}.")
    prefix = _CHANNELS.get(query.dataset) or _BAR_CHANNELS.get(query.parameters.get("span", "1s"))
    if prefix is None:
        raise InputError(
            f"Polygon streams bars of {' and '.join(_BAR_CHANNELS)}; {query.parameters['span']!r} asked for."
        )
    return frozenset(f"{prefix}.{ticker}" for ticker in tickers)


def _margin(query: Query) -> int:
    if query.dataset != "aggregates":
        return _MARGIN_US
    return _MARGIN_US + 2000 * Span.of(query.parameters.get("span", "1s")).milliseconds


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
