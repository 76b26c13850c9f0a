"""Trade each forecaster's out-of-sample forecasts with costs, beside equal weight and the index."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl

from project01.backtest import (
    BacktestResult,
    Constructed,
    EqualWeight,
    Market,
    Signal,
    TargetWeights,
    market_from_bars,
    overlapping_targets,
    run_backtest,
)
from project01.domain import FloatArray, TradingCalendar, trading_calendar
from project01.evaluate import (
    SESSIONS_A_YEAR,
    Fall,
    Trial,
    TrialLedger,
    annual_mean,
    deepest_drawdowns,
    digest_of_returns,
    performance,
    scored,
    sharpe_per_session,
)
from project01.models import POINT_MODELS, load_forecaster
from project01.pipelines.claims import Claim, enter
from project01.pipelines.costs import cost_models, cost_words
from project01.pipelines.evidence import (
    BACKTEST,
    EXCESS,
    FIT,
    NET,
    evidence_part,
    figure,
    forecast_figures,
    holdout_part,
    or_missing,
    plain,
)
from project01.pipelines.features import read_feature_rows
from project01.pipelines.frontier import frontier_part
from project01.pipelines.holdout import read_labels, readable_until
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_bars, read_industries
from project01.pipelines.portfolio import book_of, rule_words, uncertainty, yardstick_notes
from project01.pipelines.sharpe import Luck
from project01.pipelines.tear_sheet import Sheet, tear_sheet_part, write_trades
from project01.pipelines.train import FORECASTS
from project01.pipelines.workspace import Workspace, code_hash, content_hash, write_atomically
from project01.report import BacktestPart, EvidencePart, Figure, HoldoutPart, ModelPart, SeriesPart
from project01.settings import Settings

Told = Callable[[int, int, str], None]
Index = tuple[list[float | None] | None, Figure | None]


@dataclass(frozen=True)
class Traded:
    """One forecaster's back-test."""

    name: str
    result: BacktestResult
    net: FloatArray
    excess: FloatArray
    notes: tuple[str, ...]


def signal_of(forecasts: pl.DataFrame, calendar: TradingCalendar, market: Market) -> Signal:
    """Forecasts of every market session from the first to the last; NaN where there is none.

    A forecast stands at the close of the last session that had opened when it could be made. That is its bar's own
    session, unless the bar came late: then it is traded late too, and never in the session it tells of. Of two
    forecasts of a symbol that stand at one session the later one counts.

    Args:
        forecasts: columns symbol, as_of, mean and, where their uncertainty is known, q05 and q95.
        calendar: of the exchange.
        market: to trade in.
    """
    as_of = forecasts["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    opened = calendar.sessions[np.searchsorted(calendar.opens, as_of, side="right") - 1]
    stands = pl.Series("day", np.searchsorted(market.sessions, opened, side="right") - 1)
    rows = (
        forecasts.with_columns(stands)
        .sort("as_of", "symbol")
        .unique(["symbol", "day"], keep="last", maintain_order=True)
    )
    day = rows["day"].to_numpy()
    first, last = int(day.min()), int(day.max())
    names, column = np.unique(rows["symbol"].to_numpy().astype(str), return_inverse=True)
    values = np.full((last - first + 1, len(names)), np.nan)
    values[day - first, column] = rows["mean"].to_numpy()
    spread = np.full(values.shape, np.nan)
    if "q95" in rows.columns:
        spread[day - first, column] = uncertainty(rows)
    return Signal(market.sessions[first : last + 1], tuple(str(name) for name in names), values, spread)


class Desk:
    """Runs every back-test of one run on the same market, sessions and costs."""

    def __init__(self, market: Market, settings: Settings, signal: Signal) -> None:
        self.market, self.settings = market, settings
        self.costs = cost_models(settings.costs)
        self.yardstick = overlapping_targets(signal, market, EqualWeight(), settings.forecast.horizon)
        self.equal = self.run(self.yardstick)
        self._books: dict[int, tuple[Signal, Constructed]] = {}

    def book(self, signal: Signal) -> Constructed:
        """Weights by the run's rule, worked out once for each signal."""
        if id(signal) not in self._books:  # the signal is kept beside its book, so its id stays its own
            self._books[id(signal)] = signal, book_of(signal, self.market, self.settings)
        return self._books[id(signal)][1]

    def targets(self, signal: Signal) -> TargetWeights:
        """Weights by the run's rule."""
        return self.book(signal).targets

    def run(self, targets: TargetWeights) -> BacktestResult:
        """One back-test with the run's costs."""
        cash = self.settings.portfolio.initial_cash_usd
        return run_backtest(self.market, targets, self.costs, initial_cash=cash)

    def trade(self, name: str, signal: Signal) -> Traded:
        """Back-test one forecaster's signals over the yardstick's sessions."""
        result = self.run(self.targets(signal))
        notes = result.notes + self.book(signal).notes
        if name == self.settings.forecast.models[0]:
            notes += yardstick_notes(signal, self.market, self.settings, self.run)
        net = np.nan_to_num(result.net_returns, nan=-1.0)
        return Traded(name, result, net, net - self.equal.net_returns, notes)


def _claim(traded: Traded, seed: int, chosen: str, digest: str, name: str, returns: FloatArray) -> Claim:
    sessions = traded.result.sessions[1:]
    trial = Trial(
        model=traded.name, purpose=BACKTEST, fold=-1, seed=seed,
        settings_hash=chosen, data_digest=digest, code_hash=code_hash(), rows=len(returns),
        score=plain(sharpe_per_session(returns)), score_name=name,
        returns_digest=digest_of_returns(sessions, returns),
    )  # fmt: skip
    return Claim(trial, sessions, returns)


def _model_part(traded: Traded, rows: pl.DataFrame, settings: Settings, luck: Luck) -> ModelPart:
    return ModelPart(
        name=traded.name,
        traded=traded.name == settings.forecast.models[0],
        baseline=POINT_MODELS[traded.name]().is_baseline,
        net_sharpe=luck.figure(traded.net),
        net_annual_return=or_missing(lambda: annual_mean(traded.net)),
        excess_annual=or_missing(lambda: annual_mean(traded.excess)),
        **forecast_figures(rows, settings.forecast.horizon),
    )


def _index_series(workspace: Workspace, result: BacktestResult) -> Index:
    """The index over the same sessions, starting at 1; None where there is none for the whole span."""
    index = read_bars(workspace.lake, readable_until(workspace))[1]
    if index is None:
        return None, None
    sessions = pl.DataFrame({"session": pl.Series(result.sessions).cast(pl.Date)})
    close = sessions.join(index, on="session", how="left", maintain_order="left")["close"].forward_fill()
    if close.null_count():
        return None, None
    level = close.to_numpy().astype(np.float64)
    series: list[float | None] = [float(v) for v in level / level[0]]
    return series, or_missing(lambda: annual_mean(level[1:] / level[:-1] - 1.0))


def _days(sessions: Any) -> list[str]:
    return [str(day) for day in sessions.astype("datetime64[D]")]


def _series_part(traded: Traded, equal: BacktestResult, index: list[float | None] | None) -> SeriesPart:
    equity = np.concatenate([[1.0], np.cumprod(1.0 + traded.net)])
    base = np.concatenate([[1.0], np.cumprod(1.0 + equal.net_returns)])
    return SeriesPart(
        sessions=_days(traded.result.sessions),
        strategy=[float(v) for v in equity],
        equal_weight=[float(v) for v in base],
        index=index,
        drawdown=[float(v) for v in equity / np.maximum.accumulate(equity) - 1.0],
    )


def _backtest_part(
    traded: Traded, desk: Desk, settings: Settings, ledger: TrialLedger, lucks: dict[str, Luck], index: Index
) -> BacktestPart:
    found = performance(traded.net, settings.forecast.seed)
    days = _days(traded.result.sessions)
    fall = next(iter(deepest_drawdowns(traded.net, 1)), Fall(0.0, 0, 0, 0))
    costs = traded.result.cost_cents[1:].sum(axis=1) / np.maximum(traded.result.equity_cents[:-1], 1)
    return BacktestPart(
        rule=rule_words(settings), costs=cost_words(settings.costs), sessions=found.sessions,
        annual_return=figure(found.annual_return), volatility=figure(found.volatility),
        sharpe=lucks[NET].figure(traded.net), sortino=figure(found.sortino),
        max_drawdown=found.drawdown.depth, drawdown_from=days[fall.peak],
        drawdown_to=days[fall.trough],
        turnover_annual=float(traded.result.turnover.mean() * SESSIONS_A_YEAR),
        costs_annual=float(costs.mean() * SESSIONS_A_YEAR),
        excess_annual=figure(annual_mean(traded.excess)), excess_sharpe=lucks[EXCESS].figure(traded.excess),
        equal_weight_annual=figure(annual_mean(desk.equal.net_returns)), index_annual=index[1],
        trials=lucks[NET].trials, overfitting=lucks[EXCESS].overfitting(),
        fits=sum(t.purpose == FIT for t in ledger.trials),
        orders_refused=traded.result.refused.height, notes=list(traded.notes),
        series=_series_part(traded, desk.equal, index[0]),
    )  # fmt: skip


def _sheet(traded: Traded, desk: Desk, settings: Settings, luck: Luck, index: list[float | None] | None) -> Sheet:
    level = None if index is None else np.array(index, dtype=np.float64)
    path = settings.features.industries
    return Sheet(
        desk.market, traded.result, traded.net, desk.equal.net_returns,
        None if level is None else level[1:] / level[:-1] - 1.0, luck, None if path is None else read_industries(path),
    )  # fmt: skip


def _importance(workspace: Workspace, model: str) -> dict[str, float]:
    """Mean absolute SHAP value of each feature over the newest forecasts."""
    trained = workspace.require("train", "train").summary["models"]
    forecaster = load_forecaster(workspace.models / model, expected_id=trained[model])
    rows = read_feature_rows(workspace, forecaster.feature_names, END_OF_TIME)
    values = np.abs(forecaster.contributions(rows)).mean(axis=0)
    return {name: float(value) for name, value in zip(forecaster.feature_names, values, strict=True)}


def _best_naive(parts: list[ModelPart]) -> tuple[str, float] | None:
    """The best baseline by excess over equal weight; the traded model does not count."""
    naive = [(p.name, p.excess_annual.value) for p in parts if p.baseline and not p.traded]
    known = [(name, value) for name, value in naive if value is not None]
    return max(known, key=lambda item: item[1]) if known else None


def enter_backtests(
    workspace: Workspace, all_traded: list[Traded], settings: Settings, digest: str, forecasts: pl.DataFrame
) -> TrialLedger:
    """Enter back-tests in the claim ledger, net and above equal weight.

    Args:
        workspace: of the run.
        all_traded: what was traded.
        settings: of the run.
        digest: of what the forecasters learned from.
        forecasts: with model_id where models made them, by which two versions of one name are two trials.
    """
    claims = []
    for traded in all_traded:
        rows = forecasts.filter(pl.col("model") == traded.name) if "model" in forecasts.columns else forecasts
        made_by = rows["model_id"].unique().sort().to_list() if "model_id" in rows.columns else []
        chosen = content_hash(settings.result_hash(), made_by)
        claims.append(_claim(traded, settings.forecast.seed, chosen, digest, NET, traded.net))
        claims.append(_claim(traded, settings.forecast.seed, chosen, digest, EXCESS, traded.excess))
    return enter(workspace, claims)


def backtest(workspace: Workspace, settings: Settings, digest: str, told: Told) -> dict[str, Any]:
    """Back-test every forecaster, then look closely at the traded one.

    Writes ``backtest.json`` (parts of the report), ``trades.csv`` and ``trades.parquet``.

    Returns:
        Figures of the step.
    """
    lake = workspace.lake
    forecasts = lake.scan(FORECASTS.name).collect()
    until = readable_until(workspace)
    labels = read_labels(workspace, until)
    market = market_from_bars(read_bars(lake, until)[0])
    calendar = trading_calendar(settings.data.calendar)
    by_model = forecasts.group_by("model", maintain_order=True)
    signals = {name: signal_of(rows, calendar, market) for (name,), rows in by_model}
    traded_model = settings.forecast.models[0]
    desk = Desk(market, settings, signals[traded_model])
    all_traded = []
    # A forecaster that training left out has no forecasts to trade.
    names = [name for name in settings.forecast.models if name in signals]
    for number, name in enumerate(names):
        all_traded.append(desk.trade(name, signals[name]))
        told(number + 1, len(names), name)
    ledger = enter_backtests(workspace, all_traded, settings, digest, forecasts)
    rows = {name: scored(forecasts.filter(pl.col("model") == name), labels) for name in names}
    lucks = {name: Luck.of(workspace, ledger, name, desk.equal.sessions[1:]) for name in (NET, EXCESS)}
    models = [_model_part(traded, rows[traded.name], settings, lucks[NET]) for traded in all_traded]
    chosen = all_traded[0]
    index = _index_series(workspace, chosen.result)
    parts = {
        "models": models,
        "backtest": _backtest_part(chosen, desk, settings, ledger, lucks, index),
        "evidence": evidence_part(rows[traded_model], settings.forecast.horizon, _importance(workspace, traded_model)),
        "frontier": frontier_part(
            market,
            desk.targets(signals[traded_model]),
            desk.yardstick,
            lucks[NET],
            initial_cash=settings.portfolio.initial_cash_usd,
            threads=settings.compute.threads,
        ),
        "tear_sheet": tear_sheet_part(_sheet(chosen, desk, settings, lucks[NET], index[0])),
        "holdout": holdout_part(
            ledger, chosen.result.sessions[1:], chosen.excess, rows[traded_model], settings.forecast.horizon
        ),
    }
    save_parts(workspace, parts)
    write_trades(workspace.root, chosen.result)
    return _summary(parts, _best_naive(models), ledger, desk)


PARTS_FILE = "backtest.json"


def save_parts(workspace: Workspace, parts: dict[str, Any]) -> None:
    """Keep the parts of the report this step knows."""
    content = {k: [m.model_dump() for m in v] if isinstance(v, list) else v.model_dump() for k, v in parts.items()}
    write_atomically(workspace.root / PARTS_FILE, msgspec.json.encode(content, order="sorted"))


def _summary(parts: dict[str, Any], naive: tuple[str, float] | None, ledger: TrialLedger, desk: Desk) -> dict[str, Any]:
    part: BacktestPart = parts["backtest"]
    evidence: EvidencePart = parts["evidence"]
    holdout: HoldoutPart = parts["holdout"]
    return {
        "sessions": part.sessions,
        "excess_annual": part.excess_annual.model_dump(),
        "break_even": parts["frontier"].break_even_sentence,
        "sharpe": part.sharpe.model_dump(),
        "trials": part.trials,
        "deflated_sharpe": part.sharpe.deflated_sharpe,
        "excess_deflated_sharpe": part.excess_sharpe.deflated_sharpe,
        "effective_trials": part.excess_sharpe.effective_trials,
        "sessions_needed": part.excess_sharpe.min_track_record_sessions,
        "overfitting": part.overfitting.probability.value,
        "trials_with_returns": part.overfitting.trials,
        "holdout_excess": None if holdout.excess_annual is None else holdout.excess_annual.model_dump(),
        "best_naive": list(naive) if naive else None,
        "fill_price": desk.market.fill_kind,
        "symbols": len(desk.yardstick.symbols),
        "trial_chain": ledger.head,
        "forecast_times": len(evidence.ic_sessions),
    }
