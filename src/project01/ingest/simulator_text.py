"""Made-up headlines and tweets about made-up companies, every one marked as simulated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from project01.domain import NEWS, TWEETS, FloatArray
from project01.ingest.simulator_market import DailyMarket
from project01.ingest.simulator_settings import (
    SESSIONS_PER_YEAR,
    SOURCE_NAME,
    MarketSettings,
    Stream,
    exchange,
)
from project01.ingest.source import Batch

MARK = "[SIMULATED]"
REPEAT_SHARE = 0.1  # reprints of headlines, reposts of tweets
POLAR_ABOVE = 0.5  # standard deviations of sentiment from which a text takes sides

_STEMS = ("Vel", "Zor", "Quin", "Mar", "Tal", "Brix", "Ond", "Kes", "Lum", "Fen", "Arq", "Dov")
_ENDINGS = ("orix", "ström", "umbra", "ésque", "alis", "ovent", "ira", "ettico", "odyne", "avane")
_TRADES = ("Foundry", "Logistics", "Biologics", "Minerals", "Software", "Foods", "Optics", "Energy")

_HEADLINES = {
    1: (
        "{company} ({symbol}) beats its own guidance for the quarter",
        "{company} ({symbol}) wins a large order and raises its outlook",
        "Analysts upgrade {company} ({symbol}) after strong margins",
    ),
    0: (
        "{company} ({symbol}) will hold its annual meeting as planned",
        "{company} ({symbol}) moves its office to another street",
        "{company} ({symbol}) names a new head of accounting",
    ),
    -1: (
        "{company} ({symbol}) misses its own guidance for the quarter",
        "{company} ({symbol}) loses a large order and cuts its outlook",
        "Analysts downgrade {company} ({symbol}) after weak margins",
    ),
}

_TWEETS = {
    1: (
        "${symbol} to the moon 🚀🚀 {company} is crushing it",
        "Loading up on ${symbol} 📈 best quarter ever",
        "{company} just keeps winning 💪 ${symbol}",
    ),
    0: (
        "Anyone listening to the {company} call? ${symbol}",
        "${symbol} flat again 🤷 nothing to see",
        "Reading the {company} report with coffee ☕ ${symbol}",
    ),
    -1: (
        "${symbol} is a sinking ship 📉 get out",
        "Terrible quarter at {company} 😡 sold all my ${symbol}",
        "{company} cuts again, I am done 💀 ${symbol}",
    ),
}

# What text pipelines trip over: joined emoji, a right-to-left mark, full-width letters, combining accents, a zero-width
# space, mathematical letters, a line break, markup, a lone surrogate's replacement, nothing at all.
_ODDITIES = (
    " 👩🏽‍💻👨‍👩‍👧",
    " \u200fשלום\u200e",
    " ＢＵＹ　ＮＯＷ",
    " cafe\u0301 e\u0308",
    "\u200b\u200b",
    " 𝕞𝕠𝕠𝕟",
    "\n\n— sent from a 模擬 phone",
    " &amp; <b>bold</b>",
    " \ufffd",
    "",
)


@dataclass(frozen=True)
class Texts:
    """Simulated texts and what they were made to mean.

    Attributes:
        batch: rows of the table news or tweets, sorted by source_id.
        truth: source_id, symbol, session (the first that opens after the text), sentiment (standard deviations),
            polarity (1, 0, -1: which templates were used), repeats (source_id of the original, else null).
    """

    batch: Batch
    truth: pl.DataFrame


def company_name(number: int) -> str:
    """A made-up company for symbol `number`; distinct for the first 960."""
    stem, rest = number % len(_STEMS), number // len(_STEMS)
    ending, trade = rest % len(_ENDINGS), (rest // len(_ENDINGS) + number) % len(_TRADES)
    return f"{_STEMS[stem]}{_ENDINGS[ending]} {_TRADES[trade]}"


def news(settings: MarketSettings, market: DailyMarket) -> Texts:
    """Headlines, known seconds after their event; a tenth are reprints, slightly changed, minutes to hours later."""
    generator = settings.generator(Stream.NEWS)
    told = _drawn(generator, settings, market, settings.news_per_symbol_year)
    lines = _written(generator, told, _HEADLINES)
    rows = told.with_columns(
        pl.Series("headline", [f"{MARK} {line}" for line in lines], dtype=pl.String),
        pl.Series("body", [f"{MARK} {line}. This text is made up for tests." for line in lines], dtype=pl.String),
    )
    rows = _with_repeats(generator, rows, "headline", _reprint).with_columns(
        pl.format("news:{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(8)).alias("source_id"),
        (pl.col("knowledge_time") - pl.duration(seconds=2)).alias("event_time"),
    )
    rows = rows.with_columns(pl.format("https://news.example/simulated/{}", pl.col("source_id")).alias("url"))
    return Texts(Batch.of(NEWS, rows), _truth(rows))


def tweets(settings: MarketSettings, market: DailyMarket) -> Texts:
    """Tweets with emoji and odd unicode; a tenth are reposts of another author."""
    generator = settings.generator(Stream.TWEETS)
    told = _drawn(generator, settings, market, settings.tweets_per_symbol_year)
    odd = generator.integers(0, 4 * len(_ODDITIES), told.height)  # three in four stay plain
    author = generator.integers(0, 500, told.height)
    texts = [
        f"{line}{_ODDITIES[number] if number < len(_ODDITIES) else ''} #simulated"
        for line, number in zip(_written(generator, told, _TWEETS), odd.tolist(), strict=True)
    ]
    rows = told.with_columns(
        pl.Series("text", texts, dtype=pl.String),
        pl.Series("author", [f"sim_user_{number:03d}" for number in author.tolist()], dtype=pl.String),
    )
    rows = _with_repeats(generator, rows, "text", _repost).with_columns(
        pl.format("tweet:{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(8)).alias("source_id"),
        pl.col("knowledge_time").alias("event_time"),
    )
    return Texts(Batch.of(TWEETS, rows), _truth(rows))


def _drawn(
    generator: np.random.Generator, settings: MarketSettings, market: DailyMarket, per_symbol_year: float
) -> pl.DataFrame:
    """Which symbol is written about, when, and with what sentiment; sorted by time, then symbol."""
    known = exchange()
    place = known.index_of(market.sessions)
    session, symbol = np.nonzero(~np.isnan(market.close[1:]))  # a text falls between two closes
    count = generator.poisson(per_symbol_year / SESSIONS_PER_YEAR, len(session))
    session, symbol = np.repeat(session + 1, count), np.repeat(symbol, count)
    before, closed = known.closes[place[session - 1]], known.closes[place[session]]
    at = before + (generator.random(len(session)) * (closed - before).astype(np.int64)).astype("timedelta64[us]")
    traded_next = np.where(at < known.opens[place[session]], session, session + 1)
    noise = generator.standard_normal(len(session))
    scores = np.vstack([_day_scores(market), np.full(market.close.shape[1], np.nan)])[traded_next, symbol]
    sentiment = np.where(np.isnan(scores), noise, settings.text_ic * scores + np.sqrt(1 - settings.text_ic**2) * noise)
    following = np.append(market.sessions, np.datetime64("NaT"))[traded_next]
    return pl.DataFrame(
        {
            "knowledge_time": pl.Series(at).dt.replace_time_zone("UTC"),
            "symbol": pl.Series(market.symbols, dtype=pl.String).gather(symbol),
            "company": pl.Series([company_name(n) for n in range(settings.symbols)]).gather(symbol),
            "session": pl.Series(following).cast(pl.Date),
            "sentiment": sentiment,
            "polarity": np.sign(sentiment).astype(np.int8) * (np.abs(sentiment) > POLAR_ABOVE),
        }
    ).sort("knowledge_time", "symbol")


def _day_scores(market: DailyMarket) -> FloatArray:
    """Rank of each open-to-close return within its session, mean 0 and variance 1; NaN without a bar."""
    move = market.close / market.open
    ranks = np.argsort(np.argsort(move, axis=1), axis=1).astype(np.float64)
    count = np.sum(~np.isnan(move), axis=1, keepdims=True)
    spread = np.sqrt(np.maximum(np.square(count) - 1, 1) / 12)
    return np.where(np.isnan(move), np.nan, (ranks - (count - 1) / 2) / spread)


def _written(generator: np.random.Generator, told: pl.DataFrame, templates: Mapping[int, tuple[str, ...]]) -> list[str]:
    pick = generator.random(told.height).tolist()
    rows = zip(pick, told["polarity"].to_list(), told["company"].to_list(), told["symbol"].to_list(), strict=True)
    return [
        templates[polarity][int(u * len(templates[polarity]))].format(company=company, symbol=symbol)
        for u, polarity, company, symbol in rows
    ]


def _with_repeats(
    generator: np.random.Generator, rows: pl.DataFrame, column: str, change: Callable[[str, int], str]
) -> pl.DataFrame:
    """`rows` and, for a share of them, a later near-copy; sorted by time, `original` numbering what each is from."""
    rows = rows.with_row_index("original")
    chosen = rows.filter(generator.random(rows.height) < REPEAT_SHARE)
    wait = generator.integers(60, 7_200, chosen.height)
    kind = generator.integers(0, 3, chosen.height).tolist()
    changed = [change(text, number) for text, number in zip(chosen[column].to_list(), kind, strict=True)]
    copies = chosen.with_columns(
        pl.Series(column, changed, dtype=pl.String),
        (pl.col("knowledge_time") + pl.Series(wait * 1_000_000).cast(pl.Duration("us"))).alias("knowledge_time"),
        pl.lit(value=True).alias("repeated"),
    )
    both = pl.concat([rows.with_columns(pl.lit(value=False).alias("repeated")), copies])
    return both.sort("knowledge_time", "symbol", "repeated", maintain_order=True).with_columns(
        pl.lit(SOURCE_NAME).alias("source"), pl.lit(value=True).alias("simulated")
    )


def _reprint(line: str, kind: int) -> str:
    return (line + " - update", line.replace(" (", "  ("), line.upper())[kind]


def _repost(text: str, kind: int) -> str:
    return (f"RT @sim_user: {text}", text.replace("#simulated", "#Simulated"), f"{text} ")[kind]


def _truth(rows: pl.DataFrame) -> pl.DataFrame:
    originals = rows.filter(~pl.col("repeated")).select("original", pl.col("source_id").alias("repeats"))
    joined = rows.join(originals, on="original", how="left", maintain_order="left")
    return joined.select(
        "source_id",
        "symbol",
        "session",
        "sentiment",
        "polarity",
        pl.when("repeated").then("repeats").alias("repeats"),
    )
