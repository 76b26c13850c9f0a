"""Features and labels from the lake, once, for training and serving alike."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    MACRO,
    TIMESTAMP,
    FeatureFrame,
    NotEnoughDataError,
    TableSpec,
    TrainingSet,
)
from project01.etl import Context, Feature, compute_features, feature_set, forward_returns, prepare_bars, usable
from project01.ingest import INDEX_SOURCE
from project01.lake import Lake
from project01.pipelines.ingest import DAILY
from project01.pipelines.workspace import Workspace, content_hash
from project01.store import FeatureStore

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
FEWEST_SYMBOLS = 3

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


def features_spec(names: tuple[str, ...]) -> TableSpec:
    """The lake table of features: one Float32 column each beside the keys and clocks."""
    fields = [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("knowledge_time", TIMESTAMP, nullable=False),
        *(pa.field(name, pa.float32()) for name in names),
    ]
    return TableSpec("features", pa.schema(fields), ("symbol", "event_time"))


@dataclass(frozen=True)
class MarketData:
    """What was known at one time, ready for features.

    Attributes:
        bars: prepared daily bars of the universe.
        index: sessions, closes and knowledge times of the index; None where the data has none.
        macro: rows of the macro table.
    """

    bars: pl.DataFrame
    index: pl.DataFrame | None
    macro: pl.DataFrame | None

    def context(self) -> Context:
        """What features are given beside the bars."""
        return Context(market=self.index, macro=self.macro)


def first_published(rows: pl.LazyFrame, as_of: datetime) -> pl.DataFrame:
    """Bars as they were first known, up to `as_of`.

    A correction that came later may not reach back into features of the past; so features rest on each bar's first
    version, whatever it was corrected to.
    """
    known = rows.filter(pl.col("knowledge_time") <= as_of).collect().sort(*BARS.key, "knowledge_time")
    return known.unique(list(BARS.key), keep="first", maintain_order=True)


def read_market(lake: Lake, as_of: datetime) -> MarketData:
    """The universe's daily bars, its index and macro series as they were known at `as_of`.

    Raises:
        NotEnoughDataError: fewer than three symbols were known, too few to rank.
    """
    known = first_published(lake.scan(BARS.name), as_of).filter(pl.col("interval") == DAILY)
    index = known.filter(pl.col("source") == INDEX_SOURCE).select("session", "close", "knowledge_time")
    universe = known.filter(pl.col("source") != INDEX_SOURCE)
    if universe["symbol"].n_unique() < FEWEST_SYMBOLS:
        raise NotEnoughDataError(
            f"The lake knew daily bars of {universe['symbol'].n_unique()} symbol(s) at {as_of:%Y-%m-%d}; ranking needs "
            f"at least {FEWEST_SYMBOLS}. Ingest more symbols, or pass a later time."
        )
    breaks = lake.read(CORPORATE_ACTIONS, as_of=as_of).filter(pl.col("kind") == "break")
    macro = lake.read(MACRO, as_of=as_of) if lake.exists(MACRO.name) else None
    return MarketData(prepare_bars(universe, breaks), index.sort("session") if index.height else None, macro)


def feature_hash(features: tuple[Feature, ...]) -> str:
    """Hash of what the features mean, not of their code."""
    return content_hash([[f.name, f.kind, list(f.inputs), f.window, list(f.parameters)] for f in features])


def feature_store(workspace: Workspace) -> FeatureStore:
    """The run's store."""
    return FeatureStore(workspace.feast, workspace.lake.url)


def build_features(workspace: Workspace, horizon: int, threads: int) -> dict[str, Any]:
    """Compute features and labels for all that is known, write both to the lake, describe them to Feast.

    Returns:
        Figures of the step: rows, features used and left out with the reason, hashes.
    """
    lake = workspace.lake
    market = read_market(lake, END_OF_TIME)
    kept, left_out = usable(feature_set("core"), market.bars, market.context())
    frame = compute_features(market.bars, kept, market.context(), threads=threads)
    names = tuple(feature.name for feature in kept)
    lake.replace(features_spec(names), frame)
    labels = forward_returns(market.bars, horizon)
    lake.replace(LABELS, labels)
    service = feature_store(workspace).apply(kept)
    lasts = market.bars.group_by("symbol").agg(pl.col("session").max()).sort("symbol")
    ended = lasts.filter(pl.col("session") < market.bars["session"].max())["symbol"].to_list()
    return {
        "rows": frame.height,
        "instruments": frame["symbol"].n_unique(),
        "sessions": frame["session"].n_unique(),
        "labels": labels.height,
        "features": list(names),
        "left_out": dict(left_out),
        "feature_hash": feature_hash(kept),
        "service": service,
        "delisted": ended,
        "has_opens": bool(market.bars["open"].is_not_null().any()),
        "digest": lake.digest("features"),
        "labels_digest": lake.digest("labels"),
    }


def read_training_set(workspace: Workspace, names: tuple[str, ...], horizon: int, until: datetime) -> TrainingSet:
    """Every labelled row whose outcome was known at `until`, its features read point-in-time from the store."""
    labels = (
        workspace.lake.scan(LABELS.name).filter(pl.col("label_known_at") <= until).collect().sort("as_of", "symbol")
    )
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
