"""FRED and ALFRED of the Federal Reserve Bank of St. Louis: macro series as they were known at the time.

Facts taken from the vendor's documentation and its users' reports: `realtime_start` and `realtime_end` of a row are cut
to the range asked for; at most 2,000 vintages may lie in that range; a page holds at most 100,000 rows; 120 calls a
minute; a wrong key is answered with 400.
"""

from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS
from project01.ingest.vendor import Budget, Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="fred",
    title="FRED",
    licence="fred",
    datasets=(
        Dataset(
            name="observations",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="values of series, each vintage a record of its own; symbols are series such as UNRATE",
            parameters={"vintages": "all (the only choice): every value as it stood at each time"},
        ),
        Dataset(
            name="series",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="popularity, units and description of series",
        ),
        Dataset(
            name="releases",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="days on which statistical releases came out, value 1 on each; symbols are release ids, none: all",
        ),
    ),
    credentials=(Credential(name="api key", variables=("FRED_API_KEY",)),),
    budgets=(Budget(unit="call", limit=120, period_s=60),),
    address="https://api.stlouisfed.org",
    documentation="https://fred.stlouisfed.org/docs/api/fred/",
    module="project01.ingest.vendors.fred",
)


def connect(connection: "Connection") -> VendorClient:
    """FRED, ready to be asked."""
    from project01.ingest.vendors.fred_client import FredClient

    return FredClient(connection)
