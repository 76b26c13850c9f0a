"""How long a smoothing mean remembers where it began."""

from itertools import count
from math import comb

# What the beginning may still weigh in the first value. A mean of one sign is wrong by about that share of itself; a
# small difference of large numbers, such as a price over its mean less one, by a hundred times more.
POSITIVE = 1e-8
DIFFERENCE = 1e-10


def exponential_weight(window: int) -> float:
    """Weight of the newest value in an exponential mean."""
    return 2.0 / (window + 1.0)


def wilder_weight(window: int) -> float:
    """Weight of the newest value in Wilder's mean."""
    return 1.0 / window


def events_to_forget(weight: float, left: float, depth: int = 1) -> int:
    """Fewest values after which all before them weigh less than `left` together.

    Args:
        weight: of the newest value in the mean.
        left: weight that may remain.
        depth: mean of the mean and so on, so often.
    """
    rest = 1.0 - weight
    for events in count(depth):
        remaining = sum(comb(events, k) * weight**k * rest ** (events - k) for k in range(depth))
        if remaining < left:
            return events
    raise AssertionError("unreachable: what remains falls to 0")
