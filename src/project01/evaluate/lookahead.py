"""The look-ahead audit: change all that is known after a time; nothing before it may differ, bit for bit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.evaluate.futures import CHANGES, Change, Tables, perturb

Outputs = Mapping[str, pl.DataFrame]
Compute = Callable[[Tables, np.datetime64], Outputs]
_KEYS = ("symbol", "as_of", "item")


@dataclass(frozen=True)
class Layer:
    """One step of the chain, as the audit sees it.

    Attributes:
        name: of the layer.
        tables: what it reads as it is stored, by name, each with a column knowledge_time.
        compute: tables and the time they are read at -> outputs by name, each with as_of, symbol where it belongs to
            one, item where that does not yet name one row, and value columns.
        changes: what is done to the future of its tables at every cut.
        in_turn: what is done besides, one at a cut.
        reads_at_cut: whether the outputs hang on the time read at; if not, they are computed once for all cuts.
    """

    name: str
    tables: Tables = field(repr=False)
    compute: Compute = field(repr=False)
    changes: Sequence[Change] = CHANGES
    in_turn: Sequence[Change] = ()
    reads_at_cut: bool = False

    def changes_at(self, number: int) -> tuple[Change, ...]:
        """What is done at the cut of this number."""
        turn = (self.in_turn[number % len(self.in_turn)],) if self.in_turn else ()
        return (*self.changes, *turn)


@dataclass(frozen=True)
class Leak:
    """The first value of an output found to depend on the future.

    Attributes:
        layer: the layer whose inputs at or before the cut were untouched and whose output was not.
        output: column that differs, with its table where the layer has several, or ``rows`` where a row came or went.
        change: what was done to the future.
        cut: time after which it was done.
        symbol, as_of: the row that differs; as_of is at or before the cut.
        before, after: its value with the true and with the changed future.
        through: table by which alone the future came in; empty where it took several, or was not looked for.
    """

    layer: str
    output: str
    change: Change
    cut: str
    symbol: str
    as_of: str
    before: str
    after: str
    through: str = ""

    def __str__(self) -> str:
        what = f"what {self.through} told" if self.through else "what was known"
        return (
            f"{self.layer}: {self.output} of {self.symbol or 'all'} at {self.as_of} was {self.before} and became "
            f"{self.after} when {what} after {self.cut} was changed ({self.change})"
        )


@dataclass(frozen=True)
class LayerAudit:
    """What the audit of one layer found.

    Attributes:
        layer: its name.
        outputs: columns checked.
        values: how many values were compared.
        cuts: number of times cut at.
        leaks: the first one of each output.
    """

    layer: str
    outputs: tuple[str, ...]
    values: int
    cuts: int
    leaks: tuple[Leak, ...]


def audit_layer(
    layer: Layer,
    cuts: NDArray[np.datetime64],
    seed: int,
    on_cut: Callable[[int, int], None] = lambda _done, _total: None,
) -> LayerAudit:
    """Change the future of a layer's tables at each cut, and compare its outputs at or before it.

    Args:
        layer: what is audited.
        cuts: shape (n,), datetime64[us], ascending.
        seed: of the noise.
        on_cut: told how many cuts are done, of how many.
    Returns:
        No leak if no output at or before any cut depends on what came later.
    """
    first: dict[str, tuple[Leak, int]] = {}
    names: dict[str, None] = {}
    compared = 0
    true = {} if layer.reads_at_cut or not len(cuts) else layer.compute(layer.tables, cuts[-1])
    for number, cut in enumerate(cuts):
        before = layer.compute(layer.tables, cut) if layer.reads_at_cut else true
        for change in layer.changes_at(number):
            changed = perturb(layer.tables, cut, change, seed + number)
            if all(changed[name] is rows for name, rows in layer.tables.items()):
                continue
            after = layer.compute(changed, cut if layer.reads_at_cut else cuts[-1])
            found, count = _differences(layer.name, before, after, change, cut)
            compared += count
            for leak in found:
                first.setdefault(leak.output, (leak, number))
        names |= dict.fromkeys(_columns(before))
        on_cut(number + 1, len(cuts))
    leaks = tuple(_traced(layer, leak, cuts[number], seed + number) for leak, number in first.values())
    return LayerAudit(layer.name, tuple(names), compared, len(cuts), leaks)


def _differences(
    layer: str, before: Outputs, after: Outputs, change: Change, cut: np.datetime64
) -> tuple[list[Leak], int]:
    """Differences at or before a cut, at most one a column, and how many values were compared.

    Args:
        layer: named in the leaks.
        before: outputs with the true future.
        after: outputs with another one.
        change: which.
        cut: datetime64[us]; rows with a later as_of are not looked at.
    """
    leaks: list[Leak] = []
    compared = 0
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            gone = name in before
            # Without a future there may be nothing to trade: an output that comes later only may be left out.
            rows = _until(before[name] if gone else after[name], cut)
            if rows.height:
                place = _place(rows.row(0, named=True))
                leaks.append(_rows_leak(layer, name, (change, str(cut)), place, gone=gone))
            continue
        found, count = _compare(name, before[name], after[name], change, cut)
        leaks += [replace(leak, layer=layer) for leak in found]
        compared += count
    return leaks, compared


def _traced(layer: Layer, leak: Leak, cut: np.datetime64, seed: int) -> Leak:
    """The leak with the table by which alone the future comes in, if there is one."""
    if len(layer.tables) == 1:
        return replace(leak, through=next(iter(layer.tables)))
    before = layer.compute(layer.tables, cut)
    for name, rows in layer.tables.items():
        changed = perturb(layer.tables, cut, leak.change, seed, only=name)
        if changed[name] is rows:
            continue
        found, _ = _differences(layer.name, before, layer.compute(changed, cut), leak.change, cut)
        if any(other.output == leak.output for other in found):
            return replace(leak, through=name)
    return leak


def _columns(outputs: Outputs) -> Iterator[str]:
    for table, frame in outputs.items():
        yield from (_label(table, column) for column in frame.columns if column not in _KEYS)


def _label(table: str, column: str) -> str:
    return f"{table}.{column}" if table else column


def _rows_leak(layer: str, table: str, how: tuple[Change, str], where: tuple[str, str], *, gone: bool) -> Leak:
    was, became = ("present", "absent") if gone else ("absent", "present")
    return Leak(layer, _label(table, "rows"), *how, *where, was, became)


def _differ(before: pl.Series, after: pl.Series) -> NDArray[np.bool_]:
    if before.dtype.is_float() and after.dtype == before.dtype:
        left, right = _bits(before), _bits(after)
        return np.asarray(left != right)
    return before.ne_missing(after).to_numpy()


def _bits(values: pl.Series) -> NDArray[np.generic]:
    array = values.to_numpy()
    # One pattern for every not-a-number, so that only real differences count.
    array = np.where(np.isnan(array), np.asarray(np.nan, dtype=array.dtype), array)
    return np.asarray(array.view(f"i{array.dtype.itemsize}"))


def _until(frame: pl.DataFrame, cut: np.datetime64) -> pl.DataFrame:
    """Rows at or before a cut."""
    instant = pl.lit(cut.astype("datetime64[us]").item()).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return frame.filter(pl.col("as_of") <= instant)


def _compare(
    table: str, before: pl.DataFrame, after: pl.DataFrame, change: Change, cut: np.datetime64
) -> tuple[list[Leak], int]:
    keys = [name for name in _KEYS if name in before.columns]
    left, right = (_until(frame, cut).with_columns(pl.lit(value=True).alias("__present")) for frame in (before, after))
    joined = left.join(right, on=keys, how="full", suffix="__after", coalesce=True, nulls_equal=True).sort(keys)
    present, still = (joined[name].fill_null(value=False) for name in ("__present", "__present__after"))
    leaks, how = [], (change, str(cut))
    # A restated row is known later and may take its value out of the past; it may not change one that stays.
    if change != "restated":
        odd = joined.filter(present != still)
        if odd.height:
            row = odd.row(0, named=True)
            leaks.append(_rows_leak("", table, how, _place(row), gone=bool(row["__present"])))
    both = joined.filter(present & still)
    values = [name for name in before.columns if name not in keys]
    for name in values:
        other = f"{name}__after"
        if other not in both.columns:
            leaks.append(Leak("", _label(table, name), *how, "", "", "a column", "none"))
            continue
        different = np.flatnonzero(_differ(both[name], both[other]))
        if different.size:
            row = both.row(int(different[0]), named=True)
            leaks.append(Leak("", _label(table, name), *how, *_place(row), str(row[name]), str(row[other])))
    return leaks, both.height * len(values)


def _place(row: Mapping[str, object]) -> tuple[str, str]:
    names = [str(row[name]) for name in ("symbol", "item") if row.get(name) is not None]
    return " ".join(names), str(row["as_of"])
