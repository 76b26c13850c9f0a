"""How often our own research process says "edge" where there is none.

Every market is made without an edge, and the whole process runs on it. The share of markets in which the verdict is
"edge" all the same is the rate of false discoveries; it must not be above 5 %.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from project01.domain import InputError
from project01.evaluate import LEVEL, Estimate, information_coefficient, scored, share_of, skill_p_value
from project01.evaluate import ic_by_time as ics
from project01.models import make_forecaster
from project01.pipelines.evidence import plain
from project01.pipelines.progress import Progress
from project01.pipelines.research import FREE, GROSS, NET, Make, Plan, Study, best_of, judged, study, trade
from project01.pipelines.workspace import code_hash, open_workspace, write_atomically
from project01.pipelines.world_pool import Row, Task, rows_of, stamp_of
from project01.pipelines.worlds import KINDS, PriceSource, World
from project01.settings import CostSettings, PortfolioSettings

BAR = 0.05
PRODUCT, ANALYST, HIDDEN = "product", "analyst", "hidden"
PROCESSES = {
    PRODUCT: "the product: forecaster fixed in advance, settings tuned before the test",
    ANALYST: "an analyst shows the best of all trials, and counts them",
    HIDDEN: "an analyst shows the best of all trials, and hides the others",
}
RULES = {
    "verdict": "the verdict says edge",
    "above_zero": "alone: the interval lies above zero",
    "deflated_enough": "alone: deflated Sharpe ratio of 0.95 or more",
    "beats_naive": "alone: beats the best naive rule",
}
ALL = "all"


def null_row(world: World, plan: Plan, make: Make = make_forecaster) -> Row:
    """What each way of working says of one market.

    Returns:
        kind, planted_ic, number, chosen settings, rank ICs with p-values, and, with costs and without, one judgement
        for each of `PROCESSES`.
    """
    found = study(world, plan, make)
    row: Row = {
        "kind": world.kind, "planted_ic": world.planted_ic, "number": world.number,
        "symbols": len(found.market.symbols), "chosen": {name: dict(choice) for name, choice in found.chosen.items()},
        "rank_ic": {name: _skill(found, name) for name in plan.models},
    }  # fmt: skip
    for name, costs in ((NET, CostSettings()), (GROSS, FREE)):
        row[name] = _judgements(found, costs)
    return row


def _skill(found: Study, name: str) -> dict[str, float | None]:
    rows = scored(found.forecasts[name], found.labels)
    horizon = found.plan.horizon
    p_value = skill_p_value(ics(rows)["rank_ic"].to_numpy(), horizon)
    return {"value": plain(information_coefficient(rows, horizon).value), "p_value": plain(p_value)}


def _judgements(found: Study, costs: CostSettings) -> dict[str, Any]:
    traded, names, symbols = trade(found, costs, PortfolioSettings()), found.plan.models, len(found.market.symbols)
    best = best_of(traded)
    return {
        PRODUCT: judged({name: traded[name] for name in names}, names[0], found.tuning_fits, symbols),
        ANALYST: judged(traded, best, found.tuning_fits, symbols),
        HIDDEN: judged({best: traded[best]}, best, 0, symbols),
    }


def _null_work(task: Task) -> Row:
    return null_row(task.world(), task.plan)


def certify_null(
    out: Path,
    worlds: int,
    source: PriceSource,
    workers: int,
    progress: Progress,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Run the whole process on markets without an edge and count its discoveries.

    Args:
        out: folder for ``null-worlds.jsonl`` (one row a market, kept if the run is stopped) and ``null.json``.
        worlds: markets in all, half of each kind.
        source: of the real prices that are resampled.
        workers: processes; the result does not depend on it.
        progress: told after each market.
        plan: what is tried; by default as the product does, on 60 names over 1,500 sessions.
    Returns:
        What ``null.json`` holds.
    Raises:
        InputError: fewer markets than kinds, or `out` holds markets of another plan.
    """
    plan = plan or Plan()
    if worlds < len(KINDS) or workers < 1:
        raise InputError(f"{worlds} markets with {workers} workers; expected at least {len(KINDS)} and 1.")
    tasks = [Task(KINDS[n % len(KINDS)], n // len(KINDS), 0.0, plan, source) for n in range(worlds)]
    rows = work_through(out, "null", tasks, _null_work, workers, progress)
    return keep(out, "null", null_summary(rows, plan, source.label))


def work_through(
    out: Path, name: str, tasks: list[Task], work: Callable[[Task], Row], workers: int, progress: Progress
) -> list[Row]:
    """The rows of all tasks, kept in `out` as they come; see `rows_of`."""
    open_workspace(out)
    started = perf_counter()
    progress.start(name)
    try:
        stamp = stamp_of(tasks[0].plan, tasks[0].source)
        rows = rows_of(tasks, work, out / f"{name}-worlds.jsonl", stamp, workers, progress.advance)
    except BaseException:
        progress.close()
        raise
    progress.finish(name, perf_counter() - started, skipped=False)
    return rows


def keep(out: Path, name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Write the result as ``NAME.json`` and give it back."""
    write_atomically(out / f"{name}.json", msgspec.json.format(msgspec.json.encode(result, order="sorted")))
    return result


def share(found: int, of: int) -> dict[str, Any]:
    """A share as results hold it."""
    estimate: Estimate = share_of(found, of)
    return {"found": found, "of": of, "share": estimate.value, "low": estimate.low, "high": estimate.high}


def null_summary(rows: Sequence[Row], plan: Plan, source: str) -> dict[str, Any]:
    """Shares over markets, by kind and together.

    Args:
        rows: from `null_row`.
        plan: what was tried.
        source: of real prices, in words.
    Returns:
        ``false_discoveries``: costs -> process -> kind -> rule -> share; ``passed``: whether the product's and the
        counting analyst's verdicts, with costs, said "edge" in at most 5 % of the markets of every kind.
    """
    kinds = [*dict.fromkeys(row["kind"] for row in rows)]
    groups = {kind: [row for row in rows if row["kind"] == kind] for kind in kinds} | {ALL: list(rows)}
    tables = {
        costs: {
            process: {kind: _rules(group, costs, process) for kind, group in groups.items()} for process in PROCESSES
        }
        for costs in (NET, GROSS)
    }
    certified = [tables[NET][process][kind]["verdict"]["share"] for process in (PRODUCT, ANALYST) for kind in groups]
    return {
        "certificate": "null", "simulated": True, "source": source, "plan": msgspec.to_builtins(plan),
        "code_hash": code_hash(), "worlds": len(rows), "bar": BAR, "false_discoveries": tables,
        "rank_ic": {kind: _ic_shares(group, plan.models) for kind, group in groups.items()},
        "passed": max(certified) <= BAR, "sentence": _sentence(tables, len(rows), max(certified) <= BAR),
        "rows": list(rows),
    }  # fmt: skip


def _rules(rows: Sequence[Row], costs: str, process: str) -> dict[str, Any]:
    judgements = [row[costs][process] for row in rows]
    said = {rule: sum(j[rule] for j in judgements) for rule in RULES if rule != "verdict"}
    said["verdict"] = sum(j["verdict"] == "edge" for j in judgements)
    return {rule: share(said[rule], len(rows)) for rule in RULES}


def _ic_shares(rows: Sequence[Row], models: Sequence[str]) -> dict[str, Any]:
    """How often each forecaster's rank IC is called significant at 5 %; those that cannot have one are left out."""
    found = {}
    for name in models:
        p_values = [row["rank_ic"][name]["p_value"] for row in rows]
        known = [p for p in p_values if p is not None]
        if known:
            found[name] = share(sum(p < LEVEL for p in known), len(known))
    return found


def _sentence(tables: dict[str, Any], worlds: int, passed: bool) -> str:
    product, analyst = (tables[NET][process][ALL]["verdict"] for process in (PRODUCT, ANALYST))
    return (
        f"SIMULATED: in {worlds} markets without an edge the product said edge in {product['found']} (90 % interval "
        f"{percent(product['low'])} to {percent(product['high'])}), the best of all trials was called an edge in "
        f"{analyst['found']} ({percent(analyst['low'])} to {percent(analyst['high'])}); at most {percent(BAR)} are "
        f"allowed of each kind: {'passed' if passed else 'failed'}."
    )


def percent(value: float) -> str:
    """A share in percent, with a decimal where it is small."""
    points = 100.0 * value
    return f"{points:.0f} %" if points >= 9.95 else f"{points:.1f}".removesuffix(".0") + " %"


def share_words(found: dict[str, Any]) -> str:
    """A share with its interval, for tables."""
    return f"{found['found']} of {found['of']} ({percent(found['low'])} to {percent(found['high'])})"


def null_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the certificate: one row a process, costs and kind of market."""
    costs = CostSettings()
    words = {NET: f"{costs.commission_bps + costs.slippage_bps:g} bps", GROSS: "none"}
    columns = ["who", "costs", "markets", *RULES.values()]
    rows = [
        [process, words[paid], kind, *(share_words(shares[rule]) for rule in RULES)]
        for paid, processes in result["false_discoveries"].items()
        for process, kinds in processes.items()
        for kind, shares in kinds.items()
    ]
    return columns, rows


def null_markdown(result: dict[str, Any]) -> str:
    """The certificate as a section in Markdown."""
    plan = result["plan"]
    made = (
        f"{plan['symbols']} names (resampled: as many as {result['source']} has, at most that), {plan['sessions']} "
        f"sessions, training on {plan['train_sessions']}, refitted every {plan['test_sessions']}, {plan['horizon']} "
        "sessions ahead. In brackets exact 90 % intervals (Clopper-Pearson)."
    )
    skill = (
        "How often the rank IC of each forecaster is called significant at 5 %, which is no discovery of an edge: "
        "ranks over several sessions know volatility although it earns nothing."
    )
    who = [f"- **{name}**: {words}." for name, words in PROCESSES.items()]
    columns = ["markets", *result["rank_ic"][ALL]]
    skills = [[kind, *(share_words(each) for each in found.values())] for kind, found in result["rank_ic"].items()]
    head = ["## How often we invent an edge", "", result["sentence"], "", made, "", *who, ""]
    table = markdown_table(*null_table(result))
    return "\n".join([*head, *table, "", skill, "", *markdown_table(columns, skills), ""])


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
