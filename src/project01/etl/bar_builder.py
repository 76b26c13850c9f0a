"""Bars from trades, with every version a bar went through as late trades, cancels and corrections became known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.etl import bar_kernel
from project01.etl.bar_versions import INSTANT, CountingRows, RevisionLimits, counting_rows, interval_microseconds
from project01.etl.sale_conditions import NOTATIONS, Notation, notation_of, updates

_PRICES = ("open", "high", "low", "close")
_KEYS = ("source", "symbol", "event_time", "source_id")
_NEEDED = (
    *_KEYS, "session", "simulated", "licence", "sequence", "price", "size", "code", "end", "since", "until",
)  # fmt: skip


@dataclass(frozen=True)
class BuiltBars:
    """What trades became.

    Attributes:
        versions: one row a version of a bar, sorted by source, symbol, event_time and knowledge_time, with columns
            source, source_id, symbol, interval, event_time (the bar's end), knowledge_time, session, open, high, low,
            close, volume, vwap, trades, simulated, licence.
        late: the rows of the tape that changed no bar, with `reason`, one of `LateReason`.
        counts: trades, duplicates, conflicts, unknown_conditions (trades with a condition in no table),
            unmatched_cancels, late, bars, versions.
    """

    versions: pl.DataFrame
    late: pl.DataFrame
    counts: Mapping[str, int]


def build_bars(
    trades: pl.DataFrame,
    interval: str = "1s",
    *,
    limits: RevisionLimits | None = None,
    notations: Mapping[str, Notation] = NOTATIONS,
) -> BuiltBars:
    """Bars of every source and symbol; a function of the set of trades, whatever their order and repetition.

    The bar of [s, e) is first known at e, with the trades known by then; each trade, cancel or correction of it that
    becomes known later makes a new version at its own knowledge time, as long as the limits allow. So the newest
    version known at a time is the bar of the trades known at that time. A version that says the same as the one before
    is left out.

    What cannot be said stays missing: a bar whose trades may set no price (odd lots, average prices) has volume and no
    prices; a bar that has lost all its trades has a version with 0 trades, volume 0 and no prices.

    Args:
        trades: rows of the lake's trades table, accepted by `check_trades`.
        interval: such as 1s, 5s, 1m, 1h; bars start at whole multiples of it since midnight UTC.
        limits: how long a bar may change; None: the defaults.
        notations: in whose codes a source writes its sale conditions; a source left out writes the tape's letters.
    Raises:
        SchemaError: columns or types do not fit. InputError: the interval cannot be read.
    """
    step = interval_microseconds(interval)
    counting = counting_rows(trades, step, limits or RevisionLimits())
    coded, unknown = _with_codes(counting.rows, notations)
    rows = _in_order(coded)
    versions = _as_frame(rows, interval, *_versions(rows))
    late = counting.late.sort(pl.struct(_KEYS), pl.struct(pl.all()))
    return BuiltBars(versions, late, _counts(trades, counting, versions, unknown))


def _counts(trades: pl.DataFrame, counting: CountingRows, versions: pl.DataFrame, unknown: int) -> dict[str, int]:
    return {
        "trades": trades.height,
        "duplicates": counting.duplicates,
        "conflicts": counting.conflicts,
        "unknown_conditions": unknown,
        "unmatched_cancels": counting.unmatched_cancels,
        "late": counting.late.height,
        "bars": versions.select(pl.struct("source", "symbol", "event_time").n_unique()).item(),
        "versions": versions.height,
    }


def _with_codes(rows: pl.DataFrame, notations: Mapping[str, Notation]) -> tuple[pl.DataFrame, int]:
    """The rows with `code`, what each may set; and how many carry a condition in no table."""
    key = ("source", "tape", "conditions")
    written = rows.select(pl.col(name).cast(pl.Categorical) for name in key)  # numbers join faster than text
    kinds = written.unique()
    found = [updates(conditions, notation_of(source, tape, notations)) for source, tape, conditions in kinds.rows()]
    kinds = kinds.with_columns(
        pl.Series("code", [allowed.code for allowed, _ in found], pl.UInt8),
        pl.Series("unknown", [unknown > 0 for _, unknown in found], pl.Boolean),
    )
    coded = written.join(kinds, on=key, how="left", nulls_equal=True, maintain_order="left")
    return rows.with_columns(coded["code"]), int(coded["unknown"].sum())


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted as trades follow each other, with `series`, the number of each source and symbol.

    Without a sequence number a trade comes before those of the same instant that have one.
    """
    series = rows.select("source", "symbol").unique().sort("source", "symbol").with_row_index("series")
    rows = rows.select(_NEEDED).join(series, on=["source", "symbol"], how="left", maintain_order="left")
    order = ["series", "event_time", "sequence"]
    sorted_rows = rows.sort(order)
    tied = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in order)
    # Text takes long to sort, and the tape's sequence numbers hardly ever leave anything to decide.
    undecided = sorted_rows.height > 1 and sorted_rows.select(tied.any()).item()
    return rows.sort(*order, "source_id", "since") if undecided else sorted_rows


def _versions(rows: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    series, end = rows["series"].to_numpy(), rows["end"].to_numpy()
    since, until = rows["since"].to_numpy(), rows["until"].to_numpy()
    new = np.flatnonzero((np.diff(series) != 0) | (np.diff(end) != 0)) + 1
    first = np.concatenate([[0], new]) if rows.height else np.empty(0, np.int64)
    changes = int((since > end).sum() + ((until > end) & (until != bar_kernel.FOREVER)).sum())
    bar, known, content = bar_kernel.versions(
        np.append(first, rows.height).astype(np.int64),
        end[first],
        rows["price"].to_numpy(),
        rows["size"].cast(pl.Float64).to_numpy(),
        rows["code"].to_numpy(),
        since,
        until,
        len(first) + changes,
    )
    return end[first][bar], known, content


def _as_frame(
    rows: pl.DataFrame, interval: str, end: NDArray[np.int64], known: NDArray[np.int64], content: NDArray[np.float64]
) -> pl.DataFrame:
    origin = rows[content[:, bar_kernel.FIRST].astype(np.int64)]
    volume, turnover = content[:, bar_kernel.VOLUME], content[:, bar_kernel.TURNOVER]
    vwap = np.divide(turnover, volume, out=np.full(len(volume), np.nan), where=volume > 0)
    numbers = {name: content[:, place] for place, name in enumerate(_PRICES)} | {"volume": volume, "vwap": vwap}
    return origin.select(
        pl.concat_str(pl.lit("built:"), "source").alias("source"),
        pl.format("{}:{}:{}", "symbol", pl.lit(interval), pl.Series(end)).alias("source_id"),
        "symbol",
        pl.lit(interval).alias("interval"),
        pl.Series("event_time", end).cast(INSTANT),
        pl.Series("knowledge_time", known).cast(INSTANT),
        "session",
        *(pl.Series(name, values).fill_nan(None) for name, values in numbers.items()),
        pl.Series("trades", content[:, bar_kernel.TRADES]).cast(pl.Int64),
        "simulated",
        "licence",
    )
