"""Steps on items of companies' reports: ratios of what was known with the bar."""

import math

from project01.domain import FloatArray


def ratio(state: FloatArray, at: int, top: float, bottom: float) -> float:  # noqa: ARG001
    """`top` over `bottom`; NaN unless `bottom` is positive."""
    return top / bottom if bottom > 0.0 else math.nan


def over_market_cap(state: FloatArray, at: int, amount: float, shares: float, raw_close: float) -> float:  # noqa: ARG001
    """An amount over the market's value of all shares."""
    return amount / (shares * raw_close) if shares > 0.0 else math.nan


def positive_over_market_cap(state: FloatArray, at: int, amount: float, shares: float, raw_close: float) -> float:
    """As `over_market_cap`; NaN unless the amount is positive."""
    return over_market_cap(state, at, amount, shares, raw_close) if amount > 0.0 else math.nan


def difference_over_market_cap(
    state: FloatArray, at: int, amount: float, less: float, shares: float, raw_close: float
) -> float:
    """An amount less another over the market's value of all shares."""
    return over_market_cap(state, at, amount - less, shares, raw_close)


def net_payout(
    state: FloatArray, at: int, dividends: float, repurchases: float, issued: float, shares: float, raw_close: float
) -> float:
    """What shareholders got less what they paid in, over the market's value of all shares."""
    return over_market_cap(state, at, dividends + repurchases - issued, shares, raw_close)


def over_enterprise_value(
    state: FloatArray,  # noqa: ARG001
    at: int,  # noqa: ARG001
    amount: float,
    debt: float,
    cash: float,
    shares: float,
    raw_close: float,
) -> float:
    """An amount over market value and debt less cash; NaN unless that is positive."""
    value = shares * raw_close + debt - cash
    return amount / value if value > 0.0 and shares > 0.0 else math.nan


def log_market_cap(state: FloatArray, at: int, shares: float, raw_close: float) -> float:  # noqa: ARG001
    """Natural logarithm of the market's value of all shares."""
    return math.log(shares * raw_close) if shares > 0.0 else math.nan


def growth(state: FloatArray, at: int, now: float, before: float) -> float:  # noqa: ARG001
    """`now` over `before`, less one; NaN unless `before` is positive."""
    return now / before - 1.0 if before > 0.0 else math.nan


def even_growth(state: FloatArray, at: int, now: float, before: float) -> float:  # noqa: ARG001
    """Change over the mean of both amounts' sizes, -2 to 2: growth of what may be negative; NaN where both are zero."""
    size = 0.5 * (abs(now) + abs(before))
    return (now - before) / size if size > 0.0 else math.nan


def log_change(state: FloatArray, at: int, now: float, before: float) -> float:  # noqa: ARG001
    """Logarithm of `now` over `before`; NaN unless both are positive."""
    return math.log(now / before) if now > 0.0 and before > 0.0 else math.nan


def ratio_change(
    state: FloatArray,  # noqa: ARG001
    at: int,  # noqa: ARG001
    top: float,
    bottom: float,
    top_before: float,
    bottom_before: float,
) -> float:
    """A ratio less the same ratio of before; NaN unless both denominators are positive."""
    if bottom <= 0.0 or bottom_before <= 0.0:
        return math.nan
    return top / bottom - top_before / bottom_before


def accruals(
    state: FloatArray,  # noqa: ARG001
    at: int,  # noqa: ARG001
    income: float,
    cash_flow: float,
    assets: float,
    assets_before: float,
) -> float:
    """Income that did not come in as cash, over mean assets; NaN unless those are positive."""
    mean = 0.5 * (assets + assets_before)
    return (income - cash_flow) / mean if mean > 0.0 else math.nan


def standardised_change(state: FloatArray, at: int, now: float, before: float, spread: float) -> float:  # noqa: ARG001
    """Change in standard deviations of former changes; NaN where those had no spread."""
    return (now - before) / spread if spread > 0.0 else math.nan
