"""Answers of the stand-in for Bloomberg's reference data service."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from project01.domain import trading_calendar
from project01.ingest.stand_ins.bloomberg_elements import Choice, CorrelationId, Event, Message
from project01.ingest.stand_ins.bloomberg_sdk import Request
from project01.ingest.stand_ins.faults import Fault
from project01.ingest.stand_ins.tape import Tape, bar, hash_of

_ROWS_A_MESSAGE = 50
_MOST_ROWS = 20_000
_UNKNOWN_SECURITY = {"source": "stand-in", "code": 15, "category": "BAD_SEC", "message": "Unknown/Invalid security"}
_ERRORS = {
    "401": ("NO_AUTH", "not logged in"),
    "403": ("NOT_AUTHORIZED", "no entitlement for this request"),
    "429_seconds": ("LIMIT", "daily capacity reached"),
    "429_date": ("LIMIT", "monthly capacity reached"),
    "error_body_200": ("BAD_ARGS", "invalid argument"),
}
_CLOSES = ("refused", "half_message", "tls_error")
_TEN_MEGABYTES = 10 << 20


class Answers:
    """What is known about the made-up market.

    Args:
        tape: its prints.
        securities: our symbols by Bloomberg's names.
        seed: of bars, days and numbers.
    """

    def __init__(self, tape: Tape, securities: Mapping[str, str], seed: int) -> None:
        self._tape, self._securities, self._seed = tape, securities, seed

    def answer(self, request: Request, identity: CorrelationId, fault: Fault | None) -> list[Event]:
        """Events of the answer: partial ones, then the last."""
        kind = "" if fault is None else fault.kind
        if fault is not None and kind == "pause":
            time.sleep(fault.seconds)
        if kind in ("500", "503"):
            reason = {"reason": {"category": "IO_FAILURE", "description": "server busy"}}
            return [Event(Event.REQUEST_STATUS, [Message("RequestFailure", reason, identity)])]
        if kind in _CLOSES:
            return [Event(Event.SESSION_STATUS, [Message("SessionTerminated", {}, None)])]
        name = request.operation.replace("Request", "Response")
        if kind in _ERRORS:
            category, message = _ERRORS[kind]
            return _last(name, Choice("responseError", {"category": category, "message": message}), identity)
        if request.operation == "ReferenceDataRequest":
            return _last(name, Choice("securityData", self._reference(request, kind)), identity)
        return self._rows(name, request, identity, kind)

    def _rows(self, name: str, request: Request, identity: CorrelationId, kind: str) -> list[Event]:
        security = request.values.get("security") or request.values["securities"][0]
        symbol = self._securities.get(security)
        if symbol is None:
            return _last(name, _wrapped(name, security, None), identity)
        makers: dict[str, Callable[[Request, str], list[dict[str, Any]]]] = {
            "IntradayTickResponse": self._ticks,
            "IntradayBarResponse": self._bars,
            "HistoricalDataResponse": self._days,
        }
        rows = _changed(makers[name](request, symbol), kind)
        pieces = [rows[place : place + _ROWS_A_MESSAGE] for place in range(0, len(rows), _ROWS_A_MESSAGE)] or [[]]
        contents = [_wrapped(name, security, piece) for piece in pieces]
        partial = [Event(Event.PARTIAL_RESPONSE, [Message(name, content, identity)]) for content in contents[:-1]]
        return partial + _last(name, contents[-1], identity)

    def _ticks(self, request: Request, symbol: str) -> list[dict[str, Any]]:
        start, end = _utc(request.values["startDateTime"]), _utc(request.values["endDateTime"])
        wanted = request.values["eventTypes"]
        return [
            {"time": found.when.replace(tzinfo=None), "type": found.kind, "value": found.price, "size": found.size}
            | ({"tradeId": str(found.number), "exchangeCode": "D"} if found.kind == "TRADE" else {})
            for found in self._tape.until_now()
            if found.symbol == symbol and found.kind in wanted and start <= found.when < end
        ]

    def _bars(self, request: Request, symbol: str) -> list[dict[str, Any]]:
        start, end = _utc(request.values["startDateTime"]), _utc(request.values["endDateTime"])
        step = timedelta(minutes=request.values["interval"])
        rows: list[dict[str, Any]] = []
        while start < end and start <= self._tape.clock.now() and len(rows) < _MOST_ROWS:
            made = bar(self._seed, symbol, start)
            values = {"open": made.open, "high": made.high, "low": made.low, "close": made.close}
            turnover = round(made.volume * (made.high + made.low) / 2, 2)
            extra = {"volume": made.volume, "numEvents": 1 + made.volume // 100, "value": turnover}
            rows.append({"time": start.replace(tzinfo=None)} | values | extra)
            start += step
        return rows

    def _days(self, request: Request, symbol: str) -> list[dict[str, Any]]:
        first, last = (
            datetime.strptime(request.values[name], "%Y%m%d").replace(tzinfo=UTC).date()
            for name in ("startDate", "endDate")
        )
        rows: list[dict[str, Any]] = []
        for session in trading_calendar().sessions_between(first, last):
            day: date = session.item()
            if "PX_LAST" not in request.values["fields"]:
                rows.append({"date": day} | {name: self._news(symbol, name, day) for name in request.values["fields"]})
                continue
            made = bar(self._seed, symbol, day)
            values = {"PX_OPEN": made.open, "PX_HIGH": made.high, "PX_LOW": made.low, "PX_LAST": made.close}
            rows.append({"date": day} | values | {"PX_VOLUME": made.volume})
        return rows

    def _news(self, symbol: str, name: str, day: date) -> float | int:
        """A count of up to 99 stories, a score from 0 to 4, or a tone from -1 to 1."""
        drawn = hash_of(self._seed, symbol, f"{name} {day}")
        if name.endswith("_COUNT"):
            return drawn % 100
        return drawn % 5 if "_HEAT_" in name else round(drawn % 2_001 / 1_000 - 1, 4)

    def _reference(self, request: Request, kind: str) -> list[dict[str, Any]]:
        found = []
        for number, security in enumerate(request.values["securities"]):
            symbol = self._securities.get(security)
            part: dict[str, Any] = {"security": security, "sequenceNumber": number, "fieldExceptions": []}
            if symbol is None:
                found.append(part | {"securityError": _UNKNOWN_SECURITY, "fieldData": {}})
                continue
            values: dict[str, Any] = {}
            for name in request.values["fields"]:
                if name.startswith("UNKNOWN"):
                    error = {"category": "BAD_FLD", "message": "Field not valid"}
                    part["fieldExceptions"].append({"fieldId": name, "errorInfo": error})
                elif name == "LATEST_PERIOD_END_DT_FULL_RECORD":
                    values[name] = date(2023, 12, 31)
                elif name == "EQY_FUND_CRNCY":
                    values[name] = "USD"
                else:
                    values[name] = round(hash_of(self._seed, symbol, name) % 10_000 / 7, 4)
            found.append(part | {"fieldData": _changed([values], kind)[0]})
        return found


def _last(name: str, content: Any, identity: CorrelationId) -> list[Event]:
    return [Event(Event.RESPONSE, [Message(name, content, identity)])]


def _wrapped(name: str, security: str, rows: list[dict[str, Any]] | None) -> Choice:
    """Rows as each kind of answer holds them; None: the security is unknown."""
    if name == "HistoricalDataResponse":
        part = {"security": security, "sequenceNumber": 0, "fieldExceptions": [], "fieldData": rows or []}
        return Choice("securityData", part if rows is not None else part | {"securityError": _UNKNOWN_SECURITY})
    if rows is None:
        return Choice("responseError", _UNKNOWN_SECURITY)
    if name == "IntradayBarResponse":
        return Choice("barData", {"barTickData": rows})
    return Choice("tickData", {"tickData": rows})


def _changed(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The fault of content done to the rows."""
    prices = ("value", "close", "PX_LAST")
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "new_field": lambda row: row | {"brandNewField": 1},
        "renamed_field": lambda row: {f"{k}_V2" if k in prices else k: v for k, v in row.items()},
        "missing_field": lambda row: {k: v for k, v in row.items() if k not in prices},
        "retyped_field": lambda row: {k: "a text" if k in prices else v for k, v in row.items()},
        "not_a_number": lambda row: {k: float("nan") if k in prices else v for k, v in row.items()},
        "lone_surrogate": lambda row: row | {"exchangeCode": "\ud800"},
    }
    if kind == "duplicates":
        return [row for row in rows for _ in range(2)]
    if kind == "disorder":
        return rows[::-1]
    if kind == "ten_megabytes" and rows:
        return [rows[0] | {"conditionCodes": "x" * _TEN_MEGABYTES}, *rows[1:]]
    change = changes.get(kind)
    return rows if change is None else [change(row) for row in rows]


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
