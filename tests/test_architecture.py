"""Imports go one way. The table is data; a broken rule names file, line and rule."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "project01"

# Each part may import those named beside it, and itself. Order is the direction of the data.
MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "settings": {"domain"},
    "bus": {"domain"},
    "lake": {"domain", "bus"},
    "ingest": {"domain", "bus"},
    "etl": {"domain", "lake"},
    "store": {"domain", "lake", "etl"},
    "evaluate": {"domain"},
    "models": {"domain", "evaluate", "store"},
    "backtest": {"domain", "evaluate"},
    "report": {"domain", "evaluate", "backtest"},
    "serve": {"domain", "store", "models"},
    "monitor": {"domain", "evaluate", "lake", "store"},
    "pipelines": {
        "domain", "settings", "bus", "lake", "ingest", "etl", "store", "evaluate", "models", "backtest", "report",
        "serve", "monitor",
    },
    "cli": {"domain", "settings", "pipelines", "serve"},
    "dashboard": {"pipelines", "serve"},
}  # fmt: skip


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the full name"
            found.append((node.lineno, node.module or ""))
    return [(line, name) for line, name in found if name.split(".")[0] == "project01"]


def broken_rules(path: Path) -> list[str]:
    part, broken = part_of(path), []
    for line, name in imports_of(path):
        pieces = name.split(".")
        if len(pieces) == 1:
            continue
        target = pieces[1]
        if target != part and target not in MAY_IMPORT[part]:
            broken.append(f"{path.relative_to(PACKAGE)}:{line}: {part} must not import {target}")
        if target not in {part, "settings"} and len(pieces) > 2 and part not in {"settings", "cli"}:
            broken.append(f"{path.relative_to(PACKAGE)}:{line}: import from project01.{target}, not from inside it")
    return broken


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem not in {"__init__", "__main__"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    assert part_of(path) in MAY_IMPORT, f"{part_of(path)} has no row in the table of allowed imports"
    assert broken_rules(path) == []


def test_the_check_sees_a_broken_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lake"
    folder.mkdir()
    bad = folder / "bad.py"
    bad.write_text("from project01.models import train\n")
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert broken_rules(bad) == ["lake/bad.py:1: lake must not import models"]


def test_no_import_cycle_between_parts() -> None:
    order = list(MAY_IMPORT)
    for part, allowed in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(part) for other in allowed), part


def test_files_and_functions_stay_short() -> None:
    too_long = []
    for path in SOURCES:
        text = path.read_text()
        if text.count("\n") > 400:
            too_long.append(f"{path.relative_to(PACKAGE)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    too_long.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {length} lines")
    assert too_long == []
