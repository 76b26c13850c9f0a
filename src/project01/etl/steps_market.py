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


def pair_means(state: FloatArray, at: int, window: int) -> tuple[float, float]:
    """Means of own and market over a full ring of pairs.

    Here and below each sum has four parts: an addition takes four cycles, and would wait for the one before.
    """
    own_0 = own_1 = own_2 = own_3 = market_0 = market_1 = market_2 = market_3 = 0.0
    even = window - window % 4
    for place in range(at + 2, at + 2 + 2 * even, 8):
        own_0 += state[place]
        market_0 += state[place + 1]
        own_1 += state[place + 2]
        market_1 += state[place + 3]
        own_2 += state[place + 4]
        market_2 += state[place + 5]
        own_3 += state[place + 6]
        market_3 += state[place + 7]
    for place in range(at + 2 + 2 * even, at + 2 + 2 * window, 2):
        own_0 += state[place]
        market_0 += state[place + 1]
    return ((own_0 + own_1) + (own_2 + own_3)) / window, ((market_0 + market_1) + (market_2 + market_3)) / window


def pair_products(
    state: FloatArray, at: int, window: int, mean_own: float, mean_market: float
) -> tuple[float, float, float]:
    """Sums over a full ring of pairs, less their means: own times market, market squared, own squared."""
    product_0 = product_1 = market_0 = market_1 = own_0 = own_1 = 0.0
    even = window - window % 2
    for place in range(at + 2, at + 2 + 2 * even, 4):
        own, away = state[place] - mean_own, state[place + 1] - mean_market
        product_0 += own * away
        market_0 += away * away
        own_0 += own * own
        own, away = state[place + 2] - mean_own, state[place + 3] - mean_market
        product_1 += own * away
        market_1 += away * away
        own_1 += own * own
    if even < window:
        own, away = state[at + 2 * window] - mean_own, state[at + 1 + 2 * window] - mean_market
        product_0 += own * away
        market_0 += away * away
        own_0 += own * own
    return product_0 + product_1, market_0 + market_1, own_0 + own_1


def pair_residuals(state: FloatArray, at: int, window: int, line: tuple[float, float, float]) -> tuple[float, float]:
    """Sums over a full ring of what is left of own: times the market's distance squared, and squared.

    `line` is the mean of own, that of the market, and the slope.
    """
    mean_own, mean_market, slope = line
    third_0 = third_1 = residual_0 = residual_1 = 0.0
    even = window - window % 2
    for place in range(at + 2, at + 2 + 2 * even, 4):
        away = state[place + 1] - mean_market
        left = state[place] - mean_own - slope * away
        third_0 += left * away * away
        residual_0 += left * left
        away = state[place + 3] - mean_market
        left = state[place + 2] - mean_own - slope * away
        third_1 += left * away * away
        residual_1 += left * left
    if even < window:
        away = state[at + 1 + 2 * window] - mean_market
        left = state[at + 2 * window] - mean_own - slope * away
        third_0 += left * away * away
        residual_0 += left * left
    return third_0 + third_1, residual_0 + residual_1


def below_mean(state: FloatArray, at: int, window: int, mean: float) -> tuple[float, float, float]:
    """How many pairs of a full ring have a market below its mean, and their sums of own and of market.

    Without a branch: a processor guesses half of these wrong, and each wrong guess costs ten additions.
    """
    count = own = market = 0.0
    for place in range(at + 2, at + 2 + 2 * window, 2):
        below = state[place + 1] < mean
        count += 1.0 if below else 0.0
        own += state[place] if below else 0.0
        market += state[place + 1] if below else 0.0
    return count, own, market


def downside_beta(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Slope of own returns on the market's over the sessions in which the market did worse than its mean.

    NaN where fewer than three such sessions are in the window. State: 2 + 2 `window` numbers.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    _, mean = pair_means(state, at, window)
    count, total_own, total_market = below_mean(state, at, window, mean)
    if count < 3.0:
        return math.nan
    mean_own = total_own / count
    mean_market = total_market / count
    product = spread = 0.0
    for place in range(at + 2, at + 2 + 2 * window, 2):
        away = state[place + 1] - mean_market if state[place + 1] < mean else 0.0
        product += away * (state[place] - mean_own)
        spread += away * away
    return product / spread if spread > FLAT * mean_market * mean_market else math.nan


def coskewness(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Standardised co-moment of the residual with the squared market return. State: 2 + 2 `window` numbers.

    E[e m^2] / (sqrt(E[e^2]) E[m^2]), e the residual of own on the market, m the market less its mean.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    mean_own, mean_market = pair_means(state, at, window)
    product, market_spread, own_spread = pair_products(state, at, window, mean_own, mean_market)
    if market_spread <= FLAT * window * mean_market * mean_market:
        return math.nan
    slope = product / market_spread
    third, residual = pair_residuals(state, at, window, (mean_own, mean_market, slope))
    if residual <= FLAT * own_spread:
        return math.nan
    return third / window / (math.sqrt(residual / window) * (market_spread / window))


def residual_return(state: FloatArray, at: int, window: int, recent: int, own: float, market: float) -> float:
    """Sum of the last `recent` returns the market does not explain, slope of the whole window.

    State: 2 + 2 `window` numbers.
    """
    if not keep_pair(state, at, window, own, market):
        return math.nan
    mean_own, mean_market = pair_means(state, at, window)
    product, spread, _ = pair_products(state, at, window, mean_own, mean_market)
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
