"""Commands of the main job: the whole path, and each step by itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from project01.cli import show

if TYPE_CHECKING:
    from project01.pipelines import Run, SourceChoice

RUN_FOLDER = typer.Option("--out", help="Folder of this run; made if missing.", show_default=False)
Out = Annotated[Path, RUN_FOLDER]
Config = Annotated[Path | None, typer.Option("--config", help="TOML or YAML settings file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Horizon = Annotated[int | None, typer.Option(help="Sessions ahead to forecast. [default: 5]", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice. [default: 7]", show_default=False)]
Models = Annotated[str | None, typer.Option(help="Comma list of forecasters; the first is traded.", show_default=False)]
Bars = Annotated[Path | None, typer.Option("--bars", help="CSV or Parquet: a file or a folder.", show_default=False)]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="Column mapping, e.g. --map close=PX_LAST. May be repeated.", show_default=False),
]
DateFormat = Annotated[
    str | None,
    typer.Option("--date-format", help="Form of the dates, e.g. %d/%m/%Y. [default: guessed]", show_default=False),
]
Timezone = Annotated[
    str | None, typer.Option(help="Zone of times without one, e.g. Europe/London.", show_default=False)
]
Adjusted = Annotated[
    str | None,
    typer.Option(
        help="For what --bars prices were adjusted: none, splits or splits_and_dividends. [default: none]",
        show_default=False,
    ),
]
Macro = Annotated[
    Path | None, typer.Option("--macro", help="Folder with VIX and Treasury yield CSV files.", show_default=False)
]
Benchmark = Annotated[
    Path | None, typer.Option("--benchmark", help="CSV of an index or fund to compare with.", show_default=False)
]
FromLake = Annotated[
    str | None,
    typer.Option("--from-lake", help="Folder or s3:// address with landed daily bars.", show_default=False),
]
FromSource = Annotated[
    str | None, typer.Option("--from-source", help="Whose bars of that lake, e.g. polygon.", show_default=False)
]
Sample = Annotated[str | None, typer.Option("--sample", help="Real sample prices: sp500 or ohlcv.", show_default=False)]
Simulate = Annotated[bool, typer.Option("--simulate", help="A seeded, simulated market, marked so everywhere.")]


def _flags(horizon: int | None, seed: int | None, models: str | None) -> dict[str, Any]:
    return {
        "forecast.horizon": horizon,
        "forecast.seed": seed,
        "forecast.models": models.split(",") if models else None,
    }


def choice_of(
    bars: Path | None,
    mapping: list[str] | None,
    macro: Path | None,
    benchmark: Path | None,
    sample: str | None,
    simulate: bool,
    date_format: str | None,
    timezone: str | None,
    adjusted: str | None,
    lake: str | None = None,
    vendor: str | None = None,
) -> "SourceChoice":
    """The source that the options name."""
    from project01.domain import InputError
    from project01.pipelines import SourceChoice

    files = (bars, mapping, macro, sample, date_format, timezone, adjusted)
    if lake is not None and not simulate and not any(files):
        return SourceChoice.of_lake(lake, vendor, benchmark)
    if lake is not None or vendor is not None:
        raise InputError("--from-lake is a source by itself, --from-source goes with it; leave the others out.")
    return SourceChoice.from_options(
        bars=bars, mapping=mapping or [], macro=macro, benchmark=benchmark, sample=sample, simulate=simulate,
        date_format=date_format, timezone=timezone, adjusted=adjusted,
    )  # fmt: skip


def _open(out: Path, config: Path | None, flags: dict[str, Any]) -> "Run":
    from project01.pipelines import Run

    return Run.open(out, config, flags, show.TerminalProgress())


def _show(title: str, summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(summary)
        return
    from project01.cli.summary import summary_lines

    show.pairs(title, summary_lines(summary))


def demo(out: Out = Path("out/demo"), config: Config = None, seed: Seed = None, as_json: Json = False) -> None:
    """The whole path on real sample prices: no account, no key, no network.

    \b
    Examples:
      project01 demo
      project01 demo --out runs/demo --json
    """
    from project01.pipelines import SourceChoice

    run = _open(out, config, _flags(None, seed, None))
    _finish(run, run.everything(SourceChoice.from_options(sample="sp500")), as_json)


def run(
    out: Out,
    bars: Bars = None,
    mapping: Map = None,
    macro: Macro = None,
    benchmark: Benchmark = None,
    sample: Sample = None,
    simulate: Simulate = False,
    date_format: DateFormat = None,
    timezone: Timezone = None,
    adjusted: Adjusted = None,
    from_lake: FromLake = None,
    from_source: FromSource = None,
    horizon: Horizon = None,
    seed: Seed = None,
    models: Models = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """The whole path on your own prices: ingest, features, train, backtest, forecast, report.

    A step whose inputs did not change is not done again.

    \b
    Examples:
      project01 run --bars prices/ --horizon 5 --out runs/mine
      project01 run --bars prices.csv --map close=PX_LAST --map symbol=ric --out runs/mine
      project01 run --bars prices.csv --date-format %d/%m/%Y --adjusted splits --out runs/mine
      project01 run --from-lake runs/live --from-source polygon --out runs/mine
      project01 run --simulate --out runs/simulated
    """
    run_ = _open(out, config, _flags(horizon, seed, models))
    choice = choice_of(
        bars, mapping, macro, benchmark, sample, simulate, date_format, timezone, adjusted, from_lake, from_source
    )  # fmt: skip
    _finish(run_, run_.everything(choice), as_json)


def _finish(run: "Run", result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(result)
        return
    from project01.cli.summary import result_tables

    for title, columns, rows in result_tables(result):
        show.table(title, columns, rows)
    show.console().print(f"{result['verdict']['sentence']}\n", style="bold", soft_wrap=False)
    show.console().print(
        f"Report   {run.workspace.root / 'report.html'}\nFigures  {run.workspace.root / 'figures.json'}"
    )


def ingest(out: Path, choice: "SourceChoice", config: Path | None, as_json: bool) -> None:
    """Read prices, check each bar, keep what passes in the lake and the rest as dead letters."""
    _show("Ingest", _open(out, config, {}).ingest(choice), as_json)


def features(
    out: Path, config: Path | None, horizon: int | None, as_json: bool, wanted: dict[str, Any], full: bool
) -> None:
    """Compute every feature and label from the lake, and describe them to the feature store."""
    _show("Features", _open(out, config, _flags(horizon, None, None) | wanted).features(full=full), as_json)


def train(out: Out, config: Config = None, seed: Seed = None, models: Models = None, as_json: Json = False) -> None:
    """Train every forecaster walk-forward, and once more on the newest data.

    \b
    Examples:
      project01 train --out runs/mine
      project01 train --models ridge,zero --out runs/mine
    """
    _show("Train", _open(out, config, _flags(None, seed, models)).train(), as_json)


def backtest(out: Out, config: Config = None, as_json: Json = False) -> None:
    """Trade the out-of-sample forecasts with costs, beside equal weight and the index.

    \b
    Example:
      project01 backtest --out runs/mine
    """
    _show("Backtest", _open(out, config, {}).backtest(), as_json)


def forecast(
    out: Out,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="Date or instant (UTC); only what was known then is used. [default: newest]",
            show_default=False,
        ),
    ] = None,
    symbols: Annotated[str | None, typer.Option(help="Symbols to show. [default: all]", show_default=False)] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ranked forecasts with intervals, from what was known at one time.

    \b
    Examples:
      project01 forecast --out runs/mine
      project01 forecast --as-of 2017-06-30 --out runs/mine --json
    """
    result = _open(out, config, {}).forecast(as_of, symbols.split(",") if symbols else None)
    if as_json:
        show.print_json(result)
        return
    from project01.cli.summary import forecast_table

    show.table(*forecast_table(result))


def report(out: Out, config: Config = None, as_json: Json = False) -> None:
    """Write the report of a finished run as one HTML file, and its figures as JSON.

    \b
    Example:
      project01 report --out runs/mine
    """
    _show("Report", _open(out, config, {}).report(), as_json)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (demo, run, train, backtest, forecast, report):
        app.command()(command)
