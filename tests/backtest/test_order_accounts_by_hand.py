"""What each kind of account may buy, when sales are paid and what borrowing costs, worked out on paper."""

import datetime as dt

import pytest
from tests.backtest.test_order_actions_by_hand import flat_market, order

from project01.backtest import Account, OrderBook, OrderExecution, run_orders


def run(prices, orders, account, cash=1000.0):
    execution = OrderExecution(bars_until_delisted=None)
    return run_orders(
        flat_market(prices, []), OrderBook.of(orders), [], initial_cash=cash, account=account, execution=execution
    )


@pytest.mark.parametrize(("days", "bought_on"), [(0, 3), (1, 3), (2, 4)])
def test_a_cash_account_spends_a_sale_once_it_settled(days, bought_on):
    # 100 shares at 10 bought on day 1 with all cash, sold on day 2; B is wanted from day 2 on.
    prices = [[10.0, 10.0]] * 6
    wants = order(100.0, decided=1, symbol="B", time_in_force="good_till_cancelled", rest="wait")
    result = run(prices, [order(100.0), order(-100.0, decided=1), wants], Account("cash", settlement_days=days))
    # With no delay the sale still pays for nothing in its own moment: B is bought a day later.
    assert result.fills.select("order", "quantity").rows() == [(0, 100.0), (1, -100.0), (2, 100.0)]
    assert result.settled_cents.tolist()[2] == (100_000 if days == 0 else 0)
    assert result.cash_cents.tolist() == [100_000, 0] + [100_000] * (bought_on - 2) + [0] * (6 - bought_on)


def test_a_cash_account_sells_no_more_than_it_holds():
    result = run([[10.0]] * 4, [order(10.0), order(-15.0, decided=1), order(-1.0, decided=2)], Account("cash"))
    assert result.fills["quantity"].to_list() == [10.0, -10.0]
    assert result.unfilled.select("order", "remaining", "reason").rows() == [
        (1, -5.0, "nothing to sell"),
        (2, -1.0, "nothing to sell"),
    ]


def test_regulation_t_lends_half():
    # 1000.00 buy at most 2000.00 of shares. 300 x 10 = 3000: half is 1500.00 needed, 500.00 short, one order:
    # floor(1e6 x (150000 - 50000 - 1) / 150000) = 666660 millionths: 199.998 shares.
    # A cent of room is left, so a second order gets nothing.
    result = run([[10.0]] * 3, [order(300.0), order(1.0, decided=1)], Account("margin"))
    assert result.fills["quantity"].to_list() == [199.998]
    assert result.unfilled["reason"].to_list() == ["no buying power"] * 2
    assert result.cash_cents.tolist() == [100_000, -99_998, -99_998]
    # The same holds for a short: proceeds are no buying power.
    short = run([[10.0]] * 3, [order(-300.0)], Account("margin"))
    assert short.fills["quantity"].to_list() == [-199.998]
    assert short.equity_cents.tolist() == [100_000] * 3


def test_a_margin_call_cuts_each_position_at_the_next_open_and_cancels_orders():
    # 200 shares at 10.00 on 1000.00: debt 1000.00. At 6.00: equity 200.00 of 1200.00, below 300.00: a call.
    # Kept: floor(1e6 x 20000 / 30000) = 666666 millionths of 200 = 133.3332; 66.6668 are sold at 5.00: 333.33.
    prices = [[10.0], [10.0], [6.0], [5.0], [5.0]]
    waiting = order(-1.0, decided=1, kind="limit", limit=50.0, time_in_force="good_till_cancelled")
    result = run(prices, [order(200.0), waiting], Account("margin", settlement_days=0))
    assert result.margin_calls.astype("datetime64[D]").tolist() == [dt.date(2015, 1, 7), dt.date(2015, 1, 8)]
    forced = result.fills.filter(result.fills["reason"] == "margin call")
    assert forced.row(0)[2:6] == ("A", -66.6668, 5.0, -333.33)
    assert result.unfilled.select("order", "reason").rows() == [(1, "margin call")]
    # Equity 0 at 5.00: debt 666.67 against 666.666 of shares; all that is left goes at the next open.
    assert result.equity_cents.tolist() == [100_000, 100_000, 20_000, 0, 0]
    assert forced["quantity"].sum() == pytest.approx(-200.0)


def test_interest_and_borrow_fees_count_the_nights():
    # Monday to Tuesday is one night, Friday to Monday three. Short 50 x 10 = 500.00 from Tuesday on: 360 bps a year are
    # 500 x 0.036 / 360 = 0.05 a night. Cash less shorts is 1000.00: 72 bps earn 0.02 a night.
    account = Account("margin", credit_bps=72.0, debit_bps=720.0, borrow_bps={"A": 360.0})
    result = run([[10.0]] * 6, [order(-50.0)], account)
    assert result.borrow_cents.tolist() == [0, 0, 5, 5, 5, 15]
    assert result.interest_cents.tolist() == [0, -2, -2, -2, -2, -6]
    assert result.equity_cents.tolist() == [100_000, 100_002, 99_999, 99_996, 99_993, 99_984]
    # Long 200 x 10 on 1000.00: a debt of 1000.00 at 720 bps is 0.20 a night.
    debt = run([[10.0]] * 4, [order(200.0)], Account("margin", debit_bps=720.0))
    assert debt.interest_cents.tolist() == [0, 0, 20, 20]
