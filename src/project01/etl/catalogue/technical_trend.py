"""Technical indicators of direction: moving averages, lines, directional movement, Aroon, vortex."""

from collections.abc import Callable, Iterator

from project01.etl import steps_technical_average, steps_technical_extreme, steps_technical_line
from project01.etl.catalogue.technical_warm_up import (
    DIFFERENCE,
    POSITIVE,
    events_to_forget,
    exponential_weight,
    wilder_weight,
)
from project01.etl.feature import Feature

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems, section IV; ADXR as TA-Lib counts its days"
_MULLOY = "Mulloy (1994), Smoothing data with faster moving averages, Stocks & Commodities 12:1"
_BROCK = "Brock, Lakonishok and LeBaron (1992), Simple technical trading rules, Journal of Finance 47"
_APPEL = "Appel (2005), Technical Analysis: Power Tools for Active Investors"
_REGRESSION = "Kaufman (2013), Trading Systems and Methods, 5th ed., ch. 6, least-squares line on time"
_CHANDE = "Chande (1995), The time price oscillator, Stocks & Commodities 13:9"
_VORTEX = "Botes and Siepman (2010), The Vortex Indicator, Stocks & Commodities 28:1"
# Weights of Kaufman's mean follow the prices: of 4,000 random walks, none remembered more than 1e-10 for so long.
_KAMA_WARM_UP = 400


def _smoothed() -> Iterator[Feature]:
    rows = (
        ("dist_ema_10", 10, 1, "exponential moving average", _APPEL),
        ("dist_ema_30", 30, 1, "exponential moving average", _APPEL),
        ("dist_dema_20", 20, 2, "double exponential moving average", _MULLOY),
        ("dist_tema_20", 20, 3, "triple exponential moving average", _MULLOY),
    )
    for name, window, depth, mean, source in rows:
        warm_up = events_to_forget(exponential_weight(window), DIFFERENCE, depth)
        yield Feature(
            name=name,
            group="trend",
            inputs=("close",),
            window=window,
            warm_up=warm_up,
            unit="fraction",
            source=source,
            description=f"Close over its {mean} of {window} sessions, less one.",
            step=steps_technical_average.smoothed_distance,
            parameters=(window, depth, warm_up),
            state_size=1 + depth,
        )


def _averages() -> Iterator[Feature]:
    yield Feature(
        name="dist_wma_20",
        group="trend",
        inputs=("close",),
        window=20,
        warm_up=20,
        unit="fraction",
        source="Kaufman (2013), Trading Systems and Methods, 5th ed., ch. 7",
        description="Close over its mean of 20 sessions with weights that fall by one a session, less one.",
        step=steps_technical_line.weighted_distance,
        parameters=(20,),
        state_size=65,
    )
    yield Feature(
        name="dist_kama_10",
        group="trend",
        inputs=("close", "previous"),
        window=11,
        warm_up=_KAMA_WARM_UP + 1,
        unit="fraction",
        source="Kaufman (1995), Smarter Trading, ch. 8",
        description=(
            "Close over Kaufman's adaptive moving average (10, 2, 30), less one; where prices go nowhere for hundreds "
            "of sessions it remembers its beginning for longer than the warm-up."
        ),
        step=steps_technical_average.adaptive_distance,
        parameters=(10, _KAMA_WARM_UP),
        state_size=26,
    )
    trix_warm_up = events_to_forget(exponential_weight(15), DIFFERENCE, 3)
    yield Feature(
        name="trix_15",
        group="trend",
        inputs=("close",),
        window=15,
        warm_up=trix_warm_up,
        unit="percent a session",
        source="Hutson (1983), Good TRIX, Stocks & Commodities 1:5",
        description="Change over one session of the close smoothed three times by exponential means of 15 sessions.",
        step=steps_technical_average.triple_smoothed_change,
        parameters=(15, trix_warm_up),
        state_size=4,
    )


def _crosses() -> Iterator[Feature]:
    for fast, slow in ((5, 20), (50, 200)):
        yield Feature(
            name=f"sma_cross_{fast}_{slow}",
            group="trend",
            inputs=("close",),
            window=slow,
            warm_up=slow,
            unit="fraction",
            source=_BROCK,
            description=f"Simple moving average of {fast} sessions over that of {slow}, less one.",
            step=steps_technical_average.mean_cross,
            parameters=(fast, slow),
            state_size=fast + slow + 6,
        )
    yield Feature(
        name="apo_12_26",
        group="trend",
        inputs=("close",),
        window=26,
        warm_up=26,
        unit="fraction of the close",
        source="TA-Lib, APO with simple means, put over the close to be free of scale",
        description="Simple moving average of 12 sessions less that of 26, over the close.",
        step=steps_technical_average.mean_difference,
        parameters=(12, 26),
        state_size=44,
    )
    warm_up = events_to_forget(exponential_weight(26), DIFFERENCE)
    yield Feature(
        name="ppo_12_26",
        group="trend",
        inputs=("close",),
        window=26,
        warm_up=warm_up,
        unit="percent",
        source=_APPEL,
        description="Exponential moving average of 12 sessions over that of 26, less one.",
        step=steps_technical_average.exponential_cross,
        parameters=(12, 26, warm_up),
        state_size=4,
    )


def _lines() -> Iterator[Feature]:
    line = steps_technical_line
    rows: tuple[tuple[str, int, Callable[..., float], str, str], ...] = (
        ("slope_20", 20, line.trend_slope, "fraction of the mean a session", "Slope of it over the mean close"),
        ("angle_63", 63, line.trend_angle, "degrees", "Angle of it, one percent of the mean close a session being 45"),
        ("r2_20", 20, line.trend_fit, "0 to 1", "Share of the closes' variance on it"),
        ("r2_63", 63, line.trend_fit, "0 to 1", "Share of the closes' variance on it"),
        ("dist_line_20", 20, line.trend_distance, "fraction", "Close over its end, less one"),
    )
    for name, window, step, unit, description in rows:
        yield Feature(
            name=name,
            group="trend",
            inputs=("close",),
            window=window,
            warm_up=window,
            unit=unit,
            source=_REGRESSION,
            description=f"Least-squares line through the closes of {window} sessions. {description}.",
            step=step,
            parameters=(window,),
            state_size=3 * window + 5,
        )


def _directional() -> Iterator[Feature]:
    average = steps_technical_average
    rows: tuple[tuple[str, Callable[..., float], int, int, int, str], ...] = (
        ("plus_di_14", average.rising_indicator, 1, 0, 10, "Upward movement over true range, in Wilder's means"),
        ("minus_di_14", average.falling_indicator, 1, 0, 10, "Downward movement over true range, in Wilder's means"),
        ("dx_14", average.directional_index, 1, 0, 10, "Difference of +DI and -DI over their sum"),
        ("adx_14", average.average_directional, 2, 0, 12, "Average directional index: Wilder's mean of DX"),
        ("adxr_14", average.average_directional_rating, 2, 13, 27, "Mean of the ADX and that of 13 sessions ago"),
    )
    for name, step, depth, further, size, description in rows:
        warm_up = events_to_forget(wilder_weight(14), POSITIVE, depth)
        yield Feature(
            name=name,
            group="trend",
            inputs=("high", "low", "close"),
            window=15 + further,
            warm_up=warm_up + 1 + further,
            unit="0 to 100",
            source=_WILDER,
            description=f"{description}; 14 sessions.",
            step=step,
            parameters=(14, warm_up),
            state_size=size,
        )


def _extremes() -> Iterator[Feature]:
    extreme, line = steps_technical_extreme, steps_technical_line
    rows: tuple[tuple[str, tuple[str, ...], Callable[..., float], int, str, str], ...] = (
        ("aroon_up_25", ("high",), extreme.aroon_up, 56, "0 to 100", "100 less 4 for each session since the high"),
        ("aroon_down_25", ("low",), extreme.aroon_down, 56, "0 to 100", "100 less 4 for each session since the low"),
        ("aroon_osc_25", ("high", "low"), extreme.aroon_oscillator, 112, "-100 to 100", "Aroon up less Aroon down"),
    )
    for name, inputs, step, size, unit, description in rows:
        yield Feature(
            name=name,
            group="trend",
            inputs=inputs,
            window=26,
            warm_up=26,
            unit=unit,
            source=_CHANDE,
            description=f"{description}, of the last 26 sessions; of equals the newest.",
            step=step,
            parameters=(25,),
            state_size=size,
        )
    for name, step, what in (
        ("vortex_plus_14", line.rising_vortex, "each high from the low before"),
        ("vortex_minus_14", line.falling_vortex, "each low from the high before"),
    ):
        yield Feature(
            name=name,
            group="trend",
            inputs=("high", "low", "close"),
            window=15,
            warm_up=15,
            unit="ratio",
            source=_VORTEX,
            description=f"Distances of {what} over true ranges, sums of 14 sessions.",
            step=step,
            parameters=(14,),
            state_size=37,
        )


def _paths() -> Iterator[Feature]:
    yield Feature(
        name="choppiness_14",
        group="trend",
        inputs=("high", "low", "close", "previous"),
        window=15,
        warm_up=15,
        unit="percent",
        source="Dreiss (1993), Choppiness Index, in Kaufman (2013), Trading Systems and Methods, 5th ed.",
        description="Way gone over 14 sessions over their range, logarithm to base 14: 0 straight, 100 to and fro.",
        step=steps_technical_extreme.choppiness,
        parameters=(14,),
        state_size=81,
    )
    yield Feature(
        name="days_since_high_252",
        group="trend",
        inputs=("high",),
        window=252,
        warm_up=252,
        unit="sessions",
        source="Bhootra and Hur (2013), The timing of 52-week high price and momentum, Journal of Banking & Finance 37",
        description="Sessions since the highest high of 252 sessions; 0 today, of equals the newest.",
        step=steps_technical_extreme.bars_since_top,
        parameters=(252,),
        state_size=508,
    )
    yield Feature(
        name="share_of_high_252",
        group="trend",
        inputs=("high", "close"),
        window=252,
        warm_up=252,
        unit="fraction",
        source="George and Hwang (2004), The 52-week high and momentum investing, Journal of Finance 59",
        description="Close over the highest high of 252 sessions.",
        step=steps_technical_extreme.share_of_top,
        parameters=(252,),
        state_size=508,
    )


def features() -> Iterator[Feature]:
    """Features of direction, in order."""
    for family in (_smoothed, _averages, _crosses, _lines, _directional, _extremes, _paths):
        yield from family()
