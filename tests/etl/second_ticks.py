"""Real and drawn ticks and seconds for the tests of the second clock."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream import SecondFeatures, SecondStream

# 2024-03-04 09:30 in New York.
OPEN = 1_709_562_600
QUOTE_SCHEMA = {
    "source": pl.String, "source_id": pl.String, "symbol": pl.String, "event_time": pl.Datetime("us", "UTC"),
    "knowledge_time": pl.Datetime("us", "UTC"), "bid": pl.Float64, "bid_size": pl.Float64, "ask": pl.Float64,
    "ask_size": pl.Float64, "bid_exchange": pl.String, "ask_exchange": pl.String, "sequence": pl.Int64,
}  # fmt: skip


def day_of(ticks: pl.DataFrame, day: str) -> pl.DataFrame:
    return ticks.filter(pl.col("event_time").dt.date() == pl.lit(day).str.to_date())


def real_quotes(shared_data: Path) -> pl.DataFrame:
    """The shared quote ticks of BAC as rows of the quotes table."""
    ticks = pl.scan_parquet(shared_data / "intraday_us" / "ticks_quote_bac_20131007_11.parquet")
    exchange = {
        f"{side}_exchange": pl.when(pl.col(side).is_not_null()).then(pl.col("exchange")) for side in ("bid", "ask")
    }
    return (
        ticks.with_row_index("place")
        .with_columns(
            **exchange,
            source=pl.lit("algoseek"),
            source_id=pl.format("q{}", "place"),
            event_time="ts",
            knowledge_time="ts",
            sequence=pl.col("place").cast(pl.Int64),
        )
        .select(pl.col(name).cast(kind) for name, kind in QUOTE_SCHEMA.items())
        .collect()
    )


def made_up_seconds(seed: int, symbols: int = 2, seconds: int = 400, *, first: int = OPEN - 60) -> pl.DataFrame:
    """Rows of the second clock over the open of a session: gaps, seconds with quotes only, missing quotes."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(symbols):
        time = first + np.flatnonzero(random.random(seconds) < 0.7).astype(float)
        count = len(time)
        traded = random.random(count) < 0.6
        close = np.round(50.0 * np.exp(np.cumsum(random.normal(0, 1e-3, count))), 2)
        start = np.where(time > OPEN, OPEN, OPEN - 34_200.0)
        spread = random.integers(0, 3, count) * 0.01
        volume = np.where(traded, random.integers(1, 900, count), 0).astype(float)
        columns = {
            "time": time, "open": np.where(traded, close, np.nan), "high": np.where(traded, close + 0.02, np.nan),
            "low": np.where(traded, close - 0.01, np.nan), "close": np.where(traded, close, np.nan), "volume": volume,
            "session_start": start,
            "vwap": np.where(traded, close + 0.004, np.nan),
            "trades": np.where(traded, random.integers(1, 9, count), 0).astype(float),
            "signed_volume": np.round(volume * random.uniform(-1, 1, count)),
            "bid": close - spread, "ask": close + 0.01, "bid_size": random.integers(1, 90, count) * 100.0,
            "ask_size": random.integers(1, 90, count) * 100.0, "quotes": random.integers(0, 9, count).astype(float),
            "order_flow_imbalance": random.integers(-50, 50, count) * 100.0,
        }  # fmt: skip
        dark = random.random(count) < 0.05
        for name in ("bid", "ask", "bid_size", "ask_size"):
            columns[name] = np.where(dark, np.nan, columns[name])
        known = time * 1e6 + random.integers(0, 1_000_000, count)
        frames.append(
            pl.DataFrame(columns).select(
                pl.lit(f"S{number}").alias("symbol"),
                (pl.col("time") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC")).alias("event_time"),
                pl.Series("knowledge_time", known).cast(pl.Int64).cast(pl.Datetime("us", "UTC")),
                *SECOND_INPUTS,
            )
        )
    return pl.concat(frames)


def stream_arrays(rows: pl.DataFrame, symbols: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows as `SecondStream.update` takes them."""
    symbol = rows["symbol"].replace_strict(symbols, range(len(symbols)), return_dtype=pl.Int32).to_numpy()
    return symbol, rows["knowledge_time"].dt.epoch("us").to_numpy(), rows.select(SecondStream.inputs).to_numpy()


def newest_rows(parts: Sequence[SecondFeatures], symbols: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    """The last row written for each second, in the form of the batch; each version must be known no earlier."""
    instant = pl.Datetime("us", "UTC")
    written = pl.concat(
        pl.DataFrame({"symbol": pl.Series(symbols, dtype=pl.String).gather(part.symbol)}).with_columns(
            pl.Series("event_time", part.event_time).cast(instant),
            pl.Series("knowledge_time", part.knowledge_time).cast(instant),
            *(pl.Series(name, part.values[:, place]) for place, name in enumerate(names)),
        )
        for part in parts
    )
    ascending = written.group_by("symbol", "event_time").agg(pl.col("knowledge_time").is_sorted())
    assert ascending["knowledge_time"].all()
    return written.unique(["symbol", "event_time"], keep="last", maintain_order=True).sort("symbol", "event_time")
