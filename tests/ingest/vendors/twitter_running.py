"""X's client against its stand-in, or against a server that does what the stand-in does not."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from typing import Any

from project01.ingest.stand_ins import StandInServer
from project01.ingest.stand_ins.twitter import TwitterStandIn
from project01.ingest.vendor import Page, Query
from project01.ingest.vendors.twitter_client import TwitterClient

SEARCH = Query(dataset="search", symbols=("AAPL", "MSFT", "BRK.B"))
STREAM = Query(dataset="stream", symbols=SEARCH.symbols, parameters={"searchable_after_s": "0"})


@contextlib.contextmanager
def client_of(standing: TwitterStandIn, folder: Path, **changes: Any) -> Iterator[TwitterClient]:
    client = TwitterClient(replace(standing.connection(folder), **changes))
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def client_at(server: StandInServer, standing: TwitterStandIn, folder: Path, **changes: Any) -> Iterator[TwitterClient]:
    with client_of(standing, folder, address=server.http_url, **changes) as client:
        yield client


def ids(pages: list[Page]) -> list[str]:
    return [record.source_id for page in pages for record in page.decoded.records]


def until(
    pages: Iterator[Page], stop: Event, enough: Callable[[list[Page]], bool], limit_s: float = 20.0
) -> list[Page]:
    """Pages until there are enough; the stream must then end by itself."""
    taken: list[Page] = []
    watchdog = Timer(limit_s, stop.set)
    watchdog.start()
    try:
        for page in pages:
            taken.append(page)
            if enough(taken):
                stop.set()
    finally:
        watchdog.cancel()
        watchdog.join()
    return taken
