"""What a series of net returns amounts to, each figure with its error."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import kurtosis as fisher_kurtosis
from scipy.stats import skew as sample_skew

from project01.domain import FloatArray, InputError, NotEnoughDataError
from project01.evaluate.estimate import (
    CONFIDENCE,
    Estimate,
    mean_newey_west,
    normal_estimate,
    plain_lag,
    stationary_rows,
)
from project01.evaluate.overfitting import sharpe_error

SESSIONS_A_YEAR = 252
FEWEST_SESSIONS = 126
_BLOCK, _DRAWS = 21, 1000


@dataclass(frozen=True)
class Drawdown:
    """The largest fall from a running peak: depth (zero or negative) and the positions of peak and trough."""

    depth: float
    peak: int
    trough: int


@dataclass(frozen=True)
class Performance:
    """Figures of one series of returns by session.

    Attributes:
        annual_return: arithmetic mean times 252.
        volatility, sharpe, sortino: a year; the Sharpe ratio is over cash at zero.
        daily_sharpe, skew, kurtosis: of the sessions; kurtosis 3 is normal.
        drawdown: of compounded returns.
        sessions: observations.
    """

    annual_return: Estimate
    volatility: Estimate
    sharpe: Estimate
    sortino: Estimate
    daily_sharpe: float
    skew: float
    kurtosis: float
    drawdown: Drawdown
    sessions: int


def refuse_short(n: int) -> None:
    """Raises NotEnoughDataError below 126 sessions: a year's figure from less is extrapolation."""
    if n < FEWEST_SESSIONS:
        raise NotEnoughDataError(
            f"{n} sessions are too few to state a figure a year; at least {FEWEST_SESSIONS} are needed. "
            "Bring more history, or shorten walk_forward.train_sessions."
        )


def _refuse_unusable(returns: FloatArray) -> None:
    refuse_short(len(returns))
    missing = int((~np.isfinite(returns)).sum())
    if missing:
        raise InputError(
            f"{missing} of {len(returns)} returns are missing or infinite; a back-test has one for every session. "
            "Mark a session without trades as 0, and look for the price that made the others."
        )


def _stands_still(returns: FloatArray) -> bool:
    """Whether what moves is only rounding: equal numbers can have a deviation of 1e-19."""
    return bool(returns.std() <= 1e-12 * np.abs(returns).max(initial=0.0))


def annual_mean(returns: FloatArray) -> Estimate:
    """Arithmetic mean a year, error by Newey-West.

    Raises:
        NotEnoughDataError: fewer than 126 sessions.
        InputError: a return is missing or infinite.
    """
    _refuse_unusable(returns)
    return mean_newey_west(returns, plain_lag(len(returns))).scaled(SESSIONS_A_YEAR)


def sharpe_per_session(returns: FloatArray) -> float:
    """Mean over standard deviation; 0 for a series that does not move."""
    return 0.0 if _stands_still(returns) else float(returns.mean() / returns.std(ddof=1))


def moments(returns: FloatArray) -> tuple[float, float]:
    """Skew and kurtosis (3 is normal); of a series that does not move, 0 and 3."""
    if _stands_still(returns):
        return 0.0, 3.0
    return float(sample_skew(returns)), float(fisher_kurtosis(returns)) + 3.0


def annual_sharpe(returns: FloatArray) -> Estimate:
    """Sharpe ratio a year over cash at zero, its error allowing for skew and fat tails."""
    _refuse_unusable(returns)
    daily = sharpe_per_session(returns)
    error = sharpe_error(daily, len(returns), *moments(returns))
    estimate = normal_estimate(daily, error, len(returns), "Mertens 2002, skew and kurtosis allowed for")
    return estimate.scaled(float(np.sqrt(SESSIONS_A_YEAR)))


def max_drawdown(returns: FloatArray) -> Drawdown:
    """Largest fall of compounded equity from its running peak; a start of 1 counts as the first peak (position 0)."""
    equity = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    peaks = np.maximum.accumulate(equity)
    trough = int(np.argmin(equity / peaks))
    peak = int(np.argmax(equity[: trough + 1]))
    return Drawdown(float(equity[trough] / peaks[trough] - 1.0), max(peak - 1, 0), max(trough - 1, 0))


def _bootstrapped(returns: FloatArray, figure: Callable[[FloatArray], FloatArray], seed: int) -> Estimate:
    """`figure` maps (draws, n) to (draws,)."""
    drawn = figure(returns[stationary_rows(len(returns), _BLOCK, _DRAWS, np.random.default_rng(seed))])
    tail = (1.0 - CONFIDENCE) / 2
    low, high = (float(v) for v in np.quantile(drawn, [tail, 1.0 - tail]))
    value = float(figure(returns[None, :])[0])
    method = f"stationary bootstrap, {_DRAWS} draws, blocks of {_BLOCK} on average"
    return Estimate(value, float(drawn.std(ddof=1)), low, high, len(returns), method)


def _volatilities(samples: FloatArray) -> FloatArray:
    return np.asarray(samples.std(axis=1, ddof=1) * np.sqrt(SESSIONS_A_YEAR))


def _sortinos(samples: FloatArray) -> FloatArray:
    downside = np.sqrt(np.mean(np.minimum(samples, 0.0) ** 2, axis=1))
    ratio = np.divide(samples.mean(axis=1), downside, out=np.zeros(len(samples)), where=downside > 0)
    return np.asarray(ratio * np.sqrt(SESSIONS_A_YEAR))


def performance(returns: FloatArray, seed: int) -> Performance:
    """Figures of a series of returns by session.

    Args:
        returns: shape (n,), fractions, no NaN.
        seed: of the bootstrap.
    Raises:
        NotEnoughDataError: fewer than 126 sessions.
        InputError: a return is missing or infinite.
    """
    _refuse_unusable(returns)
    skew, kurtosis = moments(returns)
    return Performance(
        annual_return=annual_mean(returns),
        volatility=_bootstrapped(returns, _volatilities, seed),
        sharpe=annual_sharpe(returns),
        sortino=_bootstrapped(returns, _sortinos, seed),
        daily_sharpe=sharpe_per_session(returns),
        skew=skew,
        kurtosis=kurtosis,
        drawdown=max_drawdown(returns),
        sessions=len(returns),
    )
