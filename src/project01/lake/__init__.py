"""Delta tables on local disk or S3: topics landed exactly once, tables read as they were known at a time."""

from project01.lake.commits import Transaction
from project01.lake.lake import SAFE_RETENTION_HOURS, Compaction, Lake
from project01.lake.lander import Landed, Lander, LandingLimits
from project01.lake.landing import LandingBatch, Span, landing_batch
from project01.lake.merging import MergeCounts
from project01.lake.raw import RawTable

__all__ = [
    "SAFE_RETENTION_HOURS",
    "Compaction",
    "Lake",
    "Landed",
    "Lander",
    "LandingBatch",
    "LandingLimits",
    "MergeCounts",
    "RawTable",
    "Span",
    "Transaction",
    "landing_batch",
]
