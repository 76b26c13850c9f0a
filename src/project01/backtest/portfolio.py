"""From forecasts to target weights: a rule picks and sizes names, a schedule says when."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from project01.backtest.market import Market
from project01.backtest.targets import MOST_GROSS, TargetWeights
from project01.domain import FloatArray, Forecast, InputError, TradingCalendar

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Signal:
    """Scores by session and symbol; higher is better.

    Attributes:
        sessions: shape (D,), datetime64[D], ascending; the score stands at that session's close.
        symbols: N distinct names.
        values: shape (D, N), NaN: no score.
        uncertainty: shape (D, N), standard deviation of the outcome around the score, NaN: unknown; None: all unknown.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    values: FloatArray
    uncertainty: FloatArray | None = None


def signal_from_forecast(forecast: Forecast, calendar: TradingCalendar) -> Signal:
    """Forecast means as scores.

    A forecast counts as made at the close of the last session that had opened by its `as_of`: one made during a session
    is traded from the next one on, never at the open before it.

    Raises:
        InputError: the forecast is empty, or a symbol has two rows for one session (several models or horizons).
    """
    frame = forecast.frame
    if frame.is_empty():
        raise InputError("The forecast has no rows; nothing can be traded. Check the dates asked for.")
    as_of = frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    opened = np.searchsorted(calendar.opens, as_of, side="right") - 1
    if bool((opened < 0).any()):
        raise InputError(f"The forecast starts before the first session of {calendar.name}, {calendar.sessions[0]}.")
    sessions, row = np.unique(calendar.sessions[opened], return_inverse=True)
    symbols, column = np.unique(frame["symbol"].to_numpy(), return_inverse=True)
    values = np.full((len(sessions), len(symbols)), np.nan)
    values[row, column] = frame["mean"].fill_null(np.nan).to_numpy()
    if pl.DataFrame({"row": row, "column": column}).is_duplicated().any():
        raise InputError("The forecast has a symbol twice in one session. Keep one model and one horizon.")
    return Signal(sessions, tuple(str(name) for name in symbols), values)


class WeightRule(Protocol):
    """Turns one session's scores into weights."""

    def weights(self, scores: FloatArray, place: NDArray[np.int64]) -> FloatArray | None:
        """Shape (N,), zero for names not wanted; None if the scores express no view.

        Args:
            scores: shape (N,), NaN: cannot be held.
            place: shape (N,), rank of each symbol by name, which settles ties.
        """
        ...


def _no_view(scores: FloatArray) -> bool:
    known = scores[~np.isnan(scores)]
    return len(known) == 0 or bool(known.min() == known.max())


def _check_cap(cap: float) -> None:
    if not 0 < cap <= 1:
        raise InputError(f"The position cap is {cap}; expected a share of equity above 0 and at most 1.")


@dataclass(frozen=True)
class TopQuantile:
    """Long the best names in equal parts; equal scores all round are no view.

    Attributes:
        fraction: share of the scored names held.
        at_least: names held however small the fraction, if there are as many.
        cap: most a name may weigh; what it cuts off stays in cash.
    """

    fraction: float = 0.1
    at_least: int = 3
    cap: float = 1.0

    def __post_init__(self) -> None:
        _check_cap(self.cap)
        if not 0 < self.fraction <= 1 or self.at_least < 1:
            raise InputError(
                f"TopQuantile holds fraction={self.fraction} and at_least={self.at_least}; "
                "expected a fraction above 0 and at most 1, and at least one name."
            )

    def weights(self, scores: FloatArray, place: NDArray[np.int64]) -> FloatArray | None:
        """Equal weights of the best names, ties by symbol."""
        if _no_view(scores):
            return None
        scored = int(np.count_nonzero(~np.isnan(scores)))
        held = min(max(self.at_least, int(self.fraction * scored + 1e-9)), scored)
        best = np.lexsort((place, -scores))[:held]  # NaN sorts last
        weights = np.zeros(len(scores))
        weights[best] = min(1.0 / held, self.cap)
        return weights


@dataclass(frozen=True)
class LongShortRank:
    """Weights in proportion to the rank less its mean: long above, short below, as much short as long.

    Equal scores share their mean rank, so no tie needs settling.

    Attributes:
        gross: sum of absolute weights.
        cap: most a name may weigh, long or short; what it cuts off goes to the names below it on the same side.
    """

    gross: float = 1.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        _check_cap(self.cap)
        if not 0 < self.gross <= 2:
            raise InputError(f"LongShortRank.gross is {self.gross}; expected above 0 and at most 2.")

    def weights(self, scores: FloatArray, place: NDArray[np.int64]) -> FloatArray | None:  # noqa: ARG002
        """Rank weights, net zero; None if no two scores differ."""
        if _no_view(scores):
            return None
        known = ~np.isnan(scores)
        centred = np.zeros(len(scores))
        ranks = rankdata(scores[known])
        centred[known] = ranks - ranks.mean()
        long, short = (_capped(np.maximum(side, 0.0), self.gross / 2, self.cap) for side in (centred, -centred))
        matched = min(long.sum(), short.sum())
        return np.asarray(long * (matched / long.sum()) - short * (matched / short.sum()))


@dataclass(frozen=True)
class EqualWeight:
    """Every scored name the same, whatever its score.

    Attributes:
        cap: most a name may weigh; what it cuts off stays in cash.
    """

    cap: float = 1.0

    def __post_init__(self) -> None:
        _check_cap(self.cap)

    def weights(self, scores: FloatArray, place: NDArray[np.int64]) -> FloatArray | None:  # noqa: ARG002
        """Equal weights; None if no name is scored."""
        known = ~np.isnan(scores)
        return np.where(known, min(1.0 / known.sum(), self.cap), 0.0) if known.any() else None


def _capped(parts: FloatArray, total: float, cap: float) -> FloatArray:
    """`parts` scaled to sum to `total` with none above `cap`; as much as fits if `total` does not."""
    weights: FloatArray = parts * (total / parts.sum())
    for _ in range(len(parts)):
        over = weights > cap
        free = (weights > 0) & (weights < cap)
        excess = float((weights[over] - cap).sum())
        weights[over] = cap
        if excess <= 1e-15 or not free.any():
            break
        weights[free] *= 1.0 + excess / weights[free].sum()
    return weights


class Schedule(Protocol):
    """Says at which sessions a new decision is due."""

    def due(self, sessions: NDArray[np.datetime64]) -> BoolArray:
        """Shape (D,), from the calendar alone."""
        ...


@dataclass(frozen=True)
class Every:
    """Every `count`-th session, the first one included."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"Every.count is {self.count}; expected 1 session or more.")

    def due(self, sessions: NDArray[np.datetime64]) -> BoolArray:
        """Shape (D,)."""
        return np.asarray(np.arange(len(sessions)) % self.count == 0)


@dataclass(frozen=True)
class Monthly:
    """The first session of each calendar month, and the first of all."""

    def due(self, sessions: NDArray[np.datetime64]) -> BoolArray:
        """Shape (D,)."""
        months = sessions.astype("datetime64[M]")
        return np.concatenate([[True], months[1:] != months[:-1]])


def rebalanced_targets(signal: Signal, market: Market, rule: WeightRule, schedule: Schedule) -> TargetWeights:
    """The whole book moved to `rule` whenever `schedule` says so; between those sessions it drifts.

    A name without a bar at the decision's session cannot be picked. A session without a view decides nothing.
    """
    scores, place = _tradable(signal, market), _place(signal.symbols)
    weights = np.full(scores.shape, np.nan)
    for d in np.flatnonzero(schedule.due(signal.sessions)):
        decided = rule.weights(scores[d], place)
        if decided is not None:
            weights[d] = decided
    return TargetWeights(signal.sessions, signal.symbols, weights)


def overlapping_targets(signal: Signal, market: Market, rule: WeightRule, horizon: int) -> TargetWeights:
    """The book in `horizon` tranches, one of them renewed each session and each held for `horizon` sessions.

    Between renewals a tranche holds its shares, so its weights drift with the closes known and only the renewed one
    trades (besides cents that the others lose to the costs of the whole). The first `horizon` sessions fill the book
    step by step. A session without a view leaves its tranche as it is. A tranche whose shorts ran away until its gross
    is more than targets may hold is closed, as a broker would.

    Args:
        signal: one row for every session of the market from its first to its last.
        market: closes to drift with.
        rule: weights of the renewed tranche.
        horizon: sessions, as the forecast's.
    Raises:
        InputError: the signal skips a session; then the tranches would stay unfilled.
    """
    if horizon < 1:
        raise InputError(f"horizon is {horizon}; expected 1 session or more.")
    rows = market.index_of(signal.sessions)
    if bool((np.diff(rows) != 1).any()):
        skipped = market.sessions[rows[:-1][np.diff(rows) != 1][0] + 1]
        raise InputError(
            f"The signal has no row for session {skipped}; overlapping tranches need one each session. "
            f"Forecast every session, or use rebalanced_targets with Every({horizon})."
        )
    scores, place = _tradable(signal, market), _place(signal.symbols)
    growth = _growth(market, signal, rows)
    held = np.zeros((horizon, len(signal.symbols)))
    worth = np.full(horizon, 1.0 / horizon)
    weights = np.full(scores.shape, np.nan)
    for d in range(len(rows)):
        worth += (held * (growth[d] - 1.0)).sum(axis=1)
        held *= growth[d]
        worth = np.maximum(worth, 0.0)  # short positions can lose more than all
        held[np.abs(held).sum(axis=1) > MOST_GROSS * worth] = 0.0
        decided = rule.weights(scores[d], place)
        if decided is not None:
            held[d % horizon] = worth[d % horizon] * decided
        if held.any() and worth.sum() > 0:
            weights[d] = held.sum(axis=0) / worth.sum()
    return TargetWeights(signal.sessions, signal.symbols, weights)


def equal_weight_targets(market: Market, sessions: NDArray[np.datetime64], schedule: Schedule) -> TargetWeights:
    """Every name that has a bar at the decision, in equal parts: the book any forecast must beat."""
    scores = np.where(np.isnan(market.close[market.index_of(sessions)]), np.nan, 1.0)
    return rebalanced_targets(Signal(sessions, market.symbols, scores), market, EqualWeight(), schedule)


def hold_targets(market: Market, sessions: NDArray[np.datetime64]) -> TargetWeights:
    """Equal parts of all names with a bar at the first of `sessions`, bought once and kept."""
    weights = equal_weight_targets(market, sessions, Every(len(sessions))).weights
    return TargetWeights(sessions, market.symbols, weights)


def _columns(symbols: tuple[str, ...], market: Market) -> NDArray[np.int64]:
    column = {name: i for i, name in enumerate(market.symbols)}
    unknown = [name for name in symbols if name not in column]
    if unknown:
        raise InputError(f"The signal scores {unknown[0]} and {len(unknown) - 1} more that the market has no bars for.")
    return np.array([column[name] for name in symbols], dtype=np.int64)


def _tradable(signal: Signal, market: Market) -> FloatArray:
    close = market.close[np.ix_(market.index_of(signal.sessions), _columns(signal.symbols, market))]
    return np.where(np.isnan(close), np.nan, signal.values)


def _place(symbols: tuple[str, ...]) -> NDArray[np.int64]:
    return np.argsort(np.argsort(np.array(symbols))).astype(np.int64)


def _growth(market: Market, signal: Signal, rows: NDArray[np.int64]) -> FloatArray:
    """Shape (D, N), each close over the last one known before it; 1 where there is none."""
    close = pl.DataFrame(market.close[np.ix_(rows, _columns(signal.symbols, market))])
    marks = close.with_columns(pl.all().fill_nan(None).forward_fill()).to_numpy()
    ratio = np.ones_like(marks)
    ratio[1:] = marks[1:] / marks[:-1]
    return np.where(np.isnan(ratio), 1.0, ratio)
