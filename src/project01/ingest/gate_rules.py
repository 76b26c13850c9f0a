"""What the gate asks of a bar, and the words it uses when a bar fails."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from project01.domain import InputError


class Reason(StrEnum):
    """Why a row was refused. A row that breaks several rules carries the first in this order."""

    UNREADABLE_DATE = "unreadable_date"
    UNREADABLE_NUMBER = "unreadable_number"
    MISSING_SYMBOL = "missing_symbol"
    MISSING_CLOSE = "missing_close"
    NOT_FINITE = "not_finite"
    UNKNOWN_OPEN = "unknown_open"
    NOT_POSITIVE_PRICE = "not_positive_price"
    NEGATIVE_VOLUME = "negative_volume"
    HIGH_BELOW_LOW = "high_below_low"
    OPEN_OUTSIDE_RANGE = "open_outside_range"
    CLOSE_OUTSIDE_RANGE = "close_outside_range"
    CLOCKS_OUT_OF_ORDER = "clocks_out_of_order"
    IN_FUTURE = "in_future"
    NOT_A_SESSION = "not_a_session"
    DUPLICATE_CONFLICT = "duplicate_conflict"
    UNADJUSTED_SPLIT = "unadjusted_split"
    UNEXPLAINED_JUMP = "unexplained_jump"


EXPLANATIONS: dict[Reason, str] = {
    Reason.UNREADABLE_DATE: "the date cannot be read in the form of its column",
    Reason.UNREADABLE_NUMBER: "a price or the volume is text that is no number",
    Reason.MISSING_SYMBOL: "the symbol is empty",
    Reason.MISSING_CLOSE: "the close is missing",
    Reason.NOT_FINITE: "a price or the volume is NaN or infinite",
    Reason.UNKNOWN_OPEN: "the open is 0, which vendors write when the opening price is unknown",
    Reason.NOT_POSITIVE_PRICE: "a price is zero or negative",
    Reason.NEGATIVE_VOLUME: "the volume is negative",
    Reason.HIGH_BELOW_LOW: "the high is below the low",
    Reason.OPEN_OUTSIDE_RANGE: "the open lies outside low to high",
    Reason.CLOSE_OUTSIDE_RANGE: "the close lies outside low to high",
    Reason.CLOCKS_OUT_OF_ORDER: "the bar is marked as known before it happened",
    Reason.IN_FUTURE: "the bar could not be known yet when it was taken in",
    Reason.NOT_A_SESSION: "the exchange did not trade on that day",
    Reason.DUPLICATE_CONFLICT: "another bar with the same key and other values came first",
    Reason.UNADJUSTED_SPLIT: "the price moved by a split ratio overnight on usual turnover, and nothing adjusts it",
    Reason.UNEXPLAINED_JUMP: "the price moved further than a listed share does in one bar",
}

# Shares after over shares before, as exchanges list them. Forward splits come in halves too, reverse splits
# only in whole numbers; leaving out what does not occur spares real moves such as AIG +33 % on 2008-09-30.
FORWARD_SPLITS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0)
REVERSE_SPLITS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """Limits of the gate. Returns are fractions (-0.66 is a fall of 66 %).

    Attributes:
        as_of: the instant of taking in, timezone-aware; what is known only later is refused.
        lowest_return: a fall beyond it is unexplained. AIG fell 61 % on 2008-09-15, and that was real.
        highest_return: a rise beyond it is unexplained.
        split_tolerance: how far, as a fraction, the old price over a split ratio may lie outside the bar's range; a
            share moves about 1 % overnight on the day it splits like on any other.
        split_return: smaller moves than this are never taken for a split; three for two is a fall of 33 %, less what
            the share gains that day.
        split_turnover: a move is no split when the bar's dollar volume is above this many times the median of the
            20 bars before: news brings turnover, a split does not.
        rounding: prices may break low <= open, close <= high by this fraction; float32 keeps about 7 digits.
        long_gap: more missing sessions than this between two bars of a series count as a long gap.
    """

    as_of: datetime
    lowest_return: float = -0.66
    highest_return: float = 2.0
    split_tolerance: float = 0.04
    split_return: float = 0.27
    split_turnover: float = 3.0
    rounding: float = 1e-6
    long_gap: int = 5

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None:
            raise InputError(f"The gate's as_of {self.as_of} has no time zone. Pass one with tzinfo, e.g. UTC.")


@dataclass(frozen=True)
class GateOutcome:
    """What became of the rows; read = accepted + duplicates + refused.

    Attributes:
        accepted: rows in the form of `batch_schema(BARS)`, sorted by source, symbol, interval, event_time,
            knowledge_time.
        dead_letters: refused rows in the form of `batch_schema(DEAD_LETTERS)`, in the same order.
        breaks: `batch_schema(CORPORATE_ACTIONS)` rows of kind "break": before and after `effective` the prices do not
            belong together.
        counts: read, accepted, duplicates, refused, one `refused.<reason>` for each reason met, breaks, spikes
            (jumps that went back), zero_volume and missing_open among the accepted, missing_sessions and long_gaps
            inside the lives of the series, longest_gap in sessions.
    """

    accepted: pl.DataFrame
    dead_letters: pl.DataFrame
    breaks: pl.DataFrame
    counts: dict[str, int]
