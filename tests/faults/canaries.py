"""Unique markers in place of every secret, and finding them wherever they might have gone."""

import base64
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote, quote_plus

from project01.ingest import VENDORS
from project01.lake import Lake


@dataclass(frozen=True)
class Canary:
    """A secret that can be recognised, also when only its middle is left.

    Attributes:
        variable: environment variable that holds it.
        value: what it is set to, with characters that addresses, JSON and base64 spell in other ways.
        core: the part of `value` that every spelling but base64 leaves as it is.
    """

    variable: str
    value: str
    core: str

    @property
    def forms(self) -> frozenset[bytes]:
        """How it would look: as it is, in an address, in base64 at any place of a longer text."""
        texts = {self.core, self.value, quote(self.value, safe=""), quote_plus(self.value)}
        inner = {_base64_inside(text, shift) for text in (self.core, self.value) for shift in range(3)}
        return frozenset(text.encode() for text in texts | inner | {text.translate(_URL_SAFE) for text in inner})


_URL_SAFE = str.maketrans("+/", "-_")


def _base64_inside(text: str, shift: int) -> str:
    """What all encodings have in common whose text has `text` at a place that is `shift` modulo 3."""
    encoded = base64.b64encode(b"\0" * shift + text.encode()).decode().rstrip("=")
    whole = (shift + len(text)) // 3 * 4
    return encoded[(0, 2, 3)[shift] : whole]


def canaries() -> list[Canary]:
    """One for each variable that may hold a credential of a vendor."""
    made = []
    for spec in VENDORS.values():
        for credential in spec.credentials:
            for variable in credential.variables:
                core = f"canary{token_hex(8)}"
                # EDGAR asks for a name and an e-mail address.
                value = f"Ca Nary {core}@example.org" if spec.name == "edgar" else f"k/{core}+b%~=="
                made.append(Canary(variable, value, core))
    return made


@dataclass
class Hunt:
    """Where canaries were found.

    Attributes:
        found: variable and place.
        looked: how many bytes were looked through.
    """

    forms: dict[bytes, str]
    found: list[str] = field(default_factory=list)
    looked: int = 0

    def through(self, content: bytes, place: object) -> None:
        self.looked += len(content)
        self.found += [f"{variable} in {place}" for form, variable in self.forms.items() if form in content]


def hunt(places: Iterable[Path], hidden: Iterable[Canary]) -> Hunt:
    """Look through every name and byte of every file, through rows of tables and databases too, as files are packed."""
    going = Hunt({form: canary.variable for canary in hidden for form in canary.forms})
    for place in places:
        for file in (path for path in place.rglob("*") if path.is_file()):
            going.through(str(file).encode(), f"the name of {file}")
            going.through(file.read_bytes(), file)
            if file.read_bytes()[:15] == b"SQLite format 3":
                for row in _dumped(file):
                    going.through(row, f"{file}, a row")
        for log in place.rglob("_delta_log"):
            lake = Lake(log.parent.parent)
            text = lake.scan(log.parent.name).collect().write_ndjson()
            going.through(text.encode(), f"table {log.parent.name}")
    return going


def _dumped(file: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - names from the file's own schema
                yield b"\0".join(part if isinstance(part, bytes) else str(part).encode() for part in row)
