"""Stands in for LSEG's Python library `lseg.data`: its documented functions and classes, as far as we use them.

A session's application key leads to the `Platform` it is of; a key that leads nowhere is refused, as LSEG does. Tables
are pandas data frames, updates of streams come on the library's own threads, as from the real one.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Protocol

import pandas as pd

Callback = Callable[[dict[str, Any], str, "Stream"], None]


class OpenState(Enum):
    """Of sessions and streams."""

    Opened = "Opened"
    Pending = "Pending"
    Closed = "Closed"


class EventCode(Enum):
    """What sessions tell."""

    StreamConnecting = 1
    StreamConnected = 2
    StreamDisconnected = 3
    StreamAuthenticationSuccess = 4
    StreamAuthenticationFailed = 5
    StreamReconnecting = 6
    SessionConnecting = 21
    SessionConnected = 22
    SessionDisconnected = 23
    SessionAuthenticationSuccess = 24
    SessionAuthenticationFailed = 25
    SessionReconnecting = 26


class HeaderType(Enum):
    """How columns are named."""

    NAME = auto()
    TITLE = auto()
    NAME_AND_TITLE = auto()


class LDError(Exception):
    """Base of the library's errors."""

    def __init__(self, code: int | None = None, message: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"Error code {self.code} | {self.message}" if self.code else f"{self.message}"


Told = tuple[str, str, dict[str, Any]]


class Feed(Protocol):
    """What a stream gets from its platform: (refresh, update, status or event, instrument, content)."""

    def next_told(self, timeout_s: float) -> Told | None:
        """The next thing told, None if there is none in time."""
        ...


class Platform(Protocol):
    """The other end: what stands in for LSEG."""

    def start(self) -> list[EventCode]:
        """Events of opening a session; the last says whether it went well."""
        ...

    def subscribe(self, rics: Sequence[str]) -> Feed:
        """What a stream gets."""
        ...

    def history(self, ric: str, interval: str, start: str, end: str, count: int) -> pd.DataFrame:
        """The answer to `get_history`."""
        ...

    def data(self, ric: str, fields: Sequence[str], parameters: dict[str, str]) -> pd.DataFrame:
        """The answer to `get_data`."""
        ...

    def headlines(self, query: str, count: int, start: str, end: str) -> pd.DataFrame:
        """The answer to `news.get_headlines`."""
        ...


PLATFORMS: dict[str, Platform] = {}
_DEFAULT: list["Session"] = []
_STEP_S = 0.02


class Session:
    """A session; of the desktop or of the platform, which differ in their credentials only."""

    def __init__(self, app_key: str) -> None:
        self._app_key = app_key
        self._on_event: Callable[[EventCode, object, Session], None] | None = None
        self.open_state = OpenState.Closed
        self.platform: Platform | None = None

    def on_event(self, callback: Callable[[EventCode, object, "Session"], None]) -> None:
        """Who is told of events."""
        self._on_event = callback

    def open(self) -> OpenState:
        """Connect and log in."""
        platform = PLATFORMS.get(self._app_key)
        events = [EventCode.SessionAuthenticationFailed] if platform is None else platform.start()
        for code in events:
            self.tell(code)
        if events[-1] is EventCode.SessionConnected:
            self.platform, self.open_state = platform, OpenState.Opened
        return self.open_state

    def close(self) -> OpenState:
        """Disconnect."""
        self.platform, self.open_state = None, OpenState.Closed
        return self.open_state

    def tell(self, code: EventCode) -> None:
        """Tell of an event."""
        if self._on_event is not None:
            self._on_event(code, "", self)


class _GrantPassword:
    def __init__(self, username: str, password: str) -> None:
        self.username, self.password = username, password


class _DesktopDefinition:
    def __init__(self, app_key: str) -> None:
        self._app_key = app_key

    def get_session(self) -> Session:
        return Session(self._app_key)


class _PlatformDefinition:
    def __init__(self, app_key: str, grant: _GrantPassword, signon_control: bool = False) -> None:
        self._app_key, self._grant, self._signon_control = app_key, grant, signon_control

    def get_session(self) -> Session:
        return Session(self._app_key)


class Stream:
    """A pricing stream: calls back on a thread of its own until it is closed."""

    def __init__(self, opened: Session, universe: Sequence[str]) -> None:
        self._session, self._universe = opened, tuple(universe)
        self._callbacks: dict[str, Callback] = {}
        self._closing, self._thread = Event(), None
        self._pump: Thread | None = None

    def on_refresh(self, func: Callback) -> "Stream":
        """Who gets all fields of an instrument."""
        self._callbacks["refresh"] = func
        return self

    def on_update(self, func: Callback) -> "Stream":
        """Who gets the fields that changed."""
        self._callbacks["update"] = func
        return self

    def on_status(self, func: Callback) -> "Stream":
        """Who gets states of an instrument's stream."""
        self._callbacks["status"] = func
        return self

    def open(self, with_updates: bool = True) -> OpenState:
        """Subscribe."""
        if self._session.platform is None:
            raise LDError(message="Session is not opened. Can't send any request")
        feed = self._session.platform.subscribe(self._universe)
        if with_updates:
            self._pump = Thread(target=self._run, args=(feed,), name="lseg stream", daemon=True)
            self._pump.start()
        return OpenState.Opened

    def close(self) -> OpenState:
        """Stop."""
        self._closing.set()
        if self._pump is not None:
            self._pump.join()
        return OpenState.Closed

    def _run(self, feed: Feed) -> None:
        while not self._closing.is_set():
            told = feed.next_told(_STEP_S)
            if told is None:
                continue
            kind, ric, content = told
            if kind == "event":
                self._session.tell(content["code"])
            elif kind in self._callbacks:
                self._callbacks[kind](content, ric, self)


class _PricingDefinition:
    def __init__(self, universe: Sequence[str], fields: Sequence[str] | None = None) -> None:
        self._universe, self._fields = universe, fields

    def get_stream(self, session: Session | None = None) -> Stream:
        return Stream(session or _default(), self._universe)


def _default() -> Session:
    if not _DEFAULT:
        raise AttributeError("No default session created yet.")
    return _DEFAULT[-1]


def _set_default(found: Session) -> None:
    _DEFAULT[:] = [found]


def _asked() -> Platform:
    platform = _default().platform
    if platform is None:
        raise ValueError("Session is not opened. Can't send any request")
    return platform


def get_history(
    universe: str,
    *,
    interval: str,
    start: str,
    end: str,
    count: int = 20,
    adjustments: str | None = None,
) -> pd.DataFrame:
    """Bars or ticks of one instrument."""
    if adjustments != "unadjusted":
        raise LDError(400, "the stand-in has prices as printed only")
    return _asked().history(universe, interval, start, end, count)


def get_data(
    universe: str,
    fields: Sequence[str],
    parameters: dict[str, str] | None = None,
    header_type: HeaderType = HeaderType.TITLE,
) -> pd.DataFrame:
    """Numbers of one instrument."""
    if header_type is not HeaderType.NAME:
        raise LDError(400, "the stand-in names columns by field only")
    return _asked().data(universe, fields, parameters or {})


def _get_headlines(query: str, count: int = 10, start: str = "", end: str = "") -> pd.DataFrame:
    return _asked().headlines(query, count, start, end)


session = SimpleNamespace(
    desktop=SimpleNamespace(Definition=_DesktopDefinition),
    platform=SimpleNamespace(Definition=_PlatformDefinition, GrantPassword=_GrantPassword),
    set_default=_set_default,
    get_default=_default,
    EventCode=EventCode,
)
content = SimpleNamespace(pricing=SimpleNamespace(Definition=_PricingDefinition))
news = SimpleNamespace(get_headlines=_get_headlines)
errors = SimpleNamespace(LDError=LDError)
