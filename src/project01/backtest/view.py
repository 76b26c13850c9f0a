"""What a portfolio construction is shown at one close, and what it answers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray


@dataclass(frozen=True)
class View:
    """All that is known of N names at one close.

    Attributes:
        scores: shape (N,), expected return over `horizon` as a fraction, higher is better; NaN: must not be held.
        uncertainty: shape (N,), standard deviation of the outcome around the score, same unit; NaN: unknown.
        returns: shape (L, N), daily returns of the last L sessions as fractions, the newest last; NaN: no return.
        held: shape (N,), weights of the book as it drifted to this close, 0 where a name has no bar to be traded at;
            zeros: an empty book.
        sectors: shape (N,), int64 code of each name's sector, -1: unknown, bound by no sector limit.
        betas: shape (N,), slope of each name's returns on the mean of all names; NaN: too short a history.
        place: shape (N,), rank of each symbol by name, which settles ties.
        horizon: sessions the scores look ahead.
    """

    scores: FloatArray
    uncertainty: FloatArray
    returns: FloatArray
    held: FloatArray
    sectors: NDArray[np.int64]
    betas: FloatArray
    place: NDArray[np.int64]
    horizon: int = 1

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Shape (N,), names that may be held."""
        return ~np.isnan(self.scores)

    @property
    def is_flat(self) -> bool:
        """Whether no two scores differ: no view is expressed."""
        known = self.scores[self.scored]
        return len(known) == 0 or bool(known.min() == known.max())


@dataclass(frozen=True)
class Decision:
    """Weights of one close.

    Attributes:
        weights: shape (N,), zero for names not wanted; None: nothing is decided, what is held stays.
        remark: why a limit was relaxed or nothing was decided, in words that can be counted; empty: nothing to tell.
        left_out: scored names whose history is too short to judge their risk.
    """

    weights: FloatArray | None
    remark: str = ""
    left_out: int = 0


class Construction(Protocol):
    """Turns what is known at one close into weights within its limits."""

    def decide(self, view: View) -> Decision:
        """Weights for `view`; a limit that cannot be kept is a remark, never an error."""
        ...

    def without_view(self) -> "Construction":
        """The same construction with its scores taken away: the book that the forecasts have to beat."""
        ...
