"""Feast's entities, views and services, made from the feature catalogue."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from project01.domain import InputError
from project01.store.feast_import import delta_source, load_feast

PROJECT = "project01"
ENTITY = "symbol"
SESSION_VIEW = "bar"
SESSION = "session"
# The service of the catalogue applied last; the others are its versions and stay as they are.
CURRENT = "features"
VERSION_TAG, GROUP_TAG = "version", "group"


class FeatureInfo(Protocol):
    """What the store needs to know of a feature of the catalogue."""

    @property
    def name(self) -> str:
        """Column of the feature table; unique in the catalogue."""
        ...

    @property
    def group(self) -> str:
        """Features of one group share a feature view."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the values."""
        ...

    @property
    def description(self) -> str:
        """What it measures."""
        ...

    @property
    def source(self) -> str:
        """Where its definition comes from."""
        ...


@dataclass(frozen=True)
class Definitions:
    """Everything Feast is told.

    Attributes:
        objects: entity, source, views and services, ready for ``apply``.
        views: names of the feature views.
        service: name of this version's feature service, which carries the catalogue's hash.
    """

    objects: list[Any]
    views: tuple[str, ...]
    service: str


def catalogue_hash(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> str:
    """SHA-256 over the catalogue and how it is read, first 12 hex digits; the order of the features does not matter."""
    return _hash(features, table, time_to_live, 12)


def service_name(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> str:
    """Name of the feature service of a catalogue."""
    return f"{CURRENT}_{catalogue_hash(features, table, time_to_live)}"


def definitions(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> Definitions:
    """Feast objects of a catalogue: one view a group, one more for the session, two services over all.

    A view's name ends in the hash of what it holds, so a group that changes gets a new view beside the old one, and
    versions of the catalogue share the views of the groups they share. One service is called after the catalogue's
    hash and never changes; the other, `CURRENT`, is what was applied last.

    Args:
        features: the catalogue.
        table: lake table with columns symbol, session, event_time, knowledge_time and one Float32 a feature.
        time_to_live: age beyond which a row is no longer read.
    Raises:
        InputError: no features, a name given twice, or a group with the session view's name.
    """
    _check(features)
    feast = load_feast()
    from feast.types import Float32, UnixTimestamp

    session = feast.Field(name=SESSION, dtype=UnixTimestamp, description="session of the bar, as midnight UTC")
    entity = feast.Entity(name=ENTITY, join_keys=[ENTITY], value_type=feast.ValueType.STRING)
    source = delta_source(table=table, timestamp_field="event_time", created_timestamp_column="knowledge_time")
    views = [_view(entity, source, SESSION_VIEW, _hash([], table, time_to_live, 8), time_to_live, [session])]
    for group in sorted({feature.group for feature in features}):
        members = sorted((f for f in features if f.group == group), key=lambda feature: feature.name)
        fields = [
            feast.Field(
                name=f.name, dtype=Float32, description=f.description, tags={"unit": f.unit, "source": f.source}
            )
            for f in members
        ]
        views.append(_view(entity, source, group, _hash(members, table, time_to_live, 8), time_to_live, fields))
    name = service_name(features, table, time_to_live)
    services = [
        feast.FeatureService(name=called, features=views, tags={VERSION_TAG: name}) for called in (name, CURRENT)
    ]
    return Definitions([entity, source, *views, *services], tuple(v.name for v in views), name)


def _view(entity: Any, source: Any, group: str, version: str, time_to_live: timedelta, fields: list[Any]) -> Any:
    """One view, into which Feast's own ``push`` can write under the view's name as well."""
    feast = load_feast()
    from feast.types import String

    name = f"{group}_{version}"
    return feast.FeatureView(
        name=name,
        entities=[entity],
        ttl=time_to_live,
        schema=[feast.Field(name=ENTITY, dtype=String), *fields],
        source=feast.PushSource(name=name, batch_source=source),
        tags={GROUP_TAG: group},
    )


def _hash(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta, digits: int) -> str:
    rows = sorted([f.group, f.name, f.unit, f.description, f.source] for f in features)
    content = json.dumps([table, time_to_live.total_seconds(), rows], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:digits]


def _check(features: Sequence[FeatureInfo]) -> None:
    names = [feature.name for feature in features]
    twice = sorted({name for name in names if names.count(name) > 1})
    reserved = sorted({ENTITY, SESSION, "event_time", "knowledge_time", "as_of"} & set(names))
    if not names or twice or reserved or SESSION_VIEW in {feature.group for feature in features}:
        raise InputError(
            f"A feature catalogue needs at least one feature, each name once, none of them a column of the store, and "
            f"no group called {SESSION_VIEW!r}; found {len(names)} features, given twice: "
            f"{', '.join(twice) or 'none'}, named like a column: {', '.join(reserved) or 'none'}. Rename them."
        )
