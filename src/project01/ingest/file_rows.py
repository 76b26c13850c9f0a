"""One file of bars: its columns under our names, numbers as numbers, dates still as written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from project01.domain import SchemaError
from project01.ingest.columns import ALIASES, guess_columns, missing_columns, normalise
from project01.ingest.numbers import is_unreadable, to_number
from project01.ingest.tabular import Table, header_of, is_text, read_table, stem_of

NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")
# Words that file names carry beside the symbol: AAPL_daily_2010.csv is AAPL.
_FILLER = re.compile(r"daily|1d|day|ohlcv?|prices?|bars?|hist(ory|orical)?|data|max|close|adj(usted)?|us|\d{4,8}|\d+y")
REPEATED_DATES = 0.1


@dataclass(frozen=True)
class FileRows:
    """The rows of one file.

    Attributes:
        name: path relative to the folder given.
        original: the file as read.
        columns: our column -> the file's column.
        rows: line (from 1, the header not counted), symbol (String, null if empty), when (as in the file), the
            numbers (Float64), unreadable (name of the first number that is none, else null).
    """

    name: str
    original: pl.DataFrame
    columns: Mapping[str, str]
    rows: pl.DataFrame

    @property
    def symbol_from(self) -> str:
        """Where the symbol comes from, in words."""
        return f"column {self.columns['symbol']}" if "symbol" in self.columns else "(the file's name)"

    @property
    def close_only(self) -> bool:
        """Whether the file carries closes and no open, high and low."""
        return not {"open", "high", "low"} & set(self.columns)

    @property
    def signature(self) -> tuple[object, ...]:
        """Files of equal signature are read as one, so that their dates are read in one way."""
        return (tuple(sorted(self.columns.items())), str(self.rows["when"].dtype))


def read_file(path: Path, name: str, override: Mapping[str, str]) -> FileRows:
    """The bars of one file.

    Raises:
        InputError: the file cannot be read.
        SchemaError: its columns are not those of bars.
    """
    if not is_text(path):  # the header alone tells, and Parquet gives it without the rows
        _columns(header_of(path), name, override)
    table = read_table(path)
    columns = _columns(table.frame.columns, name, override)
    rows = _numbers(table, columns, name).with_columns(
        pl.int_range(1, pl.len() + 1).alias("line"),
        table.frame[columns["session"]].alias("when"),
        _symbols(table.frame, columns, path).alias("symbol"),
    )
    if "symbol" not in columns:
        _refuse_many_symbols(rows, columns, name)
    return FileRows(name, table.frame, columns, rows)


def _columns(header: list[str], name: str, override: Mapping[str, str]) -> dict[str, str]:
    columns = guess_columns(header, override)
    missing = missing_columns(columns)
    if missing:
        raise SchemaError(
            f"{name}: no column for {' and '.join(missing)}; found {', '.join(header)}; expected at least a date and a "
            f"close. If it is there under another name, pass mapping={{{missing[0]!r}: <column>}}."
        )
    if "size" in map(normalise, header) and not {"open", "high", "low"} & set(columns):
        raise SchemaError(f"{name}: single trades (price and size), not bars. Build bars from them first.")
    return columns


def _numbers(table: Table, columns: Mapping[str, str], name: str) -> pl.DataFrame:
    frame, found = table.frame, {}
    unreadable = pl.Series("unreadable", [None], dtype=pl.String).new_from_index(0, frame.height)
    for ours in reversed(NUMBERS):
        if ours not in columns:
            found[ours] = pl.Series([None], dtype=pl.Float64).new_from_index(0, frame.height)
            continue
        cells = frame[columns[ours]]
        if cells.dtype == pl.String:
            found[ours] = to_number(cells, table.separator)
            bad = is_unreadable(cells, found[ours])
            _refuse_text(cells, bad, ours, columns[ours], name)
            unreadable = pl.select(pl.when(bad).then(pl.lit(ours)).otherwise(unreadable)).to_series()
        elif cells.dtype.is_numeric() or cells.dtype == pl.Null:
            found[ours] = cells.cast(pl.Float64)
        else:
            raise SchemaError(f"{name}: column {columns[ours]!r} for {ours} is {cells.dtype}; expected numbers.")
        if not found[ours].is_finite().fill_null(value=False).any() and found[ours].is_nan().any():
            found[ours] = found[ours].fill_nan(None)  # nothing but NaN: the column is not carried
    return pl.DataFrame({ours: found[ours] for ours in NUMBERS}).with_columns(unreadable.alias("unreadable"))


def _refuse_text(cells: pl.Series, bad: pl.Series, ours: str, theirs: str, name: str) -> None:
    if int(bad.sum()) > len(cells) / 2:
        raise SchemaError(
            f"{name}: column {theirs!r} for {ours} holds text such as {cells.filter(bad)[0]!r}; expected numbers. "
            f"Pass mapping={{{ours!r}: <a column of numbers>}}, or write 1.5 rather than 1,5."
        )


def _symbols(frame: pl.DataFrame, columns: Mapping[str, str], path: Path) -> pl.Series:
    if "symbol" not in columns:
        return pl.Series([symbol_of(path)]).new_from_index(0, frame.height)
    text = frame[columns["symbol"]].cast(pl.String).str.strip_chars()
    return pl.select(pl.when(text != "").then(text)).to_series()


def symbol_of(path: Path) -> str:
    """The symbol a file is named after: ``aapl_daily_2010.csv`` -> ``AAPL``, ``BRK-B.csv`` -> ``BRK-B``."""
    words = stem_of(path).split("_")
    kept = [word for word in words if not _FILLER.fullmatch(word.lower())]
    return "_".join(kept or words).upper()


def _refuse_many_symbols(rows: pl.DataFrame, columns: Mapping[str, str], name: str) -> None:
    """A file without a symbol column is one series; the same date with many prices says it is not."""
    pairs = rows.select("when", "close").unique()
    if pairs.height - pairs["when"].n_unique() > REPEATED_DATES * rows.height:
        raise SchemaError(
            f"{name}: column {columns['session']!r} has the same dates again with other prices, and no column for the "
            f"symbol was found among {', '.join(ALIASES['symbol'])}. Pass mapping={{'symbol': <column>}}."
        )
