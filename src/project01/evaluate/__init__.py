"""Pure evaluation: splits, metrics with errors, overfitting statistics, trials, look-ahead audit, verdict."""

from project01.evaluate.annualisation import aggregation_factor, annualisation_factor
from project01.evaluate.calendar_returns import CalendarReturns, calendar_returns
from project01.evaluate.combinatorial import CombinatorialFold, CombinatorialPurged
from project01.evaluate.cscv import BacktestOverfitting, backtest_overfitting
from project01.evaluate.deflation import DeflatedSharpe, deflated_by_trials
from project01.evaluate.drawdowns import Fall, deepest_drawdowns
from project01.evaluate.estimate import (
    CONFIDENCE,
    Estimate,
    mean_newey_west,
    normal_estimate,
    plain_lag,
    ratio_newey_west,
)
from project01.evaluate.forecast_metrics import (
    calibration,
    coverage,
    group_returns,
    hit_rate,
    ic_by_time,
    information_coefficient,
    pinball_loss,
    scored,
)
from project01.evaluate.futures import CHANGES, Change, Tables, cut_times, perturb
from project01.evaluate.holdout import OPENED, SEALED, Holdout, first_sealed, holdout_of, opening, sealing
from project01.evaluate.ledger import LEDGER_SCHEMA, Trial, TrialLedger, digest_of_returns
from project01.evaluate.lookahead import Layer, LayerAudit, Leak, Outputs, audit_layer
from project01.evaluate.multiple_testing import discoveries, ic_discoveries, ic_p_values
from project01.evaluate.null_checks import profit_p_value, shuffle_labels
from project01.evaluate.overfitting import (
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_error,
)
from project01.evaluate.overlapping import mean_overlapping, overlapping_p_value
from project01.evaluate.performance import (
    FEWEST_SESSIONS,
    SESSIONS_A_YEAR,
    Drawdown,
    Performance,
    annual_mean,
    annual_sharpe,
    max_drawdown,
    moments,
    performance,
    sharpe_per_session,
)
from project01.evaluate.proportion import LEVEL, found_after, share_of, skill_p_value
from project01.evaluate.regimes import Regime, market_regimes, regime_mean
from project01.evaluate.relative import Relative, relative
from project01.evaluate.rolling import Rolling, RollingSharpe, rolling_beta, rolling_sharpe
from project01.evaluate.splits import Fold, WalkForward
from project01.evaluate.uniqueness import average_uniqueness, uniqueness_weights
from project01.evaluate.verdict import NEEDED_DEFLATED_SHARPE, Evidence, Verdict, judge
from project01.evaluate.worlds import ResampledBars, resampled_bars, resampled_returns

__all__ = [
    "CHANGES",
    "CONFIDENCE",
    "FEWEST_SESSIONS",
    "LEDGER_SCHEMA",
    "LEVEL",
    "NEEDED_DEFLATED_SHARPE",
    "OPENED",
    "SEALED",
    "SESSIONS_A_YEAR",
    "BacktestOverfitting",
    "CalendarReturns",
    "Change",
    "CombinatorialFold",
    "CombinatorialPurged",
    "DeflatedSharpe",
    "Drawdown",
    "Estimate",
    "Evidence",
    "Fall",
    "Fold",
    "Holdout",
    "Layer",
    "LayerAudit",
    "Leak",
    "Outputs",
    "Performance",
    "Regime",
    "Relative",
    "ResampledBars",
    "Rolling",
    "RollingSharpe",
    "Tables",
    "Trial",
    "TrialLedger",
    "Verdict",
    "WalkForward",
    "aggregation_factor",
    "annual_mean",
    "annual_sharpe",
    "annualisation_factor",
    "audit_layer",
    "average_uniqueness",
    "backtest_overfitting",
    "calendar_returns",
    "calibration",
    "coverage",
    "cut_times",
    "deepest_drawdowns",
    "deflated_by_trials",
    "deflated_sharpe",
    "digest_of_returns",
    "discoveries",
    "effective_trials",
    "expected_maximum_sharpe",
    "first_sealed",
    "found_after",
    "group_returns",
    "hit_rate",
    "holdout_of",
    "ic_by_time",
    "ic_discoveries",
    "ic_p_values",
    "information_coefficient",
    "judge",
    "market_regimes",
    "max_drawdown",
    "mean_newey_west",
    "mean_overlapping",
    "minimum_track_record",
    "moments",
    "normal_estimate",
    "opening",
    "overlapping_p_value",
    "performance",
    "perturb",
    "pinball_loss",
    "plain_lag",
    "probabilistic_sharpe",
    "profit_p_value",
    "ratio_newey_west",
    "regime_mean",
    "relative",
    "resampled_bars",
    "resampled_returns",
    "rolling_beta",
    "rolling_sharpe",
    "scored",
    "sealing",
    "share_of",
    "sharpe_error",
    "sharpe_per_session",
    "shuffle_labels",
    "skill_p_value",
    "uniqueness_weights",
]
