"""The compiled ledger: cash in whole cents, positions in whole millionths of a share, one pass over the sessions.

Every amount that moves is an integer, so cash plus positions equals equity exactly; a value in cents is
quantity x price rounded half to even in double precision. The order of events within a session:

1. orders decided `delay + 1` sessions ago fill at the session's fill price; with them
2. positions in names that had no bar for `patience` sessions are sold at their last close;
3. what is held is valued at the last close known, which gives the session's equity;
4. a decision made at this close turns weights into quantities: weight x equity / close, all known now.

Nothing looks past the session at hand, so a change of later prices cannot change an earlier figure.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# Cash and equity up to 9e12 cents keep every product below within int64, and every cent within a double's 2**53.
MAX_CENTS = 9_000_000_000_000
MAX_MICRO_SHARES = 4_000_000_000_000_000
WHOLE = 1_000_000  # scale of buys in millionths: all of it
MAX_ROUNDS = 64
NO_CAP_BPS = 1e12

TARGET, CUT_TO_VOLUME, CUT_TO_CASH, DELISTED = (np.int64(code) for code in range(4))
NO_BAR, NO_PRICE_YET, NO_VOLUME = (np.int64(code) for code in range(3))

# Rows of records rather than an array a field: fewer arguments, and a quarter less to compile.
HELD = np.dtype([("quantity", "i8"), ("mark", "f8"), ("missing", "i8")], align=True)
ORDER = np.dtype(
    [(name, "i8") for name in ("session", "name", "order", "opening", "quantity", "value", "reason")]
    + [("price", "f8")],
    align=True,
)
DAY = np.dtype([("equity", "i8"), ("cash", "i8"), ("traded", "i8")], align=True)


class CostTerms(NamedTuple):
    """Coefficients of one cost part; `charge` is the formula."""

    per_share: float = 0.0
    """USD a share."""
    bps: float = 0.0
    """Basis points of traded value."""
    minimum: float = 0.0
    """Least USD an order pays, unless `maximum_bps` is less."""
    maximum_bps: float = NO_CAP_BPS
    """Most an order pays, basis points of traded value."""
    impact_bps: float = 0.0
    """Basis points paid by an order worth `impact_at`."""
    impact_at: float = 1.0
    """USD."""
    square_root: float = 0.0
    """1: impact in bps grows with the square root of the order's value; 0: in proportion to it."""


class Rules(NamedTuple):
    """How orders are handled, in the ledger's units."""

    delay: int
    patience: int
    volume_share: float  # zero: no cap
    smallest_order: int  # cents


class Plan(NamedTuple):
    """What the ledger is given.

    Attributes:
        fill_price: shape (T, N), NaN: cannot trade.
        close: shape (T, N), NaN: no bar.
        volume: shape (T, N); not read if there is no cap.
        decision: shape (T,), the row of `weights` decided at that close, -1: none.
        weights: shape (D, N), finite.
        terms: shape (n_costs, n_coefficients), see `CostTerms`.
    """

    fill_price: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    decision: IntArray
    weights: NDArray[np.float64]
    terms: NDArray[np.float64]


class Desk(NamedTuple):
    """Orders of the session at hand: N rows of `ORDER`, of which the first few count, and their costs by part."""

    orders: NDArray[np.void]
    cost: IntArray


class Tape(NamedTuple):
    """What is written down.

    Attributes:
        written: how many rows of `trades` and of `refused` are written.
        trades: rows of `ORDER`.
        trade_cost: shape (rows of trades, n_costs), cents.
        refused: rows of session, name, reason.
        days: T rows of `DAY`, cents.
        day_cost: shape (T, n_costs), cents.
    """

    written: IntArray
    trades: NDArray[np.void]
    trade_cost: IntArray
    refused: NDArray[np.int32]
    days: NDArray[np.void]
    day_cost: IntArray


_OPTIONS = {"nogil": True, "error_model": "numpy"}
# Called from compiled code alone, so no door from Python is compiled for them: that saves a fifth of the time.
inner: Any = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)
# The cache is renewed when this file changes, and no other: all that is compiled must stand in it.
compiled: Any = njit(cache=True, **_OPTIONS)


def charge(terms: CostTerms, micro_shares: float, cents: float) -> float:
    """Cost of one order in cents, not rounded; also right for arrays of orders.

    Compiled by the ledger and called as it stands by `CostModel.cost`, so the two cannot differ.

    Args:
        terms: the part's coefficients.
        micro_shares: absolute quantity in millionths of a share.
        cents: absolute traded value in cents.
    """
    size = cents / (100.0 * terms.impact_at)
    growth = terms.square_root * np.sqrt(size) + (1.0 - terms.square_root) * size
    # One division at the end keeps exact what is exact in binary: shares x USD/1e4 and cents x bps/1e4 are both cents.
    linear = (micro_shares * terms.per_share + cents * terms.bps + cents * terms.impact_bps * growth) / 1e4
    least = np.maximum(linear, 100.0 * terms.minimum)
    return np.minimum(least, cents * terms.maximum_bps / 1e4)  # type: ignore[no-any-return]


_charge = inner(charge)


@inner
def _cents(micro_shares, price):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(micro_shares * price / 1e4))


@inner
def _price_orders(desk, n, scale, terms):  # type: ignore[no-untyped-def]
    """Quantities, values and costs with opening buys at `scale` millionths; returns (spent, spent on opening buys)."""
    spent = opening_spent = np.int64(0)
    for j in range(n):
        opening = desk.orders[j].opening
        # floor(opening x scale / 1e6) without the product leaving int64
        cut = (opening // WHOLE) * scale + (opening % WHOLE) * scale // WHOLE
        quantity = desk.orders[j].order - opening + cut
        value = _cents(quantity, desk.orders[j].price)
        total = np.int64(0)
        for part in range(terms.shape[0]):
            fee = 0.0
            if quantity != 0:
                row = CostTerms(
                    terms[part, 0], terms[part, 1], terms[part, 2], terms[part, 3], terms[part, 4], terms[part, 5],
                    terms[part, 6],
                )  # fmt: skip
                fee = np.rint(_charge(row, float(abs(quantity)), float(abs(value))))
            desk.cost[j, part] = np.int64(fee)
            total += desk.cost[j, part]
        desk.orders[j].quantity = quantity
        desk.orders[j].value = value
        spent += value + total
        if cut > 0:
            opening_spent += _cents(cut, desk.orders[j].price) + total
    return spent, opening_spent


@inner
def _scale_to_cash(desk, n, cash, terms):  # type: ignore[no-untyped-def]
    """Shrink opening buys, all by one factor, until cash stays at zero or above; returns cash after the orders.

    Where a least fee keeps that from being reached in `MAX_ROUNDS` - 1 tries, nothing is opened at all.
    Sales and the covering of shorts are never shrunk: they alone may leave cash below zero, by their costs or a loss.
    """
    scale = np.int64(WHOLE)
    for round_ in range(MAX_ROUNDS):
        spent, opening_spent = _price_orders(desk, n, scale, terms)
        short = spent - cash
        if short <= 0 or opening_spent == 0 or scale == 0:
            break
        # A cent of slack for each order covers their rounding, so that two rounds are the rule.
        room = max(opening_spent - short - n, 0)
        scale = min(scale - 1, scale * room // opening_spent)
        if round_ == MAX_ROUNDS - 2:
            scale = np.int64(0)
    if scale < WHOLE:
        for j in range(n):
            if desk.orders[j].opening > 0:
                desk.orders[j].reason = CUT_TO_CASH
    return cash - spent


@inner
def _write_trades(desk, n, t, tape):  # type: ignore[no-untyped-def]
    for j in range(n):
        if desk.orders[j].quantity == 0:
            continue
        row = tape.written[0]
        tape.written[0] += 1
        tape.trades[row] = desk.orders[j]
        tape.trades[row].session = t
        tape.days[t].traded += abs(desk.orders[j].value)
        for part in range(desk.cost.shape[1]):
            tape.trade_cost[row, part] = desk.cost[j, part]
            tape.day_cost[t, part] += desk.cost[j, part]


@inner
def _refuse(tape, t, name, why):  # type: ignore[no-untyped-def]
    row = tape.written[1]
    tape.written[1] += 1
    tape.refused[row, 0] = t
    tape.refused[row, 1] = name
    tape.refused[row, 2] = why


@inner
def _put(desk, n, name, order, held, price, reason):  # type: ignore[no-untyped-def]
    """Place one order; only the part of a buy beyond covering a short is `opening`, the part cash may cut."""
    desk.orders[n].name = name
    desk.orders[n].order = order
    desk.orders[n].opening = max(order - max(-held, 0), 0)
    desk.orders[n].price = price
    desk.orders[n].reason = reason


@inner
def _collect(fill_price, volume, target, t, book, rules, desk, tape):  # type: ignore[no-untyped-def]
    """Orders that lead from what is held to `target`; what cannot trade is refused and forgotten."""
    n = np.int64(0)
    for i in range(len(target)):
        order = target[i] - book[i].quantity
        if order == 0:
            continue
        price = fill_price[t, i]
        if np.isnan(price):
            _refuse(tape, t, i, NO_BAR)
            continue
        reason = TARGET
        if rules.volume_share > 0.0 and not np.isnan(volume[t, i]):
            most = np.int64(min(volume[t, i] * rules.volume_share * 1e6, float(MAX_MICRO_SHARES)))
            if abs(order) > most:
                order, reason = (most if order > 0 else -most), CUT_TO_VOLUME
        if order == 0:
            _refuse(tape, t, i, NO_VOLUME)
            continue
        closes = book[i].quantity + order == 0
        if not closes and abs(_cents(order, price)) < rules.smallest_order:
            continue
        _put(desk, n, i, order, book[i].quantity, price, reason)
        n += 1
    return n


@inner
def _settle(desk, n, t, cash, terms, book, tape):  # type: ignore[no-untyped-def]
    if n == 0:
        return cash
    cash = _scale_to_cash(desk, n, cash, terms)
    for j in range(n):
        book[desk.orders[j].name].quantity += desk.orders[j].quantity
    _write_trades(desk, n, t, tape)
    return cash


@inner
def _add_delisted(close, t, book, rules, desk, n):  # type: ignore[no-untyped-def]
    """Count sessions without a bar while others trade; positions past `patience` are sold at the last close."""
    open_for_some = False
    for i in range(close.shape[1]):
        if not np.isnan(close[t, i]):
            open_for_some = True
            break
    for i in range(close.shape[1]):
        if not np.isnan(close[t, i]):
            book[i].missing = 0
            continue
        book[i].missing += open_for_some
        if book[i].quantity != 0 and book[i].missing >= rules.patience:
            _put(desk, n, i, -book[i].quantity, book[i].quantity, book[i].mark, DELISTED)
            n += 1
    return n


@inner
def _value(close, t, book):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for i in range(close.shape[1]):
        if not np.isnan(close[t, i]):
            book[i].mark = close[t, i]
        if book[i].quantity != 0:
            total += _cents(book[i].quantity, book[i].mark)
    return total


@inner
def _size(weights, equity, t, book, target, tape):  # type: ignore[no-untyped-def]
    """Quantities for `weights` of `equity` at the closes known; an equity of zero or less closes everything."""
    for i in range(len(target)):
        if weights[i] == 0.0 or equity <= 0:
            target[i] = 0
        elif np.isnan(book[i].mark):
            target[i] = 0  # without a price so far nothing can be held either
            _refuse(tape, t, i, NO_PRICE_YET)
        else:
            shares = weights[i] * equity * 1e4 / book[i].mark
            target[i] = np.int64(np.rint(min(max(shares, -MAX_MICRO_SHARES), MAX_MICRO_SHARES)))


@compiled
def run_ledger(plan, cash, rules, book, desk, tape):  # type: ignore[no-untyped-def]
    """Run all sessions; returns the session at which equity left +-`MAX_CENTS`, or -1.

    Args:
        plan: prices, weights and costs.
        cash: cents at the start.
        rules: see `Rules`.
        book: N rows of `HELD`; changed in place.
        desk: room for a session's orders; changed in place.
        tape: what is written down; changed in place.
    """
    sessions, names = plan.close.shape
    slots = rules.delay + 1
    target = np.zeros((slots, names), dtype=np.int64)
    pending = np.zeros(slots, dtype=np.bool_)
    for t in range(sessions):
        slot, n = t % slots, 0
        if pending[slot]:
            n = _collect(plan.fill_price, plan.volume, target[slot], t, book, rules, desk, tape)
            pending[slot] = False
        n = _add_delisted(plan.close, t, book, rules, desk, n)
        cash = _settle(desk, n, t, cash, plan.terms, book, tape)
        equity = cash + _value(plan.close, t, book)
        tape.days[t].cash = cash
        tape.days[t].equity = equity
        if abs(equity) > MAX_CENTS:
            return t
        if plan.decision[t] >= 0:
            _size(plan.weights[plan.decision[t]], equity, t, book, target[slot], tape)
            pending[slot] = True
    return -1
