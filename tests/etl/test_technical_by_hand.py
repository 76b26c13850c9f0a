"""Steps of the technical set on numbers worked out by hand, and where a value is not defined."""

import math

import numpy as np
import pytest

from project01.etl import steps_technical_average as average
from project01.etl import steps_technical_extreme as extreme
from project01.etl import steps_technical_line as line
from project01.etl import steps_technical_volatility as volatility
from project01.etl import steps_technical_volume as volume
from project01.etl.catalogue.technical_warm_up import events_to_forget, exponential_weight

NAN = math.nan


def run(step, size: int, parameters: tuple[int, ...], *columns) -> list[float]:
    state = np.zeros(size)
    return [float(step(state, 0, *parameters, *(float(v) for v in bar))) for bar in zip(*columns, strict=True)]


def check(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_exponential_means_of_means() -> None:
    # Weight 1/2 on 8, 16, 16: means 8, 12, 14; of these 8, 10, 12; of these 8, 9, 10.5.
    closes = [8, 16, 16]
    check(run(average.smoothed_distance, 2, (3, 1, 1), closes), [0, 16 / 12 - 1, 16 / 14 - 1])
    check(run(average.smoothed_distance, 3, (3, 2, 1), closes), [0, 16 / 14 - 1, 0])
    check(run(average.smoothed_distance, 4, (3, 3, 1), closes), [0, 16 / 15 - 1, 16 / 16.5 - 1])
    check(run(average.triple_smoothed_change, 4, (3, 2), closes), [NAN, 12.5, 100 * (10.5 / 9 - 1)])


def test_adaptive_mean() -> None:
    # Two bars: 10 -> 12 -> 11, way made 1 of 3 gone; the mean starts at 12. Then 11 -> 11: made 1 of 1.
    weight = (1 / 3 * (2 / 3 - 2 / 31) + 2 / 31) ** 2
    first = 12 - weight
    second = first + (2 / 3) ** 2 * (11 - first)
    found = run(average.adaptive_distance, 10, (2, 2), [12, 11, 11], [10, 12, 11])
    check(found, [NAN, 11 / first - 1, 11 / second - 1])


def test_crosses() -> None:
    # Means of one and of two of 4, 8, 2.
    check(run(average.mean_cross, 9, (1, 2), [4, 8, 2]), [NAN, 8 / 6 - 1, 2 / 5 - 1])
    check(run(average.mean_difference, 9, (1, 2), [4, 8, 2]), [NAN, 2 / 8, -3 / 2])
    assert math.isnan(run(average.mean_cross, 9, (1, 2), [0, 0])[1])
    # Weights 1 and 1/2: means 8, 16 and 8, 12.
    check(run(average.exponential_cross, 4, (1, 3, 1), [8, 16]), [0, 100 * (16 / 12 - 1)])


def test_directional_movement() -> None:
    # Highs 10, 12, 12.5, lows 8, 9, 6, closes 9, 11, 7. Second bar: up 2, down 0, range 12 - 9 = 3.
    # Third: up 0.5 < down 3, so up 0, down 3; range 12.5 - 6 = 6.5. Window 2: means 1, 1.5 and 4.75.
    bars = ([10, 12, 12.5], [8, 9, 6], [9, 11, 7])
    check(run(average.rising_indicator, 10, (2, 1), *bars), [NAN, 200 / 3, 100 / 4.75])
    check(run(average.falling_indicator, 10, (2, 1), *bars), [NAN, 0, 150 / 4.75])
    check(run(average.directional_index, 10, (2, 1), *bars), [NAN, 100, 100 * 0.5 / 2.5])


def test_average_directional_index_keeps_still_where_nothing_moves() -> None:
    # DX 100 once, then bars inside the one before: +DI falls, -DI stays 0, so DX is 100 still.
    highs, lows = [10, 12, 12, 12], [8, 9, 9, 9]
    check(run(average.average_directional, 12, (2, 2), highs, lows, [9, 11, 11, 11]), [NAN, NAN, 100, 100])
    still = run(average.directional_index, 10, (2, 1), [10] * 4, [10] * 4, [10] * 4)
    assert all(math.isnan(value) for value in still)


def test_keltner() -> None:
    # Mean of window 3 (weight 1/2): 10, 12; ranges (of one bar) 2 and max(15, 10) - min(13, 10) = 5.
    found = run(average.keltner_position, 4, (3, 1), [11, 15], [9, 13], [10, 14], [10, 10])
    check(found, [0.5, 0.5 + 2 / 20])
    assert math.isnan(run(average.keltner_position, 4, (3, 1), [10], [10], [10], [10])[0])


def test_chaikin() -> None:
    # Closes at high, middle and low: places 1, 0, -1. Flows 4, 0, -2; the line, from 0 before, 4, 4, 2. Its means
    # (weights 1 and 1/2), from 0 before: fast 4, 4, 2; slow 2, 3, 2.5. That of volume, from 4: 4, 3, 2.5.
    bars = ([12] * 3, [10] * 3, [12, 11, 10], [4, 2, 2])
    check(run(average.chaikin_oscillator, 4, (1, 3, 1), *bars), [(4 - 2) / 4, (4 - 3) / 3, (2 - 2.5) / 2.5])
    check(run(volume.chaikin_money_flow, 10, (2,), *bars), [NAN, 4 / 6, -2 / 4])
    check(run(volume.chaikin_money_flow, 10, (2,), [10] * 2, [10] * 2, [10] * 2, [1, 1]), [NAN, 0])
    assert math.isnan(run(volume.chaikin_money_flow, 10, (2,), *bars[:3], [0] * 3)[2])


def test_stochastic_and_williams() -> None:
    # Window 2: ranges 8 to 12 and 9 to 13; closes 11 and 10: 75 and 25 percent, of which the mean is 50.
    bars = ([10, 12, 13], [8, 9, 10], [9, 11, 10])
    check(run(extreme.stochastic, 24, (2, 1, 1), *bars), [NAN, 75, 25])
    check(run(extreme.stochastic, 25, (2, 2, 1), *bars), [NAN, NAN, 50])
    check(run(extreme.williams_range, 16, (2,), *bars), [NAN, -25, -75])
    check(run(extreme.channel_width, 16, (2,), *bars), [NAN, 4 / 11, 4 / 10])


def test_a_window_without_range_has_no_place() -> None:
    highs, lows, closes = [10, 10, 10, 12, 13], [10, 10, 10, 10, 10], [10, 10, 10, 12, 10]
    check(run(extreme.channel_position, 16, (2,), highs, lows, closes), [NAN, NAN, NAN, 1, 0])
    # The mean of two is undefined for as long as the flat window is in it, and no longer.
    check(run(extreme.stochastic, 25, (2, 2, 1), highs, lows, closes), [NAN, NAN, NAN, NAN, 50])


def test_aroon() -> None:
    # Window 2 looks at three bars. Highs 5, 4, 4, 3, 6: ages 2, then of equals the newest 1, then 0.
    check(run(extreme.aroon_up, 10, (2,), [5, 4, 4, 3, 6]), [NAN, NAN, 0, 50, 100])
    check(run(extreme.aroon_down, 10, (2,), [1, 2, 1, 2, 3]), [NAN, NAN, 100, 50, 0])
    check(run(extreme.aroon_oscillator, 20, (2,), [5, 4, 4], [1, 2, 1]), [NAN, NAN, -100])
    check(run(extreme.bars_since_top, 10, (3,), [5, 4, 4, 3, 6]), [NAN, NAN, 2, 1, 0])
    check(run(extreme.share_of_top, 8, (2,), [5, 4], [4, 3]), [NAN, 3 / 5])


def test_choppiness() -> None:
    # Straight: ranges 1 and 1 over a range of 2 from lowest to highest. To and fro: 4 of 2.
    straight = run(extreme.choppiness, 21, (2,), [11, 12], [10, 11], [11, 12], [10, 11])
    check(straight, [NAN, 0])
    check(run(extreme.choppiness, 21, (2,), [12, 12], [10, 10], [12, 10], [10, 12]), [NAN, 100])
    assert math.isnan(run(extreme.choppiness, 21, (2,), [9, 9], [9, 9], [9, 9], [9, 9])[1])


def test_falls() -> None:
    # Of 10, 8, 9, 6, 12, in windows of three: 10 to 8; 9 to 6; 9 to 6.
    check(run(extreme.deepest_fall, 14, (3,), [10, 8, 9, 6, 12]), [NAN, NAN, 0.2, 1 / 3, 1 / 3])
    # Tops of two closes: falls 20 and 0 percent, then 25.
    found = run(extreme.ulcer_index, 13, (2,), [10, 8, 8, 6])
    check(found, [NAN, NAN, math.sqrt(400 / 2), math.sqrt(625 / 2)])


def test_lines() -> None:
    # Through 2, 4, 9: slope 3.5, mean 5, end 8.5; squares about the mean 9 + 1 + 16 = 26, on the line 2 x 3.5^2.
    closes = [2, 4, 9]
    check(run(line.trend_slope, 14, (3,), closes)[2:], [0.7])
    check(run(line.trend_angle, 14, (3,), closes)[2:], [math.degrees(math.atan(70))])
    check(run(line.trend_fit, 14, (3,), closes)[2:], [24.5 / 26])
    check(run(line.trend_distance, 14, (3,), closes)[2:], [9 / 8.5 - 1])
    check(run(line.weighted_distance, 14, (3,), closes)[2:], [9 / ((2 + 8 + 27) / 6) - 1])
    assert math.isnan(run(line.trend_fit, 14, (3,), [5, 5, 5])[2])
    # 9, 1, 1: the line ends at -1/3, which no price can be set against.
    assert math.isnan(run(line.trend_distance, 14, (3,), [9, 1, 1])[2])


def test_commodity_channel() -> None:
    # Typical prices 10, 13, 16: mean 13, deviations 3, 0, 3, whose mean is 2.
    prices = [10, 13, 16]
    check(run(line.commodity_channel, 5, (3,), prices, prices, prices)[2:], [3 / (0.015 * 2)])
    assert math.isnan(run(line.commodity_channel, 5, (3,), [5] * 3, [5] * 3, [5] * 3)[2])


def test_ultimate() -> None:
    # Windows 1, 2, 4. Ranges 2 each, closes above the true low by 1, 2, 0, 1 (of 4 bars from 10 to 12).
    found = run(line.ultimate_oscillator, 32, (1,), [12] * 4, [10] * 4, [11, 12, 10, 11], [11, 11, 12, 10])
    check(found[3:], [100 * (4 * 0.5 + 2 * 0.25 + 0.5) / 7])
    assert math.isnan(run(line.ultimate_oscillator, 32, (1,), [9] * 4, [9] * 4, [9] * 4, [9] * 4)[3])


def test_vortex() -> None:
    # Second bar: high 12 from low 8, low 9 from high 10, range 3; third: 12.5 from 9, 6 from 12, range 6.5.
    bars = ([10, 12, 12.5], [8, 9, 6], [9, 11, 7])
    check(run(line.rising_vortex, 13, (2,), *bars), [NAN, NAN, 7.5 / 9.5])
    check(run(line.falling_vortex, 13, (2,), *bars), [NAN, NAN, 7 / 9.5])


def test_balance_of_power() -> None:
    check(run(line.balance_of_power, 0, (), [10, 5], [12, 5], [8, 5], [11, 5]), [0.25, NAN])


def test_on_balance_volume() -> None:
    # Signed volumes (first of no account) ., 2, -1: levels 0, 2, 1; slope 0.5, mean 1, mean volume 2.
    bars = ([10, 11, 10], [9, 10, 11], [3, 2, 1])
    check(run(volume.on_balance_slope, 11, (3,), *bars), [NAN, NAN, 0.25])
    check(run(volume.on_balance_score, 5, (3,), *bars), [NAN, NAN, 0])
    still = ([10] * 3, [10] * 3, [3, 2, 1])
    check(run(volume.on_balance_slope, 11, (3,), *still), [NAN, NAN, 0])
    assert math.isnan(run(volume.on_balance_score, 5, (3,), *still)[2])
    assert math.isnan(run(volume.on_balance_slope, 11, (3,), [1] * 3, [1] * 3, [0] * 3)[2])


def test_money_flow_index() -> None:
    # Typical prices 10, 11, 9: 22 risen, 18 fallen; then 9 again, neither.
    prices, traded = [10, 11, 9, 9], [1, 2, 2, 5]
    check(run(volume.money_flow_index, 11, (2,), prices, prices, prices, traded), [NAN, NAN, 55, 0])
    assert math.isnan(run(volume.money_flow_index, 11, (2,), [5] * 3, [5] * 3, [5] * 3, [1] * 3)[2])


def test_weighted_prices() -> None:
    # 10 x 1 and 13 x 2: 12.
    check(run(volume.weighted_price_distance, 10, (2,), [10, 13], [10, 13], [10, 13], [1, 2]), [NAN, 13 / 12 - 1])
    assert math.isnan(run(volume.weighted_price_distance, 10, (2,), [10, 13], [10, 13], [10, 13], [0, 0])[1])


def test_volatility_of_one_bar() -> None:
    # Open 1, high e, low 1, close e: range 1, body 1; Rogers and Satchell see no variance around the body.
    bars = ([1, 1], [math.e] * 2, [1, 1], [math.e] * 2)
    check(run(volatility.garman_klass_volatility, 5, (2,), *bars), [NAN, math.sqrt(252 * (1.5 - 2 * math.log(2)))])
    check(run(volatility.rogers_satchell_volatility, 5, (2,), *bars), [NAN, 0])
    # All gaps -1, all bodies 1: no spread of either.
    check(run(volatility.yang_zhang_volatility, 21, (2,), *bars, [math.e] * 2), [NAN, 0])
    check(run(volatility.downside_deviation, 5, (2,), [0.1, -0.2]), [NAN, math.sqrt(252 * 0.02)])


def test_a_body_outside_its_range_has_no_volatility() -> None:
    assert math.isnan(run(volatility.garman_klass_volatility, 4, (1,), [1], [2], [2], [4])[0])


def test_shape() -> None:
    # Of 0, 0, 0, 4: mean 1, second moment 3, third 6, fourth 21; ratios 6 / 3^1.5 and 21 / 9, each corrected.
    check(run(volatility.skewness, 26, (4,), [0, 0, 0, 4])[3:], [6 / 3**1.5 * math.sqrt(12) / 2])
    check(run(volatility.kurtosis, 26, (4,), [0, 0, 0, 4])[3:], [(5 * (21 / 9 - 3) + 6) * 3 / 2])
    assert math.isnan(run(volatility.skewness, 26, (4,), [0.01] * 4)[3])
    assert math.isnan(run(volatility.kurtosis, 26, (4,), [1e-5] * 4)[3])


def test_memory_of_returns() -> None:
    # Returns 1, -1, 1, -1 (percent) over two bars are 0: no variance left. 3, 0, 3, 6 over two are 3, 3, 9.
    turning = [0.01, -0.01, 0.01, -0.01, 0.01]
    check(run(volatility.variance_ratio, 23, (2, 3), turning)[2:], [0, 0, 0])
    check(run(volatility.variance_ratio, 27, (2, 4), [3, 0, 3, 6]), [NAN, NAN, NAN, 12 / (2 * 6)])
    check(run(volatility.autocorrelation, 30, (1, 4), turning)[4:], [-1])
    assert math.isnan(run(volatility.variance_ratio, 23, (2, 3), [0.01] * 5)[4])
    assert math.isnan(run(volatility.autocorrelation, 30, (1, 4), [0.01] * 5)[4])


def test_events_to_forget() -> None:
    # Half a weight: after 10 events 1/1024 is left of what was before; of a mean of means 11/1024, after 14 15/2^14.
    assert events_to_forget(0.5, 1 / 1000) == 10
    assert events_to_forget(0.5, 1 / 1000, depth=2) == 14
    assert exponential_weight(3) == 0.5


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_is_left_of_the_beginning(depth: int) -> None:
    """Two series that differ by 1 before `events_to_forget`, and not after, differ by less than `left` then."""
    events = events_to_forget(exponential_weight(20), 1e-6, depth)
    states = np.zeros((2, 1 + depth))
    for state, before in zip(states, (1.0, 2.0), strict=True):
        for value in (before, *[5.0] * events):
            average.smoothed_again(state, 0, 20, depth, value)
    assert abs(states[0, depth] - states[1, depth]) < 1e-6
