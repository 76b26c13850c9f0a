"""The vendors Project01 knows. Their clients, and the libraries those need, are imported when one is connected."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from project01.domain import InputError
from project01.ingest.vendor import VendorClient, VendorSpec
from project01.ingest.vendors import bloomberg, edgar, fred, lseg, newsapi, polygon, quandl, ravenpack, twitter

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

VENDORS: Mapping[str, VendorSpec] = {
    module.SPEC.name: module.SPEC
    for module in (polygon, bloomberg, ravenpack, newsapi, twitter, lseg, quandl, fred, edgar)
}


def vendor_named(name: str) -> VendorSpec:
    """The vendor of that name.

    Raises:
        InputError: there is none; names those there are.
    """
    if name not in VENDORS:
        raise InputError(f"There is no source {name!r}; choose one of {', '.join(VENDORS)}.")
    return VENDORS[name]


def connect(connection: "Connection") -> VendorClient:
    """A client of the vendor of `connection`.

    Raises:
        InputError: an SDK is missing; says where it comes from.
        AuthenticationError: the vendor refused the key at once.
    """
    return cast(VendorClient, connection.spec.load("connect")(connection))


def sdk_missing(spec: VendorSpec) -> bool:
    """Whether the vendor needs an SDK that is not installed."""
    if spec.sdk is None:
        return False
    try:
        return find_spec(spec.sdk) is None
    except (ImportError, ValueError):
        return True
