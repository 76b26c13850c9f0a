"""The mean of outcomes that overlap, with an interval that holds the truth as often as it says."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.fft import dct

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import CONFIDENCE, Estimate, undefined


@dataclass(frozen=True)
class _Mean:
    """Mean of a series, its error, the observations behind it and the degrees of freedom of the error."""

    value: float
    error: float
    n: int
    terms: int


def cosine_terms(horizon: int, n: int) -> int:
    """Cosines to measure the variance of a mean by: 0.41 n^(2/3), fewer where outcomes overlap; at least one.

    Waves shorter than two horizons are smoothed away by the overlap itself, so at most n / (2 horizon) can be used.

    Raises:
        InputError: the horizon is below 1.
    """
    if horizon < 1:
        raise InputError(f"Found a horizon of {horizon} steps; expected at least 1.")
    return max(1, min(int(0.41 * math.pow(n, 2 / 3)), n // (2 * horizon)))


def _mean(values: FloatArray, horizon: int) -> _Mean:
    present = np.flatnonzero(np.isfinite(values))
    if not len(present):
        return _Mean(float("nan"), float("nan"), 0, 0)
    lived = values[present[0] : present[-1] + 1]
    here = np.isfinite(lived)
    count, length = len(present), len(lived)
    value = float(lived[here].mean())
    terms = min(cosine_terms(horizon, length), length - 1)
    if count < 2 or terms < 1:
        return _Mean(value, float("nan"), count, 0)
    waves = dct(np.where(here, lived - value, 0.0), type=2)[1 : terms + 1] / math.sqrt(2.0 * length)
    return _Mean(value, math.sqrt(length * float(np.mean(waves**2))) / count, count, terms)


def mean_overlapping(values: FloatArray, horizon: int) -> Estimate:
    """Mean of outcomes over `horizon` steps that start at every step.

    The error is that of the first few cosine waves of the series, and the interval Student's with as many degrees of
    freedom. On simulated series (fat tails; horizons 1, 5, 21 and 63; 252 to 1,764 steps; 600 draws each) the 90 %
    interval held the truth in 0.86 to 0.91 of draws. On the same series the stationary bootstrap, its variance in
    closed form and its block as long as Patton, Politis and White (2009) ask, held it in 0.77 to 0.89; for Newey-West
    see `overlap_lag`.

    Args:
        values: shape (n,), in order of time; NaN is missing: it adds nothing, and the steps around it keep their
            distance. Missing ends are cut off.
        horizon: steps an outcome looks ahead; 1 for a series without overlap.
    Returns:
        NaN error below two values.
    Raises:
        InputError: the horizon is below 1.
    Source:
        Lazarus, Lewis, Stock and Watson, HAR inference: recommendations for practice, J. Bus. Econ. Stat. 36 (2018):
        equal-weighted cosines; Müller, HAC corrections for strongly autocorrelated time series, same journal 32
        (2014).
    """
    found = _mean(values, horizon)
    if not found.n:
        return undefined(0, "no observations")
    how = f"{found.terms} cosines, overlap of {horizon} steps"
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, found.terms)) * found.error if found.terms else float("nan")
    return Estimate(found.value, found.error, found.value - reach, found.value + reach, found.n, how)


def overlapping_p_value(values: FloatArray, horizon: int) -> float:
    """One-sided p-value of "the true mean is above zero"; arguments as `mean_overlapping`, NaN without an error."""
    found = _mean(values, horizon)
    if not found.error > 0:
        return float("nan")
    return float(stats.t.sf(found.value / found.error, found.terms))
