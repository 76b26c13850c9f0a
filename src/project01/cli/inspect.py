"""Commands that look at the installation and at the honesty of the chain."""

from pathlib import Path
from typing import Annotated, Any

import typer

from project01.cli import show
from project01.cli.features import OwnFiles, Sets

audit = typer.Typer(help="Prove that no future reaches the past.", rich_markup_mode=None, no_args_is_help=True)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """What is installed, what each missing extra would add, which keys are set, which servers answer.

    Ends with 1 only when the main job could not run. Values of keys are never shown.

    \b
    Example:
      project01 doctor
    """
    from project01.pipelines import diagnose

    findings = diagnose()
    if as_json:
        show.print_json({"ok": findings.ok, "checks": [vars(check) for check in findings.checks]})
    else:
        for group in findings.groups():
            rows = [[c.name, c.state, c.detail] for c in findings.checks if c.group == group]
            show.table(group, ["check", "state", "detail"], rows)
    if not findings.ok:
        raise typer.Exit(1)


@audit.command()
def lookahead(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run whose data is audited. [default: the sample prices]", show_default=False),
    ] = None,
    times: Annotated[int, typer.Option(help="Random times to cut at; dear layers at a fifth of them.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the times and of the noise.")] = 7,
    symbols: Annotated[int, typer.Option(help="Symbols audited at most.", min=3)] = 20,
    sessions: Annotated[int, typer.Option(help="Newest sessions audited at most.", min=300)] = 400,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Of bus,lake,features,store,models,portfolio,backtest,chain. [default: all]", show_default=False
        ),
    ] = None,
    sets: Sets = None,
    file: OwnFiles = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Audit planted leaks instead: all must be caught.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Change all that was known after a time, at every layer: nothing before it may change, bit for bit.

    Ends with 1 if an output looks ahead. With --self-test it audits planted leaks and their honest twins, and ends with
    1 if a leak is missed or a twin flagged. Facts, news and tweets that the data lacks are SIMULATED.

    \b
    Examples:
      project01 audit lookahead
      project01 audit lookahead --layers features,models --times 100 --out runs/mine
      project01 audit lookahead --layers features --sets core,technical --file gaps.py
      project01 audit lookahead --self-test
    """
    from project01.pipelines import audit_lookahead, audit_self_test, audited_layers, daily_sets
    from project01.settings import FeatureSettings

    if self_test:
        _show_self_test(audit_self_test(seed, show.TerminalProgress()), as_json)
        return
    wanted = FeatureSettings(sets=tuple(sets.split(",")) if sets else daily_sets(), files=tuple(file or ()))
    asked = tuple(layers.split(",")) if layers else audited_layers()
    result = audit_lookahead(out, times, seed, symbols, sessions, show.TerminalProgress(), wanted, asked)
    if as_json:
        show.print_json(result)
    else:
        rows = [
            [r["layer"], str(r["outputs"]), f"{r['values']:,}", str(r["cuts"]), r["first"] or "none"]
            for r in result["results"]
        ]
        show.table("Look-ahead audit", ["layer", "outputs", "values compared", "cuts", "first difference"], rows)
        show.console().print(f"{result['sentence']} {result['note']}")
    if result["leaks"]:
        raise typer.Exit(1)


def _show_self_test(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(result)
    else:
        rows = [
            [r["layer"], r["name"], ", ".join(r["caught_by"]) or "MISSED", "flagged" if r["twin_flagged"] else "passes"]
            for r in result["results"]
        ]
        show.table("Planted leaks", ["layer", "leak", "caught by", "honest twin"], rows)
        show.console().print(result["sentence"])
    if result["caught"] < result["planted"] or result["flagged"]:
        raise typer.Exit(1)


@audit.command()
def parity(
    out: Annotated[
        Path | None, typer.Option("--out", help="Run whose daily features are compared.", show_default=False)
    ] = None,
    live: Annotated[
        Path | None, typer.Option("--live", help="Folder of landed live data, for a day of ticks.", show_default=False)
    ] = None,
    day: Annotated[
        str | None, typer.Option(help="With --live: the day in New York, e.g. 2013-10-07.", show_default=False)
    ] = None,
    sets: Sets = None,
    file: OwnFiles = None,
    symbols: Annotated[int, typer.Option(help="Symbols compared at most.", min=3)] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the symbols, cuts and disorder.")] = 7,
    spark: Annotated[bool, typer.Option("--spark", help="Also on Spark; needs the extra spark and Java.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """The same features from every engine: batch, increments, stream, online store, Spark.

    With --live and --day, seconds go through the stream in process, the online store and, with --spark, the operator of
    Spark Structured Streaming (no Kafka is needed), out of order and some twice.

    Ends with 1 if a feature differs by more than one unit in the last place, or is missing on one side.

    \b
    Examples:
      project01 audit parity --out runs/mine
      project01 audit parity --out runs/mine --sets core,technical --file gaps.py --spark
      project01 audit parity --live live --day 2013-10-07
      project01 audit parity --live live --day 2013-10-07 --spark
    """
    from project01.domain import InputError
    from project01.pipelines import parity_of_day, parity_of_run

    watched = show.TerminalProgress()
    if live is not None and (sets or file):
        raise InputError("--sets and --file choose features of a run; with --live the set intraday is compared.")
    if live is not None and day is not None and out is None:
        result = parity_of_day(live, day, seed=seed, spark=spark, progress=watched)
    elif out is not None and live is None and day is None:
        wanted = sets.split(",") if sets else None
        result = parity_of_run(out, wanted, file or [], symbols=symbols, seed=seed, spark=spark, progress=watched)
    else:
        raise InputError("Pass --out with a run, or --live with a folder of landed data and --day.")
    if as_json:
        show.print_json(result)
    else:
        rows = [_parity_row(found) for found in result["results"] if found["unequal"]]
        if rows:
            columns = ["engine", "feature", "rows unequal", "missing on one side", "units in last place", "largest"]
            show.table("Features that are not equal in every bit", columns, rows)
        show.console().print(result["sentence"])
    if result["apart"]:
        raise typer.Exit(1)


def _parity_row(found: dict[str, Any]) -> list[str]:
    counts = [str(found[name]) for name in ("unequal", "one_missing", "units")]
    return [found["engine"], found["feature"], *counts, f"{found['absolute']:.3g}"]


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(doctor)
    app.add_typer(audit, name="audit")
