"""Looking into and tending the lake of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from project01.domain import DEAD_LETTERS, InputError, may_leave
from project01.lake import Lake
from project01.pipelines.instants import parse_instant
from project01.pipelines.workspace import Workspace


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


def lake_refused(out: Path, reason: str | None, limit: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Rows that did not pass the gate: how many for each reason, and the first `limit` of them.

    Args:
        out: folder of the run.
        reason: only rows refused for it; None: all.
        limit: rows to return.
    Raises:
        InputError: no lake, or no row was refused for `reason`.
    """
    letters = open_lake(out, None).scan(DEAD_LETTERS.name).collect().sort("symbol", "session", "source_id")
    counts = dict(sorted(letters["reason"].value_counts().iter_rows()))
    if reason is not None and reason not in counts:
        raise InputError(f"No row was refused for {reason!r}; found {', '.join(counts) or 'no refused row'}.")
    chosen = letters if reason is None else letters.filter(pl.col("reason") == reason)
    shown = chosen.head(limit).with_columns(pl.col(pl.Datetime, pl.Date).dt.to_string("iso"))
    return counts, shown.to_dicts()


def lake_compact(out: Path, url: str | None, table: str) -> dict[str, int]:
    """Join small files; the version made, and how many files were joined into how many."""
    return asdict(open_lake(out, url).compact(table))


def lake_vacuum(out: Path, url: str | None, table: str, retention_hours: int, allow_short: bool) -> list[str]:
    """Delete files no version within the retention needs; their names."""
    return open_lake(out, url).vacuum(table, retention_hours, allow_short_retention=allow_short)


def lake_export(out: Path, url: str | None, table: str, as_of: str, to: Path, internal: bool) -> dict[str, Any]:
    """Write a table, as it was known at a time, to a CSV or Parquet file.

    Rows whose licence does not let them leave the house are left out and counted, unless the file stays inside.

    Args:
        out: folder of the run.
        url: lake elsewhere.
        table: its name.
        as_of: date or instant.
        to: the file; its ending says which form.
        internal: the file does not leave the house, so every row may be in it.

    Raises:
        InputError: another ending, or no row may leave.
    """
    if to.suffix not in {".csv", ".parquet"}:
        raise InputError(f"{to} ends neither with .csv nor with .parquet.")
    rows = open_lake(out, url).read(table, as_of=parse_instant(as_of))
    kept, held_back = rows, rows.clear()
    if not internal and "licence" in rows.columns:
        leaving = [tag for tag in rows["licence"].unique() if may_leave(tag)]
        leaves = pl.col("licence").is_in(leaving).fill_null(value=False)
        kept, held_back = rows.filter(leaves), rows.filter(~leaves)
    if rows.height and not kept.height:
        tags = ", ".join(sorted(str(tag) for tag in rows["licence"].unique()))
        raise InputError(
            f"No row of {table} may leave the house (licences: {tags}). For a file that stays inside, pass --internal."
        )
    if to.suffix == ".csv":
        kept.write_csv(to)
    else:
        kept.write_parquet(to)
    return {"file": str(to), "rows": kept.height, "held_back": held_back.height}
