"""How much of a thorough test belongs to the quick ones: few examples of a property, one of many like cases."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

THOROUGH, QUICK = 100, 20


def examples(thorough: int) -> int:
    """How many examples to try: all of `thorough` with the slow tests, a fifth, at least 5, without."""
    return max(min(thorough, 5), thorough * settings.default.max_examples // THOROUGH)


def rest_slow(values: Iterable[Any], quick: int = 1) -> list[Any]:
    """Parameters, all but the first few marked slow."""
    return [value if number < quick else slowly(value) for number, value in enumerate(values)]


def slowly(value: Any) -> Any:
    """A parameter, or several in a tuple or `pytest.param`, marked slow."""
    known = getattr(value, "values", None)
    if isinstance(known, tuple):
        return pytest.param(*known, marks=[*value.marks, pytest.mark.slow], id=value.id)
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
