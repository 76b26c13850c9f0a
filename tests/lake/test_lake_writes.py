import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import MACRO, InputError, LakeError, SchemaError, TableSpec, TransactionError
from project01.lake import Lake, MergeCounts, Transaction
from project01.lake import commits as commits_module

NUMBERS = TableSpec(
    "numbers", pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("value", pa.float64())]), ("id",)
)


def numbers(*ids: int, value: float | None = None) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "value": pl.Series([value] * len(ids), dtype=pl.Float64)})


def ids(lake: Lake) -> list[int]:
    return sorted(lake.scan("numbers").collect()["id"].to_list())


def test_rows_without_ingested_at_are_stamped_by_the_clock(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    given_stamp = macro_rows([("CPI", 1, 0, 1.0)]).with_columns(ingested_at=pl.lit(day(3)))
    lake.append(MACRO, given_stamp.to_arrow())
    stamps = dict(lake.scan("macro").select("series_id", "ingested_at").collect().iter_rows())
    assert stamps == {"GDP": datetime(2026, 1, 1, tzinfo=UTC), "CPI": day(3)}


def test_rows_that_do_not_fit_the_spec_are_refused_and_nothing_is_made(lake: Lake, macro_rows) -> None:
    rows = macro_rows([("GDP", 1, 0, 1.0)])
    for bad in (
        rows.drop("series_id"),
        rows.with_columns(value=pl.lit("x")),
        rows.with_columns(period=pl.lit(None, pl.Date)),
    ):
        with pytest.raises(SchemaError, match="macro"):
            lake.append(MACRO, bad)
    assert lake.tables() == []


def test_a_table_of_another_shape_or_key_is_not_written_to(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1))
    wider = TableSpec("numbers", NUMBERS.schema.append(pa.field("extra", pa.string())), ("id",))
    with pytest.raises(SchemaError, match=r"extra \(table none, given string\)"):
        lake.append(wider, numbers(2))
    rekeyed = TableSpec("numbers", NUMBERS.schema, ("id", "value"))
    for write in (lake.append, lake.merge, lake.replace):
        with pytest.raises(SchemaError, match="has the key id"):
            write(rekeyed, numbers(2))
    assert ids(lake) == [1]


def test_each_append_is_one_version(lake: Lake) -> None:
    first = lake.append(NUMBERS, numbers(1, 2))
    assert lake.append(NUMBERS, numbers(3)) == first + 1 == lake.version("numbers")
    assert lake.append(NUMBERS, numbers()) == first + 1, "no rows, no commit"


def test_a_repeated_transaction_changes_nothing(lake: Lake, macro_rows) -> None:
    rows = macro_rows([("GDP", 1, 0, 1.0), ("CPI", 1, 0, 2.0)])
    landed = lake.append(MACRO, rows, transaction=Transaction("t-0", 4))
    later = Lake(lake.url)  # another clock, another order of rows: the same content
    assert later.append(MACRO, rows.reverse(), transaction=Transaction("t-0", 4)) == landed
    assert later.scan("macro").collect().height == 2
    assert later.last_transaction("macro", "t-0") == 4
    assert later.last_transaction("macro", "t-1") is None
    assert later.last_transaction("nothing", "t-0") is None


def test_the_same_transaction_with_other_rows_is_an_error(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    with pytest.raises(TransactionError, match="landed with other content"):
        lake.append(NUMBERS, numbers(2), transaction=Transaction("t", 1))
    assert ids(lake) == [1]


def test_a_lower_version_is_done_if_known_and_an_error_if_not(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    lake.append(NUMBERS, numbers(5), transaction=Transaction("t", 5))
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    with pytest.raises(TransactionError, match="landed with other content"):
        lake.append(NUMBERS, numbers(9), transaction=Transaction("t", 1))
    with pytest.raises(TransactionError, match="comes after version 5"):
        lake.append(NUMBERS, numbers(3), transaction=Transaction("t", 3))
    assert ids(lake) == [1, 5]
    assert lake.last_transaction("numbers", "t") == 5


@pytest.mark.slow
def test_a_transaction_is_found_beyond_the_newest_hundred_commits_and_past_a_checkpoint(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    for number in range(2, 110):
        lake.append(NUMBERS, numbers(number))
    assert list(Path(lake.url, "numbers", "_delta_log").glob("*checkpoint*"))
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    with pytest.raises(TransactionError):
        lake.append(NUMBERS, numbers(2), transaction=Transaction("t", 1))
    assert ids(lake) == list(range(1, 110))


def test_an_empty_transaction_is_recorded(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(), transaction=Transaction("t", 7))
    assert lake.last_transaction("numbers", "t") == 7
    assert ids(lake) == []


def test_transactions_of_other_streams_do_not_meet(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1), transaction=Transaction("a", 9))
    lake.append(NUMBERS, numbers(2), transaction=Transaction("b", 1))
    assert ids(lake) == [1, 2]


@pytest.mark.parametrize(("app_id", "version"), [("", 1), ("t", -1)])
def test_a_transaction_without_name_or_below_zero_is_refused(app_id: str, version: int) -> None:
    with pytest.raises(InputError):
        Transaction(app_id, version)


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
def test_a_lost_answer_then_a_retry_changes_nothing(lake: Lake, write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = commits_module.write_deltalake

    def lands_then_throws(*arguments: object, **options: object) -> None:
        real(*arguments, **options)  # type: ignore[arg-type]
        raise OSError("the connection was cut before the answer")

    extra = {"transaction": Transaction("t", 1)} if write == "append" else {}
    with monkeypatch.context() as patch:
        patch.setattr(commits_module, "write_deltalake", lands_then_throws)
        with pytest.raises(LakeError, match="connection was cut"):
            getattr(lake, write)(NUMBERS, numbers(1, 2, 3), **extra)
    getattr(lake, write)(NUMBERS, numbers(1, 2, 3), **extra)
    assert ids(lake) == [1, 2, 3]


@pytest.fixture
def just_before_commit(monkeypatch: pytest.MonkeyPatch):
    """Runs an action once, after a writer has opened and checked the table and before it commits."""

    def arrange(action) -> None:
        real = commits_module.write_deltalake
        pending = [action]

        def interleaved(*arguments: object, **options: object) -> None:
            if pending:
                pending.pop()()
            real(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(commits_module, "write_deltalake", interleaved)

    return arrange


def test_the_same_transaction_from_two_writers_lands_once(lake: Lake, just_before_commit) -> None:
    lake.append(NUMBERS, numbers(0))
    just_before_commit(lambda: lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1)))
    lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1))
    assert ids(lake) == [0, 1]


def test_a_rival_with_other_rows_in_the_same_transaction_wins_and_we_hear_of_it(lake: Lake, just_before_commit) -> None:
    just_before_commit(lambda: lake.append(NUMBERS, numbers(1), transaction=Transaction("t", 1)))
    with pytest.raises(TransactionError, match="other content"):
        lake.append(NUMBERS, numbers(2), transaction=Transaction("t", 1))
    assert ids(lake) == [1]


def test_a_merge_sees_what_landed_while_it_was_planned(lake: Lake, just_before_commit) -> None:
    just_before_commit(lambda: lake.append(NUMBERS, numbers(1, 2)))
    counts = lake.merge(NUMBERS, numbers(2, 3))
    assert counts == MergeCounts(inserted=1, unchanged=1)
    assert ids(lake) == [1, 2, 3]


def test_a_replace_leaves_nothing_of_what_landed_meanwhile(lake: Lake, just_before_commit) -> None:
    lake.append(NUMBERS, numbers(1))
    just_before_commit(lambda: lake.append(NUMBERS, numbers(2)))
    lake.replace(NUMBERS, numbers(7))
    assert ids(lake) == [7]


def test_an_append_survives_a_replace_in_between(lake: Lake, just_before_commit) -> None:
    lake.append(NUMBERS, numbers(1))
    just_before_commit(lambda: lake.replace(NUMBERS, numbers(7)))
    lake.append(NUMBERS, numbers(2), transaction=Transaction("t", 1))
    assert ids(lake) == [2, 7]


def test_two_writers_may_make_the_table_at_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = commits_module.DeltaTable.create
    pending = [lambda: lake.append(NUMBERS, numbers(1))]

    def interleaved(*arguments: object, **options: object):
        if pending:
            pending.pop()()
        return real(*arguments, **options)

    monkeypatch.setattr(commits_module.DeltaTable, "create", interleaved)
    lake.append(NUMBERS, numbers(2))
    assert ids(lake) == [1, 2]


def test_merge_counts_by_hand(lake: Lake, macro_rows) -> None:
    assert lake.merge(MACRO, macro_rows([("GDP", 1, 0, 1.0), ("GDP", 2, 0, 2.0)])) == MergeCounts(inserted=2)
    mixed = [("GDP", 1, 0, 1.0), ("GDP", 2, 9, 2.5), ("CPI", 1, 0, 3.0), ("CPI", 1, 4, 3.1), ("GDP", 1, 0, 1.0)]
    assert lake.merge(MACRO, macro_rows(mixed)) == MergeCounts(inserted=1, unchanged=2, revised=2)
    assert lake.scan("macro").collect().height == 5


def test_rows_in_conflict_go_to_the_dead_letters_once(lake: Lake, macro_rows) -> None:
    lake.merge(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    rival = macro_rows([("GDP", 1, 0, 8.0), ("CPI", 1, 0, 5.0), ("CPI", 1, 0, 6.0)])
    for inserted, unchanged in ((1, 0), (0, 1)):
        assert lake.merge(MACRO, rival) == MergeCounts(inserted=inserted, unchanged=unchanged, conflicting=2)
        assert sorted(lake.scan("macro").collect()["value"].to_list()) == [1.0, 5.0]
        letters = lake.scan("dead_letters").sort("source_id").collect()
        assert letters["source_id"].to_list() == ["CPI:1", "GDP:1"]
        assert letters["reason"].unique().to_list() == ["conflicting_version"]
        assert [pl.Series([raw]).str.json_path_match("$.value").item() for raw in letters["raw"]] == ["6.0", "8.0"]


merge_rows = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]), st.integers(1, 2), st.integers(0, 3), st.sampled_from([0.0, 1.0, float("nan")])
    ),
    max_size=12,
)


@settings(max_examples=examples(10), deadline=None)
@given(batches=st.lists(merge_rows, min_size=1, max_size=3))
def test_merging_again_is_a_no_op_and_counts_add_up(
    macro_rows, batches: list[list[tuple[str, int, int, float]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for batch in batches:
            counts = lake.merge(MACRO, macro_rows(batch))
            assert counts.inserted + counts.unchanged + counts.revised + counts.conflicting == len(batch)
            version, digest = lake.version("macro"), lake.digest("macro")
            again = lake.merge(MACRO, macro_rows(batch[::-1]))
            assert (again.inserted, again.revised, again.conflicting) == (0, 0, counts.conflicting)
            assert (lake.version("macro"), lake.digest("macro")) == (version, digest)
        stored = lake.scan("macro").select("series_id", "period", "knowledge_time").collect()
    merged = Counter((series, month, known) for batch in batches for series, month, known, _ in batch)
    assert stored.height == stored.unique().height == len(merged), "each version once, none lost"


def test_replace_may_change_columns_and_keeps_the_past(lake: Lake) -> None:
    before = lake.append(NUMBERS, numbers(1, 2))
    other = TableSpec(
        "numbers", pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("rsi", pa.float32())]), ("id",)
    )
    lake.replace(other, pl.DataFrame({"id": [3], "rsi": [0.5]}))
    assert lake.scan("numbers").collect().rows() == [(3, 0.5)]
    assert lake.scan("numbers", version=before).collect().height == 2
    lake.append(other, pl.DataFrame({"id": [4], "rsi": [0.25]}))
    assert ids(lake) == [3, 4]
    lake.replace(other, pl.DataFrame({"id": [], "rsi": []}, schema={"id": pl.Int64, "rsi": pl.Float32}))
    assert ids(lake) == []


def test_compaction_keeps_the_rows_in_fewer_files(lake: Lake) -> None:
    for number in range(6):
        lake.append(NUMBERS, numbers(number))
    done = lake.compact("numbers")
    assert (done.files_removed, done.files_added) == (6, 1)
    assert done.version == lake.version("numbers")
    assert ids(lake) == list(range(6))
    assert lake.compact("numbers").version == done.version, "nothing left to compact"


def test_vacuum_refuses_a_short_retention_and_says_why(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1))
    with pytest.raises(InputError, match=r"less than 168: running readers .* allow_short_retention=True"):
        lake.vacuum("numbers", 167)
    with pytest.raises(InputError):
        lake.vacuum("numbers", -1, allow_short_retention=True)
    assert lake.vacuum("numbers") == []


def test_vacuum_deletes_what_no_version_needs_and_what_killed_writers_left(lake: Lake) -> None:
    for number in range(3):
        lake.append(NUMBERS, numbers(number))
    lake.compact("numbers")
    folder = Path(lake.url, "numbers")
    (folder / "part-00000-left-by-a-killed-writer.parquet").write_bytes(b"x")
    assert len(lake.vacuum("numbers", 0, allow_short_retention=True)) == 4
    assert len(list(folder.glob("*.parquet"))) == 1
    assert ids(lake) == [0, 1, 2]
    with pytest.raises(LakeError, match=r"data file .* is gone"):
        lake.scan("numbers", version=1)


def test_history_tells_each_commit(lake: Lake) -> None:
    lake.append(NUMBERS, numbers(1, 2), transaction=Transaction("t", 3))
    lake.append(NUMBERS, numbers(4))
    lake.compact("numbers")
    found = lake.history("numbers")
    assert found["version"].to_list() == [3, 2, 1, 0]
    assert found["operation"].to_list() == ["OPTIMIZE", "WRITE", "WRITE", "CREATE TABLE"]
    assert found["rows_added"].to_list() == [None, 1, 2, None]
    assert found["files_removed"].to_list()[0] == 2
    assert found.row(2, named=True)["app_id"] == "t"
    assert found["app_version"].to_list() == [None, None, 3, None]
    assert found["committed_at"].null_count() == 0
