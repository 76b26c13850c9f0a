"""The probability of backtest overfitting: published figures, cases with a known answer, and the slow way beside."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata
from tests.effort import examples

from project01.domain import FloatArray, InputError, NotEnoughDataError
from project01.evaluate import BacktestOverfitting, backtest_overfitting

RISK_FREE = 0.03 / 252


def r_normal(seed: int, count: int) -> FloatArray:
    """What `set.seed(seed); rnorm(count)` gives in R: Mersenne Twister, inversion of two uniforms."""
    state, key = seed, []
    for number in range(50 + 625):
        state = (69069 * state + 1) % 2**32
        key += [state] if number >= 50 else []
    generator = np.random.MT19937()
    twister = {"key": np.array(key[1:], dtype=np.uint64), "pos": 624}
    generator.state = {"bit_generator": "MT19937", "state": twister}
    uniform = generator.random_raw(2 * count) * 2.3283064365386963e-10
    return norm.ppf((np.floor(134217728 * uniform[0::2]) + uniform[1::2]) / 134217728)


def in_on_out(found: BacktestOverfitting) -> tuple[float, float]:
    """Intercept and adjusted R squared of performance in sample on out of sample: what the R package prints."""
    _, intercept = np.polyfit(found.out_of_sample, found.in_sample, 1)
    unexplained = 1 - np.corrcoef(found.in_sample, found.out_of_sample)[0, 1] ** 2
    splits = len(found.logits)
    return float(intercept), float(1 - unexplained * (splits - 1) / (splits - 2))


def test_random_numbers_are_those_of_r() -> None:
    assert r_normal(42, 2) == pytest.approx([1.37095845, -0.56469817], abs=5e-9)


def test_the_vignette_of_the_r_package() -> None:
    # 100 trials of 2,400 returns, seed 765, set to one mean and deviation. Printed:
    # p_bo 1.0000000, "slope" -0.0030456 (the intercept of in sample on out of sample), ar^2 0.97, p_loss 1.0.
    drawn = r_normal(765, 240_000).reshape(100, 2400).T
    scaled = drawn * 252**-0.5 / drawn.std(axis=0, ddof=1)
    found = backtest_overfitting(scaled - scaled.mean(axis=0) - RISK_FREE, 8)
    intercept, fit = in_on_out(found)
    assert (found.probability.value, found.loss.value, len(found.logits)) == (1.0, 1.0, 70)
    assert intercept == pytest.approx(-0.0030456, abs=5e-8)
    assert fit == pytest.approx(0.97, abs=0.005)


def test_the_unit_test_of_the_r_package() -> None:
    # 40 trials of 200 returns, seed 852, four blocks; the package asks for these ranges.
    found = backtest_overfitting(r_normal(852, 8000).reshape(200, 40) - RISK_FREE, 4)
    intercept, fit = in_on_out(found)
    assert (found.probability.value, found.loss.value, len(found.logits)) == (0.5, 0.5, 6)
    assert 0.19 < intercept < 0.20
    assert -0.24 < fit < -0.22


def test_four_blocks_by_hand() -> None:
    # Means by block: A 3 1 -1 0, B 0 2 1 -3. Winners in {01} {02} {03} {12} {13} {23}: A A A B A A. Out of sample A
    # is behind B only for {03}, B behind A for {12}: two of six. The winner loses after {01} (-1/2) and {12} (-3/2).
    returns = np.repeat(np.array([[3.0, 0.0], [1.0, 2.0], [-1.0, 1.0], [0.0, -3.0]]), 2, axis=0)
    found = backtest_overfitting(returns, 4, "mean")
    assert found.probability.value == pytest.approx(2 / 6)
    assert found.loss.value == pytest.approx(2 / 6)
    assert sorted(found.logits) == pytest.approx([-np.log(2)] * 2 + [np.log(2)] * 4)
    pairs = sorted(zip(found.in_sample, found.out_of_sample, strict=True))
    assert pairs == [(-0.5, 2.0), (0.5, 1.0), (1.0, 0.5), (1.5, -1.5), (1.5, 0.0), (2.0, -0.5)]
    # Least squares of these pairs: means 1 and 1/4, sum of products -19/4, of squares 4.
    assert found.slope.value == pytest.approx(-19 / 16)


def slowly(returns: FloatArray, blocks: int) -> tuple[float, float]:
    """Probabilities of overfitting and loss, split by split."""
    parts, bad, lost = np.array_split(np.arange(len(returns)), blocks), [], []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in chosen])
        outside = np.setdiff1d(np.arange(len(returns)), inside)
        before, after = (returns[r].mean(axis=0) / returns[r].std(axis=0, ddof=1) for r in (inside, outside))
        best = int(before.argmax())
        share = rankdata(after)[best] / (returns.shape[1] + 1)
        bad.append(np.log(share / (1 - share)) <= 1e-12)
        lost.append(after[best] < 0)
    return float(np.mean(bad)), float(np.mean(lost))


@given(st.integers(0, 10_000), st.sampled_from([4, 6, 8]), st.integers(2, 7), st.integers(40, 60), st.floats(-0.5, 0.5))
@settings(max_examples=examples(30), deadline=None)
def test_the_fast_way_is_the_slow_way(seed: int, blocks: int, trials: int, sessions: int, level: float) -> None:
    returns = np.random.default_rng(seed).standard_t(4, size=(sessions, trials)) + level
    found = backtest_overfitting(returns, blocks)
    assert (found.probability.value, found.loss.value) == pytest.approx(slowly(returns, blocks))
    # A Sharpe ratio does not know its unit, and a copy of a trial is no other choice.
    units = np.random.default_rng(seed).uniform(0.5, 2.0, trials)
    assert backtest_overfitting(returns * units, blocks).probability.value == found.probability.value
    copied = backtest_overfitting(np.column_stack([returns, returns[:, :1]]), blocks)
    assert (copied.probability, copied.trials, copied.copies) == (found.probability, trials, 1)


def test_one_trial_that_leads_in_every_block_is_no_overfitting() -> None:
    returns = np.random.default_rng(1).normal(size=(400, 20))
    returns[:, 7] += 2.0
    found = backtest_overfitting(returns, 10)
    assert (found.probability.value, found.loss.value) == (0.0, 0.0)
    assert found.logits == pytest.approx(np.log(20.0))
    assert found.probability.high == 0.0


def test_the_best_that_is_always_the_worst_afterwards_is_all_overfitting() -> None:
    # Two trials with the same mean overall: what one gains in a half it lacks in the other.
    returns = np.random.default_rng(2).normal(size=(320, 2))
    found = backtest_overfitting(returns - returns.mean(axis=0), 16, "mean")
    assert found.probability.value == 1.0
    assert found.slope.value == pytest.approx(-1.0)


def test_noise_is_overfitted_half_of_the_time() -> None:
    generator = np.random.default_rng(3)
    found = [backtest_overfitting(generator.normal(size=(240, 10)), 8).probability for _ in range(60)]
    values = np.array([estimate.value for estimate in found])
    assert values.mean() == pytest.approx(0.5, abs=3 * values.std() / np.sqrt(60))
    # The jackknife is rough: its 90 % interval should hold the mean in most draws, not in all.
    held = np.mean([estimate.low <= 0.5 <= estimate.high for estimate in found])
    assert 0.75 <= held <= 0.99


def test_a_trial_that_stands_still_has_a_ratio_of_zero() -> None:
    generator = np.random.default_rng(4)
    returns = np.column_stack([np.full(200, 0.01), generator.normal(-3.0, 1.0, 200), generator.normal(-4.0, 1.0, 200)])
    found = backtest_overfitting(returns, 8)
    assert (found.probability.value, set(found.in_sample)) == (0.0, {0.0})
    assert np.isnan(found.slope.value)


@pytest.mark.parametrize(
    ("returns", "blocks", "error"),
    [
        (np.ones((50, 3)), 8, NotEnoughDataError),
        (np.zeros((50, 1)), 8, NotEnoughDataError),
        (np.eye(15), 8, NotEnoughDataError),
        (np.eye(40), 7, InputError),
        (np.eye(40), 20, InputError),
        (np.full((40, 2), np.nan), 8, InputError),
        (np.ones(40), 8, InputError),
    ],
)
def test_what_cannot_be_judged_is_refused(returns: FloatArray, blocks: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        backtest_overfitting(returns, blocks)
