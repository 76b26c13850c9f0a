"""What every source is: something with a name that reads batches of records for lake tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

import polars as pl
import pyarrow as pa

from project01.domain import DEAD_LETTERS, RECORD_FIELDS, SchemaError, TableSpec, conform

INGESTED_AT = "ingested_at"


def batch_schema(spec: TableSpec) -> dict[str, pl.DataType]:
    """Columns and types of a batch for `spec`: its schema without `ingested_at`, which the pipeline stamps."""
    empty = cast(pl.DataFrame, pl.from_arrow(spec.schema.empty_table()))
    return {name: dtype for name, dtype in empty.schema.items() if name != INGESTED_AT}


@dataclass(frozen=True)
class Batch:
    """Rows for one lake table, as a source delivers them, before the gate.

    Attributes:
        spec: the table the rows belong to.
        rows: exactly the columns and types of `batch_schema(spec)`, in that order. Missing values are null.
    Raises:
        SchemaError: the rows have other columns or types, or a null in the record fields, the key or the session.
            A missing close passes here, so that the gate can refuse the bar whole.
    """

    spec: TableSpec
    rows: pl.DataFrame

    def __post_init__(self) -> None:
        expected = batch_schema(self.spec)
        if dict(self.rows.schema) != expected:
            raise SchemaError(
                f"A batch for table {self.spec.name} has columns {expected}, found {dict(self.rows.schema)}. "
                "Build it with Batch.of, which orders and casts."
            )
        required = {f.name for f in RECORD_FIELDS if not f.nullable} | {"session"}
        required |= {name for name in self.spec.key if not self.spec.schema.field(name).nullable}
        if self.spec is DEAD_LETTERS:
            required = set(self.spec.key)
        with_nulls = [name for name in expected if name in required and self.rows[name].null_count()]
        if with_nulls:
            raise SchemaError(
                f"A batch for table {self.spec.name} may hold no nulls in {', '.join(with_nulls)}. "
                "Leave such rows out and count them, or give the value."
            )

    @classmethod
    def of(cls, spec: TableSpec, rows: pl.DataFrame) -> "Batch":
        """`rows` put in the table's column order and types; nullable columns may be absent.

        Raises:
            SchemaError: a required column is missing, holds nulls, or cannot be cast without loss.
        """
        expected = batch_schema(spec)
        nullable = {f.name for f in spec.schema if f.nullable}
        missing = [name for name in expected if name not in rows.columns and name not in nullable]
        if missing:
            raise SchemaError(
                f"A batch for table {spec.name} lacks column(s) {', '.join(missing)}; found {', '.join(rows.columns)}; "
                f"expected {', '.join(expected)}."
            )
        picked = [
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype, strict=True).alias(name)
            for name, dtype in expected.items()
        ]
        try:
            return cls(spec, rows.select(picked))
        except pl.exceptions.InvalidOperationError as error:
            raise SchemaError(f"A batch for table {spec.name} has a column of the wrong type: {error}") from error


def stamped(spec: TableSpec, rows: pl.DataFrame, ingested_at: datetime) -> pa.Table:
    """`rows` in the form of `batch_schema(spec)` as the Arrow table the lake takes, marked with `ingested_at` (UTC).

    Raises:
        SchemaError: a required value is missing, which the gate would have refused.
    """
    dated = rows.with_columns(pl.lit(ingested_at).cast(pl.Datetime("us", "UTC")).alias(INGESTED_AT))
    return conform(dated.to_arrow(), spec.schema, where=f"rows for table {spec.name}")


class Source(Protocol):
    """Where records come from: files, a vendor, a sample set or a simulator.

    `read` gives the same batches in the same order each time it is called.

    Attributes:
        name: goes into the `source` column of its records.
        simulated: whether the records are made up; goes into their `simulated` column.
    """

    @property
    def name(self) -> str:
        """Value of the `source` column."""
        ...

    @property
    def simulated(self) -> bool:
        """Value of the `simulated` column."""
        ...

    def read(self) -> Iterator[Batch]:
        """Batches of rows for lake tables, in the order they were delivered.

        Raises:
            InputError: what the source was pointed at cannot be used.
        """
        ...
