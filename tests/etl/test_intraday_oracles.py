"""Every intraday feature against plain pandas over windows of time, and small cases by hand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.etl.second_ticks import OPEN, made_up_seconds

from project01.etl import Feature, StreamState, feature_set, steps_intraday
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.seconds_batch import compute_intraday

FEATURES = feature_set("intraday")


def rolled(column: pd.Series, window: int, how: str = "sum") -> pd.Series:
    """Over (t - window, t]; a window without a value sums to 0."""
    windows = column.rolling(f"{window}s", min_periods=0)
    return {"sum": windows.sum, "mean": windows.mean, "max": windows.max, "min": windows.min}[how]()


def seen(rows: pd.DataFrame, window: int) -> pd.Series:
    """True where the rows have gone on for the window, of those rows alone."""
    seconds = (rows.index - rows.index[0]).total_seconds()
    return pd.Series(seconds + 1 >= window, rows.index)


class Oracle:
    """One session of one symbol, each feature by its name without the window."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows
        self.last = rows["close"].ffill()
        self.move = np.log(self.last / self.last.shift()).where(self.last.shift().notna())
        self.moved = self.move.where(rows["close"].notna(), 0.0).where(self.last.shift().notna())
        self.value = (rows["vwap"] * rows["volume"]).where(rows["volume"] > 0, 0.0)
        fits = rows["bid"] <= rows["ask"]
        self.mid = ((rows["bid"] + rows["ask"]) / 2).where(fits)

    def on(self, needed: pd.Series, compute: Callable[[pd.DataFrame], pd.Series], window: int) -> pd.Series:
        """Computed on the rows where `needed` is there; NaN elsewhere and until the window was seen."""
        part = self.rows[needed.notna()]
        found = compute(part).where(seen(part, window)) if len(part) else pd.Series(dtype=float)
        return found.reindex(self.rows.index)

    def of(self, name: str, window: int) -> pd.Series:
        found: pd.Series = getattr(self, name)(window)
        return found

    def return_(self, window: int) -> pd.Series:
        known = self.last.dropna()
        before = pd.merge_asof(
            pd.DataFrame({"at": known.index - pd.Timedelta(seconds=window)}), known.rename("was").reset_index(),
            left_on="at", right_on="index",
        )["was"]  # fmt: skip
        return (known / before.to_numpy() - 1).reindex(self.rows.index)

    def return_since_open(self, _: int) -> pd.Series:
        begun = self.rows["open"].groupby(self.rows["session_start"]).transform("first")
        seen = self.rows["open"].groupby(self.rows["session_start"]).ffill()
        return self.last / begun.where(seen.notna()) - 1

    def seconds_since_open(self, _: int) -> pd.Series:
        return self.rows["time"] - self.rows["session_start"]

    def vwap_distance(self, window: int) -> pd.Series:
        return self.on(
            self.last,
            lambda part: self.last[part.index]
            / (rolled(self.value[part.index], window) / rolled(part["volume"], window).replace(0, np.nan)) - 1,
            window,
        )  # fmt: skip

    def realised_volatility(self, window: int) -> pd.Series:
        return self.on(self.moved, lambda part: np.sqrt(rolled(self.moved[part.index] ** 2, window)), window)

    def products(self) -> pd.Series:
        """Of neighbouring returns; 0 in a second without a trade, missing before the first."""
        size = self.moved.abs()[self.rows["close"].notna()]
        product = size * size.shift()
        begun = product.reindex(self.rows.index).ffill().notna()
        return product.reindex(self.rows.index).fillna(0.0).where(begun)

    def bipower_volatility(self, window: int) -> pd.Series:
        own = self.products()
        return self.on(own, lambda part: np.sqrt(np.pi / 2 * rolled(own[part.index], window).clip(lower=0)), window)

    def jump_share(self, window: int) -> pd.Series:
        own = self.products()

        def share(part: pd.DataFrame) -> pd.Series:
            squares = rolled(self.moved[part.index] ** 2, window)
            smooth = np.pi / 2 * rolled(own[part.index], window)
            return (1 - smooth / squares.where(squares > 1e-15)).clip(lower=0)

        return self.on(own, share, window)

    def price_range(self, window: int) -> pd.Series:
        return self.on(
            self.last,
            lambda part: np.log(rolled(part["high"], window, "max") / rolled(part["low"], window, "min")),
            window,
        )

    def quote_imbalance(self, window: int) -> pd.Series:
        depth = (self.rows["bid_size"] + self.rows["ask_size"]) / 2
        return self.on(
            depth,
            lambda part: rolled(part["order_flow_imbalance"], window) / rolled(depth[part.index], window, "mean"),
            window,
        )

    def trade_imbalance(self, window: int) -> pd.Series:
        return self.on(
            self.rows["volume"],
            lambda part: rolled(part["signed_volume"], window) / rolled(part["volume"], window).replace(0, np.nan),
            window,
        )

    def toxicity(self, window: int) -> pd.Series:
        return self.on(
            self.rows["volume"],
            lambda part: (
                rolled(part["signed_volume"].abs(), window) / rolled(part["volume"], window).replace(0, np.nan)
            ),
            window,
        )

    def price_impact(self, window: int) -> pd.Series:
        def slope(part: pd.DataFrame) -> pd.Series:
            traded = part["close"].notna()
            flow = (part["signed_volume"] * self.last[part.index] / 1e6).where(traded)
            move = self.moved[part.index].where(traded)
            roll = flow.rolling(f"{window}s", min_periods=3)
            return roll.cov(move) / roll.var()

        return self.on(self.moved, slope, window)

    def relative_spread(self, _: int) -> pd.Series:
        return (self.rows["ask"] - self.rows["bid"]) / self.mid

    def mean_relative_spread(self, window: int) -> pd.Series:
        return self.on(
            self.mid, lambda part: rolled(((part["ask"] - part["bid"]) / self.mid[part.index]), window, "mean"), window
        )

    def depth_imbalance(self, _: int) -> pd.Series:
        return (self.rows["bid_size"] - self.rows["ask_size"]) / (self.rows["bid_size"] + self.rows["ask_size"])

    def mean_depth_imbalance(self, window: int) -> pd.Series:
        own = self.depth_imbalance(0)
        return self.on(own, lambda part: rolled(own[part.index], window, "mean"), window)

    def micro_price_distance(self, _: int) -> pd.Series:
        rows = self.rows
        weighted = rows["ask"] * rows["bid_size"] + rows["bid"] * rows["ask_size"]
        return weighted / (rows["bid_size"] + rows["ask_size"]) / self.mid - 1

    def illiquidity(self, window: int) -> pd.Series:
        def mean(part: pd.DataFrame) -> pd.Series:
            own = (self.moved[part.index].abs() / self.value[part.index]).where(part["volume"] > 0)
            found = own.rolling(f"{window}s", min_periods=1).mean()
            return np.log10(1e6 * found.where(found > 1e-15))

        return self.on(self.moved, mean, window)

    def seconds_since_trade(self, _: int) -> pd.Series:
        return self.rows["time"] - self.rows["time"].where(self.rows["volume"] > 0).ffill()

    def trade_intensity(self, window: int) -> pd.Series:
        return self.on(self.rows["trades"], lambda part: rolled(part["trades"], window) / window, window)

    def volume_surge(self, window: int) -> pd.Series:
        return self.on(
            self.rows["volume"],
            lambda part: part["volume"] / (rolled(part["volume"], window).replace(0, np.nan) / window),
            window,
        )


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return made_up_seconds(3, symbols=2, seconds=9_000, first=OPEN - 4_000)


@pytest.fixture(scope="module")
def computed(rows: pl.DataFrame) -> pl.DataFrame:
    return compute_intraday(rows, FEATURES)


@pytest.fixture(scope="module")
def oracles(rows: pl.DataFrame) -> list[Oracle]:
    wide = rows.to_pandas()
    wide.index = pd.DatetimeIndex(pd.to_datetime(wide["time"], unit="s", utc=True), name="index")
    return [Oracle(own) for _, own in wide.groupby(["symbol", "session_start"], sort=True)]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_equals_pandas(feature: Feature, computed: pl.DataFrame, oracles: list[Oracle]) -> None:
    stem = feature.name.removesuffix(f"_{feature.window}s")
    expected = pd.concat([oracle.of("return_" if stem == "return" else stem, feature.window) for oracle in oracles])
    found = computed[feature.name].to_numpy()
    assert np.isfinite(found).mean() > 0.15
    np.testing.assert_array_equal(np.isnan(found), expected.isna().to_numpy())
    # pandas adds and subtracts, and its rest is seen where the value itself is near 0.
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=2e-6, atol=1e-9 * np.nanmax(np.abs(found)) + 1e-12)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_the_warm_up_is_the_declared_one(feature: Feature) -> None:
    """With an event each second the first value is the one declared, wherever the session began to be seen."""
    random = np.random.default_rng(0)
    count = feature.warm_up + 40
    close = np.round(50 + np.cumsum(random.normal(0, 0.02, count)), 2)
    full = {name: np.full(count, 500.0) for name in SECOND_INPUTS} | {
        "time": OPEN + 100.0 + np.arange(count), "open": close, "high": close, "low": close, "close": close,
        "vwap": close, "session_start": np.full(count, float(OPEN)), "bid": close - 0.01,
        "ask": close + 0.01, "signed_volume": random.integers(-500, 500, count).astype(float),
    }  # fmt: skip
    when = (pl.col("time") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    rows = pl.DataFrame(full).select(
        pl.lit("A").alias("symbol"), when.alias("event_time"), when.alias("knowledge_time"), *SECOND_INPUTS
    )
    whole = compute_intraday(rows, [feature])[feature.name].to_numpy()
    for start in (0, 1, 3, 17, 39):
        later = compute_intraday(rows[start:], [feature])[feature.name].to_numpy()
        assert np.isnan(later[: feature.warm_up - 1]).all()
        if feature.name != "return_since_open":  # measured from the first price seen, so that one matters for ever
            np.testing.assert_array_equal(later[feature.warm_up - 1 :], whole[start + feature.warm_up - 1 :])
        assert np.isfinite(later[feature.warm_up - 1 :]).all()


def hand(name: str, step: Callable[..., float], inputs: tuple[str, ...], columns: int = 1, window: int = 3) -> Feature:
    return Feature(
        name=name, group="test", clock="second", inputs=inputs, window=window, warm_up=window, unit="", source="",
        description="", step=step, parameters=(window,) if step is steps_intraday.rate_in else (),
        columns=("sum",) * columns,
    )  # fmt: skip


def seconds_of(times: list[int], starts: list[int], **columns: list[float]) -> pl.DataFrame:
    wide = {name: columns.get(name, [np.nan] * len(times)) for name in SECOND_INPUTS}
    wide |= {"time": [float(time) for time in times], "session_start": [float(start) for start in starts]}
    when = (pl.col("time") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(wide).select(
        pl.lit("A").alias("symbol"), when.alias("event_time"), when.alias("knowledge_time"), *SECOND_INPUTS
    )


def test_a_window_is_of_time_and_begins_with_its_session() -> None:
    rate = hand("rate", steps_intraday.rate_in, ("trades",))
    rows = seconds_of([11, 12, 14, 17, 18, 19, 20], [10, 10, 10, 10, 17, 17, 17], trades=[3, 6, 9, 12, 15, 18, 21])
    found = compute_intraday(rows, [rate])["rate"].to_list()
    # (11, 14] holds 12 and 14; (14, 17] holds 17 alone; the session of 17 is seen from 18 on.
    expected = [np.nan, np.nan, 5.0, 4.0, np.nan, np.nan, 18.0]
    np.testing.assert_array_equal(found, expected)


def test_a_value_that_has_left_leaves_nothing_behind() -> None:
    rate = hand("rate", steps_intraday.rate_in, ("volume",))
    rows = seconds_of(list(range(1, 10)), [1] * 9, volume=[1.0, 1.0, 1e300, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    found = compute_intraday(rows, [rate])["rate"].to_list()
    assert found[-4:] == [1.0] * 4


def test_volatility_and_jumps_by_hand() -> None:
    jumps = hand("jumps", steps_intraday.jump_share, ("log_return", "neighbour_product"), 2)
    rows = seconds_of([1, 2, 3, 4, 5], [1] * 5, close=[1.0, np.e, np.e**3, np.e**3, np.e**4])
    found = compute_intraday(rows, [jumps])["jumps"].to_numpy()
    # Returns 1, 2, 0, 1; the first has no neighbour. Of the last three: squares 5, products 2, 0, 0.
    np.testing.assert_allclose(found[4], 1 - np.pi / 2 * 2 / 5, rtol=1e-6)
    assert np.isnan(found[:4]).all()


def test_time_that_does_not_go_on_enters_no_window() -> None:
    rate = hand("rate", steps_intraday.rate_in, ("trades",))
    rows = seconds_of([1, 2, 3, 4], [1] * 4, trades=[3.0, 3.0, 3.0, 3.0])
    state = StreamState([rate])
    matrix = rows.select(state.inputs).to_numpy()
    plain = [state.update(row)[0] for row in matrix]
    state = StreamState([rate])
    again = [state.update(row)[0] for row in np.repeat(matrix, 50, axis=0)]
    assert again[::50][2:] == plain[2:] == [3.0, 3.0]
    assert np.isnan(np.delete(again, np.arange(0, 200, 50))).all()
