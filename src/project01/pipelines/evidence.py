"""Figures of forecasts and back-tests, from `evaluate`, in the form the report shows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, NotEnoughDataError
from project01.evaluate import (
    Estimate,
    TrialLedger,
    annual_mean,
    calibration,
    coverage,
    group_returns,
    hit_rate,
    holdout_of,
    ic_by_time,
    ic_discoveries,
    information_coefficient,
    normal_estimate,
    pinball_loss,
)
from project01.report import CalibrationPoint, Discovery, EvidencePart, Figure, HoldoutPart

BACKTEST, FIT = "back-test", "walk-forward"
ROLLING = 63
COSINES = "equal-weighted cosines, normal interval"
NET, EXCESS = "net_sharpe_per_session", "excess_sharpe_per_session"


def plain(value: float) -> float | None:
    """A number, or None where it is not finite: what JSON can say."""
    return float(value) if math.isfinite(value) else None


def figure(estimate: Estimate) -> Figure:
    """An estimate as the report shows it."""
    return Figure(
        value=plain(estimate.value), standard_error=plain(estimate.standard_error), low=plain(estimate.low),
        high=plain(estimate.high), n=estimate.n, method=estimate.method,
    )  # fmt: skip


def or_missing(compute: Callable[[], Estimate]) -> Figure:
    """The estimate, or a missing figure with the reason where there is too little data."""
    try:
        return figure(compute())
    except NotEnoughDataError as error:
        return Figure(value=None, method=str(error))


def forecast_figures(rows: pl.DataFrame, horizon: int) -> dict[str, Figure | float | None]:
    """Fields of a `ModelPart` that judge forecasts, from scored rows."""
    return {
        "rank_ic": figure(information_coefficient(rows, horizon)),
        "ic": figure(information_coefficient(rows, horizon, "ic")),
        "hit_rate": figure(hit_rate(rows, horizon)),
        "pinball_loss": plain(pinball_loss(rows)),
        "coverage_50": figure(coverage(rows, 0.25, 0.75, horizon)),
        "coverage_90": figure(coverage(rows, 0.05, 0.95, horizon)),
    }


def evidence_part(rows: pl.DataFrame, horizon: int, importance: dict[str, float]) -> EvidencePart:
    """IC through time, group returns, calibration and importance of one model."""
    by_time = ic_by_time(rows)
    rolling = by_time["rank_ic"].fill_nan(None).rolling_mean(ROLLING, min_samples=ROLLING)
    return EvidencePart(
        ic_sessions=by_time["as_of"].dt.date().cast(pl.String).to_list(),
        ic_by_session=[None if v is None else plain(v) for v in by_time["rank_ic"]],
        ic_rolling=[None if v is None else plain(v) for v in rolling],
        **_discoveries(rows, horizon),
        decile_returns=[figure(estimate) for estimate in group_returns(rows, horizon)],
        calibration=[
            CalibrationPoint(level=level, observed=figure(share)) for level, share in calibration(rows, horizon)
        ],
        importance=dict(sorted(importance.items(), key=lambda item: (-item[1], item[0]))),
    )


def _discoveries(rows: pl.DataFrame, horizon: int) -> dict[str, Any]:
    """Fields of an `EvidencePart` on single symbols."""
    tests = ic_discoveries(rows, horizon)
    found = tests.filter("discovered").sort("q_value", "symbol")
    return {
        "symbols_tested": int(tests["q_value"].is_not_null().sum()),
        "discoveries": [
            Discovery(
                symbol=row["symbol"], q_value=row["q_value"],
                ic=figure(normal_estimate(row["ic"], row["standard_error"], row["n"], COSINES)),
            )
            for row in found.iter_rows(named=True)
        ],
    }  # fmt: skip


def holdout_part(
    ledger: TrialLedger, sessions: NDArray[np.datetime64], excess: FloatArray, rows: pl.DataFrame, horizon: int
) -> HoldoutPart:
    """What the ledger says of the holdout and, once it is open, the traded model's figures inside it alone.

    Args:
        ledger: of the run.
        sessions: shape (T,), datetime64[D], of the back-test's returns.
        excess: shape (T,), net return above equal weight.
        rows: scored forecasts of the traded model.
        horizon: of the forecasts.
    """
    found = holdout_of(ledger)
    if found is None:
        return HoldoutPart(
            state="none", first_session=None, reason=None, trials_before=None, trials_since=None, sessions=0,
            excess_annual=None, rank_ic=None,
        )  # fmt: skip
    inside = sessions >= found.first_session
    later = rows.filter(pl.col("as_of") >= found.instant)
    return HoldoutPart(
        state="sealed" if found.sealed else "opened", first_session=str(found.first_session), reason=found.reason,
        trials_before=found.trials_before, trials_since=None if found.sealed else found.trials_since,
        sessions=int(inside.sum()),
        excess_annual=None if found.sealed else or_missing(lambda: annual_mean(excess[inside])),
        rank_ic=None if found.sealed else or_missing(lambda: information_coefficient(later, horizon)),
    )  # fmt: skip
