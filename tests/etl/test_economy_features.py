"""The economy set: vintages worked by hand, every feature against pandas, and the real vintages of FRED-MD."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.etl.conftest import make_bars, make_economy

from project01.domain import SchemaError, trading_calendar
from project01.etl import Context, compute_features, feature_set, prepare_bars, usable
from project01.etl.inputs import MACRO_READINGS
from project01.etl.macro_context import MacroHistory

NAN = float("nan")
IN_PERCENT = {"DGS10", "DGS2", "DGS3MO", "AAA", "BAA", "FEDFUNDS", "UNRATE"}


def rows(*told: tuple[str, date, date, float | None], source: str = "made") -> pl.DataFrame:
    """Series, period, the day at whose noon it was known, value."""
    table = pl.DataFrame(
        [(series, period, datetime.combine(day, time(12), UTC), value) for series, period, day, value in told],
        schema=["series_id", "period", "knowledge_time", "value"],
        orient="row",
        schema_overrides={"value": pl.Float64},
    )  # fmt: skip
    return table.with_columns(pl.col("knowledge_time").dt.cast_time_unit("us"), source=pl.lit(source))


def read(table: pl.DataFrame, name: str, *days: date) -> list[float]:
    """The input at 21:00 of each day."""
    at = pl.Series([datetime(day.year, day.month, day.day, 21, tzinfo=UTC) for day in days]).dt.epoch("us").to_numpy()
    return MacroHistory(table).read(name, at).tolist()


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_growth_on_the_year_is_of_one_vintage() -> None:
    """In May the index is based anew: all of its history changes at once, and growth does not jump."""
    table = rows(
        ("INDPRO", date(2013, 3, 1), date(2014, 4, 1), 100.0),
        ("INDPRO", date(2014, 3, 1), date(2014, 4, 16), 104.0),
        ("INDPRO", date(2013, 3, 1), date(2014, 5, 10), 50.0),
        ("INDPRO", date(2014, 3, 1), date(2014, 5, 10), 52.5),
        ("INDPRO", date(2013, 3, 1), date(2014, 5, 12), 51.0),
    )
    days = (date(2014, 4, 15), date(2014, 4, 16), date(2014, 5, 9), date(2014, 5, 10), date(2014, 5, 12))
    found = read(table, "industrial_production_growth", *days)
    # Before the 16th the newest month is March 2013, of which the year before is not known.
    same(found, [NAN, 0.04, 0.04, 0.05, 52.5 / 51 - 1])


def test_a_late_revision_of_an_old_month_is_no_news_of_the_newest() -> None:
    table = rows(
        ("UNRATE", date(2014, 1, 1), date(2014, 2, 7), 6.6),
        ("UNRATE", date(2014, 2, 1), date(2014, 3, 7), 6.7),
        ("UNRATE", date(2014, 1, 1), date(2014, 3, 20), 6.5),
    )
    same(read(table, "unemployment", date(2014, 2, 7), date(2014, 3, 7), date(2014, 3, 21)), [6.6, 6.7, 6.7])


def test_rates_of_fred_are_in_percent_and_indices_are_not() -> None:
    day = date(2014, 3, 7)
    table = rows(
        ("UNRATE", date(2014, 2, 1), day, 6.7), ("VIX", day, day, 14.0), ("DGS10", day, day, 2.8), source="fred"
    )
    same(read(table, "unemployment", day) + read(table, "vix", day) + read(table, "us10y", day), [0.067, 14, 0.028])
    same(read(table.with_columns(source=pl.lit("macro-files")), "us10y", day), [2.8])
    same(read(table.drop("source"), "us10y", day), [2.8])


def test_a_value_withdrawn_leaves_the_one_before() -> None:
    table = rows(
        ("DGS10", date(2014, 3, 6), date(2014, 3, 6), 0.027),
        ("DGS10", date(2014, 3, 7), date(2014, 3, 7), 0.028),
        ("DGS10", date(2014, 3, 7), date(2014, 3, 8), None),
        ("DGS10", date(2014, 3, 9), date(2014, 3, 9), None),
    )
    days = (date(2014, 3, 7), date(2014, 3, 8), date(2014, 3, 9), date(2014, 3, 15), date(2014, 3, 16))
    same(read(table, "us10y", *days), [0.028, 0.027, 0.027, 0.027, NAN])


@pytest.mark.parametrize(
    ("name", "life"), [("vix", 10), ("jobless_claims", 24), ("unemployment", 70), ("gdp_growth", 200)]
)
def test_values_live_as_long_as_their_frequency_asks(name: str, life: int) -> None:
    series, known = MACRO_READINGS[name].series, date(2014, 4, 1)
    table = rows((series, date(2013, 1, 1), date(2013, 4, 1), 100.0), (series, date(2014, 1, 1), known, 103.0))
    # Known at noon and asked for at 21:00, so the last evening within its life is that of the day before.
    fresh, stale = read(table, name, known + timedelta(days=life - 1), known + timedelta(days=life))
    assert np.isfinite(fresh)
    assert np.isnan(stale)


def test_rows_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(SchemaError, match="lack period"):
        MacroHistory(rows(("VIX", date(2014, 3, 7), date(2014, 3, 7), 14.0)).drop("period"))


Told = dict[str, list[tuple[date, datetime, float]]]


def newest(table: Told, at: datetime, series: str, months: int = 0) -> tuple[float, float]:
    """The newest value as it stood, and the one so many months before it as it stood then."""
    known = {period: value for period, since, value in table[series] if since <= at}
    if not known:
        return NAN, NAN
    period = max(known)
    number = period.year * 12 + period.month - 1 - months
    before = known.get(date(number // 12, number % 12 + 1, period.day), NAN) if months else NAN
    return known[period], before


def yearly(series: str):
    def growth(table: Told, at: datetime) -> float:
        now, before = newest(table, at, series, 12)
        return now / before - 1

    return growth


def level(series: str):
    return lambda table, at: newest(table, at, series)[0]


def moved(series: str, months: int):
    return lambda table, at: np.subtract(*newest(table, at, series, months))


LEVELS = {
    "us10y": level("DGS10"), "us2y": level("DGS2"), "us3m": level("DGS3MO"), "vix": level("VIX"),
    "oil": level("DCOILWTICO"),
    "vix3m": level("VXVCLS"), "aaa": level("AAA"), "baa": level("BAA"), "claims": level("ICSA"),
    "unemployment": level("UNRATE"), "unemployment_12": moved("UNRATE", 12), "unemployment_3": moved("UNRATE", 3),
    "funds_12": moved("FEDFUNDS", 12), "inflation": yearly("CPIAUCSL"), "core": yearly("CPILFESL"),
    "production": yearly("INDPRO"), "payrolls": yearly("PAYEMS"), "money": yearly("M2SL"), "starts": yearly("HOUST"),
    "product": yearly("GDPC1"),
}  # fmt: skip
ORACLES = {
    "term_spread_10y_3m": lambda v: v["us10y"] - v["us3m"],
    "term_spread_10y_2y": lambda v: v["us10y"] - v["us2y"],
    "term_spread_change_63": lambda v: (v["us10y"] - v["us2y"]).dropna().diff(63),
    "credit_spread": lambda v: v["baa"] - v["aaa"],
    "credit_spread_change_63": lambda v: (v["baa"] - v["aaa"]).diff(63),
    "short_rate": lambda v: v["us3m"],
    "short_rate_change_21": lambda v: v["us3m"].dropna().diff(21),
    "long_rate": lambda v: v["us10y"],
    "real_long_rate": lambda v: v["us10y"] - v["inflation"],
    "real_short_rate": lambda v: v["us3m"] - v["inflation"],
    "fed_funds_change_12m": lambda v: v["funds_12"],
    "inflation_yoy": lambda v: v["inflation"],
    "core_inflation_yoy": lambda v: v["core"],
    "unemployment_rate": lambda v: v["unemployment"],
    "unemployment_change_12m": lambda v: v["unemployment_12"],
    "unemployment_change_3m": lambda v: v["unemployment_3"],
    "industrial_production_yoy": lambda v: v["production"],
    "payrolls_yoy": lambda v: v["payrolls"],
    "money_yoy": lambda v: v["money"],
    "housing_starts_yoy": lambda v: v["starts"],
    "gdp_yoy": lambda v: v["product"],
    "jobless_claims_change_63": lambda v: np.log(v["claims"]).diff(63),
    "oil_change_63": lambda v: np.log(v["oil"]).dropna().diff(63),
    "vix_change_21": lambda v: v["vix"].dropna().diff(21),
    "vix_z_252": lambda v: z_score(v["vix"].dropna()),
    "vix_term": lambda v: np.log(v["vix3m"] / v["vix"]),
    "variance_premium_21": lambda v: premium(v[["vix", "market"]].dropna()),
}  # fmt: skip


def z_score(values: pd.Series) -> pd.Series:
    return (values - values.rolling(252).mean()) / values.rolling(252).std()


def premium(both: pd.DataFrame) -> pd.Series:
    return both["vix"] ** 2 / 1e4 - (both["market"] ** 2).rolling(21).mean() * 252


def test_every_feature_equals_its_slow_version() -> None:
    raw = make_bars(seed=43, symbols=1, sessions=330, gaps=0.0)
    economy = make_economy(raw, 43)
    bars = prepare_bars(raw)
    index = bars.select("session", "close", "knowledge_time")
    found = compute_features(bars, feature_set("economy"), Context(macro=economy, market=index)).to_pandas()
    table: Told = {}
    for row in economy.sort("knowledge_time").iter_rows(named=True):
        percent = row["source"] == "fred" and row["series_id"] in IN_PERCENT
        value = row["value"] / 100 if percent else row["value"]
        table.setdefault(row["series_id"], []).append((row["period"], row["knowledge_time"], value))
    times = bars["knowledge_time"].to_list()
    values = pd.DataFrame({name: [oracle(table, at) for at in times] for name, oracle in LEVELS.items()})
    values["market"] = bars["close"].to_pandas().pct_change()
    assert set(ORACLES) == {feature.name for feature in feature_set("economy")}
    for name, oracle in ORACLES.items():
        expected = oracle(values).reindex(values.index)
        assert expected.notna().sum() > 70, name
        np.testing.assert_allclose(found[name], expected, rtol=2e-4, atol=1e-6, err_msg=name)


def test_series_that_no_source_brought_are_named() -> None:
    bars = prepare_bars(make_bars(seed=1, symbols=3, sessions=30))
    macro = rows(
        ("DGS10", date(2012, 1, 3), date(2012, 1, 3), 0.02), ("CPIAUCSL", date(2011, 11, 1), date(2011, 12, 16), 1.0)
    )
    kept, left_out = usable(feature_set("economy"), bars, Context(macro=macro))
    assert {feature.name for feature in kept} == {"long_rate", "real_long_rate", "inflation_yoy"}
    assert left_out["credit_spread"] == (
        "needs the series BAA, which no source brought; needs the series AAA, which no source brought"
    )


@pytest.mark.slow
def test_real_vintages_and_yields(shared_data: Path) -> None:
    folder = shared_data / "macro"
    month_end = pl.col("vintage").str.to_date("%Y-%m").dt.month_end().dt.offset_by("1d").cast(pl.Datetime("us"))
    monthly = pl.read_parquet(folder / "fred_md_vintages.parquet").select(
        "series_id", pl.col("date").alias("period"),
        month_end.dt.replace_time_zone("America/Chicago").dt.convert_time_zone("UTC").alias("knowledge_time"),
        "value", pl.lit("fred").alias("source"),
    )  # fmt: skip
    yields = pl.read_csv(folder / "treasury_yields_daily.csv", try_parse_dates=True)
    evening = (
        pl.col("date").dt.combine(pl.time(18)).dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")
    )
    daily = pl.concat(
        yields.select(
            pl.lit(series).alias("series_id"), pl.col("date").alias("period"),
            evening.dt.cast_time_unit("us").alias("knowledge_time"),
            pl.col(name).cast(pl.Float64).alias("value"), pl.lit("macro-files").alias("source"),
        )
        for series, name in (("DGS3MO", "3month"), ("DGS2", "2year"), ("DGS10", "10year"))
    )  # fmt: skip
    sessions = (
        trading_calendar().as_frame().filter(pl.col("session").is_between(pl.date(2000, 1, 1), pl.date(2024, 12, 31)))
    )
    bars = prepare_bars(sessions.select(
        pl.lit("SPY").alias("symbol"), "session", pl.col("close_at").alias("event_time"),
        pl.col("close_at").alias("knowledge_time"), pl.lit(100.0).alias("close"),
    ))  # fmt: skip
    context = Context(macro=pl.concat([monthly, daily]))
    kept, left_out = usable(feature_set("economy"), bars, context)
    assert {"gdp_yoy", "vix_term", "core_inflation_yoy", "oil_change_63", "jobless_claims_change_63"} <= set(left_out)
    found = compute_features(bars, kept, context).filter(pl.col("session") <= pl.date(2017, 3, 29))
    spread = found.filter(pl.col("session") == pl.date(2006, 12, 29))["term_spread_10y_3m"].item()
    assert -0.005 < spread < 0.0, "the curve was inverted at the end of 2006"
    assert found["term_spread_10y_3m"].is_finite().mean() > 0.999
    assert -0.001 < found["term_spread_10y_3m"].fill_nan(None).median() < 0.03
    later = compute_features(bars, kept, context)
    at = {
        day: later.filter(pl.col("session") == day).row(0, named=True) for day in (date(2019, 9, 30), date(2019, 10, 1))
    }
    # Nothing of vintage 2019-09 was known at the close of September 30; August's unemployment, 3.7 %, the day after.
    assert np.isnan(at[date(2019, 9, 30)]["unemployment_rate"])
    assert at[date(2019, 10, 1)]["unemployment_rate"] == pytest.approx(0.037)
    assert at[date(2019, 10, 1)]["inflation_yoy"] == pytest.approx(0.0175, abs=0.001)
    assert at[date(2019, 10, 1)]["credit_spread"] == pytest.approx(0.0387 - 0.0298, abs=1e-4)
    assert at[date(2019, 10, 1)]["unemployment_change_12m"] == pytest.approx(-0.001, abs=1e-6)
