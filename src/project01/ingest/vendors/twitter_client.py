"""X, connected: history by search and by asking for single posts, streams with their gaps filled."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Final

import msgspec

from project01.domain import InputError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import HeaderKey, HttpClient, Received, Reconnected, Session, listen
from project01.ingest.vendor import Decoded, Gap, Page, Query
from project01.ingest.vendors.elements import Origin
from project01.ingest.vendors.frontier import at
from project01.ingest.vendors.twitter_decoding import TwitterDecoder
from project01.ingest.vendors.twitter_rules import apply
from project01.ingest.vendors.twitter_search import FIELDS, PostAllowance, Search, query_texts, second
from project01.ingest.vendors.twitter_stream import IDLE_TIMEOUT_S, MARGIN, FilledStream, Parameters, TwitterSession

_STREAM: Final = "2/tweets/search/stream"
_LOOKUP: Final = "2/tweets"
_COMPLIANCE: Final = {"posts": "2/tweets/compliance/stream", "users": "2/users/compliance/stream"}
_POSTS_A_LOOKUP: Final = 100
_SEARCHABLE_AFTER_S: Final = 45


class _Looked(msgspec.Struct):
    """Cursor of lookups: posts with ids up to `after` were asked for."""

    after: str


class TwitterClient:
    """See `VendorClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._decoder = TwitterDecoder(Origin.of(connection))
        self._client = HttpClient(
            connection.address,
            source=connection.spec.name,
            key=HeaderKey("Authorization", connection.secrets["bearer token"], "Bearer "),
            connection=connection,
        )
        self._search = Search(self._client, connection, self._decoder)
        self._idle_timeout_s = IDLE_TIMEOUT_S if connection.idle_timeout_s is None else connection.idle_timeout_s

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`."""
        return self._decoder.decode(dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """See `VendorClient.history`; of ``compliance``: asks which of the `ids` are gone."""
        self._check(query)
        if query.dataset == "compliance":
            return self._looked_up(query, cursor)
        return self._search.pages(query, cursor)

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """See `VendorClient.stream`."""
        self._check(query)
        if not self._connection.spec.dataset(query.dataset).stream:
            raise InputError(f"X's dataset {query.dataset!r} has no stream; use 'stream' with the same symbols.")
        if query.dataset == "compliance":
            return self._events(query, stop)
        return self._posts(query, stop)

    def close(self) -> None:
        """See `VendorClient.close`."""
        self._client.close()

    def _check(self, query: Query) -> None:
        known = self._connection.spec.dataset(query.dataset).parameters
        if unknown := sorted(set(query.parameters) - set(known)):
            raise InputError(f"X's {query.dataset} knows {', '.join(known)}; found {', '.join(unknown)}.")

    def _posts(self, query: Query, stop: Event) -> Iterator[Page]:
        wanted = query_texts(query, self._connection)
        backfill_minutes = _whole(query, "backfill_minutes", 0, 0, 5)
        reconnecting = Event()

        def open_session() -> Session:
            apply(self._client, wanted)
            parameters: Parameters = dict(FIELDS)
            if backfill_minutes and reconnecting.is_set():
                parameters["backfill_minutes"] = backfill_minutes
            session = TwitterSession(self._client, _STREAM, parameters, idle_timeout_s=self._idle_timeout_s)
            reconnecting.set()
            return session

        stream = FilledStream(
            self._search,
            query,
            self._connection,
            lambda line, received_at: self.decode(query.dataset, line, received_at),
            searchable_after=timedelta(seconds=_whole(query, "searchable_after_s", _SEARCHABLE_AFTER_S, 0, 3600)),
            backfill=timedelta(minutes=backfill_minutes),
        )
        return stream.pages(
            listen(open_session, stop, connection=self._connection, idle_timeout_s=self._idle_timeout_s)
        )

    def _events(self, query: Query, stop: Event) -> Iterator[Page]:
        path = _COMPLIANCE.get(query.parameters.get("about", "posts"))
        if path is None:
            raise InputError(f"about is {query.parameters['about']!r}; choose one of {', '.join(_COMPLIANCE)}.")
        partition = _whole(query, "partition", 1, 1, 4)
        last_line = [self._connection.micros()]
        reconnecting = Event()

        def heard() -> None:
            last_line[0] = self._connection.micros()

        def open_session() -> Session:
            parameters: Parameters = {"partition": partition}
            if reconnecting.is_set():
                # The stream itself sends again what it had in the gap.
                parameters["start_time"] = second(at(last_line[0]) - MARGIN)
            session = TwitterSession(self._client, path, parameters, idle_timeout_s=self._idle_timeout_s, on_line=heard)
            reconnecting.set()
            return session

        listening = listen(open_session, stop, connection=self._connection, idle_timeout_s=self._idle_timeout_s)
        return self._event_pages(query.dataset, listening)

    def _event_pages(self, dataset: str, listening: Iterator[Received | Reconnected]) -> Iterator[Page]:
        for item in listening:
            if isinstance(item, Received):
                yield Page(decoded=self.decode(dataset, item.payload, item.at))
            else:
                yield Page(decoded=Decoded(), gap=Gap(at(item.start), at(item.end), item.reason, filled=True))

    def _looked_up(self, query: Query, cursor: str | None) -> Iterator[Page]:
        after = _read_cursor(cursor)
        waiting = [identifier for identifier in _identifiers(query) if identifier > after]
        allowance = PostAllowance(self._connection)
        while waiting:
            asked, waiting = waiting[:_POSTS_A_LOOKUP], waiting[_POSTS_A_LOOKUP:]
            allowance.take(len(asked), len(asked))
            answer = self._client.get(_LOOKUP, {"ids": ",".join(map(str, asked)), "tweet.fields": "id"})
            decoded = self.decode(query.dataset, answer.body, self._connection.micros())
            complete = decoded.elements >= len(asked)
            reached = str(asked[-1]) if complete else str(after)
            yield Page(decoded=decoded, cursor=msgspec.json.encode(_Looked(reached)).decode())
            if not complete:
                raise VendorError(
                    f"X was asked for {len(asked)} posts and spoke of {decoded.elements}; expected each to stand under "
                    f"data or errors. Ask again for {asked[0]} to {asked[-1]}."
                )
            after = asked[-1]
            allowance.give_back(len(decoded.records))  # posts that are gone are not counted by X


def _identifiers(query: Query) -> list[int]:
    words = query.parameters.get("ids", "").replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdecimal() for word in words):
        raise InputError("History of compliance needs the ids of the posts you hold, e.g. ids=1460000000000000001,...")
    return sorted({int(word) for word in words})


def _read_cursor(cursor: str | None) -> int:
    try:
        return 0 if cursor is None else int(msgspec.json.decode(cursor, type=_Looked).after)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{cursor!r:.80} is no cursor of X's lookups. Leave it out to start anew.") from error


def _whole(query: Query, name: str, default: int, least: int, most: int) -> int:
    text = query.parameters.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most):
        raise InputError(f"{name} is {text!r}; expected a whole number from {least} to {most}.")
    return int(text)
