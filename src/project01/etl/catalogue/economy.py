"""The economy set: macro series and spreads as they were known.

Growth on the year sets the newest value against the value of twelve months before as both stood then, so one vintage
against itself. A revision counts from its own knowledge time on.
"""

from collections.abc import Callable, Iterator

from project01.etl import steps_economy as own
from project01.etl.feature import Feature
from project01.etl.steps import as_is, difference, z_score

_MISSING = (
    "NaN where no value was known with the bar that was fresh enough (daily series 10 days, weekly 24, monthly 70, "
    "quarterly 200); the bar is skipped"
)
_CHEN = "Chen, Roll and Ross (1986), Economic forces and the stock market, Journal of Business 59"
_FAMA = "Fama and French (1989), Business conditions and expected returns on stocks and bonds, J. of Financial Econ. 25"
_ESTRELLA = "Estrella and Hardouvelis (1991), The term structure as a predictor of real economic activity, JF 46"
_SHORT = "Campbell (1987), Stock returns and the term structure, Journal of Financial Economics 18"
_BOYD = "Boyd, Hu and Jagannathan (2005), The stock market's reaction to unemployment news, Journal of Finance 60"
_CBOE = "Cboe (2019), VIX White Paper"

_Row = tuple[str, Callable[..., float], tuple[str, ...], int, int, str, str, str]
_RATES: tuple[_Row, ...] = (
    ("term_spread_10y_3m", own.spread, ("us10y", "us3m"), 0, 0, "fraction a year", _ESTRELLA,
     "10-year less 3-month Treasury yield."),
    ("term_spread_10y_2y", own.spread, ("us10y", "us2y"), 0, 0, "fraction a year", _ESTRELLA,
     "10-year less 2-year Treasury yield."),
    ("term_spread_change_63", own.spread_change, ("us10y", "us2y"), 63, 65, "fraction a year", _ESTRELLA,
     "Change of the 10-year less the 2-year yield over 63 sessions."),
    ("credit_spread", own.spread, ("baa", "aaa"), 0, 0, "fraction a year", _FAMA,
     "Baa less Aaa corporate yield, month's means."),
    ("credit_spread_change_63", own.spread_change, ("baa", "aaa"), 63, 65, "fraction a year", _CHEN,
     "Change of the Baa less the Aaa yield over 63 sessions."),
    ("short_rate", as_is, ("us3m",), 0, 0, "fraction a year", _SHORT, "3-month Treasury yield."),
    ("short_rate_change_21", difference, ("us3m",), 21, 23, "fraction a year", _SHORT,
     "Change of the 3-month Treasury yield over 21 sessions."),
    ("long_rate", as_is, ("us10y",), 0, 0, "fraction a year", _FAMA, "10-year Treasury yield."),
    ("real_long_rate", own.spread, ("us10y", "inflation"), 0, 0, "fraction a year", _CHEN,
     "10-year Treasury yield less inflation of the year before."),
    ("real_short_rate", own.spread, ("us3m", "inflation"), 0, 0, "fraction a year", _CHEN,
     "3-month Treasury yield less inflation of the year before."),
    ("fed_funds_change_12m", as_is, ("fed_funds_change_12m",), 0, 0, "fraction a year",
     "Patelis (1997), Stock return predictability and the role of monetary policy, Journal of Finance 52",
     "Change of the federal funds rate on the year, month's means."),
)  # fmt: skip
_ACTIVITY: tuple[_Row, ...] = (
    ("inflation_yoy", as_is, ("inflation",), 0, 0, "fraction a year", _CHEN, "Growth of consumer prices on the year."),
    ("core_inflation_yoy", as_is, ("core_inflation",), 0, 0, "fraction a year", _CHEN,
     "Growth of consumer prices without food and energy on the year."),
    ("unemployment_rate", as_is, ("unemployment",), 0, 0, "fraction", _BOYD, "Unemployment rate."),
    ("unemployment_change_12m", as_is, ("unemployment_change_12m",), 0, 0, "fraction", _BOYD,
     "Change of the unemployment rate on the year."),
    ("unemployment_change_3m", as_is, ("unemployment_change_3m",), 0, 0, "fraction",
     "Sahm (2019), Direct stimulus payments to individuals, Brookings", "Change of the rate over three months."),
    ("industrial_production_yoy", as_is, ("industrial_production_growth",), 0, 0, "fraction a year", _CHEN,
     "Growth of industrial production on the year."),
    ("payrolls_yoy", as_is, ("payrolls_growth",), 0, 0, "fraction a year", _BOYD,
     "Growth of non-farm employees on the year."),
    ("money_yoy", as_is, ("money_growth",), 0, 0, "fraction a year",
     "Flannery and Protopapadakis (2002), Macroeconomic factors do influence aggregate stock returns, RFS 15",
     "Growth of M2 on the year."),
    ("housing_starts_yoy", as_is, ("housing_starts_growth",), 0, 0, "fraction a year",
     "Leamer (2007), Housing is the business cycle, NBER 13428", "Growth of homes begun on the year."),
    ("gdp_yoy", as_is, ("gdp_growth",), 0, 0, "fraction a year",
     "Croushore and Stark (2001), A real-time data set for macroeconomists, Journal of Econometrics 105",
     "Growth of real domestic product on the year."),
    ("jobless_claims_change_63", own.log_growth, ("jobless_claims",), 63, 65, "log", _BOYD,
     "Logarithmic change of initial claims over 63 sessions."),
    ("oil_change_63", own.log_growth, ("oil",), 63, 65, "log",
     "Driesprong, Jacobsen and Maat (2008), Striking oil: another puzzle?, Journal of Financial Economics 89",
     "Logarithmic change of the price of West Texas oil over 63 sessions."),
)  # fmt: skip
_FEAR: tuple[_Row, ...] = (
    ("vix_change_21", difference, ("vix",), 21, 23, "index points", _CBOE, "Change of the VIX over 21 sessions."),
    ("vix_z_252", z_score, ("vix",), 252, 2 * 252 + 4, "standard deviations", _CBOE,
     "Distance of the VIX from its mean of 252 sessions."),
    ("vix_term", own.log_ratio, ("vix3m", "vix"), 0, 0, "log",
     "Johnson (2017), Risk premia and the VIX term structure, Journal of Financial and Quantitative Analysis 52",
     "Logarithm of the 3-month VIX over the VIX; below 0 in a crisis."),
    ("variance_premium_21", own.variance_premium, ("vix", "market_return"), 21, 24, "fraction a year",
     "Bollerslev, Tauchen and Zhou (2009), Expected stock returns and variance risk premia, RFS 22",
     "VIX squared less the mean squared return of the market over 21 sessions, a year's."),
)  # fmt: skip
# Values that look back one bar further than the window's name says.
_LAGGING = (difference, own.spread_change, own.log_growth)


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    for group, rows in (("rates", _RATES), ("activity", _ACTIVITY), ("fear", _FEAR)):
        for name, step, inputs, window, state_size, unit, source, description in rows:
            length = max(window + (1 if step in _LAGGING else 0), 1)
            yield Feature(
                name=name,
                group=group,
                inputs=inputs,
                window=length,
                warm_up=length,
                unit=unit,
                missing=_MISSING,
                source=source,
                description=description,
                step=step,
                parameters=(window,) if window else (),
                state_size=state_size,
            )
