"""Read a source, let each bar through the gate, and land what passes."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    DEAD_LETTERS,
    FACTS,
    MACRO,
    NEWS,
    TWEETS,
    Clock,
    InputError,
    SystemClock,
    trading_calendar,
)
from project01.ingest import (
    AS_TRADED,
    INDEX_SOURCE,
    Batch,
    BenchmarkFileSource,
    FilesSource,
    GateOutcome,
    GateRules,
    MacroFilesSource,
    MarketSettings,
    SampleSource,
    SimulatorSource,
    Source,
    batch_schema,
    gate_bars,
)
from project01.pipelines.lake_source import LakeSource
from project01.pipelines.sources import SourceChoice
from project01.pipelines.workspace import Workspace
from project01.settings import DataSettings

DAILY = "1d"
_BESIDE = (MACRO, FACTS, NEWS, TWEETS)


def open_sources(choice: SourceChoice, settings: DataSettings, seed: int) -> list[Source]:
    """The sources a choice stands for; the first brings the bars.

    Raises:
        InputError: what was pointed at cannot be used.
    """
    if choice.simulate:
        return [SimulatorSource(MarketSettings(seed=seed))]
    if choice.sample is not None:
        return [SampleSource(choice.sample)]
    if choice.lake is not None:
        return [LakeSource(choice.open_lake(), choice.vendor, SystemClock().now()), *_benchmarks(choice)]
    if choice.bars is None:
        raise InputError("No bars to read. Pass --bars PATH.")
    calendar = trading_calendar(settings.calendar)
    sources: list[Source] = [
        FilesSource(
            choice.bars,
            choice.mapping,
            date_format=choice.date_format,
            timezone=choice.timezone,
            adjusted=choice.adjusted or AS_TRADED,
            calendar=calendar,
        )
    ]
    if choice.macro is not None:
        sources.append(MacroFilesSource(choice.macro))
    return [*sources, *_benchmarks(choice)]


def _benchmarks(choice: SourceChoice) -> list[Source]:
    return [] if choice.benchmark is None else [BenchmarkFileSource(choice.benchmark)]


def collect_batches(batches: Iterable[Batch]) -> tuple[pl.DataFrame, dict[str, list[Batch]]]:
    """All bars in one frame, and the other tables' batches by name."""
    bars: list[pl.DataFrame] = []
    others: dict[str, list[Batch]] = {}
    for batch in batches:
        if batch.spec.name == BARS.name:
            bars.append(batch.rows)
        else:
            others.setdefault(batch.spec.name, []).append(batch)
    return pl.concat(bars) if bars else pl.DataFrame(schema=batch_schema(BARS)), others


def _land(workspace: Workspace, outcome: GateOutcome, others: dict[str, list[Batch]]) -> None:
    """Put what was read in place of what the folder held before."""
    lake = workspace.lake
    lake.replace(BARS, outcome.accepted)
    letters = [outcome.dead_letters, *(batch.rows for batch in others.pop(DEAD_LETTERS.name, []))]
    lake.replace(DEAD_LETTERS, pl.concat(letters))
    actions = [outcome.breaks, *(batch.rows for batch in others.pop(CORPORATE_ACTIONS.name, []))]
    lake.replace(CORPORATE_ACTIONS, pl.concat(actions))
    beside = {spec.name: spec for spec in (*_BESIDE, *(batches[0].spec for batches in others.values()))}
    for name, spec in beside.items():
        rows = [batch.rows for batch in others.get(name, [])]
        # Rows of an earlier source would stand beside bars they do not belong to.
        if rows or lake.exists(name):
            lake.replace(spec, pl.concat([pl.DataFrame(schema=batch_schema(spec)), *rows]))


def ingest(
    workspace: Workspace, choice: SourceChoice, settings: DataSettings, seed: int, clock: Clock
) -> dict[str, Any]:
    """Read, check and land; what did not pass is kept as dead letters.

    Returns:
        Figures of the step: rows read, accepted, refused by reason, symbols, span, table digest.
    Raises:
        InputError: nothing usable was found, or no bar passed the gate.
    """
    sources = open_sources(choice, settings, seed)
    rows, others = collect_batches(batch for source in sources for batch in source.read())
    rows = rows.filter(pl.col("interval") == DAILY)
    if rows.is_empty():
        raise InputError(f"{choice.label} holds no bars. Pass a file or folder with at least a date and a close.")
    rules = GateRules(as_of=clock.now(), lowest_return=-settings.gate_max_loss, highest_return=settings.gate_max_gain)
    outcome = gate_bars(rows, trading_calendar(settings.calendar), rules)
    if outcome.accepted.is_empty():
        worst = ", ".join(f"{reason} {count}" for reason, count in _refused(outcome.counts).items())
        raise InputError(f"None of the {rows.height} bars of {choice.label} passed the gate: {worst}.")
    _land(workspace, outcome, others)
    return _summary(workspace, choice, sources, outcome)


def _refused(counts: dict[str, int]) -> dict[str, int]:
    prefix = "refused."
    return {k.removeprefix(prefix): v for k, v in sorted(counts.items()) if k.startswith(prefix)}


def _summary(workspace: Workspace, choice: SourceChoice, sources: list[Source], outcome: GateOutcome) -> dict[str, Any]:
    daily = outcome.accepted.filter(pl.col("interval") == DAILY, pl.col("source") != INDEX_SOURCE)
    lake = workspace.lake
    digests = {name: lake.digest(name) for name in lake.tables() if name != DEAD_LETTERS.name}
    counts = outcome.counts
    return {
        "label": choice.label,
        "command": choice.command(),
        "simulated": any(source.simulated for source in sources),
        "read_as": [line for source in sources if isinstance(source, FilesSource) for line in source.read_as()],
        "rows_read": counts["read"],
        "rows_accepted": counts["accepted"],
        "rows_refused": counts["refused"],
        "duplicates": counts["duplicates"],
        "refused_by_reason": _refused(counts),
        "breaks": counts["breaks"],
        "spikes": counts["spikes"],
        "zero_volume": counts["zero_volume"],
        "missing_sessions": counts["missing_sessions"],
        "longest_gap": counts["longest_gap"],
        "symbols": daily["symbol"].n_unique(),
        "first_session": str(daily["session"].min()),
        "last_session": str(daily["session"].max()),
        "digests": digests,
        "bus_offsets": {k: v for s in sources if isinstance(s, LakeSource) for k, v in s.bus_offsets().items()},
    }
