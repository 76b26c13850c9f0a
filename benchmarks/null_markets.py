"""How often the chain finds an edge where there is none, and where there is one of known size.

Run: python benchmarks/null_markets.py [--seeds 100] [--forecaster ridge] [--symbols 100] [--sessions 2016]

Each seed is one simulated market: daily bars of a martingale ("nothing planted"), and the same market with a planted
edge (mean rank correlation 0.05 with the return over five sessions). The whole chain runs on each in memory: features,
labels, walk-forward fits with purge, ranks to weights in five overlapping tranches, a back-test with the default
costs. "Found" means a one-sided Newey-West test at 5 % of the net return (and so of the net Sharpe ratio) of the
market-neutral book. The verdict of the report, which asks for more, stands beside it for the long-only book. Every
number is a share of seeds with its 90 % Clopper-Pearson interval. All data is SIMULATED.
"""

import argparse
import sys
import time
from collections import Counter
from functools import partial

import numpy as np
import polars as pl
from scipy.stats import beta

from project01.backtest import (
    Commission,
    EqualWeight,
    LongShortRank,
    Signal,
    Slippage,
    TopQuantile,
    market_from_bars,
    overlapping_targets,
    run_backtest,
)
from project01.domain import FeatureFrame, FloatArray, TrainingSet
from project01.etl import compute_features, feature_set, forward_returns, prepare_bars, usable
from project01.evaluate import (
    Evidence,
    WalkForward,
    annual_mean,
    deflated_sharpe,
    information_coefficient,
    judge,
    moments,
    profit_p_value,
    scored,
    sharpe_per_session,
)
from project01.ingest import MarketSettings, daily_frame, simulate_daily
from project01.models import make_forecaster, walk_forward
from project01.settings import CostSettings

HORIZON = 5
PLANTED_IC = 0.05
LEVEL = 0.05


def share(found: int, of: int) -> str:
    """A share with its exact 90 % interval."""
    low = beta.ppf(0.05, found, of - found + 1) if found else 0.0
    high = beta.ppf(0.95, found + 1, of - found) if found < of else 1.0
    return f"{found} of {of} ({100 * found / of:.0f} %, 90 % {100 * low:.0f} to {100 * high:.0f} %)"


def training_set(bars: pl.DataFrame) -> tuple[TrainingSet, pl.DataFrame]:
    """Features and labels as the main job makes them, and the labels by themselves."""
    kept, _ = usable(feature_set("core"), bars, None)
    names = tuple(feature.name for feature in kept)
    features = compute_features(bars, kept).rename({"knowledge_time": "as_of"}).drop("event_time", "session")
    labels = forward_returns(bars, HORIZON)
    rows = labels.join(features, on=["symbol", "as_of"], how="inner").sort("as_of", "symbol")
    training = TrainingSet(
        FeatureFrame(rows.select("symbol", "as_of", "session", *names), names),
        rows["label"].to_numpy(),
        rows["raw_label"].to_numpy(),
        rows["label_known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]"),
        HORIZON,
    )
    return training, labels


def out_of_sample(training: TrainingSet, forecaster: str, seed: int) -> pl.DataFrame:
    """Walk-forward forecasts of one forecaster."""
    as_of = training.features.frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    split = WalkForward(train_sessions=756, test_sessions=126, purge=HORIZON + 1, horizon=HORIZON)
    folds = list(split.split(as_of, training.label_known_at))
    return walk_forward(training, folds, [partial(make_forecaster, forecaster, seed)]).forecasts


def signal_of(forecasts: pl.DataFrame, bars: pl.DataFrame) -> Signal:
    """Forecast means by session and symbol."""
    sessions = bars.select("symbol", "session", pl.col("knowledge_time").alias("as_of"))
    wide = (
        forecasts.join(sessions, on=["symbol", "as_of"])
        .pivot("symbol", index="session", values="mean", sort_columns=True)
        .sort("session")
    )
    days = wide["session"].to_numpy().astype("datetime64[D]")
    return Signal(days, tuple(wide.columns[1:]), wide.drop("session").to_numpy().astype(np.float64))


def net_returns(bars: pl.DataFrame, signal: Signal) -> tuple[FloatArray, FloatArray]:
    """Net returns of the market-neutral book, and of the long-only book in excess of equal weight."""
    market, costs = market_from_bars(bars), CostSettings()
    models = (Commission(bps=costs.commission_bps, minimum=costs.commission_min_usd), Slippage(bps=costs.slippage_bps))
    found = [
        run_backtest(market, overlapping_targets(signal, market, rule, HORIZON), models, initial_cash=1e6).net_returns
        for rule in (LongShortRank(), TopQuantile(fraction=0.1), EqualWeight())
    ]
    return found[0], found[1] - found[2]


def verdict_of(excess: FloatArray, symbols: int) -> str:
    """What the report's rules would say of the long-only book, with one trial and no naive rule beside it."""
    deflated = deflated_sharpe(sharpe_per_session(excess), len(excess), *moments(excess), 1, 0.0)
    evidence = Evidence(
        excess=annual_mean(excess), deflated_sharpe=deflated, best_naive=None, trials=1, sessions=len(excess),
        symbols=symbols, simulated=True, survivors_only=False,
    )  # fmt: skip
    return judge(evidence).kind


def one_market(seed: int, planted_ic: float, options: argparse.Namespace) -> tuple[bool, str, float]:
    """Whether an edge was found, the verdict's kind, and the rank IC out of sample."""
    settings = MarketSettings(
        seed=seed, symbols=options.symbols, sessions=options.sessions, planted_ic=planted_ic, faults=None
    )
    bars = prepare_bars(daily_frame(simulate_daily(settings)))
    training, labels = training_set(bars)
    forecasts = out_of_sample(training, options.forecaster, seed)
    neutral, excess = net_returns(bars, signal_of(forecasts, bars))
    ic = information_coefficient(scored(forecasts, labels), HORIZON).value
    return profit_p_value(neutral) < LEVEL, verdict_of(excess, options.symbols), ic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--forecaster", default="ridge")
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=2016)
    options = parser.parse_args()
    print(f"SIMULATED; {options.forecaster}, {options.symbols} symbols, {options.sessions} sessions, net of costs")
    for name, planted_ic in (("nothing planted", 0.0), (f"planted IC {PLANTED_IC}", PLANTED_IC)):
        started = time.perf_counter()
        found, verdicts, ics = 0, Counter[str](), []
        for seed in range(options.seeds):
            hit, verdict, ic = one_market(seed, planted_ic, options)
            found += hit
            verdicts[verdict] += 1
            ics.append(ic)
            print(f"\r{name}: {found} of {seed + 1}", end="", file=sys.stderr)
        print("\r", end="", file=sys.stderr)
        seconds = (time.perf_counter() - started) / options.seeds
        print(f"{name:<18} net Sharpe significant: {share(found, options.seeds)}")
        print(f"{'':<18} report says 'edge':     {share(verdicts['edge'], options.seeds)}")
        error = np.std(ics, ddof=1) / np.sqrt(len(ics)) if len(ics) > 1 else float("nan")
        print(f"{'':<18} rank IC out of sample:  {np.mean(ics):+.4f} ± {error:.4f}; {seconds:.1f} s a market")


if __name__ == "__main__":
    main()
