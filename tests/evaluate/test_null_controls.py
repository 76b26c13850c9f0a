"""Shuffled labels: no skill left, nothing else changed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from project01.evaluate import information_coefficient, shuffle_labels


def rows() -> pl.DataFrame:
    generator = np.random.default_rng(1)
    signal = generator.normal(size=200 * 12)
    return pl.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(12)] * 200,
            "as_of": [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=d) for d in range(200) for _ in range(12)],
            "mean": signal,
            "label": signal + generator.normal(size=200 * 12),
        }
    )


def test_labels_stay_within_their_time_and_the_rows_in_place() -> None:
    before = rows().sample(fraction=1.0, shuffle=True, seed=9)
    after = shuffle_labels(before, seed=2)
    assert after.drop("label").equals(before.drop("label"))
    assert not after["label"].equals(before["label"])
    dealt = [frame.sort("as_of", "label").select("as_of", "label") for frame in (before, after)]
    assert dealt[0].equals(dealt[1])
    assert after.equals(shuffle_labels(before, seed=2))


def test_skill_is_there_before_and_gone_after() -> None:
    true = information_coefficient(rows(), 1)
    null = information_coefficient(shuffle_labels(rows(), seed=3), 1)
    assert true.value > 20 * true.standard_error
    assert abs(null.value) < 3 * null.standard_error
