"""The core set: daily features of price, volume, market, calendar and rates."""

from collections.abc import Iterator

from project01.etl import steps
from project01.etl.feature import Feature

_JEGADEESH = "Jegadeesh and Titman (1993), Returns to buying winners and selling losers, Journal of Finance 48"
_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_BOLLINGER = "Bollinger (2001), Bollinger on Bollinger Bands"
# Bars until a smoothing mean has forgotten where it began to 1e-6 of its value: (13/14)^236 = 2.5e-8 for Wilder's 14,
# and (25/27)^300 = 9e-11 for the slow mean of 26, more because the histogram is a small difference of large numbers.
_WILDER_WARM_UP = 250
_MACD_WARM_UP = 300


def _returns() -> Iterator[Feature]:
    for window in (1, 5, 21, 63, 126, 252):
        yield Feature(
            name=f"ret_{window}",
            group="return",
            inputs=("close",),
            window=window + 1,
            warm_up=window + 1,
            unit="fraction",
            source=_JEGADEESH,
            description=f"Total return over the last {window} sessions.",
            step=steps.past_return,
            parameters=(window,),
            state_size=window + 2,
        )
    yield Feature(
        name="mom_12_1",
        group="return",
        inputs=("close",),
        window=253,
        warm_up=253,
        unit="fraction",
        source=_JEGADEESH,
        description="Total return from 252 to 21 sessions ago: 12-month momentum without the last month.",
        step=steps.skipping_return,
        parameters=(252, 21),
        state_size=254,
    )


def _trend() -> Iterator[Feature]:
    for window in (5, 20, 60, 200):
        yield Feature(
            name=f"dist_sma_{window}",
            group="trend",
            inputs=("close",),
            window=window,
            warm_up=window,
            unit="fraction",
            source="Brock, Lakonishok and LeBaron (1992), Simple technical trading rules, Journal of Finance 47",
            description=f"Close over its simple moving average of {window} sessions, less one.",
            step=steps.distance_from_mean,
            parameters=(window,),
            state_size=window + 3,
        )
    yield Feature(
        name="rsi_14",
        group="trend",
        inputs=("close", "previous"),
        window=14,
        warm_up=_WILDER_WARM_UP + 1,
        unit="0 to 100",
        source=_WILDER,
        description="Relative strength index of 14 sessions, Wilder's smoothing; NaN while no price has moved.",
        step=steps.relative_strength,
        parameters=(14, _WILDER_WARM_UP),
        state_size=3,
    )
    yield Feature(
        name="macd_hist",
        group="trend",
        inputs=("close",),
        window=26,
        warm_up=_MACD_WARM_UP,
        unit="fraction of the close",
        source="Appel (2005), Technical Analysis: Power Tools for Active Investors",
        description="MACD (12, 26) less its signal line (9), over the close.",
        step=steps.convergence_divergence,
        parameters=(12, 26, 9, _MACD_WARM_UP),
        state_size=4,
    )


def _bands() -> Iterator[Feature]:
    yield Feature(
        name="bollinger_b_20",
        group="trend",
        inputs=("close",),
        window=20,
        warm_up=20,
        unit="0 lower band, 1 upper band",
        source=_BOLLINGER,
        description="Where the close stands between bands two standard deviations from the 20-session mean.",
        step=steps.bollinger_position,
        parameters=(20, 2),
        state_size=44,
    )
    yield Feature(
        name="bollinger_width_20",
        group="volatility",
        inputs=("close",),
        window=20,
        warm_up=20,
        unit="fraction of the mean",
        source=_BOLLINGER,
        description="Distance between the Bollinger bands of 20 sessions, over their mean.",
        step=steps.bollinger_width,
        parameters=(20, 2),
        state_size=44,
    )


def _volatility() -> Iterator[Feature]:
    yield Feature(
        name="atr_14",
        group="volatility",
        inputs=("high", "low", "close", "previous"),
        window=14,
        warm_up=_WILDER_WARM_UP + 1,
        unit="fraction of the close",
        source=_WILDER,
        description="Average true range of 14 sessions, Wilder's smoothing, over the close.",
        step=steps.average_true_range,
        parameters=(14, _WILDER_WARM_UP),
        state_size=2,
    )
    for window in (21, 63):
        yield Feature(
            name=f"realised_vol_{window}",
            group="volatility",
            inputs=("log_return",),
            window=window + 1,
            warm_up=window + 1,
            unit="fraction a year",
            source="Andersen, Bollerslev, Diebold and Labys (2003), Modeling and forecasting realized volatility",
            description=f"Standard deviation of daily log returns over {window} sessions, times the root of 252.",
            step=steps.realised_volatility,
            parameters=(window,),
            state_size=2 * window + 4,
        )
    yield Feature(
        name="parkinson_vol_21",
        group="volatility",
        inputs=("high", "low"),
        window=21,
        warm_up=21,
        unit="fraction a year",
        source="Parkinson (1980), The extreme value method for estimating the variance of the rate of return",
        description="Volatility over 21 sessions from the ratio of high to low, times the root of 252.",
        step=steps.parkinson_volatility,
        parameters=(21,),
        state_size=24,
    )


def _liquidity() -> Iterator[Feature]:
    yield Feature(
        name="volume_z_20",
        group="liquidity",
        inputs=("volume",),
        window=20,
        warm_up=20,
        unit="standard deviations",
        source="Gervais, Kaniel and Mingelgrin (2001), The high-volume return premium, Journal of Finance 56",
        description="Volume against the mean of the last 20 sessions; in shares of one size, so splits do not show.",
        step=steps.z_score,
        parameters=(20,),
        state_size=44,
    )
    yield Feature(
        name="log_dollar_volume",
        group="liquidity",
        inputs=("dollar_volume",),
        window=1,
        warm_up=1,
        unit="log USD",
        scale_free=False,
        source="Brennan, Chordia and Subrahmanyam (1998), Alternative factor specifications",
        description="Logarithm of close times volume, as traded; NaN for a bar without trade.",
        step=steps.log_positive,
    )
    yield Feature(
        name="amihud_21",
        group="liquidity",
        inputs=("log_return", "dollar_volume"),
        window=22,
        warm_up=22,
        unit="log10 of return per million USD",
        scale_free=False,
        source="Amihud (2002), Illiquidity and stock returns, Journal of Financial Markets 5",
        description="Mean absolute return per million USD traded over 21 sessions with trade, logarithm.",
        step=steps.illiquidity,
        parameters=(21,),
        state_size=24,
    )
    yield Feature(
        name="overnight_gap",
        group="return",
        inputs=("open", "previous"),
        window=2,
        warm_up=2,
        unit="fraction",
        source="Lou, Polk and Skouras (2019), A tug of war: overnight versus intraday expected returns",
        description="Return from the last close to the open.",
        step=steps.overnight_gap,
    )


def _against_market() -> Iterator[Feature]:
    yield Feature(
        name="beta_252",
        group="market",
        inputs=("simple_return", "market_return"),
        window=253,
        warm_up=253,
        unit="return per market return",
        source="Sharpe (1964), Capital asset prices, Journal of Finance 19",
        description="Slope of daily returns on the market's over 252 sessions.",
        step=steps.market_beta,
        parameters=(252,),
        state_size=5 * 252 + 7,
    )
    yield Feature(
        name="residual_momentum",
        group="market",
        inputs=("simple_return", "market_return"),
        window=253,
        warm_up=253,
        unit="standard deviations",
        source="Blitz, Huij and Martens (2011), Residual momentum, Journal of Empirical Finance 18",
        description="Sum of the returns the market does not explain, from 252 to 21 sessions ago, over their spread.",
        step=steps.residual_momentum,
        parameters=(252, 21),
        state_size=5 * 252 + 7 + 2 * 24,
    )


def _ranks() -> Iterator[Feature]:
    for base in (*_returns(), *_volatility(), *_liquidity()):
        if base.name in {"ret_5", "ret_21", "mom_12_1", "realised_vol_21", "volume_z_20"}:
            yield Feature(
                name=f"rank_{base.name}",
                group="rank",
                kind="cross_section",
                inputs=(base.name,),
                window=base.window,
                warm_up=base.warm_up,
                unit="-0.5 lowest to 0.5 highest",
                missing="NaN where the ranked feature is NaN or no other instrument has it; such rows are not peers",
                source="Kelly, Pruitt and Su (2019), Characteristics are covariances, Journal of Financial Economics",
                description=f"Rank of {base.name} among the instruments of the session known by then, ties averaged.",
            )


def _calendar() -> Iterator[Feature]:
    source = "Ariel (1987), A monthly effect in stock returns; exchange_calendars"
    missing = "NaN on a day the exchange calendar does not hold"
    rows = (
        ("day_of_week", "weekday", steps.as_is, "0 Monday to 4 Friday", "Day of the week of the session."),
        ("month_sin", "month_share", steps.turn_sine, "-1 to 1", "Place of the session in its month, sine of a turn."),
        ("month_cos", "month_share", steps.turn_cosine, "-1 to 1", "Place of the session in its month, cosine."),
        ("month_left", "month_left", steps.as_is, "sessions", "Sessions left in the month after this one."),
    )
    for name, value, step, unit, description in rows:
        yield Feature(
            name=name,
            group="calendar",
            inputs=(value,),
            window=1,
            warm_up=1,
            unit=unit,
            missing=missing,
            source=source,
            description=description,
            step=step,
        )


def _macro() -> Iterator[Feature]:
    missing = "NaN where no value of the last ten days was known with the bar; the bar is skipped"
    yield Feature(
        name="vix",
        group="macro",
        inputs=("vix",),
        window=1,
        warm_up=1,
        unit="index points",
        missing=missing,
        source="Cboe (2019), VIX White Paper",
        description="Newest VIX close known with the bar; at a 16:00 close that is the day before's, of 16:15.",
        step=steps.as_is,
    )
    yield Feature(
        name="vix_change_5",
        group="macro",
        inputs=("vix",),
        window=6,
        warm_up=6,
        unit="index points",
        missing=missing,
        source="Cboe (2019), VIX White Paper",
        description="Change of the VIX known with the bar over five sessions.",
        step=steps.difference,
        parameters=(5,),
        state_size=7,
    )
    yield Feature(
        name="us10y_change_21",
        group="macro",
        inputs=("us10y",),
        window=22,
        warm_up=22,
        unit="fraction a year",
        missing=missing,
        source="US Treasury, daily par yield curve rates",
        description="Change of the 10-year Treasury yield known with the bar over 21 sessions.",
        step=steps.difference,
        parameters=(21,),
        state_size=23,
    )


def features() -> Iterator[Feature]:
    """The daily features of the main job, in the order models see them."""
    for family in (_returns, _trend, _bands, _volatility, _liquidity, _against_market, _ranks, _calendar, _macro):
        yield from family()
