"""`project01 ingest`: your own files into a run, or any source onto the bus."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from project01.cli import show, steps

if TYPE_CHECKING:
    from project01.pipelines import FetchOrder

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

# Name, what it brings, an example; the order of the registry, which a test compares.
VENDORS: dict[str, tuple[str, str]] = {
    "polygon": ("Polygon.io / Massive", "--symbols AAPL,MSFT --from 2026-11-02 --set span=1m"),
    "bloomberg": ("Bloomberg", "--symbols AAPL,BRK.B --from 2026-01-02"),
    "ravenpack": ("RavenPack", "--dataset analytics --symbols AAPL --from 2026-11-01"),
    "newsapi": ("NewsAPI", "--symbols AAPL,MSFT --from 2026-11-20"),
    "twitter": ("Twitter / X", "--dataset stream --symbols AAPL,TSLA --stream"),
    "lseg": ("Refinitiv / LSEG", "--dataset bars --symbols AAPL --from 2026-01-02"),
    "quandl": ("Nasdaq Data Link (Quandl)", "--dataset timeseries --symbols LBMA/GOLD"),
    "fred": ("FRED / ALFRED", "--dataset observations --symbols UNRATE,GDPC1"),
    "edgar": ("SEC EDGAR", "--dataset company_facts --symbols AAPL,MSFT"),
}

Out = Annotated[Path, typer.Option("--out", help="Folder with the bus, the lake and the cursors.", show_default=False)]
Bus = Annotated[
    str | None,
    typer.Option(
        "--bus", help="Bus elsewhere, e.g. kafka://localhost:9092. [default: OUT/bus.sqlite]", show_default=False
    ),
]


@app.callback()
def ingest(
    context: typer.Context,
    out: Annotated[Path | None, steps.RUN_FOLDER] = None,
    bars: steps.Bars = None,
    mapping: steps.Map = None,
    macro: steps.Macro = None,
    benchmark: steps.Benchmark = None,
    sample: steps.Sample = None,
    simulate: steps.Simulate = False,
    date_format: steps.DateFormat = None,
    timezone: steps.Timezone = None,
    adjusted: steps.Adjusted = None,
    config: steps.Config = None,
    as_json: steps.Json = False,
) -> None:
    """Read prices, check each bar, keep what passes in the lake and the rest as dead letters; or fetch from a source.

    Without a source's name, files are read straight into a run's lake. With one, records go onto the bus, and
    `project01 land` brings them into the lake.

    \b
    Examples:
      project01 ingest --bars prices/ --out runs/mine
      project01 ingest --sample ohlcv --out runs/sample
      project01 ingest polygon --simulate --stream --seconds 20 --out runs/live
      project01 ingest fred --symbols UNRATE --out runs/live
    """
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise typer.BadParameter("Missing option '--out'.")
    choice = steps.choice_of(bars, mapping, macro, benchmark, sample, simulate, date_format, timezone, adjusted)
    steps.ingest(out, choice, config, as_json)


def _vendor_command(name: str, title: str, example: str) -> Callable[..., None]:
    def command(
        out: Out,
        bus: Bus = None,
        dataset: Annotated[
            str | None, typer.Option(help="What to fetch; `project01 sources show` lists them.", show_default=False)
        ] = None,
        symbols: Annotated[
            str | None, typer.Option(help="Comma list of symbols or series.", show_default=False)
        ] = None,
        start: Annotated[
            str | None, typer.Option("--from", help="First day or instant (UTC).", show_default=False)
        ] = None,
        end: Annotated[
            str | None, typer.Option("--to", help="First day or instant not wanted.", show_default=False)
        ] = None,
        more: Annotated[
            list[str] | None, typer.Option("--set", help="A dataset's own parameter, NAME=VALUE.", show_default=False)
        ] = None,
        stream: Annotated[bool, typer.Option("--stream", help="Listen until stopped, instead of fetching.")] = False,
        seconds: Annotated[
            float | None, typer.Option(help="Stop listening after so long.", min=0, show_default=False)
        ] = None,
        simulate: Annotated[
            bool,
            typer.Option("--simulate", help="Ask a local stand-in, no key needed; records say they are simulated."),
        ] = False,
        again: Annotated[
            bool, typer.Option("--again", help="Fetch from the beginning, also what was fetched.")
        ] = False,
        address: Annotated[str | None, typer.Option(help="Other base address of the API.", show_default=False)] = None,
        stream_address: Annotated[
            str | None, typer.Option(help="Other address of the stream.", show_default=False)
        ] = None,
        as_json: steps.Json = False,
    ) -> None:
        from project01.pipelines import FetchOrder

        order = FetchOrder(
            source=name, dataset=dataset, symbols=tuple(filter(None, (symbols or "").split(","))),
            start=_instant(start), end=_instant(end), parameters=_parameters(more or []), stream=stream,
            simulate=simulate, address=address, stream_address=stream_address, again=again,
        )  # fmt: skip
        _fetch(out, bus, order, seconds, as_json)

    command.__doc__ = f"""{title}: onto the bus, from where the last fetch ended.

    \b
    Examples:
      project01 ingest {name} {example} --out runs/live
      project01 ingest {name} --simulate --out runs/simulated
    """
    return command


for _name, (_title, _example) in VENDORS.items():
    app.command(_name)(_vendor_command(_name, _title, _example))


@app.command()
def files(
    out: Out,
    bus: Bus = None,
    bars: steps.Bars = None,
    mapping: steps.Map = None,
    macro: steps.Macro = None,
    benchmark: steps.Benchmark = None,
    sample: steps.Sample = None,
    simulate: steps.Simulate = False,
    date_format: steps.DateFormat = None,
    timezone: steps.Timezone = None,
    adjusted: steps.Adjusted = None,
    as_json: steps.Json = False,
) -> None:
    """Your own files, a sample or the simulated market: onto the bus like every other source.

    \b
    Examples:
      project01 ingest files --bars prices/ --out runs/live
      project01 ingest files --sample ohlcv --out runs/live
      project01 ingest files --simulate --out runs/live
    """
    from project01.pipelines import Place, publish_choice
    from project01.settings import load_settings

    choice = steps.choice_of(bars, mapping, macro, benchmark, sample, simulate, date_format, timezone, adjusted)
    settings = load_settings().settings
    with show.counter("published") as counter:
        done = publish_choice(
            Place(out, bus), choice, settings.data, settings.forecast.seed, report=lambda d: counter(d.records)
        )
    _tell(out, bus, {"records": done.records, "batches": done.pages}, as_json)


def _fetch(out: Path, bus: str | None, order: "FetchOrder", seconds: float | None, as_json: bool) -> None:
    from project01.pipelines import Place, fetch
    from project01.settings import load_settings

    max_lag_s = load_settings().settings.sources.max_lag_s
    with stopping(seconds) as stop, show.counter("published") as counter:
        done = fetch(Place(out, bus), order, stop, report=lambda d: counter(d.records, d.letters), max_lag_s=max_lag_s)
    figures = {"records": done.records, "pages": done.pages, "dead_letters": done.letters}
    if order.stream:
        figures |= {"gaps": done.gaps, "gaps_not_filled": done.unfilled}
    _tell(out, bus, figures, as_json)


def _tell(out: Path, bus: str | None, figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(figures)
        return
    show.pairs("Published", {name.replace("_", " "): f"{value:,}" for name, value in figures.items()})
    place = f"--out {out}" + (f" --bus {bus}" if bus else "")
    typer.echo(f"Next: project01 land {place}")


@contextmanager
def stopping(seconds: float | None) -> Iterator[threading.Event]:
    """An event that Ctrl-C or a terminate signal sets, or the clock; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield stop
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _instant(text: str | None) -> Any:
    from datetime import UTC, datetime

    from project01.domain import InputError

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a date or instant; write 2026-11-02 or 2026-11-02T14:30.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _parameters(pairs: list[str]) -> dict[str, str]:
    from project01.domain import InputError

    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise InputError(f"--set {pair!r} is not of the form NAME=VALUE.")
        found[name] = value
    return found
