"""Jumps: real crashes pass, splits and slips do not, and the verdict never looks ahead."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.ingest import GateOutcome, Reason


def refused(outcome: GateOutcome) -> dict[str, str]:
    return dict(zip(outcome.dead_letters["source_id"].str.slice(-10), outcome.dead_letters["reason"], strict=True))


def days(rows: pl.DataFrame) -> list[str]:
    return rows["session"].cast(pl.String).to_list()


def test_a_split_is_refused_and_the_series_breaks_after_it(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0, 101.0, 50.2, 50.4, 50.1])
    outcome = gate(rows)
    assert refused(outcome) == {days(rows)[2]: Reason.UNADJUSTED_SPLIT}
    assert outcome.breaks.select("symbol", "kind", pl.col("effective").cast(pl.String)).rows() == [
        ("AAA", "break", days(rows)[3])
    ]
    assert outcome.breaks["knowledge_time"].to_list() == [rows["knowledge_time"][3]]
    assert outcome.counts["breaks"] == 1
    assert outcome.counts["spikes"] == 0


def test_a_spike_is_refused_and_the_series_goes_on(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0, 101.0, 10.1, 101.5, 100.0])
    outcome = gate(rows)
    assert list(refused(outcome)) == [days(rows)[2]]
    assert outcome.breaks.is_empty()
    assert outcome.counts["spikes"] == 1


def test_an_adjusted_split_passes(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0, 101.0, 50.2, 50.4], adj_close=[50.0, 50.5, 50.2, 50.4])
    assert gate(rows).counts["accepted"] == 4


def test_a_split_hidden_in_the_adjusted_close_is_refused(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0, 101.0, 102.0, 103.0], adj_close=[100.0, 101.0, 25.5, 25.75])
    assert list(refused(gate(rows))) == [days(rows)[2]]


def test_real_crashes_pass(make_bars: Callable, gate: Callable) -> None:
    """AIG on 2008-09-15: close 12.14 -> 4.76, opened at 7.28 (-61 %)."""
    rows = make_bars(
        [17.55, 12.14, 4.76, 3.75],
        open=[17.4, 15.8, 7.28, 1.85], high=[18.9, 16.0, 7.4, 5.14], low=[17.3, 11.5, 3.5, 1.25],
    )  # fmt: skip
    assert gate(rows).counts["accepted"] == 4
    fall = make_bars([10.0, 3.5], open=[10.0, 9.0], high=[10.0, 9.0], low=[10.0, 3.4])
    assert gate(fall).counts["accepted"] == 2
    rise = make_bars([10.0, 29.5], open=[10.0, 12.0], high=[10.0, 31.0], low=[10.0, 11.0])
    assert gate(rise).counts["accepted"] == 2


def test_limits_are_those_of_the_rules(make_bars: Callable, gate: Callable) -> None:
    wild = {"open": [10.0, 8.0], "high": [10.0, 40.0], "low": [10.0, 3.0]}
    assert gate(make_bars([10.0, 3.45], **wild)).counts["refused"] == 0
    assert refused(gate(make_bars([10.0, 3.35], **wild))) == {"2010-01-05": Reason.UNEXPLAINED_JUMP}
    assert gate(make_bars([10.0, 29.9], **wild)).counts["refused"] == 0
    assert refused(gate(make_bars([10.0, 30.2], **wild))) == {"2010-01-05": Reason.UNEXPLAINED_JUMP}


@pytest.mark.parametrize(("volume", "passes"), [(1000.0, False), (20_000.0, True)])
def test_turnover_tells_news_from_a_split(make_bars: Callable, gate: Callable, volume: float, passes: bool) -> None:
    closes = [100.0, 101.0, 100.0, 99.0, 100.0, 101.0, 50.3, 50.0]
    outcome = gate(make_bars(closes, volume=[1000.0] * 6 + [volume] * 2))
    assert (outcome.counts["refused"] == 0) is passes


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 4, 5, 7, 10, 20, 1 / 2, 1 / 3, 1 / 5, 1 / 8, 1 / 10, 1 / 25])
@pytest.mark.parametrize("own_move", [-0.03, 0.0, 0.03])
def test_common_splits_are_caught(make_bars: Callable, gate: Callable, ratio: float, own_move: float) -> None:
    """The bar opens at the old close over the ratio and then moves by up to 3 %."""
    level = 100 / ratio
    close = level * (1 + own_move)
    rows = make_bars(
        [100.0, 100.0, close, close], open=[100.0, 100.0, level, close],
        high=[100.0, 100.0, max(level, close), close], low=[100.0, 100.0, min(level, close), close],
    )  # fmt: skip
    outcome = gate(rows)
    assert list(refused(outcome)) == [days(rows)[2]]
    assert outcome.counts["breaks"] == 1


def test_closes_alone_with_an_adjusted_close_are_taken_at_their_word(make_bars: Callable, gate: Callable) -> None:
    bare = {"open": None, "high": None, "low": None, "volume": None}
    closes = [10.0, 6.65, 6.7]  # -33.5 %, as AMD on 2002-10-03
    assert gate(make_bars(closes, adj_close=closes, **bare)).counts["refused"] == 0
    assert gate(make_bars(closes, **bare)).counts["refused"] == 1


def test_series_are_judged_apart(make_bars: Callable, gate: Callable) -> None:
    low, high = make_bars([1.0, 1.0], symbol="LOW"), make_bars([500.0, 500.0], symbol="TOP")
    hourly = make_bars([7.0, 7.0], symbol="LOW").with_columns(interval=pl.lit("1h"))
    other = make_bars([90.0, 90.0], symbol="LOW").with_columns(source=pl.lit("other"))
    assert gate(pl.concat([low, high, hourly, other])).counts["refused"] == 0


def test_after_a_break_the_new_level_is_the_measure(make_bars: Callable, gate: Callable) -> None:
    outcome = gate(make_bars([100.0, 10.0, 10.1, 10.2, 100.0, 101.0]))
    assert outcome.counts["refused"] == 2
    assert outcome.counts["breaks"] == 2


def test_a_bar_that_stays_nowhere_is_refused_too(make_bars: Callable, gate: Callable) -> None:
    outcome = gate(make_bars([100.0, 10.0, 1.0, 100.0]))
    assert outcome.counts["refused"] == 2
    assert outcome.counts["spikes"] == 1
    assert outcome.breaks.is_empty()


def test_a_jump_on_the_last_bar_awaits_its_verdict(make_bars: Callable, gate: Callable) -> None:
    outcome = gate(make_bars([100.0, 101.0, 5.0]))
    assert outcome.counts["refused"] == 1
    assert outcome.breaks.is_empty()
    assert outcome.counts["spikes"] == 0


def test_a_correction_known_later_does_not_move_the_level(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0, 101.0, 102.0])
    wrong = rows[1:2].with_columns(
        *(pl.lit(5.0).alias(name) for name in ("open", "high", "low", "close")),
        knowledge_time=pl.col("knowledge_time") + timedelta(days=30),
    )
    outcome = gate(pl.concat([rows, wrong]))
    assert outcome.accepted.filter(pl.col("knowledge_time") == pl.col("event_time")).equals(rows)


STEP = st.sampled_from([0.0, 0.02, -0.03, 0.3, -0.35, -0.5, 1.0, -2 / 3, -0.7, -0.9, 2.5, 9.0])
WALK = st.lists(st.tuples(STEP, st.sampled_from([0.5, 1.0, 10.0])), min_size=2, max_size=25)


@settings(max_examples=examples(50))
@given(walk=WALK, cut=st.integers(1, 25), later=WALK)
def test_the_verdict_on_the_past_does_not_depend_on_the_future(
    make_bars: Callable, gate: Callable, walk: list[tuple], cut: int, later: list[tuple]
) -> None:
    def bars_of(steps: list[tuple]) -> pl.DataFrame:
        closes = 100 * np.cumprod([1 + step for step, _ in steps])
        return make_bars(closes.tolist(), volume=[1000 * busy for _, busy in steps])

    cut = min(cut, len(walk))
    whole, changed = bars_of(walk), bars_of(walk[:cut] + later)
    until = whole["event_time"][cut - 1]

    def verdict(rows: pl.DataFrame) -> tuple[list, list, list]:
        outcome = gate(rows)
        letters = outcome.dead_letters.filter(pl.col("session") <= until.date())
        breaks = outcome.breaks.filter(pl.col("knowledge_time") <= until)
        return outcome.accepted.filter(pl.col("event_time") <= until).rows(), letters.rows(), breaks.rows()

    first = verdict(whole)
    assert first == verdict(changed)
    assert first == verdict(whole.head(cut))


@settings(max_examples=examples(50))
@given(scale=st.floats(0.01, 1000), walk=WALK)
def test_the_verdict_does_not_depend_on_the_currency(
    make_bars: Callable, gate: Callable, scale: float, walk: list
) -> None:
    closes = 100 * np.cumprod([1 + 0.997 * step for step, _ in walk])
    one, other = gate(make_bars(closes.tolist())), gate(make_bars((closes * scale).tolist()))
    assert one.dead_letters["reason"].to_list() == other.dead_letters["reason"].to_list()
    assert one.breaks["effective"].to_list() == other.breaks["effective"].to_list()
