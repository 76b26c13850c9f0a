"""What a run of orders found: fills, what was not filled and why, cash and equity by bar, in cents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.costs import CostModel
from project01.backtest.order_ledger import Work
from project01.backtest.raw_market import RawMarket
from project01.backtest.result import gather, growth, positions_frame
from project01.domain import FloatArray

FILL_REASONS = ("filled", "cut to volume", "cut to buying power", "cut to holding", "delisted", "margin call")
END_REASONS = (
    "no bar", "halted", "limit not reached", "no price at its time", "no volume left", "no buying power",
    "nothing to sell", "worth less than a cent", "margin call", "delisted",
)  # fmt: skip


@dataclass(frozen=True)
class OrderResult:
    """A run over T bars; arrays in whole cents, int64.

    At every bar equity = cash + receivable + long - short, and cash moves by exactly: - value of fills - costs
    - borrow - interest + dividends + in_lieu.

    Attributes:
        bars: shape (T,), datetime64.
        equity_cents, cash_cents, settled_cents, receivable_cents: shape (T,); cash includes unsettled sales, receivable
            are dividends not paid yet (negative: owed by shorts).
        long_cents, short_cents: shape (T,), at the last closes known, both positive.
        cost_cents: shape (T, n_costs), by part.
        borrow_cents, interest_cents, dividend_cents, in_lieu_cents: shape (T,); paid, paid (negative: earned), received
            (negative: paid), received for what a split left below 1e-6 share.
        traded_cents: shape (T,), absolute traded value.
        margin_calls: bars at whose close the maintenance margin did not hold.
        cost_names: the parts.
        fills: bar, order (row of the book, -1: forced), symbol, quantity (sales negative), price, value (USD), one
            ``cost_<part>`` a part (USD), reason; in the order they happened.
        unfilled: bar, order, symbol, remaining, reason; orders that ended before they were filled whole.
        open_orders: order, symbol, remaining; alive after the last bar, or not looked at yet.
        positions: symbol, quantity, price (last close known), value.
    """

    bars: NDArray[np.datetime64]
    equity_cents: NDArray[np.int64]
    cash_cents: NDArray[np.int64]
    settled_cents: NDArray[np.int64]
    receivable_cents: NDArray[np.int64]
    long_cents: NDArray[np.int64]
    short_cents: NDArray[np.int64]
    cost_cents: NDArray[np.int64]
    borrow_cents: NDArray[np.int64]
    interest_cents: NDArray[np.int64]
    dividend_cents: NDArray[np.int64]
    in_lieu_cents: NDArray[np.int64]
    traded_cents: NDArray[np.int64]
    margin_calls: NDArray[np.datetime64]
    cost_names: tuple[str, ...]
    fills: pl.DataFrame
    unfilled: pl.DataFrame
    open_orders: pl.DataFrame
    positions: pl.DataFrame

    @property
    def equity(self) -> FloatArray:
        """Shape (T,), USD."""
        return self.equity_cents / 100.0

    @property
    def net_returns(self) -> FloatArray:
        """Shape (T - 1,), return of each bar after the first, all costs taken off; NaN once equity is not positive."""
        return growth(self.equity_cents[1:], self.equity_cents[:-1])


def build_order_result(market: RawMarket, work: Work, costs: Sequence[CostModel], bars: int) -> OrderResult:
    """Frames of the first `bars` bars from what the ledger wrote down."""
    days, state = work.bars[:bars], work.state[0]
    names = tuple(model.name for model in costs)
    orders = work.orders[: int(state["orders"])]
    alive = np.flatnonzero(orders["alive"])
    ends = work.ends[: int(state["ends"])]
    return OrderResult(
        bars=market.bars[:bars],
        equity_cents=days["equity"],
        cash_cents=days["cash"],
        settled_cents=days["settled"],
        receivable_cents=days["receivable"],
        long_cents=days["long"],
        short_cents=days["short"],
        cost_cents=work.bar_cost[:bars],
        borrow_cents=days["borrow"],
        interest_cents=days["interest"],
        dividend_cents=days["dividends"],
        in_lieu_cents=days["in_lieu"],
        traded_cents=days["traded"],
        margin_calls=market.bars[:bars][days["called"] != 0],
        cost_names=names,
        fills=_fills(market, work, names),
        unfilled=pl.DataFrame(
            {
                "bar": market.bars[ends["bar"]].astype("datetime64[us]"),
                "order": ends["order"],
                "symbol": gather(market.symbols, ends["name"]),
                "remaining": ends["remaining"] / 1e6,
                "reason": gather(END_REASONS, ends["why"]),
            }
        ),
        open_orders=pl.DataFrame(
            {
                "order": alive,
                "symbol": gather(market.symbols, orders["name"][alive]),
                "remaining": orders["remaining"][alive] / 1e6,
            }
        ),
        positions=positions_frame(market.symbols, work.book["quantity"], work.book["mark"]),
    )


def _fills(market: RawMarket, work: Work, cost_names: tuple[str, ...]) -> pl.DataFrame:
    n = int(work.state[0]["fills"])
    rows = work.fills[:n]
    return pl.DataFrame(
        {
            "bar": market.bars[rows["bar"]].astype("datetime64[us]"),
            "order": rows["order"],
            "symbol": gather(market.symbols, rows["name"]),
            "quantity": rows["quantity"] / 1e6,
            "price": rows["price"],
            "value": rows["value"] / 100.0,
            **{f"cost_{name}": work.fill_cost[:n, i] / 100.0 for i, name in enumerate(cost_names)},
            "reason": gather(FILL_REASONS, rows["reason"]),
        }
    )
