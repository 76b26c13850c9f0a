"""The bare ledgers that `backtest.py` measures against: weights to shares to cash in floats, and nothing else.

No cents, no missing bars, no cuts to the cash at hand, no trades written down, no refusals, no delistings; equity by
session is all they give. They fill at the session after the decision, at the fill price, and pay `rate` of the value.
"""

import numba
import numpy as np

from project01.domain import FloatArray


@numba.njit(nogil=True, error_model="numpy")
def numba_ledger(fill: FloatArray, close: FloatArray, weights: FloatArray, cash: float, rate: float) -> FloatArray:
    """Equity, shape (T,); inputs have shape (T, N). One pass over the sessions."""
    sessions, names = close.shape
    held, target, equity = np.zeros(names), np.zeros(names), np.empty(sessions)
    for t in range(sessions):
        for i in range(names):
            value = (target[i] - held[i]) * fill[t, i]
            cash -= value + abs(value) * rate
            held[i] = target[i]
        total = cash
        for i in range(names):
            total += held[i] * close[t, i]
        equity[t] = total
        for i in range(names):
            target[i] = weights[t, i] * total / close[t, i]
    return equity


def numpy_ledger(fill: FloatArray, close: FloatArray, weights: FloatArray, cash: float, rate: float) -> FloatArray:
    """The same, a few whole-row operations a session."""
    sessions, names = close.shape
    held, target, equity = np.zeros(names), np.zeros(names), np.empty(sessions)
    for t in range(sessions):
        value = (target - held) * fill[t]
        cash -= value.sum() + np.abs(value).sum() * rate
        held = target
        equity[t] = total = cash + held @ close[t]
        target = weights[t] * total / close[t]
    return equity


def numpy_product(close: FloatArray, weights: FloatArray) -> FloatArray:
    """Weights times returns, shape (T - 1,): no fills, no cash and no costs either; the least there is."""
    returns = close[1:] / close[:-1] - 1.0
    return np.asarray(np.cumprod(1.0 + (weights[:-1] * returns).sum(axis=1)))
