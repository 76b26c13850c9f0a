"""CPU seconds of one portfolio decision by construction and universe, beside skfolio on the same problem.

Run: python benchmarks/portfolio.py [DECISIONS]

Drawn factor markets, weekly decisions on 252 trailing returns, at most 5 % a name. A decision includes the view, the
covariance and the book. skfolio solves minimum variance and mean-variance on the same returns with the same Ledoit-Wolf
covariance, cap, aversion and costs, the latter on the mean of the returns instead of scores and from equal weight
instead of a drifted book; its fit includes what it does beside the solve, as ours does. One thread.
"""

import sys
import time
import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from project01.backtest import (
    BlackLitterman,
    Construction,
    Every,
    InverseVolatility,
    Limits,
    Market,
    MeanVariance,
    MinimumVariance,
    RankWeighted,
    RiskParity,
    SameForAll,
    Signal,
    TopK,
    constructed_targets,
)

LOOKBACK, DECISIONS, WIDTHS = 252, 20, (20, 100, 500)
LIMITS, TURNING = Limits(most_weight=0.05), Limits(most_weight=0.05, most_turnover=0.2)
NEUTRAL = Limits("dollar_neutral", most_weight=0.05, beta=(-0.05, 0.05))
RULES: dict[str, Construction] = {
    "equal": SameForAll(LIMITS),
    "top_k": TopK(20, 10, LIMITS),
    "rank": RankWeighted(LIMITS),
    "inverse_volatility": InverseVolatility(LIMITS),
    "minimum_variance": MinimumVariance(LIMITS),
    "risk_parity": RiskParity(LIMITS),
    "mean_variance": MeanVariance(LIMITS),
    "mean_variance, turnover limit": MeanVariance(TURNING),
    "mean_variance, dollar-neutral": MeanVariance(NEUTRAL),
    "black_litterman": BlackLitterman(LIMITS),
}


def drawn(names: int, decisions: int) -> tuple[Market, Signal]:
    """Returns of five factors and noise; scores of noise as large as forecasts are."""
    random = np.random.default_rng(7)
    sessions = LOOKBACK + 1 + 5 * decisions
    loads = np.abs(random.normal(0.4, 0.3, (5, names)))
    moves = random.normal(0.0003, 0.01, (sessions, 5)) @ loads + random.normal(0, 0.018, (sessions, names))
    close = 100.0 * np.exp(np.cumsum(moves, axis=0))
    days = np.busday_offset(np.datetime64("2008-01-01"), np.arange(sessions), roll="forward").astype("datetime64[D]")
    symbols = tuple(f"S{i:03}" for i in range(names))
    values = random.normal(0, 0.004, close.shape)
    first = LOOKBACK + 1
    return Market(days, symbols, close, close), Signal(
        days[first:], symbols, values[first:], np.full(values[first:].shape, 0.04)
    )


def ours(market: Market, signal: Signal, rule: Construction) -> float:
    """CPU seconds a decision; the first run pays the imports and is not counted."""
    constructed_targets(signal, market, rule, Every(len(signal.sessions)), horizon=5)
    started = time.process_time()
    found = constructed_targets(signal, market, rule, Every(5), horizon=5)
    return (time.process_time() - started) / found.decisions


def theirs(market: Market, decisions: int) -> dict[str, float]:
    """CPU seconds of a skfolio fit on the trailing returns of the same closes."""
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import MeanRisk, ObjectiveFunction
    from skfolio.prior import EmpiricalPrior

    names = len(market.symbols)
    prior = EmpiricalPrior(covariance_estimator=LedoitWolf())
    models: dict[str, Any] = {
        "minimum_variance": MeanRisk(prior_estimator=prior, max_weights=0.05),
        "mean_variance": MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY, risk_aversion=2.5, prior_estimator=prior,
            max_weights=0.05, transaction_costs=0.0002, previous_weights=np.full(names, 1.0 / names),
        ),
    }  # fmt: skip
    returns = market.close[1:] / market.close[:-1] - 1.0
    found = {}
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for name, model in models.items():
            model.fit(returns[:LOOKBACK])
            started = time.process_time()
            for d in range(decisions):
                model.fit(returns[5 * d : 5 * d + LOOKBACK])
            found[name] = (time.process_time() - started) / decisions
    return found


def main() -> int:
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else DECISIONS
    print(f"{'CPU ms a decision':<32}" + "".join(f"{n:>9} names" for n in WIDTHS))
    markets = [drawn(names, decisions) for names in WIDTHS]
    bare = [theirs(market, min(decisions, 5)) for market, _ in markets]
    for name, rule in RULES.items():
        seconds = [ours(market, signal, rule) for market, signal in markets]
        print(f"{name:<32}" + "".join(f"{1e3 * s:>15.2f}" for s in seconds), flush=True)
        if name in bare[0]:
            print(f"{'  skfolio MeanRisk':<32}" + "".join(f"{1e3 * b[name]:>15.2f}" for b in bare))
            ratios = [f"{b[name] / s:>14.1f}x" for b, s in zip(bare, seconds, strict=True)]
            print(f"{'  times faster':<32}" + "".join(ratios), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
