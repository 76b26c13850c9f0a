"""A reader that stands still while the feed runs on: nothing dropped, memory bounded, the rest on disk."""

import contextlib
import os
import threading
import time
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.ingest.transport.conftest import MakeConnection
from tests.ingest.transport.test_listen import over_socket, patient, vendor

from project01.domain import SourceError
from project01.ingest.transport import Received, Reconnected, SpillingQueue, StreamEvent, listen

EVENTS = st.one_of(
    st.builds(Received, st.binary(max_size=50), st.integers(0, 2**50)),
    st.builds(Reconnected, st.integers(0, 2**50), st.integers(0, 2**50), st.text(max_size=20)),
)


def files_open_in(folder: Path) -> list[os.stat_result]:
    """Files below the folder that this process holds open, also those that have no name any more."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(handle.readlink()).startswith(str(folder)):
                found.append(handle.stat())
    return found


@settings(max_examples=examples(150))
@given(
    steps=st.lists(st.one_of(EVENTS, st.none()), max_size=80),
    most=st.integers(1, 12),
    most_bytes=st.integers(1, 3_000),
)
def test_what_goes_in_comes_out_in_order(
    steps: list[StreamEvent | None], most: int, most_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a plain list; None in the steps is a reader taking what waits."""
    folder = tmp_path_factory.mktemp("spill")
    queue, sent, got = SpillingQueue(folder, events=most, size_bytes=most_bytes), [], []
    for step in steps:
        if step is None:
            got += queue.take(0.0) or []
        else:
            queue.put(step)
            sent.append(step)
            assert queue.waiting == len(sent) - len(got)
            assert queue.waiting - queue.on_disk <= most
    queue.finish()
    while (taken := queue.take(0.0)) is not None:
        assert len(taken) <= most
        got += taken
    assert got == sent
    assert list(folder.iterdir()) == []
    queue.close()


def test_an_error_comes_after_everything_before_it(tmp_path: Path) -> None:
    queue = SpillingQueue(tmp_path, events=2)
    for number in range(5):
        queue.put(Received(b"", number))
    queue.finish(OSError("the end"))
    got: list[StreamEvent] = []
    with pytest.raises(OSError, match="the end"):
        got.extend(event for taken in iter(lambda: queue.take(0.0), None) for event in taken)
    assert [event.at for event in got if isinstance(event, Received)] == [0, 1, 2, 3, 4]


def test_close_removes_the_file_also_when_much_waits(tmp_path: Path) -> None:
    queue = SpillingQueue(tmp_path / "made" / "when needed", events=2)
    assert list(tmp_path.iterdir()) == []
    for number in range(5_000):
        queue.put(Received(b"x" * 1_000, number))
    assert list((tmp_path / "made" / "when needed").iterdir()) == [], "a killed process would leave it"
    (file,) = files_open_in(tmp_path)
    assert file.st_size > 500_000
    assert file.st_mode & 0o077 == 0, "others must not read what a vendor sent"
    queue.close()
    assert files_open_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    queue = SpillingQueue(tmp_path / "file" / "spill", events=1)
    queue.put(Received(b"", 1))
    with pytest.raises(SourceError, match=r"file/spill cannot take what waits.*Make room"):
        queue.put(Received(b"", 2))
    queue.close()


def test_the_file_does_not_grow_with_what_has_been_read(tmp_path: Path) -> None:
    """A reader that keeps pace but never catches up: the room is used again."""
    queue = SpillingQueue(tmp_path, events=100)
    number, sizes = 0, []
    for _ in range(60):
        for _ in range(200 if number < 1_000 else 100):
            queue.put(Received(b"x" * 2_000, number))
            number += 1
        queue.take(0.0)
        sizes.append(sum(file.st_size for file in files_open_in(tmp_path)))
    assert queue.on_disk > 0
    assert sizes[-1] <= sizes[19] * 1.5
    queue.close()


def test_the_writer_does_not_wait_for_the_reader(tmp_path: Path) -> None:
    queue, count = SpillingQueue(tmp_path, events=1_000), 30_000
    slowest = 0.0
    started = time.perf_counter()
    for number in range(count):
        before = time.thread_time()
        queue.put(Received(b'{"ev":"T","sym":"AAPL","p":114.18,"s":100,"t":1611082428813}', number))
        slowest = max(slowest, time.thread_time() - before)
    took = time.perf_counter() - started
    assert queue.on_disk == count - 1_000
    assert slowest < 0.5
    assert count / took > 5_000, f"{count / took:,.0f} events/s"
    queue.close()


def test_a_stalled_reader_of_a_real_stream_loses_nothing(
    connect: MakeConnection, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader takes one event and stands still until the whole feed has been sent; the server is never held up."""
    stop, connection, count = Event(), patient(connect), 20_000
    with vendor(count=count, per_second=20_000) as running:
        events = listen(over_socket(running, connection), stop, connection=connection, idle_timeout_s=60.0)
        got = [next(events)]
        deadline = time.monotonic() + 60.0
        sent_all = Event()

        def watch() -> None:
            while not running.feed.finished and time.monotonic() < deadline:
                time.sleep(0.01)
            sent_all.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert sent_all.wait(70.0)
        watcher.join()
        # The last of them may still be on its way.
        while "wait on disk" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(files_open_in(connection.spill_folder)) == 1
        for event in events:
            got.append(event)
            if len(got) == count:
                stop.set()
    assert all(isinstance(event, Received) for event in got), "the vendor cut us off"
    assert [event.payload for event in got] == [str(n).encode() for n in range(count)]  # type: ignore[union-attr]
    stamps = [event.at for event in got if isinstance(event, Received)]
    assert stamps == sorted(stamps)
    assert files_open_in(connection.spill_folder) == []
    assert "caught up" in caplog.text
