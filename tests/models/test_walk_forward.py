"""Walk-forward training: what it fits on, what it records, what it refuses."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from project01.domain import FORECAST_SCHEMA, FeatureFrame, InputError, LookAheadError, NotEnoughDataError, TrainingSet
from project01.evaluate import WalkForward
from project01.models import ConformalForecaster, make_forecaster, usable_forecasters, walk_forward
from project01.models.forecaster import times_of


@dataclass
class Masks:
    number: int
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def makers(*names: str) -> list[partial[ConformalForecaster]]:
    return [partial(make_forecaster, name, 7) for name in names]


def folds_of(training: TrainingSet, purge: int = 6) -> list[Masks]:
    place = np.unique(times_of(training.features), return_inverse=True)[1]
    return [
        Masks(number, (place >= start - 80 - purge) & (place < start - purge), (place >= start) & (place < start + 30))
        for number, start in enumerate((90, 120))
    ]


def test_each_fold_equals_a_fit_by_hand(training: TrainingSet) -> None:
    folds = folds_of(training)
    result = walk_forward(training, folds, makers("ridge", "lightgbm"))
    assert result.forecasts.columns == [*FORECAST_SCHEMA, "model", "fold"]
    for name in ("ridge", "lightgbm"):
        for fold in folds:
            forecaster = make_forecaster(name, 7)
            forecaster.fit(training.take(fold.train))
            wanted = forecaster.predict(training.take(fold.test).features).frame
            found = result.forecasts.filter(model=name, fold=fold.number).drop("model", "fold")
            assert found.equals(wanted)


def test_rows_come_by_model_as_given_then_time_then_symbol(training: TrainingSet) -> None:
    frame = walk_forward(training, folds_of(training), makers("zero", "ridge")).forecasts
    assert frame["model"].unique(maintain_order=True).to_list() == ["zero", "ridge"]
    for name in ("zero", "ridge"):
        rows = frame.filter(model=name)
        assert rows.equals(rows.sort("as_of", "symbol"))
        assert rows.height == 60 * 12


def test_one_record_a_fit_and_progress_for_each(training: TrainingSet) -> None:
    told: list[tuple[int, int, str]] = []
    folds = folds_of(training)
    result = walk_forward(training, folds, makers("zero", "ridge"), lambda *news: told.append(news))
    assert [(fit.model, fit.fold) for fit in result.fits] == [("zero", 0), ("ridge", 0), ("zero", 1), ("ridge", 1)]
    assert told == [
        (1, 4, "zero, fold 1 of 2"), (2, 4, "ridge, fold 1 of 2"), (3, 4, "zero, fold 2 of 2"),
        (4, 4, "ridge, fold 2 of 2"),
    ]  # fmt: skip
    first = result.fits[1]
    assert (first.rows, first.purge, first.seed) == (80 * 12, 6, 7)
    assert (first.train_first, first.train_last) == ("2015-01-09", "2015-03-29")
    assert first.settings_hash == make_forecaster("ridge", 1).settings_hash()
    assert first.settings_hash != make_forecaster("ridge", 1, {"bound": 4.0}).settings_hash()
    assert result.forecasts.filter(model="ridge", fold=0)["model_id"].unique().to_list() == [first.model_id]
    assert len({fit.model_id for fit in result.fits}) == 4


def test_takes_the_folds_of_the_evaluation(training: TrainingSet) -> None:
    splitter = WalkForward(train_sessions=80, test_sessions=30, purge=6, horizon=5)
    folds = list(splitter.split(times_of(training.features), training.label_known_at))
    result = walk_forward(training, folds, makers("momentum"))
    assert [fit.purge for fit in result.fits] == [6] * len(folds)


def test_a_label_known_after_the_first_forecast_is_refused(training: TrainingSet) -> None:
    with pytest.raises(LookAheadError, match="Purge at least the horizon, 5 sessions"):
        walk_forward(training, folds_of(training, purge=3), makers("zero"))
    fold = folds_of(training)[0]
    fold.train |= np.arange(len(fold.train)) == len(fold.train) - 1
    with pytest.raises(LookAheadError):
        walk_forward(training, [fold], makers("zero"))


def test_later_labels_change_no_earlier_forecast(training: TrainingSet) -> None:
    fold = folds_of(training)[0]
    later = ~fold.train
    label = np.where(later, 1e3, training.label)
    changed = TrainingSet(training.features, label, label, training.label_known_at, training.horizon)
    for name in ("lightgbm", "xgboost", "ridge", "momentum", "historical_mean", "zero"):
        one, other = (walk_forward(rows, [fold], makers(name)).forecasts for rows in (training, changed))
        assert one.equals(other)


def test_empty_folds_and_doubled_names_are_refused(training: TrainingSet) -> None:
    none = np.zeros(len(training.features), dtype=bool)
    with pytest.raises(NotEnoughDataError, match="Fold 4 has 0 rows"):
        walk_forward(training, [Masks(4, none, ~none)], makers("zero"))
    with pytest.raises(InputError, match="each name once"):
        walk_forward(training, folds_of(training), makers("zero", "zero"))
    with pytest.raises(InputError, match="give folds"):
        walk_forward(training, [], makers("zero"))


def test_momentum_is_left_out_where_its_feature_is(training: TrainingSet) -> None:
    names = ("lightgbm", "momentum", "zero")
    assert usable_forecasters(names, ("ret_5", "mom_12_1")) == (names, {})
    kept, left_out = usable_forecasters(names, ("ret_5",))
    assert kept == ("lightgbm", "zero")
    assert left_out == {"momentum": "needs the feature mom_12_1, which these data do not carry"}
    narrow = FeatureFrame(training.features.frame, ("ret_5",))
    rows = TrainingSet(narrow, training.label, training.raw_label, training.label_known_at, 5)
    with pytest.raises(InputError, match="Leave 'momentum' out"):
        make_forecaster("momentum", 7).fit(rows)
    with pytest.raises(InputError, match="Unknown forecaster 'lightgmb'"):
        usable_forecasters(["lightgmb"], ("ret_5",))
