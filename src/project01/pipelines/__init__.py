"""One function for each step of the main job; the CLI calls these and nothing deeper.

Each name is imported when it is first asked for: a command that only looks into a table, or that refuses a wrong path,
should not wait for the libraries that train models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project01.lake import LandingLimits
    from project01.pipelines.audit import audit_lookahead, audit_self_test, audited_layers, daily_sets
    from project01.pipelines.certificate import certify_null, null_markdown, null_table
    from project01.pipelines.doctor import diagnose
    from project01.pipelines.feature_docs import catalogue_rows, feature_pages
    from project01.pipelines.feature_reads import materialise_features, read_features
    from project01.pipelines.feature_stream import stream_features_here
    from project01.pipelines.holdout import holdout_state, open_holdout
    from project01.pipelines.instants import parse_instant
    from project01.pipelines.lab import Lab, Tried
    from project01.pipelines.lake_admin import (
        lake_compact,
        lake_export,
        lake_history,
        lake_refused,
        lake_rows,
        lake_tables,
        lake_vacuum,
    )
    from project01.pipelines.landing import TopicFigures, follow, land, rebuild
    from project01.pipelines.ledger_view import ledger_rows
    from project01.pipelines.letters import letter_rows, replay_letters
    from project01.pipelines.order_run import run_order_file
    from project01.pipelines.parity import parity_of_day, parity_of_run
    from project01.pipelines.paths import above_zero, audit_paths
    from project01.pipelines.place import Place
    from project01.pipelines.power import measure_power, planted_table, power_markdown, power_table
    from project01.pipelines.progress import Progress, SilentProgress
    from project01.pipelines.replay import replay_capsule
    from project01.pipelines.run import Run
    from project01.pipelines.source_status import known_gaps, known_lags, known_sources
    from project01.pipelines.sources import SourceChoice
    from project01.pipelines.spark_run import spark_build
    from project01.pipelines.topics import apply_topics, show_topics, wanted_topics
    from project01.pipelines.vendors import FetchOrder, fetch, publish_choice
    from project01.pipelines.worlds import PriceSource

_MODULES = {
    "audit": ("audit_lookahead", "audit_self_test", "daily_sets", "audited_layers"),
    "certificate": ("certify_null", "null_markdown", "null_table"),
    "doctor": ("diagnose",),
    "feature_docs": ("catalogue_rows", "feature_pages"),
    "feature_stream": ("stream_features_here",),
    "spark_run": ("spark_build",),
    "feature_reads": ("materialise_features", "read_features"),
    "lake_admin": (
        "lake_compact",
        "lake_export",
        "lake_history",
        "lake_refused",
        "lake_rows",
        "lake_tables",
        "lake_vacuum",
    ),
    "holdout": ("holdout_state", "open_holdout"),
    "instants": ("parse_instant",),
    "lab": ("Lab", "Tried"),
    "landing": ("LandingLimits", "TopicFigures", "follow", "land", "rebuild"),
    "ledger_view": ("ledger_rows",),
    "letters": ("letter_rows", "replay_letters"),
    "order_run": ("run_order_file",),
    "parity": ("parity_of_day", "parity_of_run"),
    "place": ("Place",),
    "topics": ("apply_topics", "show_topics", "wanted_topics"),
    "vendors": ("FetchOrder", "fetch", "publish_choice"),
    "paths": ("above_zero", "audit_paths"),
    "power": ("measure_power", "planted_table", "power_markdown", "power_table"),
    "progress": ("Progress", "SilentProgress"),
    "replay": ("replay_capsule",),
    "run": ("Run",),
    "source_status": ("known_gaps", "known_lags", "known_sources"),
    "sources": ("SourceChoice",),
    "worlds": ("PriceSource",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FetchOrder",
    "Lab",
    "LandingLimits",
    "Place",
    "PriceSource",
    "Progress",
    "Run",
    "SilentProgress",
    "SourceChoice",
    "TopicFigures",
    "Tried",
    "above_zero",
    "apply_topics",
    "audit_lookahead",
    "audit_paths",
    "audit_self_test",
    "audited_layers",
    "catalogue_rows",
    "certify_null",
    "daily_sets",
    "diagnose",
    "feature_pages",
    "fetch",
    "follow",
    "holdout_state",
    "known_gaps",
    "known_lags",
    "known_sources",
    "lake_compact",
    "lake_export",
    "lake_history",
    "lake_refused",
    "lake_rows",
    "lake_tables",
    "lake_vacuum",
    "land",
    "ledger_rows",
    "letter_rows",
    "materialise_features",
    "measure_power",
    "null_markdown",
    "null_table",
    "open_holdout",
    "parity_of_day",
    "parity_of_run",
    "parse_instant",
    "planted_table",
    "power_markdown",
    "power_table",
    "publish_choice",
    "read_features",
    "rebuild",
    "replay_capsule",
    "replay_letters",
    "run_order_file",
    "show_topics",
    "spark_build",
    "stream_features_here",
    "wanted_topics",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
