"""A Terminal in place of Bloomberg's, behind the stand-in SDK: a made-up market with subscriptions, ticks, bars, facts.

`project01 ingest bloomberg --simulate` uses it; tests add faults. The SDK has no sockets to break, so that faults of
streams come as the events in which Bloomberg tells of them:

| fault | what the session sees |
|---|---|
| close_1000, close_1001, close_1006 | SessionTerminated, ServiceDown, SessionConnectionDown |
| close_1008, close_1011, half_message | SubscriptionTerminated, DataLoss, SessionConnectionDown |
| refused, tls_error, drop_in_backoff | SessionTerminated, then sessions that do not start |
| drop_in_subscribe | SessionTerminated, then once more before the subscription is confirmed |
| bad_credentials | SessionTerminated, then a session that may not start |
| silence, pause | nothing more; nothing for a while |
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count as counter
from types import ModuleType
from typing import Any, ClassVar, Final, Self

from pydantic import SecretStr

from project01.domain import SystemClock
from project01.ingest.stand_ins import NO_FAULTS, Fault, FaultScript, bloomberg_sdk
from project01.ingest.stand_ins.bloomberg_answers import Answers
from project01.ingest.stand_ins.bloomberg_sdk import (
    TERMINALS,
    CorrelationId,
    Event,
    Message,
    Request,
    SessionOptions,
    SubscriptionList,
)
from project01.ingest.stand_ins.sdk_market import SdkMarket
from project01.ingest.stand_ins.tape import Print
from project01.ingest.vendor import VendorSpec
from project01.ingest.vendors.bloomberg import SPEC
from project01.ingest.vendors.sdk import SIMULATED_SYMBOLS

_HOST: Final = "stand-in"
_PORTS = counter(1)
_ENDS: dict[str, tuple[int, str]] = {
    "close_1001": (Event.SERVICE_STATUS, "ServiceDown"),
    "close_1006": (Event.SESSION_STATUS, "SessionConnectionDown"),
    "close_1008": (Event.SUBSCRIPTION_STATUS, "SubscriptionTerminated"),
    "close_1011": (Event.ADMIN, "DataLoss"),
    "half_message": (Event.SESSION_STATUS, "SessionConnectionDown"),
}
_TERMINATED = (Event.SESSION_STATUS, "SessionTerminated")
_UNENTITLED = "UNENTITLED"


class BloombergStandIn(SdkMarket):
    """The market and its Terminal, while the ``with`` block lasts; arguments as of `stand_in`."""

    spec: ClassVar[VendorSpec] = SPEC
    sdk: ClassVar[ModuleType] = bloomberg_sdk

    def __init__(
        self,
        symbols: Sequence[str],
        seed: int,
        faults: FaultScript,
        count: int,
        per_second: float,
        start: datetime,
        application: str,
    ) -> None:
        super().__init__(symbols, "bloomberg", seed, faults, count, per_second, start)
        self.application = application
        self._answers = Answers(self.tape, self.instruments, seed)
        self._address = (_HOST, next(_PORTS))

    def __enter__(self) -> Self:
        TERMINALS[self._address] = self
        self._stack.callback(TERMINALS.pop, self._address)
        return super().__enter__()

    def entrance(self) -> dict[str, Any]:
        """The application that is let in, and where the Terminal listens."""
        host, port = self._address
        return {"secrets": {"application": SecretStr(self.application)}, "stream_address": f"{host}:{port}"}

    # What the stand-in SDK calls.

    def start(self, options: SessionOptions) -> list[Event]:
        """Let a session in, or not."""
        refusal = self.refusal()
        if refusal == "bad_credentials" or options.auth.application != self.application:
            return [
                _status(Event.SESSION_STATUS, "SessionStartupFailure", _reason("NOT_AUTHORIZED", "no such application"))
            ]
        if refusal is not None:
            told = "refused" if refusal == "refused" else "connection lost in the handshake"
            return [_status(Event.SESSION_STATUS, "SessionStartupFailure", _reason("IO_ERROR", told))]
        return [_status(Event.SESSION_STATUS, kind) for kind in ("SessionConnectionUp", "SessionStarted")]

    def open_service(self, name: str) -> list[Event]:
        """Open one of the services there are."""
        if name in ("//blp/mktdata", "//blp/refdata"):
            return [_status(Event.SERVICE_STATUS, "ServiceOpened", {"serviceName": name})]
        content = {"serviceName": name} | _reason("UNKNOWN_SERVICE", "no such service")
        return [_status(Event.SERVICE_STATUS, "ServiceOpenFailure", content)]

    def subscribe(self, subscriptions: SubscriptionList) -> tuple[list[Event], "TickFeed"]:
        """Confirm or refuse each topic; what happens from now on follows."""
        drops = self.drops_now()
        topics = {
            self.instruments[security]: identity
            for topic, _, identity in subscriptions.entries
            if (security := topic.rpartition("/ticker/")[2]) in self.instruments
        }
        feed = TickFeed(self, topics)
        self.tape.begin()
        if drops:
            return [_status(*_TERMINATED)], feed
        answers = [self._answered(topic, identity) for topic, _, identity in subscriptions.entries]
        return [*answers, *feed.first_paint()], feed

    def answer(self, request: Request, correlation_id: CorrelationId) -> list[Event]:
        """Events of the answer to a request, with the fault that strikes."""
        return self._answers.answer(request, correlation_id, self.faults.next_for_request(request.operation))

    def strike(self, fault: Fault) -> Event | None:
        """Prepare what a fault does to later sessions; the event that ends this one, None if it falls silent."""
        self.prepare(fault)
        return None if fault.kind == "silence" else _status(*_ENDS.get(fault.kind, _TERMINATED))

    def _answered(self, topic: str, identity: CorrelationId) -> Event:
        security = topic.rpartition("/ticker/")[2]
        if security in self.instruments:
            return _status(Event.SUBSCRIPTION_STATUS, "SubscriptionStarted", {"exceptions": []}, identity)
        category = "NOT_AUTHORIZED" if _UNENTITLED in security else "BAD_SEC"
        return _status(
            Event.SUBSCRIPTION_STATUS, "SubscriptionFailure", _reason(category, f"security {security}"), identity
        )


class TickFeed:
    """What one subscribed session gets: each event with the fields that changed since the one before."""

    def __init__(self, terminal: BloombergStandIn, topics: dict[str, CorrelationId]) -> None:
        self._terminal, self._topics = terminal, topics
        happened = terminal.tape.until_now()
        self._number = terminal.tape.newest
        self._last = {symbol: _state(happened, symbol) for symbol in topics}
        self._silent, self._waiting = False, deque[Event]()

    def first_paint(self) -> list[Event]:
        """The present values of each topic, which are no events of the market."""
        kinds = {"MKTDATA_EVENT_TYPE": "SUMMARY", "MKTDATA_EVENT_SUBTYPE": "INITPAINT"}
        return [self._data(kinds | self._last[symbol], identity) for symbol, identity in self._topics.items()]

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event, None if there is none in time."""
        if self._waiting:
            return self._waiting.popleft()
        found = None if self._silent else self._terminal.tape.next_after(self._number, timeout_s)
        if found is None:
            if self._silent:
                time.sleep(timeout_s)
            return None
        if found.symbol not in self._topics:
            self._number = found.number
            return None
        fault = self._terminal.faults.next_for_frame()
        if fault is None or fault.kind in _CONTENT or fault.kind == "pause":
            return self._event(found, fault)
        self._silent = True
        return self._terminal.strike(fault)

    def _event(self, found: Print, fault: Fault | None) -> Event:
        self._number = found.number
        fields = self._changed(found)
        identity = self._topics[found.symbol]
        if fault is None:
            return self._data(fields, identity)
        if fault.kind == "pause":
            time.sleep(fault.seconds)
            return self._data(fields, identity)
        if fault.kind == "disorder":
            self._waiting.append(self._data(fields, identity))
            return _status(Event.ADMIN, "SlowConsumerWarning")
        if fault.kind == "duplicates":
            self._waiting.append(self._data(fields, identity))
        return self._data(_CONTENT[fault.kind](fields), identity)

    def _changed(self, found: Print) -> dict[str, Any]:
        """Fields of the event; prices and sizes that are as before are left out, as Bloomberg does."""
        names = _NAMES[found.kind]
        last = self._last[found.symbol]
        values = {names[0]: found.price, names[1]: found.size}
        changed = {name: value for name, value in values.items() if last.get(name) != value}
        last.update(values)
        kinds = ("TRADE", "NEW") if found.kind == "TRADE" else ("QUOTE", found.kind)
        fields = {"MKTDATA_EVENT_TYPE": kinds[0], "MKTDATA_EVENT_SUBTYPE": kinds[1], names[2]: found.when} | changed
        if found.kind == "TRADE":
            return fields | {"EVT_TRADE_IDENTIFIER_RT": str(found.number), "EXCH_CODE_LAST": "D"}
        # An unchanged quote is told by its price alone.
        return fields if changed else fields | {names[0]: found.price}

    @staticmethod
    def _data(fields: dict[str, Any], identity: CorrelationId) -> Event:
        return Event(Event.SUBSCRIPTION_DATA, [Message("MarketDataEvents", dict(fields), identity)])


_NAMES = {
    "TRADE": ("LAST_PRICE", "SIZE_LAST_TRADE", "TRADE_UPDATE_STAMP_RT"),
    "BID": ("BID", "BID_SIZE", "BID_UPDATE_STAMP_RT"),
    "ASK": ("ASK", "ASK_SIZE", "ASK_UPDATE_STAMP_RT"),
}
_PRICES = ("LAST_PRICE", "BID", "ASK")


def _repriced(value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {name: value if name in _PRICES else found for name, found in fields.items()}


# Faults of content in the stream: what becomes of the fields of an event.
_CONTENT: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "duplicates": dict,
    "disorder": dict,
    "new_field": lambda fields: fields | {"BRAND_NEW_FIELD": 1},
    "retyped_field": _repriced("a text"),
    "not_a_number": _repriced(float("nan")),
    "lone_surrogate": lambda fields: fields | {"EXCH_CODE_LAST": "\ud800"},
    "missing_field": lambda fields: {k: v for k, v in fields.items() if k != "MKTDATA_EVENT_TYPE"},
}


def _state(happened: Sequence[Print], symbol: str) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for found in happened:
        if found.symbol == symbol:
            state |= {_NAMES[found.kind][0]: found.price, _NAMES[found.kind][1]: found.size}
    return state


def _status(
    kind: int, name: str, content: dict[str, Any] | None = None, identity: CorrelationId | None = None
) -> Event:
    return Event(kind, [Message(name, content or {}, identity)])


def _reason(category: str, description: str) -> dict[str, Any]:
    return {"reason": {"source": "stand-in", "errorCode": 1, "category": category, "description": description}}


def stand_in(
    *,
    symbols: Sequence[str] = SIMULATED_SYMBOLS,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    speed: float = 20.0,
    count: int = 12_000,
    start: datetime | None = None,
    application: str = "simulated-application",
) -> BloombergStandIn:
    """A made-up market behind the stand-in SDK.

    Args:
        symbols: ours, whose prints take turns.
        seed: the same seed, the same prices and sizes.
        faults: what goes wrong.
        speed: prints a second, all symbols together.
        count: prints from the first subscription on.
        start: the present, at which the made-up clock stands until somebody subscribes; now where None.
        application: the name that is let in.
    """
    return BloombergStandIn(symbols, seed, faults, count, speed, start or SystemClock().now(), application)
