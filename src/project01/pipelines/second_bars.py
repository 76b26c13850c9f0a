"""What the stream in process, the one on Spark and the audit share: bars of one second, and features of seconds."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from project01.bus import decode
from project01.domain import Bar, InputError, MessageError
from project01.etl import Feature, feature_set, load_features

_INSTANT = pl.Datetime("us", "UTC")
_TEXTS = ("source", "symbol", "interval")
_NUMBERS = ("open", "high", "low", "close", "vwap", "volume", "trades")


def second_bar(value: bytes) -> Bar | None:
    """The bar of one second that a message holds; None for anything else, which the landing keeps."""
    try:
        record = decode(value)
    except MessageError:
        return None
    return record if isinstance(record, Bar) and record.interval == "1s" else None


def bars_frame(bars: Sequence[Bar]) -> pl.DataFrame:
    """Rows of the bars table, as far as `second_rows` asks for them."""
    columns: dict[str, Any] = {name: [getattr(bar, name) for bar in bars] for name in _TEXTS}
    columns |= {name: pl.Series([getattr(bar, name) for bar in bars], dtype=pl.Float64) for name in _NUMBERS}
    for name in ("event_time", "knowledge_time"):
        columns[name] = pl.Series([getattr(bar, name) for bar in bars], dtype=pl.Int64).cast(_INSTANT)
    return pl.DataFrame(columns)


def trading_day() -> pl.Expr:
    """The day in New York of a row's event time."""
    return pl.col("event_time").dt.convert_time_zone("America/New_York").dt.date()


def intraday_features(names: Sequence[str] = (), files: Iterable[Path] = ()) -> tuple[Feature, ...]:
    """Features of seconds: those named, else all of the intraday set and of the files.

    Raises:
        InputError: one is unknown, or a file cannot be used.
    """
    own = [feature for path in files for feature in load_features(path)]
    every = {f.name: f for f in (*feature_set("intraday"), *own) if f.clock == "second" and f.kind == "series"}
    unknown = [name for name in names if name not in every]
    if unknown:
        raise InputError(f"No intraday feature is called {', '.join(unknown)}. `project01 features list` shows them.")
    return tuple(every[name] for name in names) if names else tuple(every.values())
