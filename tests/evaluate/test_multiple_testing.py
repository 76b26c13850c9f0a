"""Discoveries among many tests: by hand, beside statsmodels, and how many are false where nothing is to be found."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tests.effort import examples

from project01.domain import InputError
from project01.evaluate import discoveries, ic_discoveries, ic_p_values


def test_by_hand() -> None:
    # Ranks times p: .01 * 4, .02 * 2, .03 * 4 / 3, .5; then the least from the right.
    tests = pl.DataFrame({"name": ["a", "b", "c", "d", "e"], "p_value": [0.02, 0.01, None, 0.5, 0.03]})
    found = discoveries(tests, 0.04)
    assert found["q_value"].to_list() == pytest.approx([0.04, 0.04, None, 0.5, 0.04])
    assert found["discovered"].to_list() == [True, True, False, False, True]
    assert found["name"].to_list() == tests["name"].to_list()
    # Any dependence costs 1 + 1/2 + 1/3 + 1/4.
    assert discoveries(tests, 0.04, "any")["q_value"][0] == pytest.approx(0.04 * 25 / 12)


def test_no_tests_and_no_p_values() -> None:
    assert discoveries(pl.DataFrame({"p_value": []}, schema={"p_value": pl.Float64})).height == 0
    found = discoveries(pl.DataFrame({"p_value": [float("nan"), None]}))
    assert found["q_value"].null_count() == 2
    assert not found["discovered"].any()
    for p_value, level in ((1.2, 0.05), (-0.1, 0.05), (0.5, 0.0), (0.5, 1.0)):
        with pytest.raises(InputError):
            discoveries(pl.DataFrame({"p_value": [p_value]}), level)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), st.sampled_from(["positive", "any"]))
@settings(max_examples=examples(60), deadline=None)
def test_discoveries_are_the_step_up_rule(p_values: list[float], dependence: str) -> None:
    found = discoveries(pl.DataFrame({"p_value": p_values}), 0.1, dependence)  # type: ignore[arg-type]
    n = len(p_values)
    cost = sum(1 / k for k in range(1, n + 1)) if dependence == "any" else 1.0
    ordered = np.sort(p_values)
    passed = np.flatnonzero(ordered * n * cost / np.arange(1, n + 1) <= 0.1)
    expected = ordered[passed[-1]] if len(passed) else -1.0
    assert found["discovered"].to_list() == [p <= expected for p in p_values]


def market(seed: int, skilled: int, symbols: int = 30, sessions: int = 400, horizon: int = 5) -> pl.DataFrame:
    """SIMULATED: forecasts that last, labels over `horizon` steps less their mean, skill in the first symbols."""
    generator = np.random.default_rng(seed)
    steps = generator.standard_t(5, size=(sessions + horizon, symbols))
    label = np.lib.stride_tricks.sliding_window_view(steps, horizon, axis=0).sum(axis=2)[:sessions]
    label = label - label.mean(axis=1, keepdims=True)
    shocks = generator.normal(size=(sessions + 20, symbols))
    forecast = np.lib.stride_tricks.sliding_window_view(shocks, 20, axis=0).mean(axis=2)[:sessions]
    forecast[:, :skilled] += 0.1 * label[:, :skilled]
    days = np.datetime64("2020-01-01", "us") + np.arange(sessions) * np.timedelta64(1, "D")
    return pl.DataFrame(
        {
            "symbol": np.tile([f"S{number:02}" for number in range(symbols)], sessions),
            "as_of": np.repeat(days, symbols),
            "mean": forecast.ravel(),
            "label": label.ravel(),
        }
    )


def test_the_ic_of_a_symbol_is_its_rank_correlation_over_time() -> None:
    rows = market(1, 2, symbols=4, sessions=200)
    flat = pl.col("mean").is_not_null() & (pl.col("symbol") == "S03")
    changed = rows.with_columns(pl.when(flat).then(0.5).otherwise(pl.col("mean")).alias("mean"))
    short = changed.filter((pl.col("symbol") != "S02") | (pl.col("as_of").rank("dense") <= 125))
    found = ic_p_values(short.sample(fraction=1.0, shuffle=True, seed=3), 5)
    assert found.columns == ["symbol", "horizon", "ic", "standard_error", "n", "p_value"]
    assert found["symbol"].to_list() == ["S00", "S01", "S02", "S03"]
    one = rows.filter(pl.col("symbol") == "S00")
    assert found["ic"][0] == pytest.approx(spearmanr(one["mean"], one["label"]).statistic)
    # Too few outcomes, and forecasts that say nothing, cannot be tested; they are not dropped.
    assert found["p_value"].is_null().to_list() == [False, False, True, True]
    assert found["n"].to_list() == [200, 200, 125, 200]


def test_a_symbol_without_outcomes_is_named_and_not_tested() -> None:
    rows = market(4, 0, symbols=3, sessions=200)
    unknown = pl.when(pl.col("symbol") == "S01").then(None).otherwise(pl.col("label")).alias("label")
    found = ic_discoveries(rows.with_columns(unknown), 5)
    assert found.filter(pl.col("p_value").is_null()).select("symbol", "n", "discovered").rows() == [("S01", 0, False)]
    assert found.height == 3


def test_missing_sessions_keep_their_place() -> None:
    rows = market(2, 0, symbols=2, sessions=300)
    gap = rows.filter((pl.col("symbol") != "S00") | ~pl.col("as_of").rank("dense").is_between(100, 110))
    found = ic_p_values(gap.with_columns(pl.col("label").fill_nan(None)), 5)
    assert found["n"].to_list() == [289, 300]
    assert found["p_value"].is_not_null().all()


@pytest.mark.slow
def test_where_nothing_is_to_be_found_little_is() -> None:
    # With no skill every discovery is false, so the rate of any is the rate of false ones. Three errors: 0.038.
    found = [ic_discoveries(market(100 + draw, 0, 12, 260), 5)["discovered"].any() for draw in range(300)]
    assert np.mean(found) <= 0.05 + 0.038


@pytest.mark.slow
def test_skill_is_found_and_few_others_with_it() -> None:
    false, right = [], []
    for draw in range(16):
        called = ic_discoveries(market(500 + draw, 10), 5)["discovered"].to_numpy()
        right.append(called[:10].mean())
        false.append(called[10:].sum() / max(called.sum(), 1))
    assert np.mean(right) > 0.9
    assert np.mean(false) <= 0.05 + 3 * np.std(false) / 4
