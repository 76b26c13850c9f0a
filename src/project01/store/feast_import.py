"""Feast, imported only when it is used, and three times faster than by a plain import."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

OFFLINE_STORE = "project01.store.offline.PolarsDeltaOfflineStore"
ONLINE_STORE = "project01.store.online.NewestSqliteOnlineStore"
REDIS_STORE = "project01.store.online_redis.NewestRedisOnlineStore"
DELTA_SOURCE = "project01.store.source.DeltaTableSource"


def load_feast() -> ModuleType:
    """The feast package. The first call takes seconds, so nothing imports it at the head of a module others import.

    Feast changes the process's warning filters as it is imported; here they stay as they were.
    """
    with warnings.catch_warnings(), _without_instrumentation():
        import feast
    return feast  # type: ignore[no-any-return]


def delta_source(**fields: Any) -> Any:
    """A `DeltaTableSource`, loaded by name as Feast loads the plug-ins that ``feature_store.yaml`` names."""
    load_feast()
    from feast.repo_config import get_data_source_class_from_type

    return get_data_source_class_from_type(DELTA_SOURCE)(**fields)


@contextmanager
def _without_instrumentation() -> Iterator[None]:
    """Make typeguard's class decorator a no-op, as it is under ``python -O``.

    Feast decorates its classes with it, and typeguard parses and recompiles each of their methods: two thirds of the
    time to import Feast, for checks that mypy has already made of our calls.
    """
    import typeguard

    original = typeguard.typechecked
    typeguard.typechecked = lambda target: target  # type: ignore[assignment]
    try:
        yield
    finally:
        typeguard.typechecked = original
