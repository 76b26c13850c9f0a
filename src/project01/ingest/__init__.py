"""Sources of records, and the gate every bar passes before it enters the lake."""

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

__all__ = [
    "INDEX_SOURCE",
    "Batch",
    "BenchmarkFileSource",
    "ColumnMapping",
    "DailyMarket",
    "Faults",
    "FilesSource",
    "GateOutcome",
    "GateRules",
    "MacroFilesSource",
    "MarketSettings",
    "Reason",
    "SampleSource",
    "SimulatorSource",
    "SkippedFile",
    "Source",
    "batch_schema",
    "daily_frame",
    "gate_bars",
    "simulate_daily",
    "stamped",
]
