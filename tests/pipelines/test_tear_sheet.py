"""Luck beside every Sharpe ratio, and the words of the break-even."""

import numpy as np
import pytest

from project01.backtest import Frontier
from project01.evaluate import Trial, TrialLedger, annual_sharpe, deflated_sharpe, moments, sharpe_per_session
from project01.pipelines.evidence import BACKTEST, NET
from project01.pipelines.frontier import break_even_sentence
from project01.pipelines.sharpe import Luck

RETURNS = np.random.default_rng(3).normal(0.0006, 0.01, (400, 3))


def ledger_of(scores: list[float]) -> TrialLedger:
    common = {"model": "m", "purpose": BACKTEST, "fold": -1, "settings_hash": "", "data_digest": "", "code_hash": ""}
    return TrialLedger(
        Trial(**common, seed=n, rows=400, score=score, score_name=NET) for n, score in enumerate(scores)
    )  # fmt: skip


def test_a_sharpe_ratio_has_the_luck_of_all_trials_beside_it() -> None:
    scores = [0.02, 0.05, -0.01, 0.03]
    found = Luck.of(ledger_of(scores), NET, list(RETURNS.T)).figure(RETURNS[:, 0])
    sharpe, shape = sharpe_per_session(RETURNS[:, 0]), moments(RETURNS[:, 0])
    assert found.value == annual_sharpe(RETURNS[:, 0]).value
    assert found.trials == 4
    assert found.deflated_sharpe == deflated_sharpe(sharpe, 400, *shape, 4, float(np.var(scores, ddof=1)))
    correlation = np.corrcoef(RETURNS.T)[np.triu_indices(3, 1)].mean()
    assert found.effective_trials == pytest.approx(max(correlation, 0) + (1 - max(correlation, 0)) * 4)


def test_equal_back_tests_amount_to_one_trial_and_one_alone_has_no_correlation() -> None:
    same = Luck.of(ledger_of([0.02, 0.05]), NET, [RETURNS[:, 0]] * 2)
    assert same.effective == pytest.approx(1.0)
    alone = Luck.of(ledger_of([0.02]), NET, [RETURNS[:, 0]])
    assert (alone.trials, alone.effective, alone.sharpe) == (1, None, 0.0)


def test_a_series_too_short_or_still_has_no_ratio_but_its_trials() -> None:
    luck = Luck.of(ledger_of([0.02, 0.05]), NET, [RETURNS[:, 0]])
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
