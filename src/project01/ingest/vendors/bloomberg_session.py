"""Where Bloomberg's SDK ends: sessions, subscriptions and requests, with messages turned into our JSON view of them."""

import json
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

from project01.domain import AuthenticationError, QuotaError, UnreachableError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import Backoff, Disconnected

_LOG = logging.getLogger(__name__)
MARKET_DATA, REFERENCE_DATA = "//blp/mktdata", "//blp/refdata"
FIELDS = (
    "LAST_PRICE", "SIZE_LAST_TRADE", "TRADE_UPDATE_STAMP_RT", "EVT_TRADE_IDENTIFIER_RT", "EVT_TRADE_CONDITION_CODE_RT",
    "EXCH_CODE_LAST", "BID", "BID_SIZE", "BID_UPDATE_STAMP_RT", "ASK", "ASK_SIZE", "ASK_UPDATE_STAMP_RT",
)  # fmt: skip
# Fields that mean something only together; the one that did not change is taken from before.
_PAIRS = (("LAST_PRICE", "SIZE_LAST_TRADE"), ("BID", "BID_SIZE"), ("ASK", "ASK_SIZE"))
_NOT_ALLOWED = frozenset(("NO_AUTH", "NOT_AUTHORIZED", "NOT_ENTITLED", "AUTHORIZATION_FAILURE"))
_ENDS = frozenset(("SessionTerminated", "SessionConnectionDown", "ServiceDown", "SubscriptionTerminated", "DataLoss"))
_SUBSCRIBE_S, _REQUEST_S = 10.0, 60.0
_MOST_REMEMBERED = 4096
_EVENT_TYPES = (
    "SESSION_STATUS", "SERVICE_STATUS", "SUBSCRIPTION_STATUS", "SUBSCRIPTION_DATA", "PARTIAL_RESPONSE", "RESPONSE",
    "REQUEST_STATUS", "TIMEOUT", "AUTHORIZATION_STATUS", "TOKEN_STATUS", "ADMIN",
)  # fmt: skip


class Elements:
    """Turns the SDK's events and elements into plain values."""

    def __init__(self, sdk: ModuleType) -> None:
        self._sdk = sdk
        self._names = {getattr(sdk.Event, name): name for name in _EVENT_TYPES}

    def type_of(self, event: Any) -> str:
        """Name of an event's type."""
        return self._names.get(event.eventType(), "UNKNOWN")

    def view(self, kind: str, message: Any) -> dict[str, Any]:
        """A message as our view: its elements by name, below the types of event and message."""
        content = self._plain(message.asElement())
        view: dict[str, Any] = {"eventType": kind, "messageType": str(message.messageType())}
        if kind == "SUBSCRIPTION_DATA":
            return view | {"fields": content}
        return view | (content if isinstance(content, dict) else {})

    def _plain(self, element: Any) -> Any:
        if element.isArray():
            return [self._value(value) for value in element.values()]
        if element.datatype() == self._sdk.DataType.CHOICE:
            chosen = element.getChoice()
            return {str(chosen.name()): self._plain(chosen)}
        if element.isComplexType():
            return {str(inner.name()): self._plain(inner) for inner in element.elements()}
        return None if element.isNull() else self._value(element.getValue())

    def _value(self, value: Any) -> Any:
        if isinstance(value, self._sdk.Element):
            return self._plain(value)
        if isinstance(value, datetime):
            # Bloomberg's times are UTC where they carry no zone.
            stamp = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return stamp.isoformat()
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, float) and not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        if value is None or isinstance(value, bool | int | float):
            return value
        # JSON has no half surrogate pairs; they are shown as what they are.
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


class Occurrences:
    """Counts prints that say exactly the same, so that two equal prints without an id stay two."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[object, ...], int] = OrderedDict()

    def nth(self, *said: object) -> int:
        """0 for the first print that says this, 1 for the second."""
        count = self._counts.pop(said, -1) + 1
        self._counts[said] = count
        if len(self._counts) > _MOST_REMEMBERED:
            self._counts.popitem(last=False)
        return count


def encoded(view: dict[str, Any]) -> bytes:
    """The view as JSON in UTF-8."""
    return json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def open_session(connection: Connection, sdk: ModuleType, service: str) -> Any:
    """A started session with the service open.

    Raises:
        AuthenticationError: Bloomberg does not let us in.
        Disconnected: nobody answers, or the service is not to be had now.
    """
    host, _, port = connection.stream_address.rpartition(":")
    options = sdk.SessionOptions()
    options.setServerHost(host)
    options.setServerPort(int(port))
    application = connection.secrets.get("application")
    if application is not None:
        options.setSessionIdentityOptions(sdk.AuthOptions.createWithApp(application.get_secret_value()))
    session = sdk.Session(options)
    try:
        if not session.start():
            raise _refusal(sdk, session, f"no session with {connection.stream_address}")
        if not session.openService(service):
            raise _refusal(sdk, session, f"service {service} is not open")
    except BaseException as error:
        session.stop()
        raise _told(sdk, error) from None
    return session


def _told(sdk: ModuleType, error: BaseException) -> BaseException:
    """An error of the SDK, e.g. a session that ended meanwhile, as the end of the connection."""
    return Disconnected(f"{type(error).__name__}: {error}") if isinstance(error, sdk.Exception) else error


def _refusal(sdk: ModuleType, session: Any, found: str) -> Exception:
    """What the queue of a session that could not be started says about it."""
    elements, told = Elements(sdk), ""
    while (event := session.tryNextEvent()) is not None:
        for message in event:
            view = elements.view(elements.type_of(event), message)
            reason = view.get("reason")
            if isinstance(reason, dict):
                told = f" ({reason.get('category')}: {reason.get('description')})"
                if reason.get("category") in _NOT_ALLOWED:
                    return AuthenticationError(
                        f"Bloomberg refused: {found}{told}. Log in to the Terminal on that machine, or check the "
                        f"application's entitlements; trying again is no use."
                    )
    return Disconnected(found + told)


class MarketDataSession:
    """One subscription session for `listen`: a message of the view for each event.

    Attributes:
        confirmed: see `Session`; opening waits for the vendor's answer to the subscription.
    """

    confirmed = True

    def __init__(self, connection: Connection, sdk: ModuleType, securities: Sequence[str]) -> None:
        """Open, subscribe, and wait until each security is confirmed or refused.

        Raises:
            AuthenticationError: no permission for the service or for a security.
            Disconnected: everything else.
        """
        self._sdk, self._elements = sdk, Elements(sdk)
        self._frames: deque[bytes] = deque()
        self._state: dict[str, dict[str, Any]] = {}
        self._occurrences = Occurrences()
        self._waiting = set(securities)
        self._session = open_session(connection, sdk, MARKET_DATA)
        try:
            subscriptions = sdk.SubscriptionList()
            for security in securities:
                subscriptions.add(
                    f"{MARKET_DATA}/ticker/{security}", ",".join(FIELDS), correlationId=sdk.CorrelationId(security)
                )
            self._session.subscribe(subscriptions)
            self._await_answers()
        except BaseException as error:
            self._session.stop()
            raise _told(sdk, error) from None

    def receive(self, timeout_s: float) -> bytes | None:
        """The next message of the view, None if none came in time; raises `Disconnected` when it is over."""
        if not self._frames:
            try:
                self._next(timeout_s)
            except self._sdk.Exception as error:
                raise _told(self._sdk, error) from None
        return self._frames.popleft() if self._frames else None

    def close(self) -> None:
        """Stop the session."""
        self._session.stop()

    def _await_answers(self) -> None:
        rounds = int(_SUBSCRIBE_S / 0.1)
        for _ in range(rounds):
            if not self._waiting:
                return
            self._next(0.1)
        raise Disconnected(f"no answer to the subscription within {_SUBSCRIBE_S:g} s")

    def _next(self, timeout_s: float) -> None:
        event = self._session.nextEvent(max(1, int(timeout_s * 1000)))  # 0 would wait for ever
        kind = self._elements.type_of(event)
        for message in event:
            view = self._elements.view(kind, message)
            if view["messageType"] in _ENDS:
                raise Disconnected(view["messageType"])
            if kind == "SUBSCRIPTION_STATUS":
                self._status(message, view)
            elif kind == "SUBSCRIPTION_DATA":
                self._data(message, view)
            elif view["messageType"] == "SlowConsumerWarning":
                _LOG.warning("Bloomberg says that we read too slowly; the stream may lose data")

    def _status(self, message: Any, view: dict[str, Any]) -> None:
        topic = str(message.correlationId().value())
        self._waiting.discard(topic)
        if view["messageType"] != "SubscriptionFailure":
            return
        reason = view.get("reason")
        if isinstance(reason, dict) and reason.get("category") in _NOT_ALLOWED:
            raise AuthenticationError(
                f"Bloomberg refuses market data of {topic}: {reason.get('description')}. Ask for the entitlement, or "
                f"leave the security out; trying again is no use."
            )
        self._frames.append(encoded(view | {"topic": topic}))

    def _data(self, message: Any, view: dict[str, Any]) -> None:
        topic, fields = str(message.correlationId().value()), view["fields"]
        state = self._state.setdefault(topic, {})
        merged: dict[str, Any] = {}
        for pair in _PAIRS:
            is_trade = pair[0] == "LAST_PRICE" and fields.get("MKTDATA_EVENT_TYPE") == "TRADE"
            if is_trade or any(name in fields for name in pair):
                merged |= {name: state[name] for name in pair if name not in fields and name in state}
        state.update({name: fields[name] for pair in _PAIRS for name in pair if fields.get(name) is not None})
        if fields.get("MKTDATA_EVENT_TYPE") == "TRADE" and "EVT_TRADE_IDENTIFIER_RT" not in fields:
            said = (state.get("LAST_PRICE"), state.get("SIZE_LAST_TRADE"))
            fields["occurrence"] = self._occurrences.nth(topic, fields.get("TRADE_UPDATE_STAMP_RT"), *said)
        self._frames.append(encoded(view | {"topic": topic} | ({"merged": merged} if merged else {})))


class ReferenceData:
    """Requests to ``//blp/refdata``: one session, opened when first needed and again when it breaks."""

    def __init__(self, connection: Connection, sdk: ModuleType) -> None:
        self._connection, self._sdk, self._elements = connection, sdk, Elements(sdk)
        self._session: Any = None
        self._requests = 0

    def ask(self, operation: str, fill: Callable[[Any], None], added: dict[str, Any]) -> Iterator[bytes]:
        """Messages of the answer, all or none: an answer that breaks off is asked for again.

        Args:
            operation: e.g. ``HistoricalDataRequest``.
            fill: puts the parameters into the request.
            added: put into each message of the view, e.g. the security, which answers do not repeat.
        Raises:
            AuthenticationError, QuotaError, VendorError, UnreachableError.
        """
        policy = self._connection.retry
        backoff = Backoff(base_s=policy.base_s, cap_s=policy.cap_s, random=self._connection.random)
        found = ""
        for attempt in range(policy.attempts):
            if attempt:
                self._connection.sleep(backoff.next_delay())
            try:
                views = self._once(operation, fill)
                _count_equal_ticks(views)
                return iter([encoded(view | added) for view in views])
            except (Disconnected, self._sdk.Exception) as gone:
                found = str(gone)
                self.close()
        raise UnreachableError(
            f"Bloomberg at {self._connection.stream_address} gave no answer to {operation} in {policy.attempts} "
            f"attempts, the last: {found}. Check that the Terminal or server runs there."
        )

    def close(self) -> None:
        """Stop the session."""
        if self._session is not None:
            self._session.stop()
            self._session = None

    def _once(self, operation: str, fill: Callable[[Any], None]) -> list[dict[str, Any]]:
        connection = self._connection
        connection.quota.spend(connection.spec.name, connection.budgets)
        if self._session is None:
            self._session = open_session(connection, self._sdk, REFERENCE_DATA)
        request = self._session.getService(REFERENCE_DATA).createRequest(operation)
        fill(request)
        self._requests += 1
        self._session.sendRequest(request, correlationId=self._sdk.CorrelationId(self._requests))
        views: list[dict[str, Any]] = []
        while True:
            event = self._session.nextEvent(int(_REQUEST_S * 1000))
            kind = self._elements.type_of(event)
            if kind == "TIMEOUT":
                raise Disconnected(f"silence for {_REQUEST_S:g} s")
            for message in event:
                view = self._elements.view(kind, message)
                if view["messageType"] in _ENDS or view["messageType"] == "RequestFailure":
                    raise Disconnected(f"{view['messageType']} {view.get('reason', '')}")
                if kind in ("PARTIAL_RESPONSE", "RESPONSE") and message.correlationId().value() == self._requests:
                    _raise_error(operation, view.get("responseError"))
                    views.append(view)
            if kind == "RESPONSE":
                return views


def _count_equal_ticks(views: list[dict[str, Any]]) -> None:
    """Prints without an id that say the same are numbered, as in the stream."""
    occurrences = Occurrences()
    for view in views:
        for row in (view.get("tickData") or {}).get("tickData", ()):
            if row.get("type") == "TRADE" and not row.get("tradeId"):
                row["occurrence"] = occurrences.nth(row.get("time"), row.get("value"), row.get("size"))


def _raise_error(operation: str, error: object) -> None:
    """Errors of a whole answer; one about a security is left to the decoder."""
    if not isinstance(error, dict) or error.get("category") == "BAD_SEC":
        return
    found = f"Bloomberg answered {operation} with {error.get('category')}: {error.get('message')}."
    if error.get("category") in _NOT_ALLOWED:
        raise AuthenticationError(f"{found} Ask for the entitlement; trying again is no use.")
    if error.get("category") == "LIMIT":
        raise QuotaError(f"{found} The limit is Bloomberg's; it is lifted at the start of its next day or month.")
    raise VendorError(f"{found} Check what was asked for.")
