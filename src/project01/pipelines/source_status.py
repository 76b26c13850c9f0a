"""What each source brings and lacks, and when its streams were not listening; needs no vendor's library."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

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


def _is_set(variables: Sequence[str], environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) or environment.get(f"{name}_FILE") for name in variables)
