"""Random bars of the lake's form, with what real bars have: gaps, missing columns, splits, dividends, late starts."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import trading_calendar


def make_bars(
    seed: int = 0, symbols: int = 4, sessions: int = 320, *, gaps: float = 0.03, holes: float = 0.02
) -> pl.DataFrame:
    """Raw bars known at their close.

    Args:
        seed: of everything.
        symbols: number of instruments.
        sessions: from 2012-01-03 on.
        gaps: share of bars left out.
        holes: share of bars without open, of those without high and low, and of those without volume.
    """
    random = np.random.default_rng(seed)
    calendar = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2012).head(sessions)
    frames = []
    for number in range(symbols):
        close = 50.0 * np.exp(np.cumsum(random.normal(0.0003, 0.015, sessions)))
        opened = close * np.exp(random.normal(0, 0.005, sessions))
        high = np.maximum(opened, close) * np.exp(random.exponential(0.004, sessions))
        low = np.minimum(opened, close) * np.exp(-random.exponential(0.004, sessions))
        dividends = np.where(random.random(sessions) < 0.02, 0.99, 1.0)
        adjusted = close * np.cumprod(dividends[::-1])[::-1]
        frame = calendar.select("session", event_time="close_at", knowledge_time="close_at").with_columns(
            pl.lit(f"S{number}").alias("symbol"),
            pl.Series("open", opened), pl.Series("high", high), pl.Series("low", low), pl.Series("close", close),
            pl.Series("adj_close", adjusted), pl.Series("volume", np.round(random.lognormal(12, 0.6, sessions))),
        )  # fmt: skip
        for columns in (("open",), ("high", "low"), ("volume",)):
            hole = pl.Series(random.random(sessions) < holes)
            frame = frame.with_columns(pl.when(~hole).then(pl.col(name)).alias(name) for name in columns)
        frames.append(frame.filter(pl.Series(random.random(sessions) >= gaps)))
    return pl.concat(frames)


def make_macro(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """VIX known 15 minutes after each close, the 10-year yield half an hour before it."""
    sessions = bars.select("session", "event_time").unique("session", maintain_order=True).sort("session")
    random = np.random.default_rng(seed)
    vix = 15.0 * np.exp(np.cumsum(random.normal(0, 0.05, sessions.height)))
    rate = 0.02 + np.cumsum(random.normal(0, 0.0005, sessions.height))
    return pl.concat(
        sessions.select(
            pl.lit(series).alias("series_id"),
            pl.col("session").alias("period"),
            (pl.col("event_time") + lag).alias("knowledge_time"),
            pl.Series("value", values),
        )
        for series, lag, values in (("VIX", timedelta(minutes=15), vix), ("DGS10", timedelta(minutes=-30), rate))
    )


@pytest.fixture(scope="session")
def bars_of() -> Callable[..., pl.DataFrame]:
    return make_bars


@pytest.fixture(scope="session")
def macro_of() -> Callable[..., pl.DataFrame]:
    return make_macro
