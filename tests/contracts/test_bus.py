"""What every bus promises of messages: each comes once, in order, from any offset."""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.bus_running import (
    WAIT_S,
    Backend,
    Pair,
    by_partition,
    from_the_start,
    new_topic,
    numbered,
    publish,
    read,
    read_all,
    wait_until,
)

from project01.bus import Bus, Message, partition_of
from project01.domain import BusError

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


def test_a_message_too_large_refuses_the_whole_call(bus: Bus) -> None:
    topic = new_topic(bus, 1, max_message_bytes=10_000)
    with bus.producer() as producer:
        producer.publish(topic, [(b"k", b"before")])
        with pytest.raises(BusError, match="10000"):
            producer.publish(topic, [(b"k", b"small"), (b"k", bytes(10_001)), (b"k", b"small")])
        producer.publish(topic, [(b"k", bytes(9_000))])
        assert producer.flush() == 2
    assert [message.value for message in read_all(bus, topic)] == [b"before", bytes(9_000)]


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


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 100])
def test_a_key_has_the_partition_that_librdkafka_gives_it(partitions: int) -> None:
    # CRC-32 of these keys as any other program computes it.
    for key, checksum in ((b"", 0), (b"123456789", 0xCBF43926), (b"AAPL", 0xB665575C)):
        assert partition_of(key, partitions) == checksum % partitions
