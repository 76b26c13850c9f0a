"""What is installed, what is missing and what that would add. Values of keys are never read further than "set"."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# extra -> (modules it brings, what it adds)
EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "vendors": (("httpx", "websockets"), "the vendors' sources and their streams"),
    "kafka": (("confluent_kafka",), "the Kafka bus"),
    "spark": (("pyspark", "delta"), "Spark batch and streaming features"),
    "deep": (("torch", "lightning", "pytorch_forecasting", "tensorflow"), "deep forecasters"),
    "nlp": (("transformers",), "text sentiment"),
    "bayes": (("numpyro",), "Bayesian models"),
    "rl": (("ray", "gymnasium"), "reinforcement learning and distributed tuning"),
    "redis": (("redis",), "the feature store on Redis"),
    "serve": (("bentoml", "streamlit"), "the API and the dashboard"),
    "orchestrate": (("airflow",), "the daily schedule"),
    "monitor": (("evidently", "prometheus_client"), "drift and metrics"),
    "track": (("wandb",), "Weights & Biases, offline"),
    "dev": (("pytest", "mypy", "ruff"), "the test suite"),
}

CORE_MODULES = ("polars", "deltalake", "feast", "lightgbm", "xgboost", "numba", "sklearn", "mlflow", "skfolio", "arch")

# Environment variables of keys for what is no source; only whether each is set is shown.
OTHER_KEYS: dict[str, tuple[str, ...]] = {"W&B": ("WANDB_API_KEY",)}

SERVERS: dict[str, tuple[str, int]] = {
    "Kafka": ("PROJECT01_KAFKA", 9092),
    "Redis": ("PROJECT01_REDIS", 6379),
}

NEEDED_DISK_GB = 2.0


@dataclass(frozen=True)
class Check:
    """One finding: `state` is ok, missing, ready, not ready, set, not set, reachable, not reachable or FAULT."""

    group: str
    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Findings:
    """All findings; `ok` is false only when the main job could not run."""

    ok: bool
    checks: tuple[Check, ...]

    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in the order to show them."""
        return tuple(dict.fromkeys(check.group for check in self.checks))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _core() -> list[Check]:
    version = platform.python_version()
    fits = sys.version_info[:2] == (3, 11)
    checks = [Check("Main job", "python", "ok" if fits else "FAULT", version if fits else f"{version}; needs 3.11")]
    missing = [module for module in CORE_MODULES if not _installed(module)]
    detail = f"missing: {', '.join(missing)}; run `make install`" if missing else f"{len(CORE_MODULES)} libraries"
    checks.append(Check("Main job", "core", "FAULT" if missing else "ok", detail))
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = free >= NEEDED_DISK_GB
    advice = "" if enough else f"; a run needs {NEEDED_DISK_GB:.0f} GB, free some or pass --out elsewhere"
    checks.append(Check("Main job", "disk", "ok" if enough else "FAULT", f"{free:.0f} GB free here{advice}"))
    writable = os.access(Path.cwd(), os.W_OK)
    checks.append(
        Check(
            "Main job",
            "folder",
            "ok" if writable else "missing",
            "writable" if writable else "not writable: pass --out",
        )
    )
    return checks


def _extras() -> list[Check]:
    checks = []
    for extra, (modules, adds) in EXTRAS.items():
        missing = [module for module in modules if not _installed(module)]
        how = f"adds {adds}; pip install -c requirements.txt -e '.[{extra}]'"
        checks.append(Check("Extras", extra, "missing" if missing else "ok", how if missing else adds))
    return checks


def _keys() -> list[Check]:
    checks = []
    for name, variables in OTHER_KEYS.items():
        found = [variable for variable in variables if os.environ.get(variable)]
        checks.append(Check("Keys", name, "set" if found else "not set", (found or [" or ".join(variables)])[0]))
    return checks


def _sources() -> list[Check]:
    """Each vendor: in one line what is missing, or what it brings."""
    from project01.pipelines.source_status import known_sources

    return [
        Check(
            "Sources",
            row["title"],
            "ready" if row["ready"] else "not ready",
            ", ".join(row["datasets"]) if row["ready"] else "; ".join(row["needs"]),
        )
        for row in known_sources()
    ]


def _program(name: str, arguments: list[str], pattern: str, adds: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check("Programs and servers", name, "missing", f"needed for {adds}")
    try:
        done = subprocess.run(  # noqa: S603 - the two programs named above, found on PATH, with fixed arguments
            [path, *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("Programs and servers", name, "missing", f"{path} does not run: {error}")
    found = re.search(pattern, done.stdout + done.stderr)
    return Check("Programs and servers", name, "ok", found.group(1) if found else "version not recognised")


def _server(name: str, variable: str, port: int) -> Check:
    address = os.environ.get(variable, f"localhost:{port}")
    host, _, text = address.rpartition(":")
    try:
        with socket.create_connection((host or "localhost", int(text)), timeout=1.0):
            return Check("Programs and servers", name, "reachable", address)
    except (OSError, ValueError, OverflowError) as error:
        reason = type(error).__name__
        return Check("Programs and servers", name, "not reachable", f"{address} ({reason}); set {variable}=HOST:PORT")


def _surroundings() -> list[Check]:
    checks = [
        _program("java", ["-version"], r'version "([^"]+)"', "Spark, Kafka"),
        _program("mvn", ["--version"], r"Apache Maven ([\d.]+)", "fetching Kafka and Spark jars"),
    ]
    return checks + [_server(name, variable, port) for name, (variable, port) in SERVERS.items()]


def diagnose() -> Findings:
    """Look at the interpreter, the libraries, the keys, the programs and the servers."""
    core = _core()
    ok = all(check.state != "FAULT" for check in core)
    return Findings(ok, (*core, *_extras(), *_sources(), *_keys(), *_surroundings()))


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed version of each distribution; those not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
