"""Our own research process on one market: features, tuning, training, back-tests with costs, verdict.

The parts are those of the main job (features and labels, walk-forward, desk, verdict); only the lake between them is
left out. Two ways of working are judged:

* **product**: what a user gets. The forecaster to trade is fixed before any result is seen; its settings are tuned on
  an inner walk-forward within the first training window.
* **analyst**: all forecasters, all settings tried and many single-feature rules, both ways round, are back-tested over
  the whole test part, and the best of them by the Sharpe ratio of its excess is shown. This is what the deflated Sharpe
  ratio is there for.

Every back-test looked at, and every tuning fit that was scored, counts as a trial.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from project01.backtest import Market, Signal, market_from_bars
from project01.domain import FeatureFrame, FloatArray, TradingCalendar, TrainingSet, trading_calendar
from project01.etl import compute_features, feature_set, forward_returns, usable
from project01.evaluate import (
    NEEDED_DEFLATED_SHARPE,
    Evidence,
    Fold,
    WalkForward,
    annual_mean,
    deflated_sharpe,
    information_coefficient,
    judge,
    moments,
    scored,
    sharpe_per_session,
)
from project01.models import POINT_MODELS, ConformalForecaster, make_forecaster, walk_forward
from project01.pipelines.backtest import Desk, Traded, signal_of
from project01.pipelines.evidence import plain
from project01.pipelines.sharpe import Luck
from project01.pipelines.train import as_of_times
from project01.pipelines.worlds import World
from project01.settings import CostSettings, ForecastSettings, PortfolioSettings, Settings

Choice = tuple[tuple[str, int | float], ...]
Make = Callable[[str, int, Mapping[str, int | float]], ConformalForecaster]
NET, GROSS = "net", "gross"
FREE = CostSettings(commission_bps=0.0, slippage_bps=0.0)
GRID: tuple[tuple[str, tuple[Choice, ...]], ...] = (
    ("lightgbm", ((("num_leaves", 7),), (("num_leaves", 31), ("rounds", 60)))),
    ("ridge", ((("penalty_share", 0.01),), (("penalty_share", 0.1),), (("penalty_share", 1.0),))),
)
SINGLE_RULES = (
    "ret_1", "ret_5", "ret_21", "ret_63", "ret_252", "rsi_14", "realised_vol_21", "volume_z_20", "amihud_21",
    "beta_252",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How large a market is, and what is tried on it.

    Attributes:
        symbols, sessions: of the market.
        train_sessions, test_sessions: of the walk-forward.
        horizon: sessions ahead.
        seed: of the worlds and of every fit.
        models: forecasters; the first is the one that the product trades.
        grid: settings tuned, by forecaster.
        single_rules: features that the analyst trades as they are, high over low and low over high; empty: the analyst
            stays at home.
    """

    symbols: int = 60
    sessions: int = 1500
    train_sessions: int = 756
    test_sessions: int = 252
    horizon: int = 5
    seed: int = 7
    models: tuple[str, ...] = ("lightgbm", "xgboost", "ridge", "momentum", "historical_mean", "zero")
    grid: tuple[tuple[str, tuple[Choice, ...]], ...] = GRID
    single_rules: tuple[str, ...] = SINGLE_RULES

    def split(self, train_sessions: int, test_sessions: int) -> WalkForward:
        """A walk-forward with this plan's horizon, purged as in the main job."""
        return WalkForward(
            train_sessions=train_sessions, test_sessions=test_sessions, purge=self.horizon + 1, horizon=self.horizon
        )

    def settings(self, costs: CostSettings, portfolio: PortfolioSettings) -> Settings:
        """What the main job's desk is told."""
        forecast = ForecastSettings(horizon=self.horizon, seed=self.seed, models=self.models)
        return Settings(forecast=forecast, costs=costs, portfolio=portfolio)


@dataclass(frozen=True)
class Study:
    """What was tried on one market, before anything is traded.

    Attributes:
        plan: what was to be tried.
        market: prices to trade at.
        labels: what followed.
        forecasts: out-of-sample forecasts of each forecaster of the plan, tuned where it has a grid.
        signals: of the same, as the desk takes them.
        further: signals of what the analyst tried beside them.
        chosen: settings that tuning chose, by forecaster.
        tuning_fits: fits that were scored to choose them.
    """

    plan: Plan
    market: Market
    labels: pl.DataFrame
    forecasts: dict[str, pl.DataFrame]
    signals: dict[str, Signal]
    further: dict[str, Signal] = field(repr=False)
    chosen: dict[str, Choice]
    tuning_fits: int


def labelled(bars: pl.DataFrame, horizon: int) -> tuple[TrainingSet, pl.DataFrame]:
    """Features and labels as the main job makes them, and the labels by themselves."""
    kept, _ = usable(feature_set("core"), bars)
    names = tuple(feature.name for feature in kept)
    features = compute_features(bars, kept).rename({"knowledge_time": "as_of"}).drop("event_time", "session")
    labels = forward_returns(bars, horizon)
    rows = labels.join(features, on=["symbol", "as_of"], how="inner").sort("as_of", "symbol")
    known = rows["label_known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    frame = FeatureFrame(rows.select("symbol", "as_of", "session", *names), names)
    return TrainingSet(frame, rows["label"].to_numpy(), rows["raw_label"].to_numpy(), known, horizon), labels


def _forecast(training: TrainingSet, folds: list[Fold], name: str, plan: Plan, choice: Choice, make: Make) -> Any:
    return walk_forward(training, folds, [partial(make, name, plan.seed, dict(choice))]).forecasts


def tune(
    training: TrainingSet, labels: pl.DataFrame, first: Fold, plan: Plan, make: Make
) -> tuple[dict[str, Choice], int]:
    """Choose settings within the first training window: two thirds to fit on, the rest to score the rank IC on.

    Returns:
        The choice for each forecaster with a grid, and how many fits were scored.
    """
    past = training.take(first.train)
    early = plan.train_sessions * 2 // 3
    inner = list(plan.split(early, plan.train_sessions).split(as_of_times(past), past.label_known_at))
    chosen, fits = {}, 0
    for name, choices in plan.grid:
        scores = []
        for choice in choices:
            rows = scored(_forecast(past, inner, name, plan, choice, make), labels)
            scores.append(information_coefficient(rows, plan.horizon).value)
            fits += len(inner)
        # No score at all, where every forecast is the same, is the worst.
        chosen[name] = choices[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))]
    return chosen, fits


def study(world: World, plan: Plan, make: Make = make_forecaster) -> Study:
    """Features, tuning and out-of-sample forecasts of one market.

    Args:
        world: the market.
        plan: what is tried.
        make: makes a forecaster from its name, a seed and settings.
    Raises:
        NotEnoughDataError: too few sessions for one training and one test window.
    """
    training, labels = labelled(world.bars, plan.horizon)
    known = training.label_known_at
    folds = list(plan.split(plan.train_sessions, plan.test_sessions).split(as_of_times(training), known))
    chosen, fits = tune(training, labels, folds[0], plan, make)
    market = market_from_bars(world.bars)
    calendar = trading_calendar()

    def tried(name: str, choice: Choice) -> pl.DataFrame:
        found: pl.DataFrame = _forecast(training, folds, name, plan, choice, make)
        return found

    forecasts = {name: tried(name, chosen.get(name, ())) for name in plan.models}
    signals = {name: signal_of(rows, calendar, market) for name, rows in forecasts.items()}
    further: dict[str, Signal] = {}
    if plan.single_rules:
        for name, choices in plan.grid:
            for choice in choices:
                if choice != chosen[name]:
                    words = ", ".join(f"{key} {value:g}" for key, value in choice)
                    further[f"{name} with {words}"] = signal_of(tried(name, choice), calendar, market)
        tested = training.features.frame.filter(pl.Series(np.any([fold.test for fold in folds], axis=0)))
        known_rules = [name for name in plan.single_rules if name in training.features.feature_names]
        further |= _single_rules(tested, known_rules, calendar, market)
    return Study(plan, market, labels, forecasts, signals, further, chosen, fits)


def _single_rules(
    tested: pl.DataFrame, names: Sequence[str], calendar: TradingCalendar, market: Market
) -> dict[str, Signal]:
    found = {}
    for name in names:
        rows = tested.select("symbol", "as_of", pl.col(name).cast(pl.Float64).fill_nan(None).alias("mean"))
        signal = signal_of(rows.with_columns(pl.col("mean").fill_null(np.nan)), calendar, market)
        found[f"high {name}"] = signal
        found[f"low {name}"] = Signal(signal.sessions, signal.symbols, -signal.values)
    return found


def trade(found: Study, costs: CostSettings, portfolio: PortfolioSettings) -> dict[str, Traded]:
    """Back-tests of everything tried, on the main job's desk."""
    settings = found.plan.settings(costs, portfolio)
    desk = Desk(found.market, settings, found.signals[found.plan.models[0]])
    return {name: desk.trade(name, signal) for name, signal in (found.signals | found.further).items()}


def judged(traded: Mapping[str, Traded], name: str, tuning_fits: int, symbols: int) -> dict[str, Any]:
    """The verdict on one of several things traded, and what each of its rules would have said alone.

    Args:
        traded: everything that was back-tested and looked at; each counts as a trial.
        name: which is judged.
        tuning_fits: trials beside them.
        symbols: of the market.
    """
    excess = traded[name].excess
    scores = np.array([sharpe_per_session(each.excess) for each in traded.values()])
    trials = len(scores) + tuning_fits
    variance = float(scores.var(ddof=1)) if len(scores) > 1 else 0.0
    sharpe = sharpe_per_session(excess)
    deflated = deflated_sharpe(sharpe, len(excess), *moments(excess), trials, variance)
    naive = _best_naive(traded, name)
    estimate = annual_mean(excess)
    overfitting = Luck(scores, np.column_stack([each.excess for each in traded.values()])).overfitting()
    verdict = judge(
        Evidence(
            excess=estimate, deflated_sharpe=plain(deflated), best_naive=naive, trials=trials, sessions=len(excess),
            symbols=symbols, simulated=True, survivors_only=False, overfitting=overfitting.probability.value,
            trials_with_returns=overfitting.trials,
        )
    )  # fmt: skip
    return {
        "model": name, "verdict": verdict.kind, "excess": plain(estimate.value), "low": plain(estimate.low),
        "high": plain(estimate.high), "deflated": plain(deflated), "trials": trials,
        "above_zero": bool(estimate.low > 0), "deflated_enough": bool(deflated >= NEEDED_DEFLATED_SHARPE),
        "beats_naive": naive is None or bool(estimate.value > naive[1]), "overfitting": overfitting.probability.value,
    }  # fmt: skip


def _best_naive(traded: Mapping[str, Traded], name: str) -> tuple[str, float] | None:
    """The best baseline by mean excess; the one judged does not count."""
    naive = [each for each in traded if each != name and each in POINT_MODELS and POINT_MODELS[each]().is_baseline]
    means: dict[str, FloatArray] = {each: traded[each].excess for each in naive}
    known = [(each, annual_mean(excess).value) for each, excess in means.items()]
    return max(known, key=lambda item: item[1]) if known else None


def best_of(traded: Mapping[str, Traded]) -> str:
    """What an analyst shows: the one with the best Sharpe ratio of its excess, looked up after the fact."""
    return max(traded, key=lambda name: sharpe_per_session(traded[name].excess))
