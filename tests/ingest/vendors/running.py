"""Clients of stand-ins, and what they bring; the same for several vendors."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from project01.domain import Record
from project01.ingest.connection import Connection
from project01.ingest.decoding import micros_of
from project01.ingest.registry import connect
from project01.ingest.stand_ins.fundamentals import FundamentalsStandIn
from project01.ingest.stand_ins.sdk_market import SdkMarket
from project01.ingest.transport import RetryPolicy
from project01.ingest.vendor import Decoded, Page, Query, VendorClient

RECEIVED_AT = micros_of(datetime(2024, 6, 1, tzinfo=UTC))
HASTY = RetryPolicy(attempts=4, base_s=0.01, cap_s=0.05)
Kind = TypeVar("Kind", bound=Record)


@contextmanager
def _client(connection: Connection, changes: dict[str, Any]) -> Iterator[VendorClient]:
    client = connect(replace(connection, **changes))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def running(folder: Path, server: FundamentalsStandIn, **changes: Any) -> Iterator[VendorClient]:
    """A client of a server that runs meanwhile, without the plan's limits."""
    with server, _client(server.connection(folder), {"budgets": ()} | changes) as client:
        yield client


@contextmanager
def client_of(market: SdkMarket, folder: Path, **changes: Any) -> Iterator[VendorClient]:
    """A client of a running market, in a hurry."""
    with _client(market.connection(folder), {"retry": HASTY} | changes) as client:
        yield client


def fetched_as(
    kind: type[Kind], client: VendorClient, query: Query, cursor: str | None = None
) -> tuple[list[Kind], str | None]:
    """All records of that kind and the last cursor, nothing refused."""
    found: list[Kind] = []
    for page in client.history(query, cursor):
        assert page.decoded.letters == []
        found += [row for row in page.decoded.records if isinstance(row, kind)]
        cursor = page.cursor
    return found, cursor


def decoded_by(start: Callable[[], FundamentalsStandIn], folder: Path, content: Any, dataset: str) -> Decoded:
    """What a client makes of a body."""
    with running(folder, start()) as client:
        return client.decode(dataset, json.dumps(content).encode(), RECEIVED_AT)


def records(pages: list[Page]) -> list[Record]:
    """All records, in order."""
    return [record for page in pages for record in page.decoded.records]


def told_without_sdk(vendor: str, module: str) -> tuple[float, str]:
    """Seconds and the one line that it takes to say that an SDK is missing."""
    program = Path(__file__).with_name("sdk_blocked.py")
    done = subprocess.run(
        [sys.executable, str(program), vendor, module], capture_output=True, text=True, timeout=120, check=True
    )
    (line,) = done.stdout.splitlines()
    seconds, _, told = line.partition(" ")
    return float(seconds), told
