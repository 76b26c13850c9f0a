"""Every feature of the catalogue against its slow, obvious version in pandas, numpy or scipy."""

from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import rankdata

from project01.domain import trading_calendar
from project01.etl import Context, compute_features, feature_set, prepare_bars

ROOT_YEAR = np.sqrt(252)


class Series:
    """One instrument as pandas columns, total-return prices."""

    def __init__(self, rows: pl.DataFrame, market: pd.Series, macro: pd.DataFrame) -> None:
        frame = rows.to_pandas()
        self.session = pd.DatetimeIndex(frame["session"])
        self.open, self.high, self.low, self.close = (
            frame[name] * frame["factor"] for name in ("open", "high", "low", "close")
        )
        self.volume = frame["volume"] / frame["factor"]
        self.dollars = frame["volume"] * frame["close"]
        self.previous = self.close.shift()
        self.simple = self.close / self.previous - 1
        self.log = np.log(self.close / self.previous)
        self.market = market.reset_index(drop=True)
        self.vix, self.us10y = macro["VIX"].reset_index(drop=True), macro["DGS10"].reset_index(drop=True)


def over_valid(function, *inputs: pd.Series) -> pd.Series:
    """Apply to the bars that have every input, NaN at the others: the declared missing-value rule."""
    frame = pd.concat(inputs, axis=1)
    frame.columns = range(len(inputs))
    kept = frame.dropna()
    return function(*(kept[n] for n in kept.columns)).reindex(frame.index)


def wilder(values: pd.Series, window: int) -> pd.Series:
    numbers, smooth = values.to_numpy(), np.full(len(values), np.nan)
    if len(numbers) >= window:
        smooth[window - 1] = numbers[:window].mean()
        for n in range(window, len(numbers)):
            smooth[n] = (smooth[n - 1] * (window - 1) + numbers[n]) / window
    return pd.Series(smooth, index=values.index)


def trusted_from(values: pd.Series, bars: int) -> pd.Series:
    """NaN before the bar of this number, counting from one."""
    return values.where(np.arange(len(values)) >= bars - 1)


def rsi(close, previous):
    gain, loss = wilder((close - previous).clip(lower=0), 14), wilder((previous - close).clip(lower=0), 14)
    return trusted_from(100 * gain / (gain + loss), 250)


def atr(high, low, close, previous):
    ranges = pd.concat([high - low, (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)
    return trusted_from(wilder(ranges, 14) / close, 250)


def macd(close):
    line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    signal = pd.concat([pd.Series([0.0]), line]).ewm(span=9, adjust=False).mean().iloc[1:]
    return trusted_from((line - signal) / close, 300)


def bands(close):
    mean, spread = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    return mean, mean - 2 * spread, mean + 2 * spread


def bollinger_b(close):
    _, lower, upper = bands(close)
    return (close - lower) / (upper - lower)


def bollinger_width(close):
    mean, lower, upper = bands(close)
    return (upper - lower) / mean


def beta(own, market):
    return own.rolling(252).cov(market, ddof=0) / market.rolling(252).var(ddof=0)


def residual_momentum(own, market):
    out = np.full(len(own), np.nan)
    x, y = market.to_numpy(), own.to_numpy()
    for n in range(251, len(out)):
        mx, my = x[n - 251 : n + 1], y[n - 251 : n + 1]
        slope, constant = np.polyfit(mx, my, 1)
        spread = (my - slope * mx - constant).std()
        out[n] = (my - slope * mx)[:-21].sum() / (spread * np.sqrt(231))
    return pd.Series(out, index=own.index)


@cache
def place_in_month(day: pd.Timestamp) -> tuple[float, int]:
    known = pd.DatetimeIndex(trading_calendar().sessions)
    month = known[(known.year == day.year) & (known.month == day.month)]
    place = int(np.flatnonzero(month == day)[0])
    return place / len(month), len(month) - 1 - place


def month_place(session: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame([place_in_month(day) for day in session], columns=["share", "left"])


ORACLES = {
    **{f"ret_{n}": (lambda s, n=n: s.close / s.close.shift(n) - 1) for n in (1, 5, 21, 63, 126, 252)},
    "mom_12_1": lambda s: s.close.shift(21) / s.close.shift(252) - 1,
    **{f"dist_sma_{n}": (lambda s, n=n: s.close / s.close.rolling(n).mean() - 1) for n in (5, 20, 60, 200)},
    "rsi_14": lambda s: over_valid(rsi, s.close, s.previous),
    "macd_hist": lambda s: macd(s.close),
    "bollinger_b_20": lambda s: bollinger_b(s.close),
    "bollinger_width_20": lambda s: bollinger_width(s.close),
    "atr_14": lambda s: over_valid(atr, s.high, s.low, s.close, s.previous),
    "realised_vol_21": lambda s: over_valid(lambda r: r.rolling(21).std() * ROOT_YEAR, s.log),
    "realised_vol_63": lambda s: over_valid(lambda r: r.rolling(63).std() * ROOT_YEAR, s.log),
    "parkinson_vol_21": lambda s: over_valid(
        lambda high, low: np.sqrt((np.log(high / low) ** 2).rolling(21).mean() / (4 * np.log(2))) * ROOT_YEAR,
        s.high, s.low,
    ),
    "volume_z_20": lambda s: over_valid(lambda v: (v - v.rolling(20).mean()) / v.rolling(20).std(), s.volume),
    "log_dollar_volume": lambda s: np.log(s.dollars),
    "amihud_21": lambda s: over_valid(
        lambda r, d: np.log10(1e6 * (r.abs() / d).rolling(21).mean()), s.log, s.dollars
    ),
    "overnight_gap": lambda s: s.open / s.previous - 1,
    "beta_252": lambda s: over_valid(beta, s.simple, s.market),
    "residual_momentum": lambda s: over_valid(residual_momentum, s.simple, s.market),
    "day_of_week": lambda s: pd.Series(s.session.dayofweek, dtype=float),
    "month_sin": lambda s: np.sin(2 * np.pi * month_place(s.session)["share"]),
    "month_cos": lambda s: np.cos(2 * np.pi * month_place(s.session)["share"]),
    "month_left": lambda s: month_place(s.session)["left"].astype(float),
    "vix": lambda s: s.vix,
    "vix_change_5": lambda s: over_valid(lambda v: v.diff(5), s.vix),
    "us10y_change_21": lambda s: over_valid(lambda v: v.diff(21), s.us10y),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(bars_of, macro_of):
    bars = prepare_bars(bars_of(seed=3, symbols=4, sessions=420))
    macro = macro_of(bars)
    return bars, macro, compute_features(bars, feature_set("core"), Context(macro=macro))


@pytest.fixture(scope="module")
def instruments(table) -> dict[str, Series]:
    bars, macro, _ = table
    frame = bars.to_pandas()
    price = frame["close"] * frame["factor"]
    frame["move"] = price / price.groupby(frame["symbol"]).shift() - 1
    count = frame.groupby("session")["move"].transform("count")
    frame["market"] = frame.groupby("session")["move"].transform("mean").where((count >= 3) & frame["move"].notna())
    # By hand and one by one: the newest value that was known when the bar was.
    facts = macro.to_pandas()
    for series in ("VIX", "DGS10"):
        rows = facts[facts["series_id"] == series]
        frame[series] = [
            known["value"].iloc[-1] if len(known := rows[rows["knowledge_time"] <= at]) else np.nan
            for at in frame["knowledge_time"]
        ]
    return {
        symbol: Series(bars.filter(pl.col("symbol") == symbol), rows["market"], rows[["VIX", "DGS10"]])
        for symbol, rows in frame.groupby("symbol")
    }


def test_every_series_feature_has_an_oracle() -> None:
    assert {feature.name for feature in feature_set("core") if feature.kind == "series"} == set(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_feature_equals_its_obvious_version(name: str, table, instruments) -> None:
    _, _, found = table
    for symbol, series in instruments.items():
        expected = ORACLES[name](series).to_numpy()
        values = found.filter(pl.col("symbol") == symbol)[name].to_numpy()
        assert np.isfinite(expected).any()
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        scale = np.nanmax(np.abs(expected))
        np.testing.assert_allclose(values, expected, rtol=2e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("name", [feature.name for feature in feature_set("core") if feature.kind == "cross_section"])
def test_rank_equals_scipy(name: str, table) -> None:
    _, _, found = table
    base = name.removeprefix("rank_")
    several = 0
    for _, rows in found.group_by("session"):
        values, ranks = rows[base].to_numpy(), rows[name].to_numpy()
        valid = np.isfinite(values)
        assert np.isnan(ranks[~valid]).all()
        if valid.sum() < 2:
            assert np.isnan(ranks).all()
            continue
        several += 1
        expected = (rankdata(values[valid]) - 1) / (valid.sum() - 1) - 0.5
        np.testing.assert_allclose(ranks[valid], expected, atol=1e-7)
    assert several > 50


def test_first_value_stands_at_the_declared_warm_up(bars_of, macro_of) -> None:
    bars = prepare_bars(bars_of(seed=5, symbols=3, sessions=330, gaps=0.0, holes=0.0))
    macro = macro_of(bars).with_columns(pl.col("knowledge_time").dt.offset_by("-2h"))
    found = compute_features(bars, feature_set("core"), Context(macro=macro)).filter(pl.col("symbol") == "S1")
    for feature in feature_set("core"):
        first = int(np.flatnonzero(found[feature.name].is_not_nan().to_numpy())[0])
        assert first + 1 == feature.warm_up, feature.name
