"""Books fitted into their limits, and what gives way when no book keeps them all."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from project01.backtest.limits import Limits, Region, region_of
from project01.backtest.quadratic import Objective, best_book
from project01.backtest.view import Decision, View
from project01.domain import FloatArray

TURNOVER = "the turnover limit was relaxed, as no book was found within all limits"
CASH = "the book stayed partly in cash, as its limits left no room for all of it"
KEPT = "no book was found within the limits, and what was held stayed"


def nearest_book(wanted: FloatArray, limits: Limits, view: View, left_out: int = 0) -> Decision:
    """The book within `limits` that is nearest to `wanted` in squared weights.

    A name that `wanted` leaves out may be kept for want of turnover but never grows. What the position caps cut off
    goes in equal parts to the names below theirs, and stays in cash if all are at their caps.

    Args:
        wanted: shape (N,), zero for names not wanted.
        limits: what to keep within.
        view: the close.
        left_out: as in `Decision`.
    """
    may = view.scored & ((wanted != 0) | (view.held != 0))
    names = np.flatnonzero(may).astype(np.int64)
    if not names.size:
        return Decision(None)
    aim = wanted[names]
    objective = Objective(np.ones(len(names)), aim)

    def room(most: Limits, net: float | None) -> Region:
        return region_of(most, view, names, aim, net)

    if room(limits, None).holds(aim):
        return Decision(wanted, "", left_out)
    return _fitted(objective, room, limits, view, names, left_out)


def optimal_book(
    objective: Objective, limits: Limits, view: View, names: NDArray[np.int64], left_out: int = 0
) -> Decision:
    """The book of `names` within `limits` that minimises `objective`.

    Args:
        objective: over `names`.
        limits: what to keep within.
        view: the close.
        names: positions that may be held; what is held of others is sold.
        left_out: as in `Decision`.
    """

    def room(most: Limits, net: float | None) -> Region:
        return region_of(most, view, names, None, net)

    return _fitted(objective, room, limits, view, names, left_out)


def _fitted(
    objective: Objective,
    room: Callable[[Limits, float | None], Region],
    limits: Limits,
    view: View,
    names: NDArray[np.int64],
    left_out: int,
) -> Decision:
    """All limits; else without that of turnover; else with as much in cash as it takes; else no decision."""

    def decided(found: FloatArray, remark: str) -> Decision:
        weights = np.zeros(len(view.held))
        weights[names] = found
        return Decision(weights, remark, left_out)

    found = best_book(objective, room(limits, None))
    if found is not None:
        return decided(found, "")
    free = replace(limits, most_turnover=None)
    if limits.most_turnover is not None:
        found = best_book(objective, room(free, None))
        if found is not None:
            return decided(found, TURNOVER)
    if limits.long_only:
        full, ones = room(free, None), np.ones(len(names))
        up_to = replace(
            full, net=None, rows=np.vstack([full.rows, ones]), most=np.append(full.most, limits.gross)
        )  # fmt: skip
        largest = best_book(Objective(0.0 * ones, ones), up_to)
        total = 0.0 if largest is None else float(largest.sum()) * (1 - 1e-7)
        found = best_book(objective, room(free, total)) if total > 0 else None
        if found is not None:
            return decided(found, CASH)
    return Decision(None, KEPT, left_out)
