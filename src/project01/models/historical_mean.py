"""Each symbol's own average so far."""

from collections.abc import Mapping

import msgspec
import numpy as np

from project01.domain import FloatArray, InputError
from project01.models.design import Design, ModelSettings, Setting, fitted, json_object, merged, number_list

FILE = "model.json"


class HistoricalMeanModel:
    """Each symbol returns its own average in training, shrunk to the average of all.

    Settings:
        prior_rows: rows that the average of all counts for; 252 is a year of overlapping labels, so that a short
            history says little.
    """

    name = "historical_mean"
    is_baseline = True

    def __init__(self, **settings: Setting) -> None:
        self.settings: ModelSettings = merged(self.name, {"prior_rows": 252.0}, settings)
        self._means: dict[str, float] | None = None
        self._overall = 0.0

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:  # noqa: ARG002 - nothing random here
        """Average the labels of each symbol."""
        self._overall = float(label.mean())
        self._means = {}
        if design.symbols is None:
            return
        prior = float(self.settings["prior_rows"])
        names, position = np.unique(design.symbols.astype(str), return_inverse=True)
        count = np.bincount(position)
        total = np.bincount(position, weights=label)
        shrunk = (total + prior * self._overall) / (count + prior)
        self._means = {str(name): float(mean) for name, mean in zip(names, shrunk, strict=True)}

    def predict(self, design: Design) -> FloatArray:
        """The symbol's mean; the overall mean for a symbol never seen, or where rows have no symbol."""
        means = fitted(self._means, self.name)
        if design.symbols is None:
            return np.full(len(design.matrix), self._overall)
        names, position = np.unique(design.symbols.astype(str), return_inverse=True)
        return np.array([means.get(str(name), self._overall) for name in names], dtype=np.float64)[position]

    def contributions(self, design: Design) -> FloatArray:
        """Zeros: no feature is used."""
        fitted(self._means, self.name)
        return np.zeros(design.matrix.shape, dtype=np.float64)

    def to_files(self) -> dict[str, bytes]:
        """Means by symbol as JSON."""
        content = {"means": fitted(self._means, self.name), "overall": self._overall}
        return {FILE: msgspec.json.encode(content, order="sorted")}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:  # noqa: ARG002 - no feature is used
        """Read the means.

        Raises:
            InputError: the file does not hold them.
        """
        stored = json_object(files, FILE, {"means", "overall"})
        means = stored["means"]
        if not isinstance(means, dict):
            raise InputError(f"{FILE}: means must be an object of symbol and number.")
        values = number_list(list(means.values()), None, "means").tolist()
        self._means = dict(zip(means, values, strict=True))
        self._overall = float(number_list([stored["overall"]], 1, "overall")[0])
