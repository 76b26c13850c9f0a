"""Every bus, and how the contract suite publishes and reads.

Topics get names of their own in every test, so that a broker may serve the whole session. A new implementation is one
entry in BACKENDS; the suite then runs on it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from project01.bus import Bus, MemoryBus, Message, SqliteBus, TopicSpec, open_bus

WAIT_S = 20.0
Pair = tuple[bytes | None, bytes]


@dataclass
class Backend:
    """One implementation under test.

    Attributes:
        bus: the open bus.
        start_over: deletes a topic, with whatever that takes here, and gives the bus where it is gone.
        examples: how many drawn cases one property gets; a broker needs a while for each topic.
    """

    bus: Bus
    start_over: Callable[[str], Bus]
    examples: int


def in_memory(_request: pytest.FixtureRequest, _folder: Path) -> Backend:
    return Backend(MemoryBus(), lambda _topic: MemoryBus(), 40)


def on_sqlite(_request: pytest.FixtureRequest, folder: Path) -> Backend:
    path = folder / "bus.db"
    bus = SqliteBus(path)

    def start_over(_topic: str) -> Bus:
        bus.close()
        for file in folder.glob("bus.db*"):
            file.unlink()
        return SqliteBus(path)

    return Backend(bus, start_over, 40)


def on_kafka(request: pytest.FixtureRequest, _folder: Path) -> Backend:
    servers: str = request.getfixturevalue("kafka_servers")
    bus = open_bus(f"kafka://{servers}")

    def start_over(topic: str) -> Bus:
        from confluent_kafka.admin import AdminClient

        # Held by name: a client that is collected ends its requests.
        admin = AdminClient({"bootstrap.servers": servers})
        admin.delete_topics([topic])[topic].result(WAIT_S)
        wait_until(lambda: topic not in bus.topics())
        return bus

    return Backend(bus, start_over, 8)


BACKENDS = [
    pytest.param(in_memory, id="memory"),
    pytest.param(on_sqlite, id="sqlite"),
    pytest.param(on_kafka, id="kafka", marks=pytest.mark.slow),
]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def new_topic(bus: Bus, partitions: int = 3, **others: Any) -> str:
    spec = replace(TopicSpec(f"topic-{uuid4().hex[:12]}", partitions, retention_ms=-1), **others)
    bus.create(spec)
    return spec.name


def publish(bus: Bus, topic: str, *batches: Sequence[Pair]) -> int:
    with bus.producer() as producer:
        for batch in batches:
            producer.publish(topic, batch)
        return producer.flush()


def read(bus: Bus, topic: str, start: dict[int, int], many: int, sizes: Sequence[int] = (1000,)) -> list[Message]:
    """Exactly `many` messages, by polls of the given sizes in turn, and the proof that no more come."""
    found: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    with bus.consumer(topic, start) as consumer:
        for number in count():
            if len(found) >= many or time.monotonic() > deadline:
                break
            most = sizes[number % len(sizes)]
            polled = consumer.poll(most, 0.5)
            assert len(polled) <= most
            found += polled
        assert consumer.poll(10, 0.05) == []
    assert len(found) == many
    return found


def from_the_start(bus: Bus, topic: str) -> dict[int, int]:
    return {number: held.first for number, held in bus.ranges(topic).items()}


def read_all(bus: Bus, topic: str, sizes: Sequence[int] = (1000,)) -> list[Message]:
    held = bus.ranges(topic)
    return read(bus, topic, from_the_start(bus, topic), sum(part.next - part.first for part in held.values()), sizes)


def by_partition(messages: Sequence[Message]) -> dict[int, list[Message]]:
    parts = defaultdict(list)
    for message in messages:
        parts[message.partition].append(message)
    return parts


def numbered(many: int, keys: int = 5) -> list[Pair]:
    return [(b"key%d" % (number % keys), b"%d" % number) for number in range(many)]
