"""Feast's online store on SQLite that never goes back in time. Importing this module imports Feast.

Feast's own SQLite store overwrites whatever is there, and keeps times in whole seconds of the machine's time zone; a
second materialisation of an older window would then serve older values. Here a value gives way only to one of the same
or a later (event_time, knowledge_time), both kept to the microsecond.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS_A_QUERY = 900  # SQLite's oldest limit on parameters is 999

_CREATE = """CREATE TABLE IF NOT EXISTS "{table}" (
    entity_key BLOB NOT NULL, feature_name TEXT NOT NULL, value BLOB NOT NULL,
    event_us INTEGER NOT NULL, known_us INTEGER NOT NULL,
    PRIMARY KEY (entity_key, feature_name)) WITHOUT ROWID"""
_UPSERT = """INSERT INTO "{table}" (entity_key, feature_name, value, event_us, known_us) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (entity_key, feature_name) DO UPDATE
    SET value = excluded.value, event_us = excluded.event_us, known_us = excluded.known_us
    WHERE (excluded.event_us, excluded.known_us) >= (event_us, known_us)"""
_SELECT = """SELECT entity_key, feature_name, value, event_us FROM "{table}" WHERE entity_key IN ({keys})"""


class NewestSqliteOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast's classes are untyped here
    """The ``online_store`` section of ``feature_store.yaml``.

    Attributes:
        type: path of the store's class.
        path: the SQLite file; a relative one stands under the Feast repository.
    """

    type: Literal["project01.store.online.NewestSqliteOnlineStore"] = "project01.store.online.NewestSqliteOnlineStore"
    path: str = "online.db"


class NewestSqliteOnlineStore(OnlineStore):  # type: ignore[misc]  # Feast's classes are untyped here
    """The newest value of each feature of each entity, one SQLite table a view, each write one transaction."""

    # Feast would import eight other stores to find out.
    _versioned_read_supported = False

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
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
        rows = []
        for entity_key, values, event_time, knowledge_time in data:
            key, event = _key(config, entity_key), _microseconds(event_time)
            known = event if knowledge_time is None else _microseconds(knowledge_time)
            rows += [(key, name, value.SerializeToString(), event, known) for name, value in values.items()]
        with _transaction(config) as connection:
            connection.executemany(_UPSERT.format(table=_table(config, table)), rows)
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
        keys = [_key(config, key) for key in entity_keys]
        wanted = None if requested_features is None else set(requested_features)
        found: dict[bytes, tuple[datetime, dict[str, Value]]] = {}
        with _transaction(config) as connection:
            for start in range(0, len(keys), _KEYS_A_QUERY):
                part = keys[start : start + _KEYS_A_QUERY]
                query = _SELECT.format(table=_table(config, table), keys=", ".join("?" * len(part)))
                for key, name, value, event in connection.execute(query, part):
                    if wanted is None or name in wanted:
                        stamp = _EPOCH + timedelta(microseconds=event)
                        found.setdefault(key, (stamp, {}))[1][name] = Value.FromString(value)
        return [found.get(key, (None, None)) for key in keys]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002  # Feast passes it by name
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Make and drop the views' tables."""
        with _transaction(config) as connection:
            for view in tables_to_keep:
                connection.execute(_CREATE.format(table=_table(config, view)))
            for view in tables_to_delete:
                connection.execute(f'DROP TABLE IF EXISTS "{_table(config, view)}"')

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:  # noqa: ARG002
        """Remove the file."""
        _path(config).unlink(missing_ok=True)


def _path(config: RepoConfig) -> Path:
    return Path(config.repo_path or Path(), config.online_store.path)


def _table(config: RepoConfig, view: FeatureView) -> str:
    name: str = compute_table_id(config.project, view, config.registry.enable_online_feature_view_versioning)
    return name.replace('"', '""')


def _key(config: RepoConfig, entity_key: EntityKey) -> bytes:
    version = config.entity_key_serialization_version
    key: bytes = serialize_entity_key(entity_key, entity_key_serialization_version=version)
    return key


def _microseconds(instant: datetime) -> int:
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


@contextmanager
def _transaction(config: RepoConfig) -> Iterator[sqlite3.Connection]:
    """A connection for one piece of work; to open one costs a tenth of a millisecond and keeps threads apart."""
    path = _path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        yield connection
