"""Polygon's history: page by page, resumable, and suspicious of pages that repeat, go backwards or run in circles."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from project01.domain import AuthenticationError, InputError, Record, SourceError, VendorError
from project01.ingest.decoding import micros_of
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.polygon_decode import UNREADABLE, PolygonDecoder, error_of, read_envelope
from project01.ingest.vendors.polygon_formats import Envelope
from project01.ingest.vendors.polygon_pages import (
    NEEDS_SYMBOLS,
    ORDERINGS,
    Stamp,
    first_page,
    next_page,
    stamps_of,
)

if TYPE_CHECKING:
    from project01.ingest.connection import Connection
    from project01.ingest.transport import HttpClient


class Reached(msgspec.Struct):
    """How far one ticker's history was read.

    Attributes:
        newest: largest instant seen, microseconds UTC; None: nothing yet, or the dataset has no order in time.
        seen: digests of ids from which an incremental fetch starts again, each with its instant.
    """

    newest: int | None = None
    seen: dict[str, int] = {}


class Cursor(msgspec.Struct):
    """Where a history stands; opaque to others.

    A page is found again by its time, never by the vendor's own cursor, which may have expired when it is needed.

    Attributes:
        dataset: what it is a cursor of.
        ticker: the one being read; None: the round over all tickers is complete.
        reached: for each ticker.
    """

    dataset: str
    ticker: str | None = None
    reached: dict[str, Reached] = {}


class PolygonHistory:
    """Fetches pages over HTTP."""

    def __init__(self, http: "HttpClient", decoder: PolygonDecoder, connection: "Connection") -> None:
        self._http, self._decoder, self._connection = http, decoder, connection

    def pages(self, query: Query, cursor: str | None) -> Iterator[Page]:
        """Pages in order, ticker by ticker; a record that an earlier page had is left out.

        Raises:
            AuthenticationError, QuotaError, UnreachableError: as the HTTP client has them.
            VendorError: an error in the body, or pages that repeat, go backwards, run in circles or hold another number
                of results than they say.
            InputError: symbols are missing, or the cursor belongs to something else.
        """
        if query.dataset in NEEDS_SYMBOLS and not query.symbols:
            raise InputError(f"Polygon's {query.dataset} are asked for by symbol. Name at least one.")
        tickers = theirs(self._connection, query) or [""]
        state = _state(query, cursor)
        if state.ticker is not None and state.ticker in tickers:
            tickers = tickers[tickers.index(state.ticker) :]
        for ticker in tickers:
            yield from self._of_ticker(query, ticker, state, last=ticker == tickers[-1])

    def _of_ticker(self, query: Query, ticker: str, state: Cursor, *, last: bool) -> Iterator[Page]:
        reached = state.reached.setdefault(ticker, Reached())
        since = _since(query, reached)
        if since is not None and query.end is not None and since >= micros_of(query.end):
            state.ticker = None if last else ticker
            yield Page(decoded=Decoded(), cursor=_text(state))
            return
        address = first_page(query, ticker, since)
        path, parameters = address.path, address.parameters
        checks = _Checks(f"{query.dataset} of {ticker or 'all tickers'}")
        before = dict(reached.seen)
        while True:
            answer = self._http.get(path, parameters)
            received_at = self._connection.micros()
            decoded = self._decoder.answer(query.dataset, answer.body, received_at, address.asked)
            try:
                envelope, results = read_envelope(query.dataset, answer.body)
                count, stamps = stamps_of(query.dataset, results)
                failure = _failure(envelope)
            except UNREADABLE as error:
                failure = VendorError(f"Polygon's {checks.what} cannot be read ({error}); kept as a dead letter.")
            if failure is not None:
                yield Page(decoded=decoded, cursor=_text(state))
                raise failure
            checks.page(count, stamps, envelope.results_count, decoded)
            fresh = _unseen(decoded, before)
            _advance(query.dataset, reached, stamps, decoded, received_at)
            path = checks.follow(next_page(envelope.next_url)) if envelope.next_url else ""
            state.ticker = None if last and not path else ticker
            yield Page(decoded=fresh, cursor=_text(state))
            if not path:
                return
            parameters = {}


class _Checks:
    """What has to hold from page to page of `what`."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._visited: set[str] = set()
        self._newest: Stamp | None = None
        self._last_ids: frozenset[str] = frozenset()

    def page(self, count: int, stamps: Sequence[Stamp], said: int | None, decoded: Decoded) -> None:
        """Refuse a page that says it holds more or less than it does, repeats the one before, or goes backwards."""
        if said is not None and said != count:
            raise VendorError(f"Polygon's page of {self.what} says {said} results and holds {count}. Fetch it again.")
        ids = frozenset(record.source_id for record in decoded.records)
        if ids and ids == self._last_ids:
            raise VendorError(f"Polygon sent the same page of {self.what} twice. Fetch again from the last cursor.")
        self._last_ids = ids
        if stamps:
            oldest, newest = min(stamps), max(stamps)
            if self._newest is not None and oldest < self._newest:  # type: ignore[operator]
                raise VendorError(
                    f"Polygon's pages of {self.what} are out of order: after {self._newest} comes {oldest}. "
                    f"Fetch again from the last cursor."
                )
            self._newest = newest

    def follow(self, path: str) -> str:
        """The path, unless it was followed before."""
        if path in self._visited:
            raise VendorError(
                f"Polygon's pages of {self.what} run in circles after {len(self._visited)} pages. "
                f"Fetch again from the last cursor."
            )
        self._visited.add(path)
        return path


def theirs(connection: "Connection", query: Query) -> list[str]:
    """The query's symbols as the vendor writes them.

    Raises:
        InputError: one is no symbol of ours.
    """
    try:
        return [connection.symbols.theirs(symbol, "plain") for symbol in query.symbols]
    except ValueError as error:
        raise InputError(str(error)) from error


def _state(query: Query, cursor: str | None) -> Cursor:
    if cursor is None:
        return Cursor(query.dataset)
    try:
        state = msgspec.json.decode(cursor, type=Cursor)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InputError(f"The cursor is none of Polygon's: {error}. Start without one.") from error
    if state.dataset != query.dataset:
        raise InputError(
            f"The cursor belongs to {state.dataset!r}; {query.dataset!r} was asked for. Start without one."
        )
    return state


def _text(state: Cursor) -> str:
    return msgspec.json.encode(state).decode()


def _since(query: Query, reached: Reached) -> int | None:
    if reached.newest is None:
        return None
    since = reached.newest - ORDERINGS[query.dataset].overlap
    return since if query.start is None else max(since, micros_of(query.start))


def _digest(source_id: str) -> str:
    return base64.b85encode(
        hashlib.blake2b(source_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    ).decode()


def _unseen(decoded: Decoded, before: dict[str, int]) -> Decoded:
    """Without what the pages up to the cursor had, and without what this page has twice."""
    passed: set[str] = set()

    def is_new(record: Record) -> bool:
        if record.source_id in passed or (before and _digest(record.source_id) in before):
            return False
        passed.add(record.source_id)
        return True

    records = [record for record in decoded.records if is_new(record)]
    letters = [letter for letter in decoded.letters if not before or _digest(letter.source_id) not in before]
    return Decoded(records, letters, decoded.elements - len(letters))


def _advance(dataset: str, reached: Reached, stamps: Sequence[Stamp], decoded: Decoded, received_at: int) -> None:
    """Note how far the page came, and the ids that an incremental fetch will meet again."""
    ordering = ORDERINGS.get(dataset)
    if ordering is None or ordering.to_micros is None:
        reached.seen |= {_digest(record.source_id): 0 for record in (*decoded.records, *decoded.letters)}
        return
    if not stamps:
        return
    # What takes effect later than now says nothing about what is still to be announced.
    newest = min(ordering.to_micros(max(stamps)), received_at)
    reached.newest = max(newest, reached.newest or newest)
    horizon = reached.newest // 1000 * 1000 - ordering.overlap  # records of ticks are stamped to the millisecond
    met = {digest: at for digest, at in reached.seen.items() if at >= horizon}
    for record in decoded.records:
        if (at := max(record.event_time, record.knowledge_time)) >= horizon:
            met[_digest(record.source_id)] = at
    met |= {_digest(letter.source_id): reached.newest for letter in decoded.letters}
    reached.seen = met


def _failure(envelope: Envelope) -> SourceError | None:
    """The error that a body with status 200 stands for."""
    fault = error_of(envelope)
    if fault is None:
        return None
    if envelope.status == "NOT_AUTHORIZED":
        return AuthenticationError(f"Polygon refuses: {fault}. The plan may not include this, or the key is wrong.")
    return VendorError(f"Polygon failed: {fault}. The answer is kept as a dead letter.")
