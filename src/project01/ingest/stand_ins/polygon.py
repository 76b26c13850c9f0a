"""A local server in place of Polygon: its WebSocket and its HTTP API, which know the same events.

`project01 ingest polygon --simulate` starts it; tests add faults. The market begins to trade with the first
subscription and runs `speed` times as fast as our clock, which it never overtakes unless it is told when to begin.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from project01.domain import InputError, SystemClock
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import NO_FAULTS, FaultScript, Feed, Socket, StandInServer, TlsFiles
from project01.ingest.stand_ins.polygon_market import (
    SECOND_MS,
    Event,
    Frame,
    frames_of,
    simulated_frames,
    source_id,
    time_of,
)
from project01.ingest.stand_ins.polygon_reference import ReferenceData
from project01.ingest.stand_ins.polygon_rest import PolygonApi
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendors.polygon import SPEC
from project01.ingest.vendors.polygon_spans import NEW_YORK

KEY = "simulated-polygon-key"
_PAST_S = 240  # of history before the first subscription
_GROWN_S = 30  # that one `grow` adds to it
_LATER_S = 10 * _GROWN_S


@dataclass(frozen=True)
class Tape:
    """What the server plays.

    Attributes:
        symbols: the shares in it.
        begins: when it starts to play.
        past: frames that history has from the start.
        live: frames of the stream.
        later: frames that `grow` moves into history, older than `live`.
    """

    symbols: Sequence[str]
    begins: datetime
    past: list[Frame]
    live: Sequence[Frame]
    later: list[Frame]


def stand_in(
    *,
    symbols: Sequence[str] = ("SIMA", "SIMB", "SIMC"),
    seed: int = 7,
    seconds: int = 3600,
    start: datetime | None = None,
    events: Iterable[Event] | None = None,
    speed: float = 1.0,
    faults: FaultScript = NO_FAULTS,
    tls: TlsFiles | None = None,
) -> "PolygonStandIn":
    """A server that plays a simulated market, or recorded events.

    Args:
        symbols: the shares of a simulated market.
        seed: the same seed, the same market.
        seconds: how long a simulated market goes on.
        start: when a simulated market begins; where None, now, or so long ago that it ends now at this speed.
        events: recorded events in the form of the socket, in order of time, in place of a simulated market.
        speed: simulated seconds in one of ours.
        faults: what goes wrong.
        tls: certificate, to serve https and wss.
    """
    if events is None:
        ahead_s = max(seconds - seconds / speed, 0.0)
        begins = start if start is not None else SystemClock().now() - timedelta(seconds=ahead_s)
        tape = _simulated(symbols, seed, begins.replace(microsecond=0), seconds)
    else:
        tape = _recorded(events)
    return PolygonStandIn(tape, speed=speed, faults=faults, tls=tls)


class PolygonStandIn:
    """The server, while the ``with`` block lasts; made by `stand_in`."""

    def __init__(self, tape: Tape, *, speed: float, faults: FaultScript, tls: TlsFiles | None) -> None:
        self._past, self._later = tape.past, tape.later
        self._feed = Feed(tape.live, speed)
        self._channels: set[str] = set()
        self._tls = tls
        self._reference = ReferenceData(tape.symbols, tape.begins.date())
        self._api = PolygonApi(KEY, self._published, self._reference)
        self.server = StandInServer(http=self._api.answer, socket=self._serve, faults=faults, tls=tls)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self._feed.close)
        self._stack.enter_context(self.server)
        self._api.address = self.server.http_url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def connection(self, folder: Path, **changes: Any) -> Connection:
        """A connection to this server with its key, and no limits.

        Args:
            folder: for the quota ledger and spilled frames.
            changes: fields of `Connection` to be other.
        """
        clock = SystemClock()
        quota = QuotaLedger(folder / "quota.sqlite", clock)
        self._stack.callback(quota.close)
        fields: dict[str, Any] = {
            "spec": SPEC,
            "secrets": {"key": SecretStr(KEY)},
            "address": self.server.http_url,
            "stream_address": self.server.socket_url,
            "clock": clock,
            "quota": quota,
            "symbols": SymbolMap.default(),
            "spill_folder": folder / "spill",
            "simulated": True,
            "trust": None if self._tls is None else self._tls.certificate,
        }
        return Connection(**(fields | changes))

    @property
    def sent(self) -> frozenset[str]:
        """Ids of the events put out up to now on channels that anybody has subscribed, whether or not he listened."""
        return frozenset(
            source_id(event, _day_of(event)) for frame in self._feed.published for event in self._wanted(frame)
        )

    @property
    def finished(self) -> bool:
        """Whether the market has come to its end."""
        return self._feed.finished

    def grow(self) -> None:
        """History gains half a minute of ticks, and a row of everything else."""
        self._past += self._later[:_GROWN_S]
        del self._later[:_GROWN_S]
        self._reference.grow()

    def _published(self) -> list[Event]:
        return [event for frames in (self._past, self._feed.published) for frame in frames for event in frame]

    def _wanted(self, frame: Frame) -> list[Event]:
        return [
            event
            for event in frame
            if not self._channels.isdisjoint({f"{event['ev']}.{event['sym']}", f"{event['ev']}.*"})
        ]

    def _serve(self, socket: Socket) -> None:
        socket.reply(_status("connected", "Connected Successfully"))
        login = json.loads(socket.receive(10.0) or "{}")
        if login.get("action") != "auth" or login.get("params") != KEY or socket.refuses_credentials:
            socket.reply(_status("auth_failed", "authentication failed"))
            socket.close(1008)
        socket.reply(_status("auth_success", "authenticated"))
        asked = json.loads(socket.receive(10.0) or "{}")
        channels = asked.get("params", "").split(",") if asked.get("action") == "subscribe" else []
        self._channels.update(channels)
        subscription = self._feed.subscribe()
        socket.acknowledge(_status("success", *(f"subscribed to: {channel}" for channel in channels)))
        while not self.server.stopping.is_set():
            frame = subscription.next(0.05)
            wanted = [] if frame is None else [event for event in self._wanted(frame) if _is_in(event, channels)]
            if wanted:
                # The number of trades is told by the API only.
                socket.send(json.dumps([{k: v for k, v in event.items() if k != "n"} for event in wanted]))
            elif frame is None:
                socket.receive(0.0)  # notices that the client has gone


def _is_in(event: Event, channels: Collection[str]) -> bool:
    return f"{event['ev']}.{event['sym']}" in channels or f"{event['ev']}.*" in channels


def _status(status: str, *messages: str) -> str:
    return json.dumps([{"ev": "status", "status": status, "message": message} for message in messages])


def _day_of(event: Event) -> str:
    return datetime.fromtimestamp(time_of(event) / 1000, NEW_YORK).date().isoformat()


def _simulated(symbols: Sequence[str], seed: int, begins: datetime, seconds: int) -> Tape:
    before_s = _PAST_S + _LATER_S
    start_ms = (int(begins.timestamp()) - before_s) * SECOND_MS
    frames = simulated_frames(symbols, seed=seed, start_ms=start_ms, seconds=before_s + seconds)
    return Tape(symbols, begins, frames[:_PAST_S], frames[before_s:], frames[_PAST_S:before_s])


def _recorded(events: Iterable[Event]) -> Tape:
    live = frames_of(events)
    symbols = sorted({event["sym"] for frame in live for event in frame})
    if not symbols:
        raise InputError("There are no recorded events to play. Give at least one, in the form of the vendor's socket.")
    begins = datetime.fromtimestamp((time_of(live[0][0]) - 1) // SECOND_MS, UTC)
    return Tape(symbols, begins, [], live, [])
