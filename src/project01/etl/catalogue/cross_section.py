"""The cross-section set: instruments against the market, and against each other."""

from collections.abc import Callable, Iterator

from project01.etl import steps, steps_market
from project01.etl.catalogue import core
from project01.etl.feature import Across, Feature

_UNITS: dict[Across, str] = {
    "rank": "-0.5 lowest to 0.5 highest",
    "demean": "unit of the compared feature",
    "z_score": "standard deviations",
    "industry_rank": "-0.5 lowest to 0.5 highest",
    "industry_demean": "unit of the compared feature",
}
_SOURCES: dict[Across, str] = {
    "rank": "Kelly, Pruitt and Su (2019), Characteristics are covariances, Journal of Financial Economics 134",
    "demean": "Rosenberg (1974), Extra-market components of covariance in security returns",
    "z_score": "Grinold and Kahn (2000), Active Portfolio Management, chapter 11",
    "industry_rank": "Moskowitz and Grinblatt (1999), Do industries explain momentum?, Journal of Finance 54",
    "industry_demean": "Asness, Porter and Stevens (2000), Predicting stock returns using industry-relative firm data",
}
_WORDS: dict[Across, str] = {
    "rank": "Rank of {} among the instruments of the session known by then, ties averaged.",
    "demean": "{} less its mean over the instruments of the session known by then.",
    "z_score": "{} less its mean over the instruments of the session known by then, in their standard deviations.",
    "industry_rank": "Rank of {} within the instrument's industry, among those known by then.",
    "industry_demean": "{} less its mean within the instrument's industry, over those known by then.",
}
# What is compared, and how; a name stands in the core set.
_COMPARED: dict[Across, tuple[str, ...]] = {
    "rank": ("ret_1", "ret_63", "ret_252", "rsi_14", "amihud_21", "beta_252", "residual_momentum", "log_dollar_volume"),
    "demean": ("ret_5", "ret_21"),
    "z_score": ("ret_1", "ret_21", "realised_vol_21", "volume_z_20"),
    "industry_rank": ("ret_5", "ret_21", "mom_12_1", "realised_vol_21"),
    "industry_demean": ("ret_1", "ret_5", "ret_21", "ret_63", "mom_12_1"),
}


def _market(
    name: str,
    step: Callable[..., float],
    window: int,
    state_size: int,
    unit: str,
    source: str,
    description: str,
    recent: int | None = None,
) -> Feature:
    return Feature(
        name=name,
        group="market_relative",
        inputs=("simple_return", "market_return"),
        window=window + 1,
        warm_up=window + 1,
        unit=unit,
        source=source,
        description=description,
        step=step,
        parameters=(window,) if recent is None else (window, recent),
        state_size=state_size,
    )


def _against_market() -> Iterator[Feature]:
    slope = "return per market return"
    for window in (21, 63, 126):
        yield _market(
            f"beta_{window}", steps.market_beta, window, 5 * window + 7, slope,
            "Sharpe (1964), Capital asset prices, Journal of Finance 19",
            f"Slope of daily returns on the market's over {window} sessions.",
        )  # fmt: skip
    for window in (63, 252):
        yield _market(
            f"market_correlation_{window}", steps_market.market_correlation, window, 5 * window + 7, "-1 to 1",
            "Frazzini and Pedersen (2014), Betting against beta, Journal of Financial Economics 111",
            f"Correlation of daily returns with the market's over {window} sessions.",
        )  # fmt: skip
    for window in (21, 63, 252):
        yield _market(
            f"idio_vol_{window}", steps_market.idiosyncratic_volatility, window, 5 * window + 7, "fraction a year",
            "Ang, Hodrick, Xing and Zhang (2006), The cross-section of volatility and expected returns",
            f"Standard deviation of the returns the market does not explain, {window} sessions, times the root of 252.",
        )  # fmt: skip
    yield _market(
        "downside_beta_252", steps_market.downside_beta, 252, 3 * 252 + 5, slope,
        "Ang, Chen and Xing (2006), Downside risk, Review of Financial Studies 19",
        "Slope on the market's returns over the sessions of 252 in which the market did worse than its mean.",
    )  # fmt: skip
    yield _market(
        "coskewness_252", steps_market.coskewness, 252, 7 * 252 + 13, "1",
        "Harvey and Siddique (2000), Conditional skewness in asset pricing tests, Journal of Finance 55",
        "Residual return times squared market return, standardised, over 252 sessions.",
    )  # fmt: skip
    for window, recent in ((63, 5), (252, 21)):
        yield _market(
            f"residual_ret_{recent}", steps_market.residual_return, window, 5 * window + 13 + 2 * recent, "fraction",
            "Blitz, Huij, Lansdorp and Verbeek (2013), Short-term residual reversal, Journal of Financial Markets 16",
            f"Return of the last {recent} sessions the market does not explain; slope of {window} sessions.",
            recent,
        )  # fmt: skip


def _comparisons() -> Iterator[Feature]:
    known = {feature.name: feature for feature in core.features()}
    for across, names in _COMPARED.items():
        for name in names:
            base = known[name]
            yield Feature(
                name=f"{across}_{name}",
                group="comparison",
                kind="cross_section",
                across=across,
                inputs=(name,),
                window=base.window,
                warm_up=base.warm_up,
                unit=_UNITS[across],
                missing="NaN where the compared feature is NaN or no other instrument has it; such rows are not peers",
                scale_free=base.scale_free or across == "rank",
                source=_SOURCES[across],
                description=_WORDS[across].format(name),
            )


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    yield from _against_market()
    yield from _comparisons()
