"""Pages of the feature catalogue, with the spread of each feature in a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from project01.domain import InputError
from project01.etl import Feature, feature_set, feature_sets, load_features
from project01.lake import Lake
from project01.pipelines.workspace import Workspace, open_workspace, write_atomically
from project01.report import FeaturePage, index_page, set_page, set_plot, spread_of

# Tables a run may hold, one a clock.
_TABLES = ("features", "features_intraday")
_ROWS_LOOKED_AT = 500_000


def feature_pages(out: Path | None, files: Sequence[Path], to: Path, origin: str) -> dict[str, Any]:
    """As `write_pages`, for a run's folder."""
    return write_pages(None if out is None else open_workspace(out), files, to, origin)


def write_pages(workspace: Workspace | None, files: Sequence[Path], to: Path, origin: str) -> dict[str, Any]:
    """Write ``features.md``, and a page and a plot for each set, below a folder.

    Args:
        workspace: the run whose values are plotted; None: no plots.
        files: files with features of the user's own, each a set named after its file.
        to: the folder; ``features/`` below it holds the sets.
        origin: where the run's data come from, one sentence.
    Returns:
        files written, number of features, and of those with values.
    Raises:
        InputError: a file cannot be used, or its name is that of a set.
    """
    sets: dict[str, Sequence[Feature]] = {name: feature_set(name) for name in feature_sets()}
    for path in files:
        if path.stem in sets:
            raise InputError(f"{path}: there is a set {path.stem!r} already. Rename the file.")
        sets[path.stem] = load_features(path)
    lake = workspace.lake if workspace is not None else None
    pages = {name: [_page(feature, lake) for feature in features] for name, features in sets.items() if features}
    written = []
    for name, found in pages.items():
        has_plot = any(page.spread for page in found)
        said = origin if has_plot else "No values are shown: the run at hand does not carry what these features need."
        written.append(to / "features" / f"{name}.md")
        write_atomically(written[-1], set_page(name, found, said).encode())
        if has_plot:
            written.append(to / "features" / f"{name}.svg")
            write_atomically(written[-1], set_plot(name, found, said).encode())
    written.append(to / "features.md")
    write_atomically(written[-1], index_page(list(pages.items())).encode())
    every = [page for found in pages.values() for page in found]
    return {
        "files": [str(path) for path in written],
        "features": len(every),
        "with_values": sum(page.spread is not None for page in every),
    }


def catalogue_rows(sets: Sequence[str] | None, files: Sequence[Path]) -> list[dict[str, Any]]:
    """What `features list` shows: set, name, group, clock, window, warm-up, unit, source, description.

    Raises:
        InputError: a set is unknown, or a file cannot be used.
    """
    chosen = {name: feature_set(name) for name in sets or feature_sets()}
    chosen |= {path.stem: load_features(path) for path in files}
    fields = ("name", "group", "clock", "kind", "window", "warm_up", "unit", "source", "description")
    return [
        {"set": name, **{field: getattr(feature, field) for field in fields}}
        for name, features in chosen.items()
        for feature in features
    ]


def _page(feature: Feature, lake: Lake | None) -> FeaturePage:
    values = None if lake is None else _values(lake, feature.name)
    return FeaturePage(
        name=feature.name,
        group=feature.group,
        clock=feature.clock,
        kind=feature.kind,
        across=feature.across,
        inputs=feature.inputs,
        window=feature.window,
        warm_up=feature.warm_up,
        unit=feature.unit,
        missing=feature.missing,
        scale_free=feature.scale_free,
        source=feature.source,
        description=feature.description,
        spread=None if values is None else spread_of(values.astype(np.float64)),
    )


def _values(lake: Lake, name: str) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    for table in _TABLES:
        if lake.exists(table) and name in lake.scan(table).collect_schema().names():
            # Every n-th row of the table, so that all instruments and times are among them.
            rows = lake.scan(table).select(name).collect()
            return rows.gather_every(max(1, rows.height // _ROWS_LOOKED_AT))[name].to_numpy()
    return None
