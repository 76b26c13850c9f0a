"""Small markets for the backtest tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from project01.backtest import Market, TargetWeights
from project01.domain import FloatArray

MakeMarket = Callable[..., Market]
MakeTargets = Callable[..., TargetWeights]


def weekdays(count: int) -> np.ndarray:
    return np.busday_offset(np.datetime64("2015-01-05"), np.arange(count)).astype("datetime64[D]")


@pytest.fixture(scope="session")
def make_market() -> MakeMarket:
    def make(close: object, fill: object = None, volume: object = None) -> Market:
        grid: FloatArray = np.array(close, dtype=np.float64)
        filled = grid if fill is None else np.array(fill, dtype=np.float64)
        names = tuple(f"S{i:02}" for i in range(grid.shape[1]))
        volumes = None if volume is None else np.array(volume, dtype=np.float64)
        return Market(weekdays(len(grid)), names, filled, grid, volumes, "close" if fill is None else "open")

    return make


@pytest.fixture(scope="session")
def make_targets() -> MakeTargets:
    def make(market: Market, rows: dict[int, list[float]], last: int | None = None) -> TargetWeights:
        """Weights decided at the sessions in `rows`; no decision at the others from the first session on."""
        weights = np.full((len(market.sessions), len(market.symbols)), np.nan)
        for session, row in rows.items():
            weights[session] = row
        return TargetWeights(market.sessions[:last], market.symbols, weights[:last])

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("PROJECT01_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip("the shared data folder is not on this machine; set PROJECT01_SHARED_DATA to it")
    return folder
