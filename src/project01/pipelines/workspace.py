"""A run's folder: where each step's results lie, and which steps need not be done again."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

import project01
from project01.domain import InputError
from project01.lake import Lake
from project01.pipelines.doctor import library_versions
from project01.settings import Settings, load_settings

# Those whose version may change a result.
LIBRARIES = ("lightgbm", "numba", "numpy", "polars", "scikit-learn", "scipy", "xgboost-cpu")


@lru_cache(maxsize=1)
def code_hash() -> str:
    """SHA-256 over the package's own source files, first 16 hex digits: a step is done again when the code changes."""
    digest = hashlib.sha256()
    root = Path(project01.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def content_hash(*parts: Any) -> str:
    """SHA-256 of JSON-able parts, first 16 hex digits."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:16]


def lock_hash() -> str:
    """Hash of the lock the project was installed from; of the installed versions where there is no lock beside it."""
    lock = Path(__file__).parents[3] / "requirements.txt"
    if lock.is_file():
        return hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    versions = library_versions(LIBRARIES)
    return hashlib.sha256(msgspec.json.encode(versions, order="sorted")).hexdigest()[:16]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, also when the process is killed.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(
            f"Cannot write {path}: {error.strerror}. Pass --out with a folder you may write to."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left behind.

    Attributes:
        inputs: hash of everything the step's result depends on.
        summary: JSON-able figures of the step, shown again when it is skipped.
    """

    inputs: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class Workspace:
    """The folder of one run.

    Attributes:
        root: the folder given as ``--out``.
    """

    root: Path

    @property
    def lake(self) -> Lake:
        """The run's lake."""
        return Lake(self.root / "lake")

    @property
    def feast(self) -> Path:
        """The run's Feast repository."""
        return self.root / "feast"

    @property
    def models(self) -> Path:
        """Saved models, one folder each."""
        return self.root / "models"

    def require(self, step: str, hint: str) -> StepRecord:
        """The record of an earlier step.

        Raises:
            InputError: the step has not been done in this folder.
        """
        record = self.record(step)
        if record is None:
            raise InputError(
                f"{self.root} holds no finished step '{step}'. Run `project01 {hint} --out {self.root}` first."
            )
        return record

    def record(self, step: str) -> StepRecord | None:
        """The record of `step`, or None if it was never finished or its record is damaged."""
        try:
            stored = msgspec.json.decode((self.root / "steps" / f"{step}.json").read_bytes())
            return StepRecord(stored["inputs"], stored["summary"])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
            return None

    def finish(self, step: str, inputs: str, summary: dict[str, Any]) -> StepRecord:
        """Enter a finished step; only now is it skipped next time."""
        content = msgspec.json.format(msgspec.json.encode({"inputs": inputs, "summary": summary}))
        write_atomically(self.root / "steps" / f"{step}.json", content)
        return StepRecord(inputs, summary)

    @property
    def settings_file(self) -> Path:
        """The settings this folder was made with; later steps start from them."""
        return self.root / "settings.yaml"

    def kept_settings(self) -> Settings:
        """Those settings, the defaults where none were kept."""
        return load_settings(self.settings_file if self.settings_file.is_file() else None).settings

    def save_settings(self, settings: Settings) -> None:
        """Keep the settings beside the results."""
        text = yaml.safe_dump(settings.model_dump(mode="json", exclude_none=True), sort_keys=False)
        write_atomically(self.settings_file, text.encode())


def open_workspace(root: Path) -> Workspace:
    """The workspace at `root`, which is made when the first step writes.

    Raises:
        InputError: `root` is a file, or cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"--out {root} is a file; pass a folder.")
    nearest = next(p for p in (root, *root.absolute().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"--out {root} cannot be written: {error.strerror}. Pass a folder you may write to."
        ) from error
    return Workspace(root)


@contextlib.contextmanager
def nothing_left_behind(root: Path) -> Iterator[None]:
    """Remove `root` again if it did not exist before and the work inside failed before anything was finished."""
    existed = root.exists()
    try:
        yield
    except BaseException:
        if not existed and root.exists() and not (root / "steps").exists():
            _remove_tree(root)
        raise


def _remove_tree(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    root.rmdir()
