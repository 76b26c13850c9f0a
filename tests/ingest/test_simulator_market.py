"""Shape, bounds and stylised facts of simulated daily bars."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.effort import examples

from project01.domain import BARS, trading_calendar
from project01.ingest.simulator_market import DailyMarket, daily_frame, simulate_daily
from project01.ingest.simulator_settings import MarketSettings
from project01.ingest.source import batch_schema

ARRAYS = ("open", "high", "low", "close", "adj_close", "volume", "signal", "factor_volatility")

markets = st.builds(
    MarketSettings,
    seed=st.integers(0, 2**63 - 1),
    symbols=st.integers(2, 12),
    sessions=st.integers(30, 90),
    planted_ic=st.sampled_from([0.0, 0.05]),
    annual_market_volatility=st.floats(0.01, 1),
    annual_idiosyncratic_volatility=st.floats(0.01, 1),
    volatility_spread=st.sampled_from([0.0, 0.25, 0.6]),
    beta_spread=st.floats(0, 1),
    median_price_usd=st.floats(0.01, 1e6),
    intraday_symbols=st.just(0),
    first_session=st.dates(date(1962, 1, 2), date(2024, 1, 2)),
)
# Each kind of market measures its planted edge on a pilot once; a few kinds keep this fast.
quick = markets.map(
    lambda m: (
        replace(m, annual_market_volatility=0.2, annual_idiosyncratic_volatility=0.4, beta_spread=0.3)
        if m.planted_ic
        else m
    )
).map(lambda m: replace(m, volatility_spread=0.25) if m.planted_ic else m)


def same(left: DailyMarket, right: DailyMarket, rows: slice, *names: str) -> bool:
    return all(np.array_equal(getattr(left, n)[rows], getattr(right, n)[rows], equal_nan=True) for n in names)


@pytest.fixture(scope="module")
def large() -> DailyMarket:
    return simulate_daily(MarketSettings(seed=5, symbols=100, sessions=1_500))


@settings(max_examples=examples(40), deadline=None)
@given(quick)
def test_bars_hold_together_and_prices_stay_positive(made: MarketSettings) -> None:
    market = simulate_daily(made)
    assert np.all(market.low > 0)
    assert np.all(market.high >= np.maximum(market.open, market.close))
    assert np.all(market.low <= np.minimum(market.open, market.close))
    assert np.all(market.volume > 0)
    assert np.array_equal(market.volume, np.round(market.volume))
    assert all(np.isfinite(getattr(market, name)).all() for name in ARRAYS if name != "signal")


@settings(max_examples=examples(15), deadline=None)
@given(quick, st.integers(1, 40))
def test_a_longer_market_begins_as_the_shorter_one(made: MarketSettings, more: int) -> None:
    short, long = simulate_daily(made), simulate_daily(replace(made, sessions=made.sessions + more))
    assert same(short, long, slice(0, made.sessions), *ARRAYS)


@settings(max_examples=examples(15), deadline=None)
@given(quick.filter(lambda m: m.median_price_usd < 1e5))
def test_doubling_the_first_prices_doubles_all_prices_and_nothing_else(made: MarketSettings) -> None:
    once, twice = simulate_daily(made), simulate_daily(replace(made, median_price_usd=2 * made.median_price_usd))
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(2 * getattr(once, name), getattr(twice, name))
    assert same(once, twice, slice(None), "signal", "volume", "factor_volatility")


def test_seeds_differ_and_a_seed_repeats() -> None:
    one, two = simulate_daily(MarketSettings(seed=1)), simulate_daily(MarketSettings(seed=2))
    assert same(one, simulate_daily(MarketSettings(seed=1)), slice(None), *ARRAYS)
    assert not np.any(one.close == two.close)


def test_sessions_are_those_of_new_york() -> None:
    market = simulate_daily(MarketSettings(first_session=date(2012, 10, 26), sessions=30, intraday_sessions=0))
    # A Friday; the exchange stayed shut on the 29th and 30th for hurricane Sandy.
    assert market.sessions[:3].tolist() == [date(2012, 10, 26), date(2012, 10, 31), date(2012, 11, 1)]


def test_the_signal_is_the_return_over_20_sessions_leaving_out_the_newest(large: DailyMarket) -> None:
    frame = pl.DataFrame({"close": large.close[:, 3]})
    expected = frame.select((pl.col("close").shift(1) / pl.col("close").shift(21) - 1).fill_null(np.nan)).to_series()
    assert np.array_equal(large.signal[:, 3], expected.to_numpy(), equal_nan=True)


def test_rows_of_the_frame_are_the_cells_of_the_arrays(large: DailyMarket) -> None:
    frame = daily_frame(large)
    assert dict(frame.schema) == batch_schema(BARS)
    assert frame["simulated"].all()
    assert frame["source"].unique().to_list() == ["simulator"]
    assert frame["source_id"].n_unique() == frame.height == large.close.size
    assert frame.equals(frame.sort(*BARS.key))
    calendar = trading_calendar("XNYS")
    for row in frame.sample(20, seed=1).iter_rows(named=True):
        session, symbol = large.sessions.tolist().index(row["session"]), large.symbols.index(row["symbol"])
        assert [row[n] for n in ("open", "high", "low", "close", "volume")] == [
            getattr(large, n)[session, symbol] for n in ("open", "high", "low", "close", "volume")
        ]
        assert row["knowledge_time"] == row["event_time"]
        assert calendar.last_closed(row["event_time"]) == row["session"]


def test_absent_bars_make_no_rows(large: DailyMarket) -> None:
    close = large.close.copy()
    close[7, 2] = np.nan
    assert daily_frame(replace(large, close=close)).height == large.close.size - 1


def test_returns_have_fat_tails_and_clustered_volatility(large: DailyMarket) -> None:
    returns = np.diff(np.log(large.close), axis=0)
    assert np.median(stats.kurtosis(returns, axis=0)) > 1.5
    squared = np.abs(returns) - np.abs(returns).mean(axis=0)
    persistence = (squared[1:] * squared[:-1]).mean(axis=0) / squared.var(axis=0)
    # Without clustering the mean of 100 autocorrelations of 1,499 sessions has a standard error near 0.0026.
    assert persistence.mean() > 0.03


def test_volatility_and_beta_are_those_asked_for() -> None:
    made = MarketSettings(symbols=300, sessions=2_000, beta_spread=0.3, seed=9)
    returns = simulate_daily(made).close
    returns = returns[1:] / returns[:-1] - 1
    factor = returns.mean(axis=1)
    assert factor.std() * np.sqrt(252) == pytest.approx(0.16, rel=0.2)  # clustering leaves a standard error near 8 %
    betas = np.array([stats.linregress(factor, column).slope for column in returns.T])
    assert betas.std() == pytest.approx(0.3, rel=0.15)
    own = (returns - np.outer(factor, betas)).std(axis=0) * np.sqrt(252)
    # Squares average over symbols without bias; of a lognormal their mean is the squared median times exp(2 * 0.25^2).
    assert np.sqrt(np.mean(own**2)) == pytest.approx(0.28 * np.exp(0.25**2), rel=0.08)
    assert np.log(own).std() == pytest.approx(0.25, rel=0.2)


def test_opens_move_from_the_last_close_by_a_quarter_of_the_variance(large: DailyMarket) -> None:
    night = np.log(large.open[1:] / large.close[:-1])
    day = np.log(large.close[1:] / large.open[1:])
    assert night.var() / (night.var() + day.var()) == pytest.approx(0.25, abs=0.02)


def test_volume_goes_with_the_size_of_the_move(large: DailyMarket) -> None:
    move = np.abs(large.close / large.open - 1)
    found = [stats.spearmanr(move[:, n], large.volume[:, n]).statistic for n in range(20)]
    assert min(found) > 0.2
    assert np.mean(found) > 0.3


def test_the_range_agrees_with_the_volatility(large: DailyMarket) -> None:
    """Parkinson's estimator, E[log(high / low)^2] = 4 log 2 s^2, finds the variance of the intraday move."""
    ranged = np.mean(np.square(np.log(large.high / large.low))) / (4 * np.log(2))
    # Fat tails sit in the move itself, the range around it is Gaussian; both draw high and low apart, so not exact.
    assert ranged == pytest.approx(np.mean(np.square(np.log(large.close / large.open))), rel=0.15)
