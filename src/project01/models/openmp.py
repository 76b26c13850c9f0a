"""Loads the tree libraries so that their threads wait without burning the processor."""

import os
from importlib import import_module
from typing import Any

# Fixed, not taken from the machine: sums over threads are split by their number, so it is part of the result.
THREADS = 2


def load(library: str) -> Any:
    """The library `lightgbm` or `xgboost`.

    By default OpenMP threads spin while they wait for one another. On a machine with other work they then take each
    other's time slices: one XGBoost fit took 88 s in place of 9 s. The variable is read once, when the library's OpenMP
    is loaded; a value set by the user is left alone. Results do not depend on it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return import_module(library)
