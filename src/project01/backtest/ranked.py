"""Constructions that size names by rank or alone by their own risk; limits bend the book as little as they can."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from project01.backtest.covariance import judged
from project01.backtest.fitting import nearest_book
from project01.backtest.limits import Limits
from project01.backtest.view import Construction, Decision, View
from project01.domain import InputError


@dataclass(frozen=True)
class TopK:
    """The best `names` in equal parts; one that is held stays until it falls out of the best `names + hold_band`.

    Dollar-neutral, as many are short at the other end. Equal scores all round are no view and decide nothing.

    Attributes:
        names: how many are held on a side, or half of the scored ones if there are fewer than twice as many and the
            book is dollar-neutral.
        hold_band: ranks beyond `names` that a held name may fall before it is sold.
        limits: what the book keeps within.
    """

    names: int = 20
    hold_band: int = 10
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.names < 1 or self.hold_band < 0:
            raise InputError(
                f"TopK holds names={self.names} with hold_band={self.hold_band}; expected 1 name or more and a band "
                "of 0 ranks or more."
            )

    def decide(self, view: View) -> Decision:
        """Equal weights of the names kept and picked, ties by symbol."""
        if view.is_flat:
            return Decision(None)
        scored = int(view.scored.sum())
        long_only = self.limits.long_only
        count = min(self.names, scored if long_only else scored // 2)
        position = np.empty(len(view.scores), dtype=np.int64)
        position[np.lexsort((view.place, -view.scores))] = np.arange(len(position))  # NaN sorts last
        weights = np.zeros(len(position))
        size = self.limits.gross / count / (1 if long_only else 2)
        weights[_kept_and_best(position, view.scored & (view.held > 0), count, self.hold_band)] = size
        if not long_only:
            backwards = np.where(view.scored, scored - 1 - position, position)
            free = view.scored & (view.held < 0) & (weights == 0)
            weights[_kept_and_best(backwards, free, count, min(self.hold_band, scored - 2 * count))] = -size
        return nearest_book(weights, self.limits, view)

    def without_view(self) -> Construction:
        """Equal weight of all names: what a blind choice of `names` holds on average."""
        return SameForAll(_long_only(self.limits))


def _kept_and_best(position: NDArray[np.int64], held: NDArray[np.bool_], count: int, band: int) -> NDArray[np.int64]:
    """`count` positions: those held within the band, best first, then the best of the others."""
    order = np.argsort(position)
    kept = [name for name in order if held[name] and position[name] < count + band][:count]
    fresh = [name for name in order[:count] if name not in set(kept)]
    return np.array(kept + fresh[: count - len(kept)], dtype=np.int64)


@dataclass(frozen=True)
class RankWeighted:
    """Every scored name in proportion to its rank: from the worst up if long-only, around the mean if dollar-neutral.

    Attributes:
        limits: what the book keeps within.
    """

    limits: Limits = field(default_factory=Limits)

    def decide(self, view: View) -> Decision:
        """Rank weights; equal scores share their mean rank, and if no two differ nothing is decided."""
        if view.is_flat:
            return Decision(None)
        weights = np.zeros(len(view.scores))
        ranks = rankdata(view.scores[view.scored])
        sized = ranks if self.limits.long_only else ranks - ranks.mean()
        weights[view.scored] = sized * (self.limits.gross / np.abs(sized).sum())
        return nearest_book(weights, self.limits, view)

    def without_view(self) -> Construction:
        """Equal weight of all names."""
        return SameForAll(_long_only(self.limits))


@dataclass(frozen=True)
class SameForAll:
    """Every scored name the same, whatever its score.

    Attributes:
        limits: what the book keeps within; long-only.
    """

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        refuse_short(self.limits, "Equal weight")

    def decide(self, view: View) -> Decision:
        """Equal weights; nothing is decided if no name is scored."""
        if not view.scored.any():
            return Decision(None)
        return nearest_book(np.where(view.scored, self.limits.gross / view.scored.sum(), 0.0), self.limits, view)

    def without_view(self) -> Construction:
        """Itself: it has no view."""
        return self


@dataclass(frozen=True)
class InverseVolatility:
    """Every scored name in proportion to one over the volatility of its trailing returns.

    Attributes:
        limits: what the book keeps within; long-only.
    """

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        refuse_short(self.limits, "Inverse volatility")

    def decide(self, view: View) -> Decision:
        """Inverse-volatility weights of the names with half of the trailing returns or more."""
        able = judged(view) & view.scored
        left_out = int((view.scored & ~able).sum())
        if not able.any():
            return Decision(None, TOO_SHORT, left_out)
        weights = np.zeros(len(able))
        weights[able] = 1.0 / np.nanstd(view.returns[:, able], axis=0)
        return nearest_book(weights * (self.limits.gross / weights.sum()), self.limits, view, left_out)

    def without_view(self) -> Construction:
        """Itself: it has no view."""
        return self


TOO_SHORT = "no name had half of the trailing returns, and what was held stayed"


def refuse_short(limits: Limits, rule: str) -> None:
    """Refuse a dollar-neutral book of a rule that has no view to be short by.

    Raises:
        InputError: the limits are dollar-neutral.
    """
    if not limits.long_only:
        raise InputError(f"{rule} has no view to be short by; expected long-only limits, found dollar_neutral.")


def _long_only(limits: Limits) -> Limits:
    return replace(limits, side="long_only", gross=min(limits.gross, 1.0), most_sector_net=None, beta=None)
