"""The look-ahead audit: change all that is known after a time; nothing before it may differ, bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import InputError

Change = Literal["noise", "nothing", "restated"]
CHANGES: tuple[Change, ...] = ("noise", "nothing", "restated")
KNOWN = "knowledge_time"
_PRICES = ("open", "high", "low", "close")
# Symbols that trade only later, one before and one after all others in every sort order.
STRANGERS = ("!LATER", "~LATER")

Compute = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Leak:
    """The first value found to depend on the future.

    Attributes:
        output: column that differs, or ``rows`` where a row came or went.
        change: what was done to the future.
        cut: time after which it was done.
        symbol, as_of: the row that differs; as_of is at or before the cut.
        before, after: its value with the true and with the changed future.
    """

    output: str
    change: Change
    cut: str
    symbol: str
    as_of: str
    before: str
    after: str

    def __str__(self) -> str:
        return (
            f"{self.output} of {self.symbol} at {self.as_of} was {self.before} and became {self.after} when what was "
            f"known after {self.cut} was replaced by {self.change}"
        )


def perturb(rows: pl.DataFrame, cut: NDArray[np.datetime64] | np.datetime64, change: Change, seed: int) -> pl.DataFrame:
    """`rows` with all that was known after `cut` changed.

    Args:
        rows: bars with symbol, session, event_time, knowledge_time, close and, where known, open, high, low, adj_close
            and volume.
        cut: datetime64[us], UTC.
        change: ``noise`` multiplies later prices and volumes by random factors (a bar stays a possible bar) and adds
            two symbols that only trade later; ``nothing`` deletes later rows; ``restated`` adds, one microsecond after
            the cut, a second version of a tenth of the earlier rows.
        seed: of the noise.
    """
    instant = pl.lit(cut.astype("datetime64[us]").item()).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    later = pl.col(KNOWN) > instant
    past = rows.filter(~later)
    if change == "nothing":
        return past
    generator = np.random.default_rng(seed)
    if change == "restated":
        picked = past.filter(pl.Series(generator.random(past.height) < 0.1))
        second = _noisy(picked, generator).with_columns((instant + pl.duration(microseconds=1)).alias(KNOWN))
        return pl.concat([rows, second])
    future = _noisy(rows.filter(later), generator)
    if future.height:
        first = future["symbol"].min()
        model = future.filter(pl.col("symbol") == first)
        future = pl.concat([future, *(model.with_columns(pl.lit(name).alias("symbol")) for name in STRANGERS)])
    return pl.concat([past, future])


def _noisy(rows: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    def factor(spread: float) -> pl.Series:
        return pl.Series(np.exp(generator.normal(0.0, spread, rows.height)))

    # Each price moves by itself, or the ratios within a later bar (its range, its gap) would stay as they are.
    level = factor(0.3)
    moved = rows.with_columns(
        (pl.col(name) * level * factor(0.02)).alias(name) for name in _PRICES if name in rows.columns
    )
    prices = [name for name in _PRICES if name in rows.columns]
    ends = (("high", pl.max_horizontal(prices)), ("low", pl.min_horizontal(prices)))
    changes = [pl.when(pl.col(name).is_not_null()).then(end).alias(name) for name, end in ends if name in rows.columns]
    if "adj_close" in rows.columns:
        changes.append((pl.col("adj_close") * level * factor(0.05)).alias("adj_close"))
    if "volume" in rows.columns:
        changes.append((pl.col("volume") * factor(1.0)).round().cast(rows.schema["volume"]).alias("volume"))
    return moved.with_columns(changes)


def _bits(values: pl.Series) -> NDArray[np.generic]:
    array = values.to_numpy()
    if array.dtype.kind == "f":
        # One pattern for every not-a-number, so that only real differences count.
        array = np.where(np.isnan(array), np.asarray(np.nan, dtype=array.dtype), array)
        return np.asarray(array.view(f"i{array.dtype.itemsize}"))
    return np.asarray(array)


def _compare(before: pl.DataFrame, after: pl.DataFrame, change: Change, cut: str) -> list[Leak]:
    keys = ["symbol", "as_of"]
    joined = before.join(after, on=keys, how="full", suffix="_after", coalesce=True, nulls_equal=True).sort(keys)
    present = joined.with_columns(
        pl.col("__before").fill_null(value=False), pl.col("__before_after").fill_null(value=False)
    )
    leaks = []
    # A restated row is known later and may take its value out of the past; it may not change one that stays.
    if change != "restated":
        odd = present.filter(pl.col("__before") != pl.col("__before_after"))
        if odd.height:
            row = odd.row(0, named=True)
            was, became = ("present", "absent") if row["__before"] else ("absent", "present")
            leaks.append(Leak("rows", change, cut, row["symbol"], str(row["as_of"]), was, became))
    both = present.filter(pl.col("__before") & pl.col("__before_after"))
    for name in before.columns:
        if name in keys or name == "__before":
            continue
        different = np.flatnonzero(_bits(both[name]) != _bits(both[f"{name}_after"]))
        if different.size:
            row = both.row(int(different[0]), named=True)
            leaks.append(
                Leak(name, change, cut, row["symbol"], str(row["as_of"]), str(row[name]), str(row[f"{name}_after"]))
            )
    return leaks


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


def audit_lookahead(
    compute: Compute,
    rows: pl.DataFrame,
    cuts: NDArray[np.datetime64],
    seed: int,
    changes: Sequence[Change] = CHANGES,
    on_cut: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Leak]:
    """Leaks of a computation, at most one for each output column, change and cut.

    Args:
        compute: bars -> frame with symbol, as_of and value columns; as_of is when the values could be known.
        rows: true bars.
        cuts: shape (n,), datetime64[us].
        seed: of the noise.
        changes: what is done to the future at each cut.
        on_cut: told how many cuts are done, of how many.
    Returns:
        Empty if no output at or before any cut depends on what came later.
    """
    true = _keyed(compute(rows))
    leaks: list[Leak] = []
    for number, cut in enumerate(cuts):
        instant = pl.lit(cut.item()).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        before = true.filter(pl.col("as_of") <= instant)
        for change in changes:
            after = _keyed(compute(perturb(rows, cut, change, seed + number))).filter(pl.col("as_of") <= instant)
            leaks += _compare(before, after, change, str(cut))
        on_cut(number + 1, len(cuts))
    return leaks


def _keyed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value=True).alias("__before"))
