"""Step functions: each takes the state on by one bar and returns the feature's value after that bar.

Plain Python here, so that it can be read and run anywhere; `fuse` compiles the very same text into one function that
batch, stream and Spark share. A step gets the whole state array and the place `at` where its own part begins; the part
is all zeros before the first bar. Its inputs are never NaN: a bar that lacks one is skipped by the caller, and the
state stays as it was. A step returns NaN where the value is not defined.

No rolling sum here subtracts. `sliding_sum` adds the tail of the former block to the head of the present one, so a
value that has left the window leaves nothing behind, however large it was.
"""

import math

from project01.domain import FloatArray

SESSIONS_PER_YEAR = 252
# A spread below this share of the level is rounding, not movement.
FLAT = 1e-12
# Bits of a place in a ring. Taken with them it cannot be negative, so that compiled code does not ask whether it is.
PLACE = 0xFFFF_FFFF
PER_LN_TEN = 0.4342944819032518


def sliding_sum(state: FloatArray, at: int, window: int, value: float) -> float:
    """Sum of the last `window` values; NaN until there are so many. State: `window` + 3 numbers.

    state[at] is 1 once a block of `window` values has passed, state[at + 1] the place in the present block and
    state[at + 2] its sum; then the ring: values of the present block, and beyond them the tail sums of the former one.
    """
    ring = at + 3
    place = int(state[at + 1]) & PLACE
    state[ring + place] = value
    head = state[at + 2] + value
    place += 1
    if place == window:
        tail = 0.0
        for back in range(window - 1, -1, -1):
            tail += state[ring + back]
            state[ring + back] = tail
        state[at] = 1.0
        state[at + 1] = 0.0
        state[at + 2] = 0.0
        return tail
    state[at + 1] = place
    state[at + 2] = head
    if state[at] == 0.0:
        return math.nan
    return head + state[ring + place]


def sliding_squares(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float]:
    """Sums of the last `window` values and of their squares, as `sliding_sum`. State: 2 `window` + 4 numbers."""
    ring = at + 4
    place = int(state[at + 1]) & PLACE
    here = ring + 2 * place
    state[here] = value
    state[here + 1] = value * value
    head = state[at + 2] + value
    head_square = state[at + 3] + value * value
    place += 1
    if place == window:
        tail = tail_square = 0.0
        for back in range(ring + 2 * window - 2, ring - 1, -2):
            tail += state[back]
            tail_square += state[back + 1]
            state[back] = tail
            state[back + 1] = tail_square
        state[at] = 1.0
        state[at + 1] = state[at + 2] = state[at + 3] = 0.0
        return tail, tail_square
    state[at + 1] = place
    state[at + 2] = head
    state[at + 3] = head_square
    if state[at] == 0.0:
        return math.nan, math.nan
    return head + state[here + 2], head_square + state[here + 3]


def sliding_products(
    state: FloatArray, at: int, window: int, own: float, market: float
) -> tuple[float, float, float, float, float]:
    """Sums over the last `window` bars of own, market, own x market, market squared and own squared.

    As `sliding_sum`. State: 5 `window` + 7 numbers.
    """
    ring = at + 7
    place = int(state[at + 1]) & PLACE
    here = ring + 5 * place
    state[here] = own
    state[here + 1] = market
    state[here + 2] = own * market
    state[here + 3] = market * market
    state[here + 4] = own * own
    for column in range(5):
        state[at + 2 + column] += state[here + column]
    place += 1
    if place == window:
        # Sums held outside the array, which compiled code would otherwise read back at every turn.
        own, market, product, market_square, own_square = (
            state[here],
            state[here + 1],
            state[here + 2],
            state[here + 3],
            state[here + 4],
        )
        for back in range(ring + 5 * window - 10, ring - 1, -5):
            own += state[back]
            market += state[back + 1]
            product += state[back + 2]
            market_square += state[back + 3]
            own_square += state[back + 4]
            state[back] = own
            state[back + 1] = market
            state[back + 2] = product
            state[back + 3] = market_square
            state[back + 4] = own_square
        state[at] = 1.0
        state[at + 1] = 0.0
        for column in range(5):
            state[at + 2 + column] = 0.0
        return state[ring], state[ring + 1], state[ring + 2], state[ring + 3], state[ring + 4]
    state[at + 1] = place
    if state[at] == 0.0:
        return math.nan, math.nan, math.nan, math.nan, math.nan
    head = at + 2
    return (
        state[head] + state[here + 5],
        state[head + 1] + state[here + 6],
        state[head + 2] + state[here + 7],
        state[head + 3] + state[here + 8],
        state[head + 4] + state[here + 9],
    )


def lagged(state: FloatArray, at: int, window: int, value: float) -> float:
    """The value `window` bars ago; NaN until there is one. State: `window` + 2 numbers."""
    place = int(state[at + 1]) & PLACE
    before = state[at + 2 + place] if state[at] > 0.0 else math.nan
    state[at + 2 + place] = value
    place += 1
    if place == window:
        place = 0
        state[at] = 1.0
    state[at + 1] = place
    return before


def as_is(state: FloatArray, at: int, value: float) -> float:  # noqa: ARG001
    """The input itself."""
    return value


def difference(state: FloatArray, at: int, window: int, value: float) -> float:
    """Change against `window` bars ago. State: `window` + 2 numbers."""
    return value - lagged(state, at, window, value)


def past_return(state: FloatArray, at: int, window: int, close: float) -> float:
    """Return over the last `window` bars. State: `window` + 2 numbers."""
    return close / lagged(state, at, window, close) - 1.0


def skipping_return(state: FloatArray, at: int, window: int, skipped: int, close: float) -> float:
    """Return from `window` bars ago to `skipped` bars ago. State: `window` + 2 numbers."""
    place = int(state[at + 1]) & PLACE
    before = lagged(state, at, window, close)
    recent = place - skipped
    if recent < 0:
        recent += window
    return state[at + 2 + recent] / before - 1.0


def distance_from_mean(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close over its simple moving average, less one. State: `window` + 3 numbers."""
    return close / (sliding_sum(state, at, window, close) / window) - 1.0


def relative_strength(state: FloatArray, at: int, window: int, warm_up: int, close: float, previous: float) -> float:
    """Wilder's relative strength index, 0 to 100. State: count, mean gain, mean loss.

    The first means are plain ones over `window` changes; NaN while nothing has moved.
    """
    count = state[at] + 1.0
    state[at] = count
    gain = max(close - previous, 0.0)
    loss = max(previous - close, 0.0)
    if count <= window:
        state[at + 1] += gain / window
        state[at + 2] += loss / window
    else:
        state[at + 1] += (gain - state[at + 1]) / window
        state[at + 2] += (loss - state[at + 2]) / window
    both = state[at + 1] + state[at + 2]
    if count < warm_up or both <= FLAT * close:
        return math.nan
    return 100.0 * state[at + 1] / both


def average_true_range(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float, previous: float
) -> float:
    """Wilder's average true range over the close. State: count, mean true range.

    The first mean is a plain one over `window` ranges.
    """
    count = state[at] + 1.0
    state[at] = count
    true_range = max(high - low, abs(high - previous), abs(low - previous))
    if count <= window:
        state[at + 1] += true_range / window
    else:
        state[at + 1] += (true_range - state[at + 1]) / window
    return state[at + 1] / close if count >= warm_up else math.nan


def convergence_divergence(
    state: FloatArray, at: int, fast: int, slow: int, signal: int, warm_up: int, close: float
) -> float:
    """MACD histogram over the close. State: count, fast mean, slow mean, signal mean.

    Exponential means with weight 2 / (n + 1), started at the first value they see.
    """
    count = state[at] + 1.0
    state[at] = count
    if count == 1.0:
        state[at + 1] = close
        state[at + 2] = close
    state[at + 1] += (close - state[at + 1]) * (2.0 / (fast + 1.0))
    state[at + 2] += (close - state[at + 2]) * (2.0 / (slow + 1.0))
    line = state[at + 1] - state[at + 2]
    state[at + 3] += (line - state[at + 3]) * (2.0 / (signal + 1.0))
    return (line - state[at + 3]) / close if count >= warm_up else math.nan


def variance(total: float, squares: float, window: int, freedom: int) -> float:
    """Variance from a sum and a sum of squares; exactly 0 where the spread is only rounding."""
    mean = total / window
    spread = squares - total * mean
    if spread <= FLAT * squares:
        return 0.0
    return spread / (window - freedom)


def bollinger_position(state: FloatArray, at: int, window: int, deviations: int, close: float) -> float:
    """Where the close stands between the bands: 0 the lower, 1 the upper. State: 2 `window` + 4 numbers.

    Bands are `deviations` population standard deviations from the mean; NaN where they meet.
    """
    total, squares = sliding_squares(state, at, window, close)
    reach = deviations * math.sqrt(variance(total, squares, window, 0))
    if reach == 0.0:
        return math.nan
    return (close - total / window + reach) / (2.0 * reach)


def bollinger_width(state: FloatArray, at: int, window: int, deviations: int, close: float) -> float:
    """Distance of the bands over their mean. State: 2 `window` + 4 numbers."""
    total, squares = sliding_squares(state, at, window, close)
    return 2.0 * deviations * math.sqrt(variance(total, squares, window, 0)) / (total / window)


def realised_volatility(state: FloatArray, at: int, window: int, log_return: float) -> float:
    """Sample standard deviation of log returns, a year's. State: 2 `window` + 4 numbers."""
    total, squares = sliding_squares(state, at, window, log_return)
    return math.sqrt(variance(total, squares, window, 1) * SESSIONS_PER_YEAR)


def parkinson_volatility(state: FloatArray, at: int, window: int, high: float, low: float) -> float:
    """Volatility from the ranges of the bars, a year's. State: `window` + 3 numbers."""
    reach = math.log(high / low)
    squares = sliding_sum(state, at, window, reach * reach)
    return math.sqrt(squares / (4.0 * math.log(2.0) * window) * SESSIONS_PER_YEAR)


def z_score(state: FloatArray, at: int, window: int, value: float) -> float:
    """Distance from the window's mean in sample standard deviations. State: 2 `window` + 4 numbers.

    The window holds the present bar. NaN where it has no spread.
    """
    total, squares = sliding_squares(state, at, window, value)
    spread = variance(total, squares, window, 1)
    if spread == 0.0:
        return math.nan
    return (value - total / window) / math.sqrt(spread)


def log_positive(state: FloatArray, at: int, value: float) -> float:  # noqa: ARG001
    """Natural logarithm; NaN at zero."""
    return math.log(value) if value > 0.0 else math.nan


def log_to_ten(value: float) -> float:
    """Logarithm to base 10 of a number above 0; twice as fast as the C library's, which takes the natural one first."""
    return PER_LN_TEN * math.log(value)


def illiquidity(state: FloatArray, at: int, window: int, log_return: float, dollar_volume: float) -> float:
    """Logarithm to base 10 of the mean absolute return per million USD traded. State: `window` + 3 numbers.

    A bar without trade is skipped; NaN where no price moved in the window.
    """
    if dollar_volume <= 0.0:
        return math.nan
    total = sliding_sum(state, at, window, abs(log_return) / dollar_volume)
    return log_to_ten(1e6 * total / window) if total > 0.0 else math.nan


def overnight_gap(state: FloatArray, at: int, opened: float, previous: float) -> float:  # noqa: ARG001
    """Return from the close before to the open."""
    return opened / previous - 1.0


def slope_of(total_own: float, total_market: float, product: float, market_spread: float, window: int) -> float:
    """Slope of own on market from sums over a window; NaN where the market stood still."""
    if market_spread == 0.0:
        return math.nan
    return (product / window - total_own / window * (total_market / window)) / market_spread


def market_beta(state: FloatArray, at: int, window: int, own: float, market: float) -> float:
    """Slope of own returns on the market's; NaN where the market stood still. State: 5 `window` + 7 numbers."""
    total_own, total_market, product, squares, _ = sliding_products(state, at, window, own, market)
    return slope_of(total_own, total_market, product, variance(total_market, squares, window, 0), window)


def residual_momentum(state: FloatArray, at: int, window: int, skipped: int, own: float, market: float) -> float:
    """Return the market does not explain, older than `skipped` bars, in its own standard deviations.

    State: 5 `window` + 7 + 2 (`skipped` + 3) numbers. Slope and residual spread are those of the whole window; NaN
    where the market stood still or explains everything.
    """
    total_own, total_market, product, squares, own_squares = sliding_products(state, at, window, own, market)
    recent = at + 5 * window + 7
    recent_own = sliding_sum(state, recent, skipped, own)
    recent_market = sliding_sum(state, recent + skipped + 3, skipped, market)
    market_spread = variance(total_market, squares, window, 0)
    own_spread = variance(total_own, own_squares, window, 0)
    slope = slope_of(total_own, total_market, product, market_spread, window)
    residual = own_spread - slope * slope * market_spread
    # A comparison that also holds for NaN, as long as the window is not full.
    if not residual > FLAT * own_spread:
        return math.nan
    unexplained = (total_own - recent_own) - slope * (total_market - recent_market)
    return unexplained / math.sqrt(residual * (window - skipped))


def turn_sine(state: FloatArray, at: int, share: float) -> float:  # noqa: ARG001
    """Sine of a full turn's share."""
    return math.sin(2.0 * math.pi * share)


def turn_cosine(state: FloatArray, at: int, share: float) -> float:  # noqa: ARG001
    """Cosine of a full turn's share."""
    return math.cos(2.0 * math.pi * share)
