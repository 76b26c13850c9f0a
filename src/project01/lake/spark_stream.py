"""The landing loop on Spark: one streaming query a topic, each started where its table stands."""

import json
import logging
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING

from project01.bus import Bus, java_settings
from project01.domain import BusError, InputError, Project01Error
from project01.lake.lake import Lake
from project01.lake.lander import LandingLimits
from project01.lake.raw import RawTable
from project01.lake.spark_table import SparkLanded, SparkTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

_LOG = logging.getLogger(__name__)
# A micro-batch is one commit: large enough for few files, small enough that a retry is cheap.
MESSAGES_A_BATCH = 1_000_000
_LOOK_S = 1

Report = Callable[[str, SparkLanded], None]


class TopicSink:
    """What the streaming query of one topic calls with each micro-batch.

    Args:
        lake: where to.
        bus: where from; asked for offsets and identity, the messages come through Spark.
        topic: the topic's name.
        report: told of each batch.
    """

    def __init__(self, lake: Lake, bus: Bus, topic: str, report: Report = lambda *_: None) -> None:
        self._bus, self.topic, self._report = bus, topic, report
        self._topic_id = bus.identity(topic)
        self._table, self._raw = SparkTable(lake, topic, self._topic_id), RawTable(lake, topic, self._topic_id)
        self._positions: dict[int, int] = {}
        self._batches = 0
        self.error: BaseException | None = None

    def start(self) -> dict[int, int]:
        """By partition, where to begin: the table alone says it, whatever checkpoints Spark has kept.

        Raises:
            BusError: messages were removed before they landed, or the bus holds fewer than have landed.
        """
        held = self._bus.ranges(self.topic)
        landed = self._raw.landed(list(held))
        self._positions = {number: landed.get(number, span.first) for number, span in held.items()}
        for number, begin in self._positions.items():
            if begin < held[number].first:
                raise BusError(
                    f"Topic {self.topic}, partition {number}: offsets {begin} to {held[number].first - 1} were removed "
                    f"from the bus before they landed. Fetch them again from their source. To go on without them, run "
                    f"`project01 land --topics {self.topic} --accept-loss` once, then start Spark again."
                )
            if begin > held[number].next:
                raise BusError(
                    f"Topic {self.topic}, partition {number}: the table holds messages up to offset {begin - 1}, the "
                    f"bus only up to {held[number].next - 1}. Messages that were acknowledged are gone from the bus; "
                    f"restore it, or make the topic anew so that it gets another identity."
                )
        return dict(self._positions)

    def __call__(self, batch: "DataFrame", number: int) -> None:
        """Land one micro-batch; ``foreachBatch``."""
        try:
            self.land(batch)
        except BaseException as error:
            # Spark passes on its text only.
            self.error = error
            raise
        _LOG.debug("batch %d of topic %s landed", number, self.topic)

    def land(self, batch: "DataFrame") -> SparkLanded:
        """Land rows of Spark's Kafka source that begin where the last call ended.

        Raises:
            BusError: the topic was made anew, so its offsets mean other messages now.
            TransactionError: messages before the batch are missing.
            LakeError: the storage failed.
        """
        if self._bus.identity(self.topic) != self._topic_id:
            raise BusError(
                f"Topic {self.topic} was deleted and made anew while it was landed. Start the landing again: it "
                f"begins with the first message of the new topic."
            )
        # Partitions that were added since begin at 0; Spark refuses any other beginning.
        positions = {each: self._positions.get(each, 0) for each in self._bus.ranges(self.topic)}
        done = self._table.land(batch, positions)
        self._positions = {**positions, **done.ends}
        self._batches += 1
        if done.ends:
            self._report(self.topic, done)
        if self._batches % LandingLimits().small_files == 0:
            self.tend()
        return done

    def tend(self) -> None:
        """Join small files where many have gathered."""
        if self._raw.small_files() >= LandingLimits().small_files:
            self._raw.compact()


def land_topics(
    session: "SparkSession",
    bus: Bus,
    lake: Lake,
    topics: Sequence[str],
    *,
    every_s: float | None = None,
    checkpoint: str | None = None,
    stop: Event | None = None,
    report: Report = lambda *_: None,
) -> None:
    """Land topics: all that is there now, or until `stop` is set.

    Args:
        session: Spark, with its Kafka source.
        bus: a Kafka bus.
        lake: where to.
        topics: names.
        every_s: look for messages every so many seconds; None lands what is there now and returns.
        checkpoint: folder for Spark's notes on this run; nothing is read from earlier runs. Default: a temporary one.
        stop: ends the landing.
        report: told of each batch.

    Raises:
        InputError: the bus is none of Kafka's, or Spark lacks its Kafka source.
        BusError: a topic cannot be read. What was committed stays; the next start goes on from there.
        LakeError: a table cannot be written.
    """
    settings = java_settings(bus.url)
    sinks = [TopicSink(lake, bus, topic, report) for topic in topics]
    with ExitStack() as stack:
        base = checkpoint or stack.enter_context(tempfile.TemporaryDirectory(prefix="project01-spark-"))
        queries = []
        for sink in sinks:
            query = _started(session, settings, sink, every_s, f"{base}/{sink.topic}-{uuid.uuid4()}")
            stack.callback(query.stop)
            queries.append((sink, query))
        _wait(queries, stop or Event())
        for sink in sinks:
            sink.tend()


def _started(
    session: "SparkSession", settings: Mapping[str, object], sink: TopicSink, every_s: float | None, notes: str
) -> "StreamingQuery":
    from pyspark.errors import AnalysisException

    reader = session.readStream.format("kafka").option("subscribe", sink.topic)
    for name, value in settings.items():
        reader = reader.option(f"kafka.{name}", str(value))
    reader = reader.option("startingOffsets", json.dumps({sink.topic: sink.start()}))
    reader = reader.option("failOnDataLoss", "true").option("maxOffsetsPerTrigger", MESSAGES_A_BATCH)
    try:
        writer = reader.load().writeStream.foreachBatch(sink).option("checkpointLocation", notes)
        writer = (
            writer.trigger(availableNow=True)
            if every_s is None
            else writer.trigger(processingTime=f"{round(every_s * 1000)} milliseconds")
        )
        return writer.start()
    except AnalysisException as error:
        if "kafka" not in str(error).lower():
            raise
        raise InputError(
            "This Spark has no Kafka source. Fetch the jars with `make spark-jars` and pass --jars .cache/spark-jars, "
            "or start with spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0."
        ) from error


def _wait(queries: "Sequence[tuple[TopicSink, StreamingQuery]]", stop: Event) -> None:
    from pyspark.errors import StreamingQueryException

    left = list(queries)
    while left and not stop.is_set():
        for sink, query in list(left):
            try:
                if query.awaitTermination(_LOOK_S):
                    left.remove((sink, query))
            except StreamingQueryException as error:
                raise _told(sink, error) from sink.error or error


def _told(sink: TopicSink, error: Exception) -> Project01Error:
    if isinstance(sink.error, Project01Error):
        return sink.error
    lines = [line.strip() for line in str(sink.error or error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("at ", "...", "File "))]
    return BusError(
        f"Spark gave up landing topic {sink.topic}: {said[-1] if said else type(error).__name__}. Nothing of the batch "
        f"in hand was committed. Start again, it goes on where the table stands; if it fails again, read Spark's log."
    )
