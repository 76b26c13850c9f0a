"""What each source brings and lacks, gaps and lags of its streams; needs no vendor's library."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from project01.domain import Clock, SystemClock
from project01.ingest import VENDORS, IngestState, sdk_missing


def known_sources(environment: Mapping[str, str] = os.environ) -> list[dict[str, Any]]:
    """Every vendor: what it brings, whether it could be used now, and what is missing if not."""
    rows = []
    for spec in VENDORS.values():
        unset = [
            " or ".join(credential.variables)
            for credential in spec.credentials
            if credential.required and not _is_set(credential.variables, environment)
        ]
        needs = [f"set {names}" for names in unset]
        if sdk_missing(spec):
            needs.append(f"install {spec.sdk}: {spec.sdk_hint}")
        rows.append(
            {
                "source": spec.name,
                "title": spec.title,
                "datasets": [dataset.name for dataset in spec.datasets],
                "streams": [dataset.name for dataset in spec.datasets if dataset.stream],
                "topics": list(spec.topics),
                "licence": spec.licence,
                "ready": not needs,
                "needs": needs,
                "documentation": spec.documentation,
            }
        )
    return rows


def known_gaps(state: IngestState) -> list[dict[str, Any]]:
    """Times in which a stream was not listening, oldest first."""
    return [
        {
            "source": known.source,
            "dataset": known.dataset,
            "symbols": known.symbols,
            "from": known.gap.start.isoformat(),
            "to": known.gap.end.isoformat(),
            "reason": known.gap.reason,
            "filled": known.gap.filled,
        }
        for known in state.gaps()
    ]


def known_lags(state: IngestState, limit_s: float, clock: Clock | None = None) -> list[dict[str, Any]]:
    """How far each running stream is behind what it received, and what is wrong with it, empty if nothing is.

    Args:
        state: of the sources.
        limit_s: seconds; an older event that waits, and an older measurement, are over the limit. A stream that ends
            takes its row along, so that an old one tells of a process that died or hangs.
        clock: the machine's where None.
    """
    now, rows = (clock or SystemClock()).now(), []
    for lag in state.lags():
        silent_s = max(0.0, (now - lag.measured_at).total_seconds())
        if silent_s > limit_s:
            wrong = f"not measured for {silent_s:.0f} s, limit {limit_s:g} s: its process died or hangs"
        elif lag.age_s > limit_s:
            wrong = f"{lag.age_s:.1f} s behind, limit {limit_s:g} s"
        else:
            wrong = ""
        rows.append(
            {
                "source": lag.source,
                "dataset": lag.dataset,
                "symbols": lag.symbols,
                "age_s": lag.age_s,
                "events": lag.events,
                "on_disk": lag.on_disk,
                "measured_at": lag.measured_at.isoformat(),
                "wrong": wrong,
            }
        )
    return rows


def _is_set(variables: Sequence[str], environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) or environment.get(f"{name}_FILE") for name in variables)
