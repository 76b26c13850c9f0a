"""The catalogue: every feature, defined once, in named sets."""

from collections.abc import Callable, Iterator
from functools import cache, lru_cache

from project01.domain import InputError
from project01.etl.catalogue import (
    alpha158,
    attention,
    core,
    cross_section,
    economy,
    fundamental,
    intraday,
    technical,
)
from project01.etl.feature import Feature

# A set is compiled together. `core` is what the main job trains on unless told otherwise.
_SETS: dict[str, Callable[[], Iterator[Feature]]] = {
    "core": core.features,
    "technical": technical.features,
    "alpha158": alpha158.features,
    "fundamental": fundamental.features,
    "economy": economy.features,
    "attention": attention.features,
    "cross_section": cross_section.features,
    "intraday": intraday.features,
}


def feature_sets() -> tuple[str, ...]:
    """Names of the sets, in the order of the catalogue."""
    return tuple(_SETS)


@cache
def feature_set(name: str) -> tuple[Feature, ...]:
    """The features of one set, in the order models see them.

    Raises:
        InputError: there is no such set.
    """
    if name not in _SETS:
        raise InputError(f"There is no feature set {name!r}; known are {', '.join(_SETS)}.")
    return tuple(_SETS[name]())


@lru_cache(maxsize=1)
def catalogue() -> tuple[Feature, ...]:
    """Every feature of every set."""
    return tuple(feature for name in _SETS for feature in feature_set(name))


__all__ = ["catalogue", "feature_set", "feature_sets"]
