"""Results apart for different markets: rising and falling, calm and wild.

Whether the market rose in a session is known only after it, so those rows explain a result and could not have been
traded. Trend and volatility rest on the sessions before, so anyone could have known them at the time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import Estimate, mean_newey_west, plain_lag, undefined
from project01.evaluate.performance import SESSIONS_A_YEAR

TREND, VOLATILITY, HISTORY = 126, 21, 252
FEWEST_IN_A_REGIME = 21


@dataclass(frozen=True)
class Regime:
    """One kind of market.

    Attributes:
        kind: what sessions are told apart by.
        name: of this part of them.
        known_before: whether it was known before the session began.
        inside: shape (n,), the sessions that belong to it.
    """

    kind: str
    name: str
    known_before: bool
    inside: NDArray[np.bool_]


def _before(market: FloatArray, count: int) -> FloatArray:
    """Shape (n, count), the `count` returns before each session; NaN where there were fewer."""
    padded = np.concatenate([np.full(count, np.nan), market[:-1]])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, count))


def _terciles(volatility: FloatArray) -> NDArray[np.int64]:
    """0, 1 or 2 by the place of each value among those known up to then; -1 with fewer than `HISTORY` of them."""
    third = np.full(len(volatility), -1)
    known = np.flatnonzero(np.isfinite(volatility))
    values = volatility[known]
    for number in range(HISTORY - 1, len(known)):
        below = np.count_nonzero(values[: number + 1] < values[number])
        third[known[number]] = min(3 * below // (number + 1), 2)
    return third


def market_regimes(market: FloatArray, judged: int) -> list[Regime]:
    """The kinds of market that the last `judged` sessions belong to.

    A session whose trend or volatility is not known, for lack of history, belongs to none of that kind.

    Args:
        market: shape (m,), returns of the market by session, fractions; NaN only before its first.
        judged: n, at most m.
    Raises:
        InputError: more sessions are judged than there are returns.
    """
    if not 0 < judged <= len(market):
        raise InputError(f"{judged} sessions to judge and {len(market)} market returns; expected 1 to as many.")
    trend = np.log1p(np.maximum(_before(market, TREND), -1.0 + 1e-12)).sum(axis=1)
    third = _terciles(_before(market, VOLATILITY).std(axis=1, ddof=1))
    hindsight = "market in the session itself"
    by_trend, by_volatility = f"market over the {TREND} sessions before", f"volatility of the {VOLATILITY} before"
    found = [
        Regime(hindsight, "rose", False, market > 0),
        Regime(hindsight, "fell or stood", False, market <= 0),
        Regime(by_trend, "had risen", True, trend > 0),
        Regime(by_trend, "had fallen or stood", True, trend <= 0),
        *(
            Regime(by_volatility, f"{name} third of those known", True, third == place)
            for place, name in enumerate(("lowest", "middle", "highest"))
        ),
    ]
    return [Regime(r.kind, r.name, r.known_before, r.inside[len(market) - judged :]) for r in found]


def regime_mean(returns: FloatArray, regime: Regime) -> Estimate:
    """Mean return of the regime's sessions times 252, error by Newey-West with the other sessions as gaps.

    Args:
        returns: shape (n,), fractions by session.
        regime: with n sessions.
    Returns:
        A fraction a year spent in the regime; undefined for fewer than 21 sessions.
    """
    inside = int(regime.inside.sum())
    if inside < FEWEST_IN_A_REGIME:
        return undefined(inside, f"{inside} sessions; at least {FEWEST_IN_A_REGIME} are needed")
    lag = plain_lag(len(returns))
    return mean_newey_west(np.where(regime.inside, returns, np.nan), lag).scaled(SESSIONS_A_YEAR)
