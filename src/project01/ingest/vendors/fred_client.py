"""FRED's history: windows of vintages, pages within them, and what to remember between fetches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from threading import Event

import msgspec

from project01.domain import AuthenticationError, InputError, Observation, Record, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import HttpClient, QueryKey
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.fred_decoding import ENVELOPE, ZONE, Envelope, decode, read
from project01.ingest.vendors.fundamentals import day_end_us, iso_day, known_by_now, today, with_request

# In the cursor: the days of all releases together.
_ALL = ""
FIRST_DAY, LAST_DAY = "1776-07-04", "9999-12-31"
# FRED allows 2,000 vintages in one answer; one is the newest that the window before had.
_VINTAGES_A_WINDOW = 1_999
_OBSERVATIONS_A_PAGE, _VINTAGES_A_PAGE, _RELEASES_A_PAGE = 100_000, 10_000, 1_000


class _Window(msgspec.Struct, frozen=True):
    """Vintages after `after` up to `last`, and how far its pages were read.

    Attributes:
        series: FRED's id.
        after: newest vintage known before; None: from the first one on.
        last: newest vintage of the window, a day that is over: so the answer never changes.
        offset: rows read.
        newest: period and realtime_start of the last row read, against pages in the wrong order.
    """

    series: str
    after: str | None
    last: str
    offset: int = 0
    newest: tuple[str, int] | None = None


class _Cursor(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What was published: the newest vintage of each series, and the window being read."""

    done: dict[str, str] = {}
    window: _Window | None = None


@dataclass
class FredClient:
    """FRED's three datasets; there is no stream."""

    connection: Connection
    _http: HttpClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the client of the HTTP API."""
        key = QueryKey("api_key", self.connection.secrets["api key"])
        self._http = HttpClient(
            self.connection.address, source=self.connection.spec.name, key=key, connection=self.connection
        )

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`."""
        return decode(self.connection, dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages of a dataset; `start` and `end` bound the periods (for releases: the days), not the vintages.

        With a cursor of an earlier fetch only vintages that came since. A vintage counts from the end of its day on.
        """
        dataset = self.connection.spec.dataset(query.dataset)
        if unknown := set(query.parameters) - set(dataset.parameters):
            raise InputError(f"FRED's {dataset.name} knows no parameter {', '.join(sorted(unknown))}.")
        if query.parameters.get("vintages", "all") != "all":
            raise InputError(f"Found vintages={query.parameters['vintages']!r}; FRED is read with vintages=all only.")
        state = _read_cursor(cursor)
        if dataset.name == "releases":
            return self._releases(query, state)
        if not query.symbols:
            raise InputError(f"FRED's {dataset.name} needs series, such as UNRATE. There are too many to ask for all.")
        return self._observations(query, state) if dataset.name == "observations" else self._series(query, state)

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:  # noqa: ARG002 - the protocol's signature
        """FRED has none.

        Raises:
            InputError: always.
        """
        raise InputError("FRED has no stream. Fetch its history again with the last cursor: only new vintages come.")

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def _observations(self, query: Query, state: _Cursor) -> Iterator[Page]:
        for series in query.symbols:
            if state.window is not None and state.window.series == series:
                yield from self._window(query, state, state.window)
            vintages = self._vintages(series, state.done.get(series))
            for start in range(0, len(vintages), _VINTAGES_A_WINDOW):
                last = vintages[start : start + _VINTAGES_A_WINDOW][-1]
                yield from self._window(query, state, _Window(series, state.done.get(series), last))

    def _window(self, query: Query, state: _Cursor, window: _Window) -> Iterator[Page]:
        """All pages of a window; rows that the window before had already are left out."""
        known = None if window.after is None else day_end_us(iso_day(window.after), ZONE)
        parameters: dict[str, str | int] = {
            "series_id": window.series,
            "realtime_start": window.after or FIRST_DAY,
            "realtime_end": window.last,
            "output_type": 1,
            "order_by": "observation_date",
            "sort_order": "asc",
            **_bounds(query, "observation_start", "observation_end"),
        }
        while True:
            body = self._ask("fred/series/observations", parameters, window.offset, _OBSERVATIONS_A_PAGE)
            envelope, decoded = read(
                self.connection, "observations", with_request(body, series_id=window.series), self.connection.micros()
            )
            if envelope is None:
                yield Page(decoded=decoded, cursor=_text(state))
                raise VendorError(f"FRED's answer for {window.series}: {decoded.letters[0].detail}")
            total = _checked_count(envelope, window.offset, _OBSERVATIONS_A_PAGE, decoded.elements)
            window = _advanced(window, decoded)
            if window.offset >= total:
                state.done[window.series], state.window = window.last, None
            else:
                state.window = window
            new = known_by_now(decoded, self.connection.micros(), after=known)
            yield Page(decoded=new, cursor=_text(state))
            if state.window is None:
                return

    def _vintages(self, series: str, after: str | None) -> list[str]:
        """Days since `after` on which anything about the series changed, ascending, today excepted."""
        found: list[str] = []
        parameters = {"series_id": series, "realtime_start": after or FIRST_DAY, "realtime_end": LAST_DAY}
        while True:
            body = self._ask("fred/series/vintagedates", parameters, len(found), _VINTAGES_A_PAGE)
            envelope = _plain(body, series)
            page = envelope.vintage_dates
            if page is None:
                raise VendorError(f"FRED's answer for the vintages of {series} has no vintage_dates: {body[:200]!r}")
            total = _checked_count(envelope, len(found), _VINTAGES_A_PAGE, len(page))
            found += page
            if len(found) >= total:
                break
        _check_ascending(found, f"vintages of {series}")
        over = today(self.connection, ZONE).isoformat()
        return [day for day in found if (after or "") < day < over]

    def _series(self, query: Query, state: _Cursor) -> Iterator[Page]:
        """The present description of each series, where it changed since the cursor."""
        for series in query.symbols:
            body = self._ask("fred/series", {"series_id": series}, None, None)
            envelope, decoded = read(self.connection, "series", body, self.connection.micros())
            if envelope is None:
                yield Page(decoded=decoded, cursor=_text(state))
                raise VendorError(f"FRED's answer for {series}: {decoded.letters[0].detail}")
            new = known_by_now(decoded, self.connection.micros())
            if new.records and new.records[-1].source_id == state.done.get(series):
                continue
            if new.records:
                state.done[series] = new.records[-1].source_id
            if new.records or new.letters:
                yield Page(decoded=new, cursor=_text(state))

    def _releases(self, query: Query, state: _Cursor) -> Iterator[Page]:
        """Days of release after those of the cursor, for each release asked for, or for all."""
        over = (today(self.connection, ZONE) - timedelta(days=1)).isoformat()
        for release in query.symbols or (_ALL,):
            if state.window is not None and state.window.series == release:
                yield from self._release_days(query, state, state.window)
            window = _Window(release, state.done.get(release), over)
            if (window.after or "") < over:
                yield from self._release_days(query, state, window)

    def _release_days(self, query: Query, state: _Cursor, window: _Window) -> Iterator[Page]:
        bounds = _bounds(query, "realtime_start", "realtime_end")
        first = max(bounds.get("realtime_start", FIRST_DAY), window.after or FIRST_DAY)
        last = min(bounds.get("realtime_end", window.last), window.last)
        if last < first:
            return
        path = "fred/releases/dates" if window.series == _ALL else "fred/release/dates"
        own = {"order_by": "release_date"} if window.series == _ALL else {"release_id": window.series}
        parameters = {**own, "realtime_start": first, "realtime_end": last, "sort_order": "asc"}
        known = None if window.after is None else day_end_us(iso_day(window.after), ZONE)
        while True:
            body = self._ask(path, parameters, window.offset, _RELEASES_A_PAGE)
            envelope, decoded = read(self.connection, "releases", body, self.connection.micros())
            if envelope is None:
                yield Page(decoded=decoded, cursor=_text(state))
                raise VendorError(f"FRED's answer for release dates: {decoded.letters[0].detail}")
            total = _checked_count(envelope, window.offset, _RELEASES_A_PAGE, decoded.elements)
            newest = _in_order(decoded, window.newest)
            window = msgspec.structs.replace(window, offset=window.offset + decoded.elements, newest=newest)
            if window.offset >= total:
                state.done[window.series], state.window = window.last, None
            else:
                state.window = window
            yield Page(decoded=known_by_now(decoded, self.connection.micros(), after=known), cursor=_text(state))
            if state.window is None:
                return

    def _ask(self, path: str, parameters: Mapping[str, str | int], offset: int | None, limit: int | None) -> bytes:
        paging: dict[str, str | int] = {} if offset is None or limit is None else {"offset": offset, "limit": limit}
        try:
            return self._http.get(path, {"file_type": "json", **parameters, **paging}).body
        except VendorError as error:
            # FRED answers a wrong key with 400 like any other bad request.
            if "api_key" in str(error):
                raise AuthenticationError(f"FRED refused the key in FRED_API_KEY: {error}") from error
            raise


def _advanced(window: _Window, decoded: Decoded) -> _Window:
    """The window after a page.

    Raises:
        VendorError: the page's rows do not follow those before it.
    """
    newest = window.newest
    for row in decoded.records:
        place = (_period(row), row.knowledge_time)
        if newest is not None and place <= newest:
            raise VendorError(
                f"FRED's rows of {window.series} are out of order or repeated at offset {window.offset}: a vintage of "
                f"{place[0]} comes after one of {newest[0]}. Nothing of this page was taken; fetch again."
            )
        newest = place
    return msgspec.structs.replace(window, offset=window.offset + decoded.elements, newest=newest)


def _in_order(decoded: Decoded, newest: tuple[str, int] | None) -> tuple[str, int] | None:
    """The newest day of a page of release days, each release once a day.

    Raises:
        VendorError: the page's days do not follow those before it.
    """
    seen = set()
    for row in decoded.records:
        if (newest is not None and _period(row) < newest[0]) or row.source_id in seen:
            raise VendorError(f"FRED's release days are out of order or repeated at {row.source_id}. Fetch again.")
        newest = (_period(row), row.knowledge_time)
        seen.add(row.source_id)
    return newest


def _period(row: Record) -> str:
    return row.period if isinstance(row, Observation) else ""


def _checked_count(envelope: Envelope, offset: int, limit: int, elements: int) -> int:
    """The server's count.

    Raises:
        VendorError: it has no count, answers another page, or holds more or fewer rows than it says.
    """
    if envelope.count is None or envelope.offset is None:
        raise VendorError("FRED's answer lacks count or offset, so that nobody can tell whether it is complete.")
    if envelope.offset != offset:
        raise VendorError(f"FRED answered the page at offset {envelope.offset}, asked was {offset}. Fetch again.")
    expected = max(0, min(envelope.limit or limit, envelope.count - offset))
    if elements != expected:
        raise VendorError(
            f"FRED says count {envelope.count}, so the page at offset {offset} should have {expected} rows; it has "
            f"{elements}. Nothing of this page was taken; fetch again."
        )
    return envelope.count


def _check_ascending(days: list[str], what: str) -> None:
    for before, after in pairwise(days):
        if after <= before:
            raise VendorError(f"FRED's {what} are out of order: {after} after {before}. Fetch again.")
    for day in days:
        try:
            iso_day(day)
        except ValueError as error:
            raise VendorError(f"FRED's {what} hold no day: {error}") from error


def _plain(body: bytes, series: str) -> Envelope:
    try:
        return ENVELOPE.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise VendorError(f"FRED's answer for the vintages of {series} cannot be read: {error}") from error


def _bounds(query: Query, first: str, last: str) -> dict[str, str]:
    bounds = {}
    if query.start is not None:
        bounds[first] = query.start.date().isoformat()
    if query.end is not None:
        final: date = (query.end - timedelta(microseconds=1)).date()
        bounds[last] = final.isoformat()
    return bounds


def _text(state: _Cursor) -> str:
    return msgspec.json.encode(state).decode()


def _read_cursor(cursor: str | None) -> _Cursor:
    if cursor is None:
        return _Cursor()
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InputError(f"{cursor[:80]!r} is no cursor of FRED: {error}. Pass one that a page gave.") from error
