"""The lock is the only source of versions: complete, hashed, up to date, and free of known bad releases."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")

# Releases with a known advisory or that were withdrawn, as specifiers that no pin may satisfy.
BAD_RELEASES = {
    "mlflow": "<3.11",
    "bentoml": "<1.4.39,==1.4.40",
    "ray": "<2.54",
    "feast": "<0.63",
    "torch": "<2.6",
    "streamlit": "<1.54",
    "starlette": "<1.1",
    "lightning": "==2.6.2,==2.6.3",
    "skops": "<0.13",
}


def project() -> dict[str, object]:
    parsed: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return parsed


def pins(text: str) -> dict[str, list[str]]:
    """Name -> versions pinned for this Python; a pin for another one carries a marker that does not hold here."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = re.match(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*?\])?==([^ ;\\]+)(?: ; ([^\\]+))?", line)
        if match and (match[3] is None or Marker(match[3].strip()).evaluate()):
            found.setdefault(match[1], []).append(match[2])
    return found


LOCK = (ROOT / "requirements.txt").read_text()


def direct_requirements() -> list[Requirement]:
    table = project()
    lines = list(table["dependencies"])  # type: ignore[call-overload]
    for name, extra in table["optional-dependencies"].items():  # type: ignore[attr-defined]
        lines += extra if name != "all" else []
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=str)
def test_every_direct_dependency_is_pinned_within_its_floor(requirement: Requirement) -> None:
    found = pins(LOCK).get(requirement.name.lower().replace("_", "-"))
    assert found, f"{requirement.name} is not in requirements.txt; run `make lock`"
    assert all(requirement.specifier.contains(version) for version in found)


def test_every_pin_has_hashes_and_no_index_address_is_named() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK)
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert "--find-links" not in LOCK


def bad_specifiers(text: str) -> list[SpecifierSet]:
    """``<1.4.39,==1.4.40`` means either of the two here, not both at once."""
    return [SpecifierSet(part) for part in text.split(",")]


@pytest.mark.parametrize("name", BAD_RELEASES)
def test_no_bad_release_is_pinned_or_allowed(name: str) -> None:
    for version in pins(LOCK).get(name, []):
        assert not any(spec.contains(version) for spec in bad_specifiers(BAD_RELEASES[name]))
    for requirement in direct_requirements():
        if requirement.name == name:
            for part in BAD_RELEASES[name].split(","):
                release = re.sub(r"^(<|==)", "", part)
                allowed = requirement.specifier.contains(release)
                assert not (allowed and part.startswith("==")), f"{name} {release} is allowed"


def test_the_core_has_at_most_25_direct_dependencies_and_no_torch_or_java() -> None:
    core = [Requirement(line).name for line in project()["dependencies"]]  # type: ignore[attr-defined]
    assert len(core) <= 25
    assert not {"torch", "tensorflow", "ray", "pyspark", "transformers"} & set(core)


def test_every_extra_is_part_of_all() -> None:
    extras = project()["optional-dependencies"]
    named = re.search(r"\[(.*)\]", extras["all"][0])  # type: ignore[index]
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - {"all"}  # type: ignore[call-overload]


@pytest.mark.slow
def test_resolving_again_gives_the_same_lock(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    make = (ROOT / "Makefile").read_text()
    found = re.search(r"^LOCK := uv (.+)$", make, re.MULTILINE)
    assert found is not None
    command = [str(UV), *found[1].split(), "--output-file", "requirements.txt", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode and re.search(r"client error|dns|Connect", done.stderr):
        pytest.skip("the package registry cannot be reached from here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "requirements.txt").read_text() == LOCK, "requirements.txt is out of date; run `make lock`"


@pytest.mark.slow
def test_a_wrong_hash_stops_the_install(tmp_path: Path) -> None:
    version = pins(LOCK)["six"][0]
    (tmp_path / "wrong.txt").write_text(f"six=={version} --hash=sha256:{'0' * 64}\n")
    command = [str(UV), "pip", "install", "--no-cache", "--target", str(tmp_path / "to"), "--python", sys.executable,
               "--constraint", str(tmp_path / "wrong.txt"), "six"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if re.search(r"client error|dns|Connect", done.stderr):
        pytest.skip("the package registry cannot be reached from here")
    assert done.returncode != 0
    assert "ash mismatch" in done.stderr
    assert not (tmp_path / "to" / "six.py").exists()
