"""Speed, latency and memory from the vendor's frames to rows in the lake, beside the bare limits in the same run.

Each step runs in a process of its own, so that its peak memory is its own. Needs the extras `vendors` and `kafka`; the
steps with a broker need Java 17 and Maven and are left out, saying so, where they are missing.

Run: python benchmarks/ingest.py [--messages 1000000] [--only NAME ...] [--seconds 20]
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from infra.kafka import broker as kafka  # the launcher lies beside the benchmarks, not in the package

from project01.bus import TOPICS, Bus, apply, difference, encode, key_of_record, open_bus
from project01.domain import Bar
from project01.ingest.stand_ins.polygon_market import simulated_frames
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendors.polygon_checks import bar_is_sound
from project01.ingest.vendors.polygon_decode import PolygonDecoder, parse_frame
from project01.ingest.vendors.polygon_origin import Origin
from project01.lake import Curator, Lake, Lander

NOW_MS = 1_700_000_000_000
A_CALL, LATENCY_RATE = 1_000, 5_000
Figures = dict[str, float | str]


def frames(events: int) -> list[bytes]:
    """Frames of the socket: second bars of 500 symbols, one frame a second."""
    names = [f"S{number:03}" for number in range(500)]
    seconds = simulated_frames(names, seed=7, start_ms=NOW_MS, seconds=int(events / 500 / 0.8) + 1)
    return [msgspec.json.encode([event for event in second if event["ev"] == "A"]) for second in seconds]


def messages(count: int) -> list[tuple[bytes, bytes]]:
    """Key and value of second bars as they travel on the bus, about 450 bytes each."""
    raw = msgspec.Raw(b'{"ev":"A","sym":"S000","v":4110,"av":9470157,"op":0.4372,"vw":0.4488,"o":0.4488,"c":0.4486,'
                      b'"h":0.4489,"l":0.4486,"a":0.4352,"z":685,"s":1610144640000,"e":1610144641000}')  # fmt: skip
    made = []
    for number in range(count):
        symbol, micros = f"S{number % 500:03}", NOW_MS * 1000 + number // 500 * 1_000_000
        bar = Bar(
            source="polygon", source_id=f"{symbol}:1s:{micros}", event_time=micros, knowledge_time=micros,
            received_at=micros, licence="simulated", simulated=True, symbol=symbol, interval="1s",
            session="2023-11-14", open=10.0, high=10.5, low=9.5, close=10.0 + number % 7, volume=float(number % 900),
            vwap=10.1, raw=raw,
        )  # fmt: skip
        made.append((symbol.encode(), encode(bar)))
    return made


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of all threads' CPU."""
    gc.collect()
    gc.freeze()
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def rate(name: str, count: int, work: Callable[[], object]) -> Figures:
    seconds, cpu = timed(work)
    return {f"{name}, messages/s": count / seconds, f"{name}, messages/s of CPU": count / cpu}


def decoding(count: int) -> Figures:
    """Frames to checked values, to records, to messages, beside msgspec reading the same frames untyped; CPU time."""
    sent = frames(min(count, 100_000))
    events = sum(len(msgspec.json.decode(frame)) for frame in sent)
    now = int(time.time() * 1_000_000)
    decoder = PolygonDecoder(Origin("polygon", False, SymbolMap.default()))
    if sum(len(decoder.frame("aggregates", frame, now).records) for frame in sent) != events:
        raise SystemExit("not every event was accepted")
    steps: dict[str, Callable[[bytes], object]] = {
        "bare msgspec, untyped": msgspec.json.decode,
        "decode + validate": lambda f: [e for e, _ in parse_frame(f) if bar_is_sound(e, e.s, e.e, now)],
        "decode + validate to records with raw": lambda f: decoder.frame("aggregates", f, now),
        "decode + validate to bus messages": lambda f: [
            (key_of_record(r), encode(r)) for r in decoder.frame("aggregates", f, now).records
        ],
    }
    found: Figures = {f"{name}, events/s": events / fastest(step, sent) for name, step in steps.items()}
    found["ratio of decode + validate to bare"] = float(found["decode + validate, events/s"]) / float(
        found["bare msgspec, untyped, events/s"]
    )
    return found


def fastest(step: Callable[[bytes], object], sent: list[bytes], repeats: int = 5) -> float:
    """CPU seconds of the best of several rounds over all frames."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.process_time()
        for frame in sent:
            step(frame)
        best = min(best, time.process_time() - begun)
    return best


def produce(bus: Bus, made: list[tuple[bytes, bytes]]) -> None:
    with bus.producer() as producer:
        for start in range(0, len(made), A_CALL):
            producer.publish("ticks", made[start : start + A_CALL])
        producer.flush()


def consume(bus: Bus, count: int) -> None:
    start = {number: held.first for number, held in bus.ranges("ticks").items()}
    with bus.consumer("ticks", start) as consumer:
        while count > 0:
            count -= len(consumer.poll(A_CALL, 5.0))


def land(bus: Bus, lake: Lake) -> None:
    Lander(lake, bus, "ticks").run(threading.Event(), until_caught_up=True)


def published(bus: Bus, count: int, what: str) -> Figures:
    made = messages(count)
    return rate(f"{what} produce", count, lambda: produce(bus, made))


def through(bus: Bus, count: int, folder: Path, what: str) -> Figures:
    """Produce, consume, land and curate on one bus."""
    apply(bus, difference(bus, TOPICS.values()))
    found = published(bus, count, what)
    found |= rate(f"{what} consume", count, lambda: consume(bus, count))
    lake = Lake(folder / "lake")
    found |= rate(f"{what} to Delta", count, lambda: land(bus, lake))
    rows = lake.scan("raw_ticks").select(pl.len()).collect().item()
    if rows != count:
        raise SystemExit(f"{count} messages were published, {rows} landed")
    found |= rate("raw to curated", count, lambda: list(Curator(lake).run("ticks")))
    found["data files of the raw table"] = float(len(list((folder / "lake" / "raw_ticks").glob("*.parquet"))))
    return found


def landing_memory(bus: Bus, folder: Path) -> Figures:
    """Peak memory of a process that lands what another one published."""
    land(bus, Lake(folder / "lake"))
    return {"landing a million messages, peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def bare_kafka(count: int, servers: str) -> Figures:
    """confluent-kafka alone with the same settings of durability, in batches and one by one."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    made = messages(count)

    def publish() -> None:
        producer = Producer(
            {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}
        )
        for key, value in made:
            while True:
                try:
                    producer.produce("ticks", value, key)
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.flush()

    def read(batch: int) -> None:
        consumer = Consumer({"bootstrap.servers": servers, "group.id": "bare", "enable.auto.commit": False})
        consumer.assign([TopicPartition("ticks", number, 0) for number in range(TOPICS["ticks"].partitions)])
        left = count
        while left > 0:
            left -= len(consumer.consume(batch, 5.0)) if batch > 1 else consumer.poll(5.0) is not None
        consumer.close()

    found = rate("bare confluent-kafka produce", count, publish)
    found |= rate("bare confluent-kafka consume in batches", count, lambda: read(A_CALL))
    return found | rate("bare confluent-kafka consume one by one", count, lambda: read(1))


def latency(bus: Bus, folder: Path, seconds: float) -> Figures:
    """From publication to a row that a query finds, at 5,000 messages/s; landing runs in a process of its own."""
    apply(bus, difference(bus, TOPICS.values()))
    program = str(Path(sys.executable).with_name("project01"))
    command = [program, "land", "--bus", bus.url, "--topics", "ticks", "--follow", "--seconds", str(seconds + 15)]
    command += ["--out", str(folder), "--json"]
    lake, waits = Lake(folder / "lake"), []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as lander:
        seen: dict[int, int] = {}
        producer = bus.producer()
        made = messages(LATENCY_RATE)
        time.sleep(5)  # until the landing process has started
        started, second = time.monotonic(), 0
        stop = started + seconds

        def publish() -> None:
            nonlocal second
            while time.monotonic() < stop:
                for part in range(10):
                    producer.publish("ticks", made[part * 500 : (part + 1) * 500])
                    producer.flush()
                    time.sleep(max(0.0, started + second + (part + 1) / 10 - time.monotonic()))
                second += 1

        feeder = threading.Thread(target=publish)
        feeder.start()
        while feeder.is_alive() or time.monotonic() < stop + 4:
            waits += _newly_visible(lake, seen)
            time.sleep(0.05)
        lander.terminate()
    producer.close()
    waits.sort()
    return {
        "latency p50, s": waits[len(waits) // 2],
        "latency p99, s": waits[int(len(waits) * 0.99)],
        "latency worst, s": waits[-1],
        "messages seen": float(len(waits)),
        "messages sent": float(second * LATENCY_RATE),
    }


def _newly_visible(lake: Lake, seen: dict[int, int]) -> list[float]:
    """Seconds from publication to now of the rows that a query finds now and did not before."""
    if not lake.exists("raw_ticks"):
        return []
    later = pl.lit(value=True)
    for partition, offset in seen.items():
        later = later & ((pl.col("partition") != partition) | (pl.col("offset") > offset))
    rows = lake.scan("raw_ticks").filter(later).select("partition", "offset", "published_at").collect()
    now = datetime.now(UTC)
    seen |= dict(rows.group_by("partition").agg(pl.col("offset").max()).iter_rows())
    return [(now - published).total_seconds() for published in rows["published_at"]]


STEPS = ("decoding", "sqlite", "kafka", "memory", "latency_sqlite", "latency_kafka")


def run_step(step: str, count: int, folder: Path, seconds: float) -> Figures:
    if step == "decoding":
        return decoding(count)
    if not step.endswith("sqlite") and (missing := kafka.missing_tools()):
        return {f"{step} left out": missing}
    with ExitStack() as stack:
        address = str(folder / "bus.sqlite")
        if not step.endswith("sqlite"):
            address = f"kafka://{stack.enter_context(kafka.KafkaBroker(folder / 'broker')).servers}"
        bus = stack.enter_context(closing(open_bus(address)))
        what = "SQLite" if step.endswith("sqlite") else "Kafka"
        if step.startswith("latency"):
            return {f"{what} {name}": value for name, value in latency(bus, folder, seconds).items()}
        if step == "memory":
            return memory_apart(bus, count, folder)
        found = through(bus, count, folder, what)
        return found if what == "SQLite" else found | bare_kafka_anew(bus, address.removeprefix("kafka://"), count)


def bare_kafka_anew(bus: Bus, servers: str, count: int) -> Figures:
    """The bare client on a topic of its own broker's leftovers would read twice as much; so the topic is made anew."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.delete_topics(["ticks"]).values():
        done.result()
    deadline = time.monotonic() + 30
    while "ticks" in bus.topics() and time.monotonic() < deadline:
        time.sleep(0.1)
    apply(bus, difference(bus, TOPICS.values()))
    return bare_kafka(count, servers)


def memory_apart(bus: Bus, count: int, folder: Path) -> Figures:
    apply(bus, difference(bus, TOPICS.values()))
    produce(bus, messages(count))
    command = [sys.executable, __file__, "--step", "land_only", "--folder", str(folder), "--bus", bus.url]
    done = subprocess.run([*command, "--messages", str(count)], capture_output=True, text=True, check=True)
    return {str(name): value for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", default=STEPS, choices=STEPS)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each latency run")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bus", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step == "land_only":
        bus = open_bus(asked.bus)
        print(json.dumps(landing_memory(bus, asked.folder)))
        bus.close()
        return
    if asked.step:
        print(json.dumps(run_step(asked.step, asked.messages, asked.folder, asked.seconds)))
        return
    for step in asked.only:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--step", step, "--folder", folder, "--seconds", str(asked.seconds)]
            done = subprocess.run(
                [*command, "--messages", str(asked.messages)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                raise SystemExit(f"step {step} failed")
            print(f"\n{step}")
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                print(f"  {name:<55} {value if isinstance(value, str) else f'{value:,.2f}':>16}")


if __name__ == "__main__":
    main()
