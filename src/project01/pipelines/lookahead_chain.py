"""The whole chain as the look-ahead audit takes it: which layers there are, and what each is given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from project01.domain import BARS, InputError, NotEnoughDataError, TradingCalendar
from project01.etl import Feature, compute_features, feature_set, forward_returns
from project01.evaluate import Change, Layer, Outputs, Tables, WalkForward
from project01.models import POINT_MODELS
from project01.pipelines.lookahead_layers import (
    bus_layer,
    feature_layer,
    features_of,
    labels_of,
    lake_layer,
    market_of,
    store_layer,
    usable_of,
)
from project01.pipelines.lookahead_trading import (
    CONSTRUCTIONS,
    backtest_layer,
    forecast_table,
    forecasts_of,
    market_of_bars,
    model_layer,
    portfolio_layer,
    traded_signal,
    training_tables,
    weights_of,
)

HORIZON = 5
LAYERS = ("bus", "lake", "features", "store", "models", "portfolio", "backtest", "chain")
# Layers in which one look costs a second or more are cut at fewer times.
DEAR = {"store": 5, "models": 5, "chain": 5}
# The bus, the lake and the store treat each row alike, whatever came long before.
STORED_SESSIONS = 30
TRADED_SESSIONS, TRADED_SYMBOLS, WINDOW = 300, 8, 100
FORECASTER, CONSTRUCTION = "ridge", "top quantile, overlapping"
_CHANGES: tuple[Change, ...] = ("nothing", "restated", "universe", "split", "readjusted")


def checked_layers(names: tuple[str, ...]) -> tuple[str, ...]:
    """The layers asked for, in the order of the chain.

    Raises:
        InputError: there is no such layer, or none was named.
    """
    unknown = [name for name in names if name not in LAYERS]
    if unknown or not names:
        raise InputError(f"There is no layer {', '.join(unknown) or 'named'}; known are {', '.join(LAYERS)}.")
    return tuple(name for name in LAYERS if name in names)


@dataclass(frozen=True)
class AuditedChain:
    """What is audited, made layer by layer when it is asked for.

    Attributes:
        tables: rows as the lake keeps them.
        wanted: features to audit; those the tables cannot carry are left out.
        folder: where Feast's files go.
        seed: of the forecasters.
        calendar: of the exchange the bars come from.
    """

    tables: Tables
    wanted: tuple[Feature, ...]
    folder: Path
    seed: int
    calendar: TradingCalendar

    @cached_property
    def usable(self) -> tuple[tuple[Feature, ...], dict[str, str]]:
        """Features audited, and the reason for each one left out."""
        return usable_of(self.tables, self.wanted)

    def layer(self, name: str) -> Layer:
        """One of `LAYERS`."""
        makers: dict[str, Callable[[], Layer]] = {
            "bus": lambda: bus_layer(self._stored),
            "lake": lambda: lake_layer(self._stored),
            "features": lambda: feature_layer(self.tables, self.usable[0], HORIZON),
            "store": self._store,
            "models": lambda: model_layer(self._training, tuple(POINT_MODELS), self._split, self.seed),
            "portfolio": lambda: portfolio_layer(self._traded_bars, self._forecasts, self.calendar),
            "backtest": lambda: backtest_layer(self._traded_bars, self._targets),
            "chain": self._chain,
        }
        return makers[name]()

    @cached_property
    def _stored(self) -> dict[str, pl.DataFrame]:
        days = self.tables[BARS.name]["session"].unique().sort()
        first = days[-min(STORED_SESSIONS, days.len())]
        return {name: rows.filter(pl.col("knowledge_time").dt.date() >= first) for name, rows in self.tables.items()}

    @cached_property
    def _traded(self) -> dict[str, pl.DataFrame]:
        bars = self.tables[BARS.name]
        days, names = bars["session"].unique().sort(), bars["symbol"].unique().sort()[:TRADED_SYMBOLS].to_list()
        first = days[-min(TRADED_SESSIONS, days.len())]
        kept = bars.filter(pl.col("session") >= first, pl.col("symbol").is_in(names))
        return {**self.tables, BARS.name: kept}

    @cached_property
    def _core(self) -> tuple[Feature, ...]:
        return usable_of({BARS.name: self._traded[BARS.name]}, feature_set("core"))[0]

    @cached_property
    def _prepared(self) -> pl.DataFrame:
        return market_of({BARS.name: self._traded[BARS.name]}).bars

    @cached_property
    def _split(self) -> WalkForward:
        window = min(WINDOW, self._prepared["session"].n_unique() // 3)
        return WalkForward(train_sessions=window, test_sessions=window, purge=HORIZON + 1, horizon=HORIZON)

    @cached_property
    def _training(self) -> dict[str, pl.DataFrame]:
        features = compute_features(self._prepared, self._core)
        return training_tables(features, forward_returns(self._prepared, HORIZON))

    @cached_property
    def _forecasts(self) -> pl.DataFrame:
        found = forecasts_of(self._training, (FORECASTER,), self._split, self.seed)[FORECASTER]
        if found.is_empty():
            raise NotEnoughDataError(
                f"{self._prepared['session'].n_unique()} sessions are too few to train and trade on. Raise --sessions, "
                "bring more history, or leave out the layers models, portfolio, backtest and chain."
            )
        return forecast_table(found, self._prepared)

    @cached_property
    def _traded_bars(self) -> pl.DataFrame:
        first = self._forecasts["session"].min()
        return self._prepared.filter(pl.col("session") >= pl.lit(first))

    @cached_property
    def _targets(self) -> pl.DataFrame:
        market = market_of_bars(self._traded_bars)
        signal = traded_signal(self._forecasts, market, self.calendar)
        if signal is None:
            raise NotEnoughDataError("No forecast falls on a session with bars; nothing can be traded.")
        made = CONSTRUCTIONS[CONSTRUCTION](signal, market)
        return weights_of(made, self._traded_bars).rename({"as_of": "knowledge_time"})

    def _store(self) -> Layer:
        features = compute_features(market_of({BARS.name: self._stored[BARS.name]}).bars, self._core)
        described = self._core[:6]
        keys = ("symbol", "session", "event_time", "knowledge_time")
        return store_layer(features.select(*keys, *(feature.name for feature in described)), described, self.folder)

    def _chain(self) -> Layer:
        """Rows of the lake -> features, labels, forecasts, weights and equity, each made from the one before."""
        begin = self._traded_bars["session"].min()

        def compute(rows: Tables, cut: np.datetime64) -> Outputs:
            bars = market_of({BARS.name: rows[BARS.name]}).bars
            training = training_tables(compute_features(bars, self._core), forward_returns(bars, HORIZON))
            forecasts = forecasts_of(training, (FORECASTER,), self._split, self.seed)
            outputs: dict[str, pl.DataFrame] = {
                "features": features_of(rows, self.usable[0]),
                "labels": labels_of(bars, HORIZON),
                "forecasts": forecasts[FORECASTER],
            }
            table = forecast_table(forecasts[FORECASTER], bars)
            traded = bars.filter(pl.col("session") >= pl.lit(begin))
            if table.is_empty() or traded.is_empty():
                return outputs
            for later in (
                portfolio_layer(traded, table, self.calendar),
                backtest_layer(traded, self._decided(traded, table)),
            ):
                outputs |= later.compute(later.tables, cut)
            return outputs

        return Layer("chain", self._traded, compute, ("noise",), _CHANGES)

    def _decided(self, bars: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
        market = market_of_bars(bars)
        signal = traded_signal(forecasts, market, self.calendar)
        if signal is None:
            return self._targets.clear()
        return weights_of(CONSTRUCTIONS[CONSTRUCTION](signal, market), bars).rename({"as_of": "knowledge_time"})
