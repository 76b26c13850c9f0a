"""The compiled loop from trades and quotes in order to what each second says beside its prices."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from project01.domain import FloatArray

# Kinds of tick, in the order in which those of one instant are taken: a trade meets the quote that stood before it.
TRADE, QUOTE = 0, 1
# Places in what is found for each second: signed volume, best prices and sizes at its end, quotes, net change of depth.
SIGNED, BID, ASK, BID_SIZE, ASK_SIZE, QUOTES, IMBALANCE = range(7)
FOUND = 7

_Function = TypeVar("_Function", bound=Callable[..., Any])
compiled: Callable[[_Function], _Function] = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def _best(prices: FloatArray, sizes: FloatArray, sign: float, out: FloatArray) -> None:
    """Into `out`, the highest price times `sign`, and the size all exchanges show there; NaN if none shows any."""
    out[0] = out[1] = np.nan
    for exchange in range(len(prices)):
        price = prices[exchange]
        if np.isnan(price):
            continue
        if np.isnan(out[0]) or price * sign > out[0] * sign:
            out[0], out[1] = price, sizes[exchange]
        elif price == out[0]:
            out[1] += sizes[exchange]


@compiled
def _flow(before: FloatArray, after: FloatArray) -> float:
    """Change of the depth at the best prices by one quote, equation (2) of Cont, Kukanov and Stoikov (2014).

    Both are bid, bid size, ask, ask size.
    """
    change = 0.0
    if after[0] >= before[0]:
        change += after[1]
    if after[0] <= before[0]:
        change -= before[1]
    if after[2] <= before[2]:
        change -= after[3]
    if after[2] >= before[2]:
        change += before[3]
    return change


@compiled
def _write(book: FloatArray, side: int, exchange: int, price: float, size: float) -> None:
    """Put one exchange's quote of a side into the book; a price or size that is not positive takes it out."""
    shown = price > 0.0 and size > 0.0
    book[side, 0, exchange] = price if shown else np.nan
    book[side, 1, exchange] = size if shown else np.nan


@compiled
def _withdraw(prices: FloatArray, sign: float, price: float) -> bool:
    """Take out the quotes of one side that a newer one of the other side reaches; whether there were any.

    No exchange may show a price that locks or crosses another's, so the older one has gone: feeds that keep only quotes
    at the national best do not say when an exchange leaves it.
    """
    gone = False
    for exchange in range(len(prices)):
        if prices[exchange] * sign <= price * sign:
            prices[exchange] = np.nan
            gone = True
    return gone


@compiled
def _sign(price: float, best: FloatArray, direction: float) -> float:
    """1 for a trade begun by the buyer, -1 by the seller, 0 if it cannot be said (Lee and Ready, 1991).

    `direction` is that of the last change of price; it decides at the mid and where no quote stands.
    """
    mid = 0.5 * (best[0] + best[2])
    if best[0] <= best[2] and price != mid:
        return 1.0 if price > mid else -1.0
    return direction


@compiled
def seconds_of(
    day: NDArray[np.int64],
    second: NDArray[np.int64],
    kind: NDArray[np.int64],
    one: FloatArray,
    other: FloatArray,
    exchanges: int,
) -> FloatArray:
    """What the ticks of each second say.

    Args:
        day: shape (n_ticks,), number of symbol and day; a new one begins with an empty book and no price before.
        second: shape (n_ticks,), number of the second the tick belongs to, ascending from 0.
        kind: shape (n_ticks,), TRADE or QUOTE.
        one: shape (n_ticks, 3). A trade's price, its size, and 1 if it may set prices, else 0. A quote's bid, bid size,
            and number of the bid's exchange; NaN where the side was not sent.
        other: shape (n_ticks, 3). A quote's ask, ask size and exchange.
        exchanges: how many there are.
    Returns:
        Shape (n_seconds, FOUND).

    A quote of one side is that of its exchange; one of both sides is the best of all exchanges and replaces the book.
    """
    out = np.zeros((second[-1] + 1 if len(second) else 0, FOUND))
    book = np.full((2, 2, max(exchanges, 1)), np.nan)
    best, before = np.full(4, np.nan), np.full(4, np.nan)
    last, direction = np.nan, 0.0
    for tick in range(len(second)):
        if tick == 0 or day[tick] != day[tick - 1]:
            book[:] = np.nan
            best[:] = np.nan
            last, direction = np.nan, 0.0
        row = out[second[tick]]
        if kind[tick] == TRADE:
            price = one[tick, 0]
            if one[tick, 2] > 0.0:
                if price != last and not np.isnan(last):
                    direction = 1.0 if price > last else -1.0
                row[SIGNED] += one[tick, 1] * _sign(price, best, direction)
                last = price
        else:
            before[:] = best
            if not (np.isnan(one[tick, 0]) or np.isnan(other[tick, 0])):
                book[:] = np.nan
            for side in range(2):
                quote = one[tick] if side == 0 else other[tick]
                if np.isnan(quote[0]):
                    continue
                _write(book, side, int(quote[2]), quote[0], quote[1])
                sign = 1.0 - 2.0 * side
                _best(book[side, 0], book[side, 1], sign, best[2 * side : 2 * side + 2])
                away = 1 - side
                if np.isnan(one[tick, 0] + other[tick, 0]) and _withdraw(book[away, 0], sign, best[2 * side]):
                    _best(book[away, 0], book[away, 1], -sign, best[2 * away : 2 * away + 2])
            row[QUOTES] += 1.0
            if not (np.isnan(before[0] + before[2]) or np.isnan(best[0] + best[2])):
                row[IMBALANCE] += _flow(before, best)
        row[BID], row[BID_SIZE] = best[0], best[1]
        row[ASK], row[ASK_SIZE] = best[2], best[3]
    return out
