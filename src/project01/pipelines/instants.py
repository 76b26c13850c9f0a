"""Instants as users write them."""

from datetime import UTC, datetime, time

from project01.domain import InputError

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """``2017-06-30`` is the end of that day in UTC; ``2017-06-30T14:00`` is that instant in UTC.

    Raises:
        InputError: neither a date nor an instant.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a date or instant; write 2017-06-30 or 2017-06-30T14:00.") from error
    if len(text) <= len("2017-06-30"):
        instant = datetime.combine(instant.date(), time.max)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
