"""What Spark's executors and its driver do, without a Spark: rows, statistics, and where to begin."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.bus import MemoryBus, Message, PartitionRange, TopicSpec
from project01.domain import BusError, InputError, raw_table
from project01.lake import Lake, RawTable, landing_batch
from project01.lake.raw import RAW_PROPERTIES
from project01.lake.spark_files import KAFKA_COLUMNS, WriteTask, Written
from project01.lake.spark_landing import main
from project01.lake.spark_stream import TopicSink, land_topics

INDEXED = RAW_PROPERTIES["delta.dataSkippingStatsColumns"].split(",")
SPEC = raw_table("ticks")
GOOD = (
    b'{"kind":"trade","source":"s","source_id":"i","event_time":%d,"knowledge_time":9,"received_at":9,"licence":"own"}'
)

values = st.one_of(st.binary(max_size=20), st.integers(-(10**15), 4 * 10**15).map(lambda micros: GOOD % micros))
listed = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.binary(max_size=5), values, st.integers(0, 2 * 10**15)), max_size=30
)


def task(folder: Path, landed: dict[int, int]) -> WriteTask:
    folder.mkdir(exist_ok=True)
    return WriteTask("ticks", "log", str(folder), {}, landed, INDEXED)


def batch(messages: list[Message]) -> pa.RecordBatch:
    types = (pa.int32(), pa.int64(), pa.binary(), pa.binary(), pa.timestamp("us", "UTC"))
    columns = zip(*messages, strict=True) if messages else ((),) * 5
    arrays = [
        pa.array(column, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(column, kind)
        for column, kind in zip(columns, (*types[:2], types[2], types[3], types[4]), strict=True)
    ]
    return pa.record_batch(arrays, names=list(KAFKA_COLUMNS))


def numbered(pieces: list[tuple[int, bytes | None, bytes, int]]) -> list[Message]:
    following: dict[int, int] = {}
    made = []
    for partition, key, value, micros in pieces:
        offset = following.get(partition, 0)
        following[partition] = offset + 1
        made.append(Message(partition, offset, key, value, micros))
    return made


def written(found: list[pa.RecordBatch]) -> list[Written]:
    return [msgspec.json.decode(value, type=Written) for each in found for value in each["written"].to_pylist()]


@settings(max_examples=examples(60), deadline=None)
@given(pieces=listed, cut=st.integers(0, 30), landed=st.dictionaries(st.integers(0, 2), st.integers(0, 12)))
def test_a_task_writes_what_the_python_landing_would(
    tmp_path_factory: pytest.TempPathFactory, pieces: list, cut: int, landed: dict[int, int]
) -> None:
    folder, messages = tmp_path_factory.mktemp("table"), numbered(pieces)
    parts = iter([batch(messages[:cut]), batch(messages[cut:])])
    found = written(list(task(folder, landed)(parts)))
    if not messages:
        assert found == []
        return
    (done,) = found
    assert done.ends == {each.partition: each.offset + 1 for each in messages}
    fresh = [each for each in messages if each.offset >= landed.get(each.partition, 0)]
    assert done.rows == len(fresh)
    if not fresh:
        assert done.path is None
        assert list(folder.iterdir()) == []
        return
    expected = landing_batch(SPEC, "log", fresh, dict.fromkeys(range(3), 0))
    kept = pl.read_parquet(folder / str(done.path))
    assert kept.equals(expected.rows)
    assert done.unreadable == expected.unreadable
    assert done.size_bytes == (folder / str(done.path)).stat().st_size
    check_statistics(json.loads(done.stats), kept)


def check_statistics(stats: dict, kept: pl.DataFrame) -> None:
    """Bounds hold every value, and are no wider than the millisecond that Delta writes instants in."""
    assert stats["numRecords"] == kept.height
    for name in INDEXED:
        assert stats["nullCount"][name] == kept[name].null_count()
        if kept[name].null_count() == kept.height:
            assert name not in stats["minValues"]
            continue
        low, high, slack = stats["minValues"][name], stats["maxValues"][name], None
        if isinstance(kept.schema[name], pl.Datetime):
            low, high = (datetime.strptime(each, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) for each in (low, high))
            slack = timedelta(milliseconds=1)
        smallest, largest = kept[name].min(), kept[name].max()
        assert low <= smallest
        assert high >= largest
        assert (smallest - low < slack and high - largest < slack) if slack else (low, high) == (smallest, largest)


def test_a_tombstone_is_an_empty_message(tmp_path: Path) -> None:
    held = pa.record_batch(
        [pa.array([0], pa.int32()), pa.array([0], pa.int64()), pa.array([b"k"]), pa.array([None], pa.binary()),
         pa.array([7], pa.timestamp("us", "UTC"))],
        names=list(KAFKA_COLUMNS),
    )  # fmt: skip
    (done,) = written(list(task(tmp_path / "t", {})(iter([held]))))
    assert pl.read_parquet(tmp_path / "t" / str(done.path))["value"].to_list() == [""]


class Shifted(MemoryBus):
    """A bus that tells of other offsets than it holds, as after retention or a restore."""

    told = PartitionRange(0, 0)

    def ranges(self, topic: str) -> dict[int, PartitionRange]:
        return dict.fromkeys(super().ranges(topic), self.told)


@pytest.fixture
def shifted(lake: Lake) -> Shifted:
    bus = Shifted()
    bus.create(TopicSpec("ticks", partitions=1, retention_ms=-1))
    identity = bus.identity("ticks")
    messages = [Message(0, n, None, b"x", 1) for n in range(10)]
    RawTable(lake, "ticks", identity).land(landing_batch(SPEC, identity, messages, {0: 0}))
    return bus


def test_spark_begins_where_the_table_stands(lake: Lake, shifted: Shifted) -> None:
    shifted.told = PartitionRange(3, 20)
    assert TopicSink(lake, shifted, "ticks").start() == {0: 10}


def test_spark_does_not_begin_where_messages_are_gone(lake: Lake, shifted: Shifted) -> None:
    shifted.told = PartitionRange(12, 20)
    with pytest.raises(BusError, match="offsets 10 to 11 were removed"):
        TopicSink(lake, shifted, "ticks").start()
    shifted.told = PartitionRange(0, 8)
    with pytest.raises(BusError, match="table holds messages up to offset 9, the bus only up to 7"):
        TopicSink(lake, shifted, "ticks").start()


def test_a_topic_made_anew_is_not_taken_for_the_old_one(lake: Lake) -> None:
    bus = MemoryBus()
    bus.create(TopicSpec("ticks", partitions=1, retention_ms=-1))
    sink = TopicSink(lake, bus, "ticks")
    again = MemoryBus()
    again.create(TopicSpec("ticks", partitions=1, retention_ms=-1))
    sink._bus = again
    with pytest.raises(BusError, match="made anew"):
        sink.land(None)  # type: ignore[arg-type]  # it is refused before the batch is looked at


def test_only_kafka_can_be_read(lake: Lake) -> None:
    with pytest.raises(InputError, match="from Kafka only"):
        land_topics(None, MemoryBus(), lake, ["ticks"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--topics", "tics"], "There is no topic tics; choose among ticks"),
        (["--trigger", "often"], "--trigger is available-now or a number of seconds"),
        (["--trigger", "0"], "found '0'"),
        (["--bus", "bus.db"], "from Kafka only"),
        (["--jars", "."], "There are no jars in ."),
    ],
)
def test_what_cannot_work_is_said_before_spark_starts(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--bus", "kafka://127.0.0.1:1", "--lake", "lake", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
