"""Macro series as they were known at each time, revisions from their own time on."""

import math
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, SchemaError
from project01.etl.inputs import MACRO_READINGS, MacroReading

_NEEDED = ("series_id", "period", "knowledge_time", "value")
# Rates of this source are in percent, as FRED tells them.
PERCENT_SOURCE = "fred"
_DAY_US = 86_400_000_000


class MacroHistory:
    """Rows of the macro table, read as the inputs want them."""

    def __init__(self, macro: pl.DataFrame) -> None:
        """Keep the rows; a series is gone through when it is first asked for.

        Args:
            macro: every version of each value; with a column source where rates in percent may be among them.
        Raises:
            SchemaError: a column is missing.
        """
        missing = [name for name in _NEEDED if name not in macro.columns]
        if missing:
            raise SchemaError(f"The macro series lack {', '.join(missing)}; found {', '.join(macro.columns)}.")
        self._macro = macro if "source" in macro.columns else macro.with_columns(source=pl.lit(""))
        self._steps: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]] = {}

    def read(self, name: str, known: NDArray[np.int64]) -> FloatArray:
        """An input at each time.

        Args:
            name: of the macro family.
            known: shape (n,), microseconds since 1970.
        Returns:
            Shape (n,); NaN where nothing was known, or the newest value has outlived its time.
        """
        reading = MACRO_READINGS[name]
        if name not in self._steps:
            self._steps[name] = _steps(self._macro.filter(pl.col("series_id") == reading.series), reading)
        times, since, values = self._steps[name]
        if not len(times):
            return np.full(len(known), np.nan)
        newest = np.searchsorted(times, known, side="right") - 1
        found = np.maximum(newest, 0)
        fresh = (newest >= 0) & (known - since[found] <= reading.life_days * _DAY_US)
        return np.where(fresh, values[found], np.nan)


def _steps(rows: pl.DataFrame, reading: MacroReading) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Times at which the reading may change, since when its newest value is known, and the reading from then on."""
    percent = pl.col("source") == PERCENT_SOURCE
    value = pl.when(percent).then(pl.col("value") / 100.0).otherwise("value") if reading.in_percent else pl.col("value")
    months = pl.col("period").dt.year().cast(pl.Int64) * 12 + pl.col("period").dt.month()
    versions = rows.select(
        pl.col("knowledge_time").dt.epoch("us").alias("at"),
        (months if reading.months else pl.col("period").to_physical()).alias("period"),
        value.cast(pl.Float64).fill_nan(None).alias("value"),
    ).sort("at", "period", "value")
    table = _AsKnown(reading)
    times, since, values = [], [], []
    for at, group in _groups(versions):
        table.take(at, group)
        times.append(at)
        since.append(table.since)
        values.append(table.reading())
    return np.array(times, dtype=np.int64), np.array(since, dtype=np.int64), np.array(values)


def _groups(versions: pl.DataFrame) -> Iterable[tuple[int, list[tuple[int, float | None]]]]:
    held: list[tuple[int, float | None]] = []
    last: int | None = None
    for at, period, value in versions.iter_rows():
        if last is not None and at != last:
            yield last, held
            held = []
        last = at
        held.append((period, value))
    if last is not None:
        yield last, held


class _AsKnown:
    """The values of one series as they stand at a time."""

    def __init__(self, reading: MacroReading) -> None:
        self._reading = reading
        self._values: dict[int, tuple[float, int]] = {}
        self._newest: int | None = None

    def take(self, at: int, versions: Iterable[tuple[int, float | None]]) -> None:
        """Take in what became known at one time; a null value withdraws its period."""
        for period, value in versions:
            if value is not None:
                self._values[period] = (value, at)
                self._newest = period if self._newest is None else max(self._newest, period)
            elif self._values.pop(period, None) is not None and period == self._newest:
                self._newest = max(self._values, default=None)

    @property
    def since(self) -> int:
        """When the newest period's value became known, in its present version."""
        return self._values[self._newest][1] if self._newest is not None else 0

    def reading(self) -> float:
        """The reading now; NaN where a value is missing."""
        if self._newest is None:
            return math.nan
        newest = self._values[self._newest][0]
        if self._reading.form == "level":
            return newest
        before = self._values.get(self._newest - self._reading.months)
        if before is None:
            return math.nan
        if self._reading.form == "change":
            return newest - before[0]
        return newest / before[0] - 1.0 if before[0] > 0.0 else math.nan
