"""Target weights by time: the one thing a backtest is given to judge, whoever made them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError

MOST_NET = 1.0 + 1e-6
MOST_GROSS = 4.0


@dataclass(frozen=True)
class TargetWeights:
    """Weights decided at the close of each session, to be traded from the next session on.

    Attributes:
        sessions: shape (D,), datetime64[D], ascending; the first is where the backtest starts.
        symbols: N distinct names.
        weights: shape (D, N), share of equity, negative is short; a row is all finite, or all NaN: no decision at that
            close, what is held stays. A name not wanted has 0.
    Raises:
        InputError: shapes do not fit, a row mixes NaN with numbers, the book would borrow (net above 1, gross above 4).
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    weights: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.sessions), len(self.symbols))
        if self.weights.shape != shape:
            raise InputError(f"Weights have shape {self.weights.shape}; expected (sessions, symbols) = {shape}.")
        if shape[0] == 0:
            raise InputError(
                "No session to decide at; expected one or more. A session without a decision is a NaN row."
            )
        if len(set(self.symbols)) != len(self.symbols):
            raise InputError("Target symbols repeat a name; expected each once.")
        if not bool(np.all(np.diff(self.sessions) > np.timedelta64(0, "D"))):
            raise InputError("Target sessions must ascend without repeats. Sort them and drop duplicates.")
        missing = np.isnan(self.weights)
        mixed = missing.any(axis=1) & ~missing.all(axis=1)
        if bool(mixed.any()) or bool(np.isinf(self.weights).any()):
            where = self.sessions[mixed | np.isinf(self.weights).any(axis=1)][0]
            raise InputError(f"Weights of {where} hold NaN beside numbers, or infinity; give an unwanted name 0.")
        self._refuse_leverage(np.asarray(~missing.all(axis=1)))

    def _refuse_leverage(self, decided: NDArray[np.bool_]) -> None:
        rows = np.where(decided[:, None], self.weights, 0.0)
        net, gross = rows.sum(axis=1), np.abs(rows).sum(axis=1)
        broken = (net > MOST_NET) | (gross > MOST_GROSS)
        if bool(broken.any()):
            row = int(np.argmax(broken))
            raise InputError(
                f"Weights of {self.sessions[row]} sum to {net[row]:.6f} net and {gross[row]:.6f} gross; expected at "
                f"most 1 net (no borrowed cash) and {MOST_GROSS:g} gross. Scale them down."
            )

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Shape (D,): whether a decision was made at that close."""
        return ~np.isnan(self.weights[:, 0]) if self.symbols else np.zeros(len(self.sessions), dtype=np.bool_)
