"""An example of every figure; made up, for looking at the report, and marked as simulated."""

import math

import pytest

from project01.report import (
    BacktestPart,
    Band,
    CalibrationPoint,
    Contribution,
    ContributionsPart,
    CostRow,
    DataPart,
    Discovery,
    DrawdownRow,
    EvidencePart,
    ExposurePart,
    Extremes,
    Figure,
    Figures,
    ForecastPart,
    ForecastRow,
    FrontierPart,
    HoldoutPart,
    ManifestPart,
    ModelPart,
    OverfittingPart,
    RegimeRow,
    RollingPart,
    RoundTripsPart,
    SeriesPart,
    SharpeFigure,
    TearSheetPart,
    VerdictPart,
    YearRow,
)


def figure(value: float, error: float = 0.01) -> Figure:
    return Figure(
        value=value, standard_error=error, low=value - 1.64 * error, high=value + 1.64 * error, n=500, method="example"
    )


def sharpe(value: float, deflated: float) -> SharpeFigure:
    return SharpeFigure(
        **figure(value, 0.4).model_dump(), trials=42, effective_trials=11.5, deflated_sharpe=deflated,
        expected_best_by_luck=0.66, probabilistic_sharpe=0.87, min_track_record_sessions=3120.0,
    )  # fmt: skip


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
        annual_return=figure(0.07, 0.06), volatility=figure(0.15), sharpe=sharpe(0.47, 0.31), sortino=figure(0.6, 0.5),
        max_drawdown=-0.21, drawdown_from=sessions[10], drawdown_to=sessions[60], turnover_annual=18.2,
        costs_annual=0.018, excess_annual=figure(-0.01, 0.03), equal_weight_annual=figure(0.08, 0.06),
        excess_sharpe=sharpe(-0.2, 0.05), fits=120,
        overfitting=OverfittingPart(
            probability=figure(0.4, 0.1), slope=figure(-0.2, 0.1), loss=figure(0.5, 0.1), trials=12, copies=1
        ),
        index_annual=None, trials=42, orders_refused=3,
        notes=["DYN was sold at its last price."],
        series=SeriesPart(
            sessions=sessions, strategy=equity, equal_weight=[math.exp(0.00035 * t) for t in steps], index=None,
            drawdown=[e / max(equity[: t + 1]) - 1 for t, e in enumerate(equity)],
        ),
    )  # fmt: skip


def model_part(name: str, *, traded: bool) -> ModelPart:
    return ModelPart(
        name=name, traded=traded, baseline=not traded, rank_ic=figure(0.009, 0.0045), ic=figure(0.008, 0.0045),
        hit_rate=figure(0.503, 0.002), pinball_loss=0.0091, coverage_50=figure(0.496, 0.01),
        coverage_90=figure(0.893, 0.01), net_sharpe=sharpe(0.47, 0.31), net_annual_return=figure(0.07, 0.06),
        excess_annual=figure(-0.01, 0.03),
    )  # fmt: skip


def evidence_part(sessions: list[str], symbols: list[str]) -> EvidencePart:
    ic = [0.1 * math.sin(7 * t) for t in range(len(sessions))]
    return EvidencePart(
        ic_sessions=sessions, ic_by_session=list(ic),
        ic_rolling=[None if t < 62 else sum(ic[t - 62 : t + 1]) / 63 for t in range(len(ic))],
        decile_returns=[figure(0.001 + 0.0002 * n, 0.0004) for n in range(10)],
        calibration=[CalibrationPoint(level=q, observed=figure(q - 0.004)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)],
        symbols_tested=40, discoveries=[Discovery(symbol=symbols[0], ic=figure(0.05, 0.01), q_value=0.01)],
        importance={f"feature_{n}": 0.002 / (n + 1) for n in range(24)},
    )  # fmt: skip


def band(count: int, level: float) -> Band:
    values: list[float | None] = [None] * 2 + [level + 0.3 * math.sin(t / 9) for t in range(count - 2)]
    low, high = ([None if v is None else v + move for v in values] for move in (-0.5, 0.5))
    return Band(value=values, low=low, high=high)


def tear_sheet_part(sessions: list[str], symbols: list[str]) -> TearSheetPart:
    shown = sessions[252::5]
    cents = [90_000 - 7_000 * n for n in range(len(symbols))]
    rows = [Contribution(name=s, profit_cents=c, of_initial_cash=c / 1e8) for s, c in zip(symbols, cents, strict=True)]
    months: list[float | None] = [None, -0.0001, *(0.12 * math.sin(n) for n in range(10))]
    return TearSheetPart(
        years=[YearRow(year=2010 + n, months=months, total=0.07 - 0.1 * n, equal_weight=0.08) for n in range(2)],
        extremes=[Extremes(period="month", best_when="2011-03", best=0.12, worst_when="2010-09", worst=-0.12)],
        positive_months=figure(0.55, 0.08),
        drawdowns=[
            DrawdownRow(depth=-0.21, peak=sessions[10], trough=sessions[60], recovered=None, sessions_down=50,
                        sessions_up=None, sessions=490),
        ],
        rolling=RollingPart(
            window=252, sessions=shown, sharpe=band(len(shown), 0.4), deflated_sharpe=[None] * 2 + [0.3] * 48,
            trials=42, expected_best_by_luck=0.66, beta_equal_weight=band(len(shown), 1.0), beta_index=None,
        ),
        exposure=ExposurePart(
            sessions=shown, gross=[0.99] * 50, net=[0.98] * 50, names=[20] * 50, largest=[0.1] * 50,
            mean_gross=figure(0.99), mean_net=figure(0.98), largest_ever=0.13,
        ),
        turnover=figure(18.2, 0.4),
        costs=[CostRow(name="commission", total_cents=123_456, usd_a_year=617.0, bps_of_equity=figure(9.1, 0.2),
                       bps_of_traded=0.5)],
        contributions=ContributionsPart(
            initial_cash_cents=100_000_000, profit_cents=sum(cents), by_symbol=rows, by_industry=rows[:2],
        ),
        regimes=[
            RegimeRow(kind="market in the session itself", name="rose", known_before=False, sessions=260,
                      net_annual=figure(0.4, 0.1), excess_annual=figure(0.02, 0.04)),
            RegimeRow(kind="volatility of the 21 before", name="lowest third", known_before=True, sessions=12,
                      net_annual=Figure(value=None), excess_annual=Figure(value=None)),
        ],
        round_trips=RoundTripsPart(
            closed=310, open=4, hit_rate=figure(0.52, 0.03), mean_profit_usd=figure(12.0, 9.0),
            mean_sessions=figure(6.1, 0.1), closed_profit_cents=sum(cents) - 500, open_profit_cents=500,
        ),
    )  # fmt: skip


def frontier_part() -> FrontierPart:
    costs, delays, shares = [0.0, 5.0, 10.0, 20.0, 30.0, 50.0], [0, 1, 2, 3], [None, 0.01, 0.001]

    def grid(start: float, a_bp: float) -> list[list[list[float | None]]]:
        return [[[start - a_bp * c - 0.003 * d - 0.002 * s for c in costs] for d in delays] for s in range(3)]

    return FrontierPart(
        break_even_bps=Figure(value=20.0, low=None, high=41.5, n=499),
        break_even_sentence="Break-even at 20.0 bps of cost, one way: there the excess is gone. Above 41.5 bps too.",
        cost_bps=costs, delay_bars=delays, volume_share=shares, initial_cash_usd=1e6, annual_net=grid(0.1, 0.001),
        annual_excess=grid(0.02, 0.001), excess_low=grid(-0.02, 0.001), excess_high=grid(0.06, 0.001),
        sharpe=grid(0.9, 0.02), deflated_sharpe=grid(0.6, 0.01), trials=42, break_even_grid=[[20.0] * 4] * 3,
        orders_cut=[[0.0] * 4, [0.1] * 4, [0.4] * 4], note="Capital at the start 1,000,000 USD.",
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
        backtest=backtest_part(sessions), evidence=evidence_part(sessions, symbols),
        frontier=frontier_part(), tear_sheet=tear_sheet_part(sessions, symbols),
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
