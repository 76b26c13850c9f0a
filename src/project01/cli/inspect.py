"""Commands that look at the installation and at the honesty of the chain."""

from pathlib import Path
from typing import Annotated

import typer

from project01.cli import show

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
        typer.Option("--out", help="Run whose bars are audited. [default: the sample prices]", show_default=False),
    ] = None,
    times: Annotated[int, typer.Option(help="Random times to cut at.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the times and of the noise.")] = 7,
    symbols: Annotated[int, typer.Option(help="Symbols audited at most.", min=3)] = 20,
    sessions: Annotated[int, typer.Option(help="Newest sessions audited at most.", min=300)] = 900,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replace all that was known after a time by noise, and by nothing: nothing before it may change.

    Checks every feature and every forecaster at random times, bit for bit. Ends with 1 if one looks ahead.

    \b
    Examples:
      project01 audit lookahead
      project01 audit lookahead --out runs/mine --times 100
    """
    from project01.pipelines import audit_lookahead

    result = audit_lookahead(out, times, seed, symbols, sessions, show.TerminalProgress())
    if as_json:
        show.print_json(result)
    else:
        rows = [[r["name"], r["kind"], str(r["cuts"]), r["found"] or "none"] for r in result["results"]]
        show.table("Look-ahead audit", ["output", "kind", "cuts", "first difference"], rows)
        show.console().print(result["sentence"])
    if result["leaks"]:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(doctor)
    app.add_typer(audit, name="audit")
