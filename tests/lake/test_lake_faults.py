import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from project01.domain import MACRO, LakeError, TableSpec
from project01.lake import Lake, Transaction, replace_by_files

MacroRows = Callable[..., pl.DataFrame]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount command here")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def many(macro_rows: MacroRows) -> pl.DataFrame:
    """About 2 MiB that do not compress: each row names another, random-looking source_id."""
    rows = macro_rows([("BIG", 1, 0, 0.0)] * 20_000)
    number = pl.int_range(pl.len())
    texts = pl.concat_str([number.hash(seed).cast(pl.String) for seed in range(6)])
    return rows.with_columns(source_id=texts, series_id=number.hash(9).cast(pl.String))


def by_files(lake: Lake, spec: TableSpec, rows: pl.DataFrame) -> int:
    return replace_by_files(lake, spec, lake.prepared(spec, rows).iter_slices(1000), ("series_id",))


@pytest.mark.parametrize("write", [Lake.append, Lake.merge, Lake.replace, by_files])
def test_a_full_disk_leaves_the_table_as_it_was(
    small_disk: Path, macro_rows: MacroRows, day, write: Callable[..., object]
) -> None:
    lake, big = Lake(small_disk / "lake"), many(macro_rows)
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    before = lake.version("macro"), lake.digest("macro")
    with pytest.raises(LakeError, match="disk is full"):
        write(lake, MACRO, big)
    assert (lake.version("macro"), lake.digest("macro")) == before
    remount(small_disk, "size=32m")
    write(lake, MACRO, big)
    assert lake.read("macro", as_of=day(1)).height == big.height + (write in {Lake.append, Lake.merge})


def test_a_disk_full_at_the_commit_itself_leaves_the_table_as_it_was(small_disk: Path, macro_rows: MacroRows) -> None:
    lake, rows = Lake(small_disk / "lake"), macro_rows([("CPI", 1, 0, 1.0)])
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    filler = small_disk / "filler"
    failed = 0
    for free_pages in range(6):  # room for nothing, for part of the data file, for it but not for the log
        _fill(filler, small_disk, free_pages)
        before, transaction = lake.version("macro"), Transaction("t", free_pages + 1)
        reason = failure_of(lambda: lake.append(MACRO, rows, transaction=transaction))  # noqa: B023 - called at once
        if reason is not None:
            failed += 1
            assert "disk is full" in reason
            assert lake.version("macro") == before
        filler.unlink()
        lake.append(MACRO, rows, transaction=transaction)
        assert lake.scan("macro").collect().height == 2 + free_pages
    assert failed, "the disk was never full"


def failure_of(work: Callable[[], object]) -> str | None:
    try:
        work()
    except LakeError as error:
        return str(error)
    return None


def _fill(filler: Path, disk: Path, free_pages: int) -> None:
    free = shutil.disk_usage(disk).free
    filler.write_bytes(b"\1" * (free - 4096 * free_pages))


def test_a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written(
    small_disk: Path, macro_rows: MacroRows, day
) -> None:
    lake = Lake(small_disk / "lake")
    for month in (1, 2):
        lake.append(MACRO, macro_rows([("GDP", month, 0, 1.0)]))
    remount(small_disk, "ro")
    rows = macro_rows([("CPI", 1, 0, 1.0)])
    for work in (
        lambda: lake.append(MACRO, rows),
        lambda: lake.merge(MACRO, rows),
        lambda: lake.replace(MACRO, rows),
        lambda: lake.compact("macro"),
        lambda: Lake(small_disk / "other").append(MACRO, rows),
    ):
        with pytest.raises(LakeError, match="may not write"):
            work()
    assert lake.read("macro", as_of=day(1)).height == 2
    remount(small_disk, "rw")
    lake.append(MACRO, rows)
    assert lake.read("macro", as_of=day(1)).height == 3


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_where_a_folder_should_be(tmp_path: Path, macro_rows: MacroRows, below: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError, match="A file stands where"):
        Lake(tmp_path / "file" / below).append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    assert (tmp_path / "file").read_text() == "x"


@pytest.fixture
def three_commits(lake: Lake, macro_rows: MacroRows) -> Path:
    """The log of a table with one row in each of the versions 1, 2 and 3."""
    for month in (1, 2, 3):
        lake.append(MACRO, macro_rows([("GDP", month, 0, 1.0)]))
    return Path(lake.url, "macro", "_delta_log")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 400, b"garbage\n", b'{"commitInfo":{"timest'])
def test_a_damaged_newest_commit_is_told_and_earlier_versions_stay_readable(
    lake: Lake, macro_rows: MacroRows, three_commits: Path, damage: bytes, day
) -> None:
    newest = three_commits / f"{3:020}.json"
    whole = newest.read_bytes()
    newest.write_bytes(damage)
    rows = macro_rows([("CPI", 1, 0, 1.0)])
    for work in (
        lambda: lake.read("macro", as_of=day(1)),
        lambda: lake.append(MACRO, rows),
        lambda: lake.merge(MACRO, rows),
        lambda: lake.version("macro"),
        lambda: lake.history("macro"),
    ):
        with pytest.raises(LakeError, match=r"scan\(name, version=") as caught:
            work()
        assert len(str(caught.value)) < 700
    assert lake.scan("macro", version=2).collect().height == 2
    newest.write_bytes(whole)
    lake.append(MACRO, rows)
    assert lake.read("macro", as_of=day(1)).height == 4


def test_a_missing_commit_in_the_middle_is_told(lake: Lake, three_commits: Path, day) -> None:
    (three_commits / f"{2:020}.json").unlink()
    with pytest.raises(LakeError, match=r"log .* is damaged"):
        lake.read("macro", as_of=day(1))


def test_data_files_without_a_log_are_not_taken_for_a_new_table(
    lake: Lake, macro_rows: MacroRows, three_commits: Path
) -> None:
    shutil.rmtree(three_commits)
    with pytest.raises(LakeError, match="no _delta_log"):
        lake.append(MACRO, macro_rows([("CPI", 1, 0, 1.0)]))


@pytest.mark.parametrize("damage", [b"", b"PAR1" * 50, None])
def test_a_damaged_data_file_is_named(lake: Lake, three_commits: Path, damage: bytes | None, day) -> None:
    file = max(three_commits.parent.glob("*.parquet"))
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    for work in (lambda: lake.read("macro", as_of=day(1)), lambda: lake.digest("macro")):
        with pytest.raises(LakeError, match=file.name):
            work()
    with pytest.raises(LakeError, match="damaged or gone"):
        lake.compact("macro")


def test_a_data_file_of_the_right_size_with_wrong_bytes_is_told(lake: Lake, three_commits: Path, day) -> None:
    file = max(three_commits.parent.glob("*.parquet"))
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(LakeError, match="data file of the table is damaged"):
        lake.read("macro", as_of=day(1))


def test_an_absent_version_is_told(lake: Lake, three_commits: Path) -> None:
    with pytest.raises(LakeError, match="macro"):
        lake.scan("macro", version=99)
