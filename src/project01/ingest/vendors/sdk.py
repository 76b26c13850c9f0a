"""SDKs that vendors hand out themselves: imported only when asked for, missed in one line."""

from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from project01.domain import InputError
from project01.ingest.vendor import Query

if TYPE_CHECKING:
    from project01.ingest.connection import Connection


# What the made-up markets trade, and what is meant where no symbols are given to one.
SIMULATED_SYMBOLS = ("AAPL", "MSFT", "BRK.B")


def with_symbols(query: Query, connection: "Connection") -> Query:
    """The query with the symbols of the made-up market, if it is one and none are given.

    Raises:
        InputError: no symbols for a vendor that has no request for all.
    """
    if query.symbols:
        return query
    if not connection.simulated:
        raise InputError(f"{connection.spec.title} needs symbols; it has no request for all. Give e.g. AAPL,MSFT.")
    return replace(query, symbols=SIMULATED_SYMBOLS)


def load_sdk(connection: "Connection") -> ModuleType:
    """The vendor's SDK, or the stand-in that the connection carries.

    Raises:
        InputError: it is not installed; says where it comes from.
    """
    if connection.sdk is not None:
        return connection.sdk
    spec = connection.spec
    assert spec.sdk is not None  # noqa: S101 - only vendors with an SDK come here
    try:
        return import_module(spec.sdk)
    except ImportError as error:
        raise InputError(
            f"{spec.title} needs its SDK, the Python module {spec.sdk!r}, which cannot be imported ({error}). "
            f"{spec.sdk_hint} All other sources work without it."
        ) from None
