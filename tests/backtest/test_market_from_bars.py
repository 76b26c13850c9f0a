"""Dense markets from prepared bars."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from project01.backtest import Market, market_from_bars
from project01.domain import InputError, SchemaError

D1, D2, D3 = (dt.date(2015, 1, d) for d in (5, 6, 7))


def prepared(**changes) -> pl.DataFrame:
    columns = {
        "symbol": ["B", "A", "A", "B"],
        "session": [D2, D1, D3, D3],
        "open": [20.0, 9.0, None, 21.0],
        "high": [22.0, 11.0, None, 22.0],
        "low": [19.0, 9.0, None, 20.0],
        "close": [21.0, 10.0, 11.0, 22.0],
        "volume": [100.0, 200.0, None, 300.0],
        "factor": [1.0, 1.0, 2.0, 1.0],
    }
    return pl.DataFrame(columns | changes)


def test_prices_are_adjusted_missing_bars_are_nan():
    market = market_from_bars(prepared())
    assert market.symbols == ("A", "B")
    assert market.sessions.tolist() == [D1, D2, D3]
    np.testing.assert_array_equal(market.close, [[10.0, np.nan], [np.nan, 21.0], [22.0, 22.0]])
    np.testing.assert_array_equal(market.fill_price, [[9.0, np.nan], [np.nan, 20.0], [np.nan, 21.0]])
    np.testing.assert_array_equal(market.volume, [[200.0, np.nan], [np.nan, 100.0], [np.nan, 300.0]])
    assert market.fill_kind == "open"
    assert market.first_session.tolist() == [D1, D2]
    assert market.last_session.tolist() == [D3, D3]


def test_row_order_does_not_matter():
    first, second = market_from_bars(prepared()), market_from_bars(prepared().reverse())
    np.testing.assert_array_equal(first.close, second.close)
    assert first.symbols == second.symbols


def test_close_only_series_fill_at_the_close_and_say_so():
    market = market_from_bars(prepared(open=[None] * 4, volume=[None] * 4).cast({"open": pl.Float64}))
    np.testing.assert_array_equal(market.fill_price, market.close)
    assert market.fill_kind == "close"
    assert market.volume is None


@pytest.mark.parametrize(
    ("bars", "error", "message"),
    [
        (prepared().drop("factor"), SchemaError, "factor"),
        (prepared().clear(), InputError, "No prepared bars"),
        (prepared(factor=[1.0, None, 1.0, 1.0]), SchemaError, "factor"),
        (prepared(close=[1.0, None, 1.0, 1.0]), SchemaError, "close"),
        (prepared(symbol=["A", "A", "A", "A"]), SchemaError, "twice"),
        (prepared(close=[21.0, -10.0, 11.0, 22.0]), InputError, "not positive"),
    ],
)
def test_bars_that_cannot_be_a_market_are_refused(bars, error, message):
    with pytest.raises(error, match=message):
        market_from_bars(bars)


def test_a_market_refuses_what_does_not_fit():
    days = np.array(["2015-01-05", "2015-01-06"], dtype="datetime64[D]")
    ones = np.ones((2, 1))
    with pytest.raises(InputError, match="shape"):
        Market(days, ("A", "B"), ones, ones)
    with pytest.raises(InputError, match="repeat"):
        Market(days, ("A", "A"), np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(InputError, match="ascend"):
        Market(days[::-1], ("A",), ones, ones)
    with pytest.raises(InputError, match="needs a close"):
        Market(days, ("A",), ones, np.full((2, 1), np.nan))
    with pytest.raises(InputError, match="positive and finite"):
        Market(days, ("A",), ones, np.full((2, 1), np.inf))
