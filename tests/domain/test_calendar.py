"""The trading calendar against facts that can be looked up."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from project01.domain import InputError, trading_calendar

HALF_DAYS = ["2012-07-03", "2013-11-29", "2014-12-24", "2017-07-03"]
CLOSED_DAYS = ["2001-09-11", "2004-06-11", "2007-01-02", "2012-10-29", "2012-10-30", "2018-12-05", "2025-01-09"]


def days(*values: str) -> np.ndarray:
    return np.array(values, dtype="datetime64[D]")


@pytest.mark.parametrize("name", ["XNYS", "XLON"])
def test_sessions_ascend_and_closes_follow_opens(name: str) -> None:
    calendar = trading_calendar(name)
    assert bool(np.all(np.diff(calendar.sessions).astype(int) > 0))
    assert bool(np.all(calendar.opens < calendar.closes))
    assert bool(np.all(calendar.closes[:-1] < calendar.opens[1:]))


@pytest.mark.parametrize("day", HALF_DAYS)
def test_half_days_close_at_one_in_new_york(day: str) -> None:
    row = trading_calendar().as_frame().filter(pl.col("session") == date.fromisoformat(day)).row(0, named=True)
    assert row["close_at"].astimezone(UTC).hour == (17 if day[5:7] == "07" else 18)


@pytest.mark.parametrize("day", CLOSED_DAYS)
def test_unscheduled_closures_are_no_sessions(day: str) -> None:
    assert not trading_calendar().is_session(days(day))[0]


def test_twenty_years_have_the_published_number_of_sessions() -> None:
    # NYSE: 252 sessions in most years; 2001 lost four days, 2012 two.
    calendar = trading_calendar()
    counts = {y: len(calendar.sessions_between(date(y, 1, 1), date(y, 12, 31))) for y in range(1998, 2018)}
    assert counts[2001] == 248
    assert counts[2012] == 250
    assert set(counts.values()) <= {248, 250, 251, 252, 253}


def test_daylight_saving_moves_the_utc_close() -> None:
    frame = trading_calendar().as_frame()
    before, after = (
        frame.filter(pl.col("session") == date(2014, 3, day)).row(0, named=True)["close_at"] for day in (7, 10)
    )
    assert (before.hour, after.hour) == (21, 20)


def test_index_of_marks_days_without_a_session() -> None:
    calendar = trading_calendar()
    found = calendar.index_of(days("2014-07-04", "2014-07-03", "2014-07-07"))
    assert found[0] == -1
    assert found[2] == found[1] + 1


def test_last_closed_turns_over_at_the_close() -> None:
    calendar = trading_calendar()
    assert calendar.last_closed(datetime(2014, 6, 9, 19, 59, 59, tzinfo=UTC)) == date(2014, 6, 6)
    assert calendar.last_closed(datetime(2014, 6, 9, 20, 0, 0, tzinfo=UTC)) == date(2014, 6, 9)
    with pytest.raises(InputError, match="before the first known session"):
        calendar.last_closed(datetime(1950, 1, 1, tzinfo=UTC))


def test_an_unknown_exchange_is_named() -> None:
    with pytest.raises(InputError, match="XXXX"):
        trading_calendar("XXXX")
