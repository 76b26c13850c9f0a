"""The fundamental set: ratios from companies' reports as they were known."""

from collections.abc import Iterator

from project01.etl.feature import Feature


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    yield from ()
