"""Published figures of Sharpe ratios and their luck, and what counting fewer trials would do."""

import numpy as np
import pytest
from scipy.stats import norm
from tests.effort import rest_slow

from project01.domain import DataError, FloatArray, InputError, NotEnoughDataError
from project01.evaluate import (
    aggregation_factor,
    annualisation_factor,
    deflated_by_trials,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    moments,
    sharpe_error,
    sharpe_per_session,
)

LO_TABLE_1 = {
    0.5: (0.306, 0.217, 0.177, 0.153, 0.137, 0.095, 0.067, 0.047),
    1.0: (0.354, 0.250, 0.204, 0.177, 0.158, 0.110, 0.077, 0.055),
    1.5: (0.421, 0.298, 0.243, 0.210, 0.188, 0.130, 0.092, 0.065),
    3.0: (0.677, 0.479, 0.391, 0.339, 0.303, 0.210, 0.148, 0.105),
}


@pytest.mark.parametrize("sharpe", LO_TABLE_1)
def test_standard_errors_are_those_of_lo(sharpe: float) -> None:
    # Lo divides by T; Bailey and López de Prado, as here, by T - 1.
    found = [sharpe_error(sharpe, n + 1, 0.0, 3.0) for n in (12, 24, 36, 48, 60, 125, 250, 500)]
    assert found == pytest.approx(LO_TABLE_1[sharpe], abs=5.1e-4)


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_track_records_are_those_of_bailey_and_lopez_de_prado(
    a_year: int, skew: float, kurtosis: float, years: float
) -> None:
    # A Sharpe ratio of 2 a year to be above 1 with 95 % confidence.
    needed = minimum_track_record(2 / np.sqrt(a_year), 1 / np.sqrt(a_year), skew, kurtosis, 0.95)
    assert needed / a_year == pytest.approx(years, abs=0.006)


@pytest.mark.parametrize(("rho", "two_places"), [(0.0, 3.46), (0.2, 2.88), (-0.2, 4.17), (0.9, 1.21)])
def test_factors_of_a_first_order_process_have_a_closed_form(rho: float, two_places: float) -> None:
    # Lo 2002, equation 22, for q = 12.
    closed = np.sqrt(12 / (1 + 2 * rho / (1 - rho) * (1 - (1 - rho**12) / (12 * (1 - rho)))))
    assert closed == pytest.approx(two_places, abs=0.005)
    assert aggregation_factor(rho ** np.arange(1, 12), 12) == pytest.approx(closed)
    assert aggregation_factor(rho ** np.arange(1, 40), 12) == pytest.approx(closed)


def test_the_factor_of_a_series_is_that_of_its_process() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(size=40_001)
    moving = noise[1:] + 0.5 * noise[:-1]
    # Autocorrelation 0.5 / 1.25 = 0.4 at lag 1, none after.
    assert annualisation_factor(moving, 252) == pytest.approx(252 / np.sqrt(252 + 2 * 251 * 0.4), rel=0.03)
    assert annualisation_factor(noise, 252) == pytest.approx(np.sqrt(252), rel=0.03)
    assert annualisation_factor(np.full(300, 0.1), 252) == pytest.approx(np.sqrt(252))
    assert annualisation_factor(moving, 1) == 1.0


def test_what_has_no_factor_is_refused() -> None:
    with pytest.raises(DataError, match="expected above zero"):
        aggregation_factor(np.array([-0.9]), 12)
    with pytest.raises(InputError):
        aggregation_factor(np.array([0.1]), 0)
    with pytest.raises(InputError):
        annualisation_factor(np.array([0.1, np.nan, 0.2]), 252)
    with pytest.raises(NotEnoughDataError):
        annualisation_factor(np.array([0.1]), 252)


def series(seed: int, trials: int) -> FloatArray:
    return np.random.default_rng(seed).standard_t(5, size=(600, trials)) * 0.01


def test_one_record_holds_what_the_parts_give() -> None:
    tried = series(2, 8)
    sharpes = np.array([sharpe_per_session(column) for column in tried.T] + [0.02, -0.05])
    best = tried[:, int(sharpes[:8].argmax())]
    found = deflated_by_trials(best, tried, sharpes)
    shape, variance = moments(best), float(sharpes.var(ddof=1))
    assert (found.sharpe, found.sessions, found.trials) == (sharpes[:8].max(), 600, 10)
    assert found.standard_error == sharpe_error(found.sharpe, 600, *shape)
    assert found.probabilistic == pytest.approx(norm.cdf(found.sharpe / found.standard_error))
    assert found.effective_trials == pytest.approx(effective_trials(tried) + 2)
    assert found.trial_deviation == pytest.approx(np.sqrt(variance))
    assert found.expected_maximum == expected_maximum_sharpe(10, variance)
    assert found.deflated == deflated_sharpe(found.sharpe, 600, *shape, 10, variance)
    assert found.minimum_track_record == minimum_track_record(found.sharpe, 0.0, *shape, 0.95)


def test_a_single_trial_is_not_deflated() -> None:
    returns = series(3, 1)[:, 0] + 0.001
    found = deflated_by_trials(returns, np.zeros((0, 0)), np.array([sharpe_per_session(returns)]))
    assert (found.trials, found.effective_trials, found.expected_maximum) == (1, 1.0, 0.0)
    assert found.deflated == found.probabilistic


def test_copies_amount_to_one_trial_and_do_not_deflate() -> None:
    returns = series(4, 1) + 0.001
    copies = np.repeat(returns, 6, axis=1)
    found = deflated_by_trials(returns[:, 0], copies, np.full(6, sharpe_per_session(returns[:, 0])))
    assert found.effective_trials == pytest.approx(1.0)
    assert found.deflated == pytest.approx(found.probabilistic)


def test_more_luck_never_raises_what_is_left() -> None:
    returns = series(5, 1)[:, 0] + 0.001
    sharpe = sharpe_per_session(returns)
    left = [
        deflated_by_trials(returns, np.zeros((600, 0)), np.linspace(-sharpe, sharpe, number)).deflated
        for number in (2, 5, 20, 100)
    ]
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize(
    ("trial_returns", "trial_sharpes"),
    [
        (np.zeros((600, 0)), np.array([])),
        (np.zeros((600, 3)), np.array([0.1, 0.2])),
        (np.zeros((600, 1)), np.array([0.1, np.nan])),
        (np.full((600, 1), np.nan), np.array([0.1, 0.2])),
    ],
)
def test_trials_that_do_not_fit_are_refused(trial_returns: FloatArray, trial_sharpes: FloatArray) -> None:
    with pytest.raises(InputError):
        deflated_by_trials(series(6, 1)[:, 0], trial_returns, trial_sharpes)


@pytest.mark.parametrize(("trials", "correlation"), rest_slow([(20, 0.9), (5, 0.5), (100, 0.5)]))
def test_the_best_of_correlated_null_trials_rarely_passes(trials: int, correlation: float) -> None:
    # Ratios in units of their error. Three standard errors of 2,000 draws at 5 % are 0.015.
    generator, draws = np.random.default_rng(7), 2000
    common, own = generator.normal(size=(draws, 1)), generator.normal(size=(draws, trials))
    ratios = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    best, variances = ratios.max(axis=1), ratios.var(axis=1, ddof=1)
    unit = expected_maximum_sharpe(trials, 1.0)
    assert np.mean(best - unit * np.sqrt(variances) > norm.ppf(0.95)) <= 0.05 + 0.015


def test_fewer_trials_on_top_of_their_variance_would_allow_for_correlation_twice() -> None:
    generator, draws, trials = np.random.default_rng(8), 2000, 20
    ratios = np.sqrt(0.9) * generator.normal(size=(draws, 1)) + np.sqrt(0.1) * generator.normal(size=(draws, trials))
    fewer = expected_maximum_sharpe(0.9 + 0.1 * trials, 1.0) * ratios.std(axis=1, ddof=1)
    assert np.mean(ratios.max(axis=1) - fewer > norm.ppf(0.95)) > 0.05 + 0.015
