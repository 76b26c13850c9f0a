"""What the doctor finds when something is wrong, and that only what stops the main job is a fault."""

import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.effort import rest_slow
from typer.testing import CliRunner

from project01.cli.app import app
from project01.ingest import VENDORS
from project01.pipelines import doctor


def states() -> dict[str, tuple[str, str]]:
    return {check.name: (check.state, check.detail) for check in doctor.diagnose().checks}


def test_all_is_well_here() -> None:
    assert doctor.diagnose().ok
    assert states()["core"][0] == "ok"


def test_a_missing_core_library_is_a_fault_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda module: module != "lightgbm")
    assert not doctor.diagnose().ok
    state, detail = states()["core"]
    assert state == "FAULT"
    assert "lightgbm" in detail
    assert "make install" in detail
    assert CliRunner().invoke(app, ["doctor", "--json"]).exit_code == 1


@pytest.mark.parametrize("extra", rest_slow(doctor.EXTRAS, quick=2))
def test_a_missing_extra_is_no_fault_and_names_itself(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = set(doctor.EXTRAS[extra][0])
    monkeypatch.setattr(doctor, "_installed", lambda module: module not in gone)
    assert doctor.diagnose().ok
    state, detail = states()[extra]
    assert state == "missing"
    assert f"'.[{extra}]'" in detail
    assert doctor.EXTRAS[extra][1] in detail
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 0
    assert f"[{extra}]" in shown.stdout.replace("\n", "").replace(" ", "")


def test_every_extra_of_the_project_is_known_to_it() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"all"}


def test_a_full_disk_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=3e8))
    state, detail = states()["disk"]
    assert state == "FAULT"
    assert "--out elsewhere" in detail


def test_another_python_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 13, 0))
    assert states()["python"][0] == "FAULT"


def script(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("body", "state", "detail"),
    [
        ("echo 'openjdk version \"21.0.2\" 2024' >&2", "ok", "21.0.2"),
        ("echo hello", "ok", "version not recognised"),
        (None, "missing", "needed for Spark, Kafka"),
    ],
)
def test_java_as_it_is_found(
    body: str | None, state: str, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if body is not None:
        script(tmp_path, "java", body)
    monkeypatch.setenv("PATH", str(tmp_path) if body is None else f"{tmp_path}:{os.environ['PATH']}")
    assert states()["java"] == (state, detail)


def test_a_listening_server_is_reachable_and_a_wrong_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PROJECT01_REDIS", f"127.0.0.1:{server.getsockname()[1]}")
        assert states()["Redis"][0] == "reachable"
    for address in ("127.0.0.1:nonsense", "127.0.0.1:99999", "127.0.0.1:1"):
        monkeypatch.setenv("PROJECT01_REDIS", address)
        state, detail = states()["Redis"]
        assert state == "not reachable"
        assert address in detail
        assert "set PROJECT01_REDIS=HOST:PORT" in detail
    assert doctor.diagnose().ok


def test_keys_are_seen_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in VENDORS.values():
        for credential in spec.credentials:
            for name in credential.variables:
                monkeypatch.delenv(name, raising=False)
    needy = {check.name for check in doctor.diagnose().checks if check.group == "Sources" and "set " in check.detail}
    assert {"FRED", "NewsAPI"} <= needy
    for spec in VENDORS.values():
        for credential in spec.credentials:
            monkeypatch.setenv(credential.variables[0], "MARKER-77")
    monkeypatch.setenv("WANDB_API_KEY", "MARKER-77")
    found = doctor.diagnose()
    assert "MARKER" not in repr(found)
    sources = {check.name: check for check in found.checks if check.group == "Sources"}
    assert len(sources) == len(VENDORS)
    assert all("set " not in check.detail for check in sources.values())
    assert sources["FRED"].state == "ready"


def test_a_missing_sdk_is_named_in_one_line_and_hinders_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project01.ingest.registry.find_spec", lambda _: None)
    sources = {check.name: check for check in doctor.diagnose().checks if check.group == "Sources"}
    for name in ("Bloomberg", "LSEG (Refinitiv)"):
        assert sources[name].state == "not ready"
        assert "install" in sources[name].detail.lower()
        assert "\n" not in sources[name].detail
    assert sources["SEC EDGAR"].detail.startswith(("company_facts", "set EDGAR"))
