"""Bloomberg through its own SDK `blpapi`: market data, bars, reference data, news by numbers.

Needs a Terminal, SAPI or B-PIPE.

Of news there are the figures of each company and day (see `bloomberg_news`). Headlines and stories are not here: they
are separate products of a service named ``//blp/mktnews-content``, whose schema comes with their contract, and nothing
is guessed. `docs/runbooks/adding-a-source.md` says what was searched, and where they would go.
"""

from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS, TICKS
from project01.ingest.vendor import Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="bloomberg",
    title="Bloomberg",
    licence="bloomberg",
    datasets=(
        Dataset(
            name="daily",
            topic=TICKS,
            history=True,
            stream=False,
            summary="daily bars, not adjusted for splits or dividends",
        ),
        Dataset(
            name="intraday_bars",
            topic=TICKS,
            history=True,
            stream=False,
            summary="bars of trades over whole minutes (about 140 days), as the exchange printed them",
            parameters={"minutes": "length of a bar, 1 to 1440 (1)"},
        ),
        Dataset(
            name="market_data",
            topic=TICKS,
            history=True,
            stream=True,
            summary="trades and one-sided quotes as they happen; history from intraday ticks (about 140 days)",
        ),
        Dataset(
            name="reference",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="numbers of companies as of today; known from the moment they are fetched, not before",
            parameters={"fields": "comma-separated mnemonics (IS_EPS,SALES_REV_TURN,EQY_SH_OUT)"},
        ),
        Dataset(
            name="news_analytics",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="news of a company by day: tone, stories, readers; known when the day is over in New York",
            parameters={"fields": "comma-separated mnemonics (NEWS_SENTIMENT_DAILY_AVG and four more)"},
        ),
    ),
    documentation="https://bloomberg.github.io/blpapi-docs/",
    module="project01.ingest.vendors.bloomberg",
    credentials=(Credential(name="application", variables=("BLOOMBERG_APPLICATION",), required=False),),
    stream_address="localhost:8194",
    sdk="blpapi",
    sdk_hint=(
        "Bloomberg hands it out itself: look for 'API Library' on Bloomberg's professional support pages, or WAPI <GO> "
        "in a Terminal, and install the Python package named there."
    ),
)


def connect(connection: "Connection") -> VendorClient:
    """A client; the session is opened when something is asked.

    Raises:
        InputError: the SDK is not installed.
    """
    from project01.ingest.vendors.sdk import load_sdk

    # Before anything else: whoever has no SDK is told at once.
    sdk = load_sdk(connection)
    from project01.ingest.vendors.bloomberg_client import BloombergClient

    return BloombergClient(connection, sdk)
