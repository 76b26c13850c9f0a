"""The feature table: built whole and in bounded memory, or only its new sessions from kept states."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from project01.domain import TIMESTAMP, TableSpec
from project01.etl import Feature, FeatureBuild, KeptStates
from project01.lake import Lake, replace_by_files
from project01.pipelines.market import MarketData

FEATURES = "features"
# Computed before they are wanted: the processors have work while the disk has, for 110 MB a block of 290 features.
BLOCKS_AHEAD = 3
# Columns of the feature table that statistics are kept of.
INDEXED = ("symbol", "session", "event_time", "knowledge_time")

# Where each instrument's step functions stand after its last bar in the feature table.
STATES = TableSpec(
    "feature_states",
    pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("rows", pa.int64(), nullable=False),
            pa.field("session", pa.date32(), nullable=False),
            pa.field("knowledge_time", TIMESTAMP, nullable=False),
            pa.field("definitions", pa.string(), nullable=False),
            pa.field("columns", pa.string(), nullable=False),
            pa.field("context", pa.string(), nullable=False),
            pa.field("content", pa.string(), nullable=False),
            pa.field("state", pa.binary(), nullable=False),
        ]
    ),
    ("symbol",),
)


def features_spec(names: Sequence[str]) -> TableSpec:
    """The lake table of features: one Float32 column each beside the keys and clocks."""
    fields = [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("knowledge_time", TIMESTAMP, nullable=False),
        *(pa.field(name, pa.float32()) for name in names),
    ]
    return TableSpec(FEATURES, pa.schema(fields), ("symbol", "event_time"))


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        mode: ``full``, or ``incremental``.
        reason: why it was full; empty for an incremental one.
        new_rows: rows written now.
        rows: rows of the table.
        digest: SHA-256 of the table's content for a full build; of the content before and the new rows for an
            incremental one.
    """

    mode: str
    reason: str
    new_rows: int
    rows: int
    digest: str


class Content:
    """SHA-256 over blocks of a feature table; it does not hang on where blocks begin."""

    def __init__(self, names: Sequence[str]) -> None:
        self._columns = {name: hashlib.sha256() for name in ("symbol", "event_time", "knowledge_time", *names)}
        self._values, self._missing = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_)
        self.rows = 0

    def add(self, block: pl.DataFrame) -> None:
        """Take in the next rows."""
        self.rows += block.height
        for name, found in self._columns.items():
            column = block[name]
            if column.dtype == pl.Float32:
                found.update(self._with_one_nan(column.to_numpy()).data)
            elif column.dtype == pl.String:
                found.update("\n".join([*column.to_list(), ""]).encode())
            else:
                found.update(np.ascontiguousarray(column.to_physical().to_numpy()).data)

    def _with_one_nan(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy whose missing values have the same bits; it stands until the next one is asked for."""
        if len(self._values) != len(values):
            self._values, self._missing = np.empty_like(values), np.empty(len(values), dtype=np.bool_)
        np.copyto(self._values, values)
        np.copyto(self._values, np.float32(np.nan), where=np.isnan(values, out=self._missing))
        return self._values

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        parts = [f"{name} {found.hexdigest()}" for name, found in self._columns.items()]
        return hashlib.sha256("\n".join([str(self.rows), *parts]).encode()).hexdigest()


def build_table(
    lake: Lake,
    market: MarketData,
    features: Sequence[Feature],
    *,
    threads: int,
    full: bool = False,
    on_rows: Callable[[int, int], None] | None = None,
) -> Built:
    """Bring the feature table up to date.

    Only sessions after the newest one in the table are computed where everything before stands as it was: the same
    definitions, the same earlier bars, nothing that has since become known of an earlier time. Else all is built anew.

    Args:
        lake: holds the table, and beside it the states.
        market: all that is known.
        features: the table's columns, in order.
        threads: the result does not depend on it.
        full: build anew whatever there is.
        on_rows: told the number of rows done, and of all.
    """
    kept, reason = (None, "asked for") if full else _kept(lake, market, features)
    build = FeatureBuild(market.bars, features, market.context(), threads=threads, kept=kept.states if kept else None)
    content = Content([feature.name for feature in features])
    total = market.bars.height - (sum(kept.states.rows.values()) if kept else 0)

    def told(blocks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for block in blocks:
            content.add(block)
            if on_rows is not None:
                on_rows(content.rows, total)
            yield block

    spec = features_spec([feature.name for feature in features])
    if kept is None:
        # While one block is written, the next is gone over and others are computed.
        replace_by_files(lake, spec, _ahead(told(_ahead(build.blocks(), BLOCKS_AHEAD)), 1), INDEXED)
        digest = content.hexdigest()
    else:
        new = pl.concat(list(told(build.blocks())))
        if new.height:
            lake.append(spec, new)
        digest = hashlib.sha256(f"{kept.content} {content.hexdigest()}".encode()).hexdigest()
    if kept is None or content.rows:
        _keep(lake, market, build, spec, digest)
    else:
        digest = kept.content
    mode = "full" if kept is None else "incremental"
    return Built(mode, reason, content.rows, market.bars.height, digest)


def _ahead(blocks: Iterator[pl.DataFrame], count: int) -> Iterator[pl.DataFrame]:
    """The same blocks; so many are made while the present one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, blocks, None) for _ in range(count))
        while (block := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, blocks, None))
            yield block


@dataclass(frozen=True)
class _Kept:
    states: KeptStates
    content: str


def _kept(lake: Lake, market: MarketData, features: Sequence[Feature]) -> tuple[_Kept | None, str]:
    """The states to go on from, or the reason why there are none."""
    if not lake.exists(STATES.name) or not lake.exists(FEATURES):
        return None, "first build"
    rows = lake.scan(STATES.name).collect().sort("symbol")
    build = FeatureBuild(market.bars, features, market.context(), threads=1)
    columns = _columns([feature.name for feature in features])
    if rows.is_empty() or set(rows["definitions"]) != {build.digest} or set(rows["columns"]) != {columns}:
        return None, "the features asked for, or their definitions, have changed"
    if lake.scan(FEATURES).select(pl.len()).collect().item() != rows["rows"].sum():
        return None, "the feature table does not end where its states do"
    changed = _changed(market, rows)
    if changed:
        return None, changed
    states = {symbol: np.frombuffer(state, dtype="<f8") for symbol, state in rows.select("symbol", "state").iter_rows()}
    counts = dict(zip(rows["symbol"], rows["rows"], strict=True))
    return _Kept(KeptStates(build.digest, states, counts), rows["content"][0]), ""


def _changed(market: MarketData, rows: pl.DataFrame) -> str:
    """What of the time already built is no longer as it was; empty if nothing."""
    bars = market.bars.with_columns(place=pl.int_range(1, pl.len() + 1).over("symbol"))
    last = rows.join(bars, left_on=["symbol", "rows"], right_on=["symbol", "place"], how="left", suffix="_now")
    same = (pl.col("session") == pl.col("session_now")) & (pl.col("knowledge_time") == pl.col("knowledge_time_now"))
    moved = last.filter(~same.fill_null(value=False))
    if moved.height:
        return f"earlier bars of {moved.height} instruments have changed, first {moved['symbol'][0]}"
    newest: date = rows["session"].max()  # type: ignore[assignment]  # a column without nulls
    new = bars.join(rows.select("symbol", done="rows"), on="symbol", how="left").filter(
        pl.col("place") > pl.col("done").fill_null(0)
    )
    if new.filter(pl.col("session") <= newest).height:
        return f"bars of sessions up to {newest} have come in since"
    until: datetime = rows["knowledge_time"].max()  # type: ignore[assignment]  # a column without nulls
    if set(rows["context"]) != {market.known_until(until)}:
        return f"macro, facts, news or tweets known by {until:%Y-%m-%d %H:%M} have come in since"
    return ""


def _keep(lake: Lake, market: MarketData, build: FeatureBuild, spec: TableSpec, digest: str) -> None:
    lasts = market.bars.group_by("symbol").agg(pl.len(), pl.col("session").last(), pl.col("knowledge_time").last())
    places = {row[0]: row[1:] for row in lasts.iter_rows()}
    keep_states(
        lake, market, spec, (build.digest, digest), places, lambda symbol: build.states[symbol].astype("<f8").tobytes()
    )


def keep_states(
    lake: Lake,
    market: MarketData,
    spec: TableSpec,
    digests: tuple[str, str],
    places: Mapping[str, tuple[int, date, datetime]],
    state_of: Callable[[str], bytes],
) -> None:
    """Write down where each instrument stands, for the next build to go on from.

    Args:
        lake: holds the states.
        market: what was known beside the bars.
        spec: the feature table.
        digests: of the definitions, and of the table's content.
        places: by symbol, how many bars it has, and session and knowledge time of the last.
        state_of: the state after the last bar of a symbol, float64 in little-endian order.
    """
    until = max(known for _, _, known in places.values())
    same = {"definitions": digests[0], "columns": _columns(spec.schema.names[4:])}
    same |= {"context": market.known_until(until), "content": digests[1]}

    def parts() -> Iterator[pl.DataFrame]:
        symbols = sorted(places)
        for start in range(0, len(symbols), 64):
            yield pl.DataFrame(
                [
                    {
                        "symbol": symbol,
                        **dict(zip(("rows", "session", "knowledge_time"), places[symbol], strict=True)),
                        **same,
                        "state": state_of(symbol),
                    }
                    for symbol in symbols[start : start + 64]
                ]
            )

    replace_by_files(lake, STATES, parts(), STATES.key)


def _columns(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def summary_of(built: Built) -> dict[str, Any]:
    """The build's part of the step's figures."""
    return {"mode": built.mode, "reason": built.reason, "new_rows": built.new_rows, "rows": built.rows}
