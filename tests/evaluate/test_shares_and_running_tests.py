"""Shares against scipy's exact test, p-values against its t-test, running tests by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp
from tests.effort import examples

from project01.domain import FloatArray, InputError
from project01.evaluate import found_after, share_of, skill_p_value


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_intervals_equal_scipys_exact_ones(counts: tuple[int, int]) -> None:
    found, of = counts
    ours = share_of(found, of)
    theirs = binomtest(found, of).proportion_ci(confidence_level=0.9, method="exact")
    assert ours.value == found / of
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("found", "of"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(found: int, of: int) -> None:
    with pytest.raises(InputError, match="is no share"):
        share_of(found, of)


def test_without_overlap_the_p_value_is_that_of_a_t_test() -> None:
    ic = np.random.default_rng(3).normal(0.01, 0.13, 300)
    assert skill_p_value(ic, 1) == pytest.approx(ttest_1samp(ic, 0.0, alternative="greater").pvalue, rel=1e-9)
    holes = ic.copy()
    holes[::7] = np.nan
    known = holes[np.isfinite(holes)]
    assert skill_p_value(holes, 1) == pytest.approx(ttest_1samp(known, 0.0, alternative="greater").pvalue, rel=1e-9)
    assert np.isnan(skill_p_value(np.full(5, np.nan), 5))
    assert np.isnan(skill_p_value(np.full(200, 0.25), 1))


def says(passing: set[int]) -> "object":
    def p_value(series: FloatArray) -> float:
        return 0.01 if len(series) in passing else 0.5

    return p_value


@pytest.mark.parametrize(
    ("passing", "expected"),
    [
        (set(), None),
        ({200}, 200),  # only at the end
        ({126, 147, 168, 189, 200}, 126),
        ({126, 168, 189, 200}, 168),  # not at 147: what came before does not count
        ({126, 147, 168, 189}, None),  # not at the end
    ],
)
def test_found_for_good_by_hand(passing: set[int], expected: int | None) -> None:
    assert found_after(np.zeros(200), says(passing)) == expected  # type: ignore[arg-type]


def test_a_series_shorter_than_a_look_finds_nothing() -> None:
    assert found_after(np.zeros(125), lambda _: 0.0) is None
    assert found_after(np.zeros(126), lambda _: 0.0) == 126
    assert found_after(np.zeros(126), lambda _: float("nan")) is None
