"""Walk-forward training: fit on the past, forecast what follows, one record a fit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FORECAST_SCHEMA, FeatureFrame, InputError, LookAheadError, NotEnoughDataError, TrainingSet
from project01.models.forecaster import ConformalForecaster, times_of


class TrainTest(Protocol):
    """Which rows to fit on and which to forecast; `evaluate.Fold` is one.

    Attributes:
        number: unique among the folds.
        train, test: shape (n_rows,), boolean.
    """

    @property
    def number(self) -> int: ...  # noqa: D102 - see the class
    @property
    def train(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def test(self) -> NDArray[np.bool_]: ...  # noqa: D102


@dataclass(frozen=True)
class FitRecord:
    """One fit: what it rested on.

    Attributes:
        rows: training rows.
        train_first, train_last: days of the first and last as_of fitted on.
        purge: as_of times between the last one fitted on and the first one forecast.
        settings_hash: of the forecaster's own settings.
        model_id: of what was learned.
    """

    model: str
    fold: int
    seed: int
    rows: int
    train_first: str
    train_last: str
    purge: int
    settings_hash: str
    model_id: str


@dataclass(frozen=True)
class WalkForwardResult:
    """Out-of-sample forecasts of several forecasters.

    Attributes:
        forecasts: columns of `FORECAST_SCHEMA`, `model` and `fold`; sorted by model (as given), as_of, symbol.
        fits: one record for each model and fold.
    """

    forecasts: pl.DataFrame
    fits: tuple[FitRecord, ...]


@dataclass(frozen=True)
class _Window:
    """One fold's rows, taken apart and proved to keep the future out."""

    number: int
    past: TrainingSet
    ahead: FeatureFrame
    first: str
    last: str
    purge: int


def _window(training: TrainingSet, times: Any, fold: TrainTest) -> _Window:
    if not fold.train.any() or not fold.test.any():
        raise NotEnoughDataError(
            f"Fold {fold.number} has {int(fold.train.sum())} rows to fit on and {int(fold.test.sum())} to forecast; "
            "each needs some. Bring more history or lower walk_forward.train_sessions."
        )
    test_first, train_last = times[fold.test].min(), times[fold.train].max()
    latest = training.label_known_at[fold.train].max()
    if latest > test_first or train_last >= test_first:
        raise LookAheadError(
            f"Fold {fold.number}: fitted on rows up to {train_last} with labels known by {latest}, but its first "
            f"forecast is made at {test_first}. Purge at least the horizon, {training.horizon} sessions."
        )
    steps = np.unique(times)
    purge = int(np.searchsorted(steps, test_first) - np.searchsorted(steps, train_last)) - 1
    ahead = FeatureFrame(training.features.frame.filter(pl.Series(fold.test)), training.features.feature_names)
    first, last = (str(np.datetime_as_string(end, unit="D")) for end in (times[fold.train].min(), train_last))
    return _Window(fold.number, training.take(fold.train), ahead, first, last, purge)


def walk_forward(
    training: TrainingSet,
    folds: Iterable[TrainTest],
    forecasters: Sequence[Callable[[], ConformalForecaster]],
    progress: Callable[[int, int, str], None] = lambda _done, _total, _label: None,
) -> WalkForwardResult:
    """Fit each forecaster on each fold's past and forecast its test window.

    Args:
        training: all labelled rows.
        folds: e.g. from `WalkForward.split` over the same rows.
        forecasters: makers of fresh forecasters.
        progress: told after each fit how many of how many are done, and which.
    Raises:
        InputError: two forecasters of one name, or none.
        LookAheadError: a training label was not known before the test window.
        NotEnoughDataError: a fold without rows, or too few to calibrate on.
    """
    times, listed = times_of(training.features), list(folds)
    total = len(listed) * len(forecasters)
    tables: dict[str, list[pl.DataFrame]] = {}
    fits: list[FitRecord] = []
    for fold in listed:
        window = _window(training, times, fold)
        for make in forecasters:
            forecaster = make()
            forecaster.fit(window.past)
            table = forecaster.predict(window.ahead).frame
            tables.setdefault(forecaster.name, []).append(_named(table, forecaster.name, window.number))
            fits.append(_record(forecaster, window))
            progress(
                len(fits), total, f"{forecaster.name}, fold {(len(fits) - 1) // len(forecasters) + 1} of {len(listed)}"
            )
    if len(tables) != len(forecasters) or not listed:
        raise InputError(f"{len(listed)} folds and forecasters {', '.join(tables)}; give folds, and each name once.")
    return WalkForwardResult(pl.concat([t for parts in tables.values() for t in parts]), tuple(fits))


def _named(table: pl.DataFrame, model: str, fold: int) -> pl.DataFrame:
    return table.select(*FORECAST_SCHEMA, pl.lit(model).alias("model"), pl.lit(fold).alias("fold"))


def _record(forecaster: ConformalForecaster, window: _Window) -> FitRecord:
    return FitRecord(
        forecaster.name, window.number, forecaster.seed, len(window.past.features), window.first, window.last,
        window.purge, forecaster.settings_hash(), forecaster.model_id(),
    )  # fmt: skip
