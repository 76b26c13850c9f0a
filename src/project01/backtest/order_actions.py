"""What a corporate action does to positions and open orders, before the bar it falls on is traded."""

from bisect import bisect_left

import numpy as np

from project01.backtest.order_ledger import MAX_MICRO_SHARES, NAME_GONE, TOO_SMALL, Work
from project01.backtest.raw_market import Action
from project01.domain import DataError


class Holder:
    """Applies corporate actions to one ledger's state, and keeps the dividends until they are paid."""

    def __init__(self, work: Work, unknown_return: float) -> None:
        self._work = work
        self._unknown_return = unknown_return
        self._payments: dict[int, int] = {}

    def apply(self, action: Action) -> None:
        """Change positions, cash and open orders at once.

        Raises:
            DataError: a split leaves more shares than the ledger can count.
        """
        getattr(self, f"_{action.kind}")(action)

    def pay(self, bar: int) -> None:
        """Turn the dividends payable on this bar into settled cash."""
        cents, state = self._payments.pop(bar, 0), self._work.state[0]
        state["settled"] += cents
        state["receivable"] -= cents
        self._work.bars[bar]["dividends"] += cents

    def _dividend(self, action: Action) -> None:
        if self._work.book[action.name]["quantity"] == 0:
            return
        cents = int(np.rint(self._work.book[action.name]["quantity"] * action.amount / 1e4))
        self._work.state[0]["receivable"] += cents
        self._payments[action.other] = self._payments.get(action.other, 0) + cents

    def _split(self, action: Action) -> None:
        held, new, old = self._work.book[action.name], action.ratio.numerator, action.ratio.denominator
        sign = -1 if held["quantity"] < 0 else 1
        shares, rest = divmod(abs(int(held["quantity"])) * new, old)
        if shares > MAX_MICRO_SHARES:
            raise DataError(f"A split of {action.ratio} leaves {shares / 1e6:g} shares; expected at most 4e9.")
        held["quantity"], held["mark"] = sign * shares, held["mark"] * old / new
        if rest:
            cents = sign * int(np.rint(rest / old * held["mark"] / 1e4))
            self._work.state[0]["settled"] += cents
            self._work.bars[action.bar]["in_lieu"] += cents
        for number in self._open_orders(action):
            order = self._work.orders[number]
            kept = abs(int(order["remaining"])) * new // old
            if kept == 0:
                self._end(action.bar, number, TOO_SMALL)
            order["remaining"] = kept if order["remaining"] > 0 else -kept
            order["limit"] = order["limit"] * old / new

    def _rename(self, action: Action) -> None:
        book = self._work.book
        for field in ("quantity", "mark", "missing"):
            book[action.other][field] = book[action.name][field]
        book[action.name]["quantity"], book[action.name]["mark"] = 0, np.nan
        self._work.orders["name"][self._open_orders(action)] = action.other

    def _delisting(self, action: Action) -> None:
        held = self._work.book[action.name]
        lost = self._unknown_return if np.isnan(action.amount) else action.amount
        held["mark"], held["gone"] = held["mark"] * (1.0 + lost), 1
        for number in self._open_orders(action):
            self._end(action.bar, number, NAME_GONE)

    def _open_orders(self, action: Action) -> list[int]:
        """Orders in the name decided before the bar: those already looked at, and those that arrive with it."""
        state, orders = self._work.state[0], self._work.orders
        first, last = int(state["next_order"]), int(state["orders"])
        coming = np.arange(first, bisect_left(orders["decided"], action.bar, lo=first, hi=last))
        known = np.append(self._work.live[: int(state["live"])], coming)
        among = orders[known]
        return [int(number) for number in known[(among["alive"] != 0) & (among["name"] == action.name)]]

    def _end(self, bar: int, number: int, why: np.int64) -> None:
        """As the compiled ledger closes an order that was not filled whole."""
        order, state = self._work.orders[number], self._work.state[0]
        order["alive"] = 0
        self._work.ends[int(state["ends"])] = (bar, number, order["name"], order["remaining"], why)
        state["ends"] += 1
