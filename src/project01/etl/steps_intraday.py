"""Steps over seconds: windows are spans of time, however many events lie in them.

A window of w seconds at time t holds the events in (t - w, t] of the same session; it has a value once the session has
been seen for w seconds. A window keeps its events in a ring, each with its time. Time is cut into blocks of w seconds
since 1970, so that a window touches two blocks at most: of the older one the ring holds, at each event, the sum from
there to the block's end, of the present one the sum so far is kept. Their sum is the window's. Nothing is ever
subtracted, each event is touched twice on average, and the order of the additions, so the last bit too, depends on
nothing but the events in the window.

A step gets the state and the place `at` of its own part, as in `steps`. The part of a window: session, first event
seen, end of the present block, place of the oldest event, events of the older block, events in all; then a running
sum a column, and the ring of `window` events, each with its time and its columns.
"""

import math

from project01.domain import FloatArray

SINCE, BLOCK_END, OLDEST, SETTLED, HELD, SUMS = 1, 2, 3, 4, 5, 6
# A spread of less than this share of the squares is rounding.
NO_SPREAD = 1e-12


def enter_session(state: FloatArray, at: int, time: float, session_start: float) -> None:
    """Empty the window when a session begins."""
    if state[at] != session_start:
        state[at] = session_start
        state[at + SINCE] = time
        state[at + BLOCK_END] = 0.0
        state[at + SETTLED] = 0.0
        state[at + HELD] = 0.0


def leave(state: FloatArray, at: int, window: int, columns: int, before: float) -> None:
    """Drop the events of the older block up to the time `before`."""
    ring = at + SUMS + columns
    while state[at + SETTLED] > 0.0 and state[ring + int(state[at + OLDEST]) * (columns + 1)] <= before:
        state[at + SETTLED] -= 1.0
        state[at + HELD] -= 1.0
        state[at + OLDEST] = state[at + OLDEST] + 1.0 if state[at + OLDEST] + 1.0 < window else 0.0


def place_of(state: FloatArray, at: int, window: int, columns: int, number: int) -> int:
    """Where the event of this number stands, the oldest being 0."""
    slot = int(state[at + OLDEST]) + number
    if slot >= window:
        slot -= window
    return at + SUMS + columns + slot * (columns + 1)


def settle(state: FloatArray, at: int, window: int, columns: int, time: float) -> None:
    """Begin a new block: the events of the block before get the sums from each to its end."""
    state[at + SETTLED] = state[at + HELD]
    leave(state, at, window, columns, time - window)
    held = int(state[at + HELD])
    after = place_of(state, at, window, columns, held - 1)
    for number in range(held - 2, -1, -1):
        here = place_of(state, at, window, columns, number)
        for column in range(1, columns + 1):
            state[here + column] += state[after + column]
        after = here
    for column in range(columns):
        state[at + SUMS + column] = 0.0
    state[at + BLOCK_END] = math.ceil(time / window) * window


def slide(state: FloatArray, at: int, window: int, columns: int, time: float, session_start: float) -> int:
    """Move the window on to `time`; where the event of this time would stand."""
    enter_session(state, at, time, session_start)
    if time > state[at + BLOCK_END]:
        settle(state, at, window, columns, time)
    else:
        leave(state, at, window, columns, time - window)
    return place_of(state, at, window, columns, int(state[at + HELD]))


def in_window(state: FloatArray, at: int, window: int, columns: int, column: int) -> float:
    """Sum of a column over the window."""
    if state[at + SETTLED] > 0.0:
        return state[at + SUMS + column] + state[place_of(state, at, window, columns, 0) + 1 + column]
    return state[at + SUMS + column]


def spanned(state: FloatArray, at: int, window: int, time: float) -> bool:
    """Whether the session has been seen over the whole window."""
    return time - state[at + SINCE] + 1.0 >= window


def sum_in(state: FloatArray, at: int, window: int, time: float, session_start: float, value: float) -> float:
    """Sum over the window, spanned or not. State: 7 + 2 `window` numbers."""
    here = slide(state, at, window, 1, time, session_start)
    state[here] = time
    state[here + 1] = value
    state[at + SUMS] += value
    state[at + HELD] += 1.0
    return in_window(state, at, window, 1, 0)


def sums_in(
    state: FloatArray, at: int, window: int, time: float, session_start: float, one: float, two: float
) -> tuple[float, float]:
    """Two sums over the window, spanned or not. State: 8 + 3 `window` numbers."""
    here = slide(state, at, window, 2, time, session_start)
    state[here] = time
    state[here + 1] = one
    state[here + 2] = two
    state[at + SUMS] += one
    state[at + SUMS + 1] += two
    state[at + HELD] += 1.0
    return in_window(state, at, window, 2, 0), in_window(state, at, window, 2, 1)


def window_volatility(
    state: FloatArray, at: int, window: int, time: float, session_start: float, log_return: float
) -> float:
    """Root of the realised variance: of the sum of squared returns. State: 7 + 2 `window` numbers."""
    squares = sum_in(state, at, window, time, session_start, log_return * log_return)
    return math.sqrt(squares) if spanned(state, at, window, time) else math.nan


def neighbours(state: FloatArray, at: int, session_start: float, log_return: float, traded: float) -> float:
    """Product of a return's size and that of the trade before it, 0 without a trade; NaN until there are two.

    State: session, size of the return before, 0 once there was a product.
    """
    if state[at] != session_start:
        state[at] = session_start
        state[at + 1] = math.nan
        state[at + 2] = math.nan
    if traded == 0.0:
        return state[at + 2]
    product = abs(log_return) * state[at + 1]
    state[at + 1] = abs(log_return)
    state[at + 2] = 0.0 * product
    return product


def bipower_volatility(
    state: FloatArray, at: int, window: int, time: float, session_start: float, log_return: float, traded: float
) -> float:
    """Root of the bipower variation, which jumps do not enter. State: 10 + 2 `window` numbers."""
    product = neighbours(state, at, session_start, log_return, traded)
    if math.isnan(product):
        return math.nan
    total = sum_in(state, at + 3, window, time, session_start, product)
    return math.sqrt(0.5 * math.pi * total) if spanned(state, at + 3, window, time) else math.nan


def jump_share(
    state: FloatArray, at: int, window: int, time: float, session_start: float, log_return: float, traded: float
) -> float:
    """Share of realised variance beyond bipower variation, from 0; NaN where nothing moved.

    State: 11 + 3 `window` numbers.
    """
    product = neighbours(state, at, session_start, log_return, traded)
    if math.isnan(product):
        return math.nan
    squares, total = sums_in(state, at + 3, window, time, session_start, log_return * log_return, product)
    if squares == 0.0 or not spanned(state, at + 3, window, time):
        return math.nan
    return max(0.0, 1.0 - 0.5 * math.pi * total / squares)


def vwap_distance(
    state: FloatArray, at: int, window: int, time: float, session_start: float, last: float, value: float, size: float
) -> float:
    """Last price over the volume-weighted mean of the window, less one. State: 8 + 3 `window` numbers."""
    values, sizes = sums_in(state, at, window, time, session_start, value, size)
    if sizes == 0.0 or not spanned(state, at, window, time):
        return math.nan
    return last / (values / sizes) - 1.0


def share_in(
    state: FloatArray, at: int, window: int, time: float, session_start: float, part: float, whole: float
) -> float:
    """Sum of one over sum of the other; NaN where that is 0. State: 8 + 3 `window` numbers."""
    parts, wholes = sums_in(state, at, window, time, session_start, part, whole)
    if wholes == 0.0 or not spanned(state, at, window, time):
        return math.nan
    return parts / wholes


def one_sided_share(
    state: FloatArray, at: int, window: int, time: float, session_start: float, signed: float, volume: float
) -> float:
    """Sum of the sizes of each second's imbalance over all volume. State: 8 + 3 `window` numbers."""
    return share_in(state, at, window, time, session_start, abs(signed), volume)


def flow_over_depth(
    state: FloatArray, at: int, window: int, time: float, session_start: float, flow: float, depth: float
) -> float:
    """Order-flow imbalance over the mean depth. State: 8 + 3 `window` numbers."""
    flows, depths = sums_in(state, at, window, time, session_start, flow, depth)
    return flows / (depths / state[at + HELD]) if spanned(state, at, window, time) else math.nan


def relative_spread(state: FloatArray, at: int, bid: float, ask: float, mid: float) -> float:  # noqa: ARG001
    """Spread over mid."""
    return (ask - bid) / mid


def mean_spread(
    state: FloatArray, at: int, window: int, time: float, session_start: float, bid: float, ask: float, mid: float
) -> float:
    """Mean spread over mid of the window's events. State: 7 + 2 `window` numbers."""
    total = sum_in(state, at, window, time, session_start, (ask - bid) / mid)
    return total / state[at + HELD] if spanned(state, at, window, time) else math.nan


def depth_imbalance(state: FloatArray, at: int, bid_size: float, ask_size: float) -> float:  # noqa: ARG001
    """Size bid for less size offered, over both."""
    return (bid_size - ask_size) / (bid_size + ask_size)


def mean_depth_imbalance(
    state: FloatArray, at: int, window: int, time: float, session_start: float, bid_size: float, ask_size: float
) -> float:
    """Mean depth imbalance of the window's events. State: 7 + 2 `window` numbers."""
    total = sum_in(state, at, window, time, session_start, depth_imbalance(state, at, bid_size, ask_size))
    return total / state[at + HELD] if spanned(state, at, window, time) else math.nan


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


def window_illiquidity(
    state: FloatArray, at: int, window: int, time: float, session_start: float, log_return: float, value: float
) -> float:
    """Logarithm to base 10 of the mean absolute return per million USD, over the seconds with volume.

    State: 7 + 2 `window` numbers. NaN where no price moved.
    """
    here = slide(state, at, window, 1, time, session_start)
    if value > 0.0:
        state[here] = time
        state[here + 1] = abs(log_return) / value
        state[at + SUMS] += state[here + 1]
        state[at + HELD] += 1.0
    total = in_window(state, at, window, 1, 0)
    if total <= 0.0 or not spanned(state, at, window, time):
        return math.nan
    return math.log10(1e6 * total / state[at + HELD])


def price_impact(
    state: FloatArray, at: int, window: int, time: float, session_start: float, move: float, flow: float, traded: float
) -> float:
    """Slope of returns on signed volume in million USD, over the seconds with a trade (Kyle's lambda).

    State: 10 + 5 `window` numbers. NaN with fewer than 3 such seconds, or where the volume does not differ.
    """
    here = slide(state, at, window, 4, time, session_start)
    if traded > 0.0:
        state[here] = time
        state[here + 1] = flow * 1e-6
        state[here + 2] = move
        state[here + 3] = state[here + 1] * state[here + 1]
        state[here + 4] = state[here + 1] * move
        for column in range(4):
            state[at + SUMS + column] += state[here + 1 + column]
        state[at + HELD] += 1.0
    count = state[at + HELD]
    if count < 3.0 or not spanned(state, at, window, time):
        return math.nan
    flows = in_window(state, at, window, 4, 0)
    squares = in_window(state, at, window, 4, 2)
    spread = squares - flows * flows / count
    if spread <= NO_SPREAD * squares:
        return math.nan
    return (in_window(state, at, window, 4, 3) - flows * in_window(state, at, window, 4, 1) / count) / spread


def since_trade(state: FloatArray, at: int, time: float, session_start: float, volume: float) -> float:
    """Seconds since the last one with volume; NaN until the session has one. State: session, time of that one."""
    if state[at] != session_start:
        state[at] = session_start
        state[at + 1] = math.nan
    if volume > 0.0:
        state[at + 1] = time
    return time - state[at + 1]


def rate_in(state: FloatArray, at: int, window: int, time: float, session_start: float, value: float) -> float:
    """Sum over the window for each of its seconds. State: 7 + 2 `window` numbers."""
    total = sum_in(state, at, window, time, session_start, value)
    return total / window if spanned(state, at, window, time) else math.nan


def over_rate(state: FloatArray, at: int, window: int, time: float, session_start: float, value: float) -> float:
    """The second's own value over the mean of the window's seconds; NaN where that is 0.

    State: 7 + 2 `window` numbers.
    """
    rate = rate_in(state, at, window, time, session_start, value)
    return value / rate if rate != 0.0 else math.nan


def return_over(state: FloatArray, at: int, window: int, time: float, session_start: float, last: float) -> float:
    """Last price over the one that stood `window` seconds ago, less one; NaN until the session had one then.

    State: session, place of the oldest, number held; then a ring of `window` + 1 times and prices.
    """
    if state[at] != session_start:
        state[at] = session_start
        state[at + 2] = 0.0
    size = window + 1
    oldest, held = int(state[at + 1]), int(state[at + 2])
    here = oldest + held if oldest + held < size else oldest + held - size
    state[at + 3 + 2 * here] = time
    state[at + 4 + 2 * here] = last
    held += 1
    following = oldest + 1 if oldest + 1 < size else 0
    while held > 1 and state[at + 3 + 2 * following] <= time - window:
        oldest = following
        held -= 1
        following = oldest + 1 if oldest + 1 < size else 0
    state[at + 1] = oldest
    state[at + 2] = held
    return last / state[at + 4 + 2 * oldest] - 1.0 if state[at + 3 + 2 * oldest] <= time - window else math.nan


def ratio_less_one(state: FloatArray, at: int, value: float, base: float) -> float:  # noqa: ARG001
    """One over the other, less one."""
    return value / base - 1.0


def gap_between(state: FloatArray, at: int, later: float, earlier: float) -> float:  # noqa: ARG001
    """One less the other."""
    return later - earlier


def range_over(
    state: FloatArray, at: int, window: int, time: float, session_start: float, high: float, low: float, traded: float
) -> float:
    """Logarithm of the window's highest over its lowest price. State: 2 (5 + 2 `window`) numbers."""
    other = at + 5 + 2 * window
    top = highest_in(state, at, window, time, session_start, high, traded)
    bottom = -highest_in(state, other, window, time, session_start, -low, traded)
    return math.log(top / bottom) if spanned(state, at, window, time) else math.nan


def highest_in(
    state: FloatArray, at: int, window: int, time: float, session_start: float, value: float, traded: float
) -> float:
    """Greatest value of the window's trades. State: 5 + 2 `window` numbers.

    Session, first event, place of the oldest, number held, unused; then a ring of times and values that fall: a value
    that a later one reaches can never be the greatest again.
    """
    if state[at] != session_start:
        state[at] = session_start
        state[at + SINCE] = time
        state[at + 3] = 0.0
    ring = at + 5
    oldest, held = int(state[at + 2]), int(state[at + 3])
    while held > 0 and state[ring + 2 * oldest] <= time - window:
        oldest = oldest + 1 if oldest + 1 < window else 0
        held -= 1
    if traded > 0.0:
        newest = oldest + held - 1 if oldest + held <= window else oldest + held - 1 - window
        while held > 0 and state[ring + 1 + 2 * newest] <= value:
            newest = newest - 1 if newest > 0 else window - 1
            held -= 1
        here = oldest + held if oldest + held < window else oldest + held - window
        state[ring + 2 * here] = time
        state[ring + 1 + 2 * here] = value
        held += 1
    state[at + 2] = oldest
    state[at + 3] = held
    return state[ring + 1 + 2 * oldest] if held > 0 else math.nan
