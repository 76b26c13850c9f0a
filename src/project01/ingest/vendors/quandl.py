"""Nasdaq Data Link, formerly Quandl: time series and tables.

Facts taken from the vendor's documentation: 300 calls in 10 s, 2,000 in 10 minutes and 50,000 a day for registered
users without a subscription; a page of a table holds at most 10,000 rows and names the next by a cursor; errors come as
``quandl_error`` with a code: QEA is about the key and QEP about permission, where trying again is no use.
"""

from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS
from project01.ingest.vendor import Budget, Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="quandl",
    title="Nasdaq Data Link",
    licence="quandl",
    datasets=(
        Dataset(
            name="timeseries",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="every column of a time series; symbols are codes such as FRED/GDP",
            parameters={
                "publication_lag_days": "days from the end of a value's period until it is taken as known, 1 or more; 1"
            },
        ),
        Dataset(
            name="tables",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="every numeric column of a table; symbols are tickers, none: all",
            parameters={
                "table": "which table, such as SHARADAR/SF1 (needed)",
                "publication_lag_days": "as for time series, where the table does not say when a row was published; 1",
                "keys": "text columns that tell series apart, joined by commas; dimension",
            },
        ),
    ),
    credentials=(Credential(name="api key", variables=("NASDAQ_DATA_LINK_API_KEY", "QUANDL_API_KEY")),),
    budgets=(
        Budget(unit="call", limit=300, period_s=10),
        Budget(unit="call", limit=2_000, period_s=600),
        Budget(unit="call", limit=50_000, period_s=86_400),
    ),
    address="https://data.nasdaq.com",
    documentation="https://docs.data.nasdaq.com",
    module="project01.ingest.vendors.quandl",
)


def connect(connection: "Connection") -> VendorClient:
    """Nasdaq Data Link, ready to be asked."""
    from project01.ingest.vendors.quandl_client import QuandlClient

    return QuandlClient(connection)
