"""Features of seconds as they come over the bus: into the online store at once, into the lake once they are final.

What was taken in is remembered in one file: offsets, the streams' states and the rows that may still be revised. After
a crash the job begins at that file. What it then does again changes nothing: rows of the lake are merged by key and
time, and the online store never goes back.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from project01.bus import Bus, Message
from project01.domain import TICKS, TIMESTAMP, FloatArray, InputError, TableSpec
from project01.etl import (
    PATIENCE,
    SECOND_INPUTS,
    Feature,
    SecondFeatures,
    SecondStream,
    late_rows,
    second_rows,
)
from project01.pipelines.place import Place
from project01.pipelines.second_bars import bars_frame, intraday_features, second_bar, trading_day
from project01.pipelines.workspace import write_atomically
from project01.store import FeatureStore

TABLE = "features_intraday"
# How long a second may be revised after a later one has become known, beyond the watermark.
DISORDER = timedelta(seconds=5)
SETTLE = PATIENCE + DISORDER


def intraday_spec(names: Sequence[str]) -> TableSpec:
    """The lake table of features of seconds: one Float32 column each beside the keys and clocks."""
    fields = [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("knowledge_time", TIMESTAMP, nullable=False),
        *(pa.field(name, pa.float32()) for name in names),
    ]
    return TableSpec(TABLE, pa.schema(fields), ("symbol", "event_time"))


class _Kept(msgspec.Struct, frozen=True):
    topic_id: str
    features: tuple[str, ...]
    offsets: dict[int, int]
    streams: list[tuple[tuple[str, ...], bytes]]
    pending: bytes
    source: str


@dataclass
class StreamFigures:
    """What the job has done so far.

    Attributes:
        messages: read from the topic.
        seconds: bars of one second among them.
        written: rows of features computed, revisions counted again.
        settled: rows final in the lake.
        late: seconds known too long after their end, which enter no feature.
        lag: messages on the bus not yet taken in.
    """

    messages: int = 0
    seconds: int = 0
    written: int = 0
    settled: int = 0
    late: int = 0
    lag: int = 0


class FeatureStream:
    """The job. One object, one topic; several symbols and partitions."""

    def __init__(self, place: Place, bus: Bus, store: FeatureStore, features: Sequence[Feature]) -> None:
        """Take up what an earlier run of the job left, if there is anything.

        Args:
            place: where its memory and the lake are.
            bus: where the ticks come from.
            store: on the table `features_intraday`; told of each row at once.
            features: series features of the second clock.
        Raises:
            InputError: the memory is of other features or another topic.
        """
        self._bus, self._store, self._lake = bus, store, place.lake
        self._features, self._names = tuple(features), tuple(feature.name for feature in features)
        self._file = place.memory / "feature_stream.state"
        self._streams: list[SecondStream] = []
        self._stream_of: dict[str, tuple[int, int]] = {}
        self._offsets: dict[int, int] = {}
        self._pending = pl.DataFrame(schema=self._schema())
        self._newest: dict[str, int] = {}
        self._source = ""
        self.figures = StreamFigures()
        place.state()  # the folder
        if self._file.exists():
            self._take_up(self._file)
        store.apply(features)

    def _schema(self) -> dict[str, Any]:
        instant = pl.Datetime("us", "UTC")
        keys = {"symbol": pl.String, "session": pl.Date, "event_time": instant, "knowledge_time": instant}
        return keys | dict.fromkeys(self._names, pl.Float32)

    def _take_up(self, file: Path) -> None:
        try:
            kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept)
        except msgspec.DecodeError as error:
            raise InputError(f"{file} is damaged: {error}. Remove it; the features are then built anew.") from error
        if kept.topic_id != self._bus.identity(TICKS) or kept.features != self._names:
            raise InputError(
                f"{file} was kept for another topic or other features. Remove it and the table {TABLE} to start anew."
            )
        for symbols, state in kept.streams:
            self._add_stream(symbols).restore(state)
        self._offsets, self._source = dict(kept.offsets), kept.source
        self._pending = pl.read_ipc(kept.pending)
        known = self._pending.group_by("symbol").agg(pl.col("knowledge_time").max().dt.epoch("us"))
        self._newest = dict(known.iter_rows())

    def _add_stream(self, symbols: Sequence[str]) -> SecondStream:
        stream = SecondStream(self._features, symbols, disorder=DISORDER)
        for number, symbol in enumerate(symbols):
            self._stream_of[symbol] = (len(self._streams), number)
        self._streams.append(stream)
        return stream

    def run(self, stop: Event, *, follow: bool, max_messages: int = 20_000, keep_s: float = 5.0) -> StreamFigures:
        """Take in messages until told to stop, or until nothing is left.

        Args:
            stop: set from outside.
            follow: go on when nothing is left.
            max_messages: taken in at once.
            keep_s: how often memory is written; after a crash at most so much is done again.
        """
        ranges = self._bus.ranges(TICKS)
        start = {partition: max(self._offsets.get(partition, 0), span.first) for partition, span in ranges.items()}
        kept = time.monotonic()
        with self._bus.consumer(TICKS, start) as consumer:
            while not stop.is_set():
                messages = consumer.poll(max_messages, 0.5 if follow else 0.05)
                if messages:
                    self.take(messages)
                elif not follow and not self._lag():
                    break
                if messages and time.monotonic() - kept > keep_s:
                    self.keep()
                    kept = time.monotonic()
        self.keep()
        self._lag()
        return self.figures

    def _lag(self) -> int:
        ranges = self._bus.ranges(TICKS)
        self.figures.lag = sum(span.next - self._offsets.get(part, span.first) for part, span in ranges.items())
        return self.figures.lag

    def take(self, messages: Sequence[Message]) -> None:
        """Take in a batch: features computed, online store told, final rows in the lake."""
        self._offsets |= {message.partition: message.offset + 1 for message in messages}
        found = [bar for message in messages if (bar := second_bar(message.value)) is not None]
        self.figures.messages += len(messages)
        if found:
            self._compute(bars_frame(found))

    def _compute(self, bars: pl.DataFrame) -> None:
        self._source = self._source or bars["source"][0]
        bars = bars.filter(pl.col("source") == self._source)
        self.figures.seconds += bars.height
        self.figures.late += late_rows(bars).height  # these make no row at all
        rows = second_rows(bars=bars).sort("knowledge_time", maintain_order=True)
        unknown = [symbol for symbol in rows["symbol"].unique().sort() if symbol not in self._stream_of]
        if unknown:
            self._add_stream(unknown)
        known = rows["knowledge_time"].dt.epoch("us").to_numpy()
        matrix = np.ascontiguousarray(rows.select(*SECOND_INPUTS).to_numpy())
        places = np.array([self._stream_of[symbol] for symbol in rows["symbol"]], dtype=np.int64).reshape(-1, 2)
        parts = [
            self._update(number, places[own, 1], known[own], matrix[own])
            for number in range(len(self._streams))
            if (own := places[:, 0] == number).any()
        ]
        for symbol, last in rows.group_by("symbol").agg(pl.col("knowledge_time").max().dt.epoch("us")).iter_rows():
            self._newest[symbol] = max(last, self._newest.get(symbol, 0))
        self._store_rows(pl.concat(parts))

    def _update(
        self, number: int, symbols: NDArray[np.int64], known: NDArray[np.int64], matrix: FloatArray
    ) -> pl.DataFrame:
        stream = self._streams[number]
        found: SecondFeatures = stream.update(symbols.astype(np.int32), known, matrix)
        self.figures.written += len(found.symbol)
        instant = pl.Datetime("us", "UTC")
        columns = {
            "symbol": pl.Series(stream.symbols, dtype=pl.String).gather(found.symbol),
            "event_time": pl.Series(found.event_time).cast(instant),
            "knowledge_time": pl.Series(found.knowledge_time).cast(instant),
        }
        frame = pl.DataFrame(columns).hstack(pl.from_numpy(found.values, schema=list(self._names)))
        return frame.with_columns(session=trading_day()).select(self._pending.columns)

    def _store_rows(self, rows: pl.DataFrame) -> None:
        key = ["symbol", "event_time"]
        both = pl.concat([self._pending, rows]).unique(key, keep="last", maintain_order=True)
        newest = both.sort("event_time").unique("symbol", keep="last")
        self._store.push(newest.join(rows.select("symbol").unique(), on="symbol", how="semi"))
        horizon = pl.col("symbol").replace_strict(self._newest, return_dtype=pl.Int64) - SETTLE // timedelta(
            microseconds=1
        )
        is_final = pl.col("event_time").dt.epoch("us") < horizon
        final = both.filter(is_final)
        if final.height:
            self._lake.merge(intraday_spec(self._names), final)
        self.figures.settled += final.height
        self._pending = both.filter(~is_final)

    def keep(self) -> None:
        """Write the memory, whole or not at all."""
        kept = _Kept(
            topic_id=self._bus.identity(TICKS),
            features=self._names,
            offsets=self._offsets,
            streams=[(stream.symbols, stream.to_bytes()) for stream in self._streams],
            pending=_ipc(self._pending),
            source=self._source,
        )
        write_atomically(self._file, msgspec.msgpack.encode(kept))


def _ipc(frame: pl.DataFrame) -> bytes:
    import io

    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()


def stream_features(place: Place, stop: Event, *, follow: bool, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the job on a place's bus, lake and an online store beside them.

    Args:
        place: with the topics.
        stop: set to end the job.
        follow: go on when nothing is left.
        names: features of the intraday set; None: all.
    Raises:
        InputError: a feature is unknown, or the memory is of another job.
    """
    features = intraday_features(names or ())
    store = FeatureStore(place.memory / "feast", place.lake.url, table=TABLE)
    try:
        with place.bus() as bus:
            figures = FeatureStream(place, bus, store, features).run(stop, follow=follow)
    finally:
        store.close()
    return vars(figures)


def stream_features_here(
    out: Path, bus_url: str | None, names: Sequence[str] | None, *, follow: bool
) -> dict[str, Any]:
    """`stream_features` in a folder, ended in good order by Ctrl-C or a signal to terminate."""
    stop = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    interrupted = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        return stream_features(Place(out, bus_url), stop, follow=follow, names=names)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupted)
