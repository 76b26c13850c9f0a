"""Pages of a stream: what was received, and after a break what history has of the time in between."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from project01.domain import AuthenticationError, QuotaError, UnreachableError, VendorError
from project01.ingest.transport import Received, Reconnected
from project01.ingest.vendor import Decoded, Gap, Page
from project01.ingest.vendors.frontier import at

# The vendor stamps a record a little before or after we see it; what comes twice has the same id.
_MARGIN = timedelta(seconds=5)


def stream_pages(
    listening: Iterable[Received | Reconnected],
    decode: Callable[[bytes, int], Decoded],
    fill: Callable[[datetime, datetime], Iterator[Page]],
) -> Iterator[Page]:
    """Pages of a stream without cursors; after each break those that fill it, then one that tells of the gap.

    Args:
        listening: frames and breaks in order.
        decode: payload and time of receipt (microseconds UTC) to records.
        fill: history from start to end.
    """
    for item in listening:
        if isinstance(item, Received):
            yield Page(decoded=decode(item.payload, item.at))
        else:
            yield from _filled(item, fill)


def _filled(item: Reconnected, fill: Callable[[datetime, datetime], Iterator[Page]]) -> Iterator[Page]:
    start, end = at(item.start), at(item.end)
    gap = Gap(start, end, item.reason, filled=True)
    try:
        for page in fill(start - _MARGIN, end + _MARGIN):
            yield Page(decoded=page.decoded)
    except (AuthenticationError, QuotaError, VendorError, UnreachableError) as error:
        # The stream itself is allowed and running: a plan without history must not end it.
        gap = Gap(start, end, f"{item.reason}; not filled: {error}")
    yield Page(decoded=Decoded(), gap=gap)
