"""Gradient-boosted trees by XGBoost, of the same shape as the LightGBM ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from project01.domain import FloatArray, InputError
from project01.models.design import Design, ModelSettings, Setting, clipped, fitted, merged, thinned
from project01.models.openmp import THREADS, load
from project01.models.tree_files import check_xgboost

FILE = "model.json"
FIXED: dict[str, Any] = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "nthread": THREADS,
    "verbosity": 0,
}


class XGBoostModel:
    """Mean forecasts by XGBoost's histogram trees on squared error; saved as its own JSON.

    Settings: as for LightGBM, under XGBoost's names.
    Source: Chen and Guestrin, XGBoost, KDD 2016.
    """

    name = "xgboost"
    is_baseline = False

    def __init__(self, **settings: Setting) -> None:
        defaults: ModelSettings = {
            "rounds": 120,
            "eta": 0.05,
            "max_depth": 4,
            "leaf_share": 0.005,
            "lambda": 300.0,
            "colsample_bytree": 0.3,
            "subsample": 0.5,
            "max_bin": 64,
            "session_stride": 3,
            "clip_tail": 0.02,
        }
        self.settings: ModelSettings = merged(self.name, defaults, settings)
        self._booster: Any = None

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:
        """Boost small trees on clipped labels."""
        xgboost, ours = load("xgboost"), self.settings
        rows, target = thinned(design, clipped(design, label, float(ours["clip_tail"])), int(ours["session_stride"]))
        theirs = ("eta", "max_depth", "lambda", "colsample_bytree", "subsample", "max_bin")
        leaf = max(5, round(float(ours["leaf_share"]) * len(target)))
        # The base is given, since XGBoost's own estimate of it would be one more sum over threads.
        base = float(np.mean(target))
        parameters = FIXED | {key: ours[key] for key in theirs}
        parameters |= {"seed": seed, "min_child_weight": leaf, "base_score": base}
        data = xgboost.QuantileDMatrix(rows.matrix, target, max_bin=int(ours["max_bin"]), nthread=THREADS)
        self._booster = xgboost.train(parameters, data, num_boost_round=int(ours["rounds"]))

    def predict(self, design: Design) -> FloatArray:
        """Sum of the trees."""
        booster = fitted(self._booster, self.name)
        return np.asarray(booster.inplace_predict(design.matrix), dtype=np.float64)

    def contributions(self, design: Design) -> FloatArray:
        """TreeSHAP values, without the constant. Source: Lundberg et al. 2020."""
        booster = fitted(self._booster, self.name)
        rows = load("xgboost").DMatrix(design.matrix, nthread=THREADS)
        return np.asarray(booster.predict(rows, pred_contribs=True), dtype=np.float64)[:, :-1]

    def to_files(self) -> dict[str, bytes]:
        """XGBoost's JSON format."""
        return {FILE: bytes(fitted(self._booster, self.name).save_raw(raw_format="json"))}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:
        """Read XGBoost's JSON format.

        Raises:
            InputError: it is not one, or its trees point outside themselves.
        """
        content = check_xgboost(files.get(FILE, b""), width)
        xgboost = load("xgboost")
        booster = xgboost.Booster(params={"nthread": THREADS})
        try:
            booster.load_model(bytearray(content))
        except xgboost.core.XGBoostError as error:
            raise InputError(f"{FILE} is not an XGBoost model: {str(error).splitlines()[0]}") from error
        self._booster = booster
