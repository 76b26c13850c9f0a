"""The attention set: windows worked by hand, every feature against plain Python and pandas, real news and tweets."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.etl.conftest import make_bars, make_news, make_tweets

from project01.domain import SchemaError, trading_calendar
from project01.etl import Context, compute_features, feature_set, prepare_bars, usable
from project01.etl.attention_context import NEWS, TWEETS, attention_at
from project01.etl.mentions import Mentions

NAN = float("nan")
NEW_YORK = ZoneInfo("America/New_York")


def at(day: int, hour: int = 20, minute: int = 0) -> datetime:
    """UTC, in March 2015: New York is 4 hours behind from the 8th on."""
    return datetime(2015, 3, day, hour, minute, tzinfo=UTC)


def bars_at(*days: int, symbol: str = "A") -> pl.DataFrame:
    """Prepared bars known at the close, 20:00 UTC."""
    return pl.DataFrame({
        "symbol": symbol, "session": [date(2015, 3, day) for day in days], "knowledge_time": [at(day) for day in days],
    }, schema_overrides={"knowledge_time": pl.Datetime("us", "UTC")})  # fmt: skip


def story(number: int, when: datetime, headline: str, symbols: str = "A", **rest: object) -> dict[str, object]:
    return {
        "source": "x", "source_id": f"s{number}", "knowledge_time": when, "headline": headline, "symbol": None,
        "symbols": symbols, "action": "new", "novelty": None, "relevance": None, **rest,
    }  # fmt: skip


def stories(*told: dict[str, object]) -> Mentions:
    schema = {
        "knowledge_time": pl.Datetime("us", "UTC"), "symbol": pl.String, "novelty": pl.Float64, "relevance": pl.Float64,
    }  # fmt: skip
    return Mentions(pl.DataFrame(list(told), schema_overrides=schema), "headline")


def counted(bars: pl.DataFrame, mentions: Mentions, name: str) -> list[float]:
    return attention_at(bars, mentions, {name: NEWS[name]})[name].tolist()


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)


FIRST = story(0, at(9, 12), "First")
DAYS = bars_at(9, 10, 11, 12, 13)


def test_a_window_ends_with_the_bar_and_begins_after_the_one_before() -> None:
    told = stories(
        FIRST,
        story(1, at(10, 20), "At the close"),
        story(2, at(10, 20, 1), "After it"),
        story(3, at(12, 3), "At night"),
    )
    # The window of the first story began before anything was told of the instrument: it is not covered.
    same(counted(DAYS, told, "news_count"), [NAN, 1, 1, 1, 0])
    same(counted(DAYS, told, "news_after_hours"), [NAN, 0, 1, 1, 0])


def test_copies_of_a_day_count_once_and_of_another_day_again() -> None:
    told = stories(
        FIRST,
        story(1, at(11, 14), "Apple  soars"),
        story(2, at(11, 15), "APPLE soars "),
        story(3, at(12, 2), "Apple soars"),
        story(4, at(12, 5), "Apple soars"),
    )
    # 02:00 UTC on the 12th is 22:00 on the 11th in New York: still the same day there; 05:00 is not.
    same(counted(DAYS, told, "news_count"), [NAN, 0, 1, 1, 0])
    same(counted(DAYS, told, "news_listings"), [NAN, 0, 2, 2, 0])
    same(counted(DAYS, told, "news_novelty"), [NAN, 0, 1, 1, 0])


def test_the_vendors_novelty_goes_before_ours() -> None:
    told = stories(
        FIRST, story(1, at(11, 14), "a", novelty=0.25, relevance=0.5), story(2, at(11, 15), "a", novelty=0.5),
        story(3, at(11, 16), "b", relevance=0.75),
    )  # fmt: skip
    same(counted(DAYS, told, "news_novelty"), [NAN, 0, 1.75, 0, 0])
    same(counted(DAYS, told, "news_relevance"), [NAN, 0, 1.25, 0, 0])


def test_a_story_withdrawn_is_not_counted_from_then_on() -> None:
    told = stories(
        FIRST,
        story(1, at(10, 15), "Withdrawn within its window"),
        story(1, at(10, 16), "", action="retract"),
        story(2, at(11, 15), "Withdrawn later"),
        story(2, at(11, 20, 1), "", action="retract"),
    )
    same(counted(DAYS, told, "news_count"), [NAN, 0, 1, 0, 0])
    same(counted(DAYS, told, "market_news"), [NAN, 0, 1, 0, 0])
    since = counted(DAYS, told, "days_since_news")
    same(since, [8 / 24, 32 / 24, 5 / 24, 3 + 8 / 24, 4 + 8 / 24])


def test_a_later_version_of_a_story_is_no_new_one() -> None:
    told = stories(FIRST, story(1, at(10, 15), "One"), story(1, at(11, 15), "Two", action="update"))
    same(counted(DAYS, told, "news_listings"), [NAN, 1, 0, 0, 0])


def test_each_instrument_named_counts_the_market_counts_once() -> None:
    told = stories(FIRST, story(5, at(9, 13), "B too", "B"), story(1, at(10, 15), "Both", "A|B", symbol="A"))
    same(counted(DAYS, told, "news_count")[:2], [NAN, 1])
    same(counted(bars_at(9, 10, symbol="B"), told, "news_count"), [NAN, 1])
    same(counted(DAYS, told, "market_news")[:2], [NAN, 1])
    same(counted(bars_at(9, 10, symbol="A#2"), told, "news_count"), [NAN, 1])
    same(counted(bars_at(9, 10, symbol="C"), told, "news_count"), [NAN, NAN])
    same(counted(bars_at(9, 10, symbol="C"), told, "market_news"), [NAN, 1])


def test_a_silent_source_is_missing_and_not_zero() -> None:
    told = stories(FIRST, story(1, at(10, 15), "Last", "B"))
    days = bars_at(9, 10, 11, 13, 16)
    # Five days after the 10th at 15:00 the source counts as ended.
    same(counted(days, told, "news_count"), [NAN, 0, 0, 0, NAN])
    same(counted(days, stories(*[FIRST] * 0, story(1, at(20), "Later")), "news_count"), [NAN] * 5)


def test_tweets_authors_reposts_and_edits() -> None:
    rows = pl.DataFrame({
        "source": "x", "source_id": ["0", "1", "2", "3", "4", "5", "1"], "symbol": "A",
        "knowledge_time": [at(9, 12), at(11, 14), at(11, 15), at(11, 16), at(11, 17), at(11, 18), at(11, 22)],
        "text": ["first", "one", "RT @you: one", "two", "three", "one, corrected", ""],
        "author": ["z", "a", "b", "a", None, "a", "a"], "followers": [1, 10, 20, 10, None, 10, None],
        "author_verified": [True, True, None, True, False, True, None],
        "reposts": [None, None, None, "7", None, None, None],
        "action": ["new"] * 5 + ["edit", "delete"],
    }, schema_overrides={"knowledge_time": pl.Datetime("us", "UTC")})  # fmt: skip
    found = attention_at(DAYS, Mentions(rows, "text"), TWEETS)
    expected = {"tweet_count": 4, "tweet_listings": 4, "tweet_authors": 3, "tweet_reposts": 2, "tweet_verified": 2,
                "tweet_followers": 40, "tweet_after_hours": 0, "market_tweets": 4}  # fmt: skip
    for name, value in expected.items():
        same(found[name].tolist(), [NAN, 0, value, 0, 0])


def test_rows_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(SchemaError, match="lack source_id"):
        Mentions(pl.DataFrame([FIRST]).drop("source_id"), "headline")


class Slow:
    """One table counted in loops."""

    def __init__(self, rows: pl.DataFrame, text: str) -> None:
        self.stories, seen = [], {}
        gone = {}
        for row in rows.sort("knowledge_time").iter_rows(named=True):
            key = (row["source"], row["source_id"])
            if row["action"] in ("retract", "delete"):
                gone.setdefault(key, row["knowledge_time"])
            elif key not in seen:
                seen[key] = row
                self.stories.append(row)
        opens = {session: (opened, closed) for session, opened, closed in trading_calendar().as_frame().iter_rows()}
        texts: dict[str, set[tuple[str, date]]] = {}
        for row in self.stories:
            when = row["knowledge_time"].astimezone(NEW_YORK)
            opened, closed = opens.get(when.date(), (None, None))
            row["closed"] = opened is None or not opened <= row["knowledge_time"] <= closed
            row["gone"] = gone.get((row["source"], row["source_id"]), datetime.max.replace(tzinfo=UTC))
            copy = (" ".join(row[text].lower().split()), when.date())
            row["named"] = set(row["symbols"].split("|")) | {row["symbol"]}
            row["first"] = {symbol for symbol in row["named"] if copy not in texts.setdefault(symbol, set())}
            row["first_of_all"] = copy not in texts.setdefault("", set())
            for symbol in (*row["named"], ""):
                texts[symbol].add(copy)

    def window(self, symbol: str, before: datetime, known: datetime) -> list[dict]:
        inside = [row for row in self.stories if before < row["knowledge_time"] <= known and row["gone"] > known]
        return [row for row in inside if not symbol or symbol in row["named"]]


def shares(part: pd.Series, whole: pd.Series, window: int) -> pd.Series:
    return part.rolling(window).sum() / whole.rolling(window).sum()


def abnormal(count: pd.Series) -> pd.Series:
    return np.log((1 + count) / (1 + count.rolling(63).mean().shift()))


def abnormal_mean(count: pd.Series) -> pd.Series:
    return np.log((1 + count.rolling(5).mean()) / (1 + count.rolling(63).mean()))


def common(prefix: str, market: str):
    count = f"{prefix}_count"
    return {
        f"{count}_1": lambda v: v["count"],
        f"{count}_5": lambda v: v["count"].rolling(5).sum(),
        f"{count}_21": lambda v: v["count"].rolling(21).sum(),
        f"{prefix}_abnormal_1": lambda v: abnormal(v["count"]),
        f"{prefix}_abnormal_5": lambda v: abnormal_mean(v["count"]),
        f"{prefix}_after_hours_share_21": lambda v: shares(v["closed"], v["count"], 21),
        f"{prefix}_share_of_market_21": lambda v: shares(v["count"], v["market"], 21),
        f"days_since_{prefix}": lambda v: v["since"],
        f"{market}_abnormal_1": lambda v: abnormal(v["market"]),
    }


ORACLES = {
    **common("news", "market_news"),
    "news_novelty_21": lambda v: shares(v["novelty"], v["listings"], 21),
    "news_relevance_5": lambda v: v["relevance"].rolling(5).sum(),
    **common("tweet", "market_tweets"),
    "tweet_novelty_21": lambda v: shares(v["count"], v["listings"], 21),
    "tweet_authors_5": lambda v: v["authors"].rolling(5).sum(),
    "tweet_authors_share_21": lambda v: shares(v["authors"], v["listings"], 21),
    "tweet_repost_share_21": lambda v: shares(v["reposts"], v["listings"], 21),
    "tweet_verified_share_21": lambda v: shares(v["verified"], v["listings"], 21),
    "tweet_reach_5": lambda v: np.log1p(v["followers"].rolling(5).sum()),
    "tweet_reach_abnormal_5": lambda v: abnormal_mean(v["followers"]),
}


def slow_counts(bars: pl.DataFrame, slow: Slow, symbol: str) -> pd.DataFrame:
    known = bars.filter(pl.col("symbol") == symbol)["knowledge_time"].to_list()
    rows = [dict.fromkeys(("count", "market"), math.nan)]
    for before, now in pairwise(known):
        own = slow.window(symbol, before, now)
        first = [row for row in own if symbol in row["first"]]
        row = {
            "count": len(first), "listings": len(own), "closed": sum(r["closed"] for r in first),
            "market": sum(r["first_of_all"] for r in slow.window("", before, now)),
        }  # fmt: skip
        last = max(r["knowledge_time"] for r in slow.window(symbol, datetime.min.replace(tzinfo=UTC), now))
        row["since"] = (now - last).total_seconds() / 86_400
        if "novelty" in slow.stories[0]:
            row["novelty"] = sum(float(symbol in r["first"]) if r["novelty"] is None else r["novelty"] for r in own)
            row["relevance"] = sum(r["relevance"] for r in first)
        else:
            row |= {"authors": len({r["author"] for r in own}), "verified": sum(r["author_verified"] for r in own)}
            row |= {
                "followers": sum(r["followers"] for r in own),
                "reposts": sum(r["reposts"] is not None for r in own),
            }
        rows.append(row)
    return pd.DataFrame(rows).astype(float)


def test_every_feature_equals_its_slow_version() -> None:
    raw = make_bars(seed=47, symbols=3, sessions=130)
    bars = prepare_bars(raw)
    news, tweets = make_news(raw, 47), make_tweets(raw, 47)
    found = compute_features(bars, feature_set("attention"), Context(news=news, tweets=tweets))
    assert set(ORACLES) == {feature.name for feature in feature_set("attention")}
    tables = {"news": Slow(news, "headline"), "tweets": Slow(tweets, "text")}
    for symbol in ("S0", "S2"):
        counts = {group: slow_counts(bars, slow, symbol) for group, slow in tables.items()}
        own = found.filter(pl.col("symbol") == symbol).to_pandas()
        for feature in feature_set("attention"):
            expected = ORACLES[feature.name](counts[feature.group])
            assert expected.notna().sum() > 40, feature.name
            # Of the first bar only the time since the last story is known.
            np.testing.assert_allclose(own[feature.name][1:], expected[1:], rtol=2e-6, atol=1e-6, err_msg=feature.name)


def test_what_the_rows_do_not_tell_is_named() -> None:
    raw = make_bars(seed=1, symbols=3, sessions=30)
    bars, news = prepare_bars(raw), make_news(raw)
    _, left_out = usable(feature_set("attention"), bars, Context(news=news.drop("relevance")))
    assert left_out["news_relevance_5"] == "needs the relevance of news, which no source told"
    assert left_out["tweet_count_1"] == "needs tweets, which no source brought"
    assert "news_count_1" not in left_out


@pytest.mark.slow
def test_real_headlines_and_tweets(shared_data: Path) -> None:
    sessions = trading_calendar().as_frame().select("session", "close_at")
    prices = pl.read_parquet(shared_data / "stocknet" / "prices_2012_2015.parquet").rename({"date": "session"})
    prices = prices.filter(pl.col("session") >= pl.date(2014, 1, 2)).join(sessions, on="session")
    bars = prepare_bars(prices.with_columns(event_time=pl.col("close_at"), knowledge_time=pl.col("close_at")))
    news = pl.read_parquet(shared_data / "news_reuters" / "headlines_2010_2015.parquet").select(
        pl.lit("reuters").alias("source"), pl.col("url").alias("source_id"), "headline",
        pl.col("published_at").alias("knowledge_time"), pl.lit(None, pl.String).alias("symbol"),
        pl.col("tickers_matched").str.replace_all(",", "|", literal=True).alias("symbols"),
    )  # fmt: skip
    posts = pl.read_parquet(shared_data / "stocknet" / "tweets_2014_2015.parquet").select(
        pl.lit("stocknet").alias("source"), pl.format("{}:{}", "tweet_id", "ticker").alias("source_id"), "text",
        pl.col("created_at").alias("knowledge_time"), pl.col("ticker").alias("symbol"),
        pl.col("author_hash").alias("author"), "author_verified", "followers",
    )  # fmt: skip
    context = Context(news=news, tweets=posts)
    kept, left_out = usable(feature_set("attention"), bars, context)
    assert set(left_out) == {"news_relevance_5"}
    found = compute_features(bars, kept, context).filter(pl.col("session") >= pl.date(2014, 7, 1))
    mean = {name: float(found[name].fill_nan(None).mean() or 0.0) for name in found.columns[4:]}
    # The README: a fifth of the headlines and of the tweets repeat, 28 % of the tweets are retweets.
    assert 0.85 < mean["news_novelty_21"] < 1.0
    assert 0.8 < mean["tweet_novelty_21"] < 1.0
    assert 0.1 < mean["tweet_repost_share_21"] < 0.4
    assert 0.5 < mean["news_after_hours_share_21"] < 0.8
    assert mean["tweet_verified_share_21"] < 0.1
    # 42 of the 72 names are in Reuters' headlines, nearly all in the tweets.
    assert 0.5 < found["news_count_1"].is_not_nan().mean() < 0.65
    assert found["tweet_count_1"].is_not_nan().mean() > 0.95
    apple = found.filter(pl.col("symbol") == "AAPL")
    assert (apple["tweet_count_1"].fill_nan(None).mean() or 0) > 10
    assert (apple["tweet_share_of_market_21"].fill_nan(None).mean() or 0) > 0.1
    # Apple's event of 2014-09-09 began at 13:00 in New York: more is written that day than in the weeks before.
    day = apple.filter(pl.col("session") == pl.date(2014, 9, 9)).row(0, named=True)
    assert day["news_abnormal_1"] > 0.5
    assert day["tweet_abnormal_1"] > 0.5
    assert timedelta(days=float(day["days_since_news"])) < timedelta(hours=1)
