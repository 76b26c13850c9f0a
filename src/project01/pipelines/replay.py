"""Make a run again from its capsule and compare every byte."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from project01.domain import DataError, InputError, SystemClock
from project01.lake import Lake
from project01.pipelines.capsule import (
    INPUTS,
    Capsule,
    Environment,
    TableState,
    environment,
    parts_of,
    read_capsule,
    results_of,
)
from project01.pipelines.claims import CLAIM_RETURNS, CLAIMS
from project01.pipelines.progress import Progress
from project01.pipelines.run import Run
from project01.pipelines.workspace import Workspace, open_workspace, write_atomically
from project01.settings import Settings


def replay_capsule(path: Path, lake: str | None, out: Path | None, progress: Progress) -> dict[str, Any]:
    """Rebuild the forecasts and figures of a capsule's run in a folder of their own.

    Args:
        path: the capsule.
        lake: the lake the run read; None: the one in the folder the capsule lies in.
        out: empty folder to rebuild in, kept afterwards; None: a temporary one.
        progress: told about each step.
    Returns:
        equal, results (file, recorded, rebuilt, equal), parts_differ, environment (what differs), sentence.
    Raises:
        InputError: no capsule, no lake, or a folder that holds a run already.
        DataError: the lake no longer holds what the run read.
    """
    capsule = read_capsule(path)
    source = Lake(lake or path.resolve().parent.parent / "lake")
    if out is not None:
        return _rebuilt(capsule, source, _empty(out), progress)
    with tempfile.TemporaryDirectory(prefix="project01-replay-") as scratch:
        return _rebuilt(capsule, source, Workspace(Path(scratch)), progress)


def _empty(out: Path) -> Workspace:
    workspace = open_workspace(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"--out {out} is not empty; a replay is made in a folder of its own. Pass a new one.")
    return workspace


def _rebuilt(capsule: Capsule, source: Lake, workspace: Workspace, progress: Progress) -> dict[str, Any]:
    _copy_tables(capsule, source, workspace.lake)
    workspace.finish("ingest", "from a capsule", capsule.ingest)
    run = Run(workspace, _settings(capsule, workspace), progress, SystemClock())
    run.after_ingest()
    return _compared(capsule, workspace)


def _settings(capsule: Capsule, workspace: Workspace) -> Settings:
    """The run's settings, own files beside the replay, nothing recorded elsewhere."""
    settings = Settings.model_validate(capsule.settings)
    folder = workspace.root / "own_files"
    for name, text in capsule.files.items():
        write_atomically(folder / name, text.encode())
    industries = settings.features.industries
    features = settings.features.model_copy(
        update={
            "files": tuple(folder / file.name for file in settings.features.files),
            "industries": None if industries is None else folder / industries.name,
        }
    )
    tracking = settings.tracking.model_copy(update={"backend": "none"})
    return settings.model_copy(update={"features": features, "tracking": tracking})


def _copy_tables(capsule: Capsule, source: Lake, target: Lake) -> None:
    for spec in INPUTS:
        if spec.name in capsule.tables:
            state = capsule.tables[spec.name]
            target.replace(spec, _rows(source, spec.name, state).drop("ingested_at", strict=False))
            if target.digest(spec.name) != state.digest:
                raise DataError(
                    f"Table {spec.name} of {source.url} holds other rows at version {state.version} than the run read. "
                    "Pass the lake of that run with --lake."
                )
    claims = _rows(source, CLAIMS.name, capsule.tables[CLAIMS.name]).filter(pl.col("position") < capsule.claims)
    target.replace(CLAIMS, claims)
    if CLAIM_RETURNS.name in capsule.tables:
        returns = _rows(source, CLAIM_RETURNS.name, capsule.tables[CLAIM_RETURNS.name])
        target.replace(CLAIM_RETURNS, returns.filter(pl.col("trial_id").is_in(claims["trial_id"].to_list())))


def _rows(source: Lake, name: str, state: TableState) -> pl.DataFrame:
    return source.scan(name, version=state.version).collect()


def _apart(recorded: Environment, here: Environment) -> list[str]:
    found = []
    for name in ("code", "lock", "python", "machine"):
        was, now = getattr(recorded, name), getattr(here, name)
        if was != now:
            found.append(f"{name} was {was}, here {now}")
    for name, was in recorded.libraries.items():
        now = here.libraries.get(name, "none")
        if was != now:
            found.append(f"{name} was {was}, here {now}")
    return found


def _compared(capsule: Capsule, workspace: Workspace) -> dict[str, Any]:
    now, parts = results_of(workspace.root), parts_of(workspace.root)
    results = [
        {"file": name, "recorded": was, "rebuilt": now[name], "equal": was == now[name]}
        for name, was in capsule.results.items()
    ]
    equal = all(row["equal"] for row in results)
    apart = _apart(capsule.environment, environment())
    differing = [name for name, was in capsule.parts.items() if parts.get(name) != was]
    figures = msgspec.json.decode((workspace.root / "figures.json").read_bytes())
    if equal:
        sentence = f"All {len(results)} files of the run of {capsule.as_of} were rebuilt, equal in every byte."
    else:
        count = sum(not row["equal"] for row in results)
        why = f" What computed the run differs: {'; '.join(apart)}." if apart else ""
        sentence = f"{count} of {len(results)} files of the run of {capsule.as_of} differ.{why}"
    return {
        "equal": equal,
        "results": results,
        "parts_differ": differing,
        "environment": apart,
        "verdict": figures["verdict"]["sentence"],
        "sentence": sentence,
    }
