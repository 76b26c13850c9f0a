"""The run capsule: one file that names everything a run's figures rest on, so that they can be made again."""

import hashlib
import platform
from pathlib import Path
from typing import Any

import msgspec

from project01.domain import BARS, CORPORATE_ACTIONS, FACTS, MACRO, NEWS, TWEETS, InputError, TableSpec
from project01.pipelines.claims import CLAIM_RETURNS, CLAIMS, read_ledger
from project01.pipelines.doctor import library_versions
from project01.pipelines.workspace import LIBRARIES, Workspace, code_hash, lock_hash, write_atomically
from project01.settings import Settings

INPUTS: tuple[TableSpec, ...] = (BARS, CORPORATE_ACTIONS, MACRO, FACTS, NEWS, TWEETS)
LEDGERS: tuple[TableSpec, ...] = (CLAIMS, CLAIM_RETURNS)
RESULTS = ("figures.json", "forecasts.json", "forecasts.csv", "trades.csv", "report.html")
FOLDER = "capsules"


class TableState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lake table as a run read it.

    Attributes:
        version: of the table in the run's lake.
        digest: SHA-256 of its content at that version; empty for the ledger's tables, whose chain vouches for them.
    """

    version: int
    digest: str


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What computed the run; where it differs, equal bits cannot be promised."""

    code: str
    lock: str
    libraries: dict[str, str]
    python: str
    machine: str


class Capsule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the figures of one run rest on.

    Attributes:
        as_of: session of the newest forecasts.
        settings: the whole tree.
        files: name -> text of the user's own feature files and classification of industries.
        ingest: figures of the ingest step.
        bus_offsets: topic, partition and bus -> offset of the next message, where bars came from a landed bus.
        tables: input tables of the lake and those of the claim ledger.
        claims: entries of the claim ledger.
        trial_chain: hash of its newest entry.
        feature_hash, settings_hash, seed, models: as in the report; models: name -> id.
        environment: code, lock and libraries.
        results: file -> SHA-256 of its bytes.
        parts: part of the figures -> SHA-256, to say where a replay differs.
    """

    format: int = 1
    as_of: str
    settings: dict[str, Any]
    files: dict[str, str]
    ingest: dict[str, Any]
    bus_offsets: dict[str, int]
    tables: dict[str, TableState]
    claims: int
    trial_chain: str
    feature_hash: str
    settings_hash: str
    seed: int
    models: dict[str, str]
    environment: Environment
    results: dict[str, str]
    parts: dict[str, str]


def environment() -> Environment:
    """Of this installation."""
    return Environment(
        code_hash(), lock_hash(), library_versions(LIBRARIES), platform.python_version(), platform.machine()
    )


def results_of(root: Path) -> dict[str, str]:
    """SHA-256 of each result file of a run's folder."""
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in RESULTS}


def parts_of(root: Path) -> dict[str, str]:
    """SHA-256 of each part of a run's figures."""
    figures = msgspec.json.decode((root / "figures.json").read_bytes())
    return {
        name: hashlib.sha256(msgspec.json.encode(part, order="sorted")).hexdigest() for name, part in figures.items()
    }


def _own_files(settings: Settings) -> dict[str, str]:
    paths = [path for path in (*settings.features.files, settings.features.industries) if path is not None]
    names = [path.name for path in paths]
    if len(set(names)) != len(names):
        raise InputError(f"Own files {', '.join(names)} share a name; a capsule needs each once. Rename one.")
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def make_capsule(workspace: Workspace, settings: Settings) -> Capsule:
    """The capsule of a finished run, from what its steps left behind."""
    steps = {name: workspace.require(name, "run").summary for name in ("ingest", "features", "train", "forecast")}
    lake, ledger = workspace.lake, read_ledger(workspace)
    tables = {
        spec.name: TableState(lake.version(spec.name), lake.digest(spec.name) if spec in INPUTS else "")
        for spec in (*INPUTS, *LEDGERS)
        if lake.exists(spec.name)
    }
    return Capsule(
        as_of=steps["forecast"]["as_of"],
        settings=settings.model_dump(mode="json", exclude_none=True),
        files=_own_files(settings),
        ingest=steps["ingest"],
        bus_offsets=steps["ingest"]["bus_offsets"],
        tables=tables,
        claims=len(ledger),
        trial_chain=ledger.head,
        feature_hash=steps["features"]["feature_hash"],
        settings_hash=settings.result_hash(),
        seed=settings.forecast.seed,
        models=steps["train"]["models"],
        environment=environment(),
        results=results_of(workspace.root),
        parts=parts_of(workspace.root),
    )


def write_capsule(workspace: Workspace, settings: Settings) -> Path:
    """Write the capsule into the folder ``capsules``; one for each state of the figures, earlier ones stay."""
    capsule = make_capsule(workspace, settings)
    path = workspace.root / FOLDER / f"{capsule.as_of}-{capsule.results['figures.json'][:8]}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(capsule, order="sorted")) + b"\n")
    return path


def read_capsule(path: Path) -> Capsule:
    """A capsule from its file.

    Raises:
        InputError: it cannot be read, or is no capsule.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Capsule)
    except OSError as error:
        raise InputError(f"Capsule {path} cannot be read: {error.strerror}. A run writes it to its folder.") from error
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path} is no capsule this version can read: {error}. Pass a file of a run's folder capsules."
        ) from error
