"""The planted edge is as large as asked for, and a market without one has none that a rule could find."""

import numpy as np
import pytest
from arch.unitroot import VarianceRatio
from numpy.typing import NDArray
from scipy import stats
from tests.effort import rest_slow

from project01.ingest.simulator_market import DailyMarket, edge_strength, simulate_daily
from project01.ingest.simulator_settings import MarketSettings

Array = NDArray[np.float64]


def rank_ic(market: DailyMarket, score: Array, horizon: int, step: int) -> float:
    """Mean over every `step`-th session of scipy's rank correlation with the return from the next open."""
    last = len(market.close) - 1 - horizon
    days = [t for t in range(22, last, step) if np.isfinite(score[t]).all()]
    forward = [market.open[t + 1 + horizon] / market.open[t + 1] - 1 for t in days]
    return float(np.mean([stats.spearmanr(score[t], f).statistic for t, f in zip(days, forward, strict=True)]))


def planted_ic(seeds: range, **kind: float) -> Array:
    """Of each seed's market, the mean rank correlation of the planted signal over its own horizon."""
    found = []
    for seed in seeds:
        market = simulate_daily(MarketSettings(seed=seed, symbols=100, sessions=300, **kind))  # type: ignore[arg-type]
        horizon = int(kind.get("planted_horizon_sessions", 5))
        found.append(rank_ic(market, market.signal, horizon, step=6))
    return np.array(found)


@pytest.fixture(scope="module")
def without_edge() -> Array:
    return planted_ic(range(30))


@pytest.mark.parametrize("ic", rest_slow([0.05, 0.02]))
def test_the_measured_rank_ic_is_the_planted_one(ic: float, without_edge: Array) -> None:
    found = planted_ic(range(30), planted_ic=ic)
    assert abs(found.mean() - ic) < 3 * stats.sem(found)
    # The same shocks with and without the edge: most of the luck cancels, which makes a sharper test.
    gain = found - without_edge
    assert stats.sem(gain) < 0.07 * ic
    assert abs(gain.mean() - ic) < 3 * stats.sem(gain) + 0.02 * ic  # the pilot's own error is about 1 %


def test_without_a_planted_edge_the_signal_tells_nothing(without_edge: Array) -> None:
    assert edge_strength(MarketSettings()) == 0
    assert abs(without_edge.mean()) < 3 * stats.sem(without_edge)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        {"planted_ic": 0.05, "planted_horizon_sessions": 1},
        {"planted_ic": 0.05, "planted_horizon_sessions": 20},
        {"planted_ic": 0.1, "planted_horizon_sessions": 1},
        {"planted_ic": 0.1, "planted_horizon_sessions": 5},
        {"planted_ic": 0.05, "beta_spread": 1.0, "annual_market_volatility": 0.4},
        {"planted_ic": 0.05, "volatility_spread": 0.6, "annual_idiosyncratic_volatility": 0.6},
        {"planted_ic": 0.01, "annual_idiosyncratic_volatility": 0.05},
    ],
)
def test_the_planted_ic_is_met_in_unusual_markets(kind: dict[str, float]) -> None:
    """Against the same shocks without an edge: unequal volatilities give ranks a small correlation of their own."""
    gain = planted_ic(range(100, 140), **kind) - planted_ic(range(100, 140), **(kind | {"planted_ic": 0.0}))
    assert abs(gain.mean() - kind["planted_ic"]) < 3 * stats.sem(gain) + 0.02 * kind["planted_ic"]


def past(market: DailyMarket, newest: int, oldest: int) -> Array:
    """Return from `oldest` to `newest` sessions ago, NaN in the first `oldest`."""
    made = np.full_like(market.close, np.nan)
    stop = len(market.close) - newest
    made[oldest:] = market.close[oldest - newest : stop] / market.close[: stop - (oldest - newest)] - 1
    return made


RULES = {
    "momentum of 21 sessions": lambda m: past(m, 0, 21),
    "momentum of 63 sessions but the last 21": lambda m: past(m, 21, 63),
    "reversal of 5 sessions": lambda m: -past(m, 0, 5),
    "reversal of 1 session": lambda m: -past(m, 0, 1),
    "volume": lambda m: m.volume,
    "last night": lambda m: m.open / m.close,
    "range": lambda m: m.high / m.low,
}


@pytest.fixture(scope="module")
def idle_markets() -> list[DailyMarket]:
    return [simulate_daily(MarketSettings(seed=seed, symbols=100, sessions=300)) for seed in range(200, 230)]


@pytest.mark.parametrize("rule", ["momentum of 21 sessions", "reversal of 5 sessions", "reversal of 1 session"])
def test_known_signals_have_no_ic_without_an_edge(rule: str, idle_markets: list[DailyMarket]) -> None:
    found = [rank_ic(market, RULES[rule](market), 5, step=10) for market in idle_markets]
    assert abs(np.mean(found)) < 3 * stats.sem(found)


@pytest.mark.parametrize("rule", RULES)
def test_no_long_only_rule_beats_equal_weight_without_an_edge(rule: str, idle_markets: list[DailyMarket]) -> None:
    """Buy the top fifth at the next open, hold one session; before costs."""
    excess = []
    for market in idle_markets:
        score = RULES[rule](market)[63:-2]
        forward = (market.open[2:] / market.open[1:-1] - 1)[63:]
        top = np.argsort(score, axis=1)[:, -20:]
        excess.append(np.mean(np.take_along_axis(forward, top, axis=1).mean(axis=1) - forward.mean(axis=1)))
    assert abs(np.mean(excess)) < 3 * stats.sem(excess)


def test_a_planted_edge_pays_the_long_only_rule(idle_markets: list[DailyMarket]) -> None:
    """The test above can fail: the same rule on the same shocks with an edge earns clearly more."""
    excess = []
    for seed in range(200, 230):
        market = simulate_daily(MarketSettings(seed=seed, symbols=100, sessions=300, planted_ic=0.05))
        forward = (market.open[2:] / market.open[1:-1] - 1)[63:]
        top = np.argsort(market.signal[63:-2], axis=1)[:, -20:]
        excess.append(np.mean(np.take_along_axis(forward, top, axis=1).mean(axis=1) - forward.mean(axis=1)))
    assert np.mean(excess) > 5 * stats.sem(excess)


@pytest.mark.parametrize("lags", [2, 20])
def test_variance_ratios_are_those_of_a_random_walk(lags: int) -> None:
    """Lo and MacKinlay's test, robust to changing volatility, rejects as often as its level says."""
    market = simulate_daily(MarketSettings(seed=77, symbols=200, sessions=1_500, annual_market_volatility=0.01))
    tests = [VarianceRatio(np.log(column), lags=lags, robust=True) for column in market.close.T]
    rejected = sum(test.pvalue < 0.05 for test in tests)
    assert stats.binomtest(rejected, len(tests), 0.05).pvalue > 0.01
    assert np.mean([test.vr for test in tests]) == pytest.approx(1, abs=0.02)


def test_the_mean_return_is_zero_for_every_kind_of_name(idle_markets: list[DailyMarket]) -> None:
    means = np.array([(m.close[1:] / m.close[:-1] - 1).mean() for m in idle_markets])
    assert abs(means.mean()) < 3 * stats.sem(means)
