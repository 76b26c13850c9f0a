"""Feast's offline store on Polars and Delta. Importing this module imports Feast.

Semantics, where Feast leaves a choice (`feast/infra/offline_stores/ibis.py` and the SQL templates of its warehouses):
a value is visible at t when ``event_time <= t``, and with `filter_by_created_timestamp` also ``knowledge_time <= t``;
the newest event_time wins, then the newest knowledge_time; with a time to live it must hold that
``event_time >= t - ttl``. All bounds belong to the window. A ttl of zero or None never ends.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import _parse_feature_ref
from pydantic import Field

from project01.domain import InputError, SchemaError
from project01.store.join import ASKED, microseconds, newest_known, usable_versions, within_time_to_live
from project01.store.source import DeltaTableSource


class PolarsDeltaOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast's classes are untyped here
    """The ``offline_store`` section of ``feature_store.yaml``.

    Attributes:
        type: path of the store's class.
        lake_url: root of the lake, a folder or an address such as ``s3://bucket/lake``; a relative folder stands under
            the Feast repository.
        storage_options: passed to delta-rs; credentials are better left to its environment variables.
    """

    type: Literal["project01.store.offline.PolarsDeltaOfflineStore"] = "project01.store.offline.PolarsDeltaOfflineStore"
    lake_url: str
    storage_options: dict[str, str] = Field(default_factory=dict, repr=False)


class PolarsRetrievalJob(RetrievalJob):  # type: ignore[misc]  # Feast's classes are untyped here
    """A read that runs when it is asked for its rows; `to_arrow` is the fast way out."""

    def __init__(
        self,
        evaluate: Callable[[], pa.Table],
        *,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[Any] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        super().__init__()
        self._evaluate = evaluate
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002  # Feast passes it by name
        return self._evaluate()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    @property
    def full_feature_names(self) -> bool:
        """Whether feature columns carry their view's name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """Views Feast computes from the rows after the read."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata


@dataclass(frozen=True)
class _ViewRead:
    """What one feature view contributes: `outputs` maps its columns to the columns of the result."""

    source: DeltaTableSource
    keys: tuple[tuple[str, str], ...]  # column of the table, column of the entity frame
    outputs: dict[str, str]
    view: FeatureView


class PolarsDeltaOfflineStore(OfflineStore):  # type: ignore[misc]  # Feast's classes are untyped here
    """Point-in-time reads of the lake's Delta tables."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_dates: Any,
    ) -> RetrievalJob:
        """Features of each entity row as they stood at its time.

        Args:
            config: of the Feast repository.
            feature_views: those the references name.
            feature_refs: ``view:feature``.
            entity_df: entity columns, ``event_timestamp`` (or one other time column; without a zone it is UTC), and any
                others, which come back untouched and in order.
            registry: Feast's.
            project: Feast's.
            full_feature_names: name the result's columns ``view__feature``.
            filter_by_created_timestamp: also ask that the row was known by then.
        Returns:
            A job whose rows are those of `entity_df`, in its order; a feature that was not there is null.
        Raises:
            InputError: `entity_df` is SQL or missing.
            SchemaError: columns are missing, of another type than the table's, or meet in one name.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise InputError(
                f"This offline store joins onto a data frame of entities and times; found {type(entity_df).__name__}. "
                "Pass the rows themselves instead of SQL or a range of dates."
            )
        time_column = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        reads = [_view_read(view, feature_refs, full_feature_names) for view in feature_views]
        _check_entity_columns(entity_df, reads)

        def evaluate() -> pa.Table:
            return _join_views(config, reads, entity_df, time_column, filter_by_created_timestamp)

        return PolarsRetrievalJob(
            evaluate,
            full_feature_names=full_feature_names,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[name for name in entity_df.columns if name != time_column],
                min_event_timestamp=entity_df[time_column].min(),
                max_event_timestamp=entity_df[time_column].max(),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DeltaTableSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """The newest row of each entity among those that became usable from `start_date` to `end_date`.

        Feast selects by event time alone. Here a row belongs to the instant it could first be used, so a row known only
        after `end_date` stays out, and one published late comes in when it is published: materialising window after
        window ends in what the offline join sees.
        """

        def evaluate() -> pa.Table:
            columns = [*join_key_columns, *feature_name_columns]
            rows = _usable_between(
                config, data_source, columns, timestamp_field, created_timestamp_column, (start_date, end_date)
            )
            clocks = [name for name in (timestamp_field, created_timestamp_column) if name]
            newest = rows.sort(*clocks, maintain_order=True).unique(join_key_columns, keep="last", maintain_order=True)
            return newest.sort(*join_key_columns).to_arrow()

        return PolarsRetrievalJob(evaluate)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DeltaTableSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Every row that became usable from `start_date` to `end_date` (None: open), by entity, then clocks."""

        def evaluate() -> pa.Table:
            columns = [*join_key_columns, *feature_name_columns]
            rows = _usable_between(
                config, data_source, columns, timestamp_field, created_timestamp_column, (start_date, end_date)
            )
            clocks = [name for name in (timestamp_field, created_timestamp_column) if name]
            return rows.sort(*join_key_columns, *clocks, maintain_order=True).to_arrow()

        return PolarsRetrievalJob(evaluate)


def _view_read(view: FeatureView, feature_refs: Iterable[str], full_feature_names: bool) -> _ViewRead:
    if not isinstance(view.batch_source, DeltaTableSource):
        raise InputError(
            f"Feature view {view.name!r} reads from {type(view.batch_source).__name__}; this offline store reads "
            "DeltaTableSource only. Declare the view's source as a table of the lake."
        )
    asked = view.projection.name_to_use()
    prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
    # A pinned version stands in the reference (view@v2:feature) and in the projection's name, not in the columns.
    features = [_parse_feature_ref(ref)[2] for ref in feature_refs if ref.rsplit(":", 1)[0] == asked]
    keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    renamed = view.projection.join_key_map
    return _ViewRead(
        source=view.batch_source,
        keys=tuple((key, renamed.get(key, key)) for key in keys),
        outputs={feature: f"{prefix}{feature}" for feature in features},
        view=view,
    )


def _check_entity_columns(entity_df: pd.DataFrame, reads: Sequence[_ViewRead]) -> None:
    found = list(entity_df.columns)
    missing = sorted({column for read in reads for _, column in read.keys} - set(found))
    if missing:
        raise SchemaError(
            f"The entity frame lacks the column(s) {', '.join(missing)} that its feature views join on; found "
            f"{', '.join(map(str, found))}. Add them."
        )
    outputs = [name for read in reads for name in read.outputs.values()]
    clash = sorted(set(outputs) & set(found))
    if clash:
        raise SchemaError(
            f"The entity frame already has column(s) named like features: {', '.join(clash)}. Rename or drop them, or "
            "ask for full_feature_names."
        )


def _join_views(
    config: RepoConfig, reads: Sequence[_ViewRead], entity_df: pd.DataFrame, time_column: str, by_knowledge: bool
) -> pa.Table:
    """The entity frame with every view's columns behind it; views of one table share one read and one join."""
    result = pa.Table.from_pandas(entity_df, preserve_index=False)
    by_table: dict[tuple[Any, ...], list[_ViewRead]] = {}
    for read in reads:
        source = read.source
        clocks = (source.timestamp_field, source.created_timestamp_column)
        mapping = tuple(sorted(source.field_mapping.items()))
        by_table.setdefault((source.table, clocks, mapping, read.keys), []).append(read)
    by_time, place = _sorted_by_time(result, reads, time_column)
    columns: dict[str, Any] = {}
    # Reading and sorting one table keeps about one core busy.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [
            pool.submit(_columns_of_table, config, together, by_time, place, time_column, by_knowledge)
            for together in by_table.values()
        ]
        for task in tasks:
            columns |= task.result()
    for read in reads:
        for name in read.outputs.values():
            result = result.append_column(name, columns[name])
    return result


def _sorted_by_time(
    entities: pa.Table, reads: Sequence[_ViewRead], time_column: str
) -> tuple[pl.DataFrame, pl.Series | None]:
    """Keys and times in the order of time, sorted once for all tables, and where each row of `entities` went."""
    wanted = list(dict.fromkeys([*(column for read in reads for _, column in read.keys), time_column]))
    frame = pl.DataFrame(entities.select(wanted))
    times = frame.get_column(time_column)
    if times.is_sorted(nulls_last=True):
        return frame, None
    order = times.arg_sort(nulls_last=True)
    return frame[order], order.arg_sort()


def _columns_of_table(
    config: RepoConfig,
    reads: Sequence[_ViewRead],
    entities: pl.DataFrame,
    place: pl.Series | None,
    time_column: str,
    by_knowledge: bool,
) -> dict[str, Any]:
    source, keys = reads[0].source, reads[0].keys
    clocks = _mapped_clocks(source)
    features = {feature for read in reads for feature in read.outputs}
    wanted = [*(key for key, _ in keys), *filter(None, clocks), *sorted(features)]
    table = select_columns(source.scan(config), wanted, source.table).collect()
    # A table without a second clock is not affected by the flag, as in Feast's own stores.
    wait = by_knowledge and bool(clocks[1])
    versions = usable_versions(table, [key for key, _ in keys], clocks[0], clocks[1] or None, wait_until_known=wait)
    found = newest_known(_asked(entities, keys, time_column, table.schema), versions)
    found = found if place is None else found[place]
    columns: dict[str, Any] = {}
    for read in reads:
        row = within_time_to_live(found, read.view.ttl)
        picked = table.select(pl.col(feature).gather(row).alias(name) for feature, name in read.outputs.items())
        columns |= dict(zip(picked.columns, picked.to_arrow().columns, strict=True))
    return columns


def _mapped_clocks(source: DeltaTableSource) -> tuple[str, str]:
    mapping = source.field_mapping
    event_time, created = source.timestamp_field, source.created_timestamp_column
    return mapping.get(event_time, event_time), mapping.get(created, created)


def select_columns(rows: pl.LazyFrame, columns: Sequence[str], table: str) -> pl.LazyFrame:
    """The columns asked for; a Date becomes its midnight in UTC, since Feast knows instants only."""
    schema = rows.collect_schema()
    missing = [name for name in columns if name not in schema]
    if missing:
        raise SchemaError(
            f"Lake table {table!r} lacks column(s) {', '.join(missing)} that the Feast registry promises; found "
            f"{', '.join(schema)}. Recompute the table, or apply the catalogue it was computed from."
        )
    dates = [pl.col(name).cast(pl.Datetime("us", "UTC")) for name in columns if schema[name] == pl.Date]
    return rows.select(*dict.fromkeys(columns)).with_columns(dates)


def _asked(frame: pl.DataFrame, keys: tuple[tuple[str, str], ...], time_column: str, schema: pl.Schema) -> pl.DataFrame:
    """Keys, named and typed like the table's, and the instants asked for."""
    if not isinstance(frame.schema[time_column], pl.Datetime):
        raise SchemaError(
            f"The entity frame's {time_column} holds {frame.schema[time_column]}, not times. Pass datetimes, in UTC or "
            "with their time zone."
        )
    picked = [microseconds(time_column).alias(ASKED)]
    for key, column in keys:
        given, kept = frame.schema[column], schema[key]
        alike = given == kept or (given.is_integer() and kept.is_integer()) or isinstance(given, pl.Categorical)
        if not alike and frame.height > frame.get_column(column).null_count():
            raise SchemaError(
                f"Entity column {column} holds {given}, but the lake's {key} holds {kept}; they can never be equal. "
                "Convert the entity frame's column."
            )
        picked.append(pl.col(column).cast(kept, strict=False).alias(key))
    return frame.select(picked)


def _usable_between(
    config: RepoConfig,
    source: DeltaTableSource,
    columns: Sequence[str],
    event_time: str,
    knowledge_time: str | None,
    window: tuple[datetime | None, datetime | None],
) -> pl.DataFrame:
    """Rows with both clocks whose usable instant lies in `window`, its ends included."""
    unmapped = DeltaTableSource(
        table=source.table, timestamp_field=event_time, created_timestamp_column=knowledge_time or ""
    )
    clocks = [name for name in (event_time, knowledge_time) if name]
    rows = select_columns(unmapped.scan(config), [*columns, *clocks], source.table)
    usable = pl.max_horizontal(microseconds(name) for name in clocks)
    complete = [pl.col(name).is_not_null() for name in clocks]
    start, end = (None if end is None else _epoch(end) for end in window)
    bounds = ([] if start is None else [usable >= start]) + ([] if end is None else [usable <= end])
    return rows.filter(*complete, *bounds).collect()


def _epoch(instant: datetime) -> int:
    """Microseconds since 1970 UTC; an instant without a zone is UTC, as everywhere in Feast."""
    return pl.Series([instant]).dt.epoch("us").item()  # type: ignore[no-any-return]
