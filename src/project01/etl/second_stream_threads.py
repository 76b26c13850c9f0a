"""Other cores for batches of some ten microseconds: threads that take parts of a batch as its own thread does.

To wake a thread takes as long as a batch of a second of 500 symbols, so those that helped stay awake for a moment, and
batches that follow each other at once find them there. Nobody waits for a helper that has not begun: parts are taken by
whoever comes first, and the thread that gave the batch takes all that nobody else did. OpenMP's threads cannot be used:
for the tree libraries' sake they wait asleep in this process.
"""

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from project01.etl.second_stream_batch import TOTALS, absorb, sums, take_part
from project01.etl.second_stream_memory import LINE_NUMBERS, PARTS, compiled, entry_of, inlined, zeros_in_lines

# Checksum of `second_stream_batch`, as in `second_stream_kernel`.
MADE_OF = 2830903081

# Places on the board: the stream's address; how many parts of its batch are done; how often each of them was taken.
# Each is on a line of memory of its own, as threads write to it.
STREAM, DONE, TAKEN = range(0, 3 * LINE_NUMBERS, LINE_NUMBERS)
BOARD = TAKEN + PARTS * LINE_NUMBERS
# Looks at the board, each of some ten nanoseconds, before a helper goes to sleep, and before a thread that waits for
# the last helper leaves the core to others for a moment.
PATIENCE, EAGER = 5_000, 500
_Absorb: TypeAlias = Callable[[int, int], tuple[int, int, int]]


@intrinsic  # type: ignore[untyped-decorator]
def look(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The number at an address, as the last thread left it that wrote there, with all it wrote before."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def tell(typing_context: Any, address: Any, value: Any) -> Any:  # noqa: ARG001
    """Write a number to an address, for threads that look to find all that was written before, too."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        builder.store_atomic(values[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def count_on(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """Add one to the number at an address; the number before, which no other thread gets."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, ir.IntType(64)(1), "acq_rel")

    return types.int64(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def rest(typing_context: Any) -> Any:  # noqa: ARG001
    """Let some ten nanoseconds pass, and the core's other thread have what this one does not use."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        if platform.machine() == "x86_64":
            kind = ir.FunctionType(ir.VoidType(), ())
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), ())
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic  # type: ignore[untyped-decorator]
def yield_core(typing_context: Any) -> Any:  # noqa: ARG001
    """Let another thread have the core, if one waits for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        kind = ir.FunctionType(ir.IntType(32), ())
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), ())
        return context.get_dummy_value()

    return types.void(), generate


@inlined
def _take(board: int, part: int) -> None:
    """Take in a part of the batch on the board, if nobody else does."""
    if count_on(board + 8 * (TAKEN + LINE_NUMBERS * part)) == 0:
        # Read after the part was taken: so both belong to one batch.
        take_part(look(board + 8 * STREAM), part)
        count_on(board + 8 * DONE)


@compiled
def help_out(board: int, number: int) -> None:
    """Take in parts of each batch that comes, until for a while none does.

    A helper begins at the other end than the batch's own thread, and always at the same: what its symbols' rows touch
    is in its core's cache.
    """
    first, looks = PARTS - 1 - number, 0
    while looks < PATIENCE:
        if look(board + 8 * (TAKEN + LINE_NUMBERS * first)) == 0:
            for step in range(PARTS):
                _take(board, (first - step) & (PARTS - 1))
            looks = 0
        looks += 1
        rest()


@compiled
def absorb_together(board: int, address: int) -> tuple[int, int, int]:
    """As `absorb` all parts, with whoever is awake."""
    tell(board + 8 * STREAM, address)
    tell(board + 8 * DONE, 0)
    for part in range(PARTS):
        tell(board + 8 * (TAKEN + LINE_NUMBERS * part), 0)
    for part in range(PARTS):
        _take(board, part)
    looks = 0
    while look(board + 8 * DONE) < PARTS:
        looks += 1
        if looks > EAGER:
            yield_core()
        else:
            rest()
    return sums(address, PARTS)


class Helpers:
    """Threads that help with the batches of all streams of this process, one batch at a time."""

    def __init__(self, count: int) -> None:
        """Helpers that sleep."""
        self._board = zeros_in_lines((BOARD,), np.int64)
        self._board[TAKEN:] = 1
        self._address = self._board.ctypes.data
        self._asleep = list(range(count))
        self._free = Lock()
        self._threads = ThreadPoolExecutor(count, "second-stream")
        self._absorb: _Absorb = entry_of(absorb, TOTALS)
        self._together: _Absorb = entry_of(absorb_together, TOTALS)
        self._help_out = entry_of(help_out, "void(i8, i8)")

    def _help(self, number: int) -> None:
        self._help_out(self._address, number)
        self._asleep.append(number)

    def absorb(self, address: int) -> tuple[int, int, int]:
        """Take in what was prepared for the stream at this address; as the function of the same name."""
        if not self._free.acquire(blocking=False):
            return self._absorb(address, PARTS)
        try:
            while self._asleep:
                with suppress(RuntimeError):  # the interpreter ends and starts no thread any more
                    self._threads.submit(self._help, self._asleep.pop())
            return self._together(self._address, address)
        finally:
            self._free.release()


def most_threads() -> int:
    """Threads that a batch can keep busy here: one for each core, no more than there are parts."""
    cores: int = numba.config.NUMBA_NUM_THREADS
    return min(PARTS, cores)


@cache
def helpers(count: int) -> Helpers:
    """So many threads that help, the same for all streams that ask for so many."""
    return Helpers(count)


# A process made by copying this one has none of its threads.
os.register_at_fork(after_in_child=helpers.cache_clear)
