"""SEC EDGAR: what companies reported, and when the SEC accepted it. No key; a contact in the User-Agent is asked for.

Facts taken from the SEC's documentation and its users' measurements: at most 10 requests a second; without a declared
User-Agent the answer is 403 with an HTML page, as it is when the rate is exceeded; the newest 1,000 filings (or a year)
of a company stand in its submissions, older ones in further files that these name.
"""

from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS
from project01.ingest.vendor import Budget, Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="edgar",
    title="SEC EDGAR",
    licence="edgar",
    datasets=(
        Dataset(
            name="company_facts",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="every number of every XBRL filing; symbols, or CIK0000320193; none: all companies with a ticker",
        ),
        Dataset(
            name="filings",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="that a company filed a form, as a fact filing:10-K with value 1; symbols as for company_facts",
        ),
        Dataset(
            name="tickers",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="which symbol belongs to which central index key today",
        ),
    ),
    credentials=(Credential(name="user agent", variables=("EDGAR_USER_AGENT",)),),
    budgets=(Budget(unit="call", limit=10, period_s=1),),
    address="https://data.sec.gov",
    documentation="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
    module="project01.ingest.vendors.edgar",
)
# Where the SEC keeps the one file that is not on the host of the API.
TICKERS_ADDRESS = "https://www.sec.gov"


def connect(connection: "Connection") -> VendorClient:
    """EDGAR, ready to be asked."""
    from project01.ingest.vendors.edgar_client import EdgarClient

    return EdgarClient(connection)
