"""VIX, Treasury yields and a benchmark from files of the user."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import polars as pl

from project01.domain import BARS, MACRO, InputError, SchemaError, TradingCalendar, trading_calendar
from project01.ingest.columns import guess_columns, normalise
from project01.ingest.dates import DateReader
from project01.ingest.file_rows import symbol_of
from project01.ingest.files import SkippedFile
from project01.ingest.numbers import to_number
from project01.ingest.series import (
    INDEX_SOURCE,
    NEW_YORK,
    Series,
    index_records,
    vix_records,
    yield_records,
)
from project01.ingest.source import Batch
from project01.ingest.tabular import SUFFIXES, Table, read_table, suffix_of

_TENOR = re.compile(r"(?:dgs|us|bc)?(\d+)(m|mo|month|months|y|yr|year|years)?")
_MONTHS = ("m", "mo", "month", "months")


class MacroFilesSource:
    """The VIX and Treasury yields from CSV or Parquet, one file or a folder.

    A file whose name has ``vix`` in it and that has a close gives series ``VIX``, in index points. A file with a date
    and columns such as ``1month``, ``10year`` or ``DGS10`` gives ``DGS1MO`` to ``DGS30`` as fractions; a file of values
    in percent (any above 1) is divided by 100. Anything else is listed in `skipped`.
    """

    name = "macro-files"
    simulated = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        """Files left out, with the reason."""
        return self._loaded[1]

    def read(self) -> Iterator[Batch]:
        """One batch with the rows of every series found, sorted by series and period.

        Raises:
            InputError: there is neither a VIX nor a yield in any file.
        """
        yield self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[Batch, tuple[SkippedFile, ...]]:
        rows: list[pl.DataFrame] = []
        skipped: list[SkippedFile] = []
        calendar = trading_calendar()
        for path in _files(self.path):
            try:
                rows += _series_rows(path, self.name, calendar)
            except InputError as error:
                skipped.append(SkippedFile.because(path.name, error))
        if not rows:
            reasons = "; ".join(f"{file.name}: {file.reason}" for file in skipped[:5])
            raise InputError(
                f"{self.path}: neither a VIX (a file with 'vix' in its name and a close) nor Treasury yields (columns "
                f"such as 10year). Found: {reasons or 'no file'}."
            )
        return Batch(MACRO, pl.concat(rows).sort("series_id", "period")), tuple(skipped)


class BenchmarkFileSource:
    """An index or fund to compare with, from one file with a date and a close, an adjusted close or a daily return.

    The adjusted close goes before the close; a ``return`` column is chained to a level that starts at 1.
    """

    name = INDEX_SOURCE
    simulated = False

    def __init__(self, path: str | Path, symbol: str | None = None) -> None:
        """Point at `path`; `symbol` is taken from the file's name unless given."""
        self.path = Path(path)
        self.symbol = symbol or symbol_of(self.path)

    def read(self) -> Iterator[Batch]:
        """One batch of close-only bars under the source ``benchmark``.

        Raises:
            InputError: the file cannot be read.
            SchemaError: it has no date, or neither close nor return.
        """
        table = read_table(self.path)
        columns = guess_columns(table.frame.columns)
        returns = [name for name in table.frame.columns if normalise(name) in ("return", "ret", "returns")]
        price = columns.get("adj_close") or columns.get("close")
        if "session" not in columns or not (price or returns):
            raise SchemaError(
                f"{self.path.name}: found {', '.join(table.frame.columns)}; a benchmark needs a date and one of close, "
                "adj_close or return. Rename the columns."
            )
        days = _days(table, columns["session"], self.path.name)
        if price:
            closes = _values(table, price)
        else:
            chained = pl.DataFrame({"day": days, "return": _values(table, returns[0])}).sort("day")
            days, closes = chained["day"], (chained["return"] + 1).cum_prod()
        yield Batch(BARS, index_records(self.symbol, days, closes, trading_calendar()))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder. Check the path.")
    return sorted(file for file in path.rglob("*") if file.is_file() and suffix_of(file) in SUFFIXES)


def _series_rows(path: Path, source: str, calendar: TradingCalendar) -> list[pl.DataFrame]:
    """Records of the series in one file.

    Raises:
        InputError: the file cannot be read, or holds no series known here.
    """
    table = read_table(path)
    tenors = _tenors(table.frame.columns)
    columns = guess_columns([name for name in table.frame.columns if name not in tenors])
    is_vix = "vix" in path.name.lower() and "close" in columns
    if "session" not in columns or not (is_vix or tenors):
        raise SchemaError(f"found {', '.join(table.frame.columns)}; neither a VIX nor Treasury yields")
    days = _days(table, columns["session"], path.name)
    if is_vix:
        return [vix_records(Series("VIX", days, _values(table, columns["close"])), source, calendar)]
    values = {series_id: _values(table, name) for name, series_id in tenors.items()}
    largest = max(float(column.max() or 0) for column in values.values())  # type: ignore[arg-type]
    scale = 100.0 if largest > 1 else 1.0
    return [yield_records(Series(series_id, days, column / scale), source) for series_id, column in values.items()]


def _tenors(header: list[str]) -> dict[str, str]:
    """The file's column -> FRED's name of the yield: ``10year`` -> ``DGS10``, ``3month`` -> ``DGS3MO``."""
    found = {}
    for name in header:
        match = _TENOR.fullmatch(name.lower().replace(" ", "").replace("_", ""))
        if match and (match[2] or name.lower().startswith("dgs")):
            found[name] = f"DGS{match[1]}MO" if match[2] in _MONTHS else f"DGS{match[1]}"
    return found


def _days(table: Table, column: str, where: str) -> pl.Series:
    dates = DateReader(NEW_YORK).read(table.frame[column], f"{where}, column {column!r}")
    return dates.sessions(NEW_YORK)


def _values(table: Table, column: str) -> pl.Series:
    cells = table.frame[column]
    return to_number(cells, table.separator) if cells.dtype == pl.String else cells.cast(pl.Float64)
