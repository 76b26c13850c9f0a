"""Looking into and tending the lake of a run."""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import polars as pl

from project01.domain import InputError
from project01.lake import Lake
from project01.pipelines.workspace import Workspace


def parse_instant(text: str) -> datetime:
    """``2017-06-30`` is the end of that day in UTC; ``2017-06-30T14:00`` is that instant in UTC.

    Raises:
        InputError: neither a date nor an instant.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a date or instant; write 2017-06-30 or 2017-06-30T14:00.") from error
    if len(text) <= len("2017-06-30"):
        instant = datetime.combine(instant.date(), time.max)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def open_lake(out: Path, url: str | None) -> Lake:
    """The lake of the run at `out`, or the one at `url`.

    Raises:
        InputError: there is no lake there.
    """
    if url is not None:
        return Lake(url)
    if not (out / "lake").is_dir():
        raise InputError(f"{out} holds no lake. Run `project01 ingest` with --out {out} first.")
    return Workspace(out).lake


def lake_tables(out: Path, url: str | None) -> list[dict[str, Any]]:
    """Each table with its version, its rows and its newest knowledge_time."""
    lake = open_lake(out, url)
    rows = []
    for name in lake.tables():
        frame = lake.scan(name)
        clock = pl.col("knowledge_time") if "knowledge_time" in frame.collect_schema().names() else pl.lit(None)
        count, newest = frame.select(pl.len(), clock.max().alias("newest")).collect().row(0)
        rows.append(
            {"table": name, "version": lake.version(name), "rows": count, "newest_known": newest and newest.isoformat()}
        )
    return rows


def lake_history(out: Path, url: str | None, table: str) -> list[dict[str, Any]]:
    """Commits of one table, newest first."""
    frame = open_lake(out, url).history(table)
    return frame.with_columns(pl.col(pl.Datetime).dt.to_string("iso")).to_dicts()


def lake_rows(
    out: Path, url: str | None, table: str, as_of: str, symbols: list[str] | None, limit: int
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and the newest `limit` rows of a table as they were known at `as_of`."""
    frame = open_lake(out, url).read(table, as_of=parse_instant(as_of), symbols=symbols).tail(limit)
    frame = frame.with_columns(pl.col(pl.Datetime, pl.Date).dt.to_string("iso"))
    return frame.columns, frame.rows()


def lake_compact(out: Path, url: str | None, table: str) -> str:
    """Join small files; what was done, in one line."""
    return str(open_lake(out, url).compact(table))


def lake_vacuum(out: Path, url: str | None, table: str, retention_hours: int, allow_short: bool) -> str:
    """Delete files no version within the retention needs; what was done, in one line."""
    return str(open_lake(out, url).vacuum(table, retention_hours, allow_short_retention=allow_short))
