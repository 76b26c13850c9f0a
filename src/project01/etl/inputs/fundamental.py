"""Items of companies' reports, each as it was known with the bar.

A year is the trailing one: the newest twelve months of which the net income is known. Year before: the twelve months
before those; a year before: the balance sheet or the count of shares of that time, as known now.
"""

from collections.abc import Iterator

from project01.etl.inputs.declaration import Input

_YEARS = (
    ("revenue", "Revenue"),
    ("gross_profit", "Revenue less its cost"),
    ("operating_income", "Operating income"),
    ("net_income", "Net income"),
    ("operating_cash_flow", "Cash from operations"),
)
_ONE_YEAR = (
    ("capital_expenditure", "Cash paid for plant and equipment"),
    ("dividends", "Cash paid as dividends"),
    ("repurchases", "Cash paid for own shares"),
    ("issuance", "Cash from new shares"),
    ("research", "Expense on research and development"),
)
_BALANCES = (
    ("assets", "Assets"),
    ("liabilities", "Liabilities; assets less equity where they are not told"),
    ("equity", "Equity of the shareholders"),
)
_ONE_BALANCE = (
    ("current_assets", "Assets that are due within a year"),
    ("current_liabilities", "Liabilities that are due within a year"),
    ("cash", "Cash and equivalents"),
    ("long_term_debt", "Long-term debt"),
)
_QUARTERS = (
    ("net_income_quarter", "Net income of the newest quarter."),
    ("net_income_quarter_before", "Net income of the same quarter a year before."),
    ("net_income_change_spread", "Standard deviation of the last 8 changes of a quarter's net income on the year."),
    ("revenue_quarter", "Revenue of the newest quarter."),
    ("revenue_quarter_before", "Revenue of the same quarter a year before."),
)


def _items() -> Iterator[tuple[str, str, str]]:
    for name, what in (*_YEARS, *_ONE_YEAR):
        yield f"{name}_ttm", "USD", f"{what}, trailing year."
    for name, what in _YEARS:
        yield f"{name}_ttm_before", "USD", f"{what}, year before the trailing one."
    for name, what in (*_BALANCES, *_ONE_BALANCE):
        yield name, "USD", f"{what}."
    for name, what in _BALANCES:
        yield f"{name}_before", "USD", f"{what}; a year before."
    for name, what in _QUARTERS:
        yield name, "USD", what
    yield "shares", "shares", "Shares outstanding, in shares of the bar's day."
    yield "shares_before", "shares", "Shares outstanding a year before, in shares of the bar's day."
    yield "f_score_share", "0 to 1", "Share of Piotroski's signals that are good, among those that can be judged."
    yield "days_since_report", "days", "Since a number of the company last became known."


FUNDAMENTAL = tuple(
    Input(name=name, family="fundamental", unit=unit, description=description) for name, unit, description in _items()
)
