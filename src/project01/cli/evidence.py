"""Commands about what a result rests on: the claim ledger, the sealed holdout, replays, orders of one's own."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from project01.cli import show
from project01.cli.steps import Json

holdout = typer.Typer(
    help="The newest part of the data, kept from all research.", rich_markup_mode=None, no_args_is_help=True
)

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)]


@holdout.command("show")
def show_holdout(out: Out, as_json: Json = False) -> None:
    """Where the sealed part begins, and whether it was opened.

    \b
    Example:
      project01 holdout show --out runs/mine
    """
    from project01.pipelines import holdout_state

    _tell(holdout_state(out), as_json)


@holdout.command("open")
def open_(
    out: Out,
    reason: Annotated[str, typer.Option(help="Why; stands in the ledger and every later report.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Open the sealed part: once, and for all to see.

    From then on training and back-tests read it, and every report says when in the course of trials it was opened and
    why. Run the same `project01 run` again to see the result inside it.

    \b
    Example:
      project01 holdout open --reason "final test of the model chosen in May" --out runs/mine
    """
    from project01.pipelines import open_holdout

    _tell(open_holdout(out, reason), as_json)


def _tell(state: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(state)
        return
    show.pairs("Holdout", {name.replace("_", " "): str(value) for name, value in state.items() if value is not None})


def ledger(
    out: Out,
    newest: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Every fit and back-test that was scored in a run's folder, and every opening of its holdout.

    The chain of hashes is verified first; a row changed, removed or added by hand ends this with 1.

    \b
    Examples:
      project01 ledger --out runs/mine
      project01 ledger --out runs/mine --json > trials.json
    """
    from project01.pipelines import ledger_rows

    found = ledger_rows(out)
    if as_json:
        show.print_json(found)
        return
    rows = found["rows"][-newest:]
    cells = [
        [str(r["position"]), r["purpose"], r["model"], str(r["fold"]), _score(r), r["settings_hash"], r["note"]]
        for r in rows
    ]
    show.table(
        f"Newest {len(rows)} of {len(found['rows'])} entries; {found['trials']} trials; chain {found['head'][:16]}",
        ["entry", "purpose", "model", "fold", "score", "settings", "note"],
        cells,
    )


def _score(row: dict[str, Any]) -> str:
    """The score; a Sharpe ratio with its deflated value and the trials allowed for."""
    if not row["score_name"]:
        return "-"
    value = "-" if row["score"] is None else f"{row['score']:+.4f}"
    text = f"{row['score_name'].replace('_', ' ')} {value}"
    if "trials" not in row:
        return text
    deflated = "-" if row["deflated_sharpe"] is None else f"{row['deflated_sharpe']:.3f}"
    return f"{text}, deflated {deflated} by {row['trials']} trials"


def replay(
    capsule: Annotated[Path, typer.Argument(help="File of a run's folder capsules.", show_default=False)],
    lake: Annotated[
        str | None,
        typer.Option(help="Lake the run read, a folder or s3://. [default: beside the capsule]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Empty folder to keep the replay in.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the forecasts and figures of a run again from its capsule, and compare every byte.

    Reads the tables at the versions the run read, and does every step anew with its settings. Ends with 1 if a byte
    differs, and says which part of the figures and what in code, lock or libraries is not the same.

    \b
    Examples:
      project01 replay runs/mine/capsules/2017-11-10-1f2e3d4c.json
      project01 replay 2017-11-10-1f2e3d4c.json --lake s3://bucket/lake --out runs/again
    """
    from project01.pipelines import replay_capsule

    found = replay_capsule(capsule, lake, out, show.TerminalProgress())
    if as_json:
        show.print_json(found)
    else:
        rows = [
            [r["file"], r["recorded"][:16], r["rebuilt"][:16], "yes" if r["equal"] else "no"] for r in found["results"]
        ]
        show.table("Replay", ["file", "recorded", "rebuilt", "equal"], rows)
        if found["parts_differ"]:
            show.console().print(f"Parts of the figures that differ: {', '.join(found['parts_differ'])}.")
        show.console().print(found["sentence"])
    if not found["equal"]:
        raise typer.Exit(1)


def orders(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet of orders.", show_default=False)],
    out: Out,
    account: Annotated[Literal["margin", "cash", "netting"], typer.Option(help="How the account is kept.")] = "margin",
    costs: Annotated[
        Literal["retail", "institutional"], typer.Option(help="Preset; levies on US sales are added.")
    ] = "retail",
    cash: Annotated[float, typer.Option(help="USD at the start.")] = 1_000_000.0,
    volume_share: Annotated[
        float | None,
        typer.Option(help="Most of a bar's volume, e.g. 0.1. [default: no cap]", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Trade orders of your own at the prices of a run, to the cent.

    Columns: decided (a date or time), symbol, quantity (sales negative) and, if wanted, kind (market, limit,
    market_on_open, market_on_close), limit, time_in_force (day, good_till_cancelled) and rest (wait, cancel). Fills,
    what was not filled and why, and equity by bar are written to the folder. It counts as a trial in the ledger.

    \b
    Examples:
      project01 orders mine.csv --out runs/mine
      project01 orders mine.csv --account cash --costs institutional --volume-share 0.05 --out runs/mine
    """
    from project01.pipelines import run_order_file

    found = run_order_file(out, file, account=account, costs=costs, initial_cash=cash, volume_share=volume_share)
    if as_json:
        show.print_json(found)
        return
    from project01.cli.summary import order_lines

    show.pairs(f"Orders of {found['orders']}{' (SIMULATED)' if found['simulated'] else ''}", order_lines(found))
    show.console().print(found["note"])


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(holdout, name="holdout")
    app.command()(ledger)
    app.command()(replay)
    app.command()(orders)
