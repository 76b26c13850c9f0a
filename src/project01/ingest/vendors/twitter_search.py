"""X's search: what to ask for, sweeps from the newest post to the oldest, cursors that go on where a sweep stopped."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from project01.domain import InputError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import micros_of
from project01.ingest.transport import HttpClient
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.elements import Refused
from project01.ingest.vendors.frontier import at
from project01.ingest.vendors.twitter_decoding import PageMeta, TwitterDecoder, milliseconds, page_meta

_PATHS: Final = {"recent": "2/tweets/search/recent", "all": "2/tweets/search/all"}
_LONGEST_QUERY: Final = 512
_LARGEST_PAGE, _SMALLEST_PAGE = 100, 10
# The newest posts are not in the index yet; asked for, they would be missing without a word.
INDEXED_AFTER: Final = timedelta(seconds=30)
# Ids of one millisecond come in no order.
_TOLERANCE_MS: Final = 1_000
FIELDS: Final = {
    "tweet.fields": "author_id,created_at,edit_history_tweet_ids,entities,lang,note_tweet,public_metrics,"
    "referenced_tweets",
    "expansions": "author_id",
    "user.fields": "public_metrics,verified",
}


def query_texts(query: Query, connection: Connection) -> list[str]:
    """What is asked for in X's language, in as few texts as its limit of 512 characters allows.

    Raises:
        InputError: neither symbols nor a query, or a text that is too long.
    """
    suffix = query.parameters.get("filter", "").strip()
    own = query.parameters.get("query", "").strip()
    if own:
        texts = [f"({own}) {suffix}" if suffix else own]
    else:
        tags = [connection.symbols.theirs(symbol, "cashtag") for symbol in dict.fromkeys(query.symbols)]
        texts = _packed(tags, suffix)
    if not texts:
        raise InputError("X needs symbols or a query. Name symbols, or give the parameter query, e.g. query='$AAPL'.")
    if longest := [text for text in texts if len(text) > _LONGEST_QUERY]:
        raise InputError(f"X takes queries of up to {_LONGEST_QUERY} characters, found {len(longest[0])}. Shorten it.")
    return texts


def _packed(tags: Sequence[str], suffix: str) -> list[str]:
    texts: list[str] = []
    chosen: list[str] = []
    for tag in tags:
        if chosen and len(_joined([*chosen, tag], suffix)) > _LONGEST_QUERY:
            texts.append(_joined(chosen, suffix))
            chosen = []
        chosen.append(tag)
    return [*texts, _joined(chosen, suffix)] if chosen else texts


def _joined(tags: Sequence[str], suffix: str) -> str:
    if not suffix:
        return " OR ".join(tags)
    return f"({' OR '.join(tags)}) {suffix}" if len(tags) > 1 else f"{tags[0]} {suffix}"


class PostAllowance:
    """The plan's posts: taken before they are asked for, and given back if fewer came."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._budgets = tuple(budget for budget in connection.budgets if budget.unit == "post")
        self._windows: tuple[int, ...] = ()

    def take(self, wanted: int, least: int = 1) -> int:
        """Take `wanted` posts, or as many as are left, but `least`.

        Raises:
            QuotaError: fewer than `least` are left; says until when.
        """
        name, quota = self._connection.spec.name, self._connection.quota
        left = min(quota.left(name, self._budgets).values(), default=wanted)
        taken = max(least, min(wanted, left))
        quota.spend(name, self._budgets, taken, "post")
        self._windows = self._present()
        return taken

    def give_back(self, unused: int) -> None:
        """Give back posts that did not come; those of a month that is over are gone."""
        if unused > 0 and self._windows == self._present():
            self._connection.quota.spend(self._connection.spec.name, self._budgets, -unused, "post")

    def _present(self) -> tuple[int, ...]:
        now = int(self._connection.clock.now().timestamp())
        return tuple(now // budget.period_s for budget in self._budgets)


_IdOrNone = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,20}\Z")]


class _Sweep(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one query text was swept.

    While it runs, `token` leads to the next page, `newest` is the first post's id and `oldest` the last one's; all
    pages ask for posts after `since` (an id) or `start`, and before `until` (microseconds UTC).
    """

    since: _IdOrNone = ""
    start: int | None = None
    until: int | None = None
    token: str = ""
    newest: _IdOrNone = ""
    oldest: _IdOrNone = ""


class _Cursor(msgspec.Struct):
    sweeps: dict[str, _Sweep]


class Search:
    """Posts by search."""

    def __init__(self, client: HttpClient, connection: Connection, decoder: TwitterDecoder) -> None:
        self._client, self._connection, self._decoder = client, connection, decoder

    def pages(
        self, query: Query, cursor: str | None = None, *, indexed_after: timedelta = INDEXED_AFTER
    ) -> Iterator[Page]:
        """Pages of each query text in turn, newest post first; see `VendorClient.history`."""
        path = _PATHS.get(query.parameters.get("reach", "recent"))
        if path is None:
            raise InputError(f"reach is {query.parameters['reach']!r}; choose one of {', '.join(_PATHS)}.")
        sweeps = _read_cursor(cursor)
        for text in query_texts(query, self._connection):
            begun = self._begun(sweeps.get(text, _Sweep()), query, indexed_after)
            if begun is None:
                continue
            for decoded, sweep in self._sweep(path, text, begun, query.dataset):
                sweeps[text] = sweep
                yield Page(decoded=decoded, cursor=msgspec.json.encode(_Cursor(sweeps)).decode())

    def _begun(self, sweep: _Sweep, query: Query, indexed_after: timedelta) -> _Sweep | None:
        """The sweep to go on with; None if nothing is left to ask for."""
        if sweep.token:
            return sweep
        newest = self._connection.clock.now() - indexed_after
        until = micros_of(min(query.end, newest) if query.end is not None else newest)
        start = sweep.until if sweep.until is not None else micros_of(query.start) if query.start is not None else None
        if start is not None and until <= start:
            return None
        return _Sweep(since=sweep.since, start=start, until=until)

    def _sweep(self, path: str, text: str, sweep: _Sweep, dataset: str) -> Iterator[tuple[Decoded, _Sweep]]:
        allowance, tokens = PostAllowance(self._connection), {sweep.token}
        while True:
            asked = allowance.take(_LARGEST_PAGE, _SMALLEST_PAGE)
            answer = self._client.get(path, _parameters(text, sweep, asked))
            decoded = self._decoder.decode(dataset, answer.body, self._connection.micros())
            try:
                meta = page_meta(answer.body)
            except Refused as refused:
                # The letter is kept; the cursor stays where it was.
                yield decoded, sweep
                raise VendorError(
                    f"X answered {answer.url} with what is no page of posts: {refused.detail}. "
                    f"It is kept among the dead letters; try again later."
                ) from refused
            allowance.give_back(asked - meta.result_count)
            sweep = _after(sweep, meta, decoded, tokens)
            yield decoded, sweep
            if not sweep.token:
                return


def _after(sweep: _Sweep, meta: PageMeta, decoded: Decoded, tokens: set[str]) -> _Sweep:
    """The sweep after a page.

    Raises:
        VendorError: the page is incomplete, was here before, or is not older than the one before it.
    """
    token = meta.next_token or ""
    if token and token in tokens:
        raise VendorError(
            f"X gave the token {token[:40]!r} of the next page twice; expected a new one. Try again later."
        )
    tokens.add(token)
    if meta.result_count != meta.posts:
        raise VendorError(f"X announced {meta.result_count} posts and sent {meta.posts}. Try again later.")
    ids = sorted((record.source_id for record in decoded.records), key=int)
    if ids and sweep.oldest and milliseconds(ids[-1]) > milliseconds(sweep.oldest) + _TOLERANCE_MS:
        raise VendorError(
            f"X sent post {ids[-1]} after the older post {sweep.oldest}; expected older posts on each page. "
            f"Try again later."
        )
    newest = max(sweep.newest, meta.newest_id or "", *ids[-1:], key=lambda each: int(each or 0))
    oldest = ids[0] if ids else sweep.oldest
    if token:
        return msgspec.structs.replace(sweep, token=token, newest=newest, oldest=oldest)
    return _Sweep(since=newest or sweep.since, until=sweep.until)


def _parameters(text: str, sweep: _Sweep, posts: int) -> dict[str, str | int]:
    asked: dict[str, str | int] = {"query": text, "max_results": posts, **FIELDS}
    if sweep.since:
        asked["since_id"] = sweep.since
    elif sweep.start is not None:
        asked["start_time"] = second(at(sweep.start))
    if sweep.until is not None:
        # Times have whole seconds at X; the end is not included.
        asked["end_time"] = second(at(sweep.until) + timedelta(microseconds=999_999))
    if sweep.token:
        asked["next_token"] = sweep.token
    return asked


def second(instant: datetime) -> str:
    """An instant as X takes it, cut to the second."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_cursor(cursor: str | None) -> dict[str, _Sweep]:
    if cursor is None:
        return {}
    try:
        return dict(msgspec.json.decode(cursor, type=_Cursor).sweeps)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"{cursor[:80]!r} is no cursor of X's search. Leave it out to start anew.") from error
