"""From elements of a payload to records and dead letters, each counted once: shared by Bloomberg, LSEG, RavenPack."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import numpy as np

from project01.domain import DeadLetter, Record, trading_calendar
from project01.ingest.decoding import Reason, letter, micros
from project01.ingest.vendor import Decoded, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection
    from project01.ingest.symbols import SymbolMap

T = TypeVar("T")
# Clocks of vendors and of this machine may differ by this much, microseconds.
_SKEW = 300_000_000
LONGEST_TEXT = 1 << 20
# The vendors themselves stop at 10,000 rows.
_MOST_ELEMENTS, _MOST_FIELDS = 20_000, 50
_SHOWN = 64


class Refused(Exception):  # noqa: N818 - goes from an element to its dead letter, and no further
    """An element cannot be accepted; `reason` is one of `Reason`, `detail` says found and expected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where records come from.

    Attributes:
        spec: the vendor.
        licence: tag for every record.
        simulated: whether they are made up.
        symbols: the map of symbols.
    """

    spec: VendorSpec
    licence: str
    simulated: bool
    symbols: "SymbolMap"

    @classmethod
    def of(cls, connection: "Connection") -> Self:
        """The origin of what comes over a connection."""
        return cls(
            spec=connection.spec,
            licence=connection.licence,
            simulated=connection.simulated,
            symbols=connection.symbols,
        )


class Tally:
    """Collects what became of one payload, element by element."""

    def __init__(self, origin: Origin, dataset: str, received_at: int) -> None:
        self.origin, self.dataset, self.received_at = origin, dataset, received_at
        self._records: list[Record] = []
        self._letters: list[DeadLetter] = []
        self._accepted = 0

    def element(
        self,
        payload: bytes,
        make: Callable[..., Iterable[Record]],
        *arguments: object,
        symbol: str | None = None,
        around: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        """Count one element: the records of `make(*arguments)`, or its dead letter if that raises `Refused`.

        Args:
            payload: the element as received, for the letter.
            make: gives the element's records.
            arguments: of `make`.
            symbol: ours, where known.
            around: what makes a whole payload of the element, so that its letter can be decoded again.
        """
        try:
            made = tuple(make(*arguments))
        except Refused as refused:
            self.refuse(refused, payload.join(around), symbol)
        else:
            self._records.extend(made)
            self._accepted += 1

    def silent(self) -> None:
        """Count an element that carries no record on purpose."""
        self._accepted += 1

    def refuse(self, refused: Refused, payload: bytes, symbol: str | None = None) -> None:
        """Count an element as refused."""
        found = letter(
            source=self.origin.spec.name,
            licence=self.origin.licence,
            simulated=self.origin.simulated,
            dataset=self.dataset,
            intended_topic=self.origin.spec.dataset(self.dataset).topic,
            reason=refused.reason,
            detail=refused.detail,
            payload=payload,
            received_at=self.received_at,
            symbol=symbol,
        )
        self._letters.append(found)

    def common(
        self, source_id: str, when: int, raw: bytes, *, symbol: str | None = None, known: int | None = None
    ) -> dict[str, Any]:
        """What every record carries.

        Args:
            source_id: the vendor's id.
            when: of the event, microseconds UTC.
            raw: the vendor's fragment, checked JSON.
            symbol: ours.
            known: when it could first be known; None: when it happened.
        """
        return {
            "source": self.origin.spec.name,
            "source_id": source_id,
            "event_time": when,
            "knowledge_time": when if known is None else known,
            "received_at": self.received_at,
            "licence": self.origin.licence,
            "simulated": self.origin.simulated,
            "symbol": symbol,
            "raw": msgspec.Raw(raw),
        }

    def decoded(self) -> Decoded:
        """The result."""
        return Decoded(tuple(self._records), tuple(self._letters), self._accepted)


def together(parts: Iterable[Decoded]) -> Decoded:
    """Several payloads that make up one page."""
    found = list(parts)
    return Decoded(
        [record for part in found for record in part.records],
        [letter for part in found for letter in part.letters],
        sum(part.accepted for part in found),
    )


def read(payload: bytes, form: type[T]) -> T:
    """A JSON text as `form`.

    Raises:
        Refused: it is no JSON in UTF-8, or not of that form.
    """
    try:
        payload.decode("utf-8")
        if b"\\u" in payload:
            # Parts that nobody reads are skipped unchecked; half a surrogate pair would enter `raw` there.
            msgspec.json.decode(payload)
        return msgspec.json.decode(payload, type=form)
    except msgspec.ValidationError as error:
        raise Refused(Reason.SCHEMA, f"{shown(error)}; expected {getattr(form, '__name__', form)}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(Reason.UNREADABLE, f"no JSON in UTF-8: {shown(error)}") from error


def listed(raw: bytes) -> list[msgspec.Raw]:
    """Elements of a JSON array, unread; null has none.

    Raises:
        Refused: it is no array, or one longer than any vendor's: it would take minutes and gigabytes of dead letters.
    """
    if raw == b"null":
        return []
    check_length(raw.count(b",") // _MOST_FIELDS)
    found = read(raw, list[msgspec.Raw])
    check_length(len(found))
    return found


def check_length(elements: int) -> None:
    """Pass a number of elements that one payload may have.

    Raises:
        Refused: it is more than any vendor sends at once.
    """
    if elements > _MOST_ELEMENTS:
        raise Refused(
            Reason.TOO_LARGE, f"{elements} or more elements; expected at most {_MOST_ELEMENTS} in one payload"
        )


def shown(found: object) -> str:
    """What was found, short enough for a message."""
    text = found.decode("utf-8", "backslashreplace") if isinstance(found, bytes) else str(found)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def number(name: str, value: object) -> float:
    """A finite number.

    Raises:
        Refused: it is something else.
    """
    if value in ("NaN", "Infinity", "-Infinity"):
        raise Refused(Reason.NOT_FINITE, f"{name} is {value}; expected a finite number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Reason.SCHEMA, f"{name} is {shown(repr(value))}; expected a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Refused(Reason.NOT_FINITE, f"{name} is {found}; expected a finite number")
    return found


def price(name: str, value: object) -> float:
    """A price above zero.

    Raises:
        Refused: it is something else.
    """
    found = number(name, value)
    if found <= 0:
        raise Refused(Reason.NOT_POSITIVE, f"{name} is {found}; expected a price above 0")
    return found


def size(name: str, value: object) -> float:
    """A count of shares, not negative.

    Raises:
        Refused: it is something else.
    """
    found = number(name, value)
    if found < 0:
        raise Refused(Reason.NEGATIVE_SIZE, f"{name} is {found}; expected 0 or more")
    return found


def count(value: object) -> int | None:
    """A whole number that a message can carry; None for anything else, as counts are beside the point of a record."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 62:
        return None
    return int(value) if value == int(value) else None


def optional(check: Callable[[str, object], float], name: str, value: object) -> float | None:
    """The checked value, None where the vendor gave none."""
    return None if value is None else check(name, value)


def instant(name: str, value: object, received_at: int) -> int:
    """Microseconds UTC of an ISO 8601 text with a zone, not later than now.

    Raises:
        Refused: no such text, or more than five minutes in the future.
    """
    if not isinstance(value, str):
        raise Refused(
            Reason.SCHEMA, f"{name} is {shown(repr(value))}; expected an instant such as 2014-06-05T14:30:00Z"
        )
    try:
        found = micros(value)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"{name}: {shown(error)}") from error
    return not_later(name, found, received_at)


def not_later(name: str, found: int, received_at: int) -> int:
    """`found` (microseconds UTC) if it is not in the future.

    Raises:
        Refused: more than five minutes after `received_at`.
    """
    if found > received_at + _SKEW:
        raise Refused(Reason.IN_FUTURE, f"{name} lies {(found - received_at) / 1e6:.0f} s after it was received")
    return found


def day(name: str, value: object) -> date:
    """A date from an ISO text; of an instant its date part as written.

    Raises:
        Refused: it is something else.
    """
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"{name} is {shown(repr(value))}; expected a date such as 2014-06-05") from error


def text(name: str, value: object) -> str:
    """A text that is not empty and of a length that a message may have.

    Raises:
        Refused: it is something else.
    """
    if not isinstance(value, str) or not value.strip():
        raise Refused(Reason.SCHEMA, f"{name} is {shown(repr(value))}; expected a text")
    if len(value) > LONGEST_TEXT:
        raise Refused(Reason.TOO_LARGE, f"{name} has {len(value)} characters; expected at most {LONGEST_TEXT}")
    return value


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Open, high, low, close (listing currency) and volume (shares) of a bar, checked against each other."""

    open: float | None
    high: float | None
    low: float | None
    close: float
    volume: float | None

    @classmethod
    def of(cls, found: dict[str, object]) -> Self:
        """Checked prices from the vendor's values under our names.

        Raises:
            Refused: no close, a value that cannot be, or a high below the low.
        """
        made = cls(
            open=optional(price, "open", found.get("open")),
            high=optional(price, "high", found.get("high")),
            low=optional(price, "low", found.get("low")),
            close=price("close", found.get("close")),
            volume=optional(size, "volume", found.get("volume")),
        )
        low, high = made.low, made.high
        if low is not None and high is not None and high < low:
            raise Refused(Reason.HIGH_BELOW_LOW, f"high {high} is below low {low}")
        for name, value in (("open", made.open), ("close", made.close)):
            if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
                raise Refused(Reason.OUTSIDE_RANGE, f"{name} {value} lies outside low {low} to high {high}")
        return made


@lru_cache(maxsize=1 << 14)
def close_of(session: date) -> int | None:
    """The close of a day of the New York Stock Exchange, microseconds UTC; None where it did not trade."""
    calendar = trading_calendar()
    place = int(calendar.index_of(np.array([session], "datetime64[D]"))[0])
    return None if place < 0 else int(calendar.closes[place].astype(np.int64))


def session_end(name: str, session: date, received_at: int) -> int:
    """When the bar of a trading day is complete, microseconds UTC.

    Raises:
        Refused: the exchange did not trade on that day, or the day is not over.
    """
    found = close_of(session)
    if found is None:
        raise Refused(Reason.SCHEMA, f"{name} {session} is no trading day of the New York Stock Exchange")
    if found > received_at:
        raise Refused(Reason.IN_FUTURE, f"the session of {session} was not over when the bar was received")
    return found
