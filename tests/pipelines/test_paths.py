"""Paths through a history: each row forecast once a path, by a model that no label of its part has reached."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.pipelines.conftest import run_cli

from project01.domain import FeatureFrame, InputError
from project01.models import make_forecaster
from project01.pipelines import SilentProgress, audit_paths
from project01.pipelines.claims import read_ledger
from project01.pipelines.evidence import BACKTEST
from project01.pipelines.lab import Lab
from project01.pipelines.paths import PATH, SPLIT
from project01.pipelines.workspace import Workspace

pytestmark = pytest.mark.slow
GROUPS, TOGETHER = 5, 2


@pytest.fixture(scope="module")
def out(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paths") / "run"
    shutil.copytree(finished, folder)
    return folder


@pytest.fixture(scope="module")
def audited(out: Path) -> dict:
    return audit_paths(out, GROUPS, TOGETHER, SilentProgress())


def path_by_hand(out: Path, model: str, path: int) -> float:
    """Mean rank IC of one path, from splits, purges and correlations written out anew."""
    training = Lab(out).training_set()
    frame = training.features.frame
    as_of = frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    times = np.unique(as_of)
    parts = np.array_split(times, GROUPS)
    chosen = list(combinations(range(GROUPS), TOGETHER))
    mean = np.full(len(as_of), np.nan)
    for number, part in enumerate(parts):
        split = [pair for pair in chosen if number in pair][path]
        train = np.ones(len(as_of), dtype=bool)
        for tested in split:
            inside = np.isin(as_of, parts[tested])
            last_known = training.label_known_at[inside].max()
            allowed = times[times > last_known][training.horizon :]  # the embargo
            opens = allowed[0] if len(allowed) else times[-1] + np.timedelta64(1, "us")
            train &= (training.label_known_at < parts[tested][0]) | (as_of >= opens)
        forecaster = make_forecaster(model, Lab(out).settings.forecast.seed)
        forecaster.fit(training.take(train))
        rows = np.isin(as_of, part)
        told = forecaster.predict(FeatureFrame(frame.filter(rows), training.features.feature_names)).frame
        place = {key: n for n, key in enumerate(frame.select("symbol", "as_of").rows())}
        for symbol, at, value in told.select("symbol", "as_of", "mean").rows():
            mean[place[symbol, at]] = value
    assert np.isfinite(mean).all()
    found = [
        spearmanr(mean[as_of == time], training.label[as_of == time]).statistic
        for time in times
        if (as_of == time).sum() > 2
    ]
    return float(np.nanmean(found))


@pytest.mark.parametrize("path", [0, 3])
def test_a_path_is_the_one_worked_out_by_hand(out: Path, audited: dict, path: int) -> None:
    model = audited["models"][0]
    assert len(model["paths"]) == audited["paths"] == 4
    assert model["paths"][path]["rank_ic"].value == pytest.approx(path_by_hand(out, model["name"], path), abs=1e-9)


def test_every_number_has_its_error_and_enters_the_ledger_once(finished: Path, out: Path, audited: dict) -> None:
    figures = [figure for model in audited["models"] for path in model["paths"] for figure in path.values()]
    known = [figure for figure in figures if figure.value is not None]
    assert len(known) > len(figures) / 2
    assert all(figure.low < figure.value < figure.high for figure in known if figure.standard_error)
    for model in audited["models"]:
        told = model["walk_forward"]
        assert {path["same_excess_annual"].n for path in model["paths"]} == {told["excess_annual"].n}
        assert {path["same_rank_ic"].n for path in model["paths"]} == {told["rank_ic"].n}
        assert model["paths"][0]["excess_annual"].n > told["excess_annual"].n
    before = read_ledger(Workspace(out))
    count = len(audited["models"])
    assert sum(trial.purpose == SPLIT for trial in before.trials) == count * audited["splits"]
    assert sum(trial.purpose == PATH for trial in before.trials) == count * audited["paths"]
    back_tests = [trial for trial in read_ledger(Workspace(finished)).trials if trial.purpose == BACKTEST]
    again = audit_paths(out, GROUPS, TOGETHER, SilentProgress())
    after = read_ledger(Workspace(out))
    assert after.head == before.head
    assert again == audited
    # A path is no candidate: the luck of the best trial is as it was.
    assert [trial for trial in after.trials if trial.purpose == BACKTEST] == back_tests


def test_the_command_says_what_it_measured(out: Path, audited: dict) -> None:
    done = run_cli("audit", "paths", "--out", out, "--groups", GROUPS, "--test-groups", TOGETHER)
    assert done.code == 0, done.err
    assert audited["sentence"][:30] in " ".join(done.out.split())
    as_json = run_cli("audit", "paths", "--out", out, "--groups", GROUPS, "--test-groups", TOGETHER, "--json")
    found = json.loads(as_json.out)
    assert found["models"][0]["paths"][0]["rank_ic"]["value"] == audited["models"][0]["paths"][0]["rank_ic"].value


def test_what_cannot_be_cut_is_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than there are groups"):
        audit_paths(out, 3, 3, SilentProgress())
    with pytest.raises(InputError, match="184,756 fits"):
        audit_paths(out, 20, 10, SilentProgress())
    with pytest.raises(InputError, match="holds no"):
        audit_paths(tmp_path / "none", GROUPS, TOGETHER, SilentProgress())
