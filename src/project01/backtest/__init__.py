"""Target weights in; fills at the next tradable price, cash and positions to the cent, costs by part."""

from project01.backtest.account import Account, AccountKind, OrderExecution
from project01.backtest.constructed import Constructed, constructed_targets, momentum_signal
from project01.backtest.costs import (
    Commission,
    CostModel,
    Impact,
    Levy,
    Slippage,
    institutional_costs,
    retail_costs,
    total_cost,
    us_sale_levies,
)
from project01.backtest.covariance import ledoit_wolf_covariance, trailing_betas
from project01.backtest.engine import Execution, run_backtest
from project01.backtest.ledger_tables import CostTerms
from project01.backtest.limits import Limits
from project01.backtest.market import Market, index_market, market_from_bars
from project01.backtest.optimised import (
    BlackLitterman,
    MeanVariance,
    MinimumVariance,
    RiskParity,
    black_litterman,
    risk_parity_weights,
)
from project01.backtest.order_engine import OrderLedger, run_orders
from project01.backtest.order_result import OrderResult
from project01.backtest.order_targets import orders_from_targets
from project01.backtest.orders import Order, OrderBook
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
from project01.backtest.ranked import InverseVolatility, RankWeighted, SameForAll, TopK
from project01.backtest.raw_bars import raw_market_from_bars
from project01.backtest.raw_market import RawMarket
from project01.backtest.result import BacktestResult
from project01.backtest.sensitivity import COST_BPS, DELAY_BARS, Frontier, break_even, frontier
from project01.backtest.targets import TargetWeights
from project01.backtest.tear_sheet_holdings import (
    Exposure,
    Holdings,
    exposure,
    holdings,
    profit_by_group,
    profit_by_symbol,
)
from project01.backtest.tear_sheet_trips import round_trips
from project01.backtest.view import Construction, Decision, View

__all__ = [
    "COST_BPS",
    "DELAY_BARS",
    "Account",
    "AccountKind",
    "BacktestResult",
    "BlackLitterman",
    "Commission",
    "Constructed",
    "Construction",
    "CostModel",
    "CostTerms",
    "Decision",
    "EqualWeight",
    "Every",
    "Execution",
    "Exposure",
    "Frontier",
    "Holdings",
    "Impact",
    "InverseVolatility",
    "Levy",
    "Limits",
    "LongShortRank",
    "Market",
    "MeanVariance",
    "MinimumVariance",
    "Monthly",
    "Order",
    "OrderBook",
    "OrderExecution",
    "OrderLedger",
    "OrderResult",
    "RankWeighted",
    "RawMarket",
    "RiskParity",
    "SameForAll",
    "Schedule",
    "Signal",
    "Slippage",
    "TargetWeights",
    "TopK",
    "TopQuantile",
    "View",
    "WeightRule",
    "black_litterman",
    "break_even",
    "constructed_targets",
    "equal_weight_targets",
    "exposure",
    "frontier",
    "hold_targets",
    "holdings",
    "index_market",
    "institutional_costs",
    "ledoit_wolf_covariance",
    "market_from_bars",
    "momentum_signal",
    "orders_from_targets",
    "overlapping_targets",
    "profit_by_group",
    "profit_by_symbol",
    "raw_market_from_bars",
    "rebalanced_targets",
    "retail_costs",
    "risk_parity_weights",
    "round_trips",
    "run_backtest",
    "run_orders",
    "signal_from_forecast",
    "total_cost",
    "trailing_betas",
    "us_sale_levies",
]
