"""Months, drawdowns, moving windows and kinds of market, against pandas and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import InputError
from project01.evaluate import (
    annual_sharpe,
    calendar_returns,
    deepest_drawdowns,
    deflated_sharpe,
    market_regimes,
    max_drawdown,
    moments,
    regime_mean,
    relative,
    rolling_beta,
    rolling_sharpe,
    sharpe_per_session,
)

RANDOM = np.random.default_rng(12)
DAYS = np.busday_offset(np.datetime64("2010-11-15"), np.arange(700)).astype("datetime64[D]")
RETURNS = RANDOM.standard_t(4, 700) * 0.01 + 0.0004
MARKET = 0.7 * RETURNS + RANDOM.normal(0, 0.006, 700)
CUTS = st.integers(0, 690)


@given(first=CUTS, count=st.integers(1, 400))
@settings(max_examples=examples(50), deadline=None, derandomize=True)
def test_months_compound_to_years_and_years_to_the_total(first, count):
    days, returns = DAYS[first : first + count], RETURNS[first : first + count]
    found = calendar_returns(days, returns)
    grown = np.where(np.isnan(found.months), 1.0, 1.0 + found.months)
    np.testing.assert_allclose(grown.prod(axis=1), 1.0 + found.totals, rtol=1e-12)
    assert np.prod(1.0 + found.totals) == pytest.approx(np.prod(1.0 + returns), rel=1e-12)


def test_months_equal_pandas():
    found = calendar_returns(DAYS, RETURNS)
    series = pd.Series(1.0 + RETURNS, index=pd.to_datetime(DAYS))
    by_month = series.groupby([series.index.year, series.index.month]).prod() - 1.0
    assert found.years == (2010, 2011, 2012, 2013)
    for (year, month), value in by_month.items():
        assert found.months[year - 2010, month - 1] == pytest.approx(value, rel=1e-12)
    assert np.count_nonzero(np.isfinite(found.months)) == len(by_month)


def test_a_year_without_a_session_is_missing():
    found = calendar_returns(np.array(["2010-06-01", "2012-06-01"], dtype="datetime64[D]"), np.array([0.1, 0.2]))
    assert found.years == (2010, 2011, 2012)
    np.testing.assert_allclose(found.totals, [0.1, np.nan, 0.2])
    with pytest.raises(InputError, match="0 sessions"):
        calendar_returns(np.empty(0, dtype="datetime64[D]"), np.empty(0))


def slow_falls(returns: list[float]) -> list[tuple[float, int, int, int | None]]:
    """Walk along the curve; a new peak closes the fall before it."""
    equity, level = [1.0], 1.0
    for value in returns:
        level *= 1.0 + value
        equity.append(level)
    falls, peak, low = [], 0, None
    for t, now in enumerate(equity):
        if now >= equity[peak]:
            if low is not None:
                falls.append((equity[low] / equity[peak] - 1.0, peak, low, t))
            peak, low = t, None
        elif low is None or now < equity[low]:
            low = t
    if low is not None:
        falls.append((equity[low] / equity[peak] - 1.0, peak, low, None))
    return sorted(falls, key=lambda fall: (fall[0], fall[1]))


@given(st.lists(st.floats(-0.5, 0.5), max_size=60), st.integers(1, 6))
@settings(max_examples=examples(100), deadline=None, derandomize=True)
def test_drawdowns_are_those_of_a_walk_along_the_curve(values, count):
    found = deepest_drawdowns(np.array(values), count)
    assert [(f.peak, f.trough, f.recovered) for f in found] == [fall[1:] for fall in slow_falls(values)[:count]]
    np.testing.assert_allclose([f.depth for f in found], [fall[0] for fall in slow_falls(values)[:count]], rtol=1e-12)
    if values:
        assert (found[0].depth if found else 0.0) == max_drawdown(np.array(values)).depth


@pytest.mark.parametrize("window", [126, 252])
def test_rolling_sharpe_equals_pandas_and_its_band_that_of_each_window(window):
    found = rolling_sharpe(RETURNS, window, luck=0.05)
    rolled = pd.Series(RETURNS).rolling(window)
    expected = (rolled.mean() / rolled.std() * np.sqrt(252)).dropna().to_numpy()
    np.testing.assert_allclose(found.value, expected, rtol=1e-9)
    for k in (0, 100, 700 - window):
        rows = RETURNS[k : k + window]
        one = annual_sharpe(rows)
        assert (found.low[k], found.high[k]) == (pytest.approx(one.low), pytest.approx(one.high))
        # A variance of trials of which the best of two is expected at 0.05: two trials give 0.5197 deviations.
        variance = (0.05 / 0.5197) ** 2
        by_trials = deflated_sharpe(sharpe_per_session(rows), window, *moments(rows), 2, variance)
        assert found.deflated[k] == pytest.approx(by_trials, abs=2e-3)


@pytest.mark.parametrize("window", [126, 252])
def test_rolling_beta_equals_pandas_and_its_band_that_of_each_window(window):
    found = rolling_beta(RETURNS, MARKET, window)
    y, x = pd.Series(RETURNS), pd.Series(MARKET)
    expected = (y.rolling(window).cov(x) / x.rolling(window).var()).dropna().to_numpy()
    np.testing.assert_allclose(found.value, expected, rtol=1e-8)
    for k in (0, 57, 700 - window):
        one = relative(RETURNS[k : k + window], MARKET[k : k + window]).beta
        assert (found.value[k], found.low[k], found.high[k]) == pytest.approx((one.value, one.low, one.high))


def test_windows_that_stand_still_or_do_not_fit_have_no_figure():
    still = np.concatenate([np.zeros(200), RETURNS[:100]])
    sharpe, beta = rolling_sharpe(still, 126, 0.0), rolling_beta(RETURNS[:300], still, 126)
    for values in (sharpe.value, sharpe.low, sharpe.deflated, beta.value, beta.high):
        assert np.isnan(values[:75]).all()
        assert np.isfinite(values[75:]).all()
    assert len(rolling_sharpe(RETURNS[:125], 126, 0.0).value) == 0
    with pytest.raises(InputError, match="too short"):
        rolling_sharpe(RETURNS, 100, 0.0)
    with pytest.raises(InputError, match="as many of both"):
        rolling_beta(RETURNS, MARKET[1:], 126)


def test_kinds_known_before_do_not_change_with_what_comes_later():
    later = MARKET.copy()
    later[500:] = RANDOM.normal(0, 0.05, 200)
    before, after = market_regimes(MARKET, 600), market_regimes(later, 600)
    assert sum(regime.known_before for regime in before) == 5
    for one, other in zip(before, after, strict=True):
        # The 400 judged sessions up to and with return 500 know returns up to 499 only.
        upto = 401 if one.known_before else 400
        np.testing.assert_array_equal(one.inside[:upto], other.inside[:upto])


def test_kinds_of_market_equal_pandas():
    series = pd.Series(MARKET)
    trend = (1 + series).rolling(126).apply(np.prod, raw=True).shift(1) - 1
    volatility = series.rolling(21).std().shift(1)
    share = pd.Series([(volatility[: t + 1] < volatility[t]).sum() / max(volatility[: t + 1].count(), 1)
                       for t in range(700)])  # fmt: skip
    enough = volatility.expanding().count() >= 252
    rose, fell, risen, fallen, low, middle, high = (regime.inside for regime in market_regimes(MARKET, 700))
    assert (rose == (MARKET > 0)).all()
    assert (rose ^ fell).all()
    np.testing.assert_array_equal(risen, trend > 0)
    np.testing.assert_array_equal(fallen, trend <= 0)
    np.testing.assert_array_equal(low, enough & (share < 1 / 3) & volatility.notna())
    np.testing.assert_array_equal(high, enough & (share >= 2 / 3))
    np.testing.assert_array_equal(low | middle | high, enough & volatility.notna())


def test_the_mean_of_a_kind_is_that_of_its_sessions():
    for regime in market_regimes(MARKET, 700):
        found = regime_mean(RETURNS, regime)
        assert found.value == pytest.approx(RETURNS[regime.inside].mean() * 252)
        assert found.low < found.value < found.high
    few = market_regimes(MARKET[:15], 15)[0]
    assert np.isnan(regime_mean(RETURNS[:15], few).value)
    assert "at least 21" in regime_mean(RETURNS[:15], few).method
    with pytest.raises(InputError, match="800 sessions"):
        market_regimes(MARKET, 800)
