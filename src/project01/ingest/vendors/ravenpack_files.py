"""RavenPack's CSV files, read in pieces: a header and some thousand lines at a time, never a whole file."""

import gzip
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec

from project01.domain import InputError

LINES_A_PAGE = 5_000
_LONGEST_LINE = 1 << 20


class FilesCursor(msgspec.Struct):
    """How many bytes of each file, unpacked, were read; by file name."""

    files: dict[str, int] = {}

    @classmethod
    def read(cls, cursor: str | None) -> "FilesCursor":
        """The cursor of a text.

        Raises:
            InputError: it is none.
        """
        try:
            return cls() if cursor is None else msgspec.json.decode(cursor, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InputError(
                f"{cursor!r:.80} is no cursor of RavenPack's files. Leave it out to start anew."
            ) from error

    def text(self) -> str:
        """The cursor as text."""
        return msgspec.json.encode(self).decode()


def csv_files(path: str | None) -> list[Path]:
    """The files meant, sorted by name.

    Raises:
        InputError: none is named, or there is none.
    """
    if not path:
        raise InputError("RavenPack's files need a path: pass parameter path=FILE_OR_FOLDER.")
    place = Path(path)
    if place.is_file():
        return [place]
    found = sorted(f for f in place.glob("*") if f.name.endswith((".csv", ".csv.gz", ".zip"))) if place.is_dir() else []
    if not found:
        raise InputError(f"{place} has no .csv, .csv.gz or .zip file of RavenPack's. Check the path.")
    return found


def pieces(path: Path, start: int) -> Iterator[tuple[bytes, int]]:
    """Header and the next lines as one CSV text, and the place after them, in bytes of the unpacked file.

    Args:
        path: the file.
        start: where to go on; 0: at the beginning.
    Raises:
        InputError: the file cannot be read, or is shorter than it was.
    """
    try:
        with _opened(path) as file:
            header = file.readline(_LONGEST_LINE)
            place = max(start, len(header))
            if start and file.seek(start) != start:
                raise InputError(f"{path} is shorter than when it was read last. Start anew, without the cursor.")
            for lines in in_pieces(iter(lambda: file.readline(_LONGEST_LINE), b"")):
                place += sum(len(line) for line in lines)
                yield header.rstrip(b"\r\n") + b"\n" + b"".join(lines), place
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def in_pieces(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lists of at most so many lines as a page has."""
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= LINES_A_PAGE:
            yield piece
            piece = []
    if piece:
        yield piece


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.name.endswith(".gz"):
        with gzip.open(path, "rb") as unpacked:
            yield cast(IO[bytes], unpacked)
    elif path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(members) != 1:
                raise InputError(f"{path} holds {len(members)} CSV files; expected one. Unpack it and pass the folder.")
            with archive.open(members[0]) as member:
                yield member
    else:
        with path.open("rb") as plain:
            yield plain
