"""Features that look ahead, each as people write them by mistake. An audit that misses one of them is worthless.

All have one form: raw bars in (all versions of them, as the lake holds them), a frame of symbol, session and value out.
`as_decided` adds the time at which the value would have been used: the close of its session, or for a feature that
decides at the open the close before, the last time anything became known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

Compute = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Leaky:
    """One leaky feature.

    Attributes:
        compute: bars -> symbol, session, value.
        decides: when the value is claimed to be known.
        why: the mistake, in a few words.
    """

    compute: Compute
    decides: Literal["close", "open"]
    why: str


LEAKY: dict[str, Leaky] = {}


def leaks(why: str, decides: Literal["close", "open"] = "close") -> Callable[[Compute], Compute]:
    def register(compute: Compute) -> Compute:
        LEAKY[compute.__name__] = Leaky(compute, decides, why)
        return compute

    return register


def first_versions(bars: pl.DataFrame) -> pl.DataFrame:
    ordered = bars.sort("symbol", "session", "knowledge_time")
    return ordered.unique(["symbol", "session"], keep="first", maintain_order=True)


def newest_versions(bars: pl.DataFrame) -> pl.DataFrame:
    ordered = bars.sort("symbol", "session", "knowledge_time")
    return ordered.unique(["symbol", "session"], keep="last", maintain_order=True)


def valued(bars: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    return bars.select("symbol", "session", value.cast(pl.Float64).alias("value"))


def with_moves(bars: pl.DataFrame) -> pl.DataFrame:
    return first_versions(bars).with_columns(move=(pl.col("close") / pl.col("close").shift() - 1).over("symbol"))


@leaks("shift(-1): the next session's return")
def next_return(bars: pl.DataFrame) -> pl.DataFrame:
    return valued(first_versions(bars), (pl.col("close").shift(-1) / pl.col("close") - 1).over("symbol"))


@leaks("a window centred on the bar reaches two bars ahead")
def centred_mean(bars: pl.DataFrame) -> pl.DataFrame:
    mean = pl.col("close").rolling_mean(5, center=True, min_samples=1).over("symbol")
    return valued(first_versions(bars), pl.col("close") / mean - 1)


@leaks("mean and deviation of the whole sample")
def whole_sample_z_score(bars: pl.DataFrame) -> pl.DataFrame:
    move = pl.col("move")
    return valued(with_moves(bars), ((move - move.mean()) / move.std()).over("symbol"))


@leaks("holes filled from the next bar that has a value")
def filled_from_the_future(bars: pl.DataFrame) -> pl.DataFrame:
    # Only the value of a hole is spoiled, so holes are what the bars have plenty of.
    holed = pl.when(pl.col("volume") % 3 != 0).then(pl.col("volume"))
    return valued(first_versions(bars), holed.backward_fill().over("symbol"))


@leaks("the close of the session whose open it trades at", decides="open")
def close_for_an_open_decision(bars: pl.DataFrame) -> pl.DataFrame:
    return valued(first_versions(bars), pl.col("close") / pl.col("open") - 1)


@leaks("the newest version of a bar instead of the one known")
def restated_value(bars: pl.DataFrame) -> pl.DataFrame:
    return valued(newest_versions(bars), (pl.col("close") / pl.col("close").shift() - 1).over("symbol"))


@leaks("a price level divided by all later splits and dividends")
def future_split_factor(bars: pl.DataFrame) -> pl.DataFrame:
    step = (pl.col("adj_close") / pl.col("close")) / (pl.col("adj_close") / pl.col("close")).shift()
    later = step.shift(-1).fill_null(1.0).cum_prod(reverse=True).over("symbol")
    return valued(first_versions(bars), pl.col("close") / later)


@leaks("percentile within the whole history")
def whole_sample_rank(bars: pl.DataFrame) -> pl.DataFrame:
    return valued(with_moves(bars), (pl.col("move").rank() / pl.len()).over("symbol"))


@leaks("only names that still trade at the end")
def survivors_only(bars: pl.DataFrame) -> pl.DataFrame:
    first = with_moves(bars)
    last = first.group_by("symbol").agg(pl.col("session").max().alias("last"))
    alive = last.filter(pl.col("last") >= pl.col("last").max()).select("symbol")
    kept = first.join(alive, on="symbol", how="semi").with_columns(mean=pl.col("move").mean().over("session"))
    return valued(kept, pl.col("move") - pl.col("mean"))


@leaks("drawdown from the highest close of the whole history")
def below_the_final_high(bars: pl.DataFrame) -> pl.DataFrame:
    return valued(first_versions(bars), (pl.col("close") / pl.col("close").max() - 1).over("symbol"))


@leaks("smoothed forward, then backward, as filtfilt does")
def smoothed_both_ways(bars: pl.DataFrame) -> pl.DataFrame:
    smooth = pl.col("close").ewm_mean(alpha=0.3, adjust=False).reverse().ewm_mean(alpha=0.3, adjust=False).reverse()
    return valued(first_versions(bars), pl.col("close") / smooth.over("symbol") - 1)


@leaks("each symbol encoded by its mean outcome over all rows")
def target_encoding(bars: pl.DataFrame) -> pl.DataFrame:
    outcome = pl.col("close").shift(-1) / pl.col("close") - 1
    return valued(first_versions(bars), outcome.mean().over("symbol"))


@leaks("gaps interpolated between the bars on either side")
def interpolated_gaps(bars: pl.DataFrame) -> pl.DataFrame:
    first = first_versions(bars)
    holed = pl.when(pl.int_range(pl.len()) % 4 != 2).then(pl.col("close"))
    return valued(first, (holed.interpolate() / pl.col("close").shift() - 1).over("symbol"))


@leaks("joined with the outcome of the week it should forecast")
def joined_label(bars: pl.DataFrame) -> pl.DataFrame:
    first = first_versions(bars)
    outcome = first.select(
        "symbol",
        "session",
        (pl.col("close").shift(-6) / pl.col("close").shift(-1) - 1).over("symbol").alias("outcome"),
    )
    return valued(first.join(outcome, on=["symbol", "session"], how="left", maintain_order="left"), pl.col("outcome"))


@leaks("beta fitted once on the whole history")
def whole_sample_beta(bars: pl.DataFrame) -> pl.DataFrame:
    frame = with_moves(bars).with_columns(market=pl.col("move").mean().over("session"))
    beta = pl.cov("move", "market", ddof=0) / pl.col("market").var(ddof=0)
    return valued(frame, pl.col("move") - beta.over("symbol") * pl.col("market"))


@leaks("components of the whole covariance matrix")
def whole_sample_component(bars: pl.DataFrame) -> pl.DataFrame:
    frame = with_moves(bars)
    wide = frame.pivot("symbol", index="session", values="move", sort_columns=True).sort("session")
    moves = np.nan_to_num(wide.drop("session").cast(pl.Float64).fill_null(0.0).to_numpy())
    _, _, components = np.linalg.svd(moves - moves.mean(axis=0), full_matrices=False)
    score = wide.select("session", score=pl.Series(np.abs(moves @ components[0])))
    return valued(frame.join(score, on="session", how="left", maintain_order="left"), pl.col("score"))


def as_decided(feature: Leaky, bars: pl.DataFrame) -> pl.DataFrame:
    """symbol, as_of, value: the value at the time it claims to be known, rows without such a time left out."""
    found = feature.compute(bars)
    closes = first_versions(bars).select("symbol", "session", pl.col("event_time").alias("as_of"))
    if feature.decides == "open":
        closes = closes.with_columns(pl.col("as_of").shift().over("symbol"))
    timed = found.join(closes, on=["symbol", "session"], how="inner")
    return timed.select("symbol", "as_of", "value").drop_nulls("as_of").sort("symbol", "as_of")
