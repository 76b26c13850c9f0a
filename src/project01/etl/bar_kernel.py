"""The compiled loop from trades in order to versions of bars.

Every sum is taken in the order of the trades, so that the result is the same to the bit whatever order they came in.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from project01.domain import FloatArray

# Knowledge times are microseconds since 1970; a trade that nothing takes back counts for ever.
FOREVER = np.iinfo(np.int64).max
# Places in the array that holds one version: open, high, low, close, volume, turnover, trades, its first trade's row.
OPEN, HIGH, LOW, CLOSE, VOLUME, TURNOVER, TRADES, FIRST = range(8)
CONTENT = 8

_Function = TypeVar("_Function", bound=Callable[..., Any])
compiled: Callable[[_Function], _Function] = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def _aggregate(
    at: int,
    price: FloatArray,
    size: FloatArray,
    code: NDArray[np.uint8],
    since: NDArray[np.int64],
    until: NDArray[np.int64],
    out: FloatArray,
) -> None:
    """The bar of these rows that count at knowledge time `at`, written to `out`."""
    out[:] = np.nan
    out[VOLUME] = out[TURNOVER] = out[TRADES] = 0.0
    out[FIRST] = -1.0
    best_open, best_range, best_last = 1, 1, 1
    for row in range(len(price)):
        if code[row] == 0 or since[row] > at or until[row] <= at:
            continue
        value = price[row]
        if out[FIRST] < 0:
            out[FIRST] = row
        out[TRADES] += 1
        level = code[row] & 3
        if level > best_open or (level == best_open and np.isnan(out[OPEN])):
            best_open, out[OPEN] = level, value
        level = code[row] >> 2 & 3
        if level > best_range or (level == best_range and np.isnan(out[HIGH])):
            best_range, out[HIGH], out[LOW] = level, value, value
        elif level == best_range:
            out[HIGH], out[LOW] = max(out[HIGH], value), min(out[LOW], value)
        level = code[row] >> 4 & 3
        if level >= best_last:
            best_last, out[CLOSE] = level, value
        if code[row] >> 6 & 1:
            out[VOLUME] += size[row]
            out[TURNOVER] += size[row] * value


@compiled
def _times(end: int, since: NDArray[np.int64], until: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """Into `out`, ascending and each once: the bar's end and every later time at which something changes; how many."""
    out[0] = end
    count = 1
    for row in range(len(since)):
        if since[row] > end:
            out[count] = since[row]
            count += 1
        if end < until[row] < FOREVER:
            out[count] = until[row]
            count += 1
    if count == 1:
        return 1
    out[:count].sort()
    unique = 1
    for place in range(1, count):
        if out[place] != out[unique - 1]:
            out[unique] = out[place]
            unique += 1
    return unique


@compiled
def _same(one: FloatArray, other: FloatArray) -> bool:
    """Whether two versions say the same; a missing price equals a missing price."""
    for place in range(FIRST):
        if one[place] != other[place] and not (np.isnan(one[place]) and np.isnan(other[place])):
            return False
    return True


@compiled
def versions(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    price: FloatArray,
    size: FloatArray,
    code: NDArray[np.uint8],
    since: NDArray[np.int64],
    until: NDArray[np.int64],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Every version of every bar.

    Args:
        starts: shape (n_bars + 1,); bar i holds the rows starts[i] to starts[i + 1], sorted as they are to be taken.
        ends: shape (n_bars,), the bar's end in microseconds.
        price: shape (n_rows,), positive.
        size: shape (n_rows,).
        code: shape (n_rows,), what each trade may set, as `Updates.code`.
        since: shape (n_rows,), the knowledge time from which a row counts.
        until: shape (n_rows,), the knowledge time from which it counts no more; FOREVER if never.
        most: no fewer than the versions there can be.
    Returns:
        For each version: the bar's number, the knowledge time, and a row of `CONTENT` numbers. NaN: no price. The last
        number is the row of the earliest trade in it; for a bar without trades that of the version before.
    """
    bar_of, known = np.empty(most, np.int64), np.empty(most, np.int64)
    content = np.empty((most, CONTENT))
    widest = 0
    for bar in range(len(ends)):
        widest = max(widest, starts[bar + 1] - starts[bar])
    times = np.empty(2 * widest + 1, np.int64)
    found = 0
    for bar in range(len(ends)):
        before = found
        held = slice(starts[bar], starts[bar + 1])
        for place in range(_times(ends[bar], since[held], until[held], times)):
            out = content[found]
            _aggregate(times[place], price[held], size[held], code[held], since[held], until[held], out)
            out[FIRST] += starts[bar]
            if found == before:
                if out[TRADES] == 0:
                    continue
            elif _same(out, content[found - 1]):
                continue
            elif out[TRADES] == 0:
                out[FIRST] = content[found - 1, FIRST]
            bar_of[found], known[found] = bar, times[place]
            found += 1
    return bar_of[:found], known[:found], content[:found]
