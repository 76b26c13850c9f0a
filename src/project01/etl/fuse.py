"""Features fused into one compiled function, kept on disk so that the next process does not compile again."""

import hashlib
import importlib.util
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl.catalogue import feature_set, feature_sets
from project01.etl.feature import Feature
from project01.etl.kernel_source import Read, given_to, source_of

CACHE_VARIABLE = "PROJECT01_CACHE_DIR"
# numba takes the file's time as part of its key. One time for all, so that two processes that write the same text at
# once find each other's compiled code.
FILE_TIME = 1_000_000_000
_Integers: TypeAlias = NDArray[np.int64]
Advance: TypeAlias = Callable[
    [
        _Integers, int, int, FloatArray, _Integers, int, FloatArray, _Integers, int, NDArray[np.float32], _Integers,
        int,
    ],
    None,
]  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """The compiled function of some series features of one clock.

    Attributes:
        features: the features, in the order of the values.
        given: names of the inputs it reads.
        digest: SHA-256 of the source compiled, in hex: the identity of these definitions.
        state_size: numbers of state for one instrument.
        advance: advance(starts, first, last, inputs, columns, stride, states, which, base, out, slots, step) takes
            instruments through their events. Of row r inputs[columns[k] + r * stride] is given[k]; the state of
            instrument i is states[which[i]], shape (n_instruments, n_numbers), this kernel's part from `base` on, zeros
            before the first event, moved on in place; feature k of row r goes to out[slots[k] + r * step], or is not
            computed where slots[k] is below 0.
        reads: numbers of the state that the next event will touch.
    """

    features: tuple[Feature, ...]
    given: tuple[str, ...]
    digest: str
    state_size: int
    advance: Advance
    reads: tuple[Read, ...]


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

    parts: tuple[tuple[Advance, _Integers, _Integers, int], ...]

    def advance(
        self,
        starts: _Integers,
        first: int,
        last: int,
        inputs: FloatArray,
        states: FloatArray,
        out: NDArray[np.float32],
    ) -> None:
        """Take instruments `first` to `last` through their rows.

        Args:
            starts: shape (n_instruments + 1,), where each instrument's rows begin, and the number of rows.
            first: the first instrument.
            last: the one behind the last.
            inputs: shape (n_inputs, n_rows).
            states: shape (n_instruments, n_numbers), moved on in place.
            out: shape (n_wanted, n_rows), written.
        """
        rows, which = inputs.shape[1], np.arange(len(states))
        for advance, columns, slots, base in self.parts:
            advance(
                starts, first, last, inputs.reshape(-1), columns * rows, 1, states, which, base, out.reshape(-1),
                slots * rows, 1,
            )  # fmt: skip


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
    source = source_of(features)
    digest = hashlib.sha256(source.text.encode()).hexdigest()
    folder = cache_folder()
    if not _own_folder(folder):
        folder = Path(tempfile.mkdtemp(prefix="project01-"))
    path = folder / f"project01_features_{digest[:16]}.py"
    _write_once(path, source.text)
    module = _load(path)
    return Kernel(features, given_to(features), digest, source.state_size, module.advance, source.reads)


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
    text = "\n".join(source_of(series).text for series in by_clock.values() if series)
    names = "\n".join(f"{feature.name} {feature.kind} {feature.across} {feature.inputs}" for feature in features)
    return hashlib.sha256(f"{text}\n{names}".encode()).hexdigest()
