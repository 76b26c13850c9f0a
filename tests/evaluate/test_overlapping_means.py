"""Means of overlapping outcomes: how often their intervals hold the truth, and beside the formula written out."""

import numpy as np
import pytest
from scipy import stats
from tests.effort import rest_slow

from project01.domain import FloatArray, InputError
from project01.evaluate import mean_overlapping, overlapping_p_value
from project01.evaluate.overlapping import cosine_terms


def outcomes(horizon: int, n: int, draws: int, seed: int) -> FloatArray:
    """SIMULATED: sums of `horizon` steps that start at every step, shape (draws, n), true mean 0."""
    steps = np.random.default_rng(seed).standard_t(5, size=(draws, n + horizon - 1))
    summed = np.concatenate([np.zeros((draws, 1)), steps.cumsum(axis=1)], axis=1)
    return summed[:, horizon:] - summed[:, :-horizon]


@pytest.mark.parametrize(("horizon", "n"), rest_slow([(5, 252), (1, 252), (5, 1764), (21, 504)]))
def test_intervals_hold_the_truth_as_often_as_they_say(horizon: int, n: int) -> None:
    # Nominal 0.90; three standard errors of 1,000 draws are 0.028.
    found = [mean_overlapping(values, horizon) for values in outcomes(horizon, n, 1000, 31)]
    assert 0.87 <= np.mean([estimate.low <= 0 <= estimate.high for estimate in found]) <= 0.93


@pytest.mark.parametrize("horizon", rest_slow([10, 1]))
def test_p_values_of_a_null_series_are_spread_evenly(horizon: int) -> None:
    found = np.array([overlapping_p_value(values, horizon) for values in outcomes(horizon, 500, 1000, 32)])
    assert found.mean() == pytest.approx(0.5, abs=0.03)
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=0.022)
    assert np.mean(found < 0.01) <= 0.01 + 0.01


def test_equals_the_formula_written_out() -> None:
    values = np.random.default_rng(33).normal(0.1, 1.0, 300)
    values[[40, 41, 200]] = np.nan
    found = mean_overlapping(np.concatenate([[np.nan] * 7, values, [np.nan]]), 5)
    scores = np.nan_to_num(values - np.nanmean(values))
    assert cosine_terms(5, 300) == 18
    waves = [np.sqrt(2 / 300) * np.cos(np.pi * j * (np.arange(300) + 0.5) / 300) @ scores for j in range(1, 19)]
    error = np.sqrt(300 * np.mean(np.square(waves))) / 297
    reach = stats.t.ppf(0.95, 18) * error
    assert (found.value, found.standard_error) == pytest.approx((np.nanmean(values), error))
    assert (found.low, found.high, found.n) == pytest.approx((found.value - reach, found.value + reach, 297))
    assert overlapping_p_value(values, 5) == pytest.approx(stats.t.sf(found.value / error, 18))


def test_terms_by_hand() -> None:
    # 0.41 * 252^(2/3) = 16.4; 1764 / 42 = 42 is below 0.41 * 1764^(2/3) = 59.9.
    assert [cosine_terms(h, n) for h, n in ((1, 252), (5, 252), (21, 1764), (63, 100))] == [16, 16, 42, 1]
    with pytest.raises(InputError):
        cosine_terms(0, 100)


def test_nothing_and_one_value_have_no_error() -> None:
    assert np.isnan(mean_overlapping(np.array([np.nan, np.nan]), 2).value)
    lone = mean_overlapping(np.array([np.nan, 4.0]), 2)
    assert (lone.value, lone.n) == (4.0, 1)
    assert np.isnan([lone.standard_error, lone.low, lone.high]).all()
    assert np.isnan(overlapping_p_value(np.array([4.0]), 2))
    constant = mean_overlapping(np.full(40, 0.5), 3)
    assert (constant.value, constant.standard_error) == (0.5, 0.0)
    assert np.isnan(overlapping_p_value(np.full(40, 0.5), 3))
