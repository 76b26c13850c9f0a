"""The one door to outcomes: labels and prices for research stop where the sealed holdout begins."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.evaluate import Holdout, first_sealed, holdout_of, opening, sealing
from project01.pipelines.claims import Claim, enter, read_ledger
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.workspace import Workspace, open_workspace

_LABELS = "labels"


def holdout_in(workspace: Workspace) -> Holdout | None:
    """The folder's holdout; None if nothing was ever sealed."""
    return holdout_of(read_ledger(workspace))


def readable_until(workspace: Workspace) -> datetime:
    """Until when research may read: the seal, or all there is."""
    holdout = holdout_in(workspace)
    return END_OF_TIME if holdout is None or not holdout.sealed else holdout.instant


def seal(workspace: Workspace, sessions: NDArray[np.datetime64], wanted: int, data_digest: str) -> Holdout | None:
    """Seal the newest sessions, unless some of this history are sealed or were opened already.

    Args:
        workspace: of the run.
        sessions: shape (T,), datetime64[D], ascending: the whole history.
        wanted: sessions to seal.
        data_digest: of the bars.
    """
    known = holdout_in(workspace)
    # One that begins after this history belongs to other data.
    if known is not None and sessions[0] < known.first_session <= sessions[-1]:
        return known
    first = first_sealed(sessions, wanted)
    if first is None:
        return None
    return holdout_of(enter(workspace, [Claim(sealing(first, data_digest))]))


def open_holdout(out: Path, reason: str) -> dict[str, Any]:
    """Open the sealed part for ever; the ledger and every later report say so.

    Raises:
        InputError: no reason, nothing sealed, or opened before.
    """
    workspace = open_workspace(out)
    row = opening(reason, holdout_in(workspace))
    enter(workspace, [Claim(row)])
    return holdout_state(out)


def holdout_state(out: Path) -> dict[str, Any]:
    """What stands in the ledger of a run's folder about the holdout."""
    holdout = holdout_in(open_workspace(out))
    if holdout is None:
        return {"state": "none"}
    return {
        "state": "sealed" if holdout.sealed else "opened",
        "first_session": str(holdout.first_session),
        "reason": holdout.reason,
        "trials_before": holdout.trials_before,
        "trials_since": holdout.trials_since,
    }


def read_labels(workspace: Workspace, until: datetime) -> pl.DataFrame:
    """Outcomes known at `until`, sorted by as_of and symbol.

    Raises:
        HoldoutError: `until` reaches into the sealed part.
    """
    holdout = holdout_in(workspace)
    if holdout is not None:
        holdout.refuse(until, "Outcomes")
    return workspace.lake.scan(_LABELS).filter(pl.col("label_known_at") <= until).collect().sort("as_of", "symbol")
