"""Random bars of the lake's form, with what real bars have: gaps, missing columns, splits, dividends, late starts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import trading_calendar
from project01.etl import Context


def make_bars(
    seed: int = 0, symbols: int = 4, sessions: int = 320, *, gaps: float = 0.03, holes: float = 0.02
) -> pl.DataFrame:
    """Raw bars known at their close.

    Args:
        seed: of everything.
        symbols: number of instruments.
        sessions: from 2012-01-03 on.
        gaps: share of bars left out.
        holes: share of bars without open, of those without high and low, and of those without volume.
    """
    random = np.random.default_rng(seed)
    calendar = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2012).head(sessions)
    frames = []
    for number in range(symbols):
        close = 50.0 * np.exp(np.cumsum(random.normal(0.0003, 0.015, sessions)))
        opened = close * np.exp(random.normal(0, 0.005, sessions))
        high = np.maximum(opened, close) * np.exp(random.exponential(0.004, sessions))
        low = np.minimum(opened, close) * np.exp(-random.exponential(0.004, sessions))
        dividends = np.where(random.random(sessions) < 0.02, 0.99, 1.0)
        adjusted = close * np.cumprod(dividends[::-1])[::-1]
        frame = calendar.select("session", event_time="close_at", knowledge_time="close_at").with_columns(
            pl.lit(f"S{number}").alias("symbol"),
            pl.Series("open", opened), pl.Series("high", high), pl.Series("low", low), pl.Series("close", close),
            pl.Series("adj_close", adjusted), pl.Series("volume", np.round(random.lognormal(12, 0.6, sessions))),
            pl.Series("vwap", (high + low + 2 * close) / 4),
        )  # fmt: skip
        for columns in (("open",), ("high", "low"), ("volume",)):
            hole = pl.Series(random.random(sessions) < holes)
            frame = frame.with_columns(pl.when(~hole).then(pl.col(name)).alias(name) for name in columns)
        frames.append(frame.filter(pl.Series(random.random(sessions) >= gaps)))
    return pl.concat(frames)


def make_macro(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """VIX known 15 minutes after each close, the 10-year yield half an hour before it."""
    sessions = bars.select("session", "event_time").unique("session", maintain_order=True).sort("session")
    random = np.random.default_rng(seed)
    vix = 15.0 * np.exp(np.cumsum(random.normal(0, 0.05, sessions.height)))
    rate = 0.02 + np.cumsum(random.normal(0, 0.0005, sessions.height))
    return pl.concat(
        sessions.select(
            pl.lit(series).alias("series_id"),
            pl.col("session").alias("period"),
            (pl.col("event_time") + lag).alias("knowledge_time"),
            pl.Series("value", values),
        )
        for series, lag, values in (("VIX", timedelta(minutes=15), vix), ("DGS10", timedelta(minutes=-30), rate))
    )


def make_economy(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Every series the catalogue reads: daily ones known in the evening, the others weeks later and then revised.

    Rates come from FRED, in percent; VIX and the 10-year yield are those of `make_macro`.
    """
    random = np.random.default_rng([seed, 2])
    evenings = bars.select("session", "event_time").unique("session").sort("session")
    first, last = evenings["session"].min() - timedelta(days=900), evenings["session"].max()
    frames = [make_macro(bars, seed).with_columns(source=pl.lit("made"))]
    for series, level in (("DGS2", 1.0), ("DGS3MO", 0.4), ("VXVCLS", 17.0), ("DCOILWTICO", 80.0)):
        walk = level * np.exp(np.cumsum(random.normal(0, 0.01, evenings.height)))
        frames.append(evenings.select(
            pl.lit(series).alias("series_id"), pl.col("session").alias("period"),
            (pl.col("event_time") + timedelta(hours=2)).alias("knowledge_time"), pl.Series("value", walk),
            pl.lit("fred").alias("source"),
        ))  # fmt: skip
    slow = {"ICSA": (350_000.0, "1w", 5), "AAA": (4.0, "1mo", 34), "BAA": (5.0, "1mo", 34),
            "FEDFUNDS": (2.0, "1mo", 33),
            "UNRATE": (8.0, "1mo", 36), "CPIAUCSL": (220.0, "1mo", 45), "CPILFESL": (220.0, "1mo", 45),
            "INDPRO": (95.0, "1mo", 47), "PAYEMS": (1.3e5, "1mo", 36), "M2SL": (9000.0, "1mo", 48),
            "HOUST": (600.0, "1mo", 49), "GDPC1": (1.5e4, "3mo", 120)}  # fmt: skip
    for series, (level, every, lag) in slow.items():
        period = pl.date_range(first.replace(day=1), last, every, eager=True)
        walk = level * np.exp(np.cumsum(random.normal(0, 0.01, period.len())))
        known = period.cast(pl.Datetime("us", "UTC")) + timedelta(days=lag, hours=12)
        row = pl.DataFrame({"period": period, "knowledge_time": known, "value": walk}).with_columns(
            series_id=pl.lit(series), source=pl.lit("fred")
        )
        again = row.with_columns(pl.col("knowledge_time") + timedelta(days=31), value=pl.Series(walk * 1.001))
        frames += [row, again.gather_every(2)]
    return pl.concat(frames, how="diagonal").select("series_id", "period", "knowledge_time", "value", "source")


# What a made-up company reports: concept -> unit, share of the quarter's revenue (flows) or of assets (instants).
FLOWS = {
    "Revenues": 1.0, "CostOfRevenue": 0.6, "OperatingIncomeLoss": 0.15, "NetIncomeLoss": 0.1,
    "NetCashProvidedByUsedInOperatingActivities": 0.14, "PaymentsToAcquirePropertyPlantAndEquipment": 0.05,
    "PaymentsOfDividends": 0.02, "PaymentsForRepurchaseOfCommonStock": 0.03, "ProceedsFromIssuanceOfCommonStock": 0.01,
    "ResearchAndDevelopmentExpense": 0.04,
}  # fmt: skip
INSTANTS = {
    "Assets": 1.0, "AssetsCurrent": 0.4, "LiabilitiesCurrent": 0.25, "Liabilities": 0.6, "StockholdersEquity": 0.4,
    "CashAndCashEquivalentsAtCarryingValue": 0.1, "LongTermDebt": 0.2,
}  # fmt: skip
CASH_FLOWS = {name for name in FLOWS if name.startswith(("NetCash", "Payments", "Proceeds"))}


def make_facts(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """10-Qs and 10-Ks of every symbol from five years before the bars on, fiscal years ending in different months.

    Income of the quarter (of the year in a 10-K), cash flows year to date. One filing in eight lacks a concept, one in
    eight is amended 100 days later.
    """
    rows: list[tuple[object, ...]] = []
    last = bars["session"].max()
    for number, symbol in enumerate(bars["symbol"].unique().sort()):
        random = np.random.default_rng([seed, 3, number])
        start = bars["session"].min().replace(day=1) - timedelta(days=5 * 365)
        ends = pl.date_range(start, last, "3mo", eager=True).dt.offset_by(f"{number % 3}mo").dt.month_end()
        size = 1e8 * np.exp(np.cumsum(random.normal(0.02, 0.08, ends.len())))
        quarters = {name: share * size * random.uniform(0.8, 1.2, ends.len()) for name, share in FLOWS.items()}
        for place, end in enumerate(ends):
            quarter = place % 4 + 1
            filed = datetime(end.year, end.month, end.day, 21, 30, tzinfo=UTC) + timedelta(
                days=30 + 10 * (quarter == 4)
            )
            told = []
            for name, values in quarters.items():
                back = quarter if name in CASH_FLOWS or quarter == 4 else 1
                if place + 1 >= back:
                    begin = (ends[place - back] if place >= back else end - timedelta(days=91 * back)) + timedelta(
                        days=1
                    )
                    told.append((name, "USD", begin, values[place + 1 - back : place + 1].sum()))
            told += [(name, "USD", None, 5 * share * size[place]) for name, share in INSTANTS.items()]
            told.append(("dei:EntityCommonStockSharesOutstanding", "shares", None, 2e7 * (1 + 0.01 * place)))
            if random.random() < 0.125:
                told.pop(int(random.integers(len(told))))
            rows += [(symbol, *fact, end, filed) for fact in told]
            if random.random() < 0.125:
                rows += [(symbol, *fact[:3], 1.05 * fact[3], end, filed + timedelta(days=100)) for fact in told]
    table = pl.DataFrame(
        rows, schema=["symbol", "concept", "unit", "period_start", "value", "period_end", "knowledge_time"],
        orient="row",
    )  # fmt: skip
    return table.with_columns(pl.col("knowledge_time").dt.cast_time_unit("us"), source=pl.lit("made"))


def _texts(bars: pl.DataFrame, random: np.random.Generator, rate: float) -> pl.DataFrame:
    """Texts that repeat, of one or two symbols, at any hour, from ten days before the bars to their end."""
    symbols = bars["symbol"].unique().sort().to_list()
    begin, end = bars["knowledge_time"].min() - timedelta(days=10), bars["knowledge_time"].max()
    days = (end - begin).total_seconds() / 86_400
    count = int(rate * days * len(symbols))
    own, other = random.integers(len(symbols), size=count), random.integers(len(symbols), size=count)
    frame = pl.DataFrame({
        "source": "made", "source_id": [f"id{n}" for n in range(count)],
        "knowledge_time": [begin + timedelta(seconds=int(s)) for s in np.sort(random.uniform(0, days * 86_400, count))],
        "symbol": [symbols[n] for n in own],
        "symbols": ["|".join(sorted({symbols[a], symbols[b - b % 2]})) for a, b in zip(own, other, strict=True)],
        "text": [f"Text  number {n}" for n in random.integers(12, size=count)], "action": "new",
    })  # fmt: skip
    return frame.with_columns(pl.col("knowledge_time").dt.cast_time_unit("us"))


def _withdrawn(rows: pl.DataFrame, random: np.random.Generator, action: str) -> pl.DataFrame:
    """The rows and, for one in twenty, its withdrawal up to two days later."""
    chosen = rows.filter(pl.Series(random.random(rows.height) < 0.05)).with_columns(action=pl.lit(action))
    later = pl.Series(
        [timedelta(hours=float(h)) for h in random.uniform(0, 48, chosen.height)], dtype=pl.Duration("us")
    )
    return pl.concat([rows, chosen.with_columns(pl.col("knowledge_time") + later)]).sort("knowledge_time", "source_id")


def make_news(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Two stories a day and symbol, copies among them; half of them with the vendor's novelty."""
    random = np.random.default_rng([seed, 4])
    rows = _texts(bars, random, 2.0).rename({"text": "headline"})
    novelty = [float(v) if v < 0.5 else None for v in random.random(rows.height)]
    rows = rows.with_columns(novelty=pl.Series(novelty), relevance=pl.Series(random.random(rows.height)))
    return _withdrawn(rows, random, "retract")


def make_tweets(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Four posts a day and symbol, of 30 authors."""
    random = np.random.default_rng([seed, 5])
    rows = _texts(bars, random, 4.0)
    author = random.integers(30, size=rows.height)
    rows = rows.with_columns(
        author=pl.Series([f"a{n}" for n in author]),
        author_verified=pl.Series(author % 5 == 0),
        followers=pl.Series(author * 100),
        reposts=pl.Series([f"id{n}" if n % 3 == 0 else None for n in range(rows.height)], dtype=pl.String),
    )
    return _withdrawn(rows, random, "delete")


def make_context(bars: pl.DataFrame, seed: int = 0) -> Context:
    """All that can be known beside raw bars."""
    symbols = bars["symbol"].unique().sort()
    industries = pl.DataFrame({
        "symbol": symbols, "industry": [f"I{n % 2}" for n in range(symbols.len())],
        "knowledge_time": pl.Series([bars["knowledge_time"].min()] * symbols.len(), dtype=bars["knowledge_time"].dtype),
    })  # fmt: skip
    return Context(
        macro=make_economy(bars, seed),
        facts=make_facts(bars, seed),
        news=make_news(bars, seed),
        tweets=make_tweets(bars, seed),
        industries=industries,
    )


@pytest.fixture(scope="session")
def bars_of() -> Callable[..., pl.DataFrame]:
    return make_bars


@pytest.fixture(scope="session")
def macro_of() -> Callable[..., pl.DataFrame]:
    return make_macro


@pytest.fixture(scope="session")
def economy_of() -> Callable[..., pl.DataFrame]:
    return make_economy


@pytest.fixture(scope="session")
def facts_of() -> Callable[..., pl.DataFrame]:
    return make_facts


@pytest.fixture(scope="session")
def news_of() -> Callable[..., pl.DataFrame]:
    return make_news


@pytest.fixture(scope="session")
def tweets_of() -> Callable[..., pl.DataFrame]:
    return make_tweets
