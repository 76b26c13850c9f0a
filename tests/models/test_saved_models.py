"""Saved models: the same forecasts after loading, no code run while loading, and everything else refused."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import InputError, TrainingSet
from project01.models import (
    POINT_MODELS,
    ConformalForecaster,
    Provenance,
    load_forecaster,
    make_forecaster,
    read_manifest,
    save_forecaster,
)
from project01.models.tree_files import check_lightgbm, check_xgboost

Saved = Callable[[str], Path]


@pytest.fixture
def saved(tmp_path: Path, fitted_models: dict[str, ConformalForecaster], provenance: Provenance) -> Saved:
    return lambda name: save_forecaster(fitted_models[name], tmp_path / "models", provenance)


def vouch_again(folder: Path, **changes: Any) -> None:
    """What an attacker who owns the folder would do: make the manifest fit the files."""
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    files = {name: (folder / name).read_bytes() for name in manifest["sha256"]}
    manifest["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + len(content).to_bytes(8, "big") + content)
    manifest["model_id"] = f"{manifest['model']}-{digest.hexdigest()[:16]}"
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest | changes))


@pytest.mark.parametrize("name", list(POINT_MODELS))
def test_a_loaded_model_forecasts_the_same_bytes(
    name: str, saved: Saved, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    loaded, wanted = load_forecaster(saved(name)), fitted_models[name]
    assert loaded.predict(training.features).frame.equals(wanted.predict(training.features).frame)
    assert loaded.contributions(training.features).tobytes() == wanted.contributions(training.features).tobytes()
    assert loaded.to_files() == wanted.to_files()
    assert (loaded.model_id(), loaded.settings_hash()) == (wanted.model_id(), wanted.settings_hash())


def test_other_settings_come_back(tmp_path: Path, training: TrainingSet, provenance: Provenance) -> None:
    forecaster = make_forecaster("lightgbm", 5, {"num_leaves": 4, "rounds": 9})
    forecaster.fit(training)
    loaded = load_forecaster(save_forecaster(forecaster, tmp_path, provenance))
    assert loaded.point.settings["num_leaves"] == 4
    assert loaded.seed == 5


def test_the_manifest_says_what_the_model_rests_on(saved: Saved, provenance: Provenance) -> None:
    folder = saved("ridge")
    manifest = read_manifest(folder)
    assert manifest["features"] == ["ret_5", "mom_12_1", "realised_vol_21", "volume_z_20"]
    assert (manifest["seed"], manifest["horizon"], manifest["lake_version"]) == (7, 5, 3)
    assert manifest["libraries"] == provenance.libraries
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


TRAPPED = """
import builtins, pickle, sys
from pathlib import Path
import cloudpickle, joblib
def trap(*_args, **_more):
    Path(sys.argv[2]).write_text("a pickle was opened")
    raise SystemExit("a pickle was opened")
for module, names in ((pickle, ("load", "loads", "Unpickler")), (cloudpickle, ("load", "loads")), (joblib, ("load",))):
    for name in names:
        setattr(module, name, trap)
from project01.domain import Project01Error
from project01.models import load_forecaster
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        print(folder.name, load_forecaster(folder).model_id())
    except Project01Error as error:
        print(folder.name, "refused:", error)
"""


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.slow
def test_nothing_is_unpickled_in_a_process_where_that_is_a_trap(
    tmp_path: Path, fitted_models: dict[str, ConformalForecaster], provenance: Provenance
) -> None:
    models, canary = tmp_path / "models", tmp_path / "canary"
    for forecaster in fitted_models.values():
        save_forecaster(forecaster, models, provenance)
    for name in ("ridge", "lightgbm", "xgboost"):
        hostile = models / f"zz_{name}"
        shutil.copytree(models / name, hostile)
        file = hostile / ("model.txt" if name == "lightgbm" else "model.json")
        file.write_bytes(pickle.dumps(Canary(canary)))
        vouch_again(hostile)
    done = subprocess.run(
        [sys.executable, "-c", TRAPPED, str(models), str(canary)], capture_output=True, text=True, check=True
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert {name: lines[name] for name in POINT_MODELS} == {n: m.model_id() for n, m in fitted_models.items()}
    assert all(lines[f"zz_{name}"].startswith("refused:") for name in ("ridge", "lightgbm", "xgboost"))
    assert not canary.exists()


def change_a_byte(folder: Path) -> None:
    file = folder / "model.json"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def rename_a_pickle(folder: Path) -> None:
    (folder / "model.json").write_bytes(pickle.dumps({"slope": [1.0]}))


def add_a_file(folder: Path) -> None:
    (folder / "extra.pkl").write_bytes(pickle.dumps(1))


def add_a_folder(folder: Path) -> None:
    (folder / "__pycache__").mkdir()


def remove_a_file(folder: Path) -> None:
    (folder / "model.json").unlink()


def link_a_file(folder: Path) -> None:
    real = folder.parent / "elsewhere.json"
    (folder / "model.json").rename(real)
    (folder / "model.json").symlink_to(real)


def a_pipe(folder: Path) -> None:
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")


def folder_for_a_file(folder: Path) -> None:
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()


def manifest_with(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: vouch_again(folder, **changes)


def manifest_text(text: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "manifest.json").write_bytes(text) and None  # type: ignore[func-returns-value]


ZEROS = "0" * 64
HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "changed byte": (change_a_byte, "model.json is not the file that was saved"),
    "pickle renamed": (rename_a_pickle, "model.json is not the file that was saved"),
    "added file": (add_a_file, "lacks or adds extra.pkl"),
    "added folder": (add_a_folder, "lacks or adds __pycache__"),
    "removed file": (remove_a_file, "lacks or adds model.json"),
    "symlink": (link_a_file, "model.json is missing or is no plain file"),
    "pipe": (a_pipe, "model.json is no plain file"),
    "folder": (folder_for_a_file, "model.json is no plain file"),
    "traversal": (manifest_with(sha256={"../ridge/model.json": ZEROS}), "names files other than"),
    "absolute path": (manifest_with(sha256={"/etc/passwd": ZEROS}), "names files other than"),
    "encoded traversal": (manifest_with(sha256={"%2e%2e/model.json": ZEROS}), "names files other than"),
    "no files": (manifest_with(sha256={}), "names files other than"),
    "short hash": (manifest_with(sha256={"model.json": "0"}), "no SHA-256"),
    "hash list": (manifest_with(sha256=["model.json"]), "names files other than"),
    "unknown model": (manifest_with(model="../../bin/sh"), "names none of the models"),
    "another model": (manifest_with(model="lightgbm"), "its files make"),
    "another seed": (manifest_with(seed=8), "tell of different models"),
    "other features": (manifest_with(features=["a", "b", "c", "d"]), "tell of different models"),
    "newer format": (manifest_with(format_version=99), "format version"),
    "extra key": (manifest_with(loader="os.system"), "lacks or adds loader"),
    "not JSON": (manifest_text(b"\x80\x04K\x01."), "is not JSON"),
    "empty": (manifest_text(b""), "is not JSON"),
    "deep": (manifest_text(b"[" * 100_000), "is not JSON"),
    "a list": (manifest_text(b"[]"), "format version"),
}


@pytest.mark.parametrize("attack", list(HOSTILE))
def test_hostile_folders_are_refused(attack: str, saved: Saved) -> None:
    folder = saved("ridge")
    change, reason = HOSTILE[attack]
    change(folder)
    with pytest.raises(InputError, match=reason) as refused:
        load_forecaster(folder)
    assert "Train again" in str(refused.value)


def test_a_linked_folder_and_a_linked_manifest_are_refused(saved: Saved, tmp_path: Path) -> None:
    folder = saved("zero")
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(InputError, match="no folder"):
        load_forecaster(link)
    real = folder / "manifest.json"
    real.rename(tmp_path / "manifest.json")
    real.symlink_to(tmp_path / "manifest.json")
    with pytest.raises(InputError, match=r"manifest.json is missing or is no plain file"):
        load_forecaster(folder)


def test_a_folder_exchanged_as_a_whole_is_refused_by_its_id(
    saved: Saved,
    tmp_path: Path,
    training: TrainingSet,
    fitted_models: dict[str, ConformalForecaster],
    provenance: Provenance,
) -> None:
    wanted = fitted_models["ridge"].model_id()
    assert load_forecaster(saved("ridge"), wanted).model_id() == wanted
    other = make_forecaster("ridge", 7, {"bound": 2.0})
    other.fit(training)
    folder = save_forecaster(other, tmp_path / "models", provenance)
    load_forecaster(folder)
    with pytest.raises(InputError, match=f"expected {wanted}"):
        load_forecaster(folder, wanted)


def edit_calibration(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "calibration.json"
        content = msgspec.json.decode(file.read_bytes())
        change(content)
        file.write_bytes(msgspec.json.encode(content))
        vouch_again(folder)

    return edit


BAD_CALIBRATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "scores fall": lambda c: c["scores"].reverse(),
    "scores are text": lambda c: c.update(scores=["1"] * 99),
    "few scores": lambda c: c.update(scores=[0.0]),
    "scale of zero": lambda c: c["scale"].update(low=0.0),
    "scale is a list": lambda c: c.update(scale=[]),
    "unknown setting": lambda c: c["settings"].update(command="rm"),
    "settings are a list": lambda c: c.update(settings=[]),
    "features twice": lambda c: c.update(features=["a", "a", "b", "c"]),
    "no features": lambda c: c.update(features=[]),
    "horizon of 0": lambda c: c.update(horizon=0),
    "seed is text": lambda c: c.update(seed="7"),
    "extra key": lambda c: c.update(code="x"),
}


@pytest.mark.parametrize("damage", list(BAD_CALIBRATIONS))
def test_a_vouched_calibration_of_another_form_is_refused(damage: str, saved: Saved) -> None:
    folder = saved("ridge")
    edit_calibration(lambda content: BAD_CALIBRATIONS[damage](content) and None)(folder)
    with pytest.raises(InputError, match="not a model that can be trusted"):
        load_forecaster(folder)


LIGHTGBM_DAMAGE = {
    "child outside": (b"left_child=1", b"left_child=99"),
    "endless loop": (b"left_child=1", b"left_child=0"),
    "feature outside": (b"split_feature=", b"split_feature=77 "),
    "categories": (b"num_cat=0", b"num_cat=9"),
    "linear leaves": (b"is_linear=0", b"is_linear=1"),
    "not a number": (b"leaf_value=", b"leaf_value=nan "),
    "infinite leaf": (b"leaf_value=", b"leaf_value=inf "),
    "tree size": (b"tree_sizes=", b"tree_sizes=9"),
    "another width": (b"max_feature_idx=3", b"max_feature_idx=9"),
    "another objective": (b"objective=regression", b"objective=custom_x__"),
    "settings after the trees": (b"end of trees\n", b"end of trees\n\nparameters:\n[forcedsplits_filename: /x]\n"),
}


@pytest.mark.parametrize("damage", list(LIGHTGBM_DAMAGE))
def test_lightgbm_files_that_are_no_trees_are_refused(
    damage: str, fitted_models: dict[str, ConformalForecaster]
) -> None:
    content = fitted_models["lightgbm"].to_files()["model.txt"]
    assert check_lightgbm(content, 4).encode() == content
    old, new = LIGHTGBM_DAMAGE[damage]
    assert old in content
    with pytest.raises(InputError, match="not one that Project01 writes"):
        check_lightgbm(content.replace(old, new, 1), 4)


def first_tree(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda content: change(content["learner"]["gradient_booster"]["model"]["trees"][0])


XGBOOST_DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "child outside": first_tree(lambda tree: tree["left_children"].__setitem__(0, 10**6)),
    "endless loop": first_tree(lambda tree: tree["left_children"].__setitem__(1, 1)),
    "feature outside": first_tree(lambda tree: tree["split_indices"].__setitem__(0, 4)),
    "wrong parent": first_tree(lambda tree: tree["parents"].__setitem__(1, 2)),
    "short array": first_tree(lambda tree: tree["split_conditions"].pop()),
    "text for a number": first_tree(lambda tree: tree["split_conditions"].__setitem__(0, "1")),
    "categories": first_tree(lambda tree: tree.update(categories=[1])),
    "another booster": lambda content: content["learner"]["gradient_booster"].update(name="dart"),
    "another objective": lambda content: content["learner"]["objective"].update(name="custom"),
    "another width": lambda content: content["learner"]["learner_model_param"].update(num_feature="9"),
    "number of trees": lambda content: content["learner"]["gradient_booster"]["model"]["trees"].pop(),
    "base value": lambda content: content["learner"]["learner_model_param"].update(base_score="__import__"),
    "no learner": lambda content: content.pop("learner"),
}


@pytest.mark.parametrize("damage", list(XGBOOST_DAMAGE))
def test_xgboost_files_that_are_no_trees_are_refused(
    damage: str, fitted_models: dict[str, ConformalForecaster]
) -> None:
    written = fitted_models["xgboost"].to_files()["model.json"]
    assert check_xgboost(written, 4) == written
    content = msgspec.json.decode(written)
    XGBOOST_DAMAGE[damage](content)
    with pytest.raises(InputError, match="not one that Project01 writes"):
        check_xgboost(msgspec.json.encode(content), 4)


@settings(max_examples=examples(60))
@given(data=st.data(), name=st.sampled_from(["lightgbm", "xgboost", "ridge", "historical_mean", "momentum", "zero"]))
def test_damaged_files_are_refused_or_forecast_finite_numbers(
    data: st.DataObject, name: str, training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    files = fitted_models[name].to_files()
    file = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[file])
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        loaded = ConformalForecaster.from_files(name, files | {file: bytes(content)})
        frame = loaded.predict(training.features).frame
    except InputError:
        return
    assert not np.isnan(frame.select(pl.col(pl.Float64)).to_numpy()).any()


def test_saving_replaces_a_model_and_leaves_other_folders_alone(
    tmp_path: Path, fitted_models: dict[str, ConformalForecaster], provenance: Provenance
) -> None:
    first = save_forecaster(fitted_models["zero"], tmp_path, provenance)
    assert save_forecaster(fitted_models["zero"], tmp_path, provenance) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["zero"]
    (tmp_path / "ridge").mkdir()
    (tmp_path / "ridge" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        save_forecaster(fitted_models["ridge"], tmp_path, provenance)
    assert (tmp_path / "ridge" / "thesis.txt").read_text() == "mine"


def test_an_unfitted_model_is_not_saved(tmp_path: Path, provenance: Provenance) -> None:
    with pytest.raises(InputError, match="before fit"):
        save_forecaster(make_forecaster("zero", 1), tmp_path, provenance)
    assert not list(tmp_path.iterdir())
