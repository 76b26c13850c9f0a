"""Ranks of a value among the rows of its session, where every row of a session is a peer of every other.

A row becomes one whole number that sorts by its value and names the row; the numbers of a session are a line of a
matrix, filled up at its end, so that numpy sorts all lines in one call.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int64]
Keys: TypeAlias = NDArray[np.uint64]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_compiled: Callable[[_Function], _Function] = njit(cache=True, nogil=True)

# Sorts behind every row; no row has it, since its value would be one of the missing ones.
NONE = np.uint64(2**64 - 1)
# Numbers sorted in one call, about: they stay in a processor's caches.
NUMBERS_A_CALL = 1 << 18


@_compiled
def _keys_of(session: Codes, value: NDArray[np.float32], starts: Codes) -> Keys:
    """A key for each finite value, session by session, `starts[i]` being where those of session i begin."""
    free = starts[:-1].copy()
    keys = np.empty(starts[-1], dtype=np.uint64)
    bits = value.view(np.uint32)
    for row in range(len(value)):
        if np.isfinite(value[row]):
            own = bits[row]
            if value[row] == 0.0:
                # -0.0 equals 0.0.
                ascending = np.uint32(1 << 31)
            elif own >> np.uint32(31):
                # The bits of positive floats ascend as whole numbers; those of negative ones descend.
                ascending = ~own
            else:
                ascending = own | np.uint32(1 << 31)
            keys[free[session[row]]] = (np.uint64(ascending) << np.uint64(32)) | np.uint64(row)
            free[session[row]] += 1
    return keys


@_compiled
def _starts_of(session: Codes, value: NDArray[np.float32], sessions: int) -> Codes:
    """Where the keys of each session begin, and how many there are in all."""
    starts = np.zeros(sessions + 1, dtype=np.int64)
    for row in range(len(value)):
        if np.isfinite(value[row]):
            starts[session[row] + 1] += 1
    return np.cumsum(starts)


@_compiled
def _lines(keys: Keys, starts: Codes, first: int, lines: Keys) -> None:
    """Put the keys of the sessions from `first` on into lines, filled up at their ends."""
    for line in range(len(lines)):
        begin, end = starts[first + line], starts[first + line + 1]
        lines[line, : end - begin] = keys[begin:end]
        lines[line, end - begin :] = NONE


@_compiled
def _write_ranks(lines: Keys, counts: Codes, ranks: NDArray[np.float32]) -> None:
    """Ranks of sorted lines, from -0.5 to 0.5, ties averaged, to the rows the keys name; a row alone has none."""
    shift, row_of = np.uint64(32), np.uint64(2**32 - 1)
    for line in range(len(lines)):
        count = counts[line]
        if count < 2:
            continue
        tie = 0
        while tie < count:
            end = tie + 1
            while end < count and lines[line, end] >> shift == lines[line, tie] >> shift:
                end += 1
            rank = (tie + (end - tie - 1) / 2.0) / (count - 1) - 0.5
            for place in range(tie, end):
                ranks[lines[line, place] & row_of] = rank
            tie = end


def ranked_together(session: Codes, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rank of each row among those of its session, -0.5 lowest to 0.5 highest, ties averaged.

    Args:
        session: shape (n_rows,), numbers from 0; fewer than 2**32 rows.
        value: shape (n_rows,); a row that is not finite has no rank and is no peer.
    Returns:
        Shape (n_rows,); NaN without a peer.
    """
    ranks = np.full(len(value), np.nan, dtype=np.float32)
    starts = _starts_of(session, value, int(session.max(initial=-1)) + 1)
    keys = _keys_of(session, value, starts)
    counts = np.diff(starts)
    together = max(1, NUMBERS_A_CALL // max(1, int(counts.max(initial=0))))
    for first in range(0, len(counts), together):
        own = counts[first : first + together]
        lines = np.empty((len(own), int(own.max())), dtype=np.uint64)
        _lines(keys, starts, first, lines)
        lines.sort(axis=1)
        _write_ranks(lines, own, ranks)
    return ranks
