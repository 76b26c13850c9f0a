"""Features of many symbols over seconds as they arrive: revised when a row comes late, kept and taken up again."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_of
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream_batch import TOTALS, absorb, prepare
from project01.etl.second_stream_kernel import BEHIND, INVALID, LATE, push, renew
from project01.etl.second_stream_memory import (
    BASE_KNOWN,
    BATCH,
    FROM,
    HELD_ROWS,
    MIDDLE_ROWS,
    OLDEST,
    PART_NUMBERS,
    PARTS,
    REFUSED,
    REFUSED_AT,
    RUN,
    SEEN,
    SYMBOL_NUMBERS,
    WRITTEN,
    Memory,
    address_of,
    entry_of,
    in_lines,
    lines_of,
    zeros_in_lines,
)
from project01.etl.second_stream_threads import helpers, most_threads
from project01.etl.seconds import PATIENCE

# States are copied after so many rows of a symbol beyond those that another may still precede: seldom enough that it
# costs little, and stays out of the slowest hundredth of the events.
SPARE_ROWS = 128
# Batches of so many rows, of streams of so many symbols, are shared by threads: below it a thread would be woken for
# less than what that costs.
LARGE_BATCH, MANY_SYMBOLS = 256, 16
_MAGIC = b"project01 seconds 1\n"
_DIGEST = 32
# Made once: of the types that they stand for, numpy would look them up at every call.
_NUMBER, _INTEGER, _SINGLE, _DOUBLE = (np.dtype(kind) for kind in (np.int32, np.int64, np.float32, np.float64))
_PREPARE = (
    "void(i8, i4[::1], i8[::1], f8[:, ::1], i8[::1], i8[:, ::1], i4[::1], f4[:, ::1], i8[::1], i8[::1], i8, i8, i8)"
)
_ALL_ACCEPTED = (np.empty(0, dtype=np.int64),) * 3
_KEPT_NUMBERS = [HELD_ROWS, MIDDLE_ROWS, SEEN, BASE_KNOWN]


class SecondFeatures(NamedTuple):
    """What a batch gave.

    Attributes:
        symbol: shape (n,), number of the symbol of each row of features.
        event_time: shape (n,), end of the second, microseconds since 1970.
        knowledge_time: shape (n,), microseconds; of rows with one symbol and event time the last written stands, and
            its knowledge time is not before that of the others.
        values: shape (n, n_features), float32, NaN where missing.
        late: places of the batch's rows known more than the watermark after their second; they are in no feature.
        behind: places of the rows that came when rows known too long after them had come, so that they found no place.
        invalid: places of the rows that cannot be: time no whole second, known before its end, no such symbol.
    """

    symbol: NDArray[np.int32]
    event_time: NDArray[np.int64]
    knowledge_time: NDArray[np.int64]
    values: NDArray[np.float32]
    late: NDArray[np.int64]
    behind: NDArray[np.int64]
    invalid: NDArray[np.int64]


class SecondStream:
    """Series features of the second clock for many symbols, equal to `compute_intraday` to the bit.

    A row known more than `watermark` after its event time is late, here and in the batch: it enters no feature. Any
    other may come out of order: the symbol's later rows are then computed again from the state kept before them, and
    written again. A row that came before changes nothing; of two rows of one second the one known later stands. So once
    the same rows are in, the newest features of each second are the same, whatever the order and the cuts.

    State is bounded: what lies more than `watermark` and `disorder` behind the symbol's newest knowledge time is
    final. Rows that come in the order of their knowledge times are never behind it, with `disorder` 0.

    Attributes:
        symbols: names, in the order of their numbers.
        inbox: shape (n_places, n_inputs), where single rows are put for `push`, inputs in the order of `inputs`.
        inbox_known: shape (n_places,), knowledge times of these rows, microseconds since 1970.
        push: push(symbol, place) takes in the row at `place` of the inbox for the symbol of this number, and returns
            how many rows of features it wrote to the start of `values`, `event_time` and `knowledge_time`: 1 for a row
            in order, 0 for one that says nothing new, and LATE, BEHIND or INVALID (below 0) for one not accepted.
        values: shape (n_rows, n_features).
        event_time: shape (n_rows,), microseconds since 1970.
        knowledge_time: shape (n_rows,), microseconds since 1970.
        inputs: names of the values a row comes with, in order.
    """

    inputs = tuple(SECOND_INPUTS)

    def __init__(
        self,
        features: Sequence[Feature],
        symbols: Sequence[str],
        *,
        watermark: timedelta = PATIENCE,
        disorder: timedelta = timedelta(0),
        places: int = 1,
        threads: int | None = None,
    ) -> None:
        """A stream before its first row.

        Args:
            features: series features of the second clock.
            symbols: names of the symbols; a row names its own by the place in here.
            watermark: how long after its event time a row may become known.
            disorder: how long a row may come after one that became known later.
            places: rows in the inbox.
            threads: most that share a large batch of many symbols; one for each core, up to 4, unless told. What comes
                out does not depend on it.
        Raises:
            InputError: a feature of another kind, no symbols or one twice, a time below zero, no place, no thread.
        """
        check_features(features)
        if not symbols or len(set(symbols)) != len(symbols):
            raise InputError(f"A stream needs symbols, each once; found {len(symbols)}, {len(set(symbols))} distinct.")
        self.symbols = tuple(symbols)
        helping = (most_threads() if threads is None else threads) - 1
        if watermark < timedelta(0) or disorder < timedelta(0) or places < 1 or helping < 0:
            raise InputError(
                "Watermark and disorder must not be negative; the inbox needs a place, and a stream a thread."
            )
        self._helping = min(helping, PARTS - 1) if len(self.symbols) >= MANY_SYMBOLS else 0
        self._kernel = kernel_of(tuple(features))
        kept = watermark + disorder
        self._spans = [span // timedelta(microseconds=1) for span in (watermark, kept)]
        self.inbox = np.full((places, len(self.inputs)), np.nan)
        self.inbox_known = np.zeros(places, dtype=np.int64)
        self._memory = self._empty(int(kept.total_seconds()) + 2)
        self._address = self._memory.limits.ctypes.data
        # Of the largest batch so far: places of its rows by part, and of those not accepted.
        self._order, self._refused = np.empty(0, dtype=_INTEGER), np.empty((0, 2), dtype=_INTEGER)
        self.push: Callable[[int, int], int] = partial(entry_of(push, "i8(i8, i8, i8)"), self._address)

    def _empty(self, open_rows: int) -> Memory:
        """Memory before the first row, with the addresses of its arrays, which live as long as the stream.

        `open_rows` is more than the rows of a symbol that another may still precede.
        """
        count, width, outputs = len(self.symbols), len(self.inputs), len(self._kernel.features)
        together = open_rows + SPARE_ROWS
        capacity = 2 * together + open_rows | 1
        given, size = self._kernel.given, in_lines(self._kernel.state_size)
        self.values = np.full((capacity, outputs), np.nan, dtype=np.float32)
        self.event_time, self.knowledge_time = np.zeros((2, capacity), dtype=np.int64)
        plan = np.zeros((3, max(width, outputs, RUN + 1)), dtype=np.int64)
        plan[0] = np.arange(plan.shape[1])
        plan[1, : len(given)] = [self.inputs.index(name) for name in given]
        plan[2, :outputs] = np.arange(outputs)
        arrays = (
            zeros_in_lines((count, capacity, width), np.float64), zeros_in_lines((count, capacity), np.int64),
            zeros_in_lines((count, SYMBOL_NUMBERS), np.int64), zeros_in_lines((count, size), np.float64),
            zeros_in_lines((2, count, size), np.float64), np.zeros(count, dtype=np.int64), plan,
        )  # fmt: skip
        of_batch = (
            lines_of(self._kernel.reads), zeros_in_lines((PARTS, RUN, width), np.float64),
            zeros_in_lines((PARTS, RUN), np.int64), zeros_in_lines((PARTS, PART_NUMBERS), np.int64),
            np.zeros(BATCH, dtype=np.int64),
        )  # fmt: skip
        written = (self.values, self.event_time, self.knowledge_time, self.inbox, self.inbox_known)
        limits = [
            *self._spans, address_of(self._kernel), count, capacity, together, width, outputs, size, len(given),
            len(self.inbox), len(of_batch[0]), plan.shape[1],
            *(array.ctypes.data for array in (*arrays, *written, *of_batch)),
        ]  # fmt: skip
        return Memory(np.array(limits, dtype=np.int64), *arrays, *of_batch)

    def update(self, symbol: NDArray[np.int32], knowledge_time: NDArray[np.int64], rows: FloatArray) -> SecondFeatures:
        """Take in rows, in the order given.

        Args:
            symbol: shape (n,), number of each row's symbol.
            knowledge_time: shape (n,), microseconds since 1970.
            rows: shape (n, n_inputs), NaN where missing; fastest as a C-ordered float64 array.
        Returns:
            Features of the rows and of those they revise, of each symbol in the order in which they were computed. The
            order is the same whatever the number of threads.
        Raises:
            InputError: the shapes do not fit.
        """
        symbols, knowns, matrix = self._fitting(symbol, knowledge_time, rows)
        parts = PARTS if len(symbols) >= LARGE_BATCH and len(self.symbols) >= MANY_SYMBOLS else 1
        others = helpers(self._helping) if parts > 1 and self._helping else None
        if len(symbols) > len(self._order):
            self._order = np.empty(len(symbols), dtype=_INTEGER)
            self._refused = np.empty((len(symbols), 2), dtype=_INTEGER)
        pieces: list[tuple[NDArray[Any], ...]] = []
        left, spare = len(symbols), 0
        while left or not pieces:
            size = left + spare * parts
            names, values = np.empty(size, dtype=_NUMBER), np.empty((size, self.values.shape[1]), dtype=_SINGLE)
            times, known = np.empty(size, dtype=_INTEGER), np.empty(size, dtype=_INTEGER)
            entry_of(prepare, _PREPARE)(
                self._address, symbols, knowns, matrix, self._order, self._refused, names, values, times, known, parts,
                spare, len(pieces),
            )  # fmt: skip
            left, written, refused = (
                others.absorb(self._address) if others else entry_of(absorb, TOTALS)(self._address, parts)
            )
            whole = names, times, known, values
            pieces += [whole] if written == size else self._written(parts, whole)
            # A row that comes late may write as many as are held.
            spare = 4 * len(self.values)
        joined = pieces[0] if len(pieces) == 1 else tuple(np.concatenate(part) for part in zip(*pieces, strict=True))
        return SecondFeatures(*joined, *(self._noted(parts) if refused else _ALL_ACCEPTED))

    def _fitting(
        self, symbol: NDArray[np.int32], knowledge_time: NDArray[np.int64], rows: FloatArray
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], FloatArray]:
        """A batch as compiled code takes it.

        Raises:
            InputError: the shapes do not fit.
        """
        if rows.shape != (len(symbol), len(self.inputs)) or knowledge_time.shape != symbol.shape:
            raise InputError(
                f"Rows must have the shape ({len(symbol)}, {len(self.inputs)}), with a symbol and a knowledge time "
                f"each; found {rows.shape}, {symbol.shape} and {knowledge_time.shape}."
            )
        return (
            np.ascontiguousarray(symbol, dtype=_NUMBER),
            np.ascontiguousarray(knowledge_time, dtype=_INTEGER),
            np.ascontiguousarray(rows, dtype=_DOUBLE),
        )

    def _written(self, parts: int, whole: tuple[NDArray[Any], ...]) -> list[tuple[NDArray[Any], ...]]:
        """The rows of features of each part, which lie apart."""
        spans = [slice(own[FROM], own[FROM] + own[WRITTEN]) for own in self._memory.parts[:parts]]
        return [tuple(column[span] for column in whole) for span in spans]

    def _noted(self, parts: int) -> list[NDArray[np.int64]]:
        """Places of the rows not accepted, by why they were not."""
        spans = [slice(own[REFUSED_AT], own[REFUSED_AT] + own[REFUSED]) for own in self._memory.parts[:parts]]
        noted = np.concatenate([self._refused[span] for span in spans])
        return [np.sort(noted[noted[:, 1] == why, 0]) for why in (LATE, BEHIND, INVALID)]

    def _head(self) -> bytes:
        """What a kept state must agree with."""
        names = hashlib.sha256("\n".join(self.symbols).encode()).digest()
        return _MAGIC + bytes.fromhex(self._kernel.digest) + names + np.array(self._spans, dtype="<i8").tobytes()

    def to_bytes(self) -> bytes:
        """Everything needed to go on later: the older states, the rows since, a digest over all."""
        memory, counts, size = self._memory, self._memory.numbers, self._kernel.state_size
        ring = np.arange(memory.held.shape[1])
        order = [np.roll(ring, -row[OLDEST])[: row[HELD_ROWS]] for row in counts]
        held = [memory.held[place, own] for place, own in enumerate(order)]
        rows = [memory.rows[place, own].ravel() for place, own in enumerate(order)]
        parts = (
            counts[:, _KEPT_NUMBERS].astype("<i8").tobytes(),
            np.concatenate(held).astype("<i8").tobytes(),
            np.concatenate(rows).astype("<f8").tobytes(),
            memory.kept[memory.bases, np.arange(len(self.symbols)), :size].astype("<f8").tobytes(),
        )
        content = b"".join((self._head(), *parts))
        return content + hashlib.sha256(content).digest()

    def restore(self, content: bytes) -> None:
        """Take up a kept state; what the stream held before is gone.

        Raises:
            InputError: it was kept with other features, symbols or times, or it is damaged; nothing has changed then.
        """
        head, body = self._head(), content[:-_DIGEST]
        if not body.startswith(head):
            raise InputError(
                "This state was kept with other features, symbols, watermark or disorder. Start from the rows."
            )
        if hashlib.sha256(body).digest() != content[-_DIGEST:]:
            raise InputError(
                "This state is damaged: its digest does not fit. Take an older one, or start from the rows."
            )
        memory, count, width, at = self._memory, len(self.symbols), len(self.inputs), len(head)
        kept = len(_KEPT_NUMBERS)
        counts = np.frombuffer(body, "<i8", kept * count, at).reshape(count, kept)
        at += counts.nbytes
        total = int(counts[:, 0].sum())
        held = np.frombuffer(body, "<i8", total, at)
        rows = np.frombuffer(body, "<f8", total * width, at + held.nbytes).reshape(total, width)
        at += held.nbytes + rows.nbytes
        size = self._kernel.state_size
        memory.bases[:] = 0
        memory.kept[0, :, :size] = np.frombuffer(body, "<f8", count * size, at).reshape(count, size)
        memory.numbers[:] = 0
        memory.numbers[:, _KEPT_NUMBERS] = counts
        ends = np.cumsum(counts[:, 0])
        for place, (end, number) in enumerate(zip(ends, counts[:, 0], strict=True)):
            memory.held[place, :number] = held[end - number : end]
            memory.rows[place, :number] = rows[end - number : end]
        renew(self._address)


def check_features(features: Sequence[Feature]) -> None:
    """Refuse what a pass over seconds cannot compute.

    Raises:
        InputError: no features, one of another clock, or a cross-section.
    """
    other = [feature.name for feature in features if feature.clock != "second" or feature.kind != "series"]
    if other or not features:
        raise InputError(
            f"Seconds carry series features of the second clock; found {', '.join(other) or 'none'}. "
            "Pass such features, for example feature_set('intraday')."
        )
