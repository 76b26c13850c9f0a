"""Many independent markets through the same work, in processes, so that a stopped run goes on where it stood."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from project01.domain import InputError, Project01Error
from project01.pipelines.research import Plan
from project01.pipelines.workspace import code_hash, content_hash, write_atomically
from project01.pipelines.worlds import RESAMPLED, PriceSource, World, random_walk, resampled

Row = dict[str, Any]
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Task:
    """One market to make and to work on.

    Attributes:
        kind: of the market, one of `worlds.KINDS`.
        number: of the market within its kind and size.
        planted_ic: 0 is nothing.
        plan: what is done on it.
        source: of real prices, for a resampled one.
    """

    kind: str
    number: int
    planted_ic: float
    plan: Plan
    source: PriceSource

    @property
    def key(self) -> tuple[str, float, int]:
        """What its row is known by, and sorted by."""
        return self.kind, self.planted_ic, self.number

    def world(self) -> World:
        """The market."""
        plan = self.plan
        if self.kind == RESAMPLED:
            return resampled(self.source, self.number, plan.symbols, plan.sessions, plan.seed)
        return random_walk(self.number, plan.symbols, plan.sessions, plan.seed, self.planted_ic)


def stamp_of(plan: Plan, source: PriceSource) -> str:
    """What rows rest on beside their key: they are kept only while it stays the same."""
    return content_hash(msgspec.to_builtins(plan), source.label, source.fingerprint(), code_hash())


def rows_of(
    tasks: Sequence[Task], work: Callable[[Task], Row], file: Path, stamp: str, workers: int, told: Told
) -> list[Row]:
    """The row of each task, in the order of the tasks, whatever the number of workers.

    Each row is appended to `file` when it is done; those already there are not worked out again.

    Args:
        tasks: each key once.
        work: a function of a module, so that another process can import it; its row holds kind, planted_ic and number.
        file: JSON lines; the first holds `stamp`.
        stamp: see `stamp_of`.
        workers: processes; with 1 the work is done in this one.
        told: how many are done, of how many, and which.
    Raises:
        InputError: `file` holds rows of another stamp, or cannot be written.
    """
    done = {_key(row): row for row in _kept(file, stamp)}
    left = [task for task in tasks if task.key not in done]
    told(len(tasks) - len(left), len(tasks), "kept from before" if done else "")
    with file.open("ab") as lines:
        for row in _worked(left, work, workers):
            lines.write(msgspec.json.encode(row, order="sorted") + b"\n")
            lines.flush()
            done[_key(row)] = row
            told(sum(task.key in done for task in tasks), len(tasks), f"{row['kind']} {row['number']}")
    return [done[task.key] for task in tasks]


def _key(row: Row) -> tuple[str, float, int]:
    return row["kind"], row["planted_ic"], row["number"]


def _kept(file: Path, stamp: str) -> list[Row]:
    """Rows of an earlier run; a last line cut short by a kill is taken off the file."""
    header = msgspec.json.encode({"stamp": stamp}) + b"\n"
    if not file.exists():
        write_atomically(file, header)
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    first, _, rest = whole.partition(b"\n")
    if first + b"\n" != header:
        raise InputError(
            f"{file} holds markets of another plan, source or version of the code. Pass another --out, or delete it."
        )
    if whole != content:
        write_atomically(file, whole)
    return [msgspec.json.decode(line) for line in rest.splitlines()]


def _worked(tasks: Sequence[Task], work: Callable[[Task], Row], workers: int) -> Iterator[Row]:
    if workers == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    # Spawned, not forked: a fork of a process with threads can stand still.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _leave_stopping_to_the_parent)
    try:
        for finished in as_completed([pool.submit(work, task) for task in tasks]):
            yield finished.result()
    except BrokenProcessPool as error:
        raise Project01Error(
            "A process was killed while it worked on a market, most likely for want of memory. Start the same command "
            "again: it goes on where it stood; fewer --workers need less memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_stopping_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
