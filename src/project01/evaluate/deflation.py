"""One Sharpe ratio with all that is known of its luck: error, trials before it, and what is left of it after them."""

from dataclasses import dataclass

import numpy as np

from project01.domain import FloatArray, InputError
from project01.evaluate.overfitting import (
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_error,
)
from project01.evaluate.performance import moments, sharpe_per_session

TRACK_RECORD_CONFIDENCE = 0.95


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio and its luck. Ratios are per observation, not a year.

    Attributes:
        sharpe: of the series; 0 if it does not move.
        standard_error: of `sharpe`, skew and fat tails allowed for.
        sessions: observations.
        probabilistic: probability that the true ratio is above zero, as if nothing else had been tried.
        trials: all that were made, this one included.
        effective_trials: independent trials that they amount to, by the average correlation of those with returns;
            those without count as independent. Shown, not used: see `deflated_by_trials`.
        trial_deviation: standard deviation of the trials' Sharpe ratios; 0 for one trial.
        expected_maximum: what the best of the trials would show by luck alone.
        deflated: probability that the true ratio is above `expected_maximum`.
        minimum_track_record: observations until a ratio of this size is above zero with 95 % confidence; infinite if
            it is not above zero.
    """

    sharpe: float
    standard_error: float
    sessions: int
    probabilistic: float
    trials: int
    effective_trials: float
    trial_deviation: float
    expected_maximum: float
    deflated: float
    minimum_track_record: float


def _independent(trial_returns: FloatArray, trials: int) -> float:
    stored = int(trial_returns.shape[1])
    return (effective_trials(trial_returns) if stored else 0.0) + trials - stored


def deflated_by_trials(returns: FloatArray, trial_returns: FloatArray, trial_sharpes: FloatArray) -> DeflatedSharpe:
    """The Sharpe ratio of the trial that was picked, with all trials allowed for.

    Correlation of the trials is allowed for once, through the variance of their Sharpe ratios: trials that move
    together differ less, and so the best of them stands out less. To count fewer trials as well would allow for it
    twice. Share of best-of-N trials without skill that reach 0.95 (4,000 simulated sets each, 2 to 100 trials, all
    correlated by 0, 0.5, 0.9 or 0.99): at most 0.054 with all trials counted; up to 0.090 with the average-correlation
    number in their place, and up to 0.21 with the participation ratio of the correlation's eigenvalues. The price:
    where trials fall into a few clusters of near copies the count is too strict (0.004 or less where 0.05 is meant).

    Args:
        returns: shape (n,), by session, of the trial picked, no NaN.
        trial_returns: shape (n_sessions, n_stored), of those trials whose returns were kept; n_stored may be 0.
        trial_sharpes: shape (n_trials,), per observation, of every trial made, the one picked and those with returns
            included.
    Raises:
        InputError: no trial, a value is missing, or more trials have returns than have Sharpe ratios.
        NotEnoughDataError: fewer than two returns.
    Source:
        Bailey and López de Prado 2012, Journal of Risk 15(2); 2014, Journal of Portfolio Management 40(5).
    """
    trials = len(trial_sharpes)
    whole = all(bool(np.isfinite(part).all()) for part in (returns, trial_returns, trial_sharpes))
    if not trials or trial_returns.shape[1] > trials or not whole:
        raise InputError(
            f"Found {trials} trials' Sharpe ratios and {trial_returns.shape[1]} trials' returns, or a value that is "
            "missing; expected a ratio for every trial, and returns for at most as many."
        )
    sharpe, shape, n = sharpe_per_session(returns), moments(returns), len(returns)
    variance = float(trial_sharpes.var(ddof=1)) if trials > 1 else 0.0
    return DeflatedSharpe(
        sharpe=sharpe,
        standard_error=sharpe_error(sharpe, n, *shape),
        sessions=n,
        probabilistic=probabilistic_sharpe(sharpe, 0.0, n, *shape),
        trials=trials,
        effective_trials=_independent(trial_returns, trials),
        trial_deviation=float(np.sqrt(variance)),
        expected_maximum=expected_maximum_sharpe(trials, variance),
        deflated=deflated_sharpe(sharpe, n, *shape, trials, variance),
        minimum_track_record=minimum_track_record(sharpe, 0.0, *shape, TRACK_RECORD_CONFIDENCE),
    )
