"""What was held and earned, by symbol and session, rebuilt from the trades and checked against the ledger's equity."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.market import Market
from project01.backtest.result import BacktestResult
from project01.domain import DataError, FloatArray

IntGrid = NDArray[np.int64]


@dataclass(frozen=True)
class Holdings:
    """Positions and profits of a backtest; T sessions, N symbols of the market.

    Attributes:
        sessions: shape (T,), datetime64[D].
        symbols: N names.
        quantity: shape (T, N), millionths of an adjusted share after the session's fills.
        value_cents: shape (T, N), at the last close known.
        profit_cents: shape (T, N), change of value less what was paid for it, costs included. Summed over sessions and
            symbols it is final equity less the cash at the start, to the cent.
        fill_profit_cents: shape (T, N), the part of it that what was held before earned until the session's fill; all
            of it in a session without a trade.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    quantity: IntGrid
    value_cents: IntGrid
    profit_cents: IntGrid
    fill_profit_cents: IntGrid


@dataclass(frozen=True)
class Exposure:
    """How much of the book was invested at each close; shape (T,) each, NaN once equity is not positive.

    Attributes:
        gross: sum of absolute position values over equity.
        net: sum of position values over equity.
        names: symbols held.
        largest: largest absolute position value over equity.
    """

    gross: FloatArray
    net: FloatArray
    names: NDArray[np.int64]
    largest: FloatArray


def _marks(market: Market, first: int) -> FloatArray:
    """Shape (T, N), the last close known from position `first` on; NaN before a symbol's first."""
    close = market.close[first:]
    seen = np.where(np.isnan(close), 0, np.arange(len(close))[:, None])
    return np.asarray(np.take_along_axis(close, np.maximum.accumulate(seen, axis=0), axis=0))


def holdings(market: Market, result: BacktestResult) -> Holdings:
    """Positions and profits by symbol and session.

    Args:
        market: the one the backtest ran in.
        result: of `run_backtest`.
    Raises:
        DataError: the trades do not add up to the equity of every session.
    """
    first = int(market.index_of(result.sessions[:1])[0])
    shape = (len(result.sessions), len(market.symbols))
    trades = result.trades
    row = np.searchsorted(result.sessions, trades["session"].to_numpy().astype("datetime64[D]"))
    column = trades["symbol"].cast(pl.Enum(market.symbols)).to_physical().to_numpy().astype(np.int64)
    costs = sum((trades[f"cost_{name}"] for name in result.cost_names), start=pl.zeros(trades.height, eager=True))

    def grid(values: FloatArray) -> IntGrid:
        filled = np.zeros(shape, dtype=np.int64)
        filled[row, column] = np.rint(values).astype(np.int64)  # a symbol has one order a session at most
        return filled

    bought, paid = grid(trades["quantity"].to_numpy() * 1e6), grid(trades["value"].to_numpy() * 100.0)
    fees, price = grid(costs.to_numpy() * 100.0), np.zeros(shape)
    price[row, column] = trades["price"].to_numpy()
    quantity = np.cumsum(bought, axis=0)
    value = _cents(quantity, _marks(market, first))
    before, held = _behind(value), _behind(quantity)
    profit = value - before - paid - fees
    # What was held before is worth its fill price then; where an order changes the side, its costs are shared by size.
    size = np.abs(held) + np.abs(quantity)
    leaving = np.rint(fees * np.divide(np.abs(held), size, out=np.zeros(shape), where=size > 0)).astype(np.int64)
    fill_profit = np.where(bought != 0, _cents(held, price) - before - leaving, profit)
    _refuse_a_gap(result, value)
    return Holdings(result.sessions, market.symbols, quantity, value, profit, fill_profit)


def _cents(quantity: IntGrid, price: FloatArray) -> IntGrid:
    return np.rint(np.where(quantity == 0, 0.0, quantity * price / 1e4)).astype(np.int64)


def _behind(values: IntGrid) -> IntGrid:
    """The values of the session before; zero before the first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def _refuse_a_gap(result: BacktestResult, value: IntGrid) -> None:
    gap = np.flatnonzero(result.cash_cents + value.sum(axis=1) != result.equity_cents)
    if len(gap):
        raise DataError(
            f"On {result.sessions[gap[0]]} cash and the positions made by the trades differ from the ledger's equity. "
            "Pass the market the backtest ran in, with the prices it had then."
        )


def exposure(held: Holdings, result: BacktestResult) -> Exposure:
    """Gross, net and largest position as shares of equity, and the number of names, at each close."""
    equity = np.where(result.equity_cents > 0, result.equity_cents, np.nan)
    size = np.abs(held.value_cents)
    return Exposure(
        gross=size.sum(axis=1) / equity,
        net=held.value_cents.sum(axis=1) / equity,
        names=np.count_nonzero(held.quantity, axis=1).astype(np.int64),
        largest=size.max(axis=1, initial=0) / equity,
    )


def profit_by_symbol(held: Holdings) -> dict[str, int]:
    """Cents each symbol earned, largest first, those never traded left out; they add up to the whole profit."""
    total = held.profit_cents.sum(axis=0)
    traded = (held.quantity != 0).any(axis=0) | (total != 0)
    found = {name: int(cents) for name, cents, any_ in zip(held.symbols, total, traded, strict=True) if any_}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def profit_by_group(held: Holdings, groups: pl.DataFrame, unknown: str) -> dict[str, int]:
    """Cents each group of symbols earned, by the group a symbol was known to belong to in each session.

    Args:
        held: of the backtest.
        groups: columns symbol, group, session: from that session on the symbol belongs to that group.
        unknown: name for what belongs to no group yet.
    Returns:
        Largest first; groups that earned nothing are left out, and the rest add up to the whole profit.
    """
    place = {name: number for number, name in enumerate(held.symbols)}
    names = [unknown, *sorted(set(groups["group"]) - {unknown})]
    code = {name: number for number, name in enumerate(names)}
    member = np.zeros(held.profit_cents.shape, dtype=np.int64)
    for symbol, group, session in groups.select("symbol", "group", "session").sort("session", "symbol").iter_rows():
        if symbol in place:
            member[np.searchsorted(held.sessions, np.datetime64(session, "D")) :, place[symbol]] = code[group]
    total = np.zeros(len(names), dtype=np.int64)
    np.add.at(total, member, held.profit_cents)
    found = {name: int(cents) for name, cents in zip(names, total, strict=True) if cents}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
