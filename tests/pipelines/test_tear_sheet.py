"""Luck beside every Sharpe ratio, and the words of the break-even."""

from pathlib import Path

import numpy as np
import pytest

from project01.backtest import Frontier
from project01.evaluate import (
    Trial,
    annual_sharpe,
    backtest_overfitting,
    deflated_sharpe,
    digest_of_returns,
    effective_trials,
    expected_maximum_sharpe,
    moments,
    sharpe_per_session,
)
from project01.pipelines.claims import Claim, enter
from project01.pipelines.evidence import BACKTEST, NET, figure
from project01.pipelines.frontier import break_even_sentence
from project01.pipelines.sharpe import Luck
from project01.pipelines.workspace import Workspace

RETURNS = np.random.default_rng(3).normal(0.0006, 0.01, (400, 3))


def luck_of(scores: list[float], columns: int) -> Luck:
    return Luck(np.array(scores), RETURNS[:, :columns])


def test_a_sharpe_ratio_has_the_luck_of_all_trials_beside_it() -> None:
    scores = [0.02, 0.05, -0.01, 0.03]
    found = luck_of(scores, 3).figure(RETURNS[:, 0])
    sharpe, shape = sharpe_per_session(RETURNS[:, 0]), moments(RETURNS[:, 0])
    assert found.value == annual_sharpe(RETURNS[:, 0]).value
    assert found.trials == 4
    assert found.deflated_sharpe == deflated_sharpe(sharpe, 400, *shape, 4, float(np.var(scores, ddof=1)))
    # The fourth has no returns kept and counts as independent of the others.
    assert found.effective_trials == pytest.approx(effective_trials(RETURNS) + 1)


def test_luck_is_read_from_the_ledger_and_the_returns_it_vouches_for(tmp_path: Path) -> None:
    workspace, days = Workspace(tmp_path), np.datetime64("2015-01-01") + np.arange(400)
    claims = []
    for number, returns in enumerate([*RETURNS.T, RETURNS[:, 0]]):
        trial = Trial(
            model="m", purpose=BACKTEST, fold=-1, seed=number, settings_hash="", data_digest="", code_hash="", rows=400,
            score=sharpe_per_session(returns), score_name=NET, returns_digest=digest_of_returns(days, returns),
        )  # fmt: skip
        claims.append(Claim(trial, days, returns))
    luck = Luck.of(workspace, enter(workspace, claims), NET, days)
    assert (luck.trials, luck.returns.shape) == (4, (400, 4))
    assert luck.sharpe == expected_maximum_sharpe(4, float(luck.scores.var(ddof=1)))
    overfitting = luck.overfitting()
    assert (overfitting.trials, overfitting.copies) == (3, 1)
    assert overfitting.probability == figure(backtest_overfitting(RETURNS, 16).probability)


def test_one_trial_has_no_luck_and_nothing_to_pick_from() -> None:
    alone = luck_of([0.02], 1)
    assert (alone.trials, alone.sharpe, alone.figure(RETURNS[:, 0]).effective_trials) == (1, 0.0, 1.0)
    assert alone.overfitting().probability.value is None
    assert "nothing was picked from" in alone.overfitting().probability.method


def test_a_series_too_short_or_still_has_no_ratio_but_its_trials() -> None:
    luck = luck_of([0.02, 0.05], 1)
    short, still = luck.figure(RETURNS[:50, 0]), luck.figure(np.zeros(400))
    assert short.value is None
    assert "50 sessions" in short.method
    assert (still.value, still.deflated_sharpe, still.trials) == (0.0, None, 2)
    assert luck.deflated(np.full(400, np.nan)) is None


def grid(start: float, slope: float) -> Frontier:
    """An excess that falls by `slope` a year for each bp, with the noise of 400 sessions at 1 % a session."""
    costs = np.array([0.0, 10.0, 20.0])
    noise = RETURNS[:, 0] - RETURNS[:, 0].mean()
    returns = (start - slope * costs[:, None]) / 252 + noise
    none = np.zeros((1, 1))
    return Frontier(costs, np.array([0]), (None,), 1e6, returns[None, None], np.zeros_like(returns), none)


@pytest.mark.parametrize(
    ("start", "slope", "said"),
    [
        (0.15, 0.01, ["Break-even at 15.0 bps", "Even without costs the excess cannot be told from zero"]),
        (-0.05, 0.01, ["No break-even: even without costs", "(-5.0 % ["]),
        (0.9, 0.01, ["Break-even above 20 bps", "lies above zero at every cost tried"]),
        (0.5, 0.04, ["Break-even at 12.5 bps", "lies above zero below", "of the excess lies below zero"]),
        (-0.9, 0.01, ["No break-even", "lies below zero at every cost tried"]),
    ],
)
def test_the_break_even_in_words(start: float, slope: float, said: list[str]) -> None:
    sentence = break_even_sentence(grid(start, slope))
    for words in said:
        assert words in sentence
    assert "nan" not in sentence
    assert "inf" not in sentence
