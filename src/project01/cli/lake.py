"""Commands that look into and tend the lake of a run."""

from pathlib import Path
from typing import Annotated

import typer

from project01.cli import show
from project01.cli.steps import Json

app = typer.Typer(help="Look into and tend the lake of a run.", rich_markup_mode=None, no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="Lake elsewhere, e.g. s3://bucket/lake.", show_default=False)]
Table = Annotated[str, typer.Argument(help="Table name, e.g. bars.")]


@app.command()
def tables(out: Out, url: Url = None, as_json: Json = False) -> None:
    """Tables with their versions and rows.

    \b
    Example:
      project01 lake tables --out runs/mine
    """
    from project01.pipelines import lake_tables

    rows = lake_tables(out, url)
    if as_json:
        show.print_json(rows)
    else:
        show.table("Tables", ["table", "version", "rows", "newest known"], [[str(v) for v in r.values()] for r in rows])


@app.command()
def history(table: Table, out: Out, url: Url = None, as_json: Json = False) -> None:
    """Every commit of a table.

    \b
    Example:
      project01 lake history bars --out runs/mine
    """
    from project01.pipelines import lake_history

    rows = lake_history(out, url, table)
    if as_json:
        show.print_json(rows)
    else:
        show.table(table, list(rows[0]), [[str(v) for v in r.values()] for r in rows])


@app.command()
def read(
    table: Table,
    out: Out,
    as_of: Annotated[str, typer.Option("--as-of", help="Date or instant (UTC).", show_default=False)],
    symbols: Annotated[str | None, typer.Option(help="Comma list of symbols.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="Rows to show.")] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Rows of a table as they were known at one time.

    \b
    Example:
      project01 lake read bars --as-of 2010-06-30 --symbols AAPL --out runs/mine
    """
    from project01.pipelines import lake_rows

    columns, rows = lake_rows(out, url, table, as_of, symbols.split(",") if symbols else None, limit)
    if as_json:
        show.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show.table(f"{table} as of {as_of}", columns, [[str(v) for v in row] for row in rows])


@app.command()
def refused(
    out: Out,
    reason: Annotated[str | None, typer.Option(help="Only rows refused for this.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="Rows to show.", min=0)] = 20,
    as_json: Json = False,
) -> None:
    """Rows the gate refused, with the reason and what was found.

    \b
    Examples:
      project01 lake refused --out runs/mine
      project01 lake refused --reason high_below_low --limit 100 --json --out runs/mine
    """
    from project01.pipelines import lake_refused

    counts, rows = lake_refused(out, reason, limit)
    if as_json:
        show.print_json({"counts": counts, "rows": rows})
        return
    show.table("Refused", ["reason", "rows"], [[name, f"{count:,}"] for name, count in counts.items()])
    columns = ["symbol", "session", "reason", "detail"]
    cells = [[str(row["symbol"] or "-"), str(row["session"] or "-"), row["reason"], row["detail"]] for row in rows]
    if cells:
        show.table(f"The first {len(cells)}", columns, cells)


@app.command()
def compact(table: Table, out: Out, url: Url = None, as_json: Json = False) -> None:
    """Join a table's small files into few; its content and history stay.

    \b
    Example:
      project01 lake compact bars --out runs/mine
    """
    from project01.pipelines import lake_compact

    done = lake_compact(out, url, table)
    if as_json:
        show.print_json(done)
    else:
        show.pairs(f"Compacted {table}", {name.replace("_", " "): str(value) for name, value in done.items()})


@app.command()
def vacuum(
    table: Table,
    out: Out,
    url: Url = None,
    retention_hours: Annotated[int, typer.Option(help="Keep files younger than this.")] = 168,
    allow_short: Annotated[
        bool, typer.Option("--allow-short-retention", help="Permit less than 168 hours; readers of old versions break.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete files that no version younger than the retention needs.

    \b
    Example:
      project01 lake vacuum bars --out runs/mine
    """
    from project01.pipelines import lake_vacuum

    deleted = lake_vacuum(out, url, table, retention_hours, allow_short)
    if as_json:
        show.print_json(deleted)
    else:
        typer.echo("\n".join([f"{len(deleted)} files of {table} deleted", *deleted]))


@app.command()
def export(
    table: Table,
    out: Out,
    to: Annotated[Path, typer.Option("--to", help="File to write, .csv or .parquet.", show_default=False)],
    as_of: Annotated[str, typer.Option("--as-of", help="Date or instant (UTC).", show_default=False)],
    internal: Annotated[
        bool, typer.Option("--internal", help="The file stays in the house: rows of every licence.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a table as it was known at one time to a file; rows whose licence forbids it do not leave.

    \b
    Examples:
      project01 lake export macro --as-of 2026-06-30 --to macro.csv --out runs/live
      project01 lake export bars --as-of 2026-06-30 --to bars.parquet --internal --out runs/live
    """
    from project01.pipelines import lake_export

    done = lake_export(out, url, table, as_of, to, internal)
    if as_json:
        show.print_json(done)
    else:
        show.pairs(f"Exported {table}", {name.replace("_", " "): str(value) for name, value in done.items()})
