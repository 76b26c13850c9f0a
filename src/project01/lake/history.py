"""What a table's commits tell, as one frame."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from project01.lake.commits import APP_ID, APP_VERSION, DIGEST

_SCHEMA = {
    "version": pl.Int64(),
    "committed_at": pl.Datetime("us", "UTC"),
    "operation": pl.String(),
    "rows_added": pl.Int64(),
    "files_added": pl.Int64(),
    "files_removed": pl.Int64(),
    "app_id": pl.String(),
    "app_version": pl.Int64(),
    "digest": pl.String(),
}


def history_frame(commits: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """One row a commit, in the order given."""
    return pl.DataFrame([_row(commit) for commit in commits], schema=_SCHEMA, orient="row")


def _row(commit: Mapping[str, object]) -> tuple[object, ...]:
    metrics = commit.get("operationMetrics")
    numbers = metrics if isinstance(metrics, Mapping) else {}
    stamp, app_version = commit.get("timestamp"), commit.get(APP_VERSION)

    def number(*names: str) -> int | None:
        return next((int(numbers[name]) for name in names if numbers.get(name) is not None), None)

    return (
        commit["version"],
        datetime.fromtimestamp(int(str(stamp)) / 1000, UTC) if stamp is not None else None,
        commit.get("operation"),
        number("num_added_rows", "numOutputRows"),
        number("num_added_files", "numFilesAdded", "numAddedFiles"),
        number("num_removed_files", "numFilesRemoved", "numRemovedFiles"),
        commit.get(APP_ID),
        int(str(app_version)) if app_version is not None else None,
        commit.get(DIGEST),
    )
