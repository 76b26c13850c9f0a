"""Where live data goes: a folder with the bus, the lake, and what the sources remember; or a broker and a bucket."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from project01.bus import TOPICS, Bus, open_bus
from project01.domain import BusError, InputError
from project01.ingest import IngestState
from project01.lake import Lake


@dataclass(frozen=True)
class Place:
    """One set of topics, tables and cursors.

    Attributes:
        folder: cursors, quotas and spilled frames; bus and lake too unless they are named.
        bus_url: bus to use; None: ``bus.sqlite`` in the folder.
        lake_url: lake to use; None: ``lake`` in the folder.
    """

    folder: Path
    bus_url: str | None = None
    lake_url: str | None = None

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.lake_url or self.folder / "lake")

    @property
    def memory(self) -> Path:
        """What the sources remember: cursors, quotas, frames not yet published."""
        return self.folder / "sources"

    def state(self) -> IngestState:
        """Cursors and gaps.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            self.memory.mkdir(parents=True, exist_ok=True)
            self.memory.chmod(0o700)
        except OSError as error:
            raise InputError(
                f"Cannot write {self.memory}: {error.strerror}. Pass --out with a folder you may write to."
            ) from error
        return IngestState(self.memory / "state.sqlite")

    @contextmanager
    def curating(self) -> Iterator[None]:
        """Only one process at a time on this machine curates here; the others wait.

        Bars are built from the trades that were read; a second curator that read earlier could put older ones back.
        """
        self.state()  # the folder
        with (self.memory / "curation.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def bus(self) -> Iterator[Bus]:
        """The bus, with its topics: a file's are made when they are missing, a broker's by ``topics apply`` only.

        Raises:
            BusError: it cannot be reached.
            InputError: a topic is missing on a broker.
        """
        bus = open_bus(self.bus_url or str(self.folder / "bus.sqlite"))
        try:
            missing = [name for name in TOPICS if name not in bus.topics()]
            if missing and bus.url.startswith("kafka:"):
                raise InputError(
                    f"{bus.url} lacks the topic(s) {', '.join(missing)}. Run `project01 topics apply --bus {bus.url}`."
                )
            for name in missing:
                _make(bus, name)
            yield bus
        finally:
            bus.close()


def _make(bus: Bus, name: str) -> None:
    try:
        bus.create(TOPICS[name])
    except BusError:
        # Another process that started at the same time may have been first.
        if name not in bus.topics():
            raise
