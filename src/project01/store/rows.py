"""Rows of the feature table: where they lie, and what they must look like."""

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from project01.domain import TIMESTAMP, SchemaError, TableSpec
from project01.store.definitions import ENTITY, SESSION

_CLOCKS = ("event_time", "knowledge_time")
_TIME = pl.Datetime("us", "UTC")


def lake_address(lake_url: str | Path, repo: Path) -> str:
    """An address as it is; a folder relative to the repository, so that both can be moved together."""
    text = str(lake_url)
    return text if "://" in text else os.path.relpath(Path(text).resolve(), repo)


def table_path(lake_url: str, table: str, repo_path: Path | None) -> str:
    """Address of a table; a relative lake folder stands under the Feast repository's folder."""
    if "://" in lake_url:
        return f"{lake_url.rstrip('/')}/{table}".rstrip("/")
    return str((repo_path or Path()) / lake_url / table)


def rows_spec(table: str, columns: Sequence[str]) -> TableSpec:
    """The feature table with these columns: keys and clocks, one Float32 for each feature."""
    fixed = {ENTITY: pa.string(), SESSION: pa.date32(), **dict.fromkeys(_CLOCKS, TIMESTAMP)}
    fields = [pa.field(name, kind, nullable=False) for name, kind in fixed.items()]
    fields += [pa.field(name, pa.float32()) for name in columns if name not in fixed]
    return TableSpec(table, pa.schema(fields), (ENTITY, "event_time"))


def checked_rows(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Rows as the feature table holds them.

    Args:
        frame: rows from outside.
        names: the features they must have.
    Returns:
        Columns symbol, session, both clocks in UTC microseconds, then the features as Float32.
    Raises:
        SchemaError: columns are missing, unknown or of another type, or a key or clock is null.
    """
    schema = frame.schema
    wanted = (ENTITY, SESSION, *_CLOCKS, *names)
    missing, unknown = (sorted(a - b) for a, b in ((set(wanted), set(schema)), (set(schema), set(wanted))))
    if missing or unknown:
        raise SchemaError(
            f"Rows to push need symbol, session, event_time, knowledge_time and each of the {len(names)} features; "
            f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}. Select those columns."
        )
    clocks = [schema[clock] for clock in _CLOCKS]
    zoned = all(isinstance(clock, pl.Datetime) and clock.time_zone for clock in clocks)
    wrong = [name for name in names if not (schema[name].is_numeric() or schema[name] == pl.Null)]
    if schema[ENTITY] != pl.String or schema[SESSION] != pl.Date or not zoned or wrong:
        raise SchemaError(
            f"Rows to push need symbol as String, session as Date, both clocks as Datetime with a time zone and "
            f"features as numbers; found {dict(schema)}. Convert them."
        )
    if frame.select(ENTITY, SESSION, *_CLOCKS).null_count().sum_horizontal().item():
        raise SchemaError("Rows to push hold a null symbol, session or clock. Drop those rows.")
    clocks_utc = [pl.col(clock).dt.convert_time_zone("UTC").cast(_TIME) for clock in _CLOCKS]
    return frame.select(ENTITY, SESSION, *clocks_utc, *(pl.col(name).cast(pl.Float32) for name in names))
