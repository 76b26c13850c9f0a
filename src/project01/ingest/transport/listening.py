"""A stream that never ends: receive, reconnect, say where the gaps are."""

import logging
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING

from project01.domain import QuotaError, UnreachableError, VendorError
from project01.ingest.transport.backoff import Backoff
from project01.ingest.transport.session import Disconnected, Session
from project01.ingest.transport.spilling_queue import Received, Reconnected, SpillingQueue, StreamEvent

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
# An opening that fails in one of these ways is tried again; a refused key is not among them.
_PASSING = (Disconnected, UnreachableError, VendorError, QuotaError)


def listen(
    open_session: Callable[[], Session], stop: Event, *, connection: "Connection", idle_timeout_s: float
) -> Iterator[StreamEvent]:
    """Everything a stream says, in order, until `stop` is set; it reconnects for ever, with full-jitter backoff.

    A thread receives, stamps and queues, and does nothing else, so a slow reader never makes the vendor cut us off;
    what does not fit into memory waits on disk.

    Args:
        open_session: connects, authenticates and subscribes, and waits for the vendor's word that it did.
        stop: set it to end; what was received by then is still given.
        connection: clock, patience, the folder for what waits on disk, and who counts what waits.
        idle_timeout_s: silence for longer counts as a disconnect.

    Yields:
        `Received` for each frame; `Reconnected` before the first frame after a gap, once the session is confirmed, so
        that nothing falls between the end of the gap and the start of the subscription. A polite close is a disconnect
        like any other. If the first opening fails, the gap starts with the call.

    Raises:
        AuthenticationError: at once, after what was received before.
    """
    queue, left = SpillingQueue(connection.spill_folder), Event()
    receiver = _Receiver(open_session, (stop, left), queue, connection, idle_timeout_s)
    thread = Thread(target=receiver.run, name=f"receive {connection.spec.name}", daemon=True)
    thread.start()
    try:
        with connection.backlog.counting(queue.measure):
            while (events := queue.hand_out(_POLL_S)) is not None:
                yield from events
    finally:
        left.set()
        thread.join()
        queue.close()


class _Receiver:
    """What the thread runs."""

    def __init__(
        self,
        open_session: Callable[[], Session],
        ends: tuple[Event, ...],
        queue: SpillingQueue,
        connection: "Connection",
        idle_timeout_s: float,
    ) -> None:
        self._open_session, self._ends, self._queue = open_session, ends, queue
        self._connection, self._idle_timeout_s = connection, connection.idle_timeout_s or idle_timeout_s
        self._name = connection.spec.name
        self._backoff = Backoff(base_s=connection.retry.base_s, cap_s=connection.retry.cap_s, random=connection.random)
        self._last_sign = connection.micros()
        # Why nothing is heard, until a session is confirmed.
        self._broken = ""

    def run(self) -> None:
        """Receive until the end; whatever goes wrong for good is raised to the reader."""
        try:
            self._reconnect_for_ever()
        except Exception as error:
            self._queue.finish(error)
        else:
            self._queue.finish()

    @property
    def _ended(self) -> bool:
        return any(end.is_set() for end in self._ends)

    def _reconnect_for_ever(self) -> None:
        while not self._ended:
            try:
                session = self._open_session()
            except _PASSING as error:
                self._broken = self._broken or str(error)
                _LOG.debug("%s: no stream: %s", self._name, error)
            else:
                self._backoff.connected(time.monotonic())
                try:
                    reason = self._receive(session)
                finally:
                    session.close()
                self._backoff.lost(time.monotonic())
                self._broken = self._broken or reason
                _LOG.debug("%s: the stream broke off: %s", self._name, reason)
            self._rest(self._backoff.next_delay())

    def _sign(self) -> int:
        """Note that the vendor is heard, and end the gap if there was one; gives the time, microseconds UTC."""
        now = self._connection.micros()
        if self._broken:
            _LOG.debug("%s: listening again after %.3f s: %s", self._name, (now - self._last_sign) / 1e6, self._broken)
            self._queue.put(Reconnected(self._last_sign, now, self._broken))
            self._broken = ""
        self._last_sign = now
        return now

    def _receive(self, session: Session) -> str:
        """Queue what comes until the session breaks off; gives the reason."""
        put, poll_s = self._queue.put, min(_POLL_S, self._idle_timeout_s)
        if session.confirmed:
            self._sign()
        silent_since = time.monotonic()
        while not self._ended:
            try:
                payload = session.receive(poll_s)
            except Disconnected as gone:
                return gone.reason
            if payload is not None:
                put(Received(payload, self._sign()))
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since >= self._idle_timeout_s:
                return f"silence for {self._idle_timeout_s:g} s"
        return "stopped"

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._ended and (left_s := deadline - time.monotonic()) > 0:
            self._ends[0].wait(min(left_s, _POLL_S))
