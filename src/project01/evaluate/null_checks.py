"""Controls that must find nothing where there is nothing."""

import numpy as np
import polars as pl

from project01.domain import FloatArray
from project01.evaluate.estimate import hac_p_value, plain_lag
from project01.evaluate.performance import annual_mean


def profit_p_value(returns: FloatArray) -> float:
    """One-sided p-value of "the true mean, and so the Sharpe ratio, is above zero", by Newey-West.

    Args:
        returns: shape (n,), net returns or net excess returns by session, no NaN.
    Returns:
        NaN for a series that does not move.
    Raises:
        NotEnoughDataError: fewer than 126 sessions.
        InputError: a return is missing or infinite.
    """
    mean = annual_mean(returns)
    return hac_p_value(mean.value, mean.standard_error, len(returns), plain_lag(len(returns)))


def shuffle_labels(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`rows` with the labels of each as_of dealt out anew among its symbols: all skill is gone, all else stays.

    Args:
        rows: columns as_of and label, and any others.
        seed: same seed and rows, same deal.
    """
    order = np.random.default_rng(seed).random(rows.height)
    numbered = rows.with_columns(pl.Series("__order", order), pl.int_range(pl.len()).alias("__row"))
    dealt = numbered.sort("as_of", "__order")["label"]
    places = numbered.sort("as_of", "__row")["__row"]
    label = pl.DataFrame({"__row": places, "label": dealt}).sort("__row")["label"]
    return rows.with_columns(label)
