"""Figures over a window that moves session by session, each with its own 90 % band.

Neighbouring windows share nearly all their sessions, and a band holds for one window alone: that some window of many
lies above a line is expected from luck.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import CONFIDENCE, hac_degrees_of_freedom, plain_lag
from project01.evaluate.performance import FEWEST_SESSIONS, SESSIONS_A_YEAR


@dataclass(frozen=True)
class Rolling:
    """One figure by window; the k-th window ends with return `window - 1 + k`.

    Attributes:
        window: sessions in each.
        value, low, high: shape (n - window + 1,), the figure and its 90 % interval; NaN for a window that stands still.
    """

    window: int
    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class RollingSharpe(Rolling):
    """A Sharpe ratio by window, a year, over cash at zero.

    Attributes:
        deflated: shape (n - window + 1,), probability that the true ratio of the window is above what luck alone gives.
    """

    deflated: FloatArray


def _windows(values: FloatArray, window: int) -> FloatArray:
    if window < FEWEST_SESSIONS:
        raise InputError(
            f"A window of {window} sessions is too short for a figure a year; pass {FEWEST_SESSIONS} or more."
        )
    if len(values) < window:
        return np.empty((0, window))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, window))


def _moving(rows: FloatArray, deviation: FloatArray) -> FloatArray:
    """NaN for windows in which only rounding moves, 1 for the others."""
    return np.where(deviation > 1e-12 * np.abs(rows).max(axis=1, initial=0.0), 1.0, np.nan)


def rolling_sharpe(returns: FloatArray, window: int, luck: float) -> RollingSharpe:
    """Sharpe ratio of each window, its error allowing for skew and fat tails.

    Args:
        returns: shape (n,), fractions by session, no NaN.
        window: sessions, at least 126.
        luck: Sharpe ratio a session that the best of all trials shows without skill (`expected_maximum_sharpe`).
    Raises:
        InputError: the window is too short.
    Source:
        Error: Mertens 2002. Deflated value: Bailey and López de Prado 2014, equation 2.
    """
    rows = _windows(returns, window)
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    second = (centred**2).mean(axis=1)
    deviation = np.sqrt(second * window / (window - 1))
    moving = _moving(rows, deviation)
    safe = np.where(np.isnan(moving), 1.0, second)
    sharpe = moving * mean / np.sqrt(safe * window / (window - 1))
    skew, kurtosis = (centred**3).mean(axis=1) / safe**1.5, (centred**4).mean(axis=1) / safe**2
    error = np.sqrt(np.maximum(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2, 0.0) / (window - 1))
    reach, year = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * error, np.sqrt(SESSIONS_A_YEAR)
    deflated = stats.norm.cdf((sharpe - luck) / error)
    return RollingSharpe(window, year * sharpe, year * (sharpe - reach), year * (sharpe + reach), deflated)


def rolling_beta(returns: FloatArray, benchmark: FloatArray, window: int) -> Rolling:
    """Least-squares slope of each window's returns on the benchmark's, errors by Newey-West.

    Args:
        returns: shape (n,), fractions by session, no NaN.
        benchmark: shape (n,), of the same sessions, no NaN.
        window: sessions, at least 126.
    Raises:
        InputError: the window is too short, or lengths differ.
    Source:
        Newey and West, Econometrica 55 (1987).
    """
    if len(returns) != len(benchmark):
        raise InputError(f"{len(returns)} returns, {len(benchmark)} of the benchmark; expected as many of both.")
    y, x = _windows(returns, window), _windows(benchmark, window)
    centred = x - x.mean(axis=1, keepdims=True)
    squares = (centred**2).sum(axis=1)
    moving = _moving(x, np.sqrt(squares / (window - 1)))
    safe = np.where(np.isnan(moving), 1.0, squares)
    beta = moving * (centred * y).sum(axis=1) / safe
    residual = y - y.mean(axis=1, keepdims=True) - beta[:, None] * centred
    scores, lag = centred * residual, plain_lag(window)
    total = (scores**2).sum(axis=1)
    for step in range(1, lag + 1):
        total += 2.0 * (1.0 - step / (lag + 1)) * (scores[:, step:] * scores[:, :-step]).sum(axis=1)
    error = np.sqrt(np.maximum(total, 0.0) * window / (window - 1)) / safe
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, hac_degrees_of_freedom(window, lag))) * error
    return Rolling(window, beta, beta - reach, beta + reach)
