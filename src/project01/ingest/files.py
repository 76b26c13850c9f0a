"""Bars from files the user has: one CSV or Parquet file, or a folder of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Literal

import polars as pl

from project01.domain import BARS, DEAD_LETTERS, InputError, SchemaError, TradingCalendar, trading_calendar
from project01.ingest.bar_rows import ADJUSTED, AS_TRADED, Stamping, bar_rows
from project01.ingest.columns import ColumnMapping, check_override
from project01.ingest.dates import DateReader
from project01.ingest.dead_letters import dead_letters
from project01.ingest.file_rows import FileRows, read_file
from project01.ingest.gate_rules import EXPLANATIONS, Reason
from project01.ingest.sessions import exchange_zone
from project01.ingest.source import Batch
from project01.ingest.tabular import SUFFIXES, suffix_of


@dataclass(frozen=True)
class SkippedFile:
    """A file that was left out, and why."""

    name: str
    reason: str

    @classmethod
    def because(cls, name: str, error: InputError) -> "SkippedFile":
        """The file left out for `error`, whose message may start with the file's name too."""
        return cls(name, str(error).removeprefix(f"{name}: ").removeprefix(f"{Path(name).name}: "))


@dataclass(frozen=True)
class _Loaded:
    mappings: tuple[ColumnMapping, ...]
    skipped: tuple[SkippedFile, ...]
    batches: tuple[Batch, ...]


class FilesSource:
    """Daily or intraday bars in CSV (``.csv``, ``.tsv``, gzipped or not) or Parquet, long or one file a symbol.

    Columns and the form of the dates are guessed from the whole file and shown by `mappings`; every guess can be
    overridden. A daily bar's event_time and knowledge_time are its session's close on the exchange's calendar (half
    days close early); a bar within the day is known at its end. Rows whose date, symbol or numbers cannot be read
    arrive as a second batch, for the dead-letter table. Prices go through as they stand: judging them is the gate's
    work.

    Attributes:
        name: ``files:<name of the file or folder>`` unless given.
        simulated: False.
    """

    simulated = False

    def __init__(
        self,
        path: str | Path,
        mapping: Mapping[str, str] | None = None,
        *,
        date_format: str | None = None,
        timezone: str | None = None,
        stamped_at: Literal["start", "end"] = "start",
        adjusted: str = AS_TRADED,
        calendar: TradingCalendar | None = None,
        name: str | None = None,
    ) -> None:
        """Point at `path`; nothing is read yet.

        Args:
            path: a file, or a folder, which is searched to its depths.
            mapping: our column -> column of the files, for session, symbol, open, high, low, close, adj_close, volume.
            date_format: strptime format of the dates, e.g. ``%d/%m/%Y``.
            timezone: IANA zone of times that carry none.
            stamped_at: what the time of a bar within the day marks.
            adjusted: for what the prices were adjusted before they came here, one of `ADJUSTED`.
            calendar: sessions of the exchange; New York's unless given.
            name: value of the source column.
        Raises:
            SchemaError: the mapping names a column that we do not have.
            InputError: `adjusted` is none of those.
        """
        self.path = Path(path)
        self.mapping = dict(mapping or {})
        check_override(self.mapping)
        if adjusted not in ADJUSTED:
            raise InputError(f"adjusted={adjusted!r} is not known; expected one of {', '.join(ADJUSTED)}.")
        self.name = name or f"files:{self.path.resolve().name}"
        self._date_format, self._timezone = date_format, timezone
        self._stamped_at, self._adjusted = stamped_at, adjusted
        self._calendar = calendar

    @property
    def mappings(self) -> tuple[ColumnMapping, ...]:
        """How the files are read, one entry for each kind of header."""
        return self._loaded.mappings

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        """Files left out, with the reason."""
        return self._loaded.skipped

    def read_as(self) -> list[str]:
        """How each kind of file is read, and each file left out with the reason, one sentence each."""
        return [mapping.sentence() for mapping in self.mappings] + [
            f"{file.name} left out: {file.reason}" for file in self.skipped
        ]

    def describe(self) -> str:
        """Mappings and skipped files as text."""
        parts = [mapping.describe() for mapping in self.mappings]
        parts += [f"left out: {file.name}: {file.reason}" for file in self.skipped]
        return "\n".join(parts)

    def read(self) -> Iterator[Batch]:
        """One batch of bars in the order of the files, then one of dead letters if some rows could not be read.

        Raises:
            InputError: nothing at `path`, or a single file that cannot be read.
            SchemaError: no file looks like bars, dates cannot be told, or time zones are mixed.
        """
        yield from self._loaded.batches

    @cached_property
    def _loaded(self) -> _Loaded:
        files, skipped = self._files()
        calendar = self._calendar or trading_calendar()
        reader = DateReader(exchange_zone(calendar), self._date_format, self._timezone)
        stamping = Stamping(calendar, self._stamped_at)
        mappings, bars, letters = [], [], []
        for _, group in groupby(sorted(files, key=lambda file: str(file.signature)), key=lambda file: file.signature):
            members = sorted(group, key=lambda file: file.name)
            first = members[0]
            where = f"{first.name}, column {first.columns['session']!r}"
            rows = pl.concat([file.rows.with_columns(pl.lit(file.name).alias("file")) for file in members])
            dates = reader.read(rows["when"], where)
            rows = stamping.stamp(rows, dates, where)
            bad = _verdict(rows)
            bars.append(bar_rows(rows.filter(bad.is_null()), self.name, self._adjusted))
            if bad.is_not_null().any():
                letters.append(self._letters(rows, bad, members))
            mappings.append(_mapping(members, dates.form))
        batches = [Batch.of(BARS, pl.concat(bars))]
        if letters:
            batches.append(Batch(DEAD_LETTERS, pl.concat(letters)))
        return _Loaded(tuple(mappings), tuple(skipped), tuple(batches))

    def _files(self) -> tuple[list[FileRows], list[SkippedFile]]:
        if self.path.is_file():
            return [read_file(self.path, self.path.name, self.mapping)], []
        files: list[FileRows] = []
        skipped: list[SkippedFile] = []
        for path in self._candidates():
            name = path.relative_to(self.path).as_posix()
            if suffix_of(path) not in SUFFIXES:
                skipped.append(SkippedFile(name, f"not one of {', '.join(SUFFIXES)}"))
                continue
            try:
                files.append(read_file(path, name, self.mapping))
            except InputError as error:
                skipped.append(SkippedFile.because(name, error))
        if any(not file.close_only for file in files):
            reason = "closes only, beside files with open, high and low; give its path to read it by itself"
            skipped += [SkippedFile(file.name, reason) for file in files if file.close_only]
            files = [file for file in files if not file.close_only]
        if not files:
            raise SchemaError(self._nothing_usable(skipped))
        return files, sorted(skipped, key=lambda file: file.name)

    def _candidates(self) -> list[Path]:
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such file or folder. Check the path.")
        visible = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(path for path in visible if not any(p[0] in "._" for p in path.relative_to(self.path).parts))

    def _nothing_usable(self, skipped: list[SkippedFile]) -> str:
        found = "\n".join(f"  {file.name}: {file.reason}" for file in skipped[:10])
        more = f"\n  and {len(skipped) - 10} more" if len(skipped) > 10 else ""
        return (
            f"{self.path}: no file that looks like bars. Found {len(skipped)} file(s)"
            f"{':' if skipped else '.'}\n{found}{more}\n"
            "Expected CSV or Parquet with a date and a close at least, and a symbol column or one file a symbol. "
            "If the columns have other names, pass mapping={our column: their column}."
        )

    def _letters(self, rows: pl.DataFrame, bad: pl.Series, members: list[FileRows]) -> pl.DataFrame:
        refused = rows.with_columns(bad.alias("reason")).filter(pl.col("reason").is_not_null())
        originals = pl.concat(
            [file.original[(refused.filter(pl.col("file") == file.name)["line"] - 1).to_list()] for file in members]
        )
        known = refused.select(
            pl.lit(self.name).alias("source"),
            pl.concat_str("file", pl.lit(":"), "line").alias("source_id"),
            "symbol",
            "session",
            pl.lit(value=False).alias("simulated"),
        )
        details = [EXPLANATIONS[Reason(reason)] for reason in refused["reason"]]
        return dead_letters(known, refused["reason"], pl.Series(details), table=BARS.name, raw=originals)


def _verdict(rows: pl.DataFrame) -> pl.Series:
    """Why a row cannot be made a record, or null."""
    return rows.select(
        pl.when(pl.col("session").is_null())
        .then(pl.lit(str(Reason.UNREADABLE_DATE)))
        .when(pl.col("symbol").is_null())
        .then(pl.lit(str(Reason.MISSING_SYMBOL)))
        .when(pl.col("unreadable").is_not_null())
        .then(pl.lit(str(Reason.UNREADABLE_NUMBER)))
    ).to_series()


def _mapping(members: list[FileRows], date_form: str) -> ColumnMapping:
    first = members[0]
    ignored = tuple(name for name in first.original.columns if name not in first.columns.values())
    names = tuple(file.name for file in members)
    return ColumnMapping(names, first.columns, first.symbol_from, date_form, ignored)
