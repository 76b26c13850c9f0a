"""How long to wait before trying again: exponential with full jitter, never above a cap."""

import random as random_module
from dataclasses import dataclass

# Full jitter may draw almost nothing; a wait of zero would hammer a vendor that is down.
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently one request is tried.

    Attributes:
        attempts: calls in all, the first included.
        base_s: longest wait before the second call, seconds; doubles with each further one.
        cap_s: no wait of our own choosing is longer, seconds.
        longest_wait_s: a vendor that asks for a longer wait gets an error, not a sleeping process.
    """

    attempts: int = 6
    base_s: float = 0.5
    cap_s: float = 60.0
    longest_wait_s: float = 900.0


class Backoff:
    """Waits of a connection that is opened again and again.

    The n-th wait in a row is drawn evenly from (0, min(cap, base * 2^n)]. A connection that held for `healthy_s` starts
    the row anew; one that breaks sooner does not, or a vendor that accepts and drops would be hammered.
    """

    def __init__(
        self,
        *,
        base_s: float = 0.5,
        cap_s: float = 60.0,
        healthy_s: float = 60.0,
        random: random_module.Random | None = None,
    ) -> None:
        self._base_s, self._cap_s, self._healthy_s = base_s, cap_s, healthy_s
        self._random = random or random_module.Random()  # noqa: S311 - jitter is no secret
        self._failures = 0
        self._connected_at: float | None = None

    def next_delay(self) -> float:
        """Seconds to wait now; above 0, at most the cap."""
        # 2**64 * base is above any cap; without the limit the power would leave the range of floats.
        ceiling = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return ceiling * max(_LEAST_SHARE, self._random.random())

    def connected(self, at: float) -> None:
        """The connection stands, at this monotonic second."""
        self._connected_at = at

    def lost(self, at: float) -> None:
        """The connection broke, at this monotonic second."""
        if self._connected_at is not None and at - self._connected_at >= self._healthy_s:
            self._failures = 0
        self._connected_at = None
