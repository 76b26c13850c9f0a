"""One instrument as pandas columns, and the declared rule for missing values, for the oracles of the technical set."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl

from project01.etl import Feature, compute_features, feature_set, prepare_bars

FEATURES = {feature.name: feature for feature in feature_set("technical")}


class Series:
    """Total-return prices and volume in shares of the first bar's size."""

    def __init__(self, rows: pl.DataFrame) -> None:
        frame = rows.to_pandas()
        self.open, self.high, self.low, self.close = (
            frame[name] * frame["factor"] for name in ("open", "high", "low", "close")
        )
        self.volume = frame["volume"] / frame["factor"]
        self.previous = self.close.shift()
        self.log_return = np.log(self.close / self.previous)

    def events(self, feature: Feature) -> pd.DataFrame:
        """The bars that have every input of a feature; the others are skipped, and count nowhere."""
        return pd.concat({name: getattr(self, name) for name in feature.inputs}, axis=1).dropna()

    def __len__(self) -> int:
        return len(self.close)


def table_of(raw: pl.DataFrame) -> tuple[dict[str, Series], pl.DataFrame]:
    """Instruments by symbol, and the technical features of all."""
    bars = prepare_bars(raw)
    found = compute_features(bars, feature_set("technical"))
    names = bars["symbol"].unique(maintain_order=True)
    return {name: Series(bars.filter(pl.col("symbol") == name)) for name in names}, found


def trusted(feature: Feature, series: Series, oracle: Callable[[pd.DataFrame], pd.Series]) -> np.ndarray:
    """What a feature should be at every bar: the oracle on the bars with all inputs, from the declared warm-up on."""
    events = series.events(feature)
    values = pd.Series(np.asarray(oracle(events), dtype=float), index=events.index)
    # The first bar has no bar before it, so that features of `previous` or of returns begin one bar later.
    late = 1 if {"previous", "log_return"} & set(feature.inputs) else 0
    values[np.arange(len(values)) < feature.warm_up - 1 - late] = np.nan
    return values.reindex(range(len(series))).to_numpy()


def assert_equals_oracle(
    name: str, table: tuple[dict[str, Series], pl.DataFrame], oracle: Callable[[pd.DataFrame], pd.Series]
) -> None:
    """A feature has the oracle's values to float32 precision, and NaN at the same bars."""
    instruments, found = table
    for symbol, series in instruments.items():
        expected = trusted(FEATURES[name], series, oracle)
        values = found.filter(pl.col("symbol") == symbol)[name].to_numpy()
        assert np.isfinite(expected).sum() > 200
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        np.testing.assert_allclose(values, expected, rtol=2e-6, atol=5e-7 * np.nanmax(np.abs(expected)))
