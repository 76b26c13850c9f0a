"""The Alpha158 set against its published formulas in plain pandas and numpy, on drawn bars with holes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.etl import compute_features, feature_set, prepare_bars
from project01.etl.catalogue.alpha158 import published_name

FEATURES = feature_set("alpha158")
WINDOWS = (5, 10, 20, 30, 60)
TINY = 1e-12


def windows(values: pd.Series, length: int) -> np.ndarray:
    """All windows of a series, shape (rows, length); NaN rows where it is not full."""
    padded = np.concatenate([np.full(length - 1, np.nan), values.to_numpy(dtype=float)])
    if values.empty:
        return np.empty((0, length))
    return np.lib.stride_tricks.sliding_window_view(padded, length)


def over(function, values: pd.Series, length: int) -> pd.Series:
    """A function of whole windows, NaN where a window is not full."""
    seen = windows(values, length)
    full = ~np.isnan(seen).any(axis=1)
    found = np.full(len(values), np.nan)
    if full.any():
        found[full] = function(seen[full])
    return pd.Series(found, index=values.index)


def mean(values: pd.Series, n: int) -> pd.Series:
    return over(lambda w: w.mean(axis=1), values, n)


def total(values: pd.Series, n: int) -> pd.Series:
    return over(lambda w: w.sum(axis=1), values, n)


def deviation(values: pd.Series, n: int) -> pd.Series:
    return over(lambda w: w.std(axis=1, ddof=1), values, n)


def line(values: pd.Series, n: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Slope, share explained and last residual of the least-squares line through each window."""
    days = np.arange(1.0, n + 1) - (n + 1) / 2

    def slope(w: np.ndarray) -> np.ndarray:
        return ((w - w.mean(axis=1, keepdims=True)) * days).sum(axis=1) / (days**2).sum()

    def explained(w: np.ndarray) -> np.ndarray:
        centred = w - w.mean(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            share = (slope(w)[:, None] * days) ** 2
            return np.where(still(w), np.nan, share.sum(axis=1) / (centred**2).sum(axis=1))

    def residual(w: np.ndarray) -> np.ndarray:
        return w[:, -1] - w.mean(axis=1) - slope(w) * days[-1]

    return over(slope, values, n), over(explained, values, n), over(residual, values, n)


def still(w: np.ndarray) -> np.ndarray:
    return np.ptp(w, axis=1) <= 1e-12 * np.abs(w).max(axis=1)


def correlation(own: pd.Series, other: pd.Series, n: int) -> pd.Series:
    frame = pd.concat([own, other], axis=1).dropna()
    x, y = (windows(frame.iloc[:, k], n) for k in (0, 1))
    full = ~np.isnan(x).any(axis=1)
    found = np.full(len(frame), np.nan)
    if full.any():
        x, y = x[full], y[full]
        flat = still(x) | still(y)
        x, y = (w - w.mean(axis=1, keepdims=True) for w in (x, y))
        with np.errstate(invalid="ignore"):
            exact = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        found[full] = np.where(flat, np.nan, exact)
    return pd.Series(found, index=frame.index).reindex(own.index)


def rank(values: pd.Series, n: int) -> pd.Series:
    return over(
        lambda w: ((w < w[:, -1:]).sum(axis=1) + ((w == w[:, -1:]).sum(axis=1) + 1) / 2) / n,
        values,
        n,
    )


def gains(values: pd.Series, n: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    change = values.diff().iloc[1:]
    rise, fall = total(change.clip(lower=0), n), total((-change).clip(lower=0), n)
    whole = total(change.abs(), n) + TINY
    return tuple((part / whole).reindex(values.index) for part in (rise, fall, rise - fall))


def changed(values: pd.Series, previous: pd.Series, sign: int, n: int) -> pd.Series:
    return mean((np.sign(values - previous) == sign).astype(float), n)


def of_bar(o, h, l, c, v) -> dict[str, pd.Series]:  # noqa: E741
    body, whole = c - o, h - l + TINY
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    return {
        "KMID": body / o, "KLEN": (h - l) / o, "KMID2": body / whole,
        "KUP": (h - top) / o, "KUP2": (h - top) / whole, "KLOW": (bottom - l) / o, "KLOW2": (bottom - l) / whole,
        "KSFT": (2 * c - h - l) / o, "KSFT2": (2 * c - h - l) / whole,
        "OPEN0": o / c, "HIGH0": h / c, "LOW0": l / c, "VWAP0": v / c,
    }  # fmt: skip


def of_price(c: pd.Series, n: int) -> dict[str, pd.Series]:
    slope, explained, residual = line(c, n)
    return {
        "ROC": c.shift(n) / c, "MA": mean(c, n) / c, "STD": deviation(c, n) / c,
        "BETA": slope / c, "RSQR": explained, "RESI": residual / c,
        "QTLU": over(lambda w: np.quantile(w, 0.8, axis=1), c, n) / c,
        "QTLD": over(lambda w: np.quantile(w, 0.2, axis=1), c, n) / c, "RANK": rank(c, n),
    }  # fmt: skip


def of_range(h: pd.Series, l: pd.Series, c: pd.Series, n: int) -> dict[str, pd.Series]:  # noqa: E741
    top = lambda s: over(lambda w: w.max(axis=1), s, n)  # noqa: E731
    place = lambda s: over(lambda w: w.argmax(axis=1) + 1.0, s, n)  # noqa: E731
    return {
        "MAX": valid(lambda x, y: top(x) / y, h, c),
        "MIN": valid(lambda x, y: -top(-x) / y, l, c),
        "RSV": valid(lambda x, y, z: (z + top(-y)) / (top(x) + top(-y) + TINY), h, l, c),
        "IMAX": valid(lambda x: place(x) / n, h), "IMIN": valid(lambda x: place(-x) / n, l),
        "IMXD": valid(lambda x, y: (place(x) - place(-y)) / n, h, l),
    }  # fmt: skip


def of_volume(v: pd.Series, n: int) -> dict[str, pd.Series]:
    traded = v.where(v > 0)
    rise, fall, both = gains(v, n)
    found = {"VMA": mean(v, n) / traded, "VSTD": deviation(v, n) / traded}
    return found | {"VSUMP": rise, "VSUMN": fall, "VSUMD": both}


def of_both(c: pd.Series, v: pd.Series, n: int) -> dict[str, pd.Series]:
    previous = c.ffill().shift()
    rise, fall, both = gains(c.dropna(), n)
    up, down = (valid(lambda a, b, s=s: changed(a, b, s, n), c, previous) for s in (1, -1))
    weight = valid(lambda a, b, x: (a / b - 1).abs() * x, c, previous, v).dropna()
    return {
        "CORR": correlation(c, np.log(v + 1), n), "CORD": valid(lambda a, b: change_correlation(a, b, n), c, v),
        "CNTP": up, "CNTN": down, "CNTD": up - down, "SUMP": rise, "SUMN": fall, "SUMD": both,
        "WVMA": deviation(weight, n) / (mean(weight, n) + TINY),
    }  # fmt: skip


def change_correlation(c: pd.Series, v: pd.Series, n: int) -> pd.Series:
    kept = (c.shift() > 0) & (v.shift() > 0)
    ratio, grown = (c / c.shift())[kept], np.log(v[kept] / v.shift()[kept] + 1)
    return correlation(ratio, grown, n).reindex(c.index)


def valid(function, *inputs: pd.Series) -> pd.Series:
    """Apply to the bars that have every input, NaN at the others: the declared missing-value rule."""
    frame = pd.concat(inputs, axis=1).set_axis(range(len(inputs)), axis=1)
    kept = frame.dropna()
    return function(*(kept[n] for n in kept.columns)).reindex(frame.index)


def published(bars: pl.DataFrame) -> pd.DataFrame:
    """All 158 features of one instrument by their published formulas."""
    frame = bars.to_pandas()
    o, h, l, c, w = (frame[k] * frame["factor"] for k in ("open", "high", "low", "close", "vwap"))  # noqa: E741
    v = frame["volume"] / frame["factor"]
    found = of_bar(o, h, l, c, w)
    for n in WINDOWS:
        parts = (of_price(c.dropna(), n), of_range(h, l, c, n), of_both(c, v, n), of_volume(v.dropna(), n))
        found |= {f"{k}{n}": s.reindex(c.index) for part in parts for k, s in part.items()}
    return pd.DataFrame(found)


def drawn_bars(seed: int, count: int, move: float, holes: float, quiet: float, busy: int) -> pl.DataFrame:
    """Bars of one instrument: closes on a cent grid so that ties occur, holes of every kind, sessions left out."""
    random = np.random.default_rng(seed)
    moves = np.where(random.random(count) < quiet, 0.0, random.normal(0, move, count))
    close = np.maximum(np.round(40 * np.exp(np.cumsum(moves)), 2), 0.01)
    opened = np.where(random.random(count) < quiet, close, np.round(close * 1.003, 2))
    high, low = np.maximum(opened, close) + random.integers(0, 3, count) / 100, np.minimum(opened, close)
    columns = {
        "close": close, "open": opened, "high": high, "low": low, "vwap": (high + low + close) / 3,
        "volume": random.integers(0, busy, count).astype(float),
    }  # fmt: skip
    spoilt = {name: np.where(random.random(count) < holes, np.nan, values) for name, values in columns.items()}
    rows = pl.DataFrame(spoilt).with_columns(
        symbol=pl.lit("A"),
        session=pl.date_range(pl.date(2015, 1, 1), pl.date(2030, 1, 1), "1d", eager=True).head(count),
        adj_close=pl.col("close") * pl.Series(np.cumprod(random.choice([1.0, 1.01], count, p=[0.97, 0.03]))),
    )
    times = pl.col("session").cast(pl.Datetime("us", "UTC"))
    rows = rows.with_columns(event_time=times, knowledge_time=times)
    return prepare_bars(rows.filter(pl.Series(random.random(count) >= holes)))


def compare(bars: pl.DataFrame) -> dict[str, int]:
    """Check every feature; how many values each had."""
    expected = published(bars)
    found = compute_features(bars, FEATURES, threads=1)
    counts = {}
    for feature in FEATURES:
        right, values = expected[published_name(feature.name)].to_numpy(), found[feature.name].to_numpy()
        np.testing.assert_array_equal(np.isnan(values), np.isnan(right), err_msg=feature.name)
        np.testing.assert_allclose(values, right, rtol=2e-6, atol=2e-7, err_msg=feature.name)
        counts[feature.name] = int(np.isfinite(right).sum())
    return counts


def test_there_are_158_features_of_the_published_names() -> None:
    names = [published_name(feature.name) for feature in FEATURES]
    assert len(names) == len(set(names)) == 158
    assert names == list(published(drawn_bars(0, 3, 0.01, 0.0, 0.0, 100))[names].columns)
    assert names[:13] == [
        "KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2", "OPEN0", "HIGH0", "LOW0", "VWAP0",
    ]  # fmt: skip
    assert names[13:19] == ["ROC5", "ROC10", "ROC20", "ROC30", "ROC60", "MA5"]


@pytest.mark.slow
def test_every_feature_equals_its_formula_on_many_bars() -> None:
    counts = compare(drawn_bars(seed=1, count=500, move=0.02, holes=0.02, quiet=0.05, busy=10**6))
    assert min(counts.values()) > 300


@settings(max_examples=examples(40), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 200),
    move=st.sampled_from([0.0, 1e-4, 0.02, 0.5]),
    holes=st.sampled_from([0.0, 0.05, 0.4]),
    quiet=st.sampled_from([0.0, 0.3, 0.95]),
    busy=st.sampled_from([1, 3, 10**9]),
)
def test_every_feature_equals_its_formula_on_drawn_bars(
    seed: int, count: int, move: float, holes: float, quiet: float, busy: int
) -> None:
    compare(drawn_bars(seed, count, move, holes, quiet, busy))


@pytest.mark.parametrize("name", [feature.name for feature in FEATURES])
def test_first_value_stands_at_the_declared_warm_up(name: str, steady: pl.DataFrame) -> None:
    feature = next(feature for feature in FEATURES if feature.name == name)
    found = np.flatnonzero(steady[name].is_not_nan().to_numpy())
    assert found[0] + 1 == feature.warm_up
    assert len(found) == steady.height - feature.warm_up + 1


@pytest.fixture(scope="module")
def steady() -> pl.DataFrame:
    return compute_features(drawn_bars(2, 90, 0.02, 0.0, 0.0, 10**6), FEATURES)
