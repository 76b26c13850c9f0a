"""Features that share a window do not know of each other: not of their values, their gaps, nor their number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.etl.second_ticks import OPEN, made_up_seconds

from project01.domain import InputError
from project01.etl import Feature, StreamState, feature_set, load_features, steps_intraday
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream import SecondStream
from project01.etl.seconds_batch import compute_intraday

OWN = """
from project01.etl import feature
from project01.etl.steps import lagged
from project01.etl.steps_window import highest_in, sum_in

SHARED = {
    "clock": "second", "group": "mine", "window": 3, "warm_up": 3, "unit": "1", "source": "own", "description": "Own.",
}


@feature("last_before", inputs=("last",), parameters=(1,), state_size=3, **SHARED)
def last_before(state, at, window, last):
    return lagged(state, at, window, last)


@feature("busy_share", inputs=("trades", "quotes"), columns=("sum", "sum"), **SHARED)
def busy_share(state, columns, trades, quotes):
    return sum_in(state, columns, 0, trades) / sum_in(state, columns, 1, quotes)


@feature("most_trades", inputs=("trades",), columns=("highest",), **SHARED)
def most_trades(state, columns, trades):
    return highest_in(state, columns, 0, trades)
"""


def seconds(times: list[int], **columns: list[float]) -> pl.DataFrame:
    wide = {name: columns.get(name, [np.nan] * len(times)) for name in SECOND_INPUTS}
    wide |= {"time": [float(time) for time in times], "session_start": [1.0] * len(times)}
    when = (pl.col("time") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(wide).select(
        pl.lit("A").alias("symbol"), when.alias("event_time"), when.alias("knowledge_time"), *SECOND_INPUTS
    )


def with_gaps(rows: pl.DataFrame, seed: int, share: float) -> pl.DataFrame:
    """Any input but the clock may be missing at any second."""
    random = np.random.default_rng(seed)
    names = [name for name in SECOND_INPUTS if name not in ("time", "session_start")]
    return rows.with_columns(
        pl.when(pl.Series(random.random(rows.height) < share)).then(np.nan).otherwise(pl.col(name)).alias(name)
        for name in names
    )


def test_any_part_in_any_order_has_the_bits_of_the_whole() -> None:
    whole = feature_set("intraday")
    part = tuple(reversed(whole[::7]))
    names = [feature.name for feature in part]
    for seed, share in ((1, 0.0), (2, 0.05), (3, 0.4)):
        rows = with_gaps(made_up_seconds(seed, seconds=6_000, first=OPEN - 1_000), seed, share)
        batch = compute_intraday(rows, whole)
        stream = SecondStream(part, ("S0", "S1"))
        ordered = rows.sort("knowledge_time", maintain_order=True)
        symbol = np.array([int(name[1:]) for name in ordered["symbol"]], dtype=np.int32)
        known = ordered["knowledge_time"].dt.epoch("us").to_numpy()
        found = stream.update(symbol, known, ordered.select(stream.inputs).to_numpy())
        for number, name in enumerate(("S0", "S1")):
            expected = batch.filter(pl.col("symbol") == name).select(names).to_numpy()
            assert np.isfinite(expected).any()
            np.testing.assert_array_equal(found.values[found.symbol == number], expected)


def test_an_event_counts_only_where_its_inputs_are_there() -> None:
    rate = Feature(
        name="rate", group="test", clock="second", inputs=("trades",), window=3, warm_up=3, unit="", source="",
        description="", step=steps_intraday.rate_in, parameters=(3,), columns=("sum",),
    )  # fmt: skip
    mean = replace(
        rate, name="mean", inputs=("bid", "ask", "mid"), step=steps_intraday.mean_spread, parameters=(),
        columns=("sum", "sum"),
    )  # fmt: skip
    rows = seconds(
        [1, 2, 3, 4, 5, 6], trades=[np.nan, 3.0, np.nan, 9.0, 12.0, 15.0],
        bid=[9.0, 9.0, np.nan, 9.0, 8.0, 9.0], ask=[11.0, 11.0, 11.0, 11.0, 12.0, 11.0],
    )  # fmt: skip
    found = compute_intraday(rows, [rate, mean])
    # Trades are seen from second 2 on, so first for three seconds at 4, where (1, 4] holds 3 and 9.
    np.testing.assert_array_equal(found["rate"].to_numpy(), [np.nan, np.nan, np.nan, 4.0, 7.0, 12.0])
    # The spread of second 3 is in no mean: 0.2 and 0.2, then 0.2 and 0.4, then 0.2, 0.4 and 0.2.
    expected = np.array([np.nan, np.nan, np.nan, 0.2, 0.3, 0.8 / 3], dtype=np.float32)
    np.testing.assert_allclose(found["mean"].to_numpy(), expected, rtol=1e-6)


def test_own_steps_stand_beside_shared_windows(tmp_path: Path) -> None:
    path = tmp_path / "busy.py"
    path.write_text(OWN)
    mine = (*load_features(path), feature_set("intraday")[0])
    rows = seconds(
        [1, 2, 3, 4, 5, 6], close=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], trades=[5.0, 1.0, 2.0, 4.0, np.nan, 3.0],
        quotes=[1.0, 1.0, 1.0, 5.0, 1.0, 1.0],
    )  # fmt: skip
    found = compute_intraday(rows, mine)
    np.testing.assert_array_equal(found["last_before"].to_numpy(), [np.nan, 1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(found["busy_share"].to_numpy(), np.float32([np.nan, np.nan, 8 / 3, 1, np.nan, 7 / 6]))
    np.testing.assert_array_equal(found["most_trades"].to_numpy(), [np.nan, np.nan, 5.0, 4.0, np.nan, 4.0])
    np.testing.assert_array_equal(found["return_5s"].to_numpy(), np.float32([np.nan] * 5 + [5.0]))
    state = StreamState(mine)
    streamed = np.array([state.update(row) for row in rows.select(state.inputs).to_numpy()])
    np.testing.assert_array_equal(streamed, found.select(feature.name for feature in mine).to_numpy())


@pytest.mark.parametrize(
    "change",
    [{"clock": "session", "inputs": ("close",)}, {"state_size": 3}, {"columns": ("sum", "highest")}],
    ids=lambda change: next(iter(change)),
)
def test_columns_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="columns"):
        replace(feature_set("intraday")[0], **change)
