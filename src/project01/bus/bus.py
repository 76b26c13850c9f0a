"""The one interface of the bus: keyed messages in partitions, each with an offset that never changes.

A consumer keeps no position on the bus: whoever consumes stores offsets beside what it made of the messages, in the
same transaction, and says where to start. Implementations: `MemoryBus`, `SqliteBus`, `KafkaBus`; one contract suite
(`tests/contracts/test_bus*.py`) holds for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self
from zlib import crc32

from project01.bus.topics import TopicSpec


class Message(NamedTuple):
    """One message as a consumer gets it; `published_at` in microseconds UTC, by the bus's clock."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    published_at: int


@dataclass(frozen=True)
class PartitionRange:
    """Offsets of one partition: the first still kept, and the one the next message will get."""

    first: int
    next: int


class Producer(Protocol):
    """Publishes messages; nothing counts as published before `flush` has returned."""

    def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Hand over (key, value) pairs in order; waits while the bus's queue is full.

        Messages with the same key keep their order. None as key: any partition.

        Raises:
            BusError: no such topic, a message is too large, or the bus refuses it. Nothing of the call is published
                when a message is refused for its size.
        """
        ...

    def flush(self) -> int:
        """Wait until all that was handed over is durable; how many messages were acknowledged since the last flush.

        Raises:
            BusError: some were not acknowledged; says how many and why.
        """
        ...

    def close(self) -> None:
        """Flush and let go of the connection."""
        ...

    def __enter__(self) -> Self:
        """The producer itself; leaving the block closes it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...


class Consumer(Protocol):
    """Reads the partitions it was opened on, each in order of offset, every message once."""

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """Up to `max_messages` that are there; waits at most `timeout_s` for the first one, then returns what it has.

        Raises:
            BusError: the bus cannot be read, or messages at the position were removed by retention before they were
                read (they are lost; the error says which).
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...

    def __enter__(self) -> Self:
        """The consumer itself; leaving the block closes it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...


class Bus(Protocol):
    """A place where topics live."""

    @property
    def url(self) -> str:
        """How the bus is named in messages to people; never holds a credential."""
        ...

    def identity(self, topic: str) -> str:
        """An id that changes when the topic is deleted and made again, so that offsets are never mistaken."""
        ...

    def topics(self) -> dict[str, TopicSpec]:
        """The topics that exist, with the settings in force."""
        ...

    def create(self, spec: TopicSpec) -> None:
        """Make a topic that does not exist yet."""
        ...

    def alter(self, spec: TopicSpec) -> None:
        """Bring an existing topic to `spec`: settings, and more partitions (never fewer).

        Raises:
            BusError: fewer partitions were asked for.
        """
        ...

    def ranges(self, topic: str) -> dict[int, PartitionRange]:
        """Offsets of every partition now.

        Raises:
            BusError: no such topic.
        """
        ...

    def producer(self) -> Producer:
        """A new producer; idempotent, every message acknowledged by all replicas."""
        ...

    def consumer(self, topic: str, start: Mapping[int, int]) -> Consumer:
        """A consumer of exactly the partitions in `start`, each from the offset given.

        Raises:
            BusError: no such topic or partition, or an offset outside the partition's range.
        """
        ...

    def close(self) -> None:
        """Let go of what the bus holds open."""
        ...


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the count, as librdkafka's ``consistent`` partitioner has it."""
    return crc32(key) % partitions
