"""Features of seconds on Spark Structured Streaming: Kafka in, Delta and the online store out.

Executors decode messages, make seconds of them and hold each symbol's stream as bytes in Spark's state store. Which
rows count is decided by each row's own two times, as everywhere here, and not by Spark's watermark: that one follows
what happened to have arrived, so a replay or a slow partition would lose rows that the batch has. Final rows are merged
into the lake by key and time, so nothing is lost or doubled whatever is done again after a crash.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from project01.bus import java_settings
from project01.domain import TICKS, Bar, BusError, InputError, Project01Error
from project01.etl import Feature, SecondFolder, ShippedFeatures, packed_rows, second_rows
from project01.etl import shipped as shipped_features
from project01.lake import Lake, MergeCounts
from project01.pipelines.feature_stream import DISORDER, SETTLE, intraday_spec
from project01.pipelines.second_bars import bars_frame, intraday_features, second_bar, trading_day

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Push = Callable[[pl.DataFrame], None]
Report = Callable[["SparkStreamed"], None]
PACKED = "symbol string, rows binary"
FOLDED = "symbol string, settled binary, newest binary"
# A micro-batch is read again from its start after a crash, and its final rows pass through the driver.
MESSAGES_A_BATCH = 200_000
# Seconds that a micro-batch is given to end when the stream is stopped: less than a cluster waits before it kills.
END_S = 20.0
_STATE = {
    "spark.sql.streaming.stateStore.providerClass":
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    # A batch then keeps what it changed; whole states follow in the background.
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}  # fmt: skip


@dataclass(frozen=True)
class SparkStreamed:
    """What became of a micro-batch.

    Attributes:
        number: of the batch, from 0 in a checkpoint.
        symbols: how many had rows in it.
        settled: final rows of features, not counting those that the lake held.
        newest: event time of the newest second seen; None without rows.
    """

    number: int
    symbols: int
    settled: int
    newest: Any


@dataclass(frozen=True)
class PackTask:
    """Kafka's messages to packed seconds; handed to executors by ``mapInArrow``.

    Attributes:
        source: whose bars are taken; None: there is one source only.
    """

    source: str | None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `PACKED`; each batch has a column ``value``."""
        for batch in batches:
            bars = [bar for value in batch.column("value").to_pylist() if (bar := self._bar(value)) is not None]
            if bars:
                found = list(packed_rows(second_rows(bars=bars_frame(bars))))
                symbols, rows = zip(*found, strict=True) if found else ((), ())
                yield pa.RecordBatch.from_pydict(
                    {"symbol": pa.array(symbols, pa.string()), "rows": pa.array(rows, pa.binary())}
                )

    def _bar(self, value: bytes | None) -> Bar | None:
        bar = second_bar(value or b"")
        return bar if bar is not None and self.source in {None, bar.source} else None


def _processor(chosen: ShippedFeatures, disorder: timedelta, settle: timedelta) -> Any:
    """What Spark calls with the rows of one symbol in one micro-batch."""
    import pandas
    from pyspark.sql.streaming.stateful_processor import StatefulProcessor

    class Seconds(StatefulProcessor):
        """Holds the state of each symbol as bytes."""

        def init(self, handle: Any) -> None:
            self._state = handle.getValueState("seconds", "content binary")
            self._folder = SecondFolder(chosen.load(), disorder, settle)

        def handleInputRows(self, key: Any, rows: Any, timerValues: Any) -> Iterator[Any]:  # noqa: N802, N803, ARG002
            symbol = str(key[0])
            kept = self._state.get()
            batches = [bytes(each) for frame in rows for each in frame["rows"]]
            done = self._folder.fold(symbol, None if kept is None else bytes(kept[0]), batches)
            self._state.update((done.state,))
            yield pandas.DataFrame({"symbol": [symbol], "settled": [done.settled], "newest": [done.newest]})

        def close(self) -> None:
            """Nothing is held open."""

    return Seconds()


class StreamSink:
    """What the query calls with each micro-batch: final rows to the lake, newest rows to the online store.

    Args:
        lake: where the table `features_intraday` lies.
        features: the table's columns.
        push: told the newest row of each symbol; None: nobody.
        report: told of each batch.
    """

    def __init__(self, lake: Lake, features: Sequence[Feature], push: Push | None, report: Report) -> None:
        self._lake, self._push, self._report = lake, push, report
        self._spec = intraday_spec([feature.name for feature in features])
        self._folder = SecondFolder(features, DISORDER, SETTLE)
        self.error: BaseException | None = None

    def __call__(self, batch: "DataFrame", number: int) -> None:
        """Take one micro-batch; ``foreachBatch``. Done again, it changes nothing."""
        try:
            self._take(pl.DataFrame(batch.toArrow()), number)
        except BaseException as error:
            # Spark passes on its text only.
            self.error = error
            raise

    def _take(self, rows: pl.DataFrame, number: int) -> None:
        settled, newest = self._frame(rows, "settled"), self._frame(rows, "newest")
        merged = self._lake.merge(self._spec, settled) if settled.height else MergeCounts()
        added = merged.inserted + merged.revised
        if self._push is not None and newest.height:
            self._push(newest)
        self._report(SparkStreamed(number, rows.height, added, newest["event_time"].max()))

    def _frame(self, rows: pl.DataFrame, name: str) -> pl.DataFrame:
        parts = [self._folder.frame(symbol, packed) for symbol, packed in rows.select("symbol", name).iter_rows()]
        whole = pl.concat(parts) if parts else self._folder.frame("", b"")
        return whole.with_columns(session=trading_day()).select(self._spec.schema.names)


@dataclass(frozen=True, kw_only=True)
class SecondsJob:
    """What a stream computes, and of what.

    Attributes:
        names: features of the intraday set, or of the files; all of both if none are named.
        files: Python files with features of the user's own.
        source: whose bars are taken; None: there is one source only.
        topic: where the bars are.
        every_s: look for messages every so many seconds; None takes what is there now and ends.
    """

    names: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    source: str | None = None
    topic: str = TICKS
    every_s: float | None = None

    def features(self) -> tuple[Feature, ...]:
        """The features named.

        Raises:
            InputError: one is unknown, or a file cannot be used.
        """
        return intraday_features(self.names, self.files)


def stream_on_spark(
    session: "SparkSession",
    bus_url: str,
    lake: Lake,
    checkpoint: str,
    job: SecondsJob,
    *,
    push: Push | None = None,
    stop: Event | None = None,
    report: Report = lambda _: None,
) -> None:
    """Compute features of one-second bars: all that is there now, or until `stop` is set.

    Args:
        session: Spark, with its Kafka source.
        bus_url: ``kafka://host:port``.
        lake: where the table `features_intraday` lies.
        checkpoint: folder of Spark's offsets and states, for these features alone; a start with the same one goes on
            where the last ended, a start with a new one begins with the oldest message and adds what the table lacks.
        job: what is computed.
        push: told the newest row of each symbol after each batch, for an online store; rows may come again.
        stop: ends the stream.
        report: told of each batch.
    Raises:
        InputError: the bus is none of Kafka's, Spark lacks its Kafka source, or a feature is unknown.
        BusError: Spark gave up; the next start goes on from the checkpoint.
        LakeError: the table cannot be written.
    """
    features = job.features()  # what is unknown is said before Kafka is asked
    packed = _messages(session, bus_url, job.topic).select("value").mapInArrow(PackTask(job.source), PACKED)
    sink = StreamSink(lake, features, push, report)
    fold_on_spark(session, packed, sink, checkpoint, job, stop or Event())


def fold_on_spark(
    session: "SparkSession", packed: "DataFrame", sink: StreamSink, checkpoint: str, job: SecondsJob, stop: Event
) -> None:
    """Fold packed seconds, from wherever they stream, into the states of their symbols and hand on what comes out.

    Args:
        session: Spark.
        packed: a streaming frame of `PACKED`.
        sink: called with each micro-batch.
        checkpoint: as in `stream_on_spark`.
        job: what is computed.
        stop: ends the stream.
    Raises:
        InputError: a feature is unknown.
        BusError, LakeError: as in `stream_on_spark`.
    """
    for name, value in _STATE.items():
        session.conf.set(name, value)
    features = job.features()
    folded = packed.groupBy("symbol").transformWithStateInPandas(
        _processor(shipped_features(features, job.files), DISORDER, SETTLE), FOLDED, "Update", "None"
    )
    writer = folded.writeStream.foreachBatch(sink).outputMode("update").option("checkpointLocation", checkpoint)
    writer = (
        writer.trigger(availableNow=True)
        if job.every_s is None
        else writer.trigger(processingTime=f"{round(job.every_s * 1000)} milliseconds")
    )
    query = writer.start()
    try:
        _wait(query, sink, stop)
    finally:
        query.stop()


def _messages(session: "SparkSession", bus_url: str, topic: str) -> "DataFrame":
    from pyspark.errors import AnalysisException

    reader = session.readStream.format("kafka").option("subscribe", topic)
    for name, value in java_settings(bus_url).items():
        reader = reader.option(f"kafka.{name}", str(value))
    reader = reader.option("startingOffsets", "earliest").option("failOnDataLoss", "true")
    try:
        return reader.option("maxOffsetsPerTrigger", MESSAGES_A_BATCH).load()
    except AnalysisException as error:
        raise InputError(
            "This Spark has no Kafka source. Fetch the jars with `make spark-jars` and pass --jars .cache/spark-jars, "
            "or start with spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0."
        ) from error


def _wait(query: Any, sink: StreamSink, stop: Event) -> None:
    from pyspark.errors import StreamingQueryException

    try:
        while not stop.is_set() and not query.awaitTermination(1):
            pass
        _end_batch(query)
    except StreamingQueryException as error:
        if isinstance(sink.error, Project01Error):
            raise sink.error from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise BusError(
            f"Spark gave up the stream of features: {lines[-1] if lines else type(error).__name__}. Start again with "
            f"the same checkpoint, it goes on from there; if it fails again, read Spark's log."
        ) from error


def _end_batch(query: Any) -> None:
    """Let the micro-batch in hand end, so that it is not done again and its workers find their states until then."""

    def done() -> int:
        progress = query.lastProgress
        return -1 if progress is None else int(progress["batchId"])

    before, until = done(), time.monotonic() + END_S
    while query.isActive and query.status["isTriggerActive"] and done() == before and time.monotonic() < until:
        time.sleep(0.01)
    query.awaitTermination(0.001)  # says why, if it failed
