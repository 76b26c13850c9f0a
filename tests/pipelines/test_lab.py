"""Experiments on a finished run: counted like everything else, and kept out of the sealed holdout."""

import re
import shutil
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.pipelines.conftest import run_cli

from project01.domain import InputError
from project01.models import make_forecaster
from project01.pipelines.claims import read_ledger
from project01.pipelines.holdout import holdout_in
from project01.pipelines.lab import Lab
from project01.pipelines.workspace import Workspace

pytestmark = pytest.mark.slow


def test_every_experiment_is_counted_and_stays_before_the_seal(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    workspace = Workspace(out)
    before, holdout = read_ledger(workspace), holdout_in(workspace)
    assert holdout is not None
    lab = Lab(out)
    training = lab.training_set()
    assert training.label_known_at.max() < np.datetime64(holdout.first_session)
    strict = {"penalty_share": 1.0}
    forecasts = lab.walk_forward([partial(make_forecaster, "ridge", 7, strict)])
    folds = forecasts["fold"].n_unique()
    assert len(read_ledger(workspace)) == len(before) + folds
    tried = lab.backtest("ridge", forecasts)
    assert tried.sharpe.trials == 4  # three of the run, and this one of the same name with other settings
    assert tried.excess_sharpe.deflated_sharpe is not None
    after = read_ledger(workspace)
    assert len(after) == len(before) + folds + 2
    assert after.trials[: len(before)] == before.trials
    # The same again is no new trial.
    assert lab.backtest("ridge", forecasts).sharpe == tried.sharpe
    assert read_ledger(workspace).head == after.head
    last = forecasts["as_of"].max()
    later = forecasts.with_columns(pl.lit(last).dt.offset_by("120d").alias("as_of"))
    with pytest.raises(InputError, match="inside the sealed holdout"):
        lab.backtest("later", later)


NUMBER = re.compile(r"-?\d+\.\d+")


def bare_lines(text: str) -> list[str]:
    """Lines of a terminal or a page that give a Sharpe ratio without trials and a deflated value around it."""
    lines, found = text.lower().splitlines(), []
    for number, line in enumerate(lines):
        around = " ".join(lines[max(0, number - 6) : number + 12])
        if "sharpe" in line and NUMBER.search(line) and not ("trial" in around and "deflated" in around):
            found.append(line)
    return found


def bare_objects(value: object) -> list[str]:
    """Keys of a JSON document that hold a Sharpe ratio without trials and a deflated value in or beside it."""
    if isinstance(value, list):
        return [key for item in value for key in bare_objects(item)]
    if not isinstance(value, dict):
        return []
    found = [key for item in value.values() for key in bare_objects(item)]
    for key, item in value.items():
        beside = set(value) | (set(item) if isinstance(item, dict) else set())
        named = "sharpe" in key or (key == "score_name" and "sharpe" in str(item))
        if named and not {"trials", "deflated_sharpe"} <= beside:
            found.append(key)
    return found


def test_no_sharpe_ratio_leaves_without_its_trials_and_deflated_value(finished: Path, bars_folder: Path) -> None:
    for words in (
        ("run", "--bars", bars_folder), ("backtest",), ("report",), ("train",), ("ledger",), ("holdout", "show"),
    ):  # fmt: skip
        plain, as_json = (run_cli(*words, "--out", finished, *more) for more in ((), ("--json",)))
        assert (plain.code, as_json.code) == (0, 0), plain.err + as_json.err
        assert bare_lines(plain.out) == [], words
        assert bare_objects(msgspec.json.decode(as_json.out)) == [], words
    for path in [*finished.glob("*.json"), *(finished / "steps").glob("*.json"), *(finished / "capsules").iterdir()]:
        assert bare_objects(msgspec.json.decode(path.read_bytes())) == [], path.name
    page = (finished / "report.html").read_text()
    shown = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert bare_lines(re.sub(r"<[^>]+>", " ", shown)) == []


def test_the_search_finds_a_bare_ratio() -> None:
    assert bare_lines("net Sharpe 1.23") == ["net sharpe 1.23"]
    assert bare_lines("Sharpe deflated by 6 trials\nnet Sharpe 1.23") == []
    assert bare_objects({"a": [{"net_sharpe": 1.2}]}) == ["net_sharpe"]
    assert bare_objects({"a": [{"score_name": "net_sharpe_per_session", "score": 1.2}]}) == ["score_name"]
    assert bare_objects({"sharpe": {"value": 1.2, "trials": 6, "deflated_sharpe": 0.4}}) == []
