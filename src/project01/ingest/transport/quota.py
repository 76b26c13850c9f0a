"""What a plan allows, counted in one SQLite file: survives restarts, shared by all processes of this machine."""

import logging
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from project01.domain import Clock, QuotaError, SourceError
from project01.ingest.vendor import Budget

_LOG = logging.getLogger(__name__)
_TABLE = """CREATE TABLE IF NOT EXISTS spent (
    source TEXT, unit TEXT, period_s INTEGER, window INTEGER, used INTEGER NOT NULL,
    PRIMARY KEY (source, unit, period_s, window)) WITHOUT ROWID"""
_ADD = """INSERT INTO spent VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source, unit, period_s, window) DO UPDATE SET used = used + excluded.used"""


class QuotaLedger:
    """Calls and items spent, for each source, unit and window of time.

    A call is counted before it is made: a process that dies in between has counted one too many, never one too few.

    Raises:
        SourceError: the file cannot be opened, or is no ledger.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock, self._lock = clock, Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        try:
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute(_TABLE)
        except sqlite3.Error as error:
            self._base.close()
            raise _unusable(path, error) from error

    def spend(self, source: str, budgets: Sequence[Budget], amount: int = 1, unit: str = "call") -> None:
        """Count `amount` of `unit` in every budget for it, or in none.

        Raises:
            QuotaError: it would overrun a budget; says which, and until when.
        """
        if (full := self.try_spend(source, budgets, amount, unit)) is None:
            return
        budget, until = full
        raise QuotaError(
            f"{source}: the plan allows {budget.limit} {unit}s in {budget.period_s} s, and {amount} more would exceed "
            f"it. Try again from {until:%Y-%m-%d %H:%M:%S} UTC on, or raise the budget in the settings if your plan "
            f"has more."
        )

    def try_spend(
        self, source: str, budgets: Sequence[Budget], amount: int = 1, unit: str = "call"
    ) -> tuple[Budget, datetime] | None:
        """Like `spend`; gives back the budget that would be overrun and when its next window starts, None if spent."""
        counted = [budget for budget in budgets if budget.unit == unit]
        if not counted:
            return None
        now = int(self._clock.now().timestamp())
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                for budget in sorted(counted, key=lambda each: -each.period_s):
                    if self._used(source, budget, now) + amount > budget.limit:
                        return budget, datetime.fromtimestamp((now // budget.period_s + 1) * budget.period_s, UTC)
                for period_s in {budget.period_s for budget in counted}:
                    self._base.execute(_ADD, (source, unit, period_s, now // period_s, amount))
                    self._base.execute(
                        "DELETE FROM spent WHERE source = ? AND unit = ? AND period_s = ? AND window < ?",
                        (source, unit, period_s, now // period_s - 1),
                    )
                self._base.execute("COMMIT")
            finally:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
        _LOG.debug("%s: spent %d %s", source, amount, unit)
        return None

    def left(self, source: str, budgets: Sequence[Budget]) -> dict[Budget, int]:
        """What is left of each budget in its present window."""
        now = int(self._clock.now().timestamp())
        with self._lock:
            return {budget: max(0, budget.limit - self._used(source, budget, now)) for budget in budgets}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def _used(self, source: str, budget: Budget, now: int) -> int:
        row = self._base.execute(
            "SELECT used FROM spent WHERE source = ? AND unit = ? AND period_s = ? AND window = ?",
            (source, budget.unit, budget.period_s, now // budget.period_s),
        ).fetchone()
        return int(row[0]) if row else 0


def _unusable(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"The ledger of calls {path} cannot be used: {error}. Make it readable and writable, or remove it; then this "
        f"month's calls are counted from zero."
    )
