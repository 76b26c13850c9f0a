"""An example of every figure; made up, for looking at the report, and marked as simulated."""

import math

import pytest

from project01.report import (
    BacktestPart,
    CalibrationPoint,
    DataPart,
    EvidencePart,
    Figure,
    Figures,
    ForecastPart,
    ForecastRow,
    HoldoutPart,
    ManifestPart,
    ModelPart,
    SensitivityPart,
    SeriesPart,
    VerdictPart,
)


def figure(value: float, error: float = 0.01) -> Figure:
    return Figure(
        value=value, standard_error=error, low=value - 1.64 * error, high=value + 1.64 * error, n=500, method="example"
    )


def forecast_rows(symbols: list[str]) -> list[ForecastRow]:
    rows = []
    for rank, symbol in enumerate(symbols, start=1):
        mean = 0.01 - 0.0004 * rank
        rows.append(
            ForecastRow(
                rank=rank, symbol=symbol, mean=mean, q05=mean - 0.05, q25=mean - 0.02, q50=mean, q75=mean + 0.02,
                q95=mean + 0.05, drivers={"ret_21": 0.0012, "rsi_14": -0.0004},
            )
        )  # fmt: skip
    return rows


def backtest_part(sessions: list[str]) -> BacktestPart:
    steps = range(len(sessions))
    equity = [math.exp(0.0003 * t + 0.02 * math.sin(t / 20)) for t in steps]
    return BacktestPart(
        rule="Each session a fifth of the book goes to the best tenth of the symbols, equally weighted.",
        costs=["commission 0.5 bps of value", "slippage 9.5 bps of value"], sessions=len(sessions),
        annual_return=figure(0.07, 0.06), volatility=figure(0.15), sharpe=figure(0.47, 0.4), sortino=figure(0.6, 0.5),
        max_drawdown=-0.21, drawdown_from=sessions[10], drawdown_to=sessions[60], turnover_annual=18.2,
        costs_annual=0.018, excess_annual=figure(-0.01, 0.03), equal_weight_annual=figure(0.08, 0.06),
        excess_sharpe=figure(-0.2, 0.4), excess_deflated_sharpe=0.05, fits=120,
        index_annual=None, trials=42, probabilistic_sharpe=0.87, deflated_sharpe=0.31, expected_best_by_luck=0.66,
        min_track_record_sessions=3120.0, orders_refused=3, notes=["DYN was sold at its last price."],
        series=SeriesPart(
            sessions=sessions, strategy=equity, equal_weight=[math.exp(0.00035 * t) for t in steps], index=None,
            drawdown=[e / max(equity[: t + 1]) - 1 for t, e in enumerate(equity)],
        ),
    )  # fmt: skip


def model_part(name: str, *, traded: bool) -> ModelPart:
    return ModelPart(
        name=name, traded=traded, baseline=not traded, rank_ic=figure(0.009, 0.0045), ic=figure(0.008, 0.0045),
        hit_rate=figure(0.503, 0.002), pinball_loss=0.0091, coverage_50=figure(0.496, 0.01),
        coverage_90=figure(0.893, 0.01), net_sharpe=figure(0.47, 0.4), net_annual_return=figure(0.07, 0.06),
        excess_annual=figure(-0.01, 0.03), deflated_sharpe=0.31,
    )  # fmt: skip


def evidence_part(sessions: list[str]) -> EvidencePart:
    ic = [0.1 * math.sin(7 * t) for t in range(len(sessions))]
    return EvidencePart(
        ic_sessions=sessions, ic_by_session=list(ic),
        ic_rolling=[None if t < 62 else sum(ic[t - 62 : t + 1]) / 63 for t in range(len(ic))],
        decile_returns=[figure(0.001 + 0.0002 * n, 0.0004) for n in range(10)],
        calibration=[CalibrationPoint(level=q, observed=figure(q - 0.004)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)],
        importance={f"feature_{n}": 0.002 / (n + 1) for n in range(24)},
    )  # fmt: skip


def example(symbols: list[str], *, simulated: bool = True) -> Figures:
    sessions = [f"20{10 + t // 240}-{1 + t % 240 // 20:02d}-{1 + t % 20:02d}" for t in range(500)]
    return Figures(
        verdict=VerdictPart(
            kind="no edge after costs",
            sentence="No edge after costs: -1.0 % a year against equal weight [-5.9 %, 3.9 %] over 500 sessions.",
            reasons=["The interval of the excess return holds zero.", "42 trials were made."],
        ),
        data=DataPart(
            label="example", simulated=simulated, fill_price="open", symbols=len(symbols), sessions=500,
            first_session=sessions[0], last_session=sessions[-1], rows_read=10_000, rows_accepted=9_990,
            rows_refused=10, read_as=["bars.csv: session from 'date', symbol, close; YYYY-MM-DD; no volume"],
            refused_by_reason={"open_outside_range": 7, "unadjusted_split": 3},
            notes=["Only names that still traded at the end are here: results are flattered."],
            features_used=["ret_5", "ret_21"], features_left_out={"atr_14": "needs high and low"}, delisted=["DYN"],
        ),
        forecasts=ForecastPart(as_of=sessions[-1], horizon=5, model="lightgbm", rows=forecast_rows(symbols)),
        models=[model_part("lightgbm", traded=True), model_part("zero", traded=False)],
        backtest=backtest_part(sessions), evidence=evidence_part(sessions),
        sensitivity=SensitivityPart(
            cost_bps=[0, 5, 10, 20, 30, 50], delay_bars=[0, 1, 2, 3],
            annual_excess=[[0.02 - 0.001 * c - 0.003 * d for c in (0, 5, 10, 20, 30, 50)] for d in range(4)],
            sharpe=[[0.9 - 0.02 * c - 0.1 * d for c in (0, 5, 10, 20, 30, 50)] for d in range(4)], break_even_bps=20.0,
        ),
        holdout=HoldoutPart(
            state="sealed", first_session="2017-01-03", reason=None, trials_before=None, trials_since=None, sessions=0,
            excess_annual=None, rank_ic=None,
        ),
        manifest=ManifestPart(
            command="project01 run --simulate", seed=7, settings_hash="a" * 16, code_hash="b" * 16, lock_hash="c" * 16,
            data_digest="d" * 16, feature_hash="e" * 16, libraries={"polars": "2"},
            trial_chain="f" * 16,
        ),
    )  # fmt: skip


@pytest.fixture
def figures() -> Figures:
    return example([f"SYM{n:02d}" for n in range(20)])
