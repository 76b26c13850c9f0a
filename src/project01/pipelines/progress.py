"""How a step tells whoever started it how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Told about each step of a pipeline as it goes on."""

    def start(self, step: str) -> None:
        """A step begins."""
        ...

    def advance(self, done: int, total: int, label: str) -> None:
        """`done` of `total` parts of the present step are finished; `label` names the newest."""
        ...

    def finish(self, step: str, seconds: float, skipped: bool) -> None:
        """A step ended; `skipped` if its inputs had not changed."""
        ...

    def close(self) -> None:
        """A step failed; nothing of it stays on the screen."""
        ...


class SilentProgress:
    """Tells nobody."""

    def start(self, step: str) -> None:
        """Nothing is shown."""

    def advance(self, done: int, total: int, label: str) -> None:
        """Nothing is shown."""

    def finish(self, step: str, seconds: float, skipped: bool) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is shown."""
