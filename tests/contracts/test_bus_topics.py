"""What every bus promises of its topics: that they are as asked for, and errors that say what to do."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest
from tests.contracts.bus_running import Backend, by_partition, new_topic, numbered, publish, read, read_all, wait_until

from project01.bus import Bus, TopicSpec, apply, difference, partition_of
from project01.domain import BusError


def test_ranges_follow_what_is_published(bus: Bus) -> None:
    topic = new_topic(bus, 2)
    assert {number: (held.first, held.next) for number, held in bus.ranges(topic).items()} == {0: (0, 0), 1: (0, 0)}
    publish(bus, topic, [(b"A", b"1"), (b"A", b"2")])
    held = bus.ranges(topic)[partition_of(b"A", 2)]
    assert (held.first, held.next) == (0, 2)


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
