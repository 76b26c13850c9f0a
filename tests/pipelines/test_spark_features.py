"""The feature table built by a Spark of two worker processes: equal to the build in this process, bit for bit."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from tests.etl.conftest import make_bars, make_context
from tests.etl.test_own_features import GAP
from tests.spark_session import CONF, spark_environment

from infra import maven
from project01.domain import BARS, CORPORATE_ACTIONS, FACTS, MACRO, NEWS, TWEETS, InputError, NotEnoughDataError
from project01.etl import compute_features
from project01.ingest import INDEX_SOURCE
from project01.lake import Lake
from project01.pipelines.feature_build import FEATURES, STATES, build_table
from project01.pipelines.features import selected
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_market
from project01.pipelines.spark_features import build_on_spark, feature_session
from project01.settings import FeatureSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
JOBS = Path(__file__).parents[2] / "infra" / "spark"
SETS = ("core", "technical", "alpha158", "fundamental", "economy", "attention", "cross_section")


@pytest.fixture(scope="module")
def cluster() -> "Iterator[SparkSession]":
    """Two worker processes with an executor each, so that all that travels is written and read."""
    if missing := maven.missing_tools("spark"):
        pytest.skip(missing)
    from tests.spark_session import _end

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment().items():
            patch.setenv(name, value)
        small = "--master local-cluster[2,1,1024] --driver-memory 1g --conf spark.executor.memory=768m"
        conf = " ".join(f"--conf {name}={value}" for name, value in CONF.items() if "delta" not in value.lower())
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"{small} {conf} pyspark-shell")
        session = feature_session()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        gateway = session.sparkContext._gateway
        session.stop()
        _end(gateway)


def as_rows(frame: pl.DataFrame, spec: object = BARS) -> pl.DataFrame:
    """A frame with the record's columns, made up where absent."""
    schema = spec.schema  # type: ignore[attr-defined]
    given = {"source": "made", "interval": "1d", "simulated": True, "licence": "own", "unit": "USD"}
    frame = frame.with_columns(
        pl.lit(value).alias(name) for name, value in given.items() if name in schema.names and name not in frame.columns
    )
    if "event_time" not in frame.columns:
        frame = frame.with_columns(pl.col("knowledge_time").alias("event_time"))
    if "source_id" not in frame.columns:
        frame = frame.with_row_index("source_id").with_columns(pl.col("source_id").cast(pl.String))
    return frame.select(name for name in schema.names if name in frame.columns)


def drawn_bars(seed: int) -> pl.DataFrame:
    """Bars with gaps and holes, a split, late and restated rows, and a second interval."""
    random = np.random.default_rng(seed)
    bars = make_bars(seed=seed, symbols=9, sessions=330)
    split = (pl.col("symbol") == "S3") & (pl.col("session") >= bars["session"].unique().sort()[150])
    prices = ["open", "high", "low", "close"]
    bars = bars.with_columns(pl.when(split).then(pl.col(name) / 2).otherwise(name).alias(name) for name in prices)
    bars = bars.with_columns(pl.when(split).then(pl.col("volume") * 2).otherwise("volume").alias("volume"))
    late = pl.Series(random.random(bars.height) < 0.03)
    bars = bars.with_columns(
        knowledge_time=pl.when(late).then(pl.col("knowledge_time") + timedelta(hours=30)).otherwise("knowledge_time")
    )
    again = bars.filter(pl.Series(random.random(bars.height) < 0.05)).with_columns(
        pl.col("close") * 1.02, pl.col("knowledge_time") + timedelta(days=3)
    )
    minutes = bars.head(20).with_columns(interval=pl.lit("1m"))
    return pl.concat([as_rows(frame) for frame in (bars, again, minutes)])


def index_of(bars: pl.DataFrame) -> pl.DataFrame:
    days = bars.filter(pl.col("interval") == "1d").group_by("session").agg(pl.col("event_time").min())
    days = days.sort("session").with_columns(knowledge_time="event_time", symbol=pl.lit("INDEX"))
    close = 1000.0 + np.random.default_rng(1).normal(0, 5, days.height).cumsum()
    return as_rows(days.with_columns(close=pl.Series(close), source=pl.lit(INDEX_SOURCE)))


def make_lake(folder: Path, seed: int, *, beside: bool = True, index: bool = False) -> Lake:
    """A lake with all tables; bars in several files."""
    lake, bars = Lake(folder), drawn_bars(seed)
    for part in bars.sample(fraction=1.0, shuffle=True, seed=seed).iter_slices(bars.height // 3 + 1):
        lake.append(BARS, part)
    if index:
        lake.append(BARS, index_of(bars))
    sessions = bars["session"].unique().sort()
    action = pl.DataFrame({
        "symbol": ["S2"], "kind": ["break"], "effective": [sessions[200]], "knowledge_time": [sessions[200]],
    }).with_columns(pl.col("knowledge_time").cast(pl.Datetime("us", "UTC")))  # fmt: skip
    lake.append(CORPORATE_ACTIONS, as_rows(action, CORPORATE_ACTIONS))
    if beside:
        raw = make_bars(seed=seed, symbols=9, sessions=330)
        context = make_context(raw, seed)
        for spec, frame in (
            (MACRO, context.macro),
            (FACTS, context.facts),
            (NEWS, context.news),
            (TWEETS, context.tweets),
        ):
            assert frame is not None
            lake.append(spec, as_rows(frame, spec))
    return lake


def industries_file(folder: Path) -> Path:
    path = folder / "industries.csv"
    path.write_text("symbol,industry\n" + "".join(f"S{n},I{n % 2}\n" for n in range(9)))
    return path


def table(lake: Lake) -> pl.DataFrame:
    return lake.scan(FEATURES).collect().sort("symbol", "session")


def in_this_process(lake: Lake, settings: FeatureSettings, names: list[str], as_of: datetime) -> pl.DataFrame:
    market = read_market(lake, as_of, settings.industries)
    chosen = [feature for feature in selected(settings) if feature.name in names]
    assert [feature.name for feature in chosen] == names
    return compute_features(market.bars, chosen, market.context(), threads=1)


def same_bits(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert one.columns == other.columns
    assert one.schema == other.schema
    assert one.height == other.height
    for name in one.columns:
        left, right = one[name].to_numpy(), other[name].to_numpy()
        if one[name].dtype == pl.Float32:
            nan = np.isnan(left)
            assert (nan == np.isnan(right)).all(), name
            left, right = left.view(np.uint32)[~nan], right.view(np.uint32)[~nan]
        assert (left == right).all(), name


@pytest.mark.parametrize(("seed", "index"), [(1, False), (2, True)])
def test_every_set_and_a_user_s_file_equal_the_batch_to_the_bit(
    cluster: "SparkSession", tmp_path: Path, seed: int, index: bool
) -> None:
    lake = make_lake(tmp_path / "lake", seed, index=index)
    own = tmp_path / "gaps.py"
    own.write_text(GAP)
    settings = FeatureSettings(sets=SETS, files=(own,), industries=industries_file(tmp_path))
    as_of = datetime(2013, 3, 1, tzinfo=UTC) if index else END_OF_TIME
    done = build_on_spark(
        lake.url, sets=settings.sets, files=settings.files, industries=settings.industries, as_of=as_of,
        session=cluster, rows_a_block=700,
    )  # fmt: skip
    assert done["blocks"] > 3
    assert {"gap_z_10", "rank_gap_z_10"} <= set(done["features"])
    found = table(lake)
    assert "S2#2" in set(found["symbol"])
    assert found.height == done["rows"]
    same_bits(found, in_this_process(lake, settings, done["features"], as_of))


def test_blocks_do_not_show_and_the_build_here_goes_on_from_there(cluster: "SparkSession", tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", 3, beside=False)
    first = build_on_spark(lake.url, session=cluster, rows_a_block=10_000)
    rows = table(lake)
    again = build_on_spark(lake.url, session=cluster, rows_a_block=500)
    assert again["blocks"] > first["blocks"]
    assert again["digest"] == first["digest"]
    same_bits(rows, table(lake))
    last = lake.scan(BARS.name).collect().filter(pl.col("interval") == "1d")
    newest = last.filter(pl.col("session") == last["session"].max()).unique("symbol")
    step = timedelta(days=3)
    lake.append(BARS, newest.with_columns(
        pl.col("session") + step, pl.col("event_time") + step, pl.col("knowledge_time") + step
    ))  # fmt: skip
    market = read_market(lake, END_OF_TIME)
    chosen = [feature for feature in selected(FeatureSettings()) if feature.name in first["features"]]
    built = build_table(lake, market, chosen, threads=1)
    assert (built.mode, built.reason, built.new_rows) == ("incremental", "", newest.height)
    same_bits(table(lake), compute_features(market.bars, chosen, market.context()))


def test_states_are_those_of_the_build_here(cluster: "SparkSession", tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", 4, beside=False)
    done = build_on_spark(lake.url, sets=("core", "cross_section"), session=cluster, rows_a_block=900)
    kept = lake.scan(STATES.name).collect().sort("symbol")
    market = read_market(lake, END_OF_TIME)
    chosen = [f for f in selected(FeatureSettings(sets=("core", "cross_section"))) if f.name in done["features"]]
    build_table(lake, market, chosen, threads=1, full=True)
    assert lake.scan(STATES.name).collect().sort("symbol").drop("content").equals(kept.drop("content"))


def test_an_executor_s_error_is_told_as_ours_and_the_table_stays(cluster: "SparkSession", tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", 5, beside=False)
    build_on_spark(lake.url, session=cluster)
    before, version = table(lake), lake.version(FEATURES)
    twice = lake.scan(BARS.name).filter((pl.col("symbol") == "S1") & (pl.col("interval") == "1d")).collect()
    lake.append(BARS, twice.with_columns(source=pl.lit("another")))
    with pytest.raises(InputError, match="bars share symbol and session with another, first S1"):
        build_on_spark(lake.url, session=cluster)
    assert lake.version(FEATURES) == version
    same_bits(table(lake), before)
    with pytest.raises(NotEnoughDataError, match="daily bars of 0 symbol"):
        build_on_spark(lake.url, session=cluster, as_of=datetime(2011, 1, 1, tzinfo=UTC))


def test_the_job_under_the_real_spark_submit(tmp_path: Path) -> None:
    if missing := maven.missing_tools("spark"):
        pytest.skip(missing)
    lake, own = make_lake(tmp_path / "lake", 6, beside=False), tmp_path / "gaps.py"
    own.write_text(GAP)
    submit = Path(sys.executable).with_name("spark-submit")
    command = [
        str(submit), "--master", "local-cluster[2,1,1024]", "--driver-memory", "1g",
        "--conf", "spark.executor.memory=768m", "--conf", "spark.ui.enabled=false",
        "--conf", "spark.sql.shuffle.partitions=2", str(JOBS / "build_features.py"),
        "--lake", lake.url, "--file", str(own), "--rows-a-block", "900", "--as-of", "2013-03-01T00:00:00Z",
    ]  # fmt: skip
    environment = os.environ | {name: value for name, value in spark_environment().items() if "ARGS" not in name}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    settings = FeatureSettings(files=(own,))
    assert "gap_z_20" in figures["features"]
    same_bits(table(lake), in_this_process(lake, settings, figures["features"], datetime(2013, 3, 1, tzinfo=UTC)))
    refused = subprocess.run(
        [*command[:-2], "--sets", "nothing"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert refused.returncode == InputError.exit_code
    # spark-submit writes both streams of a Python program to its own standard output.
    assert any(line.startswith("error: ") for line in refused.stdout.splitlines()), refused.stdout
