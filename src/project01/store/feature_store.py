"""The only reader of training and online features."""

import contextlib
import difflib
import io
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from project01.domain import FeatureFrame, InputError, NotEnoughDataError, SchemaError
from project01.store.definitions import (
    ENTITY,
    PROJECT,
    SESSION,
    SESSION_VIEW,
    FeatureInfo,
    definitions,
    service_name,
)
from project01.store.feast_import import OFFLINE_STORE, ONLINE_STORE, load_feast

CONFIG_FILE = "feature_store.yaml"
REGISTRY_FILE = "registry.db"
# A row is not read for longer than this: the longest pause of the exchange since 1962 was six days, so an older row
# belongs to a symbol that no longer trades.
TIME_TO_LIVE = timedelta(days=7)

_AS_OF_TYPE = pl.Datetime("us", "UTC")
_FEAST_TIME = "event_timestamp"


class FeatureStore:
    """Features of symbols at times, through Feast: as they were known then, or the newest for serving.

    Everything Feast keeps (configuration, registry, online store) lies in one folder; nothing is global, nothing is
    sent anywhere. Feast is imported by the first call that needs it.
    """

    def __init__(
        self,
        repo: str | Path,
        lake_url: str | Path,
        *,
        table: str = "features",
        time_to_live: timedelta = TIME_TO_LIVE,
        storage_options: Mapping[str, str] | None = None,
        online_store: Mapping[str, Any] | None = None,
    ) -> None:
        """A store over one feature table of a lake; nothing is read or written yet.

        Args:
            repo: folder for Feast's files; made by `apply`.
            lake_url: root of the lake, a folder or an address such as ``s3://bucket/lake``.
            table: lake table with columns symbol, session, event_time, knowledge_time and one Float32 a feature.
            time_to_live: a row older than this at the time asked for counts as missing; zero: never.
            storage_options: for delta-rs; kept out of every file written.
            online_store: Feast's ``online_store`` section; not given: SQLite in `repo`.
        """
        self.repo = Path(repo).resolve()
        self.table = table
        self.time_to_live = time_to_live
        self._lake_url = _lake_address(lake_url, self.repo)
        self._storage_options = dict(storage_options or {})
        self._online_store = dict(online_store or {"type": ONLINE_STORE, "path": "online.db"})
        self._opened: Any = None

    def apply(self, features: Sequence[FeatureInfo]) -> str:
        """Build the Feast repository from the catalogue; what the catalogue no longer has is removed.

        Args:
            features: the catalogue.
        Returns:
            Name of the feature service, ``features_`` and the catalogue's hash. Nothing is done where the registry
            already holds it under the same configuration.
        Raises:
            InputError: the catalogue is empty or names something twice.
        """
        name = service_name(features, self.table, self.time_to_live)
        if self._is_applied(name):
            return name
        wanted = definitions(features, self.table, self.time_to_live)
        self.repo.mkdir(parents=True, exist_ok=True)
        self._opened = None
        feast_store = self._open()
        stale = [v for v in feast_store.list_feature_views() if v.name not in wanted.views]
        stale += [s for s in feast_store.list_feature_services() if s.name != wanted.service]
        feast_store.apply(wanted.objects, objects_to_delete=stale, partial=False)
        # Written last: its presence says that the registry beside it is whole.
        draft = self.repo / f"{CONFIG_FILE}.new"
        draft.write_text(self._config_text())
        draft.replace(self.repo / CONFIG_FILE)
        return wanted.service

    def feature_names(self) -> tuple[str, ...]:
        """Every feature the store can read, sorted.

        Raises:
            InputError: `apply` has not been called on this repository.
        """
        return tuple(sorted(self._references()))

    def training_features(self, entities: pl.DataFrame, names: Sequence[str]) -> FeatureFrame:
        """Features of each symbol as they were known at each time.

        The one function that reads history: it always asks Feast for ``filter_by_created_timestamp``, so that a row
        counts only if both its event_time and its knowledge_time are at or before `as_of`. The newest event wins, of
        it the newest version.

        Args:
            entities: columns symbol (String) and as_of (Datetime with a time zone), one row a question; others are
                ignored.
            names: features, in the order the result shall have.
        Returns:
            One row for each row of `entities`, sorted by as_of, then symbol. Where nothing was known, or only a row
            older than `time_to_live`, session is null and every feature NaN.
        Raises:
            InputError: a feature is unknown, or `apply` has not been called.
            SchemaError: `entities` has other columns or types, or the feature table lacks a column.
            LakeError: the feature table cannot be read.
        """
        references = self._references_of(names)
        asked = _checked_entities(entities).sort("as_of", ENTITY)
        job = self._open().get_historical_features(
            entity_df=asked.rename({"as_of": _FEAST_TIME}).to_pandas(use_pyarrow_extension_array=True),
            features=[f"{SESSION_VIEW}:{SESSION}", *references],
            filter_by_created_timestamp=True,
        )
        read = pl.DataFrame(job.to_arrow())
        return _feature_frame(read.with_columns(asked.get_column("as_of")), names)

    def materialise(self, start: datetime, end: datetime) -> None:
        """Bring the online store to `end`: per symbol the newest row among those that became usable since `start`.

        A row becomes usable once it has happened and is known, so late publications and restatements come in with the
        window they are published in. Windows may overlap and come in any order: a value never gives way to an older
        one.

        Args:
            start: timezone-aware, included.
            end: timezone-aware, included; nothing known later is looked at.
        Raises:
            InputError: a time without a zone, or `start` after `end`, or `apply` has not been called.
            LakeError: the feature table cannot be read.
        """
        if start.tzinfo is None or end.tzinfo is None or start > end:
            raise InputError(
                f"Materialising needs two times with a time zone, the first not after the second; found {start} and "
                f"{end}. Pass UTC datetimes."
            )
        self._references()
        with contextlib.redirect_stdout(io.StringIO()):  # Feast prints its progress
            self._open().materialize(start, end)

    def online(self, symbols: Sequence[str], names: Sequence[str]) -> FeatureFrame:
        """The newest features of symbols, as of the end of the last materialisation.

        Args:
            symbols: in any order; each once in the result.
            names: features, in the order the result shall have.
        Returns:
            One row a symbol, sorted, all with the same as_of. It equals `training_features` at that as_of: a symbol
            without a row, or with one older than `time_to_live`, has a null session and NaN features.
        Raises:
            InputError: a feature is unknown, or `apply` has not been called.
            NotEnoughDataError: nothing has been materialised yet.
        """
        references = self._references_of(names)
        feast_store = self._open()
        feast_store.refresh_registry()  # another process may have materialised since
        as_of = _materialised_until(feast_store)
        wanted = sorted(set(symbols))
        columns: dict[str, pl.Series] = {
            ENTITY: pl.Series(wanted, dtype=pl.String),
            "as_of": pl.Series([as_of] * len(wanted), dtype=_AS_OF_TYPE),
        }
        if not wanted:
            empty = {SESSION: pl.Date(), **dict.fromkeys(names, pl.Float32())}
            return _feature_frame(pl.DataFrame(columns | {n: pl.Series(dtype=t) for n, t in empty.items()}), names)
        response = feast_store.get_online_features(
            features=[f"{SESSION_VIEW}:{SESSION}", *references], entity_rows=[{ENTITY: symbol} for symbol in wanted]
        )
        oldest = as_of - self.time_to_live if self.time_to_live else None
        for name, vector in zip(response.proto.metadata.feature_names.val, response.proto.results, strict=True):
            if name != ENTITY:
                columns[name] = _online_column(vector, oldest)
        return _feature_frame(pl.DataFrame(columns), names)

    def _config(self) -> dict[str, Any]:
        return {
            "project": PROJECT,
            "provider": "local",
            "registry": {"path": REGISTRY_FILE, "cache_ttl_seconds": 60},
            "online_store": self._online_store,
            "offline_store": {"type": OFFLINE_STORE, "lake_url": self._lake_url},
            "materialization": {"pull_latest_features": True},
            "entity_key_serialization_version": 3,
        }

    def _config_text(self) -> str:
        return yaml.safe_dump(self._config(), sort_keys=False)

    def _is_applied(self, service: str) -> bool:
        try:
            written = (self.repo / CONFIG_FILE).read_text()
        except FileNotFoundError:
            return False
        if written != self._config_text() or not (self.repo / REGISTRY_FILE).exists():
            return False
        return service in {found.name for found in self._open().list_feature_services()}

    def _open(self) -> Any:
        """Feast's store on this repository, opened once."""
        if self._opened is None:
            feast = load_feast()
            settings = self._config()
            settings["offline_store"] = settings["offline_store"] | {"storage_options": self._storage_options}
            config = feast.RepoConfig(repo_path=self.repo, **settings)
            self._opened = feast.FeatureStore(repo_path=str(self.repo), config=config)
        return self._opened

    def _references(self) -> dict[str, str]:
        """Feature name -> Feast's reference ``view:feature``."""
        if not (self.repo / REGISTRY_FILE).exists():
            raise InputError(
                f"There is no Feast repository in {self.repo}. Call apply() with the feature catalogue first "
                "(project01 features does)."
            )
        views = self._open().list_feature_views(allow_cache=True)
        return {f.name: f"{view.name}:{f.name}" for view in views if view.name != SESSION_VIEW for f in view.features}

    def _references_of(self, names: Sequence[str]) -> list[str]:
        known = self._references()
        unknown = [name for name in names if name not in known]
        if unknown or len(set(names)) < len(names):
            close = {match for name in unknown for match in difflib.get_close_matches(name, known, n=1)}
            raise InputError(
                f"Unknown or repeated features: {', '.join(unknown) or 'some name stands twice'}; the store holds "
                f"{len(known)}. Did you mean {', '.join(sorted(close)) or 'one of feature_names()'}?"
            )
        return [known[name] for name in names]


def _lake_address(lake_url: str | Path, repo: Path) -> str:
    """An address as it is; a folder relative to the repository, so that both can be moved together."""
    text = str(lake_url)
    return text if "://" in text else os.path.relpath(Path(text).resolve(), repo)


def _checked_entities(entities: pl.DataFrame) -> pl.DataFrame:
    schema = entities.schema
    as_of = schema.get("as_of")
    if schema.get(ENTITY) != pl.String or not isinstance(as_of, pl.Datetime) or as_of.time_zone is None:
        raise SchemaError(
            f"Entities need columns symbol (String) and as_of (Datetime with a time zone); found {dict(schema)}. "
            "Give as_of a time zone, e.g. with .dt.replace_time_zone('UTC')."
        )
    if entities.select(ENTITY, "as_of").null_count().sum_horizontal().item():
        raise SchemaError("Entities hold a null symbol or as_of. Drop those rows.")
    return entities.select(ENTITY, pl.col("as_of").dt.convert_time_zone("UTC").cast(_AS_OF_TYPE))


def _feature_frame(read: pl.DataFrame, names: Sequence[str]) -> FeatureFrame:
    features = [pl.col(name).cast(pl.Float32).fill_null(math.nan) for name in names]
    return FeatureFrame(read.select(ENTITY, "as_of", pl.col(SESSION).cast(pl.Date), *features), tuple(names))


def _materialised_until(feast_store: Any) -> datetime:
    """The instant the online store stands at: the latest end that every view has reached."""
    ends: list[datetime] = []
    for view in feast_store.list_feature_views():
        if not view.materialization_intervals:
            raise NotEnoughDataError(
                f"The online store holds nothing of feature view {view.name!r} yet. Call materialise() first."
            )
        ends.append(max(end for _, end in view.materialization_intervals))
    return min(ends).astimezone(UTC)


def _online_column(vector: Any, oldest: datetime | None) -> pl.Series:
    """One feature of every symbol; null where there is none or its row is older than `oldest`."""
    values = []
    for value, stamp in zip(vector.values, vector.event_timestamps, strict=True):
        kind = value.WhichOneof("val")
        stale = oldest is not None and stamp.ToDatetime(tzinfo=UTC) < oldest
        values.append(None if kind is None or stale else getattr(value, kind))
    if any(value.HasField("unix_timestamp_val") for value in vector.values):
        return pl.from_epoch(pl.Series(values, dtype=pl.Int64), "s")
    return pl.Series(values, dtype=pl.Float32)
