"""What a step function may ask for, by clock: the values that come with each event, and those made from them."""

from project01.etl.inputs.attention import ATTENTION
from project01.etl.inputs.bar import BAR, DERIVED_BAR
from project01.etl.inputs.declaration import Clock, Derived, Input
from project01.etl.inputs.fundamental import FUNDAMENTAL
from project01.etl.inputs.macro import MACRO
from project01.etl.inputs.macro import READINGS as MACRO_READINGS
from project01.etl.inputs.macro import Reading as MacroReading
from project01.etl.inputs.second import DERIVED_SECOND, SECOND

# The order is the order in which an event's values are handed over; new ones go to the end of their family.
SESSION_INPUTS: dict[str, Input] = {given.name: given for given in (*BAR, *MACRO, *FUNDAMENTAL, *ATTENTION)}
SECOND_INPUTS: dict[str, Input] = {given.name: given for given in SECOND}
_GIVEN: dict[Clock, dict[str, Input]] = {"session": SESSION_INPUTS, "second": SECOND_INPUTS}
_DERIVED: dict[Clock, dict[str, Derived]] = {
    "session": {derived.name: derived for derived in DERIVED_BAR},
    "second": {derived.name: derived for derived in DERIVED_SECOND},
}
# Names of the values that come with each daily bar, in order.
BAR_INPUTS = tuple(SESSION_INPUTS)
MACRO_SERIES = {given.name: given.series for given in MACRO}


def given_inputs(clock: Clock) -> dict[str, Input]:
    """What comes with each event of a clock, by name, in the order of a row."""
    return _GIVEN[clock]


def derived_inputs(clock: Clock) -> dict[str, Derived]:
    """What the compiled loop makes of the given values, by name."""
    return _DERIVED[clock]


def step_inputs(clock: Clock) -> tuple[str, ...]:
    """Every name a step of this clock may ask for."""
    return tuple(dict.fromkeys([*_GIVEN[clock], *_DERIVED[clock]]))


def rests_on(name: str, clock: Clock) -> tuple[str, ...]:
    """The given values behind an input."""
    derived = _DERIVED[clock].get(name)
    return derived.needs if derived is not None else (name,)


__all__ = [
    "BAR_INPUTS",
    "MACRO_READINGS",
    "MACRO_SERIES",
    "SECOND_INPUTS",
    "SESSION_INPUTS",
    "Clock",
    "Derived",
    "Input",
    "MacroReading",
    "derived_inputs",
    "given_inputs",
    "rests_on",
    "step_inputs",
]
