"""Ridge regression on standardised features, missing ones at their training median."""

from collections.abc import Mapping

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from project01.domain import FloatArray
from project01.models.design import (
    Design,
    ModelSettings,
    Setting,
    clipped,
    fitted,
    json_object,
    merged,
    number_list,
    thinned,
)

FILE = "model.json"
# Below this a spread is rounding of float32 values that are all the same.
SMALLEST_SPREAD = 1e-6


class RidgeModel:
    """Linear mean forecasts: standardise by training rows, cut at five deviations, shrink. A baseline for the trees.

    Settings:
        penalty_share: penalty as a share of the rows; 0.1 shrinks a lone feature's coefficient by about a tenth.
        bound: standardised values are cut at this many deviations, against a bad print.
        clip_tail: labels are pulled in to this quantile of their cross-section, and its mirror.
        session_stride: rows of every so many sessions are fitted on (see `thinned`).
    Source:
        Hoerl and Kennard, Technometrics 12 (1970).
    """

    name = "ridge"
    is_baseline = True

    def __init__(self, **settings: Setting) -> None:
        defaults: ModelSettings = {"penalty_share": 0.1, "bound": 5.0, "clip_tail": 0.02, "session_stride": 3}
        self.settings: ModelSettings = merged(self.name, defaults, settings)
        self._terms: dict[str, FloatArray] | None = None

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:  # noqa: ARG002 - nothing random here
        """Solve the normal equations."""
        target = clipped(design, label, float(self.settings["clip_tail"]))
        rows, target = thinned(design, target, int(self.settings["session_stride"]))
        terms: dict[str, FloatArray] = {"median": _medians(rows)}
        filled = _filled(rows, terms["median"])
        terms["centre"], spread = filled.mean(axis=0), filled.std(axis=0)
        terms["spread"] = np.where(spread > SMALLEST_SPREAD * np.abs(terms["centre"]) + 1e-12, spread, 1.0)
        scores = self._scores(filled, terms)
        terms["middle"] = scores.mean(axis=0)
        scores -= terms["middle"]
        intercept = float(target.mean())
        penalty = float(self.settings["penalty_share"]) * len(target)
        # One thread: BLAS splits sums by the number of threads it finds, and so changes their last bits.
        with threadpool_limits(1, user_api="blas"):
            gram = scores.T @ scores + penalty * np.eye(scores.shape[1])
            slope = np.asarray(np.linalg.solve(gram, scores.T @ (target - intercept)), dtype=np.float64)
        self._terms = terms | {"slope": slope, "intercept": np.array([intercept])}

    def _scores(self, filled: FloatArray, terms: Mapping[str, FloatArray]) -> FloatArray:
        bound = float(self.settings["bound"])
        return np.clip((filled - terms["centre"]) / terms["spread"], -bound, bound)

    def predict(self, design: Design) -> FloatArray:
        """Intercept plus contributions."""
        found = self.contributions(design)
        total = np.full(len(found), fitted(self._terms, self.name)["intercept"][0])
        # Feature by feature: numpy's own sum over an axis changes its order with the number of rows.
        for place in range(found.shape[1]):
            total += found[:, place]
        return total

    def contributions(self, design: Design) -> FloatArray:
        """Coefficient times centred value: the SHAP value of a linear model with independent features."""
        terms = fitted(self._terms, self.name)
        scores = self._scores(_filled(design, terms["median"]), terms)
        return np.asarray((scores - terms["middle"]) * terms["slope"])

    def to_files(self) -> dict[str, bytes]:
        """Every term as JSON; numbers round-trip exactly."""
        terms = fitted(self._terms, self.name)
        content = {name: values.tolist() for name, values in terms.items()}
        return {FILE: msgspec.json.encode(content, order="sorted")}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:
        """Read the terms.

        Raises:
            InputError: the file does not hold them.
        """
        wide = ("median", "centre", "spread", "middle", "slope")
        stored = json_object(files, FILE, {*wide, "intercept"})
        self._terms = {name: number_list(stored[name], width, name) for name in wide}
        self._terms["intercept"] = number_list(stored["intercept"], 1, "intercept")


def _medians(design: Design) -> FloatArray:
    """Shape (n_features,): median of the values present, 0 for a feature that is missing throughout."""
    found = np.zeros(design.matrix.shape[1])
    for place in range(design.matrix.shape[1]):
        column = design.matrix[:, place]
        present = column[~np.isnan(column)]
        if present.size:
            found[place] = np.median(present)
    return found


def _filled(design: Design, median: FloatArray) -> FloatArray:
    return np.where(np.isnan(design.matrix), median, design.matrix).astype(np.float64)
