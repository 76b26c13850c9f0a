"""The layers up to the store, as the look-ahead audit sees them: bus, lake, features, store."""

import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from project01.bus import TOPICS, MemoryBus, encode, key_of_record
from project01.domain import BARS, CORPORATE_ACTIONS, MACRO, TABLES, Record, raw_table
from project01.etl import Feature, compute_features, forward_returns, prepare_bars, usable
from project01.evaluate import CHANGES, Change, Layer, Outputs, Tables
from project01.ingest import Batch, records_of
from project01.lake import Lake, landing_batch
from project01.pipelines.feature_build import features_spec
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.lookahead_world import INDUSTRIES
from project01.pipelines.market import MarketData, first_published
from project01.store import FeatureStore

# Both tell what happens at the source; what is stored stays, so a vendor's new level comes as a restated row.
_STORED_CHANGES: tuple[Change, ...] = ("noise", "nothing", "restated", "late", "universe", "split")
_RECEIVED_AT = 0
_LICENCE = "audit"


def market_of(tables: Tables) -> MarketData:
    """What the features step reads from the lake, from tables in its form.

    Args:
        tables: bars, and those of macro, facts, news, tweets, corporate_actions and industries that there are.
    """
    beside = {
        name: rows.sort("knowledge_time", *TABLES[name].key)
        for name, rows in tables.items()
        if name in TABLES and name != BARS.name and rows.height
    }
    actions = beside.get(CORPORATE_ACTIONS.name)
    breaks = None if actions is None else actions.filter(pl.col("kind") == "break")
    splits = actions if actions is not None and "split" in actions["kind"] else None
    return MarketData(
        bars=prepare_bars(first_published(tables[BARS.name].lazy(), END_OF_TIME), breaks),
        macro=beside.get(MACRO.name),
        facts=beside.get("facts"),
        news=beside.get("news"),
        tweets=beside.get("tweets"),
        industries=tables.get(INDUSTRIES),
        actions=splits,
    )


def features_of(tables: Tables, features: tuple[Feature, ...]) -> pl.DataFrame:
    """What the features step computes, keyed by symbol and as_of."""
    market = market_of(tables)
    frame = compute_features(market.bars, features, market.context())
    return frame.rename({"knowledge_time": "as_of"}).drop("event_time", "session")


def labels_of(bars: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """What the features step takes for labels; each is an output of the time it was known."""
    labels = forward_returns(bars, horizon)
    return labels.select(
        "symbol", pl.col("label_known_at").alias("as_of"), pl.col("session").alias("item"), "raw_label", "label"
    )


def usable_of(tables: Tables, features: tuple[Feature, ...]) -> tuple[tuple[Feature, ...], dict[str, str]]:
    """Features these tables can carry, and why the others are left out."""
    market = market_of(tables)
    kept, left_out = usable(features, market.bars, market.context())
    return kept, dict(left_out)


def feature_layer(tables: Tables, features: tuple[Feature, ...], horizon: int) -> Layer:
    """Rows of the lake -> features and labels."""

    def compute(rows: Tables, _: np.datetime64) -> Outputs:
        return {"": features_of(rows, features), "labels": labels_of(market_of(rows).bars, horizon)}

    return Layer("features", tables, compute, CHANGES[:1], CHANGES[1:])


def bus_layer(tables: Tables) -> Layer:
    """Rows -> messages, published as they become known -> rows of the raw tables."""
    carried = {name: rows for name, rows in tables.items() if name in TABLES}

    def compute(rows: Tables, _: np.datetime64) -> Outputs:
        records = [
            record
            for name, frame in rows.items()
            for record in records_of(Batch(TABLES[name], frame), _RECEIVED_AT, _LICENCE)
        ]
        records.sort(key=lambda record: (record.knowledge_time, record.topic, record.source_id))
        return {f"raw_{topic}": landed_messages(topic, [r for r in records if r.topic == topic]) for topic in TOPICS}

    return Layer("bus", carried, compute, _STORED_CHANGES[:1], _STORED_CHANGES[1:])


def landed_messages(topic: str, records: Sequence[Record]) -> pl.DataFrame:
    """Messages over a bus in memory as rows of the raw table, without this machine's own times."""
    bus = MemoryBus()
    bus.create(TOPICS[topic])
    with bus.producer() as producer:
        producer.publish(topic, [(key_of_record(record), encode(record)) for record in records])
    start = dict.fromkeys(range(TOPICS[topic].partitions), 0)
    with bus.consumer(topic, start) as consumer:
        messages = consumer.poll(len(records) * len(start), 0.0)
    rows = landing_batch(raw_table(topic), topic, messages, start).rows
    item = pl.format("{}:{}", "partition", "offset").alias("item")
    return rows.with_columns(item, pl.col("knowledge_time").alias("as_of")).drop("published_at", "received_at")


def lake_layer(tables: Tables) -> Layer:
    """Rows -> tables of the lake, read as they were known at the cut, and all versions known by then."""
    kept = {name: rows for name, rows in tables.items() if name in TABLES}

    def compute(rows: Tables, cut: np.datetime64) -> Outputs:
        instant = _aware(cut)
        outputs: dict[str, pl.DataFrame] = {}
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake(folder)
            for name, frame in rows.items():
                spec = TABLES[name]
                lake.append(spec, frame)
                item = pl.concat_str(
                    [pl.col(key).cast(pl.String) for key in spec.key], separator="|", ignore_nulls=True
                )
                found = lake.read(name, as_of=instant).drop("ingested_at").with_columns(item=item)
                outputs[f"{name} read"] = found.with_columns(as_of=pl.lit(instant).cast(pl.Datetime("us", "UTC")))
                versions = lake.scan(name).collect().drop("ingested_at").with_columns(item=item)
                outputs[f"{name} scan"] = versions.with_columns(as_of="knowledge_time")
        return outputs

    return Layer("lake", kept, compute, _STORED_CHANGES[:1], _STORED_CHANGES[1:], reads_at_cut=True)


def store_layer(features: pl.DataFrame, described: tuple[Feature, ...], folder: Path) -> Layer:
    """Rows of the feature table -> the point-in-time join, and the online store brought to the cut.

    Args:
        features: symbol, session, event_time, knowledge_time and one column a feature.
        described: those features.
        folder: where the store's files go.
    """
    names = [feature.name for feature in described]
    spec = features_spec(names)
    asked = features.select("symbol", as_of="knowledge_time").unique().sort("as_of", "symbol")
    lake = Lake(folder / "lake")
    store = FeatureStore(folder / "feast", folder / "lake")
    lake.replace(spec, features)
    store.apply(described)
    store.close()
    online, empty = folder / "feast" / "online.db", folder / "empty.db"
    shutil.copy(online, empty)

    def compute(tables: Tables, cut: np.datetime64) -> Outputs:
        instant = _aware(cut)
        lake.replace(spec, tables["features"])
        joined = store.training_features(asked.filter(pl.col("as_of") <= instant), names).frame
        # An online store never goes back in time, so each look has one of its own.
        store.close()
        for left in online.parent.glob(f"{online.name}*"):
            left.unlink()
        shutil.copy(empty, online)
        store.materialise(instant - timedelta(days=30), instant)
        served = store.online(sorted(asked["symbol"].unique()), names).frame
        store.close()
        return {"join": joined, "online": served}

    return Layer(
        "store", {"features": features}, compute, ("noise",), ("nothing", "restated", "late"), reads_at_cut=True
    )


def _aware(cut: np.datetime64) -> datetime:
    moment: datetime = cut.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
