"""Delta tables on local disk or S3: topics landed exactly once, tables read as they were known at a time."""

from project01.lake.commits import Transaction
from project01.lake.curation import CURATED, CurationCounts, Curator
from project01.lake.data_files import (
    DataFile,
    TableFiles,
    append_files,
    data_files,
    ready_for_files,
    replace_by_files,
    replace_with_files,
    written_file,
)
from project01.lake.lake import SAFE_RETENTION_HOURS, Compaction, Lake
from project01.lake.lander import Landed, Lander, LandingLimits
from project01.lake.landing import LandingBatch, Span, landing_batch
from project01.lake.merging import MergeCounts
from project01.lake.raw import RawTable
from project01.lake.union import UnionCounts, add_to_set, erase, exchange

__all__ = [
    "CURATED",
    "SAFE_RETENTION_HOURS",
    "Compaction",
    "CurationCounts",
    "Curator",
    "DataFile",
    "Lake",
    "Landed",
    "Lander",
    "LandingBatch",
    "LandingLimits",
    "MergeCounts",
    "RawTable",
    "Span",
    "TableFiles",
    "Transaction",
    "UnionCounts",
    "add_to_set",
    "append_files",
    "data_files",
    "erase",
    "exchange",
    "landing_batch",
    "ready_for_files",
    "replace_by_files",
    "replace_with_files",
    "written_file",
]
