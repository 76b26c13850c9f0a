"""How often our own research process finds an edge of known size, and after how long.

The same path as in `certificate`, on simulated markets with a planted rank IC: each forecaster in turn is the one that
is traded, beside all the others.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from project01.domain import FloatArray, InputError
from project01.evaluate import (
    LEVEL,
    annual_mean,
    found_after,
    ic_by_time,
    information_coefficient,
    minimum_track_record,
    moments,
    profit_p_value,
    scored,
    sharpe_per_session,
    skill_p_value,
)
from project01.models import make_forecaster
from project01.pipelines.certificate import keep, markdown_table, share, share_words, work_through
from project01.pipelines.evidence import plain
from project01.pipelines.progress import Progress
from project01.pipelines.research import Make, Plan, Study, judged, study, trade
from project01.pipelines.workspace import code_hash
from project01.pipelines.world_pool import Row, Task
from project01.pipelines.worlds import WALKS, PriceSource, World
from project01.settings import CostSettings, PortfolioSettings

PLANTED = (0.01, 0.02, 0.03, 0.05)
POWER_PLAN = Plan(single_rules=())
# The other two forecast a drift, or nothing; they are traded beside these as naive rules.
REPORTED = ("lightgbm", "xgboost", "ridge", "momentum")
NEUTRAL = PortfolioSettings(rule="long_short")
CONFIDENT = 1.0 - LEVEL
TESTS = {
    "rank_ic": "rank IC significant",
    "neutral": "net Sharpe of the market-neutral book significant",
    "excess": "net Sharpe of the excess significant",
    "verdict": "verdict: edge",
}
SERIES = ("rank_ic", "neutral", "excess")


def power_row(world: World, plan: Plan, make: Make = make_forecaster) -> Row:
    """What each forecaster, as the one traded, is found to be worth on one market.

    Returns:
        kind, planted_ic, number, the perfect signal's rank IC over all sessions, and for each forecaster the p-values,
        when each test first passed for good, the moments behind the shortest track record, and the verdict.
    """
    found = study(world, plan, make)
    costs, symbols = CostSettings(), len(found.market.symbols)
    top, neutral = trade(found, costs, PortfolioSettings()), trade(found, costs, NEUTRAL)
    models = {}
    for name in plan.models:
        models[name] = {
            "rank_ic": _of_skill(scored(found.forecasts[name], found.labels), plan.horizon),
            "neutral": _of_returns(neutral[name].net),
            "excess": _of_returns(top[name].excess),
            "verdict": judged(top, name, found.tuning_fits, symbols)["verdict"],
        }
    return {
        "kind": world.kind, "planted_ic": world.planted_ic, "number": world.number,
        "perfect_ic": _perfect(world, found), "sessions": len(top[plan.models[0]].net), "models": models,
    }  # fmt: skip


def _perfect(world: World, found: Study) -> float | None:
    """Mean rank IC of the planted signal itself; None where nothing was planted."""
    if world.signal is None:
        return None
    return plain(information_coefficient(scored(world.signal, found.labels), found.plan.horizon).value)


def _of_skill(rows: pl.DataFrame, horizon: int) -> Row:
    """Of the rank IC by session; its Sharpe ratio is over the long-run deviation, which overlap makes larger."""
    ic, estimate = ic_by_time(rows)["rank_ic"].to_numpy(), information_coefficient(rows, horizon)
    test = partial(skill_p_value, horizon=horizon)
    spread = estimate.standard_error * math.sqrt(max(estimate.n, 1))
    return {
        "value": plain(estimate.value), "p_value": plain(test(ic)), "found_after": found_after(ic, test),
        "sharpe": plain(estimate.value / spread) if spread > 0 else None, "skew": 0.0, "kurtosis": 3.0,
    }  # fmt: skip


def _of_returns(returns: FloatArray) -> Row:
    skew, kurtosis = moments(returns)
    return {
        "value": plain(annual_mean(returns).value), "p_value": plain(profit_p_value(returns)),
        "found_after": found_after(returns, profit_p_value), "sharpe": sharpe_per_session(returns), "skew": skew,
        "kurtosis": kurtosis,
    }  # fmt: skip


def _power_work(task: Task) -> Row:
    return power_row(task.world(), task.plan)


def measure_power(
    out: Path,
    worlds: int,
    workers: int,
    progress: Progress,
    plan: Plan | None = None,
    planted: Sequence[float] = PLANTED,
) -> dict[str, Any]:
    """Run the whole process on markets with a planted edge and count what is found.

    Args:
        out: folder for ``power-worlds.jsonl`` (one row a market, kept if the run is stopped) and ``power.json``.
        worlds: markets of each planted size; the same shocks for every size.
        workers: processes; the result does not depend on it.
        progress: told after each market.
        plan: what is tried; by default as the product does, on 60 names over 1,500 sessions.
        planted: mean rank ICs, each above zero.
    Returns:
        What ``power.json`` holds.
    Raises:
        InputError: no market, no size, a size of zero, or `out` holds markets of another plan.
        SettingsError: a size is larger than the simulator can plant.
    """
    plan = plan or POWER_PLAN
    if worlds < 1 or workers < 1 or not planted or min(planted) <= 0:
        raise InputError(
            f"{worlds} markets of each of the planted sizes {', '.join(f'{ic:g}' for ic in planted) or 'none'}, with "
            f"{workers} workers; expected at least 1, sizes above zero, and 1."
        )
    tasks = [Task(WALKS, number, ic, plan, PriceSource()) for number in range(worlds) for ic in planted]
    rows = work_through(out, "power", tasks, _power_work, workers, progress)
    return keep(out, "power", power_summary(rows, plan))


def power_summary(rows: Sequence[Row], plan: Plan) -> dict[str, Any]:
    """Shares over markets, by planted size and forecaster.

    Args:
        rows: from `power_row`.
        plan: what was tried.
    Returns:
        ``planted``: size -> the perfect signal's IC with its error, and forecaster -> test -> share found, median
        sessions until it was found for good (None: not in half of the markets), and sessions that theory asks for
        (None: never).
    """
    sizes = sorted({row["planted_ic"] for row in rows})
    found = {f"{size:g}": _of_size([row for row in rows if row["planted_ic"] == size], plan) for size in sizes}
    return {
        "certificate": "power", "simulated": True, "plan": msgspec.to_builtins(plan), "code_hash": code_hash(),
        "worlds": len(rows), "sessions": max(row["sessions"] for row in rows), "planted": found, "rows": list(rows),
    }  # fmt: skip


def _of_size(rows: Sequence[Row], plan: Plan) -> dict[str, Any]:
    perfect = np.array([row["perfect_ic"] for row in rows], dtype=np.float64)
    error = float(perfect.std(ddof=1) / np.sqrt(len(perfect))) if len(perfect) > 1 else float("nan")
    names = [name for name in plan.models if name in REPORTED]
    return {
        "perfect_ic": {"value": float(perfect.mean()), "standard_error": plain(error)},
        "models": {name: _of_model([row["models"][name] for row in rows]) for name in names},
    }


def _of_model(rows: Sequence[Row]) -> dict[str, Any]:
    found: dict[str, Any] = {"verdict": share(sum(row["verdict"] == "edge" for row in rows), len(rows))}
    for test in SERIES:
        each = [row[test] for row in rows]
        said = sum(one["p_value"] is not None and one["p_value"] < LEVEL for one in each)
        days = float(np.median([math.inf if one["found_after"] is None else one["found_after"] for one in each]))
        values = [one["value"] for one in each if one["value"] is not None]
        found[test] = share(said, len(each)) | {
            "mean": float(np.mean(values)) if values else None, "median_sessions": plain(days),
            "theory_sessions": _theory(each),
        }  # fmt: skip
    return found


def _theory(each: Sequence[Row]) -> float | None:
    """Shortest track record of the mean Sharpe ratio a session over these markets.

    Source: Bailey and López de Prado, Journal of Risk 15(2) (2012), equation 13. A true ratio is found by then in half
    of all cases, which is what the median beside it measures.
    """
    known = [(one["sharpe"], one["skew"], one["kurtosis"]) for one in each if one["sharpe"] is not None]
    if not known:
        return None
    sharpe, skew, kurtosis = np.mean(known, axis=0)
    return plain(minimum_track_record(float(sharpe), 0.0, float(skew), float(kurtosis), CONFIDENT))


def power_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: one row a planted size and forecaster."""
    columns = ["planted IC", "forecaster", "mean rank IC", *TESTS.values(), "sessions until the rank IC is found"]
    columns += ["until the net Sharpe of the excess is found"]
    rows = []
    for size, found in result["planted"].items():
        for name, tests in found["models"].items():
            mean = tests["rank_ic"]["mean"]
            shares = [share_words(tests[test]) for test in TESTS]
            days = [_days(tests[test], result["sessions"]) for test in ("rank_ic", "excess")]
            rows.append([size, name, "none" if mean is None else f"{mean:+.4f}", *shares, *days])
    return columns, rows


def _days(test: dict[str, Any], sessions: int) -> str:
    median, theory = test["median_sessions"], test["theory_sessions"]
    measured = f"not in {sessions}" if median is None else f"{median:.0f}"
    return f"{measured} (theory {'never' if theory is None else f'{theory:.0f}'})"


def planted_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the IC of the perfect signal beside what was planted."""
    rows = []
    for size, found in result["planted"].items():
        perfect = found["perfect_ic"]
        error = perfect["standard_error"]
        markets = next(iter(found["models"].values()))["verdict"]["of"]
        apart = None if not error else (perfect["value"] - float(size)) / error
        words = ["unknown", "unknown"] if apart is None else [f"{error:.4f}", f"{apart:+.1f}"]
        rows.append([size, f"{perfect['value']:.4f}", *words, str(markets)])
    return ["planted IC", "IC of the perfect signal", "standard error", "errors apart", "markets"], rows


def power_markdown(result: dict[str, Any]) -> str:
    """What can be found, as a section in Markdown."""
    plan = result["plan"]
    made = (
        f"SIMULATED markets with a planted rank IC: {plan['symbols']} names, {plan['sessions']} sessions, of which "
        f"{result['sessions']} are traded out of sample; {plan['horizon']} sessions ahead. Each test is one-sided at "
        "5 % (Newey-West); in brackets exact 90 % intervals (Clopper-Pearson). Each forecaster in turn is the one "
        "traded, beside the others."
    )
    days = (
        "Sessions until found: the median over markets of the first look, every 21 sessions from the 126th, from which "
        "on the test passed at every later look. Theory: the shortest track record of the mean Sharpe ratio."
    )
    tables = [*markdown_table(*planted_table(result)), "", *markdown_table(*power_table(result))]
    return "\n".join(["## What we can find", "", made, "", *tables, "", days, ""])
