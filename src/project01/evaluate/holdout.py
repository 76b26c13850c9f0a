"""The sealed holdout: the last part of the data, kept from all research until it is opened, once.

Sealing and opening are rows of the claim ledger, so that neither can be done twice, undone, or forgotten by a report.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from project01.domain import HoldoutError, InputError
from project01.evaluate.ledger import Trial, TrialLedger

SEALED, OPENED = "holdout sealed", "holdout opened"
# A tenth of the history at most: what is sealed is lost to training until it is opened.
MOST_OF_HISTORY = 10


@dataclass(frozen=True)
class Holdout:
    """Where the sealed part begins, and what became of it.

    Attributes:
        first_session: datetime64[D], the first session sealed.
        reason: why it was opened; None while it is sealed.
        trials_before: trials in the ledger when it was opened; None while it is sealed.
        trials_since: trials made after it was opened: with each of them it is less of a holdout.
    """

    first_session: np.datetime64
    reason: str | None = None
    trials_before: int | None = None
    trials_since: int = 0

    @property
    def sealed(self) -> bool:
        """Whether it was not opened yet."""
        return self.reason is None

    @property
    def instant(self) -> datetime:
        """Midnight UTC before the first sealed session: after every close that may be read, before the sealed ones."""
        day: datetime = self.first_session.astype("datetime64[s]").item()
        return day.replace(tzinfo=UTC)

    def refuse(self, until: datetime, what: str) -> None:
        """Raise if `what`, asked for until an instant, would reach into the sealed part.

        Raises:
            HoldoutError: it would.
        """
        if self.sealed and until > self.instant:
            raise HoldoutError(
                f"{what} were asked for until {until:%Y-%m-%d}, but everything from {self.first_session} on is sealed. "
                "Ask for less, or open it, once and for all to see: project01 holdout open --reason '...' --out RUN"
            )


def first_sealed(sessions: NDArray[np.datetime64], wanted: int) -> np.datetime64 | None:
    """The session at which to seal.

    Args:
        sessions: shape (T,), datetime64[D], ascending.
        wanted: sessions to seal; at most a tenth of the history is.
    Returns:
        None if nothing is to be sealed.
    """
    count = min(wanted, len(sessions) // MOST_OF_HISTORY)
    return sessions[-count].astype("datetime64[D]") if count > 0 else None


def sealing(first_session: np.datetime64, data_digest: str) -> Trial:
    """The row that seals everything from `first_session` on."""
    return _act(SEALED, str(first_session), data_digest)


def opening(reason: str, holdout: Holdout | None) -> Trial:
    """The row that opens the sealed part.

    Raises:
        InputError: no reason, nothing sealed, or opened before.
    """
    if not reason.strip():
        raise InputError("The holdout can be opened once only. Say why with --reason; it stands in every later report.")
    if holdout is None:
        raise InputError("Nothing is sealed here: no features were made yet, or holdout.sessions was 0.")
    if not holdout.sealed:
        raise InputError(
            f"The holdout from {holdout.first_session} on was opened before ('{holdout.reason}'), "
            f"{holdout.trials_since} trials ago. It cannot be sealed again: new data is the only new holdout."
        )
    return _act(OPENED, reason.strip(), str(holdout.first_session))


def _act(purpose: str, note: str, data_digest: str) -> Trial:
    return Trial(
        model="", purpose=purpose, fold=-1, seed=0, settings_hash="", data_digest=data_digest, code_hash="",
        rows=0, score=None, score_name="", note=note,
    )  # fmt: skip


def holdout_of(ledger: TrialLedger) -> Holdout | None:
    """What the ledger says of the newest sealed part; None if nothing was ever sealed."""
    found: Holdout | None = None
    trials = 0
    for row in ledger.trials:
        if row.purpose == SEALED:
            found = Holdout(np.datetime64(row.note, "D"))
        elif row.purpose == OPENED and found is not None:
            found = Holdout(found.first_session, row.note, trials)
        else:
            trials += 1
    if found is None or found.trials_before is None:
        return found
    return Holdout(found.first_session, found.reason, found.trials_before, trials - found.trials_before)
