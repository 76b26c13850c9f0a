"""Pages of features: every definition on its page, spreads as numpy has them, and the committed ones up to date."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from tests.etl.conftest import make_bars

from project01.domain import InputError
from project01.etl import catalogue, feature_set, feature_sets, prepare_bars
from project01.pipelines.feature_build import build_table
from project01.pipelines.feature_docs import catalogue_rows, write_pages
from project01.pipelines.market import MarketData
from project01.pipelines.workspace import Workspace
from project01.report import spread_of

DOCS = Path(__file__).parents[2] / "docs"
OWN = """
from project01.etl import feature

@feature("own_<gap>".replace("<", "").replace(">", ""), group="mine", inputs=("open", "previous"), window=2, warm_up=2,
         unit="a < b & c", source="own", description="Open over the close before.")
def own_gap_ratio(state, at, opened, previous):
    return opened / previous
"""


def test_pages_hold_every_definition_and_the_spread_of_the_run(tmp_path: Path) -> None:
    bars = prepare_bars(make_bars(seed=4, symbols=4, sessions=120))
    workspace, few = Workspace(tmp_path / "run"), feature_set("core")[:6]
    build_table(workspace.lake, MarketData(bars), few, threads=1)
    own = tmp_path / "mine.py"
    own.write_text(OWN)
    done = write_pages(workspace, [own], tmp_path / "docs", "Simulated random walks.")
    assert (done["features"], done["with_values"]) == (len(catalogue()) + 1, 4)  # two need more
    for name in feature_sets():
        page = (tmp_path / "docs" / "features" / f"{name}.md").read_text()
        assert all(f"### {feature.name}\n" in page for feature in feature_set(name))
        assert all(feature.source in page and feature.description in page for feature in feature_set(name))
    assert "Simulated random walks." in (tmp_path / "docs" / "features" / "core.md").read_text()
    plot = ET.fromstring((tmp_path / "docs" / "features" / "core.svg").read_text())  # noqa: S314  # our own file
    assert sum(element.tag.endswith("path") for element in plot.iter()) == 4
    assert "a < b & c" in (tmp_path / "docs" / "features" / "mine.md").read_text()
    assert "[mine](features/mine.md) | 1 |" in (tmp_path / "docs" / "features.md").read_text()


def test_a_spread_is_what_numpy_says() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    values[::10] = np.nan
    found = spread_of(values)
    assert found is not None
    assert (found.low, found.median, found.high) == tuple(np.nanquantile(values, (0.01, 0.5, 0.99)))
    assert sum(found.counts) == ((values >= found.low) & (values <= found.high)).sum()
    assert found.missing == pytest.approx(0.1)
    assert spread_of(np.full(3, np.nan)) is None
    flat = spread_of(np.full(5, 2.0))
    assert flat is not None
    assert sum(flat.counts) == 5


def test_the_committed_pages_name_every_feature() -> None:
    """After a change of the catalogue: `project01 features docs`."""
    for name in feature_sets():
        page = (DOCS / "features" / f"{name}.md").read_text()
        said = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")}
        assert said == {feature.name for feature in feature_set(name)}
    assert f"{len(catalogue())} features" in (DOCS / "features.md").read_text()


def test_the_list_and_a_file_named_like_a_set(tmp_path: Path) -> None:
    rows = catalogue_rows(["core"], [])
    assert [row["name"] for row in rows] == [feature.name for feature in feature_set("core")]
    assert len(catalogue_rows(None, [])) == len(catalogue())
    taken = tmp_path / "core.py"
    taken.write_text(OWN)
    with pytest.raises(InputError, match="set 'core' already"):
        write_pages(None, [taken], tmp_path, "")
