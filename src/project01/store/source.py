"""The Feast data source for one Delta table of the lake. Importing this module imports Feast."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from project01.domain import LakeError, SchemaError
from project01.store.feast_import import DELTA_SOURCE
from project01.store.rows import table_path

_VALUE_TYPES = {
    "String": ValueType.STRING,
    "Int8": ValueType.INT32,
    "Int16": ValueType.INT32,
    "Int32": ValueType.INT32,
    "Int64": ValueType.INT64,
    "Float32": ValueType.FLOAT,
    "Float64": ValueType.DOUBLE,
    "Boolean": ValueType.BOOL,
    "Binary": ValueType.BYTES,
    "Date": ValueType.UNIX_TIMESTAMP,
    "Datetime": ValueType.UNIX_TIMESTAMP,
}


class DeltaTableSource(DataSource):  # type: ignore[misc]  # Feast's classes are untyped here
    """One Delta table under the lake's root, with its two clocks.

    Where the lake is stands in the offline store's `lake_url`, so the same registry serves a laptop and a cluster.

    Args:
        table: folder of the table under the lake's root.
        name: as Feast knows it; unique in a project. Not given: the table's name.
        timestamp_field: when a row happened.
        created_timestamp_column: when a row could first be known; empty: the table keeps no such clock.
        field_mapping: column of the table -> name in Feast.
        description: for people.
        tags: for people.
        owner: for people.
    """

    def __init__(
        self,
        *,
        table: str,
        name: str | None = None,
        timestamp_field: str = "event_time",
        created_timestamp_column: str = "knowledge_time",
        field_mapping: dict[str, str] | None = None,
        description: str = "",
        tags: dict[str, str] | None = None,
        owner: str = "",
    ) -> None:
        super().__init__(
            name=name or table,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=field_mapping,
            description=description,
            tags=tags,
            owner=owner,
        )
        self.table = table

    def source_type(self) -> Any:
        """Feast's tag for sources that come from a plug-in."""
        return DataSourceProto.CUSTOM_SOURCE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeltaTableSource) and bool(super().__eq__(other)) and self.table == other.table

    def __hash__(self) -> int:
        return hash((self.name, self.table))

    @staticmethod
    def from_proto(data_source: Any) -> "DeltaTableSource":
        """Back from the registry."""
        return DeltaTableSource(
            table=json.loads(data_source.custom_options.configuration)["table"],
            name=data_source.name,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> Any:
        proto = DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=DELTA_SOURCE,
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            field_mapping=self.field_mapping,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )
        proto.custom_options.configuration = json.dumps({"table": self.table}).encode()
        return proto

    def validate(self, config: RepoConfig) -> None:
        """Read the table's schema.

        Raises:
            LakeError: there is no such table.
            SchemaError: a clock's column is missing.
        """
        names = {name for name, _ in self.get_table_column_names_and_types(config)}
        clocks = {self.timestamp_field, self.created_timestamp_column} - {""}
        if clocks - names:
            raise SchemaError(
                f"Lake table {self.table!r} lacks the time column(s) {', '.join(sorted(clocks - names))}; "
                f"found {', '.join(sorted(names))}. Name the right columns in the DeltaTableSource."
            )

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """From the type names of `get_table_column_names_and_types` to Feast's."""
        return lambda found: _VALUE_TYPES.get(found.split("(")[0], ValueType.UNKNOWN)

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """Columns with the names of their Polars types."""
        return [(name, str(dtype)) for name, dtype in self.scan(config).collect_schema().items()]

    def scan(self, config: RepoConfig) -> pl.LazyFrame:
        """All rows of the table, lazily, under the names Feast knows them by.

        Raises:
            LakeError: there is no such table, or it cannot be read.
        """
        from deltalake.exceptions import DeltaError

        path = table_path(config.offline_store.lake_url, self.table, config.repo_path)
        options: Mapping[str, str] = config.offline_store.storage_options
        try:
            rows = pl.scan_delta(path, storage_options=dict(options) or None)
            present = rows.collect_schema()  # the table is opened here, not by scan_delta
            return rows.rename({old: new for old, new in self.field_mapping.items() if old in present})
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            raise LakeError(
                f"The feature store cannot read lake table {self.table!r} at {path}: {_without(options, str(error))}. "
                "Compute the features first (project01 features), or point lake_url at the lake that holds them."
            ) from error


def _without(options: Mapping[str, str], text: str) -> str:
    """`text` with every storage option's value blotted out; some of them are secrets."""
    for value in sorted(filter(None, options.values()), key=len, reverse=True):
        text = text.replace(value, "***")
    return text
