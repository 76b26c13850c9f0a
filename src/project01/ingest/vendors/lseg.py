"""LSEG (formerly Refinitiv) through its own library `lseg.data`: bars, pricing, fundamentals, estimates, headlines."""

from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS, NEWS_TOPIC, TICKS
from project01.ingest.vendor import Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="lseg",
    title="LSEG (Refinitiv)",
    licence="lseg",
    datasets=(
        Dataset(
            name="bars",
            topic=TICKS,
            history=True,
            stream=False,
            summary="daily or intraday bars, not adjusted for corporate actions",
            parameters={"interval": "daily, 1min, 5min, 10min, 30min or 1h (daily)"},
        ),
        Dataset(
            name="pricing",
            topic=TICKS,
            history=True,
            stream=True,
            summary="trades and one-sided quotes as they happen; history from tick data",
        ),
        Dataset(
            name="fundamentals",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="reported numbers as LSEG has them today; known from the moment they are fetched, not before",
            parameters={"fields": "comma-separated TR fields (TR.Revenue,TR.NetIncome,TR.TotalAssetsReported)"},
        ),
        Dataset(
            name="estimates",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="consensus means as they stood on each day; known at the end of the day LSEG computed them",
            parameters={"period": "fiscal period such as FY1, FY2, FQ1 (FY1)"},
        ),
        Dataset(
            name="news",
            topic=NEWS_TOPIC,
            history=True,
            stream=False,
            summary="headlines of each company (about 15 months); one record for each story and company asked for",
        ),
    ),
    documentation="https://developers.lseg.com/en/api-catalog/lseg-data-platform/lseg-data-library-for-python",
    module="project01.ingest.vendors.lseg",
    credentials=(
        Credential(name="app key", variables=("LSEG_APP_KEY",)),
        Credential(name="username", variables=("LSEG_USERNAME",), required=False),
        Credential(name="password", variables=("LSEG_PASSWORD",), required=False),
    ),
    sdk="lseg.data",
    sdk_hint="Install it with: pip install lseg-data (it needs pandas below 3).",
)


def connect(connection: "Connection") -> VendorClient:
    """A client; the session is opened when something is asked. With a username, a platform session, else the desktop's.

    Raises:
        InputError: the library is not installed.
    """
    from project01.ingest.vendors.sdk import load_sdk

    # Before anything else: whoever has no SDK is told at once.
    sdk = load_sdk(connection)
    from project01.ingest.vendors.lseg_client import LsegClient

    return LsegClient(connection, sdk)
