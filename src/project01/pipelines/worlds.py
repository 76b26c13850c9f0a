"""Markets in which the truth is known: nothing to find, or an edge of a planted size."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from project01.domain import BARS, FloatArray, InputError, NotEnoughDataError, trading_calendar
from project01.etl import prepare_bars
from project01.evaluate import resampled_bars
from project01.ingest import INDEX_SOURCE, DailyMarket, MarketSettings, daily_frame, simulate_daily
from project01.pipelines.holdout import readable_until
from project01.pipelines.ingest import collect_batches, open_sources
from project01.pipelines.market import read_bars
from project01.pipelines.sources import SourceChoice
from project01.pipelines.workspace import content_hash, open_workspace
from project01.settings import DataSettings

WALKS, RESAMPLED = "random walks", "resampled prices"
KINDS = (WALKS, RESAMPLED)
FIRST_SESSION = np.datetime64("2010-01-04")
# A name may lack a few bars of the sessions all others have; one that lacks more was not there throughout.
LEAST_PRESENT = 0.95


@dataclass(frozen=True)
class PriceSource:
    """Where real prices to resample come from.

    Attributes:
        run: folder of a finished run, whose lake is read; None: a sample set.
        sample: name of the sample set, used where there is no run.
    """

    run: Path | None = None
    sample: str = "sp500"

    @property
    def label(self) -> str:
        """In words, without the place of a folder."""
        return f"sample {self.sample}" if self.run is None else f"run {self.run.name}"

    def fingerprint(self) -> str:
        """Hash of the prices' content, or of the versions of the packages that carry the sample."""
        if self.run is not None:
            workspace = open_workspace(self.run)
            return content_hash(workspace.lake.digest(BARS.name), str(readable_until(workspace)))
        return SourceChoice.from_options(sample=self.sample).fingerprint()

    def bars(self) -> pl.DataFrame:
        """Prepared daily bars of the universe; of a run, those before its sealed holdout.

        Raises:
            InputError: the folder holds no run, or there is no such sample.
        """
        if self.run is not None:
            workspace = open_workspace(self.run)
            workspace.require("ingest", "ingest")
            return read_bars(workspace.lake, readable_until(workspace))[0]
        source = open_sources(SourceChoice.from_options(sample=self.sample), DataSettings(), 0)[0]
        return prepare_bars(collect_batches(source.read())[0].filter(pl.col("source") != INDEX_SOURCE))


@lru_cache(maxsize=2)
def real_returns(source: PriceSource) -> FloatArray:
    """Total returns from close to close, shape (n_sessions, n_symbols): names that were there throughout, no NaN.

    Names with a bar in at least 95 % of the sessions are kept, then the sessions that all of them have.

    Raises:
        NotEnoughDataError: fewer than three such names.
    """
    priced = source.bars().select("symbol", "session", (pl.col("close") * pl.col("factor")).alias("price"))
    wide = priced.pivot("symbol", index="session", values="price", sort_columns=True).sort("session")
    prices = wide.drop("session").cast(pl.Float64).fill_null(np.nan).to_numpy()
    prices = prices[:, np.isfinite(prices).mean(axis=0) >= LEAST_PRESENT]
    returns: FloatArray = prices[1:] / prices[:-1] - 1.0
    returns = returns[np.isfinite(returns).all(axis=1)]
    if returns.shape[1] < 3:
        raise NotEnoughDataError(
            f"{source.label}: {returns.shape[1]} names have a bar in {LEAST_PRESENT:.0%} of the sessions; at least 3 "
            "are needed. Bring longer histories, or resample another source."
        )
    return returns


@dataclass(frozen=True)
class World:
    """One market of known truth. All of it is SIMULATED.

    Attributes:
        kind: one of `KINDS`.
        number: counted from 0 within its kind and planted size.
        planted_ic: what was planted; 0 is nothing.
        bars: prepared daily bars.
        signal: columns symbol, as_of, mean: the planted signal, known at the close; None where nothing was planted.
    """

    kind: str
    number: int
    planted_ic: float
    bars: pl.DataFrame
    signal: pl.DataFrame | None = None


def seed_of(kind: str, number: int, seed: int) -> int:
    """The seed of one world: of its kind and number alone, so that more worlds leave the first ones as they were."""
    return int(content_hash(kind, number, seed)[:12], 16)


def random_walk(number: int, symbols: int, sessions: int, seed: int, planted_ic: float = 0.0) -> World:
    """A simulated market: a martingale with calm and wild times, a common factor, names of unlike volatility.

    With `planted_ic` the same shocks carry an edge of that size; equal numbers share their shocks over all sizes.
    """
    settings = MarketSettings(
        seed=seed_of(WALKS, number, seed), symbols=symbols, sessions=sessions, planted_ic=planted_ic, faults=None
    )
    market = simulate_daily(settings)
    bars = prepare_bars(daily_frame(market))
    return World(WALKS, number, planted_ic, bars, _signal_rows(market, bars) if planted_ic else None)


def resampled(source: PriceSource, number: int, symbols: int, sessions: int, seed: int) -> World:
    """A market made of real returns, drawn in blocks, without an edge; see `evaluate.worlds`.

    It has as many names as asked for, or as the source has.

    Raises:
        InputError: the exchange calendar ends before the last session.
    """
    returns = real_returns(source)
    made = resampled_bars(returns, sessions, min(symbols, returns.shape[1]), seed_of(RESAMPLED, number, seed))
    names = tuple(f"REAL{column:04d}" for column in range(made.close.shape[1]))
    nothing = np.full(made.close.shape, np.nan)
    market = DailyMarket(
        sessions=_sessions(sessions), symbols=names, open=made.open, high=made.high, low=made.low, close=made.close,
        adj_close=made.close, volume=made.volume, signal=nothing, factor_volatility=nothing[:, 0],
    )  # fmt: skip
    return World(RESAMPLED, number, 0.0, prepare_bars(daily_frame(market)))


def _sessions(count: int) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    known = trading_calendar("XNYS").sessions
    first = int(np.searchsorted(known, FIRST_SESSION))
    if first + count > len(known):
        raise InputError(f"{count} sessions run past the exchange calendar; ask for at most {len(known) - first}.")
    return known[first : first + count]


def _signal_rows(market: DailyMarket, bars: pl.DataFrame) -> pl.DataFrame:
    wide = pl.DataFrame(market.signal, schema=list(market.symbols), orient="row")
    long = wide.with_columns(pl.Series("session", market.sessions).cast(pl.Date)).unpivot(
        index="session", variable_name="symbol", value_name="mean"
    )
    known = bars.select("symbol", "session", pl.col("knowledge_time").alias("as_of"))
    return long.join(known, on=["symbol", "session"]).filter(pl.col("mean").is_finite()).drop("session")
