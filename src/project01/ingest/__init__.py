"""Sources of records, and the gate every bar passes before it enters the lake.

What concerns vendors is imported when it is first asked for: whoever reads files should not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from project01.domain import MissingExtraError
from project01.ingest.bar_rows import ADJUSTED, AS_TRADED
from project01.ingest.columns import ColumnMapping
from project01.ingest.files import FilesSource, SkippedFile
from project01.ingest.gate import gate_bars
from project01.ingest.gate_rules import GateOutcome, GateRules, Reason
from project01.ingest.macro_files import BenchmarkFileSource, MacroFilesSource
from project01.ingest.sample import SampleSource
from project01.ingest.series import INDEX_SOURCE
from project01.ingest.simulator import SimulatorSource
from project01.ingest.simulator_market import DailyMarket, daily_frame, simulate_daily
from project01.ingest.simulator_settings import Faults, MarketSettings
from project01.ingest.source import Batch, Source, batch_schema, stamped

if TYPE_CHECKING:
    from project01.ingest.connection import Connection
    from project01.ingest.lag import LagWatch
    from project01.ingest.publish import Published, Publisher
    from project01.ingest.registry import VENDORS, connect, sdk_missing, vendor_named
    from project01.ingest.row_records import records_of
    from project01.ingest.state import IngestState, KnownGap, StreamLag
    from project01.ingest.vendor import Budget, Decoded, Gap, Page, Query, VendorClient, VendorSpec

# Name of the module -> what it brings.
_LATER = {
    "connection": ("Connection",),
    "lag": ("LagWatch",),
    "publish": ("Published", "Publisher"),
    "row_records": ("records_of",),
    "registry": ("VENDORS", "connect", "sdk_missing", "vendor_named"),
    "state": ("IngestState", "KnownGap", "StreamLag"),
    "vendor": ("Budget", "Decoded", "Gap", "Page", "Query", "VendorClient", "VendorSpec"),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "ADJUSTED",
    "AS_TRADED",
    "INDEX_SOURCE",
    "VENDORS",
    "Batch",
    "BenchmarkFileSource",
    "Budget",
    "ColumnMapping",
    "Connection",
    "DailyMarket",
    "Decoded",
    "Faults",
    "FilesSource",
    "Gap",
    "GateOutcome",
    "GateRules",
    "IngestState",
    "KnownGap",
    "LagWatch",
    "MacroFilesSource",
    "MarketSettings",
    "Page",
    "Published",
    "Publisher",
    "Query",
    "Reason",
    "SampleSource",
    "SimulatorSource",
    "SkippedFile",
    "Source",
    "StreamLag",
    "VendorClient",
    "VendorSpec",
    "batch_schema",
    "connect",
    "daily_frame",
    "gate_bars",
    "records_of",
    "sdk_missing",
    "simulate_daily",
    "stamped",
    "vendor_named",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"httpx", "websockets"}:
            raise MissingExtraError("Fetching from vendors", "vendors") from error
        raise
