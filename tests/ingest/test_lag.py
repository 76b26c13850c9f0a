"""The bus stands still while the feed runs on: all is kept, the lag rises, the alert comes, and both go again."""

import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.toy_vendor import ToyClient, ToyStandIn
from tests.effort import examples

from project01.bus import TOPICS, Bus, Producer, SqliteBus, decode
from project01.domain import TICKS, FixedClock
from project01.ingest import IngestState, LagWatch, Publisher, Query, StreamLag
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.transport import Backlog, Waiting
from project01.pipelines import known_lags

NORMAL_PER_SECOND = 500
QUERY = Query(dataset="prints", symbols=("TOY",))
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
# What listening holds in memory, what the reader may have been handed of it, and the pages decoded from it.
MOST_IN_MEMORY = 2 * 10_000 + 2 * 256 + 2


class StallingProducer:
    """A producer of a real bus whose flush waits for leave."""

    def __init__(self, producer: Producer, leave: Event) -> None:
        self._producer, self._leave = producer, leave

    def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        self._producer.publish(topic, messages)

    def flush(self) -> int:
        assert self._leave.wait(120.0)
        return self._producer.flush()

    def close(self) -> None:
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close()


class StallingBus:
    """A real bus, apart from its producers."""

    def __init__(self, bus: Bus, leave: Event) -> None:
        self._bus, self._leave = bus, leave

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def producer(self) -> Producer:
        return StallingProducer(self._bus.producer(), self._leave)


class Running:
    """A stream of the toy vendor onto a bus that publishes nothing before `leave` is set, watched over."""

    def __init__(self, vendor: ToyStandIn, bus: Bus, folder: Path, limit_s: float) -> None:
        self.vendor, self.bus, self.state = vendor, bus, IngestState(folder / "state.sqlite")
        self.leave, self.stop = Event(), Event()
        # The feed ends while much still waits, and its silence is no disconnect.
        self._limit_s, self._connection = limit_s, replace(vendor.connection(folder), idle_timeout_s=3_600.0)
        self._thread = Thread(target=self._run, name="stream under test")
        self.failed: BaseException | None = None

    def _run(self) -> None:
        clock, backlog = self._connection.clock, self._connection.backlog
        client = ToyClient(self._connection)
        try:
            publisher = Publisher(StallingBus(self.bus, self.leave), self.state, clock)
            with LagWatch(self.state, backlog, clock, "toy", QUERY, limit_s=self._limit_s, every_s=0.1):
                publisher.stream(client, "toy", QUERY, self.stop, backlog=backlog)
        except BaseException as error:
            self.failed = error
        finally:
            client.close()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.leave.set()
        self.stop.set()
        self._thread.join(120.0)
        assert not self._thread.is_alive()
        assert self.failed is None

    @property
    def lag(self) -> StreamLag:
        """The newest kept; nothing waits before the first."""
        none = StreamLag(source="toy", dataset="", symbols="", events=0, on_disk=0, age_s=0.0, measured_at=NOON)
        return next(iter(self.state.lags()), none)

    def published(self) -> list[str]:
        """Ids of the records on the bus, in order."""
        found = []
        start = {partition: span.first for partition, span in self.bus.ranges(TICKS).items()}
        with self.bus.consumer(TICKS, start) as consumer:
            while messages := consumer.poll(10_000, 0.2):
                found += [decode(message.value).source_id for message in messages]
        return found


@contextmanager
def running(folder: Path, *faults: Fault, count: int, per_second: float, limit_s: float) -> Iterator[Running]:
    bus = SqliteBus(folder / "bus.sqlite")
    try:
        for spec in TOPICS.values():
            bus.create(spec)
        with ToyStandIn(FaultScript(*faults), count=count, per_second=per_second) as vendor:
            stream = Running(vendor, bus, folder, limit_s)
            stream.start()
            try:
                yield stream
            finally:
                stream.end()
    finally:
        bus.close()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("stall_s", "speed", "limit_s"),
    [(1.6, 20, 0.8), pytest.param(60.0, 10, 30.0, marks=pytest.mark.slow)],
    ids=["short", "a minute at ten times the usual"],
)
def test_a_stalled_bus_loses_nothing_and_the_alert_comes_and_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stall_s: float, speed: float, limit_s: float
) -> None:
    per_second = NORMAL_PER_SECOND * speed
    count = int(stall_s * per_second)
    with running(tmp_path, count=count, per_second=per_second, limit_s=limit_s) as stream:
        began = time.monotonic()
        samples = [stream.lag]
        while time.monotonic() - began < stall_s:
            samples.append(stream.lag)
            time.sleep(0.05)
        # The vendor was never held up: what it sent was received, whoever is slow.
        wait_for(lambda: stream.lag.events == count and stream.lag.age_s > limit_s, 30.0 + stall_s)
        stalled = stream.lag
        ages = [sample.age_s for sample in samples]
        assert ages == sorted(ages), "the lag only rises while nothing is published"
        assert stalled.age_s >= max(ages)
        assert max(ages) > 0
        assert stalled.on_disk >= count - MOST_IN_MEMORY
        assert stalled.on_disk > 0
        (row,) = known_lags(stream.state, limit_s)
        assert "behind, limit" in row["wrong"]
        assert caplog.text.count("lag over its limit") == 1
        assert "again" not in caplog.text

        stream.leave.set()
        wait_for(lambda: stream.lag.events == 0, 60.0 + count / 1_000)
        wait_for(lambda: "within its limit again" in caplog.text, 5.0)
        assert (stream.lag.age_s, stream.lag.on_disk) == (0.0, 0)
        assert [each["wrong"] for each in known_lags(stream.state, limit_s)] == [""]
        stream.end()
        sent = list(stream.vendor.sent)
        assert stream.published() == sent, "nothing dropped, nothing twice, nothing out of order"
    assert len(sent) == count
    assert stream.state.gaps() == [], "the vendor cut us off"
    assert stream.state.lags() == []
    told = [record.getMessage() for record in caplog.records if record.name == "project01.ingest.lag"]
    assert [line.split(":")[0] for line in told] == ["lag over its limit", "lag within its limit again"]
    assert re.search(r"source='toy' dataset=prints symbols='TOY' age_s=[\d.]+ events=\d+ on_disk=\d+ limit_s=", told[0])


def test_a_slow_trickle_is_seen_too(tmp_path: Path) -> None:
    """Few events never leave the memory of the pages that were decoded; their age counts all the same."""
    with running(tmp_path, count=5, per_second=50, limit_s=0.3) as stream:
        wait_for(lambda: stream.lag.age_s > 0.5, 10.0)
        assert (stream.lag.events, stream.lag.on_disk) == (5, 0)
        stream.leave.set()
        wait_for(lambda: stream.lag.events == 0, 10.0)


def test_a_reconnect_while_the_bus_stalls_keeps_the_lag(tmp_path: Path) -> None:
    """The queue outlives the connection, and so does what waits in it."""
    fault = Fault("close_1006", after=40, where="stream")
    with running(tmp_path, fault, count=200, per_second=200, limit_s=0.5) as stream:
        wait_for(lambda: stream.vendor.finished and stream.lag.age_s > 0.8, 20.0)
        assert stream.lag.events > 40
        stream.leave.set()
        wait_for(lambda: stream.lag.events == 0 and set(stream.vendor.sent) <= set(stream.published()), 20.0)
        assert [known.gap.filled for known in stream.state.gaps()] == [True]


class Standing:
    """A watch whose clock and backlog the test moves, one measurement at a time."""

    def __init__(self, folder: Path, limit_s: float) -> None:
        self.state, self.waiting, self.at = IngestState(folder / "state.sqlite"), Waiting(), NOON
        backlog = Backlog()
        self._counting = backlog.counting(lambda: self.waiting)
        self._counting.__enter__()
        self.watch = LagWatch(self.state, backlog, self, "toy", QUERY, limit_s=limit_s)

    def now(self) -> datetime:
        return self.at

    def see(self, age_s: float, events: int = 1) -> None:
        self.at += timedelta(seconds=1)
        self.waiting = Waiting(events, 0, int((self.at.timestamp() - age_s) * 1_000_000))
        lag = self.watch._measured()
        self.watch._keep(lag)
        self.watch._tell(lag)


@settings(max_examples=examples(25))
@given(ages=st.lists(st.floats(0, 100), max_size=40), limit_s=st.floats(1, 50))
def test_alerts_begin_and_end_in_turn(
    ages: list[float], limit_s: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    standing, lines = Standing(tmp_path_factory.mktemp("lag"), limit_s), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("project01.ingest.lag")
    logger.addHandler(handler)
    try:
        over, expected = False, []
        for age_s in ages:
            standing.see(age_s)
            # As kept, to the millisecond.
            (kept,) = standing.state.lags()
            assert kept.age_s == pytest.approx(age_s, abs=0.002)
            if not over and kept.age_s > limit_s:
                over = True
                expected.append("lag over its limit")
            elif over and kept.age_s <= limit_s / 2:
                over = False
                expected.append("lag within its limit again")
    finally:
        logger.removeHandler(handler)
    assert [line.split(":")[0] for line in lines] == expected


def test_a_state_that_cannot_be_written_is_said_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    standing = Standing(tmp_path, 10.0)
    standing.see(1.0)
    (tmp_path / "state.sqlite").write_bytes(b"spoilt by somebody, and no database any more" * 100)
    standing.see(11.0)
    standing.see(12.0)
    assert caplog.text.count("its lag cannot be kept") == 1
    assert caplog.text.count("lag over its limit") == 1, "the alert does not need the state"
    (tmp_path / "state.sqlite").unlink()
    standing.state = IngestState(tmp_path / "state.sqlite")
    standing.see(13.0)
    assert [lag.age_s for lag in standing.state.lags()] == [13.0]


def test_a_row_of_a_process_that_died_is_an_alert(tmp_path: Path) -> None:
    standing = Standing(tmp_path, 30.0)
    standing.see(1.0)
    for after_s, wrong in ((29, ""), (90, "not measured for 90 s, limit 30 s: its process died or hangs")):
        clock = FixedClock(standing.at + timedelta(seconds=after_s))
        assert [row["wrong"] for row in known_lags(standing.state, 30.0, clock)] == [wrong]


def test_a_folder_of_an_older_version_gains_the_table(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    IngestState(path)
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE lags")
    file.close()
    assert IngestState(path).lags() == []
