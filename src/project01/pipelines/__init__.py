"""One function for each step of the main job; the CLI calls these and nothing deeper.

Each name is imported when it is first asked for: a command that only looks into a table, or that refuses a wrong path,
should not wait for the libraries that train models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project01.pipelines.audit import audit_lookahead
    from project01.pipelines.doctor import diagnose
    from project01.pipelines.lake_admin import (
        lake_compact,
        lake_history,
        lake_refused,
        lake_rows,
        lake_tables,
        lake_vacuum,
    )
    from project01.pipelines.progress import Progress, SilentProgress
    from project01.pipelines.run import Run
    from project01.pipelines.sources import SourceChoice

_MODULES = {
    "audit": ("audit_lookahead",),
    "doctor": ("diagnose",),
    "lake_admin": ("lake_compact", "lake_history", "lake_refused", "lake_rows", "lake_tables", "lake_vacuum"),
    "progress": ("Progress", "SilentProgress"),
    "run": ("Run",),
    "sources": ("SourceChoice",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Progress",
    "Run",
    "SilentProgress",
    "SourceChoice",
    "audit_lookahead",
    "diagnose",
    "lake_compact",
    "lake_history",
    "lake_refused",
    "lake_rows",
    "lake_tables",
    "lake_vacuum",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
