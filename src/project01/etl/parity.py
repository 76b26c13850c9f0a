"""How far the same features, computed by two engines, lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import InputError


@dataclass(frozen=True)
class Difference:
    """One feature of one engine against the batch.

    Attributes:
        feature: its name.
        rows: rows compared.
        unequal: rows that differ in any bit, a value against a missing one included.
        one_missing: rows where only one of the two has a value.
        units: the largest difference in units in the last place of float32; 0 where all are equal.
        absolute: the largest difference itself.
        where: keys of the first row that differs; None if none does.
    """

    feature: str
    rows: int
    unequal: int
    one_missing: int
    units: int
    absolute: float
    where: tuple[Any, ...] | None

    @property
    def agrees(self) -> bool:
        """Whether no row is more than one unit in the last place apart, and none is missing on one side."""
        return not self.one_missing and self.units <= 1


def compare(batch: pl.DataFrame, other: pl.DataFrame, features: Sequence[str], keys: Sequence[str]) -> list[Difference]:
    """Compare two feature frames row by row.

    Args:
        batch: `keys` and one Float32 column a feature.
        other: the same rows in any order.
        features: columns to compare.
        keys: columns that name a row.
    Returns:
        One difference a feature, in order.
    Raises:
        InputError: the two hold different rows.
    """
    ordered, given = batch.sort(keys), other.sort(keys)
    if not ordered.select(keys).equals(given.select(keys)):
        missing = ordered.join(given, on=list(keys), how="anti", nulls_equal=True)
        added = given.join(ordered, on=list(keys), how="anti", nulls_equal=True)
        raise InputError(
            f"The two engines hold different rows: {missing.height} of the batch are missing, {added.height} are only "
            f"in the other; first {(*missing.select(keys).head(1).rows(), *added.select(keys).head(1).rows())[:1]}. "
            "Compare the same bars."
        )
    return [_difference(ordered, given, name, keys) for name in features]


def _difference(batch: pl.DataFrame, other: pl.DataFrame, name: str, keys: Sequence[str]) -> Difference:
    left = batch[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
    right = other[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
    one_missing = np.isnan(left) != np.isnan(right)
    both = ~np.isnan(left) & ~np.isnan(right)
    # Zero is zero, whatever its sign.
    apart = np.where(both, np.abs(_ordered(left + np.float32(0)) - _ordered(right + np.float32(0))), 0)
    unequal = one_missing | (apart > 0)
    absolute = np.abs(left[both].astype(np.float64) - right[both].astype(np.float64))
    first = int(np.flatnonzero(unequal)[0]) if unequal.any() else None
    return Difference(
        feature=name,
        rows=len(left),
        unequal=int(unequal.sum()),
        one_missing=int(one_missing.sum()),
        units=int(apart.max(initial=0)),
        absolute=float(np.nanmax(absolute, initial=0.0)) if len(absolute) else 0.0,
        where=None if first is None else batch.select(keys).row(first),
    )


def _ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole numbers that ascend as the floats do, neighbours one apart."""
    bits = np.ascontiguousarray(values).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
