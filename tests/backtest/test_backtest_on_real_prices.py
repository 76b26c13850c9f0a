"""12-1 momentum on real prices, with the accounts recomputed from the trades by Polars."""

import time

import numpy as np
import polars as pl
import pytest

from project01.backtest import (
    Commission,
    Monthly,
    Signal,
    Slippage,
    TopQuantile,
    equal_weight_targets,
    frontier,
    hold_targets,
    index_market,
    market_from_bars,
    overlapping_targets,
    run_backtest,
)

COSTS = [Commission(bps=0.5), Slippage(9.5)]


@pytest.fixture(scope="module")
def momentum(shared_data):
    bars = pl.read_parquet(shared_data / "daily_us" / "daily_2005_2017.parquet").rename({"date": "session"})
    ratio = pl.col("adj_close").cast(pl.Float64) / pl.col("close")
    bars = bars.sort("symbol", "session").with_columns(factor=(ratio / ratio.first()).over("symbol"))
    market = market_from_bars(bars)
    price = np.log(market.close)
    scores = np.full_like(price, np.nan)
    scores[252:] = price[231:-21] - price[:-252]
    signal = Signal(market.sessions[1508:], market.symbols, scores[1508:])
    return market, signal, overlapping_targets(signal, market, TopQuantile(0.1), 5)


def test_equity_recomputed_from_the_trades(momentum):
    market, _, targets = momentum
    result = run_backtest(market, targets, COSTS, initial_cash=1e6)
    trades = result.trades.group_by("session").agg(
        paid=pl.col("value").sum() + pl.col("cost_commission").sum() + pl.col("cost_slippage").sum()
    )
    cash = result.frame().select("session", "cash").join(trades, on="session", how="left", maintain_order="left")
    expected = 1e6 - cash["paid"].fill_null(0.0).cum_sum()
    np.testing.assert_allclose(cash["cash"], expected, atol=1e-4)
    held = result.trades.group_by("symbol").agg(pl.col("quantity").sum()).filter(pl.col("quantity").abs() > 1e-7)
    last = dict(zip(market.symbols, market.close[-1], strict=True))
    worth = sum(quantity * last[name] for name, quantity in held.rows())
    assert result.equity[-1] == pytest.approx(expected[-1] + worth, abs=0.5)
    assert result.cash_cents.min() >= 0
    assert 4 < result.turnover.mean() * 252 < 12  # momentum of a year, a fifth of the book renewed each session


def test_equal_weight_stands_near_the_mean_stock_and_the_index_near_its_series(momentum, shared_data):
    market, signal, _ = momentum
    equal = run_backtest(market, equal_weight_targets(market, signal.sessions, Monthly()), [], initial_cash=1e6)
    close = market.close[1508:]
    mean = np.nanmean(close[1:] / close[:-1] - 1, axis=1)
    assert np.corrcoef(equal.net_returns[1:], mean[1:])[0, 1] > 0.999
    spy = pl.read_csv(shared_data / "benchmark" / "spy_ohlcv_1998_2017.csv", try_parse_dates=True)
    days, level = spy["date"].to_numpy().astype("datetime64[D]"), spy["adj_close"].to_numpy()
    index = index_market("SPY", days, level, signal.sessions)
    held = run_backtest(index, hold_targets(index, index.sessions), [], initial_cash=1e6)
    first = np.searchsorted(days, signal.sessions[1])
    # Shares are counted a session before they are paid, so up to that session's move may stay in cash or be cut.
    assert held.equity[-1] / held.equity[1] == pytest.approx(level[-1] / level[first], rel=0.005)


@pytest.mark.slow
def test_the_grid_of_24_runs_takes_under_two_seconds_of_one_core(momentum):
    """Once compiled; processor time, so that a busy machine does not fail it."""
    market, _, targets = momentum
    assert (len(targets.sessions), len(market.symbols)) == (1764, 350)
    run_backtest(market, targets, COSTS, initial_cash=1e6)
    start = time.process_time()
    grid = frontier(market, targets, initial_cash=1e6)
    assert time.process_time() - start < 2.0
    assert (np.diff(grid.returns[0].mean(axis=-1), axis=1) < 0).all()
