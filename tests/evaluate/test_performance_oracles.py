"""Performance figures against plain pandas, and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from project01.domain import InputError, NotEnoughDataError
from project01.evaluate import annual_mean, annual_sharpe, max_drawdown, performance, relative, sharpe_error

RETURNS = np.random.default_rng(4).standard_t(4, size=700) * 0.008 + 0.0004


def test_figures_equal_pandas() -> None:
    series, found = pd.Series(RETURNS), performance(RETURNS, seed=1)
    assert found.annual_return.value == pytest.approx(series.mean() * 252)
    assert found.volatility.value == pytest.approx(series.std() * np.sqrt(252))
    assert found.sharpe.value == pytest.approx(series.mean() / series.std() * np.sqrt(252))
    downside = np.sqrt((series.clip(upper=0) ** 2).mean())
    assert found.sortino.value == pytest.approx(series.mean() / downside * np.sqrt(252))
    equity = pd.concat([pd.Series([1.0]), (1 + series).cumprod()])
    assert found.drawdown.depth == pytest.approx((equity / equity.cummax() - 1).min())
    assert (found.skew, found.kurtosis) == (
        pytest.approx(stats.skew(RETURNS)),
        pytest.approx(stats.kurtosis(RETURNS, fisher=False)),
    )
    for estimate in (found.annual_return, found.volatility, found.sharpe, found.sortino):
        assert estimate.low < estimate.value < estimate.high
        assert estimate.standard_error > 0


def test_same_seed_same_figures() -> None:
    assert performance(RETURNS, 3) == performance(RETURNS, 3)
    assert performance(RETURNS, 3).sortino != performance(RETURNS, 4).sortino


def test_sharpe_error_is_lo_for_normal_returns_and_covers_in_simulation() -> None:
    assert sharpe_error(0.1, 1001, 0.0, 3.0) == pytest.approx(np.sqrt((1 + 0.1**2 / 2) / 1000))
    generator, held = np.random.default_rng(6), 0
    for _ in range(400):
        found = annual_sharpe(generator.normal(0.0006, 0.01, size=504))
        held += found.low <= 0.06 * np.sqrt(252) <= found.high
    assert held / 400 == pytest.approx(0.90, abs=0.045)


def test_drawdown_by_hand() -> None:
    found = max_drawdown(np.array([0.10, -0.20, 0.05, -0.50, 1.00]))
    # Equity 1.1, .88, .924, .462, .924: from 1.1 to .462 is -58 %.
    assert found.depth == pytest.approx(-0.58)
    assert (found.peak, found.trough) == (0, 3)
    assert max_drawdown(np.array([0.1, 0.1])).depth == 0.0


@given(st.lists(st.floats(-0.9, 1.0), min_size=1, max_size=60))
def test_drawdown_is_the_worst_pair_of_days(values: list[float]) -> None:
    equity = np.concatenate([[1.0], np.cumprod(1 + np.array(values))])
    worst = min(equity[j] / equity[i] - 1 for i in range(len(equity)) for j in range(i, len(equity)))
    assert max_drawdown(np.array(values)).depth == pytest.approx(worst, abs=1e-12)


def test_a_series_that_stands_still_has_no_sharpe_and_warns_of_nothing() -> None:
    found = performance(np.full(200, 0.001), seed=1)
    assert (found.sharpe.value, found.skew, found.kurtosis) == (0.0, 0.0, 3.0)
    assert performance(np.zeros(200), seed=1).sortino.value == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_return_is_refused_and_never_becomes_a_number(bad: float) -> None:
    returns = RETURNS.copy()
    returns[5] = bad
    for figure in (lambda: performance(returns, 1), lambda: annual_mean(returns), lambda: annual_sharpe(returns)):
        with pytest.raises(InputError, match="1 of 700 returns"):
            figure()


def test_125_sessions_are_not_annualised_and_126_are() -> None:
    for figure in (annual_mean, annual_sharpe, lambda r: performance(r, 1), lambda r: relative(r, r)):
        with pytest.raises(NotEnoughDataError, match="125 sessions"):
            figure(RETURNS[:125])
        figure(RETURNS[:126])


def slow_least_squares(y: np.ndarray, x: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    design = np.column_stack([np.ones(len(x)), x])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    scores = design * (y - design @ coefficients)[:, None]
    middle = np.zeros((2, 2))
    for i in range(len(x)):
        for j in range(max(0, i - lag), min(len(x), i + lag + 1)):
            middle += (1 - abs(i - j) / (lag + 1)) * np.outer(scores[i], scores[j])
    return coefficients, np.sqrt(np.diag(inverse @ middle @ inverse) * len(x) / (len(x) - 1))


def test_alpha_and_beta_equal_the_sandwich_formula() -> None:
    benchmark = np.random.default_rng(9).normal(0.0003, 0.01, size=300)
    returns = 0.0002 + 1.3 * benchmark + np.random.default_rng(10).normal(0, 0.004, size=300)
    found = relative(returns, benchmark)
    coefficients, errors = slow_least_squares(returns, benchmark, lag=5)
    assert found.alpha.value == pytest.approx(coefficients[0] * 252)
    assert found.beta.value == pytest.approx(coefficients[1])
    assert found.alpha.standard_error == pytest.approx(errors[0] * 252)
    assert found.beta.standard_error == pytest.approx(errors[1])
    assert found.tracking_error == pytest.approx(pd.Series(returns - benchmark).std() * np.sqrt(252))


def test_relative_edges() -> None:
    same = relative(RETURNS, RETURNS)
    assert (same.beta.value, same.tracking_error) == (pytest.approx(1.0), 0.0)
    assert np.isnan(same.information_ratio)
    with pytest.raises(InputError, match="does not move"):
        relative(RETURNS, np.full(700, 0.001))
    with pytest.raises(InputError, match="699"):
        relative(RETURNS, RETURNS[1:])
