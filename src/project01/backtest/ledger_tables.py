"""What the compiled ledger reads and writes, and how its parts are compiled.

The ledger's cache is renewed when this file, `ledger_orders` or `ledger` changes; see there.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
PlaceArray = NDArray[np.uint64]  # unsigned, so that compiled code need not look for a place counted from the end

# Cash and equity up to 9e12 cents, and trades of a session or positions up to 1,000 times that, stay below 2**53.
MAX_CENTS = 9_000_000_000_000
MAX_GROSS_CENTS = 1_000 * MAX_CENTS
MAX_MICRO_SHARES = 4e15
WHOLE = 1_000_000  # scale of buys in millionths: all of it
MAX_ROUNDS = 64
NO_CAP_BPS = 1e12

TARGET, CUT_TO_VOLUME, CUT_TO_CASH, DELISTED = (np.int8(code) for code in range(4))
NO_BAR, NO_PRICE_YET, NO_VOLUME = (np.int64(code) for code in range(3))

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
    weight_bits: IntArray  # shape (D, M), the same memory read as integers
    column: PlaceArray  # shape (M,), the market's column of each of `weights`; a name without one is not wanted
    terms: FloatArray  # shape (n_costs, n_coefficients), see `CostTerms`


class Book(NamedTuple):
    """What is known of each name, shape (N,) each; all but `quantity` only as far as it was needed."""

    quantity: FloatArray  # millionths of a share
    mark: FloatArray  # last close known by session `marked`, NaN if there was none yet
    marked: IntArray  # session, -1: never looked for
    missing: IntArray  # sessions without a bar, counted while the name is held
    held: PlaceArray  # shape (N + 1,), names held; the first `holding[0]` are meant
    holding: PlaceArray  # names held, and whether any of them is missing


class Desk(NamedTuple):
    """Working room, shape (2N + 2,) each: orders that open something up to the middle, all others from it on."""

    name: PlaceArray
    order: FloatArray  # millionths of a share asked for
    after: FloatArray  # what would be held then; an opening is the part of a buy beyond covering a short
    quantity: FloatArray  # what is traded: cash may cut an opening
    price: FloatArray  # USD
    reason: NDArray[np.int8]
    value: FloatArray  # cents
    outlay: FloatArray  # value and costs
    cost: FloatArray  # shape (n_costs, 2N + 2), cents
    want: FloatArray  # shape (N,), the targets traded now, zero for all others
    wanted: PlaceArray  # shape (delay + 1, N + 1), names of the targets not traded yet
    target: FloatArray  # shape (delay + 1, N + 1), millionths of a share, none of them zero
    wants: PlaceArray  # shape (delay + 1,), how many
    rate: FloatArray  # shape (n_costs,), basis points of a part that charges nothing else; -1: see `charge`


class Tape(NamedTuple):
    """What is written down; a trade's value and costs follow from its quantity and price."""

    written: IntArray  # how many trades and rows of `refused`
    name: NDArray[np.int32]  # of each trade, session by session, as many a session as `days` says
    reason: NDArray[np.int8]
    quantity: FloatArray  # millionths of a share
    price: FloatArray  # USD
    refused: NDArray[np.int32]  # rows of session, name, reason
    days: NDArray[np.void]  # T rows of `DAY`, cents
    day_cost: IntArray  # shape (T, n_costs), cents


# Nothing is allocated in here, so no array is counted in and out of each call: that was half of the time.
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
# Called from compiled code alone, so no door from Python is compiled for them.
inner: Any = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
# For sums of whole numbers only, which are exact in any order.
any_order: Any = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc"}, **OPTIONS)
