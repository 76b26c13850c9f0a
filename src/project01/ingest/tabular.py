"""CSV and Parquet files as frames; whatever is wrong with a file is said in words."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from project01.domain import InputError, SchemaError

TEXT_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".pq")
SEPARATORS = (",", "\t", ";", "|")
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13})


@dataclass(frozen=True)
class Table:
    """One file as read.

    Attributes:
        frame: the rows; every column of a text file is String, with empty cells null.
        separator: of a text file, else empty.
    """

    frame: pl.DataFrame
    separator: str


def suffix_of(path: Path) -> str:
    """The file's ending as we tell formats apart: ``.csv.gz`` counts as one."""
    endings = [ending.lower() for ending in path.suffixes]
    return "".join(endings[-2:]) if endings[-1:] == [".gz"] else "".join(endings[-1:])


def stem_of(path: Path) -> str:
    """The file's name without the ending `suffix_of` tells."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def is_text(path: Path) -> bool:
    """Whether the file's ending is one of text."""
    return suffix_of(path) in TEXT_SUFFIXES


def read_table(path: Path) -> Table:
    """A CSV or Parquet file, whole.

    Raises:
        InputError: the file is missing, empty, binary, cut short, not in UTF-8 or not of a kind we read.
        SchemaError: it has a header and no rows, or rows of other lengths than the header.
    """
    _check(path)
    table = _read_text(path) if is_text(path) else Table(_read_parquet(path), "")
    if table.frame.height == 0:
        raise SchemaError(
            f"{path.name}: a header ({', '.join(table.frame.columns)}) and no rows. Export it again, or leave it out."
        )
    return table


def _check(path: Path) -> None:
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name}: files ending in {suffix or 'nothing'} are not read. Use {', '.join(SUFFIXES)}.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its rights.") from error
    if size == 0:
        raise InputError(f"{path.name}: the file is empty (0 bytes). Export it again, or leave it out.")


def header_of(path: Path) -> list[str]:
    """Column names of a Parquet file, without its rows.

    Raises:
        InputError: as `read_table`.
    """
    _check(path)
    return _read_parquet(path, rows=0).columns


def _read_parquet(path: Path, rows: int | None = None) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, n_rows=rows, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path.name}: not a whole Parquet file ({str(error).splitlines()[0]}). Copy or export it again."
        ) from error


def _read_text(path: Path) -> Table:
    content = _utf8(path, _bytes(path))
    first = content.split(b"\n", 1)[0].decode()
    if not first.strip():
        raise InputError(f"{path.name}: the first line is empty; expected column names there.")
    separator = max(SEPARATORS, key=first.count)
    try:
        frame = pl.read_csv(content, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(
            f"{path.name}: rows do not fit the header {first.strip()!r} ({str(error).splitlines()[0]}). "
            "Every row needs as many cells as the header."
        ) from error
    return Table(frame, separator)


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name}: not a whole gzip file ({error}). Copy or export it again.") from error
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror}). Check its rights.") from error


def _utf8(path: Path, content: bytes) -> bytes:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path.name}: text in UTF-16; expected UTF-8. Save it again as UTF-8.")
    head = content[:65536]
    if len(head) != len(head.translate(None, _CONTROL)):
        raise InputError(f"{path.name}: a binary file, not text; expected CSV with a header line.")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name}: byte {error.object[error.start]:#04x} at position {error.start} is not UTF-8. "
            "Save it again as UTF-8."
        ) from error
    return content.removeprefix(b"\xef\xbb\xbf")
