"""Feast's own offline store on Spark beside ours on Polars: the same Delta table, the same questions, the same rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.spark_session import spark, spark_jars

from project01.store.feast_import import OFFLINE_STORE, delta_source, load_feast

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["spark", "spark_jars"]

START = datetime(2024, 3, 8, tzinfo=UTC)  # New York's clocks go forward two days later
HOUR = timedelta(hours=1)
TTLS = {"forever": timedelta(0), "short": timedelta(hours=7)}

pytestmark = [
    pytest.mark.slow,
    # Feast calls its Spark store experimental, and passes pandas what pandas will refuse one day.
    pytest.mark.filterwarnings("ignore::RuntimeWarning:feast"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The spark offline store"),
]


@pytest.fixture(scope="module")
def rows(row_type_of_module: Any) -> list[Any]:
    """Restatements, late publications and ties, on few instants; no two rows of equal key and clocks."""
    rng = np.random.default_rng(11)
    drawn = {
        (f"S{rng.integers(3)}", int(rng.integers(60)), int(rng.choice([0, 0, 3, 20]))): float(number)
        for number in range(150)
    }
    return [
        row_type_of_module(key, START + hour * HOUR, START + (hour + late) * HOUR, value)
        for (key, hour, late), value in drawn.items()
    ]


@pytest.fixture(scope="module")
def row_type_of_module() -> Any:
    from tests.store.conftest import Row

    return Row


def views(feast: Any, source: Any, entity: Any) -> list[Any]:
    from feast.types import Float32, String

    schema = [feast.Field(name="symbol", dtype=String), feast.Field(name="a", dtype=Float32)]
    return [
        feast.FeatureView(name=name, entities=[entity], ttl=ttl, schema=schema, source=source)
        for name, ttl in TTLS.items()
    ]


def feast_store(folder: Path, offline: dict[str, Any], source: Any) -> Any:
    feast = load_feast()
    folder.mkdir()
    config = feast.RepoConfig(
        project="p", registry={"path": str(folder / "r.db")}, online_store=None, offline_store=offline,
        repo_path=folder, entity_key_serialization_version=3,
    )  # fmt: skip
    store = feast.FeatureStore(config=config)
    entity = feast.Entity(name="symbol", join_keys=["symbol"], value_type=feast.ValueType.STRING)
    store.apply([entity, *views(feast, source, entity)])
    return store


@pytest.mark.parametrize("by_knowledge", [True, False], ids=["known", "happened"])
def test_feasts_spark_store_gives_the_rows_of_ours(
    spark: "SparkSession", rows: list[Any], tmp_path: Path, make_table: Any, write: Any, oracle: Any, by_knowledge: bool
) -> None:
    lake = write("features", make_table(rows))
    load_feast()
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    on_spark = SparkSource(
        name="features",
        # A path may be no Delta table here.
        query=f"SELECT * FROM delta.`{lake / 'features'}`",  # noqa: S608
        timestamp_field="event_time",
        created_timestamp_column="knowledge_time",
    )
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    theirs = feast_store(tmp_path / "spark", {"type": "spark"}, on_spark)
    ours = feast_store(
        tmp_path / "ours", {"type": OFFLINE_STORE, "lake_url": str(lake)}, delta_source(table="features")
    )
    times = [START + quarter * timedelta(minutes=35) for quarter in range(130)]
    asked = pd.DataFrame(
        {
            "symbol": [f"S{number % 4}" for number in range(len(times))],
            "event_timestamp": pd.Series(times, dtype="datetime64[us, UTC]"),
            "number": range(len(times)),
        }
    )
    found = {}
    for name, store in (("spark", theirs), ("ours", ours)):
        table = store.get_historical_features(
            entity_df=asked.copy(),
            features=[f"{view}:a" for view in TTLS],
            full_feature_names=True,
            filter_by_created_timestamp=by_knowledge,
        ).to_arrow()
        found[name] = pl.DataFrame(table).sort("number")
    for view, ttl in TTLS.items():
        expected = [
            oracle(rows, symbol, at, ttl, by_knowledge) for symbol, at in zip(asked["symbol"], times, strict=True)
        ]
        assert found["ours"][f"{view}__a"].to_list() == expected
        assert found["spark"][f"{view}__a"].to_list() == expected
        assert any(value is None for value in expected)
        assert len({value for value in expected if value is not None}) > 20
    assert found["spark"]["symbol"].to_list() == found["ours"]["symbol"].to_list()
