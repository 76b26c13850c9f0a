"""Features of whole tables of seconds, in one pass over each symbol."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from project01.domain import InputError, SchemaError
from project01.etl.context import Inputs
from project01.etl.engine import advance
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_for
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream import check_features
from project01.etl.seconds import PATIENCE, SECOND_KEYS


def compute_intraday(
    rows: pl.DataFrame, features: Sequence[Feature], *, watermark: timedelta = PATIENCE, threads: int = 2
) -> pl.DataFrame:
    """Features of every second, from its row and earlier ones of its symbol only.

    Args:
        rows: what `second_rows` returns, in any order. Rows known more than `watermark` after their event time are left
            out, see `late_rows`; of several rows of one second the one known last stands.
        features: series features of the second clock, in the order of the result's columns.
        watermark: as in `SecondStream`.
        threads: the result does not depend on it.
    Returns:
        symbol, event_time, knowledge_time, then one Float32 column a feature, NaN where it is missing; sorted by symbol
        and event time. A row is known when the last of the rows behind it is.
    Raises:
        InputError: another kind of feature, no thread, or a row known before its end or with a time that is no whole
            second or not its event time; SchemaError: a column is missing.
    """
    check_features(features)
    if threads < 1:
        raise InputError(f"Features cannot be computed on {threads} threads; pass at least 1.")
    _check(rows)
    order = ["symbol", "event_time", "knowledge_time"]
    # 0.0 for -0.0: they count as the same value, so of two such rows either may stand.
    ready = rows.filter(~_is_late(watermark)).with_columns(pl.col(name) + 0.0 for name in SECOND_INPUTS)
    ready = ready.sort(*order, *SECOND_INPUTS).unique(order[:2], keep="last", maintain_order=True)
    names = tuple(SECOND_INPUTS)
    # A single row is contiguous either way round, and polars lends its memory for reading only.
    matrix = np.require(ready.select(names).to_numpy().T.reshape(len(names), -1), requirements=["C", "W"])
    lengths = ready["symbol"].rle().struct.field("len").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    kernel = kernel_for(features)
    states = np.zeros((len(lengths), kernel.state_size))
    found = advance(kernel, Inputs(names, matrix), starts, [f.name for f in features], states, threads)
    keys = ready.select("symbol", "event_time", pl.col("knowledge_time").cum_max().over("symbol"))
    return keys.with_columns(pl.Series(f.name, values) for f, values in zip(features, found, strict=True))


def late_rows(rows: pl.DataFrame, watermark: timedelta = PATIENCE) -> pl.DataFrame:
    """The rows known more than `watermark` after their event time, which enter no feature."""
    return rows.filter(_is_late(watermark))


def _is_late(watermark: timedelta) -> pl.Expr:
    return pl.col("knowledge_time") - pl.col("event_time") > watermark


def _check(rows: pl.DataFrame) -> None:
    missing = [name for name in (*SECOND_KEYS, *SECOND_INPUTS) if name not in rows.columns]
    if missing:
        raise SchemaError(f"Seconds lack column(s) {', '.join(missing)}; pass what second_rows returns.")
    event = pl.col("event_time").dt.epoch("us")
    wrong = (
        (pl.col("time") * 1e6 != event) | (event % 1_000_000 != 0) | (pl.col("knowledge_time") < pl.col("event_time"))
    )
    bad = rows.filter(wrong | pl.any_horizontal(pl.col(name).is_null() for name in (*SECOND_KEYS, *SECOND_INPUTS)))
    if bad.height:
        symbol, event_time, known = bad.select(SECOND_KEYS).row(0)
        raise InputError(
            f"{bad.height} row(s) are no seconds, the first of {symbol} at {event_time}, known at {known}: event_time "
            "must be a whole second, time the same in seconds since 1970, knowledge_time not before it, nothing null."
        )
