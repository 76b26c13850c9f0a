"""Reuters headlines and stocknet's tweets as records, as vendors' answers, and as rows of the lake turned back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from project01.domain import NewsItem, Tweet
from project01.lake import Lake

HEADLINES_FILE = "news_reuters/headlines_2010_2015.parquet"
TWEETS_FILE = "stocknet/tweets_2014_2015.parquet"
REUTERS, STOCKNET = "reuters", "stocknet"
# Reuters' headlines come without terms; tweets stay under X's, whoever collected them.
HEADLINES_LICENCE, TWEETS_LICENCE = "none-stated", "twitter"


def headlines(folder: Path) -> pl.DataFrame:
    """One row a listing; 215 stories are listed twice."""
    return pl.read_parquet(folder / HEADLINES_FILE)


def news_records(rows: pl.DataFrame, received_at: int) -> Iterator[NewsItem]:
    """One record a listing: a story listed again is the same story, known again. The wall time stays in `raw`."""
    columns = rows.select(
        pl.col("published_at").dt.timestamp("us"), pl.col("source_wall_time").dt.to_string("iso"), "headline",
        pl.col("tickers_matched").str.split(","), "url",
    )  # fmt: skip
    for at, wall, headline, symbols, url in columns.iter_rows():
        yield NewsItem(
            source=REUTERS, source_id=url, event_time=at, knowledge_time=at, received_at=received_at,
            licence=HEADLINES_LICENCE, symbol=symbols[0], headline=headline, url=url, publisher="Reuters",
            symbols=tuple(symbols), raw=msgspec.Raw(msgspec.json.encode({"wall": wall})),
        )  # fmt: skip


def headlines_back(lake: Lake) -> pl.DataFrame:
    """The lake's stories in the form of the file, the wall times out of the raw messages."""
    mine = pl.col("source") == REUTERS
    rows = lake.scan("news").filter(mine).select(
        pl.col("event_time").alias("published_at"), "headline", "url",
        pl.col("symbols").str.replace_all("|", ",", literal=True).alias("tickers_matched"),
    )  # fmt: skip
    wall = pl.col("value").str.extract(r'"raw":\{"wall":"([^"]*)"\}').str.to_datetime(time_unit="us")
    kept = lake.scan("raw_news").filter(mine).select(
        pl.col("source_id").alias("url"), pl.col("event_time").alias("published_at"), wall.alias("source_wall_time")
    )  # fmt: skip
    both = rows.join(kept.unique(), on=["url", "published_at"]).collect()
    return both.select("published_at", "source_wall_time", "headline", "tickers_matched", "url").sort(
        "published_at", "url"
    )


def articles(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Listings as NewsAPI writes articles."""
    columns = rows.select(pl.col("published_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), "headline", "url")
    return [
        {
            "source": {"id": "reuters", "name": "Reuters"}, "author": None, "title": headline, "description": None,
            "url": url, "urlToImage": None, "publishedAt": at, "content": None,
        }
        for at, headline, url in columns.iter_rows()
    ]  # fmt: skip


def tweets(folder: Path) -> pl.DataFrame:
    """One row a tweet and ticker: a tweet that names several stands once for each."""
    return pl.read_parquet(folder / TWEETS_FILE)


def posts_of(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a tweet, `ticker` all that it was found by, in the order of the file."""
    return rows.group_by("tweet_id", maintain_order=True).agg("ticker", pl.all().exclude("ticker").first())


def tweet_records(rows: pl.DataFrame, received_at: int) -> Iterator[Tweet]:
    """One record a row of `posts_of`; what tweets have no field for stays in `raw`."""
    columns = rows.with_columns(
        pl.col("tweet_id").cast(pl.String),
        pl.col("created_at").dt.timestamp("us"),
        pl.col("cashtags").str.split(",").list.filter(pl.element() != ""),
    )
    for row in columns.iter_rows(named=True):
        rest = {"is_retweet": row["is_retweet"], "friends": row["friends"]}
        yield Tweet(
            source=STOCKNET, source_id=row["tweet_id"], event_time=row["created_at"], knowledge_time=row["created_at"],
            received_at=received_at, licence=TWEETS_LICENCE, symbol=row["ticker"][0], symbols=tuple(row["ticker"]),
            text=row["text"], author=row["author_hash"], language=row["lang"], cashtags=tuple(row["cashtags"]),
            followers=row["followers"], author_verified=row["author_verified"], retweets=row["retweet_count"],
            likes=row["favorite_count"], raw=msgspec.Raw(msgspec.json.encode(rest)),
        )  # fmt: skip


def tweets_back(lake: Lake, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's tweets in the form of the file: one row a tweet and ticker."""
    mine = pl.col("source") == STOCKNET
    rows = lake.scan("tweets").filter(mine).select(
        pl.col("symbols").str.split("|").alias("ticker"), pl.col("source_id"), pl.col("event_time").alias("created_at"),
        "text", pl.col("author").alias("author_hash"), "followers", "author_verified",
        pl.col("retweets").alias("retweet_count"), pl.col("likes").alias("favorite_count"),
        pl.col("language").alias("lang"), pl.col("cashtags").str.replace_all("|", ",", literal=True),
    ).explode("ticker", empty_as_null=True)  # fmt: skip
    value = pl.col("value")
    kept = lake.scan("raw_tweets").filter(mine).select(
        "source_id", (value.str.extract(r'"raw":\{"is_retweet":(true|false)') == "true").alias("is_retweet"),
        value.str.extract(r'"friends":(\d+)\}\}?').cast(pl.Int64).alias("friends"),
    )  # fmt: skip
    both = rows.join(kept.unique(), on="source_id").with_columns(pl.col("source_id").cast(pl.Int64).alias("tweet_id"))
    return both.select(like.columns).collect().sort("tweet_id", "ticker")


def post(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `posts_of` as X writes a post; author ids are digits there."""
    tags = [tag for tag in row["cashtags"].split(",") if tag]
    return {
        "id": str(row["tweet_id"]), "text": row["text"], "author_id": str(int(row["author_hash"], 16)),
        "created_at": row["created_at"].strftime("%Y-%m-%dT%H:%M:%S.000Z"), "lang": row["lang"] or "und",
        "edit_history_tweet_ids": [str(row["tweet_id"])],
        "public_metrics": {"retweet_count": row["retweet_count"], "reply_count": 0,
                           "like_count": row["favorite_count"], "quote_count": 0},
        "entities": {"cashtags": [{"start": 0, "end": len(tag) + 1, "tag": tag} for tag in tags]},
    }  # fmt: skip
