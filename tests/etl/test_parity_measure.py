"""The ruler itself: units in the last place, missing values, order of rows."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import InputError
from project01.etl.parity import compare

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def frame(values: list[float], keys: list[int] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"key": keys or list(range(len(values))), "value": pl.Series(values, dtype=pl.Float32)}, strict=False
    )


@given(value=floats.filter(lambda v: abs(v) < 3e38), steps=st.integers(0, 5))
def test_units_count_the_floats_between(value: float, steps: int) -> None:
    other = np.float32(value)
    for _ in range(steps):
        other = np.nextafter(other, np.float32(np.inf))
    (found,) = compare(frame([value]), frame([float(other)]), ["value"], ["key"])
    assert found.units == steps
    assert found.agrees == (steps <= 1)
    assert found.absolute == pytest.approx(abs(float(other) - float(np.float32(value))))


def test_missing_on_one_side_is_told_with_its_place() -> None:
    (found,) = compare(frame([1.0, math.nan, math.nan]), frame([1.0, math.nan, 2.0]), ["value"], ["key"])
    assert (found.unequal, found.one_missing, found.agrees, found.where) == (1, 1, False, (2,))


def test_order_of_rows_and_sign_of_zero_do_not_matter() -> None:
    (found,) = compare(frame([1.0, 0.0, 3.0]), frame([3.0, -0.0, 1.0], [2, 1, 0]), ["value"], ["key"])
    assert (found.rows, found.unequal, found.units, found.where) == (3, 0, 0, None)


def test_different_rows_are_refused() -> None:
    with pytest.raises(InputError, match="1 of the batch are missing, 0 are only"):
        compare(frame([1.0, 2.0]), frame([1.0]), ["value"], ["key"])
