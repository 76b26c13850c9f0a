"""A small market with a weak planted edge, and what every test of the models needs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import FeatureFrame, TrainingSet
from project01.models import POINT_MODELS, ConformalForecaster, Provenance, make_forecaster

NAMES = ("ret_5", "mom_12_1", "realised_vol_21", "volume_z_20")
HORIZON = 5

MarketMaker = Callable[..., TrainingSet]


def market(sessions: int = 160, symbols: int = 12, seed: int = 1, edge: float = 0.3) -> TrainingSet:
    """Labels follow ret_5 by `edge` of their noise; the noise of a symbol is as wide as its volatility."""
    generator = np.random.default_rng(seed)
    rows = sessions * symbols
    days = [datetime(2015, 1, 5, 21, tzinfo=UTC) + timedelta(days=n) for n in range(sessions + HORIZON + 1)]
    volatility = np.tile(generator.uniform(0.01, 0.04, symbols), sessions)
    columns = {
        "ret_5": generator.normal(0, 0.03, rows),
        "mom_12_1": generator.normal(0.1, 0.2, rows),
        "realised_vol_21": volatility,
        "volume_z_20": generator.normal(0, 1, rows),
    }
    columns["volume_z_20"][::17] = np.nan
    place = np.repeat(np.arange(sessions), symbols)
    frame = pl.DataFrame(
        {
            "symbol": [f"S{n:02d}" for n in range(symbols)] * sessions,
            "as_of": pl.Series([days[n] for n in place]).cast(pl.Datetime("us", "UTC")),
            "session": pl.Series([days[n].date() for n in place]),
            **{name: pl.Series(columns[name], dtype=pl.Float32) for name in NAMES},
        }
    )
    raw = volatility * (edge * columns["ret_5"] / 0.03 + generator.normal(0, 1, rows))
    mean = raw.reshape(sessions, symbols).mean(axis=1)
    known = np.array([np.datetime64(days[n + HORIZON].replace(tzinfo=None), "us") for n in place])
    return TrainingSet(FeatureFrame(frame, NAMES), raw - mean[place], raw, known, HORIZON)


@pytest.fixture(scope="session")
def make_market() -> MarketMaker:
    return market


@pytest.fixture(scope="session")
def training() -> TrainingSet:
    return market()


@pytest.fixture(scope="session")
def fitted_models(training: TrainingSet) -> dict[str, ConformalForecaster]:
    """Each forecaster, fitted once; tests must not fit these again."""
    found = {name: make_forecaster(name, 7) for name in POINT_MODELS}
    for forecaster in found.values():
        forecaster.fit(training)
    return found


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        data_digest="d" * 64, lake_version=3, feature_hash="f" * 16, settings_hash="s" * 16,
        trained_until="2015-06-19T21:00:00.000000", libraries={"lightgbm": "4"},
    )  # fmt: skip
