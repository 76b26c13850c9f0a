"""Simulated filings and macro series, with publication delays, restatements and revisions."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FACTS, MACRO, FloatArray
from project01.ingest.simulator_market import ARCH, GARCH, DailyMarket
from project01.ingest.simulator_settings import SOURCE_NAME, MarketSettings, Stream, exchange
from project01.ingest.source import Batch

Dates = NDArray[np.datetime64]

CONCEPTS = ("Assets", "NetIncomeLoss", "Revenues", "StockholdersEquity")
QUARTERLY_DELAY_DAYS, ANNUAL_DELAY_DAYS = (25, 45), (50, 90)
RESTATED_AFTER_DAYS = (80, 200)
RELEASE_DAY_OF_NEXT_MONTH = 16
RELEASED_AT = np.timedelta64(13 * 60 + 30, "m")  # 8:30 in New York, winter time
AFTER_CLOSE = np.timedelta64(15, "m")
MONTHLY_PRINTS = {"INDPRO": 3, "CPIAUCSL": 2}  # first print and revisions, one month apart


def filings(settings: MarketSettings, market: DailyMarket) -> Batch:
    """Quarterly numbers of every symbol, known weeks after the period's end, a share of them restated months later.

    Only what is out by the last close, and by a symbol's last bar, is delivered. Sorted by key, then knowledge_time.
    """
    generator = settings.generator(Stream.FACTS)
    periods = _quarter_ends(market)
    shape = (len(periods), settings.symbols)
    december = (periods.astype("datetime64[M]").astype(np.int64) % 12 == 11)[:, None]
    low, high = np.where(december, ANNUAL_DELAY_DAYS, QUARTERLY_DELAY_DAYS).T
    wait = generator.integers(low[:, None], high[:, None], shape).astype("timedelta64[D]")
    longer = wait + generator.integers(*RESTATED_AFTER_DAYS, shape).astype("timedelta64[D]")
    values = _numbers(generator, shape)
    restated = generator.random(values.shape) < settings.restated_share
    changed = values * (1 + generator.uniform(-0.1, 0.1, values.shape))
    original = _fact_frame(market, periods, _accepted(generator, periods[:, None] + wait), values, "")
    amended = _fact_frame(market, periods, _accepted(generator, periods[:, None] + longer), changed, "/A")
    rows = pl.concat([original, amended.filter(restated.ravel())])
    out = rows.filter(pl.col("knowledge_time") <= pl.col("last_close"))
    return Batch.of(FACTS, out.sort("symbol", "concept", "period_end", "knowledge_time"))


def macro(settings: MarketSettings, market: DailyMarket) -> Batch:
    """Daily VIX (index points) and DGS10 (fraction), monthly INDPRO and CPIAUCSL with revisions.

    VIX follows the common factor's volatility over the next 21 sessions and is known 15 minutes after the close; DGS10
    is known at the next session's close. Only what is out by the last close is delivered: both end one session early.
    """
    generator = settings.generator(Stream.MACRO)
    closes = exchange().closes[exchange().index_of(market.sessions)]
    vix, rate = _implied_volatility(generator, settings, market), _rate(generator, settings.sessions)
    frames = [
        _series_frame("VIX", market.sessions, closes, closes + AFTER_CLOSE, vix),
        _series_frame("DGS10", market.sessions[:-1], closes[:-1], closes[1:], rate[:-1]),
        *(_monthly(generator, name, prints, market) for name, prints in MONTHLY_PRINTS.items()),
    ]
    rows = pl.concat(frames).filter(pl.col("knowledge_time") <= pl.Series(closes[-1:]).dt.replace_time_zone("UTC"))
    return Batch.of(MACRO, rows.sort("series_id", "period", "knowledge_time"))


def _quarter_ends(market: DailyMarket) -> Dates:
    """Ends of the calendar quarters within the market's span, datetime64[D]."""
    months = _months(market)
    ends = (months[months.astype(np.int64) % 3 == 2] + 1).astype("datetime64[D]") - 1
    within: Dates = ends[ends <= market.sessions[-1]]
    return within


def _months(market: DailyMarket) -> Dates:
    """Months the market touches, datetime64[M]."""
    return np.arange(market.sessions[0].astype("datetime64[M]"), market.sessions[-1].astype("datetime64[M]") + 1)


def _accepted(generator: np.random.Generator, days: Dates) -> Dates:
    """Minutes after the close of the first session on or after `days`: when most filings are accepted."""
    known = exchange()
    place = np.minimum(np.searchsorted(known.sessions, days), len(known.sessions) - 1)
    accepted: Dates = known.closes[place] + generator.integers(5, 90, days.shape).astype("timedelta64[m]")
    return accepted


def _numbers(generator: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Balance sheets that grow and earn at random, USD, shape (n_concepts, n_periods, n_symbols), as in CONCEPTS."""
    growth = 0.01 + 0.03 * generator.standard_normal(shape)
    assets = 1e9 * np.exp(generator.standard_normal(shape[1]) + np.cumsum(growth, axis=0))
    revenues = assets * 0.2 * np.exp(0.1 * generator.standard_normal(shape))
    income = revenues * (0.06 + 0.05 * generator.standard_normal(shape))
    equity = assets * (0.4 + 0.05 * generator.standard_normal(shape))
    return np.stack([assets, income, revenues, equity])


def _fact_frame(market: DailyMarket, periods: Dates, accepted: Dates, values: FloatArray, amended: str) -> pl.DataFrame:
    """One row for each concept, period and symbol, in the order of `values`, with the symbol's `last_close`."""
    concept, period, symbol = (axis.ravel() for axis in np.indices(values.shape))
    december = periods.astype("datetime64[M]").astype(np.int64) % 12 == 11
    form = np.where(december, "10-K" + amended, "10-Q" + amended)
    has_bar = ~np.isnan(market.close)
    last = len(has_bar) - 1 - has_bar[::-1].argmax(axis=0)
    closes = exchange().closes[exchange().index_of(market.sessions[last])]
    return pl.DataFrame(
        {
            "symbol": pl.Series(market.symbols, dtype=pl.String).gather(symbol),
            "concept": pl.Series(CONCEPTS, dtype=pl.String).gather(concept),
            "period_end": pl.Series(periods, dtype=pl.Date).gather(period),
            "form": pl.Series(form.tolist(), dtype=pl.String).gather(period),
            "knowledge_time": _utc(accepted[period, symbol]),
            "last_close": _utc(closes[symbol]),
            "value": values.ravel().round(),
        }
    ).with_columns(
        *_constants(),
        pl.lit("USD").alias("unit"),
        (pl.col("period_end").cast(pl.Datetime("us", "UTC")) + pl.duration(days=1)).alias("event_time"),
        pl.concat_str("symbol", "form", pl.col("period_end").cast(pl.String), "concept", separator=":").alias(
            "source_id"
        ),
    )


def _implied_volatility(generator: np.random.Generator, settings: MarketSettings, market: DailyMarket) -> FloatArray:
    """Expected volatility of the factor over 21 sessions under its own GARCH, with a quoting error, index points."""
    heat = np.square(market.factor_volatility / settings.annual_market_volatility)
    decay = (ARCH + GARCH) ** np.arange(21)
    expected = 1 + (heat - 1) * decay.mean()
    noise = np.exp(0.02 * generator.standard_normal(settings.sessions))
    quoted: FloatArray = 100 * settings.annual_market_volatility * np.sqrt(expected) * noise
    return quoted.round(2)


def _rate(generator: np.random.Generator, sessions: int) -> FloatArray:
    """A 10-year yield that wanders about 3 %, as a fraction, never below 0.1 %."""
    steps = 0.0006 * generator.standard_normal(sessions)
    rate = np.empty(sessions)
    level = 0.03
    for session, step in enumerate(steps):
        level = max(level + 0.002 * (0.03 - level) + step, 0.001)
        rate[session] = level
    return rate.round(4)


def _monthly(generator: np.random.Generator, name: str, prints: int, market: DailyMarket) -> pl.DataFrame:
    """A monthly index whose prints close in on its final value, each known on the 16th of a later month."""
    months = _months(market)
    final = 100 * np.exp(np.cumsum(0.002 + 0.004 * generator.standard_normal(len(months))))
    error = 0.004 * generator.standard_normal(len(months))
    frames = []
    for number in range(prints):
        first: Dates = (months + 1 + number).astype("datetime64[D]")
        released: Dates = first + np.timedelta64(RELEASE_DAY_OF_NEXT_MONTH - 1, "D") + RELEASED_AT
        value = final * (1 + error * (prints - 1 - number) / prints)
        over = (months + 1).astype("datetime64[us]")
        frames.append(_series_frame(name, months.astype("datetime64[D]"), over, released, value.round(4)))
    return pl.concat(frames)


def _series_frame(name: str, period: Dates, happened: Dates, known: Dates, value: FloatArray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "period": pl.Series(period, dtype=pl.Date),
            "event_time": _utc(happened),
            "knowledge_time": _utc(known),
            "value": value,
        }
    ).with_columns(
        *_constants(),
        pl.lit(name).alias("series_id"),
        pl.concat_str(
            pl.lit(name + ":"), pl.col("period").cast(pl.String), pl.col("knowledge_time").dt.strftime(":%Y-%m-%d")
        ).alias("source_id"),
    )


def _constants() -> tuple[pl.Expr, pl.Expr]:
    return pl.lit(SOURCE_NAME).alias("source"), pl.lit(value=True).alias("simulated")


def _utc(instants: Dates) -> pl.Series:
    return pl.Series(instants.astype("datetime64[us]")).dt.replace_time_zone("UTC")
