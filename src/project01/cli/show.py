"""How results look in a terminal: progress, tables, plain text when piped."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


def console(width: int | None = None) -> "Console":
    """A console on standard output: colour only on a terminal, never with NO_COLOR set; brackets stand as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty(), width=width)


def print_json(value: Any) -> None:
    """One JSON document on standard output, keys sorted; not-a-number becomes null."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value, order="sorted")))


_NUMERIC = re.compile(r"[-+±\d.,%\[\] ]+(to [-+\d.,% ]+)?|-")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, numbers to the right; one name and value a line where it is wider than the terminal."""
    from rich import box
    from rich.table import Table

    grid = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold", padding=(0, 1, 0, 0),
        show_header=any(columns),
    )  # fmt: skip
    for number, name in enumerate(columns):
        numeric = number > 0 and all(_NUMERIC.fullmatch(row[number]) for row in rows)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=number == 0)
    for row in rows:
        grid.add_row(*row)
    screen = console()
    least = 4 + sum(3 + min(18, max(map(len, [name, *column]))) for name, column in _columns(columns, rows))
    if screen.is_terminal and least > screen.width:
        for number, row in enumerate(rows, start=1):
            pairs(f"{title}, {number} of {len(rows)}", dict(zip(columns, row, strict=True)))
        return
    # Not on a screen there is no need to fold: one row a line can be read and searched.
    whole = 4 + sum(3 + max(map(len, [name, *column])) for name, column in _columns(columns, rows))
    (screen if least <= screen.width else console(whole)).print(grid)


def _columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    return [(name, [row[number] for row in rows]) for number, name in enumerate(columns)]


def pairs(title: str, values: Mapping[str, str]) -> None:
    """Names and values below a title."""
    from rich import box
    from rich.table import Table

    grid = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False, title_style="bold")
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(name, value)
    console().print(grid)


class TerminalProgress:
    """A progress bar for each step on standard error; one plain line a step where that is no terminal."""

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, step: str) -> None:
        """Open the step's bar."""
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[label]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bars.start()
        self._task = self._bars.add_task(step, total=None, label="")

    def advance(self, done: int, total: int, label: str) -> None:
        """Move the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, label=label)

    def close(self) -> None:
        """Take the bar off the screen, also after an error."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None

    def finish(self, step: str, seconds: float, skipped: bool) -> None:
        """Close the bar and leave one line."""
        self.close()
        note = "unchanged, not done again" if skipped else f"{seconds:6.1f} s"
        typer.echo(f"  {step:<10} {note}", err=True)


@contextmanager
def counter(verb: str) -> Iterator[Callable[..., None]]:
    """A running count on standard error while work goes on that has no known end; nothing where that is no terminal.

    Yields:
        To be called with the count, and the count of dead letters where there are any.
    """
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{verb} 0") as status:

        def told(count: int, letters: int = 0) -> None:
            status.update(f"{verb} {count:,}" + (f", dead letters {letters:,}" if letters else ""))

        yield told
