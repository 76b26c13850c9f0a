"""Small bars made by hand, and the gate set to judge them."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import polars as pl
import pytest

from project01.domain import BARS, TradingCalendar, trading_calendar
from project01.ingest import Batch, GateOutcome, GateRules, gate_bars

MakeBars = Callable[..., pl.DataFrame]
Gate = Callable[..., GateOutcome]


@pytest.fixture(scope="session")
def calendar() -> TradingCalendar:
    return trading_calendar()


@pytest.fixture(scope="session")
def make_bars(calendar: TradingCalendar) -> MakeBars:
    """Daily bars of one symbol on consecutive sessions: open = low = high = close unless given, volume 1000."""

    def make(
        closes: Sequence[float | None], symbol: str = "AAA", start: str = "2010-01-04", **columns: object
    ) -> pl.DataFrame:
        sessions = calendar.as_frame().filter(pl.col("session") >= date.fromisoformat(start)).head(len(closes))
        close = pl.Series("close", closes, dtype=pl.Float64)
        plain: dict[str, object] = {"open": close, "high": close, "low": close, "adj_close": None, "volume": 1000.0}
        rows = sessions.select(
            pl.lit("hand").alias("source"),
            pl.concat_str(pl.lit(f"{symbol}:1d:"), pl.col("session").cast(pl.String)).alias("source_id"),
            pl.col("close_at").alias("event_time"),
            pl.col("close_at").alias("knowledge_time"),
            pl.lit(value=False).alias("simulated"),
            pl.lit(symbol).alias("symbol"),
            pl.lit("1d").alias("interval"),
            "session",
        ).with_columns(close)
        for name, values in (plain | columns).items():
            listed = values if isinstance(values, pl.Series | list) else [values] * len(closes)
            rows = rows.with_columns(pl.Series(name, listed, dtype=pl.Float64, strict=False))
        return Batch.of(BARS, rows).rows

    return make


@pytest.fixture(scope="session")
def gate(calendar: TradingCalendar) -> Gate:
    def judge(rows: pl.DataFrame, as_of: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> GateOutcome:
        return gate_bars(rows, calendar, GateRules(as_of=as_of))

    return judge
