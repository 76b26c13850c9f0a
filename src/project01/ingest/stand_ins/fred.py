"""A local FRED: vintages given by the caller, or made up, served as FRED's documentation says."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec

from project01.ingest.stand_ins.content import drift
from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.fundamentals import FundamentalsStandIn
from project01.ingest.vendors.fred import SPEC

# Series, period, day of the vintage, value (None: missing).
Vintage = tuple[str, date, date, float | None]
_OPEN_END = date(9999, 12, 31)
_KEY = "simulated-fred-key-0123456789abcdef"
_MOST_VINTAGES = 2_000
_MADE_UP = ("UNRATE", "CPIAUCSL")


@dataclass(frozen=True)
class _Span:
    """A value as it stood from `first` to `last`, both included."""

    series: str
    period: date
    first: date
    last: date
    value: float | None

    @property
    def source_id(self) -> str:
        return f"{self.series}:{self.period}:{self.first}"

    def row(self, start: date, end: date) -> dict[str, str]:
        """As FRED writes it: its time cut to the range asked for."""
        return {
            "realtime_start": max(self.first, start).isoformat(),
            "realtime_end": min(self.last, end).isoformat(),
            "date": self.period.isoformat(),
            "value": "." if self.value is None else repr(self.value),
        }


class FredStandIn(FundamentalsStandIn):
    """See `stand_in`."""

    spec = SPEC
    secrets = MappingProxyType({"api key": _KEY})

    def __init__(self, vintages: Iterable[Vintage], *, faults: FaultScript, page_limit: int) -> None:
        super().__init__(faults=faults)
        self._page_limit = page_limit
        self._spans = _spans(vintages)
        self._vintages = {series: sorted({span.first for span in spans}) for series, spans in self._spans.items()}

    def add(self, vintages: Iterable[Vintage]) -> None:
        """Publish more vintages while the server runs."""
        old = [(s.series, s.period, s.first, s.value) for spans in self._spans.values() for s in spans]
        self._spans = _spans([*old, *vintages])
        self._vintages = {series: sorted({span.first for span in spans}) for series, spans in self._spans.items()}

    def answer(self, request: Request) -> Reply:
        """What FRED answers."""
        if request.first("api_key") != _KEY:
            return _bad("The value for variable api_key is not registered.")
        if request.first("file_type") != "json":
            return _bad("This stand-in speaks file_type=json only.")
        if request.fault == "error_body_200":
            return Reply(200, msgspec.json.encode({"error_code": 500, "error_message": "Internal Server Error"}))
        if request.path in ("/fred/release/dates", "/fred/releases/dates"):
            return self._page(request, self._releases(request), "release_dates", "date")
        if request.first("series_id") not in self._spans:
            return _bad("The series does not exist.")
        return self._of_series(request, request.first("series_id"))

    def _of_series(self, request: Request, series: str) -> Reply:
        if request.path == "/fred/series/vintagedates":
            return self._page(request, self._vintage_dates(request, series), "vintage_dates", "")
        if request.path == "/fred/series/observations":
            return self._observations(request, series)
        if request.path == "/fred/series":
            return Reply(200, self._drifted(request, {"seriess": [self._description(series)]}, "popularity"))
        return Reply(404, b'{"error_code":404,"error_message":"Not Found"}')

    def _observations(self, request: Request, series: str) -> Reply:
        start, end = _day(request, "realtime_start"), _day(request, "realtime_end")
        first, last = _day(request, "observation_start", date.min), _day(request, "observation_end", date.max)
        vintages = self._vintages[series]
        if (count := bisect_right(vintages, end) - bisect_right(vintages, start - timedelta(days=1))) > _MOST_VINTAGES:
            return _bad(
                f"There are {count} vintage dates in the specified real-time period: {start} to {end}. "
                f"This exceeds the maximum number of vintage dates allowed ({_MOST_VINTAGES})."
            )
        spans = [
            span
            for span in self._spans[series]
            if span.first <= end and span.last >= start and first <= span.period <= last
        ]
        offset, limit = self._paging(request)
        served = spans[offset : offset + limit]
        self.sent.update(span.source_id for span in served)
        return self._page(request, [span.row(start, end) for span in spans], "observations", "value")

    def _vintage_dates(self, request: Request, series: str) -> list[str]:
        start, end = _day(request, "realtime_start"), _day(request, "realtime_end")
        return [day.isoformat() for day in self._vintages[series] if start <= day <= end]

    def _description(self, series: str) -> dict[str, Any]:
        spans = self._spans[series]
        return {
            "id": series,
            "title": f"Simulated {series}",
            "observation_start": spans[0].period.isoformat(),
            "observation_end": spans[-1].period.isoformat(),
            "frequency": "Monthly",
            "frequency_short": "M",
            "units": "Percent",
            "last_updated": f"{self._vintages[series][-1]} 07:46:03-06",
            "popularity": 94,
        }

    def _releases(self, request: Request) -> list[dict[str, Any]]:
        """Every vintage day of the n-th series is a day of release n."""
        start, end, wanted = _day(request, "realtime_start"), _day(request, "realtime_end"), request.first("release_id")
        rows = [
            {"release_id": number, "release_name": f"Release of {series}", "date": day.isoformat()}
            for number, (series, days) in enumerate(sorted(self._vintages.items()), start=1)
            for day in days
            if start <= day <= end and wanted in ("", str(number))
        ]
        self.sent.update(f"release:{row['release_id']}:{row['date']}" for row in rows)
        return sorted(rows, key=lambda row: (row["date"], row["release_id"]))

    def _paging(self, request: Request) -> tuple[int, int]:
        limit = min(int(request.first("limit", "100000")), self._page_limit)
        return int(request.first("offset", "0")), limit

    def _page(self, request: Request, rows: Sequence[Any], member: str, field: str) -> Reply:
        offset, limit = self._paging(request)
        place = {"wrong_page_order": offset + limit, "looping_cursor": 0}.get(request.fault or "", offset)
        envelope = {
            "realtime_start": request.first("realtime_start"),
            "realtime_end": request.first("realtime_end"),
            "output_type": 1,
            "file_type": "json",
            "count": len(rows),
            "offset": offset,
            "limit": limit,
            member: rows[place : place + limit],
        }
        return Reply(200, self._drifted(request, envelope, field))

    def _drifted(self, request: Request, content: dict[str, Any], field: str) -> bytes:
        body = msgspec.json.encode(content)
        return body if request.fault is None or not field else drift(request.fault, body, field)


def _spans(vintages: Iterable[Vintage]) -> dict[str, list[_Span]]:
    """By series, in FRED's order: by period, then by vintage."""
    found: dict[str, list[_Span]] = {}
    ordered = sorted(vintages, key=lambda row: row[:3])
    for here, after in zip(ordered, [*ordered[1:], None], strict=True):
        series, period, first, value = here
        same = after is not None and after[:2] == here[:2]
        if after is not None and same and after[2] == first:
            raise ValueError(f"{series}, {period}: two values of the same vintage {first}; a vintage has one.")
        last = after[2] - timedelta(days=1) if after is not None and same else _OPEN_END
        found.setdefault(series, []).append(_Span(series, period, first, last, value))
    return found


def _day(request: Request, name: str, default: date | None = None) -> date:
    text = request.first(name)
    return date.fromisoformat(text) if text or default is None else default


def _bad(message: str) -> Reply:
    return Reply(400, msgspec.json.encode({"error_code": 400, "error_message": f"Bad Request.  {message}"}))


def made_up(symbols: Sequence[str], seed: int, months: int = 36) -> list[Vintage]:
    """Monthly values from 2015 on: first told five weeks after the month began, revised a month later, some missing."""
    generator, rows = Random(seed), list[Vintage]()  # noqa: S311 - made-up values, no secrets
    for series in symbols:
        for month in range(months):
            period = date(2015 + month // 12, month % 12 + 1, 1)
            told = period + timedelta(days=35)
            value = round(generator.uniform(1, 9), 1)
            rows.append((series, period, told, None if generator.random() < 0.05 else value))
            rows.append((series, period, told + timedelta(days=30), round(value + 0.1, 1)))
    return rows


def stand_in(
    *,
    symbols: Sequence[str] = _MADE_UP,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    vintages: Iterable[Vintage] | None = None,
    page_limit: int = 100_000,
) -> FredStandIn:
    """A local FRED.

    Args:
        symbols: series to make up.
        seed: of what is made up.
        faults: what goes wrong.
        vintages: replayed instead: (series, period, day of the vintage, value), each served as a row of its own, also
            where a later vintage repeats a value.
        page_limit: rows a page at most, whatever is asked for.
    """
    rows = made_up(symbols, seed) if vintages is None else vintages
    return FredStandIn(rows, faults=faults, page_limit=page_limit)
