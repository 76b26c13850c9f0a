"""What of a stream was received and not yet used: asked now and then by whoever watches over it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class Waiting:
    """Events that wait.

    Attributes:
        events: how many.
        on_disk: how many of them on disk.
        oldest: when the one that waits longest was received, microseconds UTC; None: nothing waits.
    """

    events: int = 0
    on_disk: int = 0
    oldest: int | None = None

    def __add__(self, other: "Waiting") -> "Waiting":
        instants = [found for found in (self.oldest, other.oldest) if found is not None]
        return Waiting(self.events + other.events, self.on_disk + other.on_disk, min(instants, default=None))


class Backlog:
    """Adds up what waits in the queues of a connection's streams; it costs nothing until it is asked."""

    def __init__(self) -> None:
        self._lock, self._queues = Lock(), list[Callable[[], Waiting]]()

    @contextmanager
    def counting(self, measure: Callable[[], Waiting]) -> Iterator[None]:
        """Count a queue while the block lasts."""
        with self._lock:
            self._queues.append(measure)
        try:
            yield
        finally:
            with self._lock:
                self._queues.remove(measure)

    def measure(self) -> Waiting:
        """What waits now."""
        with self._lock:
            queues = list(self._queues)
        return sum((measure() for measure in queues), Waiting())
