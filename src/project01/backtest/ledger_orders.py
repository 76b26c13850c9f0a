"""A session's orders in the compiled ledger: asked for, priced, charged, cut to the cash at hand, and booked.

They stand side by side in the desk's rows, from `first` to `end`: those that open something up to the middle of the
rows, which alone cash may cut, and all others from it on.
"""

import numpy as np

from project01.backtest.ledger_tables import (
    CUT_TO_CASH,
    CUT_TO_VOLUME,
    MAX_MICRO_SHARES,
    MAX_ROUNDS,
    NO_BAR,
    NO_VOLUME,
    TARGET,
    WHOLE,
    CostTerms,
    any_order,
    inner,
)


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
def cents(micro_shares, price):  # type: ignore[no-untyped-def]
    """Value of millionths of a share at a price in USD, rounded half to even."""
    return np.rint(micro_shares * price / 1e4)


@any_order
def sum_of(row):  # type: ignore[no-untyped-def]
    """Sum of whole numbers."""
    total = 0.0
    for k in range(len(row)):
        total += row[k]
    return total


@any_order
def gross_of(row):  # type: ignore[no-untyped-def]
    """Sum of the absolute values of whole numbers."""
    total = 0.0
    for k in range(len(row)):
        total += abs(row[k])
    return total


@inner
def set_values(quantity, price, value):  # type: ignore[no-untyped-def]
    """`cents` of each row, into `value`."""
    for k in range(len(value)):
        value[k] = cents(quantity[k], price[k])


@inner
def set_rates(terms, desk):  # type: ignore[no-untyped-def]
    """Find the parts that charge basis points of value and nothing else."""
    for part in range(terms.shape[0]):
        alone = terms[part, 0] == 0.0 and terms[part, 2] == 0.0 and terms[part, 4] == 0.0
        desk.rate[part] = terms[part, 1] if alone and terms[part, 1] <= terms[part, 3] else -1.0


@inner
def _charge_part(part, quantity, value, terms, rate, cost):  # type: ignore[no-untyped-def]
    if rate >= 0.0:
        # What `charge` comes to, bit for bit, where all its other terms are zero.
        for k in range(len(cost)):
            cost[k] = np.rint(abs(value[k]) * rate / 1e4)
        return
    given = CostTerms(
        terms[part, 0], terms[part, 1], terms[part, 2], terms[part, 3], terms[part, 4], terms[part, 5], terms[part, 6]
    )
    for k in range(len(cost)):
        cost[k] = np.rint(_charge(given, abs(quantity[k]), abs(value[k])))


@inner
def _charge_orders(begin, end, terms, desk):  # type: ignore[no-untyped-def]
    """Costs and outlays of the orders at these places."""
    quantity, value, outlay = desk.quantity[begin:end], desk.value[begin:end], desk.outlay[begin:end]
    for k in range(len(outlay)):
        outlay[k] = value[k]
    for part in range(terms.shape[0]):
        cost = desk.cost[part][begin:end]
        _charge_part(part, quantity, value, terms, desk.rate[part], cost)
        for k in range(len(cost)):
            outlay[k] += cost[k]


@inner
def _cut_openings(first, middle, scale, desk):  # type: ignore[no-untyped-def]
    """Quantities with openings at `scale` millionths, floor(opening x scale / 1e6), every step of it below 2**53."""
    order, after, quantity = desk.order[first:middle], desk.after[first:middle], desk.quantity[first:middle]
    for k in range(len(quantity)):
        # A buy of what was short, cut to volume, may open nothing.
        opening = max(min(order[k], after[k]), 0.0)
        millions = np.floor(opening / 1e6)
        rest = np.floor((opening - millions * 1e6) * scale / 1e6)
        quantity[k] = order[k] - opening + (millions * scale + rest)
    set_values(quantity, desk.price[first:middle], desk.value[first:middle])


@inner
def _spent_on_openings(first, middle, desk):  # type: ignore[no-untyped-def]
    """Value of what is opened, and the costs of those orders; not of what a buy covers."""
    spent = 0.0
    for k in range(first, middle):
        opened = desk.quantity[k] - max(desk.order[k] - desk.after[k], 0.0)
        if opened > 0.0:
            spent += cents(opened, desk.price[k]) + (desk.outlay[k] - desk.value[k])
    return spent


@inner
def _scale_to_cash(first, end, cash, terms, desk):  # type: ignore[no-untyped-def]
    """Shrink opening buys, all by one factor, until cash stays at zero or above; returns cash after the orders.

    Where a least fee keeps that from being reached in `MAX_ROUNDS` - 1 tries, nothing is opened at all.
    Sales and the covering of shorts are never shrunk: they alone may leave cash below zero, by their costs or a loss.
    """
    middle, last, n = middle_of(desk), end, float(end - first)
    others = spent = 0.0
    scale = np.int64(WHOLE)
    covering = False
    for k in range(first, middle):
        covering |= desk.after[k] < desk.order[k]
    for round_ in range(MAX_ROUNDS):
        if round_ > 0:
            _cut_openings(first, middle, float(scale), desk)
        _charge_orders(first, last, terms, desk)
        if round_ == 0:
            others, last = sum_of(desk.outlay[middle:end]), middle
        spent = sum_of(desk.outlay[first:middle])
        opening_spent = _spent_on_openings(first, middle, desk) if covering else spent
        short = others + spent - cash
        if short <= 0.0 or opening_spent == 0.0 or scale == 0:
            break
        # A cent of slack for each order covers their rounding, so that two rounds are the rule.
        room = np.int64(max(opening_spent - short - n, 0.0))
        scale = min(scale - 1, scale * room // np.int64(opening_spent))
        if round_ == MAX_ROUNDS - 2:
            scale = np.int64(0)
    if scale < WHOLE:
        for k in range(first, middle):
            desk.reason[k] = CUT_TO_CASH if desk.after[k] > 0.0 else desk.reason[k]
    return cash - others - spent


@inner
def middle_of(desk):  # type: ignore[no-untyped-def]
    """Where orders that open something end, and all others begin."""
    return np.uint64(len(desk.name) // 2)


@inner
def refuse(tape, t, name, why):  # type: ignore[no-untyped-def]
    """Write down why a name could not be traded, or sized, in session `t`."""
    row = tape.written[1]
    tape.written[1] += 1
    tape.refused[row, 0] = t
    tape.refused[row, 1] = name
    tape.refused[row, 2] = why


@inner
def put_order(place, name, order, after, price, reason, desk):  # type: ignore[no-untyped-def]
    """Write one order to its place in the desk."""
    desk.name[place] = name
    desk.order[place] = order
    desk.after[place] = after
    desk.price[place] = price
    desk.reason[place] = reason


@inner
def _collect(slot, book, desk):  # type: ignore[no-untyped-def]
    """Orders that lead from what is held to the targets; returns where they begin and end.

    There is no branch on what a name comes to, since it cannot be guessed, and a wrong guess costs more than a store:
    an order of nothing is written where the next one goes.
    """
    wanted, target, wants = desk.wanted[slot], desk.target[slot], desk.wants[slot]
    first, one = middle_of(desk), np.uint64(1)
    end = first
    for k in range(wants):
        i, after = wanted[k], target[k]
        order = after - book.quantity[i]
        opens = (order > 0.0) & (after > 0.0)
        place = first - one if opens else end
        desk.want[i] = after
        desk.name[place], desk.order[place], desk.after[place] = i, order, after
        first -= np.uint64(opens)
        end += np.uint64((order != 0.0) & (not opens))
    for k in range(book.holding[0]):
        i = book.held[k]
        desk.name[end], desk.order[end], desk.after[end] = i, -book.quantity[i], 0.0
        end += np.uint64(desk.want[i] == 0.0)
    return first, end


@inner
def _price_orders(begin, end, prices, desk):  # type: ignore[no-untyped-def]
    for k in range(begin, end):
        desk.price[k] = prices[desk.name[k]]
        desk.reason[k] = TARGET


@inner
def _cut_to_volume(begin, end, volume, share, book, desk):  # type: ignore[no-untyped-def]
    for k in range(begin, end):
        i = desk.name[k]
        if np.isnan(volume[i]):
            continue
        most = np.floor(min(volume[i] * share * 1e6, MAX_MICRO_SHARES))
        if abs(desk.order[k]) > most:
            desk.order[k] = most if desk.order[k] > 0.0 else -most
            desk.after[k] = book.quantity[i] + desk.order[k]
            desk.reason[k] = CUT_TO_VOLUME


@inner
def _value_orders(begin, end, smallest, desk):  # type: ignore[no-untyped-def]
    """Values of the orders at these places; returns how many cannot be sent, see `_is_sent`."""
    order, after, price = desk.order[begin:end], desk.after[begin:end], desk.price[begin:end]
    quantity, value = desk.quantity[begin:end], desk.value[begin:end]
    for k in range(len(order)):
        quantity[k] = order[k]
    set_values(order, price, value)
    unsent = 0
    for k in range(len(order)):
        small = (after[k] != 0.0) & (abs(value[k]) < smallest)
        unsent += np.isnan(value[k]) | (order[k] == 0.0) | small
    return unsent


@inner
def _is_sent(k, smallest, t, desk, tape):  # type: ignore[no-untyped-def]
    """What cannot trade is refused and forgotten; what is worth less than `smallest` cents waits, unless it closes."""
    if np.isnan(desk.price[k]):
        refuse(tape, t, desk.name[k], NO_BAR)
        return False
    if desk.order[k] == 0.0:
        refuse(tape, t, desk.name[k], NO_VOLUME)
        return False
    return desk.after[k] == 0.0 or abs(desk.value[k]) >= smallest


@inner
def _move(k, place, desk):  # type: ignore[no-untyped-def]
    put_order(place, desk.name[k], desk.order[k], desk.after[k], desk.price[k], desk.reason[k], desk)


@inner
def _keep_sent(first, end, smallest, t, desk, tape):  # type: ignore[no-untyped-def]
    """Close the gaps that unsent orders leave; returns where the orders begin and end."""
    middle, one = middle_of(desk), np.uint64(1)
    begin, stop = middle, middle
    for back in range(middle - first):
        opening = middle - one - back
        if _is_sent(opening, smallest, t, desk, tape):
            begin -= one
            _move(opening, begin, desk)
    for k in range(middle, end):
        if _is_sent(k, smallest, t, desk, tape):
            _move(k, stop, desk)
            stop += one
    return begin, stop


@inner
def send_orders(plan, slot, t, book, rules, desk, tape):  # type: ignore[no-untyped-def]
    """Orders for the targets of this slot, priced; returns where they begin and end."""
    first, end = _collect(slot, book, desk)
    _price_orders(first, end, plan.fill_price[t], desk)
    if rules.volume_share > 0.0:
        _cut_to_volume(first, end, plan.volume[t], rules.volume_share, book, desk)
    # Where some are not sent, those that are have to be valued again, at their new places.
    while _value_orders(first, end, rules.smallest_order, desk) > 0:
        first, end = _keep_sent(first, end, rules.smallest_order, t, desk, tape)
    return first, end


@inner
def _book_orders(begin, end, book, desk, tape):  # type: ignore[no-untyped-def]
    """Book the orders at these places and keep those that came to something."""
    row = np.uint64(tape.written[0])
    for k in range(begin, end):
        name, quantity = desk.name[k], desk.quantity[k]
        book.quantity[name] += quantity
        tape.name[row] = name
        tape.reason[row] = desk.reason[k]
        tape.quantity[row] = quantity
        tape.price[row] = desk.price[k]
        row += np.uint64(quantity != 0.0)
    if book.holding[1]:
        for k in range(begin, end):
            book.missing[desk.name[k]] = 0  # there was a bar to fill at, or nothing is left to be missed
    tape.written[0] = row


@inner
def settle_orders(first, end, t, cash, plan, book, desk, tape):  # type: ignore[no-untyped-def]
    """Trade these orders as far as cash allows; returns (cash after them, their gross value)."""
    if first == end:
        return cash, 0.0
    cash = _scale_to_cash(first, end, cash, plan.terms, desk)
    written = tape.written[0]
    _book_orders(first, end, book, desk, tape)
    for part in range(tape.day_cost.shape[1]):
        tape.day_cost[t, part] = np.int64(sum_of(desk.cost[part][first:end]))
    traded = gross_of(desk.value[first:end])
    tape.days[t].traded = np.int64(traded)
    tape.days[t].trades = tape.written[0] - written
    return cash, traded
