"""EDGAR's company facts and list of tickers as records.

One record for each fact of each filing. The same period stands in later filings again, as a comparative figure or
restated: that is another record, known when that filing was; so a number is first known at its earliest filing. `fy`
and `fp` describe the filing. `event_time` is the end of the period, 00:00 UTC of the day after its last.

A company that the symbol map does not know has the symbol CIK and ten digits, so that companies which are gone stay in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated

import msgspec

from project01.domain import Fact, Observation
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, micros
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.edgar_clock import ZONE
from project01.ingest.vendors.fundamentals import (
    REQUEST,
    RefusedError,
    Sorting,
    check_size,
    day_end_us,
    day_start_us,
    iso_day,
    read_element,
    read_whole,
    with_request,
)

_DAY_US = 86_400_000_000
_LARGEST_CIK = 9_999_999_999
# The taxonomy that goes without saying in a concept's name.
_USUAL = "us-gaap"
_NO_ACCEPTANCE: Mapping[str, int] = {}


class _Facts(msgspec.Struct):
    cik: int | str
    facts: dict[str, dict[str, msgspec.Raw]]


class _Concept(msgspec.Struct):
    units: dict[str, list[msgspec.Raw]]


# A filer's typing error in the year of its filing costs no number of it; only what no table can hold is refused.
_Year = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Fact(msgspec.Struct):
    end: str
    val: float
    accn: str
    filed: str
    form: str
    fy: _Year | None = None
    fp: str | None = None
    start: str | None = None


class _Ticker(msgspec.Struct):
    cik_str: int
    ticker: str


_FACTS = msgspec.json.Decoder(_Facts)
_CONCEPT = msgspec.json.Decoder(_Concept)
_FACT = msgspec.json.Decoder(_Fact)
_TICKERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ASKED = msgspec.json.Decoder(dict[str, str])
_TICKER = msgspec.json.Decoder(_Ticker)


def cik_number(cik: int | str) -> int:
    """A central index key, given as a number or as digits.

    Raises:
        RefusedError: it is none.
    """
    text = str(cik)
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 10 and 0 < int(text) <= _LARGEST_CIK):
        raise RefusedError(Reason.MISSING_SYMBOL, f"Found cik {text[:40]!r}; expected up to ten digits.")
    return int(text)


@dataclass
class Company:
    """One filer: its symbol on each day.

    Attributes:
        connection: whose map of symbols is asked.
        cik: the SEC's central index key.
    """

    connection: Connection
    cik: int
    _symbols: dict[date, str] = field(default_factory=dict, repr=False)

    def symbol(self, on: date) -> str:
        """The ticker of that day; CIK and ten digits where there is none in the map."""
        if on not in self._symbols:
            newest = self.connection.symbols.of_cik(self.cik)
            named = None if newest is None else self.connection.symbols.current(newest, on, meant_on=date.max)
            self._symbols[on] = named or f"CIK{self.cik:010d}"
        return self._symbols[on]


def read_facts(
    connection: Connection, payload: bytes, received_at: int, accepted: Mapping[str, int] = _NO_ACCEPTANCE
) -> tuple[int | None, Decoded]:
    """Central index key (None: the answer cannot be used) and records of a ``companyfacts`` answer; total and pure.

    Args:
        connection: for licence, mark and symbols.
        payload: the answer.
        received_at: microseconds UTC.
        accepted: for each accession number when it could first be read, microseconds UTC; a filing that is not in it
            is known at the end of its day in New York.
    """
    sorting = Sorting(connection, "company_facts", received_at)
    content = read_whole(_FACTS, payload, sorting, "an object with cik and facts")
    if content is None:
        return None, sorting.decoded
    try:
        company = Company(connection, cik_number(content.cik))
    except RefusedError as error:
        sorting.refuse_for(error, payload)
        return None, sorting.decoded
    seen: dict[str, float] = {}
    for taxonomy, concept, unit, element in _elements(content, sorting):
        try:
            sorting.accept(*_once(_record(company, (taxonomy, concept, unit), element, accepted, sorting), seen))
        except ValueError as error:
            alone = {"cik": content.cik, "facts": {taxonomy: {concept: {"units": {unit: [element]}}}}}
            sorting.refuse_for(error, msgspec.json.encode(alone))
    return company.cik, sorting.decoded


def _elements(content: _Facts, sorting: Sorting) -> Iterator[tuple[str, str, str, msgspec.Raw]]:
    """Every fact with what it is about; a concept that cannot be read is refused as one element."""
    for taxonomy, concepts in content.facts.items():
        for concept, raw in concepts.items():
            try:
                units = read_element(_CONCEPT, raw).units
                check_size([element for elements in units.values() for element in elements], "facts of one concept")
            except ValueError as error:
                alone = {"cik": content.cik, "facts": {taxonomy: {concept: raw}}}
                sorting.refuse_for(error, msgspec.json.encode(alone))
                continue
            for unit, elements in units.items():
                for element in elements:
                    yield taxonomy, concept, unit, element


def _once(record: Fact, seen: dict[str, float]) -> tuple[Fact, ...]:
    """The record; nothing where the same filing gave the same fact already.

    Raises:
        RefusedError: the same filing gave another value for it.
    """
    before = seen.get(record.source_id)
    if before is None:
        seen[record.source_id] = record.value
        return (record,)
    if before != record.value:
        detail = f"{record.source_id} is {before} and {record.value} in one filing; expected one value."
        raise RefusedError(Reason.SCHEMA, detail)
    return ()


def _record(
    company: Company, about: tuple[str, str, str], element: msgspec.Raw, accepted: Mapping[str, int], sorting: Sorting
) -> Fact:
    taxonomy, concept, unit = about
    fact = read_element(_FACT, element)
    filed, end = iso_day(fact.filed), iso_day(fact.end)
    if fact.start is not None and iso_day(fact.start) > end:
        raise RefusedError(Reason.OUTSIDE_RANGE, f"The period starts {fact.start}, after its end {fact.end}.")
    if day_start_us(filed) > sorting.received_at + _DAY_US:
        raise RefusedError(Reason.IN_FUTURE, f"Filed {fact.filed}, after the day it was received.")
    if not fact.accn:
        raise RefusedError(Reason.SCHEMA, "Found an empty accn; expected an accession number.")
    name = concept if taxonomy == _USUAL else f"{taxonomy}:{concept}"
    known = accepted.get(fact.accn)
    return Fact(
        **sorting.common,
        source_id=f"{company.cik}:{fact.accn}:{taxonomy}:{concept}:{unit}:{fact.start or ''}:{fact.end}",
        event_time=day_start_us(end) + _DAY_US,
        knowledge_time=day_end_us(filed, ZONE) if known is None else known,
        symbol=company.symbol(filed),
        concept=name,
        period_end=fact.end,
        value=fact.val,
        unit=unit,
        period_start=fact.start,
        fiscal_year=fact.fy,
        fiscal_period=fact.fp,
        form=fact.form,
        accession=fact.accn,
        raw=msgspec.Raw(bytes(element)),
    )


def read_tickers(connection: Connection, payload: bytes, received_at: int) -> Decoded:
    """The SEC's ``company_tickers.json`` as observations of ``edgar:cik``; also what `SymbolMap.from_files` reads.

    The file says what holds now, and nothing about since when: so this is known from the moment on that the SEC's
    server named with its answer (`as_of` in front of the payload), else from `received_at`; never before.
    """
    sorting = Sorting(connection, "tickers", received_at)
    content = read_whole(_TICKERS, payload, sorting, "an object of objects with cik_str and ticker") or {}
    try:
        check_size(content, "tickers")
        asked = read_element(_ASKED, content.pop(REQUEST, msgspec.Raw(b"{}")))
        told = micros(asked["as_of"]) if "as_of" in asked else received_at
    except ValueError as error:
        sorting.refuse_for(error, payload)
        return sorting.decoded
    for number, element in content.items():
        try:
            sorting.accept(_ticker(connection, element, told, sorting))
        except ValueError as error:
            sorting.refuse_for(error, with_request(msgspec.json.encode({number: element}), **asked))
    return sorting.decoded


def _ticker(connection: Connection, element: msgspec.Raw, told: int, sorting: Sorting) -> Observation:
    row = read_element(_TICKER, element)
    cik = cik_number(row.cik_str)
    symbol = connection.symbols.ours(row.ticker, "dash") if len(row.ticker) <= 32 else None
    if symbol is None:
        raise RefusedError(Reason.UNKNOWN_SYMBOL, f"{row.ticker[:40]!r} is no ticker of a listed share.")
    return Observation(
        **sorting.common,
        source_id=f"ticker:{cik}:{symbol}",
        event_time=told,
        knowledge_time=told,
        symbol=symbol,
        series_id="edgar:cik",
        period=datetime.fromtimestamp(told // 1_000_000, UTC).date().isoformat(),
        value=float(cik),
        unit="CIK",
        raw=msgspec.Raw(bytes(element)),
    )


def listed_ciks(payload: bytes) -> list[int]:
    """Central index keys in ``company_tickers.json``, ascending, also of companies whose ticker we cannot read.

    Raises:
        ValueError: it is not that file.
    """
    found = set()
    for element in read_element(_TICKERS, payload).values():
        try:
            found.add(cik_number(read_element(_TICKER, element).cik_str))
        except ValueError:
            continue
    return sorted(found)
