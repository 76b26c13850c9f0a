"""Rows added to a table as to a set: a row that is there already, word for word, changes nothing.

A set does not remember in which order, or how often, its rows came: so a table made this way is the same after any
replay, in any order, and after a rebuild. Rows that share key and `knowledge_time` but differ are both kept, and
`Lake.read` picks one of them by content, the same one every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from deltalake import DeltaTable

from project01.domain import TableSpec
from project01.lake.commits import check_schema, commit_append, open_or_create, strict_commit, until_committed
from project01.lake.faults import told_clearly
from project01.lake.lake import Lake
from project01.lake.order import content_columns

# Equal rows are equal in these, and files know their smallest and largest values of them.
_NARROWING = ("event_time", "symbol", "source")


@dataclass(frozen=True)
class UnionCounts:
    """What became of the rows; the two add up to the rows given."""

    added: int = 0
    known: int = 0


def add_to_set(lake: Lake, spec: TableSpec, rows: pl.DataFrame) -> tuple[UnionCounts, pl.DataFrame]:
    """Add those rows whose content the table does not hold; in one commit, or none.

    Args:
        lake: where the table lies.
        spec: the table.
        rows: columns of the spec.
    Returns:
        Counts, and the rows that were added.
    Raises:
        SchemaError: the rows do not fit the spec or the table.
        LakeError: the storage failed; the table is as before.
    """
    given = lake.prepared(spec, rows)
    content = content_columns(given)
    # Rows that are equal have equal keys: where no key comes twice, nothing does.
    distinct = not given.select(pl.struct(spec.key).is_duplicated().any()).item()
    frame = given if distinct else given.unique(subset=content, keep="first", maintain_order=True)

    def attempt() -> pl.DataFrame:
        handle = open_or_create(lake.location, spec)
        check_schema(handle, spec)
        rivals = _rivals(handle, frame, spec.key).select(content).collect()
        fresh = frame
        if rivals.height:
            fresh = frame.join(rivals, on=content, how="anti", nulls_equal=True, maintain_order="left")
        if fresh.height:
            commit_append(handle, fresh, spec.schema, strict_commit())
        return fresh

    with told_clearly(f"Adding {frame.height} rows to table {spec.name}", lake.location):
        fresh = until_committed(spec.name, attempt)
    return UnionCounts(fresh.height, given.height - fresh.height), fresh


def _rivals(handle: DeltaTable, frame: pl.DataFrame, key: Sequence[str]) -> pl.LazyFrame:
    """Rows of the table that share a key with `frame`, and whatever else must be compared word for word."""
    rows = pl.scan_delta(handle)
    for name in _NARROWING:
        if name in frame.columns and frame.height and not frame[name].null_count():
            rows = rows.filter(pl.col(name).is_between(pl.lit(frame[name].min()), pl.lit(frame[name].max())))
    # Mostly there are none; so the keys are read alone first.
    keys = rows.select(key).collect().join(frame.select(key), on=key, how="semi", nulls_equal=True)
    return rows.join(keys.lazy(), on=key, how="semi", nulls_equal=True) if keys.height else rows.clear()


def exchange(lake: Lake, spec: TableSpec, rows: pl.DataFrame, scope: pl.Expr, identity: Sequence[str]) -> UnionCounts:
    """Make `rows` all that the table holds within `scope`; in one commit, or none. Rows outside stay as they are.

    For tables that are computed from others: when an input comes late, what was computed before may be void.

    Args:
        lake: where the table lies.
        spec: the table.
        rows: columns of the spec; all within `scope`, no two with equal `identity`.
        scope: which rows of the table are replaced.
        identity: columns that tell the table's rows within `scope` apart; nulls equal each other.
    Returns:
        Counts of rows added and of those that were there already.
    """
    frame = lake.prepared(spec, rows)

    def attempt() -> UnionCounts:
        handle = open_or_create(lake.location, spec)
        check_schema(handle, spec)
        content = content_columns(frame)
        there = pl.scan_delta(handle).filter(scope).select(frame.columns).collect()
        fresh = frame.join(there, on=content, how="anti", nulls_equal=True, maintain_order="left")
        void = there.join(frame, on=content, how="anti", nulls_equal=True, maintain_order="left")
        if void.height:
            _commit_exchange(handle, fresh, void, spec, identity)
        elif fresh.height:
            commit_append(handle, fresh, spec.schema, strict_commit())
        return UnionCounts(fresh.height, frame.height - fresh.height)

    with told_clearly(f"Exchanging {frame.height} rows of table {spec.name}", lake.location):
        return until_committed(spec.name, attempt)


def _commit_exchange(
    handle: DeltaTable, fresh: pl.DataFrame, void: pl.DataFrame, spec: TableSpec, identity: Sequence[str]
) -> None:
    both = pl.concat([void.with_columns(void=pl.lit(value=True)), fresh.with_columns(void=pl.lit(value=False))])
    matches = " AND ".join(_equal(spec, name) for name in identity)
    (
        handle.merge(
            both.to_arrow(compat_level=pl.CompatLevel.oldest()),
            predicate=f"s.void AND {matches}",
            source_alias="s",
            target_alias="t",
            commit_properties=strict_commit(),
        )
        .when_matched_delete()
        .when_not_matched_insert({name: f"s.{name}" for name in spec.schema.names}, predicate="NOT s.void")
        .execute()
    )


def _equal(spec: TableSpec, name: str) -> str:
    equal = f"t.{name} = s.{name}"
    return f"({equal} OR t.{name} IS NULL AND s.{name} IS NULL)" if spec.schema.field(name).nullable else equal


def erase(lake: Lake, table: str, predicate: str) -> int:
    """Delete rows from the newest version of a table; how many. Older versions hold them until `Lake.vacuum`.

    Args:
        lake: where the table lies.
        table: its name; a table that is not there holds nothing to erase.
        predicate: SQL over the table's columns.
    """
    if not lake.exists(table):
        return 0

    def attempt() -> int:
        metrics = DeltaTable(lake.location.address(table), storage_options=lake.location.options or None).delete(
            predicate, commit_properties=strict_commit()
        )
        return int(metrics["num_deleted_rows"] or 0)

    with told_clearly(f"Erasing rows of table {table}", lake.location):
        return until_committed(table, attempt)
