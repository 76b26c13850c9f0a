"""Runs target weights through a market at a cost, to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from project01.backtest.costs import CostModel, terms_table
from project01.backtest.ledger import run_ledger
from project01.backtest.ledger_tables import DAY, MAX_CENTS, MAX_GROSS_CENTS, Book, Desk, Plan, Rules, Tape
from project01.backtest.market import Market
from project01.backtest.result import BacktestResult, build_result
from project01.backtest.targets import TargetWeights
from project01.domain import DataError, FloatArray, InputError

MOST_CASH = 1_000_000_000.0


@dataclass(frozen=True)
class Execution:
    """How orders meet the market.

    Attributes:
        sessions_until_delisted: a position whose name had no bar for this many sessions, while others traded, is sold
            at its last close. A trading suspension by the SEC lasts at most 10 business days.
        volume_share: most of a session's volume an order may take (0.1 is a tenth); None: no cap. Not applied to a bar
            of unknown volume.
        smallest_order: USD; orders worth less are not sent, unless they close a position.
    """

    sessions_until_delisted: int = 10
    volume_share: float | None = None
    smallest_order: float = 0.0

    def __post_init__(self) -> None:
        if self.sessions_until_delisted < 1:
            raise InputError(f"sessions_until_delisted is {self.sessions_until_delisted}; expected 1 or more.")
        if self.volume_share is not None and not 0 < self.volume_share <= 1:
            raise InputError(
                f"volume_share is {self.volume_share}; expected above 0 and at most 1, or None for no cap."
            )
        if not (np.isfinite(self.smallest_order) and self.smallest_order >= 0):
            raise InputError(f"smallest_order is {self.smallest_order} USD; expected 0 or more.")


DEFAULT_EXECUTION = Execution()


@dataclass(frozen=True)
class LedgerInput:
    """Market and weights brought together: what every run of a sensitivity grid shares.

    Attributes:
        market: all of it.
        first: position of the targets' first session, where the ledger starts.
        decision: shape (T - first,), row of `weights` decided at each close, -1: none.
        weights: shape (D, M), as the targets have them.
        column: shape (M,), the market's column of each symbol of the targets.
    """

    market: Market
    first: int
    decision: NDArray[np.int64]
    weights: FloatArray = field(repr=False)
    column: NDArray[np.uint64] = field(repr=False)


def align(market: Market, targets: TargetWeights) -> LedgerInput:
    """Where the targets stand in the market; no grid is copied.

    Raises:
        InputError: the targets name a session or a symbol that the market does not have.
    """
    column = {name: i for i, name in enumerate(market.symbols)}
    unknown = [name for name in targets.symbols if name not in column]
    if unknown:
        raise InputError(
            f"Targets name {len(unknown)} symbol(s) the market has no bars for, e.g. {unknown[0]}. "
            "Build the targets from the same bars."
        )
    position = market.index_of(targets.sessions)
    first = int(position[0])
    decision = np.full(len(market.sessions) - first, -1, dtype=np.int64)
    rows = np.flatnonzero(targets.decided)
    decision[position[rows] - first] = rows
    places = np.array([column[name] for name in targets.symbols], dtype=np.uint64)
    return LedgerInput(market, first, decision, np.ascontiguousarray(targets.weights, dtype=np.float64), places)


def run_backtest(
    market: Market,
    targets: TargetWeights,
    costs: Sequence[CostModel],
    *,
    initial_cash: float,
    delay_bars: int = 0,
    execution: Execution = DEFAULT_EXECUTION,
) -> BacktestResult:
    """Trade `targets` in `market` and account for every cent.

    A decision at the close of session t becomes quantities at once: weight x equity / close, all known at t, rounded to
    1e-6 share. They fill at the fill price of session t + 1 + `delay_bars`; the gap between that close and the fill is
    the strategy's to win or lose. An order without a fill price is dropped until the next decision and written down as
    refused. Buys are cut by one common factor if cash would fall below zero; only costs of sales and the covering of
    shorts can take it there. Short sales need no collateral beyond equity and pay no fee; cash earns nothing. Once
    equity is zero or less everything is closed and stays so. No position exceeds 4 billion shares.

    Args:
        market: prices; sessions before the first of `targets` are not used.
        targets: weights by session.
        costs: parts that add up; each is rounded to the cent for each order. Empty: no costs.
        initial_cash: USD, at most 1e9 (cents stay exact in 64 bits up to a book of 90 billion).
        delay_bars: extra sessions between decision and fill.
        execution: how orders meet the market.
    Raises:
        InputError: arguments out of range, or targets that do not fit the market.
        DataError: the book grew beyond 90 billion USD, or one session's trades or positions beyond 90 trillion.
    """
    joined = align(market, targets)
    tape, book = simulate(joined, costs, initial_cash, delay_bars, execution)
    return build_result(market, joined.first, tape, book, costs)


def simulate(
    joined: LedgerInput, costs: Sequence[CostModel], initial_cash: float, delay_bars: int, execution: Execution
) -> tuple[Tape, Book]:
    """One pass of the ledger; what was written down and what is held at the end. Raises as `run_backtest`."""
    if not 0 < initial_cash <= MOST_CASH:
        raise InputError(f"initial_cash is {initial_cash} USD; expected above 0 and at most {MOST_CASH:g}.")
    if delay_bars < 0:
        raise InputError(f"delay_bars is {delay_bars}; expected 0 or more: a fill before its decision is look-ahead.")
    market, terms = joined.market, terms_table(costs)
    if execution.volume_share is not None and market.volume is None:
        raise InputError("volume_share is set, but the market has no volume. Leave it None, or bring bars with volume.")
    sessions, names = len(joined.decision), len(market.symbols)
    tape, book = _empty_tape(sessions, names, len(terms)), _empty_book(names)
    desk = _empty_desk(delay_bars + 1, names, len(terms))
    rules = Rules(
        delay=delay_bars,
        patience=execution.sessions_until_delisted,
        volume_share=execution.volume_share or 0.0,
        smallest_order=max(1, round(execution.smallest_order * 100)),
    )
    grids = (market.fill_price, market.close, np.empty((0, 0)) if market.volume is None else market.volume)
    fill_price, close, volume = (np.ascontiguousarray(grid[joined.first :], dtype=np.float64) for grid in grids)
    bits = joined.weights.view(np.int64)
    plan = Plan(fill_price, close, volume, joined.decision, joined.weights, bits, joined.column, terms)
    stopped = run_ledger(plan, float(round(initial_cash * 100)), rules, book, desk, tape)
    if stopped >= 0:
        raise DataError(
            f"Equity left +-{MAX_CENTS / 100:g} USD on {market.sessions[joined.first + stopped]}, or its trades or "
            f"positions {MAX_GROSS_CENTS / 100:g}, more than the ledger can hold to the cent. Look for a wrong price "
            "around that session, or start with less cash."
        )
    return tape, book


def _empty_book(names: int) -> Book:
    mark, marked = np.full(names, np.nan), np.full(names, -1, dtype=np.int64)
    held, holding = np.zeros(names + 1, dtype=np.uint64), np.zeros(2, dtype=np.uint64)
    return Book(np.zeros(names), mark, marked, np.zeros(names, dtype=np.int64), held, holding)


def _empty_desk(slots: int, names: int, parts: int) -> Desk:
    # On each side of the middle one place more than there are names, where an order of nothing may be written.
    room = 2 * (names + 1)
    order, after, quantity, price, value, outlay = np.empty((6, room))
    return Desk(
        name=np.empty(room, dtype=np.uint64),
        order=order,
        after=after,
        quantity=quantity,
        price=price,
        reason=np.empty(room, dtype=np.int8),
        value=value,
        outlay=outlay,
        cost=np.empty((parts, room)),
        want=np.zeros(names),
        wanted=np.empty((slots, names + 1), dtype=np.uint64),
        target=np.empty((slots, names + 1)),
        wants=np.zeros(slots, dtype=np.uint64),
        rate=np.empty(parts),
    )


def _empty_tape(sessions: int, names: int, parts: int) -> Tape:
    # Room for an order of every name in every session, and one; pages never written to take no memory.
    room = sessions * names + 1
    return Tape(
        written=np.zeros(2, dtype=np.int64),
        name=np.empty(room, dtype=np.int32),
        reason=np.empty(room, dtype=np.int8),
        quantity=np.empty(room),
        price=np.empty(room),
        refused=np.empty((2 * room, 3), dtype=np.int32),
        days=np.zeros(sessions, dtype=DAY),
        day_cost=np.zeros((sessions, parts), dtype=np.int64),
    )
