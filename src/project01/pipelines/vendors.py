"""Fetching from a vendor, or from a stand-in that plays it, onto the bus."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from inspect import signature
from typing import Any

from project01.domain import Clock, InputError, SystemClock
from project01.ingest import (
    Connection,
    LagWatch,
    Published,
    Publisher,
    Query,
    VendorSpec,
    connect,
    records_of,
    vendor_named,
)
from project01.pipelines.ingest import open_sources
from project01.pipelines.place import Place
from project01.pipelines.sources import SourceChoice
from project01.settings import DataSettings

Report = Callable[[Published], None]
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class FetchOrder:
    """What to fetch from which vendor.

    Attributes:
        source: the vendor's name.
        dataset: one of its datasets; None: its first, for a stream the first that has one.
        symbols: symbols or series; empty: what the stand-in makes up, or all where the vendor allows it.
        start: from when on.
        end: up to when.
        parameters: the dataset's own.
        stream: listen instead of fetching history.
        simulate: ask a local stand-in instead of the vendor; its records are marked as simulated.
        address: base address in place of the vendor's.
        stream_address: address of the stream in place of the vendor's.
        again: fetch from the beginning although it was fetched before.
    """

    source: str
    dataset: str | None = None
    symbols: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    simulate: bool = False
    address: str | None = None
    stream_address: str | None = None
    again: bool = False

    def query(self, spec: VendorSpec) -> Query:
        """The order as the vendor's query.

        Raises:
            InputError: the vendor lacks the dataset, its history or its stream, or does not know a parameter.
        """
        offered = [dataset for dataset in spec.datasets if dataset.stream] if self.stream else list(spec.datasets)
        dataset = spec.dataset(self.dataset) if self.dataset else next(iter(offered), spec.datasets[0])
        if self.stream and not dataset.stream:
            raise InputError(f"{spec.title} has no stream of {dataset.name}. Fetch its history, again and again.")
        if not self.stream and not dataset.history:
            raise InputError(f"{spec.title} has no history of {dataset.name}. Listen to its stream: --stream.")
        unknown = sorted(set(self.parameters) - set(dataset.parameters))
        if unknown:
            known = ", ".join(dataset.parameters) or "none"
            raise InputError(f"Dataset {dataset.name} has no parameter {', '.join(unknown)}; it has {known}.")
        return Query(
            dataset=dataset.name, symbols=self.symbols, start=self.start, end=self.end, parameters=self.parameters
        )


def fetch(
    place: Place,
    order: FetchOrder,
    stop: threading.Event,
    *,
    report: Report = lambda _: None,
    environment: Mapping[str, str] = os.environ,
    max_lag_s: float = 30.0,
) -> Published:
    """Bring what was ordered onto the bus; a stream goes on until `stop` is set or the stand-in has no more.

    Args:
        place: bus and state.
        order: what to fetch.
        stop: set it to end a stream.
        report: told the figures as they grow.
        environment: where keys are read from.
        max_lag_s: a stream that lags by more warns in the log.

    Raises:
        InputError: something is missing or unknown; says what to set or to install.
        SourceError: the vendor failed; what came before is on the bus, and the same call goes on from there.
        BusError: the bus failed.
    """
    spec = vendor_named(order.source)
    query = order.query(spec)
    if order.simulate and not order.symbols:
        query = replace(query, symbols=_made_up(spec))
    state = place.state()
    name = f"{spec.name} simulated" if order.simulate else spec.name
    with (
        _connection(place, order, spec, environment, stop) as connection,
        closing(connect(connection)) as client,
        place.bus() as bus,
    ):
        publisher = Publisher(bus, state, connection.clock)
        if order.again:
            state.forget(name, query)
        if order.stream:
            with LagWatch(state, connection.backlog, connection.clock, name, query, limit_s=max_lag_s):
                return publisher.stream(client, name, query, stop, report=report, backlog=connection.backlog)
        return publisher.history(client, name, query, report=report)


@contextmanager
def _connection(
    place: Place, order: FetchOrder, spec: VendorSpec, environment: Mapping[str, str], stop: threading.Event
) -> Iterator[Connection]:
    if not order.simulate:
        clock: Clock = SystemClock()
        connection = Connection.from_environment(
            spec,
            environment=environment,
            folder=place.memory,
            clock=clock,
            address=order.address,
            stream_address=order.stream_address,
        )
        with closing(connection.quota):
            yield connection
        return
    with _stand_in(spec)(symbols=order.symbols or _made_up(spec)) as server:
        yield server.connection(place.memory)
        stop.set()


def _stand_in(spec: VendorSpec) -> Callable[..., Any]:
    """What starts the vendor's stand-in."""
    play: Callable[..., Any] = import_module(f"project01.ingest.stand_ins.{spec.name}").stand_in
    return play


def _made_up(spec: VendorSpec) -> tuple[str, ...]:
    """The symbols that the vendor's stand-in makes up when nobody names any."""
    return tuple(signature(_stand_in(spec)).parameters["symbols"].default)


def publish_choice(
    place: Place, choice: SourceChoice, settings: DataSettings, seed: int, *, report: Report = lambda _: None
) -> Published:
    """Bring files, a sample or the simulated market onto the bus, row by row as records.

    Raises:
        InputError: what was pointed at cannot be used.
        BusError: the bus failed; calling again publishes all once more, and what is known is recognised.
    """
    clock = SystemClock()
    licence = "simulated" if choice.simulate else "sample" if choice.sample else "own"
    done = Published()
    with place.bus() as bus:
        publisher = Publisher(bus, place.state(), clock)
        received_at = int(clock.now().timestamp() * 1_000_000)
        for source in open_sources(choice, settings, seed):
            for batch in source.read():
                records = list(records_of(batch, received_at, licence))
                for start in range(0, len(records), _ROWS_AT_ONCE):
                    done.records += publisher.records(records[start : start + _ROWS_AT_ONCE])
                    report(done)
                done.pages += 1
    return done
