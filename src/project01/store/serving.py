"""Pushing rows into the online store, and reading many entities from it at once. Importing this module imports Feast.

Feast's client makes a protobuf message of every value, and asks its registry and one query a view first. Here a read is
one snapshot of all views, and each view's rows become columns together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from feast.feature_view import FeatureView
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from project01.domain import InputError, NotEnoughDataError, columns_of
from project01.store import packed
from project01.store.definitions import ENTITY, SESSION
from project01.store.online_packed import (
    PackedOnlineStore,
    ViewRead,
    ViewWrite,
    symbol_keys,
    table_of,
    view_layout,
)
from project01.store.packed import Array, Column, Layout
from project01.store.versions import Version

_DAY_S = 86_400


@dataclass(frozen=True)
class ViewValues:
    """What one view holds of each symbol asked for.

    Attributes:
        found: shape (n_symbols,), bool; where false, clocks are 0 and values missing.
        event_us: event time, microseconds since 1970 UTC.
        known_us: knowledge time, likewise.
        values: feature -> float32 values, NaN where missing.
        session_s: of the session's view: midnights, seconds since 1970 UTC; else empty.
    """

    found: Array
    event_us: Array
    known_us: Array
    values: dict[str, Array]
    session_s: Array

    def fresh(self, as_of_us: int, time_to_live: timedelta) -> Array:
        """Where there is a row that `time_to_live` still lets be read at `as_of_us`; zero never ends."""
        if not time_to_live:
            return self.found
        limit = as_of_us - time_to_live // timedelta(microseconds=1)
        return self.found & (self.event_us >= limit)


@dataclass(frozen=True)
class OnlineValues:
    """One snapshot of the online store.

    Attributes:
        as_of_us: the instant the views read stand at, microseconds since 1970 UTC.
        session: of the session's view.
        views: by name, those that hold the features asked for.
    """

    as_of_us: int
    session: ViewValues
    views: dict[str, ViewValues]


def packed_store(feast_store: Any) -> PackedOnlineStore:
    """The online store behind Feast's.

    Raises:
        InputError: it is one of Feast's own, which keep no second clock.
    """
    store = feast_store.provider.online_store
    if not isinstance(store, PackedOnlineStore):
        raise InputError(
            f"The online store {type(store).__name__} cannot be read in one batch and may go back in time. Use "
            "project01.store.online.NewestSqliteOnlineStore or project01.store.online_redis.NewestRedisOnlineStore."
        )
    return store


def read_online(feast_store: Any, version: Version, symbols: Sequence[str], names: Sequence[str]) -> OnlineValues:
    """The newest values of symbols.

    Args:
        feast_store: Feast's store.
        version: whose views are read.
        symbols: in the order of the result.
        names: features of the version.
    Raises:
        NotEnoughDataError: nothing was written into one of the views yet.
        StoreError: the store cannot be read.
    """
    store, config = packed_store(feast_store), feast_store.config
    grouped = version.views_of(names)
    views = [version.session_view, *(version.views[name] for name in grouped)]
    keys = symbol_keys(config, ENTITY, symbols)
    reads = store.read_views(config, [table_of(config, view) for view in views], keys)
    empty = [view.name for view, read in zip(views, reads, strict=True) if read.reached is None]
    if empty:
        raise NotEnoughDataError(
            f"The online store holds nothing of feature view {empty[0]!r} yet. Call materialise() or push() first."
        )
    as_of = min(read.reached for read in reads if read.reached is not None)
    session = _view_values(store, config, version.session_view, reads[0], [])
    values = {
        name: _view_values(store, config, version.views[name], read, grouped[name])
        for name, read in zip(grouped, reads[1:], strict=True)
    }
    return OnlineValues(as_of, session, values)


def _view_values(
    store: PackedOnlineStore, config: RepoConfig, view: FeatureView, read: ViewRead, names: Sequence[str]
) -> ViewValues:
    count = len(read.rows)
    expected = view_layout(view)
    alike = packed.decode_alike(expected, read.rows)
    if alike is not None:
        rows, found = alike
        session = rows[str(expected.places[SESSION])] if SESSION in expected.places else np.zeros(count, np.int64)
        values = {name: rows[str(expected.places[name])] for name in names}
        event, known = packed.event_times(rows), packed.knowledge_times(rows)
        return ViewValues(found, event, known, values, session)
    layouts = store.layouts(config, table_of(config, view), read, expected)
    event, known, session = (np.zeros(count, np.int64) for _ in range(3))
    values = {name: np.full(count, np.nan, np.float32) for name in names}
    for layout, places in _by_layout(read, layouts):
        rows = packed.decode(layout, [row for row in (read.rows[place] for place in places) if row is not None])
        event[places], known[places] = packed.event_times(rows), packed.knowledge_times(rows)
        for name in names:
            if name in layout.places:
                values[name][places] = rows[str(layout.places[name])]
        if SESSION in layout.places:
            session[places] = rows[str(layout.places[SESSION])]
    found = np.array([row is not None for row in read.rows], dtype=bool)
    return ViewValues(found, event, known, values, session)


def _by_layout(read: ViewRead, layouts: Mapping[bytes, Layout]) -> list[tuple[Layout, list[int]]]:
    """Places of the rows of each layout: more than one after a view's features changed under the same name."""
    places: dict[bytes, list[int]] = {}
    for place, row in enumerate(read.rows):
        if row is not None:
            places.setdefault(packed.layout_of(row), []).append(place)
    return [(layouts[identity], held) for identity, held in places.items()]


def push_rows(feast_store: Any, version: Version, frame: pl.DataFrame) -> None:
    """Write rows into every view of a version, in one transaction.

    Args:
        feast_store: Feast's store.
        version: whose views are written.
        frame: columns symbol, session, event_time, knowledge_time and every feature of the version.
    Raises:
        StoreError: the store cannot be written.
    """
    if frame.is_empty():
        return
    store, config = packed_store(feast_store), feast_store.config
    event, known = (frame[clock].dt.epoch("us").to_numpy() for clock in ("event_time", "knowledge_time"))
    keys = symbol_keys(config, ENTITY, frame[ENTITY].to_list())
    reached = int(np.maximum(event, known).max())
    writes = []
    for view in version.all_views:
        layout = view_layout(view)
        columns = {field.name: _column(frame[field.name], field) for field in view.features}
        rows = packed.encode(layout, event, known, columns)
        writes.append(ViewWrite(table_of(config, view), layout, keys, rows, reached))
    store.write_views(config, writes)


def mark_reached(feast_store: Any, version: Version, as_of_us: int) -> None:
    """Say that every view of a version holds all that was usable at an instant."""
    config = feast_store.config
    writes = [ViewWrite(table_of(config, view), view_layout(view), [], [], as_of_us) for view in version.all_views]
    packed_store(feast_store).write_views(config, writes)


def _column(series: pl.Series, field: Any) -> Column:
    if field.dtype.to_value_type() == ValueType.UNIX_TIMESTAMP:
        numbers = series.cast(pl.Date).to_physical().cast(pl.Int64) * _DAY_S
        return Column(numbers.fill_null(0).to_numpy(), series.is_not_null().to_numpy())
    return Column(series.cast(pl.Float32).fill_null(float("nan")).to_numpy(), series.is_not_null().to_numpy())


def as_frame(
    online: OnlineValues, version: Version, symbols: Sequence[str], names: Sequence[str], time_to_live: timedelta
) -> pl.DataFrame:
    """One snapshot as the frame of a `FeatureFrame`: what has expired is missing."""
    fresh = {name: view.fresh(online.as_of_us, time_to_live) for name, view in online.views.items()}
    all_fresh = {name: bool(found.all()) for name, found in fresh.items()}
    as_of = pl.Series("as_of", np.full(len(symbols), online.as_of_us)).cast(pl.Datetime("us", "UTC"))
    days = (online.session.session_s // _DAY_S).tolist()
    served = online.session.fresh(online.as_of_us, time_to_live).tolist()
    session = pl.Series(SESSION, [day if fit else None for day, fit in zip(days, served, strict=True)], dtype=pl.Int32)
    keys = pl.DataFrame([pl.Series(ENTITY, symbols, dtype=pl.String), as_of, session.cast(pl.Date)])
    values = np.empty((len(names), len(symbols)), dtype=np.float32)
    for place, name in enumerate(names):
        view = version.view_of[name]
        values[place] = online.views[view].values[name]
        if not all_fresh[view]:
            values[place, ~fresh[view]] = np.nan
    return keys.hstack(columns_of(dict(zip(names, values, strict=True))))
