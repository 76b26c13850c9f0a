"""The forecasters as one scikit-learn estimator, for pipelines, searches and notebooks."""

from collections.abc import Sequence
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from project01.domain import FloatArray, InputError, NotEnoughDataError, quantile_column
from project01.models.conformal import Calibration, Scale, calibrate, calibration_split
from project01.models.design import Design, ModelSettings
from project01.models.forecaster import VOLATILITY_FEATURE, point_model


class ConformalRegressor(RegressorMixin, BaseEstimator):
    """Any of the point models with split-conformal intervals, in scikit-learn's form.

    Without `times`, rows are taken to be in time order, each a time of its own. The last fifth of the times, less
    `purge` times before it, calibrates the intervals; then the point model is fitted on all rows. With too few rows for
    that there are no intervals, only means. Rows have no symbol here, so ``historical_mean`` is the mean of all.

    Args:
        model: name of a forecaster: lightgbm, xgboost, ridge, momentum, historical_mean or zero.
        settings: settings of it that differ from its own, e.g. ``{"num_leaves": 7}``.
        purge: times left out before the calibration rows; at least the horizon of the labels, where they overlap.
        scale_column: volatility that intervals are wide or narrow by; without such a column all are of one width.
        random_state: of the point model.
    """

    def __init__(
        self,
        model: str = "ridge",
        settings: ModelSettings | None = None,
        purge: int = 0,
        scale_column: str | None = VOLATILITY_FEATURE,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.settings = settings
        self.purge = purge
        self.scale_column = scale_column
        self.random_state = random_state

    def fit(self, X: Any, y: Any, times: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn.

        Args:
            X: pandas, Polars, Arrow or numpy, shape (n_rows, n_features), NaN or null where missing.
            y: shape (n_rows,), finite.
            times: shape (n_rows,), when each row stood; rows of equal time are one cross-section. None: see above.
        """
        matrix, label = validate_data(
            self, X, y, dtype=np.float32, order="C", ensure_all_finite="allow-nan", y_numeric=True
        )
        label = np.asarray(label, dtype=np.float64)
        design = self._design(matrix, None if times is None else np.asarray(times))
        column = design.column(self.scale_column)
        self.scale_ = Scale.learn(self.scale_column, None if column is None else column.astype(np.float64))
        self.point_ = point_model(self.model, **(self.settings or {}))
        self.calibration_ = self._calibrated(design, label)
        self.point_.fit(design, label, self.random_state)
        return self

    def _calibrated(self, design: Design, label: FloatArray) -> Calibration | None:
        times = np.arange(len(label)) if design.times is None else design.times
        try:
            early, late = calibration_split(times, self.purge, None)
        except NotEnoughDataError:
            return None
        self.point_.fit(design.take(early), label[early], self.random_state)
        held = design.take(late)
        return calibrate(label[late], self.point_.predict(held), self._scales(held))

    def _scales(self, design: Design) -> FloatArray:
        column = design.column(self.scale_column)
        return self.scale_.of(None if column is None else column.astype(np.float64), len(design.matrix))

    def _design(self, matrix: Any, times: Any = None) -> Design:
        names = getattr(self, "feature_names_in_", None)
        listed = tuple(names) if names is not None else tuple(f"x{n}" for n in range(matrix.shape[1]))
        return Design(matrix, listed, times=times)

    def predict(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | None = None,
    ) -> Any:
        """Means, or quantiles if asked for.

        Args:
            X: pandas, Polars, Arrow or numpy, the columns fitted on.
            quantiles: levels in (0, 1), e.g. [0.05, 0.5, 0.95].
            level: central intervals in percent, e.g. [90] for the 5 % and 95 % quantiles.
        Returns:
            Shape (n_rows,); with `quantiles` or `level` a frame of the same kind as `X` with one column a quantile
            (``q05``, ...), ascending and never decreasing from left to right; an array for an array.
        Raises:
            InputError: a level out of range, or intervals asked of a fit on too few rows.
            NotEnoughDataError: too few rows held out for a quantile that far out.
        """
        check_is_fitted(self, "point_")
        matrix = validate_data(self, X, dtype=np.float32, order="C", ensure_all_finite="allow-nan", reset=False)
        design = self._design(matrix)
        mean = self.point_.predict(design)
        levels = _levels(quantiles, level)
        if not levels:
            return mean
        if self.calibration_ is None:
            raise InputError("Intervals need forty rows to fit and forty held out. Fit on two hundred or more.")
        values = mean[:, None] + self._scales(design)[:, None] * self.calibration_.offsets(levels)
        return _like(X, values, [quantile_column(each) for each in levels])

    def __sklearn_tags__(self) -> Any:
        """NaN is allowed; the fit is held back on purpose, so scikit-learn must not ask for a high score."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.regressor_tags.poor_score = True
        return tags


def _like(rows: Any, values: FloatArray, names: Sequence[str]) -> Any:
    """`values` in the kind of `rows`; pandas keeps its index."""
    if not nw.dependencies.is_into_dataframe(rows):
        return values
    frame = nw.from_native(rows, eager_only=True)
    columns = {name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(names)}
    made = nw.from_dict(columns, backend=frame.implementation).to_native()
    index = nw.maybe_get_index(frame)
    return made if index is None else made.set_axis(index)


def _levels(quantiles: Sequence[float] | None, level: Sequence[float] | None) -> tuple[float, ...]:
    wanted = {float(q) for q in quantiles or ()}
    for percent in level or ():
        tail = round((1.0 - percent / 100.0) / 2.0, 10)
        wanted |= {tail, round(1.0 - tail, 10)}
    if any(not 0.0 < q < 1.0 for q in wanted):
        raise InputError(f"Quantiles lie between 0 and 1, levels between 0 and 100; found {sorted(wanted)}.")
    return tuple(sorted(wanted))
