"""Combinatorial purged cross-validation: many back-tests of one history, none of them with a leaked label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, NotEnoughDataError


@dataclass(frozen=True)
class CombinatorialFold:
    """One choice of test groups.

    Attributes:
        number: counted from 0, in the order of `combinations`.
        test_groups: numbers of the groups of times forecast.
        train: shape (n_rows,), the rows to fit on.
        test: shape (n_rows,), the rows to forecast.
    """

    number: int
    test_groups: tuple[int, ...]
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CombinatorialPurged:
    """Cut time into groups, forecast each choice of `test_groups` of them from the others.

    Every time is forecast in C(n - 1, k - 1) of the C(n, k) splits, so that the forecasts make up as many paths
    through the whole history. A model is fitted on later times too: this measures how stable a result is, not what
    could have been earned. Only a walk-forward does that.

    Attributes:
        groups: n, runs of as_of times of equal length (to one time).
        test_groups: k, forecast together; below `groups`.
        embargo: as_of times, after the last label of a test group is known, that no training row may stand at.

    Source:
        López de Prado, Advances in Financial Machine Learning, 2018, ch. 7 and 12.
    """

    groups: int
    test_groups: int
    embargo: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.test_groups < self.groups or self.embargo < 0:
            raise InputError(
                f"Found {self.test_groups} test groups of {self.groups} and an embargo of {self.embargo}; expected at "
                "least 1 test group, fewer than there are groups, and an embargo of at least 0."
            )

    @property
    def splits(self) -> int:
        """C(n, k): models to fit."""
        return comb(self.groups, self.test_groups)

    def paths(self) -> NDArray[np.int64]:
        """Which split forecasts which group on which path: split numbers, shape (C(n - 1, k - 1), n).

        Each split and group of it is used on one path.
        """
        chosen = list(combinations(range(self.groups), self.test_groups))
        testing = [[number for number, some in enumerate(chosen) if group in some] for group in range(self.groups)]
        return np.array(testing, dtype=np.int64).T

    def group_of(self, as_of: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Number of the group that each row's time is in; shape (n_rows,).

        Raises:
            NotEnoughDataError: there are fewer times than groups.
        """
        times, position = np.unique(as_of, return_inverse=True)
        if len(times) < self.groups:
            raise NotEnoughDataError(f"{len(times)} forecast times cannot be cut into {self.groups} groups.")
        sizes = [len(part) for part in np.array_split(np.arange(len(times)), self.groups)]
        return np.repeat(np.arange(self.groups), sizes)[position]

    def split(
        self, as_of: NDArray[np.datetime64], label_known_at: NDArray[np.datetime64]
    ) -> Iterator[CombinatorialFold]:
        """Folds over rows.

        A row trains if the time from its as_of to its label's overlaps that of no test row, and if it does not stand
        in an embargo.

        Args:
            as_of: shape (n_rows,), datetime64[us], when each row's features were known.
            label_known_at: shape (n_rows,), when its label was known; not before as_of.
        Raises:
            InputError: a label is known before its as_of, or never.
            NotEnoughDataError: there are fewer times than groups.
        """
        if not bool((label_known_at >= as_of).all()):
            raise InputError("A label is known before its as_of, or at no time; leave out rows without a label.")
        group = self.group_of(as_of)
        clear = np.stack([self._clear_of(group == number, as_of, label_known_at) for number in range(self.groups)])
        for number, chosen in enumerate(combinations(range(self.groups), self.test_groups)):
            tested = np.zeros(self.groups, dtype=bool)
            tested[list(chosen)] = True
            yield CombinatorialFold(number, chosen, np.logical_and.reduce(clear[tested]), tested[group])

    def _clear_of(
        self, test: NDArray[np.bool_], as_of: NDArray[np.datetime64], label_known_at: NDArray[np.datetime64]
    ) -> NDArray[np.bool_]:
        times, position = np.unique(as_of, return_inverse=True)
        known_before = label_known_at < as_of[test].min()
        opens = np.searchsorted(times, label_known_at[test].max(), side="right") + self.embargo
        return np.asarray(known_before | (position >= opens))

    def assemble(self, as_of: NDArray[np.datetime64], by_split: Sequence[FloatArray]) -> FloatArray:
        """Forecasts of all splits put together into paths.

        Args:
            as_of: shape (n_rows,), as given to `split`.
            by_split: for each split in order, shape (n_rows,); what stands outside its test rows is not read.
        Returns:
            Shape (n_paths, n_rows): on each path one forecast of each row.
        Raises:
            InputError: there is not one array of forecasts for each split.
        """
        if len(by_split) != self.splits:
            raise InputError(f"Found forecasts of {len(by_split)} splits; expected {self.splits}.")
        stacked = np.stack(list(by_split))
        return stacked[self.paths()[:, self.group_of(as_of)], np.arange(len(as_of))]
