"""Filings and macro series: publication delays, restatements, revisions."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from project01.domain import FACTS, MACRO, trading_calendar
from project01.ingest.simulator import SimulatorSource
from project01.ingest.simulator_settings import Faults, MarketSettings

QUIET = {"intraday_symbols": 0, "intraday_sessions": 0, "news_per_symbol_year": 0.0, "tweets_per_symbol_year": 0.0}


@pytest.fixture(scope="module")
def source() -> SimulatorSource:
    faults = Faults(delistings_per_symbol_year=0.3)
    return SimulatorSource(MarketSettings(seed=8, symbols=40, sessions=756, restated_share=0.2, faults=faults, **QUIET))


@pytest.fixture(scope="module")
def tables(source: SimulatorSource) -> dict[str, pl.DataFrame]:
    return {batch.spec.name: batch.rows for batch in source.read()}


def test_filings_come_weeks_after_their_period_and_after_a_close(tables: dict[str, pl.DataFrame]) -> None:
    facts = tables["facts"]
    assert facts.equals(facts.sort(*FACTS.key, "knowledge_time"))
    assert (facts["knowledge_time"] > facts["event_time"]).all()
    first = facts.filter(pl.col("form").is_in(["10-K", "10-Q"]))
    wait = first.select(pl.col("form"), days=(pl.col("knowledge_time") - pl.col("event_time")).dt.total_days())
    low_high = wait.group_by("form").agg(low=pl.col("days").min(), high=pl.col("days").max())
    spans = {form: (low, high) for form, low, high in low_high.iter_rows()}
    assert 24 <= spans["10-Q"][0] <= spans["10-Q"][1] <= 49
    assert 49 <= spans["10-K"][0] <= spans["10-K"][1] <= 94
    hours = trading_calendar("XNYS").as_frame()
    same_day = facts.with_columns(session=pl.col("knowledge_time").dt.date()).join(hours, on="session", how="left")
    assert (same_day["knowledge_time"] > same_day["close_at"]).all()


def test_annual_reports_are_those_of_december(tables: dict[str, pl.DataFrame]) -> None:
    facts = tables["facts"]
    assert set(facts["period_end"].dt.strftime("%m-%d")) == {"03-31", "06-30", "09-30", "12-31"}
    december = facts["period_end"].dt.month() == 12
    assert (facts["form"].str.starts_with("10-K") == december).all()


def test_a_fifth_of_the_numbers_is_restated_later_with_another_value(tables: dict[str, pl.DataFrame]) -> None:
    versions = tables["facts"].group_by(FACTS.key).agg(
        pl.col("form").sort_by("knowledge_time"), pl.col("value").sort_by("knowledge_time"),
        gap=(pl.col("knowledge_time").max() - pl.col("knowledge_time").min()).dt.total_days(),
    )  # fmt: skip
    restated = versions.filter(pl.col("form").list.len() > 1)
    # Periods near the end, or of names that vanish, lose their restatement.
    assert 0.1 < restated.height / versions.height < 0.2
    assert restated["form"].list.get(1).str.ends_with("/A").all()
    assert not versions["form"].list.get(0).str.ends_with("/A").any()
    assert (restated["value"].list.get(0) != restated["value"].list.get(1)).all()
    assert restated["gap"].min() >= 79  # type: ignore[operator]


def test_nothing_is_filed_after_a_names_last_bar(source: SimulatorSource, tables: dict[str, pl.DataFrame]) -> None:
    market = source.truth().published
    gone = [n for n in range(40) if np.isnan(market.close[-1, n]) and np.isnan(market.close[-8:, n]).all()]
    assert len(gone) > 5
    closes = trading_calendar("XNYS").as_frame()
    for number in gone:
        last = market.sessions[np.flatnonzero(np.isfinite(market.close[:, number]))[-1]].item()
        at = closes.filter(pl.col("session") == last)["close_at"][0]
        filed = tables["facts"].filter(pl.col("symbol") == market.symbols[number])
        assert filed.filter(pl.col("knowledge_time") > at).is_empty()


def test_macro_prints_are_versions_of_a_period(tables: dict[str, pl.DataFrame]) -> None:
    macro = tables["macro"]
    assert macro.equals(macro.sort(*MACRO.key, "knowledge_time"))
    assert macro.select(*MACRO.key, "knowledge_time").is_unique().all()
    assert macro["source_id"].is_unique().all()
    assert (macro["knowledge_time"] >= macro["event_time"]).all()
    versions = macro.group_by("series_id", "period").agg(pl.len(), pl.col("value").n_unique().alias("values"))
    most = dict(versions.group_by("series_id").agg(pl.col("len").max()).rows())
    assert most == {"VIX": 1, "DGS10": 1, "CPIAUCSL": 2, "INDPRO": 3}
    full = versions.filter(pl.col("series_id").is_in(["CPIAUCSL", "INDPRO"]))
    assert (full["len"] == full["values"]).all()
    assert full.filter(pl.col("len") == pl.col("series_id").replace_strict(most)).height > 60


def test_a_month_is_first_known_on_the_16th_of_the_next(tables: dict[str, pl.DataFrame]) -> None:
    monthly = tables["macro"].filter(pl.col("series_id") == "INDPRO")
    first = monthly.group_by("period").agg(pl.col("knowledge_time").min())
    assert (first["knowledge_time"].dt.date() == first["period"].dt.offset_by("1mo").dt.offset_by("15d")).all()


def test_daily_series_are_not_known_at_their_own_close(tables: dict[str, pl.DataFrame]) -> None:
    daily = tables["macro"].filter(pl.col("series_id").is_in(["VIX", "DGS10"]))
    hours = trading_calendar("XNYS").as_frame().rename({"session": "period"})
    timed = daily.join(hours, on="period", how="left")
    assert (timed["knowledge_time"] > timed["close_at"]).all()
    assert daily.filter(pl.col("series_id") == "DGS10")["value"].is_between(0.001, 0.2).all()


def test_vix_tells_of_the_volatility_to_come(source: SimulatorSource, tables: dict[str, pl.DataFrame]) -> None:
    vix = tables["macro"].filter(pl.col("series_id") == "VIX").sort("period")["value"].to_numpy()
    market = source.truth().clean
    factor = np.abs((market.close[1:] / market.close[:-1] - 1).mean(axis=1))
    assert stats.spearmanr(vix, factor).statistic > 0.05
    assert np.median(vix) == pytest.approx(16, rel=0.25)
