"""From a Sharpe ratio by session to one by year, where returns of one session say something of the next."""

import numpy as np

from project01.domain import DataError, FloatArray, InputError, NotEnoughDataError
from project01.evaluate.estimate import plain_lag


def aggregation_factor(autocorrelations: FloatArray, q: int) -> float:
    """What a Sharpe ratio per period is multiplied by to be one per `q` periods; without autocorrelation sqrt(q).

    Args:
        autocorrelations: shape (n_lags,), of lag 1, 2, ...; lags after the last count as zero, those from q on are
            not used.
        q: periods, e.g. 252 sessions or 12 months.
    Raises:
        InputError: q is below 1.
        DataError: the sum of q periods would have no positive variance.
    Source:
        Lo 2002, The statistics of Sharpe ratios, Financial Analysts Journal 58(4), equation 20.
    """
    if q < 1:
        raise InputError(f"Found {q} periods to sum up; expected at least 1.")
    used = autocorrelations[: q - 1]
    variance = q + 2.0 * float((q - np.arange(1, len(used) + 1)) @ used)
    if not variance > 0:
        raise DataError(
            f"These {len(used)} autocorrelations give {q} periods a variance of {variance:.3g} times that of one; "
            "expected above zero. Their errors are too large: bring a longer series."
        )
    return q / float(np.sqrt(variance))


def annualisation_factor(returns: FloatArray, q: int) -> float:
    """`aggregation_factor` of a series, by its own autocorrelations.

    Lags up to `plain_lag`, 4 (n / 100)^(2/9), are measured and later ones taken as zero: each lag adds its own error,
    and 251 of them from a few years would be noise.

    Args:
        returns: shape (n,), by session, no NaN; a series that does not move has the factor sqrt(q).
        q: sessions a year.
    Raises:
        InputError: a return is missing, or q is below 1.
        NotEnoughDataError: fewer than two returns.
        DataError: the autocorrelations measured give no positive variance.
    Source:
        Lo 2002, Financial Analysts Journal 58(4), equation 20.
    """
    n = len(returns)
    if n < 2:
        raise NotEnoughDataError(f"{n} return(s) have no autocorrelation; bring at least two.")
    if not bool(np.isfinite(returns).all()):
        raise InputError("A return is missing or infinite. Mark a session without trades as 0.")
    centred = returns - returns.mean()
    total = float(centred @ centred)
    if total <= 1e-24 * float(returns @ returns):
        return float(np.sqrt(q))
    lags = range(1, plain_lag(n) + 1)
    return aggregation_factor(np.array([float(centred[k:] @ centred[:-k]) / total for k in lags]), q)
