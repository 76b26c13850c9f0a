"""A day of seconds as it landed, and the two streams that the audit of engines replays it through."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.bus import encode
from project01.domain import BARS, QUOTES, TRADES, Bar, NotEnoughDataError
from project01.etl import SECOND_INPUTS, Feature, SecondStream, packed_rows, second_rows
from project01.lake import Lake
from project01.pipelines.feature_stream import DISORDER, SETTLE, TABLE
from project01.pipelines.second_bars import trading_day
from project01.pipelines.spark_features import feature_session
from project01.pipelines.spark_features_stream import (
    MESSAGES_A_BATCH,
    PACKED,
    PackTask,
    SecondsJob,
    StreamSink,
    fold_on_spark,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REPEATED = 0.05
# At least so many micro-batches, so that Spark keeps the states and takes them up again.
BATCHES = 4
_SECOND = timedelta(seconds=1)
_BAR = ("source", "source_id", "symbol", "interval", "open", "high", "low", "close", "vwap", "volume", "trades")


@dataclass(frozen=True)
class DayOfSeconds:
    """A day in New York.

    Attributes:
        rows: what `second_rows` makes of it.
        made_of: the kinds of ticks behind them, in words.
        bars: the bars of one second behind them, versions included; None where other ticks are, or a bar has no close,
            which no message lacks.
    """

    rows: pl.DataFrame
    made_of: str
    bars: pl.DataFrame | None = None

    @property
    def to_spark(self) -> str:
        """What Spark is given, in words."""
        if self.bars is not None:
            return "the bars, each as its message"
        return f"the rows of seconds that the batch made of {self.made_of}, as its stream decodes bars of 1s alone"


def day_of_seconds(lake: Lake, day: date) -> DayOfSeconds:
    """Seconds of one day in New York from landed trades and quotes, else from landed bars of one second.

    Raises:
        NotEnoughDataError: nothing landed that day.
    """
    trades, quotes, bars = (_of_day(lake, spec.name, day) for spec in (TRADES, QUOTES, BARS))
    with_quotes = "" if quotes is None else " and quotes"
    if trades is not None:
        return DayOfSeconds(second_rows(trades, quotes), f"trades{with_quotes}")
    seconds = None if bars is None else bars.filter(pl.col("interval") == "1s")
    if seconds is None or seconds.is_empty():
        raise NotEnoughDataError(
            f"No trades and no bars of one second of {day} have landed. Run `project01 ingest` and `project01 land` "
            "for that day, or name another day."
        )
    source = seconds["source"].value_counts(sort=True)["source"][0]
    chosen = seconds.filter(pl.col("source") == source)
    have_messages = quotes is None and not chosen["close"].has_nulls()
    rows = second_rows(quotes=quotes, bars=chosen)
    return DayOfSeconds(rows, f"bars of 1s{with_quotes}", chosen if have_messages else None)


def _of_day(lake: Lake, name: str, day: date) -> pl.DataFrame | None:
    """What has landed of a table; None for nothing."""
    found = lake.scan(name).filter(trading_day() == day).collect() if lake.exists(name) else None
    return None if found is None or found.is_empty() else found


def seconds_streamed(rows: pl.DataFrame, features: Sequence[Feature], seed: int) -> pl.DataFrame:
    """Every second as it became known, out of order and some twice, in batches; the newest features of each second."""
    arrival, known = arrival_order(rows, seed), rows["knowledge_time"].dt.epoch("us").to_numpy()
    symbols = rows["symbol"].unique().sort().to_list()
    numbers = rows["symbol"].replace_strict(symbols, range(len(symbols))).to_numpy().astype(np.int32)
    matrix = np.ascontiguousarray(rows.select(*SECOND_INPUTS).to_numpy())
    names = [feature.name for feature in features]
    stream, parts = SecondStream(features, symbols, disorder=DISORDER), []
    for part in np.array_split(arrival, max(1, len(arrival) // 5_000)):
        kept, stream = stream.to_bytes(), SecondStream(features, symbols, disorder=DISORDER)
        stream.restore(kept)
        found = stream.update(numbers[part], known[part], matrix[part])
        columns = {"number": found.symbol, "event": found.event_time}
        parts.append(pl.DataFrame(columns).hstack(pl.from_numpy(found.values, schema=names)))
    newest = pl.concat(parts).unique(["number", "event"], keep="last", maintain_order=True)
    return newest.select(
        pl.Series("symbol", symbols).gather(newest["number"]),
        pl.from_epoch("event", "us").dt.replace_time_zone("UTC").alias("event_time"),
        *names,
    )


def arrival_order(rows: pl.DataFrame, seed: int) -> NDArray[np.int64]:
    """Places of rows in the order of their coming: disturbed by up to `DISORDER`, and every twentieth twice."""
    random = np.random.default_rng(seed)
    known = rows["knowledge_time"].dt.epoch("us").to_numpy()
    moved = known + random.integers(0, DISORDER // timedelta(microseconds=1), len(known))
    order = np.argsort(moved, kind="stable")
    twice = np.sort(np.concatenate([np.arange(len(order)), np.flatnonzero(random.random(len(order)) < REPEATED)]))
    return np.asarray(order[twice], dtype=np.int64)


def seconds_on_spark(day: DayOfSeconds, features: Sequence[Feature], seed: int) -> pl.DataFrame:
    """All rows of features that Spark Structured Streaming writes into a lake of its own, on this machine.

    It runs the job of `stream_on_spark`, with files in the place of Kafka, in several micro-batches.
    """
    session = feature_session("local[2]", "project01-parity")
    try:
        # Two symbols at a time: more partitions than cores only cost.
        session.conf.set("spark.sql.shuffle.partitions", 2)
        with tempfile.TemporaryDirectory(prefix="project01-parity-") as folder:
            lake, files = Lake(Path(folder) / "lake"), Path(folder) / "arriving"
            job = SecondsJob(names=tuple(feature.name for feature in features))
            sink = StreamSink(lake, features, None, lambda _: None)
            packed = _packed(session, files, day, seed)
            fold_on_spark(session, packed, sink, str(Path(folder) / "checkpoint"), job, Event())
            return lake.scan(TABLE).collect()
    finally:
        session.stop()


def _packed(session: "SparkSession", files: Path, day: DayOfSeconds, seed: int) -> "DataFrame":
    """What arrives on Spark, as a streaming frame of `PACKED`."""
    if day.bars is not None:
        messages = [_messages(part) for part in _parts(day.bars, seed)]
        return _streamed(session, files, messages, "value binary").mapInArrow(PackTask(None), PACKED)
    rows = [pl.DataFrame(list(packed_rows(part)), ("symbol", "rows"), orient="row") for part in _parts(day.rows, seed)]
    return _streamed(session, files, rows, PACKED)


def _parts(rows: pl.DataFrame, seed: int) -> list[pl.DataFrame]:
    """Rows in the order of their coming, cut; at the end what makes all of them final."""
    arrival = arrival_order(rows, seed)
    count = min(len(arrival), max(BATCHES, -(-len(arrival) // MESSAGES_A_BATCH)))
    parts = [rows[part] for part in np.array_split(arrival, count)]
    return [*parts[:-1], pl.concat([parts[-1], _closing(rows)])]


def _closing(rows: pl.DataFrame) -> pl.DataFrame:
    """For each symbol a second so long after all others that these are final; it is never so itself."""
    after = pl.col("knowledge_time").max().over("symbol").dt.truncate("1s") + SETTLE + 2 * _SECOND
    last = rows.with_columns(after.alias("event_time"), after.alias("knowledge_time")).unique("symbol", keep="last")
    return last.with_columns(pl.col("event_time").dt.epoch("us").truediv(1e6).alias("time")).select(rows.columns)


def _messages(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars as the topic carries them."""
    times = (pl.col("event_time", "knowledge_time").dt.epoch("us"), pl.col("session").dt.to_string())
    rows: list[dict[str, Any]] = bars.select(*_BAR, *times).to_dicts()
    values = [encode(Bar(**row, received_at=row["knowledge_time"], licence="")) for row in rows]
    return pl.DataFrame({"value": values}, schema={"value": pl.Binary})


def _streamed(session: "SparkSession", files: Path, parts: Sequence[pl.DataFrame], schema: str) -> "DataFrame":
    """A stream with one part in each micro-batch, in order."""
    files.mkdir()
    for number, part in enumerate(parts):
        path = files / f"{number:05}.parquet"
        part.write_parquet(path)
        os.utime(path, (number, number))  # Spark reads the oldest first
    return session.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(files))
