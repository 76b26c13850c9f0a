"""The compiled ledger of single orders in raw prices: whole cents, whole millionths of a share, one pass over the bars.

The order of events within a bar stands at `project01.backtest.run_orders`; corporate actions come first, in Python.
An order is looked at from the bar after its decision on. The orders of a step share the buying power by one factor.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# As in the ledger of weights; stated again, like its formulas, since the cache is renewed with this file alone.
MAX_CENTS = 9_000_000_000_000
MAX_MICRO_SHARES = 4_000_000_000_000_000
WHOLE = 1_000_000
MAX_ROUNDS = 64
BPS = 10_000
BPS_DAYS = 10_000.0 * 360.0

MARKET, LIMIT, ON_OPEN, ON_CLOSE = (np.int64(code) for code in range(4))
NETTING, CASH, MARGIN = (np.int64(code) for code in range(3))
FILLED, CUT_TO_VOLUME, CUT_TO_CASH, CUT_TO_HOLDING, DELISTED, LIQUIDATED = (np.int64(code) for code in range(6))
NO_BAR, HALTED, NOT_REACHED, NO_PRICE, NO_VOLUME, NO_CASH, NOTHING_TO_SELL, TOO_SMALL, MARGIN_CALL, NAME_GONE = (
    np.int64(code) for code in range(10)
)
NOT_ASKED = np.int64(-1)
AT_OPEN, WITHIN, AT_CLOSE = (np.int64(code) for code in range(3))


class Plan(NamedTuple):
    """The market: grids (T, N), NaN where there is none; of each bar (T,) its date and whether it is its first, last.

    `most` millionths of a share may trade; no rows: no cap. `terms`, shape (n_costs, 10): `CostTerms`, then 1 or 0 for
    buys, for sales, and the most USD (zero: no limit). `borrow_bps`: (N,), a year.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    most: IntArray
    trades: NDArray[np.bool_]
    date: IntArray
    opens: NDArray[np.bool_]
    ends: NDArray[np.bool_]
    terms: NDArray[np.float64]
    borrow_bps: NDArray[np.float64]


class Work(NamedTuple):
    """What changes from bar to bar, with which a run can go on where it stopped, and what is written down."""

    state: NDArray[np.void]
    book: NDArray[np.void]
    orders: NDArray[np.void]
    live: IntArray
    due: IntArray
    desk: NDArray[np.void]
    desk_cost: IntArray
    fills: NDArray[np.void]
    fill_cost: IntArray
    ends: NDArray[np.void]
    bars: NDArray[np.void]
    bar_cost: IntArray


inner: Any = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, nogil=True, error_model="numpy")
# The cache is renewed when this file changes, and no other: all that is compiled must stand in it.
compiled: Any = njit(cache=True, nogil=True, error_model="numpy")


@inner
def _cents(micro_shares, price):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(micro_shares * price / 1e4))


@inner
def _part(quantity, scale):  # type: ignore[no-untyped-def]
    """`quantity` x `scale` / 1e6 towards zero, without the product leaving int64."""
    size = abs(quantity)
    cut = (size // WHOLE) * scale + (size % WHOLE) * scale // WHOLE
    return cut if quantity >= 0 else -cut


@inner
def _fee(terms, part, quantity, value):  # type: ignore[no-untyped-def]
    """Cents; the formula of `ledger_orders.charge`, then side and most, see there and `Plan.terms`."""
    if quantity == 0 or (quantity > 0 and terms[part, 7] == 0.0) or (quantity < 0 and terms[part, 8] == 0.0):
        return np.int64(0)
    micro_shares, cents = float(abs(quantity)), float(abs(value))
    size = cents / (100.0 * terms[part, 5])
    growth = terms[part, 6] * np.sqrt(size) + (1.0 - terms[part, 6]) * size
    linear = (micro_shares * terms[part, 0] + cents * terms[part, 1] + cents * terms[part, 4] * growth) / 1e4
    fee = min(max(linear, 100.0 * terms[part, 2]), cents * terms[part, 3] / 1e4)
    if terms[part, 9] > 0.0:
        fee = min(fee, 100.0 * terms[part, 9])
    return np.int64(np.rint(fee))


@inner
def _price_desk(work, n, scale, rules, terms):  # type: ignore[no-untyped-def]
    """Quantities, values and costs with what opens at `scale` millionths; (buying power needed, of it for opening)."""
    need = opening_need = np.int64(0)
    for j in range(n):
        row = work.desk[j]
        cut = _part(row.opening, scale)
        row.quantity = row.wanted - row.opening + cut
        row.value = _cents(row.quantity, row.price)
        total = np.int64(0)
        for part in range(terms.shape[0]):
            work.desk_cost[j, part] = _fee(terms, part, row.quantity, row.value)
            total += work.desk_cost[j, part]
        if rules.kind == MARGIN:
            opened = -(-abs(_cents(cut, row.price)) * rules.initial_bps // BPS)
            need += total + opened - abs(_cents(row.quantity - cut, row.price)) * rules.initial_bps // BPS
            opening_need += total + opened if cut != 0 else 0
        elif rules.kind == CASH and row.quantity < 0:
            need += max(row.value + total, 0)
        else:
            need += row.value + total
            opening_need += _cents(cut, row.price) + total if cut > 0 else 0
    return need, opening_need


@inner
def _scale_to_power(work, n, rules, terms):  # type: ignore[no-untyped-def]
    """Shrink all that opens by one factor to the buying power, as the ledger of weights does; returns the factor."""
    state, scale = work.state[0], np.int64(WHOLE)
    power = state.settled + (0 if rules.kind == CASH else state.unsettled)
    if rules.kind == MARGIN:
        power += state.receivable
        for i in range(len(work.book)):
            if work.book[i].quantity != 0:
                value = _cents(work.book[i].quantity, work.book[i].mark)
                power += value + (-abs(value) * rules.initial_bps) // BPS
    for round_ in range(MAX_ROUNDS):
        need, opening_need = _price_desk(work, n, scale, rules, terms)
        short = need - power
        if short <= 0 or opening_need == 0 or scale == 0:
            break
        room = max(opening_need - short - n, 0)
        state.stopped |= room > MAX_CENTS
        scale = min(scale - 1, scale * room // opening_need)
        if round_ == MAX_ROUNDS - 2:
            scale = np.int64(0)
    return scale


@inner
def _end(work, t, number, why):  # type: ignore[no-untyped-def]
    state, order = work.state[0], work.orders[number]
    order.alive = 0
    row = work.ends[state.ends]
    row.bar, row.order, row.name, row.remaining, row.why = t, number, order.name, order.remaining, why
    state.ends += 1


@inner
def _book_fill(work, t, j, rules):  # type: ignore[no-untyped-def]
    """Move shares and cash of one row of the desk and write it down; sales are paid when they settle."""
    state, row = work.state[0], work.desk[j]
    if row.quantity == 0:
        return
    flow = row.value
    for part in range(work.desk_cost.shape[1]):
        flow += work.desk_cost[j, part]
        work.fill_cost[state.fills, part] = work.desk_cost[j, part]
        work.bar_cost[t, part] += work.desk_cost[j, part]
    if flow < 0 and rules.settlement_days > 0:
        state.unsettled -= flow
        work.due[(state.day + rules.settlement_days) % len(work.due)] -= flow
    else:
        state.settled -= flow
    held = work.book[row.name]
    held.quantity += row.quantity
    held.taken += abs(row.quantity)
    held.mark = row.price if np.isnan(held.mark) else held.mark  # bought in its first bar, before any close
    work.bars[t].traded += abs(row.value)
    work.fills[state.fills] = row
    work.fills[state.fills].bar = t
    state.fills += 1


@inner
def _settle(work, n, t, rules, terms):  # type: ignore[no-untyped-def]
    scale = _scale_to_power(work, n, rules, terms)
    for j in range(n):
        row, work.book[work.desk[j].name].bought, work.book[work.desk[j].name].sold = work.desk[j], 0, 0
        if scale < WHOLE and row.opening != 0:
            row.reason = CUT_TO_CASH
        _book_fill(work, t, j, rules)
        if row.order < 0:
            continue
        order = work.orders[row.order]
        order.remaining -= row.quantity
        order.alive = order.remaining != 0
        order.why = NO_CASH if row.reason == CUT_TO_CASH else NO_VOLUME
        order.why = NOTHING_TO_SELL if row.reason == CUT_TO_HOLDING else order.why
        if order.alive and (order.cancel_rest or order.why == NOTHING_TO_SELL):
            _end(work, t, row.order, order.why)


@inner
def _put(work, n, name, number, wanted, price, reason, rules):  # type: ignore[no-untyped-def]
    """Place one row; what goes beyond closing is `opening`, and no row counts on another of the same step."""
    held, row = work.book[name], work.desk[n]
    work.state[0].stopped |= abs(wanted) * price > MAX_CENTS * 1e4
    row.name, row.order, row.wanted, row.price, row.reason, row.opening = name, number, wanted, price, reason, 0
    if wanted > 0:
        row.opening = max(wanted - max(-held.quantity - held.bought, 0), 0)
        held.bought += wanted
    else:
        if rules.kind == MARGIN:
            row.opening = min(wanted + max(held.quantity - held.sold, 0), 0)
        held.sold -= wanted


@inner
def _fill_price(order, step, t, plan):  # type: ignore[no-untyped-def]
    """What the bar gives the order at this step, or NaN; a limit must be traded through, not only touched."""
    i, first, limit = order.name, plan.open[t, order.name], order.limit
    if order.kind == LIMIT:
        buys = order.remaining > 0
        if not (plan.low[t, i] < limit if buys else plan.high[t, i] > limit):
            return np.nan
        at_open = first <= limit if buys else first >= limit
        if step == AT_OPEN:
            return first if at_open else np.nan
        worst = min(limit, plan.high[t, i]) if buys else max(limit, plan.low[t, i])  # matters without an open
        return worst if step == WITHIN and not at_open else np.nan
    if step == AT_OPEN and (order.kind == MARKET or (order.kind == ON_OPEN and plan.opens[t])):
        return first
    if step == AT_CLOSE and order.kind == ON_CLOSE and plan.ends[t]:
        return plan.close[t, i]
    return np.nan


@inner
def _volume_left(plan, t, i, held):  # type: ignore[no-untyped-def]
    most = np.int64(MAX_MICRO_SHARES) if len(plan.most) == 0 else plan.most[t, i]
    return max(most - held.taken - held.bought - held.sold, 0)


@inner
def _collect(work, n, step, t, plan, rules):  # type: ignore[no-untyped-def]
    for k in range(work.state[0].live):
        number = work.live[k]
        order = work.orders[number]
        if order.alive == 0 or not plan.trades[t, order.name]:
            continue
        price = _fill_price(order, step, t, plan)
        if np.isnan(price):
            continue
        held, wanted, reason, why = work.book[order.name], order.remaining, FILLED, NO_VOLUME
        if rules.kind == CASH and -wanted > max(held.quantity - held.sold, 0):
            wanted, reason, why = -max(held.quantity - held.sold, 0), CUT_TO_HOLDING, NOTHING_TO_SELL
        left = _volume_left(plan, t, order.name, held)
        if abs(wanted) > left:
            wanted, reason, why = (left if wanted > 0 else -left), CUT_TO_VOLUME, NO_VOLUME
        closes = held.quantity + held.bought - held.sold + wanted == 0
        if wanted != 0 and not closes and _cents(wanted, price) == 0:
            wanted, why = np.int64(0), TOO_SMALL
        if wanted == 0:
            order.why = why
            if order.cancel_rest or why == NOTHING_TO_SELL:
                _end(work, t, number, why)
            continue
        _put(work, n, order.name, number, wanted, price, reason, rules)
        n += 1
    return n


@inner
def _liquidate(work, t, plan, rules):  # type: ignore[no-untyped-def]
    """After a margin call: no order lives on, and of each position only `keep` millionths stay."""
    state, n = work.state[0], np.int64(0)
    for k in range(state.live):
        if work.orders[work.live[k]].alive:
            _end(work, t, work.live[k], MARGIN_CALL)
    for i in range(len(work.book)):
        held = work.book[i]
        if held.quantity == 0 or not plan.trades[t, i] or np.isnan(plan.open[t, i]):
            continue
        size = min(abs(held.quantity) - _part(abs(held.quantity), state.keep), _volume_left(plan, t, i, held))
        if size > 0:
            _put(work, n, i, -1, -size if held.quantity > 0 else size, plan.open[t, i], LIQUIDATED, rules)
            n += 1
    return n


@inner
def _sell_gone(work, n, t, plan, rules):  # type: ignore[no-untyped-def]
    """Positions in delisted names, and in names silent for `patience` bars while others traded, at the last close."""
    some_trade = not np.isnan(plan.close[t]).all()
    for i in range(len(work.book)):
        held = work.book[i]
        held.missing = 0 if not np.isnan(plan.close[t, i]) else held.missing + some_trade
        silent = rules.patience > 0 and held.missing >= rules.patience
        if held.quantity == 0 or not (held.gone or silent):
            continue
        price = held.mark if held.gone else held.mark * (1.0 + rules.silent_return)
        _put(work, n, i, -1, -held.quantity, price, DELISTED, rules)
        n += 1
    return n


@inner
def _pass_nights(work, t, plan, rules):  # type: ignore[no-untyped-def]
    """Settle what is due and charge the nights since the bar before; interest is on cash less what shorts are worth."""
    state, nights = work.state[0], plan.date[t] - plan.date[t - 1]
    if t == 0 or nights == 0:
        return
    state.day += 1
    slot = state.day % len(work.due)
    state.settled += work.due[slot]
    state.unsettled -= work.due[slot]
    work.due[slot] = 0
    base = state.settled + state.unsettled
    for i in range(len(work.book)):
        if work.book[i].quantity < 0:
            owed = -_cents(work.book[i].quantity, work.book[i].mark)
            base -= owed
            work.bars[t].borrow += np.int64(np.rint(owed * plan.borrow_bps[i] * nights / BPS_DAYS))
    rate = rules.credit_bps if base > 0 else rules.debit_bps
    work.bars[t].interest = -np.int64(np.rint(base * rate * nights / BPS_DAYS))
    state.settled -= work.bars[t].borrow + work.bars[t].interest


@inner
def _value(work, t, plan, rules):  # type: ignore[no-untyped-def]
    """Write the bar's row and see whether the margin holds."""
    state, row = work.state[0], work.bars[t]
    for i in range(len(work.book)):
        work.book[i].taken = 0
        if not np.isnan(plan.close[t, i]):
            work.book[i].mark = plan.close[t, i]
        if work.book[i].quantity > 0:
            row.long += _cents(work.book[i].quantity, work.book[i].mark)
        elif work.book[i].quantity < 0:
            row.short -= _cents(work.book[i].quantity, work.book[i].mark)
    row.cash, row.settled, row.receivable = state.settled + state.unsettled, state.settled, state.receivable
    row.equity = row.cash + row.receivable + row.long - row.short
    state.stopped |= max(row.long, row.short, abs(row.equity)) > MAX_CENTS
    required = -(-(row.long * rules.long_bps + row.short * rules.short_bps) // BPS)
    state.called = row.called = rules.kind == MARGIN and row.equity < required
    if state.called:
        state.keep = max(row.equity, 0) * WHOLE // max(required, 1)


@inner
def _expire(work, t, plan):  # type: ignore[no-untyped-def]
    """Keep what lives on, in its order; what expires says why the last bar did not fill it."""
    state, kept = work.state[0], 0
    for k in range(state.live):
        order = work.orders[work.live[k]]
        if order.alive and order.expires <= t:
            why = order.why
            if np.isnan(plan.close[t, order.name]):
                why = NO_BAR
            elif not plan.trades[t, order.name]:
                why = HALTED
            elif why == NOT_ASKED:
                why = NOT_REACHED if order.kind == LIMIT else NO_PRICE
            _end(work, t, work.live[k], why)
        if order.alive:
            order.why = NOT_ASKED
            work.live[kept] = work.live[k]
            kept += 1
    state.live = kept


@compiled
def run_bars(plan, work, account, first, last):  # type: ignore[no-untyped-def]
    """Run the bars from `first` to before `last`; returns the bar to go on with, short of `last` when `fills` is full.

    `account` is one row of `RULES`. `state.stopped` is 1 once an order or the book is beyond `MAX_CENTS`.
    """
    state, rules, names = work.state[0], account[0], len(work.book)
    for t in range(first, last):
        while state.next_order < state.orders and work.orders[state.next_order].decided < t:
            work.live[state.live] = state.next_order
            state.live += 1
            state.next_order += 1
        if state.fills + state.live + 2 * names > len(work.fills):
            return t
        _pass_nights(work, t, plan, rules)
        n = _liquidate(work, t, plan, rules) if state.called else 0
        n = _sell_gone(work, n, t, plan, rules)
        for step in (AT_OPEN, WITHIN, AT_CLOSE):
            n = _collect(work, n, step, t, plan, rules)
            _settle(work, n, t, rules, plan.terms)
            n = 0
        _value(work, t, plan, rules)
        if state.stopped:
            return t
        _expire(work, t, plan)
    return last
