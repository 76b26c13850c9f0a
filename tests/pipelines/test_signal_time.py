"""A forecast is traded from when it could be made, not from the session it tells of."""

import numpy as np
import polars as pl

from project01.backtest import Market
from project01.domain import trading_calendar
from project01.pipelines.backtest import signal_of

CALENDAR = trading_calendar()
DAYS = CALENDAR.sessions[-40:-30]
CLOSE = {str(day): at for day, at in zip(CALENDAR.sessions[-40:-30], CALENDAR.closes[-40:-30], strict=True)}
GRID = np.full((10, 2), 100.0)
MARKET = Market(DAYS, ("A", "B"), GRID, GRID)


def forecasts(rows: list[tuple[str, np.datetime64, float]]) -> pl.DataFrame:
    columns = {"symbol": [r[0] for r in rows], "as_of": [r[1].item() for r in rows], "mean": [r[2] for r in rows]}
    return pl.DataFrame(columns).with_columns(pl.col("as_of").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))


def close(number: int) -> np.datetime64:
    return CLOSE[str(DAYS[number])]


def test_a_forecast_made_at_a_close_stands_at_that_session() -> None:
    found = signal_of(forecasts([("A", close(2), 0.1), ("B", close(3), 0.2), ("A", close(3), 0.3)]), CALENDAR, MARKET)
    assert list(found.sessions) == list(DAYS[2:4])
    assert np.array_equal(found.values, [[0.1, np.nan], [0.3, 0.2]], equal_nan=True)


def test_a_late_bar_is_traded_late_and_gives_way_to_a_newer_one() -> None:
    before_open = close(2) + np.timedelta64(3, "h")
    during_next = CALENDAR.opens[-40:-30][3] + np.timedelta64(1, "h")
    days_later = close(6) + np.timedelta64(1, "m")
    early = signal_of(forecasts([("A", before_open, 0.1), ("B", close(2), 0.0)]), CALENDAR, MARKET)
    assert early.values[0].tolist() == [0.1, 0.0]
    late = signal_of(forecasts([("A", during_next, 0.1), ("B", close(2), 0.0)]), CALENDAR, MARKET)
    assert np.array_equal(late.values, [[np.nan, 0.0], [0.1, np.nan]], equal_nan=True)
    two = signal_of(forecasts([("A", days_later, 0.4), ("A", close(6), 0.1), ("B", close(2), 0.0)]), CALENDAR, MARKET)
    assert two.values[:, 0].tolist()[-1] == 0.4
    assert np.isnan(two.values[:-1, 0]).all()
