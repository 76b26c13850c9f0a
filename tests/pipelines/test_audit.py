"""The audit over the chain: every planted leak is caught with its layer, and nothing honest is flagged."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.effort import rest_slow
from tests.etl.leaky_features import LEAKY, Leaky, as_decided, first_versions, valued
from typer.testing import CliRunner

from project01 import pipelines
from project01.backtest import Signal
from project01.domain import InputError, trading_calendar
from project01.evaluate import Layer, audit_layer, cut_times
from project01.models import POINT_MODELS
from project01.pipelines import SilentProgress, audit, backtest
from project01.pipelines.features import selected
from project01.pipelines.lookahead_chain import CONSTRUCTION, LAYERS, AuditedChain, checked_layers
from project01.pipelines.lookahead_layers import market_of
from project01.pipelines.lookahead_trading import (
    CONSTRUCTIONS,
    forecast_table,
    market_of_bars,
    portfolio_layer,
    traded_signal,
)
from project01.pipelines.lookahead_world import simulated_tables
from project01.pipelines.planted_leaks import planted_tables
from project01.pipelines.planted_leaks_trading import PLANTED
from project01.pipelines.workspace import open_workspace
from project01.settings import FeatureSettings, load_settings


@pytest.fixture(scope="module")
def cuts() -> np.ndarray:
    return cut_times(planted_tables()["bars"], audit.SELF_TEST_CUTS, 7)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_caught_and_its_honest_twin_is_not(name: str, cuts: np.ndarray) -> None:
    leak = PLANTED[name]
    found = audit_layer(leak.as_layer(leaky=True), cuts, 7).leaks
    assert {one.layer for one in found} == {leak.layer}, leak.why
    assert found[0].through in leak.reads
    assert audit_layer(leak.as_layer(leaky=False), cuts[::2], 7).leaks == ()


def test_the_catalogue_of_leaks_reaches_every_layer() -> None:
    assert len(PLANTED) >= 20
    assert {leak.layer for leak in PLANTED.values()} == set(LAYERS) - {"chain"}
    named = {
        "next_return", "centred_window", "whole_sample_scaler", "target_encoding", "close_for_the_open",
        "restated_fundamentals", "fact_by_period_end", "survivors_only", "future_split_factor", "news_by_event_time",
        "final_revision", "labels_without_purge", "labels_known_later", "features_picked_on_the_whole_sample",
        "filled_from_the_future", "whole_history_rank", "join_without_created_filter", "pushed_under_an_earlier_time",
        "whole_sample_volatility", "sized_at_the_fill", "filled_before_the_decision", "threshold_tuned_on_the_test",
        "sorted_by_future_volume", "folds_on_both_sides",
    }  # fmt: skip
    assert named <= set(PLANTED)


@pytest.mark.parametrize("name", rest_slow(LEAKY, 3))
def test_every_leaky_feature_of_raw_bars_is_caught(name: str) -> None:
    leaky = LEAKY[name]
    assert "value" in decided(leaky), leaky.why


@pytest.mark.parametrize("decides", ["close", "open"])
def test_an_honest_feature_in_the_same_dress_is_not(decides: str) -> None:
    lag = 1 if decides == "open" else 0

    def last_return(bars: pl.DataFrame) -> pl.DataFrame:
        value = (pl.col("close") / pl.col("close").shift() - 1).shift(lag).over("symbol")
        return valued(first_versions(bars), value)

    assert "value" not in decided(Leaky(last_return, decides, ""))


def decided(leaky: Leaky) -> set[str]:
    """A decision at an open is dated before the bar it belongs to, so that the row itself comes and goes says nothing:
    it is the value that must be caught."""
    bars = planted_tables()["bars"]
    changes = ("noise", "nothing", "restated", "universe", "readjusted")
    layer = Layer("features", {"bars": bars}, lambda t, _: {"": as_decided(leaky, t["bars"])}, changes)
    return {leak.output for leak in audit_layer(layer, cut_times(bars, 8, 3), 3).leaks}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> AuditedChain:
    features = selected(FeatureSettings(sets=audit.daily_sets()))
    return AuditedChain(simulated_tables(5, 330, 11), features, tmp_path_factory.mktemp("audit"), 7, trading_calendar())


def flagged(layer: Layer, times: int) -> list[str]:
    rows = layer.tables.get("bars", next(iter(layer.tables.values())))
    found = audit_layer(layer, cut_times(rows, times, 3), 3)
    assert found.values > 1000, "nothing was compared"
    return [str(leak) for leak in found.leaks]


@pytest.mark.slow
def test_no_feature_of_any_set_is_flagged(chain: AuditedChain) -> None:
    kept, left_out = chain.usable
    assert len(kept) >= 250
    assert left_out == {}
    assert flagged(chain.layer("features"), 6) == []


@pytest.mark.parametrize("name", ["bus", "lake"])
def test_what_is_stored_is_not_flagged(chain: AuditedChain, name: str) -> None:
    stored = {table: rows.tail(150) for table, rows in chain.layer(name).tables.items() if table != "tweets"}
    assert flagged(replace(chain.layer(name), tables=stored), 2) == []


@pytest.mark.slow
def test_the_store_is_not_flagged(chain: AuditedChain) -> None:
    assert flagged(chain.layer("store"), 2) == []


@pytest.mark.slow
def test_no_forecaster_is_flagged(chain: AuditedChain) -> None:
    layer = chain.layer("models")
    times = cut_times(layer.tables["features"], 40, 3)[-2:]
    found = audit_layer(layer, times, 3)
    assert {output.split(".")[0] for output in found.outputs} == set(POINT_MODELS)
    assert [str(leak) for leak in found.leaks] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["portfolio", "backtest"])
def test_no_construction_and_no_book_is_flagged(chain: AuditedChain, name: str) -> None:
    layer = chain.layer(name)
    assert flagged(layer, 3) == []
    if name == "portfolio":
        assert set(layer.compute(layer.tables, np.datetime64("now"))) == set(CONSTRUCTIONS)


@pytest.mark.slow
def test_the_whole_chain_is_not_flagged_not_even_before_the_first_trade(chain: AuditedChain) -> None:
    layer = chain.layer("chain")
    found = audit_layer(layer, cut_times(layer.tables["bars"], 40, 3)[[0, 12, -2]], 3)
    assert {"book.equity", "forecasts.mean", f"{CONSTRUCTION}.weight"} <= set(found.outputs)
    assert [str(leak) for leak in found.leaks] == []


@pytest.mark.parametrize("later", [0, 1])
def test_a_leak_in_the_signal_of_the_backtest_step_is_caught(later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = market_of({"bars": planted_tables()["bars"]}).bars
    mean = pl.col("close") % 1.0  # any score
    made = bars.select("symbol", as_of="knowledge_time", mean=mean, q05=mean - 1.0, q95=mean + 1.0)
    construction = {name: CONSTRUCTIONS[name] for name in ("top quantile, overlapping",)}

    def planted(sessions: np.ndarray, names: tuple[str, ...], values: np.ndarray, spread: np.ndarray) -> Signal:
        return Signal(sessions, names, np.vstack([values[later:], values[:later]]), spread)

    monkeypatch.setattr(backtest, "Signal", planted)
    found = flagged(portfolio_layer(bars, forecast_table(made, bars), trading_calendar(), construction), 8)
    assert bool(found) == bool(later)


def test_a_run_is_audited_with_the_calendar_of_its_exchange(tmp_path: Path) -> None:
    """London trades on the fourth of July; by New York's calendar its forecast would stand a session earlier."""
    workspace = open_workspace(tmp_path / "run")
    workspace.save_settings(load_settings(None, {"data.calendar": "XLON"}).settings)
    calendar = audit.calendar_of(tmp_path / "run")
    days = calendar.as_frame().filter(pl.col("session").is_between(date(2023, 7, 3), date(2023, 7, 6)))
    bars = days.select(
        "session", event_time="close_at", knowledge_time="close_at", symbol=pl.lit("VOD"), open=1.0, high=1.0, low=1.0,
        close=1.0, adj_close=1.0, volume=1.0, factor=1.0,
    )  # fmt: skip
    score = pl.int_range(pl.len()).cast(pl.Float64)
    made = bars.select("symbol", as_of="knowledge_time", mean=score, q05=score - 1.0, q95=score + 1.0)
    signal = traded_signal(forecast_table(made, bars), market_of_bars(bars), calendar)
    assert signal is not None
    assert signal.values[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert audit.calendar_of(None).name == "XNYS"


def test_unknown_layers_are_refused() -> None:
    assert checked_layers(("models", "bus")) == ("bus", "models")
    with pytest.raises(InputError, match="no layer sums"):
        checked_layers(("sums",))


def test_the_command_ends_with_1_and_names_a_planted_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = PLANTED["next_return"]
    monkeypatch.setattr(audit, "audited_tables", lambda *_: (dict(planted_tables()), "SIMULATED."))
    monkeypatch.setattr(AuditedChain, "layer", lambda _, name: planted.as_layer(leaky=name == "features"))
    found = audit.audit_lookahead(None, 4, 7, 6, 900, SilentProgress(), layers=("features", "lake"))
    assert found["leaks"] == 1
    # In the order of the chain; the lake's is the honest twin.
    assert [bool(row["first"]) for row in found["results"]] == [False, True]
    from project01.cli.app import app

    command = ["audit", "lookahead", "--times", "4", "--layers", "features", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert '"leaks": 1' in done.stdout
    assert '"through": "bars"' in done.stdout


def test_the_self_test_of_the_command_ends_with_1_when_a_leak_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from project01.cli.app import app

    few = {name: PLANTED[name] for name in ("next_return", "restated_fundamentals")}
    monkeypatch.setattr(audit, "PLANTED", few)
    done = CliRunner().invoke(app, ["audit", "lookahead", "--self-test"])
    assert done.exit_code == 0
    assert "2 of 2 planted leaks caught, 0 of 2 honest twins flagged" in done.stdout
    harmless = replace(few["next_return"], variant=lambda tables, _: few["next_return"].variant(tables, False))
    monkeypatch.setattr(audit, "PLANTED", {**few, "next_return": harmless})
    done = CliRunner().invoke(app, ["audit", "lookahead", "--self-test"])
    assert done.exit_code == 1
    assert "MISSED" in done.stdout


def test_no_name_of_the_pipelines_is_that_of_a_file() -> None:
    """Names are looked up when they are asked for: a file of that name, imported before, would come in their place."""
    files = {path.stem for path in Path(pipelines.__file__).parent.glob("*.py")}
    assert set(pipelines.__all__) & files == set()
