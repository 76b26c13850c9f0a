"""Commands that ask how far a result can be trusted: edges invented, edges found, other paths through a history."""

from pathlib import Path
from typing import Annotated, Any

import typer

from project01.cli import show

Workers = Annotated[int, typer.Option(help="Processes side by side; the result does not depend on it.", min=1, max=64)]
To = Annotated[Path | None, typer.Option("--to", help="Also write the result as Markdown.", show_default=False)]


def null(
    out: Annotated[Path, typer.Option("--out", help="Folder for the markets done so far and null.json.")] = Path(
        "runs/null"
    ),
    worlds: Annotated[int, typer.Option(help="Markets in all, half of each kind.", min=2)] = 200,
    from_run: Annotated[
        Path | None,
        typer.Option("--from-run", help="Resample the prices of this run, not of a sample.", show_default=False),
    ] = None,
    sample: Annotated[str, typer.Option(help="Sample set to resample: sp500 or ohlcv.")] = "sp500",
    workers: Workers = 2,
    to: To = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the whole research process on markets without an edge, and count how often it finds one.

    Half of the markets are simulated random walks, half are made of real prices in which the sign of every session is
    a fair coin. A run that was stopped goes on where it stood. Ends with 1 if more than 5 % of the markets of either
    kind are called an edge.

    \b
    Examples:
      project01 audit null
      project01 audit null --from-run runs/mine --out runs/mine-null
      project01 audit null --worlds 400 --to null.md
    """
    from project01.pipelines import PriceSource, certify_null, null_markdown, null_table

    result = certify_null(out, worlds, PriceSource(from_run, sample), workers, show.TerminalProgress())
    _write(to, null_markdown(result))
    if as_json:
        show.print_json(_figures(result))
    else:
        show.table("Edges found where there is none", *null_table(result))
        show.console().print(result["sentence"])
    if not result["passed"]:
        raise typer.Exit(1)


def power(
    out: Annotated[Path, typer.Option("--out", help="Folder for the markets done so far and power.json.")] = Path(
        "runs/power"
    ),
    worlds: Annotated[int, typer.Option(help="Markets of each planted size.", min=1)] = 25,
    planted: Annotated[str, typer.Option(help="Planted rank ICs, 0.1 at most.")] = "0.01,0.02,0.03,0.05",
    workers: Workers = 2,
    to: To = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the whole research process on simulated markets with an edge of known size, and count how often it is found.

    A run that was stopped goes on where it stood.

    \b
    Examples:
      project01 audit power
      project01 audit power --planted 0.02,0.04 --worlds 50 --to power.md
    """
    from project01.pipelines import measure_power, planted_table, power_markdown, power_table

    result = measure_power(out, worlds, workers, show.TerminalProgress(), planted=_sizes(planted))
    _write(to, power_markdown(result))
    if as_json:
        show.print_json(_figures(result))
    else:
        show.table("The planted edge", *planted_table(result))
        show.table("Edges of known size, found", *power_table(result))
        show.console().print("All of these markets are SIMULATED.")


def paths(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)],
    groups: Annotated[int, typer.Option(help="Parts of equal length that the sessions are cut into.", min=3)] = 8,
    test_groups: Annotated[
        int, typer.Option("--test-groups", help="Parts forecast together from all the others.", min=1)
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask how much a run's result hangs on the period its forecasters learned from.

    Combinatorial purged cross-validation: every choice of parts of the sessions is forecast from the others, no label
    of which overlaps them, and the forecasts make up several paths through the whole history (8 parts, 2 at a time:
    28 fits of each forecaster, 7 paths). Each path is scored and traded by the run's rule and costs. The sealed holdout
    stays out; fits and paths enter the claim ledger.

    \b
    Examples:
      project01 audit paths --out runs/mine
      project01 audit paths --out runs/mine --groups 6 --test-groups 3 --json > paths.json
    """
    from project01.cli.summary import paths_table
    from project01.pipelines import audit_paths

    result = audit_paths(out, groups, test_groups, show.TerminalProgress())
    if as_json:
        show.print_json({**result, "models": [_plain(model) for model in result["models"]]})
        return
    note = "walk-forward, and paths over its sessions; then over all; ± is half a 90 % interval"
    show.table(f"Rank IC: {note}", *paths_table(result["models"], "rank_ic", digits=3))
    show.table(
        f"Net excess over equal weight, % a year: {note}", *paths_table(result["models"], "excess_annual", percent=True)
    )
    for name, why in result["left_out"].items():
        show.console().print(f"{name} left out: {why}")
    show.console().print(result["sentence"])


def _plain(model: dict[str, Any]) -> dict[str, Any]:
    """One forecaster's figures as JSON can say them."""
    told, paths = model["walk_forward"], model["paths"]
    plain = [{name: figure.model_dump() for name, figure in part.items()} for part in (told or {}, *paths)]
    return {"name": model["name"], "walk_forward": plain[0] or None, "paths": plain[1:]}


def _sizes(text: str) -> tuple[float, ...]:
    from project01.domain import InputError

    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError as error:
        raise InputError(f"--planted {text!r} is no comma list of numbers, such as 0.01,0.02.") from error


def _write(to: Path | None, text: str) -> None:
    from project01.domain import InputError

    if to is None:
        return
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--to {to} cannot be written: {error.strerror}. Pass a file you may write.") from error


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    """The result without the row of each market, which the file keeps."""
    return {name: value for name, value in result.items() if name != "rows"}


def register(audit: typer.Typer) -> None:
    """Add the commands to the audits."""
    audit.command()(null)
    audit.command()(power)
    audit.command()(paths)
