"""From scores to weights."""

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from tests.effort import examples

from project01.backtest import (
    EqualWeight,
    Every,
    LongShortRank,
    Monthly,
    Signal,
    TopQuantile,
    equal_weight_targets,
    overlapping_targets,
    rebalanced_targets,
    run_backtest,
    signal_from_forecast,
)
from project01.domain import FORECAST_SCHEMA, QUANTILE_COLUMNS, Forecast, InputError, TradingCalendar

NAN = float("nan")
ALPHABETICAL = np.arange(5)


def row(rule, scores, place=ALPHABETICAL):
    return rule.weights(np.array(scores, dtype=np.float64), np.asarray(place))


def test_top_quantile_holds_the_best_in_equal_parts():
    assert row(TopQuantile(0.4, at_least=1), [5, 1, 4, 3, 2]).tolist() == [0.5, 0, 0.5, 0, 0]
    assert row(TopQuantile(0.4, at_least=3), [5, 1, 4, 3, 2]).tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3, 0])
    assert row(TopQuantile(0.4, at_least=1, cap=0.3), [5, 1, 4, 3, 2]).tolist() == [0.3, 0, 0.3, 0, 0]
    assert row(TopQuantile(1.0, at_least=9), [NAN, 1, 2, NAN, NAN]).tolist() == [0, 0.5, 0.5, 0, 0]


def test_ties_go_to_the_symbol_that_sorts_first_wherever_its_column_is():
    assert row(TopQuantile(0.2, at_least=1), [1, 1, 1, 1, 0]).tolist() == [1, 0, 0, 0, 0]
    assert row(TopQuantile(0.2, at_least=1), [1, 1, 1, 1, 0], place=[4, 3, 2, 1, 0]).tolist() == [0, 0, 0, 1, 0]


def test_rank_weights_by_hand():
    # Ranks 5 1 4 3 2 less 3: 2 -2 1 0 -1; each side sums to 3, so half of the book a side: 2/3 and 1/3 of 0.5.
    assert row(LongShortRank(), [50, 1, 4, 3, 2]).tolist() == pytest.approx([1 / 3, -1 / 3, 1 / 6, 0, -1 / 6])
    # Capped at 0.3: the rest of the side takes what is cut, 0.2.
    assert row(LongShortRank(cap=0.3), [50, 1, 4, 3, 2]).tolist() == pytest.approx([0.3, -0.3, 0.2, 0, -0.2])
    # Ties share: ranks 1.5 1.5 3.
    assert row(LongShortRank(gross=2.0), [0, 0, 9, NAN, NAN]).tolist() == pytest.approx([-0.5, -0.5, 1, 0, 0])


@given(
    scores=st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(NAN)), min_size=5, max_size=5),
    cap=st.floats(0.01, 1),
    gross=st.floats(0.1, 2),
)
@settings(max_examples=examples(200), deadline=None, derandomize=True)
def test_long_short_is_dollar_neutral_within_its_cap_and_in_the_order_of_scores(scores, cap, gross):
    weights = row(LongShortRank(gross, cap), scores)
    known = np.array(scores)[~np.isnan(scores)]
    if len(set(known)) < 2:
        assert weights is None
        return
    assert weights.sum() == pytest.approx(0, abs=1e-12)
    assert np.abs(weights).max() <= cap + 1e-12
    assert np.abs(weights).sum() <= gross + 1e-12
    held = weights[~np.isnan(scores)]
    assert (np.diff(held[np.argsort(known, kind="stable")]) >= -1e-12).all()
    assert (weights[np.isnan(scores)] == 0).all()


@pytest.mark.parametrize("rule", [TopQuantile(), LongShortRank()])
def test_equal_scores_are_no_view(rule):
    assert row(rule, [2.0] * 5) is None
    assert row(rule, [NAN] * 5) is None
    assert row(rule, [NAN, NAN, 3.0, NAN, NAN]) is None


def test_rules_refuse_parameters_out_of_range():
    for make in (
        lambda: TopQuantile(0.0),
        lambda: TopQuantile(0.1, at_least=0),
        lambda: TopQuantile(0.1, cap=0.0),
        lambda: LongShortRank(gross=3.0),
        lambda: EqualWeight(cap=1.5),
        lambda: Every(0),
    ):
        with pytest.raises(InputError):
            make()


def test_schedules():
    days = np.array(["2015-01-29", "2015-01-30", "2015-02-02", "2015-02-03", "2015-03-02"], dtype="datetime64[D]")
    assert Monthly().due(days).tolist() == [True, False, True, False, True]
    assert Every(2).due(days).tolist() == [True, False, True, False, True]


def test_rebalanced_decides_only_when_due_and_only_names_with_a_bar(make_market):
    market = make_market(close=[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, NAN, 1.0]])
    signal = Signal(market.sessions, market.symbols, np.array([[3.0, 2, 1], [1, 2, 3], [1, 3, 2]]))
    weights = rebalanced_targets(signal, market, TopQuantile(0.1, at_least=1), Every(2)).weights
    assert weights[0].tolist() == [1, 0, 0]
    assert np.isnan(weights[1]).all()
    assert weights[2].tolist() == [0, 0, 1]


def test_overlapping_tranches_by_hand(make_market):
    market = make_market(close=[[10.0, 10.0], [20.0, 10.0], [20.0, 10.0], [20.0, 5.0]])
    signal = Signal(market.sessions, market.symbols, np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]]))
    weights = overlapping_targets(signal, market, TopQuantile(0.1, at_least=1), 2).weights
    # Two tranches of 0.5. Day 0: the first buys A: A 0.5 of 1. Day 1: A doubled, the first is worth 1, the book 1.5;
    # the second (0.5) buys B: A 1/1.5, B 0.5/1.5. Day 2: the first (1) is renewed into A: the same. Day 3: B halves,
    # the second is worth 0.25 and renewed into B; book 1.25: A 0.8, B 0.2.
    np.testing.assert_allclose(weights, [[0.5, 0], [2 / 3, 1 / 3], [2 / 3, 1 / 3], [0.8, 0.2]], atol=1e-12)


def test_overlapping_trades_only_the_renewed_tranche(make_market):
    """Without costs and gaps, old tranches keep their shares: turnover is that of a fifth of the book a session."""
    random = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, (60, 40)), axis=0))
    fill = np.vstack([close[:1], close[:-1]])  # opens at the close before: no gap between decision and fill
    market = make_market(close, fill)
    signal = Signal(market.sessions, market.symbols, random.normal(size=close.shape))
    targets = overlapping_targets(signal, market, TopQuantile(0.1), 5)
    result = run_backtest(market, targets, [], initial_cash=1_000_000.0)
    settled = result.trades.filter(pl.col("session") > market.sessions[10].item(), pl.col("value").abs() > 5.0)
    assert settled.group_by("session").len()["len"].max() <= 8  # four sold and four bought, at most
    assert result.turnover[10:].max() < 0.25
    assert 0.15 < result.turnover[10:].mean() < 0.2  # a fifth, less the names chosen again


def test_a_runaway_short_tranche_is_closed(make_market):
    close = np.full((5, 4), 10.0)
    close[2:, 0] = 60.0
    market = make_market(close)
    scores = np.tile([0.0, 1.0, 2.0, 3.0], (5, 1))
    weights = overlapping_targets(Signal(market.sessions, market.symbols, scores), market, LongShortRank(), 10).weights
    assert (np.abs(weights).sum(axis=1) <= 4).all()
    assert weights[-1].sum() <= 1


def test_overlapping_needs_every_session(make_market):
    market = make_market(close=np.ones((6, 2)))
    signal = Signal(market.sessions[::2], market.symbols, np.ones((3, 2)))
    with pytest.raises(InputError, match="one each session"):
        overlapping_targets(signal, market, TopQuantile(), 2)
    with pytest.raises(InputError, match="horizon"):
        overlapping_targets(signal, market, TopQuantile(), 0)


def test_a_signal_for_an_unknown_symbol_is_refused(make_market):
    market = make_market(close=np.ones((2, 2)))
    with pytest.raises(InputError, match="ZZZ"):
        rebalanced_targets(Signal(market.sessions, ("ZZZ",), np.ones((2, 1))), market, TopQuantile(), Every(1))


def test_equal_weight_holds_every_name_with_a_bar(make_market):
    market = make_market(close=[[1.0, NAN, 1.0], [1.0, 1.0, 1.0]])
    weights = equal_weight_targets(market, market.sessions, Every(1)).weights
    np.testing.assert_allclose(weights, [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]])


def forecast(rows) -> Forecast:
    frame = pl.DataFrame(
        [
            {"symbol": symbol, "as_of": as_of, "horizon": 5, "mean": mean, "model_id": "m", "data_age": 0.0}
            | dict.fromkeys(QUANTILE_COLUMNS, mean)
            for symbol, as_of, mean in rows
        ]
    )
    return Forecast(frame.select(pl.col(name).cast(kind) for name, kind in FORECAST_SCHEMA.items()))


def test_a_forecast_stands_at_the_session_that_had_opened_by_its_as_of():
    """New York 2015-01-05 closes at 21:00 UTC and the next session opens at 14:30."""
    close, night = dt.datetime(2015, 1, 5, 21, tzinfo=dt.UTC), dt.datetime(2015, 1, 6, 9, tzinfo=dt.UTC)
    midday = dt.datetime(2015, 1, 6, 16, tzinfo=dt.UTC)
    calendar = TradingCalendar(
        "XNYS",
        sessions=np.array(["2015-01-05", "2015-01-06"], dtype="datetime64[D]"),
        opens=np.array(["2015-01-05T14:30", "2015-01-06T14:30"], dtype="datetime64[us]"),
        closes=np.array(["2015-01-05T21:00", "2015-01-06T21:00"], dtype="datetime64[us]"),
    )
    found = signal_from_forecast(forecast([("A", close, 0.1), ("B", night, 0.2), ("A", midday, 0.3)]), calendar)
    assert found.sessions.tolist() == [dt.date(2015, 1, 5), dt.date(2015, 1, 6)]
    np.testing.assert_array_equal(found.values, [[0.1, 0.2], [0.3, NAN]])
    with pytest.raises(InputError, match="twice"):
        signal_from_forecast(forecast([("A", close, 0.1), ("A", night, 0.2)]), calendar)
    early = dt.datetime(2015, 1, 5, 9, tzinfo=dt.UTC)
    with pytest.raises(InputError, match="before the first session"):
        signal_from_forecast(forecast([("A", early, 0.1)]), calendar)
    with pytest.raises(InputError, match="no rows"):
        signal_from_forecast(Forecast(forecast([("A", close, 0.1)]).frame.clear()), calendar)
