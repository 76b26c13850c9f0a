"""The fused loop that `features.py` measures against: 25 steps over their own state, nothing that a real engine needs.

Seventeen compensated moving averages and eight of Wilder's strength indices of the close, put into one compiled
function; no missing values, no adjustment, no choice of features, results beside each other by row.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray

AVERAGES = (5, 10, 14, 20, 21, 26, 42, 60, 63, 100, 120, 126, 150, 180, 200, 220, 252)
STRENGTHS = (5, 7, 10, 14, 21, 28, 42, 63)
CLOSE = 3  # its row among the inputs
Step = Callable[..., Any]

compiled = numba.njit(nogil=True, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def moving_average(window: int) -> tuple[Step, int]:
    """State: count, place in the ring, sum, its compensation (Kahan), ring of `window` closes."""

    @compiled
    def step(state, close):
        count, place = state[0], int(state[1])
        leaving = state[4 + place] if count >= window else 0.0
        increment = (close - leaving) - state[3]
        total = state[2] + increment
        state[3] = (total - state[2]) - increment
        state[2] = total
        state[4 + place] = close
        state[1] = (place + 1) % window
        state[0] = count + 1
        return total / window if count + 1 >= window else np.nan

    return step, 4 + window


def strength_index(window: int) -> tuple[Step, int]:
    """State: count, close before, mean gain, mean loss."""

    @compiled
    def step(state, close):
        count, previous = state[0], state[1]
        state[0], state[1] = count + 1, close
        if count == 0:
            return np.nan
        change = close - previous
        gain, loss = max(change, 0.0), max(-change, 0.0)
        if count <= window:
            state[2] += gain / window
            state[3] += loss / window
            if count < window:
                return np.nan
        else:
            state[2] = (state[2] * (window - 1) + gain) / window
            state[3] = (state[3] * (window - 1) + loss) / window
        both = state[2] + state[3]
        return 100.0 * state[2] / both if both > 0 else 50.0

    return step, 4


def _placed(step: Step, first: int, last: int, place: int) -> Step:
    """The step on its own part of the state, its result in its own place."""

    @compiled
    def one(state, close, out):
        out[place] = step(state[first:last], close)

    return one


def _joined(parts: Sequence[Step]) -> Step:
    """One function that does all of them in turn; in halves, so that little is compiled twice."""
    if len(parts) == 1:
        return parts[0]
    left, right = _joined(parts[: len(parts) // 2]), _joined(parts[len(parts) // 2 :])

    @compiled
    def both(state, close, out):
        left(state, close, out)
        right(state, close, out)

    return both


def fused() -> Callable[[NDArray[np.int64], int, int, FloatArray, NDArray[np.float32]], None]:
    """Compiled function of starts, first and last instrument, inputs (n_inputs, n_rows) and out (n_rows, 25)."""
    parts = [moving_average(window) for window in AVERAGES] + [strength_index(window) for window in STRENGTHS]
    ends = list(accumulate(size for _, size in parts))
    every = _joined(
        [_placed(step, end - size, end, n) for n, ((step, size), end) in enumerate(zip(parts, ends, strict=True))]
    )
    held = ends[-1]

    @numba.njit(nogil=True)
    def loop(starts, first, last, inputs, out):
        for instrument in range(first, last):
            state = np.zeros(held)
            for row in range(starts[instrument], starts[instrument + 1]):
                every(state, inputs[CLOSE, row], out[row])

    return loop


@numba.njit(nogil=True, error_model="numpy")
def copied(inputs: FloatArray, out: FloatArray) -> None:
    """Read what the features read and write as much as they write: what memory alone allows."""
    for row in range(inputs.shape[1]):
        total = 0.0
        for column in range(7):
            total += inputs[column, row]
        for column in range(out.shape[0]):
            out[column, row] = total
