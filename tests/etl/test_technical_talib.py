"""The technical set against TA-Lib, with gaps and holes in the bars.

TA-Lib knows no missing values: it gets the bars that have every input of a feature, one after another, which is the
declared rule. Where it differs:
- Smoothing means: TA-Lib starts exponential ones at the simple mean of the first window and Wilder's directional ones
  at the sum of one value fewer; ours start at the first value, or at the mean of all values so far. Both are forgotten
  at the declared warm-up, from which on we compare.
- Levels and units: TA-Lib gives price differences (APO, MOM, ATR), percents (ROC) and levels (OBV, ADOSC); the features
  put them over the close or the mean volume, and leave out the level. Here TA-Lib's are divided in the same way.
- Undefined values: TA-Lib gives 0 (or 100, or the value before) where a range, a volume or a movement is 0; the
  features give NaN. Drawn bars have no such windows; `test_technical_by_hand.py` has.
- Where a feature looks at the close before (`previous`), that is the close of the bar before even if that bar lacked
  another input; TA-Lib sees the last bar it was given. So these compare on bars without holes.
"""

import numpy as np
import pandas as pd
import pytest
import talib
from tests.etl.technical_series import FEATURES, assert_equals_oracle, table_of


def slope_over_mean(close, window):
    return talib.LINEARREG_SLOPE(close, window) / talib.SMA(close, window)


def fit(close, window):
    return talib.CORREL(close, np.arange(len(close), dtype=float), window) ** 2


def bands(close, window):
    upper, middle, lower = talib.BBANDS(close, window, 2, 2)
    return (close - lower) / (upper - lower), (upper - lower) / middle


def channel(high, low, window):
    return talib.MIN(low, window), talib.MAX(high, window)


def position(high, low, close, window):
    bottom, top = channel(high, low, window)
    return (close - bottom) / (top - bottom)


def on_balance(close, volume):
    obv = talib.OBV(close, volume)
    return obv - obv.iloc[0]


def slope_on_balance(close, volume):
    return talib.LINEARREG_SLOPE(on_balance(close, volume), 20) / talib.SMA(volume, 20)


def score_on_balance(close, volume):
    obv = on_balance(close, volume)
    return (obv - talib.SMA(obv, 20)) / (talib.STDDEV(obv, 20) * np.sqrt(20 / 19))


def weighted_price(high, low, close, volume):
    return talib.SUM(talib.TYPPRICE(high, low, close) * volume, 20) / talib.SUM(volume, 20)


def choppiness(high, low, close, window):
    gone, (bottom, top) = talib.SUM(talib.TRANGE(high, low, close), window), channel(high, low, window)
    return 100 * np.log10(gone / (top - bottom)) / np.log10(window)


def after_first(function, b, *windows):
    """With a bar before the first event that has the close before: the events left out the instrument's first bar."""
    before = b.previous.iloc[:1]
    return function(
        *(pd.concat([before, price]).reset_index(drop=True) for price in (b.high, b.low, b.close)), *windows
    )[1:]


# Features of a bar's own values and of bars before with all inputs: also on bars with holes.
ON_ANY_BARS = {
    "dist_ema_10": lambda b: b.close / talib.EMA(b.close, 10) - 1,
    "dist_ema_30": lambda b: b.close / talib.EMA(b.close, 30) - 1,
    "dist_dema_20": lambda b: b.close / talib.DEMA(b.close, 20) - 1,
    "dist_tema_20": lambda b: b.close / talib.TEMA(b.close, 20) - 1,
    "dist_wma_20": lambda b: b.close / talib.WMA(b.close, 20) - 1,
    "trix_15": lambda b: talib.TRIX(b.close, 15),
    "sma_cross_5_20": lambda b: talib.SMA(b.close, 5) / talib.SMA(b.close, 20) - 1,
    "sma_cross_50_200": lambda b: talib.SMA(b.close, 50) / talib.SMA(b.close, 200) - 1,
    "apo_12_26": lambda b: talib.APO(b.close, 12, 26, matype=0) / b.close,
    "ppo_12_26": lambda b: talib.PPO(b.close, 12, 26, matype=1),
    "slope_20": lambda b: slope_over_mean(b.close, 20),
    "angle_63": lambda b: np.degrees(np.arctan(100 * slope_over_mean(b.close, 63))),
    "r2_20": lambda b: fit(b.close, 20),
    "r2_63": lambda b: fit(b.close, 63),
    "dist_line_20": lambda b: b.close / talib.LINEARREG(b.close, 20) - 1,
    "plus_di_14": lambda b: talib.PLUS_DI(b.high, b.low, b.close, 14),
    "minus_di_14": lambda b: talib.MINUS_DI(b.high, b.low, b.close, 14),
    "dx_14": lambda b: talib.DX(b.high, b.low, b.close, 14),
    "adx_14": lambda b: talib.ADX(b.high, b.low, b.close, 14),
    "adxr_14": lambda b: talib.ADXR(b.high, b.low, b.close, 14),
    "aroon_up_25": lambda b: talib.AROON(b.high, b.high, 25)[1],
    "aroon_down_25": lambda b: talib.AROON(b.low, b.low, 25)[0],
    "aroon_osc_25": lambda b: talib.AROONOSC(b.high, b.low, 25),
    "days_since_high_252": lambda b: np.arange(len(b.high)) - talib.MAXINDEX(b.high, 252),
    "share_of_high_252": lambda b: b.close / talib.MAX(b.high, 252),
    "rsi_7": lambda b: talib.RSI(b.close, 7),
    "rsi_21": lambda b: talib.RSI(b.close, 21),
    "stoch_rsi_14": lambda b: talib.STOCHRSI(b.close, 14, 14, 3)[0],
    "stoch_k_14": lambda b: talib.STOCHF(b.high, b.low, b.close, 14, 1)[0],
    "stoch_d_14": lambda b: talib.STOCHF(b.high, b.low, b.close, 14, 3)[1],
    "stoch_slow_d_14": lambda b: talib.STOCH(b.high, b.low, b.close, 14, 3, 0, 3, 0)[1],
    "williams_r_10": lambda b: talib.WILLR(b.high, b.low, b.close, 10),
    "cci_20": lambda b: talib.CCI(b.high, b.low, b.close, 20),
    "roc_10": lambda b: talib.ROC(b.close, 10) / 100,
    "momentum_42": lambda b: talib.MOM(b.close, 42) / b.close,
    "bop": lambda b: talib.BOP(b.open, b.high, b.low, b.close),
    "bollinger_b_50": lambda b: bands(b.close, 50)[0],
    "bollinger_width_50": lambda b: bands(b.close, 50)[1],
    "channel_position_20": lambda b: position(b.high, b.low, b.close, 20),
    "channel_position_55": lambda b: position(b.high, b.low, b.close, 55),
    "channel_position_252": lambda b: position(b.high, b.low, b.close, 252),
    "channel_width_20": lambda b: np.subtract(*channel(b.high, b.low, 20)) / -b.close,
    "mfi_14": lambda b: talib.MFI(b.high, b.low, b.close, b.volume, 14),
    "chaikin_osc_3_10": lambda b: talib.ADOSC(b.high, b.low, b.close, b.volume, 3, 10) / talib.EMA(b.volume, 10),
    "volume_ratio_1_20": lambda b: b.volume / talib.SMA(b.volume, 20) - 1,
    "volume_ratio_5_60": lambda b: talib.SMA(b.volume, 5) / talib.SMA(b.volume, 60) - 1,
    "dist_vwap_20": lambda b: b.close / weighted_price(b.high, b.low, b.close, b.volume) - 1,
}
# Features that look at the close before whatever else the bar before lacked.
ON_WHOLE_BARS = {
    "dist_kama_10": lambda b: b.close / talib.KAMA(b.close, 10) - 1,
    "ultimate_7_14_28": lambda b: after_first(talib.ULTOSC, b, 7, 14, 28),
    "atr_7": lambda b: talib.NATR(b.high, b.low, b.close, 7) / 100,
    "atr_21": lambda b: talib.ATR(b.high, b.low, b.close, 21) / b.close,
    "keltner_20": lambda b: 0.5 + (b.close - talib.EMA(b.close, 20)) / (4 * talib.ATR(b.high, b.low, b.close, 10)),
    "choppiness_14": lambda b: after_first(choppiness, b, 14),
    "obv_slope_20": lambda b: slope_on_balance(b.close, b.volume),
    "obv_z_20": lambda b: score_on_balance(b.close, b.volume),
    "autocorrelation_1_63": lambda b: talib.CORREL(b.log_return, b.log_return.shift(1), 63),
    "autocorrelation_5_63": lambda b: talib.CORREL(b.log_return, b.log_return.shift(5), 63),
}


@pytest.fixture(scope="module")
def with_holes(bars_of):
    return table_of(bars_of(seed=31, symbols=2, sessions=1100, holes=0.05))


@pytest.fixture(scope="module")
def whole(bars_of):
    return table_of(bars_of(seed=37, symbols=2, sessions=1100, holes=0.0))


def test_names_are_those_of_the_set() -> None:
    assert set(ON_ANY_BARS) | set(ON_WHOLE_BARS) <= set(FEATURES)


@pytest.mark.parametrize("name", ON_ANY_BARS)
def test_equals_talib_with_holes(name: str, with_holes) -> None:
    assert_equals_oracle(name, with_holes, ON_ANY_BARS[name])


@pytest.mark.parametrize("name", [*ON_ANY_BARS, *ON_WHOLE_BARS])
def test_equals_talib(name: str, whole) -> None:
    instruments, _ = whole
    assert not any(series.high.isna().any() for series in instruments.values())
    assert_equals_oracle(name, whole, (ON_ANY_BARS | ON_WHOLE_BARS)[name])
