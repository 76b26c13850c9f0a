"""Batches of rows for the stream over seconds, as compiled code: symbols divided among threads, rows by runs.

A large batch is divided by symbol into parts, each in the order given, that share nothing, so that threads may take
them in side by side. The parts are the same however many threads there are, so the order of what comes out is, too.

Of many symbols most of the memory a row touches is in no cache, and to wait for it would cost more than the arithmetic.
So rows in order are taken in by runs: what they will touch is asked for first, by the `reads` of the kernel.
"""

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray
from project01.etl.second_stream_kernel import is_full, move_on, refusal, run_rows, slot_of, take_at
from project01.etl.second_stream_memory import (
    ARRAYS,
    CAPACITY,
    END,
    FEATURES,
    FROM,
    HELD_ROWS,
    INPUTS,
    LIMITS,
    LINE,
    LIVE_KNOWN,
    MICROSECONDS,
    NEWEST,
    NEXT,
    READS,
    REFUSED,
    REFUSED_AT,
    ROOM,
    ROWS,
    RUN,
    SEEN,
    STATE,
    SYMBOL_NUMBERS,
    SYMBOLS,
    TO,
    WRITTEN,
    Batch,
    Integers,
    Memory,
    Singles,
    batch_of,
    compiled,
    fetch_line,
    fetch_numbers,
    inlined,
    memory_at,
)

# Checksum of `second_stream_kernel`, as in that one.
MADE_OF = 1257530692

# Of `absorb`, and of what takes its place: numbers of the stream and of a count in, three counts out.
TOTALS = "UniTuple(i8, 3)(i8, i8)"


@inlined
def _divide(symbols: NDArray[np.int32], order: Integers, parts: int, memory: Memory) -> None:
    """Put the places of the rows in order of their part, and tell each part which are its own."""
    progress = memory.parts
    for part in range(parts):
        progress[part, END] = 0
    for place in range(len(symbols)):
        progress[symbols[place] & (parts - 1), END] += 1
    first = 0
    for part in range(parts):
        count = progress[part, END]
        progress[part, NEXT] = progress[part, END] = progress[part, REFUSED_AT] = first
        progress[part, REFUSED] = 0
        first += count
    for place in range(len(symbols)):
        part = symbols[place] & (parts - 1)
        order[progress[part, END]] = place
        progress[part, END] += 1


@compiled
def prepare(  # noqa: PLR0913, PLR0917
    address: int,
    symbols: NDArray[np.int32],
    knowns: Integers,
    matrix: FloatArray,
    order: Integers,
    refused: Integers,
    names: NDArray[np.int32],
    values: Singles,
    times: Integers,
    known: Integers,
    parts: int,
    spare: int,
    begun: int,
) -> None:
    """Tell the stream of a batch, and each part of it where its features go: a row for each of its own, and `spare`.

    `begun` says that some of the same batch has been taken in, so that the parts go on where they are.
    """
    memory = memory_at(address)
    if not begun:
        _divide(symbols, order, parts, memory)
    batch = memory.batch
    batch[ROWS], batch[ROOM] = len(symbols), len(names)
    batch[ARRAYS], batch[ARRAYS + 1] = symbols.ctypes.data, knowns.ctypes.data
    batch[ARRAYS + 2], batch[ARRAYS + 3] = matrix.ctypes.data, order.ctypes.data
    batch[ARRAYS + 4], batch[ARRAYS + 5] = refused.ctypes.data, names.ctypes.data
    batch[ARRAYS + 6], batch[ARRAYS + 7], batch[ARRAYS + 8] = values.ctypes.data, times.ctypes.data, known.ctypes.data
    first = 0
    for part in range(parts):
        own = memory.parts[part]
        own[FROM] = first
        first += own[END] - own[NEXT] + spare
        own[TO] = first
        own[WRITTEN] = 0


@inlined
def _fetch_symbols(places: Integers, batch: Batch, memory: Memory) -> None:
    """Ask for what the rows at these places touch first, and tell where the rest lies."""
    at = memory.limits
    for place in places:
        symbol = batch.symbols[place]
        if 0 <= symbol < at[SYMBOLS]:
            fetch_line(at[LIMITS + 2] + 8 * SYMBOL_NUMBERS * symbol)
            for offset in range(0, 8 * at[INPUTS], LINE):
                fetch_line(batch.matrix.ctypes.data + 8 * at[INPUTS] * place + offset)
    for place in places:
        symbol = batch.symbols[place]
        if 0 <= symbol < at[SYMBOLS]:
            free = at[CAPACITY] * symbol + slot_of(symbol, memory.numbers[symbol, HELD_ROWS], memory)
            for offset in range(0, 8 * at[INPUTS], LINE):
                fetch_line(at[LIMITS] + 8 * at[INPUTS] * free + offset)
            fetch_line(at[LIMITS + 1] + 8 * free)
            for read in range(at[READS]):
                if memory.reads[read, 2] == 0:
                    fetch_line(at[LIMITS + 3] + 8 * (at[STATE] * symbol + memory.reads[read, 0]))


@inlined
def _fetch_states(which: Integers, memory: Memory) -> None:
    """Ask for what the next row of each of these symbols touches at places that its state holds."""
    at = memory.limits
    for symbol in which:
        for read in range(at[READS]):
            if memory.reads[read, 2] == 1:
                start = at[STATE] * symbol + int(memory.live[symbol, memory.reads[read, 0]])
                fetch_numbers(at[LIMITS + 3] + 8 * start, memory.reads[read, 1])


@inlined
def _follows(symbol: int, time: float, knowledge: int, memory: Memory) -> bool:
    """Whether a row is accepted and comes behind all of its symbol."""
    return refusal(symbol, time, knowledge, memory) == 0 and int(time * MICROSECONDS) > memory.numbers[symbol, NEWEST]


@inlined
def _append(symbol: int, row: FloatArray, knowledge: int, ready: FloatArray, memory: Memory) -> None:
    """Hold a row that follows; `ready` becomes the row as its features are made of it."""
    numbers = memory.numbers[symbol]
    slot = slot_of(symbol, int(numbers[HELD_ROWS]), memory)
    held = memory.rows[symbol, slot]
    for column in range(len(ready)):
        # -0.0 becomes 0.0, as in `place_row`.
        ready[column] = held[column] = row[column] + 0.0
    memory.held[symbol, slot] = knowledge
    numbers[HELD_ROWS] += 1
    numbers[NEWEST] = int(row[0] * MICROSECONDS)
    numbers[SEEN] = max(numbers[SEEN], knowledge)
    numbers[LIVE_KNOWN] = max(numbers[LIVE_KNOWN], knowledge)


@inlined
def _hold_run(part: int, most: int, batch: Batch, memory: Memory) -> int:
    """Hold the next rows of a part, up to so many, as long as they follow all others of their symbol; how many."""
    at, own = memory.limits, memory.parts[part]
    ready, which = memory.ready[part], memory.which[part]
    to = own[FROM] + own[WRITTEN]
    for count in range(most):
        place = batch.order[own[NEXT] + count]
        symbol, row, knowledge = batch.symbols[place], batch.matrix[place], batch.knowns[place]
        if not (0 <= symbol < at[SYMBOLS] and _follows(symbol, row[0], knowledge, memory)):
            return count
        if is_full(symbol, memory):
            if count > 0:
                return count  # its state may lie behind the rows held
            move_on(symbol, memory)
        _append(symbol, row, knowledge, ready[count], memory)
        which[count] = batch.names[to + count] = symbol
        batch.out.times[to + count] = memory.numbers[symbol, NEWEST]
        batch.out.known[to + count] = memory.numbers[symbol, LIVE_KNOWN]
    return most


@inlined
def _take_other(address: int, part: int, batch: Batch, memory: Memory) -> bool:
    """Take in a part's next row, which does not follow; whether there was room for all that it may write."""
    at, own = memory.limits, memory.parts[part]
    to = own[FROM] + own[WRITTEN]
    if to + at[CAPACITY] > own[TO]:
        return False
    place = batch.order[own[NEXT]]
    symbol = batch.symbols[place]
    found = take_at(
        address, symbol, batch.matrix[place].ctypes.data, batch.knowns[place],
        batch.out.values[to:].ctypes.data, batch.out.times[to:].ctypes.data, batch.out.known[to:].ctypes.data,
    )  # fmt: skip
    if found < 0:
        note = own[REFUSED_AT] + own[REFUSED]
        batch.refused[note, 0], batch.refused[note, 1] = place, found
        own[REFUSED] += 1
    else:
        batch.names[to : to + found] = symbol
        own[WRITTEN] += found
    own[NEXT] += 1
    return True


@compiled
def take_part(address: int, part: int) -> None:
    """Take in the rows of a part until they end or no room may be left.

    Rows that follow all others of their symbol are taken in by runs: all are held, then all are computed.
    """
    memory = memory_at(address)
    batch, own = batch_of(memory), memory.parts[part]
    features = memory.limits[FEATURES]
    asked = own[NEXT]
    while own[NEXT] < own[END]:
        if own[NEXT] == asked:
            asked = min(asked + RUN, own[END])
            _fetch_symbols(batch.order[own[NEXT] : asked], batch, memory)
        run, to = asked - own[NEXT], own[FROM] + own[WRITTEN]
        count = _hold_run(part, min(run, own[TO] - to), batch, memory)
        if count > 0:
            which = memory.which[part]
            _fetch_states(which[:count], memory)
            rest = batch.out.values.reshape(-1)[to * features :]
            run_rows(count, memory.ready[part].reshape(-1), memory.live, which, rest, memory)
            own[NEXT] += count
            own[WRITTEN] += count
        elif not _take_other(address, part, batch, memory):
            break


@inlined
def sums(address: int, parts: int) -> tuple[int, int, int]:
    """Of all parts of a batch: the rows left, the rows of features written, the rows not accepted."""
    progress = memory_at(address).parts
    left = written = refused = 0
    for part in range(parts):
        left += progress[part, END] - progress[part, NEXT]
        written += progress[part, WRITTEN]
        refused += progress[part, REFUSED]
    return left, written, refused


@compiled
def absorb(address: int, parts: int) -> tuple[int, int, int]:
    """Take in what was prepared; the rows left for want of room, the rows of features written, those not accepted."""
    for part in range(parts):
        take_part(address, part)
    return sums(address, parts)
