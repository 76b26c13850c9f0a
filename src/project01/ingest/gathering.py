"""Pages of a stream in lists of what has come by now, so that one flush of the bus serves many."""

import queue
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from project01.ingest.transport import Backlog, Waiting
from project01.ingest.vendor import Page

_PAGES_WAITING = 256
_LOOK_S = 0.2


class Unpublished:
    """Pages that were decoded and are not on the bus yet; one thread adds, one takes away, any may measure."""

    def __init__(self) -> None:
        self._received = deque[int | None]()

    def add(self, page: Page) -> None:
        """One more, the newest."""
        decoded = page.decoded
        first = next(iter(decoded.records), None) or next(iter(decoded.letters), None)
        self._received.append(None if first is None else first.received_at)

    def remove(self, pages: int) -> None:
        """The oldest are on the bus."""
        for _ in range(pages):
            self._received.popleft()

    def measure(self) -> Waiting:
        """What waits now."""
        # A copy: the threads go on meanwhile.
        received = self._received.copy()
        return Waiting(len(received), 0, next((stamp for stamp in received if stamp is not None), None))


def gathered(pages: Iterator[Page], stop: threading.Event, backlog: Backlog) -> Iterator[list[Page]]:
    """Pages in lists of what has come by now; ends when `pages` ends.

    A list counts in `backlog` until the next is asked for.

    Raises:
        Exception: what `pages` raised, after the pages before it were handed on.
    """
    waiting: queue.Queue[Page | BaseException | None] = queue.Queue(_PAGES_WAITING)
    unpublished = Unpublished()

    def pump() -> None:
        try:
            for page in pages:
                unpublished.add(page)
                waiting.put(page)
            waiting.put(None)
        except BaseException as error:  # handed on, and raised where the pages are used
            waiting.put(error)

    thread = threading.Thread(target=pump, name="pages", daemon=True)
    thread.start()
    ended = False
    item: Page | BaseException | None = None
    try:
        with backlog.counting(unpublished.measure):
            while not ended:
                ready: list[Page] = []
                with suppress(queue.Empty):
                    item = waiting.get(timeout=_LOOK_S)
                    while isinstance(item, Page):
                        ready.append(item)
                        item = waiting.get_nowait()
                    ended = True
                if ready:
                    yield ready
                    unpublished.remove(len(ready))
        if isinstance(item, BaseException):
            raise item
    finally:
        stop.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                waiting.get_nowait()
            thread.join(_LOOK_S)
