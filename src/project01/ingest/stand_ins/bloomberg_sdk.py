"""Stands in for Bloomberg's Python SDK: its documented classes and methods, as far as a consumer of data uses them.

Names, arguments and behaviour follow the SDK's public reference; sessions talk to the `Terminal` that listens at the
host and port of their options, and to nobody if there is none.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from project01.ingest.stand_ins.bloomberg_elements import (
    CorrelationId,
    DataType,
    DuplicateCorrelationIdException,
    Element,
    Event,
    Exception,  # noqa: A004 - the SDK's own name
    IndexOutOfRangeException,
    InvalidStateException,
    Message,
    Name,
    NotFoundException,
    UnsupportedOperationException,
)

# Names of classes, methods and arguments in this file are the SDK's.
# ruff: noqa: N802, N803

__all__ = [
    "AuthOptions",
    "CorrelationId",
    "DataType",
    "DuplicateCorrelationIdException",
    "Element",
    "Event",
    "Exception",
    "IndexOutOfRangeException",
    "InvalidStateException",
    "Message",
    "Name",
    "NotFoundException",
    "Request",
    "Service",
    "Session",
    "SessionOptions",
    "SubscriptionList",
    "UnsupportedOperationException",
]


class AuthOptions:
    """Who the application is."""

    def __init__(self, application: str = "") -> None:
        self.application = application

    @classmethod
    def createWithApp(cls, appName: str) -> "AuthOptions":
        """By the name Bloomberg knows it by."""
        return cls(appName)


@dataclass
class SessionOptions:
    """Where to connect to."""

    host: str = "127.0.0.1"
    port: int = 8194
    auth: AuthOptions = field(default_factory=AuthOptions, repr=False)

    def setServerHost(self, serverHost: str) -> None:
        """Name or address of the machine."""
        self.host = serverHost

    def setServerPort(self, serverPort: int) -> None:
        """Its port."""
        self.port = serverPort

    def setSessionIdentityOptions(self, authOptions: AuthOptions) -> None:
        """Who asks."""
        self.auth = authOptions


class SubscriptionList:
    """What to subscribe to."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, list[str], CorrelationId]] = []

    def add(
        self,
        topic: str,
        fields: str | Sequence[str] | None = None,
        options: str | None = None,
        correlationId: CorrelationId | None = None,
    ) -> None:
        """One more topic with its fields."""
        names = fields.split(",") if isinstance(fields, str) else list(fields or ())
        full = topic if options is None else f"{topic}?{options}"
        self.entries.append((full, names, correlationId or CorrelationId()))


class Request:
    """Parameters of one request."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.values: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        """Set a value."""
        self.values[name] = value

    def append(self, name: str, value: Any) -> None:
        """Add a value to an array."""
        self.values.setdefault(name, []).append(value)


class Service:
    """An open service."""

    def __init__(self, name: str) -> None:
        self._name = name

    def createRequest(self, operation: str) -> Request:
        """An empty request."""
        return Request(operation)


class Feed(Protocol):
    """What a subscribed session gets its events from."""

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event, None if there is none in time."""
        ...


class Terminal(Protocol):
    """The other end: what stands in for Bloomberg."""

    def start(self, options: SessionOptions) -> list[Event]:
        """Events of starting; the last says whether it went well."""
        ...

    def open_service(self, name: str) -> list[Event]:
        """Events of opening a service; the last says whether it went well."""
        ...

    def subscribe(self, subscriptions: SubscriptionList) -> tuple[list[Event], Feed]:
        """Answers to a subscription, and what follows."""
        ...

    def answer(self, request: Request, correlation_id: CorrelationId) -> list[Event]:
        """Events of the answer to a request."""
        ...


TERMINALS: dict[tuple[str, int], Terminal] = {}
_LONGEST_WAIT_S = 0.05


class Session:
    """A synchronous session."""

    def __init__(self, options: SessionOptions | None = None) -> None:
        self._options = options or SessionOptions()
        self._events: deque[Event] = deque()
        self._feed: Feed | None = None
        self._terminal: Terminal | None = None
        self._services: set[str] = set()
        self._ids: set[CorrelationId] = set()

    def start(self) -> bool:
        """Connect; False if that failed, and events say why."""
        self._terminal = TERMINALS.get((self._options.host, self._options.port))
        events = [] if self._terminal is None else self._terminal.start(self._options)
        self._events.extend(events)
        return _last(events) == "SessionStarted"

    def stop(self) -> bool:
        """Disconnect."""
        self._terminal, self._feed = None, None
        return True

    def openService(self, serviceName: str) -> bool:
        """Open a service; False if that failed, and events say why."""
        events = self._connected().open_service(serviceName)
        self._events.extend(events)
        if _last(events) != "ServiceOpened":
            return False
        self._services.add(serviceName)
        return True

    def getService(self, serviceName: str) -> Service:
        """An open service.

        Raises:
            NotFoundException: it is not open.
        """
        if serviceName not in self._services:
            raise NotFoundException(f"service {serviceName} is not open")
        return Service(serviceName)

    def subscribe(self, subscriptionList: SubscriptionList) -> None:
        """Ask for data; answers and data come as events."""
        events, self._feed = self._connected().subscribe(subscriptionList)
        self._events.extend(events)

    def sendRequest(self, request: Request, correlationId: CorrelationId | None = None) -> CorrelationId:
        """Ask once; the answer comes as events.

        Raises:
            DuplicateCorrelationIdException: the id was used before.
        """
        found = correlationId or CorrelationId()
        if found in self._ids:
            raise DuplicateCorrelationIdException(f"{found.value()} is in use")
        self._ids.add(found)
        self._events.extend(self._connected().answer(request, found))
        return found

    def nextEvent(self, timeout: int = 0) -> Event:
        """The next event; one of type TIMEOUT if none came within `timeout` milliseconds (0: no limit)."""
        deadline = time.monotonic() + timeout / 1000 if timeout else float("inf")
        while True:
            if self._events:
                return self._events.popleft()
            left_s = min(deadline - time.monotonic(), _LONGEST_WAIT_S)
            if left_s <= 0:
                return Event(Event.TIMEOUT)
            if self._feed is None:
                time.sleep(left_s)
            elif (event := self._feed.next_event(left_s)) is not None:
                return event

    def tryNextEvent(self) -> Event | None:
        """The next event if there is one."""
        return self._events.popleft() if self._events else None

    def _connected(self) -> Terminal:
        if self._terminal is None:
            raise InvalidStateException("the session is not started")
        return self._terminal


def _last(events: Sequence[Event]) -> str:
    messages = [message for event in events for message in event]
    return str(messages[-1].messageType()) if messages else ""
