"""Steps of the technical set that rest on the highest and the lowest of a window."""

import math

from project01.domain import FloatArray
from project01.etl.steps import relative_strength, sliding_sum


def sliding_top(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float]:
    """Largest of the last `window` values and its age in bars; of equals the newest. State: 2 `window` + 4 numbers.

    NaN until there are so many. As `sliding_sum`: the top of the tail of the former block against that of the head of
    the present one. state[at] is 1 once a block has passed, state[at + 1] the place in the present block, then its top
    and the top's place; the ring holds values and, beyond the present place, tops of tails with their places.
    """
    ring = at + 4
    place = int(state[at + 1])
    here = ring + 2 * place
    state[here] = value
    state[here + 1] = place
    if place == 0 or value >= state[at + 2]:
        state[at + 2] = value
        state[at + 3] = place
    top = state[at + 2]
    age = place - state[at + 3]
    if place + 1 == window:
        for back in range(here - 2, ring - 1, -2):
            if state[back + 2] >= state[back]:
                state[back] = state[back + 2]
                state[back + 1] = state[back + 3]
        state[at] = 1.0
        state[at + 1] = 0.0
        return top, age
    state[at + 1] = place + 1
    if state[at] == 0.0:
        return math.nan, math.nan
    if state[here + 2] > top:
        return state[here + 2], place + window - state[here + 3]
    return top, age


def channel_place(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float
) -> tuple[float, float, float]:
    """Where the close stands between lowest low (0) and highest high (1) of the window, and those two.

    The place is NaN where they are one. State: 4 `window` + 8 numbers.
    """
    top, _ = sliding_top(state, at, window, high)
    bottom, _ = sliding_top(state, at + 2 * window + 4, window, -low)
    reach = top + bottom
    return (close + bottom) / reach if reach > 0.0 else math.nan, -bottom, top


def channel_position(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """Where the close stands between lowest low (0) and highest high (1). State: 4 `window` + 8 numbers."""
    return channel_place(state, at, window, high, low, close)[0]


def channel_width(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """Highest high less lowest low, over the close. State: 4 `window` + 8 numbers."""
    _, bottom, top = channel_place(state, at, window, high, low, close)
    return (top - bottom) / close


def stochastic(
    state: FloatArray, at: int, window: int, smooth: int, again: int, high: float, low: float, close: float
) -> float:
    """Stochastic %K in percent, its simple mean over `smooth` bars, and the mean of that over `again` bars.

    State: 4 `window` + `smooth` + `again` + 14 numbers. A bar without range in its window makes the means it is in NaN.
    """
    place = channel_place(state, at, window, high, low, close)[0]
    width = 4 * window + 8
    if state[at] == 0.0:
        return math.nan
    mean = sliding_sum(state, at + width, smooth, 100.0 * place) / smooth
    if state[at + width] == 0.0:
        return math.nan
    return sliding_sum(state, at + width + smooth + 3, again, mean) / again


def williams_range(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """Williams' %R: -100 at the lowest low of the window, 0 at its highest high. State: 4 `window` + 8 numbers."""
    return 100.0 * (channel_place(state, at, window, high, low, close)[0] - 1.0)


def stochastic_strength(
    state: FloatArray, at: int, window: int, places: int, warm_up: int, close: float, previous: float
) -> float:
    """Place of the relative strength index among its last `places` values, percent. State: 4 `places` + 11 numbers.

    Values of the index before `warm_up` bars, and where nothing has moved, are no part of it.
    """
    strength = relative_strength(state, at, window, warm_up, close, previous)
    if math.isnan(strength):
        return math.nan
    return 100.0 * channel_place(state, at + 3, places, strength, strength, strength)[0]


def aroon_up(state: FloatArray, at: int, window: int, high: float) -> float:
    """100 less the age of the highest high of `window` + 1 bars, as percent of `window`. State: 2 `window` + 6."""
    _, age = sliding_top(state, at, window + 1, high)
    return 100.0 * (window - age) / window


def aroon_down(state: FloatArray, at: int, window: int, low: float) -> float:
    """100 less the age of the lowest low of `window` + 1 bars, as percent of `window`. State: 2 `window` + 6."""
    return aroon_up(state, at, window, -low)


def aroon_oscillator(state: FloatArray, at: int, window: int, high: float, low: float) -> float:
    """Aroon up less Aroon down. State: 4 `window` + 12 numbers."""
    return aroon_up(state, at, window, high) - aroon_up(state, at + 2 * window + 6, window, -low)


def bars_since_top(state: FloatArray, at: int, window: int, high: float) -> float:
    """Bars since the highest high of the window. State: 2 `window` + 4 numbers."""
    return sliding_top(state, at, window, high)[1]


def share_of_top(state: FloatArray, at: int, window: int, high: float, close: float) -> float:
    """Close over the highest high of the window. State: 2 `window` + 4 numbers."""
    return close / sliding_top(state, at, window, high)[0]


def choppiness(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float, previous: float
) -> float:
    """Way gone over the window's range, logarithm, as percent of that of `window`. State: 5 `window` + 11 numbers."""
    gone = sliding_sum(state, at, window, max(high, previous) - min(low, previous))
    _, bottom, top = channel_place(state, at + window + 3, window, high, low, close)
    # Bars that were skipped may hide the whole way between two that stood still.
    if not (top > bottom and gone > 0.0):
        return math.nan
    return 100.0 * math.log(gone / (top - bottom)) / math.log(window)


def ulcer_index(state: FloatArray, at: int, window: int, close: float) -> float:
    """Root of the mean square of the fall from the window's highest close, percent. State: 3 `window` + 7 numbers."""
    top, _ = sliding_top(state, at, window, close)
    if math.isnan(top):
        return math.nan
    fall = 100.0 * (close / top - 1.0)
    return math.sqrt(sliding_sum(state, at + 2 * window + 4, window, fall * fall) / window)


def deepest_fall(state: FloatArray, at: int, window: int, close: float) -> float:
    """Largest fall from a close of the window to a later one, a fraction. State: 3 `window` + 5 numbers.

    As `sliding_sum`, with top, bottom and fall of head and of tails: the fall over both is the largest of the two, and
    of that from the tail's top to the head's bottom.
    """
    ring = at + 5
    place = int(state[at + 1])
    here = ring + 3 * place
    if place == 0:
        state[at + 2] = state[at + 3] = close
        state[at + 4] = 0.0
    state[at + 2] = max(state[at + 2], close)
    state[at + 3] = min(state[at + 3], close)
    state[at + 4] = max(state[at + 4], 1.0 - close / state[at + 2])
    state[here] = state[here + 1] = close
    state[here + 2] = 0.0
    fall = state[at + 4]
    if place + 1 == window:
        for back in range(here - 3, ring - 1, -3):
            state[back + 2] = max(state[back + 5], 1.0 - state[back + 4] / state[back])
            state[back] = max(state[back], state[back + 3])
            state[back + 1] = min(state[back + 1], state[back + 4])
        state[at] = 1.0
        state[at + 1] = 0.0
        return fall
    state[at + 1] = place + 1
    if state[at] == 0.0:
        return math.nan
    return max(fall, state[here + 5], 1.0 - state[at + 3] / state[here + 3])
