"""The forecasters as a scikit-learn estimator, and equal answers for pandas, Polars, Arrow and numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from project01.domain import InputError, NotEnoughDataError, TrainingSet
from project01.models import POINT_MODELS, ConformalRegressor, make_forecaster

# Momentum reads a column by its name, and the checks' arrays have none; every check of it would test that error.
CHECKED = [name for name in POINT_MODELS if name != "momentum"]
# Check -> why it cannot hold for this estimator.
EXPECTED_FAILURES: dict[str, str] = {}


@pytest.fixture(scope="module")
def table(training: TrainingSet) -> tuple[pd.DataFrame, np.ndarray]:
    frame = training.features.frame.select(training.features.feature_names)
    return frame.to_pandas(), training.label


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", CHECKED)
def test_scikit_learn_checks(model: str) -> None:
    done = check_estimator(ConformalRegressor(model), on_fail=None, on_skip=None)
    failed = {one["check_name"]: repr(one["exception"]) for one in done if one["status"] == "failed"}
    assert set(failed) == set(EXPECTED_FAILURES), failed
    assert sum(one["status"] == "passed" for one in done) > 40


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "numpy": lambda frame: frame.to_numpy(),
}


@pytest.mark.parametrize("model", list(POINT_MODELS))
@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_of_table_gives_the_same_answers(
    model: str, kind: str, table: tuple[pd.DataFrame, np.ndarray]
) -> None:
    if (model, kind) == ("momentum", "numpy"):
        pytest.skip("an array has no column names, and momentum reads one by name")
    frame, label = table
    wanted = ConformalRegressor(model, purge=60).fit(frame, label)
    rows = KINDS[kind](frame)
    found = ConformalRegressor(model, purge=60, scale_column=wanted.scale_column).fit(rows, label)
    np.testing.assert_allclose(found.predict(rows), wanted.predict(frame), rtol=0, atol=1e-12)
    quantiles = found.predict(rows, quantiles=[0.95, 0.05, 0.5])
    assert type(quantiles) is type(rows)
    if kind == "numpy":  # no name, so no volatility to scale by
        assert quantiles.shape == (len(frame), 3)
        return
    assert list(getattr(quantiles, "columns" if kind != "arrow" else "column_names")) == ["q05", "q50", "q95"]
    assert found.feature_names_in_.tolist() == list(frame.columns)
    reference = wanted.predict(frame, quantiles=[0.05, 0.5, 0.95])
    np.testing.assert_allclose(np.asarray(quantiles), reference.to_numpy(), rtol=0, atol=1e-12)


def test_nulls_and_nans_are_the_same_missing_value(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    nulls = pl.from_pandas(frame).with_columns(pl.all().fill_nan(None))
    assert nulls.null_count().to_numpy().sum() > 0
    for model in POINT_MODELS:
        one, other = ConformalRegressor(model).fit(frame, label), ConformalRegressor(model).fit(nulls, label)
        assert one.predict(frame).tobytes() == other.predict(nulls).tobytes()
        assert other.predict(nulls.to_arrow()).tobytes() == one.predict(frame).tobytes()


def test_pandas_keeps_its_index(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    moved = frame.set_index(pd.Index(np.arange(len(frame)) * 3 + 5, name="row"))
    found = ConformalRegressor().fit(moved, label).predict(moved.tail(7), level=[90])
    assert found.index.equals(moved.tail(7).index)


def test_level_is_another_name_for_quantiles(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    regressor = ConformalRegressor().fit(frame, label)
    both = regressor.predict(frame, level=[90, 50])
    assert list(both.columns) == ["q05", "q25", "q75", "q95"]
    pd.testing.assert_frame_equal(both, regressor.predict(frame, quantiles=[0.05, 0.25, 0.75, 0.95]))
    assert (np.diff(both.to_numpy(), axis=1) >= 0).all()
    assert list(regressor.predict(frame, level=[95]).columns) == ["q02_5", "q97_5"]


@pytest.mark.parametrize(("quantiles", "level"), [([0.0], None), ([1.0], None), (None, [100]), (None, [0.5, 120])])
def test_levels_out_of_range_are_refused(
    quantiles: list[float] | None, level: list[float] | None, table: tuple[pd.DataFrame, np.ndarray]
) -> None:
    frame, label = table
    with pytest.raises(InputError, match="between 0 and 1"):
        ConformalRegressor().fit(frame, label).predict(frame, quantiles=quantiles, level=level)


def test_too_few_rows_give_means_and_no_intervals(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    regressor = ConformalRegressor().fit(frame.head(100), label[:100])
    assert regressor.predict(frame).shape == (len(frame),)
    with pytest.raises(InputError, match="forty rows"):
        regressor.predict(frame, quantiles=[0.5])
    with pytest.raises(NotEnoughDataError, match="needs 999 calibration rows"):
        ConformalRegressor().fit(frame, label).predict(frame, quantiles=[0.001])


def test_before_fit_and_other_columns_are_refused(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    with pytest.raises(NotFittedError):
        ConformalRegressor().predict(frame)
    with pytest.raises(ValueError, match="same order"):
        ConformalRegressor().fit(frame, label).predict(frame[frame.columns[::-1]])


def test_works_in_pipelines_searches_and_cross_validation(table: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, label = table
    steps = Pipeline([("scale", StandardScaler().set_output(transform="pandas")), ("model", ConformalRegressor())])
    scores = cross_val_score(steps, frame, label, cv=TimeSeriesSplit(3, gap=60))
    assert scores.shape == (3,)
    assert (scores > 0).all()  # the market's edge is planted
    grid = {"settings": [None, {"penalty_share": 1e6}]}
    search = GridSearchCV(ConformalRegressor("ridge"), grid, cv=TimeSeriesSplit(3)).fit(frame, label)
    assert search.best_params_ == {"settings": None}


def test_clone_and_parameters() -> None:
    given = ConformalRegressor("lightgbm", {"num_leaves": 7}, purge=5, random_state=3)
    copied = clone(given)
    assert copied.get_params() == given.get_params()
    assert copied.set_params(settings={"num_leaves": 3}).settings == {"num_leaves": 3}
    assert given.settings == {"num_leaves": 7}


@pytest.mark.parametrize("settings", [{"leaves": 3}, {"num_leaves": "many"}, {"num_leaves": True}])
def test_unknown_settings_are_refused(settings: dict[str, Any], table: tuple[pd.DataFrame, np.ndarray]) -> None:
    with pytest.raises(InputError, match="lightgbm"):
        ConformalRegressor("lightgbm", settings).fit(*table)


@pytest.mark.parametrize("model", ["lightgbm", "xgboost", "ridge", "zero", "momentum"])
def test_agrees_with_the_forecaster_on_the_same_rows(model: str, training: TrainingSet) -> None:
    forecaster = make_forecaster(model, 7)
    forecaster.fit(training)
    frame = training.features.frame.select(training.features.feature_names)
    # The forecaster also knows the horizon, by which it thins rows; with a stride of one they see the same.
    stride = {} if model in {"zero", "momentum"} else {"session_stride": 1}
    forecaster = make_forecaster(model, 7, stride)
    forecaster.fit(training)
    regressor = ConformalRegressor(model, stride, purge=training.horizon, random_state=7)
    regressor.fit(frame, training.label, times=training.features.frame["as_of"].dt.timestamp().to_numpy())
    wanted = forecaster.predict(training.features).frame
    np.testing.assert_allclose(regressor.predict(frame), wanted["mean"], atol=1e-15)
    found = regressor.predict(frame, level=[90])
    np.testing.assert_allclose(found.to_numpy(), wanted.select("q05", "q95").to_numpy(), atol=1e-15)
