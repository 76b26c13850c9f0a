"""Steps of the Alpha158 set: bars, sums, lines and correlations. Written for `fuse`; see `steps` for what a step is.

Sums that end in a difference of squares are taken of deviations from an anchor inside the window: the newest value of
the last full block. A window that stands still then sums to exactly 0, and a small spread on a high level loses no
digits. Rings work as in `steps.sliding_sum`: nothing is ever subtracted from a sum.
"""

import math

from project01.domain import FloatArray
from project01.etl.steps import lagged, sliding_sum

# Added to divisors by the published definitions, in the unit of the divisor.
TINY = 1e-12
# A standard deviation below this share of the level is rounding, not movement.
STILL = 1e-12


def anchored_squares(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float, float]:
    """Anchor, sum of deviations from it and of their squares over the window. State: 2 `window` + 5 numbers.

    NaN sums until the window is full.
    """
    ring = at + 5
    place = int(state[at + 1])
    if place == 0 and state[at] == 0.0:
        state[at + 2] = value
    here = ring + 2 * place
    state[here] = value
    deviation = value - state[at + 2]
    total = state[at + 3] + deviation
    squares = state[at + 4] + deviation * deviation
    place += 1
    if place == window:
        total = squares = 0.0
        for back in range(ring + 2 * window - 2, ring - 1, -2):
            deviation = state[back] - value
            total += deviation
            squares += deviation * deviation
            state[back] = total
            state[back + 1] = squares
        state[at] = 1.0
        state[at + 1] = state[at + 3] = state[at + 4] = 0.0
        state[at + 2] = value
        return value, total, squares
    state[at + 1] = place
    state[at + 3] = total
    state[at + 4] = squares
    if state[at] == 0.0:
        return value, math.nan, math.nan
    return state[at + 2], total + state[here + 2], squares + state[here + 3]


def anchored_line(state: FloatArray, at: int, window: int, value: float) -> tuple[float, float, float, float]:
    """As `anchored_squares`, and the sum of deviations times 1 (oldest) to `window`. State: 3 `window` + 6 numbers."""
    ring = at + 6
    place = int(state[at + 1])
    if place == 0 and state[at] == 0.0:
        state[at + 2] = value
    here = ring + 3 * place
    state[here] = value
    deviation = value - state[at + 2]
    total = state[at + 3] + deviation
    squares = state[at + 4] + deviation * deviation
    place += 1
    weighted = state[at + 5] + place * deviation
    if place == window:
        total = squares = weighted = 0.0
        for back in range(ring + 3 * window - 3, ring - 1, -3):
            deviation = state[back] - value
            total += deviation
            squares += deviation * deviation
            # One bar further back, every later bar weighs one more.
            weighted += total
            state[back] = total
            state[back + 1] = squares
            state[back + 2] = weighted
        state[at] = 1.0
        state[at + 1] = state[at + 3] = state[at + 4] = state[at + 5] = 0.0
        state[at + 2] = value
        return value, total, squares, weighted
    state[at + 1] = place
    state[at + 3] = total
    state[at + 4] = squares
    state[at + 5] = weighted
    if state[at] == 0.0:
        return value, math.nan, math.nan, math.nan
    weighted += (window - place) * total + state[here + 5]
    return state[at + 2], total + state[here + 3], squares + state[here + 4], weighted


def anchored_products(
    state: FloatArray, at: int, window: int, own: float, other: float
) -> tuple[float, float, float, float, float, float, float]:
    """Both anchors; sums of own, other, own x other, own squared, other squared. State: 5 `window` + 9 numbers."""
    ring = at + 9
    place = int(state[at + 1])
    if place == 0 and state[at] == 0.0:
        state[at + 2] = own
        state[at + 3] = other
    here = ring + 5 * place
    state[here] = own
    state[here + 1] = other
    x = own - state[at + 2]
    y = other - state[at + 3]
    state[at + 4] += x
    state[at + 5] += y
    state[at + 6] += x * y
    state[at + 7] += x * x
    state[at + 8] += y * y
    place += 1
    if place == window:
        sum_x = sum_y = sum_xy = sum_xx = sum_yy = 0.0
        for back in range(ring + 5 * window - 5, ring - 1, -5):
            x = state[back] - own
            y = state[back + 1] - other
            sum_x += x
            sum_y += y
            sum_xy += x * y
            sum_xx += x * x
            sum_yy += y * y
            state[back] = sum_x
            state[back + 1] = sum_y
            state[back + 2] = sum_xy
            state[back + 3] = sum_xx
            state[back + 4] = sum_yy
        state[at] = 1.0
        state[at + 1] = state[at + 4] = state[at + 5] = state[at + 6] = state[at + 7] = state[at + 8] = 0.0
        state[at + 2] = own
        state[at + 3] = other
        return own, other, sum_x, sum_y, sum_xy, sum_xx, sum_yy
    state[at + 1] = place
    if state[at] == 0.0:
        return own, other, math.nan, math.nan, math.nan, math.nan, math.nan
    return (
        state[at + 2],
        state[at + 3],
        state[at + 4] + state[here + 5],
        state[at + 5] + state[here + 6],
        state[at + 6] + state[here + 7],
        state[at + 7] + state[here + 8],
        state[at + 8] + state[here + 9],
    )


def sliding_pair(state: FloatArray, at: int, window: int, first: float, second: float) -> tuple[float, float]:
    """Sums of the last `window` values of two series, as `sliding_sum`. State: 2 `window` + 4 numbers."""
    ring = at + 4
    place = int(state[at + 1])
    here = ring + 2 * place
    state[here] = first
    state[here + 1] = second
    head = state[at + 2] + first
    other_head = state[at + 3] + second
    place += 1
    if place == window:
        head = other_head = 0.0
        for back in range(ring + 2 * window - 2, ring - 1, -2):
            head += state[back]
            other_head += state[back + 1]
            state[back] = head
            state[back + 1] = other_head
        state[at] = 1.0
        state[at + 1] = state[at + 2] = state[at + 3] = 0.0
        return head, other_head
    state[at + 1] = place
    state[at + 2] = head
    state[at + 3] = other_head
    if state[at] == 0.0:
        return math.nan, math.nan
    return head + state[here + 2], other_head + state[here + 3]


def anchored_spread(anchor: float, total: float, squares: float, window: int) -> float:
    """Sum of squared deviations from the mean; exactly 0 where the spread is only rounding."""
    spread = squares - total * total / window
    limit = STILL * anchor
    return 0.0 if spread <= limit * limit * window else spread


def published_share(part: float, whole: float) -> float:
    """A part over the whole, 0 over 0 being 0, by the published divisor."""
    return part / (whole + TINY)


def body(state: FloatArray, at: int, opened: float, close: float) -> float:  # noqa: ARG001
    """Close less open, over the open."""
    return (close - opened) / opened


def body_in_range(state: FloatArray, at: int, opened: float, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """Close less open, over the range of the bar."""
    return published_share(close - opened, high - low)


def length(state: FloatArray, at: int, opened: float, high: float, low: float) -> float:  # noqa: ARG001
    """Range of the bar over the open."""
    return (high - low) / opened


def upper_shadow(state: FloatArray, at: int, opened: float, high: float, close: float) -> float:  # noqa: ARG001
    """High less the higher of open and close, over the open."""
    return (high - max(opened, close)) / opened


def upper_shadow_in_range(state: FloatArray, at: int, opened: float, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """High less the higher of open and close, over the range of the bar."""
    return published_share(high - max(opened, close), high - low)


def lower_shadow(state: FloatArray, at: int, opened: float, low: float, close: float) -> float:  # noqa: ARG001
    """The lower of open and close less the low, over the open."""
    return (min(opened, close) - low) / opened


def lower_shadow_in_range(state: FloatArray, at: int, opened: float, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """The lower of open and close less the low, over the range of the bar."""
    return published_share(min(opened, close) - low, high - low)


def shift(state: FloatArray, at: int, opened: float, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """Twice the close less high and low, over the open."""
    return (2.0 * close - high - low) / opened


def shift_in_range(state: FloatArray, at: int, high: float, low: float, close: float) -> float:  # noqa: ARG001
    """Twice the close less high and low, over the range of the bar."""
    return published_share(2.0 * close - high - low, high - low)


def over_close(state: FloatArray, at: int, price: float, close: float) -> float:  # noqa: ARG001
    """A price over the close."""
    return price / close


def past_over_close(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close of `window` bars ago over the present one. State: `window` + 2 numbers."""
    return lagged(state, at, window, close) / close


def mean_over_close(state: FloatArray, at: int, window: int, close: float) -> float:
    """Mean close over the present one. State: `window` + 3 numbers."""
    return sliding_sum(state, at, window, close) / window / close


def deviation_over_close(state: FloatArray, at: int, window: int, close: float) -> float:
    """Sample standard deviation of the close over the close. State: 2 `window` + 5 numbers."""
    anchor, total, squares = anchored_squares(state, at, window, close)
    return math.sqrt(anchored_spread(anchor, total, squares, window) / (window - 1)) / close


def line_slope(total: float, weighted: float, window: int) -> float:
    """Slope of the least-squares line through the window, a bar."""
    return (weighted - 0.5 * (window + 1) * total) / (window * (window * window - 1.0) / 12.0)


def slope_over_close(state: FloatArray, at: int, window: int, close: float) -> float:
    """Slope of the line through the closes over the close. State: 3 `window` + 6 numbers."""
    _, total, _, weighted = anchored_line(state, at, window, close)
    return line_slope(total, weighted, window) / close


def line_fit(state: FloatArray, at: int, window: int, close: float) -> float:
    """Share of the closes' variance that their line explains; NaN where they stand still. State: 3 `window` + 6."""
    anchor, total, squares, weighted = anchored_line(state, at, window, close)
    spread = anchored_spread(anchor, total, squares, window)
    if spread == 0.0:
        return math.nan
    slope = line_slope(total, weighted, window)
    return slope * slope * (window * (window * window - 1.0) / 12.0) / spread


def residual_over_close(state: FloatArray, at: int, window: int, close: float) -> float:
    """Close less the line's value at it, over the close. State: 3 `window` + 6 numbers."""
    anchor, total, _, weighted = anchored_line(state, at, window, close)
    slope = line_slope(total, weighted, window)
    return (close - anchor - total / window - 0.5 * (window - 1) * slope) / close


def window_correlation(state: FloatArray, at: int, window: int, own: float, other: float) -> float:
    """Correlation over the window; NaN where one of the two stands still. State: 5 `window` + 9 numbers."""
    own_anchor, other_anchor, total, other_total, products, squares, other_squares = anchored_products(
        state, at, window, own, other
    )
    spread = anchored_spread(own_anchor, total, squares, window)
    other_spread = anchored_spread(other_anchor, other_total, other_squares, window)
    if spread == 0.0 or other_spread == 0.0:
        return math.nan
    return (products - total * other_total / window) / math.sqrt(spread * other_spread)


def price_volume_correlation(state: FloatArray, at: int, window: int, close: float, volume: float) -> float:
    """Correlation of the close with log(volume + 1). State: 5 `window` + 9 numbers."""
    return window_correlation(state, at, window, close, math.log(volume + 1.0))


def change_correlation(state: FloatArray, at: int, window: int, close: float, volume: float) -> float:
    """Correlation of the close's ratio with log(the volume's ratio + 1). State: 5 `window` + 11 numbers.

    Ratios are to the bar before that has both. A bar after one without trade has no ratio and is skipped.
    """
    close_before = state[at]
    volume_before = state[at + 1]
    state[at] = close
    state[at + 1] = volume
    if close_before == 0.0 or volume_before == 0.0:
        return math.nan
    grown = math.log(volume / volume_before + 1.0)
    return window_correlation(state, at + 2, window, close / close_before, grown)


def share_up(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Share of bars that closed higher. State: `window` + 3 numbers."""
    return sliding_sum(state, at, window, 1.0 if close > previous else 0.0) / window


def share_down(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Share of bars that closed lower. State: `window` + 3 numbers."""
    return sliding_sum(state, at, window, 1.0 if close < previous else 0.0) / window


def share_up_less_down(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Share of bars that closed higher less that of those lower. State: `window` + 3 numbers."""
    sign = (1.0 if close > previous else 0.0) - (1.0 if close < previous else 0.0)
    return sliding_sum(state, at, window, sign) / window


def gain_and_loss(state: FloatArray, at: int, window: int, value: float, before: float) -> tuple[float, float]:
    """Sums of rises and of falls over the window. State: 2 `window` + 4 numbers."""
    return sliding_pair(state, at, window, max(value - before, 0.0), max(before - value, 0.0))


def gain_share(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Rises of the close over all its movement. State: 2 `window` + 4 numbers."""
    gain, loss = gain_and_loss(state, at, window, close, previous)
    return published_share(gain, gain + loss)


def loss_share(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Falls of the close over all its movement. State: 2 `window` + 4 numbers."""
    gain, loss = gain_and_loss(state, at, window, close, previous)
    return published_share(loss, gain + loss)


def gain_less_loss(state: FloatArray, at: int, window: int, close: float, previous: float) -> float:
    """Rises less falls of the close over all its movement. State: 2 `window` + 4 numbers."""
    gain, loss = gain_and_loss(state, at, window, close, previous)
    return published_share(gain - loss, gain + loss)
