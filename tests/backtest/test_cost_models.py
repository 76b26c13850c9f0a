"""Costs against published examples and a plain formula."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from tests.effort import examples

from project01.backtest import Commission, CostTerms, Impact, Slippage, retail_costs, run_backtest, total_cost
from project01.domain import InputError

EACH = np.array


def test_commission_matches_the_brokers_published_examples():
    """Interactive Brokers, US stocks, fixed: 100 shares at 25 cost 1.00, 1,000 at 25 cost 5.00, 1,000 at 0.25 2.50."""
    broker = Commission(per_share=0.005, minimum=1.0, maximum_bps=100.0)
    found = broker.cost(EACH([100.0, 1000.0, 1000.0, -1000.0, 0.0]), EACH([25.0, 25.0, 0.25, 25.0, 25.0]))
    assert found.tolist() == pytest.approx([1.0, 5.0, 2.5, 5.0, 0.0], abs=1e-12)


def test_impact_by_hand():
    # 10 bps for 10,000: an order of 40,000 pays 20 bps by the root, 40 bps in proportion: 80 and 160.
    assert Impact(10, 10_000).cost(EACH([400.0]), EACH([100.0])).tolist() == pytest.approx([80.0])
    assert Impact(10, 10_000, "linear").cost(EACH([-400.0]), EACH([100.0])).tolist() == pytest.approx([160.0])


def test_parts_add_up_and_none_cost_nothing():
    quantity, price = EACH([100.0, -5.0]), EACH([10.0, 3.0])
    parts = [Slippage(10), Commission(bps=5, minimum=1.0)]
    assert total_cost(parts, quantity, price).tolist() == pytest.approx([1.0 + 1.0, 0.015 + 1.0])
    assert total_cost([], quantity, price).tolist() == [0.0, 0.0]


def test_retail_preset_charges_a_small_order_its_minimum():
    # 10 shares at 50: the least of 1.00, under its cap of 1 % = 5.00; 5 bps of 500 = 0.25.
    assert total_cost(retail_costs(), EACH([10.0]), EACH([50.0])).tolist() == pytest.approx([1.25])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Commission(per_share=-0.1),
        lambda: Commission(maximum_bps=-1.0),
        lambda: Slippage(float("nan")),
        lambda: Slippage(float("inf")),
        lambda: Impact(-1.0, 100.0),
        lambda: Impact(1.0, 0.0),
    ],
)
def test_a_cost_that_could_pay_the_trader_is_refused(make):
    with pytest.raises(InputError):
        make()


class Turnstile:
    """A user's own model: so many USD an order."""

    name = "turnstile"

    def __init__(self, dollars: float) -> None:
        self.dollars = dollars

    def terms(self) -> CostTerms:
        return CostTerms(minimum=self.dollars)

    def cost(self, quantity, price):  # noqa: ARG002
        return np.where(np.asarray(quantity) == 0, 0.0, self.dollars)


def test_an_own_model_works_through_the_protocol(make_market, make_targets):
    market = make_market(close=[[10.0], [10.0]])
    result = run_backtest(market, make_targets(market, {0: [0.5]}), [Turnstile(2.5)], initial_cash=100.0)
    assert result.trades["cost_turnstile"].to_list() == [2.5]
    assert result.equity_cents.tolist() == [10_000, 9_750]


@given(
    quantity=st.floats(-1e5, 1e5).filter(lambda q: abs(q) > 1e-3),
    price=st.floats(1.0, 1e3),
    rates=st.tuples(*[st.floats(0, 50)] * 3),
    root=st.booleans(),
)
@settings(max_examples=examples(80), deadline=None, derandomize=True)
def test_the_ledger_charges_what_cost_says_to_the_cent(make_market, make_targets, quantity, price, rates, root):
    """One formula, compiled and not: what a fill is charged equals `cost` within the rounding of value and fee."""
    models = [
        Commission(per_share=rates[0] / 100, bps=rates[1], minimum=rates[2], maximum_bps=500.0),
        Impact(rates[1], 5_000.0, "square_root" if root else "linear"),
    ]
    market = make_market(close=[[price], [price]])
    cash = round(max(abs(quantity) * price * 4, 10_000.0), 2)
    weight = np.clip(quantity * price / cash, -1, 1) * 0.9
    result = run_backtest(market, make_targets(market, {0: [weight]}), models, initial_cash=cash)
    trade = result.trades
    if trade.is_empty():
        return
    for model in models:
        said = model.cost(trade["quantity"].to_numpy(), trade["price"].to_numpy())
        assert trade[f"cost_{model.name}"].to_numpy() == pytest.approx(said, abs=0.0062, rel=1e-6)
        assert (trade[f"cost_{model.name}"] >= 0).all()
