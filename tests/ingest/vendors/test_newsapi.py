"""NewsAPI: decoding, and its client against the stand-in and against servers that do what the stand-in does not."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from project01.bus import decode as decode_message
from project01.bus import encode
from project01.domain import AuthenticationError, FixedClock, InputError, NewsItem, QuotaError, VendorError
from project01.ingest.decoding import Reason, micros
from project01.ingest.stand_ins import Reply, Request, StandInServer
from project01.ingest.stand_ins.newsapi import KEY, NewsApiStandIn, stand_in
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import RetryPolicy
from project01.ingest.vendor import Budget, Decoded, Page, Query
from project01.ingest.vendors.elements import Origin
from project01.ingest.vendors.newsapi import SPEC
from project01.ingest.vendors.newsapi_client import NewsApiClient
from project01.ingest.vendors.newsapi_decoding import NewsApiDecoder, id_of

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)
RECEIVED = int(NOW.timestamp()) * 1_000_000
DAY_US = 86_400_000_000
ORIGIN = Origin(spec=SPEC, licence="newsapi", simulated=False, symbols=SymbolMap.default())
LATE, LIVE = (NewsApiDecoder(ORIGIN, timedelta(hours=hours)) for hours in (24, 0))
ARTICLE: dict[str, Any] = {
    "source": {"id": None, "name": "Example Wire"},
    "author": None,
    "title": "Apple raises outlook",
    "description": "Orders grew, as at Microsoft and AT&T;.",
    "url": "https://example.org/a1",
    "urlToImage": None,
    "publishedAt": "2025-02-07T14:03:00Z",
    "content": "Orders grew ... [+1200 chars]",
}
EVERYTHING = Query(dataset="everything", symbols=("AAPL", "MSFT", "BRK.B"))
HEADLINES = Query(dataset="top-headlines", parameters={"country": "us"})


def page(*articles: Any, total: int | None = None) -> bytes:
    found = len(articles) if total is None else total
    return json.dumps({"status": "ok", "totalResults": found, "articles": articles}).encode()


def item(decoder: NewsApiDecoder = LATE, **changes: Any) -> NewsItem:
    decoded = decoder.decode("everything", page(ARTICLE | changes), RECEIVED)
    assert (len(decoded.records), len(decoded.letters)) == (1, 0), decoded.letters
    found = decoded.records[0]
    assert isinstance(found, NewsItem)
    return found


# Decoding.


def test_every_field_of_an_article() -> None:
    found = item()
    assert (found.headline, found.body, found.url) == (ARTICLE["title"], ARTICLE["description"], ARTICLE["url"])
    assert (found.publisher, found.source_id, found.action) == ("Example Wire", id_of(ARTICLE["url"]), "new")
    assert (found.symbol, found.symbols) == ("AAPL", ("AAPL", "MSFT", "T"))
    assert json.loads(bytes(found.raw)) == ARTICLE
    assert item(description=None).body == ARTICLE["content"]
    assert item(title="Markets close").symbol == "MSFT"
    assert item(title="Markets close", description=None).symbols == ()
    assert item(source=None).publisher is None


def test_an_article_is_known_after_the_delay_of_the_plan() -> None:
    published = micros("2025-02-07T14:03:00Z")
    assert (item(LATE).event_time, item(LATE).knowledge_time) == (published, published + DAY_US)
    assert (item(LIVE).event_time, item(LIVE).knowledge_time) == (published, published)


def test_names_mean_the_tickers_of_the_day() -> None:
    assert item(title="Facebook grows", description=None, publishedAt="2014-02-07T14:03:00Z").symbols == ("FB",)
    assert item(title="Facebook grows", description=None).symbols == ("META",)


def test_removed_articles() -> None:
    gone = item(title="[Removed]", description="[Removed]", content="[Removed]")
    assert (gone.action, gone.source_id, gone.knowledge_time) == ("retract", id_of(ARTICLE["url"]), RECEIVED)
    assert (gone.symbols, gone.body) == ((), None)
    nameless = {"title": "[Removed]", "url": "https://removed.com", "publishedAt": "1970-01-01T00:00:00Z"}
    assert LATE.decode("everything", page(ARTICLE | nameless), RECEIVED) == Decoded((), (), 1)


@pytest.mark.parametrize("text", ["🚀👨‍👩‍👧", "أسهم \u202e", "\u200b\u200d", "<script>alert(1)</script>", "\x01"])
def test_all_kinds_of_text_stay_as_they_are(text: str) -> None:
    found = item(title=f"Apple {text}", description=text * 3)
    assert found.headline == f"Apple {text}"
    assert found.symbols == ("AAPL",)
    assert decode_message(encode(found)) == found


def test_a_large_article_stays_within_a_message_of_the_topic() -> None:
    assert len(encode(item(content="x" * (5 << 20)))) < 16 << 20
    decoded = LATE.decode("everything", page(ARTICLE | {"content": "x" * (10 << 20)}), RECEIVED)
    assert [letter.reason for letter in decoded.letters] == [Reason.TOO_LARGE]


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"title": None}, Reason.SCHEMA),
        ({"title": 7}, Reason.SCHEMA),
        ({"url": ""}, Reason.SCHEMA),
        ({"publishedAt": "2025-02-07T14:03:00"}, Reason.SCHEMA),
        ({"publishedAt": None}, Reason.SCHEMA),
        ({"publishedAt": "2031-02-07T14:03:00Z"}, Reason.IN_FUTURE),
        ({"title": "\ud800"}, Reason.UNREADABLE),
        ({"author": float("nan")}, Reason.UNREADABLE),
    ],
)
def test_one_bad_article_costs_no_other(spoilt: dict[str, Any], reason: str) -> None:
    decoded = LATE.decode("everything", page(ARTICLE, ARTICLE | spoilt, ARTICLE), RECEIVED)
    assert len(decoded.records) == decoded.accepted == 2
    assert [letter.reason for letter in decoded.letters] == [reason]
    again = LATE.decode("everything", decoded.letters[0].payload.encode(), RECEIVED)
    assert [letter.reason for letter in again.letters] == [reason]


def test_an_error_body_is_no_empty_page() -> None:
    decoded = LATE.decode("everything", b'{"status":"error","code":"rateLimited","message":"slow down"}', RECEIVED)
    assert [(letter.reason, letter.detail) for letter in decoded.letters] == [
        (Reason.ERROR_BODY, "NewsAPI says rateLimited: slow down")
    ]
    assert LATE.decode("everything", page(), RECEIVED) == Decoded((), (), 1)


# The client.


@contextlib.contextmanager
def client_of(standing: NewsApiStandIn, folder: Path, **changes: Any) -> Iterator[NewsApiClient]:
    client = NewsApiClient(replace(standing.connection(folder), **changes))
    try:
        yield client
    finally:
        client.close()


def ids(pages: list[Page]) -> list[str]:
    return [record.source_id for page in pages for record in page.decoded.records]


def test_the_key_goes_into_a_header_only(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        list(client.history(EVERYTHING))
        list(client.history(HEADLINES))
        assert all(request.headers["x-api-key"] == KEY for request in news.server.requests)
        assert not [request for request in news.server.requests if KEY in str((request.path, request.query))]
        assert news.server.requests[-1].first("country") == "us"


def test_what_is_published_while_pages_are_read_moves_nothing(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        before = list(news.ids)
        taken: list[Page] = []
        for page_ in client.history(EVERYTHING):
            taken.append(page_)
            news.grow(3)
        assert set(before) <= set(ids(taken))
        assert len(ids(taken)) == len(set(ids(taken)))
        # What came meanwhile is in the next call, once.
        rest = ids(list(client.history(EVERYTHING, taken[-1].cursor)))
        assert set(ids(taken)) | set(rest) == set(news.ids)
        assert not set(ids(taken)) & set(rest)


def test_an_article_that_becomes_searchable_late_is_found_by_the_next_call(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        cursor = list(client.history(EVERYTHING))[-1].cursor
        late = news._article(7_000, news._began_s - 86_400 - 1_800)
        news._articles.append(late)
        assert ids(list(client.history(EVERYTHING, cursor))) == [id_of(late["url"])]


@pytest.mark.parametrize("fraction_us", [0, 1, 500_000, 999_999])
def test_no_article_at_the_edge_of_what_is_asked_again_comes_twice(fraction_us: int, tmp_path: Path) -> None:
    """Published at seconds around an hour before the end: times are asked for in whole seconds."""
    clock = FixedClock(NOW + timedelta(microseconds=fraction_us))
    with stand_in(now=NOW, past=0) as news, client_of(news, tmp_path, clock=clock) as client:
        news._articles = [news._article(n, news._began_s - 86_400 - 3_600 + n - 2) for n in range(5)]
        taken = list(client.history(EVERYTHING))
        assert sorted(ids(taken)) == sorted(news.ids)
        later = FixedClock(clock.instant + timedelta(minutes=1))
        with client_of(news, tmp_path / "later", clock=later) as again:
            assert ids(list(again.history(EVERYTHING, taken[-1].cursor))) == []


def test_headlines_bring_only_new_ones_and_page_shifts_repeat_none(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        taken: list[Page] = []
        for page_ in client.history(HEADLINES):
            taken.append(page_)
            if len(taken) == 1:
                news.grow(3)
        assert len(ids(taken)) == len(set(ids(taken)))
        # Three left the front pages meanwhile; so all pages were read again, and with them the new ones.
        assert set(news.ids[:45]) <= set(ids(taken))
        assert ids(list(client.history(HEADLINES, taken[-1].cursor))) == []
        news.grow(2)
        later = ids(list(client.history(HEADLINES, taken[-1].cursor)))
        assert len(later) == 2
        assert not set(later) & set(ids(taken))


def test_fewer_articles_than_announced_are_an_error_and_are_read_anew(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        whole = set(news.ids)
        pages = client.history(EVERYTHING)
        taken = [next(pages)]
        hidden = [article for article in news._articles if id_of(article["url"]) not in set(ids(taken))][10:14]
        news._articles = [article for article in news._articles if article not in hidden]
        with pytest.raises(VendorError, match="announced 90 articles and gave 86"):
            taken.extend(pages)
        news._articles += hidden
        again = list(client.history(EVERYTHING, taken[-1].cursor))
        assert set(ids(taken)) | set(ids(again)) == whole


def test_more_articles_of_one_second_than_a_page_holds_are_an_error(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        news._articles = [news._article(number, news._began_s - 90_000) for number in range(60)]
        with pytest.raises(VendorError, match="none of them older"):
            list(client.history(EVERYTHING))


def test_the_plan_says_how_late_articles_are_asked_for(tmp_path: Path) -> None:
    business = (Budget(unit="call", limit=250_000, period_s=30 * 86_400),)
    with stand_in(now=NOW) as news:
        for folder, changes, query, to in (
            ("developer", {}, EVERYTHING, "2025-03-02T12:00:01"),
            ("no budgets", {"budgets": ()}, EVERYTHING, "2025-03-02T12:00:01"),
            ("business", {"budgets": business}, EVERYTHING, "2025-03-03T12:00:01"),
            ("told", {}, replace(EVERYTHING, parameters={"plan": "business"}), "2025-03-03T12:00:01"),
        ):
            with client_of(news, tmp_path / folder, clock=FixedClock(NOW), **changes) as client:
                pages = list(client.history(query))
                assert next(r for r in reversed(news.server.requests) if r.first("to") == to)
                record = pages[0].decoded.records[0]
                late = 0 if to.startswith("2025-03-03") else DAY_US
                assert record.knowledge_time - record.event_time == late


def test_calls_of_the_day_are_never_overrun_also_after_a_restart(tmp_path: Path) -> None:
    asked = 0
    for _ in range(30):
        with (
            stand_in(now=NOW) as news,
            client_of(news, tmp_path, clock=FixedClock(NOW), retry=RetryPolicy(longest_wait_s=5)) as client,
        ):
            with contextlib.suppress(QuotaError):
                list(client.history(EVERYTHING))
            asked += len(news.server.requests)
    assert asked == 100


@pytest.mark.parametrize(
    ("code", "error"),
    [("apiKeyInvalid", AuthenticationError), ("apiKeyExhausted", QuotaError), ("unexpectedError", VendorError)],
)
@pytest.mark.parametrize("query", [EVERYTHING, HEADLINES], ids=["everything", "top-headlines"])
def test_errors_with_status_200(code: str, error: type[Exception], query: Query, tmp_path: Path) -> None:
    body = json.dumps({"status": "error", "code": code, "message": "made to fail"}).encode()

    def answer(_: Request) -> Reply:
        return Reply(body=body)

    with (
        stand_in() as news,
        StandInServer(http=answer) as server,
        client_of(news, tmp_path, address=server.http_url) as client,
    ):
        pages = client.history(query)
        assert [letter.reason for letter in next(pages).decoded.letters] == [Reason.ERROR_BODY]
        with pytest.raises(error, match=f"{code}: made to fail"):
            next(pages)


def test_symbols_are_searched_by_the_names_of_their_companies(tmp_path: Path) -> None:
    many = tuple(
        sorted({"AAPL", "T", "JPM", "XOM", "PG", "JNJ", "WMT", "ZZZZ", "BMY", "DELL", "UAL", "BKNG", "GOOGL", "BA"})
    )
    with stand_in(past=0) as news, client_of(news, tmp_path) as client:
        list(client.history(Query(dataset="everything", symbols=many * 2)))
        texts = [request.first("q") for request in news.server.requests]
    assert all(len(text) <= 500 for text in texts)
    names = [name for text in texts for name in text.split(" OR ")]
    assert len(names) == len(set(names))
    assert {'"AT&T"', '"Apple"', '"ZZZZ"', '"JPMorgan"'} <= set(names)


@pytest.mark.parametrize(
    ("query", "match"),
    [
        (Query(dataset="everything"), "symbols or words"),
        (Query(dataset="everything", parameters={"q": "x" * 501}), "501"),
        (Query(dataset="everything", symbols=("AAPL",), parameters={"plan": "gold"}), "developer, business"),
        (Query(dataset="everything", symbols=("AAPL",), parameters={"country": "us"}), "country"),
        (Query(dataset="nothing"), "nothing"),
    ],
)
def test_what_cannot_be_asked_is_named(query: Query, match: str, tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client:
        with pytest.raises(InputError, match=match):
            list(client.history(query))
        assert news.server.requests == []


def test_there_is_no_stream(tmp_path: Path) -> None:
    with stand_in() as news, client_of(news, tmp_path) as client, pytest.raises(InputError, match="no stream"):
        client.stream(EVERYTHING, Event())
