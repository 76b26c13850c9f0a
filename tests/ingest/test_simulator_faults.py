"""Faults happen as often as the truth says, where it says, and leave what must hold intact."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import BARS, CORPORATE_ACTIONS, trading_calendar
from project01.ingest import Batch, GateRules, gate_bars
from project01.ingest.simulator import SimulatorSource, Truth
from project01.ingest.simulator_faults import RowFaults
from project01.ingest.simulator_settings import Faults, MarketSettings

KEY = ["symbol", "session"]
MANY = Faults(
    splits_per_symbol_year=1.0,
    dividends_per_symbol_year=4.0,
    halts_per_symbol_year=3.0,
    delistings_per_symbol_year=0.2,
    duplicate_share=0.02,
    conflict_share=0.02,
    correction_share=0.02,
    disorder_share=0.05,
)
QUIET = {"intraday_symbols": 0, "intraday_sessions": 0, "news_per_symbol_year": 0.0, "tweets_per_symbol_year": 0.0}


def dirty_market(seed: int = 3, symbols: int = 40, sessions: int = 500, faults: Faults = MANY) -> SimulatorSource:
    return SimulatorSource(MarketSettings(seed=seed, symbols=symbols, sessions=sessions, faults=faults, **QUIET))


def table(source: SimulatorSource, name: str) -> pl.DataFrame:
    return pl.concat([batch.rows for batch in source.read() if batch.spec.name == name])


def row_faults(truth: Truth) -> RowFaults:
    assert truth.rows is not None
    return truth.rows


@pytest.fixture(scope="module")
def source() -> SimulatorSource:
    return dirty_market()


@pytest.fixture(scope="module")
def bars(source: SimulatorSource) -> pl.DataFrame:
    return table(source, "bars")


@pytest.fixture(scope="module")
def truth(source: SimulatorSource) -> Truth:
    return source.truth()


def newest(bars: pl.DataFrame) -> pl.DataFrame:
    """Each bar's last version, without the second row of a conflict; sorted by symbol and session."""
    true_rows = bars.filter(~pl.col("source_id").str.ends_with(":b")).unique()
    return true_rows.sort(*KEY, "knowledge_time").unique(KEY, keep="last", maintain_order=True)


def test_rows_add_up_to_the_bars_and_their_twins(bars: pl.DataFrame, truth: Truth) -> None:
    faults = row_faults(truth)
    present = int(np.isfinite(truth.published.close).sum())
    twins = [faults.duplicates.height, faults.conflicts.height, faults.corrections.height]
    assert all(count > 100 for count in twins)
    assert bars.height == present + sum(twins)
    assert bars.select(KEY).n_unique() == present


def test_each_share_is_the_one_asked_for(truth: Truth) -> None:
    faults, cells = row_faults(truth), np.isfinite(truth.published.close).sum()
    for frame in (faults.duplicates, faults.conflicts, faults.corrections):
        assert frame.height / cells == pytest.approx(0.02, rel=0.15)
    assert faults.displaced.height / (cells * 1.06) == pytest.approx(0.05, rel=0.1)


def test_duplicates_are_whole_rows_and_exactly_those_told(bars: pl.DataFrame, truth: Truth) -> None:
    found = bars.filter(bars.is_duplicated()).unique().select(KEY).sort(KEY)
    assert found.equals(row_faults(truth).duplicates)


def test_conflicts_share_key_and_knowledge_time_but_not_the_close(bars: pl.DataFrame, truth: Truth) -> None:
    unlike = bars.unique().group_by([*KEY, "knowledge_time"]).agg(pl.col("close").sort_by("source_id"), pl.len())
    found = unlike.filter(pl.col("len") > 1).sort(KEY)
    told = row_faults(truth).conflicts
    assert found.select(KEY).equals(told.select(KEY))
    assert found["close"].list.get(0).equals(told["close"])
    assert found["close"].list.get(1).equals(told["wrong_close"].rename("close"))
    assert (told["close"] != told["wrong_close"]).all()


def test_corrections_come_later_with_the_true_close(bars: pl.DataFrame, truth: Truth) -> None:
    versions = bars.unique().group_by(KEY).agg(
        pl.col("close").sort_by("knowledge_time"), pl.col("knowledge_time").sort(), pl.col("event_time").first()
    )  # fmt: skip
    found = versions.filter(pl.col("knowledge_time").list.n_unique() > 1).sort(KEY)
    told = row_faults(truth).corrections
    assert found.select(KEY).equals(told.select(KEY))
    assert found["knowledge_time"].list.get(0).equals(found["event_time"].rename("knowledge_time"))
    assert found["knowledge_time"].list.get(1).equals(told["corrected_at"].rename("knowledge_time"))
    assert (told["corrected_at"] > found["event_time"]).all()
    assert found["close"].list.get(0).equals(told["wrong_close"].rename("close"))
    assert found["close"].list.get(1).equals(told["close"])


def test_rows_are_out_of_order_by_no_more_than_the_displaced_ones(bars: pl.DataFrame, truth: Truth) -> None:
    arrival = bars.with_row_index("place").sort("symbol", "event_time", "knowledge_time", "source_id", "place")
    steps_back = int((arrival["place"].cast(pl.Int64).diff() < 0).sum())
    told = row_faults(truth).displaced.height
    assert 0.5 * told < steps_back <= told
    kept = bars.join(row_faults(truth).displaced, on=["symbol", "session", "source_id", "knowledge_time"], how="anti")
    assert kept.equals(kept.sort("symbol", "event_time", "knowledge_time"))


def test_the_newest_versions_are_the_published_market(bars: pl.DataFrame, truth: Truth) -> None:
    there = np.isfinite(truth.published.close).T
    rows = newest(bars)
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        assert np.array_equal(rows[name].to_numpy(), getattr(truth.published, name).T[there])


def test_every_version_passes_the_rules_a_bar_can_pass_alone(bars: pl.DataFrame) -> None:
    assert bars.filter(
        (pl.col("high") < pl.max_horizontal("open", "close"))
        | (pl.col("low") > pl.min_horizontal("open", "close"))
        | (pl.col("low") <= 0)
        | (pl.col("volume") <= 0)
        | (pl.col("knowledge_time") < pl.col("event_time"))
    ).is_empty()


def test_splits_and_dividends_move_the_close_and_leave_the_adjusted_ratio(truth: Truth) -> None:
    """Ratio of adjusted closes = (close * ratio + dividend * ratio) / last close, the return of a holder."""
    history, close, adjusted = truth.history, truth.published.close, truth.published.adj_close
    assert history is not None
    split, paid = history.ratio != 1, history.payout > 0
    assert split.sum() > 30
    assert paid.sum() > 100
    for where in (split, paid):
        session, symbol = np.nonzero(where)
        before, after = close[session - 1, symbol], close[session, symbol]
        amount = history.payout[session, symbol] * before
        held = (after * history.ratio[session, symbol] + amount) / before
        # The vendor reinvests at the last close less the dividend, this holder at the close: a second-order difference.
        adjusted_ratio = adjusted[session, symbol] / adjusted[session - 1, symbol]
        assert np.allclose(adjusted_ratio, held, rtol=0.01)
        clean = truth.clean.close[session, symbol] / truth.clean.close[session - 1, symbol]
        assert np.allclose(adjusted_ratio, clean, rtol=1e-12)
    session, symbol = np.nonzero(split)
    jump = close[session, symbol] * history.ratio[session, symbol] / close[session - 1, symbol]
    assert np.allclose(jump, adjusted[session, symbol] / adjusted[session - 1, symbol], rtol=1e-9)


def test_dividend_amounts_follow_the_vendors_formula(source: SimulatorSource, truth: Truth) -> None:
    """adj step over close step = before / (before - amount): the standard backward factor, read forward."""
    market = truth.published
    rows = table(source, "corporate_actions").filter(pl.col("kind") == "dividend")
    for row in rows.iter_rows(named=True):
        session = int(np.flatnonzero(market.sessions == np.datetime64(row["effective"]))[0])
        symbol = market.symbols.index(row["symbol"])
        before, after = market.close[session - 1, symbol], market.close[session, symbol]
        step = market.adj_close[session, symbol] / market.adj_close[session - 1, symbol] / (after / before)
        assert step == pytest.approx(before / (before - row["amount"]), rel=1e-12)


def test_actions_are_those_of_the_truth_and_known_by_their_effective_day(source: SimulatorSource, truth: Truth) -> None:
    rows = table(source, "corporate_actions")
    history = truth.history
    assert history is not None
    counts = dict(rows["kind"].value_counts().rows())
    started = history.halted.copy()
    started[1:] &= ~history.halted[:-1]
    assert counts == {
        "split": (history.ratio != 1).sum(),
        "dividend": (history.payout > 0).sum(),
        "halt": started.sum(),
        "delisting": history.delisted[-1].sum(),
    }
    assert counts["delisting"] > 5
    assert rows.equals(rows.sort("symbol", "kind", "effective"))
    assert rows.select(CORPORATE_ACTIONS.key).is_unique().all()
    closes = trading_calendar("XNYS").as_frame().rename({"session": "effective"})
    timed = rows.join(closes, on="effective", how="left")
    assert (timed["knowledge_time"] >= timed["event_time"]).all()
    assert (timed["knowledge_time"] <= timed["open_at"]).all()


def test_actions_happen_at_the_rates_asked_for(truth: Truth) -> None:
    history = truth.history
    assert history is not None
    assert set(np.unique(history.ratio)) == {0.1, 1.0, 1.5, 2.0, 3.0}
    assert np.all(history.payout[history.payout > 0] >= 0.002)
    assert history.payout.max() <= 0.012
    tradable = ~history.absent[1:] & ~history.absent[:-1]
    for found, per_year in (((history.ratio != 1).sum(), 1.0), ((history.payout > 0).sum(), 4.0)):
        expected = tradable.sum() * per_year / 252
        assert abs(found - expected) < 4 * np.sqrt(expected)
    listed_years = (~history.delisted).sum() / 252
    assert abs(history.delisted[-1].sum() - 0.2 * listed_years) < 4 * np.sqrt(0.2 * listed_years)
    # Halts start 3 times a year and last 1 to 5 sessions, 3 on average; few overlap.
    assert history.halted.sum() / listed_years == pytest.approx(9, rel=0.15)


def test_halts_are_gaps_and_delisted_names_never_return(truth: Truth) -> None:
    history, there = truth.history, np.isfinite(truth.published.close)
    assert history is not None
    assert np.array_equal(there, ~(history.halted | history.delisted))
    assert np.all(history.delisted[1:] >= history.delisted[:-1])
    for symbol in np.flatnonzero(history.delisted[-1]):
        first_gone = int(history.delisted[:, symbol].argmax())
        assert there[first_gone - 1, symbol]


def test_the_gate_finds_each_fault_and_refuses_nothing_else(bars: pl.DataFrame, truth: Truth) -> None:
    outcome = gate_bars(bars, trading_calendar("XNYS"), GateRules(as_of=datetime(2030, 1, 1, tzinfo=UTC)))
    faults = row_faults(truth)
    assert outcome.counts["duplicates"] == faults.duplicates.height
    assert outcome.dead_letters["reason"].value_counts().rows() == [("duplicate_conflict", faults.conflicts.height)]
    assert outcome.breaks.is_empty()
    assert outcome.accepted.height == np.isfinite(truth.published.close).sum() + faults.corrections.height


def test_a_clean_market_passes_the_gate_whole() -> None:
    source = SimulatorSource(MarketSettings(symbols=30, sessions=400))
    daily = next(batch.rows for batch in source.read() if batch.spec is BARS)
    outcome = gate_bars(daily, trading_calendar("XNYS"), GateRules(as_of=datetime(2030, 1, 1, tzinfo=UTC)))
    assert outcome.accepted.equals(daily)


def test_a_market_without_faults_tells_of_none() -> None:
    source = SimulatorSource(MarketSettings(symbols=5, sessions=60))
    assert source.truth().history is None
    assert source.truth().rows is None
    assert source.truth().published is source.truth().clean
    assert "corporate_actions" not in {batch.spec.name for batch in source.read()}


@settings(max_examples=examples(12), deadline=None)
@given(
    st.builds(
        Faults,
        splits_per_symbol_year=st.floats(0, 10),
        dividends_per_symbol_year=st.floats(0, 12),
        halts_per_symbol_year=st.floats(0, 20),
        halt_sessions_max=st.integers(1, 60),
        delistings_per_symbol_year=st.floats(0, 1),
        duplicate_share=st.floats(0, 0.25),
        conflict_share=st.floats(0, 0.25),
        correction_share=st.floats(0, 0.25),
        disorder_share=st.floats(0, 1),
    ),
    st.integers(0, 2**32),
)
def test_any_rates_give_valid_bars_with_continuous_adjusted_closes(faults: Faults, seed: int) -> None:
    source = dirty_market(seed=seed, symbols=6, sessions=80, faults=faults)
    truth = source.truth()
    batches = list(source.read())
    for batch in batches:
        assert (batch.rows["knowledge_time"] >= batch.rows["event_time"]).all()
        assert isinstance(batch, Batch)
    rows = newest(next(batch.rows for batch in batches if batch.spec is BARS))
    there = np.isfinite(truth.published.close).T
    assert np.array_equal(rows["adj_close"].to_numpy(), truth.clean.close.T[there])
    assert (rows["low"] > 0).all()
