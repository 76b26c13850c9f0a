"""Steps of the technical set that rest on a straight line through a window, and sums of ranges."""

import math

from project01.domain import FloatArray
from project01.etl.steps import FLAT, lagged, sliding_sum, variance


def sliding_line(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float, float]:
    """Sums over the last `window` values of value, value x age in bars, and value squared. State: 3 `window` + 5.

    As `sliding_sum`; the sums of head and tails are weighted by the place in the block, which makes an age of any.
    """
    ring = at + 5
    place = int(state[at + 1])
    here = ring + 3 * place
    state[here] = value
    state[here + 1] = place * value
    state[here + 2] = value * value
    for column in range(3):
        state[at + 2 + column] += state[here + column]
    total, placed, squares = state[at + 2], state[at + 3], state[at + 4]
    if place + 1 == window:
        for back in range(here - 3, ring - 1, -3):
            for column in range(3):
                state[back + column] += state[back + 3 + column]
        state[at] = 1.0
        for column in range(4):
            state[at + 1 + column] = 0.0
        return total, place * total - placed, squares
    state[at + 1] = place + 1
    if state[at] == 0.0:
        return math.nan, math.nan, math.nan
    before = state[here + 3]
    aged = place * total - placed + ((place + window) * before - state[here + 4])
    return total + before, aged, squares + state[here + 5]


def line_through(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float, float]:
    """Slope per bar of the least-squares line through the window, the mean and the variance. State: 3 `window` + 5."""
    total, aged, squares = sliding_line(state, at, window, value)
    slope = (total * (window - 1.0) / 2.0 - aged) / (window * (window * window - 1.0) / 12.0)
    return slope, total / window, variance(total, squares, window, 0)


def weighted_distance(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close over its mean with weights that fall by one a bar, less one. State: 3 `window` + 5 numbers."""
    total, aged, _ = sliding_line(state, at, window, close)
    return close / ((window * total - aged) / (window * (window + 1.0) / 2.0)) - 1.0


def trend_slope(state: FloatArray, at: int, window: int, close: float) -> float:
    """Slope of the line through the closes, over their mean. State: 3 `window` + 5 numbers."""
    slope, mean, _ = line_through(state, at, window, close)
    return slope / mean


def trend_angle(state: FloatArray, at: int, window: int, close: float) -> float:
    """Angle of the line through the closes, degrees, one percent of their mean a bar being 45. State: as the line."""
    slope, mean, _ = line_through(state, at, window, close)
    return math.atan(100.0 * slope / mean) * 180.0 / math.pi


def trend_fit(state: FloatArray, at: int, window: int, close: float) -> float:
    """Share of the closes' variance on the line through them, 0 to 1; NaN without variance. State: as the line."""
    slope, _, spread = line_through(state, at, window, close)
    if spread == 0.0:
        return math.nan
    return min(slope * slope * ((window * window - 1.0) / 12.0) / spread, 1.0)


def trend_distance(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close over the end of the line through the closes, less one; NaN where that is not positive. State: as it."""
    slope, mean, _ = line_through(state, at, window, close)
    end = mean + slope * (window - 1.0) / 2.0
    return close / end - 1.0 if end > 0.0 else math.nan


def relative_momentum(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close less that of `window` bars ago, over the close. State: `window` + 2 numbers."""
    return (close - lagged(state, at, window, close)) / close


def commodity_channel(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """CCI: typical price less its mean, over 0.015 mean absolute deviations; NaN without. State: `window` + 2."""
    typical = (high + low + close) / 3.0
    place = int(state[at + 1])
    lagged(state, at, window, typical)
    if state[at] == 0.0:
        return math.nan
    total = 0.0
    for n in range(at + 2, at + 2 + window):
        total += state[n]
    mean = total / window
    deviation = 0.0
    for n in range(at + 2, at + 2 + window):
        deviation += abs(state[n] - mean)
    if deviation <= FLAT * total:
        return math.nan
    return (state[at + 2 + place] - mean) / (0.015 * deviation / window)


def ultimate_oscillator(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float, previous: float
) -> float:
    """Close above the true low over true range, in sums of `window`, twice and four times so many bars.

    They weigh 4, 2 and 1; percent, NaN without range. State: 14 `window` + 18 numbers.
    """
    true_low = min(low, previous)
    total = 0.0
    place = at
    for turn in range(3):
        bars = window * 2**turn
        gain = sliding_sum(state, place, bars, close - true_low)
        reach = sliding_sum(state, place + bars + 3, bars, max(high, previous) - true_low)
        total += gain / reach * 4.0 / 2.0**turn if reach > 0.0 else math.nan
        place += 2 * bars + 6
    return 100.0 * total / 7.0


def rising_vortex(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """VI+: distances of each high from the low before, over true ranges. State: 2 `window` + 9 numbers.

    Both are against the bar before that had all of high, low and close. NaN without range.
    """
    if state[at] == 0.0:
        share = math.nan
    else:
        movement = sliding_sum(state, at + 3, window, abs(high - state[at + 1]))
        before = state[at + 2]
        reach = sliding_sum(state, at + window + 6, window, max(high, before) - min(low, before))
        share = movement / reach if reach > 0.0 else math.nan
    state[at] = 1.0
    state[at + 1] = low
    state[at + 2] = close
    return share


def falling_vortex(state: FloatArray, at: int, window: int, high: float, low: float, close: float) -> float:
    """VI-: distances of each low from the high before, over true ranges. State: 2 `window` + 9 numbers."""
    return rising_vortex(state, at, window, -low, -high, -close)


def balance_of_power(state: FloatArray, at: int, opened: float, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """Close less open over high less low; NaN without range."""
    return (close - opened) / (high - low) if high > low else math.nan
