"""A share of repetitions with its exact interval, and after how much data a test first says yes for good."""

from collections.abc import Callable

import numpy as np
from scipy.stats import beta

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import CONFIDENCE, Estimate, hac_p_value, newey_west_sum_error, overlap_lag

LEVEL = (1.0 - CONFIDENCE) / 2
"""Level of every one-sided test here: 5 %, the one side of a 90 % interval."""
FIRST_LOOK, LOOK_EVERY = 126, 21
"""Sessions before a running test is first looked at (no figure a year is given for less), and between looks."""


def share_of(found: int, of: int) -> Estimate:
    """A share of independent repetitions with its exact 90 % interval.

    Args:
        found: repetitions in which it happened.
        of: all repetitions.
    Returns:
        Of fractions; the standard error is the binomial one, which is 0 where the share is 0 or 1 although the interval
        is not.
    Raises:
        InputError: no repetitions, or more found than there are.
    Source:
        Clopper and Pearson, Biometrika 26 (1934).
    """
    if not 0 <= found <= of or of < 1:
        raise InputError(f"{found} of {of} is no share. Count at least one repetition, and no more found than that.")
    low = float(beta.ppf(LEVEL, found, of - found + 1)) if found else 0.0
    high = float(beta.ppf(1.0 - LEVEL, found + 1, of - found)) if found < of else 1.0
    share = found / of
    error = float(np.sqrt(share * (1.0 - share) / of))
    return Estimate(share, error, low, high, of, "Clopper-Pearson, exact")


def skill_p_value(ic: FloatArray, horizon: int) -> float:
    """One-sided p-value of "the true mean information coefficient is above zero", by Newey-West.

    Args:
        ic: shape (n,), information coefficient by forecast time, NaN where there is none.
        horizon: sessions the labels look ahead; neighbouring ones overlap, and the error allows for that.
    Returns:
        NaN where there is no error: fewer than two values, or all the same.
    """
    known = ic[np.isfinite(ic)]
    if len(known) < 2:
        return float("nan")
    lag = overlap_lag(horizon, len(ic))
    mean = float(known.mean())
    error = newey_west_sum_error(ic - mean, lag) / len(known)
    return hac_p_value(mean, error, len(known), lag)


def found_after(series: FloatArray, p_value: Callable[[FloatArray], float]) -> int | None:
    """Length of the series from which on a running test passed at every later look, its end included.

    The test is repeated at 126 entries and every 21 after that, and at the end. A test looked at so often passes
    somewhere by luck more often than 5 % of the time; to have passed and stayed passed until the end, it must pass at
    the end, which it does by luck 5 % of the time.

    Args:
        series: shape (n,), in order of time.
        p_value: of the first k entries.
    Returns:
        None if the test does not pass at the end, or the series is shorter than one look.
    """
    looks = [*range(FIRST_LOOK, len(series), LOOK_EVERY), len(series)] if len(series) >= FIRST_LOOK else []
    first = None
    for look in reversed(looks):
        if not p_value(series[:look]) < LEVEL:
            break
        first = look
    return first
