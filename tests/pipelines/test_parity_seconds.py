"""A day of ticks through every engine, Spark Structured Streaming included, and the code the command ends with."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.etl.bar_trades import made_up_day
from tests.etl.test_second_rows import drawn_quotes
from tests.pipelines.conftest import run_cli
from tests.pipelines.test_feature_stream import bars, rows_of
from tests.pipelines.test_spark_features_stream import with_corrections
from tests.spark_session import CONF, spark_environment
from typer.testing import CliRunner

from infra import maven
from project01.cli.app import app
from project01.domain import BARS, QUOTES, TRADES, InputError, NotEnoughDataError
from project01.etl import Feature, feature_set
from project01.lake import Lake
from project01.pipelines import parity
from project01.pipelines.feature_stream import DISORDER
from project01.pipelines.parity import audit_parity_of_ticks
from project01.pipelines.parity_seconds import (
    DayOfSeconds,
    arrival_order,
    day_of_seconds,
    seconds_on_spark,
    seconds_streamed,
)
from project01.pipelines.progress import SilentProgress

BARS_DAY, TICKS_DAY = date(2024, 3, 5), date(2024, 3, 4)
INTRADAY = len(feature_set("intraday"))


def land_bars(lake: Lake, seconds: int, late: timedelta = timedelta(0)) -> None:
    """Bars of one second of three symbols: gaps, disorder, corrections, some far too late."""
    rows = rows_of(with_corrections(bars(seconds))).with_columns(
        source_id=pl.format("{}:{}", "symbol", "event_time"), session=pl.lit(BARS_DAY), simulated=pl.lit(value=True),
        ingested_at="knowledge_time", knowledge_time=pl.col("knowledge_time") + late,
    )  # fmt: skip
    lake.replace(BARS, rows)


def land_quotes(lake: Lake, count: int, days: int = 0) -> None:
    moved = pl.col("event_time", "knowledge_time") + timedelta(days=days)
    stamps = {"session": pl.lit(TICKS_DAY), "simulated": pl.lit(value=True), "conditions": pl.lit("")}
    quotes = drawn_quotes(4, count).with_columns(moved, ingested_at="knowledge_time", **stamps)
    lake.replace(QUOTES, quotes)


def land_trades(lake: Lake, count: int) -> None:
    """Late reports, sale conditions, cancels and corrections."""
    lake.replace(TRADES, made_up_day(3, count).with_columns(ingested_at="knowledge_time"))


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_rows_come_out_of_order_within_bounds_and_none_is_lost(seed: int, count: int) -> None:
    rows = rows_of(bars(100)).head(count)
    order = arrival_order(rows, seed)
    assert set(order.tolist()) == set(range(rows.height))
    known = rows["knowledge_time"].dt.epoch("us").to_numpy()[order]
    behind = np.maximum.accumulate(known) - known
    assert behind.max() <= DISORDER // timedelta(microseconds=1)
    assert arrival_order(rows, seed).tolist() == order.tolist()


def test_a_day_says_what_it_is_made_of_and_what_spark_is_given(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    land_bars(lake, 30)
    land_quotes(lake, 40)  # of the day before
    day = day_of_seconds(lake, BARS_DAY)
    assert (day.made_of, day.to_spark) == ("bars of 1s", "the bars, each as its message")
    assert day.rows["quotes"].is_nan().all()
    closeless = (
        lake.scan(BARS.name)
        .collect()
        .with_columns(close=pl.when(pl.col("symbol") == "CCC").then(None).otherwise("close"))
    )
    lake.replace(BARS, closeless)
    assert day_of_seconds(lake, BARS_DAY).bars is None, "a bar without a close is no message"
    land_quotes(lake, 40, days=1)
    both = day_of_seconds(lake, BARS_DAY)
    assert both.made_of == "bars of 1s and quotes"
    assert both.to_spark.startswith("the rows of seconds that the batch made of bars of 1s and quotes")
    land_trades(lake, 50)
    assert day_of_seconds(lake, TICKS_DAY).made_of == "trades"
    land_quotes(lake, 40)
    ticks = day_of_seconds(lake, TICKS_DAY)
    assert (ticks.made_of, ticks.bars) == ("trades and quotes", None)


def test_a_day_known_too_late_is_no_agreement(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    land_bars(lake, 20, late=timedelta(minutes=5))
    with pytest.raises(NotEnoughDataError, match="too late for any feature"):
        audit_parity_of_ticks(lake, BARS_DAY, seed=3, progress=SilentProgress(), spark=False)


def audit(live: Path, day: date, *options: str) -> tuple[int, dict[str, Any]]:
    """The command's exit code and document."""
    done = CliRunner().invoke(app, ["audit", "parity", "--live", str(live), "--day", str(day), "--json", *options])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, json.loads(done.stdout)


def test_the_command_ends_with_1_if_spark_alone_is_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land_bars(Lake(tmp_path / "lake"), 60)
    apart = 0.0

    def stand_in(day: DayOfSeconds, features: tuple[Feature, ...], seed: int) -> pl.DataFrame:
        found = seconds_streamed(day.rows, features, seed)
        return found.with_columns(pl.col("return_5s") + np.float32(apart))

    monkeypatch.setattr(parity, "seconds_on_spark", stand_in)
    code, found = audit(tmp_path, BARS_DAY, "--spark")
    assert (code, found["engines"], found["apart"]) == (0, ["stream", "online", "spark"], 0)
    assert found["sentence"].endswith("Spark was given the bars, each as its message.")
    apart = 1e-6
    code, found = audit(tmp_path, BARS_DAY, "--spark")
    unequal = [(row["engine"], row["feature"]) for row in found["results"] if not row["agrees"]]
    assert (code, unequal) == (1, [("spark", "return_5s")])
    code, found = audit(tmp_path, BARS_DAY)
    assert (code, found["engines"], found["to_spark"]) == (0, ["stream", "online"], None)


@pytest.fixture(scope="module")
def java() -> Iterator[None]:
    """Spark on this machine, small, without jars; its Java process ends with the module."""
    if missing := maven.missing_tools("spark"):
        pytest.skip(missing)
    from pyspark import SparkContext
    from tests.spark_session import _end

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment().items():
            patch.setenv(name, value)
        conf = " ".join(f"--conf {name}={value}" for name, value in CONF.items() if "delta" not in value.lower())
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"--driver-memory 1g {conf} pyspark-shell")
        yield
        if SparkContext._gateway is not None:
            _end(SparkContext._gateway)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("java")
def test_bars_on_spark_agree_and_a_bar_that_differs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land_bars(Lake(tmp_path / "lake"), 240)
    code, found = audit(tmp_path, BARS_DAY, "--spark")
    assert (code, found["engines"], len(found["results"])) == (0, ["stream", "online", "spark"], 3 * INTRADAY)
    assert sum(row["unequal"] for row in found["results"]) == 0
    assert {row["rows"] for row in found["results"] if row["engine"] == "spark"} == {found["rows"]}

    def planted(day: DayOfSeconds, features: tuple[Feature, ...], seed: int) -> pl.DataFrame:
        assert day.bars is not None
        place = day.bars["event_time"].unique().sort()[150]
        close = pl.when(event_time=place, symbol="BBB").then(pl.col("close") * 1.00001).otherwise("close")
        return seconds_on_spark(replace(day, bars=day.bars.with_columns(close.alias("close"))), features, seed)

    monkeypatch.setattr(parity, "seconds_on_spark", planted)
    code, found = audit(tmp_path, BARS_DAY, "--spark")
    wrong = [row for row in found["results"] if not row["agrees"]]
    assert code == 1
    assert {row["engine"] for row in wrong} == {"spark"}
    assert "return_5s" in {row["feature"] for row in wrong}
    assert {row["where"][0] for row in wrong} == {"BBB"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("java")
def test_trades_and_quotes_on_spark_agree(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    land_trades(lake, 800)
    land_quotes(lake, 1_000)
    code, found = audit(tmp_path, TICKS_DAY, "--spark")
    spark = [row for row in found["results"] if row["engine"] == "spark"]
    assert (code, len(spark), sum(row["unequal"] for row in spark)) == (0, INTRADAY, 0)
    assert "rows of seconds that the batch made of trades and quotes" in found["to_spark"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("java")
def test_daily_features_on_spark_agree_and_a_bar_that_differs_is_found(
    bars_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert run_cli("ingest", "--bars", bars_folder, "--out", out).code == 0
    command = ["audit", "parity", "--out", str(out), "--symbols", "4", "--spark", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["engines"] == ["increments", "stream", "online", "spark"]
    assert sum(row["unequal"] for row in found["results"]) == 0
    real = parity.build_on_spark

    def planted(lake_url: str, **options: Any) -> dict[str, Any]:
        lake = Lake(lake_url)
        rows = lake.scan(BARS.name).collect().with_row_index("row")
        close = pl.when(pl.col("row") == rows.height // 2).then(pl.col("close") * 1.00001).otherwise("close")
        lake.replace(BARS, rows.with_columns(close.alias("close")).drop("row"))
        return real(lake_url, **options)

    monkeypatch.setattr(parity, "build_on_spark", planted)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1, done.exception
    assert {row["engine"] for row in json.loads(done.stdout)["results"] if not row["agrees"]} == {"spark"}


@pytest.mark.slow
def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    land_bars(Lake(tmp_path / "lake"), 20)
    day = ("audit", "parity", "--live", tmp_path, "--day", str(BARS_DAY), "--spark")
    done = run_cli(*day, JAVA_HOME=str(tmp_path))
    assert done.code == InputError.exit_code
    assert "needs Java 17 or newer" in done.err
