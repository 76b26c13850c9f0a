"""Rows of the order ledger's arrays; their fields are part of its compiled signature."""

import numpy as np


def _rows(whole: str, real: str = "") -> np.dtype[np.void]:
    fields = [(name, "i8") for name in whole.split()] + [(name, "f8") for name in real.split()]
    return np.dtype(fields, align=True)


HELD = _rows("quantity missing taken bought sold gone", "mark")
ORDERS = _rows("decided name quantity remaining kind expires cancel_rest why alive", "limit")
FILLS = _rows("bar name order wanted opening quantity value reason", "price")
ENDS = _rows("bar order name remaining why")
BARS = _rows("equity cash settled receivable long short traded dividends borrow interest in_lieu called")
STATE = _rows("settled unsettled receivable called keep live next_order orders day fills ends stopped")
RULES = _rows("kind settlement_days initial_bps long_bps short_bps patience", "credit_bps debit_bps silent_return")
