"""The tear sheet of the traded back-test."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from project01.backtest import (
    BacktestResult,
    Holdings,
    Market,
    exposure,
    holdings,
    profit_by_group,
    profit_by_symbol,
    round_trips,
)
from project01.domain import FloatArray
from project01.evaluate import (
    FEWEST_SESSIONS,
    SESSIONS_A_YEAR,
    Estimate,
    Rolling,
    calendar_returns,
    deepest_drawdowns,
    market_regimes,
    mean_newey_west,
    plain_lag,
    ratio_newey_west,
    regime_mean,
    rolling_beta,
    rolling_sharpe,
)
from project01.pipelines.evidence import figure, plain
from project01.pipelines.sharpe import Luck
from project01.pipelines.workspace import write_atomically
from project01.report import (
    Band,
    Contribution,
    ContributionsPart,
    CostRow,
    DrawdownRow,
    ExposurePart,
    Extremes,
    Figure,
    RegimeRow,
    RollingPart,
    RoundTripsPart,
    TearSheetPart,
    YearRow,
)

SHOWN_EVERY, DEEPEST = 5, 5
NO_INDUSTRY = "not known"


@dataclass(frozen=True)
class Sheet:
    """What a tear sheet is made from.

    Attributes:
        market: all sessions, also those before the back-test.
        result: of the traded model.
        net: shape (n,), its net returns by session, -1 once the book is lost.
        equal: shape (n,), those of equal weight.
        index: shape (n,), those of the index; None without one.
        luck: of all trials.
        industries: symbol, industry and knowledge_time; None where none were given.
    """

    market: Market
    result: BacktestResult
    net: FloatArray
    equal: FloatArray
    index: FloatArray | None
    luck: Luck
    industries: pl.DataFrame | None

    @property
    def days(self) -> list[str]:
        """The back-test's sessions; the first is before any return."""
        return [str(day) for day in self.result.sessions.astype("datetime64[D]")]


def tear_sheet_part(sheet: Sheet) -> TearSheetPart:
    """Every figure of the tear sheet."""
    held = holdings(sheet.market, sheet.result)
    years, extremes, positive = _calendar(sheet)
    return TearSheetPart(
        years=years, extremes=extremes, positive_months=positive, drawdowns=_drawdowns(sheet),
        rolling=_rolling(sheet), exposure=_exposure(sheet, held),
        turnover=figure(_plain_mean(sheet.result.turnover, SESSIONS_A_YEAR)), costs=_costs(sheet.result),
        contributions=_contributions(sheet, held), regimes=_regimes(sheet), round_trips=_round_trips(held),
    )  # fmt: skip


def _plain_mean(values: FloatArray, scale: float) -> Estimate:
    return mean_newey_west(values, plain_lag(len(values))).scaled(scale)


def _calendar(sheet: Sheet) -> tuple[list[YearRow], list[Extremes], Figure]:
    sessions = sheet.result.sessions[1:]
    found, base = calendar_returns(sessions, sheet.net), calendar_returns(sessions, sheet.equal)
    years = [
        YearRow(year=year, months=[plain(v) for v in months], total=float(total), equal_weight=float(equal))
        for year, months, total, equal in zip(found.years, found.months, found.totals, base.totals, strict=True)
        if np.isfinite(total)
    ]
    grid = found.months.ravel()
    known = np.flatnonzero(np.isfinite(grid))
    names = [f"{found.years[cell // 12]}-{cell % 12 + 1:02d}" for cell in known]
    extremes = [
        _extremes("month", names, grid[known]),
        _extremes("year", [str(row.year) for row in years], np.array([row.total for row in years])),
        _extremes("session", sheet.days[1:], sheet.net),
    ]
    return years, extremes, figure(_plain_mean((grid[known] > 0).astype(np.float64), 1.0))


def _extremes(period: str, when: list[str], returns: FloatArray) -> Extremes:
    best, worst = int(np.argmax(returns)), int(np.argmin(returns))
    return Extremes(
        period=period, best_when=when[best], best=float(returns[best]), worst_when=when[worst],
        worst=float(returns[worst]),
    )  # fmt: skip


def _drawdowns(sheet: Sheet) -> list[DrawdownRow]:
    days, last = sheet.days, len(sheet.net)
    return [
        DrawdownRow(
            depth=fall.depth, peak=days[fall.peak], trough=days[fall.trough],
            recovered=None if fall.recovered is None else days[fall.recovered],
            sessions_down=fall.trough - fall.peak,
            sessions_up=None if fall.recovered is None else fall.recovered - fall.trough,
            sessions=(last if fall.recovered is None else fall.recovered) - fall.peak,
        )
        for fall in deepest_drawdowns(sheet.net, DEEPEST)
    ]  # fmt: skip


def _shown(count: int) -> slice:
    """Every fifth place of `count`, the last one included."""
    return slice((count - 1) % SHOWN_EVERY, None, SHOWN_EVERY)


def _plain_list(values: FloatArray) -> list[float | None]:
    return [plain(value) for value in values.tolist()]


def _band(found: Rolling) -> Band:
    place = _shown(len(found.value))
    return Band(
        value=_plain_list(found.value[place]), low=_plain_list(found.low[place]), high=_plain_list(found.high[place])
    )


def _rolling(sheet: Sheet) -> RollingPart | None:
    """Windows of a year where there are two years of sessions, of half a year otherwise."""
    count = len(sheet.net)
    if count < FEWEST_SESSIONS:
        return None
    window = SESSIONS_A_YEAR if count >= 2 * SESSIONS_A_YEAR else FEWEST_SESSIONS
    sharpe = rolling_sharpe(sheet.net, window, sheet.luck.sharpe)
    place = _shown(len(sharpe.value))
    return RollingPart(
        window=window, sessions=sheet.days[window:][place], sharpe=_band(sharpe),
        deflated_sharpe=_plain_list(sharpe.deflated[place]), trials=sheet.luck.trials,
        expected_best_by_luck=plain(sheet.luck.annual),
        beta_equal_weight=_band(rolling_beta(sheet.net, sheet.equal, window)),
        beta_index=None if sheet.index is None else _band(rolling_beta(sheet.net, sheet.index, window)),
    )  # fmt: skip


def _exposure(sheet: Sheet, held: Holdings) -> ExposurePart:
    found, place = exposure(held, sheet.result), _shown(len(held.sessions))
    known = found.largest[np.isfinite(found.largest)]
    return ExposurePart(
        sessions=sheet.days[place], gross=_plain_list(found.gross[place]), net=_plain_list(found.net[place]),
        names=found.names[place].tolist(), largest=_plain_list(found.largest[place]),
        mean_gross=figure(_plain_mean(found.gross, 1.0)), mean_net=figure(_plain_mean(found.net, 1.0)),
        largest_ever=float(known.max()) if len(known) else None,
    )  # fmt: skip


def _costs(result: BacktestResult) -> list[CostRow]:
    """Each part and, where there are several, all together."""
    parts = [(name, result.cost_cents[:, i]) for i, name in enumerate(result.cost_names)]
    if len(parts) > 1:
        parts.append(("all", result.cost_cents.sum(axis=1)))
    equity = np.where(result.equity_cents > 0, result.equity_cents, np.nan)[:-1]
    traded = int(result.traded_cents.sum())
    sessions = max(len(equity), 1)
    return [
        CostRow(
            name=name, total_cents=int(cents.sum()), usd_a_year=float(cents.sum()) / 100 / sessions * SESSIONS_A_YEAR,
            bps_of_equity=figure(_plain_mean(cents[1:] / equity, 1e4 * SESSIONS_A_YEAR)),
            bps_of_traded=1e4 * float(cents.sum()) / traded if traded else None,
        )
        for name, cents in parts
    ]  # fmt: skip


def _contributions(sheet: Sheet, held: Holdings) -> ContributionsPart:
    start, end = (int(sheet.result.equity_cents[place]) for place in (0, -1))

    def rows(profits: dict[str, int]) -> list[Contribution]:
        return [
            Contribution(name=name, profit_cents=cents, of_initial_cash=cents / start)
            for name, cents in profits.items()
        ]

    by_industry = None if sheet.industries is None else rows(_by_industry(held, sheet.industries))
    return ContributionsPart(
        initial_cash_cents=start, profit_cents=end - start, by_symbol=rows(profit_by_symbol(held)),
        by_industry=by_industry,
    )  # fmt: skip


def _by_industry(held: Holdings, industries: pl.DataFrame) -> dict[str, int]:
    """Profits by the industry known on the day of each session; what follows a break (NAME#2) is still the company."""
    instruments = pl.DataFrame({"instrument": held.symbols}, schema={"instrument": pl.String}).with_columns(
        symbol=pl.col("instrument").str.split("#").list.first()
    )
    groups = instruments.join(industries, on="symbol", how="inner").select(
        pl.col("instrument").alias("symbol"), pl.col("industry").alias("group"),
        pl.col("knowledge_time").dt.date().alias("session"),
    )  # fmt: skip
    return profit_by_group(held, groups, NO_INDUSTRY)


def _regimes(sheet: Sheet) -> list[RegimeRow]:
    """Kinds of market by the mean return of all symbols, whose history before the back-test is known too."""
    close = sheet.market.close
    change = close[1:] / close[:-1] - 1.0
    known = np.isfinite(change)
    mean = np.where(known, change, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    end = int(sheet.market.index_of(sheet.result.sessions[-1:])[0])
    return [
        RegimeRow(
            kind=regime.kind, name=regime.name, known_before=regime.known_before, sessions=int(regime.inside.sum()),
            net_annual=figure(regime_mean(sheet.net, regime)),
            excess_annual=figure(regime_mean(sheet.net - sheet.equal, regime)),
        )
        for regime in market_regimes(mean[:end], len(sheet.net))
    ]  # fmt: skip


def _round_trips(held: Holdings) -> RoundTripsPart:
    trips = round_trips(held)
    closed = trips.filter(pl.col("closed").is_not_null())
    by_session = closed.group_by("closed").agg(
        pl.len().alias("count"), (pl.col("profit_cents") > 0).sum().alias("hits"),
        pl.col("profit_cents").sum().alias("profit"), pl.col("sessions").sum(),
    ).sort("closed")  # fmt: skip
    count = by_session["count"].cast(pl.Float64).to_numpy()

    def mean(column: str, scale: float = 1.0) -> Figure:
        values = by_session[column].cast(pl.Float64).to_numpy() * scale
        return figure(ratio_newey_west(values, count, plain_lag(len(values))))

    return RoundTripsPart(
        closed=closed.height, open=trips.height - closed.height, hit_rate=mean("hits"),
        mean_profit_usd=mean("profit", 0.01), mean_sessions=mean("sessions"),
        closed_profit_cents=int(closed["profit_cents"].sum()),
        open_profit_cents=int(trips["profit_cents"].sum()) - int(closed["profit_cents"].sum()),
    )  # fmt: skip


def write_trades(folder: Path, result: BacktestResult) -> None:
    """Every fill, as ``trades.csv`` and ``trades.parquet``."""
    write_atomically(folder / "trades.csv", result.trades.write_csv().encode())
    parquet = BytesIO()
    result.trades.write_parquet(parquet)
    write_atomically(folder / "trades.parquet", parquet.getvalue())
