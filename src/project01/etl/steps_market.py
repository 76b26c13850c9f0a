"""Steps that set an instrument against the market; see `steps` for the form."""

import math

from project01.domain import FloatArray
from project01.etl.steps import FLAT, SESSIONS_PER_YEAR, sliding_products, slope_of, variance


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

    NaN where fewer than three such sessions are in the window. State: 2 + 2 `window` numbers.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    mean = 0.0
    for place in range(window):
        mean += state[at + 3 + 2 * place]
    mean /= window
    count = 0
    total_own = total_market = 0.0
    for place in range(window):
        if state[at + 3 + 2 * place] < mean:
            count += 1
            total_own += state[at + 2 + 2 * place]
            total_market += state[at + 3 + 2 * place]
    if count < 3:
        return math.nan
    mean_own = total_own / count
    mean_market = total_market / count
    product = spread = 0.0
    for place in range(window):
        away = state[at + 3 + 2 * place]
        if away < mean:
            away -= mean_market
            product += away * (state[at + 2 + 2 * place] - mean_own)
            spread += away * away
    return product / spread if spread > FLAT * mean_market * mean_market else math.nan


def coskewness(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Standardised co-moment of the residual with the squared market return. State: 2 + 2 `window` numbers.

    E[e m^2] / (sqrt(E[e^2]) E[m^2]), e the residual of own on the market, m the market less its mean.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    mean_own = mean_market = 0.0
    for place in range(window):
        mean_own += state[at + 2 + 2 * place]
        mean_market += state[at + 3 + 2 * place]
    mean_own /= window
    mean_market /= window
    product = market_spread = own_spread = 0.0
    for place in range(window):
        own_away = state[at + 2 + 2 * place] - mean_own
        away = state[at + 3 + 2 * place] - mean_market
        product += own_away * away
        market_spread += away * away
        own_spread += own_away * own_away
    if market_spread <= FLAT * window * mean_market * mean_market:
        return math.nan
    slope = product / market_spread
    third = residual = 0.0
    for place in range(window):
        away = state[at + 3 + 2 * place] - mean_market
        left = state[at + 2 + 2 * place] - mean_own - slope * away
        third += left * away * away
        residual += left * left
    if residual <= FLAT * own_spread:
        return math.nan
    return third / window / (math.sqrt(residual / window) * (market_spread / window))


def residual_return(state: FloatArray, at: int, window: int, recent: int, own: float, market: float) -> float:
    """Sum of the last `recent` returns the market does not explain, slope of the whole window.

    State: 2 + 2 `window` numbers.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    mean_own = mean_market = 0.0
    for place in range(window):
        mean_own += state[at + 2 + 2 * place]
        mean_market += state[at + 3 + 2 * place]
    mean_own /= window
    mean_market /= window
    product = spread = 0.0
    for place in range(window):
        away = state[at + 3 + 2 * place] - mean_market
        product += away * (state[at + 2 + 2 * place] - mean_own)
        spread += away * away
    if spread <= FLAT * window * mean_market * mean_market:
        return math.nan
    slope = product / spread
    total = 0.0
    place = int(state[at + 1])
    for _ in range(recent):
        place -= 1
        if place < 0:
            place = window - 1
        total += state[at + 2 + 2 * place] - slope * state[at + 3 + 2 * place]
    return total
