"""Features of seconds on Spark Structured Streaming: equal to the batch, also when its driver is killed."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.pipelines.test_feature_stream import bars, final, rows_of
from tests.spark_session import spark_environment, spark_jars  # noqa: F401 - a fixture

from project01.bus import KafkaBus, TopicSpec, encode, key_of_record
from project01.domain import Bar, InputError
from project01.etl import SecondFolder, compute_intraday, feature_set, packed_rows, second_rows
from project01.lake import Lake
from project01.pipelines.feature_stream import DISORDER, SETTLE, TABLE
from project01.pipelines.spark_features_stream import SecondsJob
from project01.store import FeatureStore

EVERY = {feature.name: feature for feature in feature_set("intraday")}
CHOSEN = tuple(EVERY.values())[:9]
JOB = Path(__file__).parents[2] / "infra" / "spark" / "stream_features.py"


def batch_of(found: list[Bar]) -> pl.DataFrame:
    return compute_intraday(second_rows(bars=rows_of(found)), CHOSEN)


def same(expected: pl.DataFrame, got: pl.DataFrame) -> None:
    """Keys, and every value to the bit."""
    names = [feature.name for feature in CHOSEN]
    columns = ["symbol", "event_time", "knowledge_time", *names]
    left, right = (frame.select(columns).sort("symbol", "event_time") for frame in (expected, got))
    assert left.select(columns[:3]).equals(right.select(columns[:3]))
    for name in names:
        one, other = left[name].to_numpy(), right[name].to_numpy()
        np.testing.assert_array_equal(one, other, err_msg=name)


def with_corrections(found: list[Bar]) -> list[Bar]:
    """A tenth is corrected up to 5 s after it became known, all out of order within four seconds."""
    chance, every = random.Random(5), list(found)
    for bar in chance.sample(found, len(found) // 10):
        later = bar.knowledge_time + chance.randrange(1, 5_000_000)
        every.append(msgspec.structs.replace(bar, close=bar.close * 1.001, knowledge_time=later))
    return sorted(every, key=lambda bar: bar.knowledge_time + chance.randrange(4_000_000))


FOUND = with_corrections(bars(200))


def folded(parts: Sequence[list[Bar]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Final rows, and the newest of each symbol, of bars that come in parts."""
    folder = SecondFolder(CHOSEN, DISORDER, SETTLE)
    states: dict[str, bytes] = {}
    settled, newest = [], {}
    for part in parts:
        for symbol, packed in packed_rows(second_rows(bars=rows_of(part))):
            done = folder.fold(symbol, states.get(symbol), [packed])
            states[symbol] = done.state
            settled.append(folder.frame(symbol, done.settled))
            newest[symbol] = folder.frame(symbol, done.newest)
    return pl.concat(settled), pl.concat(newest.values())


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=12))
def test_any_cut_folds_to_the_batch_to_the_bit(sizes: list[int]) -> None:
    cuts = np.minimum(np.cumsum([0, *sizes]), len(FOUND)).tolist()
    ends = [*cuts[1:], len(FOUND)]
    settled, newest = folded([FOUND[first:last] for first, last in zip(cuts, ends, strict=True) if last > first])
    batch = batch_of(FOUND)
    same(final(batch, FOUND), settled)
    same(batch.sort("event_time").unique("symbol", keep="last"), newest)


def test_a_correction_counts_though_an_earlier_second_was_known_after_it() -> None:
    def second(end: int, known: float, close: float) -> Bar:
        first = next(bar for bar in bars(1) if bar.symbol == "BBB")
        times = {"event_time": first.event_time + end * 10**6, "knowledge_time": first.event_time + int(known * 1e6)}
        return msgspec.structs.replace(first, open=close, close=close, **times)

    told = [second(0, 0.5, 50.0), second(1, 9.5, 50.5), second(2, 3.0, 51.0)]
    corrected = [second(2, 6.0, 52.0), second(3, 9.9, 53.0), second(60, 60.0, 54.0)]
    settled, _ = folded([told, corrected])
    same(batch_of([*told, *corrected]).head(4), settled)
    np.testing.assert_allclose(settled.sort("event_time")["return_since_open"][2], 52 / 50 - 1, rtol=1e-6)


def test_a_damaged_state_is_told() -> None:
    folder = SecondFolder(CHOSEN, DISORDER, SETTLE)
    state = folder.fold("AAA", None, []).state
    for damaged in (b"\xc1", state[:-9], state[:9] + b"\xff" + state[10:]):
        with pytest.raises(InputError, match=r"is damaged"):
            folder.fold("AAA", damaged, [])


def test_unknown_features_are_told() -> None:
    with pytest.raises(InputError, match="No intraday feature is called weather"):
        SecondsJob(names=("weather",)).features()


class Stream:
    """The job under the real spark-submit, in a process group of its own."""

    def __init__(self, folder: Path, jars: Path, bus: KafkaBus, topic: str) -> None:
        self.folder, self.lake = folder, Lake(folder / "lake")
        names = sorted(str(jar) for jar in jars.glob("*.jar"))
        submit = Path(sys.executable).with_name("spark-submit")
        self.command = [
            str(submit), "--master", "local[2]", "--driver-memory", "1g", "--jars", ",".join(names),
            "--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2", str(JOB),
            "--bus", bus.url, "--lake", self.lake.url, "--topic", topic, "--feast", str(folder / "feast"),
            "--names", ",".join(feature.name for feature in CHOSEN),
        ]  # fmt: skip
        self.turn = 0

    def start(self, *options: str, notes: str = "notes") -> "subprocess.Popen[bytes]":
        self.turn += 1
        environment = os.environ | {name: value for name, value in spark_environment().items() if "ARGS" not in name}
        with self.log().open("w") as log:
            return subprocess.Popen(
                [*self.command, "--checkpoint", str(self.folder / notes), *options],
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def log(self) -> Path:
        return self.folder / f"{self.turn}.log"

    def wait_for_batch(self, job: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 180
        while not re.search(r"^batch \d+: ", self.log().read_text(), re.MULTILINE):
            assert job.poll() is None, self.log().read_text()[-3000:]
            assert time.monotonic() < deadline, self.log().read_text()[-3000:]
            time.sleep(0.1)

    def kill(self, job: "subprocess.Popen[bytes]") -> None:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait(30)

    def finish(self, *, notes: str = "notes") -> None:
        job = self.start(notes=notes)
        assert job.wait(300) == 0, self.log().read_text()[-3000:]

    def rows(self) -> pl.DataFrame:
        return self.lake.scan(TABLE).collect()


def publish(bus: KafkaBus, topic: str, found: Sequence[Bar]) -> None:
    with bus.producer() as producer:
        producer.publish(topic, [(key_of_record(bar), encode(bar)) for bar in found] + [(b"AAA", b"{no message")])
        producer.flush()


@pytest.mark.slow
def test_kill_9_of_the_driver_leaves_the_features_of_the_batch(
    kafka_servers: str, spark_jars: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    found, topic = bars(400, seed=8), f"ticks-{uuid.uuid4().hex[:8]}"
    chance = random.Random(uuid.uuid4().int)
    with closing(KafkaBus(kafka_servers)) as bus:
        bus.create(TopicSpec(topic, partitions=2, retention_ms=-1))
        stream, size = Stream(tmp_path, spark_jars, bus, topic), len(found) // 8
        for turn in range(3):
            publish(bus, topic, found[2 * turn * size : (2 * turn + 1) * size])
            job = stream.start("--trigger", "0.2")
            try:
                stream.wait_for_batch(job)
                publish(bus, topic, found[(2 * turn + 1) * size : (2 * turn + 2) * size])
                time.sleep(chance.uniform(0.0, 4.0))
                assert job.poll() is None, stream.log().read_text()[-3000:]
            finally:
                stream.kill(job)
        publish(bus, topic, found[6 * size :])
        stream.finish()
        batch = batch_of(found)
        assert final(batch, found).height > 800
        same(final(batch, found), stream.rows())
        with closing(
            FeatureStore(tmp_path / "feast", stream.lake.url, table=TABLE, time_to_live=timedelta(0))
        ) as store:
            online = store.look_up(("AAA", "BBB", "CCC"), [CHOSEN[0].name])
        newest = batch.sort("event_time").unique("symbol", keep="last").sort("symbol")
        assert online.sort("symbol")["event_time"].to_list() == newest["event_time"].to_list()
        np.testing.assert_array_equal(
            online.sort("symbol")["value"].fill_null(np.nan).to_numpy(), newest[CHOSEN[0].name].to_numpy()
        )
        # A lost checkpoint: all is computed again, and the table has it already.
        shutil.rmtree(tmp_path / "notes")
        before = stream.lake.version(TABLE)
        stream.finish(notes="new")
        same(final(batch, found), stream.rows())
        assert stream.lake.version(TABLE) == before


@pytest.mark.slow
def test_a_stream_told_to_stop_ends_the_batch_in_hand(
    kafka_servers: str, spark_jars: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    found, topic = bars(4_000, seed=9), f"ticks-{uuid.uuid4().hex[:8]}"
    with closing(KafkaBus(kafka_servers)) as bus:
        bus.create(TopicSpec(topic, partitions=2, retention_ms=-1))
        stream = Stream(tmp_path, spark_jars, bus, topic)
        publish(bus, topic, found[:100])
        job = stream.start("--trigger", "0.2")
        try:
            stream.wait_for_batch(job)
            publish(bus, topic, found[100:])
            notes = tmp_path / "notes"
            while not (notes / "offsets" / "1").exists():
                assert job.poll() is None, stream.log().read_text()[-3000:]
                time.sleep(0.02)
            driver = next(
                process for process in psutil.Process(job.pid).children(recursive=True) if str(JOB) in process.cmdline()
            )
            driver.send_signal(signal.SIGTERM)
            assert job.wait(60) == 0, stream.log().read_text()[-3000:]
        finally:
            if job.poll() is None:
                stream.kill(job)
        begun, ended = ({file.name for file in (notes / kind).glob("[0-9]*")} for kind in ("offsets", "commits"))
        assert begun == ended, "a batch was left half done"
        assert not re.search("ERROR|StackOverflow|Traceback", stream.log().read_text())
