"""Weights of a run: its rule from settings, its forecasts with their uncertainty, and the rule's own yardsticks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest import (
    BacktestResult,
    BlackLitterman,
    Constructed,
    Construction,
    Every,
    InverseVolatility,
    Limits,
    LongShortRank,
    Market,
    MeanVariance,
    MinimumVariance,
    RankWeighted,
    RiskParity,
    SameForAll,
    Signal,
    TargetWeights,
    TopK,
    TopQuantile,
    WeightRule,
    constructed_targets,
    momentum_signal,
    overlapping_targets,
)
from project01.domain import FloatArray, NotEnoughDataError
from project01.evaluate import annual_mean
from project01.pipelines.costs import linear_bps
from project01.pipelines.market import read_industries
from project01.settings import PortfolioSettings, Settings

# Of a normal distribution, q95 lies 1.645 standard deviations above its mean and q05 as far below.
BETWEEN_Q05_AND_Q95 = 3.29

RULES = {
    "top": "Each session 1/{h} of the book goes, for {h} sessions, to the best {p.fraction:.0%} of the symbols by "
    "forecast, equally weighted.",
    "long_short": "Each session 1/{h} of the book goes, for {h} sessions, long and short in proportion to centred "
    "forecast ranks.",
    "top_k": "The best {p.names} symbols by forecast, equally weighted; one that is held stays among the best {kept}.",
    "rank": "All symbols in proportion to the rank of their forecast.",
    "equal": "All symbols with a forecast, equally weighted.",
    "inverse_volatility": "All symbols in proportion to one over their volatility.",
    "mean_variance": "The best forecast return less risk at an aversion of {p.risk_aversion:g}, costs and a turnover "
    "penalty of {p.turnover_penalty_bps:g} bps.",
    "minimum_variance": "The symbols together at least risk.",
    "risk_parity": "All symbols, each adding the same risk.",
    "black_litterman": "Equal weight as equilibrium, moved by the forecasts as far as their intervals warrant, at a "
    "risk aversion of {p.risk_aversion:g} and costs.",
}
TRANCHES = ("top", "long_short")


def rule_words(settings: Settings) -> str:
    """The run's rule and its limits in words."""
    chosen = settings.portfolio
    words = RULES[chosen.rule].format(h=settings.forecast.horizon, p=chosen, kept=chosen.names + chosen.hold_band)
    if chosen.rule in TRANCHES:
        return words
    limits = [f"at most {chosen.max_weight:.0%} a symbol"]
    limits += ["as much short as long"] if chosen.dollar_neutral else []
    for text, value in (
        ("{:.0%} gross an industry", chosen.max_sector_gross), ("{:.0%} net an industry", chosen.max_sector_net),
        ("one-way turnover of {:.0%}", chosen.max_turnover),
    ):  # fmt: skip
        limits += [text.format(value)] if value is not None else []
    limits += [f"beta from {chosen.min_beta:g} to {chosen.max_beta:g}"] if chosen.min_beta is not None else []
    return f"{words} Decided every {_every(settings)} sessions, {', '.join(limits)}."


def _every(settings: Settings) -> int:
    return settings.portfolio.rebalance_sessions or settings.forecast.horizon


def limits_of(chosen: PortfolioSettings) -> Limits:
    """Limits as the settings ask for."""
    beta = None
    if chosen.min_beta is not None and chosen.max_beta is not None:
        beta = (chosen.min_beta, chosen.max_beta)
    return Limits(
        "dollar_neutral" if chosen.dollar_neutral else "long_only", chosen.gross, chosen.max_weight,
        chosen.max_sector_gross, chosen.max_sector_net, beta, chosen.max_turnover,
    )  # fmt: skip


def construction_of(settings: Settings) -> Construction:
    """The construction the settings name; not for ``top`` and ``long_short``, which need none."""
    chosen, limits = settings.portfolio, limits_of(settings.portfolio)
    cost = linear_bps(settings.costs)
    penalty, aversion = chosen.turnover_penalty_bps, chosen.risk_aversion
    makers: dict[str, Callable[[], Construction]] = {
        "top_k": lambda: TopK(chosen.names, chosen.hold_band, limits),
        "rank": lambda: RankWeighted(limits),
        "equal": lambda: SameForAll(limits),
        "inverse_volatility": lambda: InverseVolatility(limits),
        "mean_variance": lambda: MeanVariance(limits, aversion, cost, penalty),
        "minimum_variance": lambda: MinimumVariance(limits),
        "risk_parity": lambda: RiskParity(limits),
        "black_litterman": lambda: BlackLitterman(limits, aversion, chosen.view_confidence, cost, penalty),
    }
    return makers[chosen.rule]()


def book_of(signal: Signal, market: Market, settings: Settings) -> Constructed:
    """Weights by the run's rule: in as many tranches as the forecast looks ahead, or the whole book at once."""
    if settings.portfolio.rule in TRANCHES:
        top = TopQuantile(fraction=settings.portfolio.fraction)
        rule: WeightRule = top if settings.portfolio.rule == "top" else LongShortRank()
        targets = overlapping_targets(signal, market, rule, settings.forecast.horizon)
        return Constructed(targets, (), int(targets.decided.sum()))
    return _constructed(construction_of(settings), signal, market, settings)


def _constructed(construction: Construction, signal: Signal, market: Market, settings: Settings) -> Constructed:
    industries = settings.features.industries
    return constructed_targets(
        signal, market, construction, Every(_every(settings)), horizon=settings.forecast.horizon,
        lookback=settings.portfolio.lookback_sessions,
        sectors=None if industries is None else sectors_known(industries, signal),
    )  # fmt: skip


def sectors_known(industries: Path, signal: Signal) -> NDArray[np.int64]:
    """Shape (D, N), code of each symbol's industry as known on each session's date; -1: none known.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    rows = read_industries(industries).sort("knowledge_time", "symbol", "industry")
    names = {name: code for code, name in enumerate(sorted(set(rows["industry"].drop_nulls().to_list())))}
    column = {symbol: i for i, symbol in enumerate(signal.symbols)}
    codes = np.full(signal.values.shape, -1, dtype=np.int64)
    for symbol, industry, known in rows.iter_rows():
        if symbol in column:
            since = np.searchsorted(signal.sessions, np.datetime64(known.date(), "D"))
            codes[since:, column[symbol]] = names.get(industry, -1)
    return codes


def uncertainty(rows: pl.DataFrame) -> FloatArray:
    """Standard deviation of each forecast's outcome, from its 90 % interval as if it were normal.

    The outer quantiles are those that calibration moved most, and the ones whose coverage the report shows; the inner
    ones would make fat-tailed outcomes look surer than they are.

    Args:
        rows: columns q05 and q95.
    """
    return ((rows["q95"] - rows["q05"]) / BETWEEN_Q05_AND_Q95).cast(pl.Float64).fill_null(np.nan).to_numpy()


def yardstick_notes(
    signal: Signal, market: Market, settings: Settings, run: Callable[[TargetWeights], BacktestResult]
) -> tuple[str, ...]:
    """What the same construction earns without the forecasts: shown no view, and shown momentum in their place.

    Args:
        signal: of the traded forecaster.
        market: of the run.
        settings: of the run.
        run: back-tests weights at the run's costs.
    """
    if settings.portfolio.rule in TRANCHES:
        return ()
    construction = construction_of(settings)
    blind = _constructed(construction.without_view(), signal, market, settings)
    naive = _constructed(construction, momentum_signal(signal, market), market, settings)
    told = []
    for words, book in (("without a view", blind), ("with momentum in place of the forecasts", naive)):
        if not book.decisions:
            told.append(f"The same construction {words} decided nothing.")
            continue
        net = np.nan_to_num(run(book.targets).net_returns, nan=-1.0)
        try:
            mean = annual_mean(net)
        except NotEnoughDataError:
            continue
        told.append(
            f"The same construction {words}: {mean.value:.1%} a year after costs (90 % interval {mean.low:.1%} to "
            f"{mean.high:.1%})."
        )
    return tuple(told)
