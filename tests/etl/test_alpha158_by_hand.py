"""Alpha158 steps worked by hand, and values recorded from Qlib itself.

`alpha158_golden.json` holds made-up bars of one instrument and what pyqlib 0.9.7 gives at three of them; it was written
by `python benchmarks/alpha158.py --record tests/etl/alpha158_golden.json`.
"""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from project01.domain import trading_calendar
from project01.etl import compute_features, feature_set, prepare_bars, steps_alpha, steps_alpha_order
from project01.etl.catalogue.alpha158 import published_name

GOLDEN = json.loads(Path(__file__).with_name("alpha158_golden.json").read_text())
FEATURES = feature_set("alpha158")


@pytest.fixture(scope="module")
def computed() -> pl.DataFrame:
    bars = pl.DataFrame(GOLDEN["bars"]).cast(pl.Float32)
    days = trading_calendar().as_frame().head(bars.height)
    keys = days.select("session", event_time="close_at", knowledge_time="close_at", symbol=pl.lit("A"))
    return compute_features(prepare_bars(pl.concat([keys, bars], how="horizontal")), FEATURES)


def test_golden_values_cover_the_set() -> None:
    assert list(GOLDEN["values"]) == [published_name(feature.name) for feature in FEATURES]


@pytest.mark.parametrize("name", [feature.name for feature in FEATURES])
def test_value_is_that_of_qlib(name: str, computed: pl.DataFrame) -> None:
    found = computed[name].to_numpy()[GOLDEN["rows"]]
    np.testing.assert_allclose(found, GOLDEN["values"][published_name(name)], rtol=3e-7, atol=1e-9)


def run(step, state_size: int, parameters: tuple[int, ...], *inputs: list[float]) -> list[float]:
    """The step's values over some bars."""
    state = np.zeros(state_size)
    return [step(state, 0, *parameters, *bar) for bar in zip(*inputs, strict=True)]


def test_bar_of_100_110_95_105() -> None:
    none = np.zeros(0)
    opened, high, low, close = 100.0, 110.0, 95.0, 105.0
    assert steps_alpha.body(none, 0, opened, close) == 0.05
    assert steps_alpha.length(none, 0, opened, high, low) == 0.15
    assert steps_alpha.body_in_range(none, 0, opened, high, low, close) == pytest.approx(5 / 15)
    assert steps_alpha.upper_shadow(none, 0, opened, high, close) == 0.05
    assert steps_alpha.upper_shadow_in_range(none, 0, opened, high, low, close) == pytest.approx(5 / 15)
    assert steps_alpha.lower_shadow(none, 0, opened, low, close) == 0.05
    assert steps_alpha.lower_shadow_in_range(none, 0, opened, high, low, close) == pytest.approx(5 / 15)
    assert steps_alpha.shift(none, 0, opened, high, low, close) == 0.05
    assert steps_alpha.shift_in_range(none, 0, high, low, close) == pytest.approx(5 / 15)


def test_a_bar_without_range_gives_zero() -> None:
    assert steps_alpha.body_in_range(np.zeros(0), 0, 7.0, 7.0, 7.0, 7.0) == 0.0
    assert steps_alpha.shift_in_range(np.zeros(0), 0, 7.0, 7.0, 7.0) == 0.0


def test_line_through_1_2_6() -> None:
    """Slope (6 - 1) / 2 = 2.5, mean 3, so 5.5 at the last; explained 12.5 of 14."""
    closes = [1.0, 2.0, 6.0]
    assert run(steps_alpha.slope_over_close, 15, (3,), closes)[-1] == pytest.approx(2.5 / 6)
    assert run(steps_alpha.residual_over_close, 15, (3,), closes)[-1] == pytest.approx(0.5 / 6)
    assert run(steps_alpha.line_fit, 15, (3,), closes)[-1] == pytest.approx(12.5 / 14)
    assert run(steps_alpha.deviation_over_close, 11, (3,), closes)[-1] == pytest.approx(math.sqrt(7) / 6)


def test_a_price_that_stands_still_has_no_line_and_no_spread() -> None:
    closes = [1e5] * 2 + [0.1] * 9
    assert math.isnan(run(steps_alpha.line_fit, 15, (3,), closes)[-1])
    assert run(steps_alpha.deviation_over_close, 11, (3,), closes)[-1] == 0.0
    assert run(steps_alpha.slope_over_close, 15, (3,), closes)[-1] == 0.0
    assert run(steps_alpha.residual_over_close, 15, (3,), closes)[-1] == 0.0


def test_small_moves_on_a_high_level_keep_their_digits() -> None:
    """The spread of 0, 1, 3 on a level of 10^8: squares of the level would leave no digit of it."""
    closes = [1e8 + move for move in (5.0, 2.0, 0.0, 1.0, 3.0)]
    assert run(steps_alpha.deviation_over_close, 11, (3,), closes)[-1] * closes[-1] == pytest.approx(math.sqrt(7 / 3))


def test_extremes_and_their_places() -> None:
    """Of equal highs and lows the oldest counts."""
    highs, lows = [3.0, 5.0, 5.0, 1.0, 2.0], [2.0, 4.0, 1.0, 1.0, 1.5]
    assert run(steps_alpha_order.highest, 6, (3,), highs)[2:] == [5.0, 5.0, 5.0]
    assert run(steps_alpha_order.highest_place, 10, (3,), highs)[2:] == [2.0, 1.0, 1.0]
    assert run(steps_alpha_order.place_of_low, 10, (3,), lows)[2:] == [1.0, 2 / 3, 1 / 3]
    assert run(steps_alpha_order.high_after_low, 20, (3,), highs, lows)[2:] == [-1 / 3, -1 / 3, 0.0]
    found = run(steps_alpha_order.place_in_range, 12, (3,), highs, lows, [2.5, 4.5, 2.0, 1.0, 2.0])[2:]
    assert found == pytest.approx([0.25, 0.0, 0.25])


def test_rank_and_quantile_with_ties() -> None:
    closes = [9.0, 4.0, 2.0, 2.0, 8.0, 2.0]
    assert run(steps_alpha_order.window_rank, 7, (5,), closes)[4:] == [0.8, 0.4]
    found = run(steps_alpha_order.quantile_over_close, 12, (5, 80), closes)[4:]
    # In order 2 2 4 8 9, then 2 2 2 4 8: 80 % stands a fifth of the way from the fourth to the fifth.
    assert found == pytest.approx([(8 + 0.2) / 8, (4 + 0.2 * 4) / 2])
    found = run(steps_alpha_order.quantile_over_close, 12, (5, 20), closes)[4:]
    assert found == pytest.approx([2 / 8, 2 / 2])


def test_counts_and_movement() -> None:
    close, before = [11.0, 11.0, 8.0, 12.0], [10.0, 11.0, 11.0, 8.0]
    assert run(steps_alpha.share_up, 7, (4,), close, before)[-1] == 0.5
    assert run(steps_alpha.share_down, 7, (4,), close, before)[-1] == 0.25
    assert run(steps_alpha.share_up_less_down, 7, (4,), close, before)[-1] == 0.25
    assert run(steps_alpha.gain_share, 12, (4,), close, before)[-1] == pytest.approx(5 / 8)
    assert run(steps_alpha.loss_share, 12, (4,), close, before)[-1] == pytest.approx(3 / 8)
    assert run(steps_alpha.gain_less_loss, 12, (4,), close, before)[-1] == pytest.approx(2 / 8)
    volumes = [10.0, *close]
    assert run(steps_alpha_order.volume_gain_share, 14, (4,), volumes)[-1] == pytest.approx(5 / 8)
    assert run(steps_alpha_order.volume_loss_share, 14, (4,), volumes)[-1] == pytest.approx(3 / 8)
    assert run(steps_alpha_order.volume_gain_less_loss, 14, (4,), volumes)[-1] == pytest.approx(2 / 8)


def test_volume_without_trade() -> None:
    volumes = [3.0, 6.0, 0.0, 3.0]
    found = run(steps_alpha_order.mean_over_volume, 6, (3,), volumes)
    assert math.isnan(found[2])
    assert found[3] == 1.0
    found = run(steps_alpha_order.deviation_over_volume, 11, (3,), volumes)
    assert math.isnan(found[2])
    assert found[3] == 1.0


def test_changes_that_go_together_and_against_each_other() -> None:
    """Volume doubles when the price rises by a tenth, halves when it falls; a bar after one without is skipped."""
    closes = [10.0, 11.0, 9.9, 10.89, 10.89, 9.801]
    volumes = [8.0, 16.0, 8.0, 16.0, 0.0, 8.0]
    found = run(steps_alpha.change_correlation, 26, (3,), closes, volumes)
    assert found[3] == pytest.approx(1.0)
    assert math.isnan(found[5])
    assert run(steps_alpha.price_volume_correlation, 24, (3,), [1.0, 2.0, 3.0], [7.0, 3.0, 1.0])[-1] == pytest.approx(
        -1
    )


def test_weighted_movement_of_one_move_is_the_root_of_the_window() -> None:
    found = run(steps_alpha_order.weighted_movement, 15, (5,), [11.0] + [10.0] * 4, [10.0] * 5, [3.0] * 5)
    assert found[-1] == pytest.approx(math.sqrt(5))
