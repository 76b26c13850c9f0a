"""A feature in a file of the user's own: everything follows from the one function."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from project01.domain import InputError
from project01.etl import StreamState, bar_inputs, compute_features, feature_set, load_features, prepare_bars

GAP = '''
import math

from project01.etl import Feature, feature
from project01.etl.steps import sliding_squares, variance

CAP = 3.0


def capped(value):
    """The value, at most CAP on either side."""
    return min(max(value, -CAP), CAP)


@feature("gap_z_10", group="mine", inputs=("open", "previous"), window=10, warm_up=10, unit="standard deviations",
         source="own", description="Overnight gap in its own deviations.", parameters=(10,), state_size=24)
@feature("gap_z_20", group="mine", inputs=("open", "previous"), window=20, warm_up=20, unit="standard deviations",
         source="own", description="Overnight gap in its own deviations.", parameters=(20,), state_size=44)
def gap_z(state, at, window, opened, previous):
    gap = math.log(opened / previous)
    total, squares = sliding_squares(state, at, window, gap)
    spread = variance(total, squares, window, 1)
    return capped((gap - total / window) / math.sqrt(spread)) if spread > 0.0 else math.nan


rank_gap = Feature(name="rank_gap_z_10", group="mine", kind="cross_section", inputs=("gap_z_10",), window=10,
                   warm_up=10, unit="rank", source="own", description="Rank of the gap.")
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "gaps.py"
    path.write_text(GAP)
    return path


def test_one_function_gives_batch_stream_and_rank(file: Path, bars_of) -> None:
    mine = load_features(file)
    assert [feature.name for feature in mine] == ["gap_z_10", "gap_z_20", "rank_gap_z_10"]
    bars = prepare_bars(bars_of(seed=5, symbols=4, sessions=80, holes=0.0, gaps=0.0))
    found = compute_features(bars, (*mine, *feature_set("core")[:2]))
    own = bars.filter(pl.col("symbol") == "S2").with_columns(price=pl.col("close") * pl.col("factor"))
    gap = (own["open"] * own["factor"] / own["price"].shift()).log()
    expected = ((gap - gap.rolling_mean(10)) / gap.rolling_std(10)).clip(-3, 3)
    result = found.filter(pl.col("symbol") == "S2")
    np.testing.assert_allclose(result["gap_z_10"].to_numpy()[10:], expected.to_numpy()[10:], rtol=1e-5)
    assert np.isnan(result["gap_z_10"].to_numpy()[:10]).all()
    assert found["rank_gap_z_10"].drop_nans().abs().max() == 0.5
    rows = bar_inputs(own, mine[:2]).rows()
    state = StreamState(mine[:2])
    streamed = np.array([state.update(row) for row in rows])
    np.testing.assert_array_equal(streamed, result.select("gap_z_10", "gap_z_20").to_numpy())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "defines no feature"),
        ("import nothing_of_this_name\n", "fails when it is run"),
        (GAP.replace('"gap_z_10", group', '"ret_5", group'), "taken already"),
        (GAP.replace(' unit="standard deviations",\n', "\n"), "A feature needs"),
        (GAP.replace('"previous")', '"weather")'), "unknown input"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_features(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_features(tmp_path / "absent.py")


def test_the_example_of_the_page_works_as_it_stands(tmp_path: Path, bars_of) -> None:
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    path = tmp_path / "gaps.py"
    path.write_text(page.partition("```python\n")[2].partition("```")[0])
    bars = prepare_bars(bars_of(seed=6, symbols=3, sessions=60))
    found = compute_features(bars, load_features(path))
    assert found.columns[4:] == ["gap_z_20", "rank_gap_z_20"]
    assert np.isfinite(found["gap_z_20"].to_numpy()).sum() > 60
    assert found["rank_gap_z_20"].drop_nans().abs().max() == 0.5
