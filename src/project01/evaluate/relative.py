"""A series of net returns beside a benchmark: alpha, beta and how far the two part."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import CONFIDENCE, Estimate, hac_degrees_of_freedom, newey_west_sum_error, plain_lag
from project01.evaluate.performance import SESSIONS_A_YEAR, refuse_short


@dataclass(frozen=True)
class Relative:
    """A strategy beside a benchmark.

    Attributes:
        alpha: return a year that the benchmark does not explain, as a fraction.
        beta: return for one of the benchmark.
        tracking_error: standard deviation of the difference, a year.
        information_ratio: mean difference a year over `tracking_error`; NaN where the two never part.
    """

    alpha: Estimate
    beta: Estimate
    tracking_error: float
    information_ratio: float


def relative(returns: FloatArray, benchmark: FloatArray) -> Relative:
    """Least squares of returns on the benchmark's, errors by Newey-West.

    Args:
        returns: shape (n,), fractions by session, no NaN.
        benchmark: shape (n,), of the same sessions.
    Raises:
        InputError: lengths differ, a value is missing, or the benchmark does not move.
        NotEnoughDataError: fewer than 126 sessions.
    Source:
        Newey and West, Econometrica 55 (1987).
    """
    n = len(returns)
    if len(benchmark) != n or not bool(np.isfinite(returns).all() and np.isfinite(benchmark).all()):
        raise InputError(
            f"{n} returns and {len(benchmark)} of the benchmark, or one is missing; expected one of each for every "
            "session. Join the two on their sessions first."
        )
    refuse_short(n)
    centred = benchmark - benchmark.mean()
    if float(np.abs(centred).max()) <= 1e-12 * float(np.abs(benchmark).max()):
        raise InputError("The benchmark does not move, so it has no beta. Pass the returns of an index.")
    beta = float(centred @ returns) / float(centred @ centred)
    alpha = float(returns.mean()) - beta * float(benchmark.mean())
    residual = returns - alpha - beta * benchmark
    # Each coefficient is a weighted sum of returns; the same weights on the residuals are its scores.
    slope = centred / float(centred @ centred)
    level = 1.0 / n - slope * float(benchmark.mean())
    difference = returns - benchmark
    tracking = float(difference.std(ddof=1) * np.sqrt(SESSIONS_A_YEAR))
    ratio = float(difference.mean()) * SESSIONS_A_YEAR / tracking if tracking > 0 else float("nan")
    return Relative(
        _coefficient(alpha, level * residual).scaled(SESSIONS_A_YEAR),
        _coefficient(beta, slope * residual),
        tracking,
        ratio,
    )


def _coefficient(value: float, scores: FloatArray) -> Estimate:
    n = len(scores)
    lag = plain_lag(n)
    error = newey_west_sum_error(scores, lag)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, hac_degrees_of_freedom(n, lag))) * error
    return Estimate(value, error, value - reach, value + reach, n, f"least squares, Newey-West, lag {lag}")
