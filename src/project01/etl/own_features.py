"""Features of the user's own, each a function in a file: written once, it is batch, stream, Spark and store."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from project01.domain import InputError
from project01.etl.catalogue import catalogue
from project01.etl.feature import Feature

Step = TypeVar("Step", bound=Callable[..., float])
_MARK = "project01_features"


def feature(name: str = "", **definition: Any) -> Callable[[Step], Step]:
    """Define a feature by its step function; may be put on one function several times with other parameters.

    The function is compiled from its text together with the others of its file: it may use `math`, the functions of
    `project01.etl.steps` and its own file's functions and constants in capitals, and with `columns` those of
    `project01.etl.steps_window`. See `steps` and `steps_window` for what it is given.

    Args:
        name: column name; the function's own name if empty.
        definition: the further fields of `Feature`, but for `step`.
    Raises:
        InputError: the definition is incomplete or contradicts itself.
    """

    def define(step: Step) -> Step:
        try:
            made = Feature(name=name or step.__name__, step=step, **definition)
        except TypeError as error:
            raise InputError(
                f"Feature {name or step.__name__}: {error}. A feature needs group, inputs, window, warm_up, unit, "
                "source and description."
            ) from error
        setattr(step, _MARK, (made, *getattr(step, _MARK, ())))
        return step

    return define


def load_features(path: Path) -> tuple[Feature, ...]:
    """The features a file defines: decorated functions, and `Feature` objects such as cross-sections, in order.

    The file is run, so only load files you trust.

    Raises:
        InputError: the file cannot be read or run, defines no feature, or one whose name is taken.
    """
    module = _run(path)
    found: list[Feature] = []
    for value in vars(module).values():
        if isinstance(value, Feature):
            found.append(value)
        elif getattr(value, "__module__", None) == module.__name__:
            found += getattr(value, _MARK, ())
    if not found:
        raise InputError(
            f"{path} defines no feature. Put @feature(...) on a step function, or make a Feature(...) at top level."
        )
    names = [feature.name for feature in found]
    taken = {feature.name for feature in catalogue()}
    wrong = sorted({name for name in names if name in taken or names.count(name) > 1})
    if wrong:
        raise InputError(f"{path}: feature name(s) {', '.join(wrong)} are taken already. Choose other names.")
    return tuple(found)


def _run(path: Path) -> ModuleType:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"Feature file {path} cannot be read: {error.strerror}. Pass an existing file.") from error
    # Named after its content: another text is another module, and the same one is run once.
    name = f"project01_own_{path.stem}_{hashlib.sha256(content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"Feature file {path} is no Python file. Pass a file whose name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except InputError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"Feature file {path} fails when it is run: {type(error).__name__}: {error}.") from error
    return module
