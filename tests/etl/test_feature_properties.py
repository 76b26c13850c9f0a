"""What holds for any bars: stream equals batch, the past does not move, units, order and threads do not matter."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import InputError
from project01.etl import (
    BAR_INPUTS,
    Context,
    StreamState,
    bar_inputs,
    compute_features,
    feature_set,
    prepare_bars,
    steps,
)
from project01.etl.feature import Feature

SERIES = tuple(feature for feature in feature_set("core") if feature.kind == "series")
MARKET_AND_VIX = [BAR_INPUTS.index("market_return"), BAR_INPUTS.index("vix")]
NAMES = [feature.name for feature in feature_set("core")]
# Short windows of the same steps, so that drawn bars of a few dozen rows fill and pass them many times over.
SHORT = tuple(
    Feature(
        name=name, group="test", inputs=inputs, window=1, warm_up=1, unit="", source="", description="", step=step,
        parameters=parameters, state_size=size,
    )
    for name, step, inputs, parameters, size in (
        ("change", steps.past_return, ("close",), (3,), 5),
        ("skipping", steps.skipping_return, ("close",), (6, 2), 8),
        ("mean", steps.distance_from_mean, ("close",), (4,), 7),
        ("strength", steps.relative_strength, ("close", "previous"), (3, 5), 3),
        ("range", steps.average_true_range, ("high", "low", "close", "previous"), (3, 5), 2),
        ("macd", steps.convergence_divergence, ("close",), (2, 5, 3, 4), 4),
        ("band", steps.bollinger_position, ("close",), (4, 2), 12),
        ("volatility", steps.realised_volatility, ("log_return",), (5,), 14),
        ("parkinson", steps.parkinson_volatility, ("high", "low"), (3,), 6),
        ("volume", steps.z_score, ("volume",), (4,), 12),
        ("illiquid", steps.illiquidity, ("log_return", "dollar_volume"), (3,), 6),
        ("gap", steps.overnight_gap, ("open", "previous"), (), 0),
        ("beta", steps.market_beta, ("simple_return", "market_return"), (5,), 32),
        ("residual", steps.residual_momentum, ("simple_return", "market_return"), (6, 2), 47),
        ("vix", steps.difference, ("vix",), (2,), 4),
    )
)  # fmt: skip


def equal_bits(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=True)


@st.composite
def bar_columns(draw: st.DrawFn) -> np.ndarray:
    """Inputs of one instrument, shape (n_bars, n_inputs): any sequence of prices, with holes of every kind."""
    count = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = np.full((count, len(BAR_INPUTS)), np.nan)
    close = np.exp(np.cumsum(random.normal(0, draw(st.sampled_from([0.0, 0.01, 0.5])), count)))
    rows[:, 0:4] = close[:, None] * np.array([0.99, 1.02, 0.97, 1.0])
    rows[:, 4] = random.integers(0, draw(st.sampled_from([1, 5, 10**9])), count)
    rows[:, 5] = np.cumprod(random.choice([1.0, 1.01, 2.0], count))
    rows[:, MARKET_AND_VIX] = random.normal(0, 0.01, (count, 2)) + np.array([0.0, 20.0])
    bad = draw(st.sampled_from([0.0, 0.1, 0.5]))
    for column in (0, 1, 2, 3, 4, *MARKET_AND_VIX):
        spoil = random.random(count) < bad
        rows[spoil, column] = random.choice([np.nan, 0.0, -1.0, np.inf], int(spoil.sum()))
    return rows


@settings(max_examples=examples(60))
@given(rows=bar_columns(), data=st.data())
def test_stream_in_any_chunks_equals_one_pass(rows: np.ndarray, data: st.DataObject) -> None:
    whole = StreamState(SHORT)
    expected = np.array([whole.update(row) for row in rows])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4)))
    kept, parts = StreamState(SHORT).to_bytes(), []
    for chunk in np.split(rows, cuts):
        state = StreamState(SHORT)
        state.restore(kept)
        parts += [state.update(row) for row in chunk]
        kept = state.to_bytes()
    assert equal_bits(np.array(parts), expected)
    assert kept == whole.to_bytes()


@settings(max_examples=examples(40))
@given(rows=bar_columns())
def test_compiled_equals_plain_python(rows: np.ndarray) -> None:
    """The steps run as they stand in the source: compiling changes no bit of them."""
    state, plain = StreamState(SHORT), {feature.name: np.zeros(feature.state_size) for feature in SHORT}
    before = np.nan
    for row in rows:
        bar = dict(zip(BAR_INPUTS, row, strict=True))
        price = {n: bar[n] * bar["factor"] if 0 < bar[n] < np.inf else np.nan for n in ("open", "high", "low", "close")}
        traded = 0 <= bar["volume"] < np.inf
        given_bar = bar | price | {
            "volume": bar["volume"] / bar["factor"] if traded else np.nan,
            "dollar_volume": bar["volume"] * (price["close"] / bar["factor"]) if traded else np.nan,
            "previous": before,
            "simple_return": price["close"] / before - 1,
            "log_return": np.log(price["close"] / before),
        }  # fmt: skip
        if not np.isnan(price["close"]):
            before = price["close"]
        found = state.update(row)
        for value, feature in zip(found, SHORT, strict=True):
            inputs = [float(given_bar[name]) for name in feature.inputs]
            expected = np.nan
            if not np.isnan(inputs).any():
                with np.errstate(all="ignore"):
                    expected = feature.step(plain[feature.name], 0, *feature.parameters, *inputs)
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=feature.name)


def test_stream_equals_batch_on_the_whole_catalogue(bars_of, macro_of) -> None:
    bars = prepare_bars(bars_of(seed=11, symbols=3, sessions=330))
    macro = macro_of(bars)
    names = [feature.name for feature in SERIES]
    batch = compute_features(bars, SERIES, Context(macro=macro))
    rows = bar_inputs(bars, SERIES, Context(macro=macro)).rows()
    for symbol in bars["symbol"].unique(maintain_order=True):
        places = np.flatnonzero((bars["symbol"] == symbol).to_numpy())
        state = StreamState(SERIES)
        streamed = np.array([state.update(rows[place]) for place in places])
        assert equal_bits(streamed, batch.select(names).to_numpy()[places])


def test_state_of_other_definitions_is_refused() -> None:
    kept = StreamState(SHORT).to_bytes()
    with pytest.raises(InputError, match="other feature definitions"):
        StreamState(SHORT[:3]).restore(kept)
    with pytest.raises(InputError, match="other feature definitions"):
        StreamState(SHORT).restore(kept[:-8])


def test_stream_refuses_ranks_and_bars_of_another_width() -> None:
    with pytest.raises(InputError, match="rank a whole session"):
        StreamState(feature_set("core"))
    with pytest.raises(InputError, match="found 2"):
        StreamState(SHORT).update([1.0, 2.0])


@pytest.fixture(scope="module")
def market(bars_of, macro_of) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    raw = bars_of(seed=7, symbols=5, sessions=330)
    macro = macro_of(raw)
    return raw, macro, compute_features(prepare_bars(raw), feature_set("core"), Context(macro=macro))


@settings(max_examples=examples(12))
@given(last=st.integers(0, 329))
def test_the_past_does_not_move(market, last: int) -> None:
    raw, macro, whole = market
    until = raw["session"].unique().sort()[last]
    first = compute_features(
        prepare_bars(raw.filter(pl.col("session") <= until)), feature_set("core"), Context(macro=macro)
    )
    expected = whole.filter(pl.col("session") <= until)
    assert first.select("symbol", "session").equals(expected.select("symbol", "session"))
    assert equal_bits(first.select(NAMES).to_numpy(), expected.select(NAMES).to_numpy())


@settings(max_examples=examples(8))
@given(seed=st.integers(0, 2**32 - 1), threads=st.integers(1, 7))
def test_order_of_rows_and_threads_do_not_matter(market, seed: int, threads: int) -> None:
    raw, macro, whole = market
    shuffled = raw.sample(fraction=1.0, shuffle=True, seed=seed)
    found = compute_features(prepare_bars(shuffled), feature_set("core"), Context(macro=macro), threads=threads)
    assert found.select("symbol", "session", "knowledge_time").equals(
        whole.select("symbol", "session", "knowledge_time")
    )
    assert equal_bits(found.select(NAMES).to_numpy(), whole.select(NAMES).to_numpy())


def test_names_of_symbols_do_not_matter(market) -> None:
    """But for rounding in the market's mean, which is summed in the order of names."""
    raw, macro, whole = market
    renamed = compute_features(
        prepare_bars(raw.with_columns(symbol="Z" + (9 - pl.col("symbol").str.slice(1).cast(pl.Int64)).cast(pl.String))),
        feature_set("core"),
        Context(macro=macro),
    ).with_columns(symbol="S" + (9 - pl.col("symbol").str.slice(1).cast(pl.Int64)).cast(pl.String))
    left, right = renamed.sort("symbol", "session").select(NAMES).to_numpy(), whole.select(NAMES).to_numpy()
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@settings(max_examples=examples(8))
@given(scale=st.floats(1e-3, 1e4))
def test_scale_free_features_do_not_see_the_unit_of_price(market, scale: float) -> None:
    raw, macro, whole = market
    prices = pl.col("open", "high", "low", "close", "adj_close") * scale
    found = compute_features(prepare_bars(raw.with_columns(prices)), feature_set("core"), Context(macro=macro))
    for feature in feature_set("core"):
        left, right = found[feature.name].to_numpy(), whole[feature.name].to_numpy()
        if feature.scale_free:
            floor = 1e-6 * np.nanmax(np.abs(right), initial=0.0)
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=floor, err_msg=feature.name)
        elif abs(np.log(scale)) > 0.1:
            assert not np.allclose(left, right, equal_nan=True), feature.name


@pytest.mark.parametrize("ratio", [2.0, 7.0, 1 / 15])
def test_a_split_in_adj_close_changes_no_feature(market, ratio: float) -> None:
    """Raw prices divided by the ratio from one session on, volume multiplied, adj_close as it was."""
    raw, macro, whole = market
    day = raw["session"].unique().sort()[150]
    after = (pl.col("session") >= day) & (pl.col("symbol") == "S2")
    split = raw.with_columns(
        *(pl.when(after).then(pl.col(n) / ratio).otherwise(n).alias(n) for n in ("open", "high", "low", "close")),
        pl.when(after).then(pl.col("volume") * ratio).otherwise("volume").alias("volume"),
    )
    found = compute_features(prepare_bars(split), feature_set("core"), Context(macro=macro))
    for feature in feature_set("core"):
        left, right = found[feature.name].to_numpy(), whole[feature.name].to_numpy()
        floor = 1e-6 * np.nanmax(np.abs(right), initial=0.0)
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=floor, err_msg=feature.name)


def test_warm_up_is_long_enough_to_forget_where_the_bars_began(bars_of, macro_of) -> None:
    """Five starts, each leaving just the declared warm-up or more before the last bar: the last value agrees."""
    raw = bars_of(seed=23, symbols=4, sessions=700, gaps=0.0, holes=0.0)
    macro = macro_of(raw)
    sessions = raw["session"].unique().sort()
    ends = range(len(sessions) - 6, len(sessions))
    whole = compute_features(prepare_bars(raw), feature_set("core"), Context(macro=macro))
    for feature in feature_set("core"):
        spare = 0 if feature.name not in {"vix", "vix_change_5", "us10y_change_21"} else 1
        for length in (0, 1, 40, 150, 300):
            start = sessions[len(sessions) - feature.warm_up - length - spare]
            short = compute_features(
                prepare_bars(raw.filter(pl.col("session") >= start)), (feature,), Context(macro=macro)
            ).filter(pl.col("session") == sessions[ends[-1]])
            expected = whole.filter(pl.col("session") == sessions[ends[-1]])
            left, right = short[feature.name].to_numpy(), expected[feature.name].to_numpy()
            np.testing.assert_allclose(left, right, rtol=1e-6, err_msg=f"{feature.name} {length}")
