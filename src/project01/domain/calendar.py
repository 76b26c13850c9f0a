"""Trading sessions of one exchange, on top of `exchange_calendars`."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain.errors import InputError

FIRST_SESSION = "1962-01-02"


@dataclass(frozen=True)
class TradingCalendar:
    """Sessions of an exchange with their opens and closes.

    Attributes:
        name: ISO 10383 market code as `exchange_calendars` knows it, e.g. ``XNYS``.
        sessions: shape (n_sessions,), datetime64[D], ascending.
        opens: shape (n_sessions,), datetime64[us], UTC.
        closes: shape (n_sessions,), datetime64[us], UTC; half days close early.
    """

    name: str
    sessions: NDArray[np.datetime64]
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]

    def is_session(self, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Which of `days` (datetime64[D]) the exchange traded on."""
        return np.isin(days.astype("datetime64[D]"), self.sessions)

    def index_of(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Position of each of `days` among `sessions`; -1 where it is not a session."""
        days = days.astype("datetime64[D]")
        position = np.searchsorted(self.sessions, days)
        inside = np.minimum(position, len(self.sessions) - 1)
        return np.where(self.sessions[inside] == days, inside, -1).astype(np.int64)

    def sessions_between(self, first: date, last: date) -> NDArray[np.datetime64]:
        """Sessions from `first` to `last`, both included."""
        left = np.searchsorted(self.sessions, np.datetime64(first, "D"), side="left")
        right = np.searchsorted(self.sessions, np.datetime64(last, "D"), side="right")
        return self.sessions[left:right]

    def last_closed(self, instant: datetime) -> date:
        """The newest session whose close is at or before `instant` (timezone-aware).

        Raises:
            InputError: `instant` lies before the first session known.
        """
        stamp = np.datetime64(int(instant.timestamp() * 1_000_000), "us")
        position = int(np.searchsorted(self.closes, stamp, side="right")) - 1
        if position < 0:
            raise InputError(
                f"{instant:%Y-%m-%d} lies before the first known session of {self.name}, "
                f"{self.sessions[0]}. Pass a later time."
            )
        found: date = self.sessions[position].item()
        return found

    def as_frame(self) -> pl.DataFrame:
        """Columns session (Date), open_at and close_at (Datetime us, UTC), one row a session."""
        return pl.DataFrame(
            {
                "session": pl.Series(self.sessions).cast(pl.Date),
                "open_at": pl.Series(self.opens).dt.replace_time_zone("UTC"),
                "close_at": pl.Series(self.closes).dt.replace_time_zone("UTC"),
            }
        )


@lru_cache(maxsize=4)
def trading_calendar(name: str = "XNYS") -> TradingCalendar:
    """The calendar of one exchange from 1962 to a year from now.

    Raises:
        InputError: `exchange_calendars` does not know `name`.
    """
    import exchange_calendars  # costs about a second, so only when a calendar is asked for

    try:
        found = exchange_calendars.get_calendar(name, start=FIRST_SESSION)
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise InputError(
            f"Unknown exchange calendar {name!r}. Use an ISO market code such as XNYS, XNAS or XLON."
        ) from error
    return TradingCalendar(
        name=name,
        sessions=found.schedule.index.to_numpy().astype("datetime64[D]"),
        opens=found.opens.dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
        closes=found.closes.dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
    )
