"""The technical set against plain pandas, numpy and scipy: what TA-Lib lacks, and what it cannot do over holes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.etl.technical_series import FEATURES, assert_equals_oracle, table_of
from tests.etl.test_technical_talib import ON_ANY_BARS, ON_WHOLE_BARS

ROOT_YEAR = np.sqrt(252)


def true_range(high, low, previous):
    return pd.concat([high - low, (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)


def wilder(values, window):
    """The mean of the first window, then one part in `window` of each further value."""
    smooth = values.expanding().mean().to_numpy().copy()
    for n in range(window, len(smooth)):
        smooth[n] = (smooth[n - 1] * (window - 1) + values.iloc[n]) / window
    return smooth


def kaufman(b):
    closes = np.concatenate([b.previous.iloc[:1], b.close])
    means, mean = np.full(len(b.close), np.nan), closes[9]
    for n in range(10, len(closes)):
        ratio = abs(closes[n] - closes[n - 10]) / np.abs(np.diff(closes[n - 10 : n + 1])).sum()
        mean += (ratio * (2 / 3 - 2 / 31) + 2 / 31) ** 2 * (closes[n] - mean)
        means[n - 1] = mean
    return b.close / means - 1


def keltner(b):
    reach = wilder(true_range(b.high, b.low, b.previous), 10)
    return 0.5 + (b.close - b.close.ewm(span=20, adjust=False).mean()) / (4 * reach)


def choppiness(b):
    span = b.high.rolling(14).max() - b.low.rolling(14).min()
    return 100 * np.log10(true_range(b.high, b.low, b.previous).rolling(14).sum() / span) / np.log10(14)


def ultimate(b):
    gain = b.close - pd.concat([b.low, b.previous], axis=1).min(axis=1)
    reach = true_range(b.high, b.low, b.previous)
    shares = [gain.rolling(n).sum() / reach.rolling(n).sum() for n in (7, 14, 28)]
    return 100 * (4 * shares[0] + 2 * shares[1] + shares[2]) / 7


def on_balance(b):
    return (np.sign(b.close - b.previous) * b.volume).cumsum()


def on_balance_slope(b):
    slope = on_balance(b).rolling(20).apply(lambda v: np.polyfit(np.arange(20), v, 1)[0])
    return slope / b.volume.rolling(20).mean()


def on_balance_score(b):
    obv = on_balance(b)
    return (obv - obv.rolling(20).mean()) / obv.rolling(20).std()


def vortex(high, low, close, movement):
    ranges = true_range(high, low, close.shift()).where(close.shift().notna())
    return movement.rolling(14).sum() / ranges.rolling(14).sum()


def money_flow(b):
    place = ((b.close - b.low) - (b.high - b.close)) / (b.high - b.low)
    return (place * b.volume).rolling(21).sum() / b.volume.rolling(21).sum()


def realised(log_return, window):
    return log_return.rolling(window).std() * ROOT_YEAR


def parkinson(high, low, window):
    return np.sqrt((np.log(high / low) ** 2).rolling(window).mean() / (4 * np.log(2))) * ROOT_YEAR


def garman_klass(b):
    square = 0.5 * np.log(b.high / b.low) ** 2 - (2 * np.log(2) - 1) * np.log(b.close / b.open) ** 2
    return np.sqrt(square.rolling(21).mean() * 252)


def rogers_satchell_square(b):
    return np.log(b.high / b.close) * np.log(b.high / b.open) + np.log(b.low / b.close) * np.log(b.low / b.open)


def rogers_satchell(b):
    return np.sqrt(rogers_satchell_square(b).rolling(21).mean() * 252)


def yang_zhang(b):
    k = 0.34 / (1.34 + 22 / 20)
    overnight, body = np.log(b.open / b.previous).rolling(21).var(), np.log(b.close / b.open).rolling(21).var()
    ranges = rogers_satchell_square(b).rolling(21).mean()
    return np.sqrt((overnight + k * body + (1 - k) * ranges) * 252)


def max_drawdown(b):
    return b.close.rolling(63).apply(lambda v: (1 - v / np.maximum.accumulate(v)).max(), raw=True)


def ulcer(b):
    fall = 100 * (b.close / b.close.rolling(14).max() - 1)
    return np.sqrt((fall**2).rolling(14).mean())


def variance_ratio(log_return, lag, window):
    several = log_return.rolling(lag).sum().rolling(window - lag + 1).var()
    return several / (lag * log_return.rolling(window).var())


ORACLES = {
    "dist_kama_10": kaufman,
    "keltner_20": keltner,
    "choppiness_14": choppiness,
    "ultimate_7_14_28": ultimate,
    "atr_7": lambda b: wilder(true_range(b.high, b.low, b.previous), 7) / b.close,
    "atr_21": lambda b: wilder(true_range(b.high, b.low, b.previous), 21) / b.close,
    "obv_slope_20": on_balance_slope,
    "obv_z_20": on_balance_score,
    "vortex_plus_14": lambda b: vortex(b.high, b.low, b.close, (b.high - b.low.shift()).abs()),
    "vortex_minus_14": lambda b: vortex(b.high, b.low, b.close, (b.low - b.high.shift()).abs()),
    "cmf_21": money_flow,
    "realised_vol_10": lambda b: realised(b.log_return, 10),
    "realised_vol_126": lambda b: realised(b.log_return, 126),
    "parkinson_vol_10": lambda b: parkinson(b.high, b.low, 10),
    "parkinson_vol_63": lambda b: parkinson(b.high, b.low, 63),
    "garman_klass_vol_21": garman_klass,
    "rogers_satchell_vol_21": rogers_satchell,
    "yang_zhang_vol_21": yang_zhang,
    "skew_63": lambda b: b.log_return.rolling(63).apply(lambda v: stats.skew(v, bias=False)),
    "kurtosis_63": lambda b: b.log_return.rolling(63).apply(lambda v: stats.kurtosis(v, bias=False)),
    "downside_vol_63": lambda b: np.sqrt((b.log_return.clip(upper=0) ** 2).rolling(63).mean() * 252),
    "max_drawdown_63": max_drawdown,
    "ulcer_14": ulcer,
    "variance_ratio_5_126": lambda b: variance_ratio(b.log_return, 5, 126),
    "variance_ratio_21_252": lambda b: variance_ratio(b.log_return, 21, 252),
    "autocorrelation_1_63": lambda b: b.log_return.rolling(63).corr(b.log_return.shift(1)),
    "autocorrelation_5_63": lambda b: b.log_return.rolling(63).corr(b.log_return.shift(5)),
}


@pytest.fixture(scope="module")
def with_holes(bars_of):
    return table_of(bars_of(seed=41, symbols=2, sessions=800, holes=0.05))


def test_every_feature_has_an_oracle_on_bars_with_holes() -> None:
    assert set(ORACLES) | set(ON_ANY_BARS) == set(FEATURES)
    assert set(ON_WHOLE_BARS) <= set(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_equals_its_obvious_version(name: str, with_holes) -> None:
    assert_equals_oracle(name, with_holes, ORACLES[name])
