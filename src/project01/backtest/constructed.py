"""Runs a construction through a market: one view a decision, only of what its close knows."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from project01.backtest.covariance import trailing_betas
from project01.backtest.market import Market
from project01.backtest.portfolio import Schedule, Signal
from project01.backtest.targets import MOST_GROSS, TargetWeights
from project01.backtest.view import Construction, View
from project01.domain import FloatArray, InputError


@dataclass(frozen=True)
class Constructed:
    """Weights of a construction, and what its limits did to it.

    Attributes:
        targets: what a back-test is given.
        notes: one sentence for each way in which decisions departed from the construction, with counts.
        decisions: closes at which weights were decided.
    """

    targets: TargetWeights
    notes: tuple[str, ...]
    decisions: int


def constructed_targets(
    signal: Signal,
    market: Market,
    construction: Construction,
    schedule: Schedule,
    *,
    horizon: int,
    lookback: int = 252,
    sectors: NDArray[np.int64] | None = None,
) -> Constructed:
    """Decide at each close that `schedule` names, from that close's scores, the returns up to it and the drifted book.

    Between decisions the book drifts with the closes, as if each decision had filled at its own close; cash earns
    nothing. A name without a bar at the close cannot be picked, and no longer counts as held. A book whose shorts ran
    away until its gross is more than targets may hold counts as empty. Linear algebra runs on one thread, so the
    weights do not depend on the machine's.

    Args:
        signal: scores, as expected returns over `horizon`, and their uncertainty.
        market: closes; those before the signal's first session serve as history.
        construction: how one view becomes weights.
        schedule: when a decision is due.
        horizon: sessions the scores look ahead.
        lookback: sessions of trailing returns a decision is shown.
        sectors: shape (D, N), code of each name's sector as known at each session, -1: unknown; None: all unknown.
    Raises:
        InputError: `lookback` or `horizon` is too small, the signal names symbols the market does not have, or arrays
            do not fit.
    """
    _check(signal, horizon, lookback, sectors)
    closes = _Closes(signal, market, lookback)
    weights = np.full(signal.values.shape, np.nan)
    remarks: list[tuple[int, str]] = []
    short: list[int] = []
    held = np.zeros(len(signal.symbols))
    due = schedule.due(signal.sessions)
    with threadpool_limits(1, user_api="blas"):
        for d in range(len(due)):
            held = _drifted(held, closes.growth[d])
            if not due[d]:
                continue
            found = construction.decide(_view(signal, closes, held, d, horizon, sectors))
            if found.remark:
                remarks.append((d, found.remark))
            if found.left_out:
                short.append(found.left_out)
            if found.weights is not None:
                weights[d] = held = found.weights
    targets = TargetWeights(signal.sessions, signal.symbols, weights)
    return Constructed(targets, _notes(signal, int(due.sum()), remarks, short, lookback), int(targets.decided.sum()))


def momentum_signal(signal: Signal, market: Market, lookback: int = 252, skip: int = 21) -> Signal:
    """The same scores given out again in the order of momentum: a naive view of exactly the same size.

    At each session the k-th best score, with its uncertainty, goes to the name with the k-th best return from
    `lookback` to `skip` sessions before; so any construction can be asked whether its forecasts choose better than
    last year's winners. Scored names without that history have no score; the best and worst scores are then kept, and
    those in the middle left out.

    Args:
        signal: scores to give out again.
        market: closes.
        lookback: sessions from the first price of the momentum to the session.
        skip: sessions from its last price to the session; the last month reverses.
    Source:
        Jegadeesh and Titman, Returns to buying winners and selling losers, Journal of Finance 1993.
    """
    if not 0 <= skip < lookback:
        raise InputError(f"Momentum from {lookback} to {skip} sessions ago; expected 0 <= skip < lookback.")
    rows, columns = market.index_of(signal.sessions), _columns(signal, market)
    close = np.vstack([np.full((lookback, len(columns)), np.nan), market.close[:, columns]])
    past = close[rows + lookback - skip] / close[rows] - 1.0
    place = _place(signal.symbols)
    values = np.full(signal.values.shape, np.nan)
    uncertainty = None if signal.uncertainty is None else np.full(signal.values.shape, np.nan)
    for d in range(len(rows)):
        known = np.flatnonzero(~np.isnan(past[d]) & ~np.isnan(signal.values[d]))
        scored = np.flatnonzero(~np.isnan(signal.values[d]))
        by_score = scored[np.lexsort((place[scored], signal.values[d, scored]))]
        upper = (len(known) + 1) // 2
        kept = np.concatenate([by_score[: len(known) - upper], by_score[len(by_score) - upper :]])
        order = known[np.lexsort((place[known], past[d, known]))]
        values[d, order] = signal.values[d, kept]
        if uncertainty is not None and signal.uncertainty is not None:
            uncertainty[d, order] = signal.uncertainty[d, kept]
    return replace(signal, values=values, uncertainty=uncertainty)


def _check(signal: Signal, horizon: int, lookback: int, sectors: NDArray[np.int64] | None) -> None:
    if horizon < 1 or lookback < 2:
        raise InputError(
            f"horizon is {horizon} and lookback {lookback}; expected 1 session or more ahead and 2 or more back."
        )
    for name, grid in (("uncertainty", signal.uncertainty), ("sectors", sectors)):
        if grid is not None and grid.shape != signal.values.shape:
            raise InputError(f"{name} has shape {grid.shape}; expected that of the scores, {signal.values.shape}.")


class _Closes:
    """Closes of the signal's names as each of its sessions knows them."""

    def __init__(self, signal: Signal, market: Market, lookback: int) -> None:
        self.rows, self.lookback = market.index_of(signal.sessions), lookback
        close = market.close[:, _columns(signal, market)]
        self.present = ~np.isnan(close[self.rows])
        before = np.full((lookback, close.shape[1]), np.nan)
        daily = np.vstack([before, before[:1], close[1:] / close[:-1] - 1.0])
        self._daily = daily  # the return of market row r stands at r + lookback
        marks = _last_known(close)[self.rows]
        ratio = np.ones_like(marks)
        ratio[1:] = marks[1:] / marks[:-1]
        self.growth: FloatArray = np.where(np.isnan(ratio), 1.0, ratio)

    def trailing(self, d: int) -> FloatArray:
        """Shape (lookback, N), daily returns up to the close of session `d` of the signal."""
        end = int(self.rows[d]) + self.lookback + 1
        return self._daily[end - self.lookback : end]


def _view(
    signal: Signal, closes: _Closes, held: FloatArray, d: int, horizon: int, sectors: NDArray[np.int64] | None
) -> View:
    present = closes.present[d]
    names = len(signal.symbols)
    returns = closes.trailing(d)
    return View(
        scores=np.where(present, signal.values[d], np.nan),
        uncertainty=np.full(names, np.nan) if signal.uncertainty is None else signal.uncertainty[d],
        returns=returns,
        held=np.where(present, held, 0.0),
        sectors=np.full(names, -1, dtype=np.int64) if sectors is None else sectors[d],
        betas=trailing_betas(returns),
        place=_place(signal.symbols),
        horizon=horizon,
    )


def _drifted(held: FloatArray, growth: FloatArray) -> FloatArray:
    """Weights after prices grew by `growth`, over the equity after it."""
    if not held.any():
        return held
    worth = 1.0 + float((held * (growth - 1.0)).sum())
    moved = held * growth
    if worth <= 0 or float(np.abs(moved).sum()) > MOST_GROSS * worth:
        return np.zeros_like(held)
    return moved / worth


def _last_known(close: FloatArray) -> FloatArray:
    """Each close, or the last one known before it; NaN before the first."""
    row = np.where(np.isnan(close), 0, np.arange(len(close))[:, None])
    return np.asarray(np.take_along_axis(close, np.maximum.accumulate(row, axis=0), axis=0))


def _columns(signal: Signal, market: Market) -> NDArray[np.int64]:
    column = {name: i for i, name in enumerate(market.symbols)}
    unknown = [name for name in signal.symbols if name not in column]
    if unknown:
        raise InputError(f"The signal scores {unknown[0]} and {len(unknown) - 1} more that the market has no bars for.")
    return np.array([column[name] for name in signal.symbols], dtype=np.int64)


def _place(symbols: tuple[str, ...]) -> NDArray[np.int64]:
    return np.argsort(np.argsort(np.array(symbols))).astype(np.int64)


def _notes(
    signal: Signal, due: int, remarks: list[tuple[int, str]], short: list[int], lookback: int
) -> tuple[str, ...]:
    first: dict[str, int] = {}
    for d, remark in remarks:
        first.setdefault(remark, d)
    counts = Counter(remark for _, remark in remarks)
    told = [
        f"At {counts[remark]} of {due} decisions {remark}; first on {signal.sessions[d]}."
        for remark, d in first.items()
    ]
    if short:
        told.append(
            f"At {len(short)} of {due} decisions, up to {max(short)} scored names had under half of the {lookback} "
            "trailing returns and were not held."
        )
    return tuple(told)
