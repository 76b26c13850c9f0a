"""The whole way: bus, raw tables, curated tables, and what proves that nothing was lost on it."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from project01.domain import Record, SystemClock
from project01.ingest import Connection, Publisher, Query, connect
from project01.pipelines import Place, TopicFigures, land, rebuild

ROWS_AT_ONCE = 20_000


def publish(place: Place, records: Iterable[Record]) -> int:
    """Put records on the bus; how many it acknowledged."""
    acknowledged, waiting = 0, list[Record]()
    with place.bus() as bus:
        publisher = Publisher(bus, place.state(), SystemClock())
        for record in records:
            waiting.append(record)
            if len(waiting) == ROWS_AT_ONCE:
                acknowledged += publisher.records(waiting)
                waiting.clear()
        return acknowledged + publisher.records(waiting)


def fetch_all(place: Place, connection: Connection, query: Query) -> int:
    """Ask a stand-in, by the vendor's own client, and put its answers on the bus; how many records it acknowledged.

    What the stand-in serves is real here, so its records are not marked as simulated; and nobody's plan is used up.
    """
    client = connect(replace(connection, simulated=False, budgets=()))
    try:
        with place.bus() as bus:
            done = Publisher(bus, place.state(), connection.clock).history(client, connection.spec.name, query)
    finally:
        client.close()
    if done.letters:
        raise AssertionError(f"{done.letters} answers were refused: {done}")
    return done.records


def listen_for(place: Place, connection: Connection, query: Query, records: int, limit_s: float) -> int:
    """Listen to a stand-in's stream until so many records came, or the time is up; how many were acknowledged."""
    client, stop = connect(replace(connection, simulated=False, budgets=())), threading.Event()
    timer = threading.Timer(limit_s, stop.set)
    timer.start()

    def enough(done: Any) -> None:
        if done.records >= records:
            stop.set()

    try:
        with place.bus() as bus:
            publisher = Publisher(bus, place.state(), connection.clock)
            return publisher.stream(client, connection.spec.name, query, stop, report=enough).records
    finally:
        timer.cancel()
        client.close()


def landed(place: Place, *topics: str) -> dict[str, TopicFigures]:
    """Land and curate all that is on the bus."""
    return land(place, topics)


def proven(place: Place, into: Path, *topics: str) -> list[dict[str, Any]]:
    """Land again, which must add nothing, and rebuild from raw: one row a table, with the digests of both."""
    for topic, again in land(place, topics).items():
        if again.landed or again.rows or again.refused:
            raise AssertionError(f"landing {topic} again changed the lake: {again}")
    return rebuild(place, into, topics)


def unequal(given: pl.DataFrame, found: pl.DataFrame, by: Sequence[str]) -> int:
    """Rows that are in one of the two only, both taken as multisets; 0 where count and content are equal."""
    if given.schema != found.schema:
        raise AssertionError(f"{found.schema} was read back; expected {given.schema}")
    first, second = given.sort(by), found.sort(by)
    if first.equals(second):
        return 0
    columns = given.columns
    counted = [frame.group_by(columns).len("times") for frame in (first, second)]
    missing = counted[0].join(counted[1], on=[*columns, "times"], how="anti", nulls_equal=True).height
    return missing + counted[1].join(counted[0], on=[*columns, "times"], how="anti", nulls_equal=True).height


def every(place: Place, table: str, check: Callable[[pl.DataFrame], bool]) -> bool:
    """Whether a check holds for all rows of a table."""
    return check(place.lake.scan(table).collect())
