"""Positions, contributions and round trips, rebuilt from the trades, against the ledger and by hand."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.backtest import (
    Commission,
    Market,
    Slippage,
    TargetWeights,
    exposure,
    holdings,
    profit_by_group,
    profit_by_symbol,
    round_trips,
    run_backtest,
)
from project01.domain import DataError

COSTS = [Commission(minimum=1.0), Slippage(10.0)]


def drawn_case(seed: int, make_market, *, long_only: bool):
    """Prices that walk with bars missing, a name that ends early, decisions in half of the sessions."""
    random = np.random.default_rng(seed)
    sessions, names = 40, 6
    close = random.uniform(5, 200, names) * np.exp(np.cumsum(random.normal(0, 0.03, (sessions, names)), axis=0))
    fill = close * np.exp(random.normal(0, 0.01, close.shape))
    fill[random.random(close.shape) < 0.05] = np.nan
    close[random.random(close.shape) < 0.05] = np.nan
    close[20:, 0] = np.nan
    fill[np.isnan(close)] = np.nan
    weights = random.dirichlet(np.ones(names), sessions)
    if not long_only:
        weights *= random.choice([-1.0, 1.0], weights.shape)
    weights[:, random.random(names) < 0.3] = 0.0
    weights[random.random(sessions) < 0.5] = np.nan
    market = make_market(close, fill)
    return market, TargetWeights(market.sessions, market.symbols, weights)


@given(seed=st.integers(0, 2**31), long_only=st.booleans(), delay=st.integers(0, 2))
@settings(max_examples=examples(60), deadline=None, derandomize=True)
def test_contributions_and_round_trips_add_up_to_the_cent(make_market, seed, long_only, delay):
    market, targets = drawn_case(seed, make_market, long_only=long_only)
    result = run_backtest(market, targets, COSTS, initial_cash=100_000.0, delay_bars=delay)
    held = holdings(market, result)
    total = int(result.equity_cents[-1]) - 10_000_000
    np.testing.assert_array_equal(held.profit_cents.sum(axis=1)[1:], np.diff(result.equity_cents))
    assert sum(profit_by_symbol(held).values()) == total
    random = np.random.default_rng(seed)
    groups = pl.DataFrame(
        {
            "symbol": list(market.symbols) * 2,
            "group": random.choice(["A", "B", "C"], 12).tolist(),
            "session": [market.sessions[n].item() for n in random.integers(0, 40, 12)],
        }
    )
    assert sum(profit_by_group(held, groups, "none").values()) == total
    trips = round_trips(held)
    assert trips["profit_cents"].sum() == total
    assert trips["sessions"].sum() == np.count_nonzero(held.quantity)


def slow_trips(held) -> list[tuple[str, str, object, object, int]]:
    rows = []
    for name, quantity in zip(held.symbols, held.quantity.T, strict=True):
        start, side = None, 0
        for t, now in enumerate(np.sign(quantity)):
            if now != side:
                if side:
                    rows.append((name, "long" if side > 0 else "short", start, t, t - start))
                start, side = t, now
        if side:
            rows.append((name, "long" if side > 0 else "short", start, None, len(quantity) - start))
    return rows


@given(seed=st.integers(0, 2**31))
@settings(max_examples=examples(30), deadline=None, derandomize=True)
def test_round_trips_are_those_of_a_walk_through_the_positions(make_market, seed):
    market, targets = drawn_case(seed, make_market, long_only=False)
    held = holdings(market, run_backtest(market, targets, COSTS, initial_cash=100_000.0))
    day = [session.item() for session in held.sessions]
    expected = [(n, s, day[a], None if b is None else day[b], c) for n, s, a, b, c in slow_trips(held)]
    found = round_trips(held).drop("profit_cents").rows()
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_long_turned_short_by_hand(make_market, make_targets):
    """Bought at 100, turned at a fill of 110 with 30 USD of costs, closed at 99; each cent by hand."""
    close = np.array([[100.0], [100.0], [110.0], [110.0], [99.0], [99.0]])
    market = make_market(close, close)
    targets = make_targets(market, {0: [0.5], 1: [-0.5], 3: [0.0]})
    result = run_backtest(market, targets, [Commission(minimum=30.0)], initial_cash=100_000.0)
    # Session 1: buy 500 at 100. Decided at close 1: -0.5 x 99,970 / 100 = -499.85 shares, filled in session 2 at 110.
    held = holdings(market, result)
    trips = round_trips(held)
    assert trips["side"].to_list() == ["long", "short"]
    assert trips["sessions"].to_list() == [1, 2]
    assert trips["opened"].to_list() == [dt.date(2015, 1, 6), dt.date(2015, 1, 7)]
    assert trips["closed"].to_list() == [dt.date(2015, 1, 7), dt.date(2015, 1, 9)]
    # Long: 500 x 10 - 30 - 500/999.85 of the second 30 (15.00). Short: 499.85 x 11 - 15.00 - 30 for closing.
    assert trips["profit_cents"].to_list() == [500_000 - 3_000 - 1_500, 549_835 - 1_500 - 3_000]


def test_exposure_by_hand(make_market, make_targets):
    close = np.full((4, 3), 100.0)
    market = make_market(close, close)
    result = run_backtest(market, make_targets(market, {0: [0.5, -0.25, 0.0]}), [], initial_cash=1_000.0)
    found = exposure(holdings(market, result), result)
    assert found.gross.tolist() == [0.0, 0.75, 0.75, 0.75]
    assert found.net.tolist() == [0.0, 0.25, 0.25, 0.25]
    assert found.names.tolist() == [0, 2, 2, 2]
    assert found.largest.tolist() == [0.0, 0.5, 0.5, 0.5]


def test_an_industry_counts_from_the_day_it_was_known(make_market, make_targets):
    close = np.array([[100.0], [100.0], [110.0], [130.0]])
    market = make_market(close, close)
    held = holdings(market, run_backtest(market, make_targets(market, {0: [1.0]}), [], initial_cash=1_000.0))
    groups = pl.DataFrame(
        {"symbol": ["S00", "GONE"], "group": ["oil", "gas"], "session": [market.sessions[3].item()] * 2}
    )
    assert profit_by_group(held, groups, "not known") == {"oil": 20_000, "not known": 10_000}


def test_a_book_that_never_trades_has_no_round_trips(make_market, make_targets):
    market = make_market(np.full((4, 2), 100.0))
    result = run_backtest(market, make_targets(market, {0: [0.0, 0.0]}), COSTS, initial_cash=1_000.0)
    held = holdings(market, result)
    assert round_trips(held).is_empty()
    assert profit_by_symbol(held) == {}


def test_prices_other_than_those_traded_at_are_refused(make_market, make_targets):
    close = np.linspace(100, 120, 10)[:, None]
    market = make_market(close, close)
    result = run_backtest(market, make_targets(market, {0: [1.0]}), COSTS, initial_cash=1_000.0)
    other = Market(market.sessions, market.symbols, close * 1.01, close * 1.01)
    with pytest.raises(DataError, match="differ from the ledger's equity"):
        holdings(other, result)
