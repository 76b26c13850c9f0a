"""From the bus to bars: what comes late, is cancelled or corrected, in whatever order and pieces it arrives."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from project01.domain import BARS, LATE, TABLES, TICKS, DeadLetter, Record, SystemClock, Trade
from project01.ingest import Publisher
from project01.pipelines import Place, follow, land, landing, replay_letters

NOON = datetime(2024, 3, 4, 17, 0, tzinfo=UTC)
FOR_EVER = datetime(2100, 1, 1, tzinfo=UTC)
HOUR_S = 3_600
WAIT_S = 60.0


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def trade(name: str, happened: float, price: float, *, known: float | None = None, **more: object) -> Trade:
    """A print of 100 shares, seconds after noon."""
    event, knowledge = (round(at(s).timestamp() * 1e6) for s in (happened, happened if known is None else known))
    return Trade(
        source="tape", source_id=name, event_time=event, knowledge_time=knowledge, received_at=knowledge,
        licence="own", symbol="ABC", price=price, size=100.0, **more,
    )  # fmt: skip


def bring(place: Place, records: Sequence[Record]) -> None:
    with place.bus() as bus:
        Publisher(bus, place.state(), SystemClock()).records(records)
    land(place, [TICKS, DeadLetter.topic])


def closes(place: Place, as_of: datetime = FOR_EVER) -> dict[datetime, tuple[float | None, float]]:
    """By end of the bar, its close and volume as known at a time."""
    bars = place.lake.read(BARS, as_of=as_of).select("event_time", "close", "volume")
    return {end: (close, volume) for end, close, volume in bars.rows()}


def digests(place: Place) -> dict[str, str]:
    return {name: place.lake.digest(name) for name in TABLES if place.lake.exists(name)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "live")


def test_bars_follow_a_correction_and_a_cancel_and_the_past_stays_as_it_was_known(place: Place) -> None:
    bring(place, [trade("a", 0.2, 10.0), trade("b", 0.4, 11.0), trade("c", 5.5, 12.0)])
    assert closes(place) == {at(1): (11.0, 200.0), at(6): (12.0, 100.0)}
    bring(place, [trade("d", 0.4, 10.5, known=60, action="correct", refers_to="b")])
    bring(place, [trade("e", 5.5, 12.0, known=90, action="cancel", refers_to="c")])
    assert closes(place) == {at(1): (10.5, 200.0), at(6): (None, 0.0)}
    assert closes(place, at(59.9)) == {at(1): (11.0, 200.0), at(6): (12.0, 100.0)}
    assert closes(place, at(60)) == {at(1): (10.5, 200.0), at(6): (12.0, 100.0)}
    assert closes(place, at(5.9)) == {at(1): (11.0, 200.0)}


def test_a_late_print_makes_a_version_and_a_later_one_is_only_kept(place: Place) -> None:
    bring(place, [trade("a", 0.2, 10.0)])
    bring(place, [trade("b", 0.9, 11.0, known=300)])
    bring(place, [trade("c", 0.95, 99.0, known=1_200)])
    assert closes(place, at(299)) == {at(1): (10.0, 100.0)}
    assert closes(place) == {at(1): (11.0, 200.0)}
    late = place.lake.scan(LATE.name).select("source_id", "reason").collect()
    assert late.rows() == [("c", "late_print")]


def test_a_print_that_turns_out_to_have_been_known_in_time_is_no_longer_late(place: Place) -> None:
    bring(place, [trade("a", 0.2, 10.0), trade("c", 0.95, 99.0, known=1_200), trade("d", 0.96, 98.0, known=1_300)])
    assert sorted(place.lake.scan(LATE.name).collect()["source_id"]) == ["c", "d"]
    bring(place, [trade("c", 0.95, 99.0, known=2)])
    assert closes(place) == {at(1): (99.0, 200.0)}
    assert place.lake.scan(LATE.name).collect()["source_id"].to_list() == ["d"]


def test_a_trade_cancelled_in_the_next_hour_does_not_come_back_with_a_late_print(place: Place) -> None:
    bring(place, [trade("a", 10.0, 10.0), trade("bad", 10.5, 55.0)])
    assert closes(place) == {at(11): (55.0, 200.0)}
    bring(place, [trade("x", HOUR_S + 5, 55.0, action="cancel", refers_to="bad")])
    assert closes(place)[at(11)] == (10.0, 100.0)
    bring(place, [trade("late", 20.0, 10.2, known=400)])
    assert closes(place) == {at(11): (10.0, 100.0), at(21): (10.2, 100.0)}


def test_a_correction_into_another_hour_changes_both(place: Place) -> None:
    bring(place, [trade("a", 10.0, 10.0), trade("b", HOUR_S + 10, 20.0), trade("moved", 10.5, 11.0)])
    known = HOUR_S + 60
    bring(place, [trade("m2", HOUR_S + 10.5, 11.5, known=known, action="correct", refers_to="moved")])
    after = {at(11): (10.0, 100.0), at(HOUR_S + 11): (11.5, 200.0)}
    assert closes(place) == after
    assert closes(place, at(known - 1)) == {at(11): (11.0, 200.0), at(HOUR_S + 11): (20.0, 100.0)}
    bring(place, [trade("n", 30.0, 9.0, known=200), trade("o", HOUR_S + 30, 9.0)])
    assert closes(place) == after | {at(31): (9.0, 100.0), at(HOUR_S + 31): (9.0, 100.0)}


def tape() -> list[Trade]:
    """Two hours with late prints, cancels, corrections of corrections, changes across hours, and repetitions."""
    prints = [trade(f"t{n}", n * 600 + n % 3 * 0.3, 10.0 + n, known=n * 600 + n % 5 * 150) for n in range(12)]
    again = [trade("late", 30.0, 50.0, known=2_000), trade("late", 30.0, 50.0, known=31)]
    changes = [
        trade("x1", 4_000, 11.0, action="cancel", refers_to="t1"),
        trade("c2", 1_201, 22.0, known=1_300, action="correct", refers_to="t2"),
        trade("c2b", 3_700, 23.0, known=4_100, action="correct", refers_to="c2"),
        trade("c7", 3_000, 31.0, known=4_300, action="correct", refers_to="t7"),
        trade("x9", 5_400, 19.0, known=100_000, action="cancel", refers_to="t9"),
        trade("lost", 100.0, 1.0, known=150, action="cancel", refers_to="never seen"),
        trade("very late", 40.0, 99.0, known=3_000),
        trade("xv", 7_100, 99.0, action="cancel", refers_to="very late"),
        trade("t4", 2_400.3, 44.0, known=2_405),
    ]
    return [*prints, *again, *changes]


@pytest.mark.slow
def test_any_order_in_any_pieces_gives_the_same_trades_bars_and_late_rows(tmp_path: Path) -> None:
    whole = Place(tmp_path / "whole")
    bring(whole, tape())
    expected = digests(whole)
    assert expected.keys() == {"trades", "bars", "late"}
    for seed in range(24):
        random, other = Random(seed), Place(tmp_path / f"other-{seed}")
        shuffled = [*tape(), *random.choices(tape(), k=seed % 6)]
        random.shuffle(shuffled)
        size = random.choice([4, 6, 9, 13, 30])
        for start in range(0, len(shuffled), size):
            bring(other, shuffled[start : start + size])
        assert digests(other) == expected, f"seed {seed}, pieces of {size}"


@pytest.mark.parametrize("failing", ["rebuild_bars", "Curator._note"])
def test_a_crash_between_the_trades_and_their_bars_is_made_good(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    whole = Place(tmp_path / "whole")
    bring(whole, tape())
    with monkeypatch.context() as patched:
        patched.setattr(f"{landing.__name__}.{failing}", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bring(place, tape())
    assert place.lake.exists("trades")
    land(place, [TICKS])
    assert digests(place) == digests(whole)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_following_lands_what_comes_and_stops_in_order(place: Place) -> None:
    stop, done = threading.Event(), {}

    def work() -> None:
        done.update(follow(place, [TICKS], stop, curate_every_s=0.1))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with place.bus() as bus:
            Publisher(bus, place.state(), SystemClock()).records([trade("a", 0.2, 10.0)])
            wait_for(lambda: place.lake.exists(BARS.name) and bool(closes(place)))
            Publisher(bus, place.state(), SystemClock()).records([trade("b", 0.4, 11.0)])
            wait_for(lambda: closes(place) == {at(1): (11.0, 200.0)})
    finally:
        stop.set()
        worker.join(WAIT_S)
    assert not worker.is_alive()
    assert (done[TICKS].landed, done[TICKS].rows["trades"]) == (2, 2)


@pytest.mark.slow
def test_the_files_of_curated_tables_stay_few(place: Place) -> None:
    for second in range(40):
        bring(place, [trade(f"t{second}", second, 10.0)])
    counts = {name: place.lake.small_files(name) for name in ("trades", "bars", "curated")}
    assert max(counts.values()) < 32, counts
    assert len(closes(place)) == 40


def test_processes_that_start_at_once_make_the_topics_once(place: Place) -> None:
    ready, failures = threading.Barrier(8), []

    def start() -> None:
        ready.wait()
        try:
            with place.bus() as bus:
                assert TICKS in bus.topics()
        except BaseException as error:
            failures.append(error)

    starters = [threading.Thread(target=start) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert failures == []


ELEMENT = '[{"ev":"T","sym":"ABC","x":4,"i":"%s","z":3,"p":10.5,"s":100,"c":[],"t":1709571600123,"q":%d}]'


def planted(name: str, payload: str) -> DeadLetter:
    stamp = round(at(1).timestamp() * 1e6)
    return DeadLetter(
        source="polygon", source_id=name, event_time=stamp, knowledge_time=stamp, received_at=stamp,
        licence="massive", intended_topic=TICKS, reason="schema", detail="an older parser", payload=payload,
        dataset="trades",
    )  # fmt: skip


def test_letters_that_can_be_read_today_are_replayed_once(place: Place) -> None:
    bring(place, [planted("l1", ELEMENT % ("51", 7)), planted("l2", ELEMENT % ("52", 8)), planted("l3", "{broken")])
    first = replay_letters(place, "polygon")
    assert (first.letters, first.replayed, first.records, sum(first.still_refused.values())) == (3, 2, 2, 1)
    second = replay_letters(place, "polygon")
    assert (second.letters, second.replayed, second.records) == (1, 0, 0)
    land(place)
    trades = place.lake.scan("trades").collect()
    assert trades.filter(pl.col("source") == "polygon")["price"].to_list() == [10.5, 10.5]
    with place.bus() as bus:
        assert sum(held.next for held in bus.ranges(TICKS).values()) == 2
