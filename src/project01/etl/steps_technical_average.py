"""Steps of the technical set that rest on smoothing means: exponential, Kaufman's, Wilder's."""

import math

from project01.domain import FloatArray
from project01.etl.steps import lagged, sliding_sum

# Kaufman's fastest and slowest weights, those of exponential means of 2 and of 30 bars.
KAUFMAN_FAST = 2.0 / 3.0
KAUFMAN_SLOW = 2.0 / 31.0


def smoothed_again(state: FloatArray, at: int, window: int, depth: int, value: float) -> float:
    """Exponential mean of the exponential mean and so on, `depth` times. State: count, `depth` means.

    Weight 2 / (n + 1); every mean starts at the first value.
    """
    count = state[at] + 1.0
    state[at] = count
    for level in range(at + 1, at + 1 + depth):
        if count == 1.0:
            state[level] = value
        state[level] += (value - state[level]) * (2.0 / (window + 1.0))
        value = state[level]
    return value


def smoothed_distance(state: FloatArray, at: int, window: int, depth: int, warm_up: int, close: float) -> float:
    """Close over its exponential mean (depth 1), double (2) or triple (3) one, less one. State: 1 + `depth` numbers.

    Means of means are combined so that a straight line would be followed without delay: 2 a - b, 3 a - 3 b + c.
    """
    smoothed_again(state, at, window, depth, close)
    mean = 0.0
    share = 1.0
    for level in range(1, depth + 1):
        share *= (level - 1.0 - depth) / level
        mean -= share * state[at + level]
    return close / mean - 1.0 if state[at] >= warm_up and mean > 0.0 else math.nan


def triple_smoothed_change(state: FloatArray, at: int, window: int, warm_up: int, close: float) -> float:
    """TRIX: change of the mean of the mean of the exponential mean over one bar, percent. State: 4 numbers."""
    before = state[at + 3]
    mean = smoothed_again(state, at, window, 3, close)
    return 100.0 * (mean / before - 1.0) if state[at] >= warm_up and before > 0.0 else math.nan


def adaptive_distance(state: FloatArray, at: int, window: int, warm_up: int, close: float, previous: float) -> float:
    """Close over Kaufman's adaptive mean, less one. State: 2 `window` + 6 numbers.

    The weight grows with the way made over the way gone in `window` bars; a price that stood still counts as having
    gone straight. The mean starts at the close before the first bar that has a weight.
    """
    count = state[at] + 1.0
    state[at] = count
    gone = sliding_sum(state, at + 2, window, abs(close - previous))
    made = abs(close - lagged(state, at + window + 5, window - 1, previous))
    if count < window:
        return math.nan
    if count == window:
        state[at + 1] = previous
    efficiency = made / gone if gone > made else 1.0
    weight = efficiency * (KAUFMAN_FAST - KAUFMAN_SLOW) + KAUFMAN_SLOW
    state[at + 1] += (close - state[at + 1]) * (weight * weight)
    return close / state[at + 1] - 1.0 if count >= warm_up else math.nan


def exponential_cross(state: FloatArray, at: int, fast: int, slow: int, warm_up: int, close: float) -> float:
    """Percentage price oscillator: fast exponential mean over the slow one, less one, percent. State: 4 numbers."""
    quick = smoothed_again(state, at, fast, 1, close)
    lasting = smoothed_again(state, at + 2, slow, 1, close)
    return 100.0 * (quick / lasting - 1.0) if state[at] >= warm_up else math.nan


def mean_cross(state: FloatArray, at: int, fast: int, slow: int, value: float) -> float:
    """Simple mean of `fast` values over that of `slow`, less one; NaN at zero. State: `fast` + `slow` + 6 numbers."""
    quick = sliding_sum(state, at, fast, value) / fast
    lasting = sliding_sum(state, at + fast + 3, slow, value) / slow
    return quick / lasting - 1.0 if lasting > 0.0 else math.nan


def mean_difference(state: FloatArray, at: int, fast: int, slow: int, close: float) -> float:
    """Simple mean of `fast` closes less that of `slow`, over the close. State: `fast` + `slow` + 6 numbers."""
    quick = sliding_sum(state, at, fast, close) / fast
    lasting = sliding_sum(state, at + fast + 3, slow, close) / slow
    return (quick - lasting) / close


def wilder_mean(state: FloatArray, at: int, window: int, value: float) -> float:
    """Wilder's mean: of all values until there are `window`, then each takes one part in `window`. State: 2 numbers."""
    count = state[at] + 1.0
    state[at] = count
    state[at + 1] += (value - state[at + 1]) / min(count, float(window))
    return state[at + 1]


def directional_movement(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float
) -> tuple[float, float]:
    """Wilder's means of upward and downward movement over that of the true range, percent. State: 10 numbers.

    Movement and range are against the bar before that had all of high, low and close. NaN where nothing moved.
    """
    if state[at] == 0.0:
        upward = downward = math.nan
    else:
        rise = high - state[at + 1]
        fall = state[at + 2] - low
        up = wilder_mean(state, at + 4, window, rise if rise > 0.0 and rise > fall else 0.0)
        down = wilder_mean(state, at + 6, window, fall if fall > 0.0 and fall > rise else 0.0)
        reach = wilder_mean(state, at + 8, window, max(high, state[at + 3]) - min(low, state[at + 3]))
        upward = 100.0 * up / reach if reach > 0.0 else math.nan
        downward = 100.0 * down / reach if reach > 0.0 else math.nan
    state[at] = 1.0
    state[at + 1] = high
    state[at + 2] = low
    state[at + 3] = close
    return upward, downward


def rising_indicator(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float
) -> float:
    """+DI, 0 to 100. State: 10 numbers."""
    upward, _ = directional_movement(state, at, window, high, low, close)
    return upward if state[at + 4] >= warm_up else math.nan


def falling_indicator(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float
) -> float:
    """-DI, 0 to 100. State: 10 numbers."""
    _, downward = directional_movement(state, at, window, high, low, close)
    return downward if state[at + 4] >= warm_up else math.nan


def directional_index(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float
) -> float:
    """DX: difference of +DI and -DI over their sum, percent; NaN where both are 0. State: 10 numbers."""
    upward, downward = directional_movement(state, at, window, high, low, close)
    both = upward + downward
    return 100.0 * abs(upward - downward) / both if both > 0.0 and state[at + 4] >= warm_up else math.nan


def average_directional(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float
) -> float:
    """ADX: Wilder's mean of DX; a bar without DX leaves it as it was. State: 12 numbers."""
    index = directional_index(state, at, window, window, high, low, close)
    if not math.isnan(index):
        wilder_mean(state, at + 10, window, index)
    return state[at + 11] if state[at + 4] >= warm_up and state[at + 10] > 0.0 else math.nan


def average_directional_rating(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float
) -> float:
    """ADXR: mean of ADX and the ADX `window` - 1 bars ago. State: `window` + 13 numbers."""
    average = average_directional(state, at, window, warm_up, high, low, close)
    return (average + lagged(state, at + 12, window - 1, average)) / 2.0


def keltner_position(
    state: FloatArray, at: int, window: int, warm_up: int, high: float, low: float, close: float, previous: float
) -> float:
    """Where the close stands in the Keltner channel, 0 lower line, 1 upper. State: 4 numbers.

    Lines two mean true ranges, of half so many bars, from the exponential mean of `window` closes.
    """
    middle = smoothed_again(state, at, window, 1, close)
    reach = wilder_mean(state, at + 2, window // 2, max(high, previous) - min(low, previous))
    return 0.5 + (close - middle) / (4.0 * reach) if state[at] >= warm_up and reach > 0.0 else math.nan


def chaikin_oscillator(  # noqa: PLR0913, PLR0917 -- the compiler takes no bundles
    state: FloatArray, at: int, fast: int, slow: int, warm_up: int, high: float, low: float, close: float, volume: float
) -> float:
    """Fast less slow exponential mean of the accumulation line, over that of volume. State: 4 numbers.

    state[at] and state[at + 1] are the line less each of its means: its level, which has no meaning, is never summed.
    """
    place = ((close - low) - (high - close)) / (high - low) if high > low else 0.0
    flow = place * volume
    state[at] = (state[at] + flow) * (1.0 - 2.0 / (fast + 1.0))
    state[at + 1] = (state[at + 1] + flow) * (1.0 - 2.0 / (slow + 1.0))
    traded = smoothed_again(state, at + 2, slow, 1, volume)
    return (state[at + 1] - state[at]) / traded if state[at + 2] >= warm_up and traded > 0.0 else math.nan
