"""The only reader of training and online features."""

import contextlib
import difflib
import io
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from project01.domain import FeatureFrame, InputError, SchemaError
from project01.store.definitions import ENTITY, PROJECT, SESSION, FeatureInfo, definitions, service_name
from project01.store.feast_import import OFFLINE_STORE, ONLINE_STORE, load_feast
from project01.store.rows import checked_rows, lake_address, rows_spec, table_path
from project01.store.versions import (
    ServiceVersion,
    StoredFeature,
    Version,
    all_versions,
    current_service,
    stored_features,
    version_of,
)

CONFIG_FILE = "feature_store.yaml"
REGISTRY_FILE = "registry.db"
# A row is not read for longer than this: the longest pause of the exchange since 1962 was six days, so an older row
# belongs to a symbol that no longer trades.
TIME_TO_LIVE = timedelta(days=7)

_AS_OF_TYPE = pl.Datetime("us", "UTC")
_FEAST_TIME = "event_timestamp"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        self._lake_url = lake_address(lake_url, self.repo)
        self._storage_options = dict(storage_options or {})
        self._online_store = dict(online_store or {"type": ONLINE_STORE, "path": "online.db"})
        self._opened: Any = None
        self._versions: dict[str | None, Version] = {}
        self._applied: tuple[int, int] | None = None

    def apply(self, features: Sequence[FeatureInfo]) -> str:
        """Describe the catalogue to Feast and make it the current version; earlier versions stay readable.

        Args:
            features: the catalogue.
        Returns:
            Name of the version's feature service, ``features_`` and the catalogue's hash. Nothing is done where it is
            the current one already, under the same configuration.
        Raises:
            InputError: the catalogue is empty or names something twice.
        """
        name = service_name(features, self.table, self.time_to_live)
        if self._is_applied(name):
            return name
        wanted = definitions(features, self.table, self.time_to_live)
        self.repo.mkdir(parents=True, exist_ok=True)
        self.close()
        self._open().apply(wanted.objects)
        # Written last: its presence says that the registry beside it is whole.
        draft = self.repo / f"{CONFIG_FILE}.new"
        draft.write_text(self._config_text())
        draft.replace(self.repo / CONFIG_FILE)
        return wanted.service

    def services(self) -> tuple[ServiceVersion, ...]:
        """Every version of the catalogue that was applied here, oldest first.

        A version reads what the feature table and the online store hold of its features: one whose columns have gone
        from the table is refused by name.

        Raises:
            InputError: `apply` has not been called on this repository.
        """
        self._version(None)
        return tuple(all_versions(self._open()))

    def features(self, *, service: str | None = None) -> tuple[StoredFeature, ...]:
        """Every feature of a version with its unit and source, sorted by name.

        Args:
            service: name of its feature service, as `apply` gave it; None: the current version.
        Raises:
            InputError: `apply` has not been called on this repository, or there is no such service.
        """
        return tuple(stored_features(self._version(service)))

    def feature_names(self, *, service: str | None = None) -> tuple[str, ...]:
        """Every feature a version can read, sorted.

        Args:
            service: name of its feature service; None: the current version.
        Raises:
            InputError: `apply` has not been called on this repository, or there is no such service.
        """
        return tuple(sorted(self._version(service).view_of))

    def training_features(
        self, entities: pl.DataFrame, names: Sequence[str], *, service: str | None = None
    ) -> FeatureFrame:
        """Features of each symbol as they were known at each time.

        The one function that reads history: it always asks Feast for ``filter_by_created_timestamp``, so that a row
        counts only if both its event_time and its knowledge_time are at or before `as_of`. The newest event wins, of
        it the newest version.

        Args:
            entities: columns symbol (String) and as_of (Datetime with a time zone), one row a question; others are
                ignored.
            names: features, in the order the result shall have.
            service: name of the feature service to read; None: the current version.
        Returns:
            One row for each row of `entities`, sorted by as_of, then symbol. Where nothing was known, or only a row
            older than `time_to_live`, session is null and every feature NaN.
        Raises:
            InputError: a feature or the service is unknown, or `apply` has not been called.
            SchemaError: `entities` has other columns or types, or the feature table lacks a column.
            LakeError: the feature table cannot be read.
        """
        version = self._version_with(names, service)
        asked = _checked_entities(entities).sort("as_of", ENTITY)
        job = self._open().get_historical_features(
            entity_df=asked.rename({"as_of": _FEAST_TIME}).to_pandas(use_pyarrow_extension_array=True),
            features=[f"{version.session_view.name}:{SESSION}", *(f"{version.view_of[name]}:{name}" for name in names)],
            filter_by_created_timestamp=True,
        )
        read = pl.DataFrame(job.to_arrow()).with_columns(asked.get_column("as_of"))
        features = [pl.col(name).cast(pl.Float32).fill_null(math.nan) for name in names]
        frame = read.select(ENTITY, "as_of", pl.col(SESSION).cast(pl.Date), *features)
        return FeatureFrame(frame, tuple(names))

    def look_up(
        self,
        symbols: Sequence[str],
        names: Sequence[str],
        as_of: datetime | None = None,
        *,
        service: str | None = None,
    ) -> pl.DataFrame:
        """Values with both clocks, for people: what was known at a time, or what the online store serves.

        Args:
            symbols: in the order of the result.
            names: features.
            as_of: timezone-aware; None: read the online store.
            service: name of the feature service to read; None: the current version.
        Returns:
            Columns symbol, feature, value (Float32, null where missing), as_of, event_time, knowledge_time (null where
            nothing was known) and expired (older than `time_to_live`, so not served); one row a symbol and feature.
        Raises:
            InputError: a feature or the service is unknown, `as_of` has no zone, or `apply` has not been called.
            NotEnoughDataError: the online store is asked and holds nothing yet.
            LakeError: the feature table cannot be read.
            StoreError: the online store cannot be read.
        """
        version = self._version_with(names, service)
        from project01.store import lookup, serving

        if as_of is None:
            online = serving.read_online(self._open(), version, symbols, names)
            return lookup.look_up_online(online, version, symbols, names, self.time_to_live)
        if as_of.tzinfo is None:
            raise InputError(f"The time {as_of} has no time zone. Pass a UTC datetime.")
        return lookup.look_up_offline(self._open(), version, symbols, names, as_of, self.time_to_live)

    def materialise(self, start: datetime, end: datetime, *, service: str | None = None) -> None:
        """Bring the online store to `end`: per symbol the newest row among those that became usable since `start`.

        A row becomes usable once it has happened and is known, so late publications and restatements come in with the
        window they are published in. Windows may overlap and come in any order: a value never gives way to an older
        one.

        Args:
            start: timezone-aware, included.
            end: timezone-aware, included; nothing known later is looked at.
            service: name of the feature service to fill; None: the current version.
        Raises:
            InputError: a time without a zone, or `start` after `end`, or `apply` has not been called.
            LakeError: the feature table cannot be read.
            StoreError: the online store cannot be written.
        """
        if start.tzinfo is None or end.tzinfo is None or start > end:
            raise InputError(
                f"Materialising needs two times with a time zone, the first not after the second; found {start} and "
                f"{end}. Pass UTC datetimes."
            )
        version = self._version(service)
        from project01.store import serving

        names = [view.name for view in version.all_views]
        with contextlib.redirect_stdout(io.StringIO()):  # Feast prints its progress
            self._open().materialize(start, end, feature_views=names)
        serving.mark_reached(self._open(), version, (end - _EPOCH) // timedelta(microseconds=1))

    def push(self, frame: pl.DataFrame, *, offline: bool = False, service: str | None = None) -> None:
        """Write rows as they come, from a stream, into the online store; a value never gives way to an older one.

        All views change together, and reads see the rows at once, as of the newest of them. Pushing rows again changes
        nothing.

        Args:
            frame: columns symbol (String), session (Date), event_time and knowledge_time (Datetime with a time zone)
                and every feature of the version; null or NaN where missing. In any order, several a symbol if need be.
            offline: also add those rows to the feature table that it does not hold yet.
            service: name of the feature service to fill; None: the current version.
        Raises:
            InputError: there is no such service, or `apply` has not been called.
            SchemaError: columns are missing, unknown or of another type, or the feature table has other columns.
            StoreError: the online store cannot be written.
            LakeError: the feature table cannot be written.
        """
        version = self._version(service)
        rows = checked_rows(frame, sorted(version.view_of))
        from project01.store import serving

        serving.push_rows(self._open(), version, rows)
        if offline and not rows.is_empty():
            from project01.lake import Lake

            lake = Lake(table_path(self._lake_url, "", self.repo), self._storage_options)
            lake.merge(rows_spec(self.table, rows.columns), rows)

    def online(self, symbols: Sequence[str], names: Sequence[str], *, service: str | None = None) -> FeatureFrame:
        """The newest features of symbols, as of the last materialisation or push.

        Args:
            symbols: in any order; each once in the result.
            names: features, in the order the result shall have.
            service: name of the feature service to read; None: the current version.
        Returns:
            One row a symbol, sorted, all with the same as_of. It equals `training_features` at that as_of, for all
            that was materialised or pushed: a symbol without a row, or with one older than `time_to_live`, has a null
            session and NaN features.
        Raises:
            InputError: a feature or the service is unknown, or `apply` has not been called.
            NotEnoughDataError: nothing has been materialised or pushed yet.
            StoreError: the online store cannot be read.
        """
        version = self._version_with(names, service)
        from project01.store import serving

        wanted = sorted(set(symbols))
        online = serving.read_online(self._open(), version, wanted, names)
        return FeatureFrame(serving.as_frame(online, version, wanted, names, self.time_to_live), tuple(names))

    def close(self) -> None:
        """Give connections back; the next call opens them again."""
        if self._opened is not None and self._opened.config.online_store is not None:
            from project01.store import serving

            serving.packed_store(self._opened).close()
        self._opened, self._versions = None, {}

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
        self._follow_registry()
        return service == current_service(self._open())

    def _open(self) -> Any:
        """Feast's store on this repository, opened once."""
        if self._opened is None:
            feast = load_feast()
            settings = self._config()
            settings["offline_store"] = settings["offline_store"] | {"storage_options": self._storage_options}
            config = feast.RepoConfig(repo_path=self.repo, **settings)
            self._opened = feast.FeatureStore(repo_path=str(self.repo), config=config)
        return self._opened

    def _follow_registry(self) -> None:
        """Let go of what is kept of the registry once another catalogue was applied, perhaps by another process.

        Only the configuration tells: it is put in place whole, while Feast writes its registry where it stands.
        """
        try:
            found = (self.repo / CONFIG_FILE).stat()
        except FileNotFoundError:
            return
        applied = (found.st_ino, found.st_mtime_ns)
        if applied != self._applied:
            self._versions = {}
            self._open().refresh_registry()
            self._applied = applied

    def _version(self, service: str | None) -> Version:
        """A version with Feast's objects, kept until another catalogue is applied."""
        if not (self.repo / REGISTRY_FILE).exists():
            raise InputError(
                f"There is no Feast repository in {self.repo}. Call apply() with the feature catalogue first "
                "(project01 features does)."
            )
        self._follow_registry()
        if service not in self._versions:
            self._versions[service] = version_of(self._open(), service)
        return self._versions[service]

    def _version_with(self, names: Sequence[str], service: str | None) -> Version:
        version = self._version(service)
        known = version.view_of
        unknown = [name for name in names if name not in known]
        if unknown or len(set(names)) < len(names):
            close = {match for name in unknown for match in difflib.get_close_matches(name, known, n=1)}
            raise InputError(
                f"Unknown or repeated features: {', '.join(unknown) or 'some name stands twice'}; the store holds "
                f"{len(known)}. Did you mean {', '.join(sorted(close)) or 'one of feature_names()'}?"
            )
        return version


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
