"""Delta tables on local disk or S3, written exactly once and read as they were known at a time."""

from project01.lake.commits import Transaction
from project01.lake.lake import SAFE_RETENTION_HOURS, Compaction, Lake
from project01.lake.merging import MergeCounts

__all__ = ["SAFE_RETENTION_HOURS", "Compaction", "Lake", "MergeCounts", "Transaction"]
