# ruff: noqa: E501  a table of cases reads best with one case a line
"""What cannot be used is refused in words: what was found, what was expected, what to do. No warning, no half answer."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from project01.domain import InputError, SchemaError
from project01.ingest import BenchmarkFileSource, FilesSource, MacroFilesSource

GOOD = "date,symbol,close\n2010-11-24,ACME,1\n2010-11-26,ACME,2\n"


def write(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def parquet(cut: int | None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "bars.parquet"
        pl.DataFrame({"date": ["2010-11-24"] * 500, "symbol": ["A"] * 500, "close": [1.0] * 500}).write_parquet(path)
        path.write_bytes(path.read_bytes()[:cut])
        return path

    return make


def folder_of(*makers: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for maker in makers:
            maker(folder)
        return folder

    return make


def zones(*stamps: str) -> Callable[[Path], Path]:
    return write("bars.csv", "time,symbol,close\n" + "".join(f"{stamp},ACME,1\n" for stamp in stamps))


Case = tuple[Callable[[Path], Path], type[InputError], str]
CASES: dict[str, Case] = {
    "missing folder": (lambda folder: folder / "nowhere", InputError, r"nowhere: no such file or folder"),
    "empty file": (write("bars.csv", ""), InputError, r"bars.csv: the file is empty"),
    "blank first line": (write("bars.csv", "\n\n"), InputError, r"first line is empty; expected column names"),
    "header only": (write("bars.csv", "date,symbol,close\n"), SchemaError, r"a header \(date, symbol, close\) and no rows"),
    "wrong columns": (write("bars.csv", "a,b\n1,2\n"), SchemaError, r"no column for session and close; found a, b; expected"),
    "no date": (write("bars.csv", "symbol,close\nA,2\n"), SchemaError, r"mapping=\{'session': <column>\}"),
    "two closes": (write("b.csv", "date,Close,CLOSE\n2010-11-24,1,2\n"), SchemaError, r"'Close' and 'CLOSE' could both be close"),
    "dates of no form": (write("bars.csv", "date,symbol,close\nsoon,A,1\nlater,A,1\n"), SchemaError, r"no dates we know"),
    "no date at all": (write("bars.csv", "date,symbol,close\n,A,1\n"), SchemaError, r"no date in any row"),
    "forms mixed": (
        write("bars.csv", "date,symbol,close\n2010-11-24,A,1\n20101126,A,1\n11/29/2010,A,1\n"), SchemaError,
        r"dates in several forms: .*date_format=",
    ),
    "day and month first": (
        write("bars.csv", "date,symbol,close\n24/11/2010,A,1\n11/26/2010,A,1\n"), SchemaError, r"date_format='%d/%m/%Y'",
    ),
    "zones by offset": (
        zones("2010-11-24 16:00:00-05:00", "2010-11-24 16:00:00+01:00"), SchemaError, r"mixed time zones: offsets \+01:00, -05:00",
    ),
    "zones by name": (
        zones("2010-11-24 16:00:00 America/New_York", "2010-11-24 16:00:00 Europe/London"), SchemaError,
        r"mixed time zones America/New_York, Europe/London",
    ),
    "zone on some": (zones("2010-11-24 16:00:00-05:00", "2010-11-26 16:00:00"), SchemaError, r"mixed time zones: some .* some do not"),
    "binary file": (write("bars.csv", bytes(range(256)) * 20), InputError, r"a binary file, not text"),
    "UTF-16": (write("bars.csv", GOOD.encode("utf-16")), InputError, r"UTF-16; expected UTF-8"),
    "broken encoding": (write("bars.csv", GOOD.encode() + b"2010-11-29,Caf\xe9,1\n"), InputError, r"byte 0xe9 .* not UTF-8"),
    "0-byte Parquet": (write("bars.parquet", b""), InputError, r"bars.parquet: the file is empty \(0 bytes\)"),
    "truncated Parquet": (parquet(cut=-60), InputError, r"bars.parquet: not a whole Parquet file"),
    "Parquet cut at the start": (parquet(cut=40), InputError, r"not a whole Parquet file"),
    "text called Parquet": (write("bars.parquet", GOOD), InputError, r"not a whole Parquet file"),
    "truncated gzip": (write("b.csv.gz", gzip.compress(GOOD.encode() * 99)[:-20]), InputError, r"not a whole gzip file"),
    "text called gzip": (write("b.csv.gz", GOOD), InputError, r"not a whole gzip file"),
    "ragged rows": (write("bars.csv", GOOD + "2010-11-29,ACME,3,4,5\n"), SchemaError, r"rows do not fit the header"),
    "other kind of file": (write("bars.xlsx", b"PK"), InputError, r"ending in .xlsx are not read. Use .csv"),
    "text for prices": (write("b.csv", "date,symbol,close\n2010-11-24,A,high\n2010-11-26,A,low\n"), SchemaError, r"holds text such as 'high'"),
    "decimal commas": (write("b.csv", "date;symbol;close\n2010-11-24;A;1,5\n2010-11-26;A;1,6\n"), SchemaError, r"write 1.5 rather than 1,5"),
    "many symbols, none named": (
        write("b.csv", "date,close\n" + "".join(f"2010-11-24,{n}\n" for n in range(20))), SchemaError, r"mapping=\{'symbol': <column>\}",
    ),
    "folder without files": (folder_of(), SchemaError, r"no file that looks like bars. Found 0 file"),
    "folder without bars": (
        folder_of(write("README.md", "hi"), write("a.csv", "a,b\n1,2\n"), parquet(cut=-60)), SchemaError,
        r"(?s)Found 3 file\(s\):.*README.md: not one of.*a.csv: .*found a, b.*bars.parquet: .*Expected CSV or Parquet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_words(tmp_path: Path, case: str) -> None:
    make, kind, message = CASES[case]
    with pytest.raises(kind, match=message) as caught:
        list(FilesSource(make(tmp_path)).read())
    assert caught.value.exit_code == 2


def test_a_mapping_of_unknown_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"unknown column\(s\) price; expected some of session, symbol"):
        FilesSource(tmp_path, {"price": "p"})
    path = write("bars.csv", GOOD)(tmp_path)
    with pytest.raises(SchemaError, match=r"names column\(s\) p; found date, symbol, close"):
        list(FilesSource(path, {"close": "p"}).read())


def test_a_date_format_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write("bars.csv", GOOD)(tmp_path)
    with pytest.raises(SchemaError, match=r"date_format='%d/%m/%Y' does not fit values such as '2010-11-24'"):
        list(FilesSource(path, date_format="%d/%m/%Y").read())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_without_rights_is_refused(tmp_path: Path) -> None:
    path = write("bars.csv", GOOD)(tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match="Check its rights"):
        list(FilesSource(path).read())


def test_one_broken_file_in_a_folder_is_named_and_left_out(tmp_path: Path) -> None:
    write("good.csv", GOOD)(tmp_path)
    parquet(cut=-60)(tmp_path)
    source = FilesSource(tmp_path)
    (batch,) = source.read()
    assert batch.rows.height == 2
    assert [file.name for file in source.skipped] == ["bars.parquet"]


def test_macro_files_that_hold_nothing_known_are_refused(tmp_path: Path) -> None:
    write("a.csv", GOOD)(tmp_path)
    with pytest.raises(InputError, match=r"neither a VIX .* nor Treasury yields.*found date, symbol, close"):
        list(MacroFilesSource(tmp_path).read())
    with pytest.raises(InputError, match="no such file or folder"):
        list(MacroFilesSource(tmp_path / "nowhere").read())


def test_a_benchmark_needs_a_date_and_a_price(tmp_path: Path) -> None:
    path = write("index.csv", "date,level\n2010-11-24,1\n")(tmp_path)
    with pytest.raises(SchemaError, match="found date, level; a benchmark needs"):
        list(BenchmarkFileSource(path).read())
