"""The text of the compiled function of some features: their steps, the loop over events, and a call for each."""

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from types import ModuleType
from typing import NamedTuple

from project01.domain import InputError
from project01.etl import steps, steps_window
from project01.etl.feature import COLUMN_KINDS, Feature, seldom
from project01.etl.inputs import Clock, given_inputs, rests_on

# Numbers of state that PREPARED keeps for all features of a clock; the parts of the features follow. session: the close
# before. second: the session's start, the time of the event before, the last price, the session's first, the size of
# the last return, and 0 once it had a neighbour.
SHARED_STATE: dict[Clock, int] = {"session": 1, "second": 6}

HEAD = '''"""Generated from the feature catalogue; compiled once and kept beside this file."""

from __future__ import annotations

import math

import numba
import numpy as np

# A step is put into its caller: as a call it would cost three times its arithmetic.
compiled = numba.njit(
    nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
# What runs seldom is compiled once, whatever the number of its callers.
called = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
'''

# What each bar's inputs are made of before the steps see them. Prices that are not positive are missing.
LOOP = '''

@compiled
def positive(value):
    """The value, or NaN where it is not a positive number."""
    # The largest number, since of a comparison with infinity the compiler makes slow tests of the bits.
    return value if 0.0 < value <= 1.7976931348623157e308 else math.nan


@numba.njit({signature!r}, cache=True, nogil=True, error_model="numpy")
def advance(starts, first, last, inputs, columns, stride, states, which, base, out, slots, step):
    """Take the instruments `first` to `last` through their rows starts[i] to starts[i + 1], in order."""
    zero = 0
    # Taken out of the arrays once: each value written might change them, for all that the compiler knows.
    {places}
{windows}
    for instrument in range(first, last):
        state = states[which[instrument], base:]
        for row in range(starts[instrument], starts[instrument + 1]):
            {unpacked}
{prepared}
'''

# What each event's inputs are made of before the steps see them. Prices that are not positive are missing.
PREPARED: dict[Clock, str] = {
    "session": """
            raw_close = positive(close)
            dollar_volume = raw_close * volume if 0.0 <= volume < math.inf else math.nan
            open = positive(open) * factor
            high = positive(high) * factor
            low = positive(low) * factor
            close = raw_close * factor
            vwap = positive(vwap) * factor
            volume = volume / factor if 0.0 <= volume < math.inf else math.nan
            previous = positive(state[0])
            if close == close:
                state[0] = close
            simple_return = close / previous - 1.0
            log_return = math.log(close / previous) if simple_return == simple_return else math.nan
""",
    "second": """
            # Windows hold one event a second at most; an event that does not go on in time enters none of them.
            if state[1] < time < 1e11 and time == math.floor(time):
                state[1] = time
            else:
                time = math.nan
            session_start = positive(session_start)
            if session_start != state[0]:
                state[0] = session_start
                state[2] = state[3] = 0.0
                state[4] = state[5] = math.nan
            volume = volume if 0.0 <= volume < math.inf else math.nan
            open, close = positive(open), positive(close)
            vwap = positive(vwap)
            if state[3] == 0.0 and open == open:
                state[3] = open
            session_open = positive(state[3])
            bid_size, ask_size = positive(bid_size), positive(ask_size)
            previous = positive(state[2])
            traded = 1.0 if close == close and time == time else 0.0
            if traded > 0.0:
                state[2] = close
            last = close if traded > 0.0 else previous
            log_return = math.log(last / previous) if traded > 0.0 else previous * 0.0
            neighbour_product = abs(log_return) * state[4] if traded > 0.0 else state[5]
            if traded > 0.0 and log_return == log_return:
                state[4] = abs(log_return)
                state[5] = 0.0 * neighbour_product
            high = positive(high) if traded > 0.0 else last
            low = positive(low) if traded > 0.0 else last
            signed_value = signed_volume * last
            price = vwap if vwap == vwap else close
            dollar_volume = price * volume if volume > 0.0 else volume
            mid = 0.5 * (positive(bid) + positive(ask)) if 0.0 < bid <= ask else math.nan
            depth = 0.5 * (bid_size + ask_size)
""",
}
# What PREPARED reads; these are unpacked whether a feature asks for them or not.
ALWAYS: dict[Clock, tuple[str, ...]] = {
    "session": ("open", "high", "low", "close", "volume", "factor", "vwap"),
    "second": (
        "time", "session_start", "open", "high", "low", "close", "volume", "vwap", "bid", "ask",
        "bid_size", "ask_size", "signed_volume",
    ),
}  # fmt: skip
# Of the features' own parts so many numbers are taken to be read by each event.
KNOWN_READS = 32
SIGNATURE = "void(i8[::1], i8, i8, f8[::1], i8[::1], i8, f8[:, ::1], i8[::1], i8, f4[::1], i8[::1], i8)"


@cache
def _functions_of(module: ModuleType) -> dict[str, str]:
    """Source text of each function of a module, in order."""
    text = inspect.getsource(module)
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            kind = "called" if seldom.__name__ in marks else "compiled"
            found[node.name] = f"@{kind}\n{ast.get_source_segment(text, node)}"
    return found


def _built_on(module: ModuleType) -> list[ModuleType]:
    """Modules of steps whose functions this one calls."""
    names = (value.__module__ for value in vars(module).values() if inspect.isfunction(value))
    return [sys.modules[name] for name in dict.fromkeys(names) if name.startswith(steps.__name__)]


def _constants_of(module: ModuleType) -> list[str]:
    return [f"{name} = {value!r}" for name, value in vars(module).items() if name.isupper()]


class Read(NamedTuple):
    """Numbers of a state that the next event will touch.

    Attributes:
        start: the first of them, or where the state holds its place.
        size: how many.
        held: whether the state holds the place.
    """

    start: int
    size: int
    held: bool


class Source(NamedTuple):
    """Text of a kernel and what it needs.

    Attributes:
        text: of the module.
        state_size: numbers of state for one instrument.
        reads: what of them the next event will touch, as far as it is known before.
    """

    text: str
    state_size: int
    reads: tuple[Read, ...]


@dataclass(frozen=True)
class _Window:
    """A window of the second clock and the features that share it.

    Attributes:
        name: what its variables end in.
        length: seconds.
        at: where its part of the state begins.
        columns: by the feature's position, its place among them and that of its first column in a row.
        shape: as in `steps_window`.
    """

    name: str
    length: int
    at: int
    columns: dict[int, tuple[int, int]]
    shape: tuple[int, ...]

    @property
    def heads(self) -> int:
        """Where the row of heads begins."""
        return self.at + steps_window.SINCES + len(self.columns)

    @property
    def reads(self) -> list[Read]:
        """What an event reads and writes of its part."""
        width = 1 + sum(self.shape[2:])
        oldest, following = (self.at + place for place in (steps_window.OLDEST, steps_window.NEXT))
        # Behind the oldest row the one that is the oldest when that has left.
        return [
            Read(self.at, self.heads + width - self.at, False),
            Read(oldest, 2 * width, True),
            Read(following, width, True),
        ]

    @property
    def end(self) -> int:
        """Where its part ends: behind the heads, the ring, and the row that says nothing."""
        return self.heads + (self.length + 2) * (1 + sum(self.shape[2:]))

    def before_loop(self) -> list[str]:
        asked = " or ".join(f"slot_{position} >= 0" for position in self.columns)
        numbers = ", ".join(f"zero + {number}" for number in self.shape)
        return [f"    asked_{self.name} = {asked}", f"    shape_{self.name} = ({numbers})"]

    def at_event(self) -> list[str]:
        name, part = self.name, f"state, zero + {self.at}, shape_{self.name}"
        return [
            f"            within_{name} = asked_{name} and time == time and session_start == session_start",
            f"            row_{name} = oldest_{name} = zero",
            f"            if within_{name}:",
            f"                row_{name} = slide({part}, time, session_start)",
            f"                oldest_{name} = oldest_of({part})",
        ]


def _windows_of(features: Sequence[Feature], at: int) -> list[_Window]:
    """The windows that features share, their parts from `at` on."""
    windows: list[_Window] = []
    for length in dict.fromkeys(feature.window for feature in features if feature.columns):
        members = [n for n, feature in enumerate(features) if feature.columns and feature.window == length]
        # Columns of a kind stand together.
        members.sort(key=lambda n: COLUMN_KINDS.index(features[n].columns[0]))
        places = list(accumulate((len(features[n].columns) for n in members), initial=1))
        columns = {n: (number, places[number]) for number, n in enumerate(members)}
        kinds = Counter(kind for n in members for kind in features[n].columns)
        shape = (length, len(members), *(kinds[kind] for kind in COLUMN_KINDS))
        windows.append(_Window(f"{length}s", length, at, columns, shape))
        at = windows[-1].end
    return windows


def _present(feature: Feature) -> str:
    return " and ".join(f"{name} == {name}" for name in feature.inputs)


def _call(feature: Feature, position: int, at: int) -> list[str]:
    """Lines that compute one feature: NaN unless every input is there."""
    # numba compiles a function anew for each constant it is called with, but not for a sum.
    numbers = [f"zero + {number}" for number in (at, *feature.parameters)]
    arguments = ", ".join(["state", *numbers, *feature.inputs])
    value = f"{feature.step_name}({arguments}) if {_present(feature)} else math.nan"
    return [
        f"            if slot_{position} >= 0:",
        f"                out[slot_{position} + row * step] = {value}",
    ]


def _call_in_window(feature: Feature, position: int, window: _Window) -> list[str]:
    """Lines that compute a feature of a shared window: NaN also until it has been seen over the window."""
    number, column = window.columns[position]
    name, since = window.name, window.at + steps_window.SINCES + number
    columns = f"(zero + {window.heads + column}, row_{name} + {column}, oldest_{name} + {column})"
    parameters = [f"zero + {parameter}" for parameter in feature.parameters]
    arguments = ", ".join(["state", columns, *parameters, *feature.inputs])
    return [
        f"            if slot_{position} >= 0:",
        "                value = math.nan",
        f"                if within_{name} and {_present(feature)}:",
        f"                    value = {feature.step_name}({arguments})",
        f"                    if not spanned(state, zero + {since}, zero + {window.length}, time):",
        "                        value = math.nan",
        f"                out[slot_{position} + row * step] = value",
    ]


def _steps_of(features: Sequence[Feature]) -> list[str]:
    """Source of the modules the steps stand in, each function once; `steps` first, for others to build on.

    Raises:
        InputError: two steps of one name from different modules, which could not live in one file.
    """
    own = [sys.modules[feature.step.__module__] for feature in features if feature.step is not None]
    shared = [steps_window] if any(feature.columns for feature in features) else []
    modules = list(dict.fromkeys([steps, *shared, *own]))
    for module in modules:
        # A module of steps may build on another that none of these features has its own step in.
        modules += [found for found in _built_on(module) if found not in modules]
    lines: list[str] = []
    known: dict[str, str] = {}
    for module in modules:
        lines += _constants_of(module)
        for name, text in _functions_of(module).items():
            if known.setdefault(name, text) != text:
                raise InputError(f"Two step functions are called {name} and differ. Rename one of them.")
            lines += ["", "", text]
    return lines


def given_to(features: Sequence[Feature]) -> tuple[str, ...]:
    """The given inputs that series features of one clock rest on, in the clock's order."""
    clock = features[0].clock
    needed = {given for feature in features for name in feature.inputs for given in rests_on(name, clock)}
    return tuple(name for name in given_inputs(clock) if name in needed or name in ALWAYS[clock])


def source_of(features: Sequence[Feature]) -> Source:
    """The module that computes series features of one clock.

    Raises:
        InputError: two steps of one name from different modules, which could not live in one file.
    """
    clock = features[0].clock
    own = list(accumulate((feature.state_size for feature in features), initial=SHARED_STATE[clock]))
    windows = _windows_of(features, own[-1])
    given = given_to(features)
    places = [f"column_{n} = columns[{n}]" for n in range(len(given))]
    places += [f"slot_{n} = slots[{n}]" for n in range(len(features))]
    unpacked = (f"{name} = inputs[column_{n} + row * stride]" for n, name in enumerate(given))
    lines = [
        HEAD,
        *_steps_of(features),
        LOOP.format(
            signature=SIGNATURE,
            places="\n    ".join(places),
            windows="\n".join(line for window in windows for line in window.before_loop()),
            unpacked="\n            ".join(unpacked),
            prepared=PREPARED[clock].strip("\n"),
        ),
        *(line for window in windows for line in window.at_event()),
    ]
    of_position = {position: window for window in windows for position in window.columns}
    for position, feature in enumerate(features):
        if position in of_position:
            lines += _call_in_window(feature, position, of_position[position])
        else:
            lines += _call(feature, position, own[position])
    reads = [Read(0, min(own[-1], KNOWN_READS), False), *(read for window in windows for read in window.reads)]
    return Source("\n".join(lines), windows[-1].end if windows else own[-1], tuple(reads))
