"""Schemas refuse what does not fit, and say why."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import (
    BARS,
    FORECAST_SCHEMA,
    QUANTILE_COLUMNS,
    FeatureFrame,
    Forecast,
    SchemaError,
    TrainingSet,
    conform,
    quantile_column,
)

NOW = datetime(2014, 6, 9, 20, tzinfo=UTC)


def bar_row(**changes: object) -> pa.Table:
    row = {
        "source": "test", "source_id": "A", "event_time": NOW, "knowledge_time": NOW, "ingested_at": NOW,
        "simulated": False, "symbol": "A", "interval": "1d", "session": NOW.date(), "close": 10.0,
    }  # fmt: skip
    return pa.Table.from_pylist([row | changes])


def test_nullable_columns_may_be_absent_and_become_null() -> None:
    table = conform(bar_row(), BARS.schema, where="test")
    assert table.schema == BARS.schema
    assert table["high"].null_count == 1


def test_a_missing_required_column_is_named() -> None:
    with pytest.raises(SchemaError, match=r"test: missing column\(s\) symbol; found source"):
        conform(bar_row().drop_columns("symbol"), BARS.schema, where="test")


def test_a_null_in_a_required_column_is_refused() -> None:
    with pytest.raises(SchemaError, match="symbol holds 1 nulls"):
        conform(bar_row(symbol=None), BARS.schema, where="test")


def test_a_wrong_type_is_refused_with_both_types() -> None:
    with pytest.raises(SchemaError, match="close is string, which cannot become double"):
        conform(bar_row(close="ten"), BARS.schema, where="test")


def forecast_frame(quantiles: list[float]) -> pl.DataFrame:
    row = {"symbol": "A", "as_of": NOW, "horizon": 5, "mean": 0.0, "model_id": "m", "data_age": 0.0}
    return pl.DataFrame([row | dict(zip(QUANTILE_COLUMNS, quantiles, strict=True))], schema=FORECAST_SCHEMA)


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_a_forecast_holds_only_quantiles_that_do_not_cross(quantiles: list[float]) -> None:
    if quantiles == sorted(quantiles):
        assert Forecast(forecast_frame(quantiles)).frame.height == 1
    else:
        with pytest.raises(SchemaError, match="cross"):
            Forecast(forecast_frame(quantiles))


def test_a_forecast_with_nan_quantiles_is_refused() -> None:
    with pytest.raises(SchemaError, match="cross or are missing"):
        Forecast(forecast_frame([0.0, 0.0, float("nan"), 0.0, 0.0]))


@pytest.mark.parametrize(("level", "name"), [(0.05, "q05"), (0.5, "q50"), (0.95, "q95"), (0.025, "q02_5")])
def test_quantile_columns_are_named_by_percent(level: float, name: str) -> None:
    assert quantile_column(level) == name


def test_a_training_set_takes_rows_of_all_its_parts() -> None:
    frame = pl.DataFrame({"symbol": ["A", "B"], "as_of": [NOW, NOW], "session": [NOW.date()] * 2, "f": [1.0, None]})
    features = FeatureFrame(frame, ("f",))
    known = np.array([NOW.replace(tzinfo=None)] * 2, dtype="datetime64[us]")
    training = TrainingSet(features, np.array([0.1, -0.1]), np.array([0.2, 0.0]), known, 5)
    assert np.isnan(features.matrix()[1, 0])
    second = training.take(np.array([False, True]))
    assert second.features.frame["symbol"].to_list() == ["B"]
    assert second.label.tolist() == [-0.1]
    with pytest.raises(SchemaError, match="2 feature rows"):
        TrainingSet(features, np.array([0.1]), np.array([0.2]), known[:1], 5)
