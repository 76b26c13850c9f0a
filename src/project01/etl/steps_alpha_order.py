"""Steps of the Alpha158 set: volume, and the order of values in a window: extremes, where they stand, ranks, quantiles.

An extreme is kept as sums are in `steps.sliding_sum`: the best of the present block, and the best of each tail of the
former one.
"""

import math

from project01.domain import FloatArray
from project01.etl.steps import sliding_sum
from project01.etl.steps_alpha import anchored_spread, anchored_squares, gain_and_loss, published_share


def highest(state: FloatArray, at: int, window: int, value: float) -> float:
    """Highest of the last `window` values; NaN until there are so many. State: `window` + 3 numbers."""
    ring = at + 3
    place = int(state[at + 1])
    state[ring + place] = value
    head = value if place == 0 or value > state[at + 2] else state[at + 2]
    place += 1
    if place == window:
        peak = value
        for back in range(ring + window - 1, ring - 1, -1):
            peak = state[back] if state[back] > peak else peak
            state[back] = peak
        state[at] = 1.0
        state[at + 1] = 0.0
        return peak
    state[at + 1] = place
    state[at + 2] = head
    if state[at] == 0.0:
        return math.nan
    tail = state[ring + place]
    return tail if tail > head else head


def highest_place(state: FloatArray, at: int, window: int, value: float) -> float:
    """Where the highest value stands in the window, 1 the oldest; of equals the oldest. State: 2 `window` + 4 numbers.

    NaN until the window is full. The ring holds values and their places in the block.
    """
    ring = at + 4
    place = int(state[at + 1])
    here = ring + 2 * place
    state[here] = value
    if place == 0 or value > state[at + 2]:
        state[at + 2] = value
        state[at + 3] = place
    place += 1
    if place == window:
        peak = value
        found = window - 1
        for back in range(window - 1, -1, -1):
            if state[ring + 2 * back] >= peak:
                peak = state[ring + 2 * back]
                found = back
            state[ring + 2 * back] = peak
            state[ring + 2 * back + 1] = found
        state[at] = 1.0
        state[at + 1] = 0.0
        return found + 1.0
    state[at + 1] = place
    if state[at] == 0.0:
        return math.nan
    # The window is the former block from `place` on, then the present one.
    standing: float = state[at + 3] + (window - place) + 1.0
    if state[here + 2] >= state[at + 2]:
        standing = state[here + 3] - place + 1.0
    return standing


def ordered(state: FloatArray, at: int, window: int, value: float) -> float:
    """Keep the last `window` values in order; 1 once there are so many, else 0. State: 2 `window` + 2 numbers.

    state[at] is how many are held, state[at + 1] the place of the oldest; then the ring, then the values in order.
    """
    held = int(state[at])
    oldest = int(state[at + 1])
    ring = at + 2
    first = ring + window
    if held < window:
        here = first + held
        state[at] = held + 1.0
    else:
        gone = state[ring + oldest]
        here = first
        left = window
        while left > 1:
            half = left // 2
            # Not a branch: what it would decide cannot be guessed.
            here += half if state[here + half - 1] < gone else 0
            left -= half
    state[ring + oldest] = value
    state[at + 1] = oldest + 1.0 if oldest + 1 < window else 0.0
    last = first + int(state[at]) - 1
    while here < last and state[here + 1] < value:
        state[here] = state[here + 1]
        here += 1
    while here > first and state[here - 1] > value:
        state[here] = state[here - 1]
        here -= 1
    state[here] = value
    return 1.0 if state[at] == window else 0.0


def quantile_over_close(state: FloatArray, at: int, window: int, percent: int, close: float) -> float:
    """Quantile of the closes, between two of them on a straight line, over the close. State: 2 `window` + 2 numbers."""
    if ordered(state, at, window, close) == 0.0:
        return math.nan
    hundredths = (window - 1) * percent
    below = at + 2 + window + hundredths // 100
    lower: float = state[below]
    upper: float = state[below + 1]
    return (lower + (upper - lower) * (hundredths % 100 / 100.0)) / close


def window_rank(state: FloatArray, at: int, window: int, close: float) -> float:
    """Rank of the close in the window over `window`, ties averaged. State: `window` + 2 numbers."""
    ring = at + 2
    place = int(state[at + 1])
    state[ring + place] = close
    place += 1
    if place == window:
        place = 0
        state[at] = 1.0
    state[at + 1] = place
    if state[at] == 0.0:
        return math.nan
    lower = 0
    equal = 0
    for n in range(ring, ring + window):
        lower += state[n] < close
        equal += state[n] == close
    return (lower + 0.5 * (equal + 1)) / window


def highest_over_close(state: FloatArray, at: int, window: int, high: float, close: float) -> float:
    """Highest high over the close. State: `window` + 3 numbers."""
    return highest(state, at, window, high) / close


def lowest_over_close(state: FloatArray, at: int, window: int, low: float, close: float) -> float:
    """Lowest low over the close. State: `window` + 3 numbers."""
    return -highest(state, at, window, -low) / close


def place_in_range(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """Close less the lowest low, over the distance of highest high and lowest low. State: 2 `window` + 6 numbers."""
    top = highest(state, at, window, high)
    bottom = -highest(state, at + window + 3, window, -low)
    return published_share(close - bottom, top - bottom)


def place_of_high(state: FloatArray, at: int, window: int, high: float) -> float:
    """Place of the highest high over `window`. State: 2 `window` + 4 numbers."""
    return highest_place(state, at, window, high) / window


def place_of_low(state: FloatArray, at: int, window: int, low: float) -> float:
    """Place of the lowest low over `window`. State: 2 `window` + 4 numbers."""
    return highest_place(state, at, window, -low) / window


def high_after_low(state: FloatArray, at: int, window: int, high: float, low: float) -> float:
    """Bars from the lowest low to the highest high, over `window`. State: 4 `window` + 8 numbers."""
    top = highest_place(state, at, window, high)
    return (top - highest_place(state, at + 2 * window + 4, window, -low)) / window


def mean_over_volume(state: FloatArray, at: int, window: int, volume: float) -> float:
    """Mean volume over the present one; NaN without trade. State: `window` + 3 numbers."""
    mean = sliding_sum(state, at, window, volume) / window
    return mean / volume if volume > 0.0 else math.nan


def deviation_over_volume(state: FloatArray, at: int, window: int, volume: float) -> float:
    """Sample standard deviation of the volume over the present one; NaN without trade. State: 2 `window` + 5."""
    anchor, total, squares = anchored_squares(state, at, window, volume)
    spread = anchored_spread(anchor, total, squares, window)
    return math.sqrt(spread / (window - 1)) / volume if volume > 0.0 else math.nan


def weighted_movement(state: FloatArray, at: int, window: int, close: float, previous: float, volume: float) -> float:
    """Sample deviation of absolute return x volume, over its mean. State: 2 `window` + 5 numbers."""
    anchor, total, squares = anchored_squares(state, at, window, abs(close / previous - 1.0) * volume)
    spread = anchored_spread(anchor, total, squares, window)
    return published_share(math.sqrt(spread / (window - 1)), anchor + total / window)


def volume_gain_and_loss(state: FloatArray, at: int, window: int, volume: float) -> tuple[float, float]:
    """Sums of the volume's rises and of its falls. State: 2 `window` + 6 numbers.

    state[at] is 1 once a volume was seen, state[at + 1] the one before.
    """
    seen = state[at]
    before = state[at + 1]
    state[at] = 1.0
    state[at + 1] = volume
    if seen == 0.0:
        return math.nan, math.nan
    return gain_and_loss(state, at + 2, window, volume, before)


def volume_gain_share(state: FloatArray, at: int, window: int, volume: float) -> float:
    """Rises of the volume over all its movement. State: 2 `window` + 6 numbers."""
    gain, loss = volume_gain_and_loss(state, at, window, volume)
    return published_share(gain, gain + loss)


def volume_loss_share(state: FloatArray, at: int, window: int, volume: float) -> float:
    """Falls of the volume over all its movement. State: 2 `window` + 6 numbers."""
    gain, loss = volume_gain_and_loss(state, at, window, volume)
    return published_share(loss, gain + loss)


def volume_gain_less_loss(state: FloatArray, at: int, window: int, volume: float) -> float:
    """Rises less falls of the volume over all its movement. State: 2 `window` + 6 numbers."""
    gain, loss = volume_gain_and_loss(state, at, window, volume)
    return published_share(gain - loss, gain + loss)
