"""The deepest falls of an equity curve, one row for each time under water."""

from dataclasses import dataclass

import numpy as np

from project01.domain import FloatArray


@dataclass(frozen=True)
class Fall:
    """One time under water; positions count from the start of equity (0), so return i leads to position i + 1.

    Attributes:
        depth: trough over peak less 1, below zero.
        peak: the last position at the running peak.
        trough: the lowest position.
        recovered: the first position back at the peak or above; None: not by the end.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None


def deepest_drawdowns(returns: FloatArray, count: int) -> list[Fall]:
    """The `count` deepest falls of compounded returns from a running peak, deepest first.

    Args:
        returns: shape (n,), fractions, no NaN; a start of 1 counts as the first peak.
        count: most to give; there may be fewer.
    """
    equity = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    peaks = np.maximum.accumulate(equity)
    # A fall begins where equity leaves its peak and ends where it is back; the peak stays the same in between.
    steps = np.diff(np.concatenate([[False], equity < peaks, [False]]).astype(np.int8))
    falls = []
    for begin, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        trough = int(begin + np.argmin(equity[begin:end]))
        depth = float(equity[trough] / peaks[trough] - 1.0)
        falls.append(Fall(depth, int(begin) - 1, trough, int(end) if end < len(equity) else None))
    return sorted(falls, key=lambda fall: (fall.depth, fall.peak))[:count]
