"""What moved the forecasts: SHAP values summed up over rows, and the largest of each row."""

import numpy as np
import polars as pl

from project01.domain import FeatureFrame
from project01.models.forecaster import ConformalForecaster


def feature_importance(forecaster: ConformalForecaster, features: FeatureFrame) -> pl.DataFrame:
    """Mean absolute SHAP value of each feature over the rows.

    Returns:
        Columns feature, mean_abs_shap (return units), largest first, ties by name.
    """
    values = np.abs(forecaster.contributions(features))
    mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
    frame = pl.DataFrame({"feature": list(forecaster.feature_names), "mean_abs_shap": mean})
    return frame.sort(["mean_abs_shap", "feature"], descending=[True, False])


def top_contributions(forecaster: ConformalForecaster, features: FeatureFrame, count: int = 3) -> pl.DataFrame:
    """The features that moved each forecast most.

    Args:
        forecaster: fitted.
        features: rows to explain.
        count: features a row, at most; those that moved it by nothing are left out.
    Returns:
        Columns symbol, as_of, rank (1 is largest), feature, contribution (return units), rows in the order given.
    """
    values = forecaster.contributions(features)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count]
    rows, ranks = np.indices(order.shape)
    moved = np.take_along_axis(values, order, axis=1)
    names = np.asarray(forecaster.feature_names, dtype=object)[order]
    frame = pl.DataFrame(
        {
            "row": rows.ravel(),
            "rank": pl.Series(ranks.ravel() + 1, dtype=pl.Int32),
            "feature": pl.Series(names.ravel().tolist(), dtype=pl.String),
            "contribution": moved.ravel(),
        }
    ).filter(pl.col("contribution") != 0)
    keys = features.frame.select("symbol", "as_of").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    return keys.join(frame, on="row", how="inner", maintain_order="left_right").drop("row")
