"""Forecasters behind one protocol, each with calibrated intervals; training, saving and tracking."""

from typing import TYPE_CHECKING, Any

from project01.models.conformal import Calibration, calibrate
from project01.models.forecaster import (
    POINT_MODELS,
    ConformalForecaster,
    Forecaster,
    make_forecaster,
    point_model,
    usable_forecasters,
)
from project01.models.importance import feature_importance, top_contributions
from project01.models.saving import Provenance, load_forecaster, read_manifest, save_forecaster
from project01.models.tracking import track_run, track_wandb_offline
from project01.models.training import FitRecord, WalkForwardResult, walk_forward

if TYPE_CHECKING:
    from project01.models.regressor import ConformalRegressor

__all__ = [
    "POINT_MODELS",
    "Calibration",
    "ConformalForecaster",
    "ConformalRegressor",
    "FitRecord",
    "Forecaster",
    "Provenance",
    "WalkForwardResult",
    "calibrate",
    "feature_importance",
    "load_forecaster",
    "make_forecaster",
    "point_model",
    "read_manifest",
    "save_forecaster",
    "top_contributions",
    "track_run",
    "track_wandb_offline",
    "usable_forecasters",
    "walk_forward",
]


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import, which no command that only reads a run should pay.
    if name == "ConformalRegressor":
        from project01.models.regressor import ConformalRegressor

        return ConformalRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
