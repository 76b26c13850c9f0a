"""The reconnect matrix: each streaming vendor x each fault. Nothing lost, nothing twice, the gap told and filled."""

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest
from tests.contracts.vendor_case import VendorCase
from tests.contracts.vendor_running import Running, content, running
from tests.contracts.vendors import CASES

from project01.domain import AuthenticationError
from project01.ingest.stand_ins import Fault
from project01.ingest.vendor import Gap, Page

# Real waits and reconnects, minutes in all.
pytestmark = pytest.mark.slow

STREAMS = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.streams]
# Faults that end a connection: all but the pause, during which it stands, and the refused key.
MATRIX = [
    pytest.param(case, name, kind, id=f"{case}-{name}-{kind}")
    for case in CASES
    for name in case.streams
    for kind in case.stream_faults
    if kind not in {"pause", "bad_credentials"}
]
LONGEST_S = 30.0
POLL_S = 0.02


@dataclass
class Heard:
    """What a stream gave: contents by source id, letters, gaps."""

    contents: dict[str, set[bytes]] = field(default_factory=dict)
    letters: int = 0
    gaps: list[Gap] = field(default_factory=list)

    def add(self, page: Page) -> None:
        for record in page.decoded.records:
            self.contents.setdefault(record.source_id, set()).add(content(record))
        self.letters += len(page.decoded.letters)
        if page.gap is not None:
            self.gaps.append(page.gap)


def hear(run: Running, case: VendorCase, dataset: str) -> Heard:
    """Listen until everything that the stand-in put out has arrived and all faults have struck."""
    heard, stop, left = Heard(), Event(), Event()

    def watch() -> None:
        deadline = time.monotonic() + LONGEST_S
        while not left.wait(POLL_S) and time.monotonic() < deadline:
            # In this order: what comes between the two questions is asked for again.
            if run.stand_in.finished and run.faults.done and set(run.stand_in.sent) <= heard.contents.keys():
                break
        stop.set()

    # Beside the pages, since none need come after the last record.
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for page in run.client.stream(case.streams[dataset], stop):
            heard.add(page)
    finally:
        left.set()
        watcher.join()
    return heard


def assert_whole(run: Running, heard: Heard) -> None:
    sent = set(run.stand_in.sent)
    assert run.stand_in.finished
    assert sent - heard.contents.keys() == set(), "lost"
    assert [key for key, contents in heard.contents.items() if len(contents) > 1] == [], "one id, two contents"
    assert heard.letters == 0


@pytest.mark.parametrize(("case", "dataset"), STREAMS)
def test_a_stream_gives_all_that_is_sent(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        heard = hear(run, case, dataset)
        assert_whole(run, heard)
        assert set(run.stand_in.sent) == heard.contents.keys()
        assert heard.gaps == []
    assert list(tmp_path.rglob("spill-*")) == []


@pytest.mark.parametrize(("case", "dataset", "kind"), MATRIX)
def test_after_each_fault_nothing_is_lost(case: VendorCase, dataset: str, kind: str, tmp_path: Path) -> None:
    fault = Fault(kind, after=20, where="stream", seconds=0.15)  # type: ignore[arg-type]
    with running(case, tmp_path, fault) as run:
        heard = hear(run, case, dataset)
        assert_whole(run, heard)
        assert run.faults.struck == [fault]
    assert len(heard.gaps) >= 1
    for gap in heard.gaps:
        assert gap.start < gap.end
        assert gap.filled, gap.reason


@pytest.mark.parametrize(("case", "dataset"), STREAMS)
def test_a_pause_of_the_server_loses_nothing(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    if "pause" not in case.stream_faults:
        pytest.skip("this vendor's stream has no such fault")
    with running(case, tmp_path, Fault("pause", after=20, where="stream", seconds=0.4)) as run:
        assert_whole(run, hear(run, case, dataset))


@pytest.mark.parametrize(("case", "dataset"), STREAMS)
def test_a_key_refused_in_mid_stream_ends_it_and_says_why(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    if "bad_credentials" not in case.stream_faults:
        pytest.skip("this vendor's stream has no such fault")
    with running(case, tmp_path, Fault("bad_credentials", after=20, where="stream")) as run:
        started = time.monotonic()
        with pytest.raises(AuthenticationError):
            hear(run, case, dataset)
        assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(("case", "dataset"), STREAMS)
def test_several_faults_in_a_row(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    kinds = [kind for kind in case.stream_faults if kind in {"close_1006", "close_1000", "refused", "half_message"}]
    faults = [Fault(kind, after=8, where="stream", seconds=0.1) for kind in kinds]
    with running(case, tmp_path, *faults) as run:
        assert_whole(run, hear(run, case, dataset))


@pytest.mark.parametrize(("case", "dataset"), STREAMS)
def test_a_stopped_stream_leaves_nothing_behind(
    case: VendorCase, dataset: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with running(case, tmp_path) as run:
        before = set(threading.enumerate())
        secrets = [secret.get_secret_value() for secret in run.connection.secrets.values()]
        stop = Event()
        pages = run.client.stream(case.streams[dataset], stop)
        next(pages)
        started = time.monotonic()
        stop.set()
        for _ in pages:
            pass
        assert time.monotonic() - started < 5.0
        # The stand-in's own threads may still be saying goodbye.
        ours = {t for t in set(threading.enumerate()) - before if not t.name.startswith("stand-in")}
        assert {t.name for t in ours if "Thread-" not in t.name} == set()
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert not [secret for secret in secrets if secret in told]
