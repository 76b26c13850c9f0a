"""Change what is known only after a time, and nothing at or before it may change: honest features pass, leaky fail."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from tests.etl import leaky_features

from project01.etl import Context, compute_features, feature_set, prepare_bars

LEAKY = leaky_features.LEAKY
PRICES = ("open", "high", "low", "close", "adj_close")
HONEST = tuple(feature for feature in feature_set("core"))


def noisy(rows: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Other prices and volumes for the same bars."""
    level = pl.Series(np.exp(random.normal(0, 0.3, rows.height)))
    own = (pl.col(n) * level * pl.Series(np.exp(random.normal(0, 0.02, rows.height))) for n in PRICES)
    volume = (pl.col("volume") * pl.Series(np.exp(random.normal(0, 1, rows.height)))).round()
    return rows.with_columns(*own, volume.alias("volume"))


def futures(rows: pl.DataFrame, cut: datetime, seed: int) -> dict[str, pl.DataFrame]:
    """The same past with other futures: noise, nothing, and bars of the past corrected after the cut."""
    random = np.random.default_rng(seed)
    past, later = rows.filter(pl.col("knowledge_time") <= cut), rows.filter(pl.col("knowledge_time") > cut)
    corrected = past.filter(pl.Series(random.random(past.height) < 0.1))
    second = noisy(corrected, random).with_columns(
        pl.lit(cut + timedelta(seconds=1)).cast(pl.Datetime("us", "UTC")).alias("knowledge_time")
    )
    return {
        "noise": pl.concat([past, noisy(later, random)]),
        "nothing": past,
        "corrected": pl.concat([rows, second]),
    }


def differs(before: pl.DataFrame, after: pl.DataFrame, cut: datetime) -> set[str]:
    """Columns with a value at or before the cut that is not the same to the bit; "rows" if a row came or went."""
    left, right = (frame.filter(pl.col("as_of") <= cut).sort("symbol", "as_of") for frame in (before, after))
    keys = ["symbol", "as_of"]
    found = set() if left.select(keys).equals(right.select(keys)) else {"rows"}
    both = left.join(right, on=keys, how="inner", suffix="_after")
    for name in left.columns:
        if name not in keys and not np.array_equal(
            both[name].to_numpy(), both[f"{name}_after"].to_numpy(), equal_nan=True
        ):
            found.add(name)
    return found


def found_in(compute: Callable[[pl.DataFrame], pl.DataFrame], rows: pl.DataFrame, cuts: list[datetime]) -> set[str]:
    true, found = compute(rows), set()
    for number, cut in enumerate(cuts):
        for changed in futures(rows, cut, number).values():
            found |= differs(true, compute(changed), cut)
    return found


def found_in_leaky(feature, rows: pl.DataFrame, cuts: list[datetime]) -> set[str]:
    """As `found_in`. A decision at an open is dated before the bar it belongs to, so only its value counts: that the
    bar came at all is known by then to nobody, and no fault of the value."""

    def compute(changed: pl.DataFrame) -> pl.DataFrame:
        return leaky_features.as_decided(feature, changed)

    return found_in(compute, rows, cuts) - ({"rows"} if feature.decides == "open" else set())


@pytest.fixture(scope="module")
def rows(bars_of) -> pl.DataFrame:
    """Bars of six names, two of which stop: one in the middle, one near the end."""
    raw = bars_of(seed=4, symbols=6, sessions=330)
    days = raw["session"].unique().sort()
    gone = ((pl.col("symbol") == "S3") & (pl.col("session") > days[170])) | (
        (pl.col("symbol") == "S5") & (pl.col("session") > days[320])
    )
    return raw.filter(~gone)


@pytest.fixture(scope="module")
def cuts(rows: pl.DataFrame) -> list[datetime]:
    times = rows["knowledge_time"].unique().sort()
    return [times[n] for n in (60, 137, 215, 290, 300, 318)]


def honest(rows: pl.DataFrame, macro: pl.DataFrame) -> pl.DataFrame:
    first = leaky_features.first_versions(rows)
    frame = compute_features(prepare_bars(first), HONEST, Context(macro=macro))
    return frame.rename({"knowledge_time": "as_of"}).drop("session", "event_time")


def test_no_honest_feature_is_flagged(rows: pl.DataFrame, cuts: list[datetime], macro_of) -> None:
    macro = macro_of(rows)
    assert found_in(lambda changed: honest(changed, macro), rows, cuts) == set()


def test_honest_features_do_not_see_macro_values_known_later(rows: pl.DataFrame, cuts, macro_of) -> None:
    macro = macro_of(rows)
    true = honest(rows, macro)
    for cut in cuts:
        spoiled = pl.when(pl.col("knowledge_time") > cut).then(-1.0).otherwise("value").alias("value")
        assert differs(true, honest(rows, macro.with_columns(spoiled)), cut) == set()
        assert differs(true, honest(rows, macro.filter(pl.col("knowledge_time") <= cut)), cut) == set()


@pytest.mark.parametrize("name", LEAKY)
def test_every_leaky_feature_is_caught(name: str, rows: pl.DataFrame, cuts: list[datetime]) -> None:
    assert found_in_leaky(LEAKY[name], rows, cuts), LEAKY[name].why


def test_there_are_enough_of_them() -> None:
    assert len(LEAKY) >= 15


def test_the_check_flags_no_honest_feature_of_the_same_form(rows: pl.DataFrame, cuts: list[datetime]) -> None:
    """The machinery around the leaky ones is not what is caught."""

    def last_return(bars: pl.DataFrame) -> pl.DataFrame:
        first = leaky_features.first_versions(bars)
        return leaky_features.valued(first, (pl.col("close") / pl.col("close").shift() - 1).over("symbol"))

    for decides, compute in (("close", last_return), ("open", lambda b: last_return(b).with_columns(
        pl.col("value").shift().over("symbol")))):  # fmt: skip
        feature = leaky_features.Leaky(compute, decides, "")
        assert found_in_leaky(feature, rows, cuts) == set()
