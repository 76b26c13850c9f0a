#!/usr/bin/env python3
"""Jars through Maven, fetched once into a cache: what ``infra/NAME/pom.xml`` asks for, for `make kafka` and Spark.

Standard library only. From the repository's root::

    python -m infra.maven spark
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
FETCH_S = 600.0


class JarsError(Exception):
    """Jars cannot be had; the message is one line that says what to do."""


def missing_tools(name: str) -> str | None:
    """What is not installed, in one line; None where all is there, or the jars are and only Maven is not.

    Args:
        name: folder of ``infra`` with a ``pom.xml``.
    """
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing == ["mvn"] and _fetched(name):
        return None
    if missing:
        return (
            f"{name.capitalize()} needs Java 17 and Maven; not found: {', '.join(missing)}. "
            f"On Debian: apt-get install openjdk-17-jre-headless maven"
        )
    return None


def jars_folder(name: str) -> Path:
    """``NAME-jars`` in the folder that ``PROJECT01_CACHE`` names, else in the repository's ``.cache``."""
    return Path(os.environ.get("PROJECT01_CACHE", REPOSITORY / ".cache")).resolve() / f"{name}-jars"


def fetch_jars(name: str) -> Path:
    """The folder of jars, fetched through Maven if they are not there; safe when several processes ask at once.

    Raises:
        JarsError: Java or Maven is missing, or Maven failed.
    """
    folder = jars_folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _fetched(name):
            _copy_dependencies(name, folder)
    return folder


def _pom(name: str) -> Path:
    return HERE / name / "pom.xml"


def _digest(name: str) -> str:
    return hashlib.sha256(_pom(name).read_bytes()).hexdigest()


def _fetched(name: str) -> bool:
    stamp = jars_folder(name) / "pom.sha256"
    return stamp.is_file() and stamp.read_text() == _digest(name)


def _copy_dependencies(name: str, folder: Path) -> None:
    missing, maven = missing_tools(name), shutil.which("mvn")
    if missing or maven is None:
        raise JarsError(missing or "mvn is not on the PATH.")
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        command = [maven, "--quiet", "--batch-mode", "--strict-checksums", "--file", str(_pom(name))]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={fresh}/jars"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)  # noqa: S603
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stderr.splitlines()
            raise JarsError(f"Maven could not fetch the jars of {name}: {lines[0] if lines else 'no message'}")
        jars = Path(fresh) / "jars"
        (jars / "pom.sha256").write_text(_digest(name))
        jars.rename(folder)


def main(arguments: list[str] | None = None) -> int:
    """Fetch the jars named on the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(pom.parent.name for pom in HERE.glob("*/pom.xml")))
    chosen = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"The jars of {chosen.name} lie in {fetch_jars(chosen.name)}\n")
    except JarsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
