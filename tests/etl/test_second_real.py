"""One real day of BAC, trades and quotes of every exchange: best quotes, pandas, and the stream against the batch."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.etl.bar_trades import real_trades
from tests.etl.second_ticks import day_of, real_quotes

from project01.etl import feature_set
from project01.etl.second_stream import SecondStream
from project01.etl.seconds import second_rows
from project01.etl.seconds_batch import compute_intraday

pytestmark = pytest.mark.slow

DAY = "2013-10-08"
FEATURES = feature_set("intraday")
NAMES = [feature.name for feature in FEATURES]


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> pl.DataFrame:
    trades = day_of(real_trades(shared_data, symbol="BAC"), DAY)
    return second_rows(trades, day_of(real_quotes(shared_data), DAY))


def regular(rows: pl.DataFrame) -> pl.DataFrame:
    since = pl.col("time") - pl.col("session_start")
    return rows.filter(pl.col("session_start") % 86_400 == 13.5 * 3600, since <= 6.5 * 3600)


def test_the_best_quotes_are_those_of_the_vendors_bars(rows: pl.DataFrame, shared_data: Path) -> None:
    vendor = pl.read_parquet(shared_data / "intraday_us" / "second_quote.parquet").filter(pl.col("symbol") == "BAC")
    vendor = vendor.with_columns(event_time=pl.col("ts").dt.offset_by("1s"))
    both = regular(rows).join(vendor, on="event_time")
    assert both.height > 15_000
    assert (both["bid"] == both["bid_close"]).mean() > 0.995
    assert (both["ask"] == both["ask_close"]).mean() > 0.995
    spread = both.filter(both["bid"].is_not_nan()).select(pl.col("ask") - pl.col("bid")).to_series()
    assert spread.min() > 0
    assert spread.median() == pytest.approx(0.01)


def test_volumes_and_sides(rows: pl.DataFrame, shared_data: Path) -> None:
    vendor = pl.read_parquet(shared_data / "intraday_us" / "second_trade.parquet").filter(pl.col("symbol") == "BAC")
    vendor = vendor.with_columns(event_time=pl.col("ts").dt.offset_by("1s"))
    both = regular(rows).join(vendor, on="event_time", suffix="_vendor")
    assert (both["volume"] == both["volume_vendor"]).mean() > 0.95
    assert (rows["signed_volume"].abs() <= rows["volume"]).all()
    assert rows.select(pl.col("signed_volume").abs().sum() / pl.col("volume").sum()).item() > 0.5


def test_realised_volatility_and_vwap_are_those_of_pandas(rows: pl.DataFrame) -> None:
    found = compute_intraday(rows, FEATURES).join(regular(rows).select("event_time"), on="event_time", how="semi")
    wide = regular(rows).to_pandas().set_index("event_time")
    last = wide["close"].ffill()
    squares = np.log(last / last.shift()) ** 2
    expected = np.sqrt(squares.rolling("300s").sum())
    value = (wide["vwap"] * wide["volume"]).where(wide["volume"] > 0, 0.0).rolling("900s").sum()
    mean = value / wide["volume"].rolling("900s").sum()
    settled = slice(2_000, None)
    np.testing.assert_allclose(found["realised_volatility_300s"][settled], expected[settled], rtol=1e-6)
    np.testing.assert_allclose(found["vwap_distance_900s"][settled], (last / mean - 1)[settled], atol=1e-9, rtol=1e-5)
    flow = wide["order_flow_imbalance"].rolling("300s").sum()
    move = last / last.shift(freq="300s").reindex(last.index, method="ffill") - 1
    together = pd.concat([flow, move], axis=1).iloc[2_000:].corr().iloc[0, 1]
    assert together > 0.3, "prices follow the flow of orders, as Cont, Kukanov and Stoikov found"


def test_the_stream_equals_the_batch_on_a_day_with_disorder(rows: pl.DataFrame) -> None:
    random = np.random.default_rng(0)
    late = np.where(random.random(rows.height) < 0.1, random.integers(0, 12_000_000, rows.height), 0)
    delay = pl.duration(microseconds=pl.Series(late))
    mixed = rows.with_columns(knowledge_time=pl.max_horizontal("knowledge_time", pl.col("event_time") + delay))
    ordered = pl.concat([mixed, mixed.sample(fraction=0.05, seed=1)]).sort("knowledge_time", maintain_order=True)
    stream = SecondStream(FEATURES, ["BAC"])
    known = ordered["knowledge_time"].dt.epoch("us").to_numpy()
    matrix = ordered.select(SecondStream.inputs).to_numpy()
    parts, cut = [], ordered.height // 2
    for piece in (slice(0, cut), slice(cut, None)):
        parts.append(stream.update(np.zeros(len(known[piece]), np.int32), known[piece], matrix[piece]))
        kept = stream.to_bytes()
        stream = SecondStream(FEATURES, ["BAC"])
        stream.restore(kept)
    times = np.concatenate([part.event_time for part in parts])
    values = np.concatenate([part.values for part in parts])  # noqa: PD011
    # The last written of each second stands.
    seconds, from_end = np.unique(times[::-1], return_index=True)
    batch = compute_intraday(mixed, FEATURES)
    np.testing.assert_array_equal(seconds, batch["event_time"].dt.epoch("us").to_numpy())
    np.testing.assert_array_equal(values[::-1][from_end], batch.select(NAMES).to_numpy())
    assert len(values) > batch.height + 1_000, "many seconds were revised"
    assert sum(len(part.late) for part in parts) > 100
    assert (mixed["knowledge_time"] - mixed["event_time"]).max() > timedelta(seconds=10)
