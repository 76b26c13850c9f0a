"""X's streams of lines: sessions, and pages with the gaps filled once the posts of them can be searched."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from project01.domain import AuthenticationError, QuotaError, UnreachableError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import Disconnected, HttpClient, LineSession, Received, Reconnected
from project01.ingest.vendor import Decoded, Gap, Page, Query
from project01.ingest.vendors.frontier import at
from project01.ingest.vendors.twitter_decoding import disconnect_reason
from project01.ingest.vendors.twitter_search import INDEXED_AFTER, PostAllowance, Search

# A blank line comes at least every 20 seconds.
IDLE_TIMEOUT_S: Final = 30.0
# Posts reach the stream some seconds after they were written, so a gap begins that much before the last sign of life.
MARGIN: Final = timedelta(seconds=15)
_POSTS_AT_ONCE: Final = 25

Parameters = dict[str, str | int]


class TwitterSession:
    """One connection of a stream; ends also when X says in a line that it ends it."""

    def __init__(
        self,
        client: HttpClient,
        path: str,
        parameters: Parameters,
        *,
        idle_timeout_s: float,
        on_line: Callable[[], None] = lambda: None,
    ) -> None:
        self._lines = LineSession(client, path, parameters, idle_timeout_s=idle_timeout_s)
        self._on_line = on_line
        self._ended: str | None = None

    @property
    def confirmed(self) -> bool:
        """See `Session.confirmed`."""
        return self._lines.confirmed

    def receive(self, timeout_s: float) -> bytes | None:
        """See `Session.receive`."""
        if self._ended is not None:
            raise Disconnected(self._ended)
        line = self._lines.receive(timeout_s)
        if line is not None:
            self._on_line()
            self._ended = disconnect_reason(line)
        return line

    def close(self) -> None:
        """See `Session.close`."""
        self._lines.close()


class FilledStream:
    """Pages of the filtered stream.

    Args:
        search: fills gaps.
        query: of the stream.
        connection: clock and budgets.
        decode: line and time of receipt to records.
        searchable_after: how long after a gap its posts are searched for.
        backfill: what the stream itself sends again after a break.
    """

    def __init__(
        self,
        search: Search,
        query: Query,
        connection: Connection,
        decode: Callable[[bytes, int], Decoded],
        *,
        searchable_after: timedelta,
        backfill: timedelta,
    ) -> None:
        self._search, self._query, self._connection, self._decode = search, query, connection, decode
        self._searchable_after, self._backfill = searchable_after, backfill
        self._waiting: list[Reconnected] = []

    def pages(self, listening: Iterable[Received | Reconnected]) -> Iterator[Page]:
        """Pages as they come, those of gaps in between.

        Raises:
            QuotaError: the plan's posts are used up; what was received before it has been yielded.
        """
        allowance = PostAllowance(self._connection)
        unspent = allowance.take(_POSTS_AT_ONCE)
        try:
            for item in listening:
                if isinstance(item, Reconnected):
                    self._waiting.append(item)
                else:
                    decoded = self._decode(item.payload, item.at)
                    yield Page(decoded=decoded)
                    unspent -= len(decoded.records)
                    if unspent <= 0:
                        unspent += allowance.take(_POSTS_AT_ONCE)
                yield from self._due()
        finally:
            allowance.give_back(unspent)
        yield from self._due()
        for gap in self._waiting:
            reason = f"{gap.reason}; not filled: stopped before its posts could be searched"
            yield Page(decoded=Decoded(), gap=Gap(at(gap.start), at(gap.end), reason))

    def _due(self) -> Iterator[Page]:
        while self._waiting and self._connection.clock.now() >= at(self._waiting[0].end) + self._searchable_after:
            gap = self._waiting.pop(0)
            yield from self._filled(at(gap.start), at(gap.end), gap.reason)

    def _filled(self, start: datetime, end: datetime, reason: str) -> Iterator[Page]:
        gap = Gap(start, end, reason, filled=True)
        if end - start + MARGIN > self._backfill:
            asked = replace(self._query, start=start - MARGIN, end=end + MARGIN)
            try:
                for page in self._search.pages(asked, indexed_after=min(INDEXED_AFTER, self._searchable_after)):
                    yield Page(decoded=page.decoded)
            except (AuthenticationError, QuotaError, VendorError, UnreachableError) as error:
                # The stream itself goes on: a plan without search must not end it.
                gap = Gap(start, end, f"{reason}; not filled: {error}")
        yield Page(decoded=Decoded(), gap=gap)
