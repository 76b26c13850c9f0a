"""What a simulated market is made of: sizes, volatility, the planted edge, and how dirty its data is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project01.domain import SettingsError, TradingCalendar, trading_calendar

SOURCE_NAME = "simulator"
SESSIONS_PER_YEAR = 252


class Stream(IntEnum):
    """One random stream per purpose, so that switching one part on leaves the draws of all others as they were."""

    NAMES = 1
    MARKET_OVERNIGHT = 2
    MARKET_INTRADAY = 3
    OWN_OVERNIGHT = 4
    OWN_INTRADAY = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    ACTIONS = 9
    HALTS = 10
    DELISTINGS = 11
    ROWS = 12
    ORDER = 13
    SECONDS = 14
    NEWS = 15
    TWEETS = 16
    FACTS = 17
    MACRO = 18


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often a simulated market misbehaves the way real feeds do; each rate is a Poisson rate or a share of rows.

    Attributes:
        splits_per_symbol_year: a quarter of them are reverse splits.
        dividends_per_symbol_year: 0.2 % to 1.2 % of the last close each.
        halts_per_symbol_year: runs of missing bars; the price moves on beneath them.
        halt_sessions_max: longest run, in sessions.
        delistings_per_symbol_year: the symbol's bars, texts and filings stop.
        duplicate_share: share of daily bars delivered twice, identical.
        conflict_share: share of daily bars delivered twice with different closes and equal knowledge_time.
        correction_share: share of daily bars first published with a wrong close and corrected 1 to 10 sessions later.
        disorder_share: share of daily rows delivered out of order.
    Raises:
        SettingsError: a value is out of its range.
    """

    splits_per_symbol_year: float = 0.1
    dividends_per_symbol_year: float = 2.0
    halts_per_symbol_year: float = 0.2
    halt_sessions_max: int = 5
    delistings_per_symbol_year: float = 0.02
    duplicate_share: float = 0.002
    conflict_share: float = 0.001
    correction_share: float = 0.002
    disorder_share: float = 0.01

    def __post_init__(self) -> None:
        _check_ranges(self, _FAULT_RANGES)


@dataclass(frozen=True, kw_only=True)
class MarketSettings:
    """A simulated market, fully determined by these values.

    Attributes:
        seed: equal settings give equal bytes; another seed another market.
        symbols: number of symbols, named SIM0000, SIM0001, ...
        sessions: number of New York sessions.
        first_session: the market starts at the first session on or after this day.
        planted_ic: what the edge adds to the mean rank correlation, across symbols, of the planted signal (see
            `simulator_market`) with the return from the next open over `planted_horizon_sessions`; 0 is no edge.
        planted_horizon_sessions: sessions from open to open.
        annual_market_volatility: of the common factor, as a fraction (0.16 is 16 % a year).
        annual_idiosyncratic_volatility: median over symbols of what the common factor does not explain.
        volatility_spread: standard deviation over symbols of the log of the idiosyncratic volatility.
        beta_spread: standard deviation over symbols of the beta to the common factor; their mean is 1.
        median_price_usd: median over symbols of the price before the first session.
        intraday_symbols: how many of the first symbols get 1-second bars.
        intraday_sessions: for how many of the last sessions.
        news_per_symbol_year: Poisson rate of headlines, without reprints.
        tweets_per_symbol_year: Poisson rate of tweets, without reposts.
        text_ic: correlation of a text's sentiment with its symbol's rank in the next session's open-to-close return.
        restated_share: share of reported numbers that a later filing restates.
        faults: rates of faults and corporate actions; None for a clean market.
    Raises:
        SettingsError: a value is out of its range.
    """

    seed: int = 0
    symbols: int = 50
    sessions: int = 756
    first_session: date = date(2010, 1, 4)
    planted_ic: float = 0.0
    planted_horizon_sessions: int = 5
    annual_market_volatility: float = 0.16
    annual_idiosyncratic_volatility: float = 0.28
    volatility_spread: float = 0.25
    beta_spread: float = 0.3
    median_price_usd: float = 50.0
    intraday_symbols: int = 2
    intraday_sessions: int = 1
    news_per_symbol_year: float = 12.0
    tweets_per_symbol_year: float = 24.0
    text_ic: float = 0.0
    restated_share: float = 0.03
    faults: Faults | None = field(default=None)

    def __post_init__(self) -> None:
        _check_ranges(self, _MARKET_RANGES)
        if self.intraday_symbols > self.symbols or self.intraday_sessions > self.sessions:
            raise SettingsError(
                f"Simulator: 1-second bars asked for {self.intraday_symbols} symbols and {self.intraday_sessions} "
                f"sessions, but the market has {self.symbols} and {self.sessions}. Ask for no more than it has."
            )

    def symbol_names(self) -> tuple[str, ...]:
        """The symbols, in column order; at least four digits, so that text order is column order."""
        width = max(4, len(str(self.symbols - 1)))
        return tuple(f"SIM{number:0{width}d}" for number in range(self.symbols))

    def session_rows(self) -> NDArray[np.int64]:
        """Shape (sessions,): positions of the sessions in `exchange()`.

        Raises:
            SettingsError: the exchange calendar ends before the last session.
        """
        known = exchange().sessions
        first = int(np.searchsorted(known, np.datetime64(self.first_session, "D")))
        if first + self.sessions > len(known):
            raise SettingsError(
                f"Simulator: {self.sessions} sessions from {self.first_session} run past the exchange calendar, "
                f"which ends on {known[-1]}. Start earlier or ask for at most {len(known) - first} sessions."
            )
        return np.arange(first, first + self.sessions)

    def generator(self, stream: Stream) -> np.random.Generator:
        """The random stream of one purpose."""
        return np.random.default_rng([self.seed, int(stream)])


def exchange() -> TradingCalendar:
    """The calendar every simulated market trades on."""
    return trading_calendar("XNYS")


_Range = tuple[float, float]

_FAULT_RANGES: Mapping[str, _Range] = {
    "splits_per_symbol_year": (0, 10),
    "dividends_per_symbol_year": (0, 12),
    "halts_per_symbol_year": (0, 20),
    "halt_sessions_max": (1, 60),
    "delistings_per_symbol_year": (0, 1),
    "duplicate_share": (0, 0.25),
    "conflict_share": (0, 0.25),
    "correction_share": (0, 0.25),
    "disorder_share": (0, 1),
}

_MARKET_RANGES: Mapping[str, _Range] = {
    "seed": (0, 2**63 - 1),
    "symbols": (2, 20_000),
    "sessions": (30, 15_000),
    "planted_ic": (0, 0.1),
    "planted_horizon_sessions": (1, 20),
    "annual_market_volatility": (0.01, 1),
    "annual_idiosyncratic_volatility": (0.01, 1),
    "volatility_spread": (0, 0.6),
    "beta_spread": (0, 1),
    "median_price_usd": (0.01, 1e6),
    "intraday_symbols": (0, 20_000),
    "intraday_sessions": (0, 15_000),
    "news_per_symbol_year": (0, 1_000),
    "tweets_per_symbol_year": (0, 1_000),
    "text_ic": (0, 0.5),
    "restated_share": (0, 1),
}


def _check_ranges(settings: object, ranges: Mapping[str, _Range]) -> None:
    """Each named value is a number of the default's kind within its closed range.

    Raises:
        SettingsError: naming the value found and the range expected.
    """
    for name, (low, high) in ranges.items():
        value: Any = getattr(settings, name)
        whole = isinstance(getattr(type(settings), name), int)
        kind = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not kind or not low <= value <= high:
            raise SettingsError(
                f"Simulator: {name} is {value!r}; expected {'a whole number' if whole else 'a number'} "
                f"from {low:g} to {high:g}. Change that value."
            )
