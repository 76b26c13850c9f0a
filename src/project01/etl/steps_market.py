"""Steps that set an instrument against the market; see `steps` for the form."""

import math

from project01.domain import FloatArray
from project01.etl.steps import FLAT, SESSIONS_PER_YEAR, sliding_products, sliding_sum, slope_of, variance


def market_correlation(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Correlation of own returns with the market's; NaN where either stood still. State: 5 `window` + 7 numbers."""
    total_own, total_market, product, squares, own_squares = sliding_products(state, at, window, own, market)
    both = variance(total_market, squares, window, 0) * variance(total_own, own_squares, window, 0)
    if both == 0.0:
        return math.nan
    found = (product / window - total_own / window * (total_market / window)) / math.sqrt(both)
    return found if math.isnan(found) else min(max(found, -1.0), 1.0)


def idiosyncratic_volatility(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Standard deviation of the returns the market does not explain, a year's. State: 5 `window` + 7 numbers."""
    total_own, total_market, product, squares, own_squares = sliding_products(state, at, window, own, market)
    market_spread = variance(total_market, squares, window, 0)
    own_spread = variance(total_own, own_squares, window, 0)
    slope = slope_of(total_own, total_market, product, market_spread, window)
    residual = own_spread - slope * slope * market_spread
    if residual <= FLAT * own_spread:
        residual = 0.0
    return math.sqrt(residual * window / (window - 2.0) * SESSIONS_PER_YEAR)


def keep_pair(state: FloatArray, at: int, window: int, own: float, market: float) -> bool:
    """Put a pair into a ring of `window`; true once it is full. State: 2 + 2 `window` numbers."""
    place = int(state[at + 1])
    state[at + 2 + 2 * place] = own
    state[at + 3 + 2 * place] = market
    place += 1
    if place == window:
        place = 0
        state[at] = 1.0
    state[at + 1] = place
    return state[at] != 0.0


def downside_beta(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Slope of own returns on the market's over the sessions in which the market did worse than its mean.

    NaN where fewer than three such sessions are in the window. State: 3 `window` + 5 numbers.
    """
    mean = sliding_sum(state, at + 2 + 2 * window, window, market) / window
    if not keep_pair(state, at, window, own, market):
        return math.nan
    count = total_own = total_market = product = squares = 0.0
    for place in range(at + 2, at + 2 + 2 * window, 2):
        # Both are read before one is chosen: a read that may not happen is a branch, and half of all guesses are wrong.
        own, market = state[place], state[place + 1]
        below = market if market < mean else 0.0
        count += 1.0 if market < mean else 0.0
        total_own += own if market < mean else 0.0
        total_market += below
        product += own * below
        squares += below * below
    spread = squares - total_market * total_market / max(count, 1.0)
    if count < 3.0 or spread <= FLAT * squares:
        return math.nan
    return (product - total_own * total_market / count) / spread


def coskewness(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Standardised co-moment of the residual with the squared market return. State: 7 `window` + 13 numbers.

    E[e m^2] / (sqrt(E[e^2]) E[m^2]), e the residual of own on the market, m the market less its mean; from the means of
    own, market and their products up to the third.
    """
    third_at = at + 5 * window + 7
    total_own, total_market, product, squares, own_squares = sliding_products(state, at, window, own, market)
    own_square_market = sliding_sum(state, third_at, window, own * market * market) / window
    cubes = sliding_sum(state, third_at + window + 3, window, market * market * market) / window
    mean_own, mean_market = total_own / window, total_market / window
    spread = variance(total_market, squares, window, 0)
    slope = slope_of(total_own, total_market, product, spread, window)
    residual = variance(total_own, own_squares, window, 0)
    explained = slope * slope * spread
    if not residual - explained > FLAT * residual:
        return math.nan
    with_own = (
        own_square_market
        - 2.0 * mean_market * (product / window)
        + mean_own * (2.0 * mean_market * mean_market - squares / window)
    )
    with_market = cubes - 3.0 * mean_market * (squares / window) + 2.0 * mean_market * mean_market * mean_market
    return (with_own - slope * with_market) / (math.sqrt(residual - explained) * spread)


def residual_return(state: FloatArray, at: int, window: int, recent: int, own: float, market: float) -> float:
    """Sum of the last `recent` returns the market does not explain, slope of the whole window.

    State: 5 `window` + 7 + 2 (`recent` + 3) numbers.
    """
    recent_at = at + 5 * window + 7
    total_own, total_market, product, squares, _ = sliding_products(state, at, window, own, market)
    moved = sliding_sum(state, recent_at, recent, own)
    market_moved = sliding_sum(state, recent_at + recent + 3, recent, market)
    return moved - slope_of(total_own, total_market, product, variance(total_market, squares, window, 0), window) * (
        market_moved
    )
