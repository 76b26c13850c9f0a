"""The compiled function on disk: written once, found again, rebuilt when a definition changes."""

import ast
import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project01.domain import InputError
from project01.etl import Feature, catalogue, feature_digest, feature_set, steps
from project01.etl.fuse import CACHE_VARIABLE, cache_folder, kernel_for
from project01.etl.kernel_source import source_of

RUN = """
import hashlib
import time
import numba
import numpy as np
from project01.etl import BAR_INPUTS, StreamState, feature_set
numba.njit("f8(f8)")(lambda x: x)  # what numba itself takes to wake up is not counted
started = time.process_time()
state = StreamState([feature for feature in feature_set("core") if feature.kind == "series"])
seconds = time.process_time() - started
out = [state.update(np.full(len(BAR_INPUTS), 1.0 + n % 7)).tobytes() for n in range(300)]
print(hashlib.sha256(b"".join(out)).hexdigest(), seconds)
"""


def process(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {CACHE_VARIABLE: str(folder)}
    return subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True)


def result(started: subprocess.Popen[str]) -> tuple[str, float]:
    out, _ = started.communicate(timeout=300)
    assert started.returncode == 0
    digest, seconds = out.split()
    return digest, float(seconds)


def one(parameter: int = 5, **changes: object) -> Feature:
    fields = {
        "name": "one", "group": "test", "inputs": ("close",), "window": 1, "warm_up": 1, "unit": "", "source": "",
        "description": "", "step": steps.past_return, "parameters": (parameter,), "state_size": parameter + 2,
    }  # fmt: skip
    return Feature(**(fields | changes))  # type: ignore[arg-type]


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "project01"


def test_digest_follows_every_definition() -> None:
    assert feature_digest([one()]) == feature_digest([one()])
    assert feature_digest([one()]) != feature_digest([one(6)])
    assert feature_digest([one()]) != feature_digest([one(step=steps.difference)])
    assert feature_digest(feature_set("core")) != feature_digest(feature_set("core")[:-1])


def test_any_part_of_the_catalogue_shares_one_function() -> None:
    assert kernel_for(feature_set("core")[3:5]) is kernel_for(feature_set("core"))


def test_generated_text_says_nothing_of_where_it_was_made() -> None:
    text, size, _ = source_of([one()])
    assert "/" not in text.replace(" / ", "").replace("1/", "")
    assert size == 1 + 7


def test_a_feature_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="unknown input"):
        one(inputs=("weather",))
    with pytest.raises(InputError, match="needs a step function"):
        one(step=None)
    with pytest.raises(InputError, match="cannot be a column name"):
        one(name="a b")


def test_a_folder_others_may_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is loaded from there, so a folder open to others is left alone."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv(CACHE_VARIABLE, str(shared))
    kernel_for([one(9)])
    assert list(shared.iterdir()) == []


@pytest.mark.slow
def test_second_process_starts_without_compiling(tmp_path: Path) -> None:
    first, slow = result(process(tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    second, quick = result(process(tmp_path))
    assert first == second
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == kept
    assert quick < min(1.0, slow / 3), f"{slow:.1f} s, then {quick:.1f} s of processor time"


@pytest.mark.slow
def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    both = [process(tmp_path), process(tmp_path)]
    assert len({result(one_of)[0] for one_of in both}) == 1
    assert len(list(tmp_path.glob("*.py"))) == 1
    assert not list(tmp_path.glob("*.part"))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    result(process(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.slow
def test_a_spoiled_file_is_written_again(tmp_path: Path) -> None:
    first, _ = result(process(tmp_path))
    next(tmp_path.glob("*.py")).write_text("raise SystemExit('spoiled')")
    assert result(process(tmp_path))[0] == first


def test_a_feature_alone_brings_all_that_its_step_calls() -> None:
    """A set has modules that another of its features brought. One feature of each module, which comes whole."""
    alone = {feature.step.__module__: feature for feature in catalogue() if feature.step is not None}
    assert len(alone) > 10
    for feature in alone.values():
        tree = ast.parse(source_of([feature]).text)
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert called - defined - set(dir(builtins)) == set(), feature.name
