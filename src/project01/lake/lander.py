"""The landing loop: from a topic to its raw table until told to stop, or until nothing is left.

Small commits make rows visible soon, large ones make few files: a batch is committed when it is large enough or old
enough, and when many small files have gathered they are joined. After a crash the loop starts from what the table says.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

from project01.bus import Bus, Consumer, Message
from project01.domain import BusError
from project01.lake.lake import Lake
from project01.lake.landing import landing_batch
from project01.lake.raw import RawTable

_LOG = logging.getLogger(__name__)
_LINGER_S = 0.05  # where only what is there already is landed


@dataclass(frozen=True, kw_only=True)
class LandingLimits:
    """When a batch is committed, and when files are joined.

    Attributes:
        rows: at most so many messages a commit.
        size_bytes: at most about so many bytes of messages a commit.
        age_s: a message waits at most about so long for its commit.
        small_files: so many small files are joined into few.
        poll: messages asked of the bus at once.
        refresh_s: how often new partitions are looked for.
    """

    rows: int = 100_000
    size_bytes: int = 64 << 20
    age_s: float = 1.0
    small_files: int = 32
    poll: int = 2_000
    refresh_s: float = 10.0


@dataclass(frozen=True)
class Landed:
    """One commit, or a look that found nothing.

    Attributes:
        rows: messages added.
        unreadable: of those, how many hold no record of ours.
        lag: messages on the bus that have not landed yet.
        seconds: from the first message of the batch in hand to its commit.
    """

    rows: int
    unreadable: int
    lag: int
    seconds: float


class Lander:
    """Lands one topic.

    Args:
        lake: where to.
        bus: where from.
        topic: the topic's name.
        limits: when to commit.
        accept_loss: go on although retention removed messages before they were landed; what is missing is logged.
    """

    def __init__(
        self, lake: Lake, bus: Bus, topic: str, limits: LandingLimits | None = None, *, accept_loss: bool = False
    ) -> None:
        self._bus, self._topic = bus, topic
        self._limits = limits or LandingLimits()
        self._accept_loss = accept_loss
        self._topic_id = bus.identity(topic)
        self.table = RawTable(lake, topic, self._topic_id)
        self._positions: dict[int, int] = {}
        self._commits = 0

    def run(
        self, stop: Event, *, until_caught_up: bool = False, report: Callable[[Landed], None] = lambda _: None
    ) -> int:
        """Land until `stop` is set, or until all that was there at the start of a look has landed.

        Returns:
            How many messages were landed.
        Raises:
            BusError: the topic is gone or cannot be read, or retention removed messages that had not landed.
            LakeError: the table cannot be written; what was committed stays.
        """
        total = 0
        while not stop.is_set():
            with self._consumer() as consumer:
                refresh = time.monotonic() + self._limits.refresh_s
                while not stop.is_set() and time.monotonic() < refresh:
                    landed = self.step(consumer, stop, _LINGER_S if until_caught_up else self._limits.age_s)
                    total += landed.rows
                    report(landed)
                    if until_caught_up and landed.lag == 0:
                        self._tend()
                        return total
        self._tend()
        return total

    def step(self, consumer: Consumer, stop: Event, linger_s: float) -> Landed:
        """Gather one batch and commit it; its first message waits at most `linger_s` for others."""
        started = time.monotonic()
        messages = self._gather(consumer, stop, linger_s)
        if not messages:
            return Landed(0, 0, self.lag(), 0.0)
        batch = landing_batch(self.table.spec, self._topic_id, messages, self._positions)
        rows = self.table.land(batch)
        self._positions |= {partition: span.end for partition, span in batch.spans.items()}
        self._commits += 1
        if self._commits % self._limits.small_files == 0:
            self._tend()
        done = Landed(rows, batch.unreadable, self.lag(), time.monotonic() - started)
        _LOG.debug("landed %d messages of %s in %.2f s, %d to go", rows, self._topic, done.seconds, done.lag)
        return done

    def lag(self) -> int:
        """Messages on the bus that have not landed."""
        ranges = self._bus.ranges(self._topic)
        return sum(held.next - self._positions.get(number, held.first) for number, held in ranges.items())

    def _consumer(self) -> Consumer:
        ranges = self._bus.ranges(self._topic)
        landed = self.table.landed(list(ranges))
        start = {number: landed.get(number, held.first) for number, held in ranges.items()}
        self._positions = dict(start)
        lost = {n: (start[n], held.first) for n, held in ranges.items() if start[n] < held.first}
        if lost:
            self._tell_loss(lost)
            start |= {number: first for number, (_, first) in lost.items()}
        return self._bus.consumer(self._topic, start)

    def _tell_loss(self, lost: Mapping[int, tuple[int, int]]) -> None:
        told = ", ".join(f"partition {number} offsets {a} to {b - 1}" for number, (a, b) in sorted(lost.items()))
        if not self._accept_loss:
            raise BusError(
                f"Topic {self._topic}: the bus removed messages before they were landed ({told}). They are not in the "
                f"lake; fetch them again from their source. To go on without them, run the landing with --accept-loss."
            )
        _LOG.warning("topic %s: going on without %s, removed by retention before they were landed", self._topic, told)

    def _gather(self, consumer: Consumer, stop: Event, linger_s: float) -> list[Message]:
        """Messages up to one of the limits; an empty list when none came within `linger_s`.

        While the bus has more than is asked for, it goes on to the age limit: many small commits would only have to be
        joined later.
        """
        limits = self._limits
        messages: list[Message] = consumer.poll(limits.poll, linger_s)
        began, more = time.monotonic(), len(messages) == limits.poll
        size = sum(len(message.value) for message in messages)
        while messages and len(messages) < limits.rows and size < limits.size_bytes and not stop.is_set():
            left = began + (limits.age_s if more else linger_s) - time.monotonic()
            if left <= 0:
                break
            wanted = min(limits.poll, limits.rows - len(messages))
            found = consumer.poll(wanted, left)
            messages += found
            more = len(found) == wanted
            size += sum(len(message.value) for message in found)
        return messages

    def _tend(self) -> None:
        if self.table.small_files() >= self._limits.small_files:
            done = self.table.compact()
            _LOG.debug("joined %d files of %s into %d", done.files_removed, self.table.spec.name, done.files_added)
