"""Lengths of bars: ours (`1s`, `5m`, `1h`, `1d`), the vendor's (`1/second`), and when a bar is complete."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from project01.domain import InputError, trading_calendar

NEW_YORK = ZoneInfo("America/New_York")
_SPAN = re.compile(r"([1-9]\d{0,3})([smhd])")
_UNITS = {"s": ("second", 1000), "m": ("minute", 60_000), "h": ("hour", 3_600_000), "d": ("day", 86_400_000)}
# From here on quotes and trades of a day are made: its splits are in force and its dividends are off.
_PRE_OPEN, _TAPE_ENDS = time(4), time(20)


@dataclass(frozen=True)
class Span:
    """The length of a bar.

    Attributes:
        text: as it stands in `interval`.
        multiplier, unit: as the vendor writes it in the address.
        milliseconds: of a bar that does not follow the exchange's day.
    """

    text: str
    multiplier: int
    unit: str
    milliseconds: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The span of a text such as ``1s``, ``5m``, ``1h`` or ``1d``.

        Raises:
            InputError: another text, or days other than one.
        """
        match = _SPAN.fullmatch(text)
        if match is None or (match[2] == "d" and match[1] != "1"):
            raise InputError(f"Span {text[:32]!r} is not known. Use a number and s, m or h, such as 1s, 5m, 1h, or 1d.")
        unit, milliseconds = _UNITS[match[2]]
        return cls(text, int(match[1]), unit, int(match[1]) * milliseconds)

    def end(self, start: int, session: str) -> int | None:
        """When a bar that starts at `start` (milliseconds UTC) of the trading day `session` is complete, milliseconds.

        A daily bar: at its session's close; None where `session` was none.
        """
        return start + self.milliseconds if self.unit != "day" else close_of(session)


@lru_cache(maxsize=1 << 14)
def close_of(session: str) -> int | None:
    """The close of a day of the New York Stock Exchange, milliseconds UTC; None where it did not trade."""
    if not session:
        return None
    calendar = trading_calendar()
    place = int(calendar.index_of(np.array([session], "datetime64[D]"))[0])
    return None if place < 0 else int(calendar.closes[place].astype("datetime64[ms]").astype(np.int64))


def pre_open_of(day: date) -> int:
    """04:00 in New York on `day`, microseconds UTC: the first moment at which it trades."""
    return _at(day, _PRE_OPEN)


def end_of(day: date) -> int:
    """20:00 in New York on `day`, microseconds UTC: what was said on that day was said by then."""
    return _at(day, _TAPE_ENDS)


def _at(day: date, hour: time) -> int:
    return int(datetime.combine(day, hour, NEW_YORK).astimezone(UTC).timestamp()) * 1_000_000
