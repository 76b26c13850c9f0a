"""Limits hold in every drawn case, or the decision says which gave way; the optimum is that of the whole problem."""

import warnings
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from tests.effort import examples

from project01.backtest import (
    BlackLitterman,
    InverseVolatility,
    Limits,
    MeanVariance,
    MinimumVariance,
    RankWeighted,
    RiskParity,
    SameForAll,
    TopK,
    View,
)
from project01.backtest.fitting import CASH, KEPT, TURNOVER

NAN = float("nan")
EITHER = (lambda limits: TopK(3, 2, limits), RankWeighted, MeanVariance, BlackLitterman)
LONG = (SameForAll, InverseVolatility, MinimumVariance, RiskParity)


def drawn_view(seed: int, names: int = 12, *, neutral: bool = False, held: bool = True) -> View:
    random = np.random.default_rng(seed)
    common = random.normal(0, 0.01, (60, 1))
    returns = common * random.uniform(0.2, 1.8, names) + random.normal(0, 0.015, (60, names))
    returns[: random.integers(0, 50), random.integers(0, names)] = NAN
    scores = random.normal(0, 0.01, names)
    scores[random.random(names) < 0.1] = NAN
    book = random.dirichlet(np.ones(names)) * (random.random(names) < 0.7)
    book = book * random.choice([-1, 1], names) if neutral else book
    betas = random.uniform(0.5, 1.5, names)
    betas[random.random(names) < 0.1] = NAN
    return View(
        scores, np.abs(random.normal(0.03, 0.01, names)), returns, book if held else np.zeros(names),
        random.integers(-1, 3, names), betas, np.arange(names), 5,
    )  # fmt: skip


def broken(weights, view: View, limits: Limits, *, turnover: bool) -> list[str]:
    """Names of the limits that `weights` break, worked out from their definitions."""
    size, close, found = np.abs(weights), 2e-6, []
    if limits.long_only:
        found += ["short"] * bool((weights < 0).any())
        found += ["gross"] * bool(weights.sum() > limits.gross + close)
    else:
        found += ["net"] * bool(abs(weights.sum()) > close)
        found += ["gross"] * bool(size.sum() > limits.gross + close)
    found += ["weight"] * bool(size.max() > limits.most_weight + close)
    for sector in range(3):
        members = view.sectors == sector
        if limits.most_sector_gross is not None and size[members].sum() > limits.most_sector_gross + close:
            found.append("sector gross")
        if limits.most_sector_net is not None and abs(weights[members].sum()) > limits.most_sector_net + close:
            found.append("sector net")
    if limits.beta is not None:
        beta = np.nan_to_num(view.betas, nan=1.0) @ weights
        found += ["beta"] * bool(not limits.beta[0] - close <= beta <= limits.beta[1] + close)
    if turnover and limits.most_turnover is not None and view.held.any():
        found += ["turnover"] * bool(np.abs(weights - view.held).sum() / 2 > limits.most_turnover + close)
    found += ["unscored"] * bool((weights[np.isnan(view.scores)] != 0).any())
    return found


some = st.one_of(st.none(), st.floats(0.05, 1.0))
within = st.builds(
    Limits, side=st.sampled_from(["long_only", "dollar_neutral"]), gross=st.floats(0.3, 1.0),
    most_weight=st.floats(0.05, 1.0), most_sector_gross=some, most_sector_net=some, most_turnover=some,
    beta=st.one_of(
        st.none(), st.builds(lambda low, width: (low, low + width), st.floats(-0.5, 0.8), st.floats(0.01, 1.0))
    ),
)  # fmt: skip


@given(seed=st.integers(0, 10**6), rule=st.integers(0, 7), limits=within, held=st.booleans())
@settings(max_examples=examples(100), deadline=None, derandomize=True)
def test_limits_hold_or_the_decision_says_which_gave_way(seed, rule, limits, held):
    if rule >= len(EITHER):
        limits = replace(limits, side="long_only")
    seen = drawn_view(seed, neutral=not limits.long_only, held=held)
    found = (*EITHER, *LONG)[rule](limits).decide(seen)
    assert found.remark in {"", TURNOVER, CASH, KEPT}
    assert (found.weights is None) == (found.remark == KEPT)
    if found.weights is None:
        return
    assert np.isfinite(found.weights).all()
    assert broken(found.weights, seen, limits, turnover=found.remark == "") == []
    if limits.long_only and found.remark != CASH:
        wanted = np.flatnonzero(found.weights)
        assert found.weights.sum() == pytest.approx(_most(limits, seen), abs=2e-5) or (
            len(wanted) * limits.most_weight < limits.gross + 1e-6  # a rule that holds few names, each at its cap
        )


def _most(limits: Limits, seen: View) -> float:
    return float(min(limits.gross, limits.most_weight * np.isfinite(seen.scores).sum()))


def whole_problem(seen: View, limits: Limits, risk, cost, aversion):
    """The same programme as cvxpy writes it, over all names at once."""
    import cvxpy as cp

    w = cp.Variable(len(seen.scores))
    objective = seen.scores @ w - aversion / 2 * cp.quad_form(w, cp.psd_wrap(risk)) - cost * cp.norm1(w - seen.held)
    rows = [cp.abs(w) <= limits.most_weight]
    rows += [cp.sum(w) == limits.gross, w >= 0] if limits.long_only else [cp.sum(w) == 0, cp.norm1(w) <= limits.gross]
    for sector in range(3):
        members = (seen.sectors == sector).astype(float)
        rows += [members @ cp.abs(w) <= limits.most_sector_gross, cp.abs(members @ w) <= limits.most_sector_net]
    rows += [seen.betas @ w >= limits.beta[0], seen.betas @ w <= limits.beta[1]]
    rows += [cp.norm1(w - seen.held) <= 2 * limits.most_turnover]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = cp.Problem(cp.Maximize(objective), rows).solve(solver="CLARABEL")
    return best, np.asarray(w.value)


@pytest.mark.slow
@pytest.mark.parametrize("neutral", [False, True])
def test_few_names_at_a_time_find_the_optimum_of_all_of_them(neutral):
    """300 names, most of which the solver is never shown, against cvxpy on all of them at once."""
    random = np.random.default_rng(9)
    names, cost, aversion = 300, 0.001, 8.0
    loads = random.normal(0.3, 0.3, (names, 4))
    risk = (loads @ loads.T) * 1e-3 + np.diag(random.uniform(0.01, 0.05, names) ** 2)
    held = np.zeros(names)
    held[:40] = random.dirichlet(np.ones(40)) * (np.where(np.arange(40) % 2, -1, 1) if neutral else 1)
    seen = View(
        random.normal(0, 0.004, names), np.full(names, NAN), random.normal(0, 0.01, (60, names)), held,
        random.integers(-1, 3, names), random.uniform(0.5, 1.5, names), np.arange(names), 1,
    )  # fmt: skip
    band = (-0.1, 0.1) if neutral else (0.8, 1.1)
    limits = Limits("dollar_neutral" if neutral else "long_only", 1.0, 0.05, 0.45, 0.3, band, 0.4)
    rule = MeanVariance(limits, aversion, cost_bps=cost * 1e4, covariance=lambda _: risk)
    ours = rule.decide(seen)
    assert ours.remark == ""
    best, theirs = whole_problem(seen, limits, risk, cost, aversion)
    w = ours.weights
    value = seen.scores @ w - aversion / 2 * w @ risk @ w - cost * np.abs(w - held).sum()
    assert value == pytest.approx(best, abs=1e-7)
    np.testing.assert_allclose(w, theirs, atol=1e-4)


def test_the_turnover_limit_gives_way_first_and_it_is_told():
    seen = drawn_view(3)
    # Half of the book is in a name that may no longer be held: selling it is more than the limit.
    held = np.zeros(12)
    held[np.isnan(seen.scores).argmax() if np.isnan(seen.scores).any() else 0] = 1.0
    scores = np.where(held > 0, NAN, np.nan_to_num(seen.scores))
    locked = View(scores, seen.uncertainty, seen.returns, held, seen.sectors, seen.betas, seen.place, 5)
    limits = Limits(most_weight=0.2, most_turnover=0.3)
    for rule in (MeanVariance(limits), SameForAll(limits), TopK(5, 0, limits)):
        found = rule.decide(locked)
        assert found.remark == TURNOVER
        assert broken(found.weights, locked, limits, turnover=False) == []


def test_sector_limits_leave_cash_and_contradictions_keep_the_book():
    seen = drawn_view(4, held=False)
    one_sector = View(
        np.nan_to_num(seen.scores), seen.uncertainty, seen.returns, seen.held, np.zeros(12, dtype=np.int64), seen.betas,
        seen.place, 5,
    )  # fmt: skip
    for rule in (MeanVariance, SameForAll, MinimumVariance):
        found = rule(Limits(most_sector_gross=0.4)).decide(one_sector)
        assert found.remark == CASH
        assert found.weights.sum() == pytest.approx(0.4, abs=1e-5)
        kept = rule(Limits(beta=(3.0, 4.0))).decide(one_sector)  # no name has a beta above 1.5
        assert kept.weights is None
        assert kept.remark == KEPT


def test_an_empty_book_may_be_built_whatever_the_turnover_limit():
    found = MeanVariance(Limits(most_turnover=0.01, most_weight=0.3)).decide(drawn_view(5, held=False))
    assert found.remark == ""
    assert found.weights.sum() == pytest.approx(1.0)
