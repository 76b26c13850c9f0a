"""Spark's landing beside the Python one, on one table: real Kafka, real Spark, real kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from deltalake import DeltaTable
from tests.spark_session import spark, spark_environment, spark_jars  # noqa: F401 - fixtures

from project01.bus import KafkaBus, TopicSpec, encode
from project01.domain import Trade, TransactionError, raw_table
from project01.lake import Lake, Lander, LandingLimits
from project01.lake.landing import application
from project01.lake.spark_stream import land_topics
from project01.lake.spark_table import SparkTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
NEVER = threading.Event()
PARTITIONS = 3
Pair = tuple[bytes | None, bytes]

# What is no record of ours, or nearly one; each must become the row that the Python landing makes of it.
BROKEN: list[Pair] = [
    (b"K", b""),
    (None, b"junk"),
    (b"K", b"\xff\xfe\x00"),
    (b"\xff", b"{}"),
    (b"K", b"[" * 5000),
    (b"K", b'{"kind":"trade","version":99}'),
    (b"K", b'{"kind":5}'),
    (b"K", "{'kind': 'trade', 'source': 'ä\U0001f4c8\u2028'}".encode()),
]


def header(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "kind": "trade", "source": "s", "source_id": "i", "event_time": 1_700_000_000_000_001,
        "knowledge_time": 1_700_000_000_000_002, "received_at": 1_700_000_000_000_003, "licence": "own",
    }  # fmt: skip
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not ...}).encode()


NEARLY: list[Pair] = [
    (b"H", header(**changes))
    for changes in (
        {}, {"source": 5}, {"source": None}, {"symbol": 7}, {"symbol": None}, {"symbol": "ÄÖ\x00"}, {"licence": ...},
        {"event_time": 1.5}, {"event_time": 1.0}, {"event_time": "1"}, {"event_time": 10**17}, {"event_time": -5},
        {"event_time": 2**70}, {"simulated": True}, {"simulated": "true"}, {"simulated": 1}, {"version": 0},
        {"version": 2}, {"version": None}, {"unknown": {"deep": [1, {"kind": "quote"}]}}, {"kind": "nothing of ours"},
    )
] + [
    (b"H", header() + b" x"),
    (b"H", b"\xef\xbb\xbf" + header()),
    (b"H", header().replace(b'"s"', b'"\\ud800"')),
    (b"H", header().replace(b'"s"', b'"\xff"')),
    (b"H", header().replace(b'"kind"', b'"kind":"quote","kind"', 1)),
    (b"H", header().replace(b"1700000000000001", b"17e14")),
]  # fmt: skip


def trades(first: int, count: int) -> list[Pair]:
    return [
        (f"S{n % 11}".encode(), encode(Trade(
            source="test", source_id=f"t{n}", event_time=1_700_000_000_000_000 + n,
            knowledge_time=1_700_000_000_000_005 + n, received_at=1_700_000_000_000_009 + n, licence="own",
            symbol=f"S{n % 11}", price=10.0 + n, size=100.0, raw=msgspec.Raw(b'{"p":1}'),
        )))
        for n in range(first, first + count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bus(kafka_servers: str) -> Iterator[KafkaBus]:
    with closing(KafkaBus(kafka_servers)) as made:
        yield made


@pytest.fixture
def topic(bus: KafkaBus) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    bus.create(TopicSpec(name, partitions=PARTITIONS, retention_ms=-1))
    return name


@pytest.fixture
def publish(bus: KafkaBus, topic: str) -> Callable[[Sequence[Pair]], None]:
    def send(pairs: Sequence[Pair]) -> None:
        with bus.producer() as producer:
            producer.publish(topic, pairs)

    return send


@pytest.fixture
def spark_lands(spark: "SparkSession", bus: KafkaBus, topic: str) -> Callable[..., int]:  # noqa: F811
    def land(lake: Lake, **options: object) -> int:
        landed: list[int] = []
        land_topics(
            spark, bus, lake, [topic], report=lambda _, done: landed.append(done.rows), **options  # type: ignore[arg-type]
        )  # fmt: skip
        return sum(landed)

    return land


def python_lands(lake: Lake, bus: KafkaBus, topic: str) -> int:
    return Lander(lake, bus, topic).run(NEVER, until_caught_up=True)


def rows(lake: Lake, topic: str) -> pl.DataFrame:
    return lake.scan(raw_table(topic).name).collect().sort("partition", "offset")


def check(lake: Lake, bus: KafkaBus, topic: str, alone: Path) -> None:
    """Every message of the bus once, and all columns as the Python landing alone makes them."""
    found, held = rows(lake, topic), bus.ranges(topic)
    expected = [(number, offset) for number in sorted(held) for offset in range(held[number].first, held[number].next)]
    counted = Counter(found.select("partition", "offset").iter_rows())
    assert not set(expected) - set(counted), "lost"
    assert max(counted.values(), default=0) <= 1, "doubled"
    assert list(counted) == expected
    other = Lake(alone)
    python_lands(other, bus, topic)
    assert found.equals(rows(other, topic))


def messages_from(spark: "SparkSession", bus: KafkaBus, topic: str, start: dict[int, int]) -> "DataFrame":  # noqa: F811
    """What a micro-batch that begins at `start` holds."""
    reader = spark.read.format("kafka").option("kafka.bootstrap.servers", bus.url.removeprefix("kafka://"))
    return reader.option("subscribe", topic).option("startingOffsets", json.dumps({topic: start})).load()


def test_both_take_turns_on_one_table(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int], lake: Lake, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    for turn in range(4):
        sent = trades(turn * 200, 200) + BROKEN + NEARLY
        publish(sent)
        # The third turn has notes of Spark's that are older than the table.
        landed = python_lands(lake, bus, topic) if turn % 2 else spark_lands(lake, checkpoint=str(notes))
        assert landed == len(sent)
    assert python_lands(lake, bus, topic) == 0
    assert spark_lands(lake) == 0
    check(lake, bus, topic, tmp_path / "alone")


def test_a_table_that_spark_made_is_as_one_that_python_made(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int], lake: Lake, tmp_path: Path
) -> None:
    publish(trades(0, 50))
    spark_lands(lake)
    python_lands(Lake(tmp_path / "alone"), bus, topic)
    name, identity = raw_table(topic).name, bus.identity(topic)
    ours, theirs = (DeltaTable(str(root / name)) for root in (tmp_path / "lake", tmp_path / "alone"))
    assert ours.schema() == theirs.schema()
    assert ours.metadata().configuration == theirs.metadata().configuration
    applications = [application(topic, identity, number) for number in range(PARTITIONS)]
    recorded = [ours.transaction_version(each) for each in applications]
    assert recorded == [theirs.transaction_version(each) for each in applications]
    assert recorded == [bus.ranges(topic)[number].next or None for number in range(PARTITIONS)]


def test_spark_s_own_delta_knows_what_we_landed_and_we_what_it_did(
    spark: "SparkSession",  # noqa: F811
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int],
    lake: Lake, tmp_path: Path,
) -> None:  # fmt: skip
    publish(trades(0, 100))
    spark_lands(lake)
    table, identity = str(tmp_path / "lake" / raw_table(topic).name), bus.identity(topic)
    theirs = spark.read.format("delta").load(table)
    assert theirs.count() == 100
    assert {each.source_id for each in theirs.collect()} == {f"t{n}" for n in range(100)}
    publish(trades(100, 100))
    other = Lake(tmp_path / "alone")
    python_lands(other, bus, topic)
    whole = spark.read.format("delta").load(str(tmp_path / "alone" / raw_table(topic).name))
    before = DeltaTable(table)
    for number, held in bus.ranges(topic).items():
        app = application(topic, identity, number)
        landed = before.transaction_version(app) or 0
        part = whole.filter(whole["partition"] == number)
        for version, piece in ((landed, part), (held.next, part.filter(part["offset"] >= landed))):
            writer = piece.write.format("delta").mode("append").option("txnAppId", app)
            writer.option("txnVersion", version).save(table)
    assert spark_lands(lake) == 0
    assert python_lands(lake, bus, topic) == 0
    check(lake, bus, topic, tmp_path / "again")


def test_a_deleted_checkpoint_loses_and_doubles_nothing(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int], lake: Lake, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    publish(trades(0, 100))
    assert spark_lands(lake, checkpoint=str(notes)) == 100
    assert list(notes.iterdir())
    shutil.rmtree(notes)
    publish(trades(100, 100))
    assert spark_lands(lake, checkpoint=str(notes)) == 100
    check(lake, bus, topic, tmp_path / "alone")


def test_a_batch_that_overlaps_adds_what_is_missing_and_one_that_leaves_a_hole_is_refused(
    spark: "SparkSession",  # noqa: F811
    bus: KafkaBus, topic: str, publish: Callable[..., None], lake: Lake, tmp_path: Path,
) -> None:  # fmt: skip
    publish(trades(0, 300))
    python_lands(lake, bus, topic)
    publish(trades(300, 60))
    table, begin = SparkTable(lake, topic, bus.identity(topic)), dict.fromkeys(range(PARTITIONS), 0)
    everything = messages_from(spark, bus, topic, begin)
    assert table.land(everything, begin).rows == 60
    assert table.land(everything, begin).rows == 0
    check(lake, bus, topic, tmp_path / "alone")
    publish(trades(360, 60))
    ahead = {number: held.next - 5 for number, held in bus.ranges(topic).items()}
    with pytest.raises(TransactionError, match="Landing it would lose the messages between"):
        table.land(messages_from(spark, bus, topic, ahead), ahead)
    assert rows(lake, topic).height == 360


class Overtaken(SparkTable):
    """Spark has looked at the table and written its files when another writer lands the same messages."""

    other: Callable[[], object]
    attempts = 0

    def _written(self, batch: "DataFrame", landed: object) -> list:  # type: ignore[type-arg]
        found = super()._written(batch, landed)  # type: ignore[arg-type]
        self.attempts += 1
        if self.attempts == 1:
            self.other()
        return found


def test_a_writer_that_comes_between_look_and_commit_is_seen(
    spark: "SparkSession",  # noqa: F811
    bus: KafkaBus, topic: str, publish: Callable[..., None], lake: Lake, tmp_path: Path,
) -> None:  # fmt: skip
    begin = dict.fromkeys(range(PARTITIONS), 0)
    publish(trades(0, 100))
    table = Overtaken(lake, topic, bus.identity(topic))
    table.other = lambda: Lander(lake, bus, topic, LandingLimits(rows=40, poll=40)).run(NEVER, until_caught_up=True)
    batch = messages_from(spark, bus, topic, begin)
    assert table.land(batch, begin).rows == 0
    assert table.attempts == 2
    check(lake, bus, topic, tmp_path / "alone")


def test_both_at_once(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int], lake: Lake, tmp_path: Path
) -> None:
    stop = threading.Event()
    total = [0, 0]

    def follow() -> None:
        total[0] = Lander(lake, bus, topic, LandingLimits(age_s=0.2)).run(stop)

    def stream() -> None:
        total[1] = spark_lands(lake, every_s=0.1, stop=stop)

    publish(trades(0, 10))
    python_lands(lake, bus, topic)
    threads = [threading.Thread(target=follow), threading.Thread(target=stream)]
    for each in threads:
        each.start()
    for first in range(10, 4010, 100):
        publish(trades(first, 100))
    deadline = time.monotonic() + 60
    while rows(lake, topic).height < 4010 and time.monotonic() < deadline:
        time.sleep(0.2)
    stop.set()
    for each in threads:
        each.join(60)
        assert not each.is_alive()
    assert sum(total) == 4000
    check(lake, bus, topic, tmp_path / "alone")


def test_both_on_s3(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int],
    bucket: str, s3_options: dict[str, str], tmp_path: Path,
) -> None:  # fmt: skip
    lake = Lake(bucket, storage_options=s3_options)
    publish(trades(0, 100))
    assert spark_lands(lake) == 100
    publish(trades(100, 50))
    assert python_lands(lake, bus, topic) == 50
    publish(trades(150, 50) + BROKEN)
    assert spark_lands(lake) == 50 + len(BROKEN)
    check(lake, bus, topic, tmp_path / "alone")


# The process kills itself, and Spark with it, at a named moment of its first micro-batches.
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from deltalake import DeltaTable
from project01.bus import TOPICS, TopicSpec
from project01.lake import spark_landing, spark_stream

moment, topic, table = sys.argv[1], sys.argv[2], Path(sys.argv[3])
TOPICS[topic] = TopicSpec(topic, partitions=3, retention_ms=-1)
die = lambda *_, **__: os.killpg(0, signal.SIGKILL)
commit, land, batches = DeltaTable.create_write_transaction, spark_stream.TopicSink.land, []

def after(*arguments, **options):
    commit(*arguments, **options)
    die()

def third(sink, batch):
    batches.append(batch)
    return die() if len(batches) == 3 else land(sink, batch)

def watch():
    known = set(table.glob("*.parquet"))
    while set(table.glob("*.parquet")) == known:
        time.sleep(0.001)
    die()

if moment == "a file is being written":
    threading.Thread(target=watch, daemon=True).start()
elif moment == "files are written, nothing is committed":
    DeltaTable.create_write_transaction = die
elif moment == "the table has the batch, Spark's notes do not":
    DeltaTable.create_write_transaction = after
else:
    spark_stream.MESSAGES_A_BATCH = 60
    spark_stream.TopicSink.land = third
sys.exit(spark_landing.main(sys.argv[4:]))
"""
MOMENTS = (
    "a file is being written",
    "files are written, nothing is committed",
    "the table has the batch, Spark's notes do not",
    "two batches are done, the third begins",
)


def test_kill_9_at_any_moment_loses_and_doubles_nothing(
    bus: KafkaBus, topic: str, publish: Callable[..., None], spark_lands: Callable[..., int], lake: Lake,
    spark_jars: Path, tmp_path: Path,  # noqa: F811
) -> None:  # fmt: skip
    table, notes = tmp_path / "lake" / raw_table(topic).name, str(tmp_path / "notes")
    options = ["--bus", bus.url, "--lake", str(tmp_path / "lake"), "--topics", topic, "--jars", str(spark_jars)]
    landed = []
    for turn, moment in enumerate(MOMENTS):
        publish(trades(turn * 200, 200))
        command = [sys.executable, "-c", KILLED, moment, topic, str(table), *options, "--checkpoint", notes]
        with (
            (tmp_path / f"{turn}.log").open("w") as log,
            subprocess.Popen(
                command, env=os.environ | spark_environment(), stdout=log, stderr=log, start_new_session=True
            ) as job,
        ):
            ended = job.wait(120)
        assert ended == -signal.SIGKILL, (tmp_path / f"{turn}.log").read_text()
        landed.append(rows(lake, topic).height)
    # The third process found what the first two had left, committed it and died before Spark noted it.
    assert landed[:3] == [0, 0, 600]
    assert 600 < landed[3] < 800
    assert spark_lands(lake, checkpoint=notes) == 800 - landed[3]
    check(lake, bus, topic, tmp_path / "alone")
