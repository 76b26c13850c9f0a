"""Uniqueness of labels: worked by hand, and beside the matrix of sessions and labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import InputError
from project01.evaluate import average_uniqueness, uniqueness_weights

ONE = np.zeros(3, dtype=np.int64)


def test_three_labels_by_hand() -> None:
    # Sessions used: 1 2, 1 2 3 4 and 4. Labels at a session: 2 2 1 2. Means of 1/2 1/2; 1/2 1/2 1 1/2; 1/2.
    start, end = np.array([0, 0, 3]), np.array([2, 4, 4])
    assert average_uniqueness(start, end, ONE) == pytest.approx([0.5, 0.625, 0.5])
    assert uniqueness_weights(start, end, ONE) == pytest.approx(np.array([0.5, 0.625, 0.5]) / (1.625 / 3))
    # Apart by symbol, nothing overlaps.
    assert average_uniqueness(start, end, np.array([4, 9, -1])) == pytest.approx([1.0, 1.0, 1.0])


def test_one_horizon_at_every_session_shares_alike_but_at_the_ends() -> None:
    start = np.arange(50)
    found = average_uniqueness(start, start + 5, np.zeros(50, dtype=np.int64))
    assert found[4:-4] == pytest.approx(0.2)
    assert found[0] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)


@given(st.lists(st.tuples(st.integers(-5, 30), st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=40))
@settings(max_examples=examples(60), deadline=None)
def test_equals_the_matrix_and_knows_no_order(rows: list[tuple[int, int, int]]) -> None:
    start, length, symbol = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    sessions = np.arange(-5, 45)[:, None]
    uses = (sessions > start) & (sessions <= start + length)
    expected = []
    for row in range(len(rows)):
        shared = (uses & (symbol == symbol[row])).sum(axis=1)
        expected.append((1.0 / shared[uses[:, row]]).mean())
    found = average_uniqueness(start, start + length, symbol)
    assert found == pytest.approx(expected)
    assert uniqueness_weights(start, start + length, symbol).mean() == pytest.approx(1.0)
    turned = np.arange(len(rows))[::-1]
    assert average_uniqueness(start[turned], (start + length)[turned], symbol[turned]) == pytest.approx(found[turned])


def test_labels_without_a_window_are_refused() -> None:
    with pytest.raises(InputError, match="at its own as_of"):
        average_uniqueness(np.array([0, 1, 2]), np.array([1, 1, 3]), ONE)
    assert len(uniqueness_weights(ONE[:0], ONE[:0], ONE[:0])) == 0
