"""What a point model is given and what it must be able to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError

Terms = TypeVar("Terms")
Setting = int | float | str
ModelSettings = Mapping[str, Setting]


@dataclass(frozen=True)
class Design:
    """Features as models see them.

    Attributes:
        matrix: shape (n_rows, n_features), float32, C order, NaN where a feature is missing, never infinite.
        names: of the features, in order.
        symbols: shape (n_rows,), or None where rows have no symbol.
        times: shape (n_rows,), the as_of of each row; rows of equal time are one cross-section. None: not known.
        horizon: sessions the labels look ahead; labels of neighbouring times overlap where it is above 1.
    """

    matrix: NDArray[np.float32]
    names: tuple[str, ...]
    symbols: NDArray[np.object_] | None = None
    times: NDArray[Any] | None = None
    horizon: int = 1

    def column(self, name: str | None) -> NDArray[np.float32] | None:
        """One feature, shape (n_rows,); None if it is not among them."""
        return self.matrix[:, self.names.index(name)] if name in self.names else None

    def take(self, rows: NDArray[np.bool_]) -> "Design":
        """The rows where `rows` is true."""
        symbols = None if self.symbols is None else self.symbols[rows]
        times = None if self.times is None else self.times[rows]
        return Design(self.matrix[rows], self.names, symbols, times, self.horizon)


class PointModel(Protocol):
    """Forecasts a mean. Fitting twice on the same rows gives the same bytes."""

    name: str
    is_baseline: bool
    settings: ModelSettings

    def fit(self, design: Design, label: FloatArray, seed: int) -> None:
        """Learn from rows; label shape (n_rows,), finite."""
        ...

    def predict(self, design: Design) -> FloatArray:
        """Shape (n_rows,), finite. A row's forecast does not depend on the rows beside it."""
        ...

    def contributions(self, design: Design) -> FloatArray:
        """Shape (n_rows, n_features): what each feature adds to each forecast (SHAP values)."""
        ...

    def to_files(self) -> dict[str, bytes]:
        """File name -> content: native text or JSON, never a pickle."""
        ...

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:
        """Take over what `to_files` gave, for `width` features.

        Raises:
            InputError: the content is not of that form.
        """
        ...


def merged(name: str, defaults: ModelSettings, given: ModelSettings) -> ModelSettings:
    """`defaults` with the `given` settings in their place.

    Raises:
        InputError: an unknown setting, or one of another type.
    """
    for key, value in given.items():
        if key not in defaults:
            raise InputError(f"{name} has no setting {key!r}; it has {', '.join(defaults) or 'none'}.")
        wanted = str if isinstance(defaults[key], str) else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise InputError(f"{name}: setting {key} must be like {defaults[key]!r}, found {value!r}.")
    return {**defaults, **given}


def fitted(terms: Terms | None, name: str) -> Terms:
    """What a model learned.

    Raises:
        InputError: it has not been fitted.
    """
    if terms is None:
        raise InputError(f"{name} cannot predict before fit. Call fit, or load a saved model.")
    return terms


def clipped(design: Design, label: FloatArray, tail: float) -> FloatArray:
    """Labels pulled in to two quantiles of their cross-section, so that a few crashes do not rule a squared loss.

    The quantiles are `tail` and 1 - `tail`; of all rows together where times are not known.
    """
    if design.times is None:
        return np.clip(label, *np.quantile(label, [tail, 1.0 - tail]))
    value = pl.col("value")
    edges = (value.quantile(edge, "linear").over("time") for edge in (tail, 1.0 - tail))
    frame = pl.DataFrame({"time": design.times, "value": label})
    return frame.select(value.clip(*edges)).to_series().to_numpy().astype(np.float64)


def thinned(design: Design, label: FloatArray, stride: int) -> tuple[Design, FloatArray]:
    """The rows of every `stride`-th time, counted back from the newest.

    Labels of neighbouring times share most of their days, so rows left out cost little information and much time. The
    stride is held to half the horizon, rounded up: labels that overlap less are all kept.
    """
    step = min(stride, (design.horizon + 1) // 2)
    if design.times is None or step <= 1:
        return design, label
    times, place = np.unique(design.times, return_inverse=True)
    rows = (len(times) - 1 - place) % step == 0
    return design.take(rows), label[rows]


def check_names(expected: Sequence[str], found: Sequence[str], name: str) -> None:
    """Nothing, if both name the same features in the same order.

    Raises:
        InputError: they do not.
    """
    if tuple(expected) != tuple(found):
        missing = [n for n in expected if n not in found]
        extra = [n for n in found if n not in expected]
        raise InputError(
            f"{name} was fitted on other features: missing {missing or 'none'}, unknown {extra or 'none'}, "
            f"expected order {', '.join(expected)}. Read the features by the model's own list."
        )


def json_object(files: Mapping[str, bytes], name: str, keys: set[str]) -> dict[str, Any]:
    """The JSON object in file `name`, which has exactly `keys`.

    Raises:
        InputError: missing, not JSON, or with other keys.
    """
    try:
        content = msgspec.json.decode(files[name])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name} is missing or not JSON: {error}.") from error
    if not isinstance(content, dict) or set(content) != keys:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{name} holds {found}, expected {sorted(keys)}.")
    return content


def number_list(values: Any, length: int | None, where: str) -> FloatArray:
    """`values` as finite float64, shape (length,); any length if None.

    Raises:
        InputError: it is not a list of that many finite numbers.
    """
    listed = isinstance(values, list) and (length is None or len(values) == length)
    if not listed or not all(type(value) in {int, float} for value in values):
        raise InputError(f"{where} must be a list of {'' if length is None else length} numbers.")
    return np.asarray(values, dtype=np.float64)
