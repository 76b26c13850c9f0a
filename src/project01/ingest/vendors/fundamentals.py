"""What FRED, Nasdaq Data Link and EDGAR share: days as instants, and refusing one bad element of a payload alone."""

import json
import math
import re
from collections.abc import Sized
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from project01.domain import FUNDAMENTALS, DeadLetter, Record
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, letter
from project01.ingest.vendor import Decoded

# Member in which our own knowledge of the request is put in front of a body that does not tell what it is about.
REQUEST = "project01_request"

# No vendor sends more in one list; a list of millions of junk must not become millions of dead letters.
MOST_ELEMENTS = 100_000

T = TypeVar("T")
_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_FIRST_DAY, _LAST_DAY = date(1876, 1, 1), date(2199, 12, 31)
# Longer ones no number of ours can hold, and turning them into one takes long.
_MOST_DIGITS = 400
# What only the lenient reader takes; without any of it there is nothing to repair.
_LENIENT = (b"NaN", b"Infinity", b"\\u")
_LONG_NUMBER = re.compile(rb"\d{401}")
# A ValueError is what a number of thousands of digits gives.
_JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class RefusedError(ValueError):
    """An element cannot be accepted; `reason` is one of `Reason`, the text says found and expected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass
class Sorting:
    """Where the elements of one payload go.

    Attributes:
        connection: whose licence and mark of simulation the letters carry.
        dataset: what was asked for.
        received_at: microseconds UTC.
    """

    connection: Connection
    dataset: str
    received_at: int
    records: list[Record] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    accepted: int = 0

    def accept(self, *records: Record) -> None:
        """One element was understood and gave these records."""
        self.records.extend(records)
        self.accepted += 1

    def refuse(self, reason: str, detail: str, payload: bytes) -> None:
        """One element cannot be accepted; `payload` must be decodable alone, so that it can be replayed."""
        self.letters.append(
            letter(
                **self.common,
                dataset=self.dataset,
                intended_topic=FUNDAMENTALS,
                reason=reason,
                detail=detail,
                payload=payload,
            )
        )

    def refuse_for(self, error: ValueError, payload: bytes) -> None:
        """As `refuse`, for the reason that the error tells; one without a reason is about form and type."""
        self.refuse(error.reason if isinstance(error, RefusedError) else Reason.SCHEMA, str(error), payload)

    @cached_property
    def common(self) -> dict[str, Any]:
        """Fields that every record has alike."""
        return {
            "source": self.connection.spec.name,
            "licence": self.connection.licence,
            "simulated": self.connection.simulated,
            "received_at": self.received_at,
        }

    @property
    def decoded(self) -> Decoded:
        """The result."""
        return Decoded(self.records, self.letters, self.accepted)


def read_whole(decoder: msgspec.json.Decoder[T], payload: bytes, sorting: Sorting, expected: str) -> T | None:
    """The payload's outermost structure; None, with the payload refused, where it is not as `expected`.

    JSON that only a lenient reader understands (NaN, lone surrogates, bytes that are no UTF-8) is repaired first, in
    such a way that the elements concerned are refused later and the others are not.
    """
    try:
        # msgspec leaves strings unread that it skips: without this, bytes that are no UTF-8 would reach `raw`.
        payload.decode("utf-8")
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        sorting.refuse(Reason.SCHEMA, f"Found {error}; expected {expected}.", payload)
    except _JSON_ERRORS as error:
        repaired = readable(payload)
        if repaired is None:
            sorting.refuse(Reason.UNREADABLE, f"Not JSON: {error}; expected {expected}.", payload)
            return None
        try:
            return decoder.decode(repaired)
        except _JSON_ERRORS as second:
            sorting.refuse(Reason.SCHEMA, f"Found {second}; expected {expected}.", payload)
    return None


def check_size(elements: Sized, what: str) -> None:
    """Refuse a list that no vendor would send.

    Raises:
        RefusedError: it has more than `MOST_ELEMENTS`.
    """
    if len(elements) > MOST_ELEMENTS:
        raise RefusedError(Reason.TOO_LARGE, f"Found {len(elements):,} {what}; expected {MOST_ELEMENTS:,} at most.")


def read_element(decoder: msgspec.json.Decoder[T], element: bytes | msgspec.Raw) -> T:
    """One element.

    Raises:
        ValueError: it is not as the decoder's type says.
    """
    try:
        return decoder.decode(element)
    except _JSON_ERRORS as error:
        raise ValueError(str(error)) from error


def readable(payload: bytes) -> bytes | None:
    """Strict JSON in place of lenient JSON; None where the payload is no JSON at all, or is strict as it is.

    A value that strict JSON cannot hold becomes an object, so that it never passes for the number or text it is not.
    """
    if not any(token in payload for token in _LENIENT) and _is_utf8(payload):
        return None
    try:
        # Asking us about each of a million numbers takes a second; so only where one is too long for Python to read.
        parse_int = _integer if _LONG_NUMBER.search(payload) else None
        content = json.loads(payload.decode("utf-8", errors="surrogateescape"), parse_int=parse_int)
        return json.dumps(_strict(content)).encode()
    except (ValueError, RecursionError):
        return None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else {"unreadable": digits}


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {_encodable(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"unreadable": repr(value)}
    if isinstance(value, str) and (text := _encodable(value)) is not value:
        return {"unreadable": text}
    return value


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return ascii(text)
    return text


def with_request(body: bytes, **request: str) -> bytes:
    """The body with what was asked in front, for answers that do not repeat it; anything but an object stays as it is.

    The vendor's own bytes are kept, so that decoding needs nothing but the payload, today and when it is replayed.
    """
    start = body.lstrip()
    if not start.startswith(b"{"):
        return body
    rest = start[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"' + REQUEST.encode() + b'":' + msgspec.json.encode(request) + comma + rest


@lru_cache(maxsize=65_536)
def iso_day(text: str) -> date:
    """The day of ``YYYY-MM-DD``.

    Raises:
        ValueError: anything else, also other ISO forms.
        RefusedError: a day that no table of ours can hold.
    """
    if len(text) != 10:
        raise ValueError(f"found {text[:40]!r}; expected a day as YYYY-MM-DD")
    day = date.fromisoformat(text)
    if not _FIRST_DAY <= day <= _LAST_DAY:
        reason = Reason.TOO_OLD if day < _FIRST_DAY else Reason.OUTSIDE_RANGE
        raise RefusedError(reason, f"Found {day}; expected a day from {_FIRST_DAY} to {_LAST_DAY}.")
    return day


def day_start_us(day: date) -> int:
    """00:00 UTC of the day, microseconds UTC; before 1970 negative."""
    return (day - _EPOCH).days * _DAY_US


@lru_cache(maxsize=65_536)
def day_end_us(day: date, zone: str) -> int:
    """The first instant after the day in that time zone, microseconds UTC."""
    return wall_us(day + timedelta(days=1), time(0), zone)


@lru_cache(maxsize=65_536)
def wall_us(day: date, clock: time, zone: str) -> int:
    """The instant at which clocks in `zone` show that day and time, in whole seconds as microseconds UTC."""
    return int(datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def today(connection: Connection, zone: str) -> date:
    """The day that it is now in that time zone."""
    return connection.clock.now().astimezone(ZoneInfo(zone)).date()


def known_by_now(decoded: Decoded, now_us: int, *, after: int | None = None) -> Decoded:
    """Without records that are not known yet; with `after` also without those known by then.

    A day's value is known when the day is over; until then more may be added to it, so it is left for the next fetch.
    What is left out counts as accepted all the same.
    """
    floor = after if after is not None else -(1 << 63)
    records = [record for record in decoded.records if floor < record.knowledge_time <= now_us]
    return Decoded(records, decoded.letters, decoded.accepted)
