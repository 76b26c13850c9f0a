"""Costs of the settings: parts of one's own, or a broker's preset, and what the report says of them."""

from project01.backtest import institutional_costs, retail_costs
from project01.pipelines.costs import cost_models, cost_words, linear_bps
from project01.settings import CostSettings


def test_a_preset_takes_the_place_of_the_single_figures() -> None:
    assert cost_models(CostSettings(preset="retail", slippage_bps=99.0)) == retail_costs()
    assert cost_models(CostSettings(preset="institutional")) == institutional_costs()
    own = cost_models(CostSettings(commission_bps=2.0, slippage_bps=3.0))
    assert [(part.name, part.terms().bps) for part in own] == [("commission", 2.0), ("slippage", 3.0)]
    assert linear_bps(CostSettings(commission_bps=2.0, slippage_bps=3.0)) == 5.0
    assert linear_bps(CostSettings(preset="institutional")) == 1.0


def test_words_name_every_figure_that_is_charged() -> None:
    retail = cost_words(CostSettings(preset="retail"))
    assert retail == [
        "retail preset", "commission 0.005 USD a share, at least 1 USD an order", "slippage 5 bps of value traded",
    ]  # fmt: skip
    large = cost_words(CostSettings(preset="institutional"))
    assert "half spread 1 bps of value traded" in large
    assert "impact 15 bps for an order of 25,000,000 USD, growing with the root of its size" in large
