"""A local NewsAPI: made-up articles, served as its documentation says."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Any, Final

import msgspec

from project01.ingest.stand_ins.content import drift
from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.fundamentals import FundamentalsStandIn
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendors.newsapi import SPEC
from project01.ingest.vendors.newsapi_decoding import id_of

KEY: Final = "simulated-newsapi-key-0123456789abcdef"
_TITLES: Final = (
    "{name} raises outlook as orders grow",
    "Regulator looks at {name}",
    "{name}’s chief steps down 📉",
    "شركة {name} تعلن النتائج",
    "Analysts split on {name} & its rivals",
)
_PAGE_LIMIT: Final = 20
_HEADLINES: Final = 45
# The developer plan serves nothing younger.
_DELAY_S: Final = 86_400
Article = dict[str, Any]


class NewsApiStandIn(FundamentalsStandIn):
    """See `stand_in`."""

    spec = SPEC
    secrets = MappingProxyType({"api key": KEY})

    def __init__(
        self,
        *,
        symbols: Sequence[str],
        seed: int,
        faults: FaultScript,
        past: int,
        now: datetime | None,
        articles: Iterable[Article] | None,
    ) -> None:
        super().__init__(faults=faults)
        names = SymbolMap.default()
        self._names = [(names.names_of(symbol) or (symbol,))[-1] for symbol in symbols]
        self._seed = seed
        self._began_s = int(time.time() if now is None else now.timestamp())
        made_up = (self._article(n, self._began_s - _DELAY_S - 60 - n * 97) for n in range(past))
        self._articles = list(made_up if articles is None else articles)
        self._answers: dict[str, Callable[[Request], Reply]] = {
            "/v2/everything": self._everything,
            "/v2/top-headlines": self._headlines,
        }

    @property
    def ids(self) -> Sequence[str]:
        """Source ids of all articles there are, newest first."""
        return [id_of(article["url"]) for article in self._newest_first()]

    def grow(self, articles: int = 5) -> None:
        """Publish more, younger than all there are and old enough to be served."""
        first = len(self._articles)
        self._articles += [self._article(first + n, self._began_s - _DELAY_S - 40 + n) for n in range(articles)]

    def answer(self, request: Request) -> Reply:
        """What NewsAPI answers."""
        if request.headers.get("x-api-key") != KEY:
            return _error(401, "apiKeyInvalid", "Your API key is invalid or incorrect.")
        if request.fault == "error_body_200":
            return _error(200, "unexpectedError", "made to fail")
        answer = self._answers.get(request.path)
        return _error(404, "notFound", request.path) if answer is None else answer(request)

    def _everything(self, request: Request) -> Reply:
        start, end = (_seconds(request.first(name)) for name in ("from", "to"))
        found = [
            article
            for article in self._newest_first()
            if (start is None or _published(article) >= start)
            and (end is None or _published(article) <= end)
            and _mentions(article, request.first("q"))
        ]
        if request.fault == "looping_cursor":
            found = [article for article in self._newest_first() if _mentions(article, request.first("q"))]
        return self._page(request, found)

    def _headlines(self, request: Request) -> Reply:
        q = request.first("q")
        found = [article for article in self._newest_first() if not q or _mentions(article, q)]
        return self._page(request, found[:_HEADLINES])

    def _page(self, request: Request, found: list[Article]) -> Reply:
        limit = min(int(request.first("pageSize", "20")), _PAGE_LIMIT)
        number = 1 if request.fault == "looping_cursor" else int(request.first("page", "1"))
        first = (number - 1) * limit
        if request.fault == "wrong_page_order":
            first += limit
        page = found[first : first + limit]
        self.sent.update(id_of(article["url"]) for article in page)
        body = msgspec.json.encode({"status": "ok", "totalResults": len(found), "articles": page})
        return Reply(body=body if request.fault is None else drift(request.fault, body, "title"))

    def _newest_first(self) -> list[Article]:
        return sorted(self._articles, key=lambda article: (-_published(article), article["url"]))

    def _article(self, number: int, published_s: int) -> Article:
        generator = Random(self._seed * 1_000_003 + number)  # noqa: S311 - made-up articles, no secrets
        name = generator.choice(self._names)
        return {
            "source": {"id": None, "name": "Example Wire"},
            "author": None if number % 3 == 0 else "A. Writer",
            "title": generator.choice(_TITLES).format(name=name),
            "description": f"Story {number} about {name}.",
            "url": f"https://example.org/{self._seed}/{number}",
            "urlToImage": None,
            "publishedAt": datetime.fromtimestamp(published_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "content": f"Story {number} ... [+1200 chars]",
        }


def _published(article: Article) -> int:
    return _seconds(article["publishedAt"]) or 0


def _seconds(text: str) -> int | None:
    if not text:
        return None
    instant = datetime.fromisoformat(text)
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def _mentions(article: Article, query: str) -> bool:
    return any(word.strip('" ') in f"{article['title']} {article['description']}" for word in query.split(" OR "))


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"status": "error", "code": code, "message": message}))


def stand_in(
    *,
    symbols: Sequence[str] = ("AAPL", "MSFT", "BRK.B"),
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    past: int = 90,
    now: datetime | None = None,
    articles: Iterable[Article] | None = None,
) -> NewsApiStandIn:
    """A local NewsAPI with articles about the companies of `symbols`.

    Args:
        symbols: companies that articles name.
        seed: of what is made up.
        faults: what goes wrong.
        past: articles that there are from the beginning; all are older than the developer plan's delay.
        now: the past lies before it; None: the present.
        articles: served instead of the made-up past, in the form of the vendor's answers.
    """
    return NewsApiStandIn(symbols=symbols, seed=seed, faults=faults, past=past, now=now, articles=articles)
