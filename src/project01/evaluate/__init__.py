"""Pure evaluation: splits, metrics with errors, overfitting statistics, trials, look-ahead audit, verdict."""

from project01.evaluate.estimate import CONFIDENCE, Estimate, mean_newey_west
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
from project01.evaluate.holdout import OPENED, SEALED, Holdout, first_sealed, holdout_of, opening, sealing
from project01.evaluate.ledger import LEDGER_SCHEMA, Trial, TrialLedger, digest_of_returns
from project01.evaluate.lookahead import CHANGES, Leak, audit_lookahead, cut_times, perturb
from project01.evaluate.null_checks import profit_p_value, shuffle_labels
from project01.evaluate.overfitting import (
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_error,
)
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
from project01.evaluate.relative import Relative, relative
from project01.evaluate.splits import Fold, WalkForward
from project01.evaluate.verdict import Evidence, Verdict, judge

__all__ = [
    "CHANGES",
    "CONFIDENCE",
    "FEWEST_SESSIONS",
    "LEDGER_SCHEMA",
    "OPENED",
    "SEALED",
    "SESSIONS_A_YEAR",
    "Drawdown",
    "Estimate",
    "Evidence",
    "Fold",
    "Holdout",
    "Leak",
    "Performance",
    "Relative",
    "Trial",
    "TrialLedger",
    "Verdict",
    "WalkForward",
    "annual_mean",
    "annual_sharpe",
    "audit_lookahead",
    "calibration",
    "coverage",
    "cut_times",
    "deflated_sharpe",
    "digest_of_returns",
    "effective_trials",
    "expected_maximum_sharpe",
    "first_sealed",
    "group_returns",
    "hit_rate",
    "holdout_of",
    "ic_by_time",
    "information_coefficient",
    "judge",
    "max_drawdown",
    "mean_newey_west",
    "minimum_track_record",
    "moments",
    "opening",
    "performance",
    "perturb",
    "pinball_loss",
    "probabilistic_sharpe",
    "profit_p_value",
    "relative",
    "scored",
    "sealing",
    "sharpe_error",
    "sharpe_per_session",
    "shuffle_labels",
]
