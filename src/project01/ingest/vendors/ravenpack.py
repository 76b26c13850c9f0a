"""RavenPack Analytics: its API, its data files, and its real-time feed. One record for each story, entity and event.

Facts taken from the vendor's own open-source client: key in the header ``API_KEY``; JSON queries give at most 10,000
records; data files are jobs that are asked for, waited for and downloaded; the feed sends a JSON object a line and
blank lines to keep alive.
"""

from typing import TYPE_CHECKING

from project01.domain import NEWS_TOPIC
from project01.ingest.vendor import Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_DATASET = {"dataset": "id of the dataset at RavenPack, which holds its filters (us500)"}

SPEC = VendorSpec(
    name="ravenpack",
    title="RavenPack",
    licence="ravenpack",
    datasets=(
        Dataset(
            name="analytics",
            topic=NEWS_TOPIC,
            history=True,
            stream=True,
            summary="relevance, sentiment and novelty of each story and entity, by JSON queries and as they come",
            parameters=_DATASET,
        ),
        Dataset(
            name="datafile",
            topic=NEWS_TOPIC,
            history=True,
            stream=False,
            summary="the same for long times, as one file that RavenPack makes on demand",
            parameters=_DATASET,
        ),
        Dataset(
            name="files",
            topic=NEWS_TOPIC,
            history=True,
            stream=False,
            summary="RavenPack's CSV files on your disk (.csv, .csv.gz, .zip), RPNA 4.0 or RPA 1.0; needs no key",
            parameters={"path": "a file, or a folder with files"},
        ),
    ),
    documentation="https://www.ravenpack.com/support/",
    module="project01.ingest.vendors.ravenpack",
    credentials=(Credential(name="key", variables=("RAVENPACK_API_KEY", "RP_API_KEY"), required=False),),
    address="https://api.ravenpack.com/1.0",
    stream_address="https://feed.ravenpack.com/1.0/json",
)


def connect(connection: "Connection") -> VendorClient:
    """A client; nothing is asked yet."""
    from project01.ingest.vendors.ravenpack_client import RavenPackClient

    return RavenPackClient(connection)
