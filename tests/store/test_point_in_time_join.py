"""The join through Feast's own interface against a pure-Python oracle on drawn cases."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.store.feast_import import OFFLINE_STORE, delta_source, load_feast
from project01.store.join import ASKED, ROW, microseconds, newest_known, usable_versions, within_time_to_live

START = datetime(2024, 3, 8, tzinfo=UTC)  # New York's clocks go forward two days later
TTLS = {"forever": None, "short": timedelta(hours=7), "instant": timedelta(microseconds=1)}
HOUR = timedelta(hours=1)

# Few keys and few instants, so that ties, restatements, late publications and duplicates come often.
instants = st.integers(0, 60).map(lambda hour: START + hour * HOUR)
fine = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1)])
keys = st.sampled_from(["A", "B", "", None])
raw_rows = st.lists(
    st.tuples(keys, st.one_of(instants, st.none()), st.one_of(instants, st.none(), st.just("event"))), max_size=14
)
questions = st.lists(
    st.tuples(st.sampled_from(["A", "B", "", None, "unknown"]), st.tuples(instants, fine)), min_size=1, max_size=10
)


@pytest.fixture(scope="module")
def feast_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One view a time to live, all on one table."""
    feast = load_feast()
    from feast.types import Float32, String

    repo: Path = tmp_path_factory.mktemp("feast")
    store = feast.FeatureStore(
        config=feast.RepoConfig(
            project="oracle",
            registry={"path": str(repo / "registry.db")},
            online_store=None,
            offline_store={"type": OFFLINE_STORE, "lake_url": str(repo)},
            repo_path=repo,
        )
    )
    entity = feast.Entity(name="symbol", join_keys=["symbol"], value_type=feast.ValueType.STRING)
    schema = [feast.Field(name="symbol", dtype=String), feast.Field(name="a", dtype=Float32)]
    views = [
        feast.FeatureView(name=name, entities=[entity], ttl=ttl, schema=schema, source=delta_source(table="features"))
        for name, ttl in TTLS.items()
    ]
    store.apply([entity, *views])
    return store


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Callable[[pl.DataFrame], None]]:
    """Let every DeltaTableSource read one frame, so that hundreds of cases need no files."""
    load_feast()
    from project01.store.source import DeltaTableSource

    kept: dict[str, pl.DataFrame] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(DeltaTableSource, "scan", lambda _self, _config: kept["table"].lazy())
    yield lambda table: kept.update(table=table)
    patch.undo()


def check(
    drawn_rows: Any, asked: Any, by_knowledge: bool, zone: str | None, tools: tuple[Any, Any, Any, Any, Any]
) -> None:
    feast_store, in_memory, oracle, make_table, row_type = tools
    rows = [
        row_type(key, event, event if known == "event" else known, float(i))
        for i, (key, event, known) in enumerate(drawn_rows)
    ]
    in_memory(make_table(rows))
    times = [instant + shift for _, (instant, shift) in asked]
    stamps = pd.Series(times, dtype="datetime64[us, UTC]")
    stamps = stamps.dt.tz_localize(None) if zone is None else stamps.dt.tz_convert(zone)
    frame = pd.DataFrame({"symbol": [key for key, _ in asked], "event_timestamp": stamps})
    references = [f"{name}:a" for name in TTLS]
    result = feast_store.get_historical_features(
        entity_df=frame, features=references, full_feature_names=True, filter_by_created_timestamp=by_knowledge
    ).to_arrow()
    for name, ttl in TTLS.items():
        expected = [oracle(rows, key, at, ttl, by_knowledge) for (key, _), at in zip(asked, times, strict=True)]
        assert result[f"{name}__a"].to_pylist() == expected
    assert result["symbol"].to_pylist() == [key for key, _ in asked]
    assert [stamp.astimezone(UTC) for stamp in result["event_timestamp"].to_pylist()] == times


@pytest.fixture(scope="module")
def tools(feast_store: Any, in_memory: Any, oracle: Any, make_table: Any, row_type: Any) -> tuple[Any, ...]:
    return feast_store, in_memory, oracle, make_table, row_type


zones = st.sampled_from([None, "UTC", "America/New_York", "Asia/Kolkata"])
TOLERATED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=examples(300), deadline=None, suppress_health_check=TOLERATED)
@given(raw_rows, questions, st.booleans(), zones)
@example([("A", START, START + 5 * HOUR), ("A", START, START)], [("A", (START + HOUR, timedelta(0)))], True, "UTC")
@example(
    [("A", START + HOUR, "event"), ("A", START, START + 5 * HOUR)],
    [("A", (START + 5 * HOUR, timedelta(0)))],
    True,
    None,
)
@example(
    [("A", START + HOUR, "event"), ("B", START, START + 2 * HOUR)],
    [("B", (START + 5 * HOUR, timedelta(0)))],
    True,
    None,
)
@example([("A", START + 2 * HOUR, START)], [("A", (START + HOUR, timedelta(0)))], True, None)
def test_join_equals_the_oracle(tools: Any, drawn: Any, asked: Any, by_knowledge: bool, zone: str | None) -> None:
    check(drawn, asked, by_knowledge, zone, tools)


@pytest.mark.slow
@settings(max_examples=examples(1000), deadline=None, suppress_health_check=TOLERATED)
@given(raw_rows, questions, st.booleans(), zones)
def test_join_equals_the_oracle_on_a_thousand_cases(
    tools: Any, drawn: Any, asked: Any, by_knowledge: bool, zone: str | None
) -> None:
    check(drawn, asked, by_knowledge, zone, tools)


def joined(table: pl.DataFrame, asked: pl.DataFrame, ttl: timedelta | None = None) -> list[int | None]:
    versions = usable_versions(table, ["symbol"], "event_time", "knowledge_time", wait_until_known=True)
    found = newest_known(asked.select("symbol", microseconds("at").alias(ASKED)), versions)
    return within_time_to_live(found, ttl).to_list()


@given(raw_rows, st.randoms(use_true_random=False))
@settings(max_examples=examples(50), deadline=None, suppress_health_check=TOLERATED)
def test_order_of_the_tables_rows_does_not_matter(make_table: Any, row_type: Any, drawn: Any, random: Any) -> None:
    unique = {(k, e, e if n == "event" else n): i for i, (k, e, n) in enumerate(drawn)}
    rows = [row_type(*clocks, float(i)) for clocks, i in unique.items()]
    table = make_table(rows)
    shuffled = table[random.sample(range(table.height), table.height)]
    at = [START + hour * HOUR for hour in range(0, 61, 3)]
    asked = pl.DataFrame({"symbol": ["A"] * len(at), "at": at})
    values = [[None if row is None else frame["a"][row] for row in joined(frame, asked)] for frame in (table, shuffled)]
    assert values[0] == values[1]


def test_missing_keys_and_times_match_nothing(make_table: Any, row_type: Any) -> None:
    table = make_table([row_type(None, START, START, 0.0), row_type("A", START, START, 1.0)])
    asked = pl.DataFrame({"symbol": [None, "A", "A"], "at": [START, None, START]})
    assert joined(table, asked) == [None, None, 1]


def test_several_key_columns_join_together(make_table: Any, row_type: Any) -> None:
    rows = [row_type("A", START, START, 0.0), row_type("A", START, START, 1.0), row_type("B", START, START, 2.0)]
    table = make_table(rows).with_columns(venue=pl.Series(["N", "Q", "N"]))
    asked = pl.DataFrame({"symbol": ["A", "B", "A", "B"], "venue": ["Q", "Q", "N", "N"], ASKED: [2**60] * 4})
    versions = usable_versions(table, ["symbol", "venue"], "event_time", "knowledge_time", wait_until_known=True)
    assert newest_known(asked, versions).get_column(ROW).to_list() == [1, None, 0, 2]


def test_no_keys_join_on_time_alone(make_table: Any, row_type: Any) -> None:
    rows = [row_type("A", START + hour * HOUR, START + (9 - hour) * HOUR, float(hour)) for hour in range(4)]
    versions = usable_versions(make_table(rows), [], "event_time", "knowledge_time", wait_until_known=True)
    at = pl.DataFrame({"at": [START + hour * HOUR for hour in range(6, 11)]}).select(microseconds("at").alias(ASKED))
    # Hour 3 is known first (at 6), and older events published after it change nothing.
    assert newest_known(at, versions).get_column(ROW).to_list() == [3, 3, 3, 3, 3]


def test_empty_table_and_no_questions(make_table: Any) -> None:
    nothing = make_table([])
    asked = pl.DataFrame({"symbol": ["A"], "at": [START]})
    assert joined(nothing, asked) == [None]
    assert joined(nothing, asked.clear()) == []


def test_nanosecond_questions_do_not_see_the_next_microsecond(make_table: Any, row_type: Any) -> None:
    table = make_table([row_type("A", START + timedelta(microseconds=1), START, 0.0)])
    stamp = pd.Timestamp(START)
    asked = pd.DataFrame(
        {"symbol": ["A"] * 2, "at": [stamp + pd.Timedelta(999, "ns"), stamp + pd.Timedelta(1001, "ns")]}
    )
    assert joined(table, pl.from_pandas(asked)) == [None, 0]
    before_1970 = pl.DataFrame({"symbol": ["A"], "at": [pd.Timestamp("1969-12-31 23:59:59.999999500").to_numpy()]})
    epoch = table.with_columns(
        pl.lit(datetime(1970, 1, 1, tzinfo=UTC)).alias(
            "event_time",
        ),
        pl.lit(START.replace(year=1960)).alias("knowledge_time"),
    )
    assert joined(epoch, before_1970) == [None]


def test_spring_forward_hour_is_one_instant_in_every_zone(make_table: Any, row_type: Any) -> None:
    table = make_table([row_type("A", datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(2024, 3, 10, 7, tzinfo=UTC), 0.0)])
    new_york = ZoneInfo("America/New_York")
    at = [datetime(2024, 3, 10, 1, 59, 59, tzinfo=new_york), datetime(2024, 3, 10, 3, 0, tzinfo=new_york)]
    asked = pl.DataFrame({"symbol": ["A", "A"], "at": pl.Series(at).dt.convert_time_zone("America/New_York")})
    assert joined(table, asked) == [None, 0]
