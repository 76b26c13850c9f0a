"""Bars made ready: order, adjustment from the past alone, breaks."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import InputError, SchemaError
from project01.etl import prepare_bars


def bars(closes: list[float | None], adjusted: list[float | None] | None, symbol: str = "A") -> pl.DataFrame:
    days = [date(2020, 1, 6) + timedelta(days=n) for n in range(len(closes))]
    at = [datetime(day.year, day.month, day.day, 21, tzinfo=UTC) for day in days]
    frame = pl.DataFrame(
        {"symbol": symbol, "session": days, "event_time": at, "knowledge_time": at, "close": closes},
        schema_overrides={"close": pl.Float64},
    )
    return frame if adjusted is None else frame.with_columns(pl.Series("adj_close", adjusted, pl.Float64))


def breaks(*rows: tuple[str, date, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["symbol", "effective", "kind"], orient="row")


def test_factor_chains_forward_from_one() -> None:
    # A 2:1 split on the third day and a 1 % dividend on the fifth, back-adjusted by the vendor.
    found = prepare_bars(bars([100, 102, 52, 53, 52], [49.5, 50.49, 51.48, 52.47, 52]))
    np.testing.assert_allclose(found["factor"], [1, 1, 2, 2, 2 / 0.99], rtol=1e-12)
    returns = (found["close"] * found["factor"]).pct_change().drop_nulls()
    np.testing.assert_allclose(returns, np.array([50.49, 51.48, 52.47, 52]) / np.array([49.5, 50.49, 51.48, 52.47]) - 1)


def test_a_later_back_adjustment_changes_nothing() -> None:
    """All earlier adj_close scaled, as vendors do on the next dividend: the factor stays as it was."""
    closes, adjusted = [100.0, 102.0, 52.0, 53.0], [49.5, 50.49, 51.48, 52.47]
    early = prepare_bars(bars(closes, adjusted))["factor"]
    later = prepare_bars(bars(closes, [value * 0.25 for value in adjusted]))["factor"]
    assert early.to_list() == later.to_list()


def test_rounding_of_32_bit_prices_is_no_dividend() -> None:
    random = np.random.default_rng(0)
    closes = random.uniform(5, 500, 4000).astype(np.float32)
    adjusted = (closes.astype(np.float64) * 0.731).astype(np.float32)
    found = prepare_bars(bars(closes.astype(float).tolist(), adjusted.astype(float).tolist()))
    assert found["factor"].unique().to_list() == [1.0]


def test_missing_adj_close_is_no_step_and_no_dividend_is_lost() -> None:
    found = prepare_bars(bars([100, 100, 100, 100], [None, 98.0, None, 100.0]))
    np.testing.assert_allclose(found["factor"], [1, 1, 1, 1 / 0.98])
    assert prepare_bars(bars([1, 2, 3], None))["factor"].to_list() == [1, 1, 1]


def test_columns_the_source_does_not_carry_are_null() -> None:
    found = prepare_bars(bars([1, 2], None))
    assert found.select("open", "high", "low", "volume").null_count().row(0) == (2, 2, 2, 2)
    assert found.columns == [
        "symbol", "session", "event_time", "knowledge_time", "open", "high", "low", "close", "volume",
            "vwap", "factor",
    ]  # fmt: skip


def test_a_break_starts_a_new_instrument() -> None:
    raw = pl.concat([bars([30, 31, 10, 11, 99], [3, 3.1, 5, 5.5, 99], "CSX"), bars([1, 2, 3, 4, 5], None, "B")
                     .with_columns(adj_close=pl.lit(None, pl.Float64))])  # fmt: skip
    cut = breaks(
        ("CSX", date(2020, 1, 8), "break"), ("CSX", date(2020, 1, 10), "break"), ("B", date(2020, 1, 7), "halt")
    )
    found = prepare_bars(raw, cut)
    assert found["symbol"].to_list() == ["B"] * 5 + ["CSX"] * 2 + ["CSX#2"] * 2 + ["CSX#3"]
    assert found.filter(pl.col("symbol") == "CSX#2")["factor"][0] == 1.0


def test_knowledge_time_is_the_latest_so_far() -> None:
    raw = bars([1, 2, 3, 4], None)
    late = datetime(2020, 1, 8, 12, tzinfo=UTC)
    times = pl.when(pl.col("session") == date(2020, 1, 6)).then(late).otherwise("knowledge_time")
    found = prepare_bars(raw.with_columns(knowledge_time=times))
    assert found["knowledge_time"].to_list()[:2] == [late, late]
    assert found["knowledge_time"][2] == raw["knowledge_time"][2]


def test_what_cannot_be_one_series_is_refused() -> None:
    raw = bars([1, 2], None)
    with pytest.raises(InputError, match="first A on 2020-01-06"):
        prepare_bars(pl.concat([raw, raw]))
    with pytest.raises(InputError, match=r"several intervals \(1d, 1h\)"):
        prepare_bars(raw.with_columns(interval=pl.Series(["1d", "1h"])))
    with pytest.raises(SchemaError, match="lack column"):
        prepare_bars(raw.drop("close"))


def test_no_bars_make_no_bars() -> None:
    assert prepare_bars(bars([1.0], None).clear()).height == 0
