"""When a filing could first be read.

`acceptanceDateTime` of the SEC's submissions ends in Z, but is UTC for most companies only: for about one in five it is
the New York clock with a Z behind it, always the same way for one company (measured on 64,936 filings of 808 companies
against the SGML headers; see github dgunning/edgartools issue 557 and theOGognf/finagg issue 64). Read the wrong way, a
filing would be known four or five hours before it was. So the reading is taken from the company's own filings: EDGAR
accepts from 6:00 to 22:00 in New York, and dates what it accepts after 17:30 on the next business day; stamps that
cannot be so under one reading, but can under the other, decide. Where they do not, the later reading counts.

What is accepted after 17:30 is given out at 6:00 of the day it is dated, so it is never known before that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from project01.ingest.vendors.fundamentals import day_end_us, iso_day, wall_us

ZONE = "America/New_York"
_NEW_YORK = ZoneInfo(ZONE)
_OPENS, _CLOSES = time(6, 0), time(22, 0)
# The cut is at 17:30; a submission begun before it may be accepted some minutes later.
_SURELY_BEFORE_CUT, _SURELY_AFTER_CUT = time(17, 25), time(17, 45)
# Forms of insiders are dated on the same day up to 22:00.
_SAME_DAY = frozenset({"3", "4", "5", "144"})
# Only forms that companies send themselves say something: the SEC's own (EFFECT, UPLOAD) carry any hour.
_TELLING = frozenset({"10-K", "10-Q", "8-K", "6-K", "20-F", "40-F", "11-K", "S-8", "DEF 14A", *_SAME_DAY})
# How many times fewer impossible stamps a reading must have to be believed; a few are wrong under both.
_DECISIVE = 10
Reading = Literal["utc", "new_york"]


@dataclass(frozen=True)
class Stamp:
    """When one filing was accepted, as the SEC writes it; empty: not told."""

    accepted: str
    filed: str
    form: str


def reading_of(stamps: Iterable[Stamp]) -> Reading:
    """How the stamps of one company are to be read."""
    impossible: dict[Reading, int] = {"utc": 0, "new_york": 0}
    for stamp in stamps:
        form = stamp.form.removesuffix("/A")
        if form not in _TELLING:
            continue
        try:
            wall, filed = _digits(stamp.accepted), iso_day(stamp.filed)
            _instant(wall, "utc").astimezone(_NEW_YORK)
        except (ValueError, OverflowError):
            continue
        for reading in impossible:
            local = _instant(wall, reading).astimezone(_NEW_YORK)
            impossible[reading] += _cannot_be(local, filed, same_day=form in _SAME_DAY)
    utc, new_york = impossible["utc"], impossible["new_york"]
    return "utc" if new_york > 0 and new_york >= _DECISIVE * utc else "new_york"


def _cannot_be(local: datetime, filed: date, *, same_day: bool) -> bool:
    """Whether EDGAR would not have accepted at that New York time what it dated `filed`."""
    if not _OPENS <= local.time() <= _CLOSES or local.date() > filed:
        return True
    if same_day:
        return False
    dated_too_early = local.date() == filed and local.time() > _SURELY_AFTER_CUT
    return dated_too_early or (local.date() < filed and local.time() < _SURELY_BEFORE_CUT)


def known_us(stamp: Stamp, reading: Reading) -> int:
    """When the filing could first be read, microseconds UTC; without a usable stamp the end of its day in New York.

    Raises:
        ValueError: the filing has no day either.
    """
    filed = iso_day(stamp.filed)
    try:
        accepted = int(_instant(_digits(stamp.accepted), reading).timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        return day_end_us(filed, ZONE)
    return max(accepted, wall_us(filed, _OPENS, ZONE))


def _digits(text: str) -> datetime:
    """The stamp without its zone, which is not to be believed."""
    if not text.endswith("Z") or len(text) > 40:
        raise ValueError(f"found {text[:40]!r}; expected an instant such as 2015-04-27T20:32:09.000Z")
    return datetime.fromisoformat(text[:-1])


def _instant(wall: datetime, reading: Reading) -> datetime:
    return wall.replace(tzinfo=UTC if reading == "utc" else _NEW_YORK)
