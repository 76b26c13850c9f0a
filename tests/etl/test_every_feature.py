"""What holds for every daily feature of the catalogue, whichever set it stands in; a new set is tested by being there.

Batch equals stream, a build in blocks and a build session by session; the future changes nothing; warm-ups are true;
the unit of prices and splits matter only where a feature says so. (Seconds: test_second_stream.)
"""

from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.etl.conftest import make_bars, make_context

from project01.etl import (
    BAR_INPUTS,
    Context,
    Feature,
    FeatureBuild,
    KeptStates,
    StreamState,
    bar_inputs,
    build,
    catalogue,
    compute_features,
    feature_set,
    feature_sets,
    prepare_bars,
    usable,
)
from project01.etl.inputs import step_inputs

DAILY_SETS = [name for name in feature_sets() if feature_set(name)[0].clock == "session"]
SEED = 17


def daily(name: str) -> tuple[Feature, ...]:
    return feature_set(name)


def market(
    seed: int = SEED, symbols: int = 5, sessions: int = 560, gaps: float = 0.02, holes: float = 0.02
) -> tuple[pl.DataFrame, Context]:
    raw = make_bars(seed=seed, symbols=symbols, sessions=sessions, gaps=gaps, holes=holes)
    return raw, make_context(raw, seed)


@pytest.fixture(scope="module")
def whole() -> tuple[pl.DataFrame, pl.DataFrame, Context]:
    raw, context = market()
    return raw, prepare_bars(raw), context


def columns(features: tuple[Feature, ...]) -> list[str]:
    return [feature.name for feature in features]


@pytest.mark.parametrize("name", DAILY_SETS)
def test_the_made_up_market_carries_the_whole_set(name: str, whole) -> None:
    """Else the tests below would say nothing of what is left out."""
    _, bars, context = whole
    assert usable(daily(name), bars, context)[1] == {}
    found = compute_features(bars, daily(name), context)
    empty = [feature.name for feature in daily(name) if not np.isfinite(found[feature.name].to_numpy()).any()]
    assert empty == []


@pytest.mark.parametrize("name", DAILY_SETS)
def test_stream_blocks_and_sessions_equal_the_batch_to_the_bit(name: str, whole, monkeypatch) -> None:
    _, bars, context = whole
    features = daily(name)
    batch = compute_features(bars, features, context)
    series = tuple(feature for feature in features if feature.kind == "series")
    if series:
        rows = bar_inputs(bars, series, context).rows()
        for symbol in ("S0", "S3"):
            places = np.flatnonzero((bars["symbol"] == symbol).to_numpy())
            state = StreamState(series)
            streamed = np.array([state.update(rows[place]) for place in places])
            np.testing.assert_array_equal(streamed, batch.select(columns(series)).to_numpy()[places])
    monkeypatch.setattr(build, "ROWS_A_BLOCK", 900)
    assert pl.concat(list(FeatureBuild(bars, features, context).blocks())).equals(batch)
    cut = bars["session"].unique().sort()[430]
    first = FeatureBuild(bars.filter(pl.col("session") <= cut), features, context, threads=1)
    early = pl.concat(list(first.blocks()))
    kept = KeptStates(first.digest, first.states, first.rows)
    late = pl.concat(list(FeatureBuild(bars, features, context, kept=kept).blocks()))
    assert pl.concat([early, late]).sort("symbol", "session").equals(batch)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), threads=st.integers(1, 3), gaps=st.sampled_from([0.0, 0.3]))
@pytest.mark.parametrize("name", DAILY_SETS)
@pytest.mark.slow
def test_any_market_in_any_order_and_chunks(name: str, seed: int, threads: int, gaps: float) -> None:
    raw, context = market(seed, symbols=3, sessions=90, gaps=gaps, holes=0.2)
    features, bars = daily(name), prepare_bars(raw)
    batch = compute_features(bars, features, context, threads=1)
    shuffled = prepare_bars(raw.sample(fraction=1.0, shuffle=True, seed=seed))
    assert compute_features(shuffled, features, context, threads=threads).equals(batch)
    series = tuple(feature for feature in features if feature.kind == "series")
    if not series:
        return
    rows = bar_inputs(bars, series, context).rows()
    places = np.flatnonzero((bars["symbol"] == "S1").to_numpy())
    random, state, streamed = np.random.default_rng(seed), StreamState(series), []
    for place in places:
        if random.random() < 0.1:
            taken_up = StreamState(series)
            taken_up.restore(state.to_bytes())
            state = taken_up
        streamed.append(state.update(rows[place]))
    np.testing.assert_array_equal(np.array(streamed), batch.select(columns(series)).to_numpy()[places])


def after(frame: pl.DataFrame | None, instant: object, random: np.random.Generator) -> pl.DataFrame | None:
    """The frame with everything known after an instant replaced by noise, or left out."""
    if frame is None or random.random() < 0.3:
        return frame if frame is None else frame.filter(pl.col("knowledge_time") <= instant)
    later = pl.col("knowledge_time") > instant
    noise = [
        pl.when(later).then(pl.col(column) * 3.7 + 1.1).otherwise(pl.col(column)).alias(column)
        for column, kind in frame.schema.items()
        if kind in (pl.Float64, pl.Float32)
    ]
    return frame.with_columns(noise)


@pytest.mark.parametrize("name", DAILY_SETS)
def test_what_becomes_known_later_changes_nothing(name: str, whole) -> None:
    raw, bars, context = whole
    features = daily(name)
    before = compute_features(bars, features, context)
    random = np.random.default_rng(5)
    for place in (300, 420, 555):
        instant = raw["knowledge_time"].unique().sort()[place]
        changed = prepare_bars(after(raw, instant, random))
        frames = {f.name: getattr(context, f.name) for f in fields(context) if f.name != "adjusted"}
        other = Context(**{name: after(frame, instant, random) for name, frame in frames.items()})
        found = compute_features(changed, features, other).filter(pl.col("knowledge_time") <= instant)
        expected = before.filter(pl.col("knowledge_time") <= instant)
        assert found.select("symbol", "session").equals(expected.select("symbol", "session"))
        assert [f.name for f in features if not found[f.name].equals(expected[f.name])] == []


@pytest.mark.parametrize("name", DAILY_SETS)
def test_declared_warm_up_is_enough_from_any_start(name: str) -> None:
    """Five start lengths: once warm, where the series began no longer matters (1e-6 relative, beside float32)."""
    raw, context = market(seed=23, symbols=4, sessions=900, gaps=0.0, holes=0.0)
    features = tuple(f for f in daily(name) if f.kind == "series")
    if not features:
        pytest.skip("a set of comparisons only; what they compare is tested in its own set")
    sessions = raw["session"].unique().sort()
    bars = prepare_bars(raw)
    context = replace(context, market=None)
    whole = compute_features(bars, features, context)
    last = {feature.name: whole[feature.name].to_numpy().reshape(4, -1) for feature in features}
    for start in (20, 75, 150, 260, 400):
        part = prepare_bars(raw.filter(pl.col("session") >= sessions[start]))
        found = compute_features(part, features, context)
        for feature in features:
            own = found[feature.name].to_numpy().reshape(4, -1)
            reached = own[:, feature.warm_up - 1 :]
            expected = last[feature.name][:, start + feature.warm_up - 1 :]
            both = np.isfinite(reached) & np.isfinite(expected)
            tolerance = 2e-6 * np.abs(expected[both]) + 2e-6 * np.nanstd(last[feature.name])
            assert (np.abs(reached[both] - expected[both]) <= tolerance).all(), feature.name
            assert (np.isfinite(reached) == np.isfinite(expected)).mean() > 0.99, feature.name


@pytest.mark.parametrize("name", DAILY_SETS)
def test_nothing_comes_before_the_warm_up(name: str) -> None:
    raw, context = market(seed=29, symbols=3, sessions=400, gaps=0.0, holes=0.0)
    features = tuple(f for f in daily(name) if f.kind == "series")
    found = compute_features(prepare_bars(raw), features, context) if features else None
    for feature in features:
        assert found is not None
        early = found[feature.name].to_numpy().reshape(3, -1)[:, : feature.warm_up - 1]
        assert np.isnan(early).all(), feature.name


@pytest.mark.parametrize("name", DAILY_SETS)
def test_unit_of_prices_and_splits_matter_only_where_said(name: str) -> None:
    raw, context = market(seed=31, symbols=4, sessions=420)
    features = daily(name)
    before = compute_features(prepare_bars(raw), features, context)
    day = raw["session"].unique().sort()[200]
    prices = [pl.col(column) for column in ("open", "high", "low", "close", "vwap") if column in raw.columns]
    later = pl.col("session") >= day
    # Two new shares for one: the prices halve, the volume doubles, the vendor's adjusted close goes on.
    split = raw.with_columns(
        *(pl.when(later).then(price / 2).otherwise(price).alias(price.meta.output_name()) for price in prices),
        pl.when(later).then(pl.col("volume") * 2).otherwise(pl.col("volume")).alias("volume"),
        adj_close=pl.col("adj_close") / 2,
    )
    facts = context.facts
    assert facts is not None
    # What is filed from then on counts the new shares.
    counted = (pl.col("unit") == "shares") & (pl.col("knowledge_time").dt.date() >= day)
    told = facts.with_columns(value=pl.when(counted).then(pl.col("value") * 2).otherwise("value"))
    found = compute_features(prepare_bars(split), features, replace(context, facts=told))
    wrong = [f.name for f in features if f.scale_free and differ(before[f.name], found[f.name])]
    assert wrong == []


def differ(one: pl.Series, other: pl.Series) -> bool:
    left, right = one.to_numpy().astype(np.float64), other.to_numpy().astype(np.float64)
    scale = np.nanstd(left) if np.isfinite(left).any() else 1.0
    if (np.isfinite(left) != np.isfinite(right)).mean() > 0.002:
        return True
    both = np.isfinite(left) & np.isfinite(right)
    close = np.abs(left[both] - right[both]) <= 1e-4 * np.abs(left[both]) + 1e-4 * scale
    return bool((~close).mean() > 0.002)


def test_definitions_are_complete_and_names_unique() -> None:
    names = [feature.name for feature in catalogue()]
    assert len(set(names)) == len(names) >= 250
    for feature in catalogue():
        assert min(map(len, (feature.unit, feature.source, feature.description, feature.missing))) > 0, feature.name
        assert feature.description.endswith("."), feature.name
        assert min(feature.window, feature.warm_up) >= 1, feature.name
        if feature.kind == "series":
            assert set(feature.inputs) <= set(step_inputs(feature.clock)), feature.name
    assert len(set(BAR_INPUTS)) == len(BAR_INPUTS)
