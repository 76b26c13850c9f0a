"""The stream over seconds as compiled code: late rows, revisions, and the features of each row.

Each symbol has a state up to date (`live`), two that lie behind (`base`, then `middle`), and a ring of the rows taken
in since `base` in order of time. A row in order moves `live` on. Any other is put in its place, and `live` is computed
again from the newest state before it. When so many rows have followed `middle` that none before it can be accepted any
more, it becomes `base`, and `live` becomes `middle`: states are copied, so that no row in order is computed twice.

This code is compiled once for all features: it calls their kernel by its address.
"""

import numpy as np
from numba import carray

from project01.domain import FloatArray
from project01.etl.second_stream_memory import (
    BASE_KNOWN,
    CAPACITY,
    FEATURES,
    GIVEN,
    HELD_ROWS,
    INPUTS,
    KEPT,
    KERNEL,
    LIMITS,
    LIVE_KNOWN,
    MICROSECONDS,
    MIDDLE_KNOWN,
    MIDDLE_ROWS,
    NEWEST,
    OLDEST,
    PLACES,
    SEEN,
    SYMBOLS,
    TOGETHER,
    WATERMARK,
    Integers,
    Memory,
    Singles,
    Written,
    advance_at,
    compiled,
    inlined,
    memory_at,
    pointer_to,
    written_at,
)

# Checksum of `second_stream_memory`, whose functions are compiled into these: without a change here numba would go on
# with what it made of the former ones, and write beside the arrays. A test holds it.
MADE_OF = 4027576963

# What becomes of a row that gives no features: it was late, it came when rows known much later had come, or its time is
# no whole second, lies behind its knowledge time, or its symbol is none.
LATE, BEHIND, INVALID = -1, -2, -3


@inlined
def run_rows(
    count: int, rows: FloatArray, states: FloatArray, which: Integers, values: Singles, memory: Memory
) -> None:
    """Move states on by a row each: row i, behind row i - 1, that of the symbol which[i]; all at one after another."""
    at, plan = memory.limits, memory.plan
    columns, slots = plan[1, : at[GIVEN]], plan[2, : at[FEATURES]]
    arguments = (plan[0], 0, count, rows, columns, at[INPUTS], states, which, 0, values, slots, at[FEATURES])
    advance_at(at[KERNEL], arguments)


@inlined
def _run_row(row: FloatArray, symbol: int, values: Singles, memory: Memory) -> None:
    """Move one symbol's state on by one row."""
    run_rows(1, row, memory.live[symbol : symbol + 1], memory.plan[0], values, memory)


@inlined
def slot_of(symbol: int, number: int, memory: Memory) -> int:
    """Where among the places of a symbol its held row of this number stands, the oldest being 0."""
    slot = int(memory.numbers[symbol, OLDEST]) + number
    capacity = memory.limits[CAPACITY]
    return slot if slot < capacity else slot - capacity


@inlined
def keep_middle(symbol: int, rows: int, known: int, memory: Memory) -> None:
    """Let `live` as it is, after so many of the rows, be `middle`."""
    memory.kept[1 - memory.bases[symbol], symbol] = memory.live[symbol]
    memory.numbers[symbol, MIDDLE_ROWS] = rows
    memory.numbers[symbol, MIDDLE_KNOWN] = known


@inlined
def replay(symbol: int, first: int, memory: Memory, out: Written) -> int:
    """Compute `live` again from the newest state before row `first`, and write the rows from there on; how many."""
    numbers = memory.numbers[symbol]
    count, middle = int(numbers[HELD_ROWS]), int(numbers[MIDDLE_ROWS])
    start = middle if first >= middle else 0
    base = memory.bases[symbol]
    memory.live[symbol] = memory.kept[1 - base if first >= middle else base, symbol]
    newest = numbers[MIDDLE_KNOWN] if first >= middle else numbers[BASE_KNOWN]
    for number in range(start, count):
        slot = slot_of(symbol, number, memory)
        newest = max(newest, memory.held[symbol, slot])
        to = max(number - first, 0)
        _run_row(memory.rows[symbol, slot], symbol, out.values[to], memory)
        out.times[to] = int(memory.rows[symbol, slot, 0] * MICROSECONDS)
        out.known[to] = newest
        if number + 1 == middle:
            keep_middle(symbol, middle, newest, memory)
    numbers[LIVE_KNOWN] = newest
    return count - first


@inlined
def is_full(symbol: int, memory: Memory) -> bool:
    """Whether as many rows follow `middle` as may, so that states must move on before another is held."""
    return bool(memory.numbers[symbol, HELD_ROWS] - memory.numbers[symbol, MIDDLE_ROWS] == memory.limits[TOGETHER])


@inlined
def move_on(symbol: int, memory: Memory) -> None:
    """Let `middle` be `base`, as no row from before it can be accepted any more, and `live` be `middle`."""
    numbers = memory.numbers[symbol]
    count, moved = int(numbers[HELD_ROWS]), int(numbers[MIDDLE_ROWS])
    if moved > 0:
        memory.bases[symbol] = 1 - memory.bases[symbol]
        numbers[BASE_KNOWN] = numbers[MIDDLE_KNOWN]
        numbers[OLDEST] = slot_of(symbol, moved, memory)
        numbers[HELD_ROWS] = count - moved
    keep_middle(symbol, count - moved, numbers[LIVE_KNOWN], memory)


@inlined
def outranks(row: FloatArray, other: FloatArray) -> bool:
    """Whether of two rows of one second, known at one time, the first stands: by the first value that differs.

    Without it the row that stood would depend on the order of arrival. NaN ranks highest.
    """
    for place in range(len(row)):
        if row[place] != other[place] and not (np.isnan(row[place]) and np.isnan(other[place])):
            return bool(np.isnan(row[place]) or row[place] > other[place])
    return False


@inlined
def refusal(symbol: int, time: float, knowledge: int, memory: Memory) -> int:
    """Why a row cannot be taken in; 0 if it can."""
    if not (0.0 < time < 1e11 and time == np.floor(time)):
        return INVALID
    event = int(time * MICROSECONDS)
    if knowledge < event:
        return INVALID
    if knowledge - event > memory.limits[WATERMARK]:
        return LATE
    return BEHIND if event < memory.numbers[symbol, SEEN] - memory.limits[KEPT] else 0


@inlined
def place_row(symbol: int, row: FloatArray, knowledge: int, memory: Memory) -> int:
    """Put a row in its place among those held, or over the one of its second; its number, or -1 if that one stands."""
    rows, held, numbers = memory.rows[symbol], memory.held[symbol], memory.numbers[symbol]
    count = int(numbers[HELD_ROWS])
    number = count
    while number > 0 and rows[slot_of(symbol, number - 1, memory), 0] >= row[0]:
        number -= 1
    slot = slot_of(symbol, number, memory)
    if number < count and rows[slot, 0] == row[0]:
        if knowledge < held[slot] or (knowledge == held[slot] and not outranks(row, rows[slot])):
            return -1
    else:
        for later in range(count, number, -1):
            to, source = slot_of(symbol, later, memory), slot_of(symbol, later - 1, memory)
            rows[to] = rows[source]
            held[to] = held[source]
        numbers[HELD_ROWS] = count + 1
        if number < numbers[MIDDLE_ROWS]:
            numbers[MIDDLE_ROWS] += 1
    for column in range(len(row)):
        # -0.0 becomes 0.0: the two count as the same value, so they must not give different features.
        rows[slot, column] = row[column] + 0.0
    held[slot] = knowledge
    numbers[NEWEST] = max(numbers[NEWEST], int(row[0] * MICROSECONDS))
    return number


@inlined
def take(symbol: int, row: FloatArray, knowledge: int, memory: Memory, out: Written) -> int:
    """Take in one row; the number of rows written, 0 where it says nothing new, or why it was not accepted."""
    why = refusal(symbol, row[0], knowledge, memory)
    if why != 0:
        return why
    numbers = memory.numbers[symbol]
    numbers[SEEN] = max(numbers[SEEN], knowledge)
    if is_full(symbol, memory):
        move_on(symbol, memory)
    count = numbers[HELD_ROWS]
    number = place_row(symbol, row, knowledge, memory)
    if number < 0:
        return 0
    if number < count:
        return replay(symbol, number, memory, out)
    _run_row(memory.rows[symbol, slot_of(symbol, number, memory)], symbol, out.values[0], memory)
    numbers[LIVE_KNOWN] = max(numbers[LIVE_KNOWN], knowledge)
    out.times[0] = int(row[0] * MICROSECONDS)
    out.known[0] = numbers[LIVE_KNOWN]
    return 1


@compiled
def take_at(address: int, symbol: int, row: int, knowledge: int, values: int, times: int, known: int) -> int:
    """As `take`, with the addresses of the stream's memory, of the row, and of where its features go."""
    memory = memory_at(address)
    at = memory.limits
    if not 0 <= symbol < at[SYMBOLS]:
        return INVALID
    out = written_at(values, times, known, at[CAPACITY], at[FEATURES])
    return take(symbol, carray(pointer_to(row), at[INPUTS], np.float64), knowledge, memory, out)


@compiled
def renew(address: int) -> None:
    """Compute `middle` and `live` of every symbol again from `base` and the rows."""
    memory = memory_at(address)
    at = memory.limits
    out = written_at(at[LIMITS + 7], at[LIMITS + 8], at[LIMITS + 9], at[CAPACITY], at[FEATURES])
    for symbol in range(at[SYMBOLS]):
        middle = memory.numbers[symbol, MIDDLE_ROWS]
        memory.kept[1 - memory.bases[symbol], symbol] = memory.kept[memory.bases[symbol], symbol]
        memory.numbers[symbol, MIDDLE_KNOWN] = memory.numbers[symbol, BASE_KNOWN]
        count = memory.numbers[symbol, HELD_ROWS]
        newest = memory.rows[symbol, slot_of(symbol, count - 1, memory), 0] if count > 0 else 0.0
        memory.numbers[symbol, NEWEST] = int(newest * MICROSECONDS)
        replay(symbol, middle - 1 if middle > 0 else 0, memory, out)


@compiled
def push(address: int, symbol: int, place: int) -> int:
    """Take in the row at `place` of the inbox.

    Every array is found by its address: handed over from Python, each would cost as much as several features.
    """
    memory = memory_at(address)
    at = memory.limits
    if not 0 <= place < at[PLACES]:
        return INVALID
    knowledge = carray(pointer_to(at[LIMITS + 11]), at[PLACES], np.int64)[place]
    row = at[LIMITS + 10] + 8 * at[INPUTS] * place
    return take_at(address, symbol, row, knowledge, at[LIMITS + 7], at[LIMITS + 8], at[LIMITS + 9])
