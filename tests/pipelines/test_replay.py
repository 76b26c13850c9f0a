"""A run made again from its capsule elsewhere, and the holdout from sealed to opened."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.pipelines.conftest import run_cli

from project01.lake import Lake
from project01.report import Figures

pytestmark = pytest.mark.slow


def figures_of(out: Path) -> Figures:
    return Figures.model_validate_json((out / "figures.json").read_bytes())


def only_capsule(out: Path) -> Path:
    (path,) = (out / "capsules").iterdir()
    return path


def test_a_capsule_and_its_lake_rebuild_every_byte_elsewhere(finished: Path, tmp_path: Path) -> None:
    capsule = tmp_path / "kept.json"
    shutil.copy(only_capsule(finished), capsule)
    shutil.copytree(finished / "lake", tmp_path / "moved")
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    done = run_cli(
        "replay", capsule, "--lake", tmp_path / "moved", "--out", "again", "--json", cwd=elsewhere, TZ="Asia/Tokyo",
        PROJECT01__COMPUTE__THREADS="1", PROJECT01__FORECAST__SEED="99",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    found = msgspec.json.decode(done.out)
    assert (found["equal"], found["environment"], found["parts_differ"]) == (True, [], [])
    for row in found["results"]:
        assert (elsewhere / "again" / row["file"]).read_bytes() == (finished / row["file"]).read_bytes()


def test_a_replay_says_which_part_differs_and_why(finished: Path, tmp_path: Path) -> None:
    kept = msgspec.json.decode(only_capsule(finished).read_bytes())
    kept["settings"]["costs"]["slippage_bps"] = 30.0
    kept["environment"]["lock"] = "0" * 16
    changed = tmp_path / "changed.json"
    changed.write_bytes(msgspec.json.encode(kept))
    done = run_cli("replay", changed, "--lake", finished / "lake", "--json")
    assert done.code == 1, done.err
    found = msgspec.json.decode(done.out)
    assert not found["equal"]
    assert {"backtest", "sensitivity"} & set(found["parts_differ"])
    assert "data" not in found["parts_differ"]
    assert found["environment"][0].startswith("lock was 0000")
    assert [row["equal"] for row in found["results"] if row["file"].startswith("forecasts")] == [True, True]


def test_a_capsule_without_its_data_is_refused(finished: Path, tmp_path: Path) -> None:
    done = run_cli("replay", only_capsule(finished), "--lake", tmp_path / "nothing")
    assert (done.code, "There is no table bars" in done.err) == (1, True)
    kept = msgspec.json.decode(only_capsule(finished).read_bytes())
    kept["tables"]["bars"]["digest"] = "f" * 64
    changed = tmp_path / "changed.json"
    changed.write_bytes(msgspec.json.encode(kept))
    done = run_cli("replay", changed, "--lake", finished / "lake")
    assert (done.code, "holds other rows" in done.err) == (1, True)
    changed.write_text('{"format": 1}')
    done = run_cli("replay", changed)
    assert (done.code, "is no capsule" in done.err) == (2, True)


def test_the_holdout_stays_out_of_everything_until_it_is_opened(
    bars_folder: Path, finished: Path, tmp_path: Path
) -> None:
    sealed = figures_of(finished)
    first = sealed.holdout.first_session
    assert sealed.holdout.state == "sealed"
    assert first is not None
    assert max(sealed.backtest.series.sessions) < first
    assert max(sealed.evidence.ic_sessions) < first
    assert sealed.forecasts.as_of > first
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    assert run_cli("holdout", "open", "--reason", " ", "--out", copy).code == 2
    assert run_cli("holdout", "open", "--reason", "final test", "--out", copy).code == 0
    assert run_cli("holdout", "open", "--reason", "again", "--out", copy).code == 2
    done = run_cli("run", "--bars", bars_folder, "--out", copy)
    assert done.code == 0, done.err
    opened = figures_of(copy)
    assert (opened.holdout.state, opened.holdout.reason, opened.holdout.first_session) == (
        "opened",
        "final test",
        first,
    )
    assert max(opened.backtest.series.sessions) > first
    assert opened.holdout.sessions == sum(day >= first for day in opened.backtest.series.sessions)
    assert opened.holdout.rank_ic is not None
    assert opened.holdout.rank_ic.n > 0
    # What was found before it was opened does not change by opening it.
    before = dict(zip(sealed.evidence.ic_sessions, sealed.evidence.ic_by_session, strict=True))
    after = dict(zip(opened.evidence.ic_sessions, opened.evidence.ic_by_session, strict=True))
    assert {day: after[day] for day in before} == before
    assert "final test" in (copy / "report.html").read_text()
    assert (copy / "capsules").exists()
    ledger = Lake(copy / "lake").scan("claims").filter(pl.col("purpose") == "holdout opened").collect()
    assert ledger["note"].to_list() == ["final test"]
