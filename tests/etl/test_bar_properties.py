"""What must hold for any tape: a set in, versions out, and nothing from later than each version says."""

import random
from collections.abc import Sequence
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.effort import examples
from tests.etl.bar_trades import at, bars_as_of, digest, frame, made_up_day, trade

from project01.etl import BuiltBars, RevisionLimits, build_bars

IDS = ("a", "b", "c", "d", "e")
DELAYS = (-0.5, 0.0, 0.3, 1.0, 4.0, 9.0, 10.5, 25.0, 40.0)
LIMITS = RevisionLimits(prints=timedelta(seconds=10), amendments=timedelta(seconds=30))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, object]:
    """Any row of a small tape, senseless ones included: few ids, seconds and prices, so that they meet."""
    happened = draw(st.sampled_from((0.1, 0.5, 0.9, 1.0, 1.2, 2.7)))
    action = draw(st.sampled_from(("new", "new", "new", "correct", "cancel")))
    return trade(
        draw(st.sampled_from(IDS)),
        happened,
        draw(st.sampled_from((9.99, 10.0, 10.1, 10.7))),
        float(draw(st.integers(1, 3))),
        known=happened + draw(st.sampled_from(DELAYS)),
        conditions=draw(st.sampled_from(("", "", "", "T", "Z", "B", "I", "M", "?", "9"))),
        sequence=draw(st.sampled_from((None, 1, 2))),
        source=draw(st.sampled_from(("tape", "tape", "other"))),
        action=action,
        refers_to=None if action == "new" else draw(st.sampled_from((*IDS, "none", None))),
    )


tapes = st.lists(rows(), max_size=14)


def build(table: pl.DataFrame) -> BuiltBars:
    return build_bars(table, "1s", limits=LIMITS)


@pytest.mark.slow
@given(tapes)
@settings(max_examples=examples(300))
def test_a_version_holds_nothing_that_was_not_known_yet(tape: list[dict[str, object]]) -> None:
    table = frame(*tape)
    versions = build(table).versions
    instants = sorted({*table["knowledge_time"], *versions["knowledge_time"], at(0.95), at(5.0)})
    for instant in instants:
        known_then = build(table.filter(pl.col("knowledge_time") <= instant)).versions
        assert_frame_equal(bars_as_of(versions, instant), bars_as_of(known_then, instant))


@given(tapes)
@settings(max_examples=examples(40))
def test_what_is_late_was_late_when_it_came(tape: list[dict[str, object]]) -> None:
    table = frame(*tape)
    late = build(table).late
    for instant in sorted(set(table["knowledge_time"])):
        late_then = build(table.filter(pl.col("knowledge_time") <= instant)).late
        assert_frame_equal(late.filter(pl.col("knowledge_time") <= instant), late_then)


@given(tapes, st.randoms(use_true_random=False))
@settings(max_examples=examples(100))
def test_order_and_repetition_change_nothing(tape: list[dict[str, object]], shuffler: random.Random) -> None:
    built = build(frame(*tape))
    again = [*tape, *shuffler.choices(tape, k=len(tape))] if tape else tape
    shuffler.shuffle(again)
    other = build(frame(*again))
    assert digest(other.versions) == digest(built.versions)
    assert digest(other.late) == digest(built.late)
    assert other.counts["conflicts"] == built.counts["conflicts"]


@given(tapes)
def test_versions_are_keyed_in_order_and_all_different(tape: list[dict[str, object]]) -> None:
    versions = build(frame(*tape)).versions
    assert (versions["knowledge_time"] >= versions["event_time"]).all()
    bar = ["source", "symbol", "interval", "event_time"]
    assert not versions.select(*bar, "knowledge_time").is_duplicated().any()
    assert_frame_equal(versions, versions.sort(*bar, "knowledge_time"))
    content = ["open", "high", "low", "close", "volume", "vwap", "trades"]
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift().over(bar)) for name in content)
    follows = pl.int_range(pl.len()).over(bar) > 0
    assert not versions.select((same & follows).any()).item()
    first = versions.filter(pl.int_range(pl.len()).over(bar) == 0)
    assert (first["trades"] > 0).all()


@given(tapes)
def test_cancelling_every_print_leaves_bars_without_trades(tape: list[dict[str, object]]) -> None:
    table = frame(*tape)
    busts = [
        trade(f"bust {source} {name}", 0.1, 1.0, known=29.0, action="cancel", refers_to=name, source=source)
        for source in ("tape", "other")
        for name in IDS
    ]
    versions = build(pl.concat([table, frame(*busts)])).versions
    left = bars_as_of(versions, at(29.0))
    assert left.select(pl.col("trades", "volume").sum()).row(0) == (0, 0.0)
    assert left.select(pl.col("open", "high", "low", "close", "vwap").count().max()).row(0) == (0,) * 5


@st.composite
def plain_tapes(draw: st.DrawFn) -> list[dict[str, object]]:
    """Prints with ids of their own, each with at most one change that comes in time."""
    tape: list[dict[str, object]] = []
    for name in IDS[: draw(st.integers(0, 5))]:
        happened = draw(st.sampled_from((0.1, 0.5, 0.9, 1.2)))
        known = happened + draw(st.sampled_from((0.0, 0.3, 1.0, 4.0)))
        price = draw(st.sampled_from((9.99, 10.0, 10.1)))
        tape.append(trade(name, happened, price, known=known, conditions=draw(st.sampled_from(("", "Z", "B")))))
        action = draw(st.sampled_from((None, "cancel", "correct")))
        if action:
            later = happened + draw(st.sampled_from((-0.1, 0.3, 2.0, 7.0)))
            tape.append(trade(f"{name} changed", happened, 10.5, 50, known=later, action=action, refers_to=name))
    return tape


def oracle(tape: Sequence[dict[str, object]], end: float, instant: float) -> tuple[object, ...] | None:
    """The bar of one second, from the text of the rules and plain Python."""
    known = [row for row in tape if row["knowledge_time"] <= at(instant)]  # type: ignore[operator]
    counting = []
    for row in known:
        changed_by = [other for other in known if other["refers_to"] == row["source_id"]]
        if row["action"] == "new" and not changed_by:
            counting.append(row)
        if row["action"] == "correct":
            counting.append(row)
    inside = [row for row in counting if at(end - 1) <= row["event_time"] < at(end)]  # type: ignore[operator]
    inside.sort(key=lambda row: (row["event_time"], row["source_id"]))
    if not inside:
        return None
    quotable = [row["price"] for row in inside if row["conditions"] in {"", "Z"}]
    in_order = [row["price"] for row in inside if row["conditions"] == ""] or quotable
    opened, closed = (in_order[0], in_order[-1]) if in_order else (None, None)
    high, low = (max(quotable), min(quotable)) if quotable else (None, None)  # type: ignore[type-var]
    return opened, high, low, closed, sum(row["size"] for row in inside), len(inside)  # type: ignore[misc]


@given(plain_tapes())
@settings(max_examples=examples(100))
def test_bars_agree_with_plain_python(tape: list[dict[str, object]]) -> None:
    versions = build(frame(*tape)).versions
    for instant in (1.0, 1.2, 2.0, 2.5, 4.9, 5.0, 20.0):
        for end in (1.0, 2.0):
            if instant < end:
                continue
            found = bars_as_of(versions, at(instant)).filter((pl.col("event_time") == at(end)) & (pl.col("trades") > 0))
            expected = oracle(tape, end, instant)
            bars = found.select("open", "high", "low", "close", "volume", "trades").rows()
            assert bars == ([] if expected is None else [expected]), (instant, end)


@pytest.mark.slow
def test_five_hundred_orders_and_repetitions_of_a_day_give_the_same_bytes() -> None:
    day = made_up_day(seed=7, trades=3_000)
    built = build_bars(day)
    assert built.counts["late"] > 20
    assert built.counts["versions"] > built.counts["bars"] + 200
    expected = digest(built.versions), digest(built.late)
    for seed in range(500):
        repeated = day.sample(fraction=0.3, with_replacement=True, seed=seed)
        shuffled = pl.concat([day, repeated]).sample(fraction=1.0, shuffle=True, seed=seed)
        other = build_bars(shuffled)
        assert (digest(other.versions), digest(other.late)) == expected, seed
        assert other.counts["duplicates"] == repeated.height


def test_a_day_in_pieces_as_it_becomes_known_reads_like_the_whole() -> None:
    day = made_up_day(seed=8, trades=1_000)
    whole = build_bars(day, "5s")
    for instant in [at(second) for second in (600, 6_000, 12_345.678, 23_400, 30_000, 200_000)]:
        known = build_bars(day.filter(pl.col("knowledge_time") <= instant), "5s")
        assert_frame_equal(bars_as_of(whole.versions, instant), bars_as_of(known.versions, instant))
        assert_frame_equal(whole.late.filter(pl.col("knowledge_time") <= instant), known.late)
