"""Each rule on a single bar: what is refused, with which reason, and that the bar survives whole in its dead letter."""

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import BARS, CORPORATE_ACTIONS, DEAD_LETTERS, InputError, SchemaError
from project01.ingest import GateRules, Reason, batch_schema, stamped

CLOSES = [100.0, 101.0, 102.0, 101.0, 100.0]
BAD = 2  # the row that each test spoils


def spoil(rows: pl.DataFrame, **values: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == BAD
    return rows.with_columns(
        pl.when(at).then(pl.lit(value, dtype=rows.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


SPOILED = [
    ({"close": None, "open": None, "high": None, "low": None}, Reason.MISSING_CLOSE),
    ({"close": math.nan}, Reason.NOT_FINITE),
    ({"high": math.inf}, Reason.NOT_FINITE),
    ({"volume": -math.inf}, Reason.NOT_FINITE),
    ({"adj_close": math.nan}, Reason.NOT_FINITE),
    ({"open": 0.0, "low": 0.0}, Reason.UNKNOWN_OPEN),
    ({"close": -102.0}, Reason.NOT_POSITIVE_PRICE),
    ({"low": 0.0}, Reason.NOT_POSITIVE_PRICE),
    ({"adj_close": -1.0}, Reason.NOT_POSITIVE_PRICE),
    ({"volume": -1.0}, Reason.NEGATIVE_VOLUME),
    ({"high": 101.0, "low": 103.0}, Reason.HIGH_BELOW_LOW),
    ({"open": 103.0}, Reason.OPEN_OUTSIDE_RANGE),
    ({"open": 101.0}, Reason.OPEN_OUTSIDE_RANGE),
    ({"close": 102.5}, Reason.CLOSE_OUTSIDE_RANGE),
    ({"knowledge_time": datetime(2010, 1, 5, tzinfo=UTC)}, Reason.CLOCKS_OUT_OF_ORDER),
    ({"session": date(2010, 1, 2)}, Reason.NOT_A_SESSION),
    ({"symbol": ""}, Reason.MISSING_SYMBOL),
    ({"knowledge_time": datetime(2031, 1, 5, tzinfo=UTC)}, Reason.IN_FUTURE),
]


@pytest.mark.parametrize(("values", "reason"), SPOILED, ids=str)
def test_a_broken_rule_refuses_that_bar_alone(
    make_bars: Callable, gate: Callable, values: dict, reason: Reason
) -> None:
    rows = spoil(make_bars(CLOSES), **values)
    outcome = gate(rows)
    assert outcome.dead_letters["reason"].to_list() == [reason]
    assert outcome.accepted["session"].to_list() == make_bars(CLOSES)["session"].gather([0, 1, 3, 4]).to_list()
    assert outcome.counts["refused"] == outcome.counts[f"refused.{reason}"] == 1
    raw = json.loads(outcome.dead_letters["raw"][0])
    original = rows.row(BAD, named=True)
    assert set(raw) == set(original)
    for name, value in original.items():
        if isinstance(value, float) and not math.isfinite(value):
            assert raw[name] == str(value)
        elif isinstance(value, datetime | date):
            assert type(value).fromisoformat(raw[name]) == value
        else:
            assert raw[name] == value


def test_clean_bars_pass_unchanged(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars(CLOSES, adj_close=[50.0, 50.5, 51.0, 50.5, 50.0], volume=[0.0, 1.0, 2.0, 3.0, 0.0])
    outcome = gate(rows.sample(fraction=1, shuffle=True, seed=1))
    assert outcome.accepted.equals(rows)
    assert outcome.counts["zero_volume"] == 2
    assert outcome.counts["accepted"] == outcome.counts["read"] == 5


def test_missing_values_stay_missing(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars(CLOSES, open=None, high=None, low=None, volume=None)
    assert gate(rows).accepted.equals(rows)
    assert gate(rows).counts["missing_open"] == 0, "a series of closes lacks no opens"
    one_missing = gate(make_bars(CLOSES, open=[100.0, None, 102.0, 101.0, 100.0]))
    assert one_missing.counts["missing_open"] == 1
    assert one_missing.counts["accepted"] == 5


def test_float32_rounding_breaks_no_rule(make_bars: Callable, gate: Callable) -> None:
    exact = np.array([17.0815, 0.1, 1e5 + 0.01, 33.333333, 250.25])
    rounded = exact.astype(np.float32).astype(np.float64)
    assert (rounded > exact).any()
    assert (rounded < exact).any()
    for index, value in enumerate(exact):
        rows = make_bars([rounded[index]], high=[value], low=[value], open=[rounded[index]])
        assert gate(rows).counts["accepted"] == 1
        assert gate(rows.with_columns(high=pl.col("high") * (1 - 1e-5))).counts["refused"] == 1


def test_equal_rows_are_dropped_and_counted(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars(CLOSES)
    outcome = gate(pl.concat([rows, rows.head(3), rows.head(1).with_columns(source_id=pl.lit("again"))]))
    assert outcome.accepted.equals(rows)
    assert outcome.counts["duplicates"] == 4
    assert outcome.dead_letters.is_empty()


def test_conflicting_rows_are_refused_but_the_first(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars(CLOSES)
    others = [spoil(rows, close=close, high=103.0)[BAD : BAD + 1] for close in (102.1, 102.2)]
    outcome = gate(pl.concat([rows, *others, rows[BAD : BAD + 1]]))
    assert outcome.accepted.equals(rows)
    assert outcome.dead_letters["reason"].to_list() == [Reason.DUPLICATE_CONFLICT] * 2
    assert outcome.dead_letters["source_id"].n_unique() == 2, "no dead letter replaces another"
    assert outcome.counts["duplicates"] == 1


def test_a_later_version_of_a_bar_is_let_through(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars(CLOSES)
    later = spoil(rows, close=102.5, high=103.0)[BAD : BAD + 1].with_columns(
        pl.col("knowledge_time") + timedelta(days=3)
    )
    outcome = gate(pl.concat([later, rows]))
    assert outcome.counts["accepted"] == 6
    assert outcome.counts["duplicates"] == outcome.counts["refused"] == 0


def test_gaps_are_counted(make_bars: Callable, gate: Callable) -> None:
    rows = make_bars([100.0] * 30)
    holes = [3, *range(10, 17)]
    outcome = gate(rows.filter(~pl.int_range(pl.len()).is_in(holes)))
    assert outcome.counts["missing_sessions"] == 8
    assert outcome.counts["longest_gap"] == 7
    assert outcome.counts["long_gaps"] == 1


def test_nothing_in_gives_nothing_out(make_bars: Callable, gate: Callable) -> None:
    outcome = gate(make_bars(CLOSES).clear())
    assert outcome.accepted.is_empty()
    assert outcome.counts["read"] == outcome.counts["accepted"] == outcome.counts["longest_gap"] == 0
    assert dict(outcome.breaks.schema) == batch_schema(CORPORATE_ACTIONS)


def test_outcome_fits_the_lake(make_bars: Callable, gate: Callable) -> None:
    outcome = gate(spoil(make_bars([100.0, 100.0, 100.0, 10.0, 10.0]), close=-1.0))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for spec, rows in (
        (BARS, outcome.accepted),
        (DEAD_LETTERS, outcome.dead_letters),
        (CORPORATE_ACTIONS, outcome.breaks),
    ):
        assert rows.height
        assert stamped(spec, rows, now).schema == spec.schema


def test_wrong_columns_are_named(make_bars: Callable, gate: Callable) -> None:
    with pytest.raises(SchemaError, match="table bars has columns"):
        gate(make_bars(CLOSES).drop("volume"))


def test_rules_need_a_time_zone() -> None:
    with pytest.raises(InputError, match="no time zone"):
        GateRules(as_of=datetime(2026, 1, 1))  # noqa: DTZ001  the missing zone is what is tested


PRICE = st.sampled_from([0.0, -1.0, 1.0, 50.0, 100.0, 101.0, 350.0, math.nan, math.inf, None])
BAR = st.tuples(PRICE, PRICE, PRICE, PRICE, PRICE, st.sampled_from([0.0, -1.0, 10.0, None]))


@settings(max_examples=examples(50))
@given(bars=st.lists(BAR, min_size=1, max_size=12), repeats=st.lists(st.integers(0, 11), max_size=4))
def test_every_row_is_accounted_for(make_bars: Callable, gate: Callable, bars: list[tuple], repeats: list[int]) -> None:
    names = ("open", "high", "low", "close", "adj_close", "volume")
    columns = {name: [bar[index] for bar in bars] for index, name in enumerate(names)}
    rows = make_bars(columns.pop("close"), **columns)
    rows = pl.concat([rows, rows[[at for at in repeats if at < len(bars)]]])
    outcome = gate(rows)
    counts = outcome.counts
    assert counts["read"] == rows.height == counts["accepted"] + counts["duplicates"] + counts["refused"]
    assert outcome.accepted.height == counts["accepted"]
    assert outcome.dead_letters.height == counts["refused"]
    assert sum(count for name, count in counts.items() if name.startswith("refused.")) == counts["refused"]
    ok = outcome.accepted
    assert (ok["close"] > 0).all()
    assert ok.filter((pl.col("low") > pl.col("close")) | (pl.col("high") < pl.col("close"))).is_empty()
