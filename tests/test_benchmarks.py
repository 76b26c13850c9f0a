"""The command that each benchmark names works in any folder: it finds what lies beside it and what is installed."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# Run by a benchmark with another Python, which has the peer's library.
ELSEWHERE = {"alpha158_peer.py"}
LOADED_ALONE = """
import runpy, sys

found = list(sys.path[1:])
for file in sys.argv[2:]:
    sys.path[:] = [sys.argv[1], *found]
    for name in [name for name in sys.modules if name.split(".")[0] in ("infra", "tests", "benchmarks")]:
        del sys.modules[name]
    runpy.run_path(file, run_name="loaded")
    print(file)
"""


def test_every_benchmark_loads_by_its_file_alone(tmp_path: Path) -> None:
    files = sorted(str(file) for file in BENCHMARKS.glob("*.py") if file.name not in ELSEWHERE)
    assert len(files) > 15
    command = [sys.executable, "-c", LOADED_ALONE, str(BENCHMARKS), *files]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path, env=environment
    )
    assert found.stdout.split() == files, found.stderr[-2_000:]
