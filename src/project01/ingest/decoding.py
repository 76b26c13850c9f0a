"""What all decoders share: instants, reasons, dead letters."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Final

from project01.domain import DeadLetter

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reason:
    """Why an element is refused; small set of codes, for counting."""

    UNREADABLE: Final = "unreadable"
    SCHEMA: Final = "schema"
    NOT_FINITE: Final = "not_finite"
    NOT_POSITIVE: Final = "not_positive"
    NEGATIVE_SIZE: Final = "negative_size"
    HIGH_BELOW_LOW: Final = "high_below_low"
    OUTSIDE_RANGE: Final = "outside_range"
    CROSSED_QUOTE: Final = "crossed_quote"
    IN_FUTURE: Final = "in_future"
    TOO_OLD: Final = "too_old"
    BEFORE_LISTING: Final = "before_listing"
    WRONG_UNIT_OF_TIME: Final = "wrong_unit_of_time"
    MISSING_SYMBOL: Final = "missing_symbol"
    UNKNOWN_SYMBOL: Final = "unknown_symbol"
    ERROR_BODY: Final = "error_body"
    TOO_LARGE: Final = "too_large"


def micros_of(instant: datetime) -> int:
    """Microseconds since 1970 UTC of a timezone-aware instant, exactly.

    Raises:
        ValueError: without a time zone, or outside 1900 to 2200.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; expected an offset or Z")
    if not _EARLIEST <= instant < _LATEST:
        raise ValueError(f"{instant.isoformat()} lies outside 1900 to 2200")
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def micros(text: str) -> int:
    """Microseconds since 1970 UTC of an ISO 8601 / RFC 3339 text; digits below a microsecond are cut.

    Raises:
        ValueError: not such a text, without a time zone, or outside 1900 to 2200.
    """
    return micros_of(datetime.fromisoformat(text))


def letter(  # noqa: PLR0913 - all named, none with a sensible default
    *,
    source: str,
    licence: str,
    simulated: bool,
    dataset: str,
    intended_topic: str,
    reason: str,
    detail: str,
    payload: bytes,
    received_at: int,
    symbol: str | None = None,
) -> DeadLetter:
    """A refused element, whole; its id depends on content only, so the same refusal twice is one letter.

    Args:
        source: the vendor.
        licence: tag of its terms.
        simulated: whether it was made up.
        dataset: what was asked for.
        intended_topic: where it would have gone.
        reason: one of `Reason`.
        detail: found, expected, what to do.
        payload: the element as received.
        received_at: microseconds UTC.
        symbol: ours, where it could be told.
    """
    try:
        text, encoded = payload.decode("utf-8"), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(payload).decode("ascii"), True
    content = b"\0".join((source.encode(), dataset.encode(), reason.encode(), payload))
    return DeadLetter(
        source=source,
        source_id=hashlib.sha256(content).hexdigest()[:32],
        event_time=received_at,
        knowledge_time=received_at,
        received_at=received_at,
        licence=licence,
        simulated=simulated,
        symbol=symbol,
        intended_topic=intended_topic,
        reason=reason,
        detail=detail,
        payload=text,
        dataset=dataset,
        encoding="base64" if encoded else "utf-8",
    )
