"""LSEG's client: history by time windows, pricing as it comes."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Event
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from project01.domain import InputError, VendorError, trading_calendar
from project01.ingest.connection import Connection
from project01.ingest.transport import listen
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.elements import Origin, close_of, together
from project01.ingest.vendors.frontier import Frontier, Snapshot, span, windows
from project01.ingest.vendors.gaps import stream_pages
from project01.ingest.vendors.lseg_decode import INTERVALS, TICK_INTERVAL, decode
from project01.ingest.vendors.lseg_session import PricingSession, Sessions, Tables, encoded
from project01.ingest.vendors.sdk import with_symbols

_NEW_YORK = ZoneInfo("America/New_York")
_IDLE_S = 300.0
_MOST_ROWS, _MOST_HEADLINES = 10_000, 100
_SHORTEST = timedelta(seconds=2)
_FUNDAMENTALS = "TR.Revenue,TR.NetIncome,TR.TotalAssetsReported"
_ESTIMATES = {"EPS": "TR.EPSMean", "revenue": "TR.RevenueMean", "EBITDA": "TR.EBITDAMean"}
_ABOUT = ("PERIODENDDATE", "FPERIOD", "CURRENCY")
# Longest window of one request, how far back LSEG goes, and after how long nothing is added any more.
_REACHES = {
    "daily": (timedelta(days=3650), timedelta(days=365 * 30), timedelta(days=5)),
    "bars": (timedelta(days=7), timedelta(days=365), timedelta(hours=1)),
    "pricing": (timedelta(hours=1), timedelta(days=90), timedelta(hours=1)),
    "estimates": (timedelta(days=365), timedelta(days=365 * 5), timedelta(days=3)),
    "news": (timedelta(days=7), timedelta(days=450), timedelta(days=1)),
}
Asked = Callable[[datetime, datetime, int], Any]


class LsegClient:
    """See `vendor.VendorClient`."""

    def __init__(self, connection: Connection, sdk: ModuleType) -> None:
        close_of(date(2024, 1, 2))  # reads the calendar now, not within a decode
        self._connection, self._sdk = connection, sdk
        self._origin = Origin.of(connection)
        self._sessions = Sessions(connection, sdk)
        self._tables = Tables(connection, sdk, self._sessions)

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `lseg_decode`."""
        return decode(self._origin, dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages of one window of one instrument each; see `vendor.VendorClient`."""
        self._connection.spec.dataset(query.dataset)
        query = with_symbols(query, self._connection)
        if query.dataset == "fundamentals":
            return self._snapshot(query, Snapshot.read("fundamentals", cursor, self._connection.clock.now().date()))
        if query.dataset == "bars":
            _interval(query)
        return self._windows(query, Frontier.read(query.dataset, cursor))

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """Pricing as it comes; see `vendor.VendorClient`."""
        if not self._connection.spec.dataset(query.dataset).stream:
            raise InputError(f"LSEG's {query.dataset} is no stream; pricing is.")
        query = with_symbols(query, self._connection)
        rics = [self._theirs(symbol) for symbol in query.symbols]
        listening = listen(
            partial(PricingSession, self._sdk, self._sessions, rics),
            stop,
            connection=self._connection,
            idle_timeout_s=_IDLE_S if self._connection.idle_timeout_s is None else self._connection.idle_timeout_s,
        )

        def fill(start: datetime, end: datetime) -> Iterator[Page]:
            return self.history(Query(dataset="pricing", symbols=query.symbols, start=start, end=end))

        return stream_pages(listening, partial(self.decode, query.dataset), fill)

    def close(self) -> None:
        """Close the session."""
        self._sessions.close()

    def _windows(self, query: Query, frontier: Frontier) -> Iterator[Page]:
        now = self._connection.clock.now()
        kind = "daily" if query.dataset == "bars" and _interval(query) == "daily" else query.dataset
        step, reach, settled = _REACHES[kind]
        start, end = span(query, now, reach)
        for symbol in query.symbols:
            for since, until in windows(frontier.start(symbol, start), end, step):
                decoded = self._joined(query.dataset, self._views(query, kind, self._theirs(symbol), since, until))
                fresh = frontier.only_new(symbol, decoded, since, until)
                frontier.advance(symbol, fresh.records, until, now - settled)
                yield Page(decoded=fresh, cursor=frontier.text())

    def _snapshot(self, query: Query, done: Snapshot) -> Iterator[Page]:
        """Reported numbers as of now, once a day: a cursor tells for which symbols today's are there."""
        now = self._connection.clock.now()
        start, end = span(query, now, timedelta(days=365 * 10))
        names = [name.strip() for name in query.parameters.get("fields", _FUNDAMENTALS).split(",") if name.strip()]
        period = {"SDate": f"{start:%Y-%m-%d}", "EDate": f"{end:%Y-%m-%d}", "Period": "FY0", "Frq": "FY"}
        for symbol in done.missing(query.symbols):
            ric = self._theirs(symbol)
            views = (self._facts(ric, name.removeprefix("TR."), name, period) for name in names)
            yield Page(decoded=self._joined(query.dataset, views), cursor=done.with_symbol(symbol))

    def _views(self, query: Query, kind: str, ric: str, since: datetime, until: datetime) -> Iterator[bytes]:
        if kind == "estimates":
            yield from self._estimates(ric, query.parameters.get("period", "FY1"), since, until)
        elif kind == "news":
            yield from self._pieces(
                lambda start, end, count: self._headlines(ric, start, end, count), since, until, _MOST_HEADLINES
            )
        elif kind == "daily":
            last = trading_calendar().last_closed(until)
            first = since.astimezone(_NEW_YORK).date()
            if first <= last:
                yield self._history(ric, "daily", str(first), str(last), _MOST_ROWS)
        else:
            interval = TICK_INTERVAL if kind == "pricing" else _interval(query)
            yield from self._pieces(
                lambda start, end, count: self._history(ric, interval, _zulu(start), _zulu(end), count),
                since,
                until,
                _MOST_ROWS,
            )

    def _estimates(self, ric: str, period: str, since: datetime, until: datetime) -> Iterator[bytes]:
        """Of the days that were over at `until`: today's estimate may still change."""
        first, last = since.date(), until.date() - timedelta(days=1)
        if first > last:
            return
        parameters = {"SDate": str(first), "EDate": str(last), "Frq": "D", "Period": period}
        for name, field in _ESTIMATES.items():
            yield self._facts(ric, f"estimate.{name}.mean", field, parameters)

    def _pieces(
        self, ask: Callable[[datetime, datetime, int], bytes], since: datetime, until: datetime, most: int
    ) -> Iterator[bytes]:
        """Answers that are not cut off: a window that holds as many rows as LSEG gives at most is halved."""
        view = ask(since, until, most)
        rows = view.count(b'"Date":') + view.count(b'"versionCreated":')
        if rows < most:
            yield view
        elif until - since < _SHORTEST:
            raise VendorError(
                f"LSEG gives at most {most} rows at once and has more within {_SHORTEST.seconds} s from {since}. "
                f"Nothing of this window is taken, as it would have a hole; leave the instrument out."
            )
        else:
            middle = since + timedelta(seconds=(until - since).total_seconds() // 2)
            yield from self._pieces(ask, since, middle, most)
            yield from self._pieces(ask, middle, until, most)

    def _history(self, ric: str, interval: str, start: str, end: str, count: int) -> bytes:
        def call() -> Any:
            # As printed at the time: adjusted prices hold splits that nobody knew of then.
            return self._sdk.get_history(
                ric, interval=interval, start=start, end=end, count=count, adjustments="unadjusted"
            )

        rows, error = self._tables.ask(call, "Date")
        if interval == TICK_INTERVAL:
            _number_equal_trades(rows)
        return _view({"rics": [ric], "interval": interval, "data": rows}, error)

    def _facts(self, ric: str, concept: str, field: str, parameters: dict[str, str]) -> bytes:
        about = (*_ABOUT, "CALCDATE") if concept.startswith("estimate.") else _ABOUT

        def call() -> Any:
            fields = [field, *(f"{field}.{name.lower()}" for name in about)]
            return self._sdk.get_data(ric, fields, parameters=parameters, header_type=self._sdk.HeaderType.NAME)

        rows, error = self._tables.ask(call, None)
        # A day or year without a number is a row without one.
        told = [row for row in rows if any(name.upper() == field.upper() for name in row)]
        fetched = {"fetchedAt": self._connection.clock.now().isoformat()}
        return _view({"rics": [ric], "concept": concept, "field": field, "data": told} | fetched, error)

    def _headlines(self, ric: str, since: datetime, until: datetime, count: int) -> bytes:
        def call() -> Any:
            start, end = (f"{instant:%Y-%m-%dT%H:%M:%S}" for instant in (since, until))
            return self._sdk.news.get_headlines(f"R:{ric}", count=count, start=start, end=end)

        rows, error = self._tables.ask(call, "versionCreated")
        return _view({"rics": [ric], "headlines": rows[::-1]}, error)  # LSEG gives the newest first

    def _joined(self, dataset: str, views: Iterator[bytes]) -> Decoded:
        return together(self.decode(dataset, view, self._connection.micros()) for view in views)

    def _theirs(self, symbol: str) -> str:
        return self._connection.symbols.theirs(symbol, "ric")


def _view(view: dict[str, Any], error: dict[str, Any] | None) -> bytes:
    return encoded(view if error is None else view | {"error": error})


def _number_equal_trades(rows: list[dict[str, Any]]) -> None:
    """Trades without a sequence number that say the same are numbered, so that they stay several."""
    counts: dict[tuple[object, ...], int] = {}
    for row in rows:
        if str(row.get("EVENT_TYPE")).lower() == "trade" and row.get("SEQNUM") is None:
            said = (row.get("Date"), row.get("TRDPRC_1"), row.get("TRDVOL_1"))
            row["occurrence"] = counts[said] = counts.get(said, -1) + 1


def _interval(query: Query) -> str:
    found = query.parameters.get("interval", "daily")
    if found not in INTERVALS:
        raise InputError(f"interval is {found!r}; expected one of {', '.join(INTERVALS)}.")
    return found


def _zulu(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"
