"""Trades for tests: written by hand, made up for a day, and real ones in the lake's form."""

import hashlib
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

OPEN = datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
SCHEMA = {
    "source": pl.String, "source_id": pl.String, "symbol": pl.String, "event_time": pl.Datetime("us", "UTC"),
    "knowledge_time": pl.Datetime("us", "UTC"), "session": pl.Date, "price": pl.Float64, "size": pl.Float64,
    "exchange": pl.String, "conditions": pl.String, "sequence": pl.Int64, "tape": pl.String, "action": pl.String,
    "refers_to": pl.String, "simulated": pl.Boolean, "licence": pl.String,
}  # fmt: skip


def at(seconds: float) -> datetime:
    """That many seconds after the open."""
    return OPEN + timedelta(seconds=seconds)


def trade(source_id: str, happened: float, price: float, size: float = 100.0, **changes: object) -> dict[str, object]:
    """A row of the trades table, seconds after the open; `known` seconds after it, else when it happened."""
    known = changes.pop("known", happened)
    assert isinstance(known, int | float)
    row = {
        "source": "tape", "source_id": source_id, "symbol": "ABC", "event_time": at(happened),
        "knowledge_time": at(known), "session": date(2024, 3, 4), "price": price, "size": size, "exchange": "N",
        "conditions": "", "sequence": None, "tape": "A", "action": "new", "refers_to": None, "simulated": False,
        "licence": "own",
    }  # fmt: skip
    return row | changes


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA)


def bars_as_of(versions: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    """What the lake's read gives: of each bar the newest version known at `instant`."""
    known = versions.filter(pl.col("knowledge_time") <= instant)
    return known.unique(["source", "symbol", "interval", "event_time"], keep="last", maintain_order=True)


def digest(table: pl.DataFrame) -> str:
    """Of the table's bytes as a Parquet file; in memory, what lies under a null may be anything."""
    buffer = io.BytesIO()
    table.rechunk().write_parquet(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def made_up_day(seed: int, trades: int) -> pl.DataFrame:
    """Trades of two symbols with late reports, sale conditions, cancels, corrections, and corrections of those."""
    random = np.random.default_rng(seed)
    second = np.sort(random.uniform(0, 23_400, trades)).round(3)
    price = (100 * np.exp(np.cumsum(random.normal(0, 2e-4, trades)))).round(2)
    delay = np.where(random.random(trades) < 0.05, random.uniform(1, 1_200, trades), random.uniform(0, 0.05, trades))
    codes = random.choice(["", "F", "I", "Z", "T", "B", "@|4", "7", "none such"], trades, p=[0.6, *[0.05] * 8])
    rows = [
        trade(
            f"t{n}", second[n], price[n], float(random.integers(1, 900)), known=second[n] + delay[n],
            conditions=str(codes[n]), sequence=n if n % 3 else None, symbol="ABC" if n % 4 else "DEF",
        )
        for n in range(trades)
    ]  # fmt: skip
    for number, place in enumerate(random.choice(trades, trades // 10, replace=False).tolist()):
        target = rows[place]
        known = second[place] + float(random.choice([-1.0, 0.2, 30.0, 3_000.0, 100_000.0]))
        moved = second[place] + float(random.choice([0.0, 1.0, -2.0]))
        change = trade(
            f"c{number}", moved, price[place] + 0.5, 50.0, known=known, action="correct", refers_to=f"t{place}"
        )
        rows.append(change | {"symbol": target["symbol"]})
        if number % 3 == 0:
            rows.append(change | {"source_id": f"d{number}", "action": "cancel", "knowledge_time": at(known + 60)})
        elif number % 3 == 1:
            again = {"source_id": f"e{number}", "refers_to": f"c{number}", "price": price[place] - 0.5}
            rows.append(change | again | {"knowledge_time": at(known + 5)})
    return frame(*rows)


def real_trades(shared_data: Path, **only: str) -> pl.DataFrame:
    """The shared trade ticks as rows of the trades table; identical rows are trades of their own."""
    ticks = pl.scan_parquet(shared_data / "intraday_us" / "ticks_trade_20131007_11.parquet").with_row_index("place")
    for name, value in only.items():
        ticks = ticks.filter(pl.col(name) == value)
    return ticks.select(
        pl.lit("algoseek").alias("source"),
        pl.format("{}:{}", "symbol", "place").alias("source_id"),
        "symbol",
        pl.col("ts").alias("event_time"),
        pl.col("ts").alias("knowledge_time"),
        pl.col("ts").dt.convert_time_zone("America/New_York").dt.date().alias("session"),
        "price",
        pl.col("size").cast(pl.Float64),
        "exchange",
        pl.col("condition").alias("conditions"),
        pl.col("place").cast(pl.Int64).alias("sequence"),
        pl.lit(None, pl.String).alias("tape"),
        pl.lit("new").alias("action"),
        pl.lit(None, pl.String).alias("refers_to"),
        pl.lit(value=False).alias("simulated"),
        pl.lit("own").alias("licence"),
        "suspicious",
    ).collect()
