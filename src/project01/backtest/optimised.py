"""Constructions that weigh return against the covariance of trailing returns."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from project01.backtest.covariance import CovarianceEstimator, judged, ledoit_wolf_covariance
from project01.backtest.fitting import nearest_book, optimal_book
from project01.backtest.limits import Limits
from project01.backtest.quadratic import Objective
from project01.backtest.ranked import TOO_SHORT, refuse_short
from project01.backtest.view import Construction, Decision, View
from project01.domain import DataError, FloatArray, InputError

BPS = 1e-4
# Uncertainty of a mean as a share of the variance of returns; it cancels in the posterior mean when forecasts are as
# uncertain as returns, and widens the posterior covariance. He and Litterman use 0.025 to 0.05.
TAU = 0.05
NO_PARITY = "no book of equal risk shares was found, and what was held stayed"


@dataclass(frozen=True)
class MeanVariance:
    """Most expected return less its price in risk and trading, over the horizon of the scores.

    Maximises ``m'w - risk_aversion / 2 * w'Sw - (cost_bps + turnover_penalty_bps) / 10,000 * sum |w - held|`` with m
    the scores and S the daily covariance times the horizon. If no two scores differ it is the book of least risk that
    is worth its trades.

    Attributes:
        limits: what the book keeps within.
        risk_aversion: price of variance in return; a fully invested investor in shares is usually put at 2 to 10.
        cost_bps: what trading costs, basis points of the value traded.
        turnover_penalty_bps: charged on top in the decision alone, against trading on noise.
        covariance: estimator of daily covariance from trailing returns.
    Source:
        Markowitz, Portfolio selection, Journal of Finance 1952; costs as in Boyd et al., Multi-period trading via
        convex optimization, 2017, section 4.
    """

    limits: Limits = field(default_factory=Limits)
    risk_aversion: float = 5.0
    cost_bps: float = 10.0
    turnover_penalty_bps: float = 0.0
    covariance: CovarianceEstimator = ledoit_wolf_covariance

    def __post_init__(self) -> None:
        _check_prices(self.risk_aversion, self.cost_bps, self.turnover_penalty_bps)

    def decide(self, view: View) -> Decision:
        """The optimal book of the names with half of the trailing returns or more."""
        names, left_out = _candidates(view)
        if not names.size:
            return Decision(None, TOO_SHORT, left_out)
        risk = self.covariance(view.returns[:, names]) * view.horizon
        mean = np.zeros(len(names)) if view.is_flat else view.scores[names]
        cost = (self.cost_bps + self.turnover_penalty_bps) * BPS
        return optimal_book(Objective(self.risk_aversion * risk, mean, cost), self.limits, view, names, left_out)

    def without_view(self) -> Construction:
        """The same with every score equal."""
        return _Blind(self)


@dataclass(frozen=True)
class MinimumVariance:
    """The book of least variance, whatever the scores.

    Attributes:
        limits: what the book keeps within; long-only.
        covariance: estimator of daily covariance from trailing returns.
    """

    limits: Limits = field(default_factory=Limits)
    covariance: CovarianceEstimator = ledoit_wolf_covariance

    def __post_init__(self) -> None:
        refuse_short(self.limits, "Minimum variance")

    def decide(self, view: View) -> Decision:
        """The least risky book of the names with half of the trailing returns or more."""
        names, left_out = _candidates(view)
        if not names.size:
            return Decision(None, TOO_SHORT, left_out)
        risk = self.covariance(view.returns[:, names])
        return optimal_book(Objective(risk, np.zeros(len(names))), self.limits, view, names, left_out)

    def without_view(self) -> Construction:
        """Itself: it has no view."""
        return self


@dataclass(frozen=True)
class RiskParity:
    """Every name adds the same to the variance of the book, whatever the scores.

    Limits bend the weights, after which the shares of risk are no longer equal.

    Attributes:
        limits: what the book keeps within; long-only.
        covariance: estimator of daily covariance from trailing returns.
    """

    limits: Limits = field(default_factory=Limits)
    covariance: CovarianceEstimator = ledoit_wolf_covariance

    def __post_init__(self) -> None:
        refuse_short(self.limits, "Risk parity")

    def decide(self, view: View) -> Decision:
        """Equal shares of risk for the names with half of the trailing returns or more."""
        names, left_out = _candidates(view)
        if not names.size:
            return Decision(None, TOO_SHORT, left_out)
        weights = np.zeros(len(view.scores))
        try:
            parts = risk_parity_weights(self.covariance(view.returns[:, names]))
        except DataError:
            return Decision(None, NO_PARITY, left_out)
        weights[names] = self.limits.gross * parts
        return nearest_book(weights, self.limits, view, left_out)

    def without_view(self) -> Construction:
        """Itself: it has no view."""
        return self


@dataclass(frozen=True)
class BlackLitterman:
    """Mean-variance on expected returns that blend an equilibrium with the forecasts, by how sure each is.

    The prior mean is the one that makes equal weight the best book at this risk aversion. Each forecast is a view of
    its name against the mean of all, as forecasts are measured; its variance is the forecast's, over `confidence`.
    Equal scores all round are no views: the posterior is the prior.

    Attributes:
        limits: what the book keeps within.
        risk_aversion: as in `MeanVariance`.
        confidence: how many times surer the views are taken than the forecast's own variance says.
        cost_bps: what trading costs, basis points of the value traded.
        turnover_penalty_bps: charged on top in the decision alone.
        covariance: estimator of daily covariance from trailing returns.
    Source:
        Black and Litterman, Global portfolio optimization, FAJ 1992; He and Litterman, The intuition behind
        Black-Litterman model portfolios, 1999.
    """

    limits: Limits = field(default_factory=Limits)
    risk_aversion: float = 5.0
    confidence: float = 1.0
    cost_bps: float = 10.0
    turnover_penalty_bps: float = 0.0
    covariance: CovarianceEstimator = ledoit_wolf_covariance

    def __post_init__(self) -> None:
        _check_prices(self.risk_aversion, self.cost_bps, self.turnover_penalty_bps)
        if not 0 < self.confidence < np.inf:
            raise InputError(f"BlackLitterman.confidence is {self.confidence}; expected a number above 0.")

    def decide(self, view: View) -> Decision:
        """The optimal book under the posterior; a name of unknown uncertainty is as uncertain as its returns."""
        names, left_out = _candidates(view)
        if not names.size:
            return Decision(None, TOO_SHORT, left_out)
        risk = self.covariance(view.returns[:, names]) * view.horizon
        count = len(names)
        prior = self.risk_aversion * risk @ np.full(count, 1.0 / count)
        picking = np.zeros((0, count)) if view.is_flat else np.eye(count) - 1.0 / count
        own = view.uncertainty[names]
        variance = np.where(own > 0, own**2, np.diag(risk)) * TAU / self.confidence
        scores = view.scores[names]
        mean, spread = black_litterman(
            prior, risk, picking, (scores - scores.mean())[: len(picking)], variance[: len(picking)]
        )
        cost = (self.cost_bps + self.turnover_penalty_bps) * BPS
        return optimal_book(Objective(self.risk_aversion * spread, mean, cost), self.limits, view, names, left_out)

    def without_view(self) -> Construction:
        """The same with every score equal: the equilibrium."""
        return _Blind(self)


def black_litterman(
    prior: FloatArray, covariance: FloatArray, picking: FloatArray, views: FloatArray, variance: FloatArray,
    tau: float = TAU,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Posterior mean and covariance of returns: ``V = tau S P'``, ``m + V (P V + O)^-1 (q - P m)``.

    Args:
        prior: m, shape (n,), expected returns before the views.
        covariance: S, shape (n, n), of returns.
        picking: P, shape (k, n), what each view is a view of.
        views: q, shape (k,), expected returns of those.
        variance: shape (k,), of the views' errors, the diagonal of O.
        tau: variance of the prior mean, as a share of `covariance`.
    Returns:
        Shapes (n,) and (n, n): the covariance is that of returns plus the posterior variance of their mean.
    Source:
        He and Litterman, 1999, appendix.
    """
    spread = tau * covariance @ picking.T
    inner = picking @ spread + np.diag(variance)
    mean = prior + spread @ np.linalg.solve(inner, views - picking @ prior)
    posterior = (1.0 + tau) * covariance - spread @ np.linalg.solve(inner, spread.T)
    return np.asarray(mean), np.asarray((posterior + posterior.T) / 2)


def risk_parity_weights(covariance: FloatArray) -> FloatArray:
    """Long-only weights, shape (n,), sum 1, of which each adds the same to the variance.

    Minimises ``1/2 x'Sx - sum log x / n`` by Newton's method with Spinu's step, which cannot leave x > 0.

    Args:
        covariance: S, shape (n, n), positive definite.
    Raises:
        DataError: no such book was found, as the covariance is not positive definite.
    Source:
        Spinu, An algorithm for computing risk parity weights, 2013.
    """
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise DataError("Risk parity needs a positive definite covariance, found another. Shrink it.") from error
    volatility = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(volatility, volatility)
    count = len(correlation)
    budget = 1.0 / count
    x = np.full(count, np.sqrt(1.0 / correlation.sum()))
    for _ in range(100):
        slope = correlation @ x - budget / x
        if float(np.abs(slope * x).max()) < 1e-13:
            break
        hessian = correlation + np.diag(budget / x**2)
        step = np.linalg.solve(hessian, slope)
        reach, decrement = float(np.abs(step / x).max()), float(np.sqrt(max(slope @ step / budget, 0.0)))
        x = x - step / (1.0 + reach) if decrement > 0.35 else x - step
    weights = x / volatility
    shares = weights * (covariance @ weights)
    if not (np.all(weights > 0) and np.allclose(shares, shares.mean(), rtol=1e-6)):
        raise DataError("No book of equal risk shares was found; the covariance is nearly singular. Shrink it more.")
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class _Blind:
    """A construction that is shown equal scores."""

    seeing: Construction

    def decide(self, view: View) -> Decision:
        return self.seeing.decide(replace(view, scores=np.where(view.scored, 0.0, np.nan)))

    def without_view(self) -> Construction:
        return self


def _candidates(view: View) -> tuple[NDArray[np.int64], int]:
    """Scored names whose risk can be judged, and how many cannot."""
    able = view.scored & judged(view)
    return np.flatnonzero(able).astype(np.int64), int((view.scored & ~able).sum())


def _check_prices(risk_aversion: float, cost_bps: float, turnover_penalty_bps: float) -> None:
    if not 0 < risk_aversion < np.inf:
        raise InputError(f"risk_aversion is {risk_aversion}; expected a number above 0.")
    if not (cost_bps >= 0 and turnover_penalty_bps >= 0 and np.isfinite(cost_bps + turnover_penalty_bps)):
        raise InputError(f"cost_bps is {cost_bps} and turnover_penalty_bps {turnover_penalty_bps}; expected 0 or more.")
