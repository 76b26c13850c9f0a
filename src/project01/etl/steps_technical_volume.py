"""Steps of the technical set that weigh prices by the volume traded at them."""

import math

from project01.domain import FloatArray
from project01.etl.steps import FLAT, lagged, sliding_sum


def on_balance(
    state: FloatArray, at: int, window: int, close: float, previous: float, volume: float
) -> tuple[float, float, float]:
    """Slope per bar, place of the newest value and standard deviation of on-balance volume over the window.

    The place is against the mean. Worked out afresh from the window's signed volumes, its first value being 0: the
    level depends on where the series began and means nothing. State: `window` + 2 numbers.
    """
    signed = volume if close > previous else (-volume if close < previous else 0.0)
    lagged(state, at, window, signed)
    if state[at] == 0.0:
        return math.nan, math.nan, math.nan
    place = int(state[at + 1])
    level = total = placed = squares = 0.0
    for n in range(1, window):
        place = place + 1 if place + 1 < window else 0
        level += state[at + 2 + place]
        total += level
        placed += n * level
        squares += level * level
    mean = total / window
    spread = squares - total * mean
    slope = (placed - total * (window - 1.0) / 2.0) / (window * (window * window - 1.0) / 12.0)
    return slope, level - mean, math.sqrt(spread / (window - 1.0)) if spread > FLAT * squares else 0.0


def on_balance_slope(state: FloatArray, at: int, window: int, close: float, previous: float, volume: float) -> float:
    """Slope of on-balance volume in mean volumes a bar; NaN without trade. State: 2 `window` + 5 numbers."""
    slope, _, _ = on_balance(state, at, window, close, previous, volume)
    total = sliding_sum(state, at + window + 2, window, volume)
    return slope * window / total if total > 0.0 else math.nan


def on_balance_score(state: FloatArray, at: int, window: int, close: float, previous: float, volume: float) -> float:
    """On-balance volume against its mean, in standard deviations; NaN without spread. State: `window` + 2 numbers."""
    _, place, deviation = on_balance(state, at, window, close, previous, volume)
    return place / deviation if deviation > 0.0 else math.nan


def money_flow_index(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float, volume: float
) -> float:
    """MFI: money traded at a risen typical price over that at a risen or fallen one, percent; NaN without either.

    Against the bar before that had all inputs. State: 2 `window` + 7 numbers.
    """
    typical = (high + low + close) / 3.0
    before = state[at]
    state[at] = typical
    if before == 0.0:
        return math.nan
    risen = sliding_sum(state, at + 1, window, typical * volume if typical > before else 0.0)
    fallen = sliding_sum(state, at + window + 4, window, typical * volume if typical < before else 0.0)
    return 100.0 * risen / (risen + fallen) if risen + fallen > 0.0 else math.nan


def chaikin_money_flow(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float, volume: float
) -> float:
    """Volume weighed by the close's place in the bar, -1 to 1, over volume; NaN without. State: 2 `window` + 6."""
    place = ((close - low) - (high - close)) / (high - low) if high > low else 0.0
    flow = sliding_sum(state, at, window, place * volume)
    traded = sliding_sum(state, at + window + 3, window, volume)
    return flow / traded if traded > 0.0 else math.nan


def weighted_price_distance(
    state: FloatArray, at: int, window: int, high: float, low: float, close: float, volume: float
) -> float:
    """Close over the window's typical price weighed by volume, less one; NaN without trade. State: 2 `window` + 6."""
    paid = sliding_sum(state, at, window, (high + low + close) / 3.0 * volume)
    traded = sliding_sum(state, at + window + 3, window, volume)
    return close / (paid / traded) - 1.0 if traded > 0.0 else math.nan
