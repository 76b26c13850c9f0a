"""Reports worked by hand: what a company's trailing year, balance sheet and shares are, and from when on."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import SchemaError
from project01.etl import Context, compute_features, feature_set, usable
from project01.etl.facts_context import known_items, splits_of

NAN = float("nan")
FIRST_OF = {3: 1, 6: 4, 9: 7, 12: 10}


def told(concept: str, value: float, end: date, filed: date, months: int = 0, unit: str = "USD") -> dict[str, object]:
    """A number filed on a day at 17:00 in London; `months` long up to its end, 0 for an instant."""
    after = end + timedelta(days=1)
    number = after.year * 12 + after.month - 1 - months
    start = None if not months else date(number // 12, number % 12 + 1, 1)
    return {
        "symbol": "A", "concept": concept, "unit": unit, "period_start": start, "period_end": end, "value": value,
        "knowledge_time": datetime.combine(filed, time(17), UTC),
    }  # fmt: skip


def facts(*rows: dict[str, object]) -> pl.DataFrame:
    schema = {"period_start": pl.Date, "period_end": pl.Date, "knowledge_time": pl.Datetime("us", "UTC")}
    return pl.DataFrame(list(rows), schema_overrides=schema)


def bars_on(*days: date, factor: list[float] | None = None, symbol: str = "A") -> pl.DataFrame:
    """Prepared bars of one instrument, known at 21:00."""
    at = [datetime.combine(day, time(21), UTC) for day in days]
    return pl.DataFrame({
        "symbol": symbol, "session": list(days), "event_time": at, "knowledge_time": at, "open": 10.0, "high": 10.0,
        "low": 10.0, "close": 10.0, "volume": 100.0, "vwap": 10.0, "factor": factor or [1.0] * len(days),
    }, schema_overrides={"knowledge_time": pl.Datetime("us", "UTC")})  # fmt: skip


def items(rows: pl.DataFrame, name: str, *days: date) -> list[float]:
    return known_items(bars_on(*days), rows, None, [name])[name].tolist()


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# A fiscal year that ends in September: Q1 is October to December.
APPLE = facts(
    told("NetIncomeLoss", 10.0, date(2013, 12, 31), date(2014, 1, 28), 3),
    told("NetIncomeLoss", 11.0, date(2014, 3, 31), date(2014, 4, 28), 3),
    told("NetIncomeLoss", 12.0, date(2014, 6, 30), date(2014, 7, 28), 3),
    told("NetIncomeLoss", 50.0, date(2014, 9, 30), date(2014, 10, 28), 12),
    told("NetIncomeLoss", 14.0, date(2014, 12, 31), date(2015, 1, 28), 3),
    told("NetIncomeLoss", 15.0, date(2015, 3, 31), date(2015, 4, 28), 3),
    told("NetIncomeLoss", 17.0, date(2015, 6, 30), date(2015, 7, 28), 3),
)


def test_trailing_year_of_a_year_that_ends_in_september() -> None:
    days = (
        date(2014, 7, 29),
        date(2014, 10, 27),
        date(2014, 10, 28),
        date(2015, 1, 28),
        date(2015, 4, 28),
        date(2015, 7, 28),
    )
    # Three quarters are no year; then the 10-K's own year; then it plus the new quarters less those a year before.
    same(items(APPLE, "net_income_ttm", *days), [NAN, NAN, 50, 54, 50 + 14 - 10 + 15 - 11, 58 + 17 - 12])


def test_the_fourth_quarter_is_the_year_less_the_first_three() -> None:
    same(items(APPLE, "net_income_quarter", date(2014, 10, 28), date(2015, 1, 28)), [50 - 10 - 11 - 12, 14])
    same(items(APPLE, "net_income_quarter_before", date(2014, 10, 28), date(2015, 1, 28)), [NAN, 10])


def test_a_number_counts_from_the_bar_after_it_was_known() -> None:
    late = APPLE.with_columns(pl.col("knowledge_time") + timedelta(hours=4, microseconds=1))
    same(items(late, "net_income_ttm", date(2014, 10, 28), date(2014, 10, 29)), [NAN, 50])


def test_a_restated_quarter_counts_from_its_own_time_on() -> None:
    restated = facts(
        *APPLE.to_dicts(), told("NetIncomeLoss", 9.0, date(2013, 12, 31), date(2015, 2, 10), 3),
    )  # fmt: skip
    days = (date(2015, 2, 9), date(2015, 2, 10), date(2015, 4, 28))
    same(items(restated, "net_income_ttm", *days), [54, 50 + 14 - 9, 50 + 14 - 9 + 15 - 11])
    same(items(restated, "net_income_quarter_before", *days), [10, 9, 11])


def test_an_amendment_before_and_after_the_bar() -> None:
    amended = facts(*APPLE.to_dicts(), told("NetIncomeLoss", 53.0, date(2014, 9, 30), date(2014, 12, 1), 12))
    same(items(amended, "net_income_ttm", date(2014, 11, 30), date(2014, 12, 1), date(2015, 1, 28)), [50, 53, 57])


def test_cash_flows_of_10_qs_are_year_to_date() -> None:
    name = "NetCashProvidedByUsedInOperatingActivities"
    rows = APPLE.to_dicts()
    for value, end, filed, months in (
        (5.0, date(2013, 12, 31), date(2014, 1, 28), 3), (12.0, date(2014, 3, 31), date(2014, 4, 28), 6),
        (20.0, date(2014, 6, 30), date(2014, 7, 28), 9), (30.0, date(2014, 9, 30), date(2014, 10, 28), 12),
        (7.0, date(2014, 12, 31), date(2015, 1, 28), 3), (16.0, date(2015, 3, 31), date(2015, 4, 28), 6),
    ):  # fmt: skip
        rows.append(told(name, value, end, filed, months))
    days = (date(2014, 10, 28), date(2015, 1, 28), date(2015, 4, 28))
    same(items(facts(*rows), "operating_cash_flow_ttm", *days), [30, 30 + 7 - 5, 30 + 16 - 12])


def test_a_missing_second_quarter_leaves_the_year_before_standing() -> None:
    """Of January to March 2015 the same quarter of 2014 is not known: the year to December stays the newest one."""
    rows = [row for row in APPLE.to_dicts() if row["period_end"] != date(2014, 3, 31)]
    same(items(facts(*rows), "net_income_ttm", date(2015, 1, 28), date(2015, 4, 28)), [54, 54])
    same(items(facts(*rows), "net_income_quarter_before", date(2015, 4, 28)), [NAN])
    without_year = [row for row in rows if row["value"] != 50.0]
    same(items(facts(*without_year), "net_income_ttm", date(2015, 1, 28), date(2015, 4, 28)), [NAN, NAN])


def test_a_company_of_10_ks_only_has_one_until_the_next_is_due() -> None:
    yearly = facts(
        told("Revenues", 100.0, date(2012, 12, 31), date(2013, 3, 10), 12),
        told("NetIncomeLoss", 10.0, date(2012, 12, 31), date(2013, 3, 10), 12),
        told("Revenues", 120.0, date(2013, 12, 31), date(2014, 3, 20), 12),
        told("NetIncomeLoss", 12.0, date(2013, 12, 31), date(2014, 3, 20), 12),
    )
    days = (date(2013, 3, 9), date(2013, 3, 10), date(2014, 3, 19), date(2014, 3, 20))
    same(items(yearly, "revenue_ttm", *days), [NAN, 100, 100, 120])
    same(items(yearly, "revenue_ttm_before", *days), [NAN, NAN, NAN, 100])
    # 460 days after 2013-12-31 is 2015-04-05.
    same(items(yearly, "revenue_ttm", date(2015, 4, 5), date(2015, 4, 6)), [120, NAN])


def test_all_items_are_of_one_year() -> None:
    """A revenue that was no longer told is not set against an income of later."""
    rows = facts(
        told("Revenues", 100.0, date(2012, 12, 31), date(2013, 3, 10), 12),
        told("NetIncomeLoss", 10.0, date(2012, 12, 31), date(2013, 3, 10), 12),
        told("NetIncomeLoss", 12.0, date(2013, 12, 31), date(2014, 3, 20), 12),
    )
    same(items(rows, "revenue_ttm", date(2014, 3, 19), date(2014, 3, 20)), [100, NAN])
    same(items(rows, "revenue_ttm_before", date(2014, 3, 20)), [100])


def test_weeks_of_52_and_53() -> None:
    """Years that end on a Saturday: the same quarter of another year ends some days off, and may have a week more."""
    rows = pl.DataFrame({
        "symbol": "A", "concept": "NetIncomeLoss", "unit": "USD",
        "period_start": [date(2011, 9, 25), date(2012, 9, 30), date(2011, 9, 25)],
        "period_end": [date(2012, 9, 29), date(2012, 12, 29), date(2011, 12, 31)],
        "value": [41.0, 13.0, 13.5],
        "knowledge_time": [datetime(2012, 10, 31, tzinfo=UTC), datetime(2013, 1, 24, tzinfo=UTC),
                           datetime(2012, 1, 25, tzinfo=UTC)],
    })  # fmt: skip
    same(items(rows, "net_income_ttm", date(2012, 11, 1), date(2013, 1, 25)), [41, 41 + 13 - 13.5])


def test_balance_sheets_are_the_newest_and_of_one_day() -> None:
    rows = facts(
        told("Assets", 100.0, date(2013, 12, 31), date(2014, 2, 1)),
        told("StockholdersEquity", 30.0, date(2013, 12, 31), date(2014, 2, 1)),
        told("AssetsCurrent", 50.0, date(2013, 12, 31), date(2014, 2, 1)),
        told("Assets", 200.0, date(2014, 12, 31), date(2015, 2, 1)),
        told("Liabilities", 150.0, date(2014, 12, 31), date(2015, 2, 1)),
        told("StockholdersEquity", 40.0, date(2014, 12, 31), date(2015, 2, 1)),
        told("Assets", 110.0, date(2013, 12, 31), date(2015, 3, 1)),
    )
    days = (date(2014, 2, 1), date(2015, 2, 1), date(2015, 3, 1))
    same(items(rows, "assets", *days), [100, 200, 200])
    same(items(rows, "assets_before", *days), [NAN, 100, 110])
    same(items(rows, "liabilities", *days), [70, 150, 150])
    same(items(rows, "current_assets", *days), [50, NAN, NAN])


def test_the_better_concept_wins_and_is_never_replaced_by_a_worse_one() -> None:
    end = date(2013, 12, 31)
    rows = facts(
        told("NetIncomeLoss", 1.0, end, date(2014, 2, 1), 12),
        told("SalesRevenueNet", 90.0, end, date(2014, 2, 1), 12),
        told("Revenues", 100.0, end, date(2014, 2, 2), 12),
        told("SalesRevenueNet", 91.0, end, date(2014, 2, 3), 12),
    )
    same(items(rows, "revenue_ttm", date(2014, 2, 1), date(2014, 2, 2), date(2014, 2, 3)), [90, 100, 100])


def test_what_cannot_be_used_is_left_out() -> None:
    end, filed = date(2013, 12, 31), date(2014, 2, 1)
    rows = facts(
        told("NetIncomeLoss", 7.0, end, filed, 12, unit="EUR"),
        told("NetIncomeLoss", 8.0, date(2014, 12, 31), filed, 12),
        told("NetIncomeLoss", float("inf"), end, filed, 12),
        told("NetIncomeLoss", 9.0, end, filed),
        told("NetIncomeLoss", 9.0, end, filed, 2),
        told("estimate.EPS", 9.0, end, filed, 12),
    )
    same(items(rows, "net_income_ttm", date(2014, 2, 2), date(2015, 1, 5)), [NAN, NAN])


def test_shares_as_counted_else_the_mean_else_what_earnings_a_share_imply() -> None:
    end, filed = date(2013, 12, 31), date(2014, 2, 1)
    earned = told("NetIncomeLoss", 50.0, end, filed, 12)
    a_share = told("EarningsPerShareDiluted", 2.0, end, filed, 12, "USD/shares")
    mean = told("WeightedAverageNumberOfDilutedSharesOutstanding", 26.0, end, filed, 12, "shares")
    count = told("dei:EntityCommonStockSharesOutstanding", 24.0, date(2014, 1, 20), filed, unit="shares")
    same(items(facts(earned, a_share), "shares", filed), [25])
    same(items(facts(earned, a_share, mean), "shares", filed), [26])
    same(items(facts(earned, a_share, mean, count), "shares", filed), [24])
    small = told("EarningsPerShareDiluted", 0.09, end, filed, 12, "USD/shares")
    same(items(facts(earned, small), "shares", filed), [NAN])


SHARES = facts(told("CommonStockSharesOutstanding", 100.0, date(2013, 12, 31), date(2014, 2, 1), unit="shares"))
SPLIT_DAYS = (date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9), date(2014, 6, 10))


@pytest.mark.parametrize("ratio", [2.0, 7.0, 1.5, 0.1])
def test_a_split_is_read_off_the_factor(ratio: float) -> None:
    bars = bars_on(*SPLIT_DAYS, factor=[1.0, 1.01, 1.01 * ratio * 1.0001, 1.01 * ratio])
    same(known_items(bars, SHARES, None, ["shares"])["shares"].tolist(), [100, 100, 100 * ratio, 100 * ratio])


def test_a_dividend_and_a_spin_off_are_no_splits() -> None:
    bars = bars_on(*SPLIT_DAYS, factor=[1.0, 1.14, 1.14 * 1.8412, 1.14 * 1.8412 / 1.1])
    same(known_items(bars, SHARES, None, ["shares"])["shares"].tolist(), [100] * 4)
    assert splits_of(bars, None) == {}


def test_splits_told_count_from_when_they_are_known_and_in_effect() -> None:
    actions = pl.DataFrame({
        "symbol": ["A", "A", "B", "A"], "kind": ["split", "dividend", "split", "split"],
        "effective": [date(2014, 6, 6), date(2014, 6, 6), date(2014, 6, 6), date(2014, 1, 15)],
        "ratio": [7.0, None, 3.0, 5.0],
        "knowledge_time": [datetime(2014, 6, 9, 12, tzinfo=UTC)] * 3 + [datetime(2014, 1, 2, tzinfo=UTC)],
    })  # fmt: skip
    # The split of January is in the number told in February; the one of June was known on the 9th only.
    found = known_items(bars_on(*SPLIT_DAYS), SHARES, actions, ["shares"])["shares"].tolist()
    same(found, [100, 100, 700, 700])
    again = facts(*SHARES.to_dicts(), told("CommonStockSharesOutstanding", 705.0, date(2014, 6, 9), date(2014, 6, 10)))
    same(known_items(bars_on(*SPLIT_DAYS), again, actions, ["shares"])["shares"].tolist(), [100, 100, 700, 705])


def test_an_instrument_after_a_break_has_its_tickers_reports() -> None:
    found = known_items(bars_on(*SPLIT_DAYS, symbol="A#2"), SHARES, None, ["shares", "days_since_report"])
    same(found["shares"].tolist(), [100] * 4)
    # From 2014-02-01 17:00 to 2014-06-05 21:00.
    assert found["days_since_report"][0] == pytest.approx(124 + 4 / 24)


def test_f_score_counts_what_can_be_judged() -> None:
    def year(end: date, filed: date, income: float, cash: float, revenue: float, assets: float, current: float):
        return (
            told("NetIncomeLoss", income, end, filed, 12), told("Revenues", revenue, end, filed, 12),
            told("NetCashProvidedByUsedInOperatingActivities", cash, end, filed, 12),
            told("Assets", assets, end, filed), told("AssetsCurrent", current, end, filed),
            told("LiabilitiesCurrent", 10.0, end, filed),
        )  # fmt: skip

    rows = facts(
        *year(date(2012, 12, 31), date(2013, 2, 1), 10, 5, 100, 200, 20),
        *year(date(2013, 12, 31), date(2014, 2, 1), 12, 15, 90, 200, 25),
    )
    # Good: income, cash, return up, cash above income, current ratio up; bad: turnover down. Three cannot be judged.
    # A year before: income and cash above zero, cash below income; three signals are too few.
    same(items(rows, "f_score_share", date(2013, 2, 1), date(2014, 2, 1)), [NAN, 5 / 6])


def test_no_reports_no_features_and_reasons_for_each() -> None:
    bars, features = bars_on(*SPLIT_DAYS), feature_set("fundamental")
    kept, left_out = usable(features, bars, Context())
    assert kept == ()
    assert set(left_out.values()) == {"needs companies' reports, which no source brought"}
    _, left_out = usable(features, bars, Context(facts=SHARES))
    assert "log_market_cap" not in left_out
    assert left_out["earnings_yield"] == "needs net_income, which no report carries"
    assert left_out["gross_margin"].startswith("needs gross_profit or cost_of_revenue, which no report carries")
    found = compute_features(bars, features, Context(facts=SHARES))
    np.testing.assert_allclose(found["log_market_cap"].to_numpy(), np.log(1000), rtol=1e-6)
    assert found["earnings_yield"].is_nan().all()


def test_closes_that_hold_later_splits_carry_no_market_value() -> None:
    """A split of 2013 halves the adjusted closes of 2012, but not the shares that were outstanding then."""
    bars, features = bars_on(*SPLIT_DAYS), feature_set("fundamental")
    as_traded, _ = usable(features, bars, Context(facts=SHARES))
    kept, left_out = usable(features, bars, Context(facts=SHARES, adjusted=True))
    lost = {feature.name for feature in as_traded} - {feature.name for feature in kept}
    assert lost == {feature.name for feature in as_traded if "raw_close" in feature.inputs}
    assert "log_market_cap" in lost
    assert left_out["log_market_cap"] == "needs the close as traded; the source's are adjusted for later splits"
    ranks = tuple(f for f in feature_set("cross_section") if f.inputs[0] in lost)
    assert all(
        "which is left out" in usable((f,), bars, Context(facts=SHARES, adjusted=True))[1][f.name] for f in ranks
    )
    assert usable(feature_set("core"), bars, Context(adjusted=True)) == usable(feature_set("core"), bars, Context())


def test_facts_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(SchemaError, match="facts lack unit"):
        known_items(bars_on(*SPLIT_DAYS), SHARES.drop("unit"), None, ["shares"])
