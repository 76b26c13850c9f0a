"""The cross-section set: features set against those of the other instruments."""

from collections.abc import Iterator

from project01.etl.feature import Feature


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    yield from ()
