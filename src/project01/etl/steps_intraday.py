"""Steps over seconds: windows are spans of time, however many events lie in them.

The rolling ones read columns of a window that features share, see `steps_window`: they are given the places of their
`columns` before their inputs, and called only where every input is there. Their value stands once the session has been
seen for the window. The others get the state and the place `at` of their own part, as in `steps`.
"""

import math

from project01.domain import FloatArray
from project01.etl.steps import log_to_ten
from project01.etl.steps_window import Columns, former, highest_in, sum_in

# A spread of less than this share of the squares is rounding.
NO_SPREAD = 1e-12


def window_volatility(state: FloatArray, columns: Columns, log_return: float) -> float:
    """Root of the realised variance: of the sum of squared returns. Columns: one sum."""
    return math.sqrt(sum_in(state, columns, 0, log_return * log_return))


def bipower_volatility(state: FloatArray, columns: Columns, neighbours: float) -> float:
    """Root of the bipower variation, which jumps do not enter. Columns: one sum."""
    return math.sqrt(0.5 * math.pi * sum_in(state, columns, 0, neighbours))


def jump_share(state: FloatArray, columns: Columns, log_return: float, neighbours: float) -> float:
    """Share of realised variance beyond bipower variation, from 0; NaN where nothing moved. Columns: two sums."""
    squares = sum_in(state, columns, 0, log_return * log_return)
    total = sum_in(state, columns, 1, neighbours)
    return max(0.0, 1.0 - 0.5 * math.pi * total / squares) if squares != 0.0 else math.nan


def vwap_distance(state: FloatArray, columns: Columns, last: float, value: float, size: float) -> float:
    """Last price over the volume-weighted mean of the window, less one. Columns: two sums."""
    values = sum_in(state, columns, 0, value)
    sizes = sum_in(state, columns, 1, size)
    return last / (values / sizes) - 1.0 if sizes != 0.0 else math.nan


def share_in(state: FloatArray, columns: Columns, part: float, whole: float) -> float:
    """Sum of one over sum of the other; NaN where that is 0. Columns: two sums."""
    parts = sum_in(state, columns, 0, part)
    wholes = sum_in(state, columns, 1, whole)
    return parts / wholes if wholes != 0.0 else math.nan


def one_sided_share(state: FloatArray, columns: Columns, signed: float, volume: float) -> float:
    """Sum of the sizes of each second's imbalance over all volume. Columns: two sums."""
    return share_in(state, columns, abs(signed), volume)


def mean_in(state: FloatArray, columns: Columns, number: int, value: float) -> float:
    """Mean over the events of the window that the step was given. Columns: two sums from this number on."""
    total = sum_in(state, columns, number, value)
    return total / sum_in(state, columns, number + 1, 1.0)


def flow_over_depth(state: FloatArray, columns: Columns, flow: float, depth: float) -> float:
    """Order-flow imbalance over the mean depth. Columns: three sums."""
    return sum_in(state, columns, 0, flow) / mean_in(state, columns, 1, depth)


def relative_spread(state: FloatArray, at: int, bid: float, ask: float, mid: float) -> float:  # noqa: ARG001
    """Spread over mid."""
    return (ask - bid) / mid


def mean_spread(state: FloatArray, columns: Columns, bid: float, ask: float, mid: float) -> float:
    """Mean spread over mid of the window's events. Columns: two sums."""
    return mean_in(state, columns, 0, (ask - bid) / mid)


def depth_imbalance(state: FloatArray, at: int, bid_size: float, ask_size: float) -> float:  # noqa: ARG001
    """Size bid for less size offered, over both."""
    return (bid_size - ask_size) / (bid_size + ask_size)


def mean_depth_imbalance(state: FloatArray, columns: Columns, bid_size: float, ask_size: float) -> float:
    """Mean depth imbalance of the window's events. Columns: two sums."""
    return mean_in(state, columns, 0, (bid_size - ask_size) / (bid_size + ask_size))


def micro_price_distance(
    state: FloatArray,  # noqa: ARG001
    at: int,  # noqa: ARG001
    bid: float,
    ask: float,
    mid: float,
    bid_size: float,
    ask_size: float,
) -> float:
    """Mean of bid and ask weighted by the size of the other side, over mid, less one."""
    return (ask * bid_size + bid * ask_size) / (bid_size + ask_size) / mid - 1.0


def window_illiquidity(state: FloatArray, columns: Columns, log_return: float, value: float) -> float:
    """Logarithm to base 10 of the mean absolute return per million USD, over the seconds with volume.

    NaN where no price moved. Columns: two sums.
    """
    total = sum_in(state, columns, 0, abs(log_return) / value if value > 0.0 else 0.0)
    count = sum_in(state, columns, 1, 1.0 if value > 0.0 else 0.0)
    return log_to_ten(1e6 * total / count) if total > 0.0 else math.nan


def price_impact(state: FloatArray, columns: Columns, move: float, flow: float, traded: float) -> float:
    """Slope of returns on signed volume in million USD, over the seconds with a trade (Kyle's lambda).

    NaN with fewer than 3 such seconds, or where the volume does not differ. Columns: five sums.
    """
    millions = flow * 1e-6 if traded > 0.0 else 0.0
    own = move if traded > 0.0 else 0.0
    flows = sum_in(state, columns, 0, millions)
    moves = sum_in(state, columns, 1, own)
    squares = sum_in(state, columns, 2, millions * millions)
    products = sum_in(state, columns, 3, millions * own)
    count = sum_in(state, columns, 4, traded)
    if count < 3.0:
        return math.nan
    spread = squares - flows * flows / count
    return (products - flows * moves / count) / spread if spread > NO_SPREAD * squares else math.nan


def since_trade(state: FloatArray, at: int, time: float, session_start: float, volume: float) -> float:
    """Seconds since the last one with volume; NaN until the session has one. State: session, time of that one."""
    if state[at] != session_start:
        state[at] = session_start
        state[at + 1] = math.nan
    if volume > 0.0:
        state[at + 1] = time
    return time - state[at + 1]


def rate_in(state: FloatArray, columns: Columns, window: int, value: float) -> float:
    """Sum over the window for each of its seconds. Columns: one sum."""
    return sum_in(state, columns, 0, value) / window


def over_rate(state: FloatArray, columns: Columns, window: int, value: float) -> float:
    """The second's own value over the mean of the window's seconds; NaN where that is 0. Columns: one sum."""
    rate = rate_in(state, columns, window, value)
    return value / rate if rate != 0.0 else math.nan


def return_over(state: FloatArray, columns: Columns, last: float) -> float:
    """Last price over the one that stood when the window began, less one; NaN if none did. Columns: one former."""
    return last / former(state, columns, 0, last) - 1.0


def ratio_less_one(state: FloatArray, at: int, value: float, base: float) -> float:  # noqa: ARG001
    """One over the other, less one."""
    return value / base - 1.0


def gap_between(state: FloatArray, at: int, later: float, earlier: float) -> float:  # noqa: ARG001
    """One less the other."""
    return later - earlier


def range_over(state: FloatArray, columns: Columns, high: float, low: float, traded: float) -> float:
    """Logarithm of the window's highest over its lowest price; NaN without a trade. Columns: two highest."""
    top = highest_in(state, columns, 0, high if traded > 0.0 else -math.inf)
    bottom = -highest_in(state, columns, 1, -low if traded > 0.0 else -math.inf)
    return math.log(top / bottom) if top > 0.0 else math.nan
