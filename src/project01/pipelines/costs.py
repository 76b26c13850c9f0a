"""What the settings say trading costs, as parts the back-test charges and as words the report shows."""

from project01.backtest import Commission, CostModel, Slippage, institutional_costs, retail_costs
from project01.settings import CostSettings

PRESETS: dict[str, tuple[CostModel, ...]] = {"retail": retail_costs(), "institutional": institutional_costs()}


def cost_models(costs: CostSettings) -> tuple[CostModel, ...]:
    """The cost parts the settings ask for."""
    if costs.preset in PRESETS:
        return PRESETS[costs.preset]
    return (
        Commission(bps=costs.commission_bps, minimum=costs.commission_min_usd),
        Slippage(bps=costs.slippage_bps),
    )


def cost_words(costs: CostSettings) -> list[str]:
    """The same in words."""
    if costs.preset in PRESETS:
        return [f"{costs.preset} preset", *(_part_words(part) for part in PRESETS[costs.preset])]
    least = f", at least {costs.commission_min_usd:g} USD an order" if costs.commission_min_usd else ""
    return [
        f"commission {costs.commission_bps:g} bps of value traded{least}",
        f"slippage {costs.slippage_bps:g} bps of value traded",
    ]


def _part_words(part: CostModel) -> str:
    terms, said = part.terms(), []
    if terms.per_share:
        said.append(f"{terms.per_share:g} USD a share")
    if terms.bps:
        said.append(f"{terms.bps:g} bps of value traded")
    if terms.impact_bps:
        growth = "with the root of" if terms.square_root else "in proportion to"
        said.append(f"{terms.impact_bps:g} bps for an order of {terms.impact_at:,.0f} USD, growing {growth} its size")
    if terms.minimum:
        said.append(f"at least {terms.minimum:g} USD an order")
    return f"{part.name.replace('_', ' ')} {', '.join(said)}"


def linear_bps(costs: CostSettings) -> float:
    """What a small change of weight costs, basis points of value traded; fees by share or order are left out."""
    return sum(part.terms().bps for part in cost_models(costs))
