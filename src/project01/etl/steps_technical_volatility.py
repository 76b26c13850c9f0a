"""Steps of the technical set on the size and the shape of returns."""

import math

from project01.domain import FloatArray
from project01.etl.steps import SESSIONS_PER_YEAR, lagged, sliding_products, sliding_squares, sliding_sum, variance

# Returns are fractions, rounded to about 1e-16 of 1: a smaller variance than this is rounding.
SMALLEST_SPREAD = 1e-24


def annual_deviation(mean_square: float) -> float:
    """A year's standard deviation from a session's variance; NaN below 0, where open or close left the range."""
    return math.sqrt(mean_square * SESSIONS_PER_YEAR) if mean_square >= 0.0 else math.nan


def garman_klass_volatility(
    state: FloatArray, at: int, window: int, opened: float, high: float, low: float, close: float
) -> float:
    """Volatility from range and body of the bars, a year's. State: `window` + 3 numbers."""
    reach = math.log(high / low)
    body = math.log(close / opened)
    square = 0.5 * reach * reach - (2.0 * math.log(2.0) - 1.0) * body * body
    return annual_deviation(sliding_sum(state, at, window, square) / window)


def drift_free_square(opened: float, high: float, low: float, close: float) -> float:
    """Rogers and Satchell's variance of one bar."""
    up, down = math.log(high / opened), math.log(low / opened)
    body = math.log(close / opened)
    return up * (up - body) + down * (down - body)


def rogers_satchell_volatility(
    state: FloatArray, at: int, window: int, opened: float, high: float, low: float, close: float
) -> float:
    """Volatility from the ranges around the bodies of the bars, a year's. State: `window` + 3 numbers."""
    return annual_deviation(sliding_sum(state, at, window, drift_free_square(opened, high, low, close)) / window)


def yang_zhang_volatility(
    state: FloatArray, at: int, window: int, opened: float, high: float, low: float, close: float, previous: float
) -> float:
    """Volatility from gaps, bodies and ranges, with the weights of least variance, a year's. State: 5 `window` + 11."""
    gaps, gap_squares = sliding_squares(state, at, window, math.log(opened / previous))
    bodies, body_squares = sliding_squares(state, at + 2 * window + 4, window, math.log(close / opened))
    ranges = sliding_sum(state, at + 4 * window + 8, window, drift_free_square(opened, high, low, close))
    share = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    overnight = variance(gaps, gap_squares, window, 1)
    daily = variance(bodies, body_squares, window, 1)
    return annual_deviation(overnight + share * daily + (1.0 - share) * ranges / window)


def downside_deviation(state: FloatArray, at: int, window: int, log_return: float) -> float:
    """Root of the mean square of returns below 0, those above counting as 0, a year's. State: `window` + 3 numbers."""
    fall = min(log_return, 0.0)
    return annual_deviation(sliding_sum(state, at, window, fall * fall) / window)


def merge_moments(state: FloatArray, here: int, other: int, count: float, weight: float) -> None:
    """Put the moments of `weight` values at state[other] to those of `count` values at state[here], in place.

    Moments are mean and sums of the second to fourth powers of deviations from it (Pebay 2008); nothing large is ever
    subtracted from its like.
    """
    total = count + weight
    gap = state[other] - state[here]
    share = gap / total
    square, cube = state[here + 1], state[here + 2]
    square_other, cube_other = state[other + 1], state[other + 2]
    product = gap * share * count * weight
    state[here] += share * weight
    state[here + 1] += square_other + product
    state[here + 2] += (
        cube_other + product * share * (count - weight) + 3.0 * share * (count * square_other - weight * square)
    )
    state[here + 3] += (
        state[other + 3]
        + product * share * share * (count * count - count * weight + weight * weight)
        + 6.0 * share * share * (count * count * square_other + weight * weight * square)
        + 4.0 * share * (count * cube_other - weight * cube)
    )


def set_moments(state: FloatArray, here: int, mean: float, square: float, cube: float, fourth: float) -> None:
    """Write moments at state[here]."""
    state[here] = mean
    state[here + 1] = square
    state[here + 2] = cube
    state[here + 3] = fourth


def sliding_moments(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float, float]:
    """Sums of the second to fourth powers of deviations from the mean of the window. State: 4 `window` + 10 numbers.

    As `sliding_sum`, with moments merged in place of sums. state[at + 2] on are those of the head, state[at + 6] on
    those of the whole window.
    """
    ring = at + 10
    place = int(state[at + 1])
    here = ring + 4 * place
    set_moments(state, here, value, 0.0, 0.0, 0.0)
    if place == 0:
        set_moments(state, at + 2, value, 0.0, 0.0, 0.0)
    else:
        merge_moments(state, at + 2, here, float(place), 1.0)
    set_moments(state, at + 6, state[at + 2], state[at + 3], state[at + 4], state[at + 5])
    if place + 1 == window:
        for back in range(window - 2, -1, -1):
            merge_moments(state, ring + 4 * back, ring + 4 * back + 4, 1.0, window - 1.0 - back)
        state[at] = 1.0
        state[at + 1] = 0.0
    else:
        state[at + 1] = place + 1
        if state[at] == 0.0:
            return math.nan, math.nan, math.nan
        merge_moments(state, at + 6, here + 4, place + 1.0, window - 1.0 - place)
    return state[at + 7], state[at + 8], state[at + 9]


def skewness(state: FloatArray, at: int, window: int, log_return: float) -> float:
    """Sample skewness, corrected for bias; NaN without spread. State: 4 `window` + 10 numbers."""
    squares, cubes, _ = sliding_moments(state, at, window, log_return)
    if not squares > SMALLEST_SPREAD * window:
        return math.nan
    ratio = cubes / window / (squares / window) ** 1.5
    return ratio * math.sqrt(window * (window - 1.0)) / (window - 2.0)


def kurtosis(state: FloatArray, at: int, window: int, log_return: float) -> float:
    """Sample excess kurtosis, corrected for bias; NaN without spread. State: 4 `window` + 10 numbers."""
    squares, _, fourths = sliding_moments(state, at, window, log_return)
    if not squares > SMALLEST_SPREAD * window:
        return math.nan
    ratio = fourths * window / (squares * squares) - 3.0
    return ((window + 1.0) * ratio + 6.0) * (window - 1.0) / ((window - 2.0) * (window - 3.0))


def variance_ratio(state: FloatArray, at: int, lag: int, window: int, log_return: float) -> float:
    """Variance of the returns over `lag` bars within the window, over `lag` times that of its own; NaN without.

    State: 4 `window` - `lag` + 13 numbers. Above 1 prices trend, below they turn back.
    """
    inside = window - lag + 1
    total, squares = sliding_squares(state, at, window, log_return)
    several = sliding_sum(state, at + 2 * window + 4, lag, log_return)
    if state[at + 2 * window + 4] == 0.0:
        return math.nan
    long_total, long_squares = sliding_squares(state, at + 2 * window + lag + 7, inside, several)
    single = variance(total, squares, window, 1)
    return variance(long_total, long_squares, inside, 1) / (lag * single) if single > 0.0 else math.nan


def autocorrelation(state: FloatArray, at: int, lag: int, window: int, log_return: float) -> float:
    """Correlation of `window` returns with those `lag` bars before; NaN without. State: 5 `window` + `lag` + 9."""
    before = lagged(state, at, lag, log_return)
    if math.isnan(before):
        return math.nan
    total, former, product, former_squares, squares = sliding_products(state, at + lag + 2, window, log_return, before)
    spread = variance(total, squares, window, 0) * variance(former, former_squares, window, 0)
    if not spread > 0.0:
        return math.nan
    return (product / window - total / window * (former / window)) / math.sqrt(spread)
