"""What the online stores share: Feast's interface on packed rows, and a batch interface beside it.

Importing this module imports Feast. Feast's own SQLite store overwrites whatever is there, and its Redis store skips a
restatement of the same event; both keep one protobuf message a feature. Here one row an entity and view is kept, and it
gives way only to a row of the same or a later (event_time, knowledge_time), both kept to the microsecond. A row stands
for all features of its view: what a newer row lacks is missing, as it is in the offline join.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from feast.feature_view import FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from project01.domain import SchemaError
from project01.store import packed
from project01.store.packed import Column, Layout

FeastRow: TypeAlias = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    ValueType.FLOAT: "float_val",
    ValueType.DOUBLE: "double_val",
    ValueType.INT64: "int64_val",
    ValueType.UNIX_TIMESTAMP: "unix_timestamp_val",
}


@dataclass(frozen=True)
class ViewWrite:
    """Rows of one view to be written.

    Attributes:
        table: the view's table, from `table_of`.
        layout: of the rows.
        keys: serialised entity keys.
        rows: packed, as long as `keys`.
        reached: the store stands at least at this instant, microseconds since 1970 UTC; None: the rows say nothing.
    """

    table: str
    layout: Layout
    keys: Sequence[bytes]
    rows: Sequence[bytes]
    reached: int | None


@dataclass(frozen=True)
class ViewRead:
    """What one view holds of the entities asked for.

    Attributes:
        reached: the instant the view stands at, microseconds since 1970 UTC; None: nothing was ever written.
        rows: packed, in the order of the keys; None where there is no row.
    """

    reached: int | None
    rows: list[bytes | None]


class PackedOnlineStore(OnlineStore):  # type: ignore[misc]  # Feast's classes are untyped here
    """The newest row of each entity of each view; every write is one transaction, every read one snapshot."""

    # Feast would import eight other stores to find out.
    _versioned_read_supported = False

    @abstractmethod
    def write_views(self, config: RepoConfig, writes: Sequence[ViewWrite]) -> None:
        """Write rows of several views at once; a row older than what is there changes nothing.

        Raises:
            StoreError: the store cannot be reached or written.
        """

    @abstractmethod
    def read_views(self, config: RepoConfig, tables: Sequence[str], keys: Sequence[bytes]) -> list[ViewRead]:
        """Rows of the same entities from several views, as they stood at one moment.

        Raises:
            StoreError: the store cannot be reached or read.
        """

    @abstractmethod
    def read_layout(self, config: RepoConfig, table: str, identity: bytes) -> bytes:
        """A layout some row of `table` names, as it was written."""

    @abstractmethod
    def close(self) -> None:
        """Give connections back; the next call opens them again."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[FeastRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows in any order; a row older than what is there changes nothing.

        Args:
            config: of the Feast repository.
            table: the rows' feature view.
            data: entity key, values by feature, event time, knowledge time (None: the event's); times without a zone
                are UTC.
            progress: told the number of rows done.
        """
        layout = view_layout(table)
        event = np.array([_microseconds(row[2]) for row in data], dtype=np.int64)
        known = np.array([_microseconds(row[2] if row[3] is None else row[3]) for row in data], dtype=np.int64)
        keys = [_key(config, row[0]) for row in data]
        rows = _packed_rows(layout, event, known, [row[1] for row in data])
        reached = int(np.maximum(event, known).max()) if data else None
        self.write_views(config, [ViewWrite(table_of(config, table), layout, keys, rows, reached)])
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Event time and values of each entity, in order; (None, None) where there is nothing."""
        name, layout = table_of(config, table), view_layout(table)
        read = self.read_views(config, [name], [_key(config, key) for key in entity_keys])[0]
        layouts = self.layouts(config, name, read, layout)
        wanted = None if requested_features is None else set(requested_features)
        found: list[tuple[datetime | None, dict[str, Value] | None]] = []
        for row in read.rows:
            if row is None:
                found.append((None, None))
                continue
            values = _values(layouts[packed.layout_of(row)], row)
            kept = {name: value for name, value in values.items() if wanted is None or name in wanted}
            found.append((_EPOCH + timedelta(microseconds=packed.instant_of(row)), kept))
        return found

    def layouts(self, config: RepoConfig, table: str, read: ViewRead, expected: Layout) -> dict[bytes, Layout]:
        """The layouts of the rows read, by identity; only those other than `expected` are looked up."""
        named = {packed.layout_of(row) for row in read.rows if row is not None} - {expected.identity}
        older = {identity: Layout.from_json(self.read_layout(config, table, identity)) for identity in named}
        return {expected.identity: expected} | older


def table_of(config: RepoConfig, view: FeatureView) -> str:
    """Name of a view's table."""
    name: str = compute_table_id(config.project, view, config.registry.enable_online_feature_view_versioning)
    return name


def view_layout(view: FeatureView) -> Layout:
    """How rows of a view are packed."""
    return _layout(tuple((field.name, _KINDS.get(field.dtype.to_value_type(), "")) for field in view.features))


@lru_cache(maxsize=256)
def _layout(columns: tuple[tuple[str, str], ...]) -> Layout:
    """The same layout each time: what it works out once, a read of 500 symbols should not work out again."""
    return Layout(columns)


def symbol_keys(config: RepoConfig, join_key: str, symbols: Sequence[str]) -> list[bytes]:
    """Feast's serialised keys of entities with one text column, without a protobuf message for each."""
    empty = _key(config, EntityKey(join_keys=[join_key], entity_values=[Value(string_val="")]))
    return list(_keys(empty[:-4], tuple(symbols)))  # the last four bytes are the length of the text


@lru_cache(maxsize=16)
def _keys(head: bytes, symbols: tuple[str, ...]) -> tuple[bytes, ...]:
    """Made once for each universe: who serves asks for the same symbols again and again."""
    texts = [symbol.encode() for symbol in symbols]
    return tuple(head + len(text).to_bytes(4, "little") + text for text in texts)


def _packed_rows(
    layout: Layout, event: packed.Array, known: packed.Array, values: Sequence[dict[str, Value]]
) -> list[bytes]:
    if not layout.is_fixed:
        heads = packed.clocks(event, known)
        names = [name for name, _ in layout.columns]
        bodies = [RepeatedValue(val=[row.get(name, Value()) for name in names]) for row in values]
        return [head + layout.identity + body.SerializeToString() for head, body in zip(heads, bodies, strict=True)]
    columns = {}
    for name, kind in layout.columns:
        cells = [row.get(name) for row in values]
        kinds = [None if cell is None else cell.WhichOneof("val") for cell in cells]
        foreign = sorted({found for found in kinds if found is not None and found != kind})
        if foreign:
            raise SchemaError(
                f"Feature {name} is declared as {kind}, but values came as {', '.join(foreign)}. Convert them, or "
                "declare the feature with their type."
            )
        present = np.array([found == kind for found in kinds], dtype=np.bool_)
        numbers = np.array([getattr(c, kind) if p else 0 for c, p in zip(cells, present, strict=True)])
        columns[name] = Column(numbers, present)
    return packed.encode(layout, event, known, columns)


def _values(layout: Layout, row: bytes) -> dict[str, Value]:
    if not layout.is_fixed:
        body = RepeatedValue.FromString(row[packed.HEADER_SIZE :])
        return {name: value for (name, _), value in zip(layout.columns, body.val, strict=True)}
    decoded = packed.decode(layout, [row])
    present = packed.present_columns(decoded, layout)[0]
    return {
        name: Value(**{kind: decoded[str(place)][0].item()}) if present[place] else Value()
        for place, (name, kind) in enumerate(layout.columns)
    }


def _key(config: RepoConfig, entity_key: EntityKey) -> bytes:
    version = config.entity_key_serialization_version
    key: bytes = serialize_entity_key(entity_key, entity_key_serialization_version=version)
    return key


def _microseconds(instant: datetime) -> int:
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)
