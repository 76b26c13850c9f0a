"""The Alpha158 set: 158 features of a bar and of windows over bars, after their published definitions.

Names are the published ones in small letters: ``a158_kmid`` is KMID, ``a158_open_0`` OPEN0, ``a158_roc_5`` ROC5;
`published_name` turns them back. Fed the same adjusted bars, values equal those of Qlib's own handler to float32
precision (`benchmarks/alpha158.py` compares all of them), but for what follows.

- Start: Qlib gives a value from an instrument's first bar on, over as many bars as there are. Here a feature is NaN
  until its window is full (`Feature.warm_up`); a change counts as one bar more.
- Missing bars: Qlib lays every instrument on one calendar, and a missing bar takes a place in its windows. Here a
  window holds the last bars that have the feature's inputs, however far back they lie. CNTP, CNTN and CNTD of Qlib
  count a missing change as no change; here it is not counted. At a missing bar itself Qlib still gives the features
  that do not divide by a value of that bar; here there is no row.
- Standing still: RSQR, CORR and CORD are NaN in Qlib where the standard deviation is below 2e-5, in the unit of the
  price; here where it is below 1e-12 of the level, so that the unit does not matter.
- No trade: VMA and VSTD divide by volume + 1e-12, which gives numbers of the order of 1e17 at a bar without trade; here
  they are NaN there. CORD after a bar without trade takes the logarithm of infinity in Qlib and drops the bar from the
  window; here the window reaches one bar further back.
- Precision: Qlib reads columns as float32 and divides and subtracts in it before it sums; here all is float64 until the
  value is kept. Qlib's sums for BETA, RSQR and RESI add and subtract; here nothing is subtracted.
- 1e-12 is added to the divisors of the published definitions here too, so 0 over 0 is 0.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from project01.etl import steps_alpha as alpha
from project01.etl import steps_alpha_order as order
from project01.etl.feature import Feature

_PREFIX = "a158_"
_WINDOWS = (5, 10, 20, 30, 60)
_SOURCE = "Yang, Liu, Zhou, Bian and Liu (2020), Qlib: An AI-oriented Quantitative Investment Platform; Alpha158"
_NO_TRADE = "; NaN at a bar without trade"


class _Bar(NamedTuple):
    """A feature of one bar."""

    name: str
    step: Callable[..., float]
    inputs: tuple[str, ...]
    unit: str
    description: str


class _Rolling(NamedTuple):
    """A feature of each window, with `before` bars ahead of it and `per_bar` x window + `fixed` numbers of state."""

    name: str
    group: str
    step: Callable[..., float]
    inputs: tuple[str, ...]
    before: int
    per_bar: int
    fixed: int
    unit: str
    description: str
    percent: tuple[int, ...] = ()
    missing: str = ""


_BARS = (
    _Bar("kmid", alpha.body, ("open", "close"), "share of the open", "Close less open, over the open."),
    _Bar("klen", alpha.length, ("open", "high", "low"), "share of the open", "High less low, over the open."),
    _Bar(
        "kmid2", alpha.body_in_range, ("open", "high", "low", "close"), "share of the range",
        "Close less open, over the range of the bar.",
    ),
    _Bar(
        "kup", alpha.upper_shadow, ("open", "high", "close"), "share of the open",
        "High less the higher of open and close, over the open.",
    ),
    _Bar(
        "kup2", alpha.upper_shadow_in_range, ("open", "high", "low", "close"), "share of the range",
        "High less the higher of open and close, over the range of the bar.",
    ),
    _Bar(
        "klow", alpha.lower_shadow, ("open", "low", "close"), "share of the open",
        "The lower of open and close less the low, over the open.",
    ),
    _Bar(
        "klow2", alpha.lower_shadow_in_range, ("open", "high", "low", "close"), "share of the range",
        "The lower of open and close less the low, over the range of the bar.",
    ),
    _Bar(
        "ksft", alpha.shift, ("open", "high", "low", "close"), "share of the open",
        "Twice the close less high and low, over the open.",
    ),
    _Bar(
        "ksft2", alpha.shift_in_range, ("high", "low", "close"), "share of the range",
        "Twice the close less high and low, over the range of the bar.",
    ),
    _Bar("open_0", alpha.over_close, ("open", "close"), "share of the close", "Open over the close."),
    _Bar("high_0", alpha.over_close, ("high", "close"), "share of the close", "High over the close."),
    _Bar("low_0", alpha.over_close, ("low", "close"), "share of the close", "Low over the close."),
    _Bar(
        "vwap_0", alpha.over_close, ("vwap", "close"), "share of the close",
        "Volume-weighted mean price over the close.",
    ),
)  # fmt: skip

_CLOSE, _CHANGE = ("close",), ("close", "previous")
_OF_CLOSE, _OF_WINDOW, _OF_VOLUME = "share of the close", "share of the window", "share of the volume"
_ROLLING = (
    _Rolling(
        "roc", "alpha158 price", alpha.past_over_close, _CLOSE, 1, 1, 2, _OF_CLOSE,
        "Close of {n} bars ago over the close.",
    ),
    _Rolling(
        "ma", "alpha158 price", alpha.mean_over_close, _CLOSE, 0, 1, 3, _OF_CLOSE,
        "Mean close of {n} bars over the close.",
    ),
    _Rolling(
        "std", "alpha158 price", alpha.deviation_over_close, _CLOSE, 0, 2, 5, _OF_CLOSE,
        "Sample standard deviation of {n} closes over the close.",
    ),
    _Rolling(
        "beta", "alpha158 line", alpha.slope_over_close, _CLOSE, 0, 3, 6, "share of the close a bar",
        "Slope of the least-squares line through {n} closes, over the close.",
    ),
    _Rolling(
        "rsqr", "alpha158 line", alpha.line_fit, _CLOSE, 0, 3, 6, "0 to 1",
        "Share of the variance of {n} closes that their line explains.", missing="; NaN while the close stands still",
    ),
    _Rolling(
        "resi", "alpha158 line", alpha.residual_over_close, _CLOSE, 0, 3, 6, _OF_CLOSE,
        "Close less the value of the line through {n} closes, over the close.",
    ),
    _Rolling(
        "max", "alpha158 range", order.highest_over_close, ("high", "close"), 0, 1, 3, _OF_CLOSE,
        "Highest high of {n} bars over the close.",
    ),
    _Rolling(
        "min", "alpha158 range", order.lowest_over_close, ("low", "close"), 0, 1, 3, _OF_CLOSE,
        "Lowest low of {n} bars over the close.",
    ),
    _Rolling(
        "qtlu", "alpha158 range", order.quantile_over_close, _CLOSE, 0, 2, 2, _OF_CLOSE,
        "80 % quantile of {n} closes over the close.", percent=(80,),
    ),
    _Rolling(
        "qtld", "alpha158 range", order.quantile_over_close, _CLOSE, 0, 2, 2, _OF_CLOSE,
        "20 % quantile of {n} closes over the close.", percent=(20,),
    ),
    _Rolling(
        "rank", "alpha158 range", order.window_rank, _CLOSE, 0, 1, 2, "1/window lowest to 1 highest",
        "Rank of the close among {n} closes, ties averaged.",
    ),
    _Rolling(
        "rsv", "alpha158 range", order.place_in_range, ("high", "low", "close"), 0, 2, 6, "0 low to 1 high",
        "Where the close stands between lowest low and highest high of {n} bars.",
    ),
    _Rolling(
        "imax", "alpha158 range", order.place_of_high, ("high",), 0, 2, 4, _OF_WINDOW,
        "Place of the highest high of {n} bars, 1 for the newest; of equals the oldest.",
    ),
    _Rolling(
        "imin", "alpha158 range", order.place_of_low, ("low",), 0, 2, 4, _OF_WINDOW,
        "Place of the lowest low of {n} bars, 1 for the newest; of equals the oldest.",
    ),
    _Rolling(
        "imxd", "alpha158 range", order.high_after_low, ("high", "low"), 0, 4, 8, _OF_WINDOW,
        "Bars from the lowest low to the highest high of {n} bars, negative where the low came last.",
    ),
    _Rolling(
        "corr", "alpha158 correlation", alpha.price_volume_correlation, ("close", "volume"), 0, 5, 9, "-1 to 1",
        "Correlation of close and logarithm of volume + 1 over {n} bars.",
        missing="; NaN while one of them stands still",
    ),
    _Rolling(
        "cord", "alpha158 correlation", alpha.change_correlation, ("close", "volume"), 1, 5, 11, "-1 to 1",
        "Correlation of the close's ratio and log(volume's ratio + 1), each to the bar before, over {n} bars.",
        missing="; NaN while one of them stands still; a bar after one without trade is skipped",
    ),
    _Rolling(
        "cntp", "alpha158 count", alpha.share_up, _CHANGE, 1, 1, 3, _OF_WINDOW,
        "Share of {n} bars that closed higher than the one before.",
    ),
    _Rolling(
        "cntn", "alpha158 count", alpha.share_down, _CHANGE, 1, 1, 3, _OF_WINDOW,
        "Share of {n} bars that closed lower than the one before.",
    ),
    _Rolling(
        "cntd", "alpha158 count", alpha.share_up_less_down, _CHANGE, 1, 1, 3, _OF_WINDOW,
        "Share of {n} bars that closed higher less that of those that closed lower.",
    ),
    _Rolling(
        "sump", "alpha158 movement", alpha.gain_share, _CHANGE, 1, 2, 4, "0 to 1",
        "Rises of the close over rises and falls, {n} bars.",
    ),
    _Rolling(
        "sumn", "alpha158 movement", alpha.loss_share, _CHANGE, 1, 2, 4, "0 to 1",
        "Falls of the close over rises and falls, {n} bars.",
    ),
    _Rolling(
        "sumd", "alpha158 movement", alpha.gain_less_loss, _CHANGE, 1, 2, 4, "-1 to 1",
        "Rises less falls of the close over rises and falls, {n} bars.",
    ),
    _Rolling(
        "vma", "alpha158 volume", order.mean_over_volume, ("volume",), 0, 1, 3, _OF_VOLUME,
        "Mean volume of {n} bars over the volume.", missing=_NO_TRADE,
    ),
    _Rolling(
        "vstd", "alpha158 volume", order.deviation_over_volume, ("volume",), 0, 2, 5, _OF_VOLUME,
        "Sample standard deviation of {n} volumes over the volume.", missing=_NO_TRADE,
    ),
    _Rolling(
        "wvma", "alpha158 volume", order.weighted_movement, ("close", "previous", "volume"), 1, 2, 5, "1",
        "Sample standard deviation of absolute return x volume over its mean, {n} bars.",
    ),
    _Rolling(
        "vsump", "alpha158 volume", order.volume_gain_share, ("volume",), 1, 2, 6, "0 to 1",
        "Rises of the volume over rises and falls, {n} bars.",
    ),
    _Rolling(
        "vsumn", "alpha158 volume", order.volume_loss_share, ("volume",), 1, 2, 6, "0 to 1",
        "Falls of the volume over rises and falls, {n} bars.",
    ),
    _Rolling(
        "vsumd", "alpha158 volume", order.volume_gain_less_loss, ("volume",), 1, 2, 6, "-1 to 1",
        "Rises less falls of the volume over rises and falls, {n} bars.",
    ),
)  # fmt: skip


def published_name(name: str) -> str:
    """The name of the published definition: ``ROC5`` for ``a158_roc_5``."""
    return name.removeprefix(_PREFIX).replace("_", "").upper()


def _of_bar(bar: _Bar) -> Feature:
    return Feature(
        name=_PREFIX + bar.name,
        group="alpha158 bar",
        inputs=bar.inputs,
        window=1,
        warm_up=1,
        unit=bar.unit,
        source=_SOURCE,
        description=bar.description,
        step=bar.step,
    )


def _of_window(rolling: _Rolling, window: int) -> Feature:
    return Feature(
        name=f"{_PREFIX}{rolling.name}_{window}",
        group=rolling.group,
        inputs=rolling.inputs,
        window=window + rolling.before,
        warm_up=window + rolling.before,
        unit=rolling.unit,
        missing=Feature.missing + rolling.missing,
        source=_SOURCE,
        description=rolling.description.format(n=window),
        step=rolling.step,
        parameters=(window, *rolling.percent),
        state_size=rolling.per_bar * window + rolling.fixed,
    )


def features() -> Iterator[Feature]:
    """The features of the set, in the published order."""
    for bar in _BARS:
        yield _of_bar(bar)
    for rolling in _ROLLING:
        for window in _WINDOWS:
            yield _of_window(rolling, window)
