"""The claim ledger in the lake: every scored fit and back-test of a folder, appended, never rewritten."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from project01.domain import DataError, FloatArray, LakeError, TableSpec, TransactionError
from project01.evaluate import LEDGER_SCHEMA, Trial, TrialLedger, digest_of_returns
from project01.lake import Transaction
from project01.pipelines.workspace import Workspace

_ARROW = {pl.String(): pa.string(), pl.Int64(): pa.int64(), pl.Float64(): pa.float64()}
CLAIMS = TableSpec(
    "claims", pa.schema([pa.field(name, _ARROW[kind]) for name, kind in LEDGER_SCHEMA.items()]), ("trial_id",)
)
CLAIM_RETURNS = TableSpec(
    "claim_returns",
    pa.schema(
        [
            pa.field("trial_id", pa.string(), nullable=False),
            pa.field("session", pa.date32(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
        ]
    ),
    ("trial_id", "session"),
)
# The table of ledgers made before acts and series were kept; read once, then carried over whole.
_EARLIER = "trials"
_TRIES = 20


@dataclass(frozen=True)
class Claim:
    """A trial and, for a back-test, the series its score was computed from.

    Attributes:
        trial: with `returns_digest` of the series if there is one.
        sessions, returns: shape (n,), datetime64[D] and fractions.
    """

    trial: Trial
    sessions: NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, dtype="datetime64[D]"))
    returns: FloatArray = field(default_factory=lambda: np.empty(0))


def read_ledger(workspace: Workspace) -> TrialLedger:
    """The ledger of all trials made in this folder, verified; empty for a new one.

    Each step that entered trials noted the ledger's head in its record; a ledger that lost one of those was cut.

    Raises:
        DataError: the ledger was changed by other means than `enter`.
    """
    return _read(workspace)[0]


def _read(workspace: Workspace) -> tuple[TrialLedger, int]:
    """The ledger, and how many of its entries the table holds; from one reading, since others may write meanwhile."""
    records = [workspace.record(step) for step in ("train", "backtest")]
    heads = [record.summary["trial_chain"] for record in records if record is not None]
    rows, landed = _rows(workspace)
    return TrialLedger.from_frame(rows, heads), landed


def _rows(workspace: Workspace) -> tuple[pl.DataFrame, int]:
    lake = workspace.lake
    if lake.exists(CLAIMS.name):
        rows = lake.scan(CLAIMS.name).collect()
        return rows, rows.height
    if lake.exists(_EARLIER):
        return lake.scan(_EARLIER).collect(), 0
    return pl.DataFrame(schema=LEDGER_SCHEMA), 0


def enter(workspace: Workspace, claims: Sequence[Claim]) -> TrialLedger:
    """Append claims; those already in the ledger are not entered again. Safe beside other writers.

    Returns:
        The ledger with them.
    Raises:
        LakeError: others kept writing, or the storage failed.
    """
    _enter_returns(workspace, [claim for claim in claims if len(claim.returns)])
    for _ in range(_TRIES):
        ledger, landed = _read(workspace)
        ledger.add(claim.trial for claim in claims)
        new = ledger.to_frame().filter(pl.col("position") >= landed)
        if new.is_empty():
            return ledger
        try:
            # The version is the ledger's length: of two writers who saw the same end only one can land.
            workspace.lake.append(CLAIMS, new, transaction=Transaction(CLAIMS.name, len(ledger)))
        except TransactionError:
            continue
        return ledger
    raise LakeError(f"{_TRIES} times another writer was faster in the claim ledger. Run the same command again.")


def _enter_returns(workspace: Workspace, claims: Sequence[Claim]) -> None:
    """Series first: one without its claim is harmless, a claim without its series would be refused."""
    held = _held(workspace, [claim.trial.trial_id() for claim in claims])
    fresh = [claim for claim in claims if claim.trial.trial_id() not in held]
    if not fresh:
        return
    rows = pl.concat(
        pl.DataFrame(
            {
                "trial_id": [claim.trial.trial_id()] * len(claim.returns),
                "session": pl.Series(claim.sessions).cast(pl.Date),
                "value": claim.returns,
            }
        )
        for claim in fresh
    )
    names = "".join(sorted(claim.trial.trial_id() for claim in fresh))
    transaction = Transaction(f"returns-{hashlib.sha256(names.encode()).hexdigest()[:32]}", 1)
    workspace.lake.append(CLAIM_RETURNS, rows, transaction=transaction)


def _held(workspace: Workspace, names: Sequence[str]) -> set[str]:
    if not names or not workspace.lake.exists(CLAIM_RETURNS.name):
        return set()
    rows = workspace.lake.scan(CLAIM_RETURNS.name).filter(pl.col("trial_id").is_in(list(names)))
    return set(rows.select(pl.col("trial_id").unique()).collect()["trial_id"])


def trial_returns(
    workspace: Workspace, trials: Sequence[Trial], sessions: NDArray[np.datetime64]
) -> tuple[tuple[Trial, ...], FloatArray]:
    """Series of those trials that cover all of `sessions`.

    Args:
        workspace: of the run.
        trials: of the ledger.
        sessions: shape (T,), datetime64[D].
    Returns:
        The n trials whose series cover them, and their returns, shape (T, n).
    Raises:
        DataError: a series is not the one whose digest the ledger holds.
    """
    found, columns = [], []
    for trial, days, values in kept_returns(workspace, trials):
        place = np.searchsorted(days, sessions)
        if len(days) and place[-1] < len(days) and bool((days[np.minimum(place, len(days) - 1)] == sessions).all()):
            found.append(trial)
            columns.append(values[place])
    matrix = np.column_stack(columns) if columns else np.empty((len(sessions), 0))
    return tuple(found), matrix


def kept_returns(
    workspace: Workspace, trials: Sequence[Trial]
) -> list[tuple[Trial, NDArray[np.datetime64], FloatArray]]:
    """Those trials whose series is kept, each with its sessions and returns.

    Raises:
        DataError: a series is not the one whose digest the ledger holds.
    """
    kept = {trial.trial_id(): trial for trial in trials if trial.returns_digest}
    if not kept:
        return []
    table = workspace.lake.scan(CLAIM_RETURNS.name).filter(pl.col("trial_id").is_in(list(kept)))
    rows = table.unique(["trial_id", "session"]).sort("trial_id", "session").collect()
    series = {str(name): part for (name,), part in rows.group_by("trial_id", maintain_order=True)}
    return [(trial, *_verified(trial, series.get(name))) for name, trial in kept.items()]


def _verified(trial: Trial, rows: pl.DataFrame | None) -> tuple[NDArray[np.datetime64], FloatArray]:
    if rows is not None:
        days = rows["session"].to_numpy().astype("datetime64[D]")
        values = rows["value"].to_numpy()
        if digest_of_returns(days, values) == trial.returns_digest:
            return days, values
    raise DataError(
        f"The returns kept for a trial of {trial.model} ({trial.purpose}) are not those the claim ledger vouches for: "
        "they were changed or removed. Restore the table claim_returns from its history."
    )
