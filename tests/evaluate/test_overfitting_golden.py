"""Luck among trials: published worked examples and simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from project01.domain import InputError
from project01.evaluate import (
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
)


@pytest.mark.parametrize(("trials", "published"), [(100, 0.9004), (46, 0.9505)])
def test_the_worked_example_of_bailey_and_lopez_de_prado(trials: int, published: float) -> None:
    # 2.5 a year over 250 sessions a year, five years, skew -3, kurtosis 10, variance of annual ratios 1/2.
    found = deflated_sharpe(2.5 / np.sqrt(250), 1250, -3.0, 10.0, trials, 0.5 / 250)
    assert found == pytest.approx(published, abs=5e-5)


def test_probabilistic_sharpe_by_hand() -> None:
    # z = .1 * sqrt(99) / sqrt(1 + .5 * .01) for normal returns.
    assert probabilistic_sharpe(0.1, 0.0, 100, 0.0, 3.0) == pytest.approx(norm.cdf(0.1 * np.sqrt(99 / 1.005)))
    assert probabilistic_sharpe(0.1, 0.1, 100, -1.0, 6.0) == pytest.approx(0.5)


@pytest.mark.parametrize("trials", [5, 20, 100])
def test_expected_maximum_is_that_of_simulated_normal_draws(trials: int) -> None:
    simulated = np.random.default_rng(1).normal(size=(40_000, trials)).max(axis=1).mean()
    assert expected_maximum_sharpe(trials, 1.0) == pytest.approx(simulated, rel=0.03)


def test_expected_maximum_rises_with_trials_and_is_never_below_zero() -> None:
    found = [expected_maximum_sharpe(trials, 2.0) for trials in (1, 1.05, 1.3, 2, 3, 10, 1000)]
    assert found[:2] == [0.0, 0.0]
    assert found == sorted(found)
    with pytest.raises(InputError):
        expected_maximum_sharpe(0, 1.0)


def test_minimum_track_record_is_where_the_probability_reaches_the_confidence() -> None:
    needed = minimum_track_record(0.08, 0.02, -1.0, 7.0, 0.95)
    assert probabilistic_sharpe(0.08, 0.02, int(np.ceil(needed)), -1.0, 7.0) >= 0.95
    assert probabilistic_sharpe(0.08, 0.02, int(np.floor(needed)) - 1, -1.0, 7.0) < 0.95
    assert minimum_track_record(0.02, 0.02, 0.0, 3.0, 0.95) == np.inf


def test_effective_trials_between_copies_and_strangers() -> None:
    generator = np.random.default_rng(2)
    alone = generator.normal(size=(5000, 10))
    assert effective_trials(alone) == pytest.approx(10, abs=0.3)
    copies = np.repeat(alone[:, :1], 10, axis=1)
    assert effective_trials(copies) == pytest.approx(1.0)
    half = np.sqrt(0.5) * alone[:, :1] + np.sqrt(0.5) * generator.normal(size=(5000, 10))
    assert effective_trials(half) == pytest.approx(0.5 + 0.5 * 10, abs=0.3)
    assert effective_trials(alone[:, :1]) == 1.0


def test_the_best_of_many_null_trials_rarely_passes() -> None:
    generator, passed = np.random.default_rng(3), 0
    for _ in range(400):
        trials = generator.normal(0, 0.01, size=(504, 20))
        sharpes = trials.mean(axis=0) / trials.std(axis=0, ddof=1)
        passed += deflated_sharpe(float(sharpes.max()), 504, 0.0, 3.0, 20, float(sharpes.var(ddof=1))) >= 0.95
    assert passed / 400 <= 0.05
