"""Features and labels on 350 real stocks, 2005 to 2017, and on a market where names vanish."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from project01.domain import trading_calendar
from project01.etl import compute_features, feature_set, forward_returns, prepare_bars, usable

pytestmark = pytest.mark.slow


def lake_form(rows: pl.DataFrame) -> pl.DataFrame:
    sessions = trading_calendar().as_frame().select("session", "close_at")
    return (
        rows.rename({"date": "session"})
        .join(sessions, on="session")
        .with_columns(event_time=pl.col("close_at"), knowledge_time=pl.col("close_at"))
    )


@pytest.fixture(scope="module")
def daily(shared_data: Path) -> pl.DataFrame:
    return prepare_bars(lake_form(pl.read_parquet(shared_data / "daily_us" / "daily_2005_2017.parquet")))


@pytest.fixture(scope="module")
def features(daily: pl.DataFrame) -> pl.DataFrame:
    kept, _ = usable(feature_set("core"), daily, None)
    return compute_features(daily, kept)


@pytest.fixture(scope="module")
def labels(daily: pl.DataFrame) -> pl.DataFrame:
    return forward_returns(daily, 5)


def test_factors_only_grow_with_dividends(daily: pl.DataFrame) -> None:
    steps = daily.select((pl.col("factor") / pl.col("factor").shift()).over("symbol").alias("step"))["step"]
    moved = steps.drop_nulls().filter(steps.drop_nulls() != 1.0)
    # The vendor's table counts 10,785 dividends and spin-offs, and never a step down.
    assert 10_000 < moved.len() < 11_500
    assert moved.min() > 1.0


def test_values_are_finite_and_where_they_belong(features: pl.DataFrame) -> None:
    bounds = {
        "rsi_14": (0, 100), "atr_14": (0, 3), "realised_vol_21": (0, 15), "parkinson_vol_21": (0, 10),
        "month_left": (0, 22),
        "day_of_week": (0, 4), "rank_ret_5": (-0.5, 0.5), "ret_252": (-1, 60), "volume_z_20": (-4.25, 4.25),
        "bollinger_b_20": (-0.6, 1.6), "beta_252": (-3, 8),
    }  # fmt: skip
    for name in features.columns[4:]:
        values = features[name].to_numpy()
        assert not np.isinf(values).any(), name
        assert np.isnan(values).mean() < 0.11, name
        low, high = bounds.get(name, (-np.inf, np.inf))
        assert np.nanmin(values) >= low, name
        assert np.nanmax(values) <= high, name


def test_betas_average_to_one(features: pl.DataFrame) -> None:
    """The mean of the stocks is the market, so their betas are one in the mean, but for those too young."""
    mean = features.filter(pl.col("beta_252").is_not_nan()).group_by("session").agg(pl.col("beta_252").mean())
    assert abs(mean["beta_252"].mean() - 1.0) < 0.02


def test_features_of_raw_prices_equal_those_of_adjusted_prices(daily: pl.DataFrame, features: pl.DataFrame) -> None:
    """The vendor's total-return prices, given as if they were raw: scale-free features agree to 32-bit noise."""
    price = pl.col("open", "high", "low", "close") * pl.col("factor")
    total = daily.head(200_000).with_columns(price, volume=pl.col("volume") / pl.col("factor"), factor=pl.lit(1.0))
    kept = [f for f in feature_set("core") if f.name in features.columns and f.kind == "series" and f.group != "market"]
    found = compute_features(total, kept)
    for feature in kept:
        left, right = found[feature.name].to_numpy(), features[feature.name].to_numpy()[:200_000]
        if feature.scale_free:
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5 * np.nanstd(right), err_msg=feature.name)


def test_no_feature_knows_too_much(features: pl.DataFrame, labels: pl.DataFrame) -> None:
    """A rank correlation with the next week above 0.03 in this data would be a leak until proven otherwise."""
    joined = features.join(labels.select("symbol", "session", "label"), on=["symbol", "session"])
    for name in features.columns[4:]:
        scored = joined.select("session", "label", pl.col(name).fill_nan(None)).drop_nulls()
        ic = scored.group_by("session").agg(pl.corr(name, "label", method="spearman").alias("ic"))["ic"].fill_nan(None)
        assert abs(ic.mean() or 0.0) < 0.03, name


def test_labels_sum_to_nothing_and_come_late(labels: pl.DataFrame) -> None:
    means = labels.group_by("as_of").agg(pl.col("label").mean())["label"]
    assert means.abs().max() < 1e-9
    wait = (labels["label_known_at"] - labels["as_of"]).dt.total_days()
    assert wait.min() >= 6
    assert wait.max() <= 20


def test_delisted_names_end_at_their_last_close(shared_data: Path) -> None:
    bars = prepare_bars(lake_form(pl.read_parquet(shared_data / "pystock" / "prices_asof_2015_2016.parquet")))
    found = forward_returns(bars, 5)
    last = bars["session"].max()
    ended = bars.group_by("symbol").agg(pl.col("session").max().alias("end"), pl.len().alias("bars"))
    ended = ended.filter((pl.col("end") < pl.date(2016, 8, 1)) & (pl.col("bars") > 20))
    assert ended.height > 50
    for symbol, end, _ in ended.sort("symbol").head(25).iter_rows():
        own = bars.filter(pl.col("symbol") == symbol).to_dicts()
        rows = found.filter(pl.col("symbol") == symbol).sort("session").to_dicts()
        # The bar before the last one: bought at the last open, left with at the last close.
        assert rows[-1]["session"] == own[-2]["session"]
        assert end < last
        opened = own[-1]["open"] or own[-1]["close"]
        assert rows[-1]["raw_label"] == pytest.approx(own[-1]["close"] / opened - 1)
