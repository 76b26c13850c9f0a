"""Texts are marked as made up, trip what text pipelines trip over, and mean nothing unless asked to."""

import unicodedata
from difflib import SequenceMatcher

import numpy as np
import polars as pl
import pytest
from scipy import stats

from project01.domain import trading_calendar
from project01.ingest.simulator import SimulatorSource
from project01.ingest.simulator_settings import Faults, MarketSettings
from project01.ingest.simulator_text import company_name


def talkative(text_ic: float = 0.0, seed: int = 6) -> SimulatorSource:
    return SimulatorSource(
        MarketSettings(
            seed=seed,
            symbols=40,
            sessions=400,
            text_ic=text_ic,
            news_per_symbol_year=60,
            tweets_per_symbol_year=60,
            intraday_symbols=0,
            faults=Faults(delistings_per_symbol_year=0.2),
        )
    )


@pytest.fixture(scope="module")
def source() -> SimulatorSource:
    return talkative()


@pytest.fixture(scope="module")
def tables(source: SimulatorSource) -> dict[str, pl.DataFrame]:
    return {batch.spec.name: batch.rows for batch in source.read() if batch.spec.name in {"news", "tweets"}}


def test_every_text_says_that_it_is_simulated(tables: dict[str, pl.DataFrame]) -> None:
    assert tables["news"]["headline"].str.starts_with("[SIMULATED]").all()
    assert tables["news"]["body"].str.contains("made up").all()
    assert tables["news"]["url"].str.starts_with("https://news.example/").all()
    assert tables["tweets"]["text"].str.contains("(?i)#simulated").all()
    assert tables["news"]["simulated"].all()


def test_rates_are_those_asked_for(source: SimulatorSource, tables: dict[str, pl.DataFrame]) -> None:
    symbol_years = np.isfinite(source.truth().published.close).sum() / 252
    for rows in tables.values():
        assert rows.height / symbol_years == pytest.approx(60 * 1.1, rel=0.06)


def test_ids_are_unique_and_times_in_order(tables: dict[str, pl.DataFrame]) -> None:
    for rows in tables.values():
        assert rows["source_id"].is_unique().all()
        assert rows.equals(rows.sort("source_id"))
        assert rows["knowledge_time"].is_sorted()
        assert (rows["knowledge_time"] >= rows["event_time"]).all()


def test_texts_hold_emoji_and_odd_unicode_and_survive_utf8(tables: dict[str, pl.DataFrame]) -> None:
    text = "".join(tables["tweets"]["text"])
    assert text.encode().decode() == text
    seen = {unicodedata.category(character) for character in set(text)}
    # So emoji, Sk skin tone, Cf joiner and direction mark, Mn combining accent, Cc line break, Lo Hebrew and Chinese.
    assert {"So", "Sk", "Cf", "Mn", "Cc", "Lo"} <= seen
    assert unicodedata.normalize("NFKC", text) != text
    headlines = "".join(tables["news"]["headline"])
    assert any(ord(character) > 127 for character in headlines)


def test_repeats_are_later_near_copies_of_their_original(
    source: SimulatorSource, tables: dict[str, pl.DataFrame]
) -> None:
    for name, column, truth in (
        ("news", "headline", source.truth().news),
        ("tweets", "text", source.truth().tweets),
    ):
        rows = tables[name]
        repeats = truth.filter(pl.col("repeats").is_not_null())
        assert repeats.height / truth.height == pytest.approx(0.1 / 1.1, rel=0.15)
        text, at = (
            dict(rows.select("source_id", column).rows()),
            dict(rows.select("source_id", "knowledge_time").rows()),
        )
        for copy, original in repeats.select("source_id", "repeats").rows()[:200]:
            assert text[copy] != text[original]
            assert at[copy] > at[original]
            assert SequenceMatcher(None, text[copy].lower(), text[original].lower()).ratio() > 0.8


def test_the_truth_names_the_first_session_that_opens_after_the_text(
    source: SimulatorSource, tables: dict[str, pl.DataFrame]
) -> None:
    originals = source.truth().news.filter(pl.col("repeats").is_null() & pl.col("session").is_not_null())
    told = originals.join(tables["news"].select("source_id", "knowledge_time"), on="source_id").sort("knowledge_time")
    hours = trading_calendar("XNYS").as_frame().sort("open_at")
    next_open = told.join_asof(hours, left_on="knowledge_time", right_on="open_at", strategy="forward")
    assert (next_open["session"] == next_open["session_right"]).all()


def sentiment_and_next_move(source: SimulatorSource) -> tuple[list[float], list[float], list[int]]:
    market = source.truth().published
    move = pl.DataFrame(market.close / market.open - 1, schema=list(market.symbols)).with_columns(
        session=pl.Series(market.sessions).cast(pl.Date)
    )
    ranks = move.unpivot(index="session", variable_name="symbol", value_name="move").filter(
        pl.col("move").is_not_nan()
    ).with_columns(rank=pl.col("move").rank().over("session"))  # fmt: skip
    joined = source.truth().news.filter(pl.col("repeats").is_null()).join(ranks, on=["session", "symbol"])
    return joined["sentiment"].to_list(), joined["rank"].to_list(), joined["polarity"].to_list()


def test_sentiment_tells_nothing_unless_asked() -> None:
    found = [stats.pearsonr(*sentiment_and_next_move(talkative(seed=seed))[:2]).statistic for seed in range(6)]
    assert abs(np.mean(found)) < 3 * stats.sem(found)


def test_a_planted_text_edge_has_the_size_asked_for() -> None:
    found, polar = [], []
    for seed in range(6):
        sentiment, rank, polarity = sentiment_and_next_move(talkative(text_ic=0.2, seed=seed))
        found.append(stats.pearsonr(sentiment, rank).statistic)
        polar.append(stats.pearsonr(polarity, rank).statistic)
    assert abs(np.mean(found) - 0.2) < 3 * stats.sem(found)
    assert np.mean(polar) > 0.15  # three templates tell most of a latent sentiment


def test_wording_goes_with_polarity(source: SimulatorSource, tables: dict[str, pl.DataFrame]) -> None:
    joined = source.truth().news.join(tables["news"], on="source_id")
    headline = pl.col("headline").str.to_lowercase()
    good = joined.filter(headline.str.contains("beats|raises|upgrade"))["polarity"]
    bad = joined.filter(headline.str.contains("misses|cuts|downgrade"))["polarity"]
    assert set(good) == {1}
    assert set(bad) == {-1}


def test_company_names_are_distinct() -> None:
    assert len({company_name(number) for number in range(960)}) == 960
