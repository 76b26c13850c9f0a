"""The audit over the chain: sixteen planted leaks and three leaky trainings are caught, and nothing honest is."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from tests.etl.conftest import make_bars
from tests.etl.leaky_features import LEAKY, Leaky, as_decided, first_versions, valued
from typer.testing import CliRunner

from project01.etl import compute_features, feature_set, forward_returns, prepare_bars, usable
from project01.evaluate import audit_lookahead, cut_times
from project01.models import POINT_MODELS
from project01.pipelines import SilentProgress, audit

Compute = Callable[[pl.DataFrame], pl.DataFrame]


def as_in_the_lake(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.lit("test").alias("source"), pl.lit("1d").alias("interval"))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Bars of six names, two of which stop: one in the middle, one near the end."""
    raw = make_bars(seed=4, symbols=6, sessions=330)
    days = raw["session"].unique().sort()
    gone = ((pl.col("symbol") == "S3") & (pl.col("session") > days[170])) | (
        (pl.col("symbol") == "S5") & (pl.col("session") > days[320])
    )
    return as_in_the_lake(raw.filter(~gone))


def found(compute: Compute, rows: pl.DataFrame, times: int = 12, seed: int = 3) -> set[str]:
    return {leak.output for leak in audit_lookahead(compute, rows, cut_times(rows, times, seed), seed)}


@pytest.mark.parametrize("name", LEAKY)
def test_every_leaky_feature_is_caught(name: str, rows: pl.DataFrame) -> None:
    leaky = LEAKY[name]
    # A decision at an open is dated before the bar it belongs to, so that the row itself comes and goes says nothing:
    # it is the value that must be caught.
    assert "value" in found(lambda changed: as_decided(leaky, changed), rows), leaky.why


def test_there_are_at_least_twelve_of_them_as_people_write_them() -> None:
    assert len(LEAKY) >= 12
    named = {
        "next_return", "centred_mean", "whole_sample_z_score", "filled_from_the_future", "close_for_an_open_decision",
        "restated_value", "future_split_factor",
    }  # fmt: skip
    assert named <= set(LEAKY)


@pytest.mark.parametrize("decides", ["close", "open"])
def test_an_honest_feature_in_the_same_dress_is_not(decides: str, rows: pl.DataFrame) -> None:
    lag = 1 if decides == "open" else 0

    def last_return(bars: pl.DataFrame) -> pl.DataFrame:
        value = (pl.col("close") / pl.col("close").shift() - 1).shift(lag).over("symbol")
        return valued(first_versions(bars), value)

    feature = Leaky(last_return, decides, "")
    assert "value" not in found(lambda changed: as_decided(feature, changed), rows)


def test_no_feature_of_the_catalogue_is_flagged(rows: pl.DataFrame) -> None:
    kept, left_out = usable(feature_set("core"), prepare_bars(first_versions(rows)), None)
    assert len(kept) > 30
    assert set(left_out).isdisjoint(feature.name for feature in kept)
    assert found(lambda changed: audit.features_of(changed, kept), rows) == set()


@pytest.fixture(scope="module")
def long_rows() -> pl.DataFrame:
    """Long enough for one training window, all names alive."""
    return as_in_the_lake(make_bars(seed=9, symbols=4, sessions=640, gaps=0.0, holes=0.0))


@pytest.fixture(scope="module")
def some_features() -> tuple:
    few = {"ret_5", "ret_21", "mom_12_1", "rsi_14", "realised_vol_21"}
    return tuple(feature for feature in feature_set("core") if feature.name in few)


@pytest.mark.slow
def test_no_forecaster_is_flagged(long_rows: pl.DataFrame, some_features: tuple) -> None:
    compute = lambda changed: audit.forecasts_of(changed, some_features, 7)  # noqa: E731
    assert {name.split(".")[0] for name in compute(long_rows).columns} >= set(POINT_MODELS)
    assert found(compute, long_rows, times=3) == set()


def joined(rows: pl.DataFrame, features: tuple) -> pl.DataFrame:
    """Features with labels, in one table, oldest first."""
    bars = prepare_bars(first_versions(rows))
    frame = compute_features(bars, features).rename({"knowledge_time": "as_of"})
    labels = forward_returns(bars, 5).drop("session")
    return frame.join(labels, on=["symbol", "as_of"], how="left").sort("as_of", "symbol")


def trained_on_everything(rows: pl.DataFrame, features: tuple) -> pl.DataFrame:
    """One regression over the whole sample, applied to all of it."""
    table = joined(rows, features)
    x = np.nan_to_num(table.select(f.name for f in features).to_numpy().astype(np.float64))
    y = np.nan_to_num(table["label"].to_numpy().astype(np.float64))
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    return table.select("symbol", "as_of", forecast=pl.Series(x @ beta))


def trained_without_purge(rows: pl.DataFrame, features: tuple) -> pl.DataFrame:
    """At each time a regression on all rows before it, also those whose outcome lies after it."""
    table = joined(rows, features)
    x = np.nan_to_num(table.select(f.name for f in features).to_numpy().astype(np.float64))
    y = np.nan_to_num(table["label"].to_numpy().astype(np.float64))
    times, of_row = np.unique(table["as_of"].to_numpy(), return_inverse=True)
    forecasts = np.full(len(y), np.nan)
    for number in range(300, len(times)):
        before, now = of_row < number, of_row == number
        beta, *_ = np.linalg.lstsq(x[before], y[before], rcond=None)
        forecasts[now] = x[now] @ beta
    return table.select("symbol", "as_of", forecast=pl.Series(forecasts))


def scaled_by_everything(rows: pl.DataFrame, features: tuple) -> pl.DataFrame:
    """Forecasts from inputs standardised over the whole sample before the split."""
    names = [f.name for f in features]
    table = joined(rows, features).with_columns(pl.col(names).fill_nan(None))
    scaled = table.with_columns((pl.col(n) - pl.col(n).mean()) / pl.col(n).std() for n in names)
    return scaled.select("symbol", "as_of", forecast=pl.sum_horizontal(names))


@pytest.mark.parametrize("training", [trained_on_everything, trained_without_purge, scaled_by_everything])
def test_a_leaky_training_is_caught(training: Callable, long_rows: pl.DataFrame, some_features: tuple) -> None:
    assert "forecast" in found(lambda changed: training(changed, some_features), long_rows, times=4)


def test_the_command_ends_with_1_and_names_a_planted_leak(monkeypatch: pytest.MonkeyPatch, rows: pl.DataFrame) -> None:
    honest = audit.features_of

    def with_leak(bars: pl.DataFrame, features: tuple) -> pl.DataFrame:
        planted = as_decided(LEAKY["next_return"], bars).rename({"value": "planted"})
        return honest(bars, features).join(planted, on=["symbol", "as_of"], how="left")

    monkeypatch.setattr(audit, "_bars", lambda *_: rows)
    monkeypatch.setattr(audit, "features_of", with_leak)
    monkeypatch.setattr(audit, "forecasts_of", lambda bars, features, _: honest(bars, features[:2]))
    found = audit.audit_lookahead(None, 4, 7, 6, 900, SilentProgress())
    assert found["leaks"] == 1
    assert [row["name"] for row in found["results"] if row["found"]] == ["planted"]
    from project01.cli.app import app

    done = CliRunner().invoke(app, ["audit", "lookahead", "--times", "4", "--json"])
    assert done.exit_code == 1
    assert '"leaks": 1' in done.stdout
