"""A window of seconds that features share: one ring of events, a row each, and in it the columns of every feature.

A window of w seconds at time t holds the events in (t - w, t] of the same session. Time is cut into blocks of w seconds
since 1970, so that a window touches two blocks at most: in the rows of the older one each column holds, at each event,
the sum from there to the block's end; of the present block the sum so far is kept, the column's head. Their sum is the
window's. Nothing is ever subtracted, each event is touched twice on average, and the order of the additions, so the
last bit too, depends on nothing but the events in the window. The greatest value is kept in the same way.

A row is the event's time and its columns: first the sums, then the greatest, then the values of which the one that
stood when the window began is asked for. A column whose feature skips an event holds there what says nothing: 0, minus
infinity, NaN. So features with missing inputs share the rows of all others, and none changes another's bits.

The part of a window: session, end of the present block, places of the oldest row and of the next, rows of the older
block, rows in all; for each feature the first time of the session at which it had its inputs, 0 before; then a row of
heads, the ring of `window` rows, and a row that says nothing. Places are numbers of the whole state. `shape` is the
window, how many features, and how many columns of each kind.

A step is given `columns`: where its first column stands among the heads, in the event's row, and in the oldest row of
the older block.
"""

import math
from typing import TypeAlias

from project01.domain import FloatArray
from project01.etl.feature import seldom
from project01.etl.steps import PLACE

Shape: TypeAlias = tuple[int, int, int, int, int]
Columns: TypeAlias = tuple[int, int, int]

SESSION, BLOCK_END, OLDEST, NEXT, SETTLED, HELD, SINCES = 0, 1, 2, 3, 4, 5, 6


def width_of(shape: Shape) -> int:
    """Numbers of a row."""
    return 1 + shape[2] + shape[3] + shape[4]


def ring_of(at: int, shape: Shape) -> int:
    """Where the ring begins, behind the heads."""
    return at + SINCES + shape[1] + width_of(shape)


def behind(at: int, shape: Shape, row: int) -> int:
    """Where the row behind this one stands."""
    following = row + width_of(shape)
    return (following if following < ring_of(at, shape) + shape[0] * width_of(shape) else ring_of(at, shape)) & PLACE


def oldest_of(state: FloatArray, at: int, shape: Shape) -> int:
    """Where the oldest row of the older block stands; the row that says nothing where the window holds none."""
    if state[at + SETTLED] > 0.0:
        return int(state[at + OLDEST]) & PLACE
    return ring_of(at, shape) + shape[0] * width_of(shape)


def say_nothing(state: FloatArray, row: int, shape: Shape) -> None:
    """Fill the columns of a row as if every feature had skipped the event."""
    greatest = row + 1 + shape[2]
    for place in range(row + 1, greatest):
        state[place] = 0.0
    for place in range(greatest, greatest + shape[3]):
        state[place] = -math.inf
    for place in range(greatest + shape[3], row + width_of(shape)):
        state[place] = math.nan


def leave(state: FloatArray, at: int, shape: Shape, before: float) -> None:
    """Drop the rows of the older block up to the time `before`."""
    heads = ring_of(at, shape) - width_of(shape)
    row = int(state[at + OLDEST]) & PLACE
    while state[at + SETTLED] > 0.0 and state[row] <= before:
        for place in range(1 + shape[2] + shape[3], width_of(shape)):
            if state[row + place] == state[row + place]:
                state[heads + place] = state[row + place]
        state[at + SETTLED] -= 1.0
        state[at + HELD] -= 1.0
        row = behind(at, shape, row)
        state[at + OLDEST] = row


@seldom
def empty(state: FloatArray, at: int, shape: Shape, session_start: float) -> None:
    """Empty the window when a session begins."""
    ring = ring_of(at, shape)
    state[at + SESSION] = session_start
    state[at + BLOCK_END] = 0.0
    state[at + OLDEST] = ring
    state[at + NEXT] = ring
    state[at + SETTLED] = 0.0
    state[at + HELD] = 0.0
    for place in range(at + SINCES, at + SINCES + shape[1]):
        state[place] = 0.0
    say_nothing(state, ring - width_of(shape), shape)
    say_nothing(state, ring + shape[0] * width_of(shape), shape)


@seldom
def settle(state: FloatArray, at: int, shape: Shape, time: float) -> None:
    """Begin a new block: the rows of the block before get the sums from each to its end."""
    state[at + SETTLED] = state[at + HELD]
    leave(state, at, shape, time - shape[0])
    ring, width = ring_of(at, shape), width_of(shape)
    sums, columns = 1 + shape[2], 1 + shape[2] + shape[3]
    after = int(state[at + NEXT]) & PLACE
    after = (after - width if after > ring else after + (shape[0] - 1) * width) & PLACE
    for _ in range(int(state[at + HELD]) - 1):
        row = (after - width if after > ring else after + (shape[0] - 1) * width) & PLACE
        for place in range(1, sums):
            state[row + place] += state[after + place]
        for place in range(sums, columns):
            state[row + place] = max(state[row + place], state[after + place])
        after = row
    heads = ring - width
    for place in range(1, sums):
        state[heads + place] = 0.0
    for place in range(sums, columns):
        state[heads + place] = -math.inf
    state[at + BLOCK_END] = math.ceil(time / shape[0]) * shape[0]


def slide(state: FloatArray, at: int, shape: Shape, time: float, session_start: float) -> int:
    """Move the window on to `time`; where the row of this event stands, which says nothing yet."""
    if session_start != state[at + SESSION]:
        empty(state, at, shape, session_start)
    if time > state[at + BLOCK_END]:
        settle(state, at, shape, time)
    else:
        leave(state, at, shape, time - shape[0])
    row = int(state[at + NEXT]) & PLACE
    state[at + NEXT] = behind(at, shape, row)
    state[at + HELD] += 1.0
    state[row] = time
    say_nothing(state, row, shape)
    return row


def spanned(state: FloatArray, since: int, window: int, time: float) -> bool:
    """Whether a feature has been seen in the session over the whole window, from its first event on."""
    if state[since] == 0.0:
        state[since] = time
    return time - state[since] + 1.0 >= window


def sum_in(state: FloatArray, columns: Columns, number: int, value: float) -> float:
    """Add the event's value to the step's column of this number; the sum over the window."""
    state[columns[1] + number] = value
    head = state[columns[0] + number] + value
    state[columns[0] + number] = head
    return head + state[columns[2] + number]


def highest_in(state: FloatArray, columns: Columns, number: int, value: float) -> float:
    """Take in the event's value, minus infinity for none; the greatest in the window."""
    state[columns[1] + number] = value
    head = max(state[columns[0] + number], value)
    state[columns[0] + number] = head
    return max(head, state[columns[2] + number])


def former(state: FloatArray, columns: Columns, number: int, value: float) -> float:
    """Take in the event's value; the last one before the window, NaN where the session had none."""
    state[columns[1] + number] = value
    return state[columns[0] + number]
