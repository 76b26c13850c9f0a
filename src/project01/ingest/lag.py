"""How far a stream lags: measured beside it once a second, kept in the state, told when it goes over a limit and back.

A thread of its own measures, so that it goes on when the bus, the disk or a decoder stands still, and neither the
receiving nor the publishing thread ever waits for it longer than a look into a queue.
"""

import logging
import threading
from datetime import datetime
from types import TracebackType
from typing import Self

from project01.domain import Clock, SourceError
from project01.ingest.state import IngestState, StreamLag
from project01.ingest.transport import Backlog
from project01.ingest.vendor import Query

_LOG = logging.getLogger(__name__)


class LagWatch:
    """Watches over one stream while the ``with`` block lasts.

    Args:
        state: keeps the lag; the row goes when the block ends, so that one left behind tells of a process that died.
        backlog: what waits.
        clock: the one that stamps what is received.
        source: name of the source in the state.
        query: what it listens to.
        limit_s: a lag above it is an alert; it is over when the lag is at most half of it, so that a lag at the limit
            does not flicker.
        every_s: how often it measures.
    """

    def __init__(
        self,
        state: IngestState,
        backlog: Backlog,
        clock: Clock,
        source: str,
        query: Query,
        *,
        limit_s: float,
        every_s: float = 1.0,
    ) -> None:
        self._state, self._backlog, self._clock = state, backlog, clock
        self._source, self._query = source, query
        self._limit_s, self._every_s = limit_s, every_s
        self._over_since: datetime | None = None
        self._kept = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lag {source}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._state.forget_lag(self._measured())
        except SourceError as failure:
            # The stream itself has ended in its own way, which must be told.
            _LOG.warning("%s: its lag stays in the state: %s", self._source, failure)

    def _run(self) -> None:
        while True:
            lag = self._measured()
            self._keep(lag)
            self._tell(lag)
            if self._ended.wait(self._every_s):
                return

    def _measured(self) -> StreamLag:
        waiting, now = self._backlog.measure(), self._clock.now()
        age_s = 0.0 if waiting.oldest is None else max(0.0, now.timestamp() - waiting.oldest / 1_000_000)
        return StreamLag(
            source=self._source,
            dataset=self._query.dataset,
            symbols=",".join(self._query.symbols),
            events=waiting.events,
            on_disk=waiting.on_disk,
            age_s=round(age_s, 3),
            measured_at=now,
        )

    def _keep(self, lag: StreamLag) -> None:
        try:
            self._state.save_lag(lag)
        except SourceError as error:
            # A figure that cannot be kept must not end a stream that can; said once, not every second.
            if self._kept:
                _LOG.warning("%s: its lag cannot be kept: %s", self._source, error)
            self._kept = False
        else:
            self._kept = True

    def _tell(self, lag: StreamLag) -> None:
        """One line when the lag goes over the limit, one when it is over."""
        if self._over_since is None and lag.age_s > self._limit_s:
            self._over_since = lag.measured_at
            _LOG.warning("lag over its limit: %s limit_s=%g", told(lag), self._limit_s)
        elif self._over_since is not None and lag.age_s <= self._limit_s / 2:
            lasted_s = (lag.measured_at - self._over_since).total_seconds()
            self._over_since = None
            _LOG.warning("lag within its limit again: %s limit_s=%g lasted_s=%.0f", told(lag), self._limit_s, lasted_s)


def told(lag: StreamLag) -> str:
    """A lag as names and values, one line, for a log."""
    return (
        f"source={lag.source!r} dataset={lag.dataset} symbols={lag.symbols[:80]!r} age_s={lag.age_s:.1f} "
        f"events={lag.events} on_disk={lag.on_disk}"
    )
