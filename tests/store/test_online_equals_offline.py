"""Online and offline reads agree, whatever was written, in whatever windows and order it was materialised."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.store.conftest import DAY, START, empty_redis, entities

from project01.store import FeatureStore

hours = st.integers(0, 72)
drawn_rows = st.lists(st.tuples(st.sampled_from("AB"), hours, st.one_of(st.just(0), hours)), min_size=1, max_size=12)
windows = st.lists(hours, min_size=1, max_size=3, unique=True)


def check_parity(
    folder: Path, table: pl.DataFrame, info_type: Any, ends: list[int], shuffle: bool, section: Any = None
) -> None:
    """Materialise windows that cover all time up to their last end, then compare with the offline join there."""
    write_deltalake(str(folder / "lake" / "features"), table.to_arrow())
    store = FeatureStore(folder / "feast", folder / "lake", time_to_live=timedelta(hours=30), online_store=section)
    store.apply([info_type("a", "g"), info_type("b", "h")])
    bounds = [START - DAY, *(START + timedelta(hours=end) for end in sorted(ends))]
    cuts = list(itertools.pairwise(bounds))
    for start, end in reversed(cuts) if shuffle else cuts:
        store.materialise(start, end)
    symbols, names = ["A", "B", "none"], ["a", "b"]
    online = store.online(symbols, names)
    offline = store.training_features(entities(*[(symbol, bounds[-1]) for symbol in symbols]), names)
    assert online.frame.equals(offline.frame, null_equal=True)
    seen = store.look_up(symbols, names, bounds[-1])
    assert seen.equals(store.look_up(symbols, names), null_equal=True)
    assert seen.filter(feature="a")["value"].equals(offline.frame["a"].fill_nan(None).rename("value"), null_equal=True)
    store.close()


def drawn_table(make_table: Any, row_type: Any, drawn: list[tuple[str, int, int]]) -> pl.DataFrame:
    rows = {
        (key, event, late): row_type(
            key, START + timedelta(hours=event), START + timedelta(hours=event + late), float(i)
        )
        for i, (key, event, late) in enumerate(drawn)
    }
    return make_table(list(rows.values()), b=lambda row: None if row.value % 3 == 0 else -row.value)


PARITY: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


@settings(max_examples=examples(12), **PARITY)
@given(drawn_rows, windows, st.booleans())
def test_online_equals_offline(
    tmp_path_factory: Any, make_table: Any, row_type: Any, info_type: Any, drawn: Any, ends: Any, shuffle: bool
) -> None:
    check_parity(tmp_path_factory.mktemp("parity"), drawn_table(make_table, row_type, drawn), info_type, ends, shuffle)


@settings(max_examples=examples(25), **PARITY)
@given(drawn_rows, windows, st.booleans())
def test_redis_equals_offline(
    redis_port: int, tmp_path_factory: Any, make_table: Any, row_type: Any, info_type: Any, drawn: Any, ends: Any,
    shuffle: bool,
) -> None:  # fmt: skip
    table = drawn_table(make_table, row_type, drawn)
    check_parity(tmp_path_factory.mktemp("parity"), table, info_type, ends, shuffle, empty_redis(redis_port))


@pytest.mark.slow
@settings(max_examples=examples(150), **PARITY)
@given(drawn_rows, windows, st.booleans())
def test_online_equals_offline_on_many_cases(
    tmp_path_factory: Any, make_table: Any, row_type: Any, info_type: Any, drawn: Any, ends: Any, shuffle: bool
) -> None:
    check_parity(tmp_path_factory.mktemp("parity"), drawn_table(make_table, row_type, drawn), info_type, ends, shuffle)
