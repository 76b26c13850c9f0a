"""Technical indicators of the size and the shape of returns."""

from collections.abc import Callable, Iterator

from project01.etl import steps, steps_technical_extreme, steps_technical_volatility
from project01.etl.catalogue.technical_warm_up import POSITIVE, events_to_forget, wilder_weight
from project01.etl.feature import Feature

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_REALISED = "Andersen, Bollerslev, Diebold and Labys (2003), Modeling and forecasting realized volatility"
_PARKINSON = "Parkinson (1980), The extreme value method for estimating the variance of the rate of return"
_LO = "Lo and MacKinlay (1988), Stock market prices do not follow random walks, Review of Financial Studies 1"
_BARS = ("open", "high", "low", "close")


def _ranges() -> Iterator[Feature]:
    for window in (7, 21):
        warm_up = events_to_forget(wilder_weight(window), POSITIVE)
        yield Feature(
            name=f"atr_{window}",
            group="volatility",
            inputs=("high", "low", "close", "previous"),
            window=window + 1,
            warm_up=warm_up + 1,
            unit="fraction of the close",
            source=_WILDER,
            description=f"Average true range of {window} sessions, Wilder's smoothing, over the close.",
            step=steps.average_true_range,
            parameters=(window, warm_up),
            state_size=2,
        )
    for window in (10, 126):
        yield Feature(
            name=f"realised_vol_{window}",
            group="volatility",
            inputs=("log_return",),
            window=window + 1,
            warm_up=window + 1,
            unit="fraction a year",
            source=_REALISED,
            description=f"Standard deviation of daily log returns over {window} sessions, times the root of 252.",
            step=steps.realised_volatility,
            parameters=(window,),
            state_size=2 * window + 4,
        )
    for window in (10, 63):
        yield Feature(
            name=f"parkinson_vol_{window}",
            group="volatility",
            inputs=("high", "low"),
            window=window,
            warm_up=window,
            unit="fraction a year",
            source=_PARKINSON,
            description=f"Volatility over {window} sessions from the ratio of high to low, times the root of 252.",
            step=steps.parkinson_volatility,
            parameters=(window,),
            state_size=window + 3,
        )


def _estimators() -> Iterator[Feature]:
    volatility = steps_technical_volatility
    rows: tuple[tuple[str, tuple[str, ...], int, int, Callable[..., float], str, str], ...] = (
        (
            "garman_klass_vol_21", _BARS, 21, 24, volatility.garman_klass_volatility, "range and body of each bar",
            "Garman and Klass (1980), On the estimation of security price volatilities, Journal of Business 53, eq. 20",
        ),
        (
            "rogers_satchell_vol_21", _BARS, 21, 24, volatility.rogers_satchell_volatility, "range, whatever the drift",
            "Rogers and Satchell (1991), Estimating variance from high, low and closing prices, Ann. Appl. Probab. 1",
        ),
        (
            "yang_zhang_vol_21", (*_BARS, "previous"), 22, 116, volatility.yang_zhang_volatility, "gap, body and range",
            "Yang and Zhang (2000), Drift-independent volatility estimation, Journal of Business 73",
        ),
    )  # fmt: skip
    for name, inputs, warm_up, size, step, what, source in rows:
        yield Feature(
            name=name,
            group="volatility",
            inputs=inputs,
            window=warm_up,
            warm_up=warm_up,
            unit="fraction a year",
            source=source,
            description=f"Volatility over 21 sessions from {what}, times the root of 252.",
            step=step,
            parameters=(21,),
            state_size=size,
        )


def _shape() -> Iterator[Feature]:
    volatility = steps_technical_volatility
    rows: tuple[tuple[str, Callable[..., float], int, str, str, str], ...] = (
        (
            "skew_63", volatility.skewness, 262, "1", "Sample skewness of daily log returns, corrected for bias",
            "Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47, G1",
        ),
        (
            "kurtosis_63", volatility.kurtosis, 262, "1", "Sample excess kurtosis of daily log returns, corrected",
            "Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47, G2",
        ),
        (
            "downside_vol_63", volatility.downside_deviation, 66, "fraction a year", "Downside deviation from 0",
            "Sortino and Price (1994), Performance measurement in a downside risk framework, Journal of Investing 3",
        ),
    )  # fmt: skip
    for name, step, size, unit, description, source in rows:
        yield Feature(
            name=name,
            group="volatility",
            inputs=("log_return",),
            window=64,
            warm_up=64,
            unit=unit,
            source=source,
            description=f"{description}, over 63 sessions.",
            step=step,
            parameters=(63,),
            state_size=size,
        )


def _falls() -> Iterator[Feature]:
    yield Feature(
        name="max_drawdown_63",
        group="volatility",
        inputs=("close",),
        window=63,
        warm_up=63,
        unit="fraction",
        source="Magdon-Ismail and Atiya (2004), Maximum drawdown, Risk 17:10",
        description="Largest fall from a close of the last 63 sessions to a later one.",
        step=steps_technical_extreme.deepest_fall,
        parameters=(63,),
        state_size=194,
    )
    yield Feature(
        name="ulcer_14",
        group="volatility",
        inputs=("close",),
        window=27,
        warm_up=27,
        unit="percent",
        source="Martin and McCann (1989), The Investor's Guide to Fidelity Funds",
        description="Root of the mean square over 14 sessions of the fall from the highest close of 14.",
        step=steps_technical_extreme.ulcer_index,
        parameters=(14,),
        state_size=49,
    )


def _memory() -> Iterator[Feature]:
    for lag, window in ((5, 126), (21, 252)):
        yield Feature(
            name=f"variance_ratio_{lag}_{window}",
            group="volatility",
            inputs=("log_return",),
            window=window + 1,
            warm_up=window + 1,
            unit="1 for a random walk",
            source=f"{_LO}; both variances with the mean of their own returns",
            description=(
                f"Variance of the overlapping {lag}-session log returns within {window} sessions over {lag} times that "
                "of daily ones: above 1 trending, below 1 turning back."
            ),
            step=steps_technical_volatility.variance_ratio,
            parameters=(lag, window),
            state_size=4 * window - lag + 13,
        )
    for lag in (1, 5):
        yield Feature(
            name=f"autocorrelation_{lag}_63",
            group="volatility",
            inputs=("log_return",),
            window=64 + lag,
            warm_up=64 + lag,
            unit="-1 to 1",
            source="Box, Jenkins and Reinsel (2008), Time Series Analysis, 4th ed., ch. 2; as Pearson's correlation",
            description=f"Correlation of the last 63 daily log returns with those {lag} session(s) before.",
            step=steps_technical_volatility.autocorrelation,
            parameters=(lag, 63),
            state_size=5 * 63 + lag + 9,
        )


def features() -> Iterator[Feature]:
    """Features of the size and the shape of returns, in order."""
    for family in (_ranges, _estimators, _shape, _falls, _memory):
        yield from family()
