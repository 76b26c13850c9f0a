"""Where Polygon's history is asked for, and what one page of it is in order of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from project01.domain import InputError
from project01.ingest.decoding import micros, micros_of
from project01.ingest.vendor import Query
from project01.ingest.vendors import salvage
from project01.ingest.vendors.polygon_decode import Asked
from project01.ingest.vendors.polygon_spans import Span

DAY_US = 86_400_000_000
_MOST = 50_000  # results a page, the most that the vendor allows for ticks
_MOST_REFERENCE = 1000
Stamp = int | str


@dataclass(frozen=True)
class Ordering:
    """What the pages of a dataset are in order of.

    Attributes:
        field: of each element.
        to_micros: from its value to microseconds UTC; None where the order is no time.
        overlap: how far before the newest value an incremental fetch starts again, microseconds: things that take
            effect on a later day are announced in any order.
    """

    field: str
    to_micros: Callable[[Any], int] | None = None
    overlap: int = 0


def _of_day(text: str) -> int:
    return micros(f"{text}T00:00:00Z")


ORDERINGS: Mapping[str, Ordering] = {
    "aggregates": Ordering("t", lambda stamp: int(stamp) * 1000),
    "trades": Ordering("sip_timestamp", lambda stamp: int(stamp) // 1000),
    "quotes": Ordering("sip_timestamp", lambda stamp: int(stamp) // 1000),
    "splits": Ordering("execution_date", _of_day, 60 * DAY_US),
    "dividends": Ordering("ex_dividend_date", _of_day, 60 * DAY_US),
    "news": Ordering("published_utc", micros, DAY_US),
    "tickers": Ordering("ticker"),
}


def _stamped(field: str) -> msgspec.json.Decoder[list[Any]]:
    element = msgspec.defstruct("Stamped", [("stamp", Any, msgspec.field(default=None, name=field))], gc=False)
    return msgspec.json.Decoder(list[element])  # type: ignore[valid-type]


_STAMPED = {dataset: _stamped(ordering.field) for dataset, ordering in ORDERINGS.items()}
_UNORDERED = _stamped("no such field")
NEEDS_SYMBOLS = frozenset({"aggregates", "trades", "quotes", "ticker_events"})


@dataclass(frozen=True)
class Address:
    """The first page of one ticker's history.

    Attributes:
        path: below the base address.
        parameters: of the address.
        asked: what the answer will leave out.
    """

    path: str
    parameters: Mapping[str, str | int]
    asked: Asked


def first_page(query: Query, ticker: str, since: int | None) -> Address:
    """Where the history of a ticker starts.

    Args:
        query: what is asked for.
        ticker: as the vendor writes it; empty: all.
        since: first instant wanted, microseconds UTC, in place of the query's start.
    Raises:
        InputError: a span that the vendor does not know, or a dataset without history.
    """
    start = since if since is not None else None if query.start is None else micros_of(query.start)
    end = None if query.end is None else micros_of(query.end)
    name = quote(ticker, safe="")
    if query.dataset == "aggregates":
        return _aggregates(query, ticker, start, end)
    if query.dataset in {"trades", "quotes"}:
        bounds = _bounds("timestamp", start, end, lambda instant: str(instant * 1000))
        order: dict[str, str | int] = {"order": "asc", "sort": "timestamp", "limit": _MOST}
        return Address(f"/v3/{query.dataset}/{name}", bounds | order, Asked(ticker))
    if query.dataset == "tickers" and ticker:
        return Address(f"/v3/reference/tickers/{name}", {}, Asked())
    if query.dataset == "ticker_events":
        return Address(f"/vX/reference/tickers/{name}/events", {"types": "ticker_change"}, Asked())
    if query.dataset == "market_status":
        return Address("/v1/marketstatus/upcoming", {}, Asked())
    return _reference(query, ticker, start, end)


def _aggregates(query: Query, ticker: str, start: int | None, end: int | None) -> Address:
    span = Span.of(query.parameters.get("span", "1s"))
    adjusted = query.parameters.get("adjusted", "false")
    if adjusted not in {"true", "false"}:
        raise InputError(f"Parameter adjusted is {adjusted!r}; expected true (for splits) or false (as traded).")
    first = max(start or 0, 0) // 1000
    # The vendor includes the last instant; far enough ahead stands for no end.
    last = (end - 1) // 1000 if end is not None else int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1000
    path = f"/v2/aggs/ticker/{quote(ticker, safe='')}/range/{span.multiplier}/{span.unit}/{first}/{last}"
    return Address(path, {"adjusted": adjusted, "sort": "asc", "limit": _MOST}, Asked(ticker, span.text))


def _reference(query: Query, ticker: str, start: int | None, end: int | None) -> Address:
    field = ORDERINGS[query.dataset].field
    parameters: dict[str, str | int] = {"order": "asc", "sort": field, "limit": _MOST_REFERENCE}
    if ticker:
        parameters["ticker"] = ticker
    if query.dataset == "tickers":
        parameters |= {"market": "stocks", "active": query.parameters.get("active", "true")}
        return Address("/v3/reference/tickers", parameters, Asked())
    as_text = _rfc3339 if query.dataset == "news" else _day
    version = "v2" if query.dataset == "news" else "v3"
    return Address(f"/{version}/reference/{query.dataset}", parameters | _bounds(field, start, end, as_text), Asked())


def _bounds(field: str, start: int | None, end: int | None, as_text: Callable[[int], str]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    if start is not None:
        found[f"{field}.gte"] = as_text(start)
    if end is not None:
        found[f"{field}.lt"] = as_text(end)
    return found


def _rfc3339(instant: int) -> str:
    return datetime.fromtimestamp(instant // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(instant: int) -> str:
    return datetime.fromtimestamp(instant // 1_000_000, UTC).date().isoformat()


def next_page(next_url: str) -> str:
    """Path and query of the next page; the host is left out, so that the setting of the base address stands."""
    parts = urlsplit(next_url)
    kept = "&".join(piece for piece in parts.query.split("&") if not piece.lower().startswith("apikey="))
    return f"{parts.path}?{kept}" if kept else parts.path


def stamps_of(dataset: str, results: bytes) -> tuple[int, list[Stamp]]:
    """How many elements the results have, and what each is in order of, where it says so.

    Raises:
        ValueError, RecursionError: the results cannot be taken apart.
    """
    if results.lstrip()[:1] != b"[":
        return 1, []
    ordering = ORDERINGS.get(dataset)
    try:
        values = [element.stamp for element in _STAMPED.get(dataset, _UNORDERED).decode(results)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = [_alone(dataset, item) for item in salvage.items(results)]
    kind = int if ordering is None or ordering.field in {"t", "sip_timestamp"} else str
    return len(values), [value for value in values if type(value) is kind]


def _alone(dataset: str, item: bytes) -> Any:
    try:
        return _STAMPED.get(dataset, _UNORDERED).decode(b"[" + item + b"]")[0].stamp
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
