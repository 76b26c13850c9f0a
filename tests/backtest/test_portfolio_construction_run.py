"""A construction through a market: nothing from the future, the drifted book, notes, yardsticks, threads."""

import numpy as np
import pytest
from tests.effort import rest_slow
from threadpoolctl import threadpool_limits

from project01.backtest import (
    BlackLitterman,
    Decision,
    Every,
    InverseVolatility,
    Limits,
    Market,
    MeanVariance,
    MinimumVariance,
    RankWeighted,
    RiskParity,
    SameForAll,
    Signal,
    TopK,
    constructed_targets,
    momentum_signal,
    run_backtest,
)
from project01.domain import InputError

NAN = float("nan")
LIMITS = Limits(most_weight=0.3, most_turnover=0.2, most_sector_gross=0.7, beta=(0.5, 1.5))
NEUTRAL = Limits("dollar_neutral", 1.0, 0.3)
CONSTRUCTIONS = {
    "mean variance": MeanVariance(LIMITS, risk_aversion=20.0),
    "top k": TopK(3, 2, LIMITS),
    "black litterman": BlackLitterman(LIMITS),
    "risk parity": RiskParity(LIMITS),
    "minimum variance": MinimumVariance(LIMITS),
    "inverse volatility": InverseVolatility(LIMITS),
    "same for all": SameForAll(LIMITS),
    "rank": RankWeighted(LIMITS),
    "mean variance, neutral": MeanVariance(NEUTRAL),
    "top k, neutral": TopK(3, 2, NEUTRAL),
    "mean variance, blind": MeanVariance(LIMITS).without_view(),
}


def drawn(make_market, sessions=120, names=10, first=40) -> tuple[Market, Signal]:
    """A market with gaps, and a noisy signal that starts once there is history."""
    random = np.random.default_rng(12)
    moves = random.normal(0.0003, 0.01, (sessions, 1)) * random.uniform(0.5, 1.5, names)
    close = 100 * np.exp(np.cumsum(moves + random.normal(0, 0.015, (sessions, names)), axis=0))
    close[random.random(close.shape) < 0.01] = NAN
    close[:60, 0] = NAN  # listed late
    close[90:, 1] = NAN  # delisted
    market = make_market(close)
    values = random.normal(0, 0.01, close.shape)
    uncertainty = np.abs(random.normal(0.03, 0.005, close.shape))
    return market, Signal(market.sessions[first:], market.symbols, values[first:], uncertainty[first:])


def built(market, signal, construction, **more):
    sectors = np.tile(np.arange(len(signal.symbols)) % 3, (len(signal.sessions), 1))
    return constructed_targets(
        signal, market, construction, Every(5), horizon=5, lookback=more.pop("lookback", 40), sectors=sectors, **more
    )


@pytest.mark.parametrize("name", rest_slow(list(CONSTRUCTIONS), quick=1))
def test_nothing_after_a_close_changes_a_weight_at_or_before_it(make_market, name):
    market, signal = drawn(make_market)
    whole = built(market, signal, CONSTRUCTIONS[name]).targets.weights
    random = np.random.default_rng(3)
    for cut in (45, 61, 80, 100):
        close = market.close.copy()
        close[cut + 1 :] *= np.exp(random.normal(0, 0.5, close[cut + 1 :].shape))
        close[cut + 1 :][random.random(close[cut + 1 :].shape) < 0.3] = NAN
        values = signal.values.copy()
        values[cut + 1 - 40 :] = random.normal(size=values[cut + 1 - 40 :].shape)
        changed = Signal(signal.sessions, signal.symbols, values, signal.uncertainty)
        again = built(make_market(close), changed, CONSTRUCTIONS[name]).targets.weights
        known = slice(0, cut + 1 - 40)
        np.testing.assert_array_equal(again[known], whole[known])
        assert not np.array_equal(again[cut + 1 - 40 :], whole[cut + 1 - 40 :], equal_nan=True)


@pytest.mark.parametrize("name", rest_slow(list(CONSTRUCTIONS), quick=1))
def test_weights_can_be_traded_and_are_the_same_bytes_on_any_number_of_threads(make_market, name):
    market, signal = drawn(make_market)
    found = built(market, signal, CONSTRUCTIONS[name])
    with threadpool_limits(4):
        again = built(market, signal, CONSTRUCTIONS[name])
    assert again.targets.weights.tobytes() == found.targets.weights.tobytes()
    assert again.notes == found.notes
    assert found.decisions == int(found.targets.decided.sum()) > 0
    result = run_backtest(market, found.targets, [], initial_cash=1e6)
    assert (result.equity_cents > 0).all()
    present = ~np.isnan(market.close[40:])
    assert (found.targets.weights[found.targets.decided][~present[found.targets.decided]] == 0).all()


class Watching:
    """Buys half of each of two names once, and writes down what it is shown."""

    def __init__(self) -> None:
        self.shown = []

    def decide(self, view):
        self.shown.append(view)
        return Decision(np.array([0.5, 0.5])) if len(self.shown) == 1 else Decision(None)

    def without_view(self):
        return self


def test_a_decision_is_shown_the_drifted_book_and_the_returns_up_to_its_close(make_market):
    market = make_market([[10.0, 10.0], [20.0, 10.0], [20.0, 5.0], [20.0, NAN], [20.0, 10.0]])
    signal = Signal(market.sessions[1:], market.symbols, np.ones((4, 2)))
    watching = Watching()
    found = constructed_targets(signal, market, watching, Every(1), horizon=3, lookback=2)
    first, second, third, fourth = watching.shown
    np.testing.assert_array_equal(first.returns, [[NAN, NAN], [1.0, 0.0]])
    assert first.held.tolist() == [0, 0]
    # Half each at session 1; the second name halves: 0.5 and 0.25 of 0.75.
    np.testing.assert_allclose(second.held, [2 / 3, 1 / 3])
    np.testing.assert_array_equal(second.returns, [[1.0, 0.0], [0.0, -0.5]])
    # Without a bar a name can be neither held on nor picked; the last close known still values it later.
    assert third.held.tolist() == pytest.approx([2 / 3, 0])
    assert np.isnan(third.scores).tolist() == [False, True]
    np.testing.assert_allclose(fourth.held, [0.5, 0.5])
    assert np.isnan(fourth.uncertainty).all()
    assert first.horizon == 3
    assert found.decisions == 1


class Runaway:
    """Shorts one name against another as far as targets may, and watches."""

    def __init__(self) -> None:
        self.held = []

    def decide(self, view):
        self.held.append(view.held)
        return Decision(np.array([1.0, -1.0])) if len(self.held) == 1 else Decision(None)

    def without_view(self):
        return self


def test_a_book_whose_shorts_ran_away_counts_as_empty(make_market):
    market = make_market([[10.0, 10.0], [10.0, 16.0], [10.0, 30.0]])
    watching = Runaway()
    signal = Signal(market.sessions, market.symbols, np.ones((3, 2)))
    constructed_targets(signal, market, watching, Every(1), horizon=1, lookback=2)
    # Equity 1 - 0.6 = 0.4 against 2.6 gross: more than four times.
    assert [held.tolist() for held in watching.held] == [[0, 0], [0, 0], [0, 0]]


def test_what_gave_way_is_counted_and_told(make_market):
    market, signal = drawn(make_market)
    tight = MeanVariance(Limits(most_weight=0.3, most_sector_gross=0.25))
    notes = built(market, signal, tight).notes
    assert any("16 of 16 decisions the book stayed partly in cash" in note for note in notes)
    assert any("trailing returns and were not held" in note for note in notes)  # the name listed late
    kept = built(market, signal, MeanVariance(Limits(beta=(5.0, 6.0))))
    assert kept.decisions == 0
    assert any("16 of 16 decisions no book was found within the limits" in note for note in kept.notes)
    early = constructed_targets(
        Signal(market.sessions, market.symbols, np.vstack([signal.values[:40], signal.values])), market,
        MinimumVariance(), Every(5), horizon=5, lookback=40,
    )  # fmt: skip
    assert any("no name had half of the trailing returns" in note for note in early.notes)


def test_a_hold_band_and_a_turnover_penalty_trade_less(make_market):
    market, signal = drawn(make_market)

    def traded(construction):
        targets = built(market, signal, construction).targets
        return run_backtest(market, targets, [], initial_cash=1e6).turnover.mean()

    assert traded(TopK(3, 4)) < 0.8 * traded(TopK(3, 0))
    assert traded(MeanVariance(turnover_penalty_bps=100.0)) < 0.8 * traded(MeanVariance())
    assert traded(RankWeighted(Limits(most_turnover=0.05))) < 0.5 * traded(RankWeighted())


def test_momentum_gives_the_same_scores_out_in_the_order_of_past_returns(make_market):
    market = make_market(np.array([[10.0, 10, 10], [11, 10, 9], [50, 50, 50]]))
    signal = Signal(
        market.sessions[2:], market.symbols, np.array([[0.01, 0.02, 0.03]]), np.array([[0.1, 0.2, 0.3]])
    )  # fmt: skip
    naive = momentum_signal(signal, market, lookback=2, skip=1)
    assert naive.values.tolist() == [[0.03, 0.02, 0.01]]
    assert naive.uncertainty is not None
    assert naive.uncertainty.tolist() == [[0.3, 0.2, 0.1]]
    holed = make_market(np.array([[10.0, NAN, 10], [11, NAN, 9], [50, 50, 50]]))
    np.testing.assert_array_equal(momentum_signal(signal, holed, lookback=2, skip=1).values, [[0.03, NAN, 0.01]])
    early = Signal(market.sessions[:1], market.symbols, np.array([[0.01, 0.02, 0.03]]))
    assert np.isnan(momentum_signal(early, market, lookback=2, skip=1).values).all()
    with pytest.raises(InputError, match="skip < lookback"):
        momentum_signal(signal, market, lookback=2, skip=2)


def test_arguments_that_do_not_fit_are_refused(make_market):
    market, signal = drawn(make_market)
    for more in ({"horizon": 0}, {"lookback": 1}, {"sectors": np.zeros((2, 2), dtype=np.int64)}):
        with pytest.raises(InputError, match="expected"):
            constructed_targets(signal, market, SameForAll(), Every(5), **({"horizon": 5} | more))
    stranger = Signal(market.sessions, ("ZZZ",), np.ones((120, 1)))
    with pytest.raises(InputError, match="ZZZ"):
        constructed_targets(stranger, market, SameForAll(), Every(5), horizon=5)
