"""NewsAPI's pages: articles to records; pure and total."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Final

import msgspec

from project01.domain import NewsItem
from project01.ingest.decoding import Reason
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.elements import Origin, Refused, Tally, instant, read, shown, text
from project01.ingest.vendors.json_parts import envelope_of, list_of

# A message of the topic holds 16 MiB, and a record holds its text twice: parsed and raw.
_LARGEST_ARTICLE: Final = 7 << 20
_REMOVED: Final = "[Removed]"
_REMOVED_HOST: Final = "https://removed.com"


class _Source(msgspec.Struct, frozen=True):
    id: str | None = None
    name: str | None = None


class Article(msgspec.Struct, frozen=True, rename="camel"):
    """The fields we read of an article."""

    title: str | None
    url: str | None
    published_at: str | None
    source: _Source | None = None
    description: str | None = None
    content: str | None = None


class PageHead(msgspec.Struct, frozen=True, rename="camel"):
    """What a page says of itself, and how many articles it holds; `total_results` is missing from an error."""

    status: str
    total_results: Annotated[int, msgspec.Meta(ge=0)] | None = None
    code: str = ""
    message: str = ""
    articles: int = 0


class NewsApiDecoder:
    """Records of NewsAPI's pages.

    Args:
        origin: under whose terms.
        delay: of the plan: how long after publication an article is served.
    """

    def __init__(self, origin: Origin, delay: timedelta) -> None:
        self._origin, self._delay_us = origin, int(delay.total_seconds()) * 1_000_000

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`."""
        tally = Tally(self._origin, dataset, received_at)
        try:
            articles = _articles(payload)
        except Refused as refused:
            tally.refuse(refused, payload)
            return tally.decoded()
        if not articles:
            tally.silent()
        for article in articles:
            tally.element(article, partial(self._records, article, received_at))
        return tally.decoded()

    def _records(self, fragment: bytes, received_at: int) -> Sequence[NewsItem]:
        if len(fragment) > _LARGEST_ARTICLE:
            raise Refused(Reason.TOO_LARGE, f"an article of {len(fragment)} bytes; expected at most {_LARGEST_ARTICLE}")
        article = read(fragment, Article)
        if article.title == _REMOVED:
            gone = not article.url or article.url.startswith(_REMOVED_HOST)
            return [] if gone else [self._record(article, fragment, received_at, removed=True)]
        return [self._record(article, fragment, received_at, removed=False)]

    def _record(self, article: Article, fragment: bytes, received_at: int, *, removed: bool) -> NewsItem:
        headline, url = text("title", article.title), text("url", article.url)
        published = instant("publishedAt", article.published_at, received_at)
        symbol, symbols = (None, ()) if removed else self._symbols(article, headline, published)
        known = published + self._delay_us
        return NewsItem(
            source=self._origin.spec.name,
            source_id=id_of(url),
            event_time=published,
            knowledge_time=max(known, received_at) if removed else known,
            received_at=received_at,
            licence=self._origin.licence,
            simulated=self._origin.simulated,
            symbol=symbol,
            raw=msgspec.Raw(fragment),
            headline=headline,
            body=None if removed else article.description or article.content,
            url=url,
            publisher=article.source.name if article.source else None,
            symbols=symbols,
            action="retract" if removed else "new",
        )

    def _symbols(self, article: Article, headline: str, published: int) -> tuple[str | None, tuple[str, ...]]:
        day = datetime.fromtimestamp(published / 1e6, UTC).date()
        in_title = self._origin.symbols.named_in(headline, day)
        symbols = set(in_title).union(self._origin.symbols.named_in(article.description or "", day))
        ordered = tuple(sorted(symbols))
        return next(iter(in_title or ordered), None), ordered


def id_of(url: str) -> str:
    """The id of an article: what it is stored under, the same in every query."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def page_head(payload: bytes) -> PageHead:
    """What a page says of itself.

    Raises:
        Refused: it is no answer of NewsAPI.
    """
    envelope = envelope_of(payload)
    articles = len(list_of(envelope.pop("articles", None)))
    parts = [*envelope.items(), ("articles", b"%d" % articles)]
    return read(b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in parts) + b"}", PageHead)


def _articles(payload: bytes) -> Sequence[bytes]:
    envelope = envelope_of(payload)
    if "articles" in envelope:
        return list_of(envelope["articles"])
    if "url" in envelope:
        return [payload]  # an article by itself, as it stands in a dead letter
    if envelope.get("status") == b'"error"':
        head = page_head(payload)
        raise Refused(Reason.ERROR_BODY, f"NewsAPI says {shown(head.code)}: {shown(head.message)}")
    raise Refused(Reason.SCHEMA, f"members {shown(sorted(envelope))}; expected articles")
