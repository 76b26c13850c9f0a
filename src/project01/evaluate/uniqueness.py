"""How much of a label is its own: labels whose windows overlap tell the same returns more than once."""

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError


def average_uniqueness(start: NDArray[np.int64], end: NDArray[np.int64], symbol: NDArray[np.int64]) -> FloatArray:
    """Mean over a label's sessions of one over the number of the symbol's labels that use the session.

    A label made at session s and known at session e uses the returns of s + 1 to e.

    Args:
        start: shape (n_rows,), session number of each row's as_of.
        end: shape (n_rows,), session number when its label was known, after `start`.
        symbol: shape (n_rows,), any number for each symbol; only labels of the same one are compared.
    Returns:
        Shape (n_rows,), in (0, 1]; 1 is a label that shares nothing. Found in one pass over the rows and one over
        the sessions of each symbol.
    Raises:
        InputError: a label ends where it starts, or before.
    Source:
        López de Prado, Advances in Financial Machine Learning, 2018, sections 4.3 and 4.4.
    """
    if not len(start):
        return np.zeros(0)
    if not bool((end > start).all()):
        raise InputError("A label is known at its own as_of, or before; expected at least one session later.")
    number = np.unique(symbol, return_inverse=True)[1]
    first = int(start.min())
    width = int(end.max()) - first + 1
    opens = number * width + (start - first) + 1
    closes = number * width + (end - first) + 1
    size = (int(number.max()) + 1) * width + 1
    concurrent = np.cumsum(np.bincount(opens, minlength=size) - np.bincount(closes, minlength=size))
    share = np.divide(1.0, concurrent, out=np.zeros(size), where=concurrent > 0)
    before = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray((before[closes] - before[opens]) / (end - start))


def uniqueness_weights(start: NDArray[np.int64], end: NDArray[np.int64], symbol: NDArray[np.int64]) -> FloatArray:
    """Sample weights in proportion to `average_uniqueness`, mean 1; arguments and errors as there.

    Labels of one horizon that start at every session all share alike, so their weights differ only beside gaps and at
    the ends; weights matter where horizons differ or sessions are missing.
    """
    unique = average_uniqueness(start, end, symbol)
    return unique / unique.mean() if len(unique) else unique
