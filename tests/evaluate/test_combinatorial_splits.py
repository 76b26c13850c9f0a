"""Combinatorial purged cross-validation: no label leaks, every path is whole, and skfolio cuts alike."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.effort import examples

from project01.domain import InputError, NotEnoughDataError
from project01.evaluate import CombinatorialPurged

Times = NDArray[np.datetime64]


def instants(steps: NDArray[np.int64]) -> Times:
    return np.datetime64("2020-01-01", "us") + steps * np.timedelta64(1, "D")


@st.composite
def cases(draw: st.DrawFn) -> tuple[CombinatorialPurged, NDArray[np.int64], NDArray[np.int64]]:
    groups = draw(st.integers(2, 6))
    scheme = CombinatorialPurged(
        groups=groups, test_groups=draw(st.integers(1, groups - 1)), embargo=draw(st.integers(0, 4))
    )
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    steps = np.flatnonzero(generator.random(40) < 0.8)
    as_of = generator.choice(np.concatenate([steps, steps]), size=2 * len(steps), replace=False)
    return scheme, as_of, as_of + generator.integers(0, draw(st.integers(1, 12)), size=len(as_of))


@given(cases())
@settings(max_examples=examples(60), deadline=None)
def test_no_label_overlaps_and_no_path_has_a_hole(
    case: tuple[CombinatorialPurged, NDArray[np.int64], NDArray[np.int64]],
) -> None:
    scheme, as_of, known = case
    times = np.unique(as_of)
    folds = list(scheme.split(instants(as_of), instants(known)))
    assert len(folds) == scheme.splits == comb(scheme.groups, scheme.test_groups)
    group = scheme.group_of(instants(as_of))
    for fold in folds:
        assert np.array_equal(fold.test, np.isin(group, fold.test_groups))
        assert not (fold.train & fold.test).any()
        overlaps = (as_of[:, None] <= known[None, :]) & (as_of[None, :] <= known[:, None])
        assert not overlaps[np.ix_(fold.train, fold.test)].any()
        embargoed = np.zeros(len(as_of), dtype=bool)
        for number in fold.test_groups:
            after = times[times > known[group == number].max()]
            embargoed |= np.isin(as_of, after[: scheme.embargo])
        # All that may train does.
        assert np.array_equal(fold.train, ~overlaps[:, fold.test].any(axis=1) & ~embargoed)
    paths = scheme.paths()
    assert paths.shape == (comb(scheme.groups - 1, scheme.test_groups - 1), scheme.groups)
    used = [(split, group) for path in paths for group, split in enumerate(path)]
    assert sorted(used) == sorted((fold.number, group) for fold in folds for group in fold.test_groups)
    by_split = [np.where(fold.test, 1000.0 * fold.number + np.arange(len(as_of)), np.nan) for fold in folds]
    whole = scheme.assemble(instants(as_of), by_split)
    assert whole.shape == (len(paths), len(as_of))
    assert np.array_equal(whole % 1000, np.tile(np.arange(len(as_of)), (len(paths), 1)))
    assert np.array_equal(whole // 1000, paths[:, group])


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "test_groups", "purge", "embargo"), [(6, 2, 3, 2), (5, 3, 0, 0), (10, 8, 1, 0)])
def test_skfolio_cuts_alike(groups: int, test_groups: int, purge: int, embargo: int) -> None:
    from skfolio.model_selection import CombinatorialPurgedCV

    # Labels of one length, and groups of one size: there the two must agree.
    steps = np.arange(12 * groups)
    other = CombinatorialPurgedCV(groups, test_groups, purge, embargo)
    ours = CombinatorialPurged(groups=groups, test_groups=test_groups, embargo=embargo)
    folds = list(ours.split(instants(steps), instants(steps + purge)))
    theirs = list(other.split(np.zeros((len(steps), 1))))
    assert len(folds) == len(theirs)
    for fold, (train, tests) in zip(folds, theirs, strict=True):
        assert np.array_equal(np.flatnonzero(fold.train), train)
        assert np.array_equal(np.flatnonzero(fold.test), np.sort(np.concatenate(tests)))
    assert np.array_equal(ours.paths(), other.recombined_paths.T)


def test_six_groups_two_tested_make_five_paths() -> None:
    # López de Prado 2018, figure 12.1: 15 splits, 5 paths.
    scheme = CombinatorialPurged(groups=6, test_groups=2)
    assert scheme.splits == 15
    assert scheme.paths()[0].tolist() == [0, 0, 1, 2, 3, 4]
    assert scheme.paths().shape == (5, 6)


def test_what_cannot_be_split_is_refused() -> None:
    for groups, test_groups, embargo in ((4, 4, 0), (4, 0, 0), (4, 1, -1)):
        with pytest.raises(InputError):
            CombinatorialPurged(groups=groups, test_groups=test_groups, embargo=embargo)
    scheme = CombinatorialPurged(groups=4, test_groups=2)
    with pytest.raises(NotEnoughDataError):
        next(scheme.split(instants(np.arange(3)), instants(np.arange(3) + 1)))
    unknown = instants(np.arange(8) + 1)
    unknown[3] = np.datetime64("NaT")
    with pytest.raises(InputError, match="at no time"):
        next(scheme.split(instants(np.arange(8)), unknown))
    with pytest.raises(InputError, match="3 splits"):
        scheme.assemble(instants(np.arange(8)), [np.zeros(8)] * 3)
