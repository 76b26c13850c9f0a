"""Intervals for any point model by split conformal prediction on scaled residuals.

Source:
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), ch. 4; Lei, G'Sell, Rinaldo, Tibshirani
    and Wasserman, JASA 113 (2018), section 5.2, for the scale; Romano, Patterson and Candes, NeurIPS 2019, for signed
    scores. Coverage is promised for exchangeable scores. Returns are not exchangeable (overlapping labels, shared
    shocks, regimes), so on real prices coverage is measured and shown, not assumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, NotEnoughDataError
from project01.models.design import number_list

CALIBRATION_SHARE = 0.2
FEWEST_CALIBRATION_ROWS = 40


@dataclass(frozen=True)
class Calibration:
    """Signed residuals of a calibration window, each divided by its scale, ascending.

    Attributes:
        scores: shape (n,), sorted, at least 40.
    """

    scores: FloatArray

    def offsets(self, levels: Sequence[float]) -> FloatArray:
        """Quantiles of the scaled residual, shape (n_levels,), with the finite-sample correction of n + 1.

        A level above one half takes the order statistic at or above (n + 1) x level, one below the one at or beneath
        it, so that intervals err on the wide side. Levels must ascend; so do the results.

        Raises:
            NotEnoughDataError: too few scores for a level that far out; the honest interval would be infinite.
        """
        n = len(self.scores)
        found = []
        for level in levels:
            # Rounded first: 0.05 x 20 must be rank 1, whatever the last bit says.
            position = round((n + 1) * level, 9)
            if level == 0.5:
                found.append(float(np.median(self.scores)))
                continue
            rank = int(np.ceil(position) if level > 0.5 else np.floor(position))
            if not 1 <= rank <= n:
                needed = int(np.ceil(round(1 / min(level, 1 - level), 9))) - 1
                raise NotEnoughDataError(
                    f"The {level:g} quantile needs {needed} calibration rows, found {n}. Bring more history or more "
                    "symbols, or ask for quantiles nearer to the middle."
                )
            found.append(float(self.scores[rank - 1]))
        return np.array(found)

    @classmethod
    def from_json(cls, scores: Any) -> "Calibration":
        """From the list that `scores.tolist()` gave.

        Raises:
            InputError: another kind of value, too few, or not ascending.
        """
        values = number_list(scores, None, "scores")
        if len(values) < FEWEST_CALIBRATION_ROWS or bool(np.any(np.diff(values) < 0)):
            raise InputError(f"scores must be at least {FEWEST_CALIBRATION_ROWS} ascending numbers.")
        return cls(values)


def calibrate(label: FloatArray, forecast: FloatArray, scale: FloatArray) -> Calibration:
    """Scaled residuals of rows the model was not fitted on.

    Args:
        label: shape (n,), what happened.
        forecast: shape (n,), the mean forecast for it.
        scale: shape (n,), positive, in label units.
    Raises:
        NotEnoughDataError: fewer than 40 rows.
    """
    if len(label) < FEWEST_CALIBRATION_ROWS:
        raise NotEnoughDataError(
            f"{len(label)} rows are too few to calibrate intervals; {FEWEST_CALIBRATION_ROWS} are needed. Bring more "
            "history or more symbols."
        )
    return Calibration(np.sort((label - forecast) / scale))


def calibration_split(
    times: NDArray[Any], purge: int, known_at: NDArray[np.datetime64] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Row masks of the part to fit on and of the newest fifth of the times, held out for calibration.

    Args:
        times: shape (n_rows,), as_of of each row.
        purge: times left out between the two parts, at least the horizon of the labels.
        known_at: shape (n_rows,), when each label was known; a row whose label was not known when the held-out part
            begins is not fitted on. None: the purge alone keeps the parts apart.
    Raises:
        NotEnoughDataError: fewer than 40 rows in either part.
    """
    steps, place = np.unique(times, return_inverse=True)
    start = len(steps) - max(1, int(len(steps) * CALIBRATION_SHARE))
    early = place < start - purge
    late = place >= start
    if known_at is not None and len(steps):
        early &= known_at <= steps[start]
    if min(int(early.sum()), int(late.sum())) < FEWEST_CALIBRATION_ROWS:
        raise NotEnoughDataError(
            f"{len(steps)} training times leave {int(early.sum())} rows to fit and {int(late.sum())} to calibrate on "
            f"after a purge of {purge}; {FEWEST_CALIBRATION_ROWS} of each are needed. Bring more history or more "
            "symbols, or lengthen walk_forward.train_sessions."
        )
    return early, late


@dataclass(frozen=True)
class Scale:
    """How uncertain each row is, before calibration: a volatility known at the time, pulled into a sane range.

    It is read from the row alone, so that no row's interval depends on which rows are forecast beside it.

    Attributes:
        feature: column used; None: every row alike, so that the held-out residuals' own spread is the scale.
        low, middle, high: 1st, 50th and 99th percentile of the column in training.
    """

    feature: str | None
    low: float = 1.0
    middle: float = 1.0
    high: float = 1.0

    @classmethod
    def learn(cls, feature: str | None, column: FloatArray | None) -> "Scale":
        """From training rows; falls back to one scale for all where the column has no positive values."""
        if feature is None or column is None:
            return cls(None)
        known = column[np.isfinite(column) & (column > 0)]
        if known.size == 0:
            return cls(None)
        low, middle, high = (float(v) for v in np.quantile(known, [0.01, 0.5, 0.99]))
        return cls(feature, low, middle, high) if low > 0 else cls(None)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Scale":
        """From the object that `vars` of a scale gave.

        Raises:
            InputError: another kind of value, or limits out of order.
        """
        if set(stored) != {"feature", "low", "middle", "high"} or not isinstance(stored["feature"], str | None):
            raise InputError("scale must have a feature and three limits.")
        low, middle, high = number_list([stored[key] for key in ("low", "middle", "high")], 3, "scale").tolist()
        if not 0 < low <= middle <= high:
            raise InputError(f"scale must have 0 < low <= middle <= high, found {low}, {middle}, {high}.")
        return cls(stored["feature"], low, middle, high)

    def of(self, column: FloatArray | None, rows: int) -> FloatArray:
        """Shape (n_rows,), positive; the middle where the column is missing."""
        if self.feature is None or column is None:
            return np.ones(rows)
        return np.clip(np.where(np.isfinite(column), column, self.middle), self.low, self.high)
