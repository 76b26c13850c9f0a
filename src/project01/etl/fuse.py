"""Features fused into one compiled function, kept on disk so that the next process does not compile again."""

import ast
import hashlib
import importlib.util
import inspect
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl import steps
from project01.etl.catalogue import catalogue
from project01.etl.feature import BAR_INPUTS, Feature

CACHE_VARIABLE = "PROJECT01_CACHE_DIR"
# numba takes the file's time as part of its key. One time for all, so that two processes that write the same text at
# once find each other's compiled code.
FILE_TIME = 1_000_000_000
# state[0] holds the close before; the parts of the features follow.
SHARED_STATE = 1

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
def advance(starts, first, last, inputs, slots, states, out):
    """Take the instruments `first` to `last` through their rows starts[i] to starts[i + 1], one bar after the other."""
    zero = 0
    for instrument in range(first, last):
        state = states[instrument]
        for row in range(starts[instrument], starts[instrument + 1]):
            {unpacked}
            dollar_volume = positive(close) * volume if 0.0 <= volume < math.inf else math.nan
            open = positive(open) * factor
            high = positive(high) * factor
            low = positive(low) * factor
            close = positive(close) * factor
            volume = volume / factor if 0.0 <= volume < math.inf else math.nan
            previous = positive(state[0])
            if close == close:
                state[0] = close
            simple_return = close / previous - 1.0
            log_return = math.log(close / previous) if simple_return == simple_return else math.nan
'''

Advance = Callable[[NDArray[np.int64], int, int, FloatArray, NDArray[np.int64], FloatArray, NDArray[np.float32]], None]


@dataclass(frozen=True)
class Kernel:
    """The compiled function of some series features.

    Attributes:
        features: the features, in the order of the values.
        digest: SHA-256 of the source compiled, in hex: the identity of these definitions.
        state_size: numbers of state for one instrument.
        advance: advance(starts, first, last, inputs, slots, states, out) takes instruments through their bars. inputs:
            shape (len(BAR_INPUTS), n_rows); states: shape (n_instruments, state_size), zeros before the first bar,
            moved on in place; out: shape (n_wanted, n_rows), written by `slots`.
    """

    features: tuple[Feature, ...]
    digest: str
    state_size: int
    advance: Advance

    def slots(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Shape (n_features,): the row of the output a feature is written to; -1 for those not among `names`."""
        row = {name: n for n, name in enumerate(names)}
        return np.array([row.get(feature.name, -1) for feature in self.features], dtype=np.int64)


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


def source_of(features: Sequence[Feature]) -> tuple[str, int]:
    """The module text that computes series features, and the numbers of state it keeps for one instrument.

    Raises:
        InputError: two steps of one name from different modules, which could not live in one file.
    """
    loop = LOOP.format(
        signature="void(i8[::1], i8, i8, f8[:, ::1], i8[::1], f8[:, ::1], f4[:, ::1])",
        unpacked="\n            ".join(f"{name} = inputs[{n}, row]" for n, name in enumerate(BAR_INPUTS)),
    )
    lines = [HEAD, *_steps_of(features), loop]
    at = SHARED_STATE
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


@lru_cache(maxsize=16)
def _compile(features: tuple[Feature, ...]) -> Kernel:
    text, state_size = source_of(features)
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder = cache_folder()
    if not _own_folder(folder):
        folder = Path(tempfile.mkdtemp(prefix="project01-"))
    path = folder / f"project01_features_{digest[:16]}.py"
    _write_once(path, text)
    module = _load(path)
    return Kernel(features, digest, state_size, module.advance)


def kernel_for(features: Sequence[Feature]) -> Kernel:
    """Compiled functions that know at least the series features given.

    Features of the catalogue share one kernel however many are asked for, so that nothing is compiled twice; it takes
    seconds the first time on a machine, then a fraction of one.
    """
    standard = tuple(feature for feature in catalogue() if feature.kind == "series")
    asked = tuple(feature for feature in features if feature.kind == "series")
    return _compile(standard if set(asked) <= set(standard) else asked)


def feature_digest(features: Sequence[Feature]) -> str:
    """Identity of feature definitions: changes when a name, a parameter or the code of any step changes."""
    text, _ = source_of([feature for feature in features if feature.kind == "series"])
    names = "\n".join(f"{feature.name} {feature.kind} {feature.inputs}" for feature in features)
    return hashlib.sha256(f"{text}\n{names}".encode()).hexdigest()
