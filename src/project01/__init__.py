"""Project01: a private quantitative analyst whose every number carries its own error."""

import os

# Threads of the tree libraries wait asleep instead of spinning: on a shared machine that is three times less work.
# It counts only if set before the first of them is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = ["__version__"]
