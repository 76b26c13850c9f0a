"""The layers from training to the back-test, as the look-ahead audit sees them."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import polars as pl

from project01.backtest import (
    EqualWeight,
    Every,
    LongShortRank,
    Market,
    Monthly,
    Signal,
    TargetWeights,
    TopQuantile,
    equal_weight_targets,
    hold_targets,
    market_from_bars,
    overlapping_targets,
    rebalanced_targets,
    retail_costs,
    run_backtest,
)
from project01.domain import FORECAST_SCHEMA, FeatureFrame, NotEnoughDataError, TradingCalendar, TrainingSet
from project01.evaluate import Change, Layer, Outputs, Tables, WalkForward
from project01.models import ConformalForecaster, make_forecaster, walk_forward
from project01.pipelines.backtest import signal_of
from project01.pipelines.instants import END_OF_TIME

Construction = Callable[[Signal, Market], TargetWeights]
CASH = 1_000_000.0
# Prices reach a construction and the engine by session, without the time they were known, so that nothing comes late.
_ON_TIME: tuple[Change, ...] = ("nothing", "restated", "universe", "split", "readjusted")
VALUES = ("mean", "q05", "q25", "q50", "q75", "q95")

# Every way from forecasts to weights that ships; a new one is audited by standing here.
CONSTRUCTIONS: Mapping[str, Construction] = {
    "top quantile, overlapping": lambda s, m: overlapping_targets(s, m, TopQuantile(fraction=0.3), 5),
    "long-short rank, overlapping": lambda s, m: overlapping_targets(s, m, LongShortRank(cap=0.3), 5),
    "equal weight, overlapping": lambda s, m: overlapping_targets(s, m, EqualWeight(), 5),
    "top quantile, monthly": lambda s, m: rebalanced_targets(s, m, TopQuantile(cap=0.4), Monthly()),
    "long-short rank, every 5": lambda s, m: rebalanced_targets(s, m, LongShortRank(), Every(5)),
    "equal weight, every 5": lambda s, m: equal_weight_targets(m, s.sessions, Every(5)),
    "bought and held": lambda s, m: hold_targets(m, s.sessions),
}


def training_tables(features: pl.DataFrame, labels: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What training reads, each row with the time it was known.

    Args:
        features: as `compute_features` makes them.
        labels: as `forward_returns` makes them.
    """
    known = labels.drop("session").rename({"label_known_at": "knowledge_time"})
    return {"features": features.drop("event_time"), "labels": known}


def training_set(tables: Tables, horizon: int) -> TrainingSet:
    """Features with their outcomes; a row whose outcome is not known yet has none, and is forecast all the same."""
    first = tables["features"].sort("knowledge_time").unique(["symbol", "session"], keep="first", maintain_order=True)
    # Of rows of one symbol that became known together, only the newest is asked for.
    newest = first.sort("session").unique(["symbol", "knowledge_time"], keep="last", maintain_order=True)
    features = newest.with_columns(as_of="knowledge_time")
    labels = tables["labels"].unique(["symbol", "as_of"], keep="first", maintain_order=True)
    names = tuple(name for name in features.columns if name not in {"symbol", "as_of", "session", "knowledge_time"})
    told = labels.rename({"knowledge_time": "label_known_at"})
    joined = features.join(told, on=["symbol", "as_of"], how="left").sort("as_of", "symbol")
    never = pl.lit(END_OF_TIME).cast(pl.Datetime("us", "UTC"))
    known = joined.select(pl.coalesce("label_known_at", never).dt.replace_time_zone(None)).to_series()
    return TrainingSet(
        FeatureFrame(joined.select("symbol", "as_of", "session", *names), names),
        joined["label"].fill_null(np.nan).to_numpy().astype(np.float64),
        joined["raw_label"].fill_null(np.nan).to_numpy().astype(np.float64),
        known.to_numpy().astype("datetime64[us]"),
        horizon,
    )


def forecasts_of(tables: Tables, models: tuple[str, ...], split: WalkForward, seed: int) -> dict[str, pl.DataFrame]:
    """What the train step forecasts walk-forward: mean and quantiles, one output a forecaster."""
    training = training_set(tables, split.horizon)
    as_of = training.features.frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    makers: list[Callable[[], ConformalForecaster]] = [partial(make_forecaster, name, seed) for name in models]
    try:
        folds = list(split.split(as_of, training.label_known_at))
    except NotEnoughDataError:
        # Cut so early that nobody could train yet: no forecasts, and there must be none with the true future either.
        folds = []
    none = pl.DataFrame(schema={"model": pl.String(), **FORECAST_SCHEMA})
    found = walk_forward(training, folds, makers).forecasts if folds else none
    return {name: found.filter(pl.col("model") == name).select("symbol", "as_of", *VALUES) for name in models}


def model_layer(tables: Tables, models: tuple[str, ...], split: WalkForward, seed: int) -> Layer:
    """Features and labels -> forecasts of every forecaster, walk-forward."""

    def compute(rows: Tables, _: np.datetime64) -> Outputs:
        return forecasts_of(rows, models, split, seed)

    return Layer("models", tables, compute, ("noise",), ("nothing", "restated", "late", "universe"))


def forecast_table(forecasts: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Forecasts with the session they were made in, as the portfolio reads them."""
    sessions = bars.select("symbol", "session", as_of="knowledge_time")
    return forecasts.join(sessions, on=["symbol", "as_of"]).select(
        "symbol", "session", "as_of", "mean", "q05", "q95", pl.col("as_of").alias("knowledge_time")
    )


def traded_signal(forecasts: pl.DataFrame, market: Market, calendar: TradingCalendar) -> Signal | None:
    """What the backtest step trades on, by its own `signal_of`; None where there is nothing to trade.

    Args:
        forecasts: as `forecast_table` makes them. A forecast counts as it was first made; one of a name or a session
            that the market has no bars for is left out, since bars and forecasts are changed apart.
        market: to trade in.
        calendar: of its exchange.
    """
    days = pl.Series("session", market.sessions).cast(pl.Date)
    first = forecasts.sort("knowledge_time").unique(["symbol", "session"], keep="first", maintain_order=True)
    rows = first.filter(pl.col("symbol").is_in(market.symbols), pl.col("session").is_in(days.implode()))
    return None if rows.is_empty() else signal_of(rows, calendar, market)


def closes_of(bars: pl.DataFrame) -> pl.DataFrame:
    """When each session's bars were known at the earliest: the time its decisions stand at."""
    return bars.group_by("session").agg(pl.col("event_time").min().alias("as_of"))


def weights_of(targets: TargetWeights, bars: pl.DataFrame) -> pl.DataFrame:
    """Decided weights other than zero, each at its session's close."""
    decided = targets.decided
    frame = pl.DataFrame(targets.weights[decided], schema=list(targets.symbols)).with_columns(
        session=pl.Series(targets.sessions[decided]).cast(pl.Date)
    )
    long = frame.unpivot(index="session", variable_name="symbol", value_name="weight").filter(pl.col("weight") != 0)
    return long.join(closes_of(bars), on="session").select("symbol", "as_of", "session", "weight")


def market_of_bars(bars: pl.DataFrame) -> Market:
    """The market of prepared bars, each as it was first known."""
    first = bars.sort("symbol", "session", "knowledge_time")
    return market_from_bars(first.unique(["symbol", "session"], keep="first", maintain_order=True))


def portfolio_layer(
    bars: pl.DataFrame,
    forecasts: pl.DataFrame,
    calendar: TradingCalendar,
    constructions: Mapping[str, Construction] = CONSTRUCTIONS,
) -> Layer:
    """Forecasts and prepared bars -> target weights of every construction."""

    def compute(tables: Tables, _: np.datetime64) -> Outputs:
        market = market_of_bars(tables["bars"])
        signal = traded_signal(tables["forecasts"], market, calendar)
        if signal is None:
            none = pl.DataFrame(schema={"symbol": pl.String, "as_of": pl.Datetime("us", "UTC")})
            return dict.fromkeys(constructions, none)
        made = {name: construct(signal, market) for name, construct in constructions.items()}
        return {name: weights_of(targets, tables["bars"]).drop("session") for name, targets in made.items()}

    return Layer("portfolio", {"bars": bars, "forecasts": forecasts}, compute, ("noise",), _ON_TIME)


def targets_of(table: pl.DataFrame, market: Market) -> TargetWeights | None:
    """Decisions as the engine takes them; None where there are none."""
    first = table.sort("knowledge_time").unique(["symbol", "session"], keep="first", maintain_order=True)
    days = pl.Series("session", market.sessions).cast(pl.Date)
    rows = first.filter(pl.col("symbol").is_in(market.symbols), pl.col("session").is_in(days.implode()))
    if rows.is_empty():
        return None
    sessions, row = np.unique(rows["session"].to_numpy().astype("datetime64[D]"), return_inverse=True)
    names, column = np.unique(rows["symbol"].to_numpy().astype(str), return_inverse=True)
    weights = np.zeros((len(sessions), len(names)))
    weights[row, column] = rows["weight"].to_numpy()
    return TargetWeights(sessions, tuple(str(name) for name in names), weights)


def backtest_layer(bars: pl.DataFrame, targets: pl.DataFrame) -> Layer:
    """Target weights and prepared bars -> equity and cash of each close, and every trade.

    Args:
        bars: prepared.
        targets: symbol, session, weight, knowledge_time.
    """

    def compute(tables: Tables, _: np.datetime64) -> Outputs:
        market = market_of_bars(tables["bars"])
        decided = targets_of(tables["targets"], market)
        if decided is None:
            return {}
        result = run_backtest(market, decided, retail_costs(), initial_cash=CASH)
        closes = closes_of(tables["bars"])
        book = result.frame().select("session", "equity", "cash", "net_return").join(closes, on="session")
        trades = result.trades.select("symbol", "session", "quantity", "price", "value").join(closes, on="session")
        return {"book": book.drop("session"), "trades": trades.drop("session")}

    return Layer("backtest", {"bars": bars, "targets": targets}, compute, ("noise",), _ON_TIME)
