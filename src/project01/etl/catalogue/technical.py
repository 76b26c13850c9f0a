"""The technical set: indicators of price and volume."""

from collections.abc import Iterator

from project01.etl.feature import Feature


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    yield from ()
