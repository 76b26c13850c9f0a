"""The whole path on a small market: results, resuming, determinism, honesty."""

import shutil
from pathlib import Path

import jsonschema
import msgspec
import polars as pl
import pytest
from tests.pipelines.conftest import run_cli

from project01.evaluate import TrialLedger
from project01.lake import Lake
from project01.report import Figures

pytestmark = pytest.mark.slow


def figures_of(out: Path) -> Figures:
    return Figures.model_validate_json((out / "figures.json").read_bytes())


def test_a_run_leaves_every_result(finished: Path) -> None:
    figures = figures_of(finished)
    jsonschema.validate(msgspec.json.decode((finished / "figures.json").read_bytes()), Figures.model_json_schema())
    assert (finished / "report.html").stat().st_size > 100_000
    assert len(pl.read_csv(finished / "forecasts.csv")) == len(figures.forecasts.rows) == 12
    assert figures.data.rows_read == figures.data.rows_accepted + figures.data.rows_refused
    assert figures.verdict.kind in {"no edge after costs", "not enough data"}
    means = [row.mean for row in figures.forecasts.rows]
    assert means == sorted(means, reverse=True)
    assert all(r.q05 <= r.q25 <= r.q50 <= r.q75 <= r.q95 for r in figures.forecasts.rows)


def test_the_same_command_twice_gives_the_same_bytes(bars_folder: Path, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    done = run_cli("run", "--bars", bars_folder, "--out", other, PROJECT01__COMPUTE__THREADS="1")
    assert done.code == 0, done.err
    for name in ("figures.json", "forecasts.csv", "forecasts.json", "trades.csv", "report.html"):
        assert (other / name).read_bytes() == (finished / name).read_bytes(), name


def test_a_second_run_does_nothing_again(bars_folder: Path, finished: Path) -> None:
    before = (finished / "figures.json").stat().st_mtime_ns
    done = run_cli("run", "--bars", bars_folder, "--out", finished)
    assert done.code == 0
    assert done.err.count("unchanged, not done again") == 6
    assert (finished / "figures.json").stat().st_mtime_ns == before


def test_changed_costs_redo_only_what_rests_on_them(bars_folder: Path, finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    done = run_cli("run", "--bars", bars_folder, "--out", copy, PROJECT01__COSTS__SLIPPAGE_BPS="30")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.err.splitlines() if "unchanged" in line] == ["ingest", "features", "train"]
    dear, cheap = figures_of(copy), figures_of(finished)
    assert dear.backtest.costs_annual > cheap.backtest.costs_annual
    # The first look at this data stays counted.
    assert dear.backtest.trials == cheap.backtest.trials + 3


def test_the_trial_ledger_is_whole_and_counts_every_fit(finished: Path) -> None:
    ledger = TrialLedger.from_frame(Lake(finished / "lake").scan("claims").collect())
    figures = figures_of(finished)
    assert figures.manifest.trial_chain == ledger.head
    assert figures.backtest.fits == sum(trial.purpose == "walk-forward" for trial in ledger.trials) > 0


def test_forecasts_of_the_past_use_the_past(finished: Path) -> None:
    figures = figures_of(finished)
    done = run_cli("forecast", "--out", finished, "--as-of", figures.backtest.series.sessions[40], "--json")
    assert done.code == 0, done.err
    past = msgspec.json.decode(done.out)
    assert past["as_of"] == figures.backtest.series.sessions[40]
    assert past["rows"] != [row.model_dump() for row in figures.forecasts.rows]


def test_a_simulated_run_says_so_everywhere(tmp_path: Path) -> None:
    done = run_cli("run", "--simulate", "--out", tmp_path / "sim")
    assert done.code == 0, done.err
    figures = figures_of(tmp_path / "sim")
    assert figures.data.simulated
    assert "SIMULATED" in done.out
    assert "SIMULATED DATA" in (tmp_path / "sim" / "report.html").read_text()
    assert any("simulated" in reason for reason in figures.verdict.reasons)
    assert bool(Lake(tmp_path / "sim" / "lake").scan("bars").select(pl.col("simulated").all()).collect().item())


@pytest.mark.parametrize("name", ["daily_us_google", "pystock"])
def test_dirty_and_as_published_data_end_with_an_account(name: str, shared_data: Path, tmp_path: Path) -> None:
    done = run_cli("run", "--bars", shared_data / name, "--out", tmp_path / name)
    assert done.code == 0, done.err
    figures = figures_of(tmp_path / name)
    assert figures.data.rows_refused == sum(figures.data.refused_by_reason.values()) > 50
    assert figures.data.rows_read == figures.data.rows_accepted + figures.data.rows_refused
    if name == "pystock":
        assert len(figures.data.delisted) > 50
        assert not any("vanished are missing" in note for note in figures.data.notes)


def test_another_source_leaves_nothing_of_the_one_before(bars_folder: Path, tmp_path: Path) -> None:
    """Macro values and news of a simulated market are no part of the user's own."""
    assert run_cli("ingest", "--simulate", "--out", tmp_path).code == 0
    lake = Lake(tmp_path / "lake")
    before = {
        name for name in ("macro", "news", "tweets", "facts") if lake.exists(name) and lake.scan(name).collect().height
    }
    assert before
    done = run_cli("ingest", "--bars", bars_folder, "--out", tmp_path)
    assert done.code == 0, done.err
    assert [lake.scan(name).collect().height for name in sorted(before)] == [0] * len(before)
    assert lake.scan("bars").filter(simulated=True).collect().is_empty()
