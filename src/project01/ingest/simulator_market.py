"""Daily prices of a simulated market: a seeded martingale, with a planted edge of known size if asked for.

Every simple return has conditional mean zero unless an edge is planted: its shocks are symmetric given the past (so
clipping them keeps the mean), and volatility is known one session ahead. Without an edge no rule, long-only or not, has
an expected return other than zero. Ranks are another matter: compounding skews returns over several sessions, so the
median of a volatile name lies below that of a calm one, and a score that knows volatility has a rank correlation with
what follows although it earns nothing: 21-session volatility has -0.01 over five sessions at the default settings.
Judge a null market by what a rule earns, or by signals that do not carry volatility.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import BARS, FloatArray
from project01.ingest.bar_rows import AS_TRADED
from project01.ingest.simulator_settings import (
    SESSIONS_PER_YEAR,
    SOURCE_NAME,
    MarketSettings,
    Stream,
    exchange,
)
from project01.ingest.source import Batch

OVERNIGHT_SHARE = 0.25  # of a session's variance; about what liquid US stocks show
NIGHT_DEGREES, DAY_DEGREES = 3.5, 5.0  # of Student's t; most news comes while the exchange is shut
SHOCK_LIMIT = 12.0  # standard deviations; symmetric, so the mean stays zero
LEG_LIMIT = 0.4  # largest simple return of one leg; a session falls by 64 % at most, as listed shares do
ARCH, GARCH = 0.08, 0.90  # with these tails: kurtosis and clustering as in US stocks
SIGNAL_SESSIONS, SIGNAL_SKIP = 20, 1  # the planted signal: return over 20 sessions, leaving out the newest
LEAST_VOLUME = 50_000.0
PILOT_SEED, PILOT_SYMBOLS, PILOT_SESSIONS, PILOT_ROUNDS = 271_828, 200, 1_000, 2


@dataclass(frozen=True)
class DailyMarket:
    """Daily arrays of a simulated market, shape (n_sessions, n_symbols); NaN where a symbol has no bar.

    Attributes:
        sessions: shape (n_sessions,), datetime64[D].
        symbols: n_symbols names, ascending.
        open, high, low, close: USD as published.
        adj_close: close with splits and dividends put back, chained forward from the first session, so that it
            never depends on later sessions; only ratios of neighbours carry meaning.
        volume: shares.
        signal: return over the 20 sessions before the newest one, known at the session's close; NaN in the first 21.
            Where an edge is planted, tomorrow's expected own return grows linearly with its cross-sectional rank.
        factor_volatility: shape (n_sessions,), annual, of the common factor in the next session, known at the close.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    adj_close: FloatArray
    volume: FloatArray
    signal: FloatArray
    factor_volatility: FloatArray


@dataclass(frozen=True)
class _Shocks:
    """What is drawn before any price is known; arrays (n_sessions, n_symbols) but for the factor's (n_sessions,).

    Attributes:
        overnight, intraday: simple returns of the two legs without the edge.
        own_volatility: of the intraday leg, idiosyncratic.
        leg_volatility: of the intraday leg, all of it.
        heat: idiosyncratic variance over its long-run mean.
        factor_volatility: as in DailyMarket.
    """

    overnight: FloatArray
    intraday: FloatArray
    own_volatility: FloatArray
    leg_volatility: FloatArray
    heat: FloatArray
    factor_volatility: FloatArray


def simulate_daily(settings: MarketSettings) -> DailyMarket:
    """The clean market: no splits, halts or other faults; `adj_close` equals `close`.

    The first sessions of a longer market equal the shorter one, bit for bit.

    Raises:
        SettingsError: the exchange calendar ends before the last session.
    """
    shocks = _draw_shocks(settings)
    start = _names(settings)
    opens, closes = _walk(settings, shocks, edge_strength(settings), start.price)
    high, low = _extremes(settings, opens, closes, shocks.leg_volatility)
    return DailyMarket(
        sessions=exchange().sessions[settings.session_rows()],
        symbols=settings.symbol_names(),
        open=opens,
        high=high,
        low=low,
        close=closes,
        adj_close=closes.copy(),
        volume=_volume(settings, start.volume, shocks),
        signal=_signal(closes),
        factor_volatility=shocks.factor_volatility,
    )


def daily_frame(market: DailyMarket) -> pl.DataFrame:
    """`market` as rows of the table bars without `ingested_at`, sorted by symbol and session; absent bars left out."""
    n_sessions, n_symbols = market.close.shape
    closes_at = exchange().closes[exchange().index_of(market.sessions)]
    session, symbol = np.tile(np.arange(n_sessions), n_symbols), np.repeat(np.arange(n_symbols), n_sessions)
    prices = {name: getattr(market, name).T.ravel() for name in ("open", "high", "low", "close", "adj_close", "volume")}
    frame = pl.DataFrame(
        {
            "symbol": pl.Series(market.symbols, dtype=pl.String).gather(symbol),
            "session": pl.Series(market.sessions).cast(pl.Date).gather(session),
            "event_time": pl.Series(closes_at).dt.replace_time_zone("UTC").gather(session),
            **prices,
        }
    )
    columns = frame.filter(pl.col("close").is_not_nan()).with_columns(
        pl.lit(SOURCE_NAME).alias("source"),
        pl.concat_str(pl.col("symbol"), pl.lit(":1d:"), pl.col("session").cast(pl.String)).alias("source_id"),
        pl.col("event_time").alias("knowledge_time"),
        pl.lit(value=True).alias("simulated"),
        pl.lit("1d").alias("interval"),
        pl.lit(AS_TRADED).alias("adjusted"),
    )
    return Batch.of(BARS, columns).rows


def edge_strength(settings: MarketSettings) -> float:
    """Expected own intraday return, in own standard deviations, of a name whose rank lies one deviation up.

    Set so that `planted_ic` is met on average; zero, exactly, if no edge is planted.
    No closed form covers fat tails, clustering and the edge's feedback into its own signal, so it is measured on a
    pilot market with a seed of its own, against the same market without an edge: equal shocks cancel the noise.
    Cached: all seeds of one kind of market share one pilot.
    """
    if settings.planted_ic == 0:
        return 0.0
    return _pilot_strength(
        MarketSettings(
            seed=PILOT_SEED,
            symbols=PILOT_SYMBOLS,
            sessions=PILOT_SESSIONS,
            planted_ic=settings.planted_ic,
            planted_horizon_sessions=settings.planted_horizon_sessions,
            annual_market_volatility=settings.annual_market_volatility,
            annual_idiosyncratic_volatility=settings.annual_idiosyncratic_volatility,
            volatility_spread=settings.volatility_spread,
            beta_spread=settings.beta_spread,
        )
    )


@lru_cache(maxsize=64)
def _pilot_strength(pilot: MarketSettings) -> float:
    horizon = pilot.planted_horizon_sessions
    # First guess: ranks like values, shocks normal. The signals of neighbouring sessions overlap by 19 in 20.
    persistence = sum(1 - lag / SIGNAL_SESSIONS for lag in range(horizon))
    strength = pilot.planted_ic * np.sqrt(horizon) / persistence
    shocks, start = _draw_shocks(pilot), _names(pilot)
    idle = _mean_rank_ic(*_walk(pilot, shocks, 0.0, start.price), horizon)
    for _ in range(PILOT_ROUNDS):
        reached = _mean_rank_ic(*_walk(pilot, shocks, strength, start.price), horizon) - idle
        strength *= pilot.planted_ic / reached
    return float(strength)


def _mean_rank_ic(opens: FloatArray, closes: FloatArray, horizon: int) -> float:
    """Mean over sessions of the rank correlation of the signal with the return from the next open."""
    signal = _signal(closes)[SIGNAL_SESSIONS + SIGNAL_SKIP : -1 - horizon]
    forward = (opens[1 + horizon :] / opens[1:-horizon])[SIGNAL_SESSIONS + SIGNAL_SKIP :]
    return float(np.mean(_rank_scores(signal) * _rank_scores(forward)))


def _rank_scores(values: FloatArray) -> FloatArray:
    """Ranks along the last axis, moved and scaled to mean 0 and variance 1; no ties expected."""
    count = values.shape[-1]
    ranks = np.argsort(np.argsort(values, axis=-1), axis=-1)
    scores: FloatArray = (ranks - (count - 1) / 2) / np.sqrt((count * count - 1) / 12)
    return scores


@dataclass(frozen=True)
class _Names:
    """What stays fixed for each symbol, shape (n_symbols,): beta, daily own volatility, first price, usual volume."""

    beta: FloatArray
    own_volatility: FloatArray
    price: FloatArray
    volume: FloatArray


def _names(settings: MarketSettings) -> _Names:
    drawn = settings.generator(Stream.NAMES).standard_normal((settings.symbols, 4))
    spread = settings.volatility_spread * drawn[:, 1]
    return _Names(
        beta=1 + settings.beta_spread * drawn[:, 0],
        own_volatility=settings.annual_idiosyncratic_volatility / np.sqrt(SESSIONS_PER_YEAR) * np.exp(spread),
        price=settings.median_price_usd * np.exp(0.5 * drawn[:, 2]),
        volume=1e6 * np.exp(0.8 * drawn[:, 3]),
    )


def _draw_shocks(settings: MarketSettings) -> _Shocks:
    names = _names(settings)
    factor_night = _fat_tailed(settings, Stream.MARKET_OVERNIGHT, NIGHT_DEGREES, 1)
    factor_day = _fat_tailed(settings, Stream.MARKET_INTRADAY, DAY_DEGREES, 1)
    own_night = _fat_tailed(settings, Stream.OWN_OVERNIGHT, NIGHT_DEGREES, settings.symbols)
    own_day = _fat_tailed(settings, Stream.OWN_INTRADAY, DAY_DEGREES, settings.symbols)
    factor_heat, heat = _clustering(factor_night, factor_day), _clustering(own_night, own_day)
    factor_scale = settings.annual_market_volatility / np.sqrt(SESSIONS_PER_YEAR) * np.sqrt(factor_heat)
    own_scale = names.own_volatility * np.sqrt(heat[:-1])
    night, day = np.sqrt(OVERNIGHT_SHARE), np.sqrt(1 - OVERNIGHT_SHARE)
    exposure = factor_scale[:-1] * names.beta
    return _Shocks(
        overnight=night * (exposure * factor_night + own_scale * own_night),
        intraday=day * (exposure * factor_day + own_scale * own_day),
        own_volatility=day * own_scale,
        leg_volatility=day * np.hypot(exposure, own_scale),
        heat=heat[:-1],
        factor_volatility=factor_scale[1:, 0] * np.sqrt(SESSIONS_PER_YEAR),
    )


def _fat_tailed(settings: MarketSettings, stream: Stream, degrees: float, columns: int) -> FloatArray:
    """Student's t with unit variance, clipped on both sides alike, shape (n_sessions, columns)."""
    drawn = settings.generator(stream).standard_t(degrees, (settings.sessions, columns))
    unit: FloatArray = drawn * np.sqrt((degrees - 2) / degrees)
    return np.clip(unit, -SHOCK_LIMIT, SHOCK_LIMIT)


def _clustering(night: FloatArray, day: FloatArray) -> FloatArray:
    """GARCH(1,1) variance over its long-run mean, before each session and after the last: (n_sessions + 1, columns)."""
    squared = np.square(np.sqrt(OVERNIGHT_SHARE) * night + np.sqrt(1 - OVERNIGHT_SHARE) * day)
    heat = np.ones((len(squared) + 1, squared.shape[1]))
    for session, shock in enumerate(squared):
        heat[session + 1] = (1 - ARCH - GARCH) + heat[session] * (GARCH + ARCH * shock)
    return heat


def _walk(
    settings: MarketSettings, shocks: _Shocks, strength: float, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Opens and closes, session by session, since the edge of a session depends on the closes before it."""
    opens, closes = np.empty_like(shocks.intraday), np.empty_like(shocks.intraday)
    night = 1 + np.clip(shocks.overnight, -LEG_LIMIT, LEG_LIMIT)
    last = start
    for session in range(settings.sessions):
        day = shocks.intraday[session]
        known = session - 1 - SIGNAL_SKIP  # the newest close in the signal of the session before
        if strength and known >= SIGNAL_SESSIONS:
            scores = _rank_scores(closes[known] / closes[known - SIGNAL_SESSIONS])
            day = day + strength * shocks.own_volatility[session] * scores
        opens[session] = last * night[session]
        last = closes[session] = opens[session] * (1 + np.clip(day, -LEG_LIMIT, LEG_LIMIT))
    return opens, closes


def _signal(closes: FloatArray) -> FloatArray:
    signal = np.full_like(closes, np.nan)
    newest = closes[SIGNAL_SESSIONS:-SIGNAL_SKIP]
    signal[SIGNAL_SESSIONS + SIGNAL_SKIP :] = newest / closes[: len(newest)] - 1
    return signal


def _extremes(
    settings: MarketSettings, opens: FloatArray, closes: FloatArray, volatility: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """High and low of a Brownian bridge from open to close, each drawn from its exact distribution.

    Source: P(max > m) = exp(-2 m (m - x) / s^2) for a bridge from 0 to x with total variance s^2; Karatzas and Shreve,
    Brownian Motion and Stochastic Calculus, 2nd ed., 4.3.40.
    """
    move = np.log(closes / opens)
    drawn = [-np.log1p(-settings.generator(stream).random(move.shape)) for stream in (Stream.HIGH, Stream.LOW)]
    reach_up, reach_down = (np.sqrt(move**2 + 2 * volatility**2 * exponential) for exponential in drawn)
    high = opens * np.exp((move + reach_up) / 2)
    low = opens * np.exp((move - reach_down) / 2)
    # The formula holds these bounds; rounding may miss them by one unit in the last place.
    return np.maximum(high, np.maximum(opens, closes)), np.minimum(low, np.minimum(opens, closes))


def _volume(settings: MarketSettings, base: FloatArray, shocks: _Shocks) -> FloatArray:
    """Whole shares, more when volatility is high and on large moves; a shock of 6 deviations brings 10 times more."""
    noise = settings.generator(Stream.VOLUME).standard_normal(shocks.intraday.shape)
    volatility = shocks.leg_volatility / np.sqrt(1 - OVERNIGHT_SHARE)
    surprise = np.minimum(np.abs(shocks.overnight + shocks.intraday) / volatility, 6.0)
    reaction = 0.25 * surprise + 0.1 * np.square(np.maximum(surprise - 3.0, 0.0))
    drawn: FloatArray = base * np.sqrt(shocks.heat) * np.exp(reaction + 0.3 * noise)
    return np.maximum(np.round(drawn), LEAST_VOLUME)
