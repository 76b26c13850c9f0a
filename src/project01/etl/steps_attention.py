"""Steps on counts of stories and posts."""

import math

from project01.domain import FloatArray
from project01.etl.steps import sliding_sum


def share_of(state: FloatArray, at: int, window: int, part: float, whole: float) -> float:
    """Sum of a part over the sum of the whole, of the last `window` bars; NaN while that is zero.

    State: 2 `window` + 6 numbers.
    """
    parts = sliding_sum(state, at, window, part)
    wholes = sliding_sum(state, at + window + 3, window, whole)
    return parts / wholes if wholes > 0.0 else math.nan


def log_sum(state: FloatArray, at: int, window: int, amount: float) -> float:
    """Logarithm of one and the sum of the last `window` bars. State: `window` + 3 numbers."""
    return math.log(1.0 + sliding_sum(state, at, window, amount))


def abnormal(state: FloatArray, at: int, window: int, count: float) -> float:
    """Logarithm of one and the count over one and the mean of the `window` bars before. State: `window` + 5 numbers."""
    bars = state[at + window + 3]
    before = state[at + window + 4]
    state[at + window + 3] = bars + 1.0
    state[at + window + 4] = sliding_sum(state, at, window, count)
    return math.log((1.0 + count) / (1.0 + before / window)) if bars >= window else math.nan


def abnormal_mean(state: FloatArray, at: int, short: int, long: int, count: float) -> float:
    """Logarithm of one and the mean of the last `short` bars over one and that of the last `long`.

    State: `short` + `long` + 6 numbers.
    """
    recent = sliding_sum(state, at, short, count) / short
    usual = sliding_sum(state, at + short + 3, long, count) / long
    return math.log((1.0 + recent) / (1.0 + usual))
