"""The offline store behind Feast's interface, on real Delta tables."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from project01.domain import InputError, LakeError, SchemaError
from project01.store.feast_import import OFFLINE_STORE, ONLINE_STORE, delta_source, load_feast

DAY = timedelta(days=1)
START = datetime(2024, 3, 1, 21, tzinfo=UTC)


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[[], Any]:
    def build() -> Any:
        feast = load_feast()
        return feast.FeatureStore(
            config=feast.RepoConfig(
                project="offline",
                registry={"path": str(tmp_path / "registry.db")},
                online_store={"type": ONLINE_STORE, "path": "online.db"},
                offline_store={"type": OFFLINE_STORE, "lake_url": "lake"},
                repo_path=tmp_path,
            )
        )

    return build


def symbol_entity() -> Any:
    feast = load_feast()
    return feast.Entity(name="symbol", join_keys=["symbol"], value_type=feast.ValueType.STRING)


def view(name: str, fields: list[str], *, ttl: timedelta | None = None, source: Any = None) -> Any:
    feast = load_feast()
    from feast.types import Float32, String

    return feast.FeatureView(
        name=name,
        entities=[symbol_entity()],
        ttl=ttl,
        schema=[feast.Field(name="symbol", dtype=String), *(feast.Field(name=f, dtype=Float32) for f in fields)],
        source=source or delta_source(table="features"),
    )


def question(*asked: tuple[str, datetime], **extra: list[Any]) -> pd.DataFrame:
    times = pd.Series([at for _, at in asked], dtype="datetime64[us, UTC]")
    return pd.DataFrame({"symbol": [key for key, _ in asked], "event_timestamp": times, **extra})


def read(store: Any, frame: pd.DataFrame, references: list[str], **options: Any) -> pa.Table:
    options.setdefault("filter_by_created_timestamp", True)
    return store.get_historical_features(entity_df=frame, features=references, **options).to_arrow()


@pytest.fixture
def restated(make_table: Any, row_type: Any, write: Any) -> Path:
    """1 March's value is restated from 1.0 to 2.0 on the 5th; 2 March's is published only on the 6th."""
    rows = [
        row_type("A", START, START, 1.0),
        row_type("A", START, START + 4 * DAY, 2.0),
        row_type("A", START + DAY, START + 5 * DAY, 3.0),
    ]
    return write("features", make_table(rows, b=lambda row: row.value * 10))


def test_restated_and_late_rows_are_seen_from_their_publication_on(restated: Path, open_store: Any) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"])])
    asked = question(*[("A", START + days * DAY) for days in range(-1, 7)])
    assert read(store, asked, ["v:a"])["a"].to_pylist() == [None, 1, 1, 1, 1, 2, 3, 3]
    # Feast's default looks at event time alone: both leak into the past. It is why our one reader never uses it.
    leaky = read(store, asked, ["v:a"], filter_by_created_timestamp=False)
    assert leaky["a"].to_pylist() == [None, 2, 3, 3, 3, 3, 3, 3]


def test_both_bounds_of_the_time_to_live_belong_to_it(restated: Path, open_store: Any) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"], ttl=3 * DAY)])
    instant = timedelta(microseconds=1)
    asked = question(("A", START + 3 * DAY), ("A", START + 3 * DAY + instant), ("A", START - instant), ("A", START))
    assert read(store, asked, ["v:a"])["a"].to_pylist() == [1, None, None, 1]


def test_agrees_with_feasts_own_dask_store_on_event_time(
    tmp_path: Path, make_table: Any, row_type: Any, write: Any, open_store: Any
) -> None:
    """An independent implementation: bounds of the time to live, ties by created time, several symbols."""
    feast = load_feast()
    rng = np.random.default_rng(5)
    hours = rng.integers(0, 200, 60)
    rows = [
        row_type(f"S{i % 3}", START + timedelta(hours=int(h)), START + timedelta(hours=int(h) + i % 4), float(i))
        for i, h in enumerate(hours)
    ]
    table = make_table(rows).unique(["symbol", "event_time", "knowledge_time"], keep="last", maintain_order=True)
    write("features", table)
    table.drop("session").write_parquet(tmp_path / "features.parquet")
    asked = question(*[(f"S{i % 4}", START + timedelta(hours=i * 5)) for i in range(50)])
    ours = open_store()
    ours.apply([symbol_entity(), view("v", ["a"], ttl=timedelta(hours=10))])
    theirs = feast.FeatureStore(
        config=feast.RepoConfig(
            project="dask",
            registry={"path": str(tmp_path / "dask.db")},
            online_store=None,
            offline_store="dask",
            repo_path=tmp_path,
        )
    )
    source = feast.FileSource(
        path=str(tmp_path / "features.parquet"),
        timestamp_field="event_time",
        created_timestamp_column="knowledge_time",
    )
    theirs.apply([symbol_entity(), view("v", ["a"], ttl=timedelta(hours=10), source=source)])
    expected = theirs.get_historical_features(entity_df=asked, features=["v:a"]).to_df()
    found = read(ours, asked, ["v:a"], filter_by_created_timestamp=False).to_pandas()
    both = found.merge(expected, on=["event_timestamp", "symbol"], how="left", suffixes=("", "_dask"))
    # Dask's store loses an entity row whose every event is past the time to live; merged, such a row reads as missing.
    np.testing.assert_array_equal(both["a"].to_numpy(float), both["a_dask"].to_numpy(float))
    assert len(both) == 50
    assert both["a"].notna().sum() > 10


def test_columns_rows_and_names_come_back_as_given(restated: Path, open_store: Any) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"]), view("w", ["b"])])
    asked = question(
        ("A", START + 6 * DAY),
        ("none", START),
        ("A", START),
        ("A", START + 6 * DAY),
        weight=[4, 3, 2, 1],
        note=list("wxyz"),
    )[["note", "event_timestamp", "weight", "symbol"]]
    short = read(store, asked, ["w:b", "v:a"])
    assert short.column_names == ["note", "event_timestamp", "weight", "symbol", "b", "a"]
    assert short["note"].to_pylist() == list("wxyz")
    assert short["weight"].to_pylist() == [4, 3, 2, 1]
    assert short["b"].to_pylist() == [30, None, 10, 30]
    full = read(store, asked, ["w:b", "v:a"], full_feature_names=True)
    assert full.column_names[-2:] == ["w__b", "v__a"]
    assert full["v__a"].to_pylist() == [3, None, 1, 3]


def test_to_df_gives_the_rows_of_to_arrow(restated: Path, open_store: Any) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"])])
    job = store.get_historical_features(entity_df=question(("A", START), ("B", START)), features=["v:a"])
    frame = job.to_df()
    assert list(frame["symbol"]) == ["A", "B"]
    assert frame["a"].isna().tolist() == [False, True]
    assert job.metadata.features == ["v:a"]
    assert job.metadata.keys == ["symbol"]


def test_field_mappings_entity_mappings_and_views_over_two_tables(
    make_table: Any, row_type: Any, write: Any, open_store: Any
) -> None:
    write("features", make_table([row_type("A", START, START, 1.0), row_type("IDX", START, START, 9.0)]))
    write("other", make_table([row_type("A", START, START, 5.0)]).rename({"a": "raw", "event_time": "at"}))
    mapped = delta_source(table="other", timestamp_field="at", field_mapping={"raw": "b"})
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"]), view("w", ["b"], source=mapped)])
    benchmark = store.get_feature_view("v").with_name("benchmark").with_join_key_map({"symbol": "index_symbol"})
    own, other = (store.get_feature_view(name).with_name(f"own_{name}") for name in "vw")
    service = load_feast().FeatureService(name="s", features=[own, other, benchmark])
    store.apply([service])
    result = store.get_historical_features(
        entity_df=question(("A", START), index_symbol=["IDX"]),
        features=store.get_feature_service("s"),
        full_feature_names=True,
        filter_by_created_timestamp=True,
    ).to_arrow()
    found = {name: result[name].to_pylist() for name in result.column_names}
    assert (found["own_v__a"], found["own_w__b"], found["benchmark__a"]) == ([1], [5], [9])


def test_view_without_entities_joins_on_time_alone(make_table: Any, row_type: Any, write: Any, open_store: Any) -> None:
    feast = load_feast()
    from feast.types import Float32

    write("features", make_table([row_type(None, START + d * DAY, START + d * DAY, float(d)) for d in range(3)]))
    store = open_store()
    field = feast.Field(name="a", dtype=Float32)
    store.apply(
        [feast.FeatureView(name="macro", entities=[], ttl=None, schema=[field], source=delta_source(table="features"))]
    )
    asked = question(("A", START), ("B", START + 2 * DAY), ("B", START - DAY))
    assert read(store, asked, ["macro:a"])["a"].to_pylist() == [0, 2, None]


def test_a_table_without_knowledge_time_joins_on_event_time(
    make_table: Any, row_type: Any, write: Any, open_store: Any
) -> None:
    write("features", make_table([row_type("A", START, START + DAY, 1.0)]).drop("knowledge_time"))
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"], source=delta_source(table="features", created_timestamp_column=""))])
    assert read(store, question(("A", START)), ["v:a"])["a"].to_pylist() == [1]


def test_pull_latest_and_all_select_by_the_instant_a_row_became_usable(restated: Path, open_store: Any) -> None:
    from project01.store.offline import PolarsDeltaOfflineStore

    store = open_store()
    arguments: dict[str, Any] = {
        "config": store.config,
        "data_source": delta_source(table="features"),
        "join_key_columns": ["symbol"],
        "feature_name_columns": ["a"],
        "timestamp_field": "event_time",
        "created_timestamp_column": "knowledge_time",
    }

    def values(pull: Any, start: int, end: int) -> list[float]:
        job = pull(**arguments, start_date=START + start * DAY, end_date=START + end * DAY)
        return job.to_arrow()["a"].to_pylist()

    latest, everything = (
        PolarsDeltaOfflineStore.pull_latest_from_table_or_query,
        PolarsDeltaOfflineStore.pull_all_from_table_or_query,
    )
    assert [values(latest, *window) for window in [(0, 3), (0, 4), (4, 4), (5, 5), (1, 3)]] == [[1], [2], [2], [3], []]
    assert values(everything, 0, 9) == [1, 2, 3]
    assert values(everything, 1, 4) == [2]
    naive = latest(**arguments, start_date=START.replace(tzinfo=None), end_date=(START + 3 * DAY).replace(tzinfo=None))
    assert naive.to_arrow()["a"].to_pylist() == [1]


def test_source_survives_the_registry(restated: Path, open_store: Any) -> None:
    store = open_store()
    source = delta_source(
        table="features", name="named", field_mapping={"b": "c"}, tags={"k": "v"}, owner="o", description="d"
    )
    store.apply([symbol_entity(), view("v", ["a"], source=source)])
    again = open_store().get_data_source("named")
    assert again == source
    assert (again.table, again.tags, again.field_mapping) == ("features", {"k": "v"}, {"b": "c"})
    assert again != delta_source(table="other", name="named")
    again.validate(store.config)
    types = dict(again.get_table_column_names_and_types(store.config))
    assert types["c"] == "Float32"
    assert again.source_datatype_to_feast_value_type()(types["event_time"]).name == "UNIX_TIMESTAMP"
    with pytest.raises(SchemaError, match="lacks the time column"):
        delta_source(table="features", timestamp_field="moment").validate(store.config)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ("select 1", InputError, "data frame"),
        (question(("A", START)).drop(columns="symbol"), SchemaError, "lacks the column"),
        (question(("A", START), a=[1.0]), SchemaError, "named like features"),
        (question(("A", START)).assign(symbol=[1]), SchemaError, "never be equal"),
        (question(("A", START)).assign(event_timestamp=["2024-03-01"]), SchemaError, "not times"),
    ],
    ids=["sql", "missing key", "name clash", "key type", "text time"],
)
def test_bad_entity_frames_say_what_to_do(
    restated: Path, open_store: Any, frame: Any, error: type, message: str
) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["a"])])
    with pytest.raises(error, match=message):
        read(store, frame, ["v:a"])


def test_missing_tables_and_columns_say_what_to_do(restated: Path, open_store: Any) -> None:
    store = open_store()
    store.apply([symbol_entity(), view("v", ["gone"]), view("w", ["a"], source=delta_source(table="nowhere"))])
    with pytest.raises(SchemaError, match=r"lacks column.*gone"):
        read(store, question(("A", START)), ["v:gone"])
    with pytest.raises(LakeError, match="Compute the features first"):
        read(store, question(("A", START)), ["w:a"])
