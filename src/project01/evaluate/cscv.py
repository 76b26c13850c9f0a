"""How likely picking the best of several back-tests is to pick luck: the probability of backtest overfitting."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, NotEnoughDataError
from project01.evaluate.estimate import Estimate, normal_estimate, undefined

Metric = Literal["sharpe", "mean"]

MOST_BLOCKS = 18
# Performances worked on at once: half a megabyte stays in the processor's cache.
_AT_ONCE = 65_536


@dataclass(frozen=True)
class BacktestOverfitting:
    """What happens out of sample to the trial that was best in sample, over all ways to halve the blocks.

    Attributes:
        probability: share of splits whose winner came out at or below the median of all trials out of sample. By
            luck alone about 0.5; 0 where one trial is the best in every half.
        slope: performance lost for one gained: regression of the winner's performance out of sample on in sample.
        loss: share of splits whose winner lost out of sample (performance below zero).
        logits: shape (n_splits,), ln(rank / (N + 1 - rank)) of the winner out of sample; positive is above the median.
        in_sample: shape (n_splits,), the winner's performance where it was picked, per observation.
        out_of_sample: shape (n_splits,), the winner's performance in the other half.
        trials: N, after copies were counted once.
        copies: trials that equal another in every return; picking among copies is no choice.
        sessions: observations.
        blocks: S.
        metric: what the best was picked by.
    """

    probability: Estimate
    slope: Estimate
    loss: Estimate
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    trials: int
    copies: int
    sessions: int
    blocks: int
    metric: Metric


@dataclass(frozen=True)
class _Sums:
    """Sums by block of returns less `level`: shapes (n_blocks,), (n_blocks, N) twice, (N,)."""

    count: FloatArray
    total: FloatArray
    square: FloatArray
    level: FloatArray

    def of(self, kept: NDArray[np.int64]) -> "_Sums":
        return _Sums(self.count[kept], self.total[kept], self.square[kept], self.level)


def _sums(returns: FloatArray, blocks: int) -> _Sums:
    level = returns.mean(axis=0)
    parts = np.array_split(returns - level, blocks)
    return _Sums(
        np.array([float(len(part)) for part in parts]),
        np.array([part.sum(axis=0) for part in parts]),
        np.array([np.einsum("tn,tn->n", part, part) for part in parts]),
        level,
    )


def _performance(halves: FloatArray, sums: _Sums, metric: Metric) -> FloatArray:
    """Shape (n_halves, N). `halves` has 1 for each block taken; a trial that stands still in them has a Sharpe of 0."""
    count = (halves @ sums.count)[:, None]
    mean = (halves @ sums.total) / count
    if metric == "mean":
        return np.asarray(mean + sums.level)
    square = (halves @ sums.square) / count
    variance = (square - mean * mean) * (count / (count - 1.0))
    # Less than rounding is left of the variance of returns that are all the same.
    moves = variance > 1e-12 * square
    value: FloatArray = np.zeros_like(mean)
    np.divide(mean + sums.level, np.sqrt(variance, where=moves, out=np.ones_like(mean)), out=value, where=moves)
    return value


def _halves(blocks: int, rows: int) -> Iterator[FloatArray]:
    """The first half of all choices of half the blocks, `rows` at a time; what each leaves out is the other half."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = chosen[: len(chosen) // 2]
    for start in range(0, len(chosen), rows):
        part = chosen[start : start + rows]
        halves = np.zeros((len(part), blocks))
        halves[np.arange(len(part))[:, None], part] = 1.0
        yield halves


def _winners(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Shape (3, n): the winner's performance inside, outside, and its rank outside from the worst, ties averaged."""
    row = np.arange(len(inside))
    best = inside.argmax(axis=1)
    after = outside[row, best]
    below = np.count_nonzero(outside < after[:, None], axis=1)
    not_above = np.count_nonzero(outside <= after[:, None], axis=1)
    return np.stack([inside[row, best], after, (below + not_above + 1) / 2.0])


def _over_splits(sums: _Sums, metric: Metric) -> FloatArray:
    found = []
    for halves in _halves(len(sums.count), max(_AT_ONCE // len(sums.level), 1)):
        one, other = _performance(halves, sums, metric), _performance(1.0 - halves, sums, metric)
        found += [_winners(one, other), _winners(other, one)]
    return np.concatenate(found, axis=1)


def _slope(inside: FloatArray, outside: FloatArray) -> float:
    centred = inside - inside.mean()
    spread = float(centred @ centred)
    return float(centred @ outside) / spread if spread > 1e-24 * float(inside @ inside) else float("nan")


def _figures(winners: FloatArray, trials: int) -> FloatArray:
    inside, outside, rank = winners
    overfitted = float(np.mean(2.0 * rank <= trials + 1))
    return np.array([overfitted, _slope(inside, outside), float(np.mean(outside < 0.0))])


def _distinct(returns: FloatArray, blocks: int) -> FloatArray:
    if blocks < 4 or blocks % 2 or blocks > MOST_BLOCKS:
        raise InputError(f"Found {blocks} blocks; expected an even number from 4 to {MOST_BLOCKS}.")
    if returns.ndim != 2 or not bool(np.isfinite(returns).all()):
        raise InputError(
            f"Found returns of shape {returns.shape}, or one that is missing or infinite; expected one for every "
            "session and trial. Keep the sessions that all trials share."
        )
    if len(returns) < 2 * blocks:
        raise NotEnoughDataError(
            f"{len(returns)} sessions cannot be cut into {blocks} blocks of two or more; bring at least {2 * blocks}."
        )
    first = {column.tobytes(): number for number, column in reversed(list(enumerate(np.ascontiguousarray(returns.T))))}
    if len(first) < 2:
        raise NotEnoughDataError(
            f"{returns.shape[1]} trial(s), {len(first)} of them distinct: nothing was picked from. Bring at least two."
        )
    return returns[:, sorted(first.values())]


def backtest_overfitting(returns: FloatArray, blocks: int = 16, metric: Metric = "sharpe") -> BacktestOverfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    The sessions are cut into `blocks` runs of equal length (to one session). For each of the C(S, S/2) choices of
    half of them the best trial is picked there and ranked among all trials in the other half.

    Splits share blocks, so their number says nothing about the error. The errors here are the jackknife's: all is
    found anew without each pair of neighbouring blocks, S/2 times. They are rough. On simulated independent trials
    (600 sessions, 12 blocks, 150 draws) the 90 % interval of the probability held its mean over draws in 85 to 96 %
    of draws for 10 or 50 trials, in 63 to 83 % for two: with few trials, and near 0 and 1, read it as the least that
    is uncertain. An error of 0 means that no pair of blocks mattered, not certainty. A bootstrap of sessions is no
    better: it puts the same session on both sides, so its winners look too lasting.

    Args:
        returns: shape (n_sessions, n_trials), by session in order of time, no NaN.
        blocks: S, even, 4 to 18; 16 gives 12,870 splits.
        metric: Sharpe ratio (0 for a trial that stands still) or mean.
    Raises:
        InputError: a return is missing, or the number of blocks cannot be used.
        NotEnoughDataError: fewer than two distinct trials, or fewer than two sessions a block.
    Source:
        Bailey, Borwein, López de Prado and Zhu, The probability of backtest overfitting, J. Computational Finance
        20(4), 2017. The median counts as overfitted, as in the authors' definition and the R package pbo.
    """
    distinct = _distinct(returns, blocks)
    trials = distinct.shape[1]
    sums = _sums(distinct, blocks)
    winners = _over_splits(sums, metric)
    value = _figures(winners, trials)
    pairs = np.arange(blocks).reshape(-1, 2)
    without = np.array(
        [_figures(_over_splits(sums.of(np.setdiff1d(np.arange(blocks), pair)), metric), trials) for pair in pairs]
    )
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    error = np.sqrt((len(pairs) - 1) / len(pairs) * spread)
    how = f"{winners.shape[1]:,} splits of {blocks} blocks, jackknife over {len(pairs)} pairs of blocks"
    n = len(returns)
    return BacktestOverfitting(
        probability=_share(value[0], error[0], n, how),
        slope=normal_estimate(float(value[1]), float(error[1]), n, how)
        if math.isfinite(value[1])
        else undefined(n, "every split picks the same performance"),
        loss=_share(value[2], error[2], n, how),
        logits=np.log(winners[2] / (trials + 1.0 - winners[2])),
        in_sample=winners[0],
        out_of_sample=winners[1],
        trials=trials,
        copies=returns.shape[1] - trials,
        sessions=n,
        blocks=blocks,
        metric=metric,
    )


def _share(value: float, error: float, n: int, method: str) -> Estimate:
    plain = normal_estimate(float(value), float(error), n, method)
    return Estimate(plain.value, plain.standard_error, max(plain.low, 0.0), min(plain.high, 1.0), n, method)
