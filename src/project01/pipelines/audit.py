"""The look-ahead audit over the chain, and the proof that it catches what it should."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from project01.domain import BARS, TradingCalendar, trading_calendar
from project01.etl import feature_set, feature_sets
from project01.evaluate import CHANGES, LayerAudit, audit_layer, cut_times
from project01.pipelines.features import selected
from project01.pipelines.lookahead_chain import DEAR, LAYERS, AuditedChain, checked_layers
from project01.pipelines.lookahead_world import audited_tables
from project01.pipelines.planted_leaks import planted_tables
from project01.pipelines.planted_leaks_trading import PLANTED
from project01.pipelines.progress import Progress
from project01.pipelines.workspace import Workspace
from project01.settings import FeatureSettings

SELF_TEST_CUTS = 6


def daily_sets() -> tuple[str, ...]:
    """Every set of the catalogue whose features are computed once a session."""
    return tuple(name for name in feature_sets() if feature_set(name)[0].clock == "session")


def audited_layers() -> tuple[str, ...]:
    """Layers of the audit, in the order of the chain."""
    return LAYERS


def audit_lookahead(
    out: Path | None,
    times: int,
    seed: int,
    symbols: int,
    sessions: int,
    progress: Progress,
    wanted: FeatureSettings | None = None,
    layers: Sequence[str] = LAYERS,
) -> dict[str, Any]:
    """Change the future at every layer of the chain, and compare what stands at or before the cut.

    Args:
        out: run whose data is audited; None: the sample with open, high, low, close and volume.
        times: random times to cut at; layers in which one look is dear are cut at a fifth of them.
        seed: of the times, of the noise and of what is made up.
        symbols: audited at most.
        sessions: newest sessions audited at most.
        progress: told after each cut.
        wanted: sets and files of features to audit; None: every daily set of the catalogue.
        layers: names out of `LAYERS`.
    Returns:
        results (layer, outputs, values, cuts, first, leaks), leaks (number), sentence, note (what is SIMULATED),
        left_out (features the data cannot carry) and rows.
    Raises:
        InputError: a layer or a set is unknown; NotEnoughDataError: too little history to train and trade on.
    """
    names = checked_layers(tuple(layers))
    tables, note = audited_tables(out, symbols, sessions, seed)
    features = selected(wanted or FeatureSettings(sets=daily_sets()))
    with tempfile.TemporaryDirectory() as folder:
        chain = AuditedChain(tables, features, Path(folder), seed, calendar_of(out))
        found = [_audited(chain, name, times, seed, progress) for name in names]
    leaks = sum(len(audit.leaks) for audit in found)
    outputs = sum(len(audit.outputs) for audit in found)
    verdict = "no value at or before a cut changed" if not leaks else f"{leaks} outputs depend on the future"
    sentence = (
        f"{outputs} outputs of {len(found)} layer(s) at up to {times} times, what was known later changed in "
        f"{len(CHANGES)} ways: {verdict}."
    )
    return {
        "results": [_row(audit) for audit in found],
        "leaks": leaks,
        "features": len(chain.usable[0]) if "features" in names else 0,
        "sentence": sentence,
        "note": note,
        "left_out": chain.usable[1] if "features" in names else {},
        "rows": tables[BARS.name].height,
    }


def calendar_of(out: Path | None) -> TradingCalendar:
    """Of the exchange a run's bars come from; None: of the sample's."""
    return trading_calendar() if out is None else trading_calendar(Workspace(out).kept_settings().data.calendar)


def _audited(chain: AuditedChain, name: str, times: int, seed: int, progress: Progress) -> LayerAudit:
    layer = chain.layer(name)
    rows = layer.tables.get(BARS.name, next(iter(layer.tables.values())))
    cuts = cut_times(rows, max(1, times // DEAR.get(name, 1)), seed)
    progress.start(name)
    try:
        return audit_layer(layer, cuts, seed, lambda done, total: progress.advance(done, total, name))
    finally:
        progress.close()


def _row(audit: LayerAudit) -> dict[str, Any]:
    return {
        "layer": audit.layer,
        "outputs": len(audit.outputs),
        "values": audit.values,
        "cuts": audit.cuts,
        "first": str(audit.leaks[0]) if audit.leaks else "",
        "leaks": [asdict(leak) for leak in audit.leaks],
    }


def audit_self_test(seed: int, progress: Progress) -> dict[str, Any]:
    """Audit every planted leak and its honest twin.

    Returns:
        results (name, layer, why, caught_by, through, twin_flagged), planted, caught, flagged (honest twins) and
        sentence. All planted leaks must be caught and no twin flagged.
    """
    cuts = cut_times(planted_tables()[BARS.name], SELF_TEST_CUTS, seed)
    progress.start("planted leaks")
    results = []
    for number, leak in enumerate(PLANTED.values()):
        leaky = leak.as_layer(leaky=True)
        found = {change: audit_layer(replace(leaky, changes=(change,)), cuts, seed).leaks for change in leaky.changes}
        through = sorted({one.through for leaks in found.values() for one in leaks if one.through})
        results.append(
            {
                "name": leak.name,
                "layer": leak.layer,
                "why": leak.why,
                "caught_by": [change for change, leaks in found.items() if leaks],
                "through": through,
                "twin_flagged": bool(audit_layer(leak.as_layer(leaky=False), cuts, seed).leaks),
            }
        )
        progress.advance(number + 1, len(PLANTED), "planted leaks")
    progress.close()
    caught = sum(bool(row["caught_by"]) for row in results)
    flagged = sum(bool(row["twin_flagged"]) for row in results)
    sentence = (
        f"{caught} of {len(results)} planted leaks caught, {flagged} of {len(results)} honest twins flagged, in a "
        f"SIMULATED market cut at {len(cuts)} times."
    )
    return {"results": results, "planted": len(results), "caught": caught, "flagged": flagged, "sentence": sentence}
