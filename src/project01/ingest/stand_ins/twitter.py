"""A local X: search with pages, the filtered stream with rules, events of compliance, lookups; over real HTTP."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from pydantic import SecretStr

from project01.domain import Clock, SystemClock
from project01.ingest.connection import Connection
from project01.ingest.decoding import micros_of
from project01.ingest.stand_ins.content import drift
from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.feed import Feed
from project01.ingest.stand_ins.server import StandInServer
from project01.ingest.stand_ins.twitter_posts import Post, author, identifier, iso, made_up
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import QuotaLedger, RetryPolicy
from project01.ingest.vendors.twitter import SPEC

KEY: Final = "simulated-x-bearer-token-0123456789abcdef"
_RETRY = RetryPolicy(attempts=6, base_s=0.01, cap_s=0.2, longest_wait_s=5.0)
_CASHTAG = re.compile(r"\$([A-Za-z]+(?:\.[A-Za-z])?)")
_PER_SECOND: Final = 60.0
# Small, so that few posts make several pages.
_PAGE_LIMIT: Final = 10
_POLL_S: Final = 0.05


class TwitterStandIn:
    """See `stand_in`.

    Attributes:
        server: the running server, with the requests it got.
        rules: of the filtered stream: id, value, tag.
    """

    def __init__(  # noqa: PLR0913 - as `stand_in`
        self,
        *,
        symbols: Sequence[str],
        seed: int,
        faults: FaultScript,
        speed: float,
        past: int,
        live: int,
        keep_alive_s: float,
        now: datetime | None,
        posts: Iterable[Post] | None,
    ) -> None:
        self._symbols, self._seed, self._keep_alive_s = symbols, seed, keep_alive_s
        self._per_second = _PER_SECOND * speed
        self._lock, self._numbers = Lock(), count(1)
        self._began_us = time.time_ns() // 1000
        self._now_us = self._began_us if now is None else micros_of(now)
        written = (made_up(n, self._now_us - (past - n + 40) * 7_000_000, symbols, seed) for n in range(past))
        self._past = list(written if posts is None else posts)
        self._live: list[Post] = []
        self._posts: Feed[int] = Feed(range(live), per_second=self._per_second)
        self._erasures: Feed[int] = Feed(range(live), per_second=self._per_second)
        self.rules: list[dict[str, str]] = []
        self._answers: dict[str, Callable[[Request], Reply]] = {
            "/2/tweets/search/recent": self._found,
            "/2/tweets/search/all": self._found,
            "/2/tweets/search/stream/rules": self._ruled,
            "/2/tweets/search/stream": self._streamed,
            "/2/tweets": self._looked_up,
            "/2/tweets/compliance/stream": self._erased,
            "/2/users/compliance/stream": self._erased,
        }
        self.server = StandInServer(http=self._answer, faults=faults)
        self._stack = ExitStack()

    @property
    def sent(self) -> Sequence[str]:
        """Source ids of what the streams have put out since they were first connected to."""
        return [post["id"] for post in self._published()] + [_event_id(event) for event in self._events()]

    @property
    def finished(self) -> bool:
        """Whether all is out of the streams that were connected to."""
        begun = [feed for feed in (self._posts, self._erasures) if feed.published]
        return bool(begun) and all(feed.finished for feed in begun)

    @property
    def past_ids(self) -> Sequence[str]:
        """Ids of the posts that search knew from the beginning, and of those grown since, oldest first."""
        return [post["id"] for post in self._past]

    def grow(self, posts: int = 5) -> None:
        """Let search find so many newer posts of the past."""
        first = len(self._past)
        with self._lock:
            self._past += [
                made_up(first + n, self._now_us - (posts - n + 33) * 1_000_000, self._symbols, self._seed)
                for n in range(posts)
            ]

    def connection(
        self, folder: Path, *, clock: Clock | None = None, secrets: Mapping[str, str] | None = None
    ) -> Connection:
        """A connection to this server; every record over it is marked as simulated.

        Args:
            folder: for the quota ledger, which is closed with the stand-in.
            clock: the machine's clock where None.
            secrets: instead of those that the server accepts.
        """
        clock = clock or SystemClock()
        ledger = QuotaLedger(folder / "quota.sqlite", clock)
        self._stack.callback(ledger.close)
        return Connection(
            spec=SPEC,
            secrets={name: SecretStr(text) for name, text in (secrets or {"bearer token": KEY}).items()},
            address=self.server.http_url,
            stream_address=self.server.http_url,
            clock=clock,
            quota=ledger,
            symbols=SymbolMap.default(),
            spill_folder=folder / "spill",
            budgets=tuple(budget for budget in SPEC.budgets if budget.unit == "post"),
            retry=_RETRY,
            simulated=True,
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self.server)
        self._stack.callback(self._posts.close)
        self._stack.callback(self._erasures.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "Unauthorized", "Unauthorized")
        answer = self._answers.get(request.path)
        return _error(404, "Not Found", request.path) if answer is None else answer(request)

    def _published(self) -> list[Post]:
        """Posts of the stream up to now; they are written as the feed goes on."""
        published = len(self._posts.published)
        with self._lock:
            for number in range(len(self._live), published):
                at_us = self._began_us + round(number * 1_000_000 / self._per_second)
                self._live.append(made_up(1_000_000 + number, at_us, self._symbols, self._seed))
            return self._live[:published]

    def _found(self, request: Request) -> Reply:
        if request.fault == "error_body_200":
            return _error(200, "Service Unavailable", "made to fail")
        wanted = _tags(request.first("query"))
        start, end = (_micros(request.first(name)) for name in ("start_time", "end_time"))
        since = int(request.first("since_id", "0"))
        found = [
            post
            for post in (*self._past, *self._published())
            if wanted & _named(post)
            and int(post["id"]) > since
            and (start is None or _written(post) >= start)
            and (end is None or _written(post) < end)
        ]
        newest_first = sorted(found, key=lambda post: int(post["id"]), reverse=True)
        return self._page(request, newest_first)

    def _page(self, request: Request, found: list[Post]) -> Reply:
        limit = min(int(request.first("max_results", "10")), _PAGE_LIMIT)
        # A token names the last post given, so that newer posts move nothing.
        token = request.first("next_token").removeprefix("t")
        rest = [post for post in found if not token or int(post["id"]) < int(token)]
        if request.fault == "wrong_page_order":
            rest = found[:limit] if token else rest[limit:] + rest[:limit]
        page = rest[:limit]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"]}
        if len(rest) > limit:
            meta["next_token"] = f"t{page[-1]['id']}"
        if request.fault == "looping_cursor":
            meta["next_token"] = request.first("next_token") or f"t{page[0]['id']}"
        body: dict[str, Any] = {"meta": meta}
        if page:
            body = {"data": page, "includes": _includes(page), "meta": meta}
        text = msgspec.json.encode(body)
        return Reply(body=text if request.fault is None else drift(request.fault, text, "text"))

    def _looked_up(self, request: Request) -> Reply:
        standing = {post["id"]: post for post in (*self._past, *self._published())}
        for event in self._events():
            standing.pop(_event_id(event), None)
        asked = request.first("ids").split(",")
        body: dict[str, Any] = {"data": [{"id": each, "text": ""} for each in asked if each in standing]}
        body["errors"] = [_missing(each) for each in asked if each not in standing]
        text = msgspec.json.encode({name: value for name, value in body.items() if value})
        if request.fault == "error_body_200":
            return _error(200, "Service Unavailable", "made to fail")
        return Reply(body=text if request.fault is None else drift(request.fault, text, "id"))

    def _ruled(self, request: Request) -> Reply:
        with self._lock:
            if request.method == "GET":
                return _json(200, {"data": self.rules, "meta": {"sent": iso(time.time_ns() // 1000)}})
            order = msgspec.json.decode(request.body)
            if "delete" in order:
                gone = set(order["delete"]["ids"])
                self.rules = [rule for rule in self.rules if rule["id"] not in gone]
                return _json(200, {"meta": {"summary": {"deleted": len(gone), "not_deleted": 0}}})
            made, errors = [], []
            for rule in order["add"]:
                if rule["value"] in {standing["value"] for standing in self.rules}:
                    errors.append({"value": rule["value"], "title": "DuplicateRule"})
                    continue
                made.append({"id": str(next(self._numbers)), "value": rule["value"], "tag": rule.get("tag", "")})
                self.rules.append(made[-1])
            return _json(201, {"data": made, "errors": errors} if errors else {"data": made})

    def _streamed(self, request: Request) -> Reply:
        if not self.rules:
            return _error(409, "RuleConfigurationIssue", "You must define rules before connecting to this endpoint.")
        minutes = int(request.first("backfill_minutes", "0"))
        oldest_us = time.time_ns() // 1000 - minutes * 60_000_000
        return Reply(lines=self._lines(oldest_us if minutes else None))

    def _begin(self, feed: Feed[int]) -> None:
        with self._lock:
            if not feed.published:
                self._began_us = time.time_ns() // 1000

    def _lines(self, again_from_us: int | None) -> Iterator[bytes]:
        self._begin(self._posts)
        subscription = self._posts.subscribe()
        if again_from_us is not None:
            yield from (self._line(post) for post in self._published() if _written(post) >= again_from_us)
        quiet_since = time.monotonic()
        while not self.server.stopping.is_set():
            number = subscription.next(_POLL_S)
            if number is not None and self._matching(post := self._published_at(number)):
                yield self._line(post)
            elif time.monotonic() - quiet_since < self._keep_alive_s:
                continue
            else:
                yield b""
            quiet_since = time.monotonic()

    def _published_at(self, number: int) -> Post:
        return self._published()[number]

    def _matching(self, post: Post) -> list[dict[str, str]]:
        with self._lock:
            matching = [rule for rule in self.rules if _tags(rule["value"]) & _named(post)]
        return [{"id": rule["id"], "tag": rule["tag"]} for rule in matching]

    def _line(self, post: Post) -> bytes:
        line = {"data": post, "includes": _includes([post]), "matching_rules": self._matching(post)}
        return msgspec.json.encode(line)

    def _events(self) -> list[dict[str, Any]]:
        return [self._event(number) for number in self._erasures.published]

    def _event(self, number: int) -> dict[str, Any]:
        at = iso(self._began_us + round(number * 1_000_000 / self._per_second))
        if number % 10 == 9:
            return {"user_delete": {"event_at": at, "user": {"id": str(5_000 + number)}}}
        post = self._past[number] if number < len(self._past) else {"id": identifier(self._began_us, number)}
        tweet = {"id": post["id"], "author_id": post.get("author_id", "2244")}
        return {("delete", "drop", "withheld")[number % 3]: {"event_at": at, "tweet": tweet}}

    def _erased(self, request: Request) -> Reply:
        return Reply(lines=self._event_lines(request))

    def _event_lines(self, request: Request) -> Iterator[bytes]:
        self._begin(self._erasures)
        start = _micros(request.first("start_time"))
        subscription = self._erasures.subscribe()
        if start is not None:
            yield from (msgspec.json.encode({"data": e}) for e in self._events() if _happened(e) >= start)
        quiet_since = time.monotonic()
        while not self.server.stopping.is_set():
            number = subscription.next(_POLL_S)
            if number is None and time.monotonic() - quiet_since < self._keep_alive_s:
                continue
            yield b"" if number is None else msgspec.json.encode({"data": self._event(number)})
            quiet_since = time.monotonic()


def _tags(text: str) -> set[str]:
    return {tag.upper() for tag in _CASHTAG.findall(text)}


def _named(post: Post) -> set[str]:
    return {cashtag["tag"] for cashtag in post["entities"]["cashtags"]}


def _micros(text: str) -> int | None:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000) if text else None


def _written(post: Post) -> int:
    return _micros(post["created_at"]) or 0


def _happened(event: Mapping[str, Any]) -> int:
    return next(_micros(found["event_at"]) or 0 for found in event.values())


def _event_id(event: Mapping[str, Any]) -> str:
    found = next(iter(event.values()))
    return str(found["tweet"]["id"]) if "tweet" in found else f"user:{found['user']['id']}"


def _includes(posts: Sequence[Post]) -> dict[str, Any]:
    return {"users": list({post["author_id"]: author(post) for post in posts}.values())}


def _missing(post_id: str) -> dict[str, str]:
    return {
        "value": post_id,
        "resource_id": post_id,
        "parameter": "ids",
        "resource_type": "tweet",
        "title": "Not Found Error",
        "detail": f"Could not find tweet with ids: [{post_id}].",
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }


def _json(status: int, content: object) -> Reply:
    return Reply(status, msgspec.json.encode(content))


def _error(status: int, title: str, detail: str) -> Reply:
    problem = {"title": title, "detail": detail, "type": "about:blank", "status": status}
    return _json(status, {"errors": [problem]} if status == 200 else problem)


def stand_in(  # noqa: PLR0913 - each is one knob of the server
    *,
    symbols: Sequence[str] = ("AAPL", "MSFT", "BRK.B"),
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    speed: float = 1.0,
    past: int = 60,
    live: int = 120,
    keep_alive_s: float = 20.0,
    now: datetime | None = None,
    posts: Iterable[Post] | None = None,
) -> TwitterStandIn:
    """A local X that writes posts about `symbols`.

    Args:
        symbols: named by cashtags.
        seed: of what is made up.
        faults: what goes wrong.
        speed: 1 is sixty posts or events a second.
        past: posts that search knows from the beginning, one every seven seconds.
        live: posts, and events by which posts are erased, that each stream brings from its first connection on.
        keep_alive_s: after so long without a line a blank one is sent.
        now: the past lies before it; None: the present.
        posts: known to search instead of the made-up past, in the form of the vendor's answers; authors are made up.
    """
    return TwitterStandIn(
        symbols=symbols,
        seed=seed,
        faults=faults,
        speed=speed,
        past=past,
        live=live,
        keep_alive_s=keep_alive_s,
        now=now,
        posts=posts,
    )
