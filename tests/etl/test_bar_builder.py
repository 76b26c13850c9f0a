"""Bars from trades, worked out by hand."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.etl.bar_trades import at, bars_as_of, frame, trade

from project01.domain import InputError, SchemaError
from project01.etl import BuiltBars, Notation, RevisionLimits, build_bars

HOUR, DAY = 3_600.0, 86_400.0


def story(built: BuiltBars, end: float = 1.0) -> list[tuple[float, ...]]:
    """Versions of the bar that ends so many seconds after the open: seconds known after it, OHLC, volume, trades."""
    rows = built.versions.filter(pl.col("event_time") == at(end))
    return [
        ((row["knowledge_time"] - at(0)).total_seconds(), row["open"], row["high"], row["low"], row["close"],
         row["volume"], row["trades"])
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip


def test_one_bar_known_at_its_end() -> None:
    built = build_bars(frame(trade("a", 0.1, 10.0), trade("b", 0.5, 12.0, 200), trade("c", 0.9, 11.0, 300)))
    row = built.versions.row(0, named=True)
    assert row == {
        "source": "built:tape", "source_id": f"ABC:1s:{int(at(1).timestamp()) * 1_000_000}", "symbol": "ABC",
        "interval": "1s", "event_time": at(1), "knowledge_time": at(1), "session": at(0).date(), "open": 10.0,
        "high": 12.0, "low": 10.0, "close": 11.0, "volume": 600.0, "vwap": (1000 + 2400 + 3300) / 600, "trades": 3,
        "simulated": False, "licence": "own",
    }  # fmt: skip
    assert built.versions.height == 1
    assert built.late.is_empty()


def test_a_trade_on_the_boundary_opens_the_next_bar() -> None:
    built = build_bars(frame(trade("a", 0.999999, 10.0), trade("b", 1.0, 11.0)))
    assert story(built) == [(1.0, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]
    assert story(built, 2.0) == [(2.0, 11.0, 11.0, 11.0, 11.0, 100.0, 1)]


def test_a_late_print_makes_a_version_when_it_becomes_known() -> None:
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("b", 0.8, 11.0), trade("late", 0.5, 12.0, known=6.0)))
    assert story(built) == [(1.0, 10.0, 11.0, 10.0, 11.0, 200.0, 2), (6.0, 10.0, 12.0, 10.0, 11.0, 300.0, 3)]
    assert bars_as_of(built.versions, at(5.9))["high"].to_list() == [11.0]
    assert bars_as_of(built.versions, at(6.0))["high"].to_list() == [12.0]


def test_a_bar_whose_trades_are_all_late_is_first_known_with_the_first_of_them() -> None:
    built = build_bars(frame(trade("a", 0.2, 10.0, known=3.0), trade("b", 0.8, 11.0, known=3.0)))
    assert story(built) == [(3.0, 10.0, 11.0, 10.0, 11.0, 200.0, 2)]


@pytest.mark.parametrize(("after_end", "late"), [(900.0, False), (900.000001, True)])
def test_a_print_after_the_limit_goes_to_late(after_end: float, late: bool) -> None:
    rows = frame(trade("a", 0.2, 10.0), trade("b", 0.8, 11.0, known=1.0 + after_end))
    built = build_bars(rows)
    assert len(story(built)) == (1 if late else 2)
    assert built.late["reason"].to_list() == ["late_print"] * late
    assert_frame_equal(built.late.drop("reason"), rows.filter(pl.col("source_id") == "b") if late else rows.clear())
    assert built.counts["late"] == late


def test_a_cancel_takes_the_trade_out_when_it_becomes_known() -> None:
    bust = trade("x", 0.8, 0.0, 0, known=60.0, action="cancel", refers_to="b")
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("b", 0.8, 99.0), bust))
    assert story(built) == [(1.0, 10.0, 99.0, 10.0, 99.0, 200.0, 2), (60.0, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]


def test_a_cancel_may_come_before_its_trade() -> None:
    bust = trade("x", 0.8, 0.0, known=0.1, action="cancel", refers_to="b")
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("b", 0.8, 99.0, known=5.0), bust))
    assert story(built) == [(1.0, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]
    assert built.late.is_empty()
    assert built.counts["unmatched_cancels"] == 0


def test_a_cancel_of_nothing_is_counted() -> None:
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("x", 0.8, 0.0, action="cancel", refers_to="none")))
    assert built.counts["unmatched_cancels"] == 1
    assert len(story(built)) == 1


def test_a_bar_that_loses_all_its_trades_says_so() -> None:
    bust = trade("x", 0.2, 10.0, known=60.0, action="cancel", refers_to="a")
    built = build_bars(frame(trade("a", 0.2, 10.0), bust))
    assert story(built)[1:] == [(60.0, None, None, None, None, 0.0, 0)]
    last = built.versions.row(1, named=True)
    assert last["vwap"] is None
    assert (last["session"], last["simulated"], last["licence"]) == (at(0).date(), False, "own")


def test_a_bar_can_come_back() -> None:
    bust = trade("x", 0.2, 10.0, known=60.0, action="cancel", refers_to="a")
    built = build_bars(frame(trade("a", 0.2, 10.0), bust, trade("b", 0.3, 11.0, known=70.0)))
    assert [row[-1] for row in story(built)] == [1, 0, 1]


def test_a_bar_whose_only_trade_was_cancelled_before_its_end_never_was() -> None:
    bust = trade("x", 0.2, 10.0, known=0.9, action="cancel", refers_to="a")
    assert build_bars(frame(trade("a", 0.2, 10.0), bust)).versions.is_empty()


def test_a_correction_replaces_price_and_size() -> None:
    fixed = trade("c", 0.8, 11.5, 50, known=30.0, action="correct", refers_to="b")
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("b", 0.8, 99.0), fixed))
    assert story(built)[1:] == [(30.0, 10.0, 11.5, 10.0, 11.5, 150.0, 2)]


def test_a_correction_that_moves_a_trade_changes_both_bars() -> None:
    moved = trade("c", 1.4, 11.0, known=30.0, action="correct", refers_to="b")
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("b", 0.8, 11.0), trade("d", 1.5, 12.0), moved))
    assert story(built)[1:] == [(30.0, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]
    assert story(built, 2.0)[1:] == [(30.0, 11.0, 12.0, 11.0, 12.0, 200.0, 2)]


@pytest.mark.parametrize("second_names", ["a", "c1"])
def test_the_newest_of_a_chain_of_corrections_stands(second_names: str) -> None:
    chain = (
        trade("c1", 0.2, 20.0, known=10.0, action="correct", refers_to="a"),
        trade("c2", 0.2, 30.0, known=20.0, action="correct", refers_to=second_names),
    )
    built = build_bars(frame(trade("a", 0.2, 10.0), *chain))
    assert [(row[0], row[4], row[-1]) for row in story(built)] == [(1.0, 10.0, 1), (10.0, 20.0, 1), (20.0, 30.0, 1)]


def test_a_correction_of_a_correction_that_arrives_first_is_a_trade_of_its_own_until_then() -> None:
    chain = (
        trade("c2", 0.2, 30.0, known=10.0, action="correct", refers_to="c1"),
        trade("c1", 0.2, 20.0, known=20.0, action="correct", refers_to="a"),
    )
    built = build_bars(frame(trade("a", 0.2, 10.0), *chain))
    # Until c1 is known nothing ties c2 to a: counting one of them would be a guess.
    assert [(row[0], row[2], row[-1]) for row in story(built)] == [(1.0, 10.0, 1), (10.0, 30.0, 2), (20.0, 30.0, 1)]


@pytest.mark.parametrize("named", ["a", "c"])
def test_a_bust_of_a_corrected_trade_ends_it(named: str) -> None:
    changes = (
        trade("c", 0.2, 20.0, known=10.0, action="correct", refers_to="a"),
        trade("x", 0.2, 20.0, known=5 * HOUR, action="cancel", refers_to=named),
    )
    built = build_bars(frame(trade("a", 0.2, 10.0), *changes))
    assert [(row[0], row[4]) for row in story(built)] == [(1.0, 10.0), (10.0, 20.0), (5 * HOUR, None)]


@pytest.mark.parametrize("action", ["cancel", "correct"])
def test_amendments_have_a_limit_of_their_own(action: str) -> None:
    change = trade("x", 0.2, 12.0, known=1.0 + DAY, action=action, refers_to="a")
    assert len(story(build_bars(frame(trade("a", 0.2, 10.0), change)))) == 2
    late = change | {"knowledge_time": at(1.0 + DAY) + timedelta(microseconds=1)}
    built = build_bars(frame(trade("a", 0.2, 10.0), late))
    assert len(story(built)) == 1
    assert built.late["reason"].to_list() == [{"cancel": "late_cancel", "correct": "late_correction"}[action]]


def test_a_move_is_made_in_both_bars_or_in_none() -> None:
    # In time for the bar of the second 100, too late for that of the first second.
    moved = trade("c", 99.5, 10.0, known=61.0, action="correct", refers_to="a")
    limits = RevisionLimits(prints=timedelta(seconds=10), amendments=timedelta(seconds=30))
    built = build_bars(frame(trade("a", 0.2, 10.0), moved), limits=limits)
    assert built.versions["event_time"].to_list() == [at(1.0)]
    assert built.late["source_id"].to_list() == ["c"]


def test_a_correction_of_a_print_that_came_too_late_does_not_bring_it_in() -> None:
    rows = frame(
        trade("a", 0.2, 10.0),
        trade("b", 0.3, 50.0, known=HOUR),
        trade("c", 0.3, 60.0, known=HOUR + 5, action="correct", refers_to="b"),
    )
    built = build_bars(rows)
    assert [row[2] for row in story(built)] == [10.0]
    assert built.late["reason"].sort().to_list() == ["late_correction", "late_print"]


def test_an_amendment_without_reference_is_refused() -> None:
    rows = frame(
        trade("a", 0.2, 10.0), trade("x", 0.2, 0, action="cancel"), trade("y", 0.2, 1, action="correct", refers_to="")
    )
    built = build_bars(rows)
    assert built.late["reason"].to_list() == ["no_reference"] * 2
    assert [row[-1] for row in story(built)] == [1]


def test_an_amendment_under_the_id_of_its_print() -> None:
    bust = trade("a", 0.2, 10.0, known=9.0, action="cancel", refers_to="a")
    assert [row[-1] for row in story(build_bars(frame(trade("a", 0.2, 10.0), bust)))] == [1, 0]
    fixed = trade("a", 0.2, 9.0, known=9.0, action="correct", refers_to="a")
    assert [row[4] for row in story(build_bars(frame(trade("a", 0.2, 10.0), fixed)))] == [10.0, 9.0]


def test_corrections_in_a_ring_end() -> None:
    ring = (
        trade("p", 0.2, 20.0, known=10.0, action="correct", refers_to="q"),
        trade("q", 0.2, 30.0, known=20.0, action="correct", refers_to="p"),
    )
    assert [row[4] for row in story(build_bars(frame(*ring)))] == [20.0, 30.0]


def test_the_same_content_counts_once_from_when_it_was_first_known() -> None:
    one = trade("a", 0.2, 10.0)
    built = build_bars(frame(one, one, one | {"knowledge_time": at(7.0)}))
    assert story(built) == [(1.0, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]
    assert built.counts["duplicates"] == 2
    assert built.counts["conflicts"] == 0


def test_of_two_contents_under_one_id_the_larger_counts_once_it_is_known() -> None:
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("a", 0.2, 11.0, known=5.0)))
    assert [(row[0], row[4], row[-1]) for row in story(built)] == [(1.0, 10.0, 1), (5.0, 11.0, 1)]
    smaller = build_bars(frame(trade("a", 0.2, 10.0), trade("a", 0.2, 9.0, known=5.0)))
    assert [row[4] for row in story(smaller)] == [10.0]
    assert built.counts["conflicts"] == smaller.counts["conflicts"] == 1


def test_two_sources_may_use_the_same_ids() -> None:
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("a", 0.2, 11.0, source="other")))
    assert built.versions["source"].to_list() == ["built:other", "built:tape"]
    assert built.counts["conflicts"] == built.counts["duplicates"] == 0
    bust = trade("x", 0.2, 0, known=5.0, action="cancel", refers_to="a", source="other")
    built = build_bars(frame(trade("a", 0.2, 10.0), trade("a", 0.2, 11.0, source="other"), bust))
    assert built.versions.filter(pl.col("trades") == 0)["source"].to_list() == ["built:other"]


def test_order_inside_an_instant_is_by_sequence_then_id() -> None:
    same = 0.5
    rows = frame(
        trade("b", same, 11.0, sequence=2), trade("z", same, 12.0, sequence=1), trade("a", same, 13.0, sequence=2)
    )
    assert story(build_bars(rows)) == [(1.0, 12.0, 13.0, 11.0, 11.0, 300.0, 3)]


def test_an_out_of_sequence_print_does_not_set_open_or_close() -> None:
    rows = frame(
        trade("z1", 0.1, 8.0, conditions="Z"), trade("a", 0.2, 10.0), trade("b", 0.6, 11.0),
        trade("z2", 0.9, 14.0, conditions="Z"),
    )  # fmt: skip
    assert story(build_bars(rows)) == [(1.0, 10.0, 14.0, 8.0, 11.0, 400.0, 4)]


def test_a_print_out_of_sequence_sets_them_where_it_is_alone() -> None:
    rows = frame(trade("z1", 0.1, 8.0, conditions="Z"), trade("z2", 0.9, 9.0, conditions="Z"))
    assert story(build_bars(rows)) == [(1.0, 8.0, 9.0, 8.0, 9.0, 200.0, 2)]


def test_extended_hours_make_bars_of_their_own_and_no_prices_of_regular_ones() -> None:
    early = frame(
        trade("t1", 0.1, 8.0, conditions="T"),
        trade("u", 0.5, 5.0, conditions="U"),
        trade("t2", 0.9, 9.0, conditions="T"),
    )
    assert story(build_bars(early)) == [(1.0, 8.0, 9.0, 5.0, 9.0, 300.0, 3)]
    mixed = pl.concat([early, frame(trade("r", 0.6, 10.0))])
    assert story(build_bars(mixed)) == [(1.0, 10.0, 10.0, 10.0, 10.0, 400.0, 4)]


def test_trades_that_may_set_no_price_leave_a_bar_with_volume_and_without_prices() -> None:
    built = build_bars(frame(trade("i", 0.1, 8.0, 7, conditions="I"), trade("w", 0.2, 9.0, 10, conditions="B")))
    assert story(built) == [(1.0, None, None, None, None, 17.0, 2)]
    assert built.versions["vwap"].item() == (56 + 90) / 17


def test_official_prints_are_no_trades() -> None:
    assert build_bars(frame(trade("m", 0.1, 8.0, conditions="M"))).versions.is_empty()
    built = build_bars(frame(trade("a", 0.1, 8.0), trade("q", 0.2, 9.0, 1000, conditions="Q")))
    assert story(built) == [(1.0, 8.0, 8.0, 8.0, 8.0, 100.0, 1)]


def test_letters_are_read_by_tape_and_numbers_by_source() -> None:
    # B is an average price on CTA's tapes and a bunched trade on UTP's; 2 is an average price of Polygon's.
    for changes, close in (
        ({"conditions": "B", "tape": "A"}, 10.0),
        ({"conditions": "B", "tape": "C"}, 20.0),
        ({"conditions": "2", "source": "polygon", "tape": "3"}, 10.0),
        ({"conditions": "100000", "source": "algoseek", "tape": None}, 10.0),
    ):
        rows = [trade("a", 0.1, 10.0), trade("b", 0.2, 20.0) | changes]
        rows[0]["source"] = rows[1]["source"]
        assert build_bars(frame(*rows)).versions["close"].to_list() == [close], changes
    rows = frame(trade("a", 0.1, 10.0), trade("b", 0.2, 20.0, conditions="2"))
    assert build_bars(rows, notations={"tape": Notation.POLYGON}).versions["close"].to_list() == [10.0]


def test_unknown_conditions_are_counted_and_set_no_price() -> None:
    built = build_bars(frame(trade("a", 0.1, 10.0), trade("b", 0.2, 99.0, conditions="F|?")))
    assert story(built) == [(1.0, 10.0, 10.0, 10.0, 10.0, 200.0, 2)]
    assert built.counts["unknown_conditions"] == 1


def test_a_change_that_changes_nothing_makes_no_version() -> None:
    same = trade("c", 0.2, 10.0, known=20.0, action="correct", refers_to="a")
    odd = trade("m", 0.3, 10.0, known=30.0, conditions="M")
    assert len(story(build_bars(frame(trade("a", 0.2, 10.0), same, odd)))) == 1


@pytest.mark.parametrize(("interval", "seconds"), [("5s", 5), ("1m", 60), ("1h", 3600), ("90m", 5400), ("24h", 86400)])
def test_intervals(interval: str, seconds: int) -> None:
    rows = frame(trade("a", 0.0, 10.0), trade("b", 4.0, 12.0), trade("c", 3_000.0, 11.0), trade("d", 40_000.0, 13.0))
    built = build_bars(rows, interval).versions
    ends = {int(stamp.timestamp()) // seconds * seconds + seconds for stamp in rows["event_time"].to_list()}
    assert [int(stamp.timestamp()) for stamp in built["event_time"]] == sorted(ends)
    assert built["volume"].sum() == 400
    assert set(built["interval"]) == {interval}


@pytest.mark.parametrize("interval", ["", "s", "0s", "7s", "1d", "-1s", "1.5s", "２s", "48h"])
def test_intervals_that_cannot_be_built(interval: str) -> None:
    with pytest.raises(InputError, match="Bars cannot be built over"):
        build_bars(frame(), interval)


def test_no_trades_make_no_bars() -> None:
    built = build_bars(frame())
    assert built.versions.is_empty()
    assert built.versions.columns == build_bars(frame(trade("a", 0, 1.0))).versions.columns
    assert built.versions.schema == build_bars(frame(trade("a", 0, 1.0))).versions.schema
    assert built.late.columns == [*frame().columns, "reason"]


def test_wrong_frames_are_refused() -> None:
    rows = frame(trade("a", 0.2, 10.0))
    with pytest.raises(SchemaError, match=r"lack column\(s\) refers_to"):
        build_bars(rows.drop("refers_to"))
    with pytest.raises(SchemaError, match="event_time of the trades is Datetime"):
        build_bars(rows.with_columns(pl.col("event_time").dt.replace_time_zone(None)))
    with pytest.raises(SchemaError, match=r"action\(s\) bust; expected new"):
        build_bars(rows.with_columns(pl.lit("bust").alias("action")))


def test_other_columns_travel_to_late_and_change_nothing() -> None:
    rows = frame(trade("a", 0.2, 10.0), trade("b", 0.3, 10.0, known=2 * HOUR))
    stamped = pl.concat([rows, rows]).with_columns(
        pl.Series("ingested_at", [at(9), at(8), at(7), at(6)], dtype=pl.Datetime("us", "UTC"))
    )
    built = build_bars(stamped)
    assert_frame_equal(built.versions, build_bars(rows).versions)
    found: list[datetime] = built.late["ingested_at"].to_list()
    assert found == [at(6)]
