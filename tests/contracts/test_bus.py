"""What every bus promises. A new implementation is one entry in BACKENDS; the suite then runs on it.

Topics get names of their own in every test, so that a broker may serve the whole session.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project01.bus import (
    Bus,
    MemoryBus,
    Message,
    SqliteBus,
    TopicSpec,
    apply,
    difference,
    open_bus,
    partition_of,
)
from project01.domain import BusError

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


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = request.param(request, tmp_path)
    with closing(made.bus):
        yield made


@pytest.fixture
def bus(backend: Backend) -> Bus:
    return backend.bus


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def new_topic(bus: Bus, partitions: int = 3, **others: int) -> str:
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


PAIRS = st.tuples(st.one_of(st.none(), st.sampled_from([b"", b"A", b"B", b"\x00\xff"])), st.binary(max_size=40))
BATCHES = st.lists(st.lists(PAIRS, max_size=12), min_size=1, max_size=6)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def on_every_draw(backend: Backend, check: Callable[..., None], **drawn: st.SearchStrategy[object]) -> None:
    """Run a property on one bus, which only the fixture knows; each draw makes a topic of its own."""

    @settings(max_examples=backend.examples, suppress_health_check=list(HealthCheck))
    @given(drawn=st.fixed_dictionaries(drawn))
    def hold(drawn: dict[str, object]) -> None:
        check(backend.bus, **drawn)

    hold()


def every_message_once(
    bus: Bus, batches: list[list[Pair]], sizes: list[int], cuts: list[float], partitions: int
) -> None:
    topic = new_topic(bus, partitions)
    assert publish(bus, topic, *batches) == sum(map(len, batches))
    sent = [pair for batch in batches for pair in batch]
    found = read_all(bus, topic, sizes)
    assert sorted((m.key or b"", m.key is None, m.value) for m in found) == sorted(
        (key or b"", key is None, value) for key, value in sent
    )
    for number, part in by_partition(found).items():
        assert [message.offset for message in part] == list(range(len(part))), "offsets have a gap or come twice"
        assert bus.ranges(topic)[number].next == len(part)
    for key in {key for key, _ in sent if key is not None}:
        assert [m.value for m in found if m.key == key] == [value for known, value in sent if known == key]
        assert {m.partition for m in found if m.key == key} == {partition_of(key, partitions)}
    # A restart from any offset gives what the first reading gave from there on.
    ranges = bus.ranges(topic)
    start = {number: round(cuts[number] * held.next) for number, held in ranges.items()}
    expected = {number: part[start[number] :] for number, part in by_partition(found).items()}
    again = by_partition(read(bus, topic, start, sum(map(len, expected.values())), sizes))
    assert again == {number: part for number, part in expected.items() if part}


def test_every_message_comes_once_in_order_from_any_offset(backend: Backend) -> None:
    cuts = st.lists(st.floats(0, 1), min_size=4, max_size=4)
    partitions = st.integers(1, 4)
    on_every_draw(backend, every_message_once, batches=BATCHES, sizes=SIZES, cuts=cuts, partitions=partitions)


def values_are_only_bytes(bus: Bus, values: list[bytes]) -> None:
    topic = new_topic(bus, 1)
    publish(bus, topic, [(b"k", value) for value in values])
    assert [message.value for message in read_all(bus, topic)] == values


def test_values_are_any_bytes(backend: Backend) -> None:
    values_are_only_bytes(backend.bus, [b"", b"\x00", b"a\x00b", b"\xff\xfe", b"\xed\xa0\x80", bytes(range(256)) * 100])
    on_every_draw(backend, values_are_only_bytes, values=st.lists(st.binary(max_size=2000), min_size=1, max_size=8))


def test_a_replay_gives_the_same_messages_to_the_microsecond(bus: Bus) -> None:
    topic = new_topic(bus)
    before = time.time_ns() // 1000
    publish(bus, topic, numbered(100))
    after = time.time_ns() // 1000
    first, second = read_all(bus, topic), read_all(bus, topic, sizes=(7,))
    assert by_partition(first) == by_partition(second)
    # Kafka's clock counts milliseconds.
    assert all(before - 1000 <= message.published_at <= after + 1000 for message in first)


def test_a_poll_returns_in_time_whether_or_not_there_is_anything(bus: Bus) -> None:
    topic = new_topic(bus)
    with bus.consumer(topic, from_the_start(bus, topic)) as consumer:
        began = time.monotonic()
        assert consumer.poll(10, 0.3) == []
        assert 0.25 <= time.monotonic() - began < 5
        publish(bus, topic, numbered(3))
        found: list[Message] = []
        wait_until(lambda: found.extend(consumer.poll(10, 0.2)) or len(found) == 3)  # type: ignore[func-returns-value]
        began = time.monotonic()
        assert consumer.poll(10, 0) == []
        assert time.monotonic() - began < 1


def test_a_waiting_poll_wakes_when_a_message_comes(bus: Bus) -> None:
    topic = new_topic(bus)
    with bus.consumer(topic, from_the_start(bus, topic)) as consumer:
        consumer.poll(1, 0.2)
        later = threading.Timer(0.3, publish, (bus, topic, [(b"k", b"late")]))
        later.start()
        began = time.monotonic()
        assert [message.value for message in consumer.poll(1, WAIT_S)] == [b"late"]
        assert time.monotonic() - began < WAIT_S / 2
        later.join()


def test_ranges_follow_what_is_published(bus: Bus) -> None:
    topic = new_topic(bus, 2)
    assert {number: (held.first, held.next) for number, held in bus.ranges(topic).items()} == {0: (0, 0), 1: (0, 0)}
    publish(bus, topic, [(b"A", b"1"), (b"A", b"2")])
    held = bus.ranges(topic)[partition_of(b"A", 2)]
    assert (held.first, held.next) == (0, 2)


def test_a_consumer_reads_only_its_partitions(bus: Bus) -> None:
    topic = new_topic(bus, 3)
    publish(bus, topic, numbered(60, keys=20))
    everything = by_partition(read_all(bus, topic))
    assert len(everything) == 3
    for chosen in ([1], [0, 2]):
        expected = {number: everything[number] for number in chosen}
        found = read(bus, topic, dict.fromkeys(chosen, 0), sum(map(len, expected.values())))
        assert by_partition(found) == expected


def test_two_consumers_do_not_take_from_each_other(bus: Bus) -> None:
    topic = new_topic(bus)
    publish(bus, topic, numbered(50))
    start = from_the_start(bus, topic)
    with bus.consumer(topic, start) as one, bus.consumer(topic, start) as other:
        found: tuple[list[Message], list[Message]] = ([], [])
        deadline = time.monotonic() + WAIT_S
        while min(map(len, found)) < 50 and time.monotonic() < deadline:
            found[0].extend(one.poll(3, 0.2))
            found[1].extend(other.poll(5, 0.2))
    assert by_partition(found[0]) == by_partition(found[1])


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda bus: bus.ranges("nowhere"), id="ranges"),
        pytest.param(lambda bus: bus.identity("nowhere"), id="identity"),
        pytest.param(lambda bus: bus.consumer("nowhere", {0: 0}), id="consumer"),
        pytest.param(lambda bus: bus.alter(TopicSpec("nowhere", 1, -1)), id="alter"),
        pytest.param(lambda bus: publish(bus, "nowhere", [(b"k", b"v")]), id="publish"),
    ],
)
def test_an_unknown_topic_is_an_error_that_says_what_to_do(bus: Bus, call: Callable[[Bus], object]) -> None:
    with pytest.raises(BusError, match=r"nowhere.*topics apply"):
        call(bus)


def test_unknown_partitions_and_offsets_are_refused(bus: Bus) -> None:
    topic = new_topic(bus, 2)
    publish(bus, topic, [(b"A", b"1")])
    number = partition_of(b"A", 2)
    with pytest.raises(BusError, match="partition 2"):
        bus.consumer(topic, {2: 0})
    for offset in (-1, 2, 1000):
        with pytest.raises(BusError, match=str(offset)):
            bus.consumer(topic, {number: offset})
    assert read(bus, topic, {number: 1}, 0) == []


def test_a_message_too_large_refuses_the_whole_call(bus: Bus) -> None:
    topic = new_topic(bus, 1, max_message_bytes=10_000)
    with bus.producer() as producer:
        producer.publish(topic, [(b"k", b"before")])
        with pytest.raises(BusError, match="10000"):
            producer.publish(topic, [(b"k", b"small"), (b"k", bytes(10_001)), (b"k", b"small")])
        producer.publish(topic, [(b"k", bytes(9_000))])
        assert producer.flush() == 2
    assert [message.value for message in read_all(bus, topic)] == [b"before", bytes(9_000)]


def test_identity_stays_until_the_topic_is_made_anew(backend: Backend) -> None:
    bus = backend.bus
    topic, other = new_topic(bus), new_topic(bus)
    first = bus.identity(topic)
    publish(bus, topic, numbered(5))
    bus.alter(replace(bus.topics()[topic], partitions=4))
    assert bus.identity(topic) == first
    assert bus.identity(other) != first
    with closing(backend.start_over(topic)) as anew:
        anew.create(TopicSpec(topic, 3, -1))
        assert anew.identity(topic) != first


def test_altering_adds_partitions_and_never_takes_any(bus: Bus) -> None:
    topic = new_topic(bus, 2)
    publish(bus, topic, numbered(20))
    before = by_partition(read_all(bus, topic))
    spec = replace(bus.topics()[topic], partitions=5, retention_ms=86_400_000)
    bus.alter(spec)
    wait_until(lambda: bus.topics()[topic] == spec and set(bus.ranges(topic)) == set(range(5)))
    assert by_partition(read_all(bus, topic)) == before
    with pytest.raises(BusError, match="partitions"):
        bus.alter(replace(spec, partitions=4))
    assert bus.topics()[topic] == spec
    publish(bus, topic, [(b"key%d" % number, b"new") for number in range(50)])
    for message in read_all(bus, topic):
        if message.value == b"new" and message.key is not None:
            assert message.partition == partition_of(message.key, 5)


def test_creating_a_topic_twice_is_an_error(bus: Bus) -> None:
    topic = new_topic(bus)
    with pytest.raises(BusError, match=topic):
        bus.create(TopicSpec(topic, 3, -1))


def test_flush_counts_what_was_acknowledged_since_the_last(bus: Bus) -> None:
    topic = new_topic(bus)
    with bus.producer() as producer:
        assert producer.flush() == 0
        producer.publish(topic, numbered(3))
        producer.publish(topic, numbered(4))
        assert producer.flush() == 7
        assert producer.flush() == 0
        producer.publish(topic, [])
        assert producer.flush() == 0
    assert len(read_all(bus, topic)) == 7


def test_two_producers_at_once_lose_and_double_nothing(bus: Bus) -> None:
    topic = new_topic(bus)
    start = threading.Barrier(2)
    counts = []

    def produce(name: int) -> None:
        start.wait(WAIT_S)
        batches = [[(b"P%d" % name, b"%d-%d" % (name, 10 * batch + row)) for row in range(10)] for batch in range(40)]
        counts.append(publish(bus, topic, *batches))

    threads = [threading.Thread(target=produce, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [400, 400]
    found = read_all(bus, topic, sizes=(37,))
    for name in range(2):
        assert [m.value for m in found if m.key == b"P%d" % name] == [b"%d-%d" % (name, i) for i in range(400)]
    for part in by_partition(found).values():
        assert [message.offset for message in part] == list(range(len(part)))


def test_topics_have_the_settings_in_force(bus: Bus) -> None:
    specs = [
        TopicSpec(f"topic-{uuid4().hex[:12]}", 1, retention_ms=-1),
        TopicSpec(f"topic-{uuid4().hex[:12]}", 4, retention_ms=3_600_000, max_message_bytes=5 << 20),
        TopicSpec(f"topic-{uuid4().hex[:12]}", 2, retention_ms=60_000, cleanup="compact"),
    ]
    for spec in specs:
        bus.create(spec)
    held = bus.topics()
    assert [held[spec.name] for spec in specs] == specs


def test_a_plan_shows_what_differs_and_applies_once(bus: Bus) -> None:
    name = f"topic-{uuid4().hex[:12]}"
    wanted = TopicSpec(name, 2, retention_ms=60_000)
    plan = difference(bus, [wanted])
    assert [change.creates for change in plan] == [True]
    assert str(plan[0]).startswith(f"create {name}: partitions: 2, retention_ms: 60000")
    apply(bus, plan)
    wait_until(lambda: difference(bus, [wanted]) == [])
    apply(bus, difference(bus, [wanted]))

    more = replace(wanted, partitions=3, retention_ms=120_000)
    plan = difference(bus, [more])
    assert [str(change) for change in plan] == [f"alter {name}: partitions: 2 -> 3, retention_ms: 60000 -> 120000"]
    apply(bus, plan)
    wait_until(lambda: difference(bus, [more]) == [])
    with pytest.raises(BusError, match=r"3 partitions; 1 are wanted"):
        difference(bus, [replace(more, partitions=1)])


def test_a_bus_names_itself_without_secrets(bus: Bus) -> None:
    assert "://" in bus.url
    assert "@" not in bus.url


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 100])
def test_a_key_has_the_partition_that_librdkafka_gives_it(partitions: int) -> None:
    # CRC-32 of these keys as any other program computes it.
    for key, checksum in ((b"", 0), (b"123456789", 0xCBF43926), (b"AAPL", 0xB665575C)):
        assert partition_of(key, partitions) == checksum % partitions
