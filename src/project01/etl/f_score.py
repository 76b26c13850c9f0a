"""Piotroski's score out of whatever signals a company's reports allow."""

from collections.abc import Mapping

import numpy as np

from project01.domain import FloatArray

# A share of fewer signals says too little.
FEWEST_SIGNALS = 5


def f_score(items: Mapping[str, FloatArray]) -> FloatArray:
    """Share of Piotroski's nine signals that are good, among those the items allow to judge.

    Assets are those of the end of each year. A signal that lacks an item is not judged.

    Args:
        items: by name, shape (n_rows,) each.
    Returns:
        Shape (n_rows,), 0 to 1; NaN with fewer than `FEWEST_SIGNALS` signals.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = _ratios(items, ""), _ratios(items, "_before")
        cash = items["operating_cash_flow_ttm"]
        signals = (
            items["net_income_ttm"],
            cash,
            now["return"] - before["return"],
            cash - items["net_income_ttm"],
            before["leverage"] - now["leverage"],
            now["current"] - before["current"],
            # No new shares: equal counts are good.
            np.where(items["shares"] <= items["shares_before"], 1.0, items["shares_before"] - items["shares"]),
            now["margin"] - before["margin"],
            now["turnover"] - before["turnover"],
        )
    judged = sum(np.isfinite(signal).astype(np.float64) for signal in signals)
    good = sum((signal > 0.0).astype(np.float64) for signal in signals)
    found: FloatArray = np.where(judged >= FEWEST_SIGNALS, good / np.maximum(judged, 1.0), np.nan)
    return found


def _ratios(items: Mapping[str, FloatArray], when: str) -> dict[str, FloatArray]:
    assets, revenue = items[f"assets{when}"], items[f"revenue_ttm{when}"]
    return {
        "return": items[f"net_income_ttm{when}"] / assets,
        "leverage": items[f"long_term_debt{when}"] / assets,
        "current": items[f"current_assets{when}"] / items[f"current_liabilities{when}"],
        "margin": items[f"gross_profit_ttm{when}"] / revenue,
        "turnover": revenue / assets,
    }
