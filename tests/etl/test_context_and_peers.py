"""What comes with a bar: market, macro and peers, none of them known later than the bar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from project01.domain import InputError, SchemaError
from project01.etl import Context, bar_inputs, compute_features, feature_set, prepare_bars, usable
from project01.etl.peers import known_peer_mean, known_peer_rank


def inputs_of(bars: pl.DataFrame, name: str, symbol: str = "S0", **given_frames) -> np.ndarray:
    values = bar_inputs(bars, feature_set("core"), Context(**given_frames)).of(name)
    return values[(bars["symbol"] == symbol).to_numpy()]


@pytest.fixture(scope="module")
def bars(bars_of) -> pl.DataFrame:
    return prepare_bars(bars_of(seed=1, symbols=4, sessions=60, gaps=0.0))


def macro_rows(*rows: tuple[str, date, datetime, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["series_id", "period", "knowledge_time", "value"], orient="row").with_columns(
        pl.col("knowledge_time").dt.cast_time_unit("us")
    )


def test_the_vix_of_a_quarter_past_four_is_not_seen_at_four(bars: pl.DataFrame, macro_of) -> None:
    macro = macro_of(bars)
    vix = macro.filter(pl.col("series_id") == "VIX")["value"].to_numpy()
    rate = macro.filter(pl.col("series_id") == "DGS10")["value"].to_numpy()
    np.testing.assert_array_equal(inputs_of(bars, "vix", macro=macro)[1:], vix[:-1])
    np.testing.assert_array_equal(inputs_of(bars, "us10y", macro=macro), rate)


def test_a_series_that_ended_goes_missing(bars: pl.DataFrame) -> None:
    known = bars["knowledge_time"][0]
    macro = macro_rows(("VIX", known.date(), known, 20.0))
    found = inputs_of(bars, "vix", macro=macro)
    age = (bars.filter(pl.col("symbol") == "S0")["knowledge_time"] - known).dt.total_days().to_numpy()
    np.testing.assert_array_equal(np.isnan(found), age > 10)


def test_a_revision_of_an_old_period_does_not_replace_the_newest(bars: pl.DataFrame) -> None:
    days, times = bars["session"].to_list(), bars["knowledge_time"].to_list()
    macro = macro_rows(
        ("VIX", days[0], times[0], 20.0),
        ("VIX", days[1], times[1], 30.0),
        ("VIX", days[0], times[2], 99.0),
        ("VIX", days[1], times[3], 31.0),
    )
    np.testing.assert_array_equal(inputs_of(bars, "vix", macro=macro)[:5], [20, 30, 30, 31, 31])


def test_equal_weight_market(bars: pl.DataFrame) -> None:
    frame = bars.to_pandas()
    price = (frame["close"] * frame["factor"]).groupby(frame["symbol"]).pct_change()
    mean = price.groupby(frame["session"]).mean().to_numpy()
    np.testing.assert_allclose(inputs_of(bars, "market_return"), mean, rtol=1e-12)


def test_two_instruments_are_no_market(bars: pl.DataFrame) -> None:
    two = bars.filter(pl.col("symbol").is_in(["S0", "S1"]))
    assert np.isnan(inputs_of(two, "market_return")).all()


def test_a_return_over_a_long_gap_is_not_set_against_one_session(bars: pl.DataFrame) -> None:
    days = bars["session"].unique().sort()
    gone = (pl.col("symbol") == "S0") & pl.col("session").is_between(days[20], days[27])
    halted = bars.filter(~gone)
    assert np.isnan(inputs_of(halted, "market_return")[20])
    others = bars.filter(pl.col("symbol") != "S0")
    np.testing.assert_array_equal(
        inputs_of(halted, "market_return", "S1")[28], inputs_of(others, "market_return", "S1")[28]
    )


def test_index_as_market(bars: pl.DataFrame) -> None:
    days = bars.select("session", "knowledge_time").unique("session", maintain_order=True).sort("session")
    level = np.exp(np.linspace(0, 1, days.height))
    index = days.with_columns(close=pl.Series(level))
    move = np.concatenate([[np.nan], level[1:] / level[:-1] - 1])
    np.testing.assert_allclose(inputs_of(bars, "market_return", market=index), move, rtol=1e-12)
    late = index.with_columns(pl.col("knowledge_time") + timedelta(minutes=1))
    assert np.isnan(inputs_of(bars, "market_return", market=late)).all()
    gap = bars.filter((pl.col("symbol") != "S0") | (pl.col("session") != days["session"][10]))
    found = inputs_of(gap, "market_return", market=index)
    assert np.isnan(found[10])
    np.testing.assert_allclose(found[11:], move[12:], rtol=1e-12)


def test_market_that_cannot_be_used_is_refused(bars: pl.DataFrame) -> None:
    index = bars.select("session", "close", "knowledge_time")
    with pytest.raises(InputError, match="session twice"):
        bar_inputs(bars, feature_set("core"), Context(market=index))
    with pytest.raises(SchemaError, match="lacks knowledge_time"):
        bar_inputs(bars, feature_set("core"), Context(market=index.drop("knowledge_time")))


@st.composite
def sessions_with_late_rows(draw: st.DrawFn):
    count = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    session = random.integers(0, 4, count)
    known = session * 10 + random.choice([0, 0, 0, 3, 25], count)
    value = random.choice([np.nan, np.inf, 0.0, -0.0, 1.0, 2.0, 5.0, -3.0, -3.5], count)
    return session.astype(np.int64), known.astype(np.int64), value


@given(drawn=sessions_with_late_rows())
def test_peers_are_those_known_by_then(drawn) -> None:
    session, known, value = drawn
    means = known_peer_mean(session, known, value, 2)
    ranks = known_peer_rank(session, known, value.astype(np.float32))
    for n in range(len(value)):
        peers = value[(session == session[n]) & (known <= known[n]) & np.isfinite(value)]
        np.testing.assert_allclose(means[n], peers.mean() if len(peers) >= 2 else np.nan, rtol=1e-12)
        if not np.isfinite(value[n]) or len(peers) < 2:
            assert np.isnan(ranks[n])
        else:
            place = rankdata(peers)[np.flatnonzero(peers == value[n])[0]]
            np.testing.assert_allclose(ranks[n], (place - 1) / (len(peers) - 1) - 0.5, rtol=1e-6, atol=1e-7)


@given(drawn=sessions_with_late_rows(), last=st.integers(0, 60))
def test_peers_known_later_change_nothing(drawn, last: int) -> None:
    session, known, value = drawn
    early = known <= last
    for function in (lambda *rows: known_peer_mean(*rows, 1), lambda s, k, v: known_peer_rank(s, k, v.astype("f4"))):
        whole = function(session, known, value)[early]
        cut = function(session[early], known[early], value[early])
        np.testing.assert_array_equal(whole, cut)


def test_close_only_bars_keep_what_closes_can_carry(bars: pl.DataFrame, macro_of) -> None:
    bare = bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "volume"))
    kept, left_out = usable(feature_set("core"), bare, Context(macro=macro_of(bars)))
    assert set(left_out) == {
        "overnight_gap", "atr_14", "parkinson_vol_21", "volume_z_20", "log_dollar_volume", "amihud_21",
        "rank_volume_z_20",
    }  # fmt: skip
    assert (
        left_out["atr_14"] == "needs high, which the source does not carry; needs low, which the source does not carry"
    )
    assert left_out["rank_volume_z_20"] == "compares volume_z_20, which is left out"
    assert [feature.name for feature in (*kept,)] == [f.name for f in feature_set("core") if f.name not in left_out]


def test_no_macro_no_market_no_peers(bars: pl.DataFrame) -> None:
    _, left_out = usable(feature_set("core"), bars, None)
    assert set(left_out) == {"vix", "vix_change_5", "us10y_change_21"}
    assert left_out["vix"] == "needs the series VIX, which no source brought"
    one = bars.filter(pl.col("symbol") == "S0")
    _, alone = usable(feature_set("core"), one, None)
    assert {"beta_252", "residual_momentum", "rank_ret_5"} <= set(alone)
    index = one.select("session", "close", "knowledge_time")
    _, with_index = usable(feature_set("core"), one, Context(market=index))
    assert "beta_252" not in with_index


def test_some_instruments_without_volume_stay_missing_and_are_not_filled(bars_of) -> None:
    raw = bars_of(seed=9, symbols=3, sessions=60)
    mixed = prepare_bars(raw.with_columns(pl.when(pl.col("symbol") != "S1").then(pl.col("volume")).alias("volume")))
    kept, _ = usable(feature_set("core"), mixed, None)
    found = compute_features(mixed, kept).filter(pl.col("symbol") == "S1")
    for name in ("volume_z_20", "log_dollar_volume", "amihud_21", "rank_volume_z_20"):
        assert found[name].is_nan().all()


def test_bars_that_were_not_prepared_are_refused(bars: pl.DataFrame) -> None:
    with pytest.raises(SchemaError, match="pass what prepare_bars returns"):
        compute_features(bars.drop("factor"), feature_set("core"))
    with pytest.raises(InputError, match="must be sorted"):
        compute_features(bars.reverse(), feature_set("core"))
    with pytest.raises(InputError, match="at least 1"):
        compute_features(bars, feature_set("core"), threads=0)


def test_a_rank_alone_brings_its_base_along(bars: pl.DataFrame) -> None:
    rank = tuple(feature for feature in feature_set("core") if feature.name == "rank_ret_5")
    alone = compute_features(bars, rank)
    assert alone.columns[4:] == ["rank_ret_5"]
    whole = compute_features(bars, feature_set("core"))
    np.testing.assert_array_equal(alone["rank_ret_5"], whole["rank_ret_5"])


def test_no_bars_no_features(bars: pl.DataFrame) -> None:
    found = compute_features(bars.clear(), feature_set("core"))
    assert found.height == 0
    assert found.columns[4:] == [feature.name for feature in feature_set("core")]
    assert set(found.dtypes[4:]) == {pl.Float32}


def test_half_days_and_month_ends_are_known_in_advance() -> None:
    days = [date(2018, 12, 24), date(2018, 12, 31), date(2019, 1, 2)]
    at = [datetime(day.year, day.month, day.day, 21, tzinfo=UTC) for day in days]
    frame = pl.DataFrame({"symbol": "A", "session": days, "event_time": at, "knowledge_time": at, "close": [1.0, 2, 3]})
    bars = prepare_bars(frame)
    # December 2018 had 19 sessions: the 24th was the 16th of them, then 26, 27, 28, 31; the 5th was a day of mourning.
    np.testing.assert_array_equal(inputs_of(bars, "month_left", "A"), [4, 0, 20])
    np.testing.assert_allclose(inputs_of(bars, "month_share", "A"), [14 / 19, 18 / 19, 0])
    np.testing.assert_array_equal(inputs_of(bars, "weekday", "A"), [0, 0, 2])
