"""Other futures of the same past: what the look-ahead audit does to all that was known only after a time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import InputError

Change = Literal["noise", "nothing", "restated", "late", "universe", "split", "readjusted"]
Tables = Mapping[str, pl.DataFrame]
CHANGES: tuple[Change, ...] = ("noise", "nothing", "restated", "late", "universe", "split", "readjusted")
KNOWN = "knowledge_time"
BARS = "bars"
ACTIONS = "corporate_actions"
# Symbols that come only later, one before and one after all others in every sort order.
STRANGERS = ("!LATER", "~LATER")
RESTATED_BARS = 0.1
# A power of two, so that a level moved by it gives the same ratios to the bit.
SPLIT = 2.0

_PRICES = ("open", "high", "low", "close", "vwap")
# What says which fact a row is, and when; a changed future leaves it as it is.
_IDENTITY = {
    "source", "source_id", "symbol", "session", "interval", "series_id", "concept", "unit", "kind", "period",
    "period_end", "period_start", "effective", "fiscal_year", "fiscal_period", "form", "accession", "adjusted",
    "licence", "currency",
}  # fmt: skip


def perturb(
    tables: Tables, cut: np.datetime64 | NDArray[np.datetime64], change: Change, seed: int, only: str | None = None
) -> dict[str, pl.DataFrame]:
    """`tables` with another future; what was known at `cut` stays as it was.

    Args:
        tables: by name, each with a column knowledge_time. ``bars`` has symbol, session, event_time, close and, where
            known, open, high, low, vwap, adj_close, volume and factor.
        cut: datetime64[us], UTC.
        change: ``noise`` gives later rows other values (a bar stays a possible bar) and lists two names that trade only
            later. ``nothing`` deletes later rows. ``restated`` adds, one microsecond after the cut, another version of
            earlier rows: a tenth of the bars, all rows of the other tables. ``late`` adds earlier events of names
            and periods that become known one microsecond after the cut. ``universe`` ends half of the names at the cut
            and lists two new ones. ``split`` halves later prices, doubles later volumes and tells the split where there
            is a table corporate_actions. ``readjusted`` halves every adj_close, of the past too, as a vendor does who
            adjusts back for a later split: the level knows the future, the ratio of neighbours does not.
        seed: of the noise; each table draws its own.
        only: the one table to change; None: all.
    Returns:
        All tables; one that the change does not concern is the same object as before.
    """
    instant = _instant(cut)
    changed = dict(tables)
    for name, rows in tables.items():
        if only is None or name == only:
            generator = np.random.default_rng([seed, crc32(name.encode())])
            changed[name] = _CHANGED[change](name, rows, instant, generator)
    return changed


def _instant(cut: np.datetime64 | NDArray[np.datetime64]) -> pl.Expr:
    moment: datetime = cut.astype("datetime64[us]").item()
    return pl.lit(moment).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def cut_times(rows: pl.DataFrame, times: int, seed: int) -> NDArray[np.datetime64]:
    """Random times at which something became known, none of them among the first or last tenth of those times.

    Raises:
        InputError: fewer than ten times are known.
    """
    known = np.unique(rows[KNOWN].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]"))
    inner = known[len(known) // 10 : len(known) - len(known) // 10]
    if len(known) < 10:
        raise InputError(f"The audit cuts at times something became known; found {len(known)}, expected at least 10.")
    picked = np.random.default_rng(seed).choice(inner, size=min(times, len(inner)), replace=False)
    return np.sort(picked)


def _noise(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:
    past, later = _parted(rows, instant)
    future = _noisy(name, later, generator)
    return pl.concat([past, *_with_strangers(future)]) if name == BARS else pl.concat([past, future])


def _nothing(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:  # noqa: ARG001
    return _parted(rows, instant)[0]


def _restated(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:
    past, _ = _parted(rows, instant)
    share = RESTATED_BARS if name == BARS else 1.0
    picked = past.filter(pl.Series(generator.random(past.height) < share))
    return pl.concat([rows, _noisy(name, picked, generator).with_columns(_just_after(instant))])


def _late(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:
    past, _ = _parted(rows, instant)
    if "symbol" in rows.columns and past["symbol"].null_count() < past.height:
        told = pl.concat(_with_strangers(past)[1:])
    else:
        told = _noisy(name, past.filter(pl.Series(generator.random(past.height) < 0.5)), generator)
    if "period" in told.columns:
        told = told.with_columns(pl.col("period") + pl.duration(days=1))
    if "source_id" in told.columns:
        told = told.with_columns(pl.col("source_id") + ":late")
    return pl.concat([rows, told.with_columns(_just_after(instant))])


def _universe(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:  # noqa: ARG001
    if "symbol" not in rows.columns:
        return rows
    past, later = _parted(rows, instant)
    names = rows["symbol"].drop_nulls().unique().sort()
    kept = later.filter(pl.col("symbol").is_null() | pl.col("symbol").is_in(names.gather_every(2).to_list()))
    return pl.concat([past, *_with_strangers(kept)]) if name == BARS else pl.concat([past, kept])


def _split(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:  # noqa: ARG001
    if name == BARS:
        later = pl.col(KNOWN) > instant
        scales = {**dict.fromkeys((*_PRICES, "adj_close"), 1 / SPLIT), "volume": SPLIT, "factor": SPLIT}
        return rows.with_columns(
            pl.when(later).then(pl.col(column) * scale).otherwise(column).alias(column)
            for column, scale in scales.items()
            if column in rows.columns
        )
    if name == ACTIONS and rows.height:
        told = rows.unique("symbol", maintain_order=True).with_columns(
            _just_after(instant), instant.dt.date().alias("effective"), kind=pl.lit("split"), ratio=pl.lit(SPLIT)
        )
        return pl.concat([rows, told])
    return rows


def _readjusted(name: str, rows: pl.DataFrame, instant: pl.Expr, generator: np.random.Generator) -> pl.DataFrame:  # noqa: ARG001
    if name != BARS or "adj_close" not in rows.columns:
        return rows
    return rows.with_columns(pl.col("adj_close") / SPLIT)


_CHANGED: dict[Change, Callable[[str, pl.DataFrame, pl.Expr, np.random.Generator], pl.DataFrame]] = {
    "noise": _noise,
    "nothing": _nothing,
    "restated": _restated,
    "late": _late,
    "universe": _universe,
    "split": _split,
    "readjusted": _readjusted,
}


def _parted(rows: pl.DataFrame, instant: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    later = pl.col(KNOWN) > instant
    return rows.filter(~later), rows.filter(later)


def _just_after(instant: pl.Expr) -> pl.Expr:
    return (instant + pl.duration(microseconds=1)).alias(KNOWN)


def _with_strangers(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows, then those of their first symbol again under each name that comes later."""
    model = rows.filter(pl.col("symbol") == pl.col("symbol").min())
    return [rows, *(model.with_columns(pl.lit(name).alias("symbol")) for name in STRANGERS)]


def _noisy(name: str, rows: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    return _other_bars(rows, generator) if name == BARS else _other_values(rows, generator)


def _factor(rows: pl.DataFrame, spread: float, generator: np.random.Generator) -> pl.Series:
    return pl.Series(np.exp(generator.normal(0.0, spread, rows.height)))


def _other_bars(rows: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    # Each price moves by itself, or the ratios within a later bar (its range, its gap) would stay as they are.
    level = _factor(rows, 0.3, generator)
    prices = [name for name in _PRICES if name in rows.columns]
    moved = rows.with_columns((pl.col(name) * level * _factor(rows, 0.02, generator)).alias(name) for name in prices)
    ends = (("high", pl.max_horizontal(prices)), ("low", pl.min_horizontal(prices)))
    changes = [pl.when(pl.col(name).is_not_null()).then(end).alias(name) for name, end in ends if name in rows.columns]
    if "adj_close" in rows.columns:
        changes.append((pl.col("adj_close") * level * _factor(rows, 0.05, generator)).alias("adj_close"))
    if "volume" in rows.columns:
        volume = (pl.col("volume") * _factor(rows, 1.0, generator)).round()
        changes.append(volume.cast(rows.schema["volume"]).alias("volume"))
    return moved.with_columns(changes)


def _other_values(rows: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    """Values, texts and labels of other rows, numbers scaled besides; weights only shrink, so that a book stays one."""
    changes: list[pl.Expr | pl.Series] = []
    for name, kind in rows.schema.items():
        if name in _IDENTITY or kind.is_temporal():
            continue
        if name == "weight":
            changes.append((pl.col(name) * pl.Series(generator.random(rows.height))).alias(name))
            continue
        shuffled = rows[name].gather(pl.Series(generator.permutation(rows.height), dtype=pl.UInt32))
        changes.append((shuffled * _factor(rows, 0.5, generator)).cast(kind) if kind.is_float() else shuffled)
    return rows.with_columns(changes)
