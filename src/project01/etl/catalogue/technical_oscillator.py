"""Technical indicators that swing between bounds, and channels."""

from collections.abc import Iterator

from project01.etl import steps, steps_technical_average, steps_technical_extreme, steps_technical_line
from project01.etl.catalogue.technical_warm_up import (
    DIFFERENCE,
    POSITIVE,
    events_to_forget,
    exponential_weight,
    wilder_weight,
)
from project01.etl.feature import Feature

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_LANE = "Lane (1984), Lane's stochastics, Stocks & Commodities 2:3"
_BOLLINGER = "Bollinger (2001), Bollinger on Bollinger Bands"
_DONCHIAN = "Donchian (1960), Trend following methods in commodity price analysis"
_PRICES = ("high", "low", "close")


def _strength() -> Iterator[Feature]:
    for window in (7, 21):
        warm_up = events_to_forget(wilder_weight(window), POSITIVE)
        yield Feature(
            name=f"rsi_{window}",
            group="oscillator",
            inputs=("close", "previous"),
            window=window + 1,
            warm_up=warm_up + 1,
            unit="0 to 100",
            source=_WILDER,
            description=f"Relative strength index of {window} sessions, Wilder's smoothing; NaN while nothing moved.",
            step=steps.relative_strength,
            parameters=(window, warm_up),
            state_size=3,
        )
    warm_up = events_to_forget(wilder_weight(14), DIFFERENCE)
    yield Feature(
        name="stoch_rsi_14",
        group="oscillator",
        inputs=("close", "previous"),
        window=28,
        warm_up=warm_up + 14,
        unit="0 to 100",
        source="Chande and Kroll (1994), The New Technical Trader, ch. 6",
        description="Place of the relative strength index of 14 sessions among its last 14 values.",
        step=steps_technical_extreme.stochastic_strength,
        parameters=(14, 14, warm_up),
        state_size=67,
    )


def _stochastics() -> Iterator[Feature]:
    rows = (
        ("stoch_k_14", 1, 1, "Fast %K: place of the close between lowest low and highest high of 14 sessions."),
        ("stoch_d_14", 3, 1, "Fast %D, also slow %K: mean of fast %K of 14 sessions over 3."),
        ("stoch_slow_d_14", 3, 3, "Slow %D: mean over 3 sessions of slow %K of 14."),
    )
    for name, smooth, again, description in rows:
        first = 14 + smooth + again - 2
        yield Feature(
            name=name,
            group="oscillator",
            inputs=_PRICES,
            window=first,
            warm_up=first,
            unit="0 to 100",
            source=_LANE,
            description=description,
            step=steps_technical_extreme.stochastic,
            parameters=(14, smooth, again),
            state_size=70 + smooth + again,
        )
    yield Feature(
        name="williams_r_10",
        group="oscillator",
        inputs=_PRICES,
        window=10,
        warm_up=10,
        unit="-100 to 0",
        source="Williams (1973), How I Made One Million Dollars Last Year Trading Commodities",
        description="Close below the highest high of 10 sessions, as percent of their range.",
        step=steps_technical_extreme.williams_range,
        parameters=(10,),
        state_size=48,
    )


def _momentum() -> Iterator[Feature]:
    yield Feature(
        name="cci_20",
        group="oscillator",
        inputs=_PRICES,
        window=20,
        warm_up=20,
        unit="mean absolute deviations / 0.015",
        source="Lambert (1980), Commodity Channel Index, Commodities magazine, October",
        description="Typical price less its mean of 20 sessions, over 0.015 mean absolute deviations.",
        step=steps_technical_line.commodity_channel,
        parameters=(20,),
        state_size=22,
    )
    yield Feature(
        name="roc_10",
        group="oscillator",
        inputs=("close",),
        window=11,
        warm_up=11,
        unit="fraction",
        source="Kaufman (2013), Trading Systems and Methods, 5th ed., ch. 9",
        description="Rate of change: total return over 10 sessions.",
        step=steps.past_return,
        parameters=(10,),
        state_size=12,
    )
    yield Feature(
        name="momentum_42",
        group="oscillator",
        inputs=("close",),
        window=43,
        warm_up=43,
        unit="fraction of the close",
        source="TA-Lib, MOM, put over the close to be free of scale",
        description="Close less that of 42 sessions ago, over the close.",
        step=steps_technical_line.relative_momentum,
        parameters=(42,),
        state_size=44,
    )


def _pressure() -> Iterator[Feature]:
    yield Feature(
        name="ultimate_7_14_28",
        group="oscillator",
        inputs=(*_PRICES, "previous"),
        window=29,
        warm_up=29,
        unit="0 to 100",
        source="Williams (1985), The Ultimate Oscillator, Stocks & Commodities 3:4",
        description="Close above the true low over true range, sums of 7, 14 and 28 sessions weighed 4, 2 and 1.",
        step=steps_technical_line.ultimate_oscillator,
        parameters=(7,),
        state_size=116,
    )
    yield Feature(
        name="bop",
        group="oscillator",
        inputs=("open", *_PRICES),
        window=1,
        warm_up=1,
        unit="-1 to 1",
        source="Livshin (2001), Balance of market power, Stocks & Commodities 19:8",
        description="Balance of power: close less open over high less low; NaN without range.",
        step=steps_technical_line.balance_of_power,
    )


def _bands() -> Iterator[Feature]:
    rows = (
        ("bollinger_b_50", steps.bollinger_position, "0 lower band, 1 upper band", "Where the close stands between"),
        ("bollinger_width_50", steps.bollinger_width, "fraction of the mean", "Over the mean, the distance between"),
    )
    for name, step, unit, description in rows:
        yield Feature(
            name=name,
            group="channel",
            inputs=("close",),
            window=50,
            warm_up=50,
            unit=unit,
            source=_BOLLINGER,
            description=f"{description} bands two standard deviations from the 50-session mean.",
            step=step,
            parameters=(50, 2),
            state_size=104,
        )
    warm_up = events_to_forget(exponential_weight(20), DIFFERENCE)
    yield Feature(
        name="keltner_20",
        group="channel",
        inputs=(*_PRICES, "previous"),
        window=20,
        warm_up=warm_up + 1,
        unit="0 lower line, 1 upper line",
        source="Keltner (1960), How to Make Money in Commodities; with Raschke's exponential mean and true ranges",
        description="Where the close stands between lines two mean true ranges (10) from its exponential mean (20).",
        step=steps_technical_average.keltner_position,
        parameters=(20, warm_up),
        state_size=4,
    )


def _channels() -> Iterator[Feature]:
    for window in (20, 55, 252):
        yield Feature(
            name=f"channel_position_{window}",
            group="channel",
            inputs=_PRICES,
            window=window,
            warm_up=window,
            unit="0 lowest low, 1 highest high",
            source=_DONCHIAN,
            description=f"Where the close stands in the Donchian channel: the range of {window} sessions.",
            step=steps_technical_extreme.channel_position,
            parameters=(window,),
            state_size=4 * window + 8,
        )
    yield Feature(
        name="channel_width_20",
        group="channel",
        inputs=_PRICES,
        window=20,
        warm_up=20,
        unit="fraction of the close",
        source=_DONCHIAN,
        description="Range of 20 sessions over the close: width of the Donchian channel.",
        step=steps_technical_extreme.channel_width,
        parameters=(20,),
        state_size=88,
    )


def features() -> Iterator[Feature]:
    """Features that swing between bounds, in order."""
    for family in (_strength, _stochastics, _momentum, _pressure, _bands, _channels):
        yield from family()
