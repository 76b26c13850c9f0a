"""Labels: entered at the first price after as_of, left a horizon later, known when they could be known."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import InputError, trading_calendar
from project01.etl import forward_returns, prepare_bars

DAYS = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2019).head(40)


def market(closes: dict[str, Sequence[float | None]], opens: dict[str, Sequence[float | None]] | None = None):
    """Prepared bars on successive sessions; None is no bar (a None open only lacks the open)."""
    frames = []
    for symbol, values in closes.items():
        frame = DAYS.head(len(values)).select(
            pl.lit(symbol).alias("symbol"), "session", event_time="close_at", knowledge_time="close_at"
        )
        given_opens = [None] * len(values) if opens is None else opens[symbol]
        frames.append(
            frame.with_columns(
                pl.Series("close", values, pl.Float64), pl.Series("open", given_opens, pl.Float64)
            ).filter(pl.col("close").is_not_null())
        )
    return prepare_bars(pl.concat(frames))


def test_close_only_by_hand() -> None:
    a, b = [10, 11, 12, 13, 14, 15.0], [20, 20, 20, 21, 20, 20.0]
    found = forward_returns(market({"A": a, "B": b}), 2)
    assert found["symbol"].to_list() == ["A"] * 3 + ["B"] * 3
    np.testing.assert_allclose(found["raw_label"], [13 / 11 - 1, 14 / 12 - 1, 15 / 13 - 1, 0.05, 0.0, 20 / 21 - 1])
    means = (np.array(found["raw_label"][:3]) + np.array(found["raw_label"][3:])) / 2
    np.testing.assert_allclose(found["label"], np.array(found["raw_label"]) - np.tile(means, 2))
    assert found["as_of"][:3].to_list() == DAYS["close_at"][:3].to_list()
    assert found["label_known_at"][:3].to_list() == DAYS["close_at"][3:6].to_list()


def test_opens_are_the_price_orders_fill_at() -> None:
    closes = {"A": [10.0] * 5, "B": [10.0] * 5}
    found = forward_returns(market(closes, {"A": [9, 8, 7, 6, 5.0], "B": [10.0, None, 10, 10, 11]}), 1)
    np.testing.assert_allclose(found["raw_label"][:3], [7 / 8 - 1, 6 / 7 - 1, 5 / 6 - 1])
    # The second session's open is unknown: entered at its close of 10.
    np.testing.assert_allclose(found["raw_label"][3:], [0.0, 0.0, 0.1])


def test_a_name_that_stops_leaves_at_its_last_close() -> None:
    size = 12
    closes = {"A": [10.0] * size, "B": [10.0] * size, "GONE": [10, 9, 8, 7.0] + [None] * (size - 4)}
    found = forward_returns(market(closes), 3).filter(pl.col("symbol") == "GONE")
    # After the fourth bar there is no price to enter at; from the third, entry and exit are the last close.
    np.testing.assert_allclose(found["raw_label"], [7 / 9 - 1, 7 / 8 - 1, 0.0])
    # Due out in sessions 4, 5, 6, given up five sessions later.
    assert found["label_known_at"].to_list() == DAYS["close_at"][9:12].to_list()


def test_a_name_that_may_come_back_has_no_label_yet() -> None:
    closes = {"A": [10.0] * 8, "B": [10.0] * 8, "GONE": [10, 9, 8, 7.0] + [None] * 4}
    found = forward_returns(market(closes), 3).filter(pl.col("symbol") == "GONE")
    assert found.is_empty()


def test_a_short_halt_is_waited_for() -> None:
    values = [10, 11, 12, None, None, 20, 21, 22.0]
    found = forward_returns(market({"A": [10.0] * 8, "H": values, "B": [1.0] * 8}), 2).filter(pl.col("symbol") == "H")
    # From the first bar: in at 11, due out in session 3, which has no bar; out at 20 two sessions later.
    assert found["raw_label"][0] == pytest.approx(20 / 11 - 1)
    assert found["label_known_at"][0] == DAYS["close_at"][5]
    # From the third bar: no bar to enter at before it is due out again.
    assert DAYS["session"][2] not in found["session"].to_list()


def test_dividends_and_splits_are_in_the_return() -> None:
    raw = pl.concat(
        DAYS.head(4)
        .select(pl.lit(symbol).alias("symbol"), "session", event_time="close_at", knowledge_time="close_at")
        .with_columns(close=pl.Series([100.0, 100, 49.5, 49.5]), adj_close=pl.Series([49.5, 49.5, 49.5, 49.5]))
        for symbol in ("A", "B")
    )
    found = forward_returns(prepare_bars(raw), 1)
    np.testing.assert_allclose(found["raw_label"], 0.0, atol=1e-12)


def test_a_bar_learnt_after_the_next_open_enters_a_session_later() -> None:
    prepared = market({"A": [1, 2, 4, 8, 16.0], "B": [1.0] * 5, "C": [1.0] * 5})
    noon = DAYS["close_at"][1] - timedelta(hours=4)
    late = (pl.col("symbol") == "A") & (pl.col("session") == DAYS["session"][0])
    found = forward_returns(
        prepared.with_columns(pl.when(late).then(noon).otherwise("knowledge_time").alias("knowledge_time")), 1
    )
    first = found.row(0, named=True)
    assert (first["symbol"], first["as_of"]) == ("A", noon)
    assert first["raw_label"] == pytest.approx(8 / 4 - 1)


def test_one_name_alone_has_no_label() -> None:
    assert forward_returns(market({"A": [1, 2, 3, 4, 5.0]}), 1).is_empty()


def test_horizon_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="pass at least 1"):
        forward_returns(market({"A": [1, 2.0]}), 0)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(1, 9), last=st.integers(3, 39))
def test_a_label_known_by_then_needs_nothing_later(seed: int, horizon: int, last: int) -> None:
    random = np.random.default_rng(seed)
    closes = {
        name: [float(p) if random.random() > hole else None for p in random.uniform(5, 15, 40)]
        for name, hole in (("A", 0.0), ("B", 0.1), ("C", 0.4))
    }
    closes["D"] = [9.0 + n for n in range(15)] + [None] * 25
    prepared = market(closes)
    until = DAYS["close_at"][last]
    whole = forward_returns(prepared, horizon).filter(pl.col("label_known_at") <= until)
    early = forward_returns(prepared.filter(pl.col("knowledge_time") <= until), horizon)
    assert whole.equals(early)
    assert (whole["label_known_at"] > whole["as_of"]).all()


def test_labels_equal_a_slow_loop(bars_of) -> None:
    prepared = prepare_bars(bars_of(seed=2, symbols=4, sessions=90, gaps=0.05))
    sessions = prepared["session"].unique().sort().to_list()
    found = forward_returns(prepared, 5)
    rows = {(r["symbol"], r["session"]): r for r in prepared.iter_rows(named=True)}
    expected = {}
    for symbol, session in rows:
        due = sessions.index(session) + 1
        held = [n for n in range(due, min(due + 5, len(sessions))) if (symbol, sessions[n]) in rows]
        out = [n for n in range(due + 5, min(due + 11, len(sessions))) if (symbol, sessions[n]) in rows]
        if not held or not out:
            continue
        entry, leave = rows[symbol, sessions[held[0]]], rows[symbol, sessions[out[0]]]
        price = [r["factor"] * (r["open"] if r["open"] is not None else r["close"]) for r in (entry, leave)]
        expected[symbol, session] = price[1] / price[0] - 1
    assert set(found.select("symbol", "session").rows()) == set(expected)
    np.testing.assert_allclose(found["raw_label"], [expected[key] for key in found.select("symbol", "session").rows()])


def test_times_are_utc() -> None:
    found = forward_returns(market({"A": [1, 2, 3, 4.0], "B": [1.0] * 4}), 1)
    assert found.schema["label_known_at"] == pl.Datetime("us", "UTC") == found.schema["as_of"]
    assert found["as_of"][0] == datetime(2019, 1, 2, 21, tzinfo=UTC)
