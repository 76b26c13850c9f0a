"""X's payloads: pages of search, lines of the streams, answers about single posts; pure and total."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import msgspec

from project01.domain import Tweet
from project01.ingest.decoding import Reason
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.elements import Origin, Refused, Tally, instant, not_later, read, shown
from project01.ingest.vendors.json_parts import envelope_of, list_of

# The first millisecond of X's ids, which hold the time of the post above their lowest 22 bits.
_FIRST_MS: Final = 1_288_834_974_657
# A message of the topic holds 1 MiB, and a record holds its text twice: parsed and raw.
_LARGEST_POST: Final = 400_000
_ERASED_POSTS: Final = frozenset({"delete", "drop", "withheld"})
_OTHER_POSTS: Final = frozenset({"undrop", "tweet_edit"})
_ERASED_USERS: Final = frozenset({"user_delete", "user_suspend", "user_protect", "user_withheld"})
_OTHER_USERS: Final = frozenset(
    {"user_undelete", "user_unsuspend", "user_unprotect", "user_profile_modification", "scrub_geo"}
)
_GONE: Final = ("/resource-not-found", "/not-authorized-for-resource")

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class _Reference(msgspec.Struct, frozen=True):
    type: str
    id: Identifier


class _Cashtag(msgspec.Struct, frozen=True):
    tag: str


class _Entities(msgspec.Struct, frozen=True):
    cashtags: tuple[_Cashtag, ...] = ()


class _Metrics(msgspec.Struct, frozen=True):
    retweet_count: Count | None = None
    like_count: Count | None = None


class _Note(msgspec.Struct, frozen=True):
    text: str


class Post(msgspec.Struct, frozen=True):
    """The fields we read of a post."""

    id: Identifier
    text: str
    author_id: Identifier | None = None
    created_at: str | None = None
    lang: str | None = None
    edit_history_tweet_ids: tuple[Identifier, ...] = ()
    public_metrics: _Metrics | None = None
    entities: _Entities | None = None
    referenced_tweets: tuple[_Reference, ...] | None = None
    note_tweet: _Note | None = None


class _UserMetrics(msgspec.Struct, frozen=True):
    followers_count: Count | None = None


class _User(msgspec.Struct, frozen=True):
    id: Identifier
    verified: bool | None = None
    public_metrics: _UserMetrics | None = None


class Problem(msgspec.Struct, frozen=True):
    """An entry of `errors`, which X also puts beside good data."""

    title: str = ""
    detail: str = ""
    type: str = ""
    section: str = ""
    parameter: str = ""
    resource_id: str = ""
    disconnect_type: str = ""


class _Named(msgspec.Struct, frozen=True):
    id: Identifier
    author_id: Identifier | None = None


class _Event(msgspec.Struct, frozen=True):
    event_at: str
    tweet: _Named | None = None
    user: _Named | None = None


class TwitterDecoder:
    """Records of X's payloads; `origin` says under whose terms."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`."""
        tally = Tally(self._origin, dataset, received_at)
        if not payload.strip():
            tally.silent()
            return tally.decoded()
        try:
            envelope = envelope_of(payload)
            if dataset == "compliance":
                self._compliance(envelope, payload, tally)
            else:
                self._posts(envelope, payload, tally)
        except Refused as refused:
            # Only from before the first element was counted: the payload as a whole is the element.
            tally = Tally(self._origin, dataset, received_at)
            tally.refuse(refused, payload)
        return tally.decoded()

    def _posts(self, envelope: Mapping[str, bytes], payload: bytes, tally: Tally) -> None:
        users = _users(envelope.get("includes"))
        problems = list_of(envelope.get("errors"))
        posts = list_of(envelope["data"]) if "data" in envelope else [payload] if "id" in envelope else []
        if not posts and not problems:
            problems = _lone_problem(envelope, payload)
            if not problems:
                tally.silent()
        for post in posts:
            tally.element(post, partial(self._tweets, post, users, tally.received_at))
        for problem in problems:
            tally.element(problem, partial(_tolerated, problem))

    def _tweets(self, fragment: bytes, users: Mapping[str, _User], received_at: int) -> list[Tweet]:
        if len(fragment) > _LARGEST_POST:
            raise Refused(Reason.TOO_LARGE, f"a post of {len(fragment)} bytes; expected at most {_LARGEST_POST}")
        post = read(fragment, Post)
        created = (
            time_of_id(post.id, received_at)
            if post.created_at is None
            else instant("created_at", post.created_at, received_at)
        )
        text = post.text if post.note_tweet is None else post.note_tweet.text
        user = users.get(post.author_id or "")
        cashtags, symbols = self._symbols(post, text, created)
        metrics = post.public_metrics or _Metrics()
        found = Tweet(
            source=self._origin.spec.name,
            source_id=post.id,
            event_time=created,
            knowledge_time=created,
            received_at=received_at,
            licence=self._origin.licence,
            simulated=self._origin.simulated,
            symbol=symbols[0] if symbols else None,
            raw=msgspec.Raw(fragment),
            text=text,
            author=post.author_id,
            language=post.lang,
            cashtags=cashtags,
            symbols=symbols,
            reposts=next((each.id for each in post.referenced_tweets or () if each.type == "retweeted"), None),
            followers=user.public_metrics.followers_count if user and user.public_metrics else None,
            author_verified=user.verified if user else None,
            retweets=metrics.retweet_count,
            likes=metrics.like_count,
            action="edit" if post.edit_history_tweet_ids and post.id != post.edit_history_tweet_ids[0] else "new",
        )
        return [found]

    def _symbols(self, post: Post, text: str, created: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cashtags as written and their symbols, each in the order of the text."""
        day = datetime.fromtimestamp(created / 1e6, UTC).date()
        # X leaves `entities` out where it found none, and where it was not asked for.
        tags = (
            self._origin.symbols.cashtags_in(text)
            if post.entities is None
            else tuple(cashtag.tag for cashtag in post.entities.cashtags)
        )
        found = (self._origin.symbols.ours(tag, "cashtag", day) for tag in tags)
        return tuple(dict.fromkeys(tags)), tuple(dict.fromkeys(symbol for symbol in found if symbol is not None))

    def _compliance(self, envelope: Mapping[str, bytes], payload: bytes, tally: Tally) -> None:
        data, problems = envelope.get("data"), list_of(envelope.get("errors"))
        if data is not None and data[:1] == b"{":
            tally.element(payload, partial(self._events, data, tally.received_at))
        elif data is not None:
            for post in list_of(data):
                tally.element(post, partial(_standing, post))
        elif not problems:
            problems = _lone_problem(envelope, payload)
            if not problems:
                tally.silent()
        for problem in problems:
            tally.element(problem, partial(self._gone, problem, tally.received_at))

    def _events(self, data: bytes, received_at: int) -> Iterator[Tweet]:
        for kind, fragment in envelope_of(data).items():
            if kind in _OTHER_POSTS | _OTHER_USERS:
                continue
            event = read(fragment, _Event)
            at = instant("event_at", event.event_at, received_at)
            if kind in _ERASED_POSTS and event.tweet is not None:
                yield self._erasure(event.tweet.id, event.tweet.author_id, at, received_at, fragment)
            elif kind in _ERASED_USERS and event.user is not None:
                yield self._erasure(f"user:{event.user.id}", event.user.id, at, received_at, fragment)
            else:
                raise Refused(Reason.SCHEMA, f"event {shown(kind)!r}; expected a known one that names a post or a user")

    def _gone(self, fragment: bytes, received_at: int) -> list[Tweet]:
        problem = read(fragment, Problem)
        if problem.parameter != "ids" or not problem.type.endswith(_GONE):
            raise Refused(Reason.ERROR_BODY, _told(problem))
        if not (problem.resource_id.isascii() and problem.resource_id.isdecimal() and len(problem.resource_id) <= 20):
            raise Refused(Reason.SCHEMA, f"resource_id is {shown(repr(problem.resource_id))}; expected a post's id")
        # Nobody says when it went. The record follows the post at once, so that it is the same whenever it is made, and
        # no reading of any time shows what must be erased.
        at = milliseconds(problem.resource_id) * 1000 + 1
        return [self._erasure(problem.resource_id, None, not_later("id", at, received_at), received_at, fragment)]

    def _erasure(self, source_id: str, author: str | None, at: int, received_at: int, fragment: bytes) -> Tweet:
        return Tweet(
            source=self._origin.spec.name,
            source_id=source_id,
            event_time=at,
            knowledge_time=at,
            received_at=received_at,
            licence=self._origin.licence,
            simulated=self._origin.simulated,
            raw=msgspec.Raw(fragment),
            text="",
            author=author,
            action="delete",
        )


def milliseconds(identifier: str) -> int:
    """Milliseconds since 1970 UTC in an id of X."""
    return (int(identifier) >> 22) + _FIRST_MS


def time_of_id(identifier: str, received_at: int) -> int:
    """When a post was written, microseconds UTC, from its id, exact to the millisecond.

    Raises:
        Refused: the id is older than such ids, or from the future.
    """
    if int(identifier) >> 22 == 0:
        raise Refused(Reason.SCHEMA, f"id {identifier} holds no time, and created_at is missing")
    return not_later("the time in id", milliseconds(identifier) * 1000, received_at)


def disconnect_reason(line: bytes) -> str | None:
    """Why X ends the stream, if this line says so: only errors and no post."""
    if b'"errors"' not in line:
        return None
    try:
        envelope = envelope_of(line)
        problems = [read(each, Problem) for each in list_of(envelope.get("errors"))]
    except Refused:
        return None
    return "; ".join(map(_told, problems)) if problems and "data" not in envelope else None


def _standing(fragment: bytes) -> list[Tweet]:
    """No record: the post that was asked for is still there."""
    read(fragment, _Named)
    return []


def _told(problem: Problem) -> str:
    kind = f" ({shown(problem.disconnect_type)})" if problem.disconnect_type else ""
    return f"X says {shown(problem.title)}{kind}: {shown(problem.detail)}"


def _users(includes: bytes | None) -> dict[str, _User]:
    """Authors by id. What is not as documented is left out: it adds to posts, and is no element of its own."""
    found: dict[str, _User] = {}
    try:
        fragments = list_of(envelope_of(includes).get("users")) if includes else []
    except Refused:
        return found
    for fragment in fragments:
        try:
            user = read(fragment, _User)
        except Refused:
            continue
        found[user.id] = user
    return found


def _tolerated(fragment: bytes) -> list[Tweet]:
    """No record for what concerns a post that ours merely refers to.

    Raises:
        Refused: any other problem.
    """
    problem = read(fragment, Problem)
    if problem.section == "includes" or problem.parameter.startswith(("referenced_tweets", "entities", "author_id")):
        return []
    raise Refused(Reason.ERROR_BODY, _told(problem))


class _Meta(msgspec.Struct, frozen=True):
    result_count: Count
    newest_id: Identifier | None = None
    next_token: str | None = None


class PageMeta(msgspec.Struct, frozen=True):
    """What a page of search says of itself, and how many posts it holds."""

    result_count: int
    posts: int
    newest_id: str | None
    next_token: str | None


def page_meta(payload: bytes) -> PageMeta:
    """What a page says of itself.

    Raises:
        Refused: it is no page, such as an error with status 200.
    """
    envelope = envelope_of(payload)
    if "meta" not in envelope:
        raise Refused(Reason.ERROR_BODY, f"members {shown(sorted(envelope))}; expected meta")
    meta = read(envelope["meta"], _Meta)
    return PageMeta(meta.result_count, len(list_of(envelope.get("data"))), meta.newest_id, meta.next_token)


def _lone_problem(envelope: Mapping[str, bytes], payload: bytes) -> list[bytes]:
    """One problem by itself, as it stands in a dead letter; nothing for an answer that says that it holds nothing.

    Raises:
        Refused: it is something else.
    """
    if "data" in envelope:
        return []
    if "type" in envelope:
        return [payload]
    if "meta" not in envelope or read(envelope["meta"], _Meta).result_count != 0:
        raise Refused(Reason.SCHEMA, f"members {shown(sorted(envelope))}; expected data, errors or an empty result")
    return []
