"""Target weights as orders, sized by the rule of `run_backtest`."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.account import Account, OrderExecution
from project01.backtest.costs import CostModel
from project01.backtest.order_engine import DEFAULT_ACCOUNT, DEFAULT_EXECUTION, OrderLedger, last_bars
from project01.backtest.order_ledger import MAX_MICRO_SHARES, NOT_ASKED
from project01.backtest.order_records import ORDERS
from project01.backtest.orders import ORDER_KINDS, OrderBook, OrderKind
from project01.backtest.raw_market import RawMarket
from project01.backtest.targets import TargetWeights
from project01.domain import FloatArray, InputError


def orders_from_targets(
    market: RawMarket,
    targets: TargetWeights,
    costs: Sequence[CostModel],
    *,
    initial_cash: float,
    account: Account = DEFAULT_ACCOUNT,
    execution: OrderExecution = DEFAULT_EXECUTION,
    kind: OrderKind = "market_on_open",
) -> OrderBook:
    """The orders that lead to `targets`: at each decision weight x equity / close, less what is held, for the next bar.

    Equity and holdings are those of the order ledger itself, run bar by bar with the orders so far, so the book belongs
    to this market, these costs and this account; `run_orders` with the same arguments repeats the run. What a bar does
    not fill is cancelled: the next decision starts from what is held.

    In a market without corporate actions, on a ``netting`` account with delisting_return 0, the run is that of
    `run_backtest` to the cent: equity, cash, costs, each trade. They differ by definition where `run_backtest` is given
    a delay (there an order leads from what is held at the fill, here from what is held at the decision), a smallest
    order above a cent, and where prices are adjusted: a dividend is reinvested there at the ex-date, and cash here.

    Args:
        market: raw prices; every session of `targets` must be one of its bars.
        targets: weights by session, for some or all of the market's symbols.
        costs: as for `run_orders`.
        initial_cash: as for `run_orders`.
        account: as for `run_orders`.
        execution: as for `run_orders`.
        kind: any but ``limit``.
    Raises:
        InputError: a session that is no bar, a symbol the market does not have, a limit kind.
    """
    if kind == "limit":
        raise InputError("Targets give no limit prices; choose market, market_on_open or market_on_close.")
    stamps = market.bars.astype("datetime64[us]")
    decided = np.flatnonzero(targets.decided)
    wanted = targets.sessions[decided].astype("datetime64[us]")
    bars = np.minimum(np.searchsorted(stamps, wanted), len(stamps) - 1)
    if bool(np.any(stamps[bars] != wanted)):
        raise InputError(f"{wanted[stamps[bars] != wanted][0]} is no bar of the market. Decide at bars it has.")
    column = market.column_of(pl.Series(targets.symbols, dtype=pl.String), "Targets")
    ledger = OrderLedger(
        market,
        costs,
        initial_cash=initial_cash,
        account=account,
        execution=execution,
        most_orders=len(decided) * len(market.symbols),
    )
    expires = last_bars(market)
    for row, bar in zip(decided.tolist(), bars.tolist(), strict=True):
        ledger.run_to(bar + 1)
        weights = np.zeros(len(market.symbols))
        weights[column] = targets.weights[row]
        rows = _sized(ledger, weights)
        rows["kind"], rows["expires"] = ORDER_KINDS.index(kind), expires[bar]
        ledger.submit_rows(rows)
    return _as_book(ledger, kind)


def _sized(ledger: OrderLedger, weights: FloatArray) -> NDArray[np.void]:
    """Orders at the close of the last bar run; an equity of zero or less closes everything."""
    bar, book = ledger.bar - 1, ledger.work.book
    equity = int(ledger.work.bars[bar]["equity"])
    target = np.zeros(len(weights), dtype=np.int64)
    sized = (weights != 0) & ~np.isnan(book["mark"]) & (equity > 0)
    shares = weights[sized] * equity * 1e4 / book["mark"][sized]
    target[sized] = np.rint(np.clip(shares, -MAX_MICRO_SHARES, MAX_MICRO_SHARES))
    change = target - book["quantity"]
    traded = np.flatnonzero(change)
    rows = np.zeros(len(traded), dtype=ORDERS)
    rows["decided"], rows["name"], rows["limit"] = bar, traded, np.nan
    rows["quantity"] = rows["remaining"] = change[traded]
    rows["cancel_rest"], rows["why"], rows["alive"] = 1, NOT_ASKED, 1
    return rows


def _as_book(ledger: OrderLedger, kind: OrderKind) -> OrderBook:
    rows = ledger.work.orders[: int(ledger.work.state[0]["orders"])]
    symbols = pl.Series(ledger.market.symbols, dtype=pl.String)
    return OrderBook(
        pl.DataFrame(
            {
                "decided": ledger.market.bars.astype("datetime64[us]")[rows["decided"]],
                "symbol": symbols[rows["name"]] if len(rows) else pl.Series([], dtype=pl.String),
                "quantity": rows["quantity"] / 1e6,
                "kind": pl.Series([kind] * len(rows), dtype=pl.String),
            }
        )
    )
