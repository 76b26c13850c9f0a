"""Commands that show the settings."""

from pathlib import Path
from typing import Annotated

import typer

from project01.cli import show

app = typer.Typer(help="Settings, where each came from, and their schema.", rich_markup_mode=None, no_args_is_help=True)


@app.command("show")
def show_settings(
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML or YAML settings file.", show_default=False)
    ] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value came from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Every setting with its value; order of precedence: flag, environment, file, default.

    \b
    Examples:
      project01 config show --origin
      PROJECT01__FORECAST__HORIZON=10 project01 config show --origin
    """
    from project01.settings import KNOWN_KEYS, load_settings

    loaded = load_settings(config)
    tree = loaded.settings.model_dump(mode="json")
    values = {key: tree[key.partition(".")[0]][key.partition(".")[2]] for key in KNOWN_KEYS}
    if as_json:
        show.print_json({key: {"value": value, "origin": loaded.origin[key]} for key, value in values.items()})
        return
    columns = ["setting", "value", "origin"] if origin else ["setting", "value"]
    rows = [[key, _plain(value), loaded.origin[key]][: len(columns)] for key, value in values.items()]
    show.table("Settings", columns, rows)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return "not set" if value is None else str(value)


@app.command()
def schema() -> None:
    """The JSON Schema of a settings file.

    \b
    Example:
      project01 config schema > settings.schema.json
    """
    from project01.settings import Settings

    show.print_json(Settings.model_json_schema())
