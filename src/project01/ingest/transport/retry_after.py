"""How long a vendor asks us to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def stated_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the answer's headers ask to wait; None if they ask for nothing that can be read.

    Args:
        headers: names in lower case. ``retry-after`` as seconds or as a date, ``x-rate-limit-reset`` in Unix seconds.
        now: timezone-aware.
    """
    text = headers.get("retry-after", "").strip()
    wait_s = _seconds(text)
    if wait_s is None and text:
        wait_s = _until_date(text, now)
    if wait_s is None and (reset := _seconds(headers.get("x-rate-limit-reset", "").strip())) is not None:
        wait_s = reset - now.timestamp()
    return None if wait_s is None else max(0.0, wait_s)


def _seconds(text: str) -> float | None:
    # Only plain digits: float() would take "inf", "nan" and "1e400" too.
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 20 else None


def _until_date(text: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
