"""From a set of trades to the rows that count, each with the knowledge times between which it does."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np
import polars as pl

from project01.domain import InputError, SchemaError
from project01.etl.bar_amendments import CANCEL, CORRECTION, PRINT, Row, resolve
from project01.etl.bar_kernel import FOREVER

INSTANT = pl.Datetime("us", "UTC")
# What a trade says, and what decides between two rows that claim to be the same one. knowledge_time is not part of it:
# the same content sent again is the same trade, known from the first time on.
CONTENT = (
    "source", "source_id", "symbol", "event_time", "session", "price", "size", "exchange", "conditions", "sequence",
    "tape", "action", "refers_to", "simulated", "licence",
)  # fmt: skip
TRADE_COLUMNS = (*CONTENT, "knowledge_time")
ACTIONS = {"new": PRINT, "correct": CORRECTION, "cancel": CANCEL}
SECOND = 1_000_000
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND}
_DAY = 86_400 * SECOND


class LateReason(StrEnum):
    """Why a row of the tape changed no bar."""

    LATE_PRINT = "late_print"
    LATE_CORRECTION = "late_correction"
    LATE_CANCEL = "late_cancel"
    NO_REFERENCE = "no_reference"


@dataclass(frozen=True, kw_only=True)
class RevisionLimits:
    """How long after its end a bar may still change.

    Attributes:
        prints: for adding a trade. Late reports are due within seconds; after a quarter of an hour features have long
            been made from the bar.
        amendments: for cancelling or correcting a trade that is in the bar. Busts are decided on through the day and
            sent until the tape closes at 20:00; a day after the bar holds all of them.
    """

    prints: timedelta = timedelta(minutes=15)
    amendments: timedelta = timedelta(hours=24)


def interval_microseconds(interval: str) -> int:
    """Length of an interval such as 1s, 5s, 1m or 1h.

    Raises:
        InputError: it cannot be read, or does not divide a day: bars would start at other times each day.
    """
    number, unit = interval[:-1], interval[-1:]
    step = int(number) * _UNITS[unit] if number.isascii() and number.isdecimal() and unit in _UNITS else 0
    if step == 0 or _DAY % step:
        raise InputError(
            f"Bars cannot be built over {interval!r}: an interval is a whole number of s, m or h that divides a day, "
            "such as 1s, 5s, 1m or 1h. Daily bars follow the exchange's sessions; take them from a daily source."
        )
    return step


@dataclass(frozen=True)
class CountingRows:
    """Which rows count, and which came too late.

    Attributes:
        rows: the trades' columns with `since` and `until` (microseconds of knowledge time) and `end` (microseconds, of
            the bar); a trade that was changed has a row for each form in which it ever counted.
        late: the trades' own columns with `reason`.
        duplicates: rows left out as they say the same as another.
        conflicts: rows with the key of another and other content.
        unmatched_cancels: cancels of trades that are not there (yet).
    """

    rows: pl.DataFrame
    late: pl.DataFrame
    duplicates: int
    conflicts: int
    unmatched_cancels: int


def counting_rows(trades: pl.DataFrame, step: int, limits: RevisionLimits) -> CountingRows:
    """Settle what each row of the tape does to the bars of `step` microseconds.

    Raises:
        SchemaError: a column is missing, an instant is not in UTC microseconds, or an action is unknown.
    """
    _check(trades)
    columns = trades.columns
    when = pl.col("event_time").to_physical()
    distinct = _distinct(trades).with_columns(
        (when - when % step + step).alias("end"), pl.col("knowledge_time").to_physical().alias("since")
    )
    amendment = pl.col("action") != "new"
    nameless = amendment & pl.col("refers_to").fill_null("").eq("")
    refused = distinct.filter(nameless).with_columns(pl.lit(LateReason.NO_REFERENCE.value).alias("reason"))
    named = _named(distinct)
    linked = ~nameless & (amendment | _key_among(named)) if named.height else pl.lit(value=False)
    conflicts = distinct.filter(linked).select(pl.len() - pl.struct("source", "source_id").n_unique()).item()
    simple = distinct.filter(~linked & ~nameless).with_columns(pl.lit(FOREVER, pl.Int64).alias("until"))
    too_late = pl.col("since") - pl.col("end") > _microseconds(limits.prints)
    late = simple.filter(too_late).with_columns(pl.lit(LateReason.LATE_PRINT.value).alias("reason"))
    amended, amended_late, unmatched = _amended(distinct.filter(linked), limits)
    return CountingRows(
        rows=pl.concat([simple.filter(~too_late), amended]) if amended.height else simple.filter(~too_late),
        late=pl.concat([frame.select(*columns, "reason") for frame in (refused, late, amended_late)]),
        duplicates=trades.height - distinct.height,
        conflicts=int(conflicts),
        unmatched_cancels=unmatched,
    )


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _check(trades: pl.DataFrame) -> None:
    missing = [name for name in TRADE_COLUMNS if name not in trades.columns]
    if missing:
        raise SchemaError(
            f"Trades lack column(s) {', '.join(missing)}; found {', '.join(trades.columns)}. "
            "Pass rows of the lake's trades table."
        )
    for name in ("event_time", "knowledge_time"):
        if trades.schema[name] != INSTANT:
            raise SchemaError(f"Column {name} of the trades is {trades.schema[name]}; it must be {INSTANT}. Cast it.")
    unknown = trades.filter(~pl.col("action").is_in(list(ACTIONS)))["action"].unique().sort()
    if unknown.len():
        raise SchemaError(f"Trades hold the action(s) {', '.join(unknown)}; expected {', '.join(ACTIONS)}.")


def _distinct(trades: pl.DataFrame) -> pl.DataFrame:
    """Each content once, with the earliest knowledge time; among equal ones the first in the order of all columns.

    Adds `repeated`: whether the id may occur more than once. A hash decides that, as it takes a fifth of the time and
    may only ever say so too often; what is decided by it is decided again on the ids themselves.
    """
    trades = trades.with_columns(pl.col("source_id").hash().is_duplicated().alias("repeated"))
    again = trades.filter("repeated")
    if not again.height:
        return trades
    others = [name for name in trades.columns if name not in CONTENT and name != "knowledge_time"]
    once = again.sort("knowledge_time", *others).unique(CONTENT, keep="first", maintain_order=True)
    return pl.concat([trades.filter(~pl.col("repeated")), once])


def _named(distinct: pl.DataFrame) -> pl.DataFrame:
    """Keys of the rows that cannot be judged alone, beside the amendments: named by one, or claimed by several rows."""
    amendments = distinct.filter(pl.col("action") != "new")
    shared = distinct.filter("repeated").select("source", "source_id")
    shared = shared.filter(shared.is_duplicated())
    return pl.concat([amendments.select("source", pl.col("refers_to").alias("source_id")), shared]).unique()


def _key_among(keys: pl.DataFrame) -> pl.Expr:
    return pl.struct("source", "source_id").is_in(keys.to_struct().implode())


def _amended(linked: pl.DataFrame, limits: RevisionLimits) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Rows that count with their spans, rows too late, and the number of cancels without a trade."""
    # Vendors send cancels and corrections under the id of the print too: then the stronger action counts.
    ordered = linked.sort(pl.col("action").replace_strict(ACTIONS, return_dtype=pl.Int8), *CONTENT)
    outcome = resolve(_as_rows(ordered), _microseconds(limits.prints), _microseconds(limits.amendments))
    spans = np.array(outcome.spans, dtype=np.int64).reshape(-1, 3)
    counting = ordered[spans[:, 0]].with_columns(pl.Series("since", spans[:, 1]), pl.Series("until", spans[:, 2]))
    reason = pl.col("action").replace_strict(
        {"new": LateReason.LATE_PRINT, "correct": LateReason.LATE_CORRECTION, "cancel": LateReason.LATE_CANCEL},
        return_dtype=pl.String,
    )
    return counting, ordered[outcome.late].with_columns(reason.alias("reason")), outcome.unmatched_cancels


def _as_rows(ordered: pl.DataFrame) -> list[Row]:
    names = ("source", "source_id", "action", "refers_to", "since", "end")
    return [
        Row(
            number=number,
            key=(source, source_id),
            action=ACTIONS[action],
            refers_to=None if action == "new" else (source, refers_to),
            known=known,
            rank=number,
            end=end,
        )
        for number, (source, source_id, action, refers_to, known, end) in enumerate(ordered.select(names).iter_rows())
    ]
