"""A table put in place of another part by part: the same rows as in one go, and nothing of it before the commit."""

import sys
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from project01.domain import MACRO
from project01.lake import Lake, data_files, replace_by_files

MacroRows = Callable[..., pl.DataFrame]


@pytest.fixture
def rows(lake: Lake, macro_rows: MacroRows) -> pl.DataFrame:
    found = macro_rows([(f"S{number:03d}", day, 0, float(number)) for number in range(40) for day in (1, 2, 3)])
    lake.replace(MACRO, found)
    return lake.scan("macro").collect()


@pytest.mark.parametrize("bytes_a_file", [1, 1 << 28])
def test_it_holds_what_replace_would(
    lake: Lake, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, bytes_a_file: int
) -> None:
    monkeypatch.setattr(sys.modules["project01.lake.data_files"], "BYTES_A_FILE", bytes_a_file)
    digest, before = lake.digest("macro"), lake.version("macro")
    lake.replace(MACRO, rows.head(7))
    assert replace_by_files(lake, MACRO, rows.iter_slices(50), MACRO.key) == before + 2
    assert lake.digest("macro") == digest
    assert len(data_files(lake, "macro").paths) == (3 if bytes_a_file == 1 else 1)
    # What was noted of the files finds the rows of a key and no others.
    found = lake.scan("macro").filter(pl.col("series_id") == "S021").collect()
    assert found.sort("period").equals(rows.filter(pl.col("series_id") == "S021").sort("period"))


def test_no_part_leaves_an_empty_table(lake: Lake, rows: pl.DataFrame) -> None:
    replace_by_files(lake, MACRO, [rows.clear()], MACRO.key)
    assert lake.scan("macro").collect().is_empty()


def test_parts_that_fail_leave_the_table_as_it_was(
    lake: Lake, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["project01.lake.data_files"], "BYTES_A_FILE", 1)
    before = lake.version("macro"), lake.digest("macro")

    def failing() -> Iterator[pl.DataFrame]:
        yield rows.head(50)
        yield rows.slice(50, 10).drop("value")

    with pytest.raises(ValueError, match="value"):
        replace_by_files(lake, MACRO, failing(), MACRO.key)
    assert (lake.version("macro"), lake.digest("macro")) == before
    # The file that was written belongs to nothing, and is swept away; of the one that failed nothing is left.
    assert len(lake.vacuum("macro", 0, allow_short_retention=True)) == 1


def test_it_works_on_s3(bucket: str, s3_options: dict[str, str], rows: pl.DataFrame, lake: Lake) -> None:
    remote = Lake(bucket, s3_options)
    replace_by_files(remote, MACRO, rows.iter_slices(50), MACRO.key)
    assert remote.digest("macro") == lake.digest("macro")
