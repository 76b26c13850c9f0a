"""EDGAR's submissions: which forms a company filed, and when each could first be read.

The answer is a table by columns, newest first, in the company's own answer (``filings.recent``) or in one of the
further files that this names. A filing becomes a fact ``filing:10-K`` with value 1, whose period is the one that it
reports on: so a model can ask how long ago the last 10-K came, or whether an 8-K came today; items stand in `raw`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from project01.domain import Fact
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.edgar_clock import Reading, Stamp, known_us, reading_of
from project01.ingest.vendors.edgar_decoding import Company, cik_number
from project01.ingest.vendors.fundamentals import (
    REQUEST,
    RefusedError,
    Sorting,
    check_size,
    iso_day,
    read_element,
    read_whole,
)

_ACCESSION, _FILED, _FORM, _ACCEPTED = "accessionNumber", "filingDate", "form", "acceptanceDateTime"
_REPORTED, _XBRL = "reportDate", "isXBRL"
_NEEDED = (_ACCESSION, _FILED, _FORM)


class OlderFile(msgspec.Struct, frozen=True):
    """A file of older filings."""

    name: str
    filingCount: int  # noqa: N815 - the SEC's name


class _Filings(msgspec.Struct):
    recent: msgspec.Raw
    files: list[OlderFile] = []


_WHOLE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FILINGS = msgspec.json.Decoder(_Filings)
_COLUMN = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str | None)
_CIK = msgspec.json.Decoder(int | str)
_ASKED = msgspec.json.Decoder(dict[str, str])
_FLAG = msgspec.json.Decoder(int | None)
_Row = Mapping[str, msgspec.Raw]


@dataclass(frozen=True)
class Submissions:
    """One answer.

    Attributes:
        cik: whose.
        rows: its filings, each with the columns that the SEC gave.
        files: what is older.
    """

    cik: int
    rows: Sequence[_Row]
    files: tuple[OlderFile, ...] = ()

    @property
    def stamps(self) -> Iterator[tuple[str, Stamp]]:
        """Accession number and stamp of each filing that has both."""
        for row in self.rows:
            try:
                stamp = _stamp(row)
                yield _text(row, _ACCESSION), stamp
            except ValueError:
                continue

    @property
    def reading(self) -> Reading:
        """How the times of acceptance are to be read."""
        return reading_of(stamp for _, stamp in self.stamps)

    def known(self, reading: Reading) -> dict[str, int]:
        """For each accession number when it could first be read, microseconds UTC."""
        found = {}
        for accession, stamp in self.stamps:
            try:
                found[accession] = known_us(stamp, reading)
            except ValueError:
                continue
        return found

    def xbrl(self) -> frozenset[str]:
        """Accession numbers of filings whose numbers are among the company's facts."""
        return frozenset(accession for row in self.rows if (accession := _if_xbrl(row)) is not None)


def read_filings(
    connection: Connection, payload: bytes, received_at: int, reading: Reading | None = None
) -> tuple[Submissions | None, Decoded]:
    """The submissions, None where the answer cannot be used, and the records; total and pure.

    Args:
        connection: for licence, mark and symbols.
        payload: a company's answer, or one of its older files with the cik in front.
        received_at: microseconds UTC.
        reading: of the times of acceptance; None: as this answer's own stamps show.
    """
    sorting = Sorting(connection, "filings", received_at)
    content = read_whole(_WHOLE, payload, sorting, "an object with filings, or with columns of filings")
    if content is None:
        return None, sorting.decoded
    try:
        submissions = _submissions(content)
    except ValueError as error:
        sorting.refuse_for(error, payload)
        return None, sorting.decoded
    company = Company(connection, submissions.cik)
    reading = reading or submissions.reading
    for row in submissions.rows:
        try:
            sorting.accept(_record(company, row, reading, sorting))
        except ValueError as error:
            sorting.refuse_for(error, _alone(submissions.cik, row))
    return submissions, sorting.decoded


def _submissions(content: dict[str, msgspec.Raw]) -> Submissions:
    if "filings" in content:
        filings = read_element(_FILINGS, content["filings"])
        cik = read_element(_CIK, content.get("cik", msgspec.Raw(b'""')))
        columns = read_element(_WHOLE, filings.recent)
        return Submissions(cik_number(cik), _rows(columns), tuple(filings.files))
    asked = read_element(_ASKED, content.pop(REQUEST, msgspec.Raw(b"{}")))
    return Submissions(cik_number(asked.get("cik", "")), _rows(content))


def _rows(columns: dict[str, msgspec.Raw]) -> list[_Row]:
    if missing := [name for name in _NEEDED if name not in columns]:
        raise RefusedError(Reason.SCHEMA, f"Column {', '.join(missing)} is missing among {', '.join(columns)[:300]}.")
    cells = {name: read_element(_COLUMN, column) for name, column in columns.items()}
    for name, column in cells.items():
        check_size(column, f"cells of {name[:40]}")
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        raise RefusedError(Reason.SCHEMA, f"Columns differ in length: {str(lengths)[:300]}; rows cannot be told.")
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def _record(company: Company, row: _Row, reading: Reading, sorting: Sorting) -> Fact:
    stamp, accession = _stamp(row), _text(row, _ACCESSION)
    if not accession or not stamp.form:
        raise RefusedError(Reason.SCHEMA, f"Found accession {accession!r}, form {stamp.form!r}; expected both.")
    filed, known = iso_day(stamp.filed), known_us(stamp, reading)
    period = _text(row, _REPORTED) or stamp.filed
    return Fact(
        **sorting.common,
        source_id=f"{company.cik}:filing:{accession}",
        event_time=known,
        knowledge_time=known,
        symbol=company.symbol(filed),
        concept=f"filing:{stamp.form}",
        period_end=iso_day(period).isoformat(),
        value=1.0,
        unit="filing",
        form=stamp.form,
        accession=accession,
        raw=msgspec.Raw(msgspec.json.encode(row)),
    )


def _stamp(row: _Row) -> Stamp:
    return Stamp(_text(row, _ACCEPTED), _text(row, _FILED), _text(row, _FORM))


def _text(row: _Row, name: str) -> str:
    """A cell's text; empty where the column is absent or the cell is null."""
    return (read_element(_TEXT, row[name]) or "") if name in row else ""


def _if_xbrl(row: _Row) -> str | None:
    try:
        flag = read_element(_FLAG, row[_XBRL]) if _XBRL in row else 1
        return _text(row, _ACCESSION) if flag else None
    except ValueError:
        return None


def _alone(cik: int, row: _Row) -> bytes:
    """A payload of this one filing, which `read_filings` understands."""
    columns: dict[str, object] = {REQUEST: {"cik": str(cik)}}
    return msgspec.json.encode(columns | {name: [cell] for name, cell in row.items()})
