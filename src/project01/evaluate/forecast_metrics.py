"""How good forecasts were, each figure with an error that allows for overlapping labels and for common days.

Everything is first averaged over the symbols of one forecast time, so the many symbols of a day count as one
observation; then over time with Newey-West errors whose lag allows for the overlap (`overlap_lag`).
"""

import numpy as np
import polars as pl

from project01.domain import QUANTILES, SchemaError, quantile_column
from project01.evaluate.estimate import Estimate, mean_newey_west, overlap_lag

FEWEST_ASSETS = 3


def scored(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Forecasts beside what happened.

    Args:
        forecasts: columns symbol, as_of, mean and the quantiles.
        labels: columns symbol, as_of, label (return less the mean of the symbols, as a fraction).
    Returns:
        The forecasts that have an outcome, with `label`, sorted by as_of then symbol.
    Raises:
        SchemaError: a (symbol, as_of) is forecast twice.
    """
    known = labels.select("symbol", "as_of", "label").filter(pl.col("label").is_finite())
    joined = forecasts.join(known, on=["symbol", "as_of"], how="inner")
    if joined.select(pl.struct("symbol", "as_of").is_duplicated().any()).item():
        raise SchemaError("A symbol is forecast twice for the same as_of; score one model at a time.")
    return joined.sort("as_of", "symbol")


def ic_by_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Correlation of forecasts with outcomes across the assets of each forecast time.

    Returns:
        Columns as_of, ic (Pearson), rank_ic (Spearman, ties averaged), assets. NaN with fewer than three assets or
        where either side is constant.
    Source:
        Grinold and Kahn, Active Portfolio Management, 2nd ed., ch. 6.
    """
    usable = pl.col("mean").is_finite() & pl.col("label").is_finite()
    found = (
        rows.filter(usable)
        .group_by("as_of")
        .agg(
            pl.corr("mean", "label").alias("ic"),
            pl.corr(pl.col("mean").rank(), pl.col("label").rank()).alias("rank_ic"),
            pl.len().alias("assets"),
            # A constant side leaves rounding in place of a variance, and a correlation of noise with noise.
            ((pl.col("mean").min() < pl.col("mean").max()) & (pl.col("label").min() < pl.col("label").max())).alias(
                "varies"
            ),
        )
    )
    enough = (pl.col("assets") >= FEWEST_ASSETS) & pl.col("varies")
    times = rows.select(pl.col("as_of").unique())
    return (
        times.join(found, on="as_of", how="left")
        .select(
            "as_of",
            *(pl.when(enough).then(pl.col(c)).otherwise(None).fill_null(np.nan) for c in ("ic", "rank_ic")),
            pl.col("assets").fill_null(0),
        )
        .sort("as_of")
    )


def _mean_by_time(rows: pl.DataFrame, value: pl.Expr, horizon: int) -> Estimate:
    by_time = rows.group_by("as_of").agg(value.mean().alias("value")).sort("as_of")
    means = by_time["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return mean_newey_west(means, overlap_lag(horizon, len(means)))


def information_coefficient(rows: pl.DataFrame, horizon: int, column: str = "rank_ic") -> Estimate:
    """Mean IC over forecast times; `column` is rank_ic or ic."""
    by_time = ic_by_time(rows)[column].to_numpy()
    return mean_newey_west(by_time, overlap_lag(horizon, len(by_time)))


def hit_rate(rows: pl.DataFrame, horizon: int) -> Estimate:
    """Share of forecasts with the sign of the outcome; forecasts of exactly zero say nothing and are left out."""
    told = rows.filter(pl.col("mean") != 0, pl.col("label").is_finite())
    return _mean_by_time(told, (pl.col("mean").sign() == pl.col("label").sign()).cast(pl.Float64), horizon)


def pinball_loss(rows: pl.DataFrame) -> float:
    """Mean quantile loss over the five forecast quantiles, in return units; lower is better, zero is perfect.

    Source:
        Koenker and Bassett 1978; half the CRPS in the limit of many quantiles.
    """
    losses = []
    for level in QUANTILES:
        miss = rows["label"].to_numpy() - rows[quantile_column(level)].to_numpy()
        losses.append(np.mean(np.maximum(level * miss, (level - 1.0) * miss)))
    return float(np.mean(losses))


def coverage(rows: pl.DataFrame, low: float, high: float, horizon: int) -> Estimate:
    """Share of outcomes between two forecast quantiles; high - low is right."""
    inside = pl.col("label").is_between(pl.col(quantile_column(low)), pl.col(quantile_column(high)))
    return _mean_by_time(rows, inside.cast(pl.Float64), horizon)


def calibration(rows: pl.DataFrame, horizon: int) -> list[tuple[float, Estimate]]:
    """For each forecast quantile the share of outcomes at or below it; the level is right."""
    below = [(level, pl.col("label") <= pl.col(quantile_column(level))) for level in QUANTILES]
    return [(level, _mean_by_time(rows, share.cast(pl.Float64), horizon)) for level, share in below]


def group_returns(rows: pl.DataFrame, horizon: int, groups: int = 10) -> list[Estimate]:
    """Mean outcome by forecast group, lowest first: deciles, or fewer groups where there are few assets.

    Returns:
        At most `groups` estimates, at least two assets in each at the median forecast time; empty if all forecasts
        of a time are the same.
    """
    assets = rows.group_by("as_of").agg(pl.len().alias("n"))["n"].median()
    count = min(groups, int(float(str(assets or 0)) // 2))
    if count < 2 or rows["mean"].n_unique() < 2:
        return []
    rank, size = pl.col("mean").rank("ordinal").over("as_of"), pl.len().over("as_of")
    grouped = rows.with_columns(((rank - 1) * count // size).alias("group"))
    return [
        _mean_by_time(grouped.filter(pl.col("group") == number), pl.col("label"), horizon) for number in range(count)
    ]
