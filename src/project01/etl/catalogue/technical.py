"""The technical set: indicators of price and volume beyond those of the core set."""

from collections.abc import Iterator

from project01.etl.catalogue import (
    technical_oscillator,
    technical_trend,
    technical_volatility,
    technical_volume,
)
from project01.etl.feature import Feature


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    for family in (technical_trend, technical_oscillator, technical_volume, technical_volatility):
        yield from family.features()
