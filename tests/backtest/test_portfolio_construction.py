"""Books worked by hand, and the same problems given to an independent library."""

import warnings

import numpy as np
import pytest

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
    black_litterman,
    ledoit_wolf_covariance,
    risk_parity_weights,
    trailing_betas,
)
from project01.domain import DataError, InputError

NAN = float("nan")


def view(scores, held=None, returns=None, **more) -> View:
    """A view of a few names; returns alternate by name unless given."""
    scores = np.array(scores, dtype=np.float64)
    names = len(scores)
    drawn = np.random.default_rng(5).normal(0, 0.01, (60, names))
    return View(
        scores=scores,
        uncertainty=np.asarray(more.get("uncertainty", np.full(names, NAN)), dtype=np.float64),
        returns=drawn if returns is None else np.asarray(returns, dtype=np.float64),
        held=np.zeros(names) if held is None else np.array(held, dtype=np.float64),
        sectors=np.asarray(more.get("sectors", np.full(names, -1)), dtype=np.int64),
        betas=np.asarray(more.get("betas", np.ones(names)), dtype=np.float64),
        place=np.arange(names),
        horizon=more.get("horizon", 1),
    )


def given(matrix):
    """An estimator that knows the covariance."""
    return lambda _: np.asarray(matrix, dtype=np.float64)


def covariance_of(volatility, correlation):
    return np.outer(volatility, volatility) * correlation


def drawn_covariance(names, seed=3):
    random = np.random.default_rng(seed)
    loads, own = random.normal(0.3, 0.3, (names, 3)), random.uniform(0.01, 0.03, names)
    return (loads @ loads.T) * 1e-4 + np.diag(own**2)


def test_two_assets_of_minimum_variance_by_the_closed_form():
    # w1 = (s2^2 - s12) / (s1^2 + s2^2 - 2 s12) = (0.09 - 0.012) / (0.04 + 0.09 - 0.024) = 0.078 / 0.106
    matrix = [[0.04, 0.012], [0.012, 0.09]]
    found = MinimumVariance(covariance=given(matrix)).decide(view([1, 2])).weights
    np.testing.assert_allclose(found, [0.078 / 0.106, 0.028 / 0.106], atol=1e-7)


def test_three_assets_of_minimum_variance_are_in_proportion_to_the_row_sums_of_the_inverse():
    matrix = drawn_covariance(3)
    direct = np.linalg.solve(matrix, np.ones(3))
    found = MinimumVariance(covariance=given(matrix)).decide(view([1, 2, 3])).weights
    assert (direct > 0).all()
    np.testing.assert_allclose(found, direct / direct.sum(), atol=1e-7)


def test_mean_variance_without_costs_by_the_first_order_condition():
    # Two independent assets of variance 0.04 and 0.09, aversion 2, invested in full: m1 - 2 v1 w1 = m2 - 2 v2 w2, so
    # w1 = (m1 - m2 + 2 v2) / (2 v1 + 2 v2) = (0.05 + 0.18) / 0.26 = 0.23 / 0.26.
    rule = MeanVariance(risk_aversion=2.0, cost_bps=0.0, covariance=given(np.diag([0.04, 0.09])))
    np.testing.assert_allclose(rule.decide(view([0.08, 0.03])).weights, [0.23 / 0.26, 0.03 / 0.26], atol=1e-7)


def test_costs_leave_a_book_alone_until_the_gain_is_worth_them():
    # From half each the gain of moving dw from 2 to 1 is (m1 - m2) dw at first; the cost is 2 * cost * dw.
    rule = MeanVariance(risk_aversion=1.0, cost_bps=10.0, covariance=given(np.diag([0.01, 0.01])))
    still = rule.decide(view([0.0019, 0.0], held=[0.5, 0.5])).weights
    assert still.tolist() == [0.5, 0.5]
    # m1 - m2 = 0.004: 0.004 - 0.002 = 0.01 (w1 - w2), so w1 - w2 = 0.2.
    np.testing.assert_allclose(rule.decide(view([0.004, 0.0], held=[0.5, 0.5])).weights, [0.6, 0.4], atol=1e-6)
    dearer = MeanVariance(
        risk_aversion=1.0, cost_bps=10.0, turnover_penalty_bps=12.0, covariance=given(np.diag([0.01, 0.01]))
    )
    assert dearer.decide(view([0.004, 0.0], held=[0.5, 0.5])).weights.tolist() == [0.5, 0.5]


def test_a_longer_horizon_has_more_variance_but_pays_its_costs_once():
    rule = MeanVariance(risk_aversion=2.0, cost_bps=0.0, covariance=given(np.diag([0.04, 0.09]) / 5))
    np.testing.assert_allclose(rule.decide(view([0.08, 0.03], horizon=5)).weights[0], 0.23 / 0.26, atol=1e-7)


def test_dollar_neutral_mean_variance_by_hand():
    # Independent, equal variance v: w = (m - mean m) / (aversion v), net 0 by itself.
    rule = MeanVariance(Limits("dollar_neutral"), risk_aversion=10.0, cost_bps=0.0, covariance=given(np.eye(3) * 0.01))
    np.testing.assert_allclose(rule.decide(view([0.02, 0.01, 0.0])).weights, [0.1, 0.0, -0.1], atol=1e-7)


def test_risk_parity_of_equal_correlation_is_inverse_volatility():
    volatility = np.array([0.1, 0.2, 0.4, 0.05])
    correlation = np.full((4, 4), 0.35) + 0.65 * np.eye(4)
    found = risk_parity_weights(covariance_of(volatility, correlation))
    np.testing.assert_allclose(found, (1 / volatility) / (1 / volatility).sum(), rtol=1e-9)


def test_risk_parity_gives_every_name_the_same_share_of_risk_however_many_there_are():
    for names in (2, 10, 100):
        matrix = drawn_covariance(names)
        weights = RiskParity(covariance=given(matrix)).decide(view(np.arange(names))).weights
        np.testing.assert_allclose(weights * (matrix @ weights) / (weights @ matrix @ weights), 1 / names, rtol=1e-6)


def test_no_risk_parity_without_a_positive_definite_covariance_decides_nothing_and_says_so():
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])  # the book of half each has no risk at all
    with pytest.raises(DataError, match="positive definite"):
        risk_parity_weights(opposite - 0.01 * np.eye(2))
    found = RiskParity(covariance=given(opposite - 0.01 * np.eye(2))).decide(view([1, 2]))
    assert found.weights is None
    assert "equal risk shares" in found.remark


def test_black_litterman_with_one_asset_weighs_prior_and_view_by_their_precision():
    # Prior 0.05 of variance tau * 0.04 = 0.002; view 0.11 of variance 0.001: two thirds of the way.
    mean, spread = black_litterman(
        np.array([0.05]), np.array([[0.04]]), np.eye(1), np.array([0.11]), np.array([0.001]), tau=0.05
    )
    assert mean[0] == pytest.approx(0.05 + 0.06 * 2 / 3)
    assert spread[0, 0] == pytest.approx(0.04 + 1 / 1500)


def test_a_view_of_one_asset_moves_what_moves_with_it():
    # Two assets of variance 0.04 and covariance 0.02: a view of the first moves the second half as far.
    matrix = np.array([[0.04, 0.02], [0.02, 0.04]])
    mean, _ = black_litterman(np.zeros(2), matrix, np.eye(2)[:1], np.array([0.06]), np.array([0.001]), tau=0.05)
    np.testing.assert_allclose(mean, [0.04, 0.02])


def test_black_litterman_without_views_holds_the_equilibrium():
    matrix = drawn_covariance(6)
    rule = BlackLitterman(cost_bps=0.0, covariance=given(matrix))
    # The posterior covariance is (1 + tau) times the prior one: a little less risk taken, but the book is full.
    found = rule.decide(view(np.zeros(6))).weights
    np.testing.assert_allclose(found, 1 / 6, atol=0.02)
    np.testing.assert_array_equal(found, rule.without_view().decide(view(np.arange(6.0))).weights)


def test_surer_forecasts_move_the_book_further():
    matrix = drawn_covariance(6)
    scores = np.array([0.0004, 0, 0, 0, 0, 0])
    sizes = []
    for sure in (1.0, 0.1, 0.01):
        seen = view(scores, uncertainty=np.full(6, sure * 0.03))
        sizes.append(BlackLitterman(cost_bps=0.0, covariance=given(matrix)).decide(seen).weights[0])
    assert sizes == sorted(sizes)
    assert sizes[0] + 0.01 < sizes[2]
    vague = BlackLitterman(cost_bps=0.0, confidence=1e-4, covariance=given(matrix)).decide(view(scores)).weights[0]
    assert vague < sizes[0]


def test_ledoit_wolf_is_that_of_the_library_and_fills_gaps_without_losing_variance():
    from sklearn.covariance import LedoitWolf

    returns = np.random.default_rng(1).normal(0, 0.01, (100, 5))
    np.testing.assert_allclose(ledoit_wolf_covariance(returns), LedoitWolf().fit(returns).covariance_, rtol=1e-9)
    holed = returns.copy()
    holed[::2, 0] = NAN
    assert ledoit_wolf_covariance(holed)[0, 0] == pytest.approx(np.nanvar(holed[:, 0]), rel=0.15)


def test_betas_by_hand():
    market = np.array([0.01, -0.01, 0.02, -0.02])
    returns = np.column_stack([1.5 * market, 0.5 * market, market])
    np.testing.assert_allclose(trailing_betas(returns), [1.5, 0.5, 1.0])
    returns[:3, 1] = NAN
    assert np.isnan(trailing_betas(returns)).tolist() == [False, True, False]


def test_top_k_keeps_a_name_within_its_band_and_sells_it_beyond():
    rule = TopK(2, hold_band=1)
    assert rule.decide(view([4, 3, 2, 1])).weights.tolist() == [0.5, 0.5, 0, 0]
    # The third of the ranking is held and within two and one: it stays, and only one new name is bought.
    assert rule.decide(view([4, 3, 2, 1], held=[0, 0, 1, 0])).weights.tolist() == [0.5, 0, 0.5, 0]
    assert rule.decide(view([4, 3, 2, 1], held=[0, 0, 0, 1])).weights.tolist() == [0.5, 0.5, 0, 0]
    assert TopK(2, 0).decide(view([4, 3, 2, 1], held=[0, 0, 1, 0])).weights.tolist() == [0.5, 0.5, 0, 0]
    assert TopK(9).decide(view([1, NAN, 2])).weights.tolist() == [0.5, 0, 0.5]


def test_top_k_long_and_short():
    rule = TopK(1, 1, Limits("dollar_neutral"))
    assert rule.decide(view([4, 3, 2, 1])).weights.tolist() == [0.5, 0, 0, -0.5]
    assert rule.decide(view([4, 3, 2, 1], held=[0, 0.5, -0.5, 0])).weights.tolist() == [0, 0.5, -0.5, 0]
    assert rule.decide(view([4, NAN, NAN, NAN])).weights is None


def test_rank_weights():
    assert RankWeighted().decide(view([9, 0, 5, NAN])).weights.tolist() == pytest.approx([3 / 6, 1 / 6, 2 / 6, 0])
    neutral = RankWeighted(Limits("dollar_neutral")).decide(view([9, 0, 5, NAN])).weights
    assert neutral.tolist() == pytest.approx([0.5, -0.5, 0, 0])


def test_what_a_cap_cuts_off_goes_to_the_others_in_equal_parts_and_then_to_cash():
    capped = RankWeighted(Limits(most_weight=0.4)).decide(view([9, 0, 5]))
    np.testing.assert_allclose(capped.weights, [0.4, 1 / 6 + 0.05, 2 / 6 + 0.05], atol=1e-6)
    small = SameForAll(Limits(most_weight=0.2)).decide(view([1, 1, 1]))
    np.testing.assert_allclose(small.weights, [0.2, 0.2, 0.2], atol=1e-6)
    assert small.remark == ""


def test_inverse_volatility_and_names_of_too_short_a_history():
    returns = np.tile([[0.01, 0.02, 0.04], [-0.01, -0.02, -0.04]], (10, 1))
    found = InverseVolatility().decide(view([1, 2, 3], returns=returns))
    assert found.weights.tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    returns[:11, 0] = NAN
    found = InverseVolatility().decide(view([1, 2, 3], returns=returns))
    assert found.weights.tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    assert found.left_out == 1
    for rule in (InverseVolatility(), MinimumVariance(), RiskParity(), MeanVariance(), BlackLitterman()):
        nothing = rule.decide(view([1, 2, 3], returns=np.full((20, 3), NAN)))
        assert nothing.weights is None
        assert "half of the trailing returns" in nothing.remark


def test_without_a_view_every_construction_still_holds_a_book():
    seen = view([3, 1, 2], returns=np.random.default_rng(8).normal(0, 0.01, (60, 3)))
    flat = view([0, 0, 0], returns=seen.returns)
    for rule in (TopK(1), RankWeighted(), MeanVariance(), BlackLitterman(), RiskParity(), SameForAll()):
        blind = rule.without_view()
        np.testing.assert_array_equal(blind.decide(seen).weights, blind.decide(flat).weights)
        np.testing.assert_array_equal(blind.without_view().decide(seen).weights, blind.decide(seen).weights)
    assert TopK(1).decide(flat).weights is None
    assert TopK(1).without_view().decide(seen).weights.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(gross=1.5),
        lambda: Limits(most_weight=0.0),
        lambda: Limits(most_turnover=-1.0),
        lambda: Limits(beta=(1.0, 0.5)),
        lambda: TopK(0),
        lambda: TopK(1, hold_band=-1),
        lambda: MeanVariance(risk_aversion=0.0),
        lambda: MeanVariance(cost_bps=-1.0),
        lambda: BlackLitterman(confidence=0.0),
        lambda: SameForAll(Limits("dollar_neutral")),
        lambda: RiskParity(Limits("dollar_neutral")),
    ],
)
def test_parameters_out_of_range_are_refused(make):
    with pytest.raises(InputError, match="expected"):
        make()


def in_skfolio(model, returns):
    """Weights of a skfolio optimisation; its own warnings are not ours to judge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(returns).weights_)


@pytest.mark.slow
def test_agreement_with_skfolio_on_the_same_covariance():
    from skfolio import RiskMeasure
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import MeanRisk, ObjectiveFunction, RiskBudgeting
    from skfolio.prior import EmpiricalPrior

    random = np.random.default_rng(4)
    common = random.normal(0.0004, 0.01, (252, 1))
    returns = common * random.uniform(0.5, 1.5, 30) + random.normal(0, 0.015, (252, 30))
    prior = EmpiricalPrior(covariance_estimator=LedoitWolf())
    seen = view(returns.mean(axis=0), returns=returns)
    least = MeanRisk(prior_estimator=prior, max_weights=0.1)
    ours = MinimumVariance(Limits(most_weight=0.1)).decide(seen).weights
    theirs, risk = in_skfolio(least, returns), LedoitWolf().fit(returns).covariance_
    np.testing.assert_allclose(ours, theirs, atol=2e-4)  # their solver stops earlier: ours is no riskier
    assert ours @ risk @ ours <= (theirs @ risk @ theirs) * (1 + 1e-9)
    # skfolio's utility is mean - aversion * variance, with costs of the whole per day of its data.
    held = np.full(30, 1 / 30)
    useful = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY, risk_aversion=2.0, prior_estimator=prior,
        max_weights=0.2, transaction_costs=0.0005, previous_weights=held,
    )  # fmt: skip
    rule = MeanVariance(Limits(most_weight=0.2), risk_aversion=4.0, cost_bps=5.0)
    seen = view(returns.mean(axis=0), held=held, returns=returns)
    np.testing.assert_allclose(rule.decide(seen).weights, in_skfolio(useful, returns), atol=2e-4)
    parity = RiskBudgeting(risk_measure=RiskMeasure.VARIANCE, prior_estimator=prior)
    np.testing.assert_allclose(RiskParity().decide(seen).weights, in_skfolio(parity, returns), atol=2e-4)


@pytest.mark.slow
def test_black_litterman_is_that_of_skfolio():
    import pandas as pd
    from skfolio.prior import BlackLitterman as Theirs
    from skfolio.prior import EmpiricalPrior

    random = np.random.default_rng(6)
    names = list("ABCD")
    returns = pd.DataFrame(random.normal(0.0005, 0.01, (300, 4)) + random.normal(0, 0.01, (300, 1)), columns=names)
    prior = EmpiricalPrior().fit(returns).return_distribution_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Theirs(["A == 0.001", "B - C == 0.0004"], tau=0.05, prior_estimator=EmpiricalPrior()).fit(returns)
    picking = np.array([[1.0, 0, 0, 0], [0, 1, -1, 0]])
    variance = np.diag(0.05 * picking @ prior.covariance @ picking.T)
    mean, spread = black_litterman(prior.mu, prior.covariance, picking, np.array([0.001, 0.0004]), variance, 0.05)
    np.testing.assert_allclose(mean, theirs.return_distribution_.mu, rtol=1e-9)
    np.testing.assert_allclose(spread, theirs.return_distribution_.covariance, rtol=1e-9)
