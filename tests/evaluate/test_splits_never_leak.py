"""Walk-forward folds: no training label reaches the first forecast, nothing is tested twice."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import InputError, NotEnoughDataError
from project01.evaluate import WalkForward

DAY = np.timedelta64(1, "D")
START = np.datetime64("2010-01-04T21:00", "us")


@given(st.data())
def test_no_training_label_reaches_the_first_forecast(data: st.DataObject) -> None:
    sessions = data.draw(st.integers(30, 80))
    horizon = data.draw(st.integers(1, 6))
    split = WalkForward(
        train_sessions=data.draw(st.integers(5, 15)),
        test_sessions=data.draw(st.integers(1, 12)),
        purge=horizon + data.draw(st.integers(0, 3)),
        horizon=horizon,
        embargo=data.draw(st.integers(0, 3)),
        window=data.draw(st.sampled_from(["rolling", "expanding"])),
    )
    row = np.repeat(np.arange(sessions), 3)
    # Halts delay some labels well beyond the horizon.
    late = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(row), max_size=len(row))))
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(row))
    as_of = (START + row * DAY)[order]
    known = as_of + (horizon + 1 + late[order]) * DAY
    tested = np.zeros(len(row), dtype=int)
    for fold in split.split(as_of, known):
        first = as_of[fold.test].min()
        assert fold.test_first == first
        assert fold.test_last == as_of[fold.test].max()
        assert not (fold.train & fold.test).any()
        if fold.train.any():
            assert known[fold.train].max() < first
            assert as_of[fold.train].max() <= first - (split.purge + 1) * DAY
            assert as_of[fold.train].min() >= fold.train_first
        if split.window == "rolling":
            assert len(np.unique(as_of[fold.train])) <= split.train_sessions
        tested += fold.test
    assert tested.max() == 1
    assert (tested == 1).sum() == 3 * (sessions - split.train_sessions - split.purge)


def test_windows_by_hand() -> None:
    as_of = START + np.arange(12) * DAY
    folds = list(WalkForward(train_sessions=4, test_sessions=3, purge=2, horizon=1).split(as_of, as_of + 2 * DAY))
    assert [np.flatnonzero(f.train).tolist() for f in folds] == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert [np.flatnonzero(f.test).tolist() for f in folds] == [[6, 7, 8], [9, 10, 11]]
    wide = WalkForward(train_sessions=4, test_sessions=3, purge=2, horizon=1, window="expanding")
    assert np.flatnonzero(list(wide.split(as_of, as_of + 2 * DAY))[1].train).tolist() == [0, 1, 2, 3, 4, 5, 6]
    gap = WalkForward(train_sessions=4, test_sessions=1, purge=1, horizon=1, embargo=1)
    # Each single tested time t bars t + 1 from later training: of 4, 5, 6, 7 the last two followed a test window.
    later = list(gap.split(as_of, as_of + DAY))[4]
    assert np.flatnonzero(later.test).tolist() == [9]
    assert np.flatnonzero(later.train).tolist() == [4, 5]


def test_a_label_not_yet_known_is_tested_but_never_trained_on() -> None:
    as_of = START + np.arange(12) * DAY
    known = as_of + 2 * DAY
    known[[1, 8]] = np.datetime64("NaT")
    first = next(iter(WalkForward(train_sessions=4, test_sessions=3, purge=2, horizon=1).split(as_of, known)))
    assert np.flatnonzero(first.train).tolist() == [0, 2, 3]
    assert first.test[8]


def test_purge_below_the_horizon_is_refused() -> None:
    with pytest.raises(InputError, match="purge >= 5"):
        WalkForward(train_sessions=10, test_sessions=5, purge=4, horizon=5)
    with pytest.raises(TypeError):
        WalkForward(train_sessions=10, test_sessions=5, horizon=5)  # type: ignore[call-arg]


def test_too_short_a_history_is_refused() -> None:
    as_of = START + np.arange(12) * DAY
    with pytest.raises(NotEnoughDataError, match="12 forecast times"):
        list(WalkForward(train_sessions=10, test_sessions=1, purge=2, horizon=1).split(as_of, as_of))


def test_a_million_rows_are_split_in_well_under_a_second_of_cpu() -> None:
    as_of = START + np.repeat(np.arange(2858), 350) * DAY
    begin = time.process_time()
    folds = list(WalkForward(train_sessions=1260, test_sessions=252, purge=6, horizon=5).split(as_of, as_of + 7 * DAY))
    assert len(folds) == 7
    assert time.process_time() - begin < 1.0
