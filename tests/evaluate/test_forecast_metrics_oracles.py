"""Forecast metrics against scipy date by date, and numbers worked by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from project01.domain import QUANTILES, SchemaError, quantile_column
from project01.evaluate import (
    calibration,
    coverage,
    group_returns,
    hit_rate,
    ic_by_time,
    information_coefficient,
    pinball_loss,
    scored,
)

DAY0 = datetime(2020, 1, 2, 21, tzinfo=UTC)


def rows_of(days: list[list[tuple[float, float | None]]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"symbol": f"S{i}", "as_of": DAY0 + timedelta(days=d), "mean": forecast, "label": label}
            for d, pairs in enumerate(days)
            for i, (forecast, label) in enumerate(pairs)
        ],
        schema={"symbol": pl.String, "as_of": pl.Datetime("us", "UTC"), "mean": pl.Float64, "label": pl.Float64},
    )


# Few distinct values, so that ties are common; None and NaN are missing outcomes.
PAIR = st.tuples(
    st.integers(-3, 3).map(float), st.one_of(st.integers(-3, 3).map(float), st.none(), st.just(float("nan")))
)


@given(st.lists(st.lists(PAIR, min_size=1, max_size=8), min_size=1, max_size=6))
def test_ic_equals_scipy_date_by_date_with_ties_and_missing_outcomes(days: list[list[tuple[float, float]]]) -> None:
    found = ic_by_time(rows_of(days))
    assert found.height == len(days)
    for pairs, (_, ic, rank_ic, assets) in zip(days, found.iter_rows(), strict=True):
        kept = [(f, y) for f, y in pairs if y is not None and not np.isnan(y)]
        assert assets == len(kept)
        x, y = (np.array(side) for side in zip(*kept, strict=True)) if kept else (np.array([]), np.array([]))
        if len(kept) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
            assert np.isnan(ic)
            assert np.isnan(rank_ic)
        else:
            assert ic == pytest.approx(pearsonr(x, y).statistic, abs=1e-9)
            assert rank_ic == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


def test_a_constant_forecast_has_no_ic_even_where_rounding_moves_it() -> None:
    # 0.1 has no exact binary form: the variance of its copies is not exactly zero.
    found = ic_by_time(rows_of([[(0.1, 1.0), (0.1, 2.0), (0.1, 4.0)], [(1.0, 0.3), (2.0, 0.3), (4.0, 0.3)]]))
    assert np.isnan(found["ic"].to_numpy()).all()
    assert np.isnan(found["rank_ic"].to_numpy()).all()
    assert np.isnan(information_coefficient(rows_of([[(0.1, 1.0)] * 3]), 1).value)


def test_rows_in_any_order_give_the_same_ic() -> None:
    generator = np.random.default_rng(2)
    days = [[(float(a), float(b)) for a, b in generator.normal(size=(9, 2))] for _ in range(20)]
    rows = rows_of(days)
    assert ic_by_time(rows).equals(ic_by_time(rows.sample(fraction=1.0, shuffle=True, seed=1).sort("as_of", "symbol")))
    shuffled = ic_by_time(rows.sample(fraction=1.0, shuffle=True, seed=1))
    assert np.allclose(shuffled["rank_ic"], ic_by_time(rows)["rank_ic"], atol=1e-12)


def test_hit_rate_leaves_out_silent_forecasts_and_unknown_outcomes() -> None:
    rows = rows_of([[(1.0, 2.0), (-1.0, 3.0), (0.0, 1.0), (1.0, float("nan"))], [(-2.0, -1.0), (3.0, None)]])
    # First day 1 of 2, second 1 of 1; days count alike.
    assert hit_rate(rows, 1).value == pytest.approx(0.75)


def test_pinball_loss_coverage_and_calibration_by_hand() -> None:
    rows = rows_of([[(0.0, 0.0), (0.0, 3.0)]]).with_columns(
        pl.lit(float(number) - 2).alias(quantile_column(level)) for number, level in enumerate(QUANTILES)
    )
    # Quantiles -2, -1, 0, 1, 2. Outcome 0: .05*2 + .25*1 + 0 + .25*1 + .05*2 = .7; outcome 3:
    # .05*5 + .25*4 + .5*3 + .75*2 + .95*1 = 5.2. Mean over ten losses .59.
    assert pinball_loss(rows) == pytest.approx(0.59)
    assert coverage(rows, 0.05, 0.95, 1).value == pytest.approx(0.5)
    assert [share.value for _, share in calibration(rows, 1)] == [0.0, 0.0, 0.5, 0.5, 0.5]


def test_coverage_of_true_quantiles_is_right_and_its_error_counts_days_not_rows() -> None:
    generator = np.random.default_rng(8)
    common = generator.normal(size=400)
    label = np.repeat(common, 30) * 0.9 + generator.normal(size=12_000) * np.sqrt(0.19)
    rows = rows_of([[(0.0, 0.0)] * 30] * 400).with_columns(
        pl.Series("label", label), pl.lit(-1.6448536).alias("q05"), pl.lit(1.6448536).alias("q95")
    )
    found = coverage(rows, 0.05, 0.95, 1)
    assert abs(found.value - 0.9) < 3 * found.standard_error
    # Rows taken for independent would claim sqrt(.09 / 12000) = .0027.
    assert found.standard_error > 3 * 0.0027


def test_groups_rise_with_a_true_forecast_and_shrink_with_few_assets() -> None:
    days = [[(float(i), i * 0.01) for i in range(20)] for _ in range(5)]
    means = [estimate.value for estimate in group_returns(rows_of(days), 1)]
    assert means == pytest.approx([(2 * g + 0.5) * 0.01 for g in range(10)])
    assert len(group_returns(rows_of([day[:7] for day in days]), 1)) == 3
    assert group_returns(rows_of([[(0.0, 1.0)] * 6] * 3), 1) == []


def test_scored_keeps_only_known_outcomes_and_refuses_two_models_at_once() -> None:
    rows = rows_of([[(1.0, 2.0), (2.0, float("nan")), (3.0, None)]])
    assert scored(rows.drop("label"), rows)["symbol"].to_list() == ["S0"]
    with pytest.raises(SchemaError, match="one model at a time"):
        scored(pl.concat([rows, rows]).drop("label"), rows)
