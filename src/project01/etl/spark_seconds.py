"""The stream over seconds with the state of one symbol at a time, as Spark keeps it: bytes in, bytes out."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl.bar_versions import INSTANT
from project01.etl.feature import Feature
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.second_stream import SecondStream

_MICROSECOND = timedelta(microseconds=1)
_LENGTH, _CODEC = struct.Struct("<q"), pa.Codec("lz4_raw")
_WIDTH = 1 + len(SECOND_INPUTS)


def packed_rows(rows: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """Rows of seconds by symbol, each as knowledge time (microseconds since 1970) and inputs in float64.

    Args:
        rows: what `second_rows` returns.
    """
    for (symbol,), own in rows.partition_by("symbol", as_dict=True, maintain_order=True).items():
        known = pl.col("knowledge_time").dt.epoch("us").cast(pl.Float64)  # whole up to the year 2255
        matrix = own.select(known, *SECOND_INPUTS).to_numpy()
        yield str(symbol), np.ascontiguousarray(matrix, dtype="<f8").tobytes()


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """State of a symbol: that of its stream, its newest knowledge time, and features that may still be revised."""

    stream: bytes
    newest: int
    pending: bytes


@dataclass(frozen=True)
class SymbolRows:
    """What a batch gave for one symbol.

    Attributes:
        state: to go on from.
        settled: rows that no later row can change, each once in the life of the stream.
        newest: the row of the newest second, which may still be revised; empty if nothing came.
    """

    state: bytes
    settled: bytes
    newest: bytes


class SecondFolder:
    """Takes packed rows into the packed state of a symbol.

    Args:
        features: series features of the second clock.
        disorder: how long a row may come after one that became known later.
        settle: how long before the newest knowledge time of a symbol its seconds are final; not less than watermark
            and disorder together.
    """

    def __init__(self, features: Sequence[Feature], disorder: timedelta, settle: timedelta) -> None:
        self._features, self._disorder = tuple(features), disorder
        self._settle = settle // _MICROSECOND
        names = [feature.name for feature in features]
        self._form = np.dtype([("event_time", "<i8"), ("knowledge_time", "<i8"), ("values", "<f4", (len(names),))])
        self._names = names

    def fold(self, symbol: str, state: bytes | None, batches: Sequence[bytes]) -> SymbolRows:
        """One symbol's rows of one batch.

        Args:
            symbol: its name.
            state: as the last call gave it; None before the first row.
            batches: out of `packed_rows`, in the order of arrival.
        Raises:
            InputError: the state was kept with other features, or is damaged.
        """
        stream = SecondStream(self._features, [symbol], disorder=self._disorder)
        kept = self._unpacked(state)
        pending = np.frombuffer(b"", self._form)
        newest = 0
        if kept is not None:
            stream.restore(kept.stream)
            pending, newest = np.frombuffer(kept.pending, self._form), kept.newest
        known, rows = _ordered(batches)
        found = stream.update(np.zeros(len(known), dtype=np.int32), known, rows)
        fresh = np.empty(len(found.event_time), self._form)
        fresh["event_time"], fresh["knowledge_time"] = found.event_time, found.knowledge_time
        fresh["values"] = found.values
        both = _last_of_each(np.concatenate([pending, fresh]))
        newest = max(newest, int(known.max(initial=0)))
        final = both["event_time"] < newest - self._settle
        after = _Kept(stream.to_bytes(), newest, both[~final].tobytes())
        return SymbolRows(_pressed(msgspec.msgpack.encode(after)), both[final].tobytes(), both[-1:].tobytes())

    def _unpacked(self, state: bytes | None) -> _Kept | None:
        if state is None:
            return None
        try:
            return msgspec.msgpack.decode(_unpressed(state), type=_Kept)
        except (msgspec.DecodeError, OSError, struct.error) as error:
            raise InputError(f"The kept state of a symbol is damaged: {error}. Start with a new checkpoint.") from error

    def frame(self, symbol: str, rows: bytes) -> pl.DataFrame:
        """Packed rows of features as symbol, event_time, knowledge_time and one Float32 column a feature."""
        found = np.frombuffer(rows, self._form)
        times = {name: pl.Series(found[name]).cast(INSTANT) for name in ("event_time", "knowledge_time")}
        keys = pl.DataFrame(times).select(pl.lit(symbol).alias("symbol"), pl.all())
        return keys.hstack(pl.from_numpy(np.ascontiguousarray(found["values"]), schema=self._names))


def _pressed(content: bytes) -> bytes:
    """Its length, then the content in a quarter of the space: most inputs of a held row are missing or repeat."""
    return _LENGTH.pack(len(content)) + bytes(_CODEC.compress(content, asbytes=True))


def _unpressed(content: bytes) -> bytes:
    return bytes(_CODEC.decompress(content[_LENGTH.size :], _LENGTH.unpack_from(content)[0], asbytes=True))


def _ordered(batches: Sequence[bytes]) -> tuple[NDArray[np.int64], FloatArray]:
    """Knowledge times and inputs of rows in the order in which they became known."""
    parts = [np.frombuffer(each, "<f8").reshape(-1, _WIDTH) for each in batches]
    matrix = np.concatenate(parts) if parts else np.empty((0, _WIDTH))
    known = matrix[:, 0].astype(np.int64)
    order = np.argsort(known, kind="stable")
    return known[order], np.ascontiguousarray(matrix[order, 1:])


def _last_of_each(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The last row of each second, in order of time."""
    _, places = np.unique(rows["event_time"][::-1], return_index=True)
    return rows[len(rows) - 1 - places]
