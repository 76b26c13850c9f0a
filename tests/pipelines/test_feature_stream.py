"""Ticks over the bus to features in the store and the lake: as the batch has them, also after a crash."""

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import numpy as np
import polars as pl
import pytest

from project01.bus import encode, key_of_record
from project01.domain import TICKS, Bar, InputError
from project01.etl import compare, compute_intraday, feature_set, second_rows
from project01.pipelines.feature_stream import SETTLE, TABLE, FeatureStream, stream_features
from project01.pipelines.place import Place
from project01.store import FeatureStore

FEATURES = feature_set("intraday")
# What bars of one second carry; the others need quotes or the side of each trade.
NAMES = [feature.name for feature in FEATURES]
START = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB", "CCC")


def bars(seconds: int, seed: int = 3) -> list[Bar]:
    """Bars of one second in the order of their arrival: gaps, disorder of up to four seconds, some far too late."""
    random = np.random.default_rng(seed)
    found = []
    for symbol in SYMBOLS:
        price = 50.0
        for second in range(seconds):
            price *= float(np.exp(random.normal(0, 2e-4)))
            if random.random() < 0.2:
                continue
            end = START + timedelta(seconds=second + 1)
            wait = 60.0 if random.random() < 0.01 else float(random.uniform(0.0, 3.0))
            found.append(
                Bar(
                    source="polygon", source_id=f"{symbol}-{second}", symbol=symbol, event_time=micro(end),
                    knowledge_time=micro(end) + int(wait * 1e6), received_at=micro(end) + int(wait * 1e6),
                    licence="simulated", simulated=True, interval="1s", session="2024-03-05",
                    open=price * 0.9999, high=price * 1.0002, low=price * 0.9998, close=price,
                    volume=float(random.integers(1, 500)), vwap=price, trades=int(random.integers(1, 9)),
                )
            )  # fmt: skip
    return sorted(found, key=lambda bar: bar.knowledge_time + int(random.integers(0, 1_000_000)))


def micro(instant: datetime) -> int:
    return int(instant.timestamp() * 1e6)


def publish(place: Place, found: list[Bar]) -> None:
    with place.bus() as bus, bus.producer() as producer:
        repeated = [bar for number, bar in enumerate(found) for _ in range(2 if number % 11 == 0 else 1)]
        producer.publish(TICKS, [(key_of_record(bar), encode(bar)) for bar in repeated])
        producer.publish(TICKS, [(b"AAA", b"{no message")])
        producer.flush()


def rows_of(found: list[Bar]) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    names = ("source", "symbol", "interval", "open", "high", "low", "close", "vwap", "volume", "trades")
    frame = pl.DataFrame([{name: getattr(bar, name) for name in names} for bar in found])
    times = {
        name: pl.Series([getattr(bar, name) for bar in found]).cast(instant)
        for name in ("event_time", "knowledge_time")
    }
    return frame.with_columns(**times)


def batch_of(found: list[Bar]) -> pl.DataFrame:
    return compute_intraday(second_rows(bars=rows_of(found)), FEATURES)


def final(batch: pl.DataFrame, found: list[Bar]) -> pl.DataFrame:
    """Rows that nothing can revise any more once all the bars are in."""
    in_time = rows_of(found).filter(pl.col("knowledge_time") - pl.col("event_time") <= timedelta(seconds=10))
    newest = in_time.group_by("symbol").agg(pl.col("knowledge_time").max().alias("newest"))
    return batch.join(newest, on="symbol").filter(pl.col("event_time") < pl.col("newest") - SETTLE).drop("newest")


def settled(place: Place) -> pl.DataFrame:
    return place.lake.scan(TABLE).collect().sort("symbol", "event_time")


def assert_equal(place: Place, found: list[Bar]) -> None:
    batch = batch_of(found)
    expected, got = final(batch, found), settled(place)
    differences = compare(expected, got, NAMES, ("symbol", "event_time"))
    assert [difference for difference in differences if difference.unequal] == []
    assert got.select("symbol", "event_time").is_duplicated().sum() == 0
    store = FeatureStore(place.memory / "feast", place.lake.url, table=TABLE, time_to_live=timedelta(0))
    served = store.online(list(SYMBOLS), NAMES).frame.sort("symbol")
    store.close()
    newest = batch.sort("event_time").unique("symbol", keep="last").sort("symbol")
    for name in NAMES:
        np.testing.assert_array_equal(served[name].to_numpy(), newest[name].to_numpy(), err_msg=name)


def test_online_and_settled_rows_equal_the_batch(tmp_path: Path) -> None:
    place, found = Place(tmp_path), bars(400)
    publish(place, found)
    figures = stream_features(place, Event(), follow=False)
    assert figures["lag"] == 0
    assert figures["seconds"] > len(found)  # the repeated ones are counted twice
    assert figures["late"] > 0
    assert_equal(place, found)
    assert np.isfinite(settled(place)["realised_vol_60s" if "realised_vol_60s" in NAMES else NAMES[0]].to_numpy()).any()
    again = stream_features(place, Event(), follow=False)
    assert again["messages"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_batch_leaves_the_same_rows(tmp_path: Path, seed: int) -> None:
    """Memory is taken back to an earlier time than lake and store, as a kill between their writes leaves it."""
    place, found = Place(tmp_path), bars(300, seed)
    publish(place, found)
    random = np.random.default_rng(seed)
    kept: bytes | None = None
    with place.bus() as bus:
        for _ in range(6):
            if kept is not None:
                (place.memory / "feature_stream.state").write_bytes(kept)
            store = FeatureStore(place.memory / "feast", place.lake.url, table=TABLE)
            job = FeatureStream(place, bus, store, FEATURES)
            start = {part: job._offsets.get(part, span.first) for part, span in bus.ranges(TICKS).items()}
            with bus.consumer(TICKS, start) as consumer:
                stop_at = int(random.integers(1, 5))
                for number in range(stop_at):
                    job.take(consumer.poll(int(random.integers(20, 150)), 0.1))
                    if number == stop_at // 2:
                        job.keep()
                        kept = (place.memory / "feature_stream.state").read_bytes()
            store.close()
    stream_features(place, Event(), follow=False)
    assert_equal(place, found)


JOB = """
import sys
from pathlib import Path
from threading import Event
from project01.pipelines import feature_stream
from project01.pipelines.place import Place
store = feature_stream.FeatureStore
place = Place(Path(sys.argv[1]))
features = feature_stream.intraday_features()
with place.bus() as bus:
    told = store(place.memory / "feast", place.lake.url, table="features_intraday")
    job = feature_stream.FeatureStream(place, bus, told, features)
    print("ready", flush=True)
    job.run(Event(), follow=False, max_messages=120, keep_s=0.05)
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_the_batch(tmp_path: Path) -> None:
    place, found = Place(tmp_path), bars(900)
    publish(place, found)
    random = np.random.default_rng(11)
    kills = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(float(random.uniform(0.0, 0.6)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
    assert kills >= 3
    stream_features(place, Event(), follow=False)
    assert_equal(place, found)


def test_memory_of_other_features_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    publish(place, bars(60))
    stream_features(place, Event(), follow=False, names=NAMES[:3])
    with pytest.raises(InputError, match="other features"):
        stream_features(place, Event(), follow=False, names=NAMES[:4])
    with pytest.raises(InputError, match="No intraday feature"):
        stream_features(place, Event(), follow=False, names=["nothing"])
    file = place.memory / "feature_stream.state"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged"):
        stream_features(place, Event(), follow=False, names=NAMES[:3])
