"""Sharpe ratios with the luck of all trials beside them; no other module makes one for the report."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, NotEnoughDataError
from project01.evaluate import (
    SESSIONS_A_YEAR,
    TrialLedger,
    annual_sharpe,
    backtest_overfitting,
    deflated_by_trials,
    expected_maximum_sharpe,
)
from project01.pipelines.claims import trial_returns
from project01.pipelines.evidence import BACKTEST, figure, plain
from project01.pipelines.workspace import Workspace
from project01.report import Figure, OverfittingPart, SharpeFigure

CSCV_BLOCKS = 16


@dataclass(frozen=True)
class Luck:
    """What the best of all trials in a folder would show without skill.

    Attributes:
        scores: shape (n_trials,), Sharpe ratios a session of every back-test scored, at least one.
        returns: shape (n_sessions, n_stored), of those trials that cover the sessions of this run.
    """

    scores: FloatArray
    returns: FloatArray = field(repr=False)

    @classmethod
    def of(cls, workspace: Workspace, ledger: TrialLedger, score_name: str, sessions: NDArray[np.datetime64]) -> "Luck":
        """Luck of every back-test in the ledger.

        Args:
            workspace: whose lake keeps the returns.
            ledger: with at least one back-test scored by that name.
            score_name: which of the scores.
            sessions: shape (n_sessions,), datetime64[D], of this run's returns.
        """
        trials = [t for t in ledger.trials if t.purpose == BACKTEST and t.score_name == score_name]
        kept, returns = trial_returns(workspace, [t for t in trials if t.score is not None], sessions)
        scores = np.array([t.score for t in trials if t.score is not None], dtype=np.float64)
        return cls(scores, returns[:, : len(kept)])

    @property
    def trials(self) -> int:
        """Back-tests scored."""
        return len(self.scores)

    @property
    def sharpe(self) -> float:
        """Ratio a session that the best of them is expected to show by luck."""
        variance = float(self.scores.var(ddof=1)) if self.trials > 1 else 0.0
        return expected_maximum_sharpe(self.trials, variance)

    @property
    def annual(self) -> float:
        """The same a year."""
        return self.sharpe * math.sqrt(SESSIONS_A_YEAR)

    def deflated(self, returns: FloatArray) -> float | None:
        """Deflated Sharpe ratio of a series; None for one that does not move or has missing sessions."""
        if len(returns) < 2 or not np.isfinite(returns).all() or float(returns.std()) == 0:
            return None
        return plain(deflated_by_trials(returns, self.returns, self.scores).deflated)

    def figure(self, returns: FloatArray) -> SharpeFigure:
        """The Sharpe ratio of a series of returns by session, with its error and the luck beside it."""
        beside = deflated_by_trials(returns, self.returns, self.scores)
        try:
            found = figure(annual_sharpe(returns)).model_dump()
        except NotEnoughDataError as error:
            found = {"value": None, "n": len(returns), "method": str(error)}
        return SharpeFigure(
            **found, trials=beside.trials, effective_trials=beside.effective_trials,
            deflated_sharpe=self.deflated(returns), expected_best_by_luck=plain(self.annual),
            probabilistic_sharpe=plain(beside.probabilistic),
            min_track_record_sessions=plain(beside.minimum_track_record),
        )  # fmt: skip

    def overfitting(self) -> OverfittingPart:
        """How likely picking the best of these trials is to pick luck."""
        try:
            found = backtest_overfitting(self.returns, CSCV_BLOCKS)
        except NotEnoughDataError as error:
            nothing = Figure(value=None, n=len(self.returns), method=str(error))
            return OverfittingPart(
                probability=nothing, slope=nothing, loss=nothing, trials=int(self.returns.shape[1]), copies=0,
            )  # fmt: skip
        return OverfittingPart(
            probability=figure(found.probability), slope=figure(found.slope), loss=figure(found.loss),
            trials=found.trials, copies=found.copies,
        )  # fmt: skip
