"""1-second bars of a simulated session that agree with its daily bar."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import BARS, FloatArray
from project01.ingest.simulator_market import DailyMarket
from project01.ingest.simulator_settings import SOURCE_NAME, MarketSettings, Stream, exchange
from project01.ingest.source import Batch

TRADED_SHARE = 0.8  # of seconds; a second without a trade has no bar
TICKS_PER_SECOND = 4  # the ends of the quarter seconds make a bar's open, high, low and close


def second_bars(settings: MarketSettings, market: DailyMarket) -> Iterator[Batch]:
    """One batch of 1-second bars for each of the last `intraday_sessions` sessions that has any.

    The bars of a session open at the day's open, close at the day's close, reach its high and low exactly and add up to
    its volume, each stamped at the end of its second. `adj_close` is null: vendors adjust daily bars only.
    """
    for session in range(settings.sessions - settings.intraday_sessions, settings.sessions):
        frames = [
            _session_bars(settings, market, session, symbol)
            for symbol in range(settings.intraday_symbols)
            if not np.isnan(market.close[session, symbol])
        ]
        if frames:
            yield Batch.of(BARS, pl.concat(frames))


def _session_bars(settings: MarketSettings, market: DailyMarket, session: int, symbol: int) -> pl.DataFrame:
    generator = np.random.default_rng([settings.seed, int(Stream.SECONDS), session, symbol])
    known = exchange()
    place = known.index_of(market.sessions[session : session + 1])[0]
    opened, closed = known.opens[place], known.closes[place]
    seconds = int((closed - opened) / np.timedelta64(1, "s"))
    day = [float(getattr(market, name)[session, symbol]) for name in ("open", "high", "low", "close")]
    ticks = _ticks(generator, day, seconds).reshape(seconds, TICKS_PER_SECOND)
    traded = generator.random(seconds) < TRADED_SHARE
    traded[[0, -1, int(ticks.max(axis=1).argmax()), int(ticks.min(axis=1).argmin())]] = True
    number = np.flatnonzero(traded)
    bars = ticks[number]
    at = pl.Series(opened + (number + 1) * np.timedelta64(1_000_000, "us")).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        {
            "source_id": [f"{market.symbols[symbol]}:1s:{market.sessions[session]}:{n}" for n in number.tolist()],
            "event_time": at,
            "knowledge_time": at,
            "open": bars[:, 0],
            "high": bars.max(axis=1),
            "low": bars.min(axis=1),
            "close": bars[:, -1],
            "volume": _volumes(generator, number / seconds, int(market.volume[session, symbol])),
        }
    ).with_columns(
        pl.lit(SOURCE_NAME).alias("source"),
        pl.lit(value=True).alias("simulated"),
        pl.lit(market.symbols[symbol]).alias("symbol"),
        pl.lit("1s").alias("interval"),
        pl.lit(market.sessions[session].item()).alias("session"),
    )


def _ticks(generator: np.random.Generator, day: list[float], seconds: int) -> FloatArray:
    """A bridge in log price from open to close, bent so that it reaches the day's high and low and no further.

    Args:
        generator: random stream of this symbol and session.
        day: open, high, low, close.
        seconds: length of the session.
    """
    first, high, low, last = day
    count = seconds * TICKS_PER_SECOND
    steps = generator.standard_normal(count)
    steps[0] = 0.0
    walk = np.cumsum(steps) / np.sqrt(count)
    spread = max(np.log(high / low), 1e-6) / 1.6  # the range of a Brownian path is about 1.6 standard deviations
    along = np.arange(count) / (count - 1)
    prices = first * np.exp(spread * (walk - walk[-1] * along) + np.log(last / first) * along)
    prices[0], prices[-1] = first, last
    top, bottom = max(first, last), min(first, last)
    prices = _bend(prices, top, high)
    return -_bend(-prices, -bottom, -low)


def _bend(prices: FloatArray, edge: float, peak: float) -> FloatArray:
    """Stretch what lies above `edge` so that the largest price is `peak` exactly."""
    above = prices > edge
    if not above.any():
        return prices
    largest = prices.max()
    bent = np.where(above, edge + (prices - edge) * ((peak - edge) / (largest - edge)), prices)
    return np.where(prices == largest, peak, np.minimum(bent, peak))


def _volumes(generator: np.random.Generator, elapsed: FloatArray, total: int) -> NDArray[np.float64]:
    """`total` shares over the bars, at least one each where they suffice, more near the open and the close."""
    weight = 1 + 4 * np.square(2 * elapsed - 1)
    floor = 1 if total >= len(elapsed) else 0
    return floor + generator.multinomial(total - floor * len(elapsed), weight / weight.sum()).astype(np.float64)
