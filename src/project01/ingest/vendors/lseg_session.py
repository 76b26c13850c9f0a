"""Where LSEG's library ends: sessions, tables and streams, turned into our JSON view of them."""

import json
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from threading import Condition
from types import ModuleType
from typing import Any

from project01.domain import AuthenticationError, QuotaError, SourceError, UnreachableError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import Backoff, Disconnected
from project01.ingest.vendors.lseg_decode import NOT_FOUND

_LOG = logging.getLogger(__name__)
FIELDS = (
    "TRDPRC_1", "TRDVOL_1", "SALTIM_MS", "TRADE_DATE", "SEQNUM", "BID", "BIDSIZE", "ASK", "ASKSIZE", "QUOTIM_MS",
    "QUOTE_DATE",
)  # fmt: skip
# What an update needs though it did not change; a sequence number always changes.
_KEPT = tuple(name for name in FIELDS if name != "SEQNUM")
_NOT_ALLOWED = (
    "NotEntitled",
    "Access Denied",
    "access denied",
    "not entitled",
    "UserNotPermission",
    "Insufficient scope",
)
_NOTHING = ("No data", "no data", "Empty")
_ENDS = ("StreamDisconnected", "SessionDisconnected", "StreamReconnecting", "SessionReconnecting")
_REFUSALS = ("SessionAuthenticationFailed", "StreamAuthenticationFailed")
_SUBSCRIBE_S = 15.0


def plain(value: Any) -> Any:
    """A value of a table or update as one that JSON has; None where it is missing."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, bool | int) or type(value).__name__ in ("NAType", "NaTType"):
        return None if not isinstance(value, bool | int) else value
    if isinstance(value, float):
        # In tables a missing number is NaN, so that NaN cannot mean more than that.
        return None if math.isnan(value) else value if math.isfinite(value) else str(value).replace("inf", "Infinity")
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    # JSON has no half surrogate pairs; they are shown as what they are.
    told = value.isoformat() if isinstance(value, date) else str(value)
    return told.encode("utf-8", "backslashreplace").decode("utf-8")


def rows_of(table: Any, index: str | None) -> list[dict[str, Any]]:
    """Rows of a data frame as objects, missing values left out.

    Args:
        table: None or empty where nothing was found.
        index: name for the frame's index, None to leave it out.
    """
    if table is None or not len(table):
        return []
    names = [str(name[-1] if isinstance(name, tuple) else name) for name in table.columns]
    found = []
    for label, values in zip(table.index, table.itertuples(index=False, name=None), strict=True):
        row = {} if index is None else {index: plain(label)}
        row.update(
            (name, told) for name, value in zip(names, values, strict=True) if (told := plain(value)) is not None
        )
        found.append(row)
    return found


def encoded(view: dict[str, Any]) -> bytes:
    """The view as JSON in UTF-8."""
    return json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class Sessions:
    """The one session of a client, opened when first needed and again when it broke."""

    def __init__(self, connection: Connection, sdk: ModuleType) -> None:
        self._connection, self._sdk = connection, sdk
        self._session: Any = None

    def current(self) -> Any:
        """The open session, the library's default one.

        Raises:
            AuthenticationError: LSEG refused the key.
            Disconnected: no session.
        """
        if self._session is None:
            self._session = self.opened(lambda name: _LOG.debug("LSEG: %s", name))
        self._sdk.session.set_default(self._session)
        return self._session

    def opened(self, on_event: Callable[[str], None]) -> Any:
        """A new session.

        Args:
            on_event: called from the library's threads with the name of each event.
        Raises:
            AuthenticationError: LSEG refused the key.
            Disconnected: no session.
        """
        told: list[str] = []

        def listener(code: Any, *_: object) -> None:
            told.append(str(code.name))
            on_event(str(code.name))

        try:
            session = self._defined()
            session.on_event(listener)
            state = session.open()
        except self._sdk.errors.LDError as error:
            raise failure(error) from None
        if any(name in _REFUSALS for name in told):
            session.close()
            raise AuthenticationError(
                "LSEG refused the login. Check LSEG_APP_KEY, LSEG_USERNAME and LSEG_PASSWORD; trying again is no use."
            )
        if state != self._sdk.OpenState.Opened:
            session.close()
            raise Disconnected(f"the session did not open ({', '.join(told) or 'no event'})")
        return session

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _defined(self) -> Any:
        secrets, kinds = self._connection.secrets, self._sdk.session
        key = secrets["app key"].get_secret_value()
        username, password = secrets.get("username"), secrets.get("password")
        if username is None or password is None:
            return kinds.desktop.Definition(app_key=key).get_session()
        grant = kinds.platform.GrantPassword(username=username.get_secret_value(), password=password.get_secret_value())
        return kinds.platform.Definition(app_key=key, grant=grant, signon_control=False).get_session()


def failure(error: Any) -> SourceError | Disconnected:
    """An error of the library as ours; `Disconnected` where trying again may help."""
    code, told = error.code, " ".join(str(error).split())[:300]
    if code in (401, 403) or any(mark in told for mark in _NOT_ALLOWED):
        return AuthenticationError(f"LSEG refused: {told}. Check the key and what the account may read.")
    if code == 429:
        return QuotaError(
            f"LSEG's limit is reached: {told}. It is lifted after a minute, or at the end of the day (UTC)."
        )
    if isinstance(code, int) and 400 <= code < 500:
        return VendorError(f"LSEG refused what was asked: {told}. Check it.")
    return Disconnected(told)


class Tables:
    """Asks for tables, patiently."""

    def __init__(self, connection: Connection, sdk: ModuleType, sessions: Sessions) -> None:
        self._connection, self._sdk, self._sessions = connection, sdk, sessions

    def ask(self, call: Callable[[], Any], index: str | None) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Rows of a table, or what the library says of an instrument that it does not know.

        Raises:
            AuthenticationError, QuotaError, VendorError, UnreachableError.
        """
        policy, connection = self._connection.retry, self._connection
        backoff, found = Backoff(base_s=policy.base_s, cap_s=policy.cap_s, random=connection.random), ""
        for attempt in range(policy.attempts):
            if attempt:
                connection.sleep(backoff.next_delay())
            connection.quota.spend(connection.spec.name, connection.budgets)
            try:
                self._sessions.current()
                return rows_of(call(), index), None
            except self._sdk.errors.LDError as error:
                told = str(error)
                if any(mark in told for mark in _NOTHING):
                    return [], None
                if any(mark in told for mark in NOT_FOUND):
                    return [], {"code": error.code, "message": told[:300]}
                ours = failure(error)
                if not isinstance(ours, Disconnected):
                    raise ours from None
                found = ours.reason
            except Disconnected as gone:
                found = gone.reason
            self._sessions.close()
        raise UnreachableError(
            f"LSEG gave no answer in {policy.attempts} attempts, the last: {found}. Try again later."
        )


class PricingSession:
    """One pricing stream for `listen`: a view for each update.

    Attributes:
        confirmed: see `Session`; opening waits for the vendor's answer to the subscription.
    """

    confirmed = True

    def __init__(self, sdk: ModuleType, sessions: Sessions, rics: Sequence[str]) -> None:
        """Open a session and the stream, and wait until each instrument is there or refused.

        Raises:
            AuthenticationError: no permission.
            Disconnected: everything else.
        """
        self._frames: deque[bytes | Exception] = deque()
        self._changed = Condition()
        self._waiting = set(rics)
        self._state: dict[str, dict[str, Any]] = {ric: {} for ric in rics}
        self._stream: Any = None
        self._session = sessions.opened(self._event)
        try:
            stream = sdk.content.pricing.Definition(list(rics), fields=list(FIELDS)).get_stream(session=self._session)
            stream.on_refresh(self._refresh)
            stream.on_update(self._update)
            stream.on_status(self._status)
            self._stream = stream
            stream.open()
            with self._changed:
                answered = self._changed.wait_for(lambda: not self._waiting or self._broken(), _SUBSCRIBE_S)
            if not answered:
                raise Disconnected(f"no answer to the subscription within {_SUBSCRIBE_S:g} s")
            if (error := self._broken()) is not None:
                raise error
        except BaseException as error:
            self.close()
            raise failure(error) if isinstance(error, sdk.errors.LDError) else error from None

    def receive(self, timeout_s: float) -> bytes | None:
        """The next view, None if none came in time; raises `Disconnected` when it is over."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._frames), timeout_s):
                return None
            found = self._frames[0]
            if isinstance(found, Exception):
                raise found
            self._frames.popleft()
            return found

    def close(self) -> None:
        """Close stream and session."""
        if self._stream is not None:
            self._stream.close()
        self._session.close()

    def _broken(self) -> Exception | None:
        return next((found for found in self._frames if isinstance(found, Exception)), None)

    # Called from the library's threads.

    def _event(self, name: str) -> None:
        if name in _ENDS:
            self._put(Disconnected(name))
        elif name in _REFUSALS:
            self._put(AuthenticationError("LSEG withdrew the login. Log in anew; trying again is no use."))

    def _refresh(self, fields: dict[str, Any], ric: str, _: object) -> None:
        self._answered(ric)
        self._remember(ric, {name: plain(value) for name, value in fields.items()})

    def _update(self, fields: dict[str, Any], ric: str, _: object) -> None:
        changed = {name: plain(value) for name, value in fields.items()}
        merged = {name: value for name, value in self._state.get(ric, {}).items() if name not in changed}
        self._remember(ric, changed)
        self._put(encoded({"ric": ric, "type": "Update", "fields": changed, "merged": merged}))

    def _status(self, status: dict[str, Any], ric: str, _: object) -> None:
        state = status.get("State", {})
        code, told = state.get("Code"), f"{state.get('Code')} {state.get('Text')}"
        if any(mark in told for mark in _NOT_ALLOWED):
            self._put(AuthenticationError(f"LSEG refuses prices of {ric}: {told}. Ask for it, or leave it out."))
        elif code == "NotFound":
            self._put(encoded({"ric": ric, "error": {"code": code, "message": plain(str(state.get("Text")))}}))
        elif state.get("Stream") in ("Closed", "ClosedRecover") or state.get("Data") == "Suspect":
            self._put(Disconnected(f"{ric}: stream {state.get('Stream')}, data {state.get('Data')}: {told}"))
        self._answered(ric)

    def _answered(self, ric: str) -> None:
        with self._changed:
            self._waiting.discard(ric)
            self._changed.notify_all()

    def _remember(self, ric: str, fields: dict[str, Any]) -> None:
        self._state.setdefault(ric, {}).update({name: fields[name] for name in _KEPT if fields.get(name) is not None})

    def _put(self, found: bytes | Exception) -> None:
        with self._changed:
            self._frames.append(found)
            self._changed.notify_all()
