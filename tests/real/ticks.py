"""LEAN's sample of AlgoSeek's ticks and bars as records for the bus, and rows of the lake back in the file's form."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl

from project01.domain import NO_RAW, Bar, Quote, Trade
from project01.lake import Lake

SOURCE, LICENCE = "algoseek", "lean-sample"
NEW_YORK = "America/New_York"
TRADES_FILE = "intraday_us/ticks_trade_20131007_11.parquet"
QUOTES_FILE = "intraday_us/ticks_quote_bac_20131007_11.parquet"
LENGTHS = {"1s": "second", "1m": "minute", "1h": "hour"}
_PRICES = ("open", "high", "low", "close")
_MICROS = pl.col("ts").dt.timestamp("us")
_SESSION = pl.col("ts").dt.convert_time_zone(NEW_YORK).dt.date()
_TICK_ID = pl.format("{}:{}:{}", "symbol", _SESSION, "place").alias("id")
_SUSPICIOUS = msgspec.Raw(b'{"suspicious":true}')


def ticks(path: Path) -> pl.LazyFrame:
    """A file of ticks, with each row's place in the file: inside a millisecond the file's order is the order."""
    return pl.scan_parquet(path).with_row_index("place")


def bars(folder: Path, interval: str, kind: str) -> pl.DataFrame:
    """The vendor's own bars, `kind` trade or quote, stamped with their start as the vendor does."""
    years = "_1998_2017" if interval == "1h" else ""
    return pl.read_parquet(folder / "intraday_us" / f"{LENGTHS[interval]}_{kind}{years}.parquet")


def trade_records(rows: pl.DataFrame, received_at: int) -> Iterator[Trade]:
    """One record a row of `ticks`; `suspicious`, for which trades have no field, stays in `raw`."""
    columns = rows.select(
        _TICK_ID, _MICROS.alias("at"), "symbol", "price", pl.col("size").cast(pl.Float64),
        "exchange", "condition", "place", "suspicious",
    )  # fmt: skip
    for source_id, at, symbol, price, size, exchange, condition, place, suspicious in columns.iter_rows():
        yield Trade(
            source=SOURCE, source_id=source_id, event_time=at, knowledge_time=at, received_at=received_at,
            licence=LICENCE, symbol=symbol, price=price, size=size, exchange=exchange, conditions=(condition,),
            sequence=place, raw=_SUSPICIOUS if suspicious else NO_RAW,
        )  # fmt: skip


def quote_records(rows: pl.DataFrame, received_at: int) -> Iterator[Quote]:
    """One record a row of `ticks`; each updates one side of one exchange's book."""
    columns = rows.select(
        _TICK_ID, _MICROS.alias("at"), "symbol",
        "bid", pl.col("bid_size").cast(pl.Float64), "ask", pl.col("ask_size").cast(pl.Float64),
        pl.when(pl.col("bid").is_not_null()).then("exchange").alias("bid_exchange"),
        pl.when(pl.col("ask").is_not_null()).then("exchange").alias("ask_exchange"),
        "condition", "place", "suspicious",
    )  # fmt: skip
    for source_id, at, symbol, bid, bid_size, ask, ask_size, bidder, asker, code, place, odd in columns.iter_rows():
        yield Quote(
            source=SOURCE, source_id=source_id, event_time=at, knowledge_time=at, received_at=received_at,
            licence=LICENCE, symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, bid_exchange=bidder,
            ask_exchange=asker, conditions=(code,), sequence=place, raw=_SUSPICIOUS if odd else NO_RAW,
        )  # fmt: skip


def bar_records(rows: pl.DataFrame, interval: str, received_at: int) -> Iterator[Bar]:
    """One record a trade bar."""
    yield from _bars(rows.select("symbol", "ts", *_PRICES, "volume"), interval, SOURCE, received_at)


def quote_bar_records(rows: pl.DataFrame, interval: str, received_at: int) -> Iterator[Bar]:
    """Two records a quote bar, the bid's and the ask's; the size at its end, which is no volume, stays in `raw`."""
    for side in ("bid", "ask"):
        own = rows.select("symbol", "ts", *(pl.col(f"{side}_{name}").alias(name) for name in _PRICES), f"{side}_size")
        yield from _bars(own, interval, f"{SOURCE}:{side}", received_at)


def _bars(rows: pl.DataFrame, interval: str, source: str, received_at: int) -> Iterator[Bar]:
    end = pl.col("ts").dt.offset_by(interval).dt.timestamp("us")
    columns = rows.select(
        pl.format("{}:{}:{}", "symbol", pl.lit(interval), _MICROS).alias("id"), end.alias("end"), "symbol",
        _SESSION.cast(pl.String).alias("session"),
        *(pl.col(name).cast(pl.Float64) for name in _PRICES), pl.col(rows.columns[-1]),
    )  # fmt: skip
    traded = rows.columns[-1] == "volume"
    for source_id, at, symbol, session, first, high, low, close, last in columns.iter_rows():
        yield Bar(
            source=source, source_id=source_id, event_time=at, knowledge_time=at, received_at=received_at,
            licence=LICENCE, symbol=symbol, interval=interval, session=session, open=first, high=high, low=low,
            close=close, volume=float(last) if traded else None,
            raw=NO_RAW if traded else msgspec.Raw(b'{"size":%d}' % last),
        )  # fmt: skip


def suspicious(lake: Lake) -> pl.Series:
    """Ids of trades that the file marks as suspicious, out of the raw messages."""
    marked = pl.col("value").str.contains('"suspicious":true', literal=True)
    rows = lake.scan("raw_ticks").filter(pl.col("kind") == "trade", marked).select("source_id")
    return rows.collect(engine="streaming")["source_id"]


def trades_back(lake: Lake, odd: pl.Series, where: pl.Expr | bool = True) -> pl.DataFrame:
    """The lake's trades in the form of the file, with `place`; `odd` are the suspicious ones' ids."""
    rows = lake.scan("trades").filter(pl.col("source") == SOURCE, where)
    found = rows.select(
        pl.col("sequence").cast(pl.UInt32).alias("place"), "symbol", pl.col("event_time").alias("ts"), "price",
        pl.col("size").cast(pl.Int64), "exchange", pl.col("conditions").alias("condition"),
        pl.col("source_id").is_in(odd.implode()).alias("suspicious"),
    )  # fmt: skip
    return found.collect().sort("place")


def quotes_back(lake: Lake, where: pl.Expr | bool = True) -> pl.DataFrame:
    """The lake's quotes in the form of the file, with `place`; none of the file's is suspicious."""
    rows = lake.scan("quotes").filter(pl.col("source") == SOURCE, where)
    found = rows.select(
        pl.col("sequence").cast(pl.UInt32).alias("place"), "symbol", pl.col("event_time").alias("ts"),
        "bid", pl.col("bid_size").cast(pl.Int32), "ask", pl.col("ask_size").cast(pl.Int32),
        pl.coalesce("bid_exchange", "ask_exchange").alias("exchange"), pl.col("conditions").alias("condition"),
        pl.lit(value=False).alias("suspicious"),
    )  # fmt: skip
    return found.collect().sort("place")


def bars_back(lake: Lake, interval: str, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's trade bars in the form of the file, stamped with their start again."""
    rows = lake.scan("bars").filter(pl.col("source") == SOURCE, pl.col("interval") == interval)
    found = rows.select(
        "symbol", pl.col("event_time").dt.offset_by(f"-{interval}").alias("ts"), *_PRICES, "volume"
    ).collect()  # fmt: skip
    return found.cast(dict(like.schema)).select(like.columns).sort("symbol", "ts")


def quote_bars_back(lake: Lake, interval: str, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's bid and ask bars side by side as in the file, with the sizes out of the raw messages."""
    sides = []
    for side in ("bid", "ask"):
        mine = (pl.col("source") == f"{SOURCE}:{side}") & (pl.col("interval") == interval)
        rows = lake.scan("bars").filter(mine).select("source_id", "symbol", "event_time", *_PRICES).collect()
        kept = lake.scan("raw_ticks").filter(pl.col("source") == f"{SOURCE}:{side}").select(
            "source_id", pl.col("value").str.extract(r'"raw":\{"size":(\d+)\}').cast(pl.Int64).alias("size")
        ).collect()  # fmt: skip
        both = rows.join(kept.unique(), on="source_id").drop("source_id")
        sides.append(both.rename({name: f"{side}_{name}" for name in (*_PRICES, "size")}))
    found = sides[0].join(sides[1], on=["symbol", "event_time"], how="full", coalesce=True)
    found = found.with_columns(pl.col("event_time").dt.offset_by(f"-{interval}").alias("ts"))
    return (
        found.cast(dict(like.schema) | {"event_time": pl.Datetime("us", "UTC")})
        .select(like.columns)
        .sort("symbol", "ts")
    )
