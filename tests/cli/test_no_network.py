"""The demo without any network: no vendor, no package server, not even a name server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.pipelines.conftest import CLI, QUICK

ALONE = ["unshare", "--map-root-user", "--net"]


@pytest.mark.slow
def test_the_demo_needs_no_network(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], check=False).returncode:
        pytest.skip("this system grants no network namespace")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [*ALONE, str(CLI), "demo", "--out", str(tmp_path / "demo")], capture_output=True, text=True, check=False,
        env=environment | QUICK | {"PROJECT01__TRACKING__BACKEND": "mlflow"}, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "after costs" in done.stdout
    assert (tmp_path / "demo" / "mlflow.db").exists()
