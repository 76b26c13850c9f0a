"""The verdict's rules at their borders, and how often it finds an edge where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.evaluate import (
    Estimate,
    Evidence,
    annual_mean,
    deflated_sharpe,
    judge,
    moments,
    profit_p_value,
    sharpe_per_session,
)

GOOD = Evidence(
    excess=Estimate(0.05, 0.02, 0.001, 0.09, 500, "by hand"),
    deflated_sharpe=0.95,
    best_naive=("momentum", 0.049),
    trials=12,
    sessions=252,
    symbols=5,
    simulated=False,
    survivors_only=False,
)


def test_all_rules_at_their_border_are_an_edge() -> None:
    found = judge(GOOD)
    assert found.kind == "edge"
    assert "+5.0 % a year" in found.sentence
    assert "12 trials" in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"sessions": 251}, "not enough data", "251 out-of-sample sessions"),
        ({"symbols": 4}, "not enough data", "4 symbols"),
        ({"excess": None}, "not enough data", "no excess return"),
        ({"excess": Estimate(0.1, np.nan, np.nan, np.nan, 1, "")}, "not enough data", "no excess return"),
        ({"excess": Estimate(0.05, 0.03, 0.0, 0.1, 500, "")}, "no edge after costs", "interval"),
        ({"deflated_sharpe": 0.9499}, "no edge after costs", "deflated Sharpe"),
        ({"deflated_sharpe": None}, "no edge after costs", "unknown"),
        ({"deflated_sharpe": float("nan")}, "no edge after costs", "deflated Sharpe"),
        ({"best_naive": ("momentum", 0.05)}, "no edge after costs", "naive rule momentum"),
        ({"overfitting": 0.501, "trials_with_returns": 10}, "no edge after costs", "best of 10 trials"),
        ({"overfitting": float("nan"), "trials_with_returns": 10}, "no edge after costs", "is nan, above 0.5"),
        ({"sealed": Estimate(-0.1, 0.05, -0.2, 0.0009, 60, "")}, "no edge after costs", "60 sessions"),
    ],
)
def test_one_rule_broken_decides(change: dict[str, object], kind: str, said: str) -> None:
    found = judge(replace(GOOD, **change))  # type: ignore[arg-type]
    assert found.kind == kind
    assert said in " ".join((found.sentence, *found.reasons))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"overfitting": 0.5, "trials_with_returns": 10}, "is 0.500, at most 0.5"),
        ({"sealed": Estimate(-0.1, 0.05, -0.2, 0.001, 60, "")}, "does not contradict"),
        ({"effective_trials": 3.25}, "12 trials (about 3.2 independent)"),
        ({"sealed": Estimate(0.1, np.nan, np.nan, np.nan, 1, "one session")}, "no error (one session)"),
    ],
)
def test_at_its_border_each_further_rule_holds_and_is_said(change: dict[str, object], said: str) -> None:
    found = judge(replace(GOOD, **change))  # type: ignore[arg-type]
    assert found.kind == "edge"
    assert said in " ".join(found.reasons)


def test_overfitting_of_few_trials_decides_nothing() -> None:
    found = judge(replace(GOOD, overfitting=1.0, trials_with_returns=9))
    assert found == judge(GOOD)


def test_a_short_track_record_is_a_reason_and_no_rule() -> None:
    weak = replace(GOOD, excess=Estimate(0.02, 0.03, -0.03, 0.07, 500, ""), deflated_sharpe=0.7)
    found = judge(replace(weak, sessions_needed=900.2))
    assert found.kind == "no edge after costs"
    assert "needs 901 sessions" in " ".join(found.reasons)
    for needed in (252.0, np.inf, None):
        assert judge(replace(weak, sessions_needed=needed)) == judge(weak)
    assert judge(replace(GOOD, sessions_needed=900.2)) == judge(GOOD)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(1.0, 1e9))
@settings(max_examples=examples(60), deadline=None)
def test_no_excess_however_small_is_called_too_little_data(
    value: float, error: float, deflated: float, needed: float
) -> None:
    excess = Estimate(value, error, value - 1.645 * error, value + 1.645 * error, 252, "by hand")
    found = judge(replace(GOOD, excess=excess, deflated_sharpe=deflated, sessions_needed=needed))
    assert found.kind == ("edge" if excess.low > 0 and deflated >= 0.95 and value > 0.049 else "no edge after costs")


def test_cautions_are_said_whatever_the_verdict() -> None:
    for evidence in (GOOD, replace(GOOD, sessions=10), replace(GOOD, deflated_sharpe=0.1)):
        reasons = " ".join(judge(replace(evidence, simulated=True, survivors_only=True)).reasons)
        assert "simulated" in reasons
        assert "survived" in reasons


def verdict_of(excess: np.ndarray, trials: int, variance: float) -> str:
    sharpe = sharpe_per_session(excess)
    deflated = deflated_sharpe(sharpe, len(excess), *moments(excess), trials, variance)
    changed = replace(GOOD, excess=annual_mean(excess), deflated_sharpe=deflated, best_naive=None, trials=trials)
    return judge(replace(changed, sessions=len(excess))).kind


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "fat tails", "volatility in clusters"])
def test_an_edge_is_found_in_at_most_five_percent_of_markets_without_one(law: str) -> None:
    # One trial, no costs: the hardest case for the rules. Three standard errors of 800 draws are 0.023.
    generator, found = np.random.default_rng(21), 0
    for _ in range(800):
        excess = generator.normal(size=400) if law != "fat tails" else generator.standard_t(4, size=400)
        if law == "volatility in clusters":
            excess = excess * np.exp(0.7 * np.sin(np.arange(400) / 30 + generator.uniform(0, 6)))
        found += verdict_of(excess * 0.004, 1, 0.0) == "edge"
    assert found / 800 <= 0.05 + 0.023


def test_the_best_of_ten_null_strategies_is_not_an_edge() -> None:
    generator, found = np.random.default_rng(22), 0
    for _ in range(150):
        tried = generator.normal(0, 0.004, size=(10, 400))
        sharpes = np.array([sharpe_per_session(row) for row in tried])
        found += verdict_of(tried[int(sharpes.argmax())], 10, float(sharpes.var(ddof=1))) == "edge"
    assert found / 150 <= 0.05


def test_a_real_edge_is_found() -> None:
    generator = np.random.default_rng(23)
    found = [verdict_of(generator.normal(0.0008, 0.004, size=400), 6, 1 / 400) for _ in range(100)]
    assert found.count("edge") >= 80


def test_p_values_of_a_null_series_are_spread_evenly() -> None:
    generator = np.random.default_rng(24)
    values = np.array([profit_p_value(generator.normal(0, 0.01, size=300)) for _ in range(600)])
    assert (values < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert values.mean() == pytest.approx(0.5, abs=0.04)
    assert np.isnan(profit_p_value(np.zeros(300)))
