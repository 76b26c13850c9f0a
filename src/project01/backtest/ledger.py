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
FloatArray = NDArray[np.float64]
PlaceArray = NDArray[np.uint64]  # unsigned, so that compiled code need not look for a place counted from the end

# Cash and equity up to 9e12 cents keep every product below within int64, and every cent within a double's 2**53.
MAX_CENTS = 9_000_000_000_000
MAX_MICRO_SHARES = 4_000_000_000_000_000
WHOLE = 1_000_000  # scale of buys in millionths: all of it
MAX_ROUNDS = 64
NO_CAP_BPS = 1e12

TARGET, CUT_TO_VOLUME, CUT_TO_CASH, DELISTED = (np.int64(code) for code in range(4))
NO_BAR, NO_PRICE_YET, NO_VOLUME = (np.int64(code) for code in range(3))

TRADE = np.dtype([("name", "i4"), ("reason", "i4"), ("quantity", "i8"), ("value", "i8"), ("price", "f8")], align=True)
DAY = np.dtype([("equity", "i8"), ("cash", "i8"), ("traded", "i8"), ("trades", "i8")], align=True)


class CostTerms(NamedTuple):
    """Coefficients of one cost part; `charge` is the formula."""

    per_share: float = 0.0  # USD a share
    bps: float = 0.0  # basis points of traded value
    minimum: float = 0.0  # least USD an order pays, unless `maximum_bps` is less
    maximum_bps: float = NO_CAP_BPS  # most an order pays, basis points of traded value
    impact_bps: float = 0.0  # basis points paid by an order worth `impact_at`
    impact_at: float = 1.0  # USD
    square_root: float = 0.0  # 1: impact in bps grows with the root of the order's value; 0: in proportion to it


class Rules(NamedTuple):
    """How orders are handled, in the ledger's units."""

    delay: int
    patience: int
    volume_share: float  # zero: no cap
    smallest_order: int  # cents


class Plan(NamedTuple):
    """What the ledger is given."""

    fill_price: FloatArray  # shape (T, N), NaN: cannot trade; a price only where `close` has one
    close: FloatArray  # shape (T, N), NaN: no bar
    volume: FloatArray  # shape (T, N); not read if there is no cap
    decision: IntArray  # shape (T,), the row of `weights` decided at that close, -1: none
    weights: FloatArray  # shape (D, M), finite
    column: PlaceArray  # shape (M,), the market's column of each of `weights`; a name without one is not wanted
    terms: FloatArray  # shape (n_costs, n_coefficients), see `CostTerms`


class Book(NamedTuple):
    """What is known of each name, shape (N,) each; all but `quantity` only as far as it was needed."""

    quantity: IntArray  # millionths of a share
    mark: FloatArray  # last close known by session `marked`, NaN if there was none yet
    marked: IntArray  # session, -1: never looked at
    missing: IntArray  # sessions without a bar, counted while the name is held
    held: PlaceArray  # names held, ascending; the first `holding[0]` are meant
    holding: PlaceArray


class Desk(NamedTuple):
    """Working room for a session's orders."""

    names: PlaceArray  # shape (N,), names under consideration
    order: IntArray  # shape (N,), millionths of a share asked for
    opening: IntArray  # shape (N,), the part of a buy beyond covering a short: the part cash may cut
    target: IntArray  # shape (delay + 1, N), millionths of a share, of decisions not traded yet
    rate: FloatArray  # shape (n_costs,), basis points of a part that charges nothing else; -1: see `charge`


class Tape(NamedTuple):
    """What is written down."""

    written: IntArray  # how many rows of `trades` and of `refused`
    trades: NDArray[np.void]  # rows of `TRADE`, session by session, as many a session as `days` says
    trade_cost: IntArray  # shape (rows of trades, n_costs), cents
    refused: NDArray[np.int32]  # rows of session, name, reason
    days: NDArray[np.void]  # T rows of `DAY`, cents
    day_cost: IntArray  # shape (T, n_costs), cents


# Nothing is allocated in here, so no array is counted in and out of each call: that was half of the time.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
# Called from compiled code alone, so no door from Python is compiled for them.
inner: Any = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)
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
def _fees(quantity, value, row, terms, desk, tape):  # type: ignore[no-untyped-def]
    """Costs of one order by part, written to its `row`; returns their sum."""
    total = np.int64(0)
    for part in range(terms.shape[0]):
        fee = 0.0
        if desk.rate[part] >= 0.0:
            # What `charge` comes to, bit for bit, where all its other terms are zero.
            fee = np.rint(float(abs(value)) * desk.rate[part] / 1e4)
        elif quantity != 0:
            given = CostTerms(
                terms[part, 0], terms[part, 1], terms[part, 2], terms[part, 3], terms[part, 4], terms[part, 5],
                terms[part, 6],
            )  # fmt: skip
            fee = np.rint(_charge(given, float(abs(quantity)), float(abs(value))))
        cents = np.int64(fee)
        tape.trade_cost[row, part] = cents
        total += cents
    return total


@inner
def _set_rates(terms, desk):  # type: ignore[no-untyped-def]
    for part in range(terms.shape[0]):
        alone = terms[part, 0] == 0.0 and terms[part, 2] == 0.0 and terms[part, 4] == 0.0
        desk.rate[part] = terms[part, 1] if alone and terms[part, 1] <= terms[part, 3] else -1.0


@inner
def _price_openings(n, scale, terms, desk, tape):  # type: ignore[no-untyped-def]
    """Orders that open something at `scale` millionths of that; returns (spent on them, of it on the opening)."""
    spent = opening_spent = np.int64(0)
    first = tape.written[0]
    for k in range(_where_not_zero(desk.opening[:n], desk.names)):
        j = desk.names[k]
        opening = desk.opening[j]
        # floor(opening x scale / 1e6) without the product leaving int64
        cut = (opening // WHOLE) * scale + (opening % WHOLE) * scale // WHOLE
        quantity = desk.order[j] - opening + cut
        price = tape.trades[first + j].price
        value = _cents(quantity, price)
        total = _fees(quantity, value, first + j, terms, desk, tape)
        tape.trades[first + j].quantity = quantity
        tape.trades[first + j].value = value
        tape.trades[first + j].reason = CUT_TO_CASH
        spent += value + total
        if cut > 0:
            opening_spent += (value if cut == quantity else _cents(cut, price)) + total
    return spent, opening_spent


@inner
def _scale_to_cash(n, sums, cash, terms, desk, tape):  # type: ignore[no-untyped-def]
    """Shrink opening buys, all by one factor, until cash stays at zero or above; returns cash after the orders.

    Where a least fee keeps that from being reached in `MAX_ROUNDS` - 1 tries, nothing is opened at all.
    Sales and the covering of shorts are never shrunk: they alone may leave cash below zero, by their costs or a loss.
    """
    others, spent, opening_spent = sums
    scale = np.int64(WHOLE)
    for round_ in range(MAX_ROUNDS):
        if round_ > 0:
            spent, opening_spent = _price_openings(n, scale, terms, desk, tape)
        short = others + spent - cash
        if short <= 0 or opening_spent == 0 or scale == 0:
            break
        # A cent of slack for each order covers their rounding, so that two rounds are the rule.
        room = max(opening_spent - short - n, 0)
        scale = min(scale - 1, scale * room // opening_spent)
        if round_ == MAX_ROUNDS - 2:
            scale = np.int64(0)
    return cash - others - spent


@inner
def _write_trades(n, t, book, tape):  # type: ignore[no-untyped-def]
    """Keep the orders that came to something, and book them."""
    first = tape.written[0]
    row = first
    for j in range(first, first + n):
        quantity = tape.trades[j].quantity
        if quantity == 0:
            continue
        if row < j:
            tape.trades[row] = tape.trades[j]
        name = np.uint64(tape.trades[row].name)
        book.quantity[name] += quantity
        book.missing[name] = 0  # there was a bar to fill at, or nothing is left to be missed
        tape.days[t].traded += abs(tape.trades[row].value)
        for part in range(tape.trade_cost.shape[1]):
            tape.trade_cost[row, part] = tape.trade_cost[j, part]
            tape.day_cost[t, part] += tape.trade_cost[row, part]
        row += 1
    tape.days[t].trades = row - first
    tape.written[0] = row


@inner
def _refuse(tape, t, name, why):  # type: ignore[no-untyped-def]
    row = tape.written[1]
    tape.written[1] += 1
    tape.refused[row, 0] = t
    tape.refused[row, 1] = name
    tape.refused[row, 2] = why


@inner
def _put(n, name, order, value, held, price, reason, sums, terms, desk, tape):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Write one order down as if cash were no bound; returns `sums` with its value and costs."""
    row = tape.written[0] + n
    opening = max(order - max(-held, 0), 0)
    tape.trades[row].name = name
    tape.trades[row].reason = reason
    tape.trades[row].quantity = order
    tape.trades[row].value = value
    tape.trades[row].price = price
    desk.order[n] = order
    desk.opening[n] = opening
    total = _fees(order, value, row, terms, desk, tape)
    opened = _cents(opening, price) if opening < order else value
    return _added(sums, opening > 0, value + total, opened + total)


@inner
def _added(sums, opens, outlay, opened):  # type: ignore[no-untyped-def]
    """No branch: which of the two a name comes to cannot be guessed, and a wrong guess costs more than the sum."""
    others, spent, opening_spent = sums
    return others + (0 if opens else outlay), spent + (outlay if opens else 0), opening_spent + (opened if opens else 0)


@inner
def _collect(plan, target, t, book, rules, desk, tape):  # type: ignore[no-untyped-def]
    """Orders that lead from what is held to `target`; what cannot trade is refused and forgotten."""
    n, sums = np.int64(0), (np.int64(0), np.int64(0), np.int64(0))
    for k in range(_where_different(target, book.quantity, desk.names)):
        i = desk.names[k]
        held = book.quantity[i]
        order, price = target[i] - held, plan.fill_price[t, i]
        if np.isnan(price):
            _refuse(tape, t, i, NO_BAR)
            continue
        reason = TARGET
        if rules.volume_share > 0.0 and not np.isnan(plan.volume[t, i]):
            most = np.int64(min(plan.volume[t, i] * rules.volume_share * 1e6, float(MAX_MICRO_SHARES)))
            if abs(order) > most:
                order, reason = (most if order > 0 else -most), CUT_TO_VOLUME
        if order == 0:
            _refuse(tape, t, i, NO_VOLUME)
            continue
        value = _cents(order, price)
        if held + order != 0 and abs(value) < rules.smallest_order:
            continue
        sums = _put(n, i, order, value, held, price, reason, sums, plan.terms, desk, tape)
        n += 1
    return n, sums


@inner
def _where_different(left, right, found):  # type: ignore[no-untyped-def]
    """Places at which two rows differ, ascending, into `found`; returns how many. No branch to guess wrongly."""
    n = np.uint64(0)
    for i in range(len(left)):
        found[n] = i
        n += np.uint64(left[i] != right[i])
    return n


@inner
def _where_not_zero(row, found):  # type: ignore[no-untyped-def]
    n = np.uint64(0)
    for i in range(len(row)):
        found[n] = i
        n += np.uint64(row[i] != 0)
    return n


@inner
def _any_open(close, t):  # type: ignore[no-untyped-def]
    for price in close[t]:  # noqa: SIM110, compiled
        if not np.isnan(price):
            return True
    return False


@inner
def _add_delisted(plan, t, n, sums, book, rules, desk, tape):  # type: ignore[no-untyped-def]
    """Count sessions without a bar while others trade; positions past `patience` are sold at the last close."""
    for k in range(book.holding[0]):
        i = book.held[k]
        if not np.isnan(plan.close[t, i]):
            book.missing[i] = 0
            continue
        book.missing[i] += _any_open(plan.close, t)
        if book.missing[i] >= rules.patience:
            held = book.quantity[i]
            value = _cents(-held, book.mark[i])
            sums = _put(n, i, -held, value, held, book.mark[i], DELISTED, sums, plan.terms, desk, tape)
            n += 1
    return n, sums


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
def _value(close, t, book):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for k in range(book.holding[0]):
        i = book.held[k]
        total += _cents(book.quantity[i], _mark(close, t, i, book))
    return total


@inner
def _size(plan, equity, t, target, book, desk, tape):  # type: ignore[no-untyped-def]
    """Quantities for the weights of `equity` at the closes known; an equity of zero or less closes everything."""
    target[:] = 0
    if equity <= 0:
        return
    weights = plan.weights[plan.decision[t]]
    for k in range(_where_not_zero(weights, desk.names)):
        j = desk.names[k]
        i = plan.column[j]
        mark = _mark(plan.close, t, i, book)
        if np.isnan(mark):
            _refuse(tape, t, i, NO_PRICE_YET)  # without a price so far nothing can be held either
        else:
            shares = weights[j] * equity * 1e4 / mark
            target[i] = np.int64(np.rint(min(max(shares, -MAX_MICRO_SHARES), MAX_MICRO_SHARES)))


@compiled
def run_ledger(plan, cash, rules, book, desk, tape):  # type: ignore[no-untyped-def]
    """Run all sessions from `cash` cents; returns the session at which equity left +-`MAX_CENTS`, or -1.

    A book with nothing held, a desk and a tape are changed in place; the other arguments are as their types say.
    """
    slots = rules.delay + 1
    _set_rates(plan.terms, desk)
    for t in range(plan.close.shape[0]):
        slot, n, sums = t % slots, np.int64(0), (np.int64(0), np.int64(0), np.int64(0))
        if t >= slots and plan.decision[t - slots] >= 0:
            n, sums = _collect(plan, desk.target[slot], t, book, rules, desk, tape)
        n, sums = _add_delisted(plan, t, n, sums, book, rules, desk, tape)
        if n > 0:
            cash = _scale_to_cash(n, sums, cash, plan.terms, desk, tape)
            _write_trades(n, t, book, tape)
            book.holding[0] = _where_not_zero(book.quantity, book.held)
        equity = cash + _value(plan.close, t, book)
        tape.days[t].cash = cash
        tape.days[t].equity = equity
        if abs(equity) > MAX_CENTS:
            return t
        if plan.decision[t] >= 0:
            _size(plan, equity, t, desk.target[slot], book, desk, tape)
    return -1
