"""The audit harness on small honest and leaky computations."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from project01.domain import InputError
from project01.evaluate import CHANGES, Change, Layer, Leak, audit_layer, cut_times, perturb

SYMBOLS, SESSIONS = ("AAA", "MMM", "ZZZ"), 60
STRANGERS = {"!LATER", "~LATER"}


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for symbol in SYMBOLS:
        close = 50 * np.exp(np.cumsum(generator.normal(0, 0.02, SESSIONS)))
        for n, price in enumerate(close):
            at = datetime(2020, 1, 1, 21, tzinfo=UTC) + timedelta(days=n)
            opened = price * float(np.exp(generator.normal(0, 0.01)))
            rows.append(
                {
                    "symbol": symbol, "session": date(2020, 1, 1) + timedelta(days=n), "event_time": at,
                    "knowledge_time": at, "open": opened, "high": max(opened, price) * 1.01,
                    "low": min(opened, price) * 0.99, "close": price, "adj_close": price * 0.98,
                    "volume": float(generator.integers(1000, 9000)),
                }
            )  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.col("event_time", "knowledge_time").dt.cast_time_unit("us"))


Feature = Callable[[pl.DataFrame], pl.DataFrame]


def feature(value: pl.Expr) -> Feature:
    """As first published: a restated row is known later and does not enter."""

    def compute(rows: pl.DataFrame) -> pl.DataFrame:
        first = rows.sort("symbol", "session", "knowledge_time").unique(["symbol", "session"], keep="first")
        ordered = first.sort("symbol", "session").with_columns(pl.col("knowledge_time").alias("as_of"))
        return ordered.with_columns(value.alias("f")).select("symbol", "as_of", "f")

    return compute


def audited(
    compute: Feature, rows: pl.DataFrame, times: int = 8, changes: tuple[Change, ...] = CHANGES
) -> tuple[Leak, ...]:
    layer = Layer("features", {"bars": rows}, lambda tables, _: {"": compute(tables["bars"])}, changes)
    return audit_layer(layer, cut_times(rows, times, seed=1), seed=1).leaks


C, V, S = pl.col("close"), pl.col("volume"), "symbol"
HONEST = {
    "return": C / C.shift(1).over(S) - 1,
    "average with a warm-up": C.rolling_mean(5).over(S),
    "range of today": pl.col("high") / pl.col("low"),
    # Of those known at the same time: over the session it would count names whose bars come late.
    "rank among symbols of the day": C.rank().over("as_of"),
    "running maximum": C.cum_max().over(S),
    "step of the adjustment": ((pl.col("adj_close") / C) / (pl.col("adj_close") / C).shift(1)).over(S),
}
LEAKY = {
    "tomorrow's close": C.shift(-1).over(S),
    "tomorrow's range": (pl.col("high") / pl.col("low")).shift(-1).over(S),
    "tomorrow's volume": V.shift(-1).over(S),
    "centred average": C.rolling_mean(5, center=True).over(S),
    "whole-sample scaler": (C - C.mean().over(S)) / C.std().over(S),
    "filled from the future": pl.when(V > 6000).then(C).otherwise(None).backward_fill().over(S),
    "rank over all time": C.rank().over(S),
    "number of rows": pl.len().over(S),
    "position among all symbols": pl.col("symbol").rank("dense"),
    "adjusted by the last price": C / C.last().over(S),
    "split by whether it survives": (pl.col("session").max().over(S) >= date(2020, 2, 28)).cast(pl.Float64),
    "rank with bars that come late": C.rank().over("session"),
    "level of the adjusted close": pl.col("adj_close"),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_features_pass_all_changes(bars: pl.DataFrame, name: str) -> None:
    assert audited(feature(HONEST[name]), bars, times=5) == ()


@pytest.mark.parametrize("name", LEAKY)
def test_leaky_features_are_caught_and_the_first_difference_told(bars: pl.DataFrame, name: str) -> None:
    (leak,) = audited(feature(LEAKY[name]), bars, times=5)
    assert (leak.layer, leak.output, leak.through) == ("features", "f", "bars")
    assert leak.symbol in SYMBOLS
    assert leak.before != leak.after
    assert np.datetime64(leak.as_of[:19]) <= np.datetime64(leak.cut)
    assert f"features: f of {leak.symbol}" in str(leak)


@pytest.mark.parametrize("name", ["tomorrow's close", "tomorrow's range", "tomorrow's volume"])
def test_noise_alone_reaches_every_part_of_a_later_bar(bars: pl.DataFrame, name: str) -> None:
    assert audited(feature(LEAKY[name]), bars, 5, ("noise",))


@pytest.mark.parametrize(
    ("name", "change"),
    [("rank with bars that come late", "late"), ("level of the adjusted close", "readjusted"),
     ("split by whether it survives", "universe")],
)  # fmt: skip
def test_some_leaks_take_a_change_of_their_own(bars: pl.DataFrame, name: str, change: Change) -> None:
    assert audited(feature(LEAKY[name]), bars, 5, (change,))
    assert audited(feature(LEAKY[name]), bars, 5, ("noise",)) == ()


def test_the_newest_version_of_a_restated_row_is_a_leak(bars: pl.DataFrame) -> None:
    def newest(rows: pl.DataFrame) -> pl.DataFrame:
        last = rows.sort("symbol", "session", "knowledge_time").unique(["symbol", "session"], keep="last")
        return last.select("symbol", pl.col("event_time").alias("as_of"), C.alias("f")).sort("symbol", "as_of")

    leaks = audited(newest, bars, 5, ("restated", "nothing", "split"))
    assert {leak.change for leak in leaks} == {"restated"}


def test_a_row_that_comes_or_goes_is_a_leak(bars: pl.DataFrame) -> None:
    def only_winners(rows: pl.DataFrame) -> pl.DataFrame:
        return feature(C)(rows.filter(C.last().over(S) > C.mean().over(S)))

    assert "rows" in {leak.output for leak in audited(only_winners, bars)}


@pytest.mark.parametrize("first_row", [-1, 0])
def test_an_output_that_comes_or_goes_is_a_leak_only_where_it_stood_already(bars: pl.DataFrame, first_row: int) -> None:
    """A back-test that begins after the cut is left out where there is no future; one that began before is not."""
    last = bars["knowledge_time"].max()

    def compute(tables: dict[str, pl.DataFrame], _: np.datetime64) -> dict[str, pl.DataFrame]:
        rows = tables["bars"]
        book = rows.sort("knowledge_time").select("symbol", as_of="knowledge_time", equity=C)[first_row:]
        return {"": feature(C)(rows)} | ({"book": book} if rows["knowledge_time"].max() == last else {})

    layer = Layer("chain", {"bars": bars}, compute, ("nothing",))
    leaks = audit_layer(layer, cut_times(bars, 5, seed=1), seed=1).leaks
    assert {leak.output for leak in leaks} == ({"book.rows"} if first_row == 0 else set())
    assert all(leak.as_of for leak in leaks)


def test_missing_equals_missing_but_not_a_number(bars: pl.DataFrame) -> None:
    for quiet in (pl.lit(None, pl.Float64), pl.lit(float("nan"))):
        assert audited(feature(quiet), bars, 3) == ()
    known_later = pl.when(C.shift(-1).over(S).is_not_null()).then(1.0)
    assert audited(feature(known_later), bars, 3, ("nothing",))


def test_a_difference_of_one_bit_is_a_leak(bars: pl.DataFrame) -> None:
    tiny = 1.0 + pl.len().over(S) * 2.0**-52
    assert audited(feature(tiny), bars, 3, ("nothing",))


def test_the_table_the_future_came_in_by_is_named(bars: pl.DataFrame) -> None:
    news = bars.select("symbol", "session", "knowledge_time", score=V)

    def compute(tables: dict[str, pl.DataFrame], _: np.datetime64) -> dict[str, pl.DataFrame]:
        told = tables["news"].group_by("symbol").agg(pl.col("score").max().alias("best"))
        return {"x": feature(C)(tables["bars"]).join(told, on="symbol", how="left")}

    layer = Layer("features", {"bars": bars, "news": news}, compute, ("noise",))
    found = audit_layer(layer, cut_times(bars, 3, seed=1), seed=1)
    assert found.outputs == ("x.f", "x.best")
    assert found.values > 100
    assert [(leak.output, leak.through) for leak in found.leaks] == [("x.best", "news")]


def test_an_output_read_at_the_cut_is_compared_with_itself_at_that_cut(bars: pl.DataFrame) -> None:
    def newest(tables: dict[str, pl.DataFrame], cut: np.datetime64, slack: timedelta) -> dict[str, pl.DataFrame]:
        at = cut.item().replace(tzinfo=UTC)
        known = tables["bars"].filter(pl.col("knowledge_time") <= at + slack).group_by("symbol").agg(C.last())
        return {"": known.with_columns(as_of=pl.lit(at).cast(pl.Datetime("us", "UTC"))).sort("symbol")}

    for slack, leaky in ((timedelta(0), False), (timedelta(days=1), True)):
        layer = Layer(
            "lake", {"bars": bars}, lambda t, c, s=slack: newest(t, c, s), ("noise",), ("nothing",), reads_at_cut=True
        )
        assert bool(audit_layer(layer, cut_times(bars, 4, seed=1), seed=1).leaks) == leaky


def split_by(bars: pl.DataFrame, cut: np.datetime64) -> tuple[pl.DataFrame, pl.DataFrame]:
    at = pl.lit(cut.item()).dt.replace_time_zone("UTC")
    return bars.filter(pl.col("knowledge_time") <= at), bars.filter(pl.col("knowledge_time") > at)


def test_noise_changes_all_that_is_later_and_leaves_possible_bars(bars: pl.DataFrame) -> None:
    cut = cut_times(bars, 5, seed=2)[2]
    changed = perturb({"bars": bars}, cut, "noise", seed=3)["bars"]
    (past, later), (same, after) = split_by(bars, cut), split_by(changed, cut)
    assert same.equals(past)
    known = after.filter(pl.col("symbol").is_in(SYMBOLS))
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        assert (known[name] != later[name]).all()
    ends = (after["high"] >= after.select(pl.max_horizontal("open", "close")).to_series()).all()
    assert ends
    assert (after["low"] <= after.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert set(after["symbol"]) - set(SYMBOLS) == STRANGERS
    assert changed.schema == bars.schema
    assert changed.equals(perturb({"bars": bars}, cut, "noise", seed=3)["bars"])
    assert not changed.equals(perturb({"bars": bars}, cut, "noise", seed=4)["bars"])


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "readjusted"])
def test_what_was_known_at_the_cut_stays(bars: pl.DataFrame, change: Change) -> None:
    facts = bars.select("symbol", "session", "knowledge_time", source_id="symbol", value="close", text="symbol")
    cut = cut_times(bars, 5, seed=2)[2]
    for name, rows in perturb({"bars": bars, "facts": facts}, cut, change, seed=3).items():
        true = bars if name == "bars" else facts
        assert split_by(rows, cut)[0].equals(split_by(true, cut)[0])
        assert rows.schema == true.schema
        assert (change == "split" and name == "facts") == (rows is true)


def test_a_later_split_and_a_vendor_who_adjusts_back_for_it(bars: pl.DataFrame) -> None:
    cut = cut_times(bars, 5, seed=2)[2]
    later = split_by(perturb({"bars": bars}, cut, "split", seed=3)["bars"], cut)[1]
    assert later["close"].equals(split_by(bars, cut)[1]["close"] / 2)
    assert later["volume"].equals(split_by(bars, cut)[1]["volume"] * 2)
    back = perturb({"bars": bars}, cut, "readjusted", seed=3)["bars"]
    assert back["adj_close"].equals(bars["adj_close"] / 2)
    assert back.drop("adj_close").equals(bars.drop("adj_close"))


def test_late_rows_are_earlier_events_of_names_nobody_knew(bars: pl.DataFrame) -> None:
    cut = cut_times(bars, 5, seed=2)[2]
    changed = perturb({"bars": bars}, cut, "late", seed=3)["bars"]
    new = changed.filter(pl.col("symbol").is_in(list(STRANGERS)))
    assert new.height == 2 * split_by(bars, cut)[0].filter(pl.col("symbol") == "AAA").height
    assert (new["event_time"] <= cut.item().replace(tzinfo=UTC)).all()
    assert (new["knowledge_time"] == cut.item().replace(tzinfo=UTC) + timedelta(microseconds=1)).all()


def test_a_close_only_source_stays_close_only(bars: pl.DataFrame) -> None:
    bare = bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "volume"))
    changed = perturb({"bars": bare}, cut_times(bars, 5, seed=2)[2], "noise", seed=3)["bars"]
    assert changed.select("open", "high", "low", "volume").null_count().row(0) == (changed.height,) * 4


def test_cuts_are_drawn_by_seed_and_too_few_times_are_refused(bars: pl.DataFrame) -> None:
    assert np.array_equal(cut_times(bars, 10, seed=5), cut_times(bars, 10, seed=5))
    assert len(np.unique(cut_times(bars, 50, seed=5))) == 48
    with pytest.raises(InputError, match="at least 10"):
        cut_times(bars.head(5), 3, seed=1)
