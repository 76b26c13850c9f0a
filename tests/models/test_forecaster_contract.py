"""What every registered forecaster must do; a new one gets these tests by being registered."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from project01.domain import (
    FORECAST_SCHEMA,
    QUANTILE_COLUMNS,
    FeatureFrame,
    InputError,
    NotEnoughDataError,
    SchemaError,
    TrainingSet,
)
from project01.models import POINT_MODELS, ConformalForecaster, Forecaster, make_forecaster

pytestmark = pytest.mark.parametrize("name", list(POINT_MODELS))

VALUES = ["mean", *QUANTILE_COLUMNS]


def with_columns(features: FeatureFrame, *columns: pl.Expr) -> FeatureFrame:
    return FeatureFrame(features.frame.with_columns(*columns), features.feature_names)


def bytes_of(frame: pl.DataFrame) -> bytes:
    return frame.select(VALUES).to_numpy().tobytes()


def test_forecast_has_a_row_for_each_row_asked(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    forecaster: Forecaster = fitted_models[name]
    frame = forecaster.predict(training.features).frame
    assert forecaster.name == name
    assert dict(frame.schema) == FORECAST_SCHEMA
    assert frame.select("symbol", "as_of").equals(training.features.frame.select("symbol", "as_of"))
    assert frame["horizon"].unique().to_list() == [5]
    assert frame["data_age"].unique().to_list() == [0.0]
    assert np.isfinite(frame.select(VALUES).to_numpy()).all()


def test_quantiles_never_cross_and_bracket_the_mean(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    frame = fitted_models[name].predict(training.features).frame
    quantiles = frame.select(QUANTILE_COLUMNS).to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert ((frame["mean"] > frame["q05"]) & (frame["mean"] < frame["q95"])).all()


def test_inputs_are_left_as_they_were(name: str, make_market: Callable[..., TrainingSet]) -> None:
    given, same = make_market(), make_market()
    forecaster = make_forecaster(name, 7)
    forecaster.fit(given)
    forecaster.predict(given.features)
    assert given.features.frame.equals(same.features.frame)
    for one, other in ((given.label, same.label), (given.raw_label, same.raw_label)):
        assert one.tobytes() == other.tobytes()
    assert (given.label_known_at == same.label_known_at).all()


def test_same_seed_same_bytes_after_another_fit(
    name: str,
    training: TrainingSet,
    make_market: Callable[..., TrainingSet],
    fitted_models: dict[str, ConformalForecaster],
) -> None:
    again = make_forecaster(name, 7)
    again.fit(make_market(seed=9))
    other = again.predict(training.features).frame
    again.fit(training)
    wanted = fitted_models[name]
    assert again.to_files() == wanted.to_files()
    assert again.predict(training.features).frame.equals(wanted.predict(training.features).frame)
    # The fit is what is compared: other rows give other intervals.
    assert bytes_of(other) != bytes_of(again.predict(training.features).frame)


PROGRAM = """
import hashlib, importlib.util, os, sys
if sys.argv[3] == "one core":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
spec = importlib.util.spec_from_file_location("market", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from project01.models import make_forecaster
training = module.market()
forecaster = make_forecaster(sys.argv[2], 7)
forecaster.fit(training)
frame = forecaster.predict(training.features).frame.select("mean", "q05", "q25", "q50", "q75", "q95")
print(forecaster.model_id(), hashlib.sha256(frame.to_numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("cores", ["all cores", "one core"])
def test_same_bytes_in_a_fresh_process(
    name: str, cores: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    here = fitted_models[name]
    frame = here.predict(training.features).frame
    arguments = [sys.executable, "-c", PROGRAM, str(Path(__file__).with_name("conftest.py")), name, cores]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "3"}
    )
    assert done.stdout.split() == [here.model_id(), hashlib.sha256(bytes_of(frame)).hexdigest()]


def test_a_forecast_depends_on_its_own_row_only(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    together = fitted_models[name].predict(training.features).frame
    for place in (0, 17, 400):
        alone = FeatureFrame(training.features.frame.slice(place, 1), training.features.feature_names)
        assert bytes_of(fitted_models[name].predict(alone).frame) == bytes_of(together.slice(place, 1))


def test_no_rows_give_no_forecasts(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    none = FeatureFrame(training.features.frame.clear(), training.features.feature_names)
    assert dict(fitted_models[name].predict(none).frame.schema) == FORECAST_SCHEMA
    assert fitted_models[name].contributions(none).shape == (0, 4)


def test_survives_rows_and_columns_without_values(name: str, training: TrainingSet) -> None:
    missing = with_columns(
        training.features,
        pl.lit(None, dtype=pl.Float32).alias("volume_z_20"),
        pl.when(pl.int_range(pl.len()) % 3 == 0)
        .then(float("nan"))
        .otherwise("mom_12_1")
        .cast(pl.Float32)
        .alias("mom_12_1"),
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise("realised_vol_21").alias("realised_vol_21"),
    )
    rows = TrainingSet(missing, training.label, training.raw_label, training.label_known_at, training.horizon)
    forecaster = make_forecaster(name, 7)
    forecaster.fit(rows)
    empty = with_columns(
        training.features, *(pl.lit(float("nan"), dtype=pl.Float32).alias(n) for n in missing.feature_names)
    )
    for asked in (missing, empty):
        assert np.isfinite(forecaster.predict(asked).frame.select(VALUES).to_numpy()).all()


def test_a_symbol_never_seen_is_forecast(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    new = with_columns(training.features, pl.lit("NEW#2").alias("symbol"))
    frame = fitted_models[name].predict(new).frame
    assert frame["symbol"].unique().to_list() == ["NEW#2"]
    assert np.isfinite(frame.select(VALUES).to_numpy()).all()


def test_a_row_without_a_bar_has_no_age(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    session = pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise(pl.col("session") - pl.duration(days=3))
    frame = fitted_models[name].predict(with_columns(training.features, session.alias("session"))).frame
    assert frame["data_age"].head(2).to_list() == [None, 3 * 86_400.0]


def test_a_constant_label_is_forecast_as_that_constant(name: str, training: TrainingSet) -> None:
    constant = np.full(len(training.features), 0.25)
    rows = TrainingSet(training.features, constant, constant, training.label_known_at, training.horizon)
    forecaster = make_forecaster(name, 7)
    forecaster.fit(rows)
    frame = forecaster.predict(training.features).frame
    # Zero and momentum say nothing of the level; calibration brings the intervals there. float32 leaves in XGBoost.
    np.testing.assert_allclose(frame["q50"], 0.25, atol=0.15 if name in {"zero", "momentum"} else 1e-6)
    if name not in {"zero", "momentum"}:
        np.testing.assert_allclose(frame["mean"], 0.25, atol=1e-6)


def test_missing_labels_are_not_learned_from(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    extra = training.features.frame.with_columns(pl.lit("UNKNOWN").alias("symbol"))
    both = pl.concat([training.features.frame, extra])
    twice = np.concatenate([training.label, np.full(len(training.label), np.nan)])
    known = np.concatenate([training.label_known_at, training.label_known_at])
    rows = TrainingSet(FeatureFrame(both, training.features.feature_names), twice, twice, known, training.horizon)
    forecaster = make_forecaster(name, 7)
    forecaster.fit(rows)
    assert forecaster.model_id() == fitted_models[name].model_id()


def test_other_features_or_another_order_are_refused(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    names = training.features.feature_names
    for other in (names[::-1], names[:-1]):
        asked = FeatureFrame(training.features.frame, other)
        with pytest.raises(InputError, match=r"other features.*expected order ret_5, mom_12_1"):
            fitted_models[name].predict(asked)
        with pytest.raises(InputError, match="other features"):
            fitted_models[name].contributions(asked)


def test_predict_before_fit_says_so(name: str, training: TrainingSet) -> None:
    forecaster = make_forecaster(name, 7)
    for call in (lambda: forecaster.predict(training.features), forecaster.model_id, forecaster.to_files):
        with pytest.raises(InputError, match=f"{name} cannot predict before fit"):
            call()


def test_a_failed_fit_leaves_nothing_to_predict_with(name: str, training: TrainingSet) -> None:
    forecaster = make_forecaster(name, 7)
    few = training.take(np.arange(len(training.features)) < 24)
    with pytest.raises(NotEnoughDataError, match="40 of each are needed"):
        forecaster.fit(few)
    with pytest.raises(InputError, match="before fit"):
        forecaster.predict(training.features)


def test_infinite_features_are_refused_by_name(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    bad = with_columns(training.features, pl.lit(float("inf"), dtype=pl.Float32).alias("volume_z_20"))
    with pytest.raises(SchemaError, match="volume_z_20"):
        fitted_models[name].predict(bad)


def test_contributions_and_a_constant_add_up_to_the_mean(
    name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    found = fitted_models[name].contributions(training.features)
    mean = fitted_models[name].predict(training.features).frame["mean"].to_numpy()
    assert found.shape == (len(training.features), 4)
    rest = mean - found.sum(axis=1)
    if name == "historical_mean":  # uses the symbol, which is no feature
        assert not found.any()
    else:
        np.testing.assert_allclose(rest, rest[0], atol=1e-7)
