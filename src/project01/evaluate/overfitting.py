"""How much of a Sharpe ratio is luck. All Sharpe ratios in here are per observation, not a year, unless said."""

import math

import numpy as np
from scipy.stats import norm

from project01.domain import FloatArray, InputError, NotEnoughDataError

_EULER = 0.5772156649015329


def sharpe_error(sharpe: float, n: int, skew: float, kurtosis: float) -> float:
    """Standard error of a Sharpe ratio of returns that need not be normal.

    Args:
        sharpe: per observation.
        n: observations.
        skew: of the returns; 0 for normal.
        kurtosis: of the returns, not excess; 3 for normal.
    Source:
        Mertens 2002; Lo 2002 (Financial Analysts Journal 58(4)) is the case skew 0, kurtosis 3.
    """
    if n < 2:
        raise NotEnoughDataError(f"A Sharpe ratio of {n} observation(s) has no error; bring at least two.")
    return math.sqrt(max(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2, 0.0) / (n - 1))


def probabilistic_sharpe(sharpe: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`.

    Source:
        Bailey and López de Prado 2012, Journal of Risk 15(2), equation 11.
    """
    error = sharpe_error(sharpe, n, skew, kurtosis)
    return float(norm.cdf((sharpe - benchmark) / error)) if error > 0 else float(sharpe > benchmark)


def expected_maximum_sharpe(trials: float, trial_variance: float) -> float:
    """Sharpe ratio that the best of independent trials without skill is expected to show.

    Args:
        trials: number of independent trials, at least 1; 1 gives 0. May be a fraction (`effective_trials`); the
            approximation falls below zero between 1 and 1.3, where 0 is meant.
        trial_variance: variance of the trials' Sharpe ratios, in the same units squared.
    Source:
        Bailey and López de Prado 2014, Journal of Portfolio Management 40(5), equation 1.
    """
    if trials < 1 or trial_variance < 0:
        raise InputError(f"Found {trials} trials with variance {trial_variance}; expected at least 1 and at least 0.")
    if trials == 1:
        return 0.0
    high, higher = norm.ppf(1 - 1 / trials), norm.ppf(1 - 1 / (trials * math.e))
    return max(0.0, float(math.sqrt(trial_variance) * ((1 - _EULER) * high + _EULER * higher)))


def deflated_sharpe(sharpe: float, n: int, skew: float, kurtosis: float, trials: float, trial_variance: float) -> float:
    """Probability that the true Sharpe ratio is above what the best of `trials` lucky ones would show.

    Source:
        Bailey and López de Prado 2014, equation 2. Their example (2.5 a year, five years daily, skew -3, kurtosis 10,
        variance 1/2 a year) gives 0.9004 at 100 trials.
    """
    return probabilistic_sharpe(sharpe, expected_maximum_sharpe(trials, trial_variance), n, skew, kurtosis)


def minimum_track_record(sharpe: float, benchmark: float, skew: float, kurtosis: float, confidence: float) -> float:
    """Observations needed until a Sharpe ratio is above `benchmark` with `confidence`; infinite if it is not above.

    Source:
        Bailey and López de Prado 2012, equation 13.
    """
    if sharpe <= benchmark:
        return math.inf
    shape = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return 1.0 + shape * float(norm.ppf(confidence) / (sharpe - benchmark)) ** 2


def effective_trials(returns: FloatArray) -> float:
    """Number of independent trials that correlated ones amount to.

    Args:
        returns: shape (n_observations, n_trials); a constant column counts as a trial of its own.
    Returns:
        Between 1 and n_trials: average correlation r gives r + (1 - r) n.
    Source:
        Bailey and López de Prado 2014, appendix A.3.
    """
    count = returns.shape[1]
    moving = returns[:, returns.std(axis=0) > 0]
    if moving.shape[1] < 2:
        return float(max(count, 1))
    correlation = np.atleast_2d(np.corrcoef(moving, rowvar=False))
    pairs: FloatArray = correlation[np.triu_indices_from(correlation, k=1)]
    average = min(max(float(pairs.mean()), 0.0), 1.0)
    return float(average + (1.0 - average) * count)
