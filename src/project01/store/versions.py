"""Versions of the feature catalogue, as Feast's registry keeps them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from project01.domain import InputError
from project01.store.definitions import CURRENT, GROUP_TAG, SESSION_VIEW, VERSION_TAG


@dataclass(frozen=True)
class StoredFeature:
    """One feature as the registry knows it.

    Attributes:
        name: column of the feature table.
        group: its family.
        unit: of the values.
        description: what it measures.
        source: where its definition comes from.
    """

    name: str
    group: str
    unit: str
    description: str
    source: str


@dataclass(frozen=True)
class ServiceVersion:
    """One version of the catalogue that can be read.

    Attributes:
        name: of its feature service, ``features_`` and the catalogue's hash.
        features: what it serves, by name.
        applied_at: when it was first described to Feast.
        is_current: whether reads that name no service use it.
    """

    name: str
    features: tuple[StoredFeature, ...]
    applied_at: datetime
    is_current: bool


@dataclass(frozen=True)
class Version:
    """A version with Feast's own objects, for reading and writing.

    Attributes:
        service: its feature service.
        session_view: the view that holds the session.
        views: the views of the features, by name.
        view_of: name of a feature -> name of its view.
    """

    service: str
    session_view: Any
    views: dict[str, Any]
    view_of: dict[str, str]

    @property
    def all_views(self) -> list[Any]:
        """Every view, that of the session first."""
        return [self.session_view, *self.views.values()]

    def views_of(self, names: Sequence[str]) -> dict[str, list[str]]:
        """View -> those of `names` it holds."""
        grouped: dict[str, list[str]] = {}
        for name in names:
            grouped.setdefault(self.view_of[name], []).append(name)
        return grouped


def current_service(feast_store: Any) -> str | None:
    """Name of the service applied last; None where none was."""
    tags = {found.name: found.tags for found in _services(feast_store)}
    name: str | None = tags.get(CURRENT, {}).get(VERSION_TAG)
    return name


def version_of(feast_store: Any, service: str | None) -> Version:
    """A version from the registry.

    Args:
        feast_store: Feast's store.
        service: its feature service; None: the current one.
    Raises:
        InputError: there is no such service.
    """
    found = {held.name: held for held in _services(feast_store)}
    name = service or CURRENT
    if name not in found:
        held = ", ".join(sorted(set(found) - {CURRENT})) or "none"
        raise InputError(f"There is no feature service {name!r}; the store holds {held}. Name one of these.")
    names = [projection.name for projection in found[name].feature_view_projections]
    views = [feast_store.get_feature_view(view, allow_registry_cache=True) for view in names]
    session = next(view for view in views if view.tags.get(GROUP_TAG) == SESSION_VIEW)
    others = {view.name: view for view in views if view is not session}
    view_of = {feature.name: view.name for view in others.values() for feature in view.features}
    return Version(found[name].tags[VERSION_TAG], session, others, view_of)


def all_versions(feast_store: Any) -> Iterator[ServiceVersion]:
    """Every version the registry holds, oldest first."""
    current = current_service(feast_store)
    services = [held for held in _services(feast_store) if held.name != CURRENT]
    for held in sorted(services, key=lambda service: (service.created_timestamp, service.name)):
        yield ServiceVersion(
            held.name,
            tuple(stored_features(version_of(feast_store, held.name))),
            held.created_timestamp.replace(tzinfo=UTC),
            held.name == current,
        )


def stored_features(version: Version) -> Iterator[StoredFeature]:
    """What a version serves, by name."""
    for name in sorted(version.view_of):
        view = version.views[version.view_of[name]]
        field = next(feature for feature in view.features if feature.name == name)
        tags = field.tags
        yield StoredFeature(name, view.tags[GROUP_TAG], tags["unit"], field.description, tags["source"])


def _services(feast_store: Any) -> list[Any]:
    """Feast's own listing would read the registry file anew."""
    services: list[Any] = feast_store.registry.list_feature_services(feast_store.project, allow_cache=True)
    return services
