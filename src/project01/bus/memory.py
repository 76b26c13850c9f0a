"""A bus in this process's memory: for tests and for runs that need no second process."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

from project01.bus.bus import Message, PartitionRange, partition_of
from project01.bus.topics import TopicSpec
from project01.domain import BusError


@dataclass
class _Topic:
    spec: TopicSpec
    partitions: list[list[Message]]
    identity: str = field(default_factory=lambda: uuid4().hex)


class MemoryBus:
    """Topics as lists; nothing survives the process and nothing is removed by retention."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Always ``memory://``."""
        return "memory://"

    def identity(self, topic: str) -> str:
        """An id made with the topic."""
        return self._topic(topic).identity

    def topics(self) -> dict[str, TopicSpec]:
        """The topics that exist."""
        return {name: topic.spec for name, topic in self._topics.items()}

    def create(self, spec: TopicSpec) -> None:
        """Make a topic.

        Raises:
            BusError: it exists.
        """
        with self._changed:
            if spec.name in self._topics:
                raise BusError(f"Topic {spec.name} exists on {self.url} already. Use alter to change it.")
            self._topics[spec.name] = _Topic(spec, [[] for _ in range(spec.partitions)])

    def alter(self, spec: TopicSpec) -> None:
        """Change a topic's settings, or give it more partitions."""
        with self._changed:
            topic = self._topic(spec.name)
            if spec.partitions < len(topic.partitions):
                raise BusError(
                    f"Topic {spec.name} has {len(topic.partitions)} partitions; {spec.partitions} were asked for. "
                    f"Partitions cannot be taken away: keep the number, or make another topic."
                )
            topic.partitions += [[] for _ in range(spec.partitions - len(topic.partitions))]
            topic.spec = spec

    def ranges(self, topic: str) -> dict[int, PartitionRange]:
        """Offsets of every partition."""
        return {number: PartitionRange(0, len(held)) for number, held in enumerate(self._topic(topic).partitions)}

    def producer(self) -> "MemoryProducer":
        """A producer."""
        return MemoryProducer(self)

    def consumer(self, topic: str, start: Mapping[int, int]) -> "MemoryConsumer":
        """A consumer of the partitions in `start`."""
        check_start(topic, start, self.ranges(topic))
        return MemoryConsumer(self, topic, dict(start))

    def close(self) -> None:
        """Nothing is held open."""

    def _topic(self, name: str) -> _Topic:
        found = self._topics.get(name)
        if found is None:
            raise no_such_topic(name, self.url, list(self._topics))
        return found

    def _append(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        with self._changed:
            held = self._topic(topic)
            check_sizes(held.spec, messages)
            now = time.time_ns() // 1000
            for key, value in messages:
                number = 0 if key is None else partition_of(key, len(held.partitions))
                partition = held.partitions[number]
                partition.append(Message(number, len(partition), key, value, now))
            self._changed.notify_all()

    def _take(self, topic: str, positions: dict[int, int], most: int, timeout_s: float) -> list[Message]:
        def available() -> bool:
            held = self._topic(topic).partitions
            return any(len(held[number]) > offset for number, offset in positions.items())

        taken: list[Message] = []
        with self._changed:
            self._changed.wait_for(available, timeout_s)
            # A share of `most` for each partition, so that a busy one does not keep the others waiting.
            waiting = {n: len(self._topic(topic).partitions[n]) - offset for n, offset in positions.items()}
            for left, number in enumerate(sorted(waiting, key=waiting.__getitem__)):
                share = (most - len(taken)) // (len(waiting) - left)
                offset = positions[number]
                found = self._topic(topic).partitions[number][offset : offset + share]
                positions[number] = offset + len(found)
                taken += found
        return taken


class MemoryProducer:
    """Publishes to a `MemoryBus`; durable at once, as far as memory is."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._unreported = 0

    def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Append the messages."""
        self._bus._append(topic, messages)
        self._unreported += len(messages)

    def flush(self) -> int:
        """Count what was published since the last flush."""
        count, self._unreported = self._unreported, 0
        return count

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        """The producer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class MemoryConsumer:
    """Reads a `MemoryBus`."""

    def __init__(self, bus: MemoryBus, topic: str, positions: dict[int, int]) -> None:
        self._bus, self._topic, self._positions = bus, topic, positions

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """What is there, or what comes within `timeout_s`."""
        return self._bus._take(self._topic, self._positions, max_messages, timeout_s)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        """The consumer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def no_such_topic(name: str, url: str, known: Sequence[str]) -> BusError:
    """The error for a topic that is not there."""
    return BusError(
        f"There is no topic {name} on {url}; it holds {', '.join(sorted(known)) or 'no topics'}. "
        f"Run `project01 topics apply` first."
    )


def check_start(topic: str, start: Mapping[int, int], ranges: Mapping[int, PartitionRange]) -> None:
    """Refuse partitions and offsets that the topic does not have.

    Raises:
        BusError: says which, and what the topic holds.
    """
    for number, offset in start.items():
        if number not in ranges:
            raise BusError(f"Topic {topic} has no partition {number}; it has {len(ranges)}, numbered from 0.")
        held = ranges[number]
        if not held.first <= offset <= held.next:
            raise BusError(
                f"Topic {topic}, partition {number}: offset {offset} was asked for, and the bus holds {held.first} to "
                f"{held.next - 1}. Either retention removed messages before they were read, or the topic was made anew."
            )


def check_sizes(spec: TopicSpec, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
    """Refuse messages larger than the topic takes.

    Raises:
        BusError: says how large, and what the limit is.
    """
    largest = max((len(key or b"") + len(value) for key, value in messages), default=0)
    if largest > spec.max_message_bytes:
        raise BusError(
            f"A message of {largest} bytes is too large for topic {spec.name}, which takes {spec.max_message_bytes}. "
            f"Raise max_message_bytes of the topic, or send the payload to the dead letters."
        )
