"""Target weights in; fills at the next tradable price, cash and positions to the cent, costs by part."""

from project01.backtest.costs import (
    Commission,
    CostModel,
    Impact,
    Slippage,
    retail_costs,
    total_cost,
)
from project01.backtest.engine import Execution, run_backtest
from project01.backtest.ledger import CostTerms
from project01.backtest.market import Market, index_market, market_from_bars
from project01.backtest.portfolio import (
    EqualWeight,
    Every,
    LongShortRank,
    Monthly,
    Schedule,
    Signal,
    TopQuantile,
    WeightRule,
    equal_weight_targets,
    hold_targets,
    overlapping_targets,
    rebalanced_targets,
    signal_from_forecast,
)
from project01.backtest.result import BacktestResult
from project01.backtest.sensitivity import Sensitivity, cost_and_delay
from project01.backtest.targets import TargetWeights

__all__ = [
    "BacktestResult",
    "Commission",
    "CostModel",
    "CostTerms",
    "EqualWeight",
    "Every",
    "Execution",
    "Impact",
    "LongShortRank",
    "Market",
    "Monthly",
    "Schedule",
    "Sensitivity",
    "Signal",
    "Slippage",
    "TargetWeights",
    "TopQuantile",
    "WeightRule",
    "cost_and_delay",
    "equal_weight_targets",
    "hold_targets",
    "index_market",
    "market_from_bars",
    "overlapping_targets",
    "rebalanced_targets",
    "retail_costs",
    "run_backtest",
    "signal_from_forecast",
    "total_cost",
]
