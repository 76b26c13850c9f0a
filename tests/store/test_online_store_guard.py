"""The online store by itself: what gives way to what, to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project01.store.feast_import import ONLINE_STORE, load_feast

START = datetime(2024, 3, 1, 21, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.fixture
def online(tmp_path: Path) -> Any:
    feast = load_feast()
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    from project01.store.online import NewestSqliteOnlineStore

    config = feast.RepoConfig(
        project="p",
        registry={"path": "registry.db"},
        online_store={"type": ONLINE_STORE, "path": "deep/online.db"},
        offline_store=None,
        repo_path=tmp_path,
    )
    store, view = NewestSqliteOnlineStore(), feast.FeatureView(name='v"quoted', entities=[], source=None)
    store.update(config, [], [view], [], [], partial=False)

    def key(symbol: str) -> Any:
        return EntityKey(join_keys=["symbol"], entity_values=[Value(string_val=symbol)])

    def write(*rows: tuple[str, float, datetime, datetime | None]) -> None:
        data = [(key(symbol), {"a": Value(float_val=value)}, event, known) for symbol, value, event, known in rows]
        store.online_write_batch(config, view, data, None)

    def read(*symbols: str) -> list[tuple[datetime | None, float | None]]:
        found = store.online_read(config, view, [key(symbol) for symbol in symbols], ["a"])
        return [(stamp, None if values is None else values["a"].float_val) for stamp, values in found]

    return SimpleNamespace(
        store=store, config=config, view=view, write=write, read=read, path=tmp_path / "deep/online.db"
    )


def test_newer_events_and_versions_replace_older_ones_only(online: Any) -> None:
    steps = [
        ((1.0, START, START), 1.0),
        ((2.0, START - TICK, START + 5 * TICK), 1.0),  # an older event, however late it is known
        ((3.0, START, START - TICK), 1.0),  # an older version of the same event
        ((4.0, START, START + TICK), 4.0),  # a restatement
        ((5.0, START + TICK, START), 5.0),  # a newer event within the same second
        ((6.0, START + TICK, START), 6.0),  # the same row again
    ]
    for (value, event, known), expected in steps:
        online.write(("A", value, event, known))
        assert online.read("A")[0][1] == expected
    assert online.read("A")[0][0] == START + TICK


def test_times_without_a_zone_are_utc_and_other_zones_are_converted(online: Any) -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    online.write(("A", 1.0, START.astimezone(kolkata), None), ("B", 2.0, START.replace(tzinfo=None), None))
    assert online.read("A", "B", "none") == [(START, 1.0), (START, 2.0), (None, None)]


def test_more_keys_than_one_query_may_hold(online: Any) -> None:
    symbols = [f"S{i}" for i in range(2000)]
    online.write(*[(symbol, float(i), START, START) for i, symbol in enumerate(symbols)])
    assert [value for _, value in online.read(*symbols)] == list(range(2000))


def test_a_failed_batch_leaves_nothing_behind(online: Any) -> None:
    with pytest.raises(AttributeError):
        online.write(("A", 1.0, START, START), ("B", 2.0, None, START))  # type: ignore[arg-type]
    assert online.read("A", "B") == [(None, None)] * 2


def test_views_are_dropped_and_the_file_removed(online: Any) -> None:
    online.store.update(online.config, [online.view], [], [], [], partial=False)
    online.store.update(online.config, [], [online.view], [], [], partial=False)
    assert online.read("A") == [(None, None)]
    online.store.teardown(online.config, [online.view], [])
    assert not online.path.exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6), st.integers(1, 3))
def test_any_order_and_cut_of_batches_ends_at_the_newest(online: Any, clocks: list[tuple[int, int]], size: int) -> None:
    online.store.teardown(online.config, [], [])
    online.store.update(online.config, [], [online.view], [], [], partial=False)
    rows = [("A", float(10 * e + k), START + e * TICK, START + k * TICK) for e, k in clocks]
    for start in range(0, len(rows), size):
        online.write(*rows[start : start + size])
    newest = max(clocks)
    assert online.read("A") == [(START + newest[0] * TICK, 10.0 * newest[0] + newest[1])]
