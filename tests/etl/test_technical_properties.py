"""What holds for the steps of the technical set on any bars: windows, spoilt bars, compiled text, ways of cutting."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.etl import (
    BAR_INPUTS,
    Feature,
    StreamState,
    compute_features,
    feature_set,
    prepare_bars,
    steps_technical_extreme,
    steps_technical_line,
)
from project01.etl import steps_technical_volatility as volatility

# The same steps with windows so short that a few dozen bars fill and pass them many times over: by name in the set,
# parameters and numbers of state.
SET = feature_set("technical")
SHORTEST = {
    "dist_tema_20": ((3, 3, 4), 4), "trix_15": ((3, 4), 4), "dist_kama_10": ((3, 5), 12), "ppo_12_26": ((2, 3, 4), 4),
    "sma_cross_5_20": ((2, 5), 13), "apo_12_26": ((2, 5), 13), "adxr_14": ((3, 5), 16), "keltner_20": ((4, 5), 4),
    "chaikin_osc_3_10": ((2, 3, 4), 4), "stoch_slow_d_14": ((3, 2, 2), 30), "stoch_rsi_14": ((3, 3, 4), 23),
    "aroon_osc_25": ((3,), 24), "choppiness_14": ((3,), 26), "ulcer_14": ((3,), 16), "max_drawdown_63": ((4,), 17),
    "channel_position_20": ((4,), 24), "days_since_high_252": ((4,), 12), "dist_wma_20": ((4,), 17),
    "slope_20": ((4,), 17), "r2_20": ((4,), 17), "dist_line_20": ((4,), 17), "cci_20": ((4,), 6),
    "ultimate_7_14_28": ((2,), 46), "vortex_plus_14": ((3,), 15), "vortex_minus_14": ((3,), 15), "bop": ((), 0),
    "obv_slope_20": ((4,), 13), "obv_z_20": ((4,), 6), "mfi_14": ((3,), 13), "cmf_21": ((3,), 12),
    "dist_vwap_20": ((3,), 12), "yang_zhang_vol_21": ((4,), 31), "garman_klass_vol_21": ((3,), 6),
    "skew_63": ((4,), 26), "kurtosis_63": ((5,), 30), "variance_ratio_5_126": ((2, 4), 27),
    "autocorrelation_1_63": ((2, 4), 31),
    "downside_vol_63": ((3,), 6), "momentum_42": ((3,), 5),
}  # fmt: skip
SHORT = tuple(
    Feature(
        name=feature.name, group="test", inputs=feature.inputs, window=1, warm_up=1, unit="", source="", description="",
        step=feature.step, parameters=SHORTEST[feature.name][0], state_size=SHORTEST[feature.name][1],
    )
    for feature in SET if feature.name in SHORTEST
)  # fmt: skip


@st.composite
def bar_rows(draw: st.DrawFn) -> np.ndarray:
    """Inputs of one instrument, shape (n_bars, n_inputs): still and moving prices, flat bars, holes of every kind."""
    count = draw(st.integers(1, 70))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = np.full((count, len(BAR_INPUTS)), np.nan)
    # Steps of a whole percent or none make ties and windows that stand still.
    move = draw(st.sampled_from([0.0, 0.01, 0.3]))
    close = np.exp(np.cumsum(random.choice([-move, 0.0, 0.0, move], count)))
    reach = np.where(random.random(count) < draw(st.sampled_from([0.0, 0.5, 1.0])), 0.0, 0.02)
    prices = {"open": close * (1 - reach / 2), "high": close * (1 + reach), "low": close * (1 - reach), "close": close}
    prices |= {
        "volume": random.integers(0, draw(st.sampled_from([1, 3, 10**6])), count),
    }
    for name, values in prices.items():
        column = BAR_INPUTS.index(name)
        rows[:, column] = values
        spoil = random.random(count) < draw(st.sampled_from([0.0, 0.2]))
        rows[spoil, column] = random.choice([np.nan, 0.0, -1.0, np.inf], int(spoil.sum()))
    rows[:, BAR_INPUTS.index("factor")] = np.cumprod(random.choice([1.0, 1.0, 1.01, 2.0], count))
    return rows


def test_short_windows_stand_for_every_step_of_the_set() -> None:
    own = {feature.step for feature in SET if feature.step.__module__ != "project01.etl.steps"}
    near = {
        "rising_indicator", "falling_indicator", "directional_index", "average_directional",  # inside adxr
        "channel_width", "williams_range", "share_of_top", "aroon_up", "aroon_down",  # the same windows
        "trend_angle", "rogers_satchell_volatility",
    }  # fmt: skip
    assert {step.__name__ for step in own} == {feature.step.__name__ for feature in SHORT} | near


@settings(max_examples=examples(60))
@given(rows=bar_rows(), data=st.data())
def test_any_way_of_cutting_gives_the_same_bits(rows: np.ndarray, data: st.DataObject) -> None:
    whole = StreamState(SHORT)
    expected = np.array([whole.update(row) for row in rows])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4)))
    kept, parts = StreamState(SHORT).to_bytes(), []
    for chunk in np.split(rows, cuts):
        state = StreamState(SHORT)
        state.restore(kept)
        parts += [state.update(row) for row in chunk]
        kept = state.to_bytes()
    np.testing.assert_array_equal(np.array(parts), expected)
    assert kept == whole.to_bytes()


def prepared(row: np.ndarray, before: float) -> dict[str, float]:
    """What the compiled loop makes of a bar, in plain Python."""
    bar = dict(zip(BAR_INPUTS, map(float, row), strict=True))
    names = ("open", "high", "low", "close")
    price = {name: bar[name] * bar["factor"] if 0 < bar[name] < math.inf else math.nan for name in names}
    traded = 0 <= bar["volume"] < math.inf
    return price | {
        "volume": bar["volume"] / bar["factor"] if traded else math.nan,
        "previous": before,
        "log_return": math.log(price["close"] / before),
    }


@settings(max_examples=examples(60))
@given(rows=bar_rows())
def test_compiled_equals_plain_python_on_spoilt_and_still_bars(rows: np.ndarray) -> None:
    """The steps run as they stand in the source; plain Python raises where compiled text would give inf or NaN."""
    state, plain = StreamState(SHORT), {feature.name: np.zeros(feature.state_size) for feature in SHORT}
    before = math.nan
    for row in rows:
        bar = prepared(row, before)
        if not math.isnan(bar["close"]):
            before = bar["close"]
        found = state.update(row)
        for value, feature in zip(found, SHORT, strict=True):
            inputs = [bar[name] for name in feature.inputs]
            expected = math.nan
            if not any(map(math.isnan, inputs)):
                with np.errstate(divide="raise", over="raise"):
                    expected = feature.step(plain[feature.name], 0, *feature.parameters, *inputs)
            assert not math.isinf(expected), feature.name
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5, err_msg=feature.name)


NUMBERS = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)


@given(values=NUMBERS, window=st.integers(1, 9))
def test_sliding_top(values: list[float], window: int) -> None:
    state = np.zeros(2 * window + 4)
    for n, value in enumerate(values):
        top, age = steps_technical_extreme.sliding_top(state, 0, window, value)
        if n + 1 < window:
            assert math.isnan(top)
            assert math.isnan(age)
            continue
        newest_first = values[n - window + 1 : n + 1][::-1]
        assert top == max(newest_first)
        assert age == newest_first.index(top)


@given(values=NUMBERS, window=st.integers(2, 9))
def test_sliding_line(values: list[float], window: int) -> None:
    state = np.zeros(3 * window + 5)
    for n, value in enumerate(values):
        total, aged, squares = steps_technical_line.sliding_line(state, 0, window, value)
        if n + 1 >= window:
            newest_first = np.array(values[n - window + 1 : n + 1][::-1])
            sums = [newest_first.sum(), (newest_first * np.arange(window)).sum(), (newest_first**2).sum()]
            np.testing.assert_allclose([total, aged, squares], sums, atol=1e-12)


@given(values=NUMBERS, window=st.integers(1, 9))
def test_sliding_moments(values: list[float], window: int) -> None:
    state = np.zeros(4 * window + 10)
    for n, value in enumerate(values):
        found = volatility.sliding_moments(state, 0, window, value)
        if n + 1 >= window:
            seen = np.array(values[n - window + 1 : n + 1])
            expected = [((seen - seen.mean()) ** power).sum() for power in (2, 3, 4)]
            np.testing.assert_allclose(found, expected, atol=1e-10)


def test_windows_forget_an_outlier() -> None:
    """A bar a million times too large leaves nothing behind once its window has passed; smoothing means fade."""
    smoothing = {"dist_tema_20", "trix_15", "dist_kama_10", "ppo_12_26", "adxr_14", "keltner_20", "chaikin_osc_3_10"}
    random = np.random.default_rng(3)
    rows = np.full((160, len(BAR_INPUTS)), np.nan)
    close = np.exp(np.cumsum(random.normal(0, 0.02, 160)))
    for name, share in (("open", 0.995), ("high", 1.02), ("low", 0.97), ("close", 1.0)):
        rows[:, BAR_INPUTS.index(name)] = close * share
    rows[:, BAR_INPUTS.index("volume")] = random.integers(1, 1000, 160)
    rows[:, BAR_INPUTS.index("factor")] = 1.0
    spoilt = rows.copy()
    spoilt[20, :5] *= 1e6
    left, right = StreamState(SHORT), StreamState(SHORT)
    pairs = np.array([[left.update(row), right.update(other)] for row, other in zip(rows, spoilt, strict=True)])
    for n, feature in enumerate(SHORT):
        fades = feature.name in smoothing or feature.name == "stoch_rsi_14"
        own, other = pairs[150 if fades else 60 :, :, n].T
        np.testing.assert_allclose(own, other, rtol=1e-4 if fades else 1e-6, atol=1e-5 if fades else 0.0)


@pytest.mark.parametrize("later", [1, 7, 40, 150, 333])
def test_from_the_declared_warm_up_on_it_does_not_matter_where_the_bars_began(bars_of, later: int) -> None:
    """To 1e-6 of the value, or of a hundredth of the largest one where the value is smaller still."""
    raw = bars_of(seed=43, symbols=3, sessions=900, gaps=0.0, holes=0.0)
    sessions = raw["session"].unique().sort()
    whole = compute_features(prepare_bars(raw), SET)
    begun_later = compute_features(prepare_bars(raw.filter(pl.col("session") >= sessions[later])), SET)
    for feature in SET:
        found = begun_later[feature.name].to_numpy().reshape(3, -1)
        assert np.isnan(found[:, : feature.warm_up - 1]).all()
        assert np.isfinite(found[:, feature.warm_up - 1 :]).all(), feature.name
        expected = whole[feature.name].to_numpy().reshape(3, -1)[:, later:][:, feature.warm_up - 1 :]
        floor = 1e-8 * np.abs(expected).max()
        np.testing.assert_allclose(
            found[:, feature.warm_up - 1 :], expected, rtol=1e-6, atol=floor, err_msg=feature.name
        )
