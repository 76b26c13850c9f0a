"""Features fused into one compiled function, kept on disk so that the next process does not compile again."""

import ast
import hashlib
import importlib.util
import inspect
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl import steps
from project01.etl.catalogue import feature_set, feature_sets
from project01.etl.feature import Feature
from project01.etl.inputs import Clock, given_inputs, rests_on

CACHE_VARIABLE = "PROJECT01_CACHE_DIR"
# numba takes the file's time as part of its key. One time for all, so that two processes that write the same text at
# once find each other's compiled code.
FILE_TIME = 1_000_000_000
# Numbers of state that PREPARED keeps for all features of a clock; the parts of the features follow. session: the close
# before. second: the session's start, the time of the event before, the last price.
SHARED_STATE: dict[Clock, int] = {"session": 1, "second": 4}

HEAD = '''"""Generated from the feature catalogue; compiled once and kept beside this file."""

from __future__ import annotations

import math

import numba
import numpy as np

# A step is put into its caller: as a call it would cost three times its arithmetic.
compiled = numba.njit(
    nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
'''

# What each bar's inputs are made of before the steps see them. Prices that are not positive are missing.
LOOP = '''

@compiled
def positive(value):
    """The value, or NaN where it is not a positive number."""
    return value if 0.0 < value < math.inf else math.nan


@numba.njit({signature!r}, cache=True, nogil=True, error_model="numpy")
def advance(starts, first, last, inputs, columns, slots, states, base, out):
    """Take the instruments `first` to `last` through their rows starts[i] to starts[i + 1], in order."""
    zero = 0
    for instrument in range(first, last):
        state = states[instrument, base:]
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
SIGNATURE = "void(i8[::1], i8, i8, f8[:, ::1], i8[::1], i8[::1], f8[:, ::1], i8, f4[:, ::1])"

Advance = Callable[
    [
        NDArray[np.int64],
        int,
        int,
        FloatArray,
        NDArray[np.int64],
        NDArray[np.int64],
        FloatArray,
        int,
        NDArray[np.float32],
    ],
    None,
]


@dataclass(frozen=True)
class Kernel:
    """The compiled function of some series features of one clock.

    Attributes:
        features: the features, in the order of the values.
        given: names of the inputs it reads.
        digest: SHA-256 of the source compiled, in hex: the identity of these definitions.
        state_size: numbers of state for one instrument.
        advance: advance(starts, first, last, inputs, columns, slots, states, base, out) takes instruments through their
            events. inputs: shape (n_inputs, n_rows), of which row columns[k] holds given[k]; states: shape
            (n_instruments, n_numbers), this kernel's part from `base` on, zeros before the first event, moved on in
            place; out: shape (n_wanted, n_rows), written by `slots`.
    """

    features: tuple[Feature, ...]
    given: tuple[str, ...]
    digest: str
    state_size: int
    advance: Advance


@dataclass(frozen=True)
class Fused:
    """Kernels that together compute the features asked for.

    Attributes:
        kernels: one for each set of the catalogue touched, and one for features that stand in none.
        given: names of the inputs they read, each once.
        digest: the identity of the definitions.
        state_size: numbers of state for one instrument.
    """

    kernels: tuple[Kernel, ...]
    given: tuple[str, ...]
    digest: str
    state_size: int

    def plan(self, inputs: Sequence[str], wanted: Sequence[str]) -> "Plan":
        """How to run on a matrix whose rows are `inputs` into one whose rows are `wanted`.

        Only the features wanted are computed, and only their states move on.
        """
        place = {name: n for n, name in enumerate(inputs)}
        slot = {name: n for n, name in enumerate(wanted)}
        parts, base = [], 0
        for kernel in self.kernels:
            columns = np.array([place[name] for name in kernel.given], dtype=np.int64)
            slots = np.array([slot.get(feature.name, -1) for feature in kernel.features], dtype=np.int64)
            if (slots >= 0).any():
                parts.append((kernel.advance, columns, slots, base))
            base += kernel.state_size
        return Plan(tuple(parts))


@dataclass(frozen=True)
class Plan:
    """Kernels bound to the order of inputs and of results."""

    parts: tuple[tuple[Advance, NDArray[np.int64], NDArray[np.int64], int], ...]

    def advance(
        self,
        starts: NDArray[np.int64],
        first: int,
        last: int,
        inputs: FloatArray,
        states: FloatArray,
        out: NDArray[np.float32],
    ) -> None:
        """Take instruments `first` to `last` through their rows; see `Kernel`."""
        for advance, columns, slots, base in self.parts:
            advance(starts, first, last, inputs, columns, slots, states, base, out)


def _functions_of(module: ModuleType) -> dict[str, str]:
    """Source text of each function of a module, in order."""
    text = inspect.getsource(module)
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = f"@compiled\n{ast.get_source_segment(text, node)}"
    return found


def _constants_of(module: ModuleType) -> list[str]:
    return [f"{name} = {value!r}" for name, value in vars(module).items() if name.isupper()]


def _call(feature: Feature, position: int, at: int) -> list[str]:
    """Lines that compute one feature: NaN unless every input is there."""
    present = " and ".join(f"{name} == {name}" for name in feature.inputs)
    # numba compiles a function anew for each constant it is called with, but not for a sum.
    numbers = [f"zero + {number}" for number in (at, *feature.parameters)]
    arguments = ", ".join(["state", *numbers, *feature.inputs])
    value = f"{feature.step_name}({arguments}) if {present} else math.nan"
    return [
        f"            if slots[{position}] >= 0:",
        f"                out[slots[{position}], row] = {value}",
    ]


def _steps_of(features: Sequence[Feature]) -> list[str]:
    """Source of the modules the steps stand in, each function once; `steps` first, for others to build on.

    Raises:
        InputError: two steps of one name from different modules, which could not live in one file.
    """
    own = [sys.modules[feature.step.__module__] for feature in features if feature.step is not None]
    modules = list(dict.fromkeys([steps, *own]))
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


def source_of(features: Sequence[Feature]) -> tuple[str, int]:
    """The module text that computes series features of one clock, and the numbers of state for one instrument.

    Raises:
        InputError: two steps of one name from different modules, which could not live in one file.
    """
    unpacked = (f"{name} = inputs[columns[{n}], row]" for n, name in enumerate(given_to(features)))
    loop = LOOP.format(
        signature=SIGNATURE,
        unpacked="\n            ".join(unpacked),
        prepared=PREPARED[features[0].clock].strip("\n"),
    )
    lines = [HEAD, *_steps_of(features), loop]
    at = SHARED_STATE[features[0].clock]
    for position, feature in enumerate(features):
        lines += _call(feature, position, at)
        at += feature.state_size
    return "\n".join(lines), at


def cache_folder() -> Path:
    """Where compiled features are kept: ``PROJECT01_CACHE_DIR``, else the user's cache directory."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "project01" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "project01"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "project01"


def _own_folder(folder: Path) -> bool:
    """Make the folder, for this user alone; false where that cannot be, since code is loaded from it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:
        return False
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    is_own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return is_own and not others_write and os.access(folder, os.W_OK)


def _write_once(path: Path, text: str) -> None:
    """Put the text at `path` in one move, unless it is there already."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.utime(temporary, (FILE_TIME, FILE_TIME))
    Path(temporary).replace(path)


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be loaded as a module. Remove the folder {path.parent} and run again.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=32)
def kernel_of(features: tuple[Feature, ...]) -> Kernel:
    """One kernel of exactly these series features of one clock: the smallest state, for a stream of a few of them."""
    text, state_size = source_of(features)
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder = cache_folder()
    if not _own_folder(folder):
        folder = Path(tempfile.mkdtemp(prefix="project01-"))
    path = folder / f"project01_features_{digest[:16]}.py"
    _write_once(path, text)
    module = _load(path)
    return Kernel(features, given_to(features), digest, state_size, module.advance)


def _series(features: Iterable[Feature]) -> tuple[Feature, ...]:
    return tuple(feature for feature in features if feature.kind == "series")


def _units(features: Sequence[Feature]) -> Iterator[tuple[Feature, ...]]:
    """What is compiled together: whole sets of the catalogue, then what stands in none."""
    left = dict.fromkeys(_series(features))
    for name in feature_sets():
        standard = _series(feature_set(name))
        if any(feature in left for feature in standard):
            yield standard
            for feature in standard:
                left.pop(feature, None)
    if left:
        yield tuple(left)


def kernel_for(features: Sequence[Feature]) -> Fused:
    """Compiled functions that know at least the series features given.

    Features of a set of the catalogue share one kernel however many are asked for, so that nothing is compiled twice;
    it takes seconds the first time on a machine, then a fraction of one.

    Raises:
        InputError: features of several clocks.
    """
    clocks = {feature.clock for feature in features}
    if len(clocks) > 1:
        raise InputError(f"Features of the clocks {', '.join(sorted(clocks))} cannot run together; ask for one clock.")
    return _fused(tuple(kernel_of(unit) for unit in _units(features)))


@lru_cache(maxsize=32)
def _fused(kernels: tuple[Kernel, ...]) -> Fused:
    digest = hashlib.sha256("".join(kernel.digest for kernel in kernels).encode()).hexdigest()
    given = tuple(dict.fromkeys(name for kernel in kernels for name in kernel.given))
    return Fused(kernels, given, digest, sum(kernel.state_size for kernel in kernels))


def feature_digest(features: Sequence[Feature]) -> str:
    """Identity of feature definitions: changes when a name, a parameter or the code of any step changes."""
    by_clock = {clock: [f for f in _series(features) if f.clock == clock] for clock in ("session", "second")}
    text = "\n".join(source_of(series)[0] for series in by_clock.values() if series)
    names = "\n".join(f"{feature.name} {feature.kind} {feature.across} {feature.inputs}" for feature in features)
    return hashlib.sha256(f"{text}\n{names}".encode()).hexdigest()
