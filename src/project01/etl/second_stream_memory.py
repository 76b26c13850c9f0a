"""What a stream over seconds knows, as compiled code finds it: arrays by their addresses, the kernel by its own.

numba keeps what it made of `second_stream_kernel` for as long as its text stays as it is, so that file names the text
of this one.
"""

import math
import mmap
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import sigutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from project01.domain import FloatArray
from project01.etl.fuse import Kernel
from project01.etl.kernel_source import SIGNATURE, Read

Integers: TypeAlias = NDArray[np.int64]
Singles: TypeAlias = NDArray[np.float32]
_Function = TypeVar("_Function", bound=Callable[..., Any])
compiled: Callable[[_Function], _Function] = njit(cache=True, nogil=True, error_model="numpy")
# As calls these would count references to every array they touch, which costs more than what they do.
inlined: Callable[[_Function], _Function] = njit(nogil=True, error_model="numpy", forceinline=True)
_ARGUMENTS, _NOTHING = sigutils.normalize_signature(SIGNATURE)

# Places in the numbers of a symbol: rows held, those of them in `middle`, newest knowledge time seen, greatest
# knowledge times in the three states, the newest event time, and the place of the oldest row, which others follow
# round the end.
HELD_ROWS, MIDDLE_ROWS, SEEN, BASE_KNOWN, MIDDLE_KNOWN, LIVE_KNOWN, NEWEST, OLDEST = range(8)
# As many as a line of memory holds.
SYMBOL_NUMBERS = 8
# Places in the limits: watermark and time after which a row is final, in microseconds; the kernel's address; then how
# many symbols, rows a symbol, rows that follow `middle` at most, inputs, features, numbers of state, inputs of the
# kernel, rows in the inbox, parts of the state that an event touches, and numbers of a plan.
WATERMARK, KEPT, KERNEL, SYMBOLS, CAPACITY, TOGETHER, INPUTS, FEATURES, STATE, GIVEN, PLACES, READS, PLAN = range(13)
# Behind the limits stand the addresses of the arrays.
LIMITS = 13
ADDRESSES = 17
MICROSECONDS = 1e6
# Rows of a batch that are taken in together, so that the memory of one is on its way while another is computed.
RUN = 32
# Parts of a large batch, by symbol: the number of the symbol, cut to its last bits. Threads share them.
PARTS = 4
# Places in what is known of a part: the next of its rows in the batch's order, and its end there; the first row of
# features that it may write, the one behind its last, and how many it has written; where its refused rows are noted,
# and how many were.
NEXT, END, FROM, TO, WRITTEN, REFUSED_AT, REFUSED = range(7)
# As many as a line of memory holds, for threads not to wait for each other's lines.
PART_NUMBERS = 8
# Places in a batch: rows, rows of features that have room, and the addresses of the arrays of `Batch`.
ROWS, ROOM, ARRAYS = range(3)
BATCH = 11
# Bytes that come from memory together, and the numbers in them.
LINE = 64
LINE_NUMBERS = 8
# Bytes of a large page of memory, on the systems that have them.
LARGE_PAGE = 2**21


@cache
def entry_of(function: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """The compiled code itself: to look for the form that fits the arguments costs more than an event."""
    compiled_function: Any = function
    entry: Callable[..., Any] = compiled_function.compile(signature)
    return entry


class Memory(NamedTuple):
    """What a stream knows.

    Attributes:
        limits: shape (LIMITS,) at least.
        rows: shape (n_symbols, n_places, n_inputs), rows since `base`, a ring for each symbol.
        held: shape (n_symbols, n_places), their knowledge times.
        numbers: shape (n_symbols, SYMBOL_NUMBERS).
        live: shape (n_symbols, n_state).
        kept: shape (2, n_symbols, n_state), of each symbol `base` and `middle`.
        bases: shape (n_symbols,), which of the two is `base`, 0 or 1.
        plan: shape (3, n): the numbers from 0 on, the places of the kernel's inputs in a row, those of its results.
        reads: shape (n_reads, 3), the kernel's `reads`, those at a known place line by line.
        ready: shape (PARTS, RUN, n_inputs), the rows of a run of each part.
        which: shape (PARTS, RUN), their symbols.
        parts: shape (PARTS, PART_NUMBERS), how far each part of a batch is.
        batch: shape (BATCH,), the batch that is taken in.
    """

    limits: Integers
    rows: FloatArray
    held: Integers
    numbers: Integers
    live: FloatArray
    kept: FloatArray
    bases: Integers
    plan: Integers
    reads: Integers
    ready: FloatArray
    which: Integers
    parts: Integers
    batch: Integers


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


class Batch(NamedTuple):
    """Rows to take in together, and where their features go.

    Attributes:
        symbols: shape (n,), number of each row's symbol.
        knowns: shape (n,), knowledge times in microseconds.
        matrix: shape (n, n_inputs).
        order: shape (n,) at least, places of the rows, part after part.
        refused: shape (n, 2) at least, place of a row not accepted, and why, noted where its part begins in the order.
        names: shape (n_room,), the symbols of the rows of features.
        out: shape (n_room,), those rows.
    """

    symbols: NDArray[np.int32]
    knowns: Integers
    matrix: FloatArray
    order: Integers
    refused: Integers
    names: NDArray[np.int32]
    out: Written


def zeros_in_lines(shape: tuple[int, ...], kind: type[np.int64 | np.float64]) -> NDArray[Any]:
    """Zeros of 8 bytes that begin where a line of memory does, so that no row of whole lines touches one more.

    Large ones lie in large pages where the system has such: where each event touches other pages, to find the small
    ones costs a tenth of its time.
    """
    count = math.prod(shape)
    if 8 * count >= LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        pages = mmap.mmap(-1, 8 * count + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a system without them
            pages.madvise(mmap.MADV_HUGEPAGE)
        room, begin = np.frombuffer(pages, dtype=kind), LARGE_PAGE
    else:
        room, begin = np.zeros(count + LINE_NUMBERS, dtype=kind), LINE
    first = -room.ctypes.data % begin // 8
    return room[first : first + count].reshape(shape)


def in_lines(size: int) -> int:
    """An odd number of whole lines' numbers, no fewer than `size`: rows of such a length crowd no set of a cache."""
    return (-(-size // LINE_NUMBERS) | 1) * LINE_NUMBERS


def lines_of(reads: Sequence[Read]) -> Integers:
    """The reads of a state that begins where a line does: places known before line by line, each line once."""
    known = (range(read.start, read.start + read.size) for read in reads if not read.held)
    lines = sorted({place // LINE_NUMBERS for places in known for place in places})
    found = [(line * LINE_NUMBERS, 1, 0) for line in lines]
    return np.array([*found, *(read for read in reads if read.held)], dtype=np.int64)


def address_of(kernel: Kernel) -> int:
    """Where the compiled function of a kernel begins; it stays there as long as the kernel lives."""
    compiled_kernel: Any = kernel.advance
    result = compiled_kernel.get_compile_result(types.void(*_ARGUMENTS))
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@intrinsic  # type: ignore[untyped-decorator]
def advance_at(typing_context: Any, address: Any, arguments: Any) -> Any:  # noqa: ARG001
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
def pointer_to(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def fetch_line(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """Ask the processor for the line of memory at an address, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        flag, pointer = context.get_value_type(types.int32), context.get_value_type(types.voidptr)
        kind = ir.FunctionType(ir.VoidType(), (pointer, flag, flag, flag))
        function = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), kind)
        # To be written, too; to be kept in all caches; data.
        builder.call(function, (builder.inttoptr(values[0], pointer), flag(1), flag(3), flag(1)))
        return context.get_dummy_value()

    return types.void(types.int64), generate


@inlined
def fetch_numbers(address: int, count: int) -> None:
    """Ask for the memory of so many numbers from an address on."""
    for offset in range(0, 8 * count, LINE):
        fetch_line(address + offset)
    fetch_line(address + 8 * count - 1)


@inlined
def memory_at(address: int) -> Memory:
    """The arrays of a stream, found by their addresses, which stand behind the limits."""
    at = carray(pointer_to(address), LIMITS + ADDRESSES, np.int64)
    symbols, capacity = at[SYMBOLS], at[CAPACITY]
    return Memory(
        at,
        carray(pointer_to(at[LIMITS]), (symbols, capacity, at[INPUTS]), np.float64),
        carray(pointer_to(at[LIMITS + 1]), (symbols, capacity), np.int64),
        carray(pointer_to(at[LIMITS + 2]), (symbols, SYMBOL_NUMBERS), np.int64),
        carray(pointer_to(at[LIMITS + 3]), (symbols, at[STATE]), np.float64),
        carray(pointer_to(at[LIMITS + 4]), (2, symbols, at[STATE]), np.float64),
        carray(pointer_to(at[LIMITS + 5]), symbols, np.int64),
        carray(pointer_to(at[LIMITS + 6]), (3, at[PLAN]), np.int64),
        carray(pointer_to(at[LIMITS + 12]), (at[READS], 3), np.int64),
        carray(pointer_to(at[LIMITS + 13]), (PARTS, RUN, at[INPUTS]), np.float64),
        carray(pointer_to(at[LIMITS + 14]), (PARTS, RUN), np.int64),
        carray(pointer_to(at[LIMITS + 15]), (PARTS, PART_NUMBERS), np.int64),
        carray(pointer_to(at[LIMITS + 16]), BATCH, np.int64),
    )


@inlined
def written_at(values: int, times: int, known: int, rows: int, features: int) -> Written:
    """Arrays for rows of features, found by their addresses."""
    return Written(
        carray(pointer_to(values), (rows, features), np.float32),
        carray(pointer_to(times), rows, np.int64),
        carray(pointer_to(known), rows, np.int64),
    )


@inlined
def batch_of(memory: Memory) -> Batch:
    """The batch that is taken in."""
    at = memory.batch
    count, inputs = at[ROWS], memory.limits[INPUTS]
    return Batch(
        carray(pointer_to(at[ARRAYS]), count, np.int32),
        carray(pointer_to(at[ARRAYS + 1]), count, np.int64),
        carray(pointer_to(at[ARRAYS + 2]), (count, inputs), np.float64),
        carray(pointer_to(at[ARRAYS + 3]), count, np.int64),
        carray(pointer_to(at[ARRAYS + 4]), (count, 2), np.int64),
        carray(pointer_to(at[ARRAYS + 5]), at[ROOM], np.int32),
        written_at(at[ARRAYS + 6], at[ARRAYS + 7], at[ARRAYS + 8], at[ROOM], memory.limits[FEATURES]),
    )
