"""Step functions as plain Python on numbers worked out by hand, and what windows owe: to forget, and not to drift."""

import math

import numpy as np
import pytest

from project01.etl import steps


def run(step, size: int, parameters: tuple[int, ...], *columns) -> list[float]:
    state = np.zeros(size)
    return [step(state, 0, *parameters, *(float(value) for value in bar)) for bar in zip(*columns, strict=True)]


def test_sliding_sum() -> None:
    found = run(steps.sliding_sum, 6, (3,), [1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(found, [np.nan, np.nan, 6, 9, 12, 15, 18])


def test_lagged() -> None:
    np.testing.assert_array_equal(run(steps.lagged, 4, (2,), [5, 6, 7, 8]), [np.nan, np.nan, 5, 6])


def test_window_of_one() -> None:
    assert run(steps.sliding_sum, 4, (1,), [4, 5]) == [4, 5]
    assert run(steps.past_return, 3, (1,), [4, 5])[1] == 0.25


def test_returns() -> None:
    closes = [100, 110, 99, 121]
    assert run(steps.past_return, 4, (2,), closes)[2:] == pytest.approx([-0.01, 0.1])
    # From three bars ago to one bar ago: 99 / 100 - 1.
    assert run(steps.skipping_return, 5, (3, 1), closes)[3] == pytest.approx(-0.01)


def test_relative_strength() -> None:
    # Window 2, changes +1, -1, +2: means 0.5 and 0.5 give 50; then (0.5 + 2) / 2 = 1.25 and 0.25 give 83.33.
    found = run(steps.relative_strength, 3, (2, 2), [11, 10, 12], [10, 11, 10])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([50.0, 100 * 1.25 / 1.5])


def test_relative_strength_of_a_rising_and_a_still_price() -> None:
    assert run(steps.relative_strength, 3, (2, 2), [11, 12, 13], [10, 11, 12])[-1] == 100.0
    assert math.isnan(run(steps.relative_strength, 3, (2, 2), [10, 10, 10], [10, 10, 10])[-1])


def test_average_true_range() -> None:
    # Window 2, close 10. Ranges: max(2, 1, 1) = 2; a gap, max(1, |15 - 10|, |14 - 10|) = 5; max(1, 0.5, 0.5) = 1.
    # Means: (2 + 5) / 2 = 3.5, then (3.5 + 1) / 2 = 2.25.
    found = run(steps.average_true_range, 2, (2, 2), [11, 15, 14.5], [9, 14, 13.5], [10, 14, 14], [10, 10, 14])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([3.5 / 14, 2.25 / 14])


def test_convergence_divergence() -> None:
    # Means of 1 and 3 (weights 1 and 1/2), signal of 1 would follow at once; with signal 3 (weight 1/2):
    # closes 10, 14: fast 10, 14; slow 10, 12; line 0, 2; signal 0, 1; histogram 0, 1 over the close of 14.
    assert run(steps.convergence_divergence, 4, (1, 3, 3, 1), [10, 14]) == pytest.approx([0.0, 1.0 / 14])


def test_bollinger() -> None:
    # 2, 4, 4, 4, 5, 5, 7, 9: mean 5, population deviation 2, bands 1 and 9: the last close stands at the upper one.
    closes = [2, 4, 4, 4, 5, 5, 7, 9]
    assert run(steps.bollinger_position, 20, (8, 2), closes)[-1] == pytest.approx(1.0)
    assert run(steps.bollinger_width, 20, (8, 2), closes)[-1] == pytest.approx(8 / 5)


def test_no_spread_is_no_position_but_a_width_of_zero() -> None:
    closes = [0.1 + 0.2] * 5
    assert math.isnan(run(steps.bollinger_position, 10, (3, 2), closes)[-1])
    assert run(steps.bollinger_width, 10, (3, 2), closes)[-1] == 0.0
    assert math.isnan(run(steps.z_score, 10, (3,), closes)[-1])


def test_parkinson_of_a_constant_range() -> None:
    # Each range ln(high / low) = 0.02: volatility 0.02 / (2 sqrt(ln 2)) a day.
    highs = [math.exp(0.02)] * 4
    daily = 0.02 / (2 * math.sqrt(math.log(2)))
    assert run(steps.parkinson_volatility, 6, (3,), highs, [1.0] * 4)[-1] == pytest.approx(daily * math.sqrt(252))


def test_illiquidity() -> None:
    # 1 % on a million and 3 % on a million: 2 % a million in the mean. The bar without trade does not count.
    found = run(steps.illiquidity, 5, (2,), [0.01, 0.5, -0.03], [1e6, 0.0, 1e6])
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(math.log10(0.02))


def test_beta_of_a_leveraged_copy() -> None:
    market = [0.01, -0.02, 0.015, 0.0, -0.005]
    own = [2 * move + 0.001 for move in market]
    assert run(steps.market_beta, 5 * 3 + 7, (3,), own, market)[2:] == pytest.approx([2.0] * 3)
    # The market explains all of it: what is left is rounding, and rounding has no momentum.
    assert math.isnan(run(steps.residual_momentum, 5 * 3 + 7 + 2 * 4, (3, 1), own, market)[-1])
    assert math.isnan(run(steps.market_beta, 5 * 3 + 7, (3,), own, [0.0] * 5)[-1])


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_sums_of_squares_and_products(window: int) -> None:
    random = np.random.default_rng(window)
    own, market = random.normal(size=(2, 25))
    both = run(steps.sliding_squares, 2 * window + 4, (window,), own)
    five = run(steps.sliding_products, 5 * window + 7, (window,), own, market)
    for n in range(window - 1, 25):
        x, y = own[n - window + 1 : n + 1], market[n - window + 1 : n + 1]
        assert both[n] == pytest.approx((x.sum(), (x * x).sum()))
        assert five[n] == pytest.approx((x.sum(), y.sum(), (x * y).sum(), (y * y).sum(), (x * x).sum()))
    assert np.isnan(both[: window - 1]).all()
    assert np.isnan(five[: window - 1]).all()


def test_window_forgets_completely() -> None:
    random = np.random.default_rng(0).normal(size=60)
    for monster in (1e150, 1e16, -1e120):
        spoiled = random.copy()
        spoiled[10] = monster
        for step, size in ((steps.sliding_sum, 10), (steps.sliding_squares, 18)):
            clean, after = run(step, size, (7,), random), run(step, size, (7,), spoiled)
            assert clean[17:] == after[17:]


def test_window_does_not_drift() -> None:
    values = np.random.default_rng(1).lognormal(0, 3, 20_000)
    found = np.array(run(steps.sliding_sum, 24, (21,), values))
    exact = [math.fsum(values[n - 20 : n + 1]) for n in range(20, len(values))]
    np.testing.assert_allclose(found[20:], exact, rtol=1e-14)
