"""Returns of calendar months and years, compounded from those of sessions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError


@dataclass(frozen=True)
class CalendarReturns:
    """Compounded returns by month and year; the first and the last may be parts of a month.

    Attributes:
        years: Y calendar years, each from the first to the last.
        months: shape (Y, 12), fractions, NaN for a month without a session.
        totals: shape (Y,), of the sessions of each year; NaN for a year without one.
    """

    years: tuple[int, ...]
    months: FloatArray
    totals: FloatArray


def calendar_returns(sessions: NDArray[np.datetime64], returns: FloatArray) -> CalendarReturns:
    """Returns by session, compounded within each month and each year.

    Args:
        sessions: shape (n,), datetime64[D], ascending; the session each return ends on.
        returns: shape (n,), fractions, no NaN.
    Raises:
        InputError: lengths differ, or there is no session.
    """
    if len(sessions) != len(returns) or len(sessions) == 0:
        raise InputError(
            f"{len(sessions)} sessions and {len(returns)} returns; expected one return for each session, and a session."
        )
    month = sessions.astype("datetime64[M]").astype(np.int64) + 1970 * 12
    first = int(month[0]) // 12
    years = tuple(range(first, int(month[-1]) // 12 + 1))
    begins = np.flatnonzero(np.diff(month, prepend=-1))
    grown = np.full(len(years) * 12, np.nan)
    grown[month[begins] - first * 12] = np.multiply.reduceat(1.0 + returns, begins)
    months = grown.reshape(len(years), 12)
    held = np.isfinite(months)
    totals = np.where(held.any(axis=1), np.prod(np.where(held, months, 1.0), axis=1), np.nan)
    return CalendarReturns(years, months - 1.0, totals - 1.0)
