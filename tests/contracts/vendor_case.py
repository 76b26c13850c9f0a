"""What the contract suite must be told about a vendor: a stand-in, what to ask it, sample payloads."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from project01.ingest.connection import Connection
from project01.ingest.stand_ins import STREAM_FAULTS, FaultKind, FaultScript
from project01.ingest.stand_ins.faults import StreamFault
from project01.ingest.vendor import Query, VendorClient, VendorSpec


class StandIn(Protocol):
    """A vendor's local server, or stand-in module, running.

    `sent` are the source ids of what the stream has put out up to now, whether or not anybody listened, and `finished`
    whether no more will come. Vendors without a stream need neither.
    """

    @property
    def sent(self) -> Collection[str]: ...

    @property
    def finished(self) -> bool: ...

    def connection(self, folder: Path) -> Connection: ...


def first_list_of_objects(value: Any) -> list[Any] | None:
    """Where the elements of most vendors' answers lie: the first list of objects."""
    if isinstance(value, list):
        return value if value and all(isinstance(element, dict) for element in value) else None
    if isinstance(value, dict):
        return next((found for inner in value.values() if (found := first_list_of_objects(inner)) is not None), None)
    return None


@dataclass(frozen=True, kw_only=True)
class VendorCase:
    """One vendor for the suite.

    Attributes:
        spec: the vendor.
        connect: makes its client.
        stand_in: starts its stand-in with a script of faults. It serves all of `histories`, in several pages where the
            vendor has pages, and on the stream 60 to 300 data frames over 0.5 to 3 seconds, which history knows too.
        histories: for each dataset with history, a query that finds something.
        empty: a query that finds nothing, by dataset.
        streams: for each dataset with a stream, what to subscribe.
        samples: for each dataset, whole payloads as the vendor sends them, to be mutated.
        elements: the list of elements in a parsed JSON sample of a dataset; None: no such list, or no JSON.
        stream_faults: those that the vendor's kind of stream can have.
        paging_faults: those of `wrong_page_order`, `looping_cursor`, `duplicates` that the stand-in can do.
        http: whether the stand-in is a server (else a module in place of the SDK), so that HTTP faults make sense.
        grow: makes the stand-in's history longer by something new; None: the stand-in cannot.
    """

    spec: VendorSpec
    connect: Callable[[Connection], VendorClient]
    stand_in: Callable[[FaultScript], AbstractContextManager[StandIn]]
    histories: Mapping[str, Query]
    samples: Mapping[str, tuple[bytes, ...]]
    empty: Query | None = None
    streams: Mapping[str, Query] = field(default_factory=dict)
    elements: Callable[[str, Any], list[Any] | None] = lambda _, parsed: first_list_of_objects(parsed)
    stream_faults: tuple[StreamFault, ...] = STREAM_FAULTS
    paging_faults: tuple[FaultKind, ...] = ("wrong_page_order", "looping_cursor", "duplicates")
    http: bool = True
    grow: Callable[[Any], None] | None = None

    def __str__(self) -> str:
        return self.spec.name
