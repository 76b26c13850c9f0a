"""12-1 momentum: what rose over the last year, less its newest month, goes on rising."""

from collections.abc import Mapping

import msgspec
import numpy as np

from project01.domain import FloatArray, InputError
from project01.models.design import Design, ModelSettings, Setting, fitted, json_object, merged, number_list

FILE = "model.json"
MOMENTUM_FEATURE = "mom_12_1"
TERMS = ("centre", "spread", "volatility")


class MomentumModel:
    """alpha = IC x volatility x score, with the score from one feature and nothing fitted but units.

    Settings:
        feature: the score's column.
        ic: what long studies credit the rule with; fixed, so that its sign is never learned.
        bound: scores are cut at this many standard deviations.
    Source:
        Grinold, Alpha is volatility times IC times score (1994) for the form; Jegadeesh and Titman 1993 for the rule.
    """

    name = "momentum"
    is_baseline = True

    def __init__(self, **settings: Setting) -> None:
        defaults: ModelSettings = {"feature": MOMENTUM_FEATURE, "ic": 0.02, "bound": 3.0}
        self.settings: ModelSettings = merged(self.name, defaults, settings)
        self._terms: dict[str, float] | None = None

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:  # noqa: ARG002 - nothing random here
        """Take the scale of the feature and of the labels from training rows.

        Raises:
            InputError: the feature is not there.
        """
        values = self._values(design)
        known = values[np.isfinite(values)]
        centre, spread = (float(known.mean()), float(known.std())) if known.size else (0.0, 1.0)
        self._terms = {"centre": centre, "spread": spread or 1.0, "volatility": float(label.std())}

    def _values(self, design: Design) -> FloatArray:
        values = design.column(str(self.settings["feature"]))
        if values is None:
            raise InputError(
                f"The momentum baseline needs the feature {self.settings['feature']}, found "
                f"{', '.join(design.names)}. Leave 'momentum' out of forecast.models."
            )
        return values.astype(np.float64)

    def predict(self, design: Design) -> FloatArray:
        """IC x volatility x score; a missing feature scores zero."""
        terms, bound = fitted(self._terms, self.name), float(self.settings["bound"])
        scores = np.clip((self._values(design) - terms["centre"]) / terms["spread"], -bound, bound)
        return float(self.settings["ic"]) * terms["volatility"] * np.where(np.isfinite(scores), scores, 0.0)

    def contributions(self, design: Design) -> FloatArray:
        """All of it from the one feature."""
        found = np.zeros(design.matrix.shape, dtype=np.float64)
        found[:, design.names.index(str(self.settings["feature"]))] = self.predict(design)
        return found

    def to_files(self) -> dict[str, bytes]:
        """The terms as JSON."""
        return {FILE: msgspec.json.encode(fitted(self._terms, self.name), order="sorted")}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:  # noqa: ARG002 - one feature is used
        """Read the terms.

        Raises:
            InputError: the file does not hold them.
        """
        stored = json_object(files, FILE, set(TERMS))
        values = number_list([stored[term] for term in TERMS], len(TERMS), FILE).tolist()
        self._terms = dict(zip(TERMS, values, strict=True))
