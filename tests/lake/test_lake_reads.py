import itertools
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import MACRO, TIMESTAMP, InputError, LakeError, TableSpec
from project01.lake import Lake

START = datetime(2020, 1, 1, tzinfo=UTC)

versions = st.lists(
    st.tuples(
        st.sampled_from(["GDP", "CPI", "ünï"]),
        st.integers(1, 3),
        st.integers(0, 6),
        st.floats(allow_nan=True, width=32),
    ),
    unique_by=lambda row: row[:3],
    max_size=25,
)


def known_at(rows: list[tuple[str, int, int, float]], as_of_day: int) -> list[tuple[str, int, int, str]]:
    """The slow and obvious answer: of each key the newest version known, sorted by key."""
    newest: dict[tuple[str, int], tuple[int, float]] = {}
    for series, month, known, value in rows:
        seen = newest.get((series, month))
        if known <= as_of_day and (seen is None or known > seen[0]):
            newest[series, month] = (known, value)
    return [
        (series, month, known, repr(value))
        for (series, month), (known, value) in sorted(
            newest.items(), key=lambda item: (item[0][0].encode(), item[0][1])
        )
    ]


@settings(max_examples=examples(25), deadline=None)
@given(drawn=versions, cuts=st.lists(st.integers(0, 25), max_size=3), as_of_day=st.integers(-1, 7))
def test_read_as_of_equals_the_plain_python_answer(
    macro_rows: Callable[..., pl.DataFrame],
    drawn: list[tuple[str, int, int, float]],
    cuts: list[int],
    as_of_day: int,
) -> None:
    edges = [0, *sorted(min(cut, len(drawn)) for cut in cuts), len(drawn)]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for left, right in itertools.pairwise(edges):
            lake.append(MACRO, macro_rows(drawn[left:right]))
        found = lake.read("macro", as_of=START + timedelta(days=as_of_day))
    got = [
        (row["series_id"], row["period"].month, (row["knowledge_time"] - START).days, repr(row["value"]))
        for row in found.iter_rows(named=True)
    ]
    assert got == known_at(drawn, as_of_day)


def test_a_read_sees_a_revision_only_from_the_instant_it_was_known(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    lake.append(MACRO, macro_rows([("GDP", 1, 5, 2.0)]))
    just_before = day(5) - timedelta(microseconds=1)
    assert lake.read("macro", as_of=just_before)["value"].to_list() == [1.0]
    assert lake.read("macro", as_of=day(5))["value"].to_list() == [2.0]
    assert lake.read("macro", as_of=day(-1)).is_empty()


def test_as_of_is_an_instant_whatever_its_time_zone(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 1, 1.0)]))
    new_york = timezone(timedelta(hours=-5))
    assert lake.read(MACRO, as_of=day(1).astimezone(new_york)).height == 1
    assert lake.read(MACRO, as_of=(day(1) - timedelta(seconds=1)).astimezone(new_york)).height == 0


def test_rival_versions_give_one_answer_in_any_order_of_writing(tmp_path: Path, macro_rows, day) -> None:
    rivals = [("GDP", 1, 0, 2.0), ("GDP", 1, 0, 7.0), ("GDP", 1, 0, 5.0), ("CPI", 1, 0, 1.0)]
    answers = set()
    for seed in range(4):
        shuffled = random.Random(seed).sample(rivals, len(rivals))
        lake = Lake(tmp_path / str(seed))
        for row in shuffled:
            lake.append(MACRO, macro_rows([row]))
        whole = lake.read("macro", as_of=day(1))["value"].to_list()
        assert lake.read("macro", as_of=day(1), columns=["value"])["value"].to_list() == whole
        answers.add(tuple(whole))
    assert answers == {(1.0, 7.0)}


def test_columns_come_in_the_order_asked_for(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 2, 0, 2.0), ("GDP", 1, 0, 1.0)]))
    found = lake.read("macro", as_of=day(1), columns=["value", "period"])
    assert found.columns == ["value", "period"]
    assert found["value"].to_list() == [1.0, 2.0]
    assert lake.read("macro", as_of=day(1)).columns == MACRO.schema.names


def test_symbols_pick_rows(lake: Lake, day) -> None:
    lake.append(PRICES, prices(["A", "B", "C"], day(0)))
    assert lake.read("prices", as_of=day(1), symbols=["C", "A", "ZZ"])["symbol"].to_list() == ["A", "C"]
    assert lake.read("prices", as_of=day(1), symbols=[]).is_empty()


def test_the_key_is_kept_with_the_table(lake: Lake, day) -> None:
    lake.append(PRICES, prices(["B", "A"], day(0)))
    assert Lake(lake.url).read("prices", as_of=day(0))["symbol"].to_list() == ["A", "B"]


def test_scan_shows_every_version_and_stays_with_the_table_version_it_opened(lake: Lake, macro_rows) -> None:
    first = lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    opened = lake.scan("macro")
    lake.append(MACRO, macro_rows([("GDP", 1, 5, 2.0)]))
    assert opened.collect().height == 1
    assert lake.scan("macro").collect().height == 2
    assert lake.scan("macro", version=first).collect()["value"].to_list() == [1.0]


def test_a_naive_as_of_is_refused(lake: Lake, macro_rows) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    naive = datetime(2020, 1, 1)  # noqa: DTZ001 - the point of the test
    with pytest.raises(InputError, match="no time zone"):
        lake.read("macro", as_of=naive)


def test_an_unknown_table_is_named_with_those_that_exist(lake: Lake, macro_rows, day) -> None:
    with pytest.raises(LakeError, match=r"no table bars .* holds no tables"):
        lake.read("bars", as_of=day(0))
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    for look in (lambda: lake.read("bars", as_of=day(0)), lambda: lake.scan("bars"), lambda: lake.history("bars")):
        with pytest.raises(LakeError, match=r"no table bars .* it holds macro\."):
            look()
    assert not lake.exists("bars")
    assert lake.exists("macro")
    assert lake.tables() == ["macro"]


def test_looking_makes_nothing(tmp_path: Path, day) -> None:
    lake = Lake(tmp_path / "absent")
    assert lake.tables() == []
    with pytest.raises(LakeError):
        lake.read("macro", as_of=day(0))
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_knowledge_time_points_to_scan(lake: Lake, day) -> None:
    plain = TableSpec("plain", pa.schema([pa.field("id", pa.int64(), nullable=False)]), ("id",))
    lake.append(plain, pl.DataFrame({"id": [1]}))
    with pytest.raises(InputError, match=r"no column knowledge_time.*scan\('plain'\)"):
        lake.read("plain", as_of=day(0))


def test_missing_columns_are_named_with_those_there(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    with pytest.raises(InputError, match=r"no column close, volume; it has source,.*value"):
        lake.read("macro", as_of=day(0), columns=["value", "close", "volume"])
    fields = [field for field in MACRO.schema if field.name != "symbol"]
    market = TableSpec("market", pa.schema(fields), ("source", "series_id", "period"))
    lake.append(market, macro_rows([("GDP", 1, 0, 1.0)]))
    with pytest.raises(InputError, match="no column symbol"):
        lake.read("market", as_of=day(0), symbols=["A"])


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "Bars", "a\0b", "%2e%2e", "a" * 65, ".", "..", "a\n"])
def test_a_name_cannot_leave_the_lake(lake: Lake, name: str, day) -> None:
    with pytest.raises(InputError, match="cannot name a lake table"):
        lake.read(name, as_of=day(0))
    with pytest.raises(InputError, match="cannot name a lake table"):
        lake.exists(name)


def test_a_path_a_text_and_a_file_url_are_one_lake(tmp_path: Path, macro_rows) -> None:
    folder = tmp_path / "a lake"
    Lake(folder).append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    assert Lake(str(folder)).tables() == ["macro"]
    assert Lake(folder.as_uri()).tables() == ["macro"]


@pytest.mark.parametrize("url", ["http://host/lake", "gs://bucket", "s3://", "ftp://x/y"])
def test_another_scheme_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="folder or under s3"):
        Lake(url)


PRICES = TableSpec(
    "prices",
    pa.schema(
        [
            pa.field("symbol", pa.string(), nullable=False),
            pa.field("knowledge_time", TIMESTAMP, nullable=False),
            pa.field("momentum", pa.float32()),
        ]
    ),
    ("symbol",),
)


def prices(symbols: list[str], known: datetime) -> pl.DataFrame:
    return pl.DataFrame({"symbol": symbols, "knowledge_time": [known] * len(symbols)})
