"""The tables that pass between store, models, backtest and report."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from project01.domain.errors import SchemaError

FloatArray = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)


def quantile_column(level: float) -> str:
    """Column name of a quantile: 0.05 -> ``q05``, 0.5 -> ``q50``, 0.025 -> ``q02_5``."""
    percent = f"{level * 100:.4f}".rstrip("0").rstrip(".")
    whole, _, rest = percent.partition(".")
    return f"q{int(whole):02d}" + (f"_{rest}" if rest else "")


QUANTILE_COLUMNS = tuple(quantile_column(level) for level in QUANTILES)

# mean and quantiles are returns over `horizon` sessions as fractions (0.01 is 1 %), measured against the
# cross-section's mean. data_age: seconds between as_of and the newest bar the forecast rests on.
FORECAST_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "as_of": pl.Datetime("us", "UTC"),
    "horizon": pl.Int32(),
    "mean": pl.Float64(),
    **{name: pl.Float64() for name in QUANTILE_COLUMNS},
    "model_id": pl.String(),
    "data_age": pl.Float64(),
}


@dataclass(frozen=True)
class Forecast:
    """Forecast returns, one row for each symbol and `as_of`, with quantiles that never cross.

    Attributes:
        frame: columns and types of `FORECAST_SCHEMA`, sorted by as_of then symbol.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if dict(self.frame.schema) != FORECAST_SCHEMA:
            raise SchemaError(f"A forecast has columns {FORECAST_SCHEMA}, found {dict(self.frame.schema)}.")
        values = self.frame.select(QUANTILE_COLUMNS).to_numpy()
        if values.size and not bool(np.all(np.diff(values, axis=1) >= 0)):
            raise SchemaError("Forecast quantiles cross or are missing; every row needs q05 <= ... <= q95.")


@dataclass(frozen=True)
class FeatureFrame:
    """Features of symbols at times, as read from the store.

    Attributes:
        frame: columns symbol (String), as_of (Datetime us UTC), session (Date), then one column a feature;
            a missing value is NaN, never zero. Sorted by as_of, then symbol.
        feature_names: the feature columns, in the order models see them.
    """

    frame: pl.DataFrame
    feature_names: tuple[str, ...]

    def matrix(self) -> NDArray[np.float32]:
        """Shape (n_rows, n_features), C order, NaN where a feature is missing."""
        picked = self.frame.select(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in self.feature_names)
        return np.ascontiguousarray(picked.to_numpy())

    def __len__(self) -> int:
        return self.frame.height


def columns_of(values: Mapping[str, NDArray[np.float32]]) -> pl.DataFrame:
    """Columns that share the memory of the arrays: Polars would copy them, at the price of several features each."""
    return pl.DataFrame(pa.table({name: pa.array(column) for name, column in values.items()}))


@dataclass(frozen=True)
class TrainingSet:
    """Features with the outcome each row led to.

    Attributes:
        features: as read point-in-time from the store.
        label: shape (n_rows,), return over `horizon` sessions from the first price after `as_of`, less the mean
            over the symbols of the same as_of; as a fraction.
        raw_label: the same before the mean is taken off.
        label_known_at: shape (n_rows,), datetime64[us] UTC, when the outcome could first be known.
        horizon: sessions.
    """

    features: FeatureFrame
    label: FloatArray
    raw_label: FloatArray
    label_known_at: NDArray[np.datetime64]
    horizon: int

    def __post_init__(self) -> None:
        rows = len(self.features)
        if not (len(self.label) == len(self.raw_label) == len(self.label_known_at) == rows):
            raise SchemaError(f"A training set of {rows} feature rows needs as many labels, found {len(self.label)}.")

    def take(self, rows: NDArray[np.bool_]) -> "TrainingSet":
        """The rows where `rows`, shape (n_rows,), is true."""
        frame = FeatureFrame(self.features.frame.filter(pl.Series(rows)), self.features.feature_names)
        return TrainingSet(frame, self.label[rows], self.raw_label[rows], self.label_known_at[rows], self.horizon)
