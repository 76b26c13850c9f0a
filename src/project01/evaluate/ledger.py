"""The claim ledger: every fit that was scored is a row, chained by hashes so that none can be changed or removed.

Beside the trials stand the two acts that a reader of any later figure must know of: that the last part of the data was
sealed, and that it was opened.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import DataError, FloatArray

GENESIS = "0" * 64
# Fields that came later; left out of the hash where empty, so that a ledger from before them still verifies.
_LATER = ("returns_digest", "note")
_MADE = ("position", "trial_id", "chain")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fit that was looked at.

    Attributes:
        model: forecaster.
        purpose: why it was made, e.g. ``walk-forward`` or ``back-test``.
        fold: number of the walk-forward fold; -1 for a result over all folds.
        seed: of its random choices.
        settings_hash, data_digest, code_hash: what it rested on.
        rows: training rows, or sessions of a back-test.
        score: its figure, in the units of `score_name`; None if none could be computed.
        score_name: e.g. ``rank_ic`` or ``net_sharpe_per_session``.
        returns_digest: `digest_of_returns` of the series the score was computed from; empty where none is kept.
        note: what an act was done for; empty for a fit.
    """

    model: str
    purpose: str
    fold: int
    seed: int
    settings_hash: str
    data_digest: str
    code_hash: str
    rows: int
    score: float | None
    score_name: str
    returns_digest: str = ""
    note: str = ""

    def trial_id(self) -> str:
        """Hash of what was tried, not of how it came out: the same trial again is not a new one."""
        content = _content(self)
        del content["score"]
        content.pop("returns_digest", None)
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


LEDGER_SCHEMA: dict[str, pl.DataType] = {
    "position": pl.Int64(),
    "trial_id": pl.String(),
    "model": pl.String(),
    "purpose": pl.String(),
    "fold": pl.Int64(),
    "seed": pl.Int64(),
    "settings_hash": pl.String(),
    "data_digest": pl.String(),
    "code_hash": pl.String(),
    "rows": pl.Int64(),
    "score": pl.Float64(),
    "score_name": pl.String(),
    "returns_digest": pl.String(),
    "note": pl.String(),
    "chain": pl.String(),
}


def digest_of_returns(sessions: NDArray[np.datetime64], returns: FloatArray) -> str:
    """SHA-256 of a series of returns and its sessions, both of shape (n,)."""
    days = np.ascontiguousarray(sessions.astype("datetime64[D]").astype("<i8"))
    values = np.ascontiguousarray(np.asarray(returns, dtype="<f8"))
    return hashlib.sha256(days.tobytes() + values.tobytes()).hexdigest()


def _content(trial: Trial) -> dict[str, Any]:
    return {name: value for name, value in asdict(trial).items() if value != "" or name not in _LATER}


def _link(previous: str, trial: Trial) -> str:
    content = msgspec.json.encode(_content(trial), order="sorted")
    return hashlib.sha256(previous.encode() + content).hexdigest()


class TrialLedger:
    """Append-only list of trials; each row's `chain` hashes the row and the chain before it."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self._trials: dict[str, Trial] = {}
        self._chain: list[str] = []
        self.add(trials)

    def add(self, trials: Iterable[Trial]) -> int:
        """Enter trials; those already in the ledger are not entered again.

        Returns:
            How many were new.
        """
        new = 0
        for trial in trials:
            key = trial.trial_id()
            if key not in self._trials:
                self._trials[key] = trial
                self._chain.append(_link(self.head, trial))
                new += 1
        return new

    @property
    def head(self) -> str:
        """Hash of the newest row and, through it, of all rows; sixty-four zeros for an empty ledger."""
        return self._chain[-1] if self._chain else GENESIS

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """In the order they were entered."""
        return tuple(self._trials.values())

    def to_frame(self) -> pl.DataFrame:
        """Columns of `LEDGER_SCHEMA`, in order."""
        rows = [
            {"position": n, "trial_id": key, **asdict(trial), "chain": chain}
            for n, ((key, trial), chain) in enumerate(zip(self._trials.items(), self._chain, strict=True))
        ]
        return pl.DataFrame(rows, schema=LEDGER_SCHEMA)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, heads: Iterable[str] = ()) -> "TrialLedger":
        """A ledger read back and verified.

        Args:
            frame: columns of `LEDGER_SCHEMA`; `returns_digest` and `note` may be absent.
            heads: `head` as noted elsewhere at earlier times (a report's manifest). The chain alone cannot show that
                its newest rows were cut off; a head that is no longer in it can.

        Raises:
            DataError: a row was changed, removed, added or moved by other means than `add`.
        """
        fields = [name for name in LEDGER_SCHEMA if name in frame.columns and name not in _MADE]
        ordered = frame.sort("position")
        ledger = cls()
        for number, row in enumerate(ordered.iter_rows(named=True)):
            ledger.add([Trial(**{name: row[name] for name in fields})])
            if len(ledger) != number + 1 or row["position"] != number or row["chain"] != ledger.head:
                raise DataError(
                    f"The claim ledger's chain is broken at position {number} ({row['model']}, {row['purpose']}): a "
                    "row was changed, removed or added by hand. Restore the table from its history."
                )
        lost = [head for head in heads if head != GENESIS and head not in ledger._chain]
        if lost:
            raise DataError(
                f"The claim ledger's {len(ledger)} rows do not hold the chain {lost[0][:16]}… that was noted earlier: "
                "its newest rows were removed. Restore the table from its history."
            )
        return ledger
