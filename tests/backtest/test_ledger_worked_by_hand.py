"""Backtests small enough to work out on paper; every figure asserted stands in a comment with its sum."""

import datetime as dt

import numpy as np
import pytest

from project01.backtest import Commission, Execution, Slippage, TargetWeights, hold_targets, index_market, run_backtest
from project01.domain import DataError, InputError

NAN = float("nan")


def test_buy_and_sell_with_costs_and_too_little_cash(make_market, make_targets):
    market = make_market(close=[[10.0], [10.2], [10.3]], fill=[[9.9], [10.1], [10.3]])
    targets = make_targets(market, {0: [1.0], 1: [0.0]})
    result = run_backtest(market, targets, [Slippage(10)], initial_cash=1000.0)
    # Close of day 0: 1000.00 / 10.00 = 100 shares. Open of day 1: 1010.00 + 1.01 = 1011.01, 11.01 short, one order.
    # Scale: floor(1e6 x (101101 - 1101 - 1) / 101101) = 989100 millionths, so 98.91 shares:
    # 98.91 x 10.10 = 998.991 -> 998.99; 10 bps = 0.99899 -> 1.00; cash 1000.00 - 999.99 = 0.01.
    # Close of day 1: 98.91 x 10.20 = 1008.882 -> 1008.88; equity 1008.89.
    # Open of day 2: 98.91 x 10.30 = 1018.773 -> 1018.77; 10 bps = 1.01877 -> 1.02; cash 0.01 + 1017.75 = 1017.76.
    assert result.cash_cents.tolist() == [100000, 1, 101776]
    assert result.equity_cents.tolist() == [100000, 100889, 101776]
    assert result.cost_cents.tolist() == [[0], [100], [102]]
    assert result.traded_cents.tolist() == [0, 99899, 101877]
    assert result.trades.rows() == [
        (dt.date(2015, 1, 6), "S00", 98.91, 10.1, 998.99, 1.0, "target, cut to cash"),
        (dt.date(2015, 1, 7), "S00", -98.91, 10.3, -1018.77, 1.02, "target"),
    ]
    assert result.net_returns.tolist() == pytest.approx([0.00889, 1017.76 / 1008.89 - 1])
    assert result.gross_returns.tolist() == pytest.approx([1009.89 / 1000 - 1, 1018.78 / 1008.89 - 1])
    assert result.turnover.tolist() == pytest.approx([998.99 / 2 / 1000, 1018.77 / 2 / 1008.89])
    assert result.positions.is_empty()


def test_short_sale_and_cover(make_market, make_targets):
    market = make_market(close=[[20.0], [22.0], [24.0]], fill=[[20.0], [20.0], [24.0]])
    result = run_backtest(market, make_targets(market, {0: [-0.5], 1: [0.0]}), [], initial_cash=1000.0)
    # -500 / 20 = -25 shares sold at 20: cash 1500; at 22 they owe 550: equity 950; covered at 24 for 600: cash 900.
    assert result.cash_cents.tolist() == [100000, 150000, 90000]
    assert result.equity_cents.tolist() == [100000, 95000, 90000]
    assert "Short positions paid no borrowing fee, and cash earned no interest." in result.notes


def test_an_order_on_a_missing_bar_is_refused_and_forgotten(make_market, make_targets):
    market = make_market(close=[[10.0, 5.0], [NAN, 5.0], [10.0, 5.0], [10.0, 5.0]])
    result = run_backtest(market, make_targets(market, {0: [0.5, 0.5]}), [], initial_cash=100.0)
    assert result.refused.rows() == [(dt.date(2015, 1, 6), "S00", "no bar")]
    # Only S01: 50 / 5 = 10 shares. S00 is never bought, since no decision follows.
    assert result.positions.rows() == [("S01", 10.0, 5.0, 50.0)]
    assert "1 order(s) refused, no bar: dropped until the next decision." in result.notes


def test_a_bar_without_an_open_cannot_be_filled(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0], [10.0]], fill=[[10.0], [NAN], [10.0]])
    result = run_backtest(market, make_targets(market, {0: [1.0]}), [], initial_cash=100.0)
    assert result.trades.is_empty()
    assert result.refused["reason"].to_list() == ["no bar"]


def test_a_name_without_a_price_so_far_is_refused(make_market, make_targets):
    market = make_market(close=[[10.0, NAN], [10.0, NAN], [10.0, 3.0]])
    result = run_backtest(market, make_targets(market, {0: [0.5, 0.5]}), [], initial_cash=100.0)
    assert result.refused.rows() == [(dt.date(2015, 1, 5), "S01", "no price yet")]


def test_delisted_names_are_sold_at_the_last_close_and_said_so(make_market, make_targets):
    close = [[10.0, 4.0], [10.0, 4.0], [10.0, 3.0], [10.0, NAN], [10.0, NAN], [10.0, NAN]]
    market = make_market(close)
    execution = Execution(sessions_until_delisted=2)
    targets = make_targets(market, {0: [0.5, 0.4]})
    result = run_backtest(market, targets, [Slippage(100)], initial_cash=100.0, execution=execution)
    # Day 1: S00 5 shares, 50.00 + 0.50; S01 10 shares, 40.00 + 0.40; cash 9.10. Day 2: equity 9.10 + 50 + 30 = 89.10.
    # Days 3 and 4 have no bar of S01; on day 4, the second, 10 shares go at 3.00: 30.00 - 0.30; cash 38.80.
    assert result.cash_cents.tolist() == [10000, 910, 910, 910, 3880, 3880]
    assert result.equity_cents.tolist() == [10000, 9910, 8910, 8910, 8880, 8880]
    assert result.trades.row(2)[:2] == (dt.date(2015, 1, 9), "S01")
    assert result.trades["reason"].to_list() == ["target", "target", "delisted"]
    assert result.notes[0] == (
        "S01 had no more bars: position of +30.00 USD closed on 2015-01-09 at its last close, 3.0000."
    )


def test_a_short_gap_is_no_delisting_and_a_hole_in_the_whole_market_is_none(make_market, make_targets):
    close = [[10.0, 4.0], [10.0, 4.0], [NAN, NAN], [NAN, NAN], [10.0, NAN], [10.0, 4.0]]
    market = make_market(close)
    execution = Execution(sessions_until_delisted=2)
    result = run_backtest(market, make_targets(market, {0: [0.5, 0.5]}), [], initial_cash=100.0, execution=execution)
    assert result.trades["reason"].to_list() == ["target", "target"]
    assert result.equity_cents.tolist() == [10000] * 6


def test_held_without_a_bar_at_the_end_is_noted(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0], [NAN]])
    result = run_backtest(market, make_targets(market, {0: [1.0]}), [], initial_cash=100.0)
    assert result.equity_cents.tolist() == [10000] * 3
    assert "Held at the end without a bar in the last session, valued at the last close: S00." in result.notes


def test_volume_caps_the_order_and_zero_volume_refuses_it(make_market, make_targets):
    market = make_market(close=[[10.0, 10.0]] * 4, volume=[[100, 100], [40, 0], [NAN, 40], [100, 100]])
    targets = make_targets(market, {0: [0.5, 0.5], 1: [0.5, 0.5]})
    execution = Execution(volume_share=0.1)
    result = run_backtest(market, targets, [], initial_cash=1000.0, execution=execution)
    # Day 1: a tenth of 40 is 4 of the 50 shares wanted; nothing of S01. Day 2: volume of S00 unknown, so the 46 left;
    # a tenth of 40 is 4 of S01.
    assert result.trades.select("symbol", "quantity", "reason").rows() == [
        ("S00", 4.0, "target, cut to volume"),
        ("S00", 46.0, "target"),
        ("S01", 4.0, "target, cut to volume"),
    ]
    assert result.refused["reason"].to_list() == ["no volume"]


def test_smallest_order_holds_back_dust_but_not_a_close(make_market, make_targets):
    market = make_market(close=[[10.0]] * 6)
    targets = make_targets(market, {0: [0.50], 1: [0.505], 2: [0.001], 3: [0.0]})
    result = run_backtest(market, targets, [], initial_cash=1000.0, execution=Execution(smallest_order=10.0))
    # 500, then 5 more held back, then down to 1 (499 sold), then the last 1 sold although worth less than 10.
    assert result.trades["value"].to_list() == [500.0, -499.0, -1.0]


def test_ruin_closes_everything_and_returns_end(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0], [40.0], [40.0], [40.0]])
    targets = make_targets(market, {0: [-1.0], 2: [-1.0], 3: [0.5]})
    result = run_backtest(market, targets, [], initial_cash=100.0)
    # Short 10 shares at 10: cash 200; at 40 they owe 400: equity -200. Covered at 40: cash -200, and nothing after.
    assert result.equity_cents.tolist() == [10000, 10000, -20000, -20000, -20000]
    assert result.positions.is_empty()
    assert result.net_returns.tolist()[:2] == [0.0, -3.0]
    assert np.isnan(result.net_returns[2:]).all()
    assert any(note.startswith("Equity fell to zero or below on 2015-01-07") for note in result.notes)


def test_long_bought_from_short_covers_in_full_and_opens_what_cash_allows(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0], [10.0]], fill=[[10.0], [10.0], [12.0]])
    result = run_backtest(market, make_targets(market, {0: [-0.5], 1: [1.0]}), [], initial_cash=100.0)
    # Short 5 at 10: cash 150. Wanted: 10 long, so buy 15 at 12 = 180; covering 5 takes 60, the other 10 want 120 of 90:
    # 30.00 short, one order: floor(1e6 x (12000 - 3000 - 1) / 12000) = 749916 -> 7.49916 shares, 12.49916 in all:
    # 12.49916 x 12 = 149.98992 -> 149.99.
    assert result.trades["quantity"].to_list() == [-5.0, 12.49916]
    assert result.cash_cents.tolist() == [10000, 15000, 1]


def test_minimum_commission_cuts_further_until_cash_suffices(make_market, make_targets):
    market = make_market(close=[[10.0, 10.0]] * 2)
    costs = [Commission(minimum=5.0)]
    result = run_backtest(market, make_targets(market, {0: [0.5, 0.5]}), costs, initial_cash=100.0)
    assert result.cost_cents[1].tolist() == [1000]
    assert 0 <= result.cash_cents[1] < 100


def test_index_bought_and_held_earns_the_index():
    days = np.array(["2015-01-02", "2015-01-05", "2015-01-06", "2015-01-07"], dtype="datetime64[D]")
    market = index_market("index", days, np.array([99.0, 100.0, 100.0, 110.0]), days[1:])
    result = run_backtest(market, hold_targets(market, market.sessions), [], initial_cash=1000.0)
    assert result.equity_cents.tolist() == [100000, 100000, 110000]
    assert result.fill_kind == "close"
    with pytest.raises(InputError, match="no level on 2014-12-31"):
        index_market("index", days, np.full(4, 1.0), np.array(["2014-12-31"], dtype="datetime64[D]"))


def test_the_backtest_starts_at_the_first_target_session(make_market):
    market = make_market(close=[[10.0], [11.0], [12.0], [12.0]])
    targets = TargetWeights(market.sessions[2:3], market.symbols, np.array([[1.0]]))
    result = run_backtest(market, targets, [], initial_cash=120.0)
    assert result.sessions.tolist() == market.sessions[2:].tolist()
    assert result.positions["quantity"].to_list() == [10.0]


def test_frame_has_a_row_a_session(make_market, make_targets):
    market = make_market(close=[[10.0], [11.0]])
    frame = run_backtest(market, make_targets(market, {0: [0.0]}), [Slippage(1)], initial_cash=10.0).frame()
    assert frame.columns == ["session", "equity", "cash", "net_return", "gross_return", "turnover", "cost_slippage"]
    assert frame.rows() == [
        (dt.date(2015, 1, 5), 10.0, 10.0, None, None, None, 0.0),
        (dt.date(2015, 1, 6), 10.0, 10.0, 0.0, 0.0, 0.0, 0.0),
    ]


@pytest.mark.parametrize("cash", [0.0, -1.0, NAN, 2e9])
def test_cash_out_of_range_is_refused(make_market, make_targets, cash):
    market = make_market(close=[[10.0], [11.0]])
    with pytest.raises(InputError, match="initial_cash"):
        run_backtest(market, make_targets(market, {0: [0.0]}), [], initial_cash=cash)


def test_arguments_that_do_not_fit_are_refused(make_market, make_targets):
    market = make_market(close=[[10.0], [11.0]])
    targets = make_targets(market, {0: [1.0]})
    with pytest.raises(InputError, match="look-ahead"):
        run_backtest(market, targets, [], initial_cash=1.0, delay_bars=-1)
    with pytest.raises(InputError, match="no volume"):
        run_backtest(market, targets, [], initial_cash=1.0, execution=Execution(volume_share=0.1))
    with pytest.raises(InputError, match="distinct names"):
        run_backtest(market, targets, [Slippage(1), Slippage(2)], initial_cash=1.0)
    with pytest.raises(InputError, match="ZZZ"):
        run_backtest(market, TargetWeights(market.sessions, ("ZZZ",), targets.weights), [], initial_cash=1.0)
    stranger = np.array(["2015-01-10"], dtype="datetime64[D]")
    with pytest.raises(InputError, match="no session of the market"):
        run_backtest(market, TargetWeights(stranger, market.symbols, np.ones((1, 1))), [], initial_cash=1.0)
    for bad in ({"sessions_until_delisted": 0}, {"volume_share": 0.0}, {"smallest_order": -1.0}):
        with pytest.raises(InputError):
            Execution(**bad)


def test_a_book_too_large_for_cents_stops_with_an_error(make_market, make_targets):
    market = make_market(close=[[1.0], [1.0], [1000.0]])
    with pytest.raises(DataError, match="2015-01-07"):
        run_backtest(market, make_targets(market, {0: [1.0]}), [], initial_cash=1e9)


def test_a_session_that_trades_more_than_doubles_count_stops_with_an_error(make_market, make_targets):
    market = make_market(close=[[1.0, 1.0]] * 2, fill=[[NAN, NAN], [1e9, 1e9]])
    # 500,000 shares bought and sold at a price of 1e9: 5e16 cents each way, though equity comes back to 1e6.
    with pytest.raises(DataError, match="2015-01-06, or its trades"):
        run_backtest(market, make_targets(market, {0: [0.5, -0.5]}), [], initial_cash=1e6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0.6, 0.6]], "1.2"),
        ([[3.0, -2.5]], "5.5"),
        ([[NAN, 1.0]], "NaN"),
        ([[np.inf, 0.0]], "infinity"),
        ([[1.0]], "shape"),
    ],
)
def test_target_weights_refuse_what_cannot_be_traded(weights, message):
    with pytest.raises(InputError, match=message):
        TargetWeights(np.array(["2015-01-05"], dtype="datetime64[D]"), ("A", "B"), np.array(weights))
