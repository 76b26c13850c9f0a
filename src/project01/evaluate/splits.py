"""Walk-forward splits over time that cannot leak a label."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from project01.domain import InputError, NotEnoughDataError


@dataclass(frozen=True)
class Fold:
    """One refit and the window it is judged on.

    Attributes:
        number: counted from 0.
        train: shape (n_rows,), the rows to fit on.
        test: shape (n_rows,), the rows to forecast.
        train_first, train_last, test_first, test_last: as_of times of the windows' ends, datetime64[us].
    """

    number: int
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    train_first: np.datetime64
    train_last: np.datetime64
    test_first: np.datetime64
    test_last: np.datetime64


@dataclass(frozen=True, kw_only=True)
class WalkForward:
    """Train on the past, forecast what follows, move on.

    Attributes:
        train_sessions: length of the rolling training window in as_of times.
        test_sessions: as_of times forecast before the next refit.
        purge: as_of times dropped between training and test, because their labels reach into the test window. No
            default: it must be at least the horizon of the labels.
        horizon: sessions the labels look ahead.
        window: ``rolling`` keeps the newest train_sessions, ``expanding`` all since the start.
        embargo: as_of times after each test window that no later training window may use. In a walk-forward the past
            cannot be hurt by it, so it is 0 unless folds are also used backwards.
    """

    train_sessions: int
    test_sessions: int
    purge: int
    horizon: int
    embargo: int = 0
    window: Literal["rolling", "expanding"] = "rolling"

    def __post_init__(self) -> None:
        if self.purge < self.horizon:
            raise InputError(
                f"A purge of {self.purge} sessions is below the horizon of {self.horizon}: training labels would "
                f"overlap the test window. Pass purge >= {self.horizon}."
            )
        if min(self.train_sessions, self.test_sessions, self.horizon) < 1 or self.embargo < 0:
            raise InputError("Walk-forward windows and horizon must be at least 1 session, the embargo at least 0.")

    def split(self, as_of: NDArray[np.datetime64], label_known_at: NDArray[np.datetime64]) -> Iterator[Fold]:
        """Folds over rows.

        Args:
            as_of: shape (n_rows,), datetime64[us], when each row's features were known.
            label_known_at: shape (n_rows,), when its label was known.
        Raises:
            NotEnoughDataError: there is not one training and one test window.
        """
        times, position = np.unique(as_of, return_inverse=True)
        first_test = self.train_sessions + self.purge
        if first_test >= len(times):
            raise NotEnoughDataError(
                f"{len(times)} forecast times are too few for {self.train_sessions} of training and {self.purge} of "
                f"purge. Bring more history, or lower walk_forward.train_sessions."
            )
        embargoed = np.zeros(len(times), dtype=bool)
        for number, start in enumerate(range(first_test, len(times), self.test_sessions)):
            stop = min(start + self.test_sessions, len(times))
            right = start - self.purge
            left = right - self.train_sessions if self.window == "rolling" else 0
            allowed = np.zeros(len(times), dtype=bool)
            allowed[left:right] = True
            allowed &= ~embargoed
            # A label of a halted or delisted symbol can be known later than the purge allows for.
            train = allowed[position] & (label_known_at < times[start])
            test = (position >= start) & (position < stop)
            embargoed[stop : stop + self.embargo] = True
            yield Fold(number, train, test, times[left], times[right - 1], times[start], times[stop - 1])
