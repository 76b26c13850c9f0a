"""Bloomberg's client: history by time windows, market data as it comes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from threading import Event
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from project01.domain import InputError, trading_calendar
from project01.ingest.connection import Connection
from project01.ingest.transport import listen
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.bloomberg_decode import CONTEXT_FIELDS, decode
from project01.ingest.vendors.bloomberg_news import FIELDS as NEWS_FIELDS
from project01.ingest.vendors.bloomberg_news import first_day, last_whole_day
from project01.ingest.vendors.bloomberg_session import MarketDataSession, ReferenceData
from project01.ingest.vendors.elements import Origin, close_of, together
from project01.ingest.vendors.frontier import Frontier, Snapshot, span, windows
from project01.ingest.vendors.gaps import stream_pages
from project01.ingest.vendors.sdk import with_symbols

_NEW_YORK = ZoneInfo("America/New_York")
_FUNDAMENTALS = "IS_EPS,SALES_REV_TURN,EQY_SH_OUT"
# A subscription is quiet when its market is closed; the SDK itself notices a dead connection much sooner.
_IDLE_S = 300.0


@dataclass(frozen=True)
class _Kind:
    """How a dataset is asked for.

    Attributes:
        operation: Bloomberg's request.
        step: longest window of one request.
        reach: how far back Bloomberg goes.
        settled: after this long nothing is added any more.
    """

    operation: str
    step: timedelta
    reach: timedelta
    settled: timedelta


_KINDS = {
    "market_data": _Kind("IntradayTickRequest", timedelta(hours=4), timedelta(days=140), timedelta(hours=1)),
    "intraday_bars": _Kind("IntradayBarRequest", timedelta(days=30), timedelta(days=140), timedelta(hours=1)),
    "daily": _Kind("HistoricalDataRequest", timedelta(days=3660), timedelta(days=365 * 30), timedelta(days=5)),
    "news_analytics": _Kind("HistoricalDataRequest", timedelta(days=3660), timedelta(days=365 * 20), timedelta(days=5)),
}


class BloombergClient:
    """See `vendor.VendorClient`."""

    def __init__(self, connection: Connection, sdk: ModuleType) -> None:
        close_of(date(2024, 1, 2))  # reads the calendar now, not within a decode
        self._connection, self._sdk = connection, sdk
        self._origin = Origin.of(connection)
        self._reference = ReferenceData(connection, sdk)

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `bloomberg_decode`."""
        return decode(self._origin, dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages of one window of one security each; see `vendor.VendorClient`."""
        self._connection.spec.dataset(query.dataset)
        query = with_symbols(query, self._connection)
        if query.dataset == "reference":
            return self._snapshot(query, cursor)
        _minutes(query)
        return self._windows(query, Frontier.read(query.dataset, cursor))

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """Market data as it comes; see `vendor.VendorClient`."""
        if not self._connection.spec.dataset(query.dataset).stream:
            raise InputError(f"Bloomberg's {query.dataset} is no stream; market_data is.")
        query = with_symbols(query, self._connection)
        securities = [self._theirs(symbol) for symbol in query.symbols]
        listening = listen(
            partial(MarketDataSession, self._connection, self._sdk, securities),
            stop,
            connection=self._connection,
            idle_timeout_s=_IDLE_S if self._connection.idle_timeout_s is None else self._connection.idle_timeout_s,
        )

        def fill(start: datetime, end: datetime) -> Iterator[Page]:
            return self.history(Query(dataset="market_data", symbols=query.symbols, start=start, end=end))

        return stream_pages(listening, partial(self.decode, query.dataset), fill)

    def close(self) -> None:
        """Stop the session of requests."""
        self._reference.close()

    def _windows(self, query: Query, frontier: Frontier) -> Iterator[Page]:
        kind, now = _KINDS[query.dataset], self._connection.clock.now()
        start, end = span(query, now, kind.reach)
        for symbol in query.symbols:
            for since, until in windows(frontier.start(symbol, start), end, kind.step):
                request = self._request(query, symbol, since, until)
                if request is None:
                    continue
                decoded = self._together(query.dataset, self._reference.ask(kind.operation, *request))
                fresh = frontier.only_new(symbol, decoded, since, until)
                frontier.advance(symbol, fresh.records, until, now - kind.settled)
                yield Page(decoded=fresh, cursor=frontier.text())

    def _snapshot(self, query: Query, cursor: str | None) -> Iterator[Page]:
        """Numbers as of now, once a day: a cursor tells for which symbols today's are there."""
        names = _fields(query, _FUNDAMENTALS)
        done = Snapshot.read(query.dataset, cursor, self._connection.clock.now().date())
        for symbol in done.missing(query.symbols):

            def fill(request: Any, security: str = self._theirs(symbol)) -> None:
                request.append("securities", security)
                for name in (*names, *CONTEXT_FIELDS):
                    request.append("fields", name)

            decoded = self._together(query.dataset, self._reference.ask("ReferenceDataRequest", fill, self._now()))
            yield Page(decoded=decoded, cursor=done.with_symbol(symbol))

    def _now(self) -> dict[str, Any]:
        """When numbers as of now were fetched, for the view: what is known from then on."""
        return {"fetchedAt": self._connection.clock.now().isoformat()}

    def _together(self, dataset: str, payloads: Iterator[bytes]) -> Decoded:
        return together(self.decode(dataset, payload, self._connection.micros()) for payload in payloads)

    def _request(
        self, query: Query, symbol: str, since: datetime, until: datetime
    ) -> tuple[Callable[[Any], None], dict[str, Any]] | None:
        """What fills the request of one window, and what its answer does not repeat; None: nothing is complete yet."""
        security = self._theirs(symbol)
        if query.dataset == "daily":
            last = trading_calendar().last_closed(until)
            first = since.astimezone(_NEW_YORK).date()
            return None if first > last else (partial(_fill_days, security, first, last), {})
        if query.dataset == "news_analytics":
            first, last = first_day(since), last_whole_day(until)
            fields = _fields(query, NEWS_FIELDS)
            return None if first > last else (partial(_fill_history, security, fields, first, last), {})
        if query.dataset == "market_data":
            return partial(_fill_ticks, security, since, until), {"security": security}
        minutes = _minutes(query)
        since, until = (_whole(instant, minutes) for instant in (since, until))
        if since >= until:
            return None
        return partial(_fill_bars, security, minutes, since, until), {"security": security, "interval": minutes}

    def _theirs(self, symbol: str) -> str:
        return self._connection.symbols.theirs(symbol, "bloomberg")


def _fill_within(security: str, since: datetime, until: datetime, request: Any) -> None:
    request.set("security", security)
    request.set("startDateTime", since.replace(tzinfo=None))
    request.set("endDateTime", until.replace(tzinfo=None))


def _fill_ticks(security: str, since: datetime, until: datetime, request: Any) -> None:
    _fill_within(security, since, until, request)
    for name in ("TRADE", "BID", "ASK"):
        request.append("eventTypes", name)
    for name in ("includeConditionCodes", "includeExchangeCodes", "includeTradeId"):
        request.set(name, True)


def _fill_bars(security: str, minutes: int, since: datetime, until: datetime, request: Any) -> None:
    _fill_within(security, since, until, request)
    request.set("eventType", "TRADE")
    request.set("interval", minutes)


def _fields(query: Query, otherwise: str) -> list[str]:
    return [name.strip() for name in query.parameters.get("fields", otherwise).split(",") if name.strip()]


def _fill_history(security: str, fields: Sequence[str], first: date, last: date, request: Any) -> None:
    request.append("securities", security)
    for name in fields:
        request.append("fields", name)
    request.set("startDate", f"{first:%Y%m%d}")
    request.set("endDate", f"{last:%Y%m%d}")


def _fill_days(security: str, first: date, last: date, request: Any) -> None:
    _fill_history(security, ("PX_OPEN", "PX_HIGH", "PX_LOW", "PX_LAST", "PX_VOLUME"), first, last, request)
    # As printed on the day: an adjusted price holds a split that nobody knew of then.
    for name in ("adjustmentNormal", "adjustmentAbnormal", "adjustmentSplit", "adjustmentFollowDPDF"):
        request.set(name, False)


def _whole(instant: datetime, minutes: int) -> datetime:
    """The last boundary between bars at or before `instant`; bars are counted from midnight UTC."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(minutes=minutes)
    return midnight + (instant - midnight) // step * step


def _minutes(query: Query) -> int:
    found = query.parameters.get("minutes", "1")
    if not found.isdecimal() or not 1 <= int(found) <= 1440:
        raise InputError(f"minutes is {found!r}; expected a whole number from 1 to 1440.")
    return int(found)
