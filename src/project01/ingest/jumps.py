"""Jumps that adjusted closes do not explain, judged bar by bar with nothing but the past.

A series is walked once. A bar that jumps away from the last accepted bar is refused; the next bar tells what it was:
near the old level it was a spike, near the new level the series has broken and starts again there.
"""

from dataclasses import dataclass
from math import log

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.ingest.gate_rules import FORWARD_SPLITS, REVERSE_SPLITS, GateRules, Reason

TURNOVER_BARS = 20
# How far, as a log ratio, the open of a split's first bar may lie from the old close over the split ratio.
OVERNIGHT_SLACK = 0.05
_LOG_RATIOS = np.array(sorted([-log(ratio) for ratio in FORWARD_SPLITS] + [log(ratio) for ratio in REVERSE_SPLITS]))


@dataclass(frozen=True)
class Jumps:
    """Verdicts on the rows of a frame, by row position.

    Attributes:
        refused: row -> why.
        gross: row -> price relative to the last accepted bar (0.5 is a fall by half), for the refused rows.
        breaks: rows that are the first accepted ones of a new level.
        spikes: number of excursions that went back to the old level.
    """

    refused: dict[int, Reason]
    gross: dict[int, float]
    breaks: list[int]
    spikes: int


class _Series:
    """Prices of all series, one after the other, and the rule that tells a jump."""

    def __init__(self, bars: pl.DataFrame, rules: GateRules) -> None:
        self.rules = rules
        self.open, self.high, self.low = (_floats(bars, name) for name in ("open", "high", "low"))
        self.close = _floats(bars, "close")
        self.adjusted = _floats(bars, "adj_close")
        self.turnover = bars.select(_turnover_ratio()).to_series().to_numpy()

    def gross(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.float64]:
        """Price at rows `after` over price at rows `before`, adjusted where both rows carry an adjusted close."""
        adjusted = self.adjusted[after] / self.adjusted[before]
        return np.where(np.isnan(adjusted), self.close[after] / self.close[before], adjusted)

    def reasons(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.int8]:
        """0 no jump, 1 beyond the limits, 2 the size of a split."""
        rules, gross = self.rules, self.gross(before, after)
        beyond = (gross < 1 + rules.lowest_return) | (gross > 1 + rules.highest_return)
        verdict = np.where(beyond, 1, 0).astype(np.int8)
        large = np.flatnonzero(np.abs(gross - 1) > rules.split_return)
        verdict[large[self._is_split(gross[large], after[large])]] = 2
        return verdict

    def _is_split(self, gross: NDArray[np.float64], after: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the old price over a split ratio lies in the bar's range, the open near it, on usual turnover.

        Without an open nothing shows the overnight gap; then a series with adjusted closes is taken at its word, since
        a real fall by a third looks the same (AMD on 2002-10-03).
        """
        close = self.close[after]
        low, high, opened = (
            np.where(np.isnan(x), close, x) for x in (self.low[after], self.high[after], self.open[after])
        )
        ratio = _nearest_ratio(gross)
        level = close / gross * ratio
        slack = self.rules.split_tolerance
        inside = (level >= low * (1 - slack)) & (level <= high * (1 + slack))
        overnight = np.abs(np.log(opened / level)) <= OVERNIGHT_SLACK
        at_its_word = np.isnan(self.open[after]) & ~np.isnan(self.adjusted[after])
        return inside & overnight & ~at_its_word & ~(self.turnover[after] > self.rules.split_turnover)

    def reason(self, before: int, after: int) -> Reason | None:
        found = int(self.reasons(np.array([before]), np.array([after]))[0])
        return (None, Reason.UNEXPLAINED_JUMP, Reason.UNADJUSTED_SPLIT)[found]

    def distance(self, before: int, after: int) -> float:
        return abs(log(float(self.gross(np.array([before]), np.array([after]))[0])))


def find_jumps(bars: pl.DataFrame, series: NDArray[np.int64], rules: GateRules) -> Jumps:
    """Judge every bar against the last accepted bar of its series.

    Args:
        bars: columns symbol, interval, open, close, adj_close, volume; prices positive and finite, close never null;
            sorted by series and time.
        series: shape (n_rows,), number of the series each row belongs to, ascending.
        rules: the limits.
    """
    prices = _Series(bars, rules)
    rows = np.arange(1, len(series), dtype=np.int64)
    rows = rows[series[1:] == series[:-1]]
    jumping = rows[prices.reasons(rows - 1, rows) > 0]
    verdict = Jumps({}, {}, [], 0)
    spikes, settled = 0, -1
    for start in jumping.tolist():
        if start <= settled:
            continue
        settled, went_back = _follow(prices, series, start, verdict)
        spikes += went_back
    return Jumps(verdict.refused, verdict.gross, verdict.breaks, spikes)


def _follow(prices: _Series, series: NDArray[np.int64], start: int, verdict: Jumps) -> tuple[int, bool]:
    """Walk from a jump at row `start` to the next accepted row; that row, and whether the price went back."""
    anchor, last, row = start - 1, start, start
    reason = prices.reason(anchor, start)
    while reason is not None:
        verdict.refused[row] = reason
        verdict.gross[row] = float(prices.gross(np.array([anchor]), np.array([row]))[0])
        last, row = row, row + 1
        if row == len(series) or series[row] != series[last]:
            return last, False
        stays = prices.distance(last, row) < prices.distance(anchor, row)
        reason = prices.reason(last if stays else anchor, row)
        if reason is None and stays:
            verdict.breaks.append(row)
            return row, False
    return row, True


def _nearest_ratio(gross: NDArray[np.float64]) -> NDArray[np.float64]:
    """The split ratio nearest to each move: 0.5 for a split of two for one."""
    size = np.log(gross)
    right = np.clip(np.searchsorted(_LOG_RATIOS, size), 1, len(_LOG_RATIOS) - 1)
    left_nearer = size - _LOG_RATIOS[right - 1] < _LOG_RATIOS[right] - size
    return np.asarray(np.exp(_LOG_RATIOS[np.where(left_nearer, right - 1, right)]))


def _floats(bars: pl.DataFrame, column: str) -> NDArray[np.float64]:
    return bars[column].fill_null(float("nan")).to_numpy().astype(np.float64)


def _turnover_ratio() -> pl.Expr:
    """Dollar volume over its median of the bars before; null where there are fewer than 5 of them."""
    dollars = pl.col("close") * pl.col("volume")
    usual = dollars.shift(1).rolling_median(TURNOVER_BARS, min_samples=5).over("source", "symbol", "interval")
    return (dollars / pl.when(usual > 0).then(usual)).fill_null(float("nan"))
