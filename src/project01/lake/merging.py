"""What a merge adds to a table: pure, from the rows that are there and the rows that come in."""

from dataclasses import dataclass

import polars as pl

from project01.domain import DEAD_LETTERS
from project01.lake.order import canonical_order, content_columns, identity_columns

CONFLICT_REASON = "conflicting_version"


@dataclass(frozen=True)
class MergeCounts:
    """What became of the rows of a merge; the four numbers add up to the rows given.

    Attributes:
        inserted: rows of keys the table did not know.
        unchanged: rows that were there already, or stood twice in the batch.
        revised: rows added as another version of a key that was known, or that comes more than once in the batch.
        conflicting: rows with the key and `knowledge_time` of another row but other content. Nothing tells which is
            right, so the first stays and the others go to the dead letters.
    """

    inserted: int = 0
    unchanged: int = 0
    revised: int = 0
    conflicting: int = 0


@dataclass(frozen=True)
class MergePlan:
    """The rows to add, those in conflict, and the counts."""

    added: pl.DataFrame
    conflicts: pl.DataFrame
    counts: MergeCounts


def plan_merge(existing: pl.DataFrame, incoming: pl.DataFrame, key: tuple[str, ...]) -> MergePlan:
    """Sorts incoming rows into new, unchanged and conflicting ones.

    A row is named by key and `knowledge_time`. In a table without `knowledge_time` a fact has no versions, so there
    the whole content names the row and nothing can conflict.

    Args:
        existing: rows of the table that may share a key with `incoming`; same columns.
        incoming: rows to merge.
        key: columns that name one fact.
    """
    content = content_columns(incoming)
    identity = identity_columns(incoming.columns, key)
    if identity == list(key):
        identity = content
    ordered, code = canonical_order(incoming, tuple(identity))
    ordered = ordered.with_row_index("#row")
    first = ordered.filter((code != code.shift(1)).fill_null(value=True))
    added = first.join(existing, on=identity, how="anti", nulls_equal=True, maintain_order="left")
    others = ordered.join(added, on="#row", how="anti", maintain_order="left")
    settled = pl.concat([existing.select(content), added.select(content)])
    conflicts = others.join(settled, on=content, how="anti", nulls_equal=True, maintain_order="left")
    added, conflicts = added.drop("#row"), conflicts.drop("#row")
    fresh = added.select(key).unique().join(existing.select(key).unique(), on=key, how="anti", nulls_equal=True)
    counts = MergeCounts(
        inserted=fresh.height,
        unchanged=incoming.height - added.height - conflicts.height,
        revised=added.height - fresh.height,
        conflicting=conflicts.height,
    )
    return MergePlan(added, conflicts, counts)


def as_dead_letters(conflicts: pl.DataFrame, table: str, key: tuple[str, ...]) -> pl.DataFrame:
    """Rows in conflict as dead letters, each whole in `raw`; all columns of DEAD_LETTERS but `ingested_at`."""
    has = set(conflicts.columns)
    identity = ", ".join(identity_columns(conflicts.columns, key))
    named = pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in key], separator="|")
    columns = {
        "source": pl.col("source") if "source" in has else pl.lit("lake"),
        "source_id": pl.col("source_id") if "source_id" in has else named,
        "table": pl.lit(table),
        "symbol": pl.col("symbol") if "symbol" in has else pl.lit(None, pl.String),
        "session": pl.col("session") if "session" in has else pl.lit(None, pl.Date),
        "reason": pl.lit(CONFLICT_REASON),
        "detail": pl.lit(f"another row has the same {identity} and other content; that one was kept"),
        "raw": pl.struct(content_columns(conflicts)).struct.json_encode(),
        "simulated": pl.col("simulated") if "simulated" in has else pl.lit(value=False),
    }
    wanted = [name for name in DEAD_LETTERS.schema.names if name in columns]
    return conflicts.select(columns[name].alias(name) for name in wanted)
