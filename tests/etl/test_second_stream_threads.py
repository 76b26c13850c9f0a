"""Batches of the stream over seconds that threads share: the same to the bit and in the same order, however many."""

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.etl.second_ticks import made_up_seconds, newest_rows, stream_arrays

from project01.domain import InputError
from project01.etl import feature_set
from project01.etl.second_stream import LARGE_BATCH, MANY_SYMBOLS, SecondFeatures, SecondStream
from project01.etl.seconds_batch import compute_intraday, late_rows

SYMBOLS = tuple(f"S{number}" for number in range(2 * MANY_SYMBOLS))
FEATURES = tuple(feature for feature in feature_set("intraday") if feature.window <= 60)[:12]
NAMES = [feature.name for feature in FEATURES]
WATERMARK = timedelta(seconds=10)
arrays = partial(stream_arrays, symbols=SYMBOLS)
newest = partial(newest_rows, symbols=SYMBOLS, names=NAMES)
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def some_rows(seed: int, share_late: float, seconds: int = 120) -> pl.DataFrame:
    """Rows of many symbols in the order of their knowledge times: some late, some too late, some twice."""
    rows = made_up_seconds(seed, symbols=len(SYMBOLS), seconds=seconds)
    random = np.random.default_rng(seed)
    delay = np.where(random.random(rows.height) < share_late, random.integers(0, 12_000_000, rows.height), 0)
    rows = rows.with_columns(knowledge_time=pl.col("event_time") + pl.duration(microseconds=pl.Series(delay)))
    again = rows.filter(pl.Series(random.random(rows.height) < share_late / 10))
    return pl.concat([rows, again]).sample(fraction=1.0, shuffle=True, seed=seed).sort("knowledge_time")


def fed(batch: Batch, cuts: list[int], threads: int) -> tuple[list[SecondFeatures], bytes]:
    stream = SecondStream(FEATURES, SYMBOLS, watermark=WATERMARK, threads=threads)
    spans = zip([0, *cuts], [*cuts, len(batch[0])], strict=True)
    found = [stream.update(*(column[first:last] for column in batch)) for first, last in spans]
    return found, stream.to_bytes()


def assert_same(one: list[SecondFeatures], other: list[SecondFeatures]) -> None:
    for left, right in zip(one, other, strict=True):
        for name in SecondFeatures._fields:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@settings(max_examples=examples(15), deadline=None)
@given(seed=st.integers(0, 10_000), share_late=st.sampled_from([0.0, 0.02, 0.5]), data=st.data())
def test_any_number_of_threads_gives_the_batch_and_one_order(seed: int, share_late: float, data: st.DataObject) -> None:
    rows = some_rows(seed, share_late)
    batch = arrays(rows)
    cuts = sorted(data.draw(st.sets(st.integers(0, rows.height), max_size=6)))
    alone, kept = fed(batch, cuts, 1)
    assert newest(alone).equals(compute_intraday(rows, FEATURES, watermark=WATERMARK))
    assert sum(len(part.late) for part in alone) == late_rows(rows, WATERMARK).height
    for threads in (2, 4):
        together, kept_too = fed(batch, cuts, threads)
        assert_same(alone, together)
        assert kept == kept_too


def test_seconds_of_many_symbols_one_after_another() -> None:
    """At once and after the helpers fell asleep, over the times at which states are copied."""
    rows = made_up_seconds(3, symbols=len(SYMBOLS), seconds=400).sort("event_time", maintain_order=True)
    batch = arrays(rows.with_columns(knowledge_time="event_time"))
    cuts = list(range(LARGE_BATCH, rows.height, LARGE_BATCH))
    stream = SecondStream(FEATURES, SYMBOLS, watermark=WATERMARK, threads=2)
    found = []
    for number, (first, last) in enumerate(zip([0, *cuts], [*cuts, rows.height], strict=True)):
        found.append(stream.update(*(column[first:last] for column in batch)))
        assert len(found[-1].symbol) == last - first
        if number % 10 == 0:
            time.sleep(0.01)
    assert_same(found, fed(batch, cuts, 1)[0])


def test_rows_that_cannot_be_are_told_by_their_places() -> None:
    symbol, known, matrix = (column.copy() for column in arrays(some_rows(1, 0.3)))
    symbol[[5, 700]] = [-1, len(SYMBOLS)]
    matrix[[9, 600], 0] += 0.5
    matrix[11, 0] = np.nan
    known[[13, 500]] -= 60_000_000
    found, _ = fed((symbol, known, matrix), [], 4)
    alone, _ = fed((symbol, known, matrix), [], 1)
    assert_same(found, alone)
    assert set(found[0].invalid) == {5, 700, 9, 600, 11, 13, 500}
    good = np.setdiff1d(np.arange(len(symbol)), np.concatenate([found[0].invalid, found[0].late]))
    rest, _ = fed((symbol[good], known[good], matrix[good]), [], 1)
    assert newest(found).equals(newest(rest))
    assert not len(rest[0].invalid)
    assert not len(rest[0].late)


def test_streams_of_several_threads_at_once() -> None:
    batches = [arrays(some_rows(seed, 0.1)) for seed in range(4)]
    alone = [fed(batch, [1_000, 2_000], 1) for batch in batches]
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda batch: fed(batch, [1_000, 2_000], 2), batches))
        for (one, kept), (other, kept_too) in zip(alone, together, strict=True):
            assert_same(one, other)
            assert kept == kept_too


def test_fewer_than_one_thread_is_refused() -> None:
    with pytest.raises(InputError, match="a stream a thread"):
        SecondStream(FEATURES, SYMBOLS, threads=0)


COPIED = """
import os
from tests.etl.test_second_stream_threads import arrays, assert_same, fed, some_rows

batch = arrays(some_rows(2, 0.1))
alone, _ = fed(batch, [1_000], 1)
assert_same(fed(batch, [1_000], 2)[0], alone)
child = os.fork()
assert_same(fed(batch, [1_000], 2)[0], alone)
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done", flush=True)
"""


def test_a_copied_process_has_helpers_of_its_own_and_both_end() -> None:
    """No thread of the first is in the second, and helpers that are awake hold up neither's end."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(COPIED)]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert (found.returncode, found.stdout.split()) == (0, ["done", "done"]), found.stderr
