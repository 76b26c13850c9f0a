"""Point-in-time join in Polars: for each entity row, the version that was newest among those already known.

A row of a table can first be used at ``max(event_time, knowledge_time)``: before its event it lies in the future,
before its publication nobody had it. Put into that order, the answer at time t is the row with the greatest
(event_time, knowledge_time) among all rows up to t. A row that arrives when a greater one is already there can never
be the answer (an old event published late, say), so it is dropped; what remains rises in both orders at once, and one
``join_asof`` on the first is then exact. Restatements and late publications thus cost one sort, not a slower join.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

USABLE = "__usable_from"
EVENT = "__event_time"
KNOWN = "__knowledge_time"
ROW = "__row"
ASKED = "__asked_at"
_LONG_AGO = -(2**62)


@dataclass(frozen=True)
class Versions:
    """The rows of one table that can ever be an answer, ordered so that `join_asof` finds it.

    Attributes:
        frame: the key columns, USABLE and EVENT (Int64, microseconds since 1970 UTC) and ROW (UInt32, the row's
            position in the table it came from). Within a key, USABLE and EVENT never fall.
        keys: the key columns; empty for a table without entities.
    """

    frame: pl.DataFrame
    keys: tuple[str, ...]


def microseconds(column: str) -> pl.Expr:
    """A Datetime column, of any unit and time zone (none: UTC), as Int64 microseconds since 1970 UTC."""
    return pl.col(column).dt.epoch("us")


def usable_versions(
    table: pl.DataFrame, keys: Sequence[str], event_time: str, knowledge_time: str | None, *, wait_until_known: bool
) -> Versions:
    """Order the rows of `table` by the instant each could first be used, without those that never answer.

    Args:
        table: any frame with the columns named; other columns are not looked at.
        keys: entity key columns; rows with a null key match nothing.
        event_time: Datetime column; rows where it is null are left out.
        knowledge_time: Datetime column that tells versions of one event apart, or None.
        wait_until_known: a row can be used from its knowledge_time on, and never where that is null; else from its
            event_time on.
    Returns:
        Versions of the table; equal in every order of its rows, except between rows of equal key and both times, of
        which the last one stands.
    """
    known = microseconds(event_time if knowledge_time is None else knowledge_time)
    if not wait_until_known:
        known = known.fill_null(_LONG_AGO)
    clocks = (microseconds(event_time).alias(EVENT), known.alias(KNOWN))
    rows = table.select(*keys, *clocks).with_row_index(ROW).drop_nulls()
    usable = pl.max_horizontal(EVENT, KNOWN) if wait_until_known else pl.col(EVENT)
    rows = rows.with_columns(usable.alias(USABLE))
    if not _rises_within_keys(rows, keys):
        rows = _without_dominated(rows, keys)
    return Versions(rows.select(*keys, USABLE, EVENT, ROW), tuple(keys))


def _rises_within_keys(rows: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Whether each key's rows stand together and rise in both orders already, as the pipeline writes them."""
    same_key = pl.all_horizontal(pl.lit(value=True), *(pl.col(key) == pl.col(key).shift() for key in keys))
    later_key = pl.lit(value=False)
    if keys:
        later_key = pl.col(keys[0]) > pl.col(keys[0]).shift()
    newer = (pl.col(EVENT) > pl.col(EVENT).shift()) | (
        (pl.col(EVENT) == pl.col(EVENT).shift()) & (pl.col(KNOWN) >= pl.col(KNOWN).shift())
    )
    in_order = later_key | (same_key & newer & (pl.col(USABLE) >= pl.col(USABLE).shift()))
    return bool(rows.select(in_order.all(ignore_nulls=True)).item())


def _without_dominated(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Sorted by USABLE, keeping the rows that are the newest of their key when they become usable."""
    # Versions of one event become usable in the order they are known, so only an older event can be dominated.
    order = np.lexsort(rows.select(KNOWN, EVENT, USABLE).to_numpy().T)  # by the last column first; stable
    arrived = rows[order]
    newest_so_far = pl.col(EVENT).cum_max()
    return arrived.filter(pl.col(EVENT) == (newest_so_far.over(*keys) if keys else newest_so_far))


def newest_known(entities: pl.DataFrame, versions: Versions) -> pl.DataFrame:
    """The version each entity row could see.

    Args:
        entities: the key columns of `versions`, with the same types, and ASKED (Int64, microseconds since 1970 UTC);
            null keys and null times match nothing.
        versions: of the table to read.
    Returns:
        One row for each entity row, in its order: ROW (UInt32, null where nothing was known), EVENT and ASKED.
    """
    keys = list(versions.keys)
    asked = entities.select(*keys, ASKED).with_row_index("__entity")
    if not entities.get_column(ASKED).is_sorted():
        asked = asked.sort(ASKED, nulls_last=True)
    found = asked.join_asof(
        versions.frame,
        left_on=ASKED,
        right_on=USABLE,
        by=keys or None,
        strategy="backward",
        coalesce=False,
        check_sortedness=False,  # cannot be checked within keys; both sides are sorted above
    ).select("__entity", ROW, EVENT, ASKED)
    if found.height and not found.get_column("__entity").is_sorted():
        place = np.empty(found.height, dtype=np.uint32)
        place[found.get_column("__entity").to_numpy()] = np.arange(found.height, dtype=np.uint32)
        found = found[place]
    return found.drop("__entity")


def within_time_to_live(found: pl.DataFrame, time_to_live: timedelta | None) -> pl.Series:
    """ROW of `newest_known` where the event is no older than `time_to_live`, else null.

    The bound belongs to the window, as in Feast's own stores (``event_time >= t - ttl``); None or zero: no bound. Only
    the newest event needs the test: where it is too old, so is every other.
    """
    if not time_to_live:
        return found.get_column(ROW)
    limit = int(time_to_live / timedelta(microseconds=1))
    fresh = pl.col(EVENT) >= pl.col(ASKED) - limit
    return found.select(pl.when(fresh).then(pl.col(ROW)).alias(ROW)).get_column(ROW)
