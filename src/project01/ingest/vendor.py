"""What every vendor's module is: a specification, a pure decoder, a history that can be resumed, perhaps a stream.

A vendor module never writes anywhere: it yields pages of records and dead letters, and the publisher puts them on the
bus and then keeps the page's cursor. So a crash between the two repeats a page, and records carry ids that make the
repetition harmless.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from threading import Event
from typing import Protocol, cast

from project01.domain import DeadLetter, InputError, Record


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked of a vendor.

    Attributes:
        dataset: one of the vendor's, e.g. ``trades``.
        symbols: our symbols, or the vendor's series where the dataset has none (``UNRATE``); empty: all, where allowed.
        start: first instant asked for, timezone-aware, included; None: as far back as the vendor goes.
        end: first instant not asked for, timezone-aware; None: up to now.
        parameters: what only this dataset knows, e.g. ``{"span": "1s"}``.
    """

    dataset: str
    symbols: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """What became of one payload: `accepted` elements gave `records`, each other element is one of `letters`.

    Attributes:
        records: in the order of the payload; one element may give several (a row of several series).
        letters: refused elements, whole; a payload that cannot be read at all is one letter.
        accepted: elements that gave records or that carry none on purpose (a keep-alive, a status message).
    """

    records: Sequence[Record] = ()
    letters: Sequence[DeadLetter] = ()
    accepted: int = 0

    @property
    def elements(self) -> int:
        """How many elements the payload had."""
        return self.accepted + len(self.letters)


@dataclass(frozen=True)
class Gap:
    """A time in which a stream was not listening; both instants timezone-aware UTC.

    Attributes:
        start: when the last message before it was received.
        end: when the stream listened again.
        reason: why it broke off, e.g. ``close 1006``.
        filled: whether history was fetched for it; if not, `reason` also says why.
    """

    start: datetime
    end: datetime
    reason: str
    filled: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """One piece of history or of a stream, published as a whole.

    Attributes:
        decoded: its records and dead letters.
        cursor: opaque; `history` called with it goes on right after this page, also days later, when it brings only
            what is new. None from streams that cannot be resumed.
        gap: set on the page of a stream that follows a disconnect, after the pages that fill it.
    """

    decoded: Decoded
    cursor: str | None = None
    gap: Gap | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One thing a vendor brings.

    Attributes:
        name: on the command line, e.g. ``aggregates``.
        topic: where its records go.
        history: whether `history` serves it.
        stream: whether `stream` serves it.
        summary: one line for people.
        parameters: names it knows, with what they mean.
    """

    name: str
    topic: str
    history: bool
    stream: bool
    summary: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A secret a vendor needs: the environment variables that may hold it, the first that is set counts.

    Each may also be given as ``NAME_FILE``, a path to a file that only its owner can read.
    """

    name: str
    variables: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many calls (or items) a plan allows in a time; persisted, so that a restart does not overrun it.

    Attributes:
        unit: what is counted, e.g. ``call`` or ``post``.
        limit: how many.
        period_s: in how many seconds; a fixed window starting at multiples of it since 1970 UTC.
    """

    unit: str
    limit: int
    period_s: int


class VendorClient(Protocol):
    """One vendor, connected."""

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """Records of one payload as it came over the wire; pure, total: any bytes give a result, none an exception.

        Args:
            dataset: what was asked for.
            payload: body of a response, a stream's frame or line.
            received_at: microseconds UTC.
        """
        ...

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages in order; with a page's cursor, what comes after that page.

        Raises:
            AuthenticationError, QuotaError, VendorError, UnreachableError: what was yielded before stays valid.
            InputError: the dataset has no history, or the query does not fit it.
        """
        ...

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """Pages as they come until `stop` is set; reconnects by itself, fills gaps from history.

        Raises:
            AuthenticationError: the vendor refused the key; everything else is retried.
            InputError: the dataset has no stream.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, kw_only=True)
class VendorSpec:
    """Everything about a vendor that can be told without connecting to it.

    Attributes:
        name: module and `source` of its records.
        title: for people.
        licence: tag from `domain.licences`.
        datasets: what it brings.
        credentials: what must be set.
        budgets: limits of the plan assumed; settings can replace them.
        address: default base address of its HTTP API, empty for vendors reached through an SDK.
        stream_address: default address of its stream.
        sdk: module that the vendor distributes, None where none is needed.
        sdk_hint: where the SDK comes from.
        documentation: address of the vendor's documentation.
        module: where `connect(connection) -> VendorClient` lives; its stand-in is `stand_ins.NAME.stand_in(...)`.
    """

    name: str
    title: str
    licence: str
    datasets: tuple[Dataset, ...]
    documentation: str
    module: str
    credentials: tuple[Credential, ...] = ()
    budgets: tuple[Budget, ...] = ()
    address: str = ""
    stream_address: str = ""
    sdk: str | None = None
    sdk_hint: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics its records go to."""
        return tuple(dict.fromkeys(dataset.topic for dataset in self.datasets))

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            InputError: the vendor has none; names those it has.
        """
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        known = ", ".join(dataset.name for dataset in self.datasets)
        raise InputError(f"{self.title} has no dataset {name!r}; choose one of {known}.")

    def load(self, function: str) -> Callable[..., object]:
        """A function of the vendor's module, imported now."""
        return cast(Callable[..., object], getattr(import_module(self.module), function))
