"""A point model with calibrated intervals: what training, back-test and serving see."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import polars as pl

from project01.domain import (
    FORECAST_SCHEMA,
    QUANTILE_COLUMNS,
    QUANTILES,
    FeatureFrame,
    FloatArray,
    Forecast,
    InputError,
    SchemaError,
    TrainingSet,
)
from project01.models.conformal import CALIBRATION_SHARE, Calibration, Scale, calibrate, calibration_split
from project01.models.design import (
    Design,
    ModelSettings,
    PointModel,
    Setting,
    check_names,
    fitted,
    json_object,
)
from project01.models.historical_mean import HistoricalMeanModel
from project01.models.lightgbm import LightGBMModel
from project01.models.momentum import MOMENTUM_FEATURE, MomentumModel
from project01.models.ridge import RidgeModel
from project01.models.xgboost import XGBoostModel
from project01.models.zero import ZeroModel

VOLATILITY_FEATURE = "realised_vol_21"
CALIBRATION_FILE = "calibration.json"
SECONDS_A_DAY = 86_400.0

POINT_MODELS: dict[str, Callable[..., PointModel]] = {
    "lightgbm": LightGBMModel,
    "xgboost": XGBoostModel,
    "ridge": RidgeModel,
    "momentum": MomentumModel,
    "historical_mean": HistoricalMeanModel,
    "zero": ZeroModel,
}


class Forecaster(Protocol):
    """Anything that forecasts returns with intervals."""

    @property
    def name(self) -> str:
        """Unique among the forecasters of a run."""
        ...

    def fit(self, training: TrainingSet) -> None:
        """Learn from labelled rows; fitting again forgets the first."""
        ...

    def predict(self, features: FeatureFrame) -> Forecast:
        """Mean and quantiles for each row."""
        ...


def times_of(features: FeatureFrame) -> Any:
    """The as_of of each row, shape (n_rows,), datetime64[us]."""
    return features.frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")


def design_of(features: FeatureFrame, horizon: int) -> Design:
    """The matrix view of a feature frame.

    Raises:
        SchemaError: a feature is infinite; missing values are NaN.
    """
    matrix = features.matrix()
    # A finite sum proves every value finite, at a fraction of the cost; NaN makes it look closer.
    places = () if np.isfinite(matrix.sum()) else np.flatnonzero(np.isinf(matrix).any(axis=0)).tolist()
    if places:
        names = [features.feature_names[place] for place in places]
        raise SchemaError(f"Infinite values in {', '.join(names)}; a value that cannot be computed is missing (NaN).")
    symbols = features.frame["symbol"].to_numpy()
    return Design(matrix, features.feature_names, symbols, times_of(features), horizon)


class ConformalForecaster:
    """Any point model with intervals from a held-out, purged calibration window.

    The last fifth of the training times, less a purge of `horizon` times before it, is held out; residuals there,
    scaled by volatility known at each time, give the quantiles. Then the point model is fitted again on all rows, so
    that forecasts use the newest ones; the residuals stay those of the held-out window, which are a little wide for a
    model that has seen more.
    """

    def __init__(self, point: PointModel, seed: int, volatility_feature: str = VOLATILITY_FEATURE) -> None:
        self.point = point
        self.seed = seed
        self.volatility_feature = volatility_feature
        self._names: tuple[str, ...] | None = None
        self._horizon = 0
        self._scale = Scale(None)
        self._calibration: Calibration | None = None
        self._model_id: str | None = None

    @property
    def name(self) -> str:
        """Name of the point model."""
        return self.point.name

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Features fitted on, in order."""
        return fitted(self._names, self.name)

    @property
    def horizon(self) -> int:
        """Sessions the labels looked ahead."""
        return self._horizon

    def settings_hash(self) -> str:
        """16 hex digits over everything chosen before the fit; the seed stands beside it, not in it."""
        chosen = [self.name, dict(self.point.settings), self.volatility_feature, CALIBRATION_SHARE, QUANTILES]
        return hashlib.sha256(msgspec.json.encode(chosen, order="sorted")).hexdigest()[:16]

    def fit(self, training: TrainingSet) -> None:
        """Calibrate on the last fifth, then fit on all; rows whose label is missing are left out.

        Raises:
            NotEnoughDataError: too few rows to hold any out.
            SchemaError: an infinite feature.
        """
        known = np.isfinite(training.label)
        rows = training if known.all() else training.take(known)
        design = design_of(rows.features, rows.horizon)
        early, late = calibration_split(times_of(rows.features), rows.horizon, rows.label_known_at)
        self._names, self._horizon, self._model_id = None, rows.horizon, None
        self._scale = Scale.learn(self.volatility_feature, _wide(design.column(self.volatility_feature)))
        self.point.fit(design.take(early), rows.label[early], self.seed)
        held = design.take(late)
        self._calibration = calibrate(rows.label[late], self.point.predict(held), self._scale_of(held))
        self.point.fit(design, rows.label, self.seed)
        self._names = design.names

    def _scale_of(self, design: Design) -> FloatArray:
        return self._scale.of(_wide(design.column(self.volatility_feature)), len(design.matrix))

    def predict(self, features: FeatureFrame) -> Forecast:
        """Mean and quantiles; quantiles cannot cross.

        Raises:
            InputError: not fitted, or other features than it was fitted on.
            SchemaError: an infinite feature.
        """
        check_names(self.feature_names, features.feature_names, self.name)
        design = design_of(features, self._horizon)
        mean = self.point.predict(design) if len(features) else np.empty(0)
        offsets = fitted(self._calibration, self.name).offsets(QUANTILES)
        quantiles = mean[:, None] + self._scale_of(design)[:, None] * offsets
        frame = features.frame.select("symbol", "as_of", _data_age(features.frame)).with_columns(
            pl.lit(self._horizon).alias("horizon"),
            pl.Series("mean", mean),
            *(pl.Series(name, quantiles[:, n]) for n, name in enumerate(QUANTILE_COLUMNS)),
            pl.lit(self.model_id()).alias("model_id"),
        )
        return Forecast(frame.select(pl.col(name).cast(dtype) for name, dtype in FORECAST_SCHEMA.items()))

    def contributions(self, features: FeatureFrame) -> FloatArray:
        """SHAP values, shape (n_rows, n_features), in return units; the constant is left out."""
        check_names(self.feature_names, features.feature_names, self.name)
        design = design_of(features, self._horizon)
        return self.point.contributions(design) if len(features) else np.empty(design.matrix.shape)

    def model_id(self) -> str:
        """Name and a hash of everything learned: the same model has the same id."""
        if self._model_id is None:
            self._model_id = id_of(self.name, self.to_files())
        return self._model_id

    def to_files(self) -> dict[str, bytes]:
        """The point model's own files and the calibration, none of them a pickle."""
        calibration = fitted(self._calibration, self.name)
        stored = {
            "features": list(self.feature_names), "horizon": self._horizon, "seed": self.seed,
            "volatility_feature": self.volatility_feature, "scale": vars(self._scale),
            "scores": calibration.scores.tolist(), "settings": dict(self.point.settings),
        }  # fmt: skip
        return self.point.to_files() | {CALIBRATION_FILE: msgspec.json.encode(stored, order="sorted")}

    @classmethod
    def from_files(cls, name: str, files: Mapping[str, bytes]) -> "ConformalForecaster":
        """The forecaster whose `to_files` these are.

        Raises:
            InputError: they are of another form.
        """
        keys = {"features", "horizon", "seed", "volatility_feature", "scale", "scores", "settings"}
        stored = json_object(files, CALIBRATION_FILE, keys)
        if not _well_formed(stored):
            raise InputError(f"{CALIBRATION_FILE} holds values of another kind than a forecaster's.")
        found = cls(point_model(name, **stored["settings"]), stored["seed"], stored["volatility_feature"])
        found._scale = Scale.from_json(stored["scale"])
        found._calibration = Calibration.from_json(stored["scores"])
        found.point.from_files(files, len(stored["features"]))
        found._names, found._horizon = tuple(stored["features"]), stored["horizon"]
        return found


def id_of(name: str, files: Mapping[str, bytes]) -> str:
    """Name and a hash over every file."""
    digest = hashlib.sha256()
    for file, content in sorted(files.items()):
        digest.update(file.encode() + b"\0" + len(content).to_bytes(8, "big") + content)
    return f"{name}-{digest.hexdigest()[:16]}"


def _well_formed(stored: Mapping[str, Any]) -> bool:
    names = stored["features"]
    named = isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)
    whole = type(stored["horizon"]) is int and type(stored["seed"]) is int and 1 <= stored["horizon"] <= 10_000
    tables = isinstance(stored["settings"], dict) and isinstance(stored["scale"], dict)
    return (
        named and len(set(names)) == len(names) and whole and tables and isinstance(stored["volatility_feature"], str)
    )


def _wide(column: Any) -> FloatArray | None:
    return None if column is None else np.asarray(column, dtype=np.float64)


def _data_age(frame: pl.DataFrame) -> pl.Expr:
    """Seconds from the newest bar to as_of: exact where the frame says when the bar was, else to the day."""
    if "event_time" in frame.columns:
        age = (pl.col("as_of") - pl.col("event_time")).dt.total_microseconds() / 1e6
    else:
        age = (pl.col("as_of").dt.date() - pl.col("session")).dt.total_days() * SECONDS_A_DAY
    return age.cast(pl.Float64).alias("data_age")


def point_model(name: str, **settings: Setting) -> PointModel:
    """A fresh point model by name.

    Raises:
        InputError: unknown name or setting.
    """
    if name not in POINT_MODELS:
        raise InputError(f"Unknown forecaster {name!r}. Choose from {', '.join(POINT_MODELS)}.")
    return POINT_MODELS[name](**settings)


def make_forecaster(name: str, seed: int, settings: ModelSettings | None = None) -> ConformalForecaster:
    """A fresh forecaster by name.

    Args:
        name: one of `POINT_MODELS`.
        seed: of every random choice.
        settings: those that differ from the model's own.
    Raises:
        InputError: unknown name or setting.
    """
    return ConformalForecaster(point_model(name, **(settings or {})), seed)


def usable_forecasters(names: Sequence[str], feature_names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which forecasters these features can carry.

    Returns:
        Those kept, in the order given, and for each left out the reason.
    Raises:
        InputError: unknown name.
    """
    left_out = {}
    for name in names:
        point = point_model(name)
        needed = point.settings.get("feature", MOMENTUM_FEATURE)
        if "feature" in point.settings and needed not in feature_names:
            left_out[name] = f"needs the feature {needed}, which these data do not carry"
    return tuple(name for name in names if name not in left_out), left_out
