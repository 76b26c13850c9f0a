"""Levies, and the presets against the schedules and formulas they cite."""

import numpy as np
import pytest

from project01.backtest import Levy, institutional_costs, retail_costs, total_cost, us_sale_levies

EACH = np.array


def test_a_levy_is_paid_on_its_side_up_to_its_maximum():
    quantity, price = EACH([100.0, -100.0, -0.0]), EACH([10.0, 10.0, 10.0])
    assert Levy("sale", bps=50.0).cost(quantity, price).tolist() == [0.0, 5.0, 0.0]
    assert Levy("buy", per_share=1.0, maximum=7.0).cost(quantity, price).tolist() == [7.0, 0.0, 0.0]
    assert Levy("both", bps=50.0).cost(quantity, price).tolist() == [5.0, 5.0, 0.0]


def test_the_regulators_fees_on_a_sale():
    # 10,000 shares at 50: 500,000 x 20.60 / 1e6 = 10.30; 10,000 x 0.000195 = 1.95. 100,000 shares: 19.50, at most 9.79.
    fees = {part.name: part.cost(EACH([-1e4, 1e4, -1e5]), EACH([50.0, 50.0, 1.0])) for part in us_sale_levies()}
    assert fees["sec_fee"].tolist() == pytest.approx([10.30, 0.0, 2.06])
    assert fees["finra_taf"].tolist() == pytest.approx([1.95, 0.0, 9.79])


def test_the_institutional_commission_is_the_brokers_schedule():
    commission = institutional_costs()[0]
    # 1,000 shares at 25: 3.50; 10 shares: the least, 0.35; 100 shares at 0.25: 1 % of 25.00.
    found = commission.cost(EACH([1000.0, -10.0, 100.0]), EACH([25.0, 25.0, 0.25]))
    assert found.tolist() == pytest.approx([3.5, 0.35, 0.25])


def test_the_institutional_impact_is_the_published_formula_at_a_tenth_of_volume():
    volume = 250e6
    temporary = 0.142 * 157 * 0.1**0.6
    permanent = 0.314 * 157 * 0.1 * 263**0.25
    impact = institutional_costs(volume)[2]
    bps = impact.cost(EACH([1e6]), EACH([25.0])) / 25e6 * 1e4
    assert bps == pytest.approx(temporary + permanent / 2, abs=0.6)
    quarter = impact.cost(EACH([250_000.0]), EACH([25.0])) / 6.25e6 * 1e4
    assert quarter == pytest.approx(bps / 2)


def test_parts_of_the_presets_add_up_and_a_large_account_pays_less_on_small_orders():
    quantity, price = EACH([100.0, -40_000.0]), EACH([50.0, 50.0])
    parts = [*institutional_costs(), *us_sale_levies()]
    by_hand = sum(part.cost(quantity, price) for part in parts)
    assert total_cost(parts, quantity, price).tolist() == by_hand.tolist()
    assert total_cost(parts, quantity, price)[0] < total_cost(retail_costs(), quantity, price)[0]
