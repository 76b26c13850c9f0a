"""What Spark costs: the feature table on `local[2]` beside the build in this process, and the stream from Kafka.

Run: python benchmarks/spark_features.py [symbols] [sessions] [seconds]

Batch, from Delta to Delta, on the same random walks: rows a second of `build_table` on two threads, of
`build_on_spark`, and of Spark with the same passes, shuffles and files but stand-ins in place of preparation and
kernels; the ratio of the two last is Spark's own share. Rows of both are compared bit for bit.
Stream, with 500 symbols and 9 features: events a second over a backlog; then, at one bar a symbol and second, the time
from publishing a bar to its features at the online store, p50 and p99. Needs Java, Maven and a free port for Kafka.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pyarrow as pa

from project01.bus import KafkaBus, TopicSpec, encode
from project01.domain import BARS, CORPORATE_ACTIONS, Bar, trading_calendar
from project01.etl import compared_names, feature_set
from project01.lake import Lake, written_file
from project01.pipelines import spark_features_tasks as tasks
from project01.pipelines.feature_build import FEATURES, build_table, features_spec
from project01.pipelines.features import selected
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_market
from project01.pipelines.spark_features import build_on_spark, feature_session
from project01.pipelines.spark_features_stream import SecondsJob, SparkStreamed, stream_on_spark
from project01.settings import FeatureSettings

sys.path.insert(0, str(Path(__file__).parents[1]))

# The launchers lie beside the benchmarks, not in the package.
from infra.kafka.broker import KafkaBroker

from infra import maven

STREAMED = tuple(feature.name for feature in feature_set("intraday"))[:9]
STREAM_SYMBOLS, BARS_A_BATCH = 500, 100_000


def make_lake(folder: Path, symbols: int, sessions: int) -> Lake:
    """A lake of random walks, written session by session in no order that helps."""
    random = np.random.default_rng(0)
    days = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2004).head(sessions)
    lake, parts = Lake(folder), []
    for number in range(symbols):
        close = 50.0 * np.exp(np.cumsum(random.normal(0, 0.015, days.height)))
        columns = {"open": close * 1.001, "high": close * 1.01, "low": close * 0.99, "close": close, "adj_close": close}
        columns["volume"] = random.lognormal(12, 0.6, days.height)
        parts.append(
            days.select("session", event_time="close_at", knowledge_time="close_at").with_columns(
                *(pl.Series(name, values) for name, values in columns.items()),
                symbol=pl.lit(f"S{number:04d}"), source=pl.lit("made"), interval=pl.lit("1d"), simulated=pl.lit(True),
                source_id=pl.format("{}-{}", pl.lit(number), pl.col("session")),
            )
        )  # fmt: skip
    whole = pl.concat(parts)
    for part in whole.iter_slices(whole.height // 4 + 1):
        lake.append(BARS, part)
    lake.append(CORPORATE_ACTIONS, pl.DataFrame(schema=pl.DataFrame(CORPORATE_ACTIONS.schema.empty_table()).schema))
    return lake


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def stand_ins(names: list[str]) -> dict[str, Any]:
    """Tasks that hand on what they got, in the shape that is asked for."""
    across = [f.name for f in feature_set("core") if f.kind == "cross_section" and f.name in names]
    compared = compared_names([f for f in feature_set("core") if f.name in across])
    unpacked, packed, place = tasks.unpacked, tasks.packed, tasks.PLACE

    def prepared(rows: pa.Table) -> pa.Table:
        found = unpacked(rows).sort("symbol", "session").with_columns(factor=pl.lit(1.0))
        return packed(found, pl.lit(rows.column(place)[0].as_py()))

    def means(rows: pa.Table) -> pa.Table:
        found = unpacked(rows).select("session", "knowledge_time", mean=pl.lit(0.0))
        return tasks._arrow(found.unique(["session", "knowledge_time"]))

    def given(rows: pa.Table, slices: int) -> pa.Table:
        value, block = pl.col("close").cast(pl.Float32), pl.lit(rows.column(place)[0].as_py(), pl.Int32)
        kept = (*(value.alias(name) for name in compared), block.alias("block"))
        return packed(unpacked(rows).select("symbol", "session", "knowledge_time", *kept), tasks._slice_of(slices))

    def sliced(rows: pa.Table) -> pa.Table:
        value = pl.col(compared[0])
        kept = (value.alias(name) for name in across)
        return packed(unpacked(rows).select("symbol", "session", *kept, "block"), pl.col("block"))

    def written(known: Any, rows: pa.Table) -> pa.Table:
        spec, value = features_spec(names), pl.col("close").cast(pl.Float32)
        found = unpacked(rows).with_columns(value.alias(name) for name in names).select(spec.schema.names)
        file = written_file(known.value.table, known.value.options, spec, [found], tasks.INDEXED)
        return tasks._written(file, found, {symbol: np.zeros(4000) for symbol in found["symbol"].unique()}, [])

    return {
        "prepare_task": lambda _: prepared, "means_task": means, "comparison_task": lambda _: sliced,
        "moves_task": lambda slices: lambda rows: packed(unpacked(rows).select(
            "symbol", "session", "knowledge_time", move="close"), tasks._slice_of(slices)),
        "compared_task": lambda _, __, slices: lambda rows: given(rows, slices),
        "write_task": lambda known, _: lambda rows: written(known, rows),
        "joined_write_task": lambda known, _: lambda rows, _: written(known, rows),
    }  # fmt: skip


def batch(folder: Path, symbols: int, sessions: int, session: Any) -> None:
    lake = make_lake(folder / "lake", symbols, sessions)
    done: dict[str, Any] = {}

    def here() -> None:
        market = read_market(lake, END_OF_TIME)
        chosen = [f for f in selected(FeatureSettings()) if f.name in done["features"]]
        build_table(lake, market, chosen, threads=2, full=True)

    def spark() -> None:
        done.update(build_on_spark(lake.url, session=session))

    timed(spark)  # workers started, kernels loaded
    on_spark, _ = timed(spark)
    rows = lake.scan(FEATURES).collect().sort("symbol", "session")
    timed(here)
    in_process, _ = timed(here)
    equal = rows.equals(lake.scan(FEATURES).collect().sort("symbol", "session"))
    with mock.patch.multiple(tasks, **stand_ins(done["features"])):
        alone, _ = timed(lambda: build_on_spark(Lake(folder / "lake").url, session=session))
    count, width = done["rows"], len(done["features"])
    show(f"{count} rows of {symbols} symbols, {width} features, from Delta to Delta, {done['blocks']} blocks")
    show(f"in this process, 2 threads   {in_process:7.2f} s   {count / in_process:10,.0f} rows/s")
    show(f"Spark, local[2]              {on_spark:7.2f} s   {count / on_spark:10,.0f} rows/s")
    show(f"Spark with stand-ins         {alone:7.2f} s   its own share {100 * alone / on_spark:.0f} %")
    show(f"ratio to this process        {on_spark / in_process:7.2f}     rows equal to the bit: {equal}")


def bar(symbol: int, second: int, now: int) -> tuple[bytes, bytes]:
    name, price = f"S{symbol:04d}", 50.0 + symbol % 7 + (second * (symbol + 3) % 11) / 100
    record = Bar(
        source="made", source_id=f"{name}-{second}", symbol=name, event_time=second * 1_000_000,
        knowledge_time=max(now, second * 1_000_000), received_at=now, licence="simulated", simulated=True,
        interval="1s", session="2024-03-05", open=price, high=price + 0.01, low=price - 0.01, close=price,
        volume=100.0, vwap=price, trades=3,
    )  # fmt: skip
    return name.encode(), encode(record)


def backlog(bus: KafkaBus, session: Any, folder: Path, seconds: int) -> None:
    first = int(datetime(2024, 3, 5, 14, 30, tzinfo=UTC).timestamp())
    bus.create(TopicSpec("backlog", partitions=2, retention_ms=-1))
    with bus.producer() as producer:
        for second in range(first, first + seconds):
            producer.publish("backlog", [bar(n, second, second * 1_000_000 + 200_000) for n in range(STREAM_SYMBOLS)])
        producer.flush()
    ends: list[tuple[float, SparkStreamed]] = []
    job = SecondsJob(names=STREAMED, topic="backlog")
    lake = Lake(folder / "backlog")
    with mock.patch("project01.pipelines.spark_features_stream.MESSAGES_A_BATCH", BARS_A_BATCH):
        stream_on_spark(
            session, bus.url, lake, str(folder / "notes"), job,
            report=lambda done: ends.append((time.perf_counter(), done)),
        )  # fmt: skip
    whole = [at for at, done in ends if done.symbols]
    rate = BARS_A_BATCH * (len(whole) - 2) / (whole[-2] - whole[0])
    show(f"stream over a backlog, {BARS_A_BATCH:,} bars a micro-batch: {rate:,.0f} events/s ({len(whole)} batches)")


def latency(bus: KafkaBus, session: Any, folder: Path, seconds: int) -> None:
    bus.create(TopicSpec("live", partitions=2, retention_ms=-1))
    stop, waits = threading.Event(), list[float]()

    def publish() -> None:
        with bus.producer() as producer:
            for _ in range(seconds + 20):
                time.sleep(1.0 - time.time() % 1.0)
                now = time.time_ns() // 1000
                producer.publish("live", [bar(n, now // 1_000_000, now) for n in range(STREAM_SYMBOLS)])
                producer.flush()
        stop.set()

    def push(rows: pl.DataFrame) -> None:
        now = time.time()
        waits.extend(now - rows["knowledge_time"].dt.epoch("us").to_numpy() / 1e6)

    job = SecondsJob(names=STREAMED, topic="live", every_s=0.1)
    publisher = threading.Thread(target=publish)
    publisher.start()
    stream_on_spark(session, bus.url, Lake(folder / "live"), str(folder / "live-notes"), job, push=push, stop=stop)
    publisher.join()
    settled = np.array(waits[len(waits) // 3 :])  # without the start
    p50, p99 = np.percentile(settled, [50, 99])
    show(f"stream of {STREAM_SYMBOLS} bars a second: published to pushed p50 {p50:.2f} s, p99 {p99:.2f} s")


def show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    symbols, sessions, seconds = (int(text) for text in (*sys.argv[1:4], *("200", "3500", "60")[len(sys.argv) - 1 :]))
    jars = ",".join(sorted(str(jar) for jar in maven.fetch_jars("spark").glob("*.jar")))
    conf = (
        "--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.sql.shuffle.partitions=2"
    )
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--driver-memory 2g --jars {jars} {conf} pyspark-shell"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = feature_session("local[2]")
        session.sparkContext.setLogLevel("ERROR")
        batch(folder, symbols, sessions, session)
        with KafkaBroker(folder / "kafka") as broker, closing(KafkaBus(broker.servers)) as bus:
            backlog(bus, session, folder, 6 * BARS_A_BATCH // STREAM_SYMBOLS)
            latency(bus, session, folder, seconds)
        session.stop()


if __name__ == "__main__":
    main()
