"""Sharpe ratios with the luck of all trials beside them; no other module makes one for the report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from project01.domain import FloatArray, NotEnoughDataError
from project01.evaluate import (
    SESSIONS_A_YEAR,
    TrialLedger,
    annual_sharpe,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    sharpe_per_session,
)
from project01.pipelines.evidence import figure, plain, trial_scores
from project01.report import SharpeFigure


@dataclass(frozen=True)
class Luck:
    """What the best of all trials in a folder would show without skill.

    Attributes:
        trials: back-tests scored.
        effective: independent ones they amount to; None with fewer than two to compare.
        sharpe: ratio a session that the best is expected to show by luck.
        variance: of the trials' ratios a session.
    """

    trials: int
    effective: float | None
    sharpe: float
    variance: float

    @classmethod
    def of(cls, ledger: TrialLedger, score_name: str, returns: Sequence[FloatArray]) -> "Luck":
        """Luck of every back-test in the ledger.

        Args:
            ledger: with at least one back-test scored by that name.
            score_name: which of the scores.
            returns: of this run's back-tests, by session; their mean correlation stands for that of all trials.
        """
        scores = trial_scores(ledger, score_name)
        variance = float(scores.var(ddof=1)) if len(scores) > 1 else 0.0
        count = max(len(scores), 1)
        return cls(count, _effective(returns, count), expected_maximum_sharpe(count, variance), variance)

    @property
    def annual(self) -> float:
        """The ratio expected by luck, a year."""
        return self.sharpe * math.sqrt(SESSIONS_A_YEAR)

    def deflated(self, returns: FloatArray) -> float | None:
        """Deflated Sharpe ratio of a series; None for one that does not move or has missing sessions."""
        if len(returns) < 2 or not np.isfinite(returns).all() or float(returns.std()) == 0:
            return None
        shape = moments(returns)
        return plain(deflated_sharpe(sharpe_per_session(returns), len(returns), *shape, self.trials, self.variance))

    def figure(self, returns: FloatArray) -> SharpeFigure:
        """The Sharpe ratio of a series of returns by session, with its error and the luck beside it."""
        daily, shape = sharpe_per_session(returns), moments(returns)
        try:
            found = figure(annual_sharpe(returns)).model_dump()
        except NotEnoughDataError as error:
            found = {"value": None, "n": len(returns), "method": str(error)}
        return SharpeFigure(
            **found, trials=self.trials, effective_trials=self.effective, deflated_sharpe=self.deflated(returns),
            expected_best_by_luck=plain(self.annual),
            probabilistic_sharpe=plain(probabilistic_sharpe(daily, 0.0, len(returns), *shape)),
            min_track_record_sessions=plain(minimum_track_record(daily, 0.0, *shape, 0.95)),
        )  # fmt: skip


def _effective(returns: Sequence[FloatArray], trials: int) -> float | None:
    """Independent trials that `trials` amount to, if all are correlated as these are on average."""
    columns = np.column_stack(returns)
    if columns.shape[1] < 2 or len(columns) < 2:
        return None
    count = columns.shape[1]
    correlation = (count - effective_trials(columns)) / (count - 1)
    return float(correlation + (1.0 - correlation) * trials)
