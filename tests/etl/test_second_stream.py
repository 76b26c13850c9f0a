"""The stream over seconds equals one pass over all rows, whatever comes late, twice, out of order or in pieces."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from zlib import crc32

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.etl.second_ticks import OPEN, made_up_seconds, newest_rows, stream_arrays

from project01.domain import InputError, SchemaError
from project01.etl import (
    feature_set,
    second_stream_batch,
    second_stream_kernel,
    second_stream_memory,
    second_stream_threads,
)
from project01.etl.second_stream import SecondFeatures, SecondStream
from project01.etl.second_stream_kernel import BEHIND, INVALID, LATE
from project01.etl.seconds_batch import compute_intraday, late_rows

WINDOW = 7
WATERMARK = timedelta(seconds=10)
# Short windows of every step, so that drawn rows of some hundred seconds fill and pass them many times.
SHORT = tuple(
    replace(feature, window=WINDOW, warm_up=1, parameters=(WINDOW,) if feature.parameters else ())
    for feature in {(feature.step_name, feature.inputs): feature for feature in feature_set("intraday")}.values()
)
NAMES = [feature.name for feature in SHORT]
SYMBOLS = ("S0", "S1")
arrays = partial(stream_arrays, symbols=SYMBOLS)
newest = partial(newest_rows, symbols=SYMBOLS, names=NAMES)


@st.composite
def disordered(draw: st.DrawFn) -> pl.DataFrame:
    """Rows with drawn delays, some beyond the watermark, and some seconds told again with other values."""
    rows = made_up_seconds(draw(st.integers(0, 2**32 - 1)), seconds=draw(st.integers(1, 150)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.1, 0.6]))
    delay = np.where(random.random(rows.height) < share, random.integers(0, 12_000_000, rows.height), 0)
    rows = rows.with_columns(knowledge_time=pl.col("event_time") + pl.duration(microseconds=pl.Series(delay)))
    again = rows.filter(pl.Series(random.random(rows.height) < 0.1))
    later = random.integers(0, 3, again.height) * 1_000_000
    changed = again.with_columns(
        (pl.col("volume") + pl.Series(random.integers(-1, 2, again.height).astype(float))).alias("volume"),
        knowledge_time=pl.col("knowledge_time") + pl.duration(microseconds=pl.Series(later)),
    )
    return pl.concat([rows, changed])


def fed(stream: SecondStream, rows: pl.DataFrame, cuts: list[int]) -> list[SecondFeatures]:
    return [
        stream.update(*(column[first:last] for column in arrays(rows)))
        for first, last in zip([0, *cuts], [*cuts, rows.height], strict=True)
    ]


@settings(max_examples=examples(60), deadline=None)
@given(rows=disordered(), data=st.data())
def test_in_order_of_knowledge_any_cuts_and_repetition_equal_the_batch(rows: pl.DataFrame, data: st.DataObject) -> None:
    ordered = rows.sample(fraction=1.0, shuffle=True, seed=data.draw(st.integers(0, 99))).sort(
        "knowledge_time", maintain_order=True
    )
    doubled = ordered[np.sort(np.concatenate([np.arange(rows.height), np.arange(0, rows.height, 3)]))]
    cuts = sorted(data.draw(st.sets(st.integers(0, doubled.height), max_size=5)))
    stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
    found = fed(stream, doubled, cuts)
    assert newest(found).equals(compute_intraday(rows, SHORT, watermark=WATERMARK, threads=1))
    assert sum(len(part.late) for part in found) == late_rows(doubled, WATERMARK).height
    assert not any(len(part.behind) or len(part.invalid) for part in found)


@settings(max_examples=examples(40), deadline=None)
@given(rows=disordered(), seed=st.integers(0, 10_000))
def test_in_any_order_at_all_equals_the_batch_where_disorder_is_allowed(rows: pl.DataFrame, seed: int) -> None:
    twice = pl.concat([rows, rows.sample(fraction=0.3, seed=seed)]).sample(fraction=1.0, shuffle=True, seed=seed)
    stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK, disorder=timedelta(seconds=200))
    found = fed(stream, twice, [twice.height // 2])
    assert newest(found).equals(compute_intraday(twice, SHORT, watermark=WATERMARK))


@settings(max_examples=examples(20), deadline=None)
@given(rows=disordered(), data=st.data())
def test_taken_up_again_it_goes_on_as_if_never_stopped(rows: pl.DataFrame, data: st.DataObject) -> None:
    ordered = rows.sort("knowledge_time", maintain_order=True)
    cut = data.draw(st.integers(0, rows.height))
    whole = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
    fed(whole, ordered[:cut], [])
    kept = whole.to_bytes()
    other = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
    fed(other, made_up_seconds(1), [])
    other.restore(kept)
    assert other.to_bytes() == kept
    one, two = fed(whole, ordered[cut:], [])[0], fed(other, ordered[cut:], [])[0]
    for name in ("symbol", "event_time", "knowledge_time", "late"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.values, two.values)
    assert other.to_bytes() == whole.to_bytes()


def test_long_runs_move_rows_into_the_older_state() -> None:
    rows = made_up_seconds(5, seconds=3_000)
    stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
    found = fed(stream, rows.sort("knowledge_time"), [1_000, 1_001])
    assert newest(found).equals(compute_intraday(rows, SHORT, watermark=WATERMARK))
    assert len(stream.to_bytes()) < 300_000, "the state does not grow with the rows"


def test_disorder_in_long_runs_equals_the_batch() -> None:
    """Rows come late around the places where states are copied, again and again."""
    random = np.random.default_rng(0)
    rows = made_up_seconds(8, symbols=1, seconds=6_000)
    for share in (0.02, 0.5):
        delay = np.where(random.random(rows.height) < share, random.integers(0, 10_500_000, rows.height), 0)
        late = rows.with_columns(knowledge_time=pl.col("event_time") + pl.duration(microseconds=pl.Series(delay)))
        stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
        found = []
        for piece in late.sort("knowledge_time").iter_slices(997):
            found += fed(stream, piece, [])
            kept = stream.to_bytes()
            stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
            stream.restore(kept)
        assert newest(found).equals(compute_intraday(late, SHORT, watermark=WATERMARK))


@pytest.mark.parametrize("watermark", [timedelta(0), WATERMARK])
def test_single_rows_equal_batches(watermark: timedelta) -> None:
    rows = made_up_seconds(9, seconds=900).with_columns(knowledge_time="event_time").sort("knowledge_time")
    symbols, known, matrix = arrays(rows)
    batch = SecondStream(SHORT, SYMBOLS, watermark=watermark).update(symbols, known, matrix)
    stream = SecondStream(SHORT, SYMBOLS, watermark=watermark, places=rows.height)
    stream.inbox[:], stream.inbox_known[:] = matrix, known
    for place in range(rows.height):
        assert stream.push(int(symbols[place]), place) == 1
        np.testing.assert_array_equal(stream.values[0], batch.values[place])
        assert stream.event_time[0] == batch.event_time[place]
        assert stream.knowledge_time[0] == batch.knowledge_time[place]


def test_what_becomes_of_single_rows() -> None:
    stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)

    def push(second: int, delay: float = 0.0, symbol: int = 0, close: float = 10.0) -> int:
        stream.inbox[0] = 1.0
        stream.inbox[0, [0, 4, 6]] = OPEN + second, close, OPEN
        stream.inbox_known[0] = int((OPEN + second + delay) * 1e6)
        return stream.push(symbol, 0)

    assert [push(second) for second in (1, 2, 5, 6)] == [1, 1, 1, 1]
    assert push(3, delay=3.5) == 3, "itself and the two rows after it"
    assert list(stream.event_time[:3]) == [(OPEN + second) * 1_000_000 for second in (3, 5, 6)]
    assert list(stream.knowledge_time[:3]) == [int((OPEN + 6.5) * 1e6)] * 3
    assert push(3, delay=3.5) == 0, "it is there"
    assert push(3, delay=1.0) == 0, "what is known later stands"
    assert push(3, delay=4.0, close=11.0) == 3
    assert push(7, delay=10.5) == LATE
    assert push(8, delay=-1.0) == INVALID
    assert push(9, symbol=2) == INVALID
    assert stream.push(0, 1) == INVALID
    assert push(60) == 1
    assert push(49, delay=0.0) == BEHIND
    assert push(51, delay=0.0) == 2


def test_what_does_not_fit_is_refused() -> None:
    stream = SecondStream(SHORT, SYMBOLS, watermark=WATERMARK)
    with pytest.raises(InputError, match="shape"):
        stream.update(np.zeros(2, np.int32), np.zeros(2, np.int64), np.zeros((2, 3)))
    content = bytearray(stream.to_bytes())
    content[-40] ^= 1
    with pytest.raises(InputError, match="damaged"):
        stream.restore(bytes(content))
    with pytest.raises(InputError, match="other features"):
        SecondStream(SHORT, SYMBOLS, watermark=timedelta(seconds=9)).restore(stream.to_bytes())
    with pytest.raises(InputError, match="series features of the second clock"):
        SecondStream(feature_set("core"), SYMBOLS)
    with pytest.raises(InputError, match="each once"):
        SecondStream(SHORT, ("A", "A"))
    with pytest.raises(InputError, match="negative"):
        SecondStream(SHORT, SYMBOLS, watermark=timedelta(seconds=-1))
    rows = made_up_seconds(1)
    with pytest.raises(SchemaError, match="lack column"):
        compute_intraday(rows.drop("vwap"), SHORT)
    with pytest.raises(InputError, match="are no seconds"):
        compute_intraday(rows.with_columns(pl.col("time") + 1.0), SHORT)
    with pytest.raises(InputError, match="threads"):
        compute_intraday(rows, SHORT, threads=0)


def test_threads_and_the_order_of_rows_do_not_matter() -> None:
    rows = made_up_seconds(2, symbols=5)
    one = compute_intraday(rows, SHORT, threads=1)
    for threads in (2, 7):
        assert compute_intraday(rows.sample(fraction=1.0, shuffle=True, seed=threads), SHORT, threads=threads).equals(
            one
        )


def test_the_past_does_not_move_when_later_rows_are_added() -> None:
    rows = made_up_seconds(4, symbols=1, seconds=300)
    whole = compute_intraday(rows, SHORT)
    for count in (1, 10, 111):
        assert compute_intraday(rows[:count], SHORT).equals(whole[:count])


def test_no_rows_give_no_features() -> None:
    rows = made_up_seconds(1)[:0]
    assert compute_intraday(rows, SHORT).height == 0
    found = SecondStream(SHORT, SYMBOLS).update(*arrays(rows))
    assert found.values.shape == (0, len(SHORT))


def test_prices_of_another_scale_change_no_feature_that_says_so() -> None:
    rows = made_up_seconds(6, symbols=1, seconds=300)
    prices = ("open", "high", "low", "close", "vwap", "bid", "ask")
    scaled = rows.with_columns(pl.col(name) * 4.0 for name in prices)
    free = [feature for feature in SHORT if "impact" not in feature.name and "illiquidity" not in feature.name]
    assert compute_intraday(scaled, free).equals(compute_intraday(rows, free))
    assert [feature.name for feature in feature_set("intraday") if not feature.scale_free] == [
        "price_impact_300s", "price_impact_900s", "illiquidity_300s", "illiquidity_900s", "illiquidity_3600s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "source"),
    [
        (second_stream_kernel, second_stream_memory),
        (second_stream_batch, second_stream_kernel),
        (second_stream_threads, second_stream_batch),
    ],
)
def test_compiled_functions_name_what_they_were_made_of(made: ModuleType, source: ModuleType) -> None:
    assert source.__file__ is not None
    found = crc32(Path(source.__file__).read_bytes())
    assert found == made.MADE_OF, f"set MADE_OF in {made.__name__} to {found}"
