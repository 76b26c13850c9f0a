"""Feast's entities, views and service, made from the feature catalogue."""

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
        objects: entity, source, views and service, ready for ``apply``.
        views: names of the feature views.
        service: name of the feature service, which carries the catalogue's hash.
    """

    objects: list[Any]
    views: tuple[str, ...]
    service: str


def catalogue_hash(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> str:
    """SHA-256 over the catalogue and how it is read, first 12 hex digits; the order of the features does not matter."""
    rows = sorted([f.group, f.name, f.unit, f.description, f.source] for f in features)
    content = json.dumps([table, time_to_live.total_seconds(), rows], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def service_name(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> str:
    """Name of the feature service of a catalogue."""
    return f"features_{catalogue_hash(features, table, time_to_live)}"


def definitions(features: Sequence[FeatureInfo], table: str, time_to_live: timedelta) -> Definitions:
    """Feast objects of a catalogue: one view a group, one more for the session, one service over all.

    Args:
        features: the catalogue.
        table: lake table with columns symbol, session, event_time, knowledge_time and one Float32 a feature.
        time_to_live: age beyond which a row is no longer read.
    Raises:
        InputError: no features, a name given twice, or a group with the session view's name.
    """
    _check(features)
    feast = load_feast()
    from feast.types import Float32, String, UnixTimestamp

    entity = feast.Entity(name=ENTITY, join_keys=[ENTITY], value_type=feast.ValueType.STRING)
    source = delta_source(table=table, timestamp_field="event_time", created_timestamp_column="knowledge_time")

    def view(name: str, fields: list[Any]) -> Any:
        schema = [feast.Field(name=ENTITY, dtype=String), *fields]
        return feast.FeatureView(name=name, entities=[entity], ttl=time_to_live, schema=schema, source=source)

    session = feast.Field(name=SESSION, dtype=UnixTimestamp, description="session of the bar, as midnight UTC")
    views = [view(SESSION_VIEW, [session])]
    for group in sorted({feature.group for feature in features}):
        members = sorted((f for f in features if f.group == group), key=lambda feature: feature.name)
        fields = [
            feast.Field(
                name=f.name, dtype=Float32, description=f.description, tags={"unit": f.unit, "source": f.source}
            )
            for f in members
        ]
        views.append(view(group, fields))
    service = feast.FeatureService(name=service_name(features, table, time_to_live), features=views)
    return Definitions([entity, source, *views, service], tuple(v.name for v in views), service.name)


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
