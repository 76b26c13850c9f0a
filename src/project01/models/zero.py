"""The forecast that nothing can be forecast."""

from collections.abc import Mapping

import numpy as np

from project01.domain import FloatArray
from project01.models.design import Design, ModelSettings, Setting, fitted, json_object, merged

FILE = "model.json"


class ZeroModel:
    """Every asset returns what the average asset returns. Its intervals are those of past outcomes."""

    name = "zero"
    is_baseline = True

    def __init__(self, **settings: Setting) -> None:
        self.settings: ModelSettings = merged(self.name, {}, settings)
        self._fitted: bool | None = None

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:  # noqa: ARG002 - nothing to learn
        """Nothing to learn."""
        self._fitted = True

    def predict(self, design: Design) -> FloatArray:
        """Zeros."""
        fitted(self._fitted, self.name)
        return np.zeros(len(design.matrix))

    def contributions(self, design: Design) -> FloatArray:
        """Zeros."""
        fitted(self._fitted, self.name)
        return np.zeros(design.matrix.shape, dtype=np.float64)

    def to_files(self) -> dict[str, bytes]:
        """An empty JSON object."""
        fitted(self._fitted, self.name)
        return {FILE: b"{}"}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:  # noqa: ARG002 - no feature is used
        """Nothing to read.

        Raises:
            InputError: there is something to read.
        """
        json_object(files, FILE, set())
        self._fitted = True
