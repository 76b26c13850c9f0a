"""Killing processes at random moments and starting each again, as whoever watches over them does."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.nursery import Child, Nursery
from tests.faults.roles import BUS_FAILED

WAIT_S = 120.0
KILLED = -9


class Storm:
    """A set of processes on one folder.

    Attributes:
        kills: how many were killed while they ran.
        gave_up: how often one ended by itself because the bus was away, and was started again.
    """

    def __init__(self, nursery: Nursery, starts: dict[str, tuple[object, ...]], seed: int) -> None:
        self._nursery, self._starts = nursery, starts
        self._children = {role: self._start(role) for role in starts}
        self.random, self._seed = Random(seed), seed
        self.kills = self.gave_up = 0

    def _start(self, role: str) -> Child:
        return self._nursery.start(role, *self._starts[role])

    def kill(self, role: str) -> None:
        """Kill it while it runs, and start it again."""
        self.revive(role)
        status = self._children[role].kill()
        if status == KILLED:
            self.kills += 1
        else:
            self._judge(role, status)
        self._children[role] = self._start(role)

    def revive(self, *roles: str) -> None:
        """Start those again that ended because the bus was away."""
        for role in roles:
            status = self._children[role].status()
            if status != Child.RUNNING:
                self._judge(role, status)
                self._children[role] = self._start(role)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Let all work undisturbed until it has come so far."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            self.revive(*self._children)
            assert time.monotonic() < deadline, f"{self}: waited in vain until {what}\n{self._nursery.said()}"
            time.sleep(0.02)

    def wait_until_grown(self, file: Path) -> None:
        """Let all work until the file is larger than now."""
        before = file.stat().st_size
        self.wait_until(lambda: file.stat().st_size > before, f"{file.name} grew")

    def pause(self) -> None:
        """A random while: often so short that the process is still finding out where it stood."""
        longest = self.random.choice([0.05, 0.3, 1.0])
        time.sleep(self.random.uniform(0.0, longest))

    def finish(self, role: str) -> None:
        """Wait until it has done all that there is to do."""
        deadline = time.monotonic() + WAIT_S
        while (status := self._children[role].status()) != 0:
            if status != Child.RUNNING:
                self._judge(role, status)
                self._children[role] = self._start(role)
            assert time.monotonic() < deadline, f"{self}: {role} did not end\n{self._nursery.said()}"
            time.sleep(0.02)

    def _judge(self, role: str, status: int) -> None:
        assert status == BUS_FAILED, f"{self}: {role} ended with {status}\n{self._nursery.said()}"
        self.gave_up += 1

    def __str__(self) -> str:
        return f"seed {self._seed}, after {self.kills} kills"


def grown(folder: Path, table: str) -> bool:
    """Whether the table has a first commit."""
    return (folder / "lake" / table / "_delta_log" / f"{1:020}.json").exists()
