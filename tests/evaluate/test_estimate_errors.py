"""Errors of means: against a slow double sum, and against how often intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.evaluate.estimate import mean_newey_west, overlap_lag, plain_lag, ratio_newey_west, stationary_rows


def slow_error_of_mean(values: np.ndarray, lag: int) -> float:
    present = [i for i, v in enumerate(values) if not np.isnan(v)]
    mean = sum(values[i] for i in present) / len(present)
    total = 0.0
    for i in present:
        for j in present:
            if abs(i - j) <= lag:
                total += (1 - abs(i - j) / (lag + 1)) * (values[i] - mean) * (values[j] - mean)
    n = len(present)
    return float(np.sqrt(max(total, 0.0) * n / (n - 1)) / n)


@given(
    st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=3, max_size=40),
    st.integers(0, 10),
)
def test_newey_west_equals_the_double_sum_with_gaps_kept_in_place(values: list[float], lag: int) -> None:
    series = np.array(values)
    found = mean_newey_west(series, lag)
    if np.isfinite(series).sum() < 2:
        assert np.isnan(found.standard_error)
        return
    assert found.standard_error == pytest.approx(slow_error_of_mean(series, lag), rel=1e-7, abs=1e-9)
    assert found.value == pytest.approx(np.nanmean(series), abs=1e-12)
    assert found.low <= found.value <= found.high
    assert found.n == np.isfinite(series).sum()


def test_lag_zero_is_the_plain_error_of_a_mean() -> None:
    series = np.random.default_rng(3).normal(size=50)
    assert mean_newey_west(series, 0).standard_error == pytest.approx(series.std(ddof=1) / np.sqrt(50))


def test_nothing_and_one_observation_have_no_error() -> None:
    assert np.isnan(mean_newey_west(np.array([np.nan, np.nan]), 2).value)
    lone = mean_newey_west(np.array([np.nan, 4.0]), 2)
    assert (lone.value, lone.n) == (4.0, 1)
    assert np.isnan(lone.standard_error)
    constant = mean_newey_west(np.full(10, 0.5), 3)
    assert (constant.value, constant.standard_error) == (0.5, 0.0)


def test_a_ratio_is_pooled_over_clusters() -> None:
    found = ratio_newey_west(np.array([1.0, 3.0, 0.0]), np.array([2.0, 4.0, 0.0]), 0)
    # 4 of 6; scores 1 - 4/3 and 3 - 8/3 = -1/3 and 1/3, so sqrt(2/9 * 2/1) / 6 = 1/9.
    assert (found.value, found.n) == (pytest.approx(4 / 6), 6)
    assert found.standard_error == pytest.approx(1 / 9)


def test_lags_by_hand() -> None:
    assert [plain_lag(n) for n in (1, 100, 1764)] == [0, 4, 7]
    assert overlap_lag(1, 1764) == 0
    assert overlap_lag(5, 1764) == 12
    assert overlap_lag(21, 100) == 25


@pytest.mark.parametrize(("horizon", "n", "least"), [(1, 252, 0.87), (5, 1764, 0.84), (21, 1764, 0.83)])
def test_intervals_of_overlapping_outcomes_hold_the_truth(horizon: int, n: int, least: float) -> None:
    # Nominal 0.90. With the lag of horizon - 1 the last two rows give 0.82; three standard errors here are 0.03.
    generator = np.random.default_rng(11)
    held = 0
    for _ in range(800):
        steps = generator.standard_t(5, size=n + horizon - 1)
        summed = np.cumsum(np.concatenate([[0.0], steps]))
        found = mean_newey_west(summed[horizon:] - summed[:-horizon], overlap_lag(horizon, n))
        held += found.low <= 0 <= found.high
    assert least <= held / 800 <= 0.94


def test_bootstrap_rows_run_on_in_blocks_of_the_asked_length() -> None:
    rows = stationary_rows(300, 12, 200, np.random.default_rng(5))
    assert rows.shape == (200, 300)
    assert rows.min() == 0
    assert rows.max() == 299
    runs_on = (rows[:, 1:] - rows[:, :-1]) % 300 == 1
    assert runs_on.mean() == pytest.approx(1 - 1 / 12 + 1 / 12 / 300, abs=0.005)
    assert np.bincount(rows.ravel(), minlength=300).std() / 200 < 0.15
    assert np.array_equal(rows, stationary_rows(300, 12, 200, np.random.default_rng(5)))
