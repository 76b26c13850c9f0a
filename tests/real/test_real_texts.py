"""Real headlines and tweets the whole way, as records and through the vendors' protocols."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.real import texts
from tests.real.through import fetch_all, landed, proven, publish, unequal

from project01.domain import may_leave
from project01.ingest import Query
from project01.ingest.stand_ins import newsapi, twitter
from project01.pipelines import Place

pytestmark = pytest.mark.slow

RECEIVED = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SAMPLE = 2_000


def test_all_headlines_come_back_as_they_were(shared_data: Path, tmp_path: Path) -> None:
    place, given = Place(tmp_path / "out"), texts.headlines(shared_data)
    assert publish(place, texts.news_records(given, RECEIVED)) == 223_395
    assert landed(place, "news")["news"].rows == {"news": 223_395}
    assert unequal(given, texts.headlines_back(place.lake), ["published_at", "url"]) == 0
    rows = place.lake.scan("news").select("event_time", "knowledge_time", "licence").collect()
    assert (rows["event_time"] == rows["knowledge_time"]).all()
    assert not any(map(may_leave, rows["licence"].unique()))
    # 215 stories are listed twice: one story in two versions, of which a reader gets the one known at his time.
    assert place.lake.read("news", as_of=LATER, columns=["url"]).height == given["url"].n_unique() == 223_180
    again = pl.col("url").str.ends_with("idUSL2N0QI24V20140812")
    between = datetime(2014, 8, 13, tzinfo=UTC)
    found = place.lake.read("news", as_of=between, columns=["url", "event_time"]).filter(again)["event_time"].to_list()
    assert found == [datetime(2014, 8, 12, 21, 13, tzinfo=UTC)]
    assert all(row["equal"] for row in proven(place, tmp_path / "rebuilt", "news"))


def test_two_thousand_headlines_through_newsapis_protocol(shared_data: Path, tmp_path: Path) -> None:
    named = pl.col("headline").str.contains("Apple|Google|Microsoft")
    given = texts.headlines(shared_data).unique("url", keep="first", maintain_order=True).filter(named).head(SAMPLE)
    place, now = Place(tmp_path / "out"), given["published_at"].max() + timedelta(days=2)
    query = Query(dataset="everything", parameters={"q": "Apple OR Google OR Microsoft", "plan": "business"})
    with newsapi.stand_in(articles=texts.articles(given), now=now) as server:
        assert fetch_all(place, server.connection(tmp_path), query) == SAMPLE
        assert len(server.server.requests) >= SAMPLE / 20
    assert landed(place, "news")["news"].rows == {"news": SAMPLE}
    found = place.lake.scan("news").select(pl.col("event_time").alias("published_at"), "headline", "url").collect()
    assert unequal(given.select(found.columns), found, ["url"]) == 0


def test_all_tweets_come_back_as_they_were(shared_data: Path, tmp_path: Path) -> None:
    place, given = Place(tmp_path / "out"), texts.tweets(shared_data)
    posts = texts.posts_of(given)
    assert (given.height, posts.height) == (76_993, 63_004)
    assert publish(place, texts.tweet_records(posts, RECEIVED)) == posts.height
    assert landed(place, "tweets")["tweets"].rows == {"tweets": posts.height}
    assert unequal(given, texts.tweets_back(place.lake, given), ["tweet_id", "ticker"]) == 0
    assert not any(map(may_leave, place.lake.scan("tweets").select("licence").unique().collect()["licence"]))
    assert all(row["equal"] for row in proven(place, tmp_path / "rebuilt", "tweets"))


def test_two_thousand_tweets_through_the_search_of_x(shared_data: Path, tmp_path: Path) -> None:
    symbols = ("AAPL", "FB", "GOOG")
    tagged = pl.col("cashtags").str.split(",").list.set_intersection(list(symbols)).list.len() > 0
    given = texts.posts_of(texts.tweets(shared_data)).filter(tagged).head(SAMPLE)
    place, last = Place(tmp_path / "out"), given["created_at"].max() + timedelta(minutes=1)
    query = Query(dataset="search", symbols=symbols, start=given["created_at"].min(), end=last)
    with twitter.stand_in(posts=[texts.post(row) for row in given.iter_rows(named=True)]) as server:
        assert fetch_all(place, server.connection(tmp_path), query) == SAMPLE
        assert len(server.server.requests) >= SAMPLE / 10
    assert landed(place, "tweets")["tweets"].rows == {"tweets": SAMPLE}
    found = place.lake.scan("tweets").select(
        pl.col("source_id").cast(pl.Int64).alias("tweet_id"), pl.col("event_time").alias("created_at"), "text",
        pl.col("language").alias("lang"), "cashtags", pl.col("author").alias("author_hash"),
    ).collect()  # fmt: skip
    authors = [str(int(name, 16)) for name in given["author_hash"]]
    # X's client leaves a cashtag that stands twice out the second time.
    tags = pl.col("cashtags").str.split(",").list.unique(maintain_order=True).list.join("|")
    expected = given.with_columns(pl.Series("author_hash", authors), tags).select(found.columns)
    assert unequal(expected, found, ["tweet_id"]) == 0
