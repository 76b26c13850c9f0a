"""One function for each step of the main job; the CLI calls these and nothing deeper."""

from project01.pipelines.audit import audit_lookahead
from project01.pipelines.doctor import diagnose
from project01.pipelines.lake_admin import lake_compact, lake_history, lake_rows, lake_tables, lake_vacuum
from project01.pipelines.progress import Progress, SilentProgress
from project01.pipelines.run import Run
from project01.pipelines.sources import SourceChoice

__all__ = [
    "Progress",
    "Run",
    "SilentProgress",
    "SourceChoice",
    "audit_lookahead",
    "diagnose",
    "lake_compact",
    "lake_history",
    "lake_rows",
    "lake_tables",
    "lake_vacuum",
]
