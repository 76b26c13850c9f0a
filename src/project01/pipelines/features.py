"""Features and labels from the lake, once, for training and serving alike."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from project01.domain import TIMESTAMP, FeatureFrame, InputError, NotEnoughDataError, TableSpec, TrainingSet
from project01.etl import Feature, feature_set, forward_returns, load_features, usable
from project01.pipelines.feature_build import build_table, summary_of
from project01.pipelines.holdout import read_labels, seal
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_market
from project01.pipelines.workspace import Workspace, content_hash
from project01.settings import FeatureSettings
from project01.store import FeatureStore

LABELS = TableSpec(
    "labels",
    pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("session", pa.date32(), nullable=False),
            pa.field("as_of", TIMESTAMP, nullable=False),
            pa.field("raw_label", pa.float64(), nullable=False),
            pa.field("label", pa.float64(), nullable=False),
            pa.field("label_known_at", TIMESTAMP, nullable=False),
        ]
    ),
    ("symbol", "as_of"),
)


def feature_hash(features: tuple[Feature, ...]) -> str:
    """Hash of what the features mean, not of their code."""
    return content_hash([[f.name, f.kind, f.across, list(f.inputs), f.window, list(f.parameters)] for f in features])


def feature_store(workspace: Workspace) -> FeatureStore:
    """The run's store."""
    return FeatureStore(workspace.feast, workspace.lake.url)


def selected(settings: FeatureSettings) -> tuple[Feature, ...]:
    """The features of the sets and files named.

    Raises:
        InputError: a set is unknown, a file cannot be used, or a name stands twice.
    """
    found = [feature for name in settings.sets for feature in feature_set(name)]
    found += [feature for path in settings.files for feature in load_features(path)]
    daily = tuple(feature for feature in found if feature.clock == "session")
    names = [feature.name for feature in daily]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Feature(s) {', '.join(twice)} stand in two of the sets and files asked for. Name one.")
    return daily


def feature_inputs(settings: FeatureSettings) -> list[Any]:
    """What the features step depends on beside its data: the sets, and the text of the files."""
    files = [path for path in (*settings.files, settings.industries) if path is not None]
    try:
        return [list(settings.sets), [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]]
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}. Correct the settings of features."
        ) from error


def build_features(
    workspace: Workspace,
    settings: FeatureSettings,
    horizon: int,
    threads: int,
    *,
    holdout_sessions: int,
    full: bool = False,
    on_rows: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Compute features and labels for all that is known, write both to the lake, describe them to Feast.

    The newest `holdout_sessions` are sealed, unless some are already.

    Returns:
        Figures of the step: rows, features used and left out with the reason, hashes.
    """
    lake = workspace.lake
    market = read_market(lake, END_OF_TIME, settings.industries)
    kept, left_out = usable(selected(settings), market.bars, market.context())
    built = build_table(lake, market, kept, threads=threads, full=full, on_rows=on_rows)
    labels = forward_returns(market.bars, horizon)
    lake.replace(LABELS, labels)
    sessions = market.bars["session"].unique().sort().to_numpy().astype("datetime64[D]")
    holdout = seal(workspace, sessions, holdout_sessions, built.digest)
    service = feature_store(workspace).apply(kept)
    lasts = market.bars.group_by("symbol").agg(pl.col("session").max()).sort("symbol")
    ended = lasts.filter(pl.col("session") < market.bars["session"].max())["symbol"].to_list()
    return {
        **summary_of(built),
        "instruments": lasts.height,
        "sessions": len(sessions),
        "sealed_from": None if holdout is None else str(holdout.first_session),
        "labels": labels.height,
        "features": [feature.name for feature in kept],
        "left_out": dict(left_out),
        "feature_hash": feature_hash(kept),
        "service": service,
        "delisted": ended,
        "has_opens": bool(market.bars["open"].is_not_null().any()),
        "digest": built.digest,
        "labels_digest": lake.digest("labels"),
    }


def read_training_set(workspace: Workspace, names: tuple[str, ...], horizon: int, until: datetime) -> TrainingSet:
    """Every labelled row whose outcome was known at `until`, its features read point-in-time from the store.

    Raises:
        HoldoutError: `until` reaches into the sealed part.
        NotEnoughDataError: no outcome was known by then.
    """
    labels = read_labels(workspace, until)
    if labels.is_empty():
        raise NotEnoughDataError("No label was known yet at the time asked for. Pass a later time or more history.")
    features = feature_store(workspace).training_features(labels.select("symbol", "as_of"), names)
    return TrainingSet(
        features,
        labels["label"].to_numpy().astype(np.float64),
        labels["raw_label"].to_numpy().astype(np.float64),
        labels["label_known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]"),
        horizon,
    )


def read_feature_rows(workspace: Workspace, names: tuple[str, ...], as_of: datetime) -> FeatureFrame:
    """Features of every symbol with a bar in the newest session known at `as_of`."""
    known = workspace.lake.scan("features").filter(pl.col("knowledge_time") <= as_of)
    newest = known.filter(pl.col("session") == pl.col("session").max()).select("symbol", "knowledge_time").collect()
    if newest.is_empty():
        raise NotEnoughDataError(f"No features were known at {as_of:%Y-%m-%d %H:%M} UTC. Pass a later time.")
    instant = newest["knowledge_time"].max()
    entities = newest.select("symbol", as_of=pl.lit(instant).cast(pl.Datetime("us", "UTC"))).sort("symbol")
    return feature_store(workspace).training_features(entities, names)
