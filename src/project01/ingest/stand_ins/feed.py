"""A feed that goes on whether or not anybody listens, as a market does."""

import math
import time
from collections.abc import Sequence
from threading import Condition, Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
_SMALLEST_STEP_S = 0.005


class Feed(Generic[T]):
    """Publishes its events one after the other on its own clock, from the first subscription on.

    A subscriber gets the events published after it subscribed; those published while it was away are in `published`
    only, where the vendor's history finds them.
    """

    def __init__(self, events: Sequence[T], per_second: float = math.inf) -> None:
        self._events, self._per_second = events, per_second
        self._published = 0
        self._changed, self._stop = Condition(), Event()
        self._thread = Thread(target=self._run, name="stand-in feed", daemon=True)

    @property
    def published(self) -> Sequence[T]:
        """Events published up to now, in order."""
        with self._changed:
            return self._events[: self._published]

    @property
    def finished(self) -> bool:
        """Whether all events are published."""
        with self._changed:
            return self._published == len(self._events)

    def subscribe(self) -> "Subscription[T]":
        """A view of what comes from now on; starts the feed if it has not started."""
        with self._changed:
            subscription = Subscription(self, self._published)
            if self._thread.ident is None:
                self._thread.start()
        return subscription

    def wait_for(self, position: int, timeout_s: float) -> T | None:
        """The event at this position, None if it is not published within the time."""
        with self._changed:
            if self._changed.wait_for(lambda: self._published > position, timeout_s):
                return self._events[position]
            return None

    def close(self) -> None:
        """Stop publishing."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        while not self._stop.is_set():
            due = (time.monotonic() - start) * self._per_second
            with self._changed:
                self._published = len(self._events) if due >= len(self._events) else int(due)
                self._changed.notify_all()
                if self._published == len(self._events):
                    return
            self._stop.wait(max(_SMALLEST_STEP_S, 1.0 / self._per_second))


class Subscription(Generic[T]):
    """Events of a feed from one moment on."""

    def __init__(self, feed: Feed[T], position: int) -> None:
        self._feed, self._position = feed, position

    def next(self, timeout_s: float) -> T | None:
        """The next event; None if none is published within the time."""
        event = self._feed.wait_for(self._position, timeout_s)
        if event is not None:
            self._position += 1
        return event
