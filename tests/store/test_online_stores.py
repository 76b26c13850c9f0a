"""One contract for both online stores: what gives way to what, to the microsecond, in any order, by any writers."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.redis_server import redis_server
from tests.store.conftest import empty_redis

from project01.domain import SchemaError, StoreError
from project01.store import packed
from project01.store.feast_import import load_feast
from project01.store.packed import Column, Layout

START = datetime(2024, 3, 1, 21, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TOLERATED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def feature_view(name: str, **types: str) -> Any:
    feast = load_feast()
    from feast import types as kinds

    schema = [feast.Field(name=feature, dtype=getattr(kinds, kind)) for feature, kind in types.items()]
    return feast.FeatureView(name=name, entities=[], schema=schema, source=None)


def entity_key(symbol: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=["symbol"], entity_values=[Value(string_val=symbol)])


def store_of(section: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    feast = load_feast()
    from feast.infra.online_stores.helpers import get_online_store_from_config

    config = feast.RepoConfig(
        project="p", registry={"path": "registry.db"}, online_store=section, offline_store=None, repo_path=folder
    )
    return config, get_online_store_from_config(config.online_store)


@pytest.fixture
def online(online_section: dict[str, Any], tmp_path: Path) -> Iterator[Any]:
    config, store = store_of(online_section, tmp_path)
    view = feature_view('v"quoted', a="Float32")
    store.update(config, [], [view], [], [], partial=False)

    def write(*rows: tuple[str, float, datetime, datetime | None]) -> None:
        write_rows(store, config, view, *rows)

    def read(*symbols: str) -> list[tuple[datetime | None, float | None]]:
        found = store.online_read(config, view, [entity_key(symbol) for symbol in symbols], ["a"])
        return [(stamp, None if values is None else values["a"].float_val) for stamp, values in found]

    yield SimpleNamespace(store=store, config=config, view=view, write=write, read=read, section=online_section)
    store.close()


def write_rows(store: Any, config: Any, view: Any, *rows: tuple[str, float, datetime, datetime | None]) -> None:
    from feast.protos.feast.types.Value_pb2 import Value

    data = [(entity_key(symbol), {"a": Value(float_val=value)}, event, known) for symbol, value, event, known in rows]
    store.online_write_batch(config, view, data, None)


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
    assert [value for _, value in online.read("S7", "none", "S7")] == [7, None, 7]


@pytest.mark.parametrize("more", [0, 20])
def test_the_same_request_sees_what_others_wrote_since(online: Any, tmp_path: Path, more: int) -> None:
    config, other = store_of(online.section, tmp_path)
    requests = [("A",), ("A", "B"), ("B", "A"), *((f"S{number}",) for number in range(more))]
    for turn in range(3):
        for request in requests:
            assert [value for _, value in online.read(*request)] == [
                None if turn == 0 else float(turn if symbol == "A" else -turn) for symbol in request
            ]
            assert online.read(*request) == online.read(*request)
        later = START + turn * TICK
        rows = [(symbol, -1.0 - turn, later, later) for symbol in ("B", *(request[0] for request in requests[3:]))]
        write_rows(other, config, online.view, ("A", 1.0 + turn, later, later), *rows)
    other.close()


def test_a_failed_batch_leaves_nothing_behind(online: Any) -> None:
    with pytest.raises(AttributeError):
        online.write(("A", 1.0, START, START), ("B", 2.0, None, START))
    assert online.read("A", "B") == [(None, None)] * 2


def test_views_are_dropped_with_what_they_hold(online: Any) -> None:
    online.write(("A", 1.0, START, START))
    online.store.update(online.config, [online.view], [], [], [], partial=False)
    online.store.update(online.config, [], [online.view], [], [], partial=False)
    assert online.read("A") == [(None, None)]
    from project01.store.online_packed import table_of

    assert online.store.read_views(online.config, [table_of(online.config, online.view)], [])[0].reached is None
    online.write(("A", 1.0, START, START))
    online.store.teardown(online.config, [online.view], [])
    online.store.update(online.config, [], [online.view], [], [], partial=False)
    assert online.read("A") == [(None, None)]


# Far ends of the calendar too: their microseconds do not fit the numbers of Lua.
instants = st.one_of(
    st.integers(0, 3).map(lambda ticks: START + ticks * TICK),
    st.datetimes(datetime(1800, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)


@settings(max_examples=examples(100), suppress_health_check=TOLERATED)
@given(st.lists(st.tuples(instants, instants), min_size=1, max_size=8), st.integers(1, 4))
def test_any_order_and_cut_of_batches_ends_at_the_newest(online: Any, clocks: Any, size: int) -> None:
    online.store.update(online.config, [online.view], [], [], [], partial=False)
    online.store.update(online.config, [], [online.view], [], [], partial=False)
    rows = [("A", float(number), *pair) for number, pair in enumerate(clocks)]
    for start in range(0, len(rows), size):
        online.write(*rows[start : start + size])
    newest = max(clocks)
    last = max(number for number, pair in enumerate(clocks) if pair == newest)
    assert online.read("A") == [(newest[0], float(last))]


def test_concurrent_writers_end_at_the_newest_and_readers_see_no_step_back(online: Any, tmp_path: Path) -> None:
    """Four writers, each with its own connection and its own order of the same rows; a reader all the while."""
    symbols, rows = [f"S{i}" for i in range(20)], 60
    all_rows = [(s, float(k), START + k * TICK, START + k * TICK) for s in symbols for k in range(rows)]
    errors: list[BaseException] = []
    stepped: list[Any] = []
    done = threading.Event()

    def writer(seed: int) -> None:
        config, store = store_of(online.section, tmp_path)
        try:
            order = np.random.default_rng(seed).permutation(len(all_rows))
            for start in range(0, len(order), 50):
                write_rows(store, config, online.view, *[all_rows[i] for i in order[start : start + 50]])
        except BaseException as error:
            errors.append(error)
        finally:
            store.close()

    def reader() -> None:
        before = dict.fromkeys(symbols, -1.0)
        while not done.is_set():
            for symbol, (_, value) in zip(symbols, online.read(*symbols), strict=True):
                if value is not None and value < before[symbol]:
                    stepped.append((symbol, before[symbol], value))
                before[symbol] = max(before[symbol], -1.0 if value is None else value)

    watching = threading.Thread(target=reader)
    watching.start()
    writers = [threading.Thread(target=writer, args=(seed,)) for seed in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    watching.join()
    assert errors == []
    assert stepped == []
    assert online.read(*symbols) == [(START + (rows - 1) * TICK, float(rows - 1))] * len(symbols)


def test_every_kind_of_value_comes_back_and_null_is_not_nan(online: Any) -> None:
    from feast.protos.feast.types.Value_pb2 import StringList, Value

    numbers = {
        "f": Value(float_val=1.5),
        "d": Value(double_val=-1e300),
        "i": Value(int64_val=-(2**62)),
        "t": Value(unix_timestamp_val=1_700_000_000),
    }
    texts = {"s": Value(string_val="Ünïcode"), "l": Value(string_list_val=StringList(val=["a", ""]))}
    numeric = feature_view("numeric", f="Float32", d="Float64", i="Int64", t="UnixTimestamp")
    mixed = feature_view("mixed", s="String", f="Float32")
    online.store.update(online.config, [], [numeric, mixed], [], [], partial=False)
    key, nothing = entity_key("A"), {name: Value() for name in "fdit"}
    for view, values in (
        (numeric, numbers),
        (numeric, nothing),
        (numeric, nothing | {"f": Value(float_val=float("nan"))}),
        (mixed, {"s": texts["s"], "f": Value()}),
    ):
        online.store.online_write_batch(online.config, view, [(key, values, START, None)], None)
        ((stamp, found),) = online.store.online_read(online.config, view, [key])
        assert stamp == START
        assert found.keys() == values.keys()
        for name, value in values.items():
            assert found[name].SerializeToString() == value.SerializeToString()


def test_rows_of_an_earlier_set_of_features_stay_readable(online: Any) -> None:
    """A view that gains and loses features: old rows give what both know, new ones all."""
    from feast.protos.feast.types.Value_pb2 import Value

    online.write(("A", 1.0, START, START))
    wider = feature_view('v"quoted', b="Float32", a="Float32")
    row = (entity_key("B"), {"a": Value(float_val=2), "b": Value(float_val=3)}, START, START)
    online.store.online_write_batch(online.config, wider, [row], None)
    found = online.store.online_read(online.config, wider, [entity_key("A"), entity_key("B")])
    assert [{name: value.float_val for name, value in values.items()} for _, values in found] == [
        {"a": 1.0},
        {"a": 2.0, "b": 3.0},
    ]


def test_values_of_another_type_than_declared_are_refused(online: Any) -> None:
    from feast.protos.feast.types.Value_pb2 import Value

    row = (entity_key("A"), {"a": Value(int64_val=1)}, START, None)
    with pytest.raises(SchemaError, match="declared as float_val"):
        online.store.online_write_batch(online.config, online.view, [row], None)


def test_a_read_is_one_snapshot_of_all_views(online: Any, tmp_path: Path) -> None:
    """A writer puts the same number into two views at once; no read may see two numbers."""
    from project01.store.online_packed import ViewWrite, table_of, view_layout

    views = [feature_view(name, a="Float32") for name in ("one", "two")]
    online.store.update(online.config, [], views, [], [], partial=False)
    tables, layout = [table_of(online.config, view) for view in views], view_layout(views[0])

    def packed_row(number: int) -> list[bytes]:
        return packed.encode(
            layout, np.array([number]), np.array([number]), {"a": Column(np.array([number]), np.array([True]))}
        )

    def writer() -> None:
        config, store = store_of(online.section, tmp_path)
        for number in range(1, 400):
            row = packed_row(number)
            store.write_views(config, [ViewWrite(table, layout, [b"k"], row, number) for table in tables])
        store.close()

    # So many keys that what is asked does not reach the server in one piece, and takes several queries of a file.
    keys = [b"k", *(b"nothing under %d" % number for number in range(8000))]
    thread = threading.Thread(target=writer)
    thread.start()
    seen = set()
    while thread.is_alive():
        first, second = online.store.read_views(online.config, tables, keys)
        assert (first.reached, first.rows[0]) == (second.reached, second.rows[0])
        seen.add(first.reached)
    thread.join()
    assert online.store.read_views(online.config, tables, [b"k"])[1].reached == 399
    assert len(seen) > 1


@given(st.lists(st.text(max_size=12), max_size=5))
def test_keys_of_symbols_are_those_of_feast(symbols: list[str]) -> None:
    feast = load_feast()
    from feast.infra.key_encoding_utils import serialize_entity_key

    from project01.store.online_packed import symbol_keys

    config = feast.RepoConfig(project="p", registry="r.db", online_store=None, offline_store=None)
    expected = [serialize_entity_key(entity_key(s), entity_key_serialization_version=3) for s in symbols]
    assert symbol_keys(config, "symbol", symbols) == expected


kinds = st.lists(st.sampled_from(["float_val", "double_val", "int64_val"]), min_size=1, max_size=11)


@given(st.data(), kinds)
def test_packing_is_undone_by_unpacking_and_bytes_order_as_clocks(data: st.DataObject, drawn: list[str]) -> None:
    layout = Layout(tuple((f"f{place}", kind) for place, kind in enumerate(drawn)))
    count = data.draw(st.integers(1, 6))
    moments = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)
    event, known = (np.array(data.draw(moments), dtype=np.int64) for _ in range(2))
    columns = {
        name: Column(
            np.array(data.draw(st.lists(st.integers(-100, 100), min_size=count, max_size=count))),
            np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))),
        )
        for name, _ in layout.columns
    }
    rows = packed.encode(layout, event, known, columns)
    decoded = packed.decode(layout, rows)
    assert Layout.from_json(layout.to_json()) == layout
    assert packed.event_times(decoded).tolist() == event.tolist()
    assert packed.knowledge_times(decoded).tolist() == known.tolist()
    present = packed.present_columns(decoded, layout)
    for place, (name, _) in enumerate(layout.columns):
        assert present[:, place].tolist() == columns[name].present.tolist()
        kept = columns[name].present
        assert decoded[str(place)][kept].tolist() == columns[name].values[kept].tolist()
    by_clock = sorted(range(count), key=lambda i: (event[i], known[i]))
    heads = [row[: packed.CLOCKS_SIZE] for row in rows]
    assert sorted(heads) == [heads[i] for i in by_clock]
    assert packed.clocks(event, known) == heads
    assert [packed.instant_of(row) for row in rows] == event.tolist()


def test_a_damaged_file_and_a_missing_one_say_what_to_do(tmp_path: Path) -> None:
    config, store = store_of({"type": "project01.store.online.NewestSqliteOnlineStore", "path": "o.db"}, tmp_path)
    with pytest.raises(StoreError, match="Apply the feature catalogue"):
        store.online_read(config, feature_view("v", a="Float32"), [entity_key("A")])
    (tmp_path / "o.db").write_bytes(b"no database " * 400)
    with pytest.raises(StoreError, match="delete it and materialise again"):
        store.update(config, [], [feature_view("v", a="Float32")], [], [], partial=False)


def test_redis_that_refuses_or_is_gone_is_named_without_its_password(redis_port: int, tmp_path: Path) -> None:
    view = feature_view("v", a="Float32")
    kind = "project01.store.online_redis.NewestRedisOnlineStore"
    with redis_server(tmp_path / "locked", "--requirepass", "right-one") as port:
        sections = [f"redis://:canary-7@127.0.0.1:{port}/0", f"redis://:right-one@127.0.0.1:{port}/0"]
        config, store = store_of({"type": kind, "url": sections[0]}, tmp_path)
        with pytest.raises(StoreError, match=rf"Redis at 127.0.0.1:{port}") as refused:
            store.online_read(config, view, [entity_key("A")])
        assert "canary-7" not in str(refused.value) + repr(config.online_store)
        store.close()
        config, store = store_of({"type": kind, "url": sections[1]}, tmp_path)
        assert store.online_read(config, view, [entity_key("A")]) == [(None, None)]
    with pytest.raises(StoreError, match="cannot be used"):
        store.online_read(config, view, [entity_key("A")])
    store.close()
    config, store = store_of({"type": kind, "url": "canary-7@nowhere"}, tmp_path)
    with pytest.raises(StoreError, match="no Redis address") as wrong:
        store.online_read(config, view, [entity_key("A")])
    assert "canary-7" not in str(wrong.value)


def test_redis_is_read_again_after_it_cut_the_connection_and_its_errors_are_told(
    redis_port: int, tmp_path: Path
) -> None:
    import redis

    view = feature_view("v", a="Float32")
    config, store = store_of(empty_redis(redis_port), tmp_path)
    write_rows(store, config, view, ("A", 1.0, START, None))
    with redis.Redis(port=redis_port) as client:
        for _ in range(3):
            assert store.online_read(config, view, [entity_key("A")])[0][0] == START
            assert client.client_kill_filter(_type="normal", skipme=True) == 1
        (name,) = client.keys("*")
        client.set(name, "no hash")
    with pytest.raises(StoreError, match="cannot be used"):
        store.online_read(config, view, [entity_key("A")])
    store.close()
