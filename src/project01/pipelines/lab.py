"""A run's folder for experiments, in a notebook or a script: what is scored here is counted, like everything else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from project01.backtest import BacktestResult, market_from_bars
from project01.domain import InputError, TrainingSet, trading_calendar
from project01.evaluate import annual_mean
from project01.models import ConformalForecaster
from project01.pipelines.backtest import Desk, enter_backtests, signal_of
from project01.pipelines.evidence import EXCESS, NET, figure
from project01.pipelines.features import read_training_set
from project01.pipelines.holdout import readable_until
from project01.pipelines.market import read_bars
from project01.pipelines.sharpe import Luck
from project01.pipelines.train import scored_walk_forward
from project01.pipelines.workspace import Workspace, open_workspace
from project01.report import Figure, SharpeFigure
from project01.settings import Settings


@dataclass(frozen=True)
class Tried:
    """What one experiment came to, with the luck of all that was tried in the folder so far.

    Attributes:
        name: as given.
        excess_annual: net return above equal weight, a year.
        sharpe, excess_sharpe: with trials, deflated value and the best expected by luck.
        result: the back-test.
    """

    name: str
    excess_annual: Figure
    sharpe: SharpeFigure
    excess_sharpe: SharpeFigure
    result: BacktestResult = field(repr=False)


class Lab:
    """A finished run's data, up to its sealed holdout, and its desk.

    Args:
        out: folder of a run whose features were made.
        settings: other settings than the folder's own, e.g. of the portfolio.
    Raises:
        InputError: the folder holds no features.
    """

    def __init__(self, out: Path, settings: Settings | None = None) -> None:
        self._workspace: Workspace = open_workspace(out)
        self._features = self._workspace.require("features", "features").summary
        self.settings = settings or self._workspace.kept_settings()

    def training_set(self) -> TrainingSet:
        """Features and labels of every row whose outcome was known before the seal."""
        names, horizon = tuple(self._features["features"]), self.settings.forecast.horizon
        return read_training_set(self._workspace, names, horizon, readable_until(self._workspace))

    def walk_forward(self, makers: Sequence[Callable[[], ConformalForecaster]]) -> pl.DataFrame:
        """Out-of-sample forecasts of your forecasters; every fit is scored and entered as a trial.

        Args:
            makers: each makes a fresh forecaster; names must differ.
        Returns:
            Columns of `FORECAST_SCHEMA`, model and fold.
        """
        found, _ = scored_walk_forward(
            self._workspace, self.settings, self.training_set(), makers, self._features["digest"], _tell_nobody
        )
        return found.forecasts

    def backtest(self, name: str, forecasts: pl.DataFrame) -> Tried:
        """Trade forecasts at the run's costs beside equal weight; entered as a trial, whatever comes of it.

        Args:
            name: what the ledger calls it.
            forecasts: columns symbol, as_of and mean; with q05 and q95 for rules that weigh uncertainty, with model_id
                to tell two versions of one name apart.
        Raises:
            InputError: nothing to trade, or a forecast made inside the sealed holdout.
        """
        lake, until = self._workspace.lake, readable_until(self._workspace)
        rows = forecasts.filter(pl.col("as_of") <= until)
        if rows.height < forecasts.height or rows.is_empty():
            raise InputError(
                f"{forecasts.height - rows.height} of {forecasts.height} forecasts lie inside the sealed holdout, or "
                "there are none. Trade what `walk_forward` gives."
            )
        market = market_from_bars(read_bars(lake, until)[0])
        signal = signal_of(rows, trading_calendar(self.settings.data.calendar), market)
        traded = Desk(market, self.settings, signal).trade(name, signal)
        ledger = enter_backtests(self._workspace, [traded], self.settings, self._features["digest"], forecasts)
        days = traded.result.sessions[1:]
        luck = {score: Luck.of(self._workspace, ledger, score, days) for score in (NET, EXCESS)}
        return Tried(
            name, figure(annual_mean(traded.excess)), luck[NET].figure(traded.net),
            luck[EXCESS].figure(traded.excess), traded.result,
        )  # fmt: skip


def _tell_nobody(_done: int, _total: int, _label: str) -> None:
    """Progress is the notebook's own to show."""
