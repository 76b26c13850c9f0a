"""Processes that are at work milliseconds after they are asked for, and can be killed at any moment.

A fresh interpreter needs seconds for its imports. So one that has imported everything, and has started no thread of its
own, forks the others: ``python -m tests.faults.nursery`` takes one JSON list a line and answers each with a number.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]


class Nursery:
    """The server of processes; all end with it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        with log.open("ab") as errors:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, cwd=REPOSITORY, env=environment, text=True, start_new_session=True,
            )  # fmt: skip

    def start(self, role: str, *arguments: object) -> "Child":
        return Child(self, self.ask("start", role, *arguments), role)

    def ask(self, *order: object) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, f"the nursery is gone:\n{self.said()}"
        return int(answer)

    def said(self) -> str:
        """The end of what all processes wrote to stderr."""
        return self._log.read_text()[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.communicate()


class Child:
    """One process of the nursery."""

    RUNNING = -1000

    def __init__(self, nursery: Nursery, pid: int, role: str) -> None:
        self._nursery, self.pid, self.role = nursery, pid, role

    def kill(self) -> int:
        """SIGKILL; the exit status, that of its own end if it was faster."""
        return self._nursery.ask("kill", self.pid)

    def status(self) -> int:
        """The exit status, `RUNNING` while there is none."""
        return self._nursery.ask("status", self.pid)


def _warm() -> None:
    """Have loaded what the first piece of curation would load: that takes longer than a process lives here."""
    import pandas as pd  # noqa: F401 - Polars looks for it

    from project01.etl import bar_kernel

    none, numbers = np.zeros(0, np.int64), np.zeros(0)
    bar_kernel.versions(np.zeros(1, np.int64), none, numbers, numbers, np.zeros(0, np.uint8), none, none, 0)


def _serve() -> None:
    from tests.faults.roles import play

    _warm()
    ended: dict[int, int] = {}
    while line := sys.stdin.readline():
        order, *arguments = json.loads(line)
        if order == "start":
            answer = os.fork()
            if answer == 0:
                _live(play, arguments)
        else:
            answer = _look(order, arguments[0], ended)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _look(order: str, pid: int, ended: dict[int, int]) -> int:
    if pid not in ended:
        if order == "kill":
            os.kill(pid, signal.SIGKILL)
        found, status = os.waitpid(pid, 0 if order == "kill" else os.WNOHANG)
        if not found:
            return Child.RUNNING
        ended[pid] = os.waitstatus_to_exitcode(status)
    return ended[pid]


def _live(play: Any, arguments: list[Any]) -> None:
    status = 1
    try:
        # The pipes belong to the server.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        status = play(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
