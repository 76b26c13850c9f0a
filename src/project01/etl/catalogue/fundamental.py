"""The fundamental set: ratios from reports as they were known.

Every value rests on the newest numbers known with the bar; nothing is smoothed, so there is no warm-up beyond the first
report. Market values are shares as last told, in shares of the bar's day, times the close as traded: a split changes
both and so no ratio.
"""

from collections.abc import Callable, Iterator

from project01.etl import steps_fundamental as steps
from project01.etl.feature import Feature
from project01.etl.steps import as_is

_MISSING = (
    "NaN at a bar with which an item was not known or is about a time more than 460 days before, or where a denominator"
    " is not positive"
)
_BASU = "Basu (1977), Investment performance of common stocks in relation to their price-earnings ratios, J. of Finance"
_FAMA = "Fama and French (1992), The cross-section of expected stock returns, Journal of Finance 47"
_LAKONISHOK = "Lakonishok, Shleifer and Vishny (1994), Contrarian investment, extrapolation, and risk, J. of Finance 49"
_SLOAN = "Sloan (1996), Do stock prices fully reflect information in accruals and cash flows, Accounting Review 71"
_SOLIMAN = "Soliman (2008), The use of DuPont analysis by market participants, Accounting Review 83"
_FIVE = "Fama and French (2015), A five-factor asset pricing model, Journal of Financial Economics 116"
_NOVY = "Novy-Marx (2013), The other side of value: the gross profitability premium, Journal of Financial Economics 108"
_PAYOUT = "Boudoukh, Michaely, Richardson and Roberts (2007), On the importance of measuring payout yield, JF 62"
_PIOTROSKI = "Piotroski (2000), Value investing: the use of historical financial statement information, J. of Acc. Res."
_FOSTER = "Foster, Olsen and Shevlin (1984), Earnings releases, anomalies, and the behavior of security returns, TAR 59"
_LOUGHRAN = (
    "Loughran and Wellman (2011), New evidence on the relation between the enterprise multiple and average stock "
    "returns, JFQA 46"
)

_Row = tuple[str, Callable[..., float], tuple[str, ...], str, str, str]
_CAP = ("shares", "raw_close")
_VALUATION: tuple[_Row, ...] = (
    (
        "earnings_yield", steps.over_market_cap, ("net_income_ttm", *_CAP), "fraction a year", _BASU,
        "Net income of the trailing year over market value.",
    ),
    (
        "book_to_market", steps.positive_over_market_cap, ("equity", *_CAP), "fraction", _FAMA,
        "Equity over market value; NaN where equity is not positive.",
    ),
    (
        "sales_to_price", steps.over_market_cap, ("revenue_ttm", *_CAP), "fraction a year",
        "Barbee, Mukherji and Raines (1996), Do sales-price and debt-equity explain stock returns better, FAJ 52",
        "Revenue of the trailing year over market value.",
    ),
    (
        "cash_flow_to_price", steps.over_market_cap, ("operating_cash_flow_ttm", *_CAP), "fraction a year", _LAKONISHOK,
        "Cash from operations of the trailing year over market value.",
    ),
    (
        "free_cash_flow_yield", steps.difference_over_market_cap,
        ("operating_cash_flow_ttm", "capital_expenditure_ttm", *_CAP), "fraction a year", _LAKONISHOK,
        "Cash from operations less capital expenditure, trailing year, over market value.",
    ),
    (
        "operating_income_to_enterprise_value", steps.over_enterprise_value,
        ("operating_income_ttm", "long_term_debt", "cash", *_CAP), "fraction a year",
        _LOUGHRAN,
        "Operating income of the trailing year over market value and long-term debt less cash.",
    ),
    (
        "research_to_price", steps.over_market_cap, ("research_ttm", *_CAP), "fraction a year",
        "Chan, Lakonishok and Sougiannis (2001), The stock market valuation of research and development, J. of Finance",
        "Research and development of the trailing year over market value.",
    ),
    (
        "log_market_cap", steps.log_market_cap, _CAP, "log USD",
        "Banz (1981), The relationship between return and market value of common stocks, J. of Financial Economics 9",
        "Natural logarithm of shares outstanding times the close.",
    ),
    (
        "dividend_yield", steps.over_market_cap, ("dividends_ttm", *_CAP), "fraction a year",
        "Litzenberger and Ramaswamy (1979), The effect of personal taxes and dividends on capital asset prices, JFE 7",
        "Dividends paid in the trailing year over market value.",
    ),
    (
        "net_payout_yield", steps.net_payout, ("dividends_ttm", "repurchases_ttm", "issuance_ttm", *_CAP),
        "fraction a year", _PAYOUT,
        "Dividends and repurchases less issuance of the trailing year, over market value; NaN unless all are told.",
    ),
    (
        "earnings_surprise", steps.difference_over_market_cap,
        ("net_income_quarter", "net_income_quarter_before", *_CAP), "fraction",
        "Livnat and Mendenhall (2006), Comparing the post-earnings announcement drift, J. of Accounting Research 44",
        "Change of the newest quarter's net income on the year, over market value.",
    ),
)  # fmt: skip
_QUALITY: tuple[_Row, ...] = (
    (
        "return_on_equity", steps.ratio, ("net_income_ttm", "equity"), "fraction a year", _SOLIMAN,
        "Net income of the trailing year over equity.",
    ),
    (
        "return_on_assets", steps.ratio, ("net_income_ttm", "assets"), "fraction a year", _SOLIMAN,
        "Net income of the trailing year over assets.",
    ),
    (
        "gross_profitability", steps.ratio, ("gross_profit_ttm", "assets"), "fraction a year", _NOVY,
        "Gross profit of the trailing year over assets.",
    ),
    (
        "operating_profitability", steps.ratio, ("operating_income_ttm", "equity"), "fraction a year", _FIVE,
        "Operating income of the trailing year over equity.",
    ),
    (
        "cash_return_on_assets", steps.ratio, ("operating_cash_flow_ttm", "assets"), "fraction a year", _SLOAN,
        "Cash from operations of the trailing year over assets.",
    ),
    (
        "gross_margin", steps.ratio, ("gross_profit_ttm", "revenue_ttm"), "fraction", _NOVY,
        "Gross profit over revenue, trailing year.",
    ),
    (
        "operating_margin", steps.ratio, ("operating_income_ttm", "revenue_ttm"), "fraction", _SOLIMAN,
        "Operating income over revenue, trailing year.",
    ),
    (
        "net_margin", steps.ratio, ("net_income_ttm", "revenue_ttm"), "fraction", _SOLIMAN,
        "Net income over revenue, trailing year.",
    ),
    (
        "asset_turnover", steps.ratio, ("revenue_ttm", "assets"), "turns a year", _SOLIMAN,
        "Revenue of the trailing year over assets.",
    ),
    (
        "accruals", steps.accruals, ("net_income_ttm", "operating_cash_flow_ttm", "assets", "assets_before"),
        "fraction a year", _SLOAN + "; cash flow form of Hribar and Collins (2002)",
        "Net income less cash from operations, trailing year, over mean assets.",
    ),
    (
        "f_score", as_is, ("f_score_share",), "0 to 1", _PIOTROSKI,
        "Share of Piotroski's nine signals that are good, among those that can be judged, of which there must be 5.",
    ),
    (
        "days_since_report", as_is, ("days_since_report",), "days",
        "Bernard and Thomas (1989), Post-earnings-announcement drift, Journal of Accounting Research 27",
        "Days since a number of the company last became known.",
    ),
)  # fmt: skip
_GROWTH: tuple[_Row, ...] = (
    (
        "revenue_growth", steps.growth, ("revenue_ttm", "revenue_ttm_before"), "fraction a year", _LAKONISHOK,
        "Revenue of the trailing year over that of the year before, less one.",
    ),
    (
        "revenue_growth_quarter", steps.growth, ("revenue_quarter", "revenue_quarter_before"), "fraction a year",
        "Jegadeesh and Livnat (2006), Revenue surprises and stock returns, Journal of Accounting and Economics 41",
        "Revenue of the newest quarter over that of the same quarter a year before, less one.",
    ),
    (
        "earnings_growth", steps.even_growth, ("net_income_ttm", "net_income_ttm_before"), "-2 to 2",
        "Davis, Haltiwanger and Schuh (1996), Job Creation and Destruction",
        "Change of the trailing year's net income on the year before, over the mean of their sizes.",
    ),
    (
        "cash_flow_growth", steps.even_growth, ("operating_cash_flow_ttm", "operating_cash_flow_ttm_before"), "-2 to 2",
        "Davis, Haltiwanger and Schuh (1996), Job Creation and Destruction",
        "Change of the trailing year's cash from operations on the year before, over the mean of their sizes.",
    ),
    (
        "asset_growth", steps.growth, ("assets", "assets_before"), "fraction a year",
        "Cooper, Gulen and Schill (2008), Asset growth and the cross-section of stock returns, Journal of Finance 63",
        "Assets over those of a year before, less one.",
    ),
    (
        "equity_growth", steps.growth, ("equity", "equity_before"), "fraction a year", _LAKONISHOK,
        "Equity over that of a year before, less one.",
    ),
    (
        "gross_margin_change", steps.ratio_change,
        ("gross_profit_ttm", "revenue_ttm", "gross_profit_ttm_before", "revenue_ttm_before"), "fraction", _PIOTROSKI,
        "Gross margin of the trailing year less that of the year before.",
    ),
    (
        "operating_margin_change", steps.ratio_change,
        ("operating_income_ttm", "revenue_ttm", "operating_income_ttm_before", "revenue_ttm_before"), "fraction",
        _SOLIMAN, "Operating margin of the trailing year less that of the year before.",
    ),
    (
        "standardised_earnings_surprise", steps.standardised_change,
        ("net_income_quarter", "net_income_quarter_before", "net_income_change_spread"), "standard deviations", _FOSTER,
        "Change of the newest quarter's net income on the year, in standard deviations of the 8 changes before.",
    ),
)  # fmt: skip
_BALANCE: tuple[_Row, ...] = (
    (
        "liabilities_to_assets", steps.ratio, ("liabilities", "assets"), "fraction",
        "Ohlson (1980), Financial ratios and the probabilistic prediction of bankruptcy, J. of Accounting Research 18",
        "Liabilities over assets.",
    ),
    (
        "debt_to_equity", steps.ratio, ("long_term_debt", "equity"), "fraction",
        "Bhandari (1988), Debt/equity ratio and expected common stock returns, Journal of Finance 43",
        "Long-term debt over equity.",
    ),
    (
        "liabilities_to_assets_change", steps.ratio_change,
        ("liabilities", "assets", "liabilities_before", "assets_before"), "fraction", _PIOTROSKI,
        "Liabilities over assets, less the same a year before.",
    ),
    (
        "current_ratio", steps.ratio, ("current_assets", "current_liabilities"), "fraction",
        "Ou and Penman (1989), Financial statement analysis and the prediction of stock returns, J. of Acc. and Econ.",
        "Current assets over current liabilities.",
    ),
    (
        "cash_to_assets", steps.ratio, ("cash", "assets"), "fraction",
        "Palazzo (2012), Cash holdings, risk, and expected returns, Journal of Financial Economics 104",
        "Cash and equivalents over assets.",
    ),
    (
        "share_issuance", steps.log_change, ("shares", "shares_before"), "log a year",
        "Pontiff and Woodgate (2008), Share issuance and cross-sectional returns, Journal of Finance 63",
        "Logarithm of shares outstanding over those of a year before, both in shares of the bar's day.",
    ),
)  # fmt: skip
_FAMILIES = (
    ("valuation", _VALUATION),
    ("profitability", _QUALITY),
    ("growth", _GROWTH),
    ("balance sheet", _BALANCE),
)


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    for group, rows in _FAMILIES:
        for name, step, inputs, unit, source, description in rows:
            yield Feature(
                name=name,
                group=group,
                inputs=inputs,
                window=1,
                warm_up=1,
                unit=unit,
                missing=_MISSING,
                scale_free="raw_close" not in inputs,
                source=source,
                description=description,
                step=step,
            )
