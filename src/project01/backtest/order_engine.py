"""Runs single orders through a raw market, to the cent."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from project01.backtest.account import ACCOUNT_KINDS, Account, OrderExecution
from project01.backtest.costs import CostModel, side_terms_table
from project01.backtest.engine import MOST_CASH
from project01.backtest.order_actions import Holder
from project01.backtest.order_ledger import MAX_CENTS, MAX_MICRO_SHARES, NOT_ASKED, Plan, Work, run_bars
from project01.backtest.order_records import BARS, ENDS, FILLS, HELD, ORDERS, RULES, STATE
from project01.backtest.order_result import OrderResult, build_order_result
from project01.backtest.orders import ORDER_KINDS, OrderBook
from project01.backtest.raw_market import RawMarket
from project01.domain import DataError, InputError

DEFAULT_ACCOUNT, DEFAULT_EXECUTION = Account(), OrderExecution()
_FIRST_ROOM = 4096


class OrderLedger:
    """A run that can stop after any bar, take more orders and go on; the same steps whole or in pieces.

    Args:
        market: raw prices and corporate actions.
        costs: parts that add up; each is rounded to the cent for each fill.
        initial_cash: USD, settled.
        account: what it may buy and owes.
        execution: how orders meet the market.
        most_orders: how many orders it will be given at most.
    """

    def __init__(
        self,
        market: RawMarket,
        costs: Sequence[CostModel],
        *,
        initial_cash: float,
        account: Account,
        execution: OrderExecution,
        most_orders: int,
    ) -> None:
        if not 0 < initial_cash <= MOST_CASH:
            raise InputError(f"initial_cash is {initial_cash} USD; expected above 0 and at most {MOST_CASH:g}.")
        self.market = market
        self.costs = tuple(costs)
        self.bar = 0
        self._plan = _plan(market, self.costs, account, execution)
        self._rules = _rules(account, execution)
        self.work = _empty_work(market, len(self.costs), most_orders, account.settlement_days)
        self.work.state["settled"] = round(initial_cash * 100)
        self._holder = Holder(self.work, execution.delisting_return)
        self._events = deque(market.events)
        paid = {action.other for action in market.events if action.kind == "dividend"}
        self._stops = deque(sorted({action.bar for action in market.events} | paid))

    def submit(self, orders: OrderBook) -> None:
        """Add orders, decided no earlier than those before and after the last bar run but one.

        Raises:
            InputError: an order names a symbol the market does not have, or comes too late for its first bar.
        """
        self.submit_rows(_order_rows(self.market, orders))

    def submit_rows(self, rows: NDArray[np.void]) -> None:
        """As `submit`, for rows of `ORDERS` in the ledger's own units."""
        state = self.work.state[0]
        first = int(state["orders"])
        before = int(self.work.orders["decided"][first - 1]) if first else -1
        if len(rows) and int(rows["decided"][0]) < max(before, self.bar - 1):
            raise InputError(
                f"An order is decided at bar {rows['decided'][0]}, but {self.bar} bars have been run and the last "
                f"order known is of bar {before}. Submit orders in the order they are decided."
            )
        self.work.orders[first : first + len(rows)] = rows
        state["orders"] += len(rows)

    def run_to(self, end: int) -> None:
        """Run the bars before `end`.

        Raises:
            DataError: an order is worth, or the book grew beyond, 90 billion USD.
        """
        while self.bar < end:
            if self._stops and self._stops[0] == self.bar:
                self._stops.popleft()
                self._apply_events()
            self._run_compiled(min(self._stops[0], end) if self._stops else end)

    def _apply_events(self) -> None:
        while self._events and self._events[0].bar == self.bar:
            self._holder.apply(self._events.popleft())
        self._holder.pay(self.bar)

    def _run_compiled(self, end: int) -> None:
        while self.bar < end:
            self.bar = int(run_bars(self._plan, self.work, self._rules, self.bar, end))
            if self.work.state[0]["stopped"]:
                raise DataError(
                    f"An order, equity or a side of the book is beyond {MAX_CENTS / 100:g} USD at bar "
                    f"{self.market.bars[self.bar]}, more than the ledger can hold to the cent. Look for a wrong price "
                    "or quantity, or start with less cash."
                )
            if self.bar < end:
                self._make_room()

    def _make_room(self) -> None:
        """Double what fills are written to; a fill more than the live orders and twice the names cannot happen."""
        state, names = self.work.state[0], len(self.market.symbols)
        room = 2 * len(self.work.fills) + int(state["live"]) + 2 * names
        fills = np.empty(room, dtype=FILLS)
        fill_cost = np.zeros((room, len(self.costs)), dtype=np.int64)
        done = int(state["fills"])
        fills[:done], fill_cost[:done] = self.work.fills[:done], self.work.fill_cost[:done]
        self.work = self.work._replace(fills=fills, fill_cost=fill_cost)

    def result(self) -> OrderResult:
        """What has been found up to the last bar run."""
        return build_order_result(self.market, self.work, self.costs, self.bar)


def run_orders(
    market: RawMarket,
    orders: OrderBook,
    costs: Sequence[CostModel],
    *,
    initial_cash: float,
    account: Account = DEFAULT_ACCOUNT,
    execution: OrderExecution = DEFAULT_EXECUTION,
) -> OrderResult:
    """Fill `orders` in `market` bar by bar and account for every cent.

    Within a bar, in this order:

    1. renames, splits, dividends and delistings of the bar. A dividend is owed to who held before the ex-date and is a
       receivable until paid (a short pays it). A split keeps fractional shares to 1e-6; what is below is paid in cash.
       Open orders are split too (shares down to 1e-6, limits); limits are not reduced by dividends;
    2. on a new date: sales settle, nights cost interest and borrow fees;
    3. at the open: sales after a margin call, delisted positions (at the last close and the delisting return, costs
       charged), market and market-on-open orders, limit orders the open satisfies;
    4. within the bar: limit orders the bar trades through, at their limit;
    5. at the close: market-on-close orders; then valuation at the last close known, and the margin check.

    Orders of one step are taken together: what opens a position is cut by one factor where buying power is short, and
    within a step no order counts on another's shares. A fill's price is one the bar had; spread, slippage and impact
    are costs beside it, so no fill lies outside its bar.

    Args:
        market: raw prices and corporate actions.
        orders: may fill from the bar after their decision on.
        costs: parts that add up; each is rounded to the cent for each fill (a part-filled order pays a least fee anew).
        initial_cash: USD, at most 1e9.
        account: what it may buy and owes.
        execution: how orders meet the market.
    Raises:
        InputError: arguments out of range, or orders in symbols the market does not have.
        DataError: an order is worth, or the book grew beyond, 90 billion USD.
    """
    ledger = OrderLedger(
        market,
        costs,
        initial_cash=initial_cash,
        account=account,
        execution=execution,
        most_orders=orders.rows.height,
    )
    ledger.submit(orders)
    ledger.run_to(len(market.bars))
    return ledger.result()


def _order_rows(market: RawMarket, orders: OrderBook) -> NDArray[np.void]:
    given, last = orders.rows, len(market.bars)
    rows = np.zeros(given.height, dtype=ORDERS)
    stamps = market.bars.astype("datetime64[us]")
    rows["decided"] = np.searchsorted(stamps, given["decided"].to_numpy().astype("datetime64[us]"))
    rows["name"] = market.column_of(given["symbol"], "Orders")
    rows["quantity"] = rows["remaining"] = np.rint(given["quantity"].to_numpy() * 1e6)
    rows["limit"] = given["limit"].fill_null(np.nan).to_numpy()
    rows["kind"] = given["kind"].replace_strict({kind: code for code, kind in enumerate(ORDER_KINDS)}).to_numpy()
    rows["cancel_rest"] = (given["rest"] == "cancel").to_numpy()
    rows["why"], rows["alive"] = NOT_ASKED, 1
    until_cancelled = (given["time_in_force"] == "good_till_cancelled").to_numpy()
    rows["expires"] = np.where(until_cancelled, last, last_bars(market)[rows["decided"]])
    return rows


def last_bars(market: RawMarket) -> NDArray[np.int64]:
    """Shape (T + 1,): the last bar a day order sees that is decided at each bar; T: one decided after all of them."""
    dates = market.dates
    ends = np.searchsorted(dates, dates, side="right") - 1
    return np.append(ends[1:], [len(dates), len(dates)])


def _plan(market: RawMarket, costs: Sequence[CostModel], account: Account, execution: OrderExecution) -> Plan:
    if execution.volume_share is not None and market.volume is None:
        raise InputError("volume_share is set, but the market has no volume. Leave it None, or bring bars with volume.")
    most = np.empty((0, 0), dtype=np.int64)
    if execution.volume_share is not None and market.volume is not None:
        shares = np.where(np.isnan(market.volume), np.inf, market.volume * execution.volume_share * 1e6)
        most = np.minimum(shares, float(MAX_MICRO_SHARES)).astype(np.int64)
    halted = np.zeros(market.close.shape, dtype=np.bool_) if market.halted is None else market.halted
    dates = market.dates
    new_date = np.append(True, dates[1:] != dates[:-1])
    prices = (market.open, market.high, market.low, market.close)
    opens, high, low, close = (np.ascontiguousarray(grid, dtype=np.float64) for grid in prices)
    return Plan(
        open=opens,
        high=high,
        low=low,
        close=close,
        most=most,
        trades=~np.isnan(close) & ~halted,
        date=dates.astype(np.int64),
        opens=new_date,
        ends=np.append(new_date[1:], True),
        terms=side_terms_table(costs),
        borrow_bps=account.borrow_rates(market.symbols),
    )


def _rules(account: Account, execution: OrderExecution) -> NDArray[np.void]:
    rules = np.zeros(1, dtype=RULES)
    rules["kind"] = ACCOUNT_KINDS.index(account.kind)
    rules["settlement_days"] = account.settlement_days
    rules["initial_bps"] = round(account.initial_margin * 10_000)
    rules["long_bps"] = round(account.maintenance_long * 10_000)
    rules["short_bps"] = round(account.maintenance_short * 10_000)
    rules["patience"] = execution.bars_until_delisted or 0
    rules["credit_bps"], rules["debit_bps"] = account.credit_bps, account.debit_bps
    rules["silent_return"] = execution.delisting_return
    return rules


def _empty_work(market: RawMarket, parts: int, most_orders: int, settlement_days: int) -> Work:
    bars, names = market.close.shape
    book = np.zeros(names, dtype=HELD)
    book["mark"] = np.nan
    desk = most_orders + 2 * names
    return Work(
        state=np.zeros(1, dtype=STATE),
        book=book,
        orders=np.zeros(most_orders, dtype=ORDERS),
        live=np.zeros(most_orders, dtype=np.int64),
        due=np.zeros(settlement_days + 1, dtype=np.int64),
        desk=np.zeros(desk, dtype=FILLS),
        desk_cost=np.zeros((desk, parts), dtype=np.int64),
        fills=np.empty(_FIRST_ROOM + 4 * names, dtype=FILLS),
        fill_cost=np.zeros((_FIRST_ROOM + 4 * names, parts), dtype=np.int64),
        ends=np.zeros(most_orders, dtype=ENDS),
        bars=np.zeros(bars, dtype=BARS),
        bar_cost=np.zeros((bars, parts), dtype=np.int64),
    )
