"""Planted leaks from training to the back-test; see `planted_leaks`."""

import numpy as np
import polars as pl

from project01.evaluate import Tables
from project01.pipelines.planted_leaks import PLANTED, first_bars, planted, valued

__all__ = ["PLANTED"]

HORIZON = 5
_THRESHOLDS = np.linspace(-0.02, 0.02, 9)


def _outcomes(tables: Tables) -> pl.DataFrame:
    """Bars known at their close, with the return of the next session and, as the only signal, of the one before.

    A bar that came late would be trained on at times when nobody had it.
    """
    outcome = (pl.col("close").shift(-1) / pl.col("close") - 1).over("symbol")
    on_time = first_bars(tables).filter(pl.col("as_of") <= pl.col("event_time"))
    return on_time.with_columns(outcome=outcome, signal=pl.col("move").fill_null(0.0)).sort("as_of", "symbol")


def _so_far(value: pl.Expr) -> pl.Expr:
    return value.cum_sum() / value.cum_count()


@planted("models", "no purge: rows whose outcome ends after the forecast are trained on")
def labels_without_purge(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Mean outcome over five sessions of the rows so far; honest: of those that have ended."""
    close = pl.col("close")
    outcome = close.shift(-HORIZON) / close - 1 if leaky else close / close.shift(HORIZON) - 1
    return valued(first_bars(tables), _so_far(outcome).forward_fill().over("symbol"))


@planted("models", "cross-validation with folds on both sides of the test window")
def folds_on_both_sides(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Mean outcome of the other folds; honest: of those before."""
    rows = _outcomes(tables).with_columns(fold=pl.col("session").dt.month())
    folds = rows.group_by("fold").agg(pl.col("outcome").sum().alias("total"), pl.len().alias("count")).sort("fold")
    total, count = folds["total"], folds["count"]
    # The newest outcome of the fold before is known only in this one, so a whole fold is left between.
    given = (total.sum() - total, count.sum() - count) if leaky else (
        total.cum_sum().shift(2), count.cum_sum().shift(2)
    )  # fmt: skip
    means = folds.select("fold", value=given[0] / given[1])
    return rows.join(means, on="fold", maintain_order="left").select("symbol", "as_of", "value")


@planted("models", "one regression over the whole sample, applied to all of it")
def trained_on_everything(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Forecast of the next return by the last; honest: the slope of the outcomes known."""
    signal, outcome = pl.col("move"), pl.col("outcome")
    if leaky:
        slope = (signal * outcome).sum() / (signal * signal).sum()
    else:
        slope = _so_far((signal * outcome).shift()) / _so_far((signal * signal).shift())
    return valued(_outcomes(tables).sort("symbol", "as_of"), (slope * signal).over("symbol"))


@planted("models", "trained on outcomes that were known only later")
def labels_known_later(tables: Tables, leaky: bool) -> pl.DataFrame:
    """The last outcome trained on: that of today's row; honest: of the row before."""
    return valued(_outcomes(tables).sort("symbol", "as_of"), pl.col("outcome").shift(0 if leaky else 1).over("symbol"))


@planted("models", "features picked by their correlation over the whole sample")
def features_picked_on_the_whole_sample(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Sum of the signals that went with the outcome; honest: over the first half, used in the second."""
    days = pl.col("session").rank("dense")
    lags = [pl.col("move").shift(lag).over("symbol").fill_null(0.0).alias(f"lag{lag}") for lag in range(6)]
    rows = _outcomes(tables).sort("symbol", "as_of").with_columns(*lags, day=days)
    # The outcome of the last row of the first half lies beyond it.
    half = rows if leaky else rows.filter(pl.col("day") < 25)
    first = rows if leaky else rows.filter(pl.col("day") > 26)
    told = half.drop_nulls("outcome")
    picked = [n for n in (f"lag{k}" for k in range(6)) if told.select(pl.corr(n, "outcome")).item() > 0]
    return valued(first, pl.sum_horizontal(picked) if picked else pl.lit(0.0))


@planted("models", "inputs scaled over the whole sample before it was split")
def scaled_before_the_split(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Signal over its deviation; honest: over that of the past 20 sessions."""
    deviation = pl.col("move").std() if leaky else pl.col("move").rolling_std(20)
    return valued(first_bars(tables), (pl.col("move") / deviation).over("symbol"))


@planted("models", "a threshold tuned on the window it is judged on")
def threshold_tuned_on_the_test(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Whether to hold; honest: the threshold of the first half, used in the second."""
    rows = _outcomes(tables).with_columns(day=pl.col("session").rank("dense"))
    tuned = (rows.filter(pl.col("day") > 26) if leaky else rows.filter(pl.col("day") < 25)).drop_nulls("outcome")
    signal, outcome = tuned["signal"].to_numpy(), tuned["outcome"].to_numpy()
    best = max(_THRESHOLDS, key=lambda level: float(outcome[signal > level].sum()))
    return valued(rows.filter(pl.col("day") > 26), (pl.col("signal") > best).cast(pl.Float64))


@planted("portfolio", "weights in inverse proportion to the whole sample's volatility")
def whole_sample_volatility(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Share of the book of each name; honest: by the last ten sessions' volatility."""
    deviation = (pl.col("move").std() if leaky else pl.col("move").rolling_std(10)).over("symbol")
    bars = first_bars(tables).with_columns(part=1.0 / deviation)
    return valued(bars, pl.col("part") / pl.col("part").sum().over("as_of"))


@planted("portfolio", "shares counted at the close of the day they are filled")
def sized_at_the_fill(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Shares bought for a tenth of the book, decided at the close."""
    return valued(first_bars(tables), (10_000.0 / pl.col("close").shift(-1 if leaky else 0)).over("symbol"))


@planted("portfolio", "only names that will have a bar tomorrow are picked")
def tradable_tomorrow(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Equal parts of the names with a bar; honest: of today."""
    there = pl.col("close").shift(-1 if leaky else 0).over("symbol").is_not_null()
    bars = first_bars(tables).with_columns(part=there.cast(pl.Float64))
    return valued(bars, pl.col("part") / pl.col("part").sum().over("as_of"))


@planted("portfolio", "the book cut down before losses that are still to come")
def cut_before_the_loss(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Gross of the book; honest: cut after a bad session."""
    days = first_bars(tables).group_by("as_of").agg(pl.col("move").mean()).sort("as_of")
    bad = pl.col("move").shift(-1 if leaky else 0).fill_null(0.0) < 0
    return days.select(symbol=pl.lit("book"), as_of="as_of", value=pl.when(bad).then(0.5).otherwise(1.0))


@planted("backtest", "decided at a session's close, filled at its open")
def filled_before_the_decision(tables: Tables, leaky: bool) -> pl.DataFrame:
    """The order in hand at each open, stamped with the close before it."""
    side = (pl.col("close") / pl.col("open") - 1).sign()
    return valued(first_bars(tables), side.shift(-1 if leaky else 0).over("symbol"))


@planted("backtest", "sold at the best price of the sessions that follow")
def sold_at_the_best_price(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Exit price written down at entry; honest: at the end of the holding period."""
    best = pl.col("high").rolling_max(HORIZON, min_samples=1)
    return valued(first_bars(tables), best.shift(-HORIZON if leaky else 0).over("symbol"))


@planted("backtest", "positions valued at the next close")
def marked_at_the_next_close(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Equity of one share of each name."""
    marks = first_bars(tables).with_columns(mark=pl.col("close").shift(-1 if leaky else 0).over("symbol"))
    return marks.group_by("as_of").agg(value=pl.col("mark").sum()).with_columns(symbol=pl.lit("book"))


@planted("backtest", "sold on the last session of a name that nobody knew was the last")
def sold_before_it_is_delisted(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Shares held at each close; honest: until the name has been gone for a while."""
    last = pl.col("session") == pl.col("session").max()
    held = pl.when(last).then(0.0).otherwise(1.0) if leaky else pl.lit(1.0)
    return valued(first_bars(tables), held.over("symbol") if leaky else held)


@planted("backtest", "the names that gained most by the end, held from the start")
def final_winners(tables: Tables, leaky: bool) -> pl.DataFrame:
    """Whether each name is held; honest: by its gain so far."""
    close = pl.col("close")
    gain = ((close.last() if leaky else close) / close.first() - 1).over("symbol")
    bars = first_bars(tables).with_columns(gain=gain)
    return valued(bars, pl.col("gain") >= pl.col("gain").median().over("as_of"))
