"""Canonical order of a table's rows, the newest version of each key, and a hash of content. Pure, no I/O.

The order is by key, then `knowledge_time`, then whatever else the rows hold, with `ingested_at` last: the same rows
give the same order however they were written, split over files or compacted.
"""

import hashlib

import numpy as np
import polars as pl

from project01.domain import SchemaError

AUDIT_COLUMN = "ingested_at"
VERSION_COLUMN = "knowledge_time"

_FEW_TEXTS = 1 << 16  # below it, looking texts up in a sorted list is faster than ranking the whole column
_LARGEST_CODE = 1 << 62


def content_columns(frame: pl.DataFrame) -> list[str]:
    """Every column but `ingested_at`, which tells when we wrote a row, not what it says."""
    return [name for name in frame.columns if name != AUDIT_COLUMN]


def identity_columns(columns: list[str], key: tuple[str, ...]) -> list[str]:
    """What names one version of one fact: the key and, where the table has versions, `knowledge_time`."""
    versioned = VERSION_COLUMN in columns and VERSION_COLUMN not in key
    return [*key, *([VERSION_COLUMN] if versioned else [])]


def canonical_order(frame: pl.DataFrame, key: tuple[str, ...]) -> tuple[pl.DataFrame, pl.Series]:
    """Rows in canonical order, and for each row a number equal exactly where the key is equal.

    Args:
        frame: any rows with the columns of `key`.
        key: columns that name one fact; nulls sort first and equal each other.
    """
    code = _packed(frame, key)
    if not code.is_sorted():
        frame = frame.with_columns(code.alias("#key")).sort("#key", maintain_order=True)
        code = frame["#key"]
        frame = frame.drop("#key")
    if not _repeats(code):
        return frame, code
    identity = _packed(frame, tuple(identity_columns(frame.columns, key)))
    marked = frame.with_columns(code.alias("#key"), identity.alias("#identity")).sort("#key", "#identity")
    if _repeats(marked["#identity"]):
        rest = [name for name in content_columns(frame) if name not in key]
        audit = [name for name in frame.columns if name == AUDIT_COLUMN]
        marked = marked.sort("#key", "#identity", *rest, *audit)
    return marked.drop("#key", "#identity"), marked["#key"]


def has_rival_versions(frame: pl.DataFrame, key: tuple[str, ...]) -> bool:
    """Whether two rows share key and `knowledge_time`, so that only their content can put them in order."""
    return frame.height > 1 and _repeats(_packed(frame, tuple(identity_columns(frame.columns, key))).sort())


def newest_versions(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The last version of each key in canonical order, sorted by key."""
    ordered, code = canonical_order(frame, key)
    if code.len() < 2:
        return ordered
    return ordered.filter((code != code.shift(-1)).fill_null(value=True))


def content_digest(frame: pl.DataFrame, key: tuple[str, ...]) -> str:
    """SHA-256 (hex) over names, types and values of all columns but `ingested_at`, rows in canonical order.

    Raises:
        SchemaError: a column is nested; the lake holds flat tables only.
    """
    ordered, _ = canonical_order(frame, key)
    found = hashlib.sha256(str(ordered.height).encode())
    for name in content_columns(ordered):
        for part in _column_bytes(ordered[name].rechunk()):
            found.update(part)
    return found.hexdigest()


def _repeats(ordered_code: pl.Series) -> bool:
    return ordered_code.len() > 1 and bool((ordered_code == ordered_code.shift(1)).any())


def _packed(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """One Int64 a row that sorts as `columns` do together: one radix sort instead of several text compares."""
    packed = pl.repeat(0, frame.height, dtype=pl.Int64, eager=True)
    size = 1
    for name in columns:
        code, span = _codes(frame[name])
        if size * span >= _LARGEST_CODE:
            code, span = _ranks(code)
        if size * span >= _LARGEST_CODE:
            packed, size = _ranks(packed)
        packed = packed * span + code
        size *= span
    return packed


def _codes(column: pl.Series) -> tuple[pl.Series, int]:
    """Numbers from 0 in the order of the values (null is 0), and their upper bound."""
    if column.dtype == pl.String:
        if column.n_unique() > _FEW_TEXTS:
            return _ranks(column)
        texts = column.drop_nulls().unique().sort()
        code = column.cast(pl.Enum(texts)).to_physical().cast(pl.Int64)
        return (code + 1).fill_null(0), texts.len() + 1
    if column.dtype.is_temporal() or column.dtype.is_integer() or column.dtype == pl.Boolean:
        number = column.to_physical().cast(pl.Int64)
        low, high = number.min(), number.max()
        if not isinstance(low, int) or not isinstance(high, int):
            return pl.repeat(0, column.len(), dtype=pl.Int64, eager=True), 1
        if high - low < _LARGEST_CODE:
            return (number - low + 1).fill_null(0), high - low + 2
    return _ranks(column)


def _ranks(column: pl.Series) -> tuple[pl.Series, int]:
    ranks = column.rank("dense").cast(pl.Int64).fill_null(0)
    highest = ranks.max()
    return ranks, (highest if isinstance(highest, int) else 0) + 1


def _column_bytes(column: pl.Series) -> list[bytes | memoryview]:
    nulls = column.is_null()
    head = f"\n{column.name}:{_type_name(column)}\n".encode()
    parts: list[bytes | memoryview] = [head, np.packbits(nulls.to_numpy()).tobytes()]
    if column.dtype == pl.String:
        filled = column.fill_null("")
        text = filled.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).column(0).combine_chunks()
        parts.append(filled.str.len_bytes().cast(pl.UInt32).to_numpy().tobytes())
        start, end = (text.offset, text.offset + len(text))
        offsets = np.frombuffer(text.buffers()[1], dtype=np.int64)
        data = text.buffers()[2]
        if data is not None and len(text):
            parts.append(memoryview(data)[int(offsets[start]) : int(offsets[end])])
        return parts
    if column.dtype == pl.Boolean:
        parts.append(np.packbits(column.fill_null(value=False).to_numpy()).tobytes())
        return parts
    values = np.ascontiguousarray(column.to_physical().fill_null(0).to_numpy())
    if column.dtype.is_float():
        # Sorting holds -0.0 for 0.0 and every NaN for one, so the hash must too.
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values + values.dtype.type(0))
    parts.append(values.tobytes())
    return parts


def _type_name(column: pl.Series) -> str:
    """The Arrow name of a type: unlike Polars' own it stays the same from release to release."""
    if column.dtype == pl.String:
        return "string"
    if column.dtype.is_nested() or column.dtype in {pl.Object, pl.Binary, pl.Categorical, pl.Enum, pl.Decimal}:
        raise SchemaError(
            f"Column {column.name} is {column.dtype}; a lake table holds text, numbers, booleans, dates and times "
            f"only. Flatten or encode it before writing."
        )
    return str(column.head(0).to_arrow().type)
