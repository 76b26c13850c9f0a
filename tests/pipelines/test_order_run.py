"""Orders of a file at a run's prices: fills of the next bar, costs of the preset, one trial more."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.pipelines.conftest import run_cli

from project01.pipelines.claims import read_ledger
from project01.pipelines.holdout import holdout_in
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_bars
from project01.pipelines.workspace import Workspace

pytestmark = pytest.mark.slow


def test_orders_fill_at_the_next_bar_and_count_as_a_trial(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    workspace = Workspace(out)
    holdout = holdout_in(workspace)
    assert holdout is not None
    bars = read_bars(workspace.lake, END_OF_TIME)[0].filter(pl.col("symbol") == "SIM0003").sort("session")
    decided, filled = bars.row(100, named=True), bars.row(101, named=True)
    orders = tmp_path / "mine.csv"
    pl.DataFrame(
        {
            "decided": [str(decided["session"])] * 2, "symbol": ["SIM0003"] * 2, "quantity": [100, -40],
            "kind": ["market", "market_on_close"],
        }
    ).write_csv(orders)  # fmt: skip
    before = len(read_ledger(workspace))
    done = run_cli("orders", orders, "--out", out, "--cash", "100000", "--json")
    assert done.code == 0, done.err
    found = msgspec.json.decode(done.out)
    fills = pl.read_csv(out / "orders_fills.csv", try_parse_dates=True)
    growth = filled["factor"] / decided["factor"]
    assert fills["quantity"].to_list() == [100.0, -40.0]
    assert fills["price"].to_list() == pytest.approx([filled["open"] * growth, filled["close"] * growth], rel=1e-12)
    assert fills["bar"].dt.date().to_list() == [filled["session"]] * 2
    # 100 shares at 0.005 USD are below the least fee of a dollar.
    assert fills["cost_commission"].to_list() == [1.0, 1.0]
    assert sum(found["costs_usd"].values()) == pytest.approx(
        sum(fills[name].sum() for name in fills.columns if name.startswith("cost_")), abs=1e-9
    )
    assert found["last_bar"] < str(holdout.first_session)
    assert found["net_sharpe"]["trials"] == 4
    assert len(read_ledger(workspace)) == before + 1
    equity = pl.read_csv(out / "orders_equity.csv")
    assert found["final_equity_usd"] == equity["equity"][-1]
    assert "SIMULATED" not in done.out
    plain = run_cli("orders", orders, "--out", out, "--cash", "100000")
    assert "after 4 trials; deflated" in " ".join(plain.out.split())
    late = tmp_path / "late.csv"
    pl.DataFrame({"decided": [str(holdout.first_session)], "symbol": ["SIM0003"], "quantity": [1]}).write_csv(late)
    refused = run_cli("orders", late, "--out", out)
    assert (refused.code, "after the last session that may be read" in refused.err) == (2, True)
