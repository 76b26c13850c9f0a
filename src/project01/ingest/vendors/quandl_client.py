"""Nasdaq Data Link's history: one answer a time series, pages of tables, and what to remember between fetches."""

import hashlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event

import msgspec

from project01.domain import AuthenticationError, InputError, Observation, Record, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import HeaderKey, HttpClient
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.fundamentals import iso_day, known_by_now, today, with_request
from project01.ingest.vendors.quandl_decoding import DEFAULT_KEYS, ROW, ZONE, Envelope, lag_days, read

# Columns by which a table grows, the best first: rows after the newest day seen are new.
_PROGRESS = ("lastupdated", "date", "datekey")
_ROWS_A_PAGE = 10_000


class _Progress(msgspec.Struct, omit_defaults=True):
    """How far a table was read.

    Attributes:
        column: which column tells; None: none does, so each fetch reads the whole table.
        after: newest day that earlier fetches published.
        newest: newest day so far.
        next: the vendor's cursor of the page to read next; None: the fetch is complete.
    """

    column: str | None = None
    after: str | None = None
    newest: str | None = None
    next: str | None = None


class _Cursor(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What was published: the newest day of each time series, the progress in each table."""

    series: dict[str, str] = {}
    tables: dict[str, _Progress] = {}


@dataclass
class QuandlClient:
    """Nasdaq Data Link's time series and tables; there is no stream."""

    connection: Connection
    _http: HttpClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the client of the HTTP API."""
        key = HeaderKey("X-Api-Token", self.connection.secrets["api key"])
        self._http = HttpClient(
            self.connection.address, source=self.connection.spec.name, key=key, connection=self.connection
        )

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`."""
        return read(self.connection, dataset, payload, received_at)[1]

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages of a dataset; `start` and `end` bound the periods.

        With a cursor of an earlier fetch only what is dated (tables: was updated) after the newest day seen then.
        """
        dataset = self.connection.spec.dataset(query.dataset)
        if unknown := set(query.parameters) - set(dataset.parameters):
            raise InputError(f"Nasdaq Data Link's {dataset.name} knows no parameter {', '.join(sorted(unknown))}.")
        try:
            lag_days(query.parameters.get("publication_lag_days", "1"))
        except ValueError as error:
            raise InputError(f"{error}.") from error
        state = _read_cursor(cursor)
        if dataset.name == "tables":
            return self._table(query, _code(query.parameters.get("table", ""), "SHARADAR/SF1"), state)
        if not query.symbols:
            raise InputError("Time series need codes, such as FRED/GDP. There are too many to ask for all.")
        return self._timeseries(query, [_code(code, "FRED/GDP") for code in query.symbols], state)

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:  # noqa: ARG002 - the protocol's signature
        """Nasdaq Data Link's time series and tables have none.

        Raises:
            InputError: always.
        """
        raise InputError("Nasdaq Data Link has no stream here. Fetch its history again with the last cursor.")

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def _timeseries(self, query: Query, codes: list[str], state: _Cursor) -> Iterator[Page]:
        for code in codes:
            after = state.series.get(code)
            parameters = {"order": "asc"}
            if after is not None:
                parameters["start_date"] = (iso_day(after) + timedelta(days=1)).isoformat()
            elif query.start is not None:
                parameters["start_date"] = query.start.date().isoformat()
            if query.end is not None:
                parameters["end_date"] = (query.end - timedelta(microseconds=1)).date().isoformat()
            body = self._ask(f"api/v3/datasets/{code}/data.json", parameters)
            _, decoded = yield from self._usable("timeseries", _asked(body, code, query), state)
            _check_ascending(decoded, code)
            new = _bounded(known_by_now(decoded, self.connection.micros()), query, after or "")
            if new.records:
                state.series[code] = max(_period(row) for row in new.records)
            if new.records or new.letters:
                yield Page(decoded=new, cursor=_text(state))

    def _table(self, query: Query, code: str, state: _Cursor) -> Iterator[Page]:
        progress = state.tables.setdefault(code, _Progress())
        filters = {"ticker": ",".join(query.symbols)} if query.symbols else {}
        if progress.column is not None:
            filters |= {f"{progress.column}.lt": today(self.connection, ZONE).isoformat()}
            filters |= {f"{progress.column}.gt": progress.after} if progress.after is not None else {}
        seen: set[str] = set()
        rows: set[int] = set()
        while True:
            paging = {"qopts.cursor_id": progress.next} if progress.next is not None else {}
            body = self._ask(f"api/v3/datatables/{code}.json", {"qopts.per_page": _ROWS_A_PAGE, **filters, **paging})
            envelope, decoded = yield from self._usable("tables", _asked(body, code, query), state)
            following = _next_cursor(envelope, code)
            _check_new(seen, "page", hashlib.sha256(body).hexdigest(), code)
            if following is not None:
                _check_new(seen, "cursor", following, code)
            progress.next = following
            _check_rows(decoded, rows, code)
            new = self._complete_days(known_by_now(decoded, self.connection.micros()), envelope, progress)
            if following is None:
                progress.after = progress.newest
            yield Page(decoded=_bounded(new, query), cursor=_text(state))
            if following is None:
                return

    def _complete_days(self, decoded: Decoded, envelope: Envelope, progress: _Progress) -> Decoded:
        """Without rows updated today, which are left for the next fetch; notes the newest day of the others."""
        names = [column.name for column in envelope.datatable.columns] if envelope.datatable else []
        progress.column = next((name for name in _PROGRESS if name in names), None)
        if progress.column is None:
            return decoded
        place, over = names.index(progress.column), today(self.connection, ZONE).isoformat()
        kept: list[Record] = []
        row, day = None, ""
        for record in decoded.records:
            if record.raw is not row:
                row, day = record.raw, str(ROW.decode(record.raw)[place] or "")[:10]
            if day < over:
                kept.append(record)
                progress.newest = max(progress.newest or "", day) or None
        return Decoded(kept, decoded.letters, decoded.accepted)

    def _usable(self, dataset: str, body: bytes, state: _Cursor) -> Generator[Page, None, tuple[Envelope, Decoded]]:
        """The envelope and what was decoded; where it is of no use, a page with the dead letter, then the error."""
        envelope, decoded = read(self.connection, dataset, body, self.connection.micros())
        if envelope is None:
            yield Page(decoded=decoded, cursor=_text(state))
            raise VendorError(f"Nasdaq Data Link's answer: {decoded.letters[0].detail}")
        return envelope, decoded

    def _ask(self, path: str, parameters: Mapping[str, str | int]) -> bytes:
        try:
            return self._http.get(path, parameters).body
        except VendorError as error:
            # A wrong key is answered with 400 like any other bad request.
            if "QEA" in str(error) or "QEP" in str(error):
                raise AuthenticationError(
                    f"Nasdaq Data Link refused the key in NASDAQ_DATA_LINK_API_KEY or its permissions: {error}"
                ) from error
            raise


def _asked(body: bytes, code: str, query: Query) -> bytes:
    lag = query.parameters.get("publication_lag_days", "1")
    return with_request(body, code=code, lag=lag, keys=query.parameters.get("keys", DEFAULT_KEYS))


def _code(text: str, example: str) -> str:
    pieces = text.split("/")
    if len(pieces) != 2 or not all(piece.replace("_", "").replace("-", "").isalnum() for piece in pieces):
        raise InputError(f"Found {text!r}; expected the vendor's code of two parts, such as {example}.")
    return text


def _check_ascending(decoded: Decoded, code: str) -> None:
    newest, seen = "", set()
    for row in decoded.records:
        if _period(row) < newest or row.source_id in seen:
            raise VendorError(
                f"Rows of {code} are out of order or repeated at {_period(row)}, asked was order=asc. Nothing of this "
                f"answer was taken; fetch again."
            )
        newest = _period(row)
        seen.add(row.source_id)


def _check_rows(decoded: Decoded, rows: set[int], code: str) -> None:
    """No row twice in a fetch; of each row the hash of its first id is kept, as tables have millions of rows."""
    row = None
    for record in decoded.records:
        if record.raw is not row:
            row, mark = record.raw, hash(record.source_id)
            if mark in rows:
                raise VendorError(f"Pages of {code} repeat the row {record.source_id}. Fetch again.")
            rows.add(mark)


def _check_new(seen: set[str], kind: str, mark: str, code: str) -> None:
    if mark in seen:
        raise VendorError(f"Pages of {code} go in circles: a {kind} came twice. Nothing more was taken; fetch again.")
    seen.add(mark)


def _next_cursor(envelope: Envelope, code: str) -> str | None:
    if envelope.meta is None:
        raise VendorError(
            f"The answer for {code} has no meta.next_cursor_id, so nobody can tell whether it is complete."
        )
    return envelope.meta.next_cursor_id


def _bounded(decoded: Decoded, query: Query, after: str = "") -> Decoded:
    """Only periods after `after` and within the query's bounds."""
    first = query.start.date().isoformat() if query.start is not None else ""
    last = (query.end - timedelta(microseconds=1)).date().isoformat() if query.end is not None else "9999-12-31"
    kept = [row for row in decoded.records if first <= _period(row) <= last and _period(row) > after]
    return Decoded(kept, decoded.letters, decoded.accepted)


def _period(row: Record) -> str:
    return row.period if isinstance(row, Observation) else ""


def _text(state: _Cursor) -> str:
    return msgspec.json.encode(state).decode()


def _read_cursor(cursor: str | None) -> _Cursor:
    if cursor is None:
        return _Cursor()
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InputError(f"{cursor[:80]!r} is no cursor of Nasdaq Data Link: {error}. Pass one a page gave.") from error
