"""Split-conformal intervals: ranks worked by hand, coverage on exchangeable data, and no overlap of the parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from project01.domain import InputError, NotEnoughDataError
from project01.models import Calibration, calibrate
from project01.models.conformal import Scale, calibration_split


def test_ranks_worked_by_hand() -> None:
    # 99 scores 1..99: (n + 1) a is 5 and 95, so the 5th and the 95th smallest; the middle one is the median.
    calibration = Calibration(np.arange(1.0, 100.0))
    assert calibration.offsets((0.05, 0.5, 0.95)).tolist() == [5.0, 50.0, 95.0]
    # 100 scores: 5.05 is rounded down below the middle and 95.95 up above it, to the wide side.
    assert Calibration(np.arange(1.0, 101.0)).offsets((0.05, 0.95)).tolist() == [5.0, 96.0]


def test_a_level_beyond_the_scores_is_refused_not_cut() -> None:
    calibration = Calibration(np.arange(40.0))
    assert calibration.offsets((0.025,)).tolist() == [0.0]  # floor(41 * 0.025) = 1
    with pytest.raises(NotEnoughDataError, match="needs 99 calibration rows, found 40"):
        calibration.offsets((0.01,))
    with pytest.raises(NotEnoughDataError, match="needs 99 calibration rows"):
        calibration.offsets((0.99,))


@given(
    st.lists(st.floats(-10, 10), min_size=100, max_size=150),
    st.lists(st.floats(0.01, 0.99), min_size=2, max_size=9, unique=True),
)
def test_offsets_ascend_and_are_scores(scores: list[float], levels: list[float]) -> None:
    calibration = calibrate(np.array(scores), np.zeros(len(scores)), np.ones(len(scores)))
    found = calibration.offsets(tuple(sorted(levels)))
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("width", [0.5, 0.9])
def test_coverage_on_exchangeable_rows_is_nominal(width: float) -> None:
    # Each trial: 199 scores of one law calibrate, one more row of it is covered or not. Over trials the count is
    # binomial with the exact probability that the ranks give.
    generator, covered, trials, count = np.random.default_rng(5), 0, 4000, 199
    low, high = (1 - width) / 2, (1 + width) / 2
    for _ in range(trials):
        scale = generator.uniform(0.5, 2.0, count + 1)
        label = scale * (generator.standard_t(3, count + 1) + 0.5)
        offsets = calibrate(label[:-1], np.zeros(count), scale[:-1]).offsets((low, high))
        covered += int(offsets[0] * scale[-1] <= label[-1] <= offsets[1] * scale[-1])
    exact = (np.ceil(200 * high) - np.floor(200 * low)) / 200
    assert exact == pytest.approx(width, abs=0.01)
    assert stats.binomtest(covered, trials, exact).pvalue > 0.001


def test_an_unscaled_interval_would_fail_where_the_scaled_one_holds() -> None:
    generator = np.random.default_rng(6)
    scale = np.where(np.arange(20_000) % 2 == 0, 0.5, 2.0)
    label = scale * generator.normal(size=20_000)
    half = slice(0, 10_000), slice(10_000, None)
    wide = scale[half[1]] == 2.0

    def coverage(given_scale: np.ndarray) -> float:
        low, high = calibrate(label[half[0]], np.zeros(10_000), given_scale[half[0]]).offsets((0.05, 0.95))
        inside = (label[half[1]] >= low * given_scale[half[1]]) & (label[half[1]] <= high * given_scale[half[1]])
        return float(inside[wide].mean())

    assert coverage(scale) == pytest.approx(0.9, abs=0.02)
    assert coverage(np.ones(20_000)) < 0.85


@given(sessions=st.integers(40, 120), symbols=st.integers(5, 9), purge=st.integers(1, 10), late=st.integers(0, 30))
def test_no_label_of_the_fit_part_reaches_the_calibration_part(
    sessions: int, symbols: int, purge: int, late: int
) -> None:
    place = np.repeat(np.arange(sessions), symbols)
    times = np.datetime64("2015-01-05", "us") + place * np.timedelta64(1, "D")
    known = times + np.timedelta64(purge, "D")
    known[3] += np.timedelta64(late, "D")  # a halted symbol's label is known later than the others
    try:
        fit, held = calibration_split(times, purge, known)
    except NotEnoughDataError:
        assert min((place < sessions - sessions // 5 - purge).sum(), (place >= sessions - sessions // 5).sum()) <= 40
        return
    assert not (fit & held).any()
    assert held.sum() == max(1, int(sessions * 0.2)) * symbols
    assert known[fit].max() <= times[held].min()
    assert place[held].min() - place[fit].max() > purge


def test_scale_is_the_rows_own_held_to_a_sane_range() -> None:
    scale = Scale.learn("realised_vol_21", np.linspace(0.01, 0.03, 201))
    assert scale.middle == pytest.approx(0.02)
    found = scale.of(np.array([0.015, np.nan, 0.0, 9.0]), 4)
    np.testing.assert_allclose(found, [0.015, 0.02, scale.low, scale.high])
    assert scale.low == pytest.approx(0.0102)
    assert scale.high == pytest.approx(0.0298)


@pytest.mark.parametrize("column", [None, np.full(9, np.nan), np.zeros(9)])
def test_without_a_volatility_every_row_is_alike(column: np.ndarray | None) -> None:
    assert Scale.learn("realised_vol_21", column) == Scale(None)
    assert Scale(None).of(column, 3).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "stored",
    [
        {"feature": "v", "low": 0.0, "middle": 1.0, "high": 2.0},
        {"feature": "v", "low": 3.0, "middle": 1.0, "high": 2.0},
        {"feature": 1, "low": 1.0, "middle": 1.0, "high": 2.0},
        {"feature": "v", "low": "1", "middle": 1.0, "high": 2.0},
        {"feature": "v", "low": 1.0},
    ],
)
def test_a_stored_scale_of_another_form_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Scale.from_json(stored)


@pytest.mark.parametrize("scores", [list(range(39)), [*range(40), 0], ["x"] * 50, "text", None])
def test_stored_scores_of_another_form_are_refused(scores: object) -> None:
    with pytest.raises(InputError):
        Calibration.from_json(scores)
