"""Limits of a book: names, sectors, beta, turnover and gross, as one convex region of weights."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from project01.backtest.view import View
from project01.domain import FloatArray, InputError

Side = Literal["long_only", "dollar_neutral"]


@dataclass(frozen=True)
class Limits:
    """What every book of a construction keeps within.

    Attributes:
        side: ``long_only``: weights from 0, together `gross`; ``dollar_neutral``: as much short as long.
        gross: most the absolute weights sum to, share of equity; a long-only book is exactly this large, or as large
            as its position caps let it be, with the rest in cash.
        most_weight: most a name may weigh, long or short, share of equity.
        most_sector_gross: most the absolute weights of one sector sum to; None: no limit.
        most_sector_net: most the weights of one sector sum to, either way; None: no limit.
        beta: lowest and highest beta of the book to the mean of all names; a name of unknown beta counts as 1.
        most_turnover: most one-way turnover of a decision, half the sum of absolute weight changes; None: no limit.
            It does not bind while the book is empty.
    Raises:
        InputError: a limit out of range.
    """

    side: Side = "long_only"
    gross: float = 1.0
    most_weight: float = 1.0
    most_sector_gross: float | None = None
    most_sector_net: float | None = None
    beta: tuple[float, float] | None = None
    most_turnover: float | None = None

    def __post_init__(self) -> None:
        most_gross = 1.0 if self.side == "long_only" else 2.0
        if not 0 < self.gross <= most_gross:
            raise InputError(
                f"Limits.gross is {self.gross}; expected above 0 and at most {most_gross:g} ({self.side})."
            )
        if not 0 < self.most_weight <= 1:
            raise InputError(f"Limits.most_weight is {self.most_weight}; expected above 0 and at most 1.")
        for name in ("most_sector_gross", "most_sector_net", "most_turnover"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 2:
                raise InputError(f"Limits.{name} is {value}; expected above 0 and at most 2, or None for no limit.")
        if self.beta is not None and not self.beta[0] < self.beta[1]:
            raise InputError(f"Limits.beta is {self.beta}; expected a lowest beta below a highest one.")

    @property
    def long_only(self) -> bool:
        """Whether no short position is allowed."""
        return self.side == "long_only"


@dataclass(frozen=True)
class Region:
    """Books that keep all limits, over n names: box, sums and absolute sums.

    Attributes:
        lower, upper: shape (n,), bounds of each weight.
        held: shape (n,), weights before the decision.
        net: what the weights sum to; None: free.
        most_traded: most the absolute changes sum to; None: no limit.
        most_gross: most the absolute weights sum to; None: implied by the others.
        rows, most: shapes (m, n) and (m,), ``rows @ w <= most``.
        gross_rows, gross_most: shapes (g, n) and (g,), ``gross_rows @ |w| <= gross_most``.
    """

    lower: FloatArray
    upper: FloatArray
    held: FloatArray
    net: float | None
    most_traded: float | None
    most_gross: float | None
    rows: FloatArray
    most: FloatArray
    gross_rows: FloatArray
    gross_most: FloatArray

    def of(self, names: NDArray[np.int64]) -> "Region":
        """The region with every name outside `names` at zero; none of those may be held."""
        return replace(
            self, lower=self.lower[names], upper=self.upper[names], held=self.held[names], rows=self.rows[:, names],
            gross_rows=self.gross_rows[:, names],
        )  # fmt: skip

    def holds(self, weights: FloatArray, tolerance: float = 1e-9) -> bool:
        """Whether `weights`, shape (n,), keep every limit."""
        size = np.abs(weights)
        return bool(
            np.all(weights >= self.lower - tolerance)
            and np.all(weights <= self.upper + tolerance)
            and (self.net is None or abs(weights.sum() - self.net) <= tolerance)
            and (self.most_traded is None or np.abs(weights - self.held).sum() <= self.most_traded + tolerance)
            and (self.most_gross is None or size.sum() <= self.most_gross + tolerance)
            and np.all(self.rows @ weights <= self.most + tolerance)
            and np.all(self.gross_rows @ size <= self.gross_most + tolerance)
        )


def region_of(
    limits: Limits, view: View, names: NDArray[np.int64], wanted: FloatArray | None = None, net: float | None = None
) -> Region:
    """The books of `names` that `limits` allow.

    Args:
        limits: what to keep within.
        view: the close.
        names: positions of the names that may be held afterwards; what is held of others is sold, which counts as
            turnover.
        wanted: shape (n,), the book aimed at; names it leaves out may shrink but not grow. None: all may grow.
        net: sum of a dollar-neutral book's weights is 0, of a long-only one's this; None: `limits.gross`, or what the
            position caps allow.
    """
    held = view.held[names]
    long, short = (held > 0, held < 0) if wanted is None else (wanted > 0, wanted < 0)
    if wanted is None:
        upper = np.full(len(names), limits.most_weight)
        lower = np.zeros(len(names)) if limits.long_only else -upper
    else:
        upper = np.where(long, limits.most_weight, np.clip(held, 0.0, limits.most_weight))
        lower = np.where(short, -limits.most_weight, np.clip(held, -limits.most_weight, 0.0))
        lower = np.zeros(len(names)) if limits.long_only else lower
    total = float(min(limits.gross, upper.sum())) if net is None else net
    rows, most, gross_rows, gross_most = _sums(limits, view, names)
    return Region(
        lower, upper, held, total if limits.long_only else 0.0, _room_to_trade(limits, view, names),
        None if limits.long_only else limits.gross, rows, most, gross_rows, gross_most,
    )  # fmt: skip


def _room_to_trade(limits: Limits, view: View, names: NDArray[np.int64]) -> float | None:
    """What is left of the turnover limit once names that must go are sold, as a sum of absolute changes."""
    if limits.most_turnover is None or not view.held.any():
        return None
    going = np.abs(view.held)
    going[names] = 0.0
    return 2 * limits.most_turnover - float(going.sum())


def _sums(
    limits: Limits, view: View, names: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    rows: list[FloatArray] = []
    most: list[float] = []
    gross_rows: list[FloatArray] = []
    gross_most: list[float] = []
    sectors = view.sectors[names]
    for code in np.unique(sectors[sectors >= 0]):
        members = (sectors == code).astype(np.float64)
        if limits.most_sector_net is not None:
            rows += [members] if limits.long_only else [members, -members]
            most += [limits.most_sector_net] * (1 if limits.long_only else 2)
        if limits.most_sector_gross is not None:
            (rows if limits.long_only else gross_rows).append(members)
            (most if limits.long_only else gross_most).append(limits.most_sector_gross)
    if limits.beta is not None:
        beta = np.nan_to_num(view.betas[names], nan=1.0)
        rows += [beta, -beta]
        most += [limits.beta[1], -limits.beta[0]]
    shape = (-1, len(names))
    return (
        np.array(rows).reshape(shape), np.array(most), np.array(gross_rows).reshape(shape), np.array(gross_most)
    )  # fmt: skip
