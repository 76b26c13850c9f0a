"""One row of an online store as bytes: both clocks, which columns follow, which of them are there, their values.

Feast keeps one protobuf message a feature; 500 symbols x 30 features are 15,000 of them, and taking them apart is what
its reads spend their time on. Here the rows of many symbols are one NumPy array without a loop over values.

The clocks stand first, as unsigned big-endian numbers, so that the greater bytes are the newer row: SQLite compares
them as blobs, and Redis four bytes at a time.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

EVENT, KNOWN, LAYOUT, PRESENT = "event", "known", "layout", "present"
CLOCKS_SIZE, LAYOUT_SIZE = 16, 8
HEADER_SIZE = CLOCKS_SIZE + LAYOUT_SIZE
_HEADER: list[Any] = [(EVENT, ">u8"), (KNOWN, ">u8"), (LAYOUT, "<u8")]
_BIAS = np.uint64(1 << 63)
# Kinds of Feast values that have one width; rows with any other kind are kept as protobuf behind the same header.
_WIDTHS = {"float_val": "<f4", "double_val": "<f8", "int64_val": "<i8", "unix_timestamp_val": "<i8"}
_BLANK = {"float_val": np.nan, "double_val": np.nan, "int64_val": 0, "unix_timestamp_val": 0}


@dataclass(frozen=True)
class Layout:
    """Which columns a row holds, and how.

    A row names its layout, so rows written before a feature was added stay readable.

    Attributes:
        columns: name and kind (the field of Feast's ``Value``) of each feature, in order.
    """

    columns: tuple[tuple[str, str], ...]

    @cached_property
    def is_fixed(self) -> bool:
        """Whether every column has one width, so that rows are arrays."""
        return all(kind in _WIDTHS for _, kind in self.columns)

    @cached_property
    def identity(self) -> bytes:
        """Eight bytes made from the columns."""
        return hashlib.sha256(self.to_json()).digest()[:LAYOUT_SIZE]

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of one row of a fixed layout; columns are called ``0``, ``1``, ... so that no name can meet the header's."""
        values = [(str(place), _WIDTHS[kind]) for place, (_, kind) in enumerate(self.columns)]
        return np.dtype([*_HEADER, (PRESENT, "u1", ((len(self.columns) + 7) // 8,)), *values])

    @cached_property
    def blank(self) -> bytes:
        """Stands for a row that is not there: every value missing, both clocks and the layout zero."""
        row = np.zeros(1, dtype=self.dtype)
        for place, (_, kind) in enumerate(self.columns):
            row[str(place)] = _BLANK[kind]
        return row.tobytes()

    @cached_property
    def places(self) -> dict[str, int]:
        """Name of a column -> its place."""
        return {name: place for place, (name, _) in enumerate(self.columns)}

    def to_json(self) -> bytes:
        """As it is kept beside the rows."""
        return json.dumps(self.columns, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Layout":
        """Back from `to_json`."""
        return cls(tuple((name, kind) for name, kind in json.loads(text)))


@dataclass(frozen=True)
class Column:
    """Values of one feature for many rows.

    Attributes:
        values: shape (n_rows,).
        present: shape (n_rows,), bool; where false, the value says nothing.
    """

    values: Array
    present: Array


def clocks(event_us: Array, known_us: Array) -> list[bytes]:
    """The first 16 bytes of rows with these clocks, in microseconds since 1970 UTC."""
    packed = np.empty(len(event_us), dtype=_HEADER[:2])
    packed[EVENT], packed[KNOWN] = _biased(event_us), _biased(known_us)
    return _cut(packed.tobytes(), CLOCKS_SIZE)


def instant_bytes(microseconds: int) -> bytes:
    """One instant in the order-keeping form of the clocks."""
    return int(microseconds + (1 << 63)).to_bytes(8, "big")


def instant_of(packed: bytes) -> int:
    """Back from `instant_bytes`; also the event time of a row from its first eight bytes."""
    return int.from_bytes(packed[:8], "big") - (1 << 63)


def encode(layout: Layout, event_us: Array, known_us: Array, columns: Mapping[str, Column]) -> list[bytes]:
    """Rows of a fixed layout.

    Args:
        layout: of the rows.
        event_us: shape (n_rows,), microseconds since 1970 UTC.
        known_us: as `event_us`.
        columns: of every name in the layout.
    """
    rows = np.zeros(len(event_us), dtype=layout.dtype)
    rows[EVENT], rows[KNOWN] = _biased(event_us), _biased(known_us)
    rows[LAYOUT] = int.from_bytes(layout.identity, "little")
    present = np.zeros((len(rows), len(layout.columns)), dtype=bool)
    for place, (name, kind) in enumerate(layout.columns):
        column = columns[name]
        present[:, place] = column.present
        rows[str(place)] = np.where(column.present, column.values, _BLANK[kind])
    rows[PRESENT] = np.packbits(present, axis=1)
    return _cut(rows.tobytes(), layout.dtype.itemsize)


def decode(layout: Layout, rows: Sequence[bytes]) -> Array:
    """Rows of a fixed layout as one structured array of `Layout.dtype`."""
    return np.frombuffer(b"".join(rows), dtype=layout.dtype)


def decode_alike(layout: Layout, rows: Sequence[bytes | None]) -> tuple[Array, Array] | None:
    """Rows that are all of one layout, or absent, as one array: the common case, without a loop over rows.

    Returns:
        The structured array, whose absent rows hold NaN and zero, and where rows are there; None where some row is of
        another layout.
    """
    if not layout.is_fixed:
        return None
    filled = [row or layout.blank for row in rows] if None in rows else cast(Sequence[bytes], rows)
    if set(map(len, filled)) - {layout.dtype.itemsize}:
        return None
    array = decode(layout, filled)
    found = array[LAYOUT] == int.from_bytes(layout.identity, "little")
    return (array, found) if (found | (array[LAYOUT] == 0)).all() else None


def event_times(rows: Array) -> Array:
    """Event times of decoded rows, int64 microseconds since 1970 UTC."""
    return _unbiased(rows[EVENT])


def knowledge_times(rows: Array) -> Array:
    """Knowledge times of decoded rows, int64 microseconds since 1970 UTC."""
    return _unbiased(rows[KNOWN])


def present_columns(rows: Array, layout: Layout) -> Array:
    """Which values of decoded rows are there, shape (n_rows, n_columns), bool."""
    return np.unpackbits(rows[PRESENT], axis=1, count=len(layout.columns)).astype(bool)


def layout_of(row: bytes) -> bytes:
    """The identity of a row's layout."""
    return row[CLOCKS_SIZE:HEADER_SIZE]


def _biased(microseconds: Array) -> Array:
    return np.asarray(microseconds, dtype=np.int64).view(np.uint64) ^ _BIAS


def _unbiased(packed: Array) -> Array:
    return (packed.astype(np.uint64) ^ _BIAS).view(np.int64)


def _cut(packed: bytes, size: int) -> list[bytes]:
    return [packed[start : start + size] for start in range(0, len(packed), size)]
