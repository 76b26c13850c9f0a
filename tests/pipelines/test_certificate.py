"""The certificate of false discoveries and the measure of power: small markets, whole path."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import polars as pl
import pytest
from tests.effort import rest_slow
from typer.testing import CliRunner

from project01.domain import FloatArray, InputError
from project01.evaluate import information_coefficient, scored
from project01.models import ConformalForecaster, make_forecaster
from project01.pipelines import PriceSource, SilentProgress
from project01.pipelines.certificate import (
    PRODUCT,
    certify_null,
    null_markdown,
    null_row,
    null_summary,
    null_table,
)
from project01.pipelines.power import measure_power, power_markdown, power_row, power_summary
from project01.pipelines.research import Plan, judged, labelled, study, trade
from project01.pipelines.world_pool import Task
from project01.pipelines.worlds import KINDS, random_walk, real_returns, resampled
from project01.report import Figures
from project01.settings import CostSettings, PortfolioSettings

SMALL = Plan(
    symbols=12, sessions=520, train_sessions=220, test_sessions=150, models=("ridge", "momentum", "zero"),
    grid=(("ridge", ((("penalty_share", 0.1),), (("penalty_share", 1.0),))),),
    single_rules=("ret_5", "us10y_change_21"),
)  # fmt: skip
SAMPLE = PriceSource()
SHARE = {
    "type": "object",
    "required": ["found", "of", "share", "low", "high"],
    "properties": {
        "found": {"type": "integer", "minimum": 0},
        "of": {"type": "integer", "minimum": 1},
        **{name: {"type": "number", "minimum": 0, "maximum": 1} for name in ("share", "low", "high")},
    },
}


def tables_of(named: list[str], inner: dict[str, Any]) -> dict[str, Any]:
    """Schema of an object with exactly these names, all alike."""
    return {
        "type": "object", "required": named, "additionalProperties": False, "properties": dict.fromkeys(named, inner),
    }  # fmt: skip


NULL_SCHEMA = {
    "type": "object",
    "required": ["certificate", "simulated", "source", "plan", "code_hash", "worlds", "bar", "passed", "rows"],
    "properties": {
        "simulated": {"const": True},
        "passed": {"type": "boolean"},
        "bar": {"const": 0.05},
        "false_discoveries": tables_of(
            ["net", "gross"],
            tables_of(
                ["product", "analyst", "hidden"],
                tables_of(
                    [*KINDS, "all"], tables_of(["verdict", "above_zero", "deflated_enough", "beats_naive"], SHARE)
                ),
            ),
        ),
    },
}


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("null")
    return out, certify_null(out, 4, SAMPLE, 1, SilentProgress(), SMALL)


def test_the_certificate_has_its_schema_and_says_simulated(certified: tuple[Path, dict[str, Any]]) -> None:
    out, result = certified
    stored = msgspec.json.decode((out / "null.json").read_bytes())
    jsonschema.validate(stored, NULL_SCHEMA)
    assert [(row["kind"], row["number"]) for row in stored["rows"]] == [(kind, n) for n in (0, 1) for kind in KINDS]
    text = null_markdown(result)
    assert "SIMULATED" in result["sentence"]
    assert result["sentence"] in text
    columns, rows = null_table(result)
    assert all(len(row) == len(columns) for row in rows)
    assert len(rows) == 2 * 3 * 3


def test_every_trial_counts(certified: tuple[Path, dict[str, Any]]) -> None:
    # Three forecasters and two tuning fits; the analyst beside them the other setting, and one feature both ways round,
    # since the second feature asked for is not in these data.
    for row in certified[1]["rows"]:
        assert [row["net"][who]["trials"] for who in ("product", "analyst", "hidden")] == [5, 8, 1]


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_another_plan_is_refused(
    certified: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    lines = (certified[0] / "null-worlds.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "null-worlds.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:100])
    again = certify_null(tmp_path, 4, SAMPLE, 1, SilentProgress(), SMALL)
    assert (tmp_path / "null.json").read_bytes() == (certified[0] / "null.json").read_bytes()
    assert again["rows"] == certified[1]["rows"]
    assert (tmp_path / "null-worlds.jsonl").read_bytes() == b"".join(lines)
    with pytest.raises(InputError, match="another plan"):
        certify_null(tmp_path, 4, SAMPLE, 1, SilentProgress(), replace(SMALL, symbols=11))


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(certified: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    certify_null(tmp_path, 4, SAMPLE, 2, SilentProgress(), SMALL)
    assert (tmp_path / "null.json").read_bytes() == (certified[0] / "null.json").read_bytes()


@pytest.mark.parametrize(("worlds", "workers"), [(1, 1), (4, 0)])
def test_no_markets_or_no_workers_are_refused(worlds: int, workers: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least"):
        certify_null(tmp_path, worlds, SAMPLE, workers, SilentProgress(), SMALL)


class Peeking:
    """A model that was told what followed, a little blurred: ranks that are always right have no error to test with."""

    name = "ridge"
    is_baseline = False
    settings: Mapping[str, int | float | str] = {}

    def __init__(self, labels: pl.DataFrame) -> None:
        self.told = labels.select("symbol", pl.col("as_of").dt.replace_time_zone(None).alias("time"), "label")

    def fit(self, design: Any, label: FloatArray, seed: int) -> None:
        """Nothing to learn."""

    def predict(self, design: Any) -> FloatArray:
        rows = pl.DataFrame({"symbol": design.symbols, "time": design.times}, schema_overrides={"symbol": pl.String})
        found = rows.join(self.told, on=["symbol", "time"], how="left", maintain_order="left")["label"]
        blur = 0.02 * np.random.default_rng(len(rows)).standard_normal(len(rows))
        return np.asarray(found.fill_null(0.0).to_numpy() + blur, dtype=np.float64)

    def contributions(self, design: Any) -> FloatArray:
        return np.zeros(design.matrix.shape)

    def to_files(self) -> dict[str, bytes]:
        return {"model.json": b"{}"}

    def from_files(self, files: Mapping[str, bytes], width: int) -> None:
        """Nothing to read."""


@pytest.mark.parametrize("kind", rest_slow(KINDS))
def test_a_model_that_peeks_fails_the_certificate(kind: str) -> None:
    task = Task(kind, 0, 0.0, SMALL, SAMPLE)
    world = task.world()
    _, labels = labelled(world.bars, SMALL.horizon)

    def make(name: str, seed: int, settings: Mapping[str, int | float]) -> ConformalForecaster:
        return ConformalForecaster(Peeking(labels), seed) if name == "ridge" else make_forecaster(name, seed, settings)

    row = null_row(world, SMALL, make)
    assert row["net"][PRODUCT]["verdict"] == "edge"
    result = null_summary([row], SMALL, "test")
    assert not result["passed"]
    assert "failed" in result["sentence"]


def test_the_path_is_that_of_the_main_job(finished: Path) -> None:
    figures = Figures.model_validate_json((finished / "figures.json").read_bytes())
    plan = Plan(train_sessions=200, test_sessions=150, models=("ridge", "momentum", "zero"), grid=(), single_rules=())
    bars = PriceSource(run=finished).bars()
    found = study(replace(random_walk(0, 3, 30, 0), bars=bars), plan)
    traded = trade(found, CostSettings(), PortfolioSettings())
    verdict = judged(traded, "ridge", found.tuning_fits, 12)
    assert verdict["verdict"] == figures.verdict.kind
    assert verdict["excess"] == pytest.approx(figures.backtest.excess_annual.value, rel=1e-12)
    assert verdict["low"] == pytest.approx(figures.backtest.excess_annual.low, rel=1e-12)
    assert verdict["deflated"] == pytest.approx(figures.backtest.excess_sharpe.deflated_sharpe, rel=1e-12)
    assert verdict["trials"] == figures.backtest.trials == 3


def memory(returns: FloatArray, lag: int) -> float:
    """Mean autocorrelation of absolute returns."""
    size = np.abs(returns) - np.abs(returns).mean(axis=0)
    return float(np.mean((size[lag:] * size[:-lag]).mean(axis=0) / (size * size).mean(axis=0)))


@pytest.mark.slow
def test_resampled_prices_have_the_memory_of_the_source_and_no_momentum_or_reversal() -> None:
    source = real_returns(SAMPLE)
    values: dict[str, list[float]] = {"ret_1": [], "ret_5": [], "ret_21": [], "mom_12_1": []}
    remembered = []
    for number in range(6):
        bars = resampled(SAMPLE, number, 20, 1500, 7).bars
        closes = bars.pivot("symbol", index="session", values="close").drop("session").to_numpy()
        remembered.append([memory(closes[1:] / closes[:-1] - 1, lag) for lag in (1, 5, 21)])
        training, labels = labelled(bars, 5)
        for name, found in values.items():
            rows = training.features.frame.select("symbol", "as_of", pl.col(name).cast(pl.Float64).alias("mean"))
            estimate = information_coefficient(scored(rows.filter(pl.col("mean").is_finite()), labels), 5)
            found.append(estimate.value / estimate.standard_error)
    # The source has 0.25, 0.21 and 0.15; single markets deviate from each other by 0.05 to 0.06, and remember a
    # little less, being shorter.
    apart = np.mean(remembered, axis=0) - [memory(source, lag) for lag in (1, 5, 21)]
    assert np.all(np.abs(apart) < 0.08), apart
    for name, found in values.items():
        assert abs(sum(found)) / np.sqrt(len(found)) < 3, (name, found)


def test_worlds_follow_from_their_number_alone() -> None:
    first, again, next_one = (random_walk(n, 12, 100, 7).bars for n in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(next_one)
    assert resampled(SAMPLE, 0, 50, 100, 7).bars["symbol"].n_unique() == 20


@pytest.mark.slow
def test_the_perfect_signal_has_the_planted_ic() -> None:
    ics = []
    for number in range(6):
        world = random_walk(number, 60, 1500, 7, 0.03)
        assert world.signal is not None
        ics.append(information_coefficient(scored(world.signal, labelled(world.bars, 5)[1]), 5).value)
    assert abs(np.mean(ics) - 0.03) < 3 * np.std(ics, ddof=1) / np.sqrt(len(ics))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("power")
    return measure_power(out, 2, 1, SilentProgress(), replace(SMALL, single_rules=()), planted=(0.01, 0.1))


@pytest.mark.slow
def test_power_says_what_was_planted_and_what_was_found(measured: dict[str, Any]) -> None:
    assert list(measured["planted"]) == ["0.01", "0.1"]
    assert measured["simulated"] is True
    for found in measured["planted"].values():
        assert set(found["models"]) == {"ridge", "momentum"}
        for tests in found["models"].values():
            for test in ("rank_ic", "neutral", "excess", "verdict"):
                jsonschema.validate(tests[test], SHARE)
                assert tests[test]["of"] == 2
    small, large = (measured["planted"][size]["perfect_ic"]["value"] for size in ("0.01", "0.1"))
    assert large - small == pytest.approx(0.09, abs=0.02)  # equal shocks: what is left is the edge
    assert "SIMULATED" in power_markdown(measured)


def test_a_peeking_model_is_found_at_the_first_look() -> None:
    world = random_walk(0, 12, 520, 7, 0.05)
    _, labels = labelled(world.bars, SMALL.horizon)
    plan = replace(SMALL, models=("ridge", "zero"), grid=(), single_rules=())

    def make(name: str, seed: int, settings: Mapping[str, int | float]) -> ConformalForecaster:
        return ConformalForecaster(Peeking(labels), seed) if name == "ridge" else make_forecaster(name, seed, settings)

    row = power_row(world, plan, make)
    assert row["models"]["ridge"]["rank_ic"]["found_after"] == 126
    assert row["models"]["ridge"]["verdict"] == "edge"
    ridge = power_summary([row], plan)["planted"]["0.05"]["models"]["ridge"]
    assert ridge["excess"]["median_sessions"] == 126
    assert ridge["excess"]["theory_sessions"] < 126
    assert row["models"]["zero"]["rank_ic"]["found_after"] is None


@pytest.mark.parametrize("planted", [(), (0.0,), (-0.01, 0.02)])
def test_nothing_planted_is_refused(planted: tuple[float, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sizes above zero"):
        measure_power(tmp_path, 2, 1, SilentProgress(), SMALL, planted)


@pytest.mark.slow
def test_the_commands_write_and_fail_as_they_say(
    certified: tuple[Path, dict[str, Any]], measured: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from project01.cli.app import app

    result = certified[1]
    monkeypatch.setattr("project01.pipelines.certificate.certify_null", lambda *_: result)
    monkeypatch.setattr("project01.pipelines.power.measure_power", lambda *_, **__: measured)
    page = tmp_path / "new" / "null.md"
    assert CliRunner().invoke(app, ["audit", "null", "--to", str(page)]).exit_code == (0 if result["passed"] else 1)
    assert page.read_text() == null_markdown(result)
    failing = result | {"passed": False}
    monkeypatch.setattr("project01.pipelines.certificate.certify_null", lambda *_: failing)
    done = CliRunner().invoke(app, ["audit", "null", "--json"])
    assert done.exit_code == 1
    assert msgspec.json.decode(done.stdout)["passed"] is False
    done = CliRunner().invoke(app, ["audit", "power"])
    assert done.exit_code == 0
    assert "SIMULATED" in done.stdout
    wrong = CliRunner().invoke(app, ["audit", "power", "--planted", "much"])
    assert isinstance(wrong.exception, InputError)
