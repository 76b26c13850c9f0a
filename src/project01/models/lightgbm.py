"""Gradient-boosted trees by LightGBM, small and strongly regularised, as weak signals ask for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from project01.domain import FloatArray, InputError
from project01.models.design import Design, ModelSettings, Setting, clipped, fitted, merged, thinned
from project01.models.openmp import THREADS, load
from project01.models.tree_files import LIGHTGBM_END, check_lightgbm

FILE = "model.txt"
# Half of one row is none, which LightGBM cannot fit.
FEWEST_TO_DRAW_FROM = 10
# Fixed threads, rows in order and double sums: the same bytes on any load of the machine.
FIXED: dict[str, Any] = {
    "objective": "regression",
    "bagging_freq": 5,
    "bin_construct_sample_cnt": 50_000,
    "num_threads": THREADS,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class LightGBMModel:
    """Mean forecasts by LightGBM on squared error; saved as its own model text.

    Settings:
        rounds: trees.
        session_stride: rows of every so many sessions are fitted on (see `thinned`).
        leaf_share: least rows in a leaf as a share of the rows, never below 5.
        clip_tail: labels are pulled in to this quantile of their cross-section, and its mirror.
        The others are LightGBM's own.
    Source:
        Ke et al., LightGBM, NeurIPS 2017; for shallow trees and heavy shrinkage on returns Gu, Kelly and Xiu, Review of
        Financial Studies 33 (2020).
    """

    name = "lightgbm"
    is_baseline = False

    def __init__(self, **settings: Setting) -> None:
        defaults: ModelSettings = {
            "rounds": 120,
            "learning_rate": 0.05,
            "num_leaves": 15,
            "leaf_share": 0.005,
            "lambda_l2": 300.0,
            "feature_fraction": 0.3,
            "bagging_fraction": 0.5,
            "max_bin": 63,
            "session_stride": 3,
            "clip_tail": 0.02,
        }
        self.settings: ModelSettings = merged(self.name, defaults, settings)
        self._booster: Any = None

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:
        """Boost small trees on clipped labels."""
        lightgbm, ours = load("lightgbm"), self.settings
        rows, target = thinned(design, clipped(design, label, float(ours["clip_tail"])), int(ours["session_stride"]))
        theirs = ("learning_rate", "num_leaves", "lambda_l2", "feature_fraction", "bagging_fraction", "max_bin")
        leaf = max(5, round(float(ours["leaf_share"]) * len(target)))
        parameters = FIXED | {key: ours[key] for key in theirs} | {"seed": seed, "min_data_in_leaf": leaf}
        if len(target) < FEWEST_TO_DRAW_FROM:
            parameters["bagging_fraction"] = 1.0
        # LightGBM takes no names with commas, colons, quotes or brackets; ours are kept beside the calibration.
        data = lightgbm.Dataset(rows.matrix, target, params=parameters)
        self._booster = lightgbm.train(parameters, data, num_boost_round=int(ours["rounds"]))

    def predict(self, design: Design) -> FloatArray:
        """Sum of the trees."""
        booster = fitted(self._booster, self.name)
        return np.asarray(booster.predict(design.matrix, num_threads=THREADS), dtype=np.float64)

    def contributions(self, design: Design) -> FloatArray:
        """TreeSHAP values, without the constant. Source: Lundberg et al. 2020."""
        booster = fitted(self._booster, self.name)
        found = booster.predict(design.matrix, pred_contrib=True, num_threads=THREADS)
        return np.asarray(found, dtype=np.float64)[:, :-1]

    def to_files(self) -> dict[str, bytes]:
        """LightGBM's text format up to its trees; the settings that follow them could name files to read."""
        text: str = fitted(self._booster, self.name).model_to_string()
        return {FILE: (text.partition(LIGHTGBM_END)[0] + LIGHTGBM_END).encode()}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:
        """Read LightGBM's text format.

        Raises:
            InputError: it is not one, or its trees point outside themselves.
        """
        text = check_lightgbm(files.get(FILE, b""), width)
        lightgbm = load("lightgbm")
        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise InputError(f"{FILE} is not a LightGBM model: {error}") from error
