"""One connection of a stream, whatever carries it."""

from typing import Protocol


class Disconnected(Exception):  # noqa: N818 - an event between session and loop, which no user ever sees
    """The connection is gone, also when it was closed politely; `reason` such as ``close 1006``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Session(Protocol):
    """One connection of a stream, subscribed."""

    @property
    def confirmed(self) -> bool:
        """Whether the vendor has said that all from now on comes here; without such a word the first frame says it."""
        ...

    def receive(self, timeout_s: float) -> bytes | None:
        """One frame or line; None: nothing came within the time.

        Raises:
            Disconnected: the connection is gone.
            AuthenticationError: the vendor took back its consent.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; never raises, may be called twice."""
        ...
