"""Refused rows in the form of the dead-letter table: whole, as JSON, with the reason."""

import math
from datetime import date, datetime
from typing import Any

import msgspec
import polars as pl

from project01.domain import DEAD_LETTERS
from project01.ingest.source import Batch


def dead_letters(
    rows: pl.DataFrame, reasons: pl.Series, details: pl.Series, *, table: str, raw: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One dead letter for each of `rows`, in the form of `batch_schema(DEAD_LETTERS)`.

    Args:
        rows: what was refused, with the columns source, source_id and simulated; symbol and session where known.
        reasons: shape (n_rows,), reason code of each.
        details: shape (n_rows,), the reason in words.
        table: the table the rows were meant for.
        raw: shape (n_rows, any), what is kept whole; `rows` themselves unless given.
    Returns:
        Rows in the order given. Where several share source, source_id and reason, the second and later ones have
        ``#2``, ``#3``... after their source_id, so that none replaces another.
    """
    known = [name for name in ("source", "source_id", "symbol", "session", "simulated") if name in rows.columns]
    letters = rows.select(known).with_columns(
        pl.lit(table).alias("table"),
        reasons.cast(pl.String).alias("reason"),
        details.cast(pl.String).alias("detail"),
        pl.Series(
            "raw", [as_json(row) for row in (rows if raw is None else raw).iter_rows(named=True)], dtype=pl.String
        ),
    )
    repeat = pl.int_range(pl.len()).over("source", "source_id", "reason")
    marked = pl.when(repeat > 0).then(pl.concat_str("source_id", pl.lit("#"), repeat + 1)).otherwise("source_id")
    return Batch.of(DEAD_LETTERS, letters.with_columns(marked.alias("source_id"))).rows


def as_json(row: dict[str, Any]) -> str:
    """A row as JSON text with sorted keys; NaN and infinities, which JSON lacks, become text."""
    return msgspec.json.encode({name: _plain(value) for name, value in row.items()}, order="sorted").decode()


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
