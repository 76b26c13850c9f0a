"""Running a vendor's client against its stand-in, for the contract suite."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from tests.contracts.vendor_case import StandIn, VendorCase

from project01.domain import NO_RAW, DeadLetter, Record
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.transport import RetryPolicy
from project01.ingest.vendor import Page, VendorClient

HASTY = RetryPolicy(attempts=8, base_s=0.04, cap_s=0.2, longest_wait_s=5.0)
# A history that has not ended after so many pages runs in circles.
MOST_PAGES = 2_000


@dataclass(frozen=True)
class Running:
    """A client, its stand-in, and the faults to come."""

    client: VendorClient
    stand_in: StandIn
    connection: Connection
    faults: FaultScript


@contextmanager
def running(case: VendorCase, folder: Path, *faults: Fault, **changes: object) -> Iterator[Running]:
    """A client connected to a fresh stand-in; `changes` replace fields of the connection."""
    script = FaultScript(*faults)
    hasty = {"retry": HASTY, "timeout_s": 1.0, "idle_timeout_s": 0.6, "budgets": ()}
    with case.stand_in(script) as stand_in:
        connection = replace(stand_in.connection(folder), **(hasty | changes))  # type: ignore[arg-type]
        client = case.connect(connection)
        try:
            yield Running(client, stand_in, connection, script)
        finally:
            client.close()


def take(pages: Iterable[Page]) -> list[Page]:
    """All pages of a history that must end."""
    taken = []
    for page in pages:
        taken.append(page)
        assert len(taken) < MOST_PAGES, "the history does not end"
    return taken


def records(pages: Iterable[Page]) -> list[Record]:
    return [record for page in pages for record in page.decoded.records]


def letters(pages: Iterable[Page]) -> list[DeadLetter]:
    return [letter for page in pages for letter in page.decoded.letters]


def ids(found: Iterable[Record]) -> list[str]:
    return [record.source_id for record in found]


def content(record: Record) -> bytes:
    """The record without what differs from one receipt to the next, or from a vendor's stream to its history."""
    return msgspec.json.encode(msgspec.structs.replace(record, received_at=0, raw=NO_RAW))
