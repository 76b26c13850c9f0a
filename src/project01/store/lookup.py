"""Values of a few symbols with both clocks, for people. Importing this module imports Feast."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from project01.store.definitions import ENTITY
from project01.store.join import ASKED, EVENT, ROW, microseconds, newest_known, usable_versions, within_time_to_live
from project01.store.offline import select_columns
from project01.store.serving import OnlineValues
from project01.store.versions import Version

_TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, Any] = {
    "symbol": pl.String, "feature": pl.String, "value": pl.Float32, "as_of": _TIME, "event_time": _TIME,
    "knowledge_time": _TIME, "expired": pl.Boolean,
}  # fmt: skip


def look_up_offline(
    feast_store: Any,
    version: Version,
    symbols: Sequence[str],
    names: Sequence[str],
    as_of: datetime,
    time_to_live: timedelta,
) -> pl.DataFrame:
    """What was known of symbols at one time, by the join that training reads use.

    Args:
        feast_store: Feast's store.
        version: whose table is read.
        symbols: in the order of the result.
        names: features.
        as_of: timezone-aware.
        time_to_live: a row older than this has expired.
    Returns:
        See `SCHEMA`; one row a symbol and feature. Clocks are null where nothing was known; an expired row keeps its
        clocks and has no value.
    Raises:
        LakeError: the feature table cannot be read.
        SchemaError: the feature table lacks a column.
    """
    source = version.session_view.batch_source
    wanted = [ENTITY, source.timestamp_field, source.created_timestamp_column, *names]
    rows = source.scan(feast_store.config).filter(pl.col(ENTITY).is_in(list(symbols)))
    table = select_columns(rows, wanted, source.table).collect()
    clocks = (source.timestamp_field, source.created_timestamp_column)
    versions = usable_versions(table, [ENTITY], *clocks, wait_until_known=True)
    asked = pl.DataFrame({ENTITY: list(symbols)}, schema={ENTITY: pl.String}).with_columns(
        pl.lit(as_of).cast(_TIME).alias("as_of")
    )
    found = newest_known(asked.select(ENTITY, microseconds("as_of").alias(ASKED)), versions)
    fresh = within_time_to_live(found, time_to_live).is_not_null()
    seen = table.select(pl.col(*clocks, *names).gather(found[ROW])).rename(
        {clocks[0]: "event_time", clocks[1]: "knowledge_time"}
    )
    wide = pl.concat([asked, seen], how="horizontal").with_columns(expired=found[EVENT].is_not_null() & ~fresh)
    return _long(wide, names)


def look_up_online(
    online: OnlineValues, version: Version, symbols: Sequence[str], names: Sequence[str], time_to_live: timedelta
) -> pl.DataFrame:
    """One snapshot of the online store as `look_up_offline` gives it, at the instant the store stands at."""
    as_of = pl.Series([online.as_of_us]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")[0]
    parts = []
    for name in names:
        view = online.views[version.view_of[name]]
        fresh = view.fresh(online.as_of_us, time_to_live)
        clocks = {
            clock: pl.Series(np.where(view.found, values, 0)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            for clock, values in (("event_time", view.event_us), ("knowledge_time", view.known_us))
        }
        part = pl.DataFrame(
            {"symbol": list(symbols), "as_of": [as_of] * len(symbols), **clocks, name: view.values[name]}
        ).with_columns(expired=pl.Series(view.found & ~fresh), found=pl.Series(view.found))
        seen = part.with_columns(pl.when("found").then(pl.col(*clocks)))
        parts.append(_long(seen, [name]))
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def _long(wide: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """One row a symbol and feature; no value where the row has expired."""
    kept = [name for name in SCHEMA if name not in {"feature", "value"}]
    parts = [
        wide.select(
            *kept,
            feature=pl.lit(name),
            value=pl.when(~pl.col("expired")).then(pl.col(name).cast(pl.Float32).fill_nan(None)),
        ).select(*SCHEMA)
        for name in names
    ]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])
