"""Markets made of real prices in which nothing can be forecast but how much prices will move.

Whole cross-sections of real sessions are drawn in blocks, and one fair coin a session decides whether all of its
returns keep their sign or lose it:

    return of session t, name i  =  coin(t) x real return of session s(t), name i

Given the past, and even given all magnitudes past and future, every simple return has mean zero, since the coin is
ours: no rule, of whatever features, has an expected return other than zero before costs. This needs nothing of the
source: momentum, reversal or seasons in it are gone. What stays is what makes real data hard: fat tails, calm and wild
times (within a block), and, since a session keeps its whole cross-section, the correlation of every pair of names. What
is lost: the asymmetry of falls and rises, and that falls raise volatility more than rises do.

The open is what is then expected of the close: a part q of the coin is revealed overnight, q = +1/2 or -1/2, and the
coin falls on the side of q with probability (1 + |q|) / 2. So both legs have mean zero, and a quarter of the variance
comes overnight. The gap is the same share of every name's return in a session, as one coin must have it.

Source:
    Wu, Annals of Statistics 14 (1986), and Liu, Annals of Statistics 16 (1988), for the coin ("wild" bootstrap);
    Goncalves and Kilian, J. Econometrics 123 (2004), for series whose volatility changes; Politis and Romano, J. Am.
    Stat. Assoc. 89 (1994), for the blocks. As in simulated markets, ranks over several sessions know volatility: see
    `ingest.simulator_market`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.evaluate.estimate import stationary_rows

BLOCK = 126  # sessions on average: volatility is remembered for months
REVEALED = 0.5  # of the coin overnight; its square, a quarter, is the share of the variance
LIMIT = 0.6  # returns beyond are cut to it on both sides alike, so that a mirrored rise leaves a price
MEMORY = 0.94  # of the running variance, a session; RiskMetrics 1996
FEWEST_SESSIONS_RESAMPLED = 252


@dataclass(frozen=True)
class ResampledBars:
    """Daily bars of a resampled market, each shape (n_sessions, n_symbols), none missing.

    Attributes:
        open, high, low, close: USD.
        volume: whole shares; they grow with the size of the session's return, as real ones do, and know no sign.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


def resampled_returns(
    returns: FloatArray, sessions: int, symbols: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Returns of a market without an edge: from close to open, and from close to close.

    Args:
        returns: shape (n, m), real simple returns from close to close, no NaN.
        sessions: of the market; may be more than n.
        symbols: names drawn among the m without replacement.
        rng: the source of chance.
    Returns:
        Two arrays of shape (sessions, symbols).
    Raises:
        InputError: too few sessions or names, or a return is missing.
    """
    count, names = returns.shape
    if count < FEWEST_SESSIONS_RESAMPLED or not 1 <= symbols <= names or not bool(np.isfinite(returns).all()):
        raise InputError(
            f"{count} sessions of {names} names cannot be resampled into a market of {symbols} names: at least "
            f"{FEWEST_SESSIONS_RESAMPLED} sessions without a gap are needed, and as many names as asked for."
        )
    picked = np.sort(rng.choice(names, symbols, replace=False))
    rows = stationary_rows(count, BLOCK, -(-sessions // count), rng).ravel()[:sessions]
    size = np.clip(returns[np.ix_(rows, picked)], -LIMIT, LIMIT)
    revealed = np.where(rng.random(sessions) < 0.5, REVEALED, -REVEALED)
    coin = np.where(rng.random(sessions) < (1.0 + revealed) / 2.0, 1.0, -1.0)
    return revealed[:, None] * size, coin[:, None] * size


def resampled_bars(returns: FloatArray, sessions: int, symbols: int, seed: int) -> ResampledBars:
    """Bars of a market made of real returns without an edge; arguments and errors as `resampled_returns`.

    Prices start near 50 USD; high and low are those of a Brownian bridge from open to close.
    """
    rng = np.random.default_rng(seed)
    overnight, daily = resampled_returns(returns, sessions, symbols, rng)
    start = 50.0 * np.exp(0.5 * rng.standard_normal(symbols))
    close = start * np.cumprod(1.0 + daily, axis=0)
    opened = np.vstack([start, close[:-1]]) * (1.0 + overnight)
    spread = _running_volatility(daily)
    high, low = _extremes(opened, close, spread * np.sqrt(1.0 - REVEALED**2), rng)
    surprise = np.minimum(np.abs(daily) / spread, 6.0)
    usual = 1e6 * np.exp(0.8 * rng.standard_normal(symbols))
    volume = np.round(usual * np.exp(0.25 * surprise + 0.3 * rng.standard_normal(daily.shape))) + 1.0
    return ResampledBars(opened, high, low, close, volume)


def _running_volatility(daily: FloatArray) -> FloatArray:
    """Shape as given, positive: root of the running mean square, the session itself included."""
    least = 1e-4
    heat = np.maximum(np.square(daily).mean(axis=0), least**2)
    found = np.empty_like(daily)
    for session, moved in enumerate(np.square(daily)):
        heat = MEMORY * heat + (1.0 - MEMORY) * moved
        found[session] = np.sqrt(heat)
    return np.maximum(found, least)


def _extremes(
    opened: FloatArray, close: FloatArray, volatility: FloatArray, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """High and low of a Brownian bridge from open to close, each from its exact distribution.

    Source: P(max > m) = exp(-2 m (m - x) / s^2); Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 4.3.40.
    """
    move = np.log(close / opened)
    up, down = (np.sqrt(move**2 - 2.0 * volatility**2 * np.log1p(-rng.random(move.shape))) for _ in range(2))
    high, low = opened * np.exp((move + up) / 2.0), opened * np.exp((move - down) / 2.0)
    return np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close))
