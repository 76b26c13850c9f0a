"""The audit of engines: it agrees where they do, and tells where one is a hair off."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.etl.conftest import make_bars
from tests.pipelines.test_feature_stream import bars as bars_of_seconds
from tests.pipelines.test_feature_stream import rows_of
from typer.testing import CliRunner

from project01.cli.app import app
from project01.domain import BARS, InputError, NotEnoughDataError
from project01.etl import compute_features, feature_set, prepare_bars
from project01.lake import Lake
from project01.pipelines import parity
from project01.pipelines.feature_build import build_table, features_spec
from project01.pipelines.market import MarketData
from project01.pipelines.parity import audit_parity, audit_parity_of_ticks, parity_of_day, parity_of_run
from project01.pipelines.progress import SilentProgress
from project01.pipelines.workspace import Workspace
from project01.settings import FeatureSettings

WANTED = FeatureSettings(sets=("core",))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("run"))
    bars = make_bars(seed=8, symbols=4, sessions=270)
    stamps = {"source": pl.lit("made"), "source_id": pl.format("{}:{}", "symbol", "session"), "interval": pl.lit("1d")}
    workspace.lake.replace(BARS, bars.with_columns(**stamps, simulated=pl.lit(value=True)))
    actions = bars.head(0).with_columns(**stamps, simulated=pl.lit(value=True), kind=pl.lit(""), effective="session")
    workspace.lake.replace(parity.CORPORATE_ACTIONS, actions)
    return workspace


def test_every_engine_agrees_and_each_is_named(run: Workspace) -> None:
    found = audit_parity(run, WANTED, symbols=20, seed=1, progress=SilentProgress(), spark=False)
    assert found["engines"] == ["increments", "stream", "online"]
    assert found["apart"] == 0
    assert all(row["unequal"] == 0 for row in found["results"])
    assert "all agree" in found["sentence"]


def test_a_table_that_is_a_hair_off_is_found_with_its_place(run: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    bars = run.lake.scan(BARS.name).collect()
    workspace.lake.replace(BARS, bars)
    workspace.lake.replace(parity.CORPORATE_ACTIONS, run.lake.scan("corporate_actions").collect())
    data = MarketData(prepare_bars(bars))
    few = feature_set("core")[:3]
    build_table(workspace.lake, data, few, threads=1)
    table = compute_features(data.bars, few)
    place = 57
    wrong = table.with_row_index("row").with_columns(
        ret_5=pl.when(pl.col("row") == place).then(pl.col("ret_5") * 1.000001).otherwise("ret_5").cast(pl.Float32)
    )
    workspace.lake.replace(features_spec([feature.name for feature in few]), wrong.drop("row"))
    found = audit_parity(workspace, WANTED, symbols=20, seed=1, progress=SilentProgress(), spark=False)
    apart = [row for row in found["results"] if not row["agrees"]]
    assert [(row["engine"], row["feature"], row["unequal"]) for row in apart] == [("table", "ret_5", 1)]
    assert apart[0]["where"] == [str(part) for part in table.select("symbol", "session").row(place)]
    assert found["apart"] == 1


def test_a_day_of_ticks_agrees_in_disorder(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path / "lake"), bars_of_seconds(240)
    rows = rows_of(told).with_columns(
        source_id=pl.format("{}:{}", "symbol", "event_time"), session=pl.lit(date(2024, 3, 5)),
        simulated=pl.lit(value=True), ingested_at="knowledge_time",
    )  # fmt: skip
    lake.replace(BARS, rows)
    found = audit_parity_of_ticks(lake, date(2024, 3, 5), seed=3, progress=SilentProgress(), spark=False)
    assert found["engines"] == ["stream", "online"]
    assert (found["apart"], sum(row["unequal"] for row in found["results"])) == (0, 0)
    with pytest.raises(NotEnoughDataError, match="2024-03-06"):
        audit_parity_of_ticks(lake, date(2024, 3, 6), seed=3, progress=SilentProgress(), spark=False)
    with pytest.raises(InputError, match="is no date"):
        parity_of_day(tmp_path, "yesterday", seed=1, spark=False, progress=SilentProgress())


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished step"):
        parity_of_run(tmp_path, None, [], symbols=5, seed=1, spark=False, progress=SilentProgress())
    done = CliRunner().invoke(app, ["audit", "parity"], prog_name="project01")
    assert isinstance(done.exception, InputError)
    assert "--out with a run, or --live" in str(done.exception)
    done = CliRunner().invoke(app, ["audit", "parity", "--live", "x", "--day", "2013-10-07", "--sets", "core"])
    assert "with --live the set intraday is compared" in str(done.exception)
