"""The server of the local EDGAR: filings served as company facts, submissions and tickers."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import msgspec

from project01.ingest.stand_ins.content import drift
from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import FaultScript
from project01.ingest.stand_ins.fundamentals import FundamentalsStandIn
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendors.edgar import SPEC

_CONTACT = "Simulated Analyst analyst@example.org"
_SUBMISSIONS = re.compile(r"/submissions/CIK(\d{10})(?:-submissions-(\d{3}))?\.json")
_FACTS = re.compile(r"/api/xbrl/companyfacts/CIK(\d{10})\.json")
_NO_CONTACT = (
    b"<!DOCTYPE html><html><head><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title>"
    b"</head><body><p>Please declare your traffic by updating your user agent.</p></body></html>"
)


@dataclass(frozen=True)
class Number:
    """One number of a filing; an instant where `start` is None."""

    concept: str
    unit: str
    start: date | None
    end: date
    value: float
    taxonomy: str = "us-gaap"


@dataclass(frozen=True)
class Filing:
    """One filing of one company.

    Attributes:
        cik: the company's central index key.
        accession: the filing's number.
        form: ``10-K``, with ``/A`` for an amendment.
        filed: the day it is dated.
        accepted: as written into acceptanceDateTime; empty: not told.
        period: the day that the report is about.
        fiscal_year, fiscal_period: what the filing says of itself.
        numbers: what it reports, comparative figures included.
    """

    cik: int
    accession: str
    form: str
    filed: date
    accepted: str
    period: date
    fiscal_year: int | None
    fiscal_period: str | None
    numbers: tuple[Number, ...]

    def fact_id(self, number: Number) -> str:
        """The source id of the record of one of its numbers."""
        span = f"{number.start or ''}:{number.end}"
        return f"{self.cik}:{self.accession}:{number.taxonomy}:{number.concept}:{number.unit}:{span}"

    def row(self) -> dict[str, Any]:
        """As a row of the submissions."""
        return {
            "accessionNumber": self.accession,
            "filingDate": self.filed.isoformat(),
            "reportDate": self.period.isoformat(),
            "acceptanceDateTime": self.accepted,
            "form": self.form,
            "items": "",
            "size": 1000 + len(self.numbers),
            "isXBRL": int(bool(self.numbers)),
            "primaryDocument": "report.htm",
        }


class EdgarStandIn(FundamentalsStandIn):
    """See `stand_in`.

    Attributes:
        filings: of all companies.
    """

    spec = SPEC
    secrets = MappingProxyType({"user agent": _CONTACT})

    def __init__(
        self, symbols: dict[int, str], filings: Iterable[Filing], *, faults: FaultScript, recent_limit: int
    ) -> None:
        super().__init__(faults=faults, symbols=SymbolMap(ciks=list(symbols.items())))
        self._names, self._recent_limit = symbols, recent_limit
        self.filings: list[Filing] = []
        self._of: dict[int, list[Filing]] = {}
        self.add(filings)

    def add(self, filings: Iterable[Filing]) -> None:
        """Accept more filings while the server runs."""
        for filing in filings:
            self.filings.append(filing)
            self._of.setdefault(filing.cik, []).append(filing)

    def answer(self, request: Request) -> Reply:
        """What EDGAR answers."""
        if "@" not in request.headers.get("user-agent", ""):
            return Reply(403, _NO_CONTACT, {"Content-Type": "text/html"})
        if request.fault == "error_body_200":
            return Reply(200, b'{"message":"Internal Server Error"}')
        if request.path == "/files/company_tickers.json":
            return self._tickers(request)
        if found := _FACTS.fullmatch(request.path):
            return self._facts(request, self._company(request, int(found[1])))
        if found := _SUBMISSIONS.fullmatch(request.path):
            return self._submissions(request, self._company(request, int(found[1])), int(found[2] or "0"))
        return _absent()

    def _company(self, request: Request, cik: int) -> int:
        """The company asked for, or another one where the fault says so."""
        if request.fault != "wrong_page_order":
            return cik
        return next((other for other in self._of if other != cik), cik)

    def _tickers(self, request: Request) -> Reply:
        self.sent.update(f"ticker:{cik}:{symbol}" for cik, symbol in self._names.items())
        rows = [
            {"cik_str": cik, "ticker": symbol.replace(".", "-"), "title": f"Simulated {symbol}"}
            for cik, symbol in self._names.items()
        ]
        if request.fault is not None:
            rows = json.loads(drift(request.fault, msgspec.json.encode(rows), "ticker"))
        return Reply(200, _written({str(number): row for number, row in enumerate(rows)}))

    def _facts(self, request: Request, cik: int) -> Reply:
        filings = self._of.get(cik, [])
        if not any(filing.numbers for filing in filings):
            return _absent()
        facts: dict[str, dict[str, Any]] = {}
        for filing in filings:
            for number in filing.numbers:
                self.sent.add(filing.fact_id(number))
                concept = facts.setdefault(number.taxonomy, {}).setdefault(
                    number.concept, {"label": number.concept, "description": "Simulated.", "units": {}}
                )
                concept["units"].setdefault(number.unit, []).append(_fact(filing, number))
        body = msgspec.json.encode({"cik": cik, "entityName": f"Simulated {self._names.get(cik)}", "facts": facts})
        return Reply(200, body if request.fault is None else drift(request.fault, body, "val"))

    def _submissions(self, request: Request, cik: int, part: int) -> Reply:
        if cik not in self._of:
            return _absent()
        rows = [filing.row() for filing in sorted(self._of[cik], key=lambda each: each.filed, reverse=True)]
        self.sent.update(f"{cik}:filing:{filing.accession}" for filing in self._of[cik])
        if request.fault is not None:
            rows = json.loads(drift(request.fault, msgspec.json.encode(rows), "form"))
        pieces = [rows[at : at + self._recent_limit] for at in range(0, len(rows), self._recent_limit)]
        if part > 0:
            return Reply(200, _written(_columns(pieces[part]))) if part < len(pieces) else _absent()
        files = [
            {"name": f"CIK{cik:010d}-submissions-{number:03d}.json", "filingCount": len(piece)}
            for number, piece in enumerate(pieces)
            if number > 0
        ]
        whole = {"cik": str(cik), "name": f"Simulated {self._names.get(cik)}", "tickers": [self._names.get(cik)]}
        return Reply(200, _written(whole | {"filings": {"recent": _columns(pieces[0]), "files": files}}))


def _written(content: dict[str, Any]) -> bytes:
    """By the lenient writer, which puts down NaN and lone surrogates as they are."""
    return json.dumps(content).encode()


def _absent() -> Reply:
    return Reply(404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>")


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _fact(filing: Filing, number: Number) -> dict[str, Any]:
    start = {} if number.start is None else {"start": number.start.isoformat()}
    return {
        **start,
        "end": number.end.isoformat(),
        "val": number.value,
        "accn": filing.accession,
        "fy": filing.fiscal_year,
        "fp": filing.fiscal_period,
        "form": filing.form,
        "filed": filing.filed.isoformat(),
    }
