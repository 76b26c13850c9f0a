"""The form in which inputs are declared."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

# session: one event a daily bar; second: one event a second in which something was traded or quoted.
Clock: TypeAlias = Literal["session", "second"]
Family: TypeAlias = Literal["bar", "market", "calendar", "macro", "fundamental", "attention", "tick"]


@dataclass(frozen=True, kw_only=True)
class Input:
    """One value that comes with each event; NaN where it is missing.

    Attributes:
        name: what steps call it.
        family: which part of the data brings it.
        unit: its unit.
        description: one sentence.
        series: the series of the macro table behind it; empty for others.
    """

    name: str
    family: Family
    unit: str
    description: str
    series: str = ""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A value the compiled loop makes of the given ones before the steps see them.

    Attributes:
        name: what steps call it; may replace a given value of the same name by its cleaned form.
        needs: the given values it rests on.
        description: one sentence.
    """

    name: str
    needs: tuple[str, ...]
    description: str
