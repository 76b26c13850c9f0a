"""Resampled markets: nothing to forecast but how much prices move, and that as in the source."""

import numpy as np
import pytest

from project01.domain import FloatArray, InputError
from project01.evaluate import resampled_bars, resampled_returns


def predictable(sessions: int = 3000, names: int = 12) -> FloatArray:
    """Returns that reverse the next session, with calm and wild times."""
    rng = np.random.default_rng(5)
    heat = np.exp(np.cumsum(0.05 * rng.standard_normal(sessions)) * 0.2)
    shocks = 0.01 * (heat / heat.mean())[:, None] * rng.standard_normal((sessions, names))
    return shocks - 0.3 * np.vstack([np.zeros(names), shocks[:-1]])


def reversal_t(returns: FloatArray) -> float:
    """How many errors the mean cross-sectional product of neighbouring returns is from zero."""
    relative = returns - returns.mean(axis=1, keepdims=True)
    product = (relative[1:] * relative[:-1]).mean(axis=1) / (relative[1:].std(axis=1) * relative[:-1].std(axis=1))
    return float(product.mean() / (product.std(ddof=1) / np.sqrt(len(product))))


def memory(returns: FloatArray, lag: int) -> float:
    """Mean autocorrelation of absolute returns."""
    size = np.abs(returns) - np.abs(returns).mean(axis=0)
    return float(np.mean((size[lag:] * size[:-lag]).mean(axis=0) / (size * size).mean(axis=0)))


def test_signs_cannot_be_forecast_and_sizes_can() -> None:
    source = predictable()
    _, daily = resampled_returns(source, 6000, 12, np.random.default_rng(1))
    assert reversal_t(source) < -10
    assert abs(reversal_t(daily)) < 3
    for lag in (1, 5, 21):
        assert memory(daily, lag) == pytest.approx(memory(source, lag), abs=0.06)


def test_every_session_is_a_whole_one_of_the_source_up_to_its_sign() -> None:
    source = predictable(400, 6)
    _, daily = resampled_returns(source, 900, 6, np.random.default_rng(2))
    known = {row.tobytes() for row in source} | {(-row).tobytes() for row in source}
    assert {row.tobytes() for row in daily} <= known
    assert len({row.tobytes() for row in daily}) > 300


def test_both_legs_have_mean_zero_given_what_came_before() -> None:
    source = np.abs(predictable(2000, 5))  # rises only: any mean left would show
    overnight, daily = resampled_returns(source, 40_000, 5, np.random.default_rng(3))
    intraday = (1 + daily) / (1 + overnight) - 1
    for leg in (overnight, intraday, daily, intraday * np.sign(overnight)):
        error = leg.std(axis=0) / np.sqrt(len(leg))
        assert np.all(np.abs(leg.mean(axis=0)) < 4 * error)
    assert np.var(overnight) / np.var(daily) == pytest.approx(0.25, abs=0.01)


def test_bars_hold_together_and_follow_from_the_seed() -> None:
    source = predictable(300, 4)
    source[7, 2] = 1.9  # mirrored as it stands it would leave no price
    bars = resampled_bars(source, 700, 3, seed=4)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.low > 0)
    assert np.all(bars.volume >= 1)
    assert np.array_equal(bars.volume, np.round(bars.volume))
    again, other = resampled_bars(source, 700, 3, seed=4), resampled_bars(source, 700, 3, seed=5)
    assert np.array_equal(again.high, bars.high)
    assert not np.array_equal(other.close, bars.close)


@pytest.mark.parametrize(("sessions", "names", "asked"), [(251, 5, 5), (300, 5, 6), (300, 5, 0)])
def test_what_cannot_be_resampled_is_refused(sessions: int, names: int, asked: int) -> None:
    with pytest.raises(InputError, match="cannot be resampled"):
        resampled_returns(np.zeros((sessions, names)), 300, asked, np.random.default_rng(0))


def test_a_missing_return_is_refused() -> None:
    returns = np.zeros((300, 3))
    returns[5, 1] = np.nan
    with pytest.raises(InputError, match="without a gap"):
        resampled_returns(returns, 300, 3, np.random.default_rng(0))
