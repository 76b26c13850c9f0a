"""A real broker killed, frozen and away: nothing acknowledged is lost, nothing doubled, the order of each key kept."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from uuid import uuid4

import pytest
from infra.kafka.broker import KafkaBroker, free_port

from project01.bus import KafkaBus, Message, TopicSpec
from project01.domain import BusError

pytestmark = pytest.mark.slow

KEYS, PARTITIONS = 40, 3
WAIT_S = 60.0


@pytest.fixture
def bus(kafka_broker: KafkaBroker) -> Iterator[KafkaBus]:
    with closing(KafkaBus(kafka_broker.servers, queue_messages=2000)) as bus:
        yield bus


def new_topic(bus: KafkaBus, partitions: int = PARTITIONS) -> str:
    spec = TopicSpec(f"faults-{uuid4().hex[:8]}", partitions, retention_ms=-1)
    bus.create(spec)
    return spec.name


def message(number: int) -> tuple[bytes, bytes]:
    return b"key-%d" % (number % KEYS), b"%d" % number


def read_all(bus: KafkaBus, topic: str) -> list[Message]:
    ranges = bus.ranges(topic)
    expected = sum(each.next - each.first for each in ranges.values())
    found: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    with bus.consumer(topic, {number: each.first for number, each in ranges.items()}) as consumer:
        while len(found) < expected:
            assert time.monotonic() < deadline, f"{len(found)} of {expected} messages came in time"
            found += consumer.poll(5000, 1.0)
    return found


def by_key(messages: list[Message]) -> dict[bytes | None, list[int]]:
    found = defaultdict(list)
    for each in messages:
        found[each.key].append(int(each.value))
    return dict(found)


def expected_by_key(count: int) -> dict[bytes, list[int]]:
    return {b"key-%d" % key: list(range(key, count, KEYS)) for key in range(KEYS)}


def publish(bus: KafkaBus, topic: str, count: int, faults: dict[int, Callable[[], None]]) -> int:
    """Publish `count` messages in small pieces; each fault strikes when that many were handed over."""
    acknowledged = 0
    with bus.producer() as producer:
        for start in range(0, count, 100):
            producer.publish(topic, [message(number) for number in range(start, start + 100)])
            if start + 100 in faults:
                faults[start + 100]()
            if start % 3000 == 0:
                acknowledged += producer.flush()
        return acknowledged + producer.flush()


def test_a_broker_killed_twice_while_publishing_loses_and_doubles_nothing(
    kafka_broker: KafkaBroker, bus: KafkaBus
) -> None:
    topic, killed = new_topic(bus), Event()

    def kill() -> None:
        kafka_broker.kill()
        killed.set()

    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish, bus, topic, 20_000, {4200: kill, 13_700: kill})
        for _ in range(2):
            assert killed.wait(WAIT_S)
            killed.clear()
            kafka_broker.start()
        assert publishing.result(WAIT_S) == 20_000
    assert by_key(read_all(bus, topic)) == expected_by_key(20_000)


def test_a_broker_frozen_for_five_seconds_loses_and_doubles_nothing(kafka_broker: KafkaBroker, bus: KafkaBus) -> None:
    topic, frozen = new_topic(bus), Event()

    def freeze() -> None:
        kafka_broker.pause()
        frozen.set()

    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish, bus, topic, 10_000, {4200: freeze})
        assert frozen.wait(WAIT_S)
        time.sleep(5)  # the fault itself
        kafka_broker.resume()
        assert publishing.result(WAIT_S) == 10_000
    assert by_key(read_all(bus, topic)) == expected_by_key(10_000)


def test_a_consumer_sees_each_message_once_across_a_restart(kafka_broker: KafkaBroker, bus: KafkaBus) -> None:
    topic = new_topic(bus)
    publish(bus, topic, 5000, {})
    found: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    with bus.consumer(topic, dict.fromkeys(range(PARTITIONS), 0)) as consumer:
        while len(found) < 2000:
            found += consumer.poll(500, 1.0)
        kafka_broker.kill()
        while len(found) < 5000 and time.monotonic() < deadline:  # what was fetched already
            found += consumer.poll(500, 0.2)
        assert consumer.poll(500, 0.2) == []
        kafka_broker.start()
        publish(bus, topic, 3000, {})
        while len(found) < 8000:
            assert time.monotonic() < deadline
            found += consumer.poll(500, 1.0)
        assert consumer.poll(500, 0.2) == []
    places = [(each.partition, each.offset) for each in found]
    assert len(set(places)) == 8000
    for partition in range(PARTITIONS):
        offsets = [offset for number, offset in places if number == partition]
        assert offsets == list(range(len(offsets)))


def test_a_full_queue_makes_publishing_wait(kafka_broker: KafkaBroker) -> None:
    with closing(KafkaBus(kafka_broker.servers, queue_messages=50)) as bus, ThreadPoolExecutor(1) as pool:
        topic = new_topic(bus)
        with bus.producer() as producer:
            producer.publish(topic, [message(0)])
            assert producer.flush() == 1
            kafka_broker.pause()
            publishing = pool.submit(producer.publish, topic, [message(number) for number in range(3000)])
            with pytest.raises(TimeoutError):
                publishing.result(1.0)
            kafka_broker.resume()
            publishing.result(WAIT_S)
            assert producer.flush() == 3000
        values = [int(each.value) for each in read_all(bus, topic)]
        assert sorted(values) == sorted([0, *range(3000)])


def test_a_broker_that_stays_away_fails_the_flush_with_the_count_and_the_reason(kafka_broker: KafkaBroker) -> None:
    with closing(KafkaBus(kafka_broker.servers, delivery_timeout_s=8.0)) as bus, bus.producer() as producer:
        topic = new_topic(bus)
        producer.publish(topic, [message(number) for number in range(100)])
        assert producer.flush() == 100
        kafka_broker.kill()
        producer.publish(topic, [message(number) for number in range(100, 170)])
        with pytest.raises(BusError, match=r"70 of 70 messages were not acknowledged by 127.0.0.1:\d+: .+"):
            producer.flush()
        kafka_broker.start()
        producer.publish(topic, [message(number) for number in range(100, 300)])
        assert producer.flush() == 200
        assert by_key(read_all(bus, topic)) == expected_by_key(300)


def test_a_full_queue_to_a_broker_that_stays_away_is_an_error(kafka_broker: KafkaBroker) -> None:
    with closing(KafkaBus(kafka_broker.servers, queue_messages=50, delivery_timeout_s=2.0)) as bus:
        topic = new_topic(bus)
        producer = bus.producer()
        producer.publish(topic, [message(0)])
        assert producer.flush() == 1
        kafka_broker.kill()
        with pytest.raises(BusError, match="is full"):
            producer.publish(topic, [message(number) for number in range(500)])
        with pytest.raises(BusError, match="were not acknowledged"):
            producer.close()


def test_an_error_inside_the_block_is_not_hidden_by_a_broker_that_is_away(kafka_broker: KafkaBroker) -> None:
    with closing(KafkaBus(kafka_broker.servers)) as bus:
        topic = new_topic(bus)
        began = time.monotonic()

        def publish_and_fail() -> None:
            with bus.producer() as producer:
                producer.publish(topic, [message(0)])
                producer.flush()
                kafka_broker.kill()
                producer.publish(topic, [message(1)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            publish_and_fail()
        assert time.monotonic() - began < 20


PUBLISHER = """
    import sys
    from project01.bus import KafkaBus
    bus = KafkaBus(sys.argv[1])
    with bus.producer() as producer:
        for start in range(0, 1_000_000, 50):
            producer.publish(sys.argv[2], [(b"key-%d" % (n % 40), b"%d" % n) for n in range(start, start + 50)])
            if start % 500 == 0:
                producer.flush()
                print(start + 50, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 7, 40])
def test_a_publisher_killed_mid_stream_leaves_all_that_was_acknowledged(kafka_servers: str, lines: int) -> None:
    with closing(KafkaBus(kafka_servers)) as bus:
        topic = new_topic(bus)
        command = [sys.executable, "-c", textwrap.dedent(PUBLISHER), kafka_servers, topic]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(lines):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else (lines - 1) * 500 + 50
        found = by_key(read_all(bus, topic))
        numbers = sorted(number for held in found.values() for number in held)
        assert len(set(numbers)) == len(numbers), "no message twice"
        assert set(range(acknowledged)) <= set(numbers), "nothing acknowledged is missing"
        assert all(held == sorted(held) for held in found.values()), "the order of each key is kept"


def remove_before(servers: str, topic: str, offset: int) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
        future.result(WAIT_S)


def test_opening_at_an_offset_that_retention_removed_is_an_error(kafka_servers: str) -> None:
    with closing(KafkaBus(kafka_servers)) as bus:
        topic = new_topic(bus, partitions=1)
        publish(bus, topic, 100, {})
        remove_before(kafka_servers, topic, 60)
        assert bus.ranges(topic)[0].first == 60
        with pytest.raises(BusError, match=r"partition 0: offset 10 was asked for, and the bus holds 60 to 99"):
            bus.consumer(topic, {0: 10})


def test_messages_removed_under_a_reader_are_an_error_that_names_the_offset(kafka_servers: str) -> None:
    """More than a consumer fetches ahead, so that the removal strikes what it has not got yet."""
    with closing(KafkaBus(kafka_servers)) as bus:
        topic = new_topic(bus, partitions=1)
        with bus.producer() as producer:
            for _ in range(6):
                producer.publish(topic, [(b"key", os.urandom(1_000_000)) for _ in range(20)])
                producer.flush()
        with bus.consumer(topic, {0: 0}) as consumer:
            found = consumer.poll(5, 20.0)
            assert found
            remove_before(kafka_servers, topic, 118)
            deadline = time.monotonic() + WAIT_S

            def read_on() -> None:
                while time.monotonic() < deadline:
                    found.extend(consumer.poll(20, 1.0))

            with pytest.raises(BusError, match=r"partition 0: messages from offset \d+ on are gone"):
                read_on()
        assert [each.offset for each in found] == list(range(len(found)))


def test_a_topic_made_anew_under_a_reader_is_an_error(kafka_servers: str) -> None:
    from confluent_kafka.admin import AdminClient

    with closing(KafkaBus(kafka_servers)) as bus:
        topic = new_topic(bus, partitions=1)
        publish(bus, topic, 500, {})
        with bus.consumer(topic, {0: 500}) as consumer:
            assert consumer.poll(10, 0.5) == []
            admin = AdminClient({"bootstrap.servers": kafka_servers})
            admin.delete_topics([topic])[topic].result(WAIT_S)
            deadline = time.monotonic() + WAIT_S
            while topic in bus.topics():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            bus.create(TopicSpec(topic, 1, retention_ms=-1))
            publish(bus, topic, 100, {})

            def read_on() -> None:
                while time.monotonic() < deadline:
                    assert consumer.poll(20, 1.0) == []

            with pytest.raises(BusError):
                read_on()


def test_a_broker_that_is_not_there_is_named_within_seconds() -> None:
    servers = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    with closing(KafkaBus(servers)) as bus, pytest.raises(BusError) as caught:
        bus.topics()
    assert time.monotonic() - began < 15
    assert servers in str(caught.value)
    assert "make kafka" in str(caught.value)
