"""Risk from trailing returns alone: which names can be judged, and a shrunk covariance of those."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from project01.backtest.view import View
from project01.domain import FloatArray

CovarianceEstimator = Callable[[FloatArray], FloatArray]


def ledoit_wolf_covariance(returns: FloatArray) -> FloatArray:
    """Sample covariance shrunk towards equal variances without correlation, by the share that minimises its error.

    A missing return counts as its name's mean; the name's deviations are widened so that its variance stays that of the
    returns it has.

    Args:
        returns: shape (L, n), daily returns as fractions; NaN where missing, at least one a name known.
    Returns:
        Shape (n, n), of one day, positive definite unless no return ever moved.
    Source:
        Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, JMVA 2004.
    """
    from sklearn.covariance import ledoit_wolf

    known = ~np.isnan(returns)
    deviations = np.where(known, returns - np.nanmean(returns, axis=0), 0.0)
    deviations *= np.sqrt(len(returns) / known.sum(axis=0))
    return np.asarray(ledoit_wolf(deviations, assume_centered=True)[0])


def judged(view: View) -> NDArray[np.bool_]:
    """Shape (N,), names with at least half of the trailing returns, two or more of them, not all equal."""
    known = ~np.isnan(view.returns)
    enough = 2 * known.sum(axis=0) >= max(len(view.returns), 4)
    low = np.where(known, view.returns, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, view.returns, -np.inf).max(axis=0, initial=-np.inf)
    return np.asarray(enough & (high > low))


def trailing_betas(returns: FloatArray) -> FloatArray:
    """Shape (n,), slope of each name's returns on the mean return of all names of the same session.

    Args:
        returns: shape (L, n), NaN where missing. A name with under half of them, or a market that never moved, has NaN.
    """
    known = ~np.isnan(returns)
    counted = known.sum(axis=1)
    market = np.where(counted > 0, np.where(known, returns, 0.0).sum(axis=1) / np.maximum(counted, 1), 0.0)
    seen = np.maximum(known.sum(axis=0), 1)
    level = np.where(known, market[:, None], 0.0).sum(axis=0) / seen
    moved = np.where(known, market[:, None] - level, 0.0)
    own = np.where(known, returns, 0.0)
    variance = (moved**2).sum(axis=0)
    enough = (2 * known.sum(axis=0) >= len(returns)) & (variance > 0)
    return np.where(enough, (moved * own).sum(axis=0) / np.where(variance > 0, variance, 1.0), np.nan)
