"""`project01 features`: compute them, stream them, bring the online store up to date, look at values."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from project01.cli import show, steps

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)]
Sets = Annotated[str | None, typer.Option(help="Comma list of feature sets. [default: the run's]", show_default=False)]
OwnFiles = Annotated[
    list[Path] | None,
    typer.Option("--file", help="Python file of features of your own. May be repeated.", show_default=False),
]
_LISTED = ("set", "name", "window", "unit", "description")


@app.callback()
def features(
    context: typer.Context,
    out: Annotated[Path | None, steps.RUN_FOLDER] = None,
    config: steps.Config = None,
    horizon: steps.Horizon = None,
    as_json: steps.Json = False,
) -> None:
    """Compute every feature and label from the lake and describe them to the feature store; or look at values.

    Without a command, the same as `features build`.

    \b
    Examples:
      project01 features --out runs/mine
      project01 features get AAPL --at 2016-05-02T20:00Z --out runs/mine
    """
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise typer.BadParameter("Missing option '--out'.")
    steps.features(out, config, horizon, as_json, {}, full=False)


@app.command()
def build(
    out: steps.Out,
    config: steps.Config = None,
    horizon: steps.Horizon = None,
    sets: Sets = None,
    file: OwnFiles = None,
    industries: Annotated[
        Path | None, typer.Option(help="CSV of symbol, industry and known_from.", show_default=False)
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="From the start, not only new sessions.")] = False,
    engine: Annotated[str, typer.Option(help="batch, or spark (needs the extra spark and Java).")] = "batch",
    as_json: steps.Json = False,
) -> None:
    """Compute features and labels from the lake, and describe them to the feature store.

    Only sessions that are new are computed where everything before stands as it was; the result is the same to the bit.

    \b
    Examples:
      project01 features build --out runs/mine
      project01 features build --sets core,technical,alpha158 --file gaps.py --out runs/mine
      project01 features build --engine spark --out runs/mine
    """
    wanted = {
        "features.sets": sets.split(",") if sets else None,
        "features.files": file or None,
        "features.industries": industries,
    }
    if engine == "batch":
        steps.features(out, config, horizon, as_json, wanted, full=full)
        return
    from project01.domain import InputError
    from project01.pipelines import spark_build

    if engine != "spark":
        raise InputError(f"--engine {engine!r} is unknown; use batch or spark.")
    done = spark_build(out, config, wanted)
    if as_json:
        show.print_json(done)
    else:
        show.pairs("Features on Spark", {name: str(done[name]) for name in ("rows", "instruments", "version")})


@app.command("list")
def list_features(
    sets: Sets = None,
    file: OwnFiles = None,
    as_json: steps.Json = False,
) -> None:
    """The catalogue: every feature with its unit, window and what it measures.

    \b
    Examples:
      project01 features list
      project01 features list --sets alpha158
    """
    from project01.pipelines import catalogue_rows

    rows = catalogue_rows(sets.split(",") if sets else None, file or [])
    if as_json:
        show.print_json(rows)
        return
    columns = ["set", "feature", "window", "unit", "what it measures"]
    show.table(f"{len(rows)} features", columns, [[str(row[name]) for name in _LISTED] for row in rows])


@app.command()
def docs(
    to: Annotated[Path, typer.Option("--to", help="Folder that gets features.md and features/.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="Run whose values are plotted.", show_default=False)] = None,
    file: OwnFiles = None,
    origin: Annotated[str, typer.Option(help="Where the run's data come from, one sentence.")] = "Values of a run.",
    as_json: steps.Json = False,
) -> None:
    """Write the pages of the catalogue: each definition, and how its values are spread in a run.

    \b
    Examples:
      project01 features docs --to docs
      project01 features docs --out runs/mine --file gaps.py --to docs
    """
    from project01.pipelines import feature_pages

    done = feature_pages(out, file or [], to, origin)
    if as_json:
        show.print_json(done)
        return
    written = {"files": str(len(done["files"])), "features": str(done["features"]), "plotted": str(done["with_values"])}
    show.pairs("Pages", written)


@app.command()
def stream(
    out: Annotated[Path, typer.Option("--out", help="Folder of live data.", show_default=False)],
    bus: Annotated[
        str | None, typer.Option(help="Bus address. [default: the folder's file]", show_default=False)
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--features", help="Comma list of intraday features. [default: all]", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on when nothing is left, until Ctrl-C.")] = False,
    as_json: steps.Json = False,
) -> None:
    """Rolling features of bars of one second as they come: online at once, in the lake when they are final.

    Started again it goes on where it stopped, also after a crash.

    \b
    Examples:
      project01 ingest polygon --simulate --out live
      project01 features stream --out live --follow
    """
    from project01.pipelines import stream_features_here

    done = stream_features_here(out, bus, names.split(",") if names else None, follow=follow)
    if as_json:
        show.print_json(done)
    else:
        show.pairs("Stream of features", {name: f"{count:,}" for name, count in done.items()})


@app.command()
def materialise(
    out: Out,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Only what became known since then. [default: everything]", show_default=False),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Nothing known later. [default: newest]", show_default=False)
    ] = None,
    as_json: steps.Json = False,
) -> None:
    """Bring the online store up to date, for reads with the newest values. A newer value never gives way to an older.

    \b
    Examples:
      project01 features materialise --out runs/mine
      project01 features materialise --from 2016-05-02 --to 2016-05-03 --out runs/mine
    """
    from project01.pipelines import materialise_features

    done = materialise_features(out, start, end)
    if as_json:
        show.print_json(done)
        return
    show.pairs(
        "Online store",
        {"stands at": _time(done["to"]), "features": str(done["features"]), "symbols": str(done["symbols"])},
    )


@app.command()
def get(
    symbols: Annotated[list[str], typer.Argument(help="One or more symbols.", show_default=False)],
    out: Out,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Date or instant (UTC): what was known then. [default: newest]", show_default=False),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--features", help="Comma list of features. [default: all]", show_default=False)
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Read the online store: the newest values.")] = False,
    as_json: steps.Json = False,
) -> None:
    """Values of features with unit, event time, knowledge time and age, as they were known at a time.

    \b
    Examples:
      project01 features get AAPL --at 2016-05-02T20:00Z --out runs/mine
      project01 features get AAPL MSFT --features ret_1,vol_20 --out runs/mine --json
      project01 features get AAPL --online --out runs/mine
    """
    from project01.pipelines import read_features

    result = read_features(out, symbols, at, names.split(",") if names else None, online=online)
    if as_json:
        show.print_json(result)
        return
    where = "online store, standing at" if online else "as known at"
    columns = ["feature", "value", "unit", "event time (UTC)", "knowledge time (UTC)", "age"]
    for symbol in dict.fromkeys(symbols):
        rows = [_line(row) for row in result["rows"] if row["symbol"] == symbol]
        show.table(f"{symbol}, {where} {_time(result['as_of'])} UTC", columns, rows)


def _line(row: dict[str, Any]) -> list[str]:
    value = f"{row['value']:.6g}" if row["state"] == "known" else row["state"]
    times = [_time(row[clock]) for clock in ("event_time", "knowledge_time")]
    return [row["feature"], value, row["unit"], *times, _age(row["age_seconds"])]


def _time(instant: datetime | None) -> str:
    """To the second; finer only where there is something finer."""
    if instant is None:
        return "-"
    return instant.replace(tzinfo=None).isoformat(" ", "seconds" if not instant.microsecond else "microseconds")


def _age(seconds: float | None) -> str:
    """In the two largest units."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, next_unit, size, part in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {next_unit}"
    return f"{seconds:.3g} s"
