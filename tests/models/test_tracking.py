"""Runs on record: nothing is imported or sent unless asked for, and what was recorded can be read back."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from project01.domain import InputError, MissingExtraError
from project01.models import track_run, track_wandb_offline, tracking

NO_NETWORK = """
import socket, sys
def refuse(*_args, **_more):
    raise SystemExit("a connection was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import warnings
warnings.simplefilter("error")
from pathlib import Path
from project01.models import track_run
folder = Path(sys.argv[1])
(folder / "figures.json").write_text("{}")
for number in (1, 2):
    metrics = {"ic": 0.01 * number, "none": float("nan")}
    track_run(folder, f"run {number}", {"seed": "7"}, metrics, [folder / "figures.json"])
"""


@pytest.mark.slow
def test_mlflow_keeps_runs_in_one_file_and_opens_no_connection(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with sqlite3.connect(tmp_path / "mlflow.db") as base:
        runs = base.execute("select name, status, artifact_uri from runs order by name").fetchall()
        assert [run[:2] for run in runs] == [("run 1", "FINISHED"), ("run 2", "FINISHED")]
        assert base.execute("select key, value from metrics order by value").fetchall() == [("ic", 0.01), ("ic", 0.02)]
        assert base.execute("select distinct key, value from params").fetchall() == [("seed", "7")]
    base.close()
    assert all(Path(run[2].removeprefix("file://"), "figures.json").read_text() == "{}" for run in runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "mlflow", "mlflow.db"]


@pytest.mark.slow
def test_wandb_keeps_runs_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="the extra 'track' is not installed")
    program = "from pathlib import Path; import sys; from project01.models import track_wandb_offline as track; "
    program += "track(Path(sys.argv[1]), 'run', {'seed': '7'}, {'ic': 0.01})"
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "WANDB_CONFIG_DIR": str(tmp_path),
        "WANDB_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))) == 1


def test_a_missing_wandb_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match="'track'"):
        track_wandb_offline(tmp_path, "run", {}, {})


def test_no_backend_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", None)
    track_run(tmp_path, "run", {}, {}, [tmp_path / "not there"], backend="none")
    assert not list(tmp_path.iterdir())


def test_unknown_backends_and_missing_artifacts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Choose mlflow"):
        track_run(tmp_path, "run", {}, {}, backend="comet")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Nothing to record"):
        track_run(tmp_path, "run", {}, {}, [tmp_path / "not there"])


def test_importing_the_models_imports_no_heavy_library() -> None:
    heavy = ["mlflow", "wandb", "lightgbm", "xgboost", "sklearn", "pandas", "scipy"]
    program = f"import sys, json, project01.models; print(json.dumps([n for n in {heavy} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
