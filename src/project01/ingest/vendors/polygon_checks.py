"""Whether prices, sizes and times of Polygon's ticks can be, and what is wrong where they cannot."""

from project01.ingest.decoding import Reason
from project01.ingest.vendors.polygon_formats import Aggregate, SecondBar
from project01.ingest.vendors.polygon_origin import Refused
from project01.ingest.vendors.polygon_spans import Span

INFINITY = float("inf")
EARLIEST_MS = 631_152_000_000  # 1990: nobody's tape is older
SKEW_MS = 60_000  # how far the vendor's clock may be ahead of ours

Side = tuple[float | None, float | None, str | None]


def bar_is_sound(bar: SecondBar | Aggregate, start: int, end: int, received_at: int) -> bool:
    """Whether prices, volume and times can be; one pass, no diagnosis.

    Args:
        bar: prices and volume.
        start: milliseconds UTC.
        end: milliseconds UTC.
        received_at: microseconds UTC.
    """
    low, high, vwap = bar.l, bar.h, bar.vw
    return (
        0.0 < low <= bar.o <= high < INFINITY
        and low <= bar.c <= high
        and 0.0 <= bar.v < INFINITY
        and (vwap is None or 0.0 < vwap < INFINITY)
        and start > EARLIEST_MS
        and (end - SKEW_MS) * 1000 <= received_at
    )


def bar_fault(bar: SecondBar | Aggregate, start: int, end: int, received_at: int) -> Refused:
    """Why `bar_is_sound` said no."""
    prices = {"open": bar.o, "high": bar.h, "low": bar.l, "close": bar.c}
    for name, price in (prices | {"vwap": 1.0 if bar.vw is None else bar.vw}).items():
        if not price < INFINITY:
            return Refused(Reason.NOT_FINITE, f"{name} {price}")
        if price <= 0.0:
            return Refused(Reason.NOT_POSITIVE, f"{name} {price}; expected more than 0")
    if bar.h < bar.l:
        return Refused(Reason.HIGH_BELOW_LOW, f"high {bar.h} below low {bar.l}")
    for name in ("open", "close"):
        if not bar.l <= prices[name] <= bar.h:
            return Refused(Reason.OUTSIDE_RANGE, f"{name} {prices[name]} outside low {bar.l} to high {bar.h}")
    if not 0.0 <= bar.v < INFINITY:
        return Refused(Reason.NEGATIVE_SIZE, f"volume {bar.v}; expected 0 or more")
    return time_fault(start if start <= EARLIEST_MS else end, 1, received_at)


def span_fault(event: SecondBar, span: Span, received_at: int) -> Refused:
    """Why the bar is not as long as it should be; a wrong unit of time shows in the start already."""
    if event.s <= EARLIEST_MS or (event.s - SKEW_MS) * 1000 > received_at:
        return time_fault(event.s, 1, received_at)
    return Refused(
        Reason.SCHEMA, f"from {event.s} to {event.e} is {event.e - event.s} ms; expected {span.milliseconds}", event.sym
    )


def times_of(happened: int | None, tape: int | None, per_millisecond: int, received_at: int) -> tuple[int, int]:
    """Event and knowledge time in microseconds, from stamps in a unit of which a millisecond has `per_millisecond`.

    Args:
        happened: when the exchange made it.
        tape: when the consolidated tape had it.
        per_millisecond: 1 for milliseconds, a million for nanoseconds.
        received_at: microseconds UTC.
    Raises:
        Refused: no time, another unit, before 1990, or in the future.
    """
    known = tape if tape is not None else happened
    if known is None:
        raise Refused(Reason.SCHEMA, "no time at all; expected when the tape had it")
    for stamp in (known, known if happened is None else happened):
        stamp_ms = stamp // per_millisecond
        if not stamp_ms > EARLIEST_MS or (stamp_ms - SKEW_MS) * 1000 > received_at:
            raise time_fault(stamp, per_millisecond, received_at)
    known_us = known // per_millisecond * 1000
    # An exchange's clock may run a little ahead of the tape's; nothing is known before it happened.
    return (known_us if happened is None else min(happened // per_millisecond * 1000, known_us)), known_us


def time_fault(stamp: int, per_millisecond: int, received_at: int) -> Refused:
    """Whether a stamp that cannot be is in another unit, or in the right unit and wrong."""
    unit = {1: "milliseconds", 1_000_000: "nanoseconds"}[per_millisecond]
    latest_ms = received_at // 1000 + SKEW_MS
    in_other_units = {
        "seconds": stamp * 1000,
        "milliseconds": stamp,
        "microseconds": stamp // 1000,
        "nanoseconds": stamp // 1_000_000,
    }
    for name, stamp_ms in in_other_units.items():
        if name != unit and EARLIEST_MS < stamp_ms <= latest_ms:
            return Refused(Reason.WRONG_UNIT_OF_TIME, f"time {stamp} reads as {name}; expected {unit}")
    if stamp // per_millisecond <= EARLIEST_MS:
        return Refused(Reason.TOO_OLD, f"time {stamp} {unit} lies before 1990")
    return Refused(Reason.IN_FUTURE, f"time {stamp} {unit} lies after {latest_ms} ms, our clock and a minute more")


def size_of(decimal: str) -> float:
    """Shares with their fraction, which the vendor gives as text beside the whole number.

    Raises:
        Refused: it is no number.
    """
    try:
        return float(decimal)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"decimal size {decimal[:32]!r} is no number") from error


def side_of(price: float | None, size: float | None, exchange: int | None) -> Side:
    """Price, size and exchange of one side of a quote; a price of 0 is how the tape says that there is none.

    Raises:
        Refused: a negative price or size.
    """
    if size is not None and size < 0:
        raise Refused(Reason.NEGATIVE_SIZE, f"quoted size {size}; expected 0 or more")
    if price is None or price == 0.0:
        return None, None, None
    if price < 0:
        raise Refused(Reason.NOT_POSITIVE, f"quoted price {price}; expected more than 0")
    return price, size, None if exchange is None else str(exchange)
