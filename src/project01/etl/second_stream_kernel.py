"""The stream over seconds as compiled code: late rows, revisions, and the features of each row.

Each symbol has a state up to date (`live`), two that lie behind (`base`, then `middle`), and the rows taken in since
`base` in order of time. A row in order moves `live` on. Any other is put in its place, and `live` is computed again
from the newest state before it. When so many rows have followed `middle` that none before it can be accepted any more,
it becomes `base`, and `live` becomes `middle`: states are copied, so that no row in order is computed twice.

This code is compiled once for all features: it calls their kernel by its address.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numba import carray, njit, types
from numba.core import sigutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from project01.domain import FloatArray
from project01.etl.fuse import SIGNATURE, Kernel

Integers: TypeAlias = NDArray[np.int64]
Singles: TypeAlias = NDArray[np.float32]
_Function = TypeVar("_Function", bound=Callable[..., Any])
compiled: Callable[[_Function], _Function] = njit(cache=True, nogil=True, error_model="numpy")
# As calls these would count references to every array they touch, which costs more than what they do.
inlined: Callable[[_Function], _Function] = njit(nogil=True, error_model="numpy", forceinline=True)
_ARGUMENTS, _NOTHING = sigutils.normalize_signature(SIGNATURE)

# What becomes of a row that gives no features: it was late, it came when rows known much later had come, or its time is
# no whole second, lies behind its knowledge time, or its symbol is none.
LATE, BEHIND, INVALID = -1, -2, -3
# Places in the numbers of a symbol: rows held, those of them in `middle`, newest knowledge time seen, greatest
# knowledge times in the three states.
HELD_ROWS, MIDDLE_ROWS, SEEN, BASE_KNOWN, MIDDLE_KNOWN, LIVE_KNOWN = range(6)
SYMBOL_NUMBERS = 6
# Places in the limits: watermark and time after which a row is final, in microseconds; the kernel's address; then how
# many symbols, rows a symbol, rows that follow `middle` at most, inputs, features, numbers of state, inputs of the
# kernel, and rows in the inbox.
WATERMARK, KEPT, KERNEL, SYMBOLS, CAPACITY, TOGETHER, INPUTS, FEATURES, STATE, GIVEN, PLACES = range(11)
# Behind the limits stand the addresses of the arrays.
LIMITS = 11
ADDRESSES = 12
MICROSECONDS = 1e6


class Memory(NamedTuple):
    """What a stream knows.

    Attributes:
        limits: shape (LIMITS,) at least.
        rows: shape (n_symbols, n_places, n_inputs), rows since `base`.
        held: shape (n_symbols, n_places), their knowledge times.
        numbers: shape (n_symbols, SYMBOL_NUMBERS).
        live: shape (n_symbols, n_state).
        middle: shape (n_symbols, n_state).
        base: shape (n_symbols, n_state).
        plan: shape (3, n): the numbers 0 and 1, the places of the kernel's inputs in a row, those of its results.
    """

    limits: Integers
    rows: FloatArray
    held: Integers
    numbers: Integers
    live: FloatArray
    middle: FloatArray
    base: FloatArray
    plan: Integers


class Written(NamedTuple):
    """Where rows of features go, from the start on.

    Attributes:
        values: shape (n, n_features).
        times: shape (n,), event times in microseconds.
        known: shape (n,), knowledge times in microseconds.
    """

    values: Singles
    times: Integers
    known: Integers


def address_of(kernel: Kernel) -> int:
    """Where the compiled function of a kernel begins; it stays there as long as the kernel lives."""
    compiled_kernel: Any = kernel.advance
    result = compiled_kernel.get_compile_result(types.void(*_ARGUMENTS))
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@intrinsic  # type: ignore[untyped-decorator]
def _advance_at(typing_context: Any, address: Any, arguments: Any) -> Any:  # noqa: ARG001
    """Call the kernel at an address; its arguments are a tuple of the types of `SIGNATURE`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        kind = context.call_conv.get_function_type(types.void, _ARGUMENTS).as_pointer()
        function = builder.inttoptr(values[0], kind)
        given = [builder.extract_value(values[1], place) for place in range(len(_ARGUMENTS))]
        status, _ = context.call_conv.call_function(builder, function, types.void, _ARGUMENTS, given)
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(types.int64, types.Tuple(_ARGUMENTS)), generate


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


@inlined
def _run_row(row: FloatArray, states: FloatArray, symbol: int, values: Singles, memory: Memory) -> None:
    """Move one symbol's state on by one row."""
    given, features = memory.limits[GIVEN], memory.limits[FEATURES]
    one_row, columns, slots = memory.plan[0, :2], memory.plan[1, :given], memory.plan[2, :features]
    inputs, out = row.reshape((len(row), 1)), values.reshape((len(values), 1))
    state = states[symbol : symbol + 1]
    _advance_at(memory.limits[KERNEL], (one_row, 0, 1, inputs, columns, slots, state, 0, out))


@inlined
def keep_middle(symbol: int, rows: int, known: int, memory: Memory) -> None:
    """Let `live` as it is, after so many of the rows, be `middle`."""
    memory.middle[symbol] = memory.live[symbol]
    memory.numbers[symbol, MIDDLE_ROWS] = rows
    memory.numbers[symbol, MIDDLE_KNOWN] = known


@inlined
def replay(symbol: int, first: int, memory: Memory, out: Written) -> int:
    """Compute `live` again from the newest state before row `first`, and write the rows from there on; how many."""
    numbers = memory.numbers[symbol]
    count, middle = int(numbers[HELD_ROWS]), int(numbers[MIDDLE_ROWS])
    start = middle if first >= middle else 0
    memory.live[symbol] = memory.middle[symbol] if first >= middle else memory.base[symbol]
    newest = numbers[MIDDLE_KNOWN] if first >= middle else numbers[BASE_KNOWN]
    for number in range(start, count):
        newest = max(newest, memory.held[symbol, number])
        to = max(number - first, 0)
        _run_row(memory.rows[symbol, number], memory.live, symbol, out.values[to], memory)
        out.times[to] = int(memory.rows[symbol, number, 0] * MICROSECONDS)
        out.known[to] = newest
        if number + 1 == middle:
            keep_middle(symbol, middle, newest, memory)
    numbers[LIVE_KNOWN] = newest
    return count - first


@inlined
def move_on(symbol: int, memory: Memory) -> None:
    """Let `middle` be `base`, as no row from before it can be accepted any more, and `live` be `middle`."""
    numbers = memory.numbers[symbol]
    count, moved = int(numbers[HELD_ROWS]), int(numbers[MIDDLE_ROWS])
    if moved > 0:
        memory.base[symbol] = memory.middle[symbol]
        numbers[BASE_KNOWN] = numbers[MIDDLE_KNOWN]
        for number in range(moved, count):
            memory.rows[symbol, number - moved] = memory.rows[symbol, number]
            memory.held[symbol, number - moved] = memory.held[symbol, number]
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
    """Put a row in its place among those held, or over the one of its second; the place, or -1 if that one stands."""
    rows, held = memory.rows[symbol], memory.held[symbol]
    count = int(memory.numbers[symbol, HELD_ROWS])
    place = count
    while place > 0 and rows[place - 1, 0] >= row[0]:
        place -= 1
    if place < count and rows[place, 0] == row[0]:
        if knowledge < held[place] or (knowledge == held[place] and not outranks(row, rows[place])):
            return -1
    else:
        for number in range(count, place, -1):
            rows[number] = rows[number - 1]
            held[number] = held[number - 1]
        memory.numbers[symbol, HELD_ROWS] = count + 1
        if place < memory.numbers[symbol, MIDDLE_ROWS]:
            memory.numbers[symbol, MIDDLE_ROWS] += 1
    for column in range(len(row)):
        # -0.0 becomes 0.0: the two count as the same value, so they must not give different features.
        rows[place, column] = row[column] + 0.0
    held[place] = knowledge
    return place


@inlined
def take(symbol: int, row: FloatArray, knowledge: int, memory: Memory, out: Written) -> int:
    """Take in one row; the number of rows written, 0 where it says nothing new, or why it was not accepted."""
    why = refusal(symbol, row[0], knowledge, memory)
    if why != 0:
        return why
    numbers = memory.numbers[symbol]
    numbers[SEEN] = max(numbers[SEEN], knowledge)
    if numbers[HELD_ROWS] - numbers[MIDDLE_ROWS] == memory.limits[TOGETHER]:
        move_on(symbol, memory)
    count = numbers[HELD_ROWS]
    place = place_row(symbol, row, knowledge, memory)
    if place < 0:
        return 0
    if place < count:
        return replay(symbol, place, memory, out)
    _run_row(memory.rows[symbol, place], memory.live, symbol, out.values[0], memory)
    numbers[LIVE_KNOWN] = max(numbers[LIVE_KNOWN], knowledge)
    out.times[0] = int(row[0] * MICROSECONDS)
    out.known[0] = numbers[LIVE_KNOWN]
    return 1


@inlined
def memory_at(address: int) -> Memory:
    """The arrays of a stream, found by their addresses, which stand behind the limits."""
    at = carray(_pointer(address), LIMITS + ADDRESSES, np.int64)
    symbols, capacity = at[SYMBOLS], at[CAPACITY]
    return Memory(
        at,
        carray(_pointer(at[LIMITS]), (symbols, capacity, at[INPUTS]), np.float64),
        carray(_pointer(at[LIMITS + 1]), (symbols, capacity), np.int64),
        carray(_pointer(at[LIMITS + 2]), (symbols, SYMBOL_NUMBERS), np.int64),
        carray(_pointer(at[LIMITS + 3]), (symbols, at[STATE]), np.float64),
        carray(_pointer(at[LIMITS + 4]), (symbols, at[STATE]), np.float64),
        carray(_pointer(at[LIMITS + 5]), (symbols, at[STATE]), np.float64),
        carray(_pointer(at[LIMITS + 6]), (3, max(at[INPUTS], at[FEATURES])), np.int64),
    )


@inlined
def written_at(values: int, times: int, known: int, rows: int, features: int) -> Written:
    """Arrays for rows of features, found by their addresses."""
    return Written(
        carray(_pointer(values), (rows, features), np.float32),
        carray(_pointer(times), rows, np.int64),
        carray(_pointer(known), rows, np.int64),
    )


@compiled
def absorb(  # noqa: PLR0913, PLR0917
    address: int,
    symbols: NDArray[np.int32],
    knowns: Integers,
    matrix: FloatArray,
    status: Integers,
    names: NDArray[np.int32],
    values: Singles,
    times: Integers,
    known: Integers,
    first: int,
) -> tuple[int, int]:
    """Take in the rows from `first` on until they end or `values` may be full; the next one, and the rows written.

    Arrays found by address are counted by nobody, which counts here: it is done for each row.
    """
    memory = memory_at(address)
    features, inputs = memory.limits[FEATURES], memory.limits[INPUTS]
    capacity, width = memory.limits[CAPACITY], 4 * features
    written = 0
    for place in range(first, len(symbols)):
        if written + capacity > len(times):
            return place, written
        found = INVALID
        symbol = symbols[place]
        if 0 <= symbol < memory.limits[SYMBOLS]:
            out = written_at(
                values.ctypes.data + written * width, times.ctypes.data + written * 8, known.ctypes.data + written * 8,
                capacity, features,
            )  # fmt: skip
            row = carray(_pointer(matrix.ctypes.data + place * inputs * 8), inputs, np.float64)
            found = take(symbol, row, knowns[place], memory, out)
        status[place] = found
        for emitted in range(max(found, 0)):
            names[written + emitted] = symbol
        written += max(found, 0)
    return len(symbols), written


@compiled
def renew(address: int) -> None:
    """Compute `middle` and `live` of every symbol again from `base` and the rows."""
    memory = memory_at(address)
    at = memory.limits
    out = written_at(at[LIMITS + 7], at[LIMITS + 8], at[LIMITS + 9], at[CAPACITY], at[FEATURES])
    for symbol in range(at[SYMBOLS]):
        middle = memory.numbers[symbol, MIDDLE_ROWS]
        memory.middle[symbol] = memory.base[symbol]
        memory.numbers[symbol, MIDDLE_KNOWN] = memory.numbers[symbol, BASE_KNOWN]
        replay(symbol, middle - 1 if middle > 0 else 0, memory, out)


@compiled
def push(address: int, symbol: int, place: int) -> int:
    """Take in the row at `place` of the inbox.

    Every array is found by its address: handed over from Python, each would cost as much as several features.
    """
    memory = memory_at(address)
    at = memory.limits
    if not (0 <= symbol < at[SYMBOLS] and 0 <= place < at[PLACES]):
        return INVALID
    out = written_at(at[LIMITS + 7], at[LIMITS + 8], at[LIMITS + 9], at[CAPACITY], at[FEATURES])
    row = carray(_pointer(at[LIMITS + 10]), (at[PLACES], at[INPUTS]), np.float64)[place]
    return take(symbol, row, carray(_pointer(at[LIMITS + 11]), at[PLACES], np.int64)[place], memory, out)
