"""Steps on macro series and on the market as a whole."""

import math

from project01.domain import FloatArray
from project01.etl.steps import SESSIONS_PER_YEAR, difference, sliding_sum


def spread(state: FloatArray, at: int, one: float, other: float) -> float:  # noqa: ARG001
    """One less the other."""
    return one - other


def spread_change(state: FloatArray, at: int, window: int, one: float, other: float) -> float:
    """Change of one less the other over `window` bars. State: `window` + 2 numbers."""
    return difference(state, at, window, one - other)


def log_ratio(state: FloatArray, at: int, one: float, other: float) -> float:  # noqa: ARG001
    """Natural logarithm of one over the other; NaN unless both are positive."""
    return math.log(one / other) if one > 0.0 and other > 0.0 else math.nan


def log_growth(state: FloatArray, at: int, window: int, value: float) -> float:
    """Logarithm of a positive value over that `window` bars ago. State: `window` + 2 numbers."""
    return difference(state, at, window, math.log(value)) if value > 0.0 else math.nan


def variance_premium(state: FloatArray, at: int, window: int, vix: float, market_return: float) -> float:
    """Variance that options expect less that of the last `window` returns, a year's. State: `window` + 3 numbers."""
    realised = sliding_sum(state, at, window, market_return * market_return) / window * SESSIONS_PER_YEAR
    return vix * vix / 1e4 - realised
