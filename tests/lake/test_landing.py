import threading
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.bus import TOPICS, MemoryBus, Message, TopicSpec, encode
from project01.domain import BusError, Trade, TransactionError, raw_table
from project01.lake import Lake, Lander, LandingLimits, RawTable, landing_batch

SPEC = raw_table("ticks")
NEVER = threading.Event()


def trade(number: int, symbol: str = "AAPL") -> Trade:
    micros = 1_700_000_000_000_000 + number
    return Trade(
        source="test", source_id=f"t{number}", event_time=micros, knowledge_time=micros + 5, received_at=micros + 9,
        licence="own", symbol=symbol, price=10.0 + number, size=100.0, raw=msgspec.Raw(b'{"p":1}'),
    )  # fmt: skip


def messages(first: int, count: int, partition: int = 0) -> list[Message]:
    return [
        Message(partition, n, b"AAPL", encode(trade(n)), 1_700_000_100_000_000 + n) for n in range(first, first + count)
    ]


def offsets(lake: Lake, name: str = "raw_ticks") -> list[tuple[int, int]]:
    return sorted(lake.scan(name).select("partition", "offset").collect().rows())


@pytest.fixture
def bus() -> MemoryBus:
    made = MemoryBus()
    made.create(TopicSpec("ticks", partitions=3, retention_ms=-1))
    return made


def publish(bus: MemoryBus, count: int, first: int = 0) -> None:
    with bus.producer() as producer:
        numbers = range(first, first + count)
        producer.publish("ticks", [(f"S{n % 7}".encode(), encode(trade(n, f"S{n % 7}"))) for n in numbers])
        producer.flush()


def test_a_message_becomes_a_row_with_its_common_columns(lake: Lake, bus: MemoryBus) -> None:
    publish(bus, 1)
    assert Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True) == 1
    row = lake.scan("raw_ticks").collect().row(0, named=True)
    assert (row["kind"], row["source"], row["source_id"], row["symbol"]) == ("trade", "test", "t0", "S0")
    assert row["knowledge_time"].timestamp() == 1_700_000_000.000005
    assert (row["licence"], row["simulated"], row["schema_version"], row["problem"]) == ("own", False, 1, None)
    assert row["value"].encode() == encode(trade(0, "S0"))
    assert row["topic_id"] == bus.identity("ticks")


def test_every_message_lands_once_however_often_the_lander_starts(lake: Lake, bus: MemoryBus) -> None:
    for start in (0, 500, 1000):
        publish(bus, 500, start)
        lander = Lander(lake, bus, "ticks", LandingLimits(rows=64, poll=10, small_files=8))
        assert lander.run(NEVER, until_caught_up=True) == 500
    assert Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True) == 0
    held = {number: span.next for number, span in bus.ranges("ticks").items()}
    assert offsets(lake) == [(number, offset) for number in sorted(held) for offset in range(held[number])]
    ids = lake.scan("raw_ticks").select("source_id").collect()["source_id"]
    assert sorted(ids.to_list()) == sorted(f"t{n}" for n in range(1500))


@pytest.mark.slow
def test_small_files_stay_few(lake: Lake, bus: MemoryBus) -> None:
    for start in range(0, 400, 10):
        publish(bus, 10, start)
        Lander(lake, bus, "ticks", LandingLimits(small_files=5)).run(NEVER, until_caught_up=True)
        assert RawTable(lake, "ticks", bus.identity("ticks")).small_files() <= 5
    assert len(offsets(lake)) == 400


@pytest.mark.parametrize(
    "value", [b"", b"junk", b"\xff\xfe", b'{"kind":"trade"}', b'{"kind":"trade","version":99}', b"[" * 9000]
)
def test_what_is_no_record_of_ours_lands_whole_with_its_problem(lake: Lake, bus: MemoryBus, value: bytes) -> None:
    with bus.producer() as producer:
        producer.publish("ticks", [(b"K", encode(trade(1))), (None, value), (b"\xff", encode(trade(2)))])
    landed: list[int] = []
    Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True, report=lambda done: landed.append(done.unreadable))
    assert sum(landed) == 1
    rows = lake.scan("raw_ticks").filter(pl.col("problem").is_not_null()).collect()
    assert rows.height == 1
    kept = rows.row(0, named=True)
    assert (b64decode(kept["value"]) if kept["encoding"] == "base64" else kept["value"].encode()) == value


def test_an_overlapping_batch_adds_only_what_is_missing(lake: Lake) -> None:
    table = RawTable(lake, "ticks", "log")
    assert table.land(landing_batch(SPEC, "log", messages(0, 10), {0: 0})) == 10
    assert table.land(landing_batch(SPEC, "log", messages(5, 10), {0: 5})) == 5
    assert table.land(landing_batch(SPEC, "log", messages(5, 10), {0: 5})) == 0
    assert table.landed([0, 1]) == {0: 15}
    assert offsets(lake) == [(0, n) for n in range(15)]


def test_a_hole_is_refused(lake: Lake) -> None:
    table = RawTable(lake, "ticks", "log")
    table.land(landing_batch(SPEC, "log", messages(0, 10), {0: 0}))
    with pytest.raises(TransactionError, match="landed up to offset 9, and the batch starts at 12"):
        table.land(landing_batch(SPEC, "log", messages(12, 3), {0: 12}))
    assert len(offsets(lake)) == 10


def test_other_content_at_a_landed_offset_is_an_error_not_a_skip(lake: Lake) -> None:
    table = RawTable(lake, "ticks", "log")
    table.land(landing_batch(SPEC, "log", messages(0, 10), {0: 0}))
    changed = [m._replace(value=encode(trade(99))) if m.offset == 7 else m for m in messages(5, 10)]
    with pytest.raises(TransactionError, match="other messages at offsets"):
        table.land(landing_batch(SPEC, "log", changed, {0: 5}))
    assert len(offsets(lake)) == 10


def test_a_topic_made_anew_starts_again_beside_the_old_rows(lake: Lake) -> None:
    for _ in range(2):
        bus = MemoryBus()
        bus.create(TOPICS["ticks"])
        publish(bus, 20)
        assert Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True) == 20
    assert lake.scan("raw_ticks").select(pl.col("topic_id").n_unique(), pl.len()).collect().row(0) == (2, 40)


class ShortMemory(MemoryBus):
    """Forgets the first messages of partition 0, as retention does."""

    def __init__(self, inner: MemoryBus, first: int) -> None:
        self.__dict__.update(inner.__dict__)
        self._first = first

    def ranges(self, topic: str):
        return {
            number: type(held)(min(self._first, held.next), held.next) for number, held in super().ranges(topic).items()
        }


def test_messages_lost_to_retention_stop_the_landing_unless_accepted(lake: Lake, bus: MemoryBus) -> None:
    publish(bus, 30)
    Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True)
    before = {number: held.next for number, held in bus.ranges("ticks").items()}
    publish(bus, 300, 30)
    short = ShortMemory(bus, 40)
    lost = sum(max(0, held.first - before[number]) for number, held in short.ranges("ticks").items())
    assert lost > 0
    with pytest.raises(BusError, match=r"removed messages before they were landed \(partition"):
        Lander(lake, short, "ticks").run(NEVER, until_caught_up=True)
    Lander(lake, short, "ticks", accept_loss=True).run(NEVER, until_caught_up=True)
    landed = set(offsets(lake))
    for number, held in short.ranges("ticks").items():
        assert {(number, offset) for offset in range(held.first, held.next)} <= landed
    assert len(landed) == 330 - lost


def test_two_landers_at_once_land_everything_once(tmp_path: Path, bus: MemoryBus) -> None:
    publish(bus, 3000)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            limits = LandingLimits(rows=100, poll=100, small_files=1000)
            Lander(Lake(tmp_path / "lake"), bus, "ticks", limits).run(NEVER, until_caught_up=True)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    found = offsets(Lake(tmp_path / "lake"))
    assert len(found) == len(set(found)) == 3000


@settings(max_examples=examples(25))
@given(cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=8))
def test_any_order_of_repeated_batches_lands_a_prefix_once(cuts: list[tuple[int, int]], tmp_path_factory) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    table = RawTable(lake, "ticks", "log")
    reached = 0
    for first, count in cuts:
        try:
            table.land(landing_batch(SPEC, "log", messages(first, count), {0: first}))
        except TransactionError:
            assert first > reached > 0
            continue
        reached = max(reached, first + count)
    if reached:
        held = [offset for _, offset in offsets(lake)]
        assert held == list(range(held[0], held[0] + len(held)))
        assert held[-1] == reached - 1


def test_landing_works_on_s3(bucket: str, s3_options: dict[str, str], bus: MemoryBus) -> None:
    lake = Lake(bucket, s3_options)
    publish(bus, 50)
    for _ in range(2):
        Lander(lake, bus, "ticks", LandingLimits(rows=20, small_files=2)).run(NEVER, until_caught_up=True)
    assert len(offsets(lake)) == 50


def test_a_landing_that_failed_is_done_again_whole(
    lake: Lake, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, day: Callable[..., object]
) -> None:
    """The commit lands and its answer is lost: the next start finds it and adds nothing."""
    from project01.lake import raw

    publish(bus, 40)
    true_commit = raw.commit_append

    def lost_answer(*arguments: object) -> int:
        true_commit(*arguments)  # type: ignore[arg-type]
        raise OSError("connection reset")

    with monkeypatch.context() as patched:
        patched.setattr(raw, "commit_append", lost_answer)
        with pytest.raises(Exception, match="connection reset"):
            Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True)
    assert Lander(lake, bus, "ticks").run(NEVER, until_caught_up=True) == 0
    assert len(offsets(lake)) == 40
