"""The 25 daily features of `features.py` in other libraries of the same interpreter: TA-Lib, Polars, pandas.

Polars and pandas compute all 25 by the same definitions. TA-Lib has 24 of them, as far as its functions go (bands but
not the place between them, a mean but not the distance from it), and a correlation over 252 sessions where ours is
residual momentum; `talib_features` finishes them for the check that the work is the same.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import polars as pl
import talib
from numpy.typing import NDArray

from project01.domain import FloatArray

RETURNS = (1, 5, 21, 63, 126, 252)
AVERAGES = (5, 20, 60, 200)
YEAR = 252
PARKINSON = 4 * np.log(2)


def talib_calls(own: dict[str, FloatArray], market: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """25 indicators of one instrument.

    Args:
        own: open, high, low, close and volume, shape (n_sessions,) each, adjusted.
        market: level of the market, shape (n_sessions,).
    """
    close, high, low, volume = own["close"], own["high"], own["low"], own["volume"]
    for window in RETURNS:
        yield f"ret_{window}", talib.ROCP(close, window)
    yield "mom_12_1", talib.ROCP(close, YEAR - 21)
    for window in AVERAGES:
        yield f"dist_sma_{window}", talib.SMA(close, window)
    yield "rsi_14", talib.RSI(close, 14)
    yield "macd_hist", talib.MACD(close, 12, 26, 9)[2]
    upper, _, lower = talib.BBANDS(close, 20, 2, 2)
    yield "bollinger_b_20", upper
    yield "bollinger_width_20", lower
    yield "atr_14", talib.ATR(high, low, close, 14)
    logarithm = talib.LN(close)
    move = talib.MOM(logarithm, 1)
    for window in (21, 63):
        yield f"realised_vol_{window}", talib.STDDEV(move, window)
    reach = talib.LN(talib.DIV(high, low))
    yield "parkinson_vol_21", talib.SMA(talib.MULT(reach, reach), 21)
    yield "volume_z_20", talib.STDDEV(volume, 20)
    dollars = talib.MULT(close, volume)
    yield "log_dollar_volume", talib.LN(dollars)
    yield "amihud_21", talib.SMA(talib.DIV(np.abs(move), dollars), 21)
    yield "overnight_gap", talib.DIV(own["open"][1:], close[:-1])
    yield "beta_252", talib.BETA(market, close, YEAR)
    yield "residual_momentum", talib.CORREL(market, close, YEAR)


def talib_features(own: dict[str, FloatArray], market: FloatArray) -> dict[str, FloatArray]:
    """The 24 features that TA-Lib's functions make, of one instrument, finished to our definitions."""
    found = dict(talib_calls(own, market))
    close, volume = own["close"], own["volume"]
    del found["residual_momentum"]
    found["mom_12_1"] = np.concatenate([np.full(21, np.nan), found["mom_12_1"][:-21]])
    found |= {f"dist_sma_{window}": close / found[f"dist_sma_{window}"] - 1 for window in AVERAGES}
    found["macd_hist"] = found["macd_hist"] / close
    upper, lower = found["bollinger_b_20"], found["bollinger_width_20"]
    found["bollinger_b_20"] = (close - lower) / (upper - lower)
    found["bollinger_width_20"] = (upper - lower) / ((upper + lower) / 2)
    found["atr_14"] = found["atr_14"] / close
    for window in (21, 63):
        sample = np.sqrt(window / (window - 1) * YEAR)
        found[f"realised_vol_{window}"] = found[f"realised_vol_{window}"] * sample
    found["parkinson_vol_21"] = np.sqrt(found["parkinson_vol_21"] * YEAR / PARKINSON)
    found["volume_z_20"] = (volume - talib.SMA(volume, 20)) / (found["volume_z_20"] * np.sqrt(20 / 19))
    found["amihud_21"] = np.log10(1e6 * found["amihud_21"])
    found["overnight_gap"] = np.concatenate([[np.nan], found["overnight_gap"] - 1])
    return found


def talib_table(
    columns: dict[str, FloatArray], level: FloatArray, starts: NDArray[np.int64], first: int, last: int,
    out: NDArray[np.float32] | None,
) -> None:  # fmt: skip
    """The indicators of the instruments `first` to `last`, into `out`, shape (25, n_rows), or computed and dropped."""
    for instrument in range(first, last):
        rows = slice(starts[instrument], starts[instrument + 1])
        own = {name: column[rows] for name, column in columns.items()}
        for place, (_, value) in enumerate(talib_calls(own, level[rows])):
            if out is not None:
                out[place, rows.stop - len(value) : rows.stop] = value


def polars_features(bars: pl.DataFrame) -> pl.DataFrame:
    """All 25 as lazy expressions over each symbol, on as many threads as Polars likes."""
    close, symbol = pl.col("close"), "symbol"
    previous = close.shift()
    plain = bars.lazy().with_columns(
        move=(close / previous - 1).over(symbol),
        log=(close / previous).log().over(symbol),
        rise=(close - previous).clip(lower_bound=0).over(symbol),
        fall=(previous - close).clip(lower_bound=0).over(symbol),
        reach=pl.max_horizontal(
            pl.col("high") - pl.col("low"), (pl.col("high") - previous).abs(), (pl.col("low") - previous).abs()
        ).over(symbol),
        line=(close.ewm_mean(span=12, adjust=False) - close.ewm_mean(span=26, adjust=False)).over(symbol),
    )
    market = plain.with_columns(market=pl.col("move").mean().over("session"))
    return market.select(expression.over(symbol).alias(name) for name, expression in _expressions()).collect()


def _expressions() -> Iterator[tuple[str, pl.Expr]]:
    close, volume, log, move, market, line = map(pl.col, ("close", "volume", "log", "move", "market", "line"))
    for window in RETURNS:
        yield f"ret_{window}", close / close.shift(window) - 1
    yield "mom_12_1", close.shift(21) / close.shift(YEAR) - 1
    for window in AVERAGES:
        yield f"dist_sma_{window}", close / close.rolling_mean(window) - 1
    gain, loss = (pl.col(name).ewm_mean(alpha=1 / 14, adjust=False) for name in ("rise", "fall"))
    yield "rsi_14", 100 * gain / (gain + loss)
    yield "macd_hist", (line - line.ewm_mean(span=9, adjust=False)) / close
    mean, spread = close.rolling_mean(20), close.rolling_std(20, ddof=0)
    yield "bollinger_b_20", (close - mean + 2 * spread) / (4 * spread)
    yield "bollinger_width_20", 4 * spread / mean
    yield "atr_14", pl.col("reach").ewm_mean(alpha=1 / 14, adjust=False) / close
    for window in (21, 63):
        yield f"realised_vol_{window}", log.rolling_std(window) * np.sqrt(YEAR)
    ranges = (pl.col("high") / pl.col("low")).log() ** 2
    yield "parkinson_vol_21", (ranges.rolling_mean(21) * (YEAR / PARKINSON)).sqrt()
    yield "volume_z_20", (volume - volume.rolling_mean(20)) / volume.rolling_std(20)
    yield "log_dollar_volume", (close * volume).log()
    yield "amihud_21", (1e6 * (log.abs() / (close * volume)).rolling_mean(21)).log(10)
    yield "overnight_gap", pl.col("open") / close.shift() - 1
    slope = pl.rolling_cov(move, market, window_size=YEAR) / market.rolling_var(YEAR)
    yield "beta_252", slope
    left = (move.rolling_sum(YEAR) - move.rolling_sum(21)) - slope * (market.rolling_sum(YEAR) - market.rolling_sum(21))
    unexplained = move.rolling_var(YEAR) - slope**2 * market.rolling_var(YEAR)
    yield "residual_momentum", left / (unexplained * (YEAR - 1) / YEAR * (YEAR - 21)).sqrt()


def pandas_features(bars: pl.DataFrame) -> pd.DataFrame:
    """All 25, one symbol at a time, the way they are usually written."""
    wide = bars.to_pandas()
    move = wide.groupby("symbol")["close"].pct_change()
    wide["market"] = move.groupby(wide["session"]).transform("mean")
    return pd.concat([_pandas_symbol(own) for _, own in wide.groupby("symbol")])


def _pandas_symbol(own: pd.DataFrame) -> pd.DataFrame:
    close, high, low, volume, index = own["close"], own["high"], own["low"], own["volume"], own["market"]
    previous = close.shift()
    log, move = np.log(close / previous), close / previous - 1
    found = {f"ret_{n}": close / close.shift(n) - 1 for n in (1, 5, 21, 63, 126, 252)}
    found["mom_12_1"] = close.shift(21) / close.shift(252) - 1
    found |= {f"dist_sma_{n}": close / close.rolling(n).mean() - 1 for n in (5, 20, 60, 200)}
    gain = (close - previous).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (previous - close).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    found["rsi_14"] = 100 * gain / (gain + loss)
    line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    found["macd_hist"] = (line - line.ewm(span=9, adjust=False).mean()) / close
    mean, spread = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    found["bollinger_b_20"] = (close - mean + 2 * spread) / (4 * spread)
    found["bollinger_width_20"] = 4 * spread / mean
    true_range = np.maximum(high - low, np.maximum((high - previous).abs(), (low - previous).abs()))
    found["atr_14"] = true_range.ewm(alpha=1 / 14, adjust=False).mean() / close
    found |= {f"realised_vol_{n}": log.rolling(n).std() * np.sqrt(252) for n in (21, 63)}
    found["parkinson_vol_21"] = np.sqrt((np.log(high / low) ** 2).rolling(21).mean() * 252 / (4 * np.log(2)))
    found["volume_z_20"] = (volume - volume.rolling(20).mean()) / volume.rolling(20).std()
    found["log_dollar_volume"] = np.log(close * volume)
    found["amihud_21"] = np.log10(1e6 * (log.abs() / (close * volume)).rolling(21).mean())
    found["overnight_gap"] = own["open"] / previous - 1
    slope = move.rolling(252).cov(index) / index.rolling(252).var()
    found["beta_252"] = slope
    left = (move.rolling(252).sum() - move.rolling(21).sum()) - slope * (
        index.rolling(252).sum() - index.rolling(21).sum()
    )
    unexplained = move.rolling(252).var() - slope**2 * index.rolling(252).var()
    found["residual_momentum"] = left / np.sqrt(unexplained * 231)
    return pd.DataFrame(found)
