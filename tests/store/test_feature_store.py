"""The project's one reader of features: repository, training reads, serving reads, and that the two agree."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.store.conftest import DAY, START, entities
from tests.store.conftest import UTC_TIME as AS_OF
from tests.store.conftest import Info as CatalogueInfo

from project01.domain import InputError, LakeError, NotEnoughDataError, SchemaError
from project01.lake import Lake
from project01.store import FeatureStore
from project01.store.feast_import import load_feast
from project01.store.rows import checked_rows, rows_spec


@pytest.fixture
def store(tmp_path: Path, make_table: Any, row_type: Any, info_type: Any, write: Any) -> FeatureStore:
    """Two symbols, ten days, `a` counts the days, `b` is ten times `a`, missing on the third day."""
    rows = [row_type(key, START + d * DAY, START + d * DAY, float(d)) for key in "AB" for d in range(10)]
    table = make_table(rows, b=lambda row: None if row.value == 2 else row.value * 10)
    built = FeatureStore(tmp_path / "run" / "feast", write("features", table))
    built.apply([info_type("a", "count"), info_type("b", "scaled")])
    return built


def test_training_features_are_sorted_typed_and_in_the_order_asked(store: FeatureStore) -> None:
    asked = entities(("B", START + 2 * DAY), ("A", START + 2 * DAY), ("A", START), ("A", START + 2 * DAY))
    read = store.training_features(asked, ["b", "a"])
    assert read.feature_names == ("b", "a")
    assert read.frame.schema == {
        "symbol": pl.String,
        "as_of": AS_OF,
        "session": pl.Date,
        "b": pl.Float32,
        "a": pl.Float32,
    }
    assert read.frame.select("symbol", "as_of").equals(asked.sort("as_of", "symbol"))
    np.testing.assert_array_equal(read.matrix(), np.array([[0, 0], [np.nan, 2], [np.nan, 2], [np.nan, 2]], np.float32))
    assert read.frame["session"].to_list() == [START.date(), *[(START + 2 * DAY).date()] * 3]


def test_unknown_too_early_and_too_old_rows_are_missing_not_zero(store: FeatureStore) -> None:
    last = START + 9 * DAY
    asked = entities(
        ("A", START - DAY), ("none", START), ("A", last + 7 * DAY), ("A", last + 7 * DAY + timedelta(seconds=1))
    )
    read = store.training_features(asked, ["a"])
    assert read.frame["session"].is_null().to_list() == [True, True, False, True]
    assert np.isnan(read.matrix()[:, 0]).tolist() == [True, True, False, True]


def test_a_restated_row_counts_only_once_it_is_known(
    tmp_path: Path, make_table: Any, row_type: Any, info_type: Any, write: Any
) -> None:
    rows = [row_type("A", START, START, 1.0), row_type("A", START, START + 2 * DAY, 2.0)]
    store = FeatureStore(tmp_path / "feast", write("features", make_table(rows)))
    store.apply([info_type("a", "g")])
    read = store.training_features(entities(*[("A", START + d * DAY) for d in range(4)]), ["a"])
    assert read.frame["a"].to_list() == [1, 1, 2, 2]


def test_times_in_other_zones_and_units_mean_the_same_instants(store: FeatureStore) -> None:
    asked = entities(("A", START), ("A", START + DAY))
    elsewhere = asked.with_columns(pl.col("as_of").dt.convert_time_zone("Asia/Kolkata").dt.cast_time_unit("ns"))
    assert store.training_features(elsewhere, ["a"]).frame.equals(store.training_features(asked, ["a"]).frame)


def test_no_questions_give_no_rows(store: FeatureStore) -> None:
    assert len(store.training_features(entities(), ["a"])) == 0


@pytest.mark.parametrize(
    "bad",
    [
        entities(("A", START)).with_columns(pl.col("as_of").dt.replace_time_zone(None)),
        entities(("A", START)).drop("symbol"),
        entities(("A", START)).with_columns(symbol=pl.lit(None, pl.String)),
    ],
    ids=["no zone", "no symbol", "null symbol"],
)
def test_bad_entities_are_refused(store: FeatureStore, bad: pl.DataFrame) -> None:
    with pytest.raises(SchemaError):
        store.training_features(bad, ["a"])


def test_unknown_names_are_refused_with_a_suggestion(store: FeatureStore) -> None:
    assert store.feature_names() == ("a", "b")
    with pytest.raises(InputError, match="Did you mean a"):
        store.training_features(entities(), ["a", "aa"])
    with pytest.raises(InputError, match="twice"):
        store.online(["A"], ["a", "a"])


def test_reading_before_apply_says_so(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake")
    with pytest.raises(InputError, match=r"Call apply\(\)"):
        store.training_features(entities(("A", START)), ["a"])
    assert not (tmp_path / "feast").exists()


def test_reading_a_lake_without_the_table_says_so(tmp_path: Path, info_type: Any) -> None:
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake")
    store.apply([info_type("a", "g")])
    with pytest.raises(LakeError, match="Compute the features first"):
        store.training_features(entities(("A", START)), ["a"])
    with pytest.raises(LakeError, match="Compute the features first"):
        store.materialise(START, START)


def test_apply_keeps_to_its_folder_and_is_done_once(
    store: FeatureStore, tmp_path: Path, info_type: Any, monkeypatch: Any
) -> None:
    catalogue = [info_type("b", "scaled"), info_type("a", "count")]
    before = {path: path.stat().st_mtime_ns for path in store.repo.rglob("*")}
    name = FeatureStore(store.repo, tmp_path / "lake").apply(catalogue)
    assert name.startswith("features_")
    assert {path: path.stat().st_mtime_ns for path in store.repo.rglob("*")} == before
    assert {path.name for path in before} == {"feature_store.yaml", "registry.db", "online.db"}
    assert {path.name for path in tmp_path.iterdir()} == {"run", "lake"}


def test_apply_follows_the_catalogue(store: FeatureStore, tmp_path: Path, info_type: Any) -> None:
    first = store.apply([info_type("a", "count"), info_type("b", "scaled")])
    second = store.apply([info_type("b", "count", description="moved to another group")])
    assert first != second
    assert store.feature_names() == ("b",)
    again = FeatureStore(store.repo, tmp_path / "lake")
    assert again.feature_names() == ("b",)
    assert again.training_features(entities(("A", START + DAY)), ["b"]).frame["b"].to_list() == [10]
    assert [(version.name, version.is_current) for version in again.services()] == [(first, False), (second, True)]


def test_earlier_versions_stay_readable_offline_and_online(store: FeatureStore, info_type: Any) -> None:
    first = store.apply([info_type("a", "count"), info_type("b", "scaled")])
    store.materialise(START, START + 2 * DAY)
    second = store.apply([info_type("a", "count"), info_type("b", "scaled", unit="USD")])
    with pytest.raises(NotEnoughDataError, match="scaled"):
        store.online(["A"], ["b"])
    # The group that did not change is shared, with what was written of it.
    assert store.online(["A"], ["a"]).frame["a"].to_list() == [2]
    assert store.online(["A"], ["a", "b"], service=first).frame["a"].to_list() == [2]
    store.materialise(START, START + 5 * DAY)
    assert store.online(["A"], ["b"]).frame["b"].to_list() == [50]
    old = store.online(["A"], ["b"], service=first).frame
    assert np.isnan(old["b"].to_list()).all()  # missing on the third day
    asked = entities(("A", START + DAY))
    for service in (first, second, None):
        assert store.training_features(asked, ["b"], service=service).frame["b"].to_list() == [10]
    assert [feature.unit for feature in store.features(service=first)] == ["1", "1"]
    assert [feature.unit for feature in store.features()] == ["1", "USD"]
    assert store.apply([info_type("b", "scaled"), info_type("a", "count")]) == first
    assert [version.is_current for version in store.services()] == [True, False]
    with pytest.raises(InputError, match=f"the store holds {min(first, second)}"):
        store.online(["A"], ["a"], service="features_none")


def test_feast_reads_the_current_version_by_the_services_name(store: FeatureStore, info_type: Any) -> None:
    """What serves without this project: Feast's own client on the service called ``features``."""
    store.apply([info_type("b", "scaled")])
    store.materialise(START, START + 4 * DAY)
    client = load_feast().FeatureStore(repo_path=str(store.repo))
    found = client.get_online_features(
        features=client.get_feature_service("features"), entity_rows=[{"symbol": "A"}, {"symbol": "none"}]
    ).to_dict()
    assert found["b"] == [40, None]
    assert [None if s is None else s.replace(tzinfo=UTC).date() for s in found["session"]] == [
        (START + 4 * DAY).date(),
        None,
    ]


def pushed(*rows: tuple[str, datetime, datetime, float | None, float | None]) -> pl.DataFrame:
    schema = {"symbol": pl.String, "event_time": AS_OF, "knowledge_time": AS_OF, "a": pl.Float64, "b": pl.Float32}
    return pl.DataFrame(list(rows), schema=schema, orient="row").with_columns(session=pl.col("event_time").dt.date())


def test_pushed_rows_are_served_at_once_and_never_give_way_to_older_ones(store: FeatureStore) -> None:
    store.push(pushed(("A", START + 20 * DAY, START + 20 * DAY, 20.0, None), ("C", START, START, 1.0, 2.0)))
    read = store.online(["A", "C"], ["a", "b"])
    assert read.frame["as_of"].unique().to_list() == [START + 20 * DAY]
    np.testing.assert_array_equal(read.matrix(), np.array([[20, np.nan], [np.nan, np.nan]], np.float32))
    store.materialise(START, START + 9 * DAY)
    store.push(pushed(("A", START + 19 * DAY, START + 21 * DAY, 19.0, 19.0)))
    read = store.online(["A", "B"], ["a"])
    assert read.frame["as_of"].unique().to_list() == [START + 21 * DAY]
    assert read.frame["a"].fill_nan(None).to_list() == [20, None]  # B's newest row, of day 9, is older than a week
    store.push(pushed(("A", START + 20 * DAY, START + 22 * DAY, 20.5, 1.0)))
    assert store.online(["A"], ["a"]).frame["a"].to_list() == [20.5]


def test_pushed_rows_reach_the_feature_table_when_asked_and_once(store: FeatureStore, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "other")
    spec = rows_spec("features", ["a", "b"])
    lake.replace(spec, checked_rows(pushed(("A", START, START, 1.0, 1.0)), ["a", "b"]))
    store = FeatureStore(tmp_path / "run" / "other", tmp_path / "other")
    store.apply([CatalogueInfo("a", "g"), CatalogueInfo("b", "h")])
    rows = pushed(("A", START + DAY, START + DAY, 2.0, None), ("A", START, START + DAY, 1.5, float("nan")))
    store.push(rows)
    assert lake.scan("features").collect().height == 1
    store.push(rows, offline=True)
    store.push(rows.reverse(), offline=True)
    assert lake.scan("features").collect().height == 3
    asked = entities(("A", START), ("A", START + DAY))
    assert store.training_features(asked, ["a"]).frame["a"].to_list() == [1, 2]
    online, offline = store.online(["A"], ["a", "b"]), store.training_features(asked[1:], ["a", "b"])
    assert online.frame.equals(offline.frame, null_equal=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop("b"), "missing: b"),
        (lambda rows: rows.with_columns(c=1), "unknown: c"),
        (lambda rows: rows.with_columns(pl.col("event_time").dt.replace_time_zone(None)), "time zone"),
        (lambda rows: rows.with_columns(b=pl.lit("x")), "as numbers"),
        (lambda rows: rows.with_columns(symbol=pl.lit(None, pl.String)), "null symbol"),
    ],
    ids=["missing", "unknown", "no zone", "text", "null"],
)
def test_rows_that_do_not_fit_are_not_pushed(store: FeatureStore, change: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        store.push(change(pushed(("A", START, START, 1.0, 1.0))))
    with pytest.raises(NotEnoughDataError):
        store.online(["A"], ["a"])


def test_feasts_own_push_is_guarded_too(store: FeatureStore) -> None:
    """A view's name is also the name of its push source; older rows pushed by another program change nothing."""
    store.materialise(START, START + 4 * DAY)
    view = store._version(None).view_of["a"]
    for day, value in ((5, 50.0), (3, 30.0)):
        at = pd.Timestamp(START + day * DAY)
        frame = pd.DataFrame({"symbol": ["A"], "a": [value], "event_time": [at], "knowledge_time": [at]})
        store._open().push(view, frame)
    assert store.look_up(["A"], ["a"])["value"].to_list() == [50]


def test_looking_up_shows_both_clocks_and_agrees_with_the_reads(
    tmp_path: Path, make_table: Any, row_type: Any, info_type: Any, write: Any
) -> None:
    rows = [row_type("A", START, START, 1.0), row_type("A", START, START + 2 * DAY, 2.0)]
    store = FeatureStore(tmp_path / "feast", write("features", make_table(rows)))
    store.apply([info_type("a", "g")])
    found = store.look_up(["A", "none"], ["a"], START + 3 * DAY)
    assert found.rows() == [
        ("A", "a", 2.0, START + 3 * DAY, START, START + 2 * DAY, False),
        ("none", "a", None, START + 3 * DAY, None, None, False),
    ]
    assert store.look_up(["A"], ["a"], START + DAY)["value"].to_list() == [1]
    old = store.look_up(["A"], ["a"], START + 8 * DAY)
    assert old.select("value", "event_time", "expired").row(0) == (None, START, True)
    store.materialise(START, START + 3 * DAY)
    assert store.look_up(["A", "none"], ["a"]).equals(found, null_equal=True)
    with pytest.raises(InputError, match="no time zone"):
        store.look_up(["A"], ["a"], datetime(2024, 1, 1))  # noqa: DTZ001


def test_online_stores_of_feast_itself_are_refused(tmp_path: Path, info_type: Any) -> None:
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake", online_store={"type": "sqlite", "path": "own.db"})
    store.apply([info_type("a", "g")])
    with pytest.raises(InputError, match="SqliteOnlineStore cannot be read in one batch"):
        store.online(["A"], ["a"])


@pytest.mark.parametrize(
    "catalogue",
    [[], [("a", "g"), ("a", "h")], [("session", "g")], [("a", "bar")]],
    ids=["empty", "twice", "column", "group"],
)
def test_bad_catalogues_are_refused(tmp_path: Path, info_type: Any, catalogue: list[tuple[str, str]]) -> None:
    with pytest.raises(InputError, match="catalogue needs"):
        FeatureStore(tmp_path / "feast", tmp_path).apply([info_type(*pair) for pair in catalogue])


def test_the_folder_of_run_and_lake_can_be_moved(store: FeatureStore, tmp_path: Path, info_type: Any) -> None:
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    again = FeatureStore(moved / "run" / "feast", moved / "lake")
    assert again.training_features(entities(("A", START)), ["a"]).frame["a"].to_list() == [0]


def test_secrets_of_the_lake_reach_no_file_and_no_text(tmp_path: Path, info_type: Any) -> None:
    store = FeatureStore(tmp_path / "feast", "s3://bucket/lake", storage_options={"AWS_SECRET_ACCESS_KEY": "canary-7"})
    store.apply([info_type("a", "g")])
    assert store._open().config.offline_store.storage_options == {"AWS_SECRET_ACCESS_KEY": "canary-7"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canary-7" in path.read_bytes()]
    assert "canary-7" not in repr(store._open().config.offline_store)
    assert "s3://bucket/lake" in (tmp_path / "feast" / "feature_store.yaml").read_text()


def test_online_serves_the_newest_values_as_of_the_last_materialisation(store: FeatureStore) -> None:
    with pytest.raises(NotEnoughDataError, match="materialise"):
        store.online(["A"], ["a"])
    store.materialise(START, START + 4 * DAY)
    read = store.online(["B", "none", "A", "B"], ["b", "a"])
    assert read.frame["symbol"].to_list() == ["A", "B", "none"]
    assert read.frame["as_of"].unique().to_list() == [START + 4 * DAY]
    assert read.frame["session"].to_list() == [*[(START + 4 * DAY).date()] * 2, None]
    np.testing.assert_array_equal(read.matrix(), np.array([[40, 4], [40, 4], [np.nan, np.nan]], np.float32))
    assert len(store.online([], ["a"])) == 0


def test_an_older_window_never_replaces_newer_values(store: FeatureStore) -> None:
    store.materialise(START + 5 * DAY, START + 8 * DAY)
    store.materialise(START, START + 3 * DAY)
    read = store.online(["A"], ["a"])
    assert read.frame["a"].to_list() == [8]
    assert read.frame["as_of"].to_list() == [START + 8 * DAY]


def test_another_process_sees_what_was_materialised_since(store: FeatureStore, tmp_path: Path) -> None:
    reader = FeatureStore(store.repo, tmp_path / "lake")
    store.materialise(START, START + DAY)
    assert reader.online(["A"], ["a"]).frame["a"].to_list() == [1]
    store.materialise(START + DAY, START + 3 * DAY)
    read = reader.online(["A"], ["a"])
    assert (read.frame["a"].to_list(), read.frame["as_of"].to_list()) == ([3], [START + 3 * DAY])


def test_values_past_their_time_to_live_are_not_served(store: FeatureStore) -> None:
    store.materialise(START, START + 9 * DAY + timedelta(days=7))
    assert store.online(["A"], ["a"]).frame["a"].to_list() == [9]
    store.materialise(START + 9 * DAY, START + 9 * DAY + timedelta(days=7, microseconds=1))
    read = store.online(["A"], ["a"]).frame
    assert np.isnan(read["a"].to_list()).all()
    assert read["session"].to_list() == [None]


@pytest.mark.parametrize(
    "window", [(START, START - DAY), (START.replace(tzinfo=None), START)], ids=["reversed", "no zone"]
)
def test_bad_windows_are_refused(store: FeatureStore, window: tuple[datetime, datetime]) -> None:
    with pytest.raises(InputError, match="Materialising needs"):
        store.materialise(*window)


def test_materialising_prints_nothing(store: FeatureStore, capfd: pytest.CaptureFixture[str]) -> None:
    store.materialise(START, START + DAY)
    assert capfd.readouterr() == ("", "")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_importing_the_store_loads_neither_feast_nor_pandas() -> None:
    code = "import sys, project01.store; print({'feast', 'pandas', 'sqlalchemy'} & set(sys.modules))"
    assert run_python(code) == "set()"


@pytest.mark.slow
def test_loading_feast_leaves_typeguard_and_warning_filters_alone() -> None:
    code = (
        "import typeguard, warnings; from project01.store.feast_import import load_feast\n"
        "check, filters = typeguard.typechecked, list(warnings.filters); feast = load_feast()\n"
        "print(typeguard.typechecked is check, list(warnings.filters) == filters, feast.__name__)"
    )
    assert run_python(code) == "True True feast"
