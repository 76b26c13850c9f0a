"""The compiled ledger: cash in whole cents, positions in whole millionths of a share, one pass over the sessions.

Every amount that moves is a whole number, so cash plus positions equals equity exactly; a value in cents is
quantity x price rounded half to even in double precision. The order of events within a session:

1. orders decided `delay + 1` sessions ago fill at the session's fill price; with them
2. positions in names that had no bar for `patience` sessions are sold at their last close;
3. what is held is valued at the last close known, which gives the session's equity;
4. a decision made at this close turns weights into quantities: weight x equity / close, all known now.

Nothing looks past the session at hand, so a change of later prices cannot change an earlier figure.

Whole numbers are kept in doubles, which hold them exactly up to 2**53, and side by side in rows, so that the processor
rounds and adds four at a time: it has no instruction that turns four 64-bit integers into doubles.
"""

from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numba import njit

from project01.backtest.ledger_orders import (
    cents,
    gross_of,
    middle_of,
    put_order,
    refuse,
    send_orders,
    set_rates,
    set_values,
    settle_orders,
    sum_of,
)
from project01.backtest.ledger_tables import (
    DELISTED,
    MAX_CENTS,
    MAX_GROSS_CENTS,
    MAX_MICRO_SHARES,
    NO_PRICE_YET,
    OPTIONS,
    inner,
)


@inner
def _any_open(close, t):  # type: ignore[no-untyped-def]
    for price in close[t]:  # noqa: SIM110, compiled
        if not np.isnan(price):
            return True
    return False


@inner
def _mark(close, t, i, book):  # type: ignore[no-untyped-def]
    """The last close known, looked for no further back than where it was last looked for."""
    for back in range(t, book.marked[i], -1):
        if not np.isnan(close[back, i]):
            book.mark[i] = close[back, i]
            break
    book.marked[i] = t
    return book.mark[i]


@inner
def _add_delisted(plan, t, end, book, rules, desk):  # type: ignore[no-untyped-def]
    """Count sessions without a bar while others trade; positions past `patience` are sold at the last close.

    Returns where the orders end.
    """
    absent = np.uint64(0)
    for k in range(book.holding[0]):
        absent += np.uint64(np.isnan(plan.close[t, book.held[k]]))
    if absent == 0 and book.holding[1] == 0:
        return end
    book.holding[1] = absent
    for k in range(book.holding[0]):
        i = book.held[k]
        if not np.isnan(plan.close[t, i]):
            book.missing[i] = 0
            continue
        book.missing[i] += _any_open(plan.close, t)
        if book.missing[i] >= rules.patience:
            put_order(end, i, -book.quantity[i], 0.0, _mark(plan.close, t, i, book), DELISTED, desk)
            desk.quantity[end] = desk.order[end]
            desk.value[end] = cents(desk.order[end], desk.price[end])
            end += np.uint64(1)
    return end


@inner
def _hold(slot, book, desk):  # type: ignore[no-untyped-def]
    """List what is held after the orders of this session, and forget the targets they led to."""
    kept = np.uint64(0)
    for k in range(book.holding[0]):
        i = book.held[k]
        book.held[kept] = i
        kept += np.uint64((book.quantity[i] != 0.0) & (desk.want[i] == 0.0))
    for k in range(desk.wants[slot]):
        i = desk.wanted[slot, k]
        book.held[kept] = i
        kept += np.uint64(book.quantity[i] != 0.0)
        desk.want[i] = 0.0
    book.holding[0] = kept
    desk.wants[slot] = 0


@inner
def _value(close, t, book, desk):  # type: ignore[no-untyped-def]
    """Cents of what is held, net and gross."""
    n = book.holding[0]
    for k in range(n):
        i = book.held[k]
        price = close[t, i]
        desk.price[k] = _mark(close, t, i, book) if np.isnan(price) else price
        desk.quantity[k] = book.quantity[i]
    set_values(desk.quantity[:n], desk.price[:n], desk.value[:n])
    return sum_of(desk.value[:n]), gross_of(desk.value[:n])


@inner
def _where_not_zero(bits, found):  # type: ignore[no-untyped-def]
    """Places of numbers other than zero, ascending, into `found`; returns how many. No branch to guess wrongly."""
    n = np.uint64(0)
    for k in range(len(bits)):
        found[n] = k
        n += np.uint64(bits[k] << 1 != 0)  # without the sign, so that -0.0 is zero
    return n


@inner
def _set_targets(weight, equity, price, wanted, target):  # type: ignore[no-untyped-def]
    """Millionths of a share; a name of which there is not even one is taken off the list. Returns its length."""
    nothing = 0
    for k in range(len(target)):
        shares = weight[k] * equity * 1e4 / price[k]
        shares = shares if shares > -MAX_MICRO_SHARES else -MAX_MICRO_SHARES
        target[k] = np.rint(shares if shares < MAX_MICRO_SHARES else MAX_MICRO_SHARES)
        nothing += target[k] == 0.0
    if nothing == 0:
        return np.uint64(len(target))
    kept = np.uint64(0)
    for k in range(len(target)):
        if target[k] != 0.0:
            wanted[kept], target[kept] = wanted[k], target[k]
            kept += np.uint64(1)
    return kept


@inner
def _size(plan, equity, t, slot, book, desk, tape):  # type: ignore[no-untyped-def]
    """Quantities for the weights of `equity` at the closes known; an equity of zero or less closes everything."""
    wanted, target, n = desk.wanted[slot], desk.target[slot], np.uint64(0)
    desk.wants[slot] = 0
    if equity <= 0.0:
        return
    row = plan.decision[t]
    weights = plan.weights[row]
    for k in range(_where_not_zero(plan.weight_bits[row], desk.name)):
        j = desk.name[k]
        i = plan.column[j]
        price = plan.close[t, i]
        if np.isnan(price):
            price = _mark(plan.close, t, i, book)
            if np.isnan(price):
                refuse(tape, t, i, NO_PRICE_YET)  # without a price so far nothing can be held either
                continue
        wanted[n] = i
        desk.order[n] = weights[j]
        desk.price[n] = price
        n += np.uint64(1)
    desk.wants[slot] = _set_targets(desk.order[:n], equity, desk.price[:n], wanted[:n], target[:n])


def _compiled(parts: int) -> Any:
    """The ledger made of these parts, a checksum of their sources.

    numba renews its cache when this file changes, and no other, and it keeps a variant for each value that a function
    takes from the one around it. So the checksum makes what was compiled of other sources unfindable.
    """

    @njit(cache=True, **OPTIONS)
    def run_ledger(plan, cash, rules, book, desk, tape):  # type: ignore[no-untyped-def]
        """Run all sessions from `cash` cents; returns the session at which a bound was left, or -1.

        The bounds are `MAX_CENTS` for equity and `MAX_GROSS_CENTS` for what is traded in a session or held. A book with
        nothing held, a desk and a tape are changed in place; the other arguments are as their types say.
        """
        _ = parts  # taken from around it
        slots = rules.delay + 1
        set_rates(plan.terms, desk)
        for t in range(plan.close.shape[0]):
            slot, first, end = t % slots, middle_of(desk), middle_of(desk)
            if t >= slots and plan.decision[t - slots] >= 0:
                first, end = send_orders(plan, slot, t, book, rules, desk, tape)
            end = _add_delisted(plan, t, end, book, rules, desk)
            cash, traded = settle_orders(first, end, t, cash, plan, book, desk, tape)
            if desk.wants[slot] > 0 or tape.days[t].trades > 0:
                _hold(slot, book, desk)
            value, gross = _value(plan.close, t, book, desk)
            equity = cash + value
            tape.days[t].cash = np.int64(cash)
            tape.days[t].equity = np.int64(equity)
            if abs(equity) > MAX_CENTS or max(traded, gross) > MAX_GROSS_CENTS:
                return t
            if plan.decision[t] >= 0:
                _size(plan, equity, t, slot, book, desk, tape)
        for k in range(book.holding[0]):
            _mark(plan.close, plan.close.shape[0] - 1, book.held[k], book)
        return -1

    return run_ledger


_PARTS = ("ledger_tables.py", "ledger_orders.py")
run_ledger: Any = _compiled(crc32(b"".join(Path(__file__).with_name(name).read_bytes() for name in _PARTS)))
