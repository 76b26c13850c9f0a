"""How much a run's result hangs on the period learned from: many paths through one history, none with a leaked label.

Combinatorial purged cross-validation (`evaluate.CombinatorialPurged`) of a run's own features, forecasters and
portfolio. Models learn on later times too, so no path could have been traded: a path is no candidate, and the luck of
the best of all trials is not computed from it. Every fit and every path enters the claim ledger all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from project01.backtest import Market, market_from_bars
from project01.domain import FORECAST_SCHEMA, FeatureFrame, InputError, TrainingSet, trading_calendar
from project01.evaluate import CombinatorialPurged, Trial, annual_mean, information_coefficient, scored
from project01.models import make_forecaster, usable_forecasters
from project01.pipelines.backtest import Desk, signal_of
from project01.pipelines.claims import Claim, enter
from project01.pipelines.evidence import or_missing
from project01.pipelines.features import read_training_set
from project01.pipelines.holdout import read_labels, readable_until
from project01.pipelines.market import read_bars
from project01.pipelines.progress import Progress
from project01.pipelines.train import FORECASTS, as_of_times
from project01.pipelines.workspace import Workspace, code_hash, content_hash, open_workspace
from project01.report import Figure
from project01.settings import Settings

SPLIT, PATH = "combinatorial split", "combinatorial path"
RANK_IC, EXCESS_A_YEAR = "rank_ic", "excess_a_year"
STEP = "paths"
MOST_SPLITS = 300


@dataclass(frozen=True)
class _Study:
    """What every forecaster is put through.

    Attributes:
        training: rows with an outcome before the seal.
        labels: their outcomes.
        plan: of the splits.
        market: to trade in, up to the seal.
        settings: of the run.
        digest: of the features.
    """

    training: TrainingSet
    labels: pl.DataFrame
    plan: CombinatorialPurged
    market: Market
    settings: Settings
    digest: str

    def forecasts(self, name: str) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """Of each split its number, the rows fitted on, and the forecasts with their path."""
        as_of = as_of_times(self.training)
        path_of = np.empty((self.plan.splits, self.plan.groups), dtype=np.int64)
        for path, splits in enumerate(self.plan.paths()):
            path_of[splits, np.arange(self.plan.groups)] = path
        group, features = self.plan.group_of(as_of), self.training.features
        for fold in self.plan.split(as_of, self.training.label_known_at):
            forecaster = make_forecaster(name, self.settings.forecast.seed)
            forecaster.fit(self.training.take(fold.train))
            ahead = features.frame.filter(pl.Series(fold.test)).with_columns(
                path=pl.Series(path_of[fold.number, group[fold.test]])
            )
            found = forecaster.predict(FeatureFrame(ahead.drop("path"), features.feature_names)).frame
            rows = found.select(*FORECAST_SCHEMA).join(ahead.select("symbol", "as_of", "path"), on=["symbol", "as_of"])
            yield fold.number, int(fold.train.sum()), rows

    def rank_ic(self, rows: pl.DataFrame) -> Figure:
        """Mean rank IC over forecast times, with its error."""
        return or_missing(lambda: information_coefficient(scored(rows, self.labels), self.settings.forecast.horizon))

    def trial(self, name: str, purpose: str, number: int, rows: int, score: float | None) -> Trial:
        """An entry of the ledger."""
        return Trial(
            model=name, purpose=purpose, fold=number, seed=self.settings.forecast.seed,
            settings_hash=content_hash(self.settings.result_hash(), [self.plan.groups, self.plan.test_groups]),
            data_digest=self.digest, code_hash=code_hash(), rows=rows, score=score,
            score_name=RANK_IC if purpose == SPLIT else EXCESS_A_YEAR,
        )  # fmt: skip


def audit_paths(out: Path, groups: int, test_groups: int, progress: Progress) -> dict[str, Any]:
    """Fit each forecaster of a run on every choice of groups of its sessions, and trade each path of forecasts.

    Args:
        out: folder of a run whose features were made.
        groups: runs of sessions of equal length.
        test_groups: forecast together from the others.
        progress: told after each fit.
    Returns:
        models (name; walk_forward with rank_ic and excess_annual, None before training; paths with the same, and as
        same_rank_ic and same_excess_annual over the sessions of the walk-forward alone; each a figure with its error),
        splits, paths, left_out, sentence. The same again enters nothing new in the ledger.
    Raises:
        InputError: the folder holds no features, or the groups make no split.
        NotEnoughDataError: too few sessions for so many groups.
    """
    plan = CombinatorialPurged(groups=groups, test_groups=test_groups)
    if plan.splits > MOST_SPLITS:
        raise InputError(
            f"{groups} groups, {test_groups} at a time, are {plan.splits:,} fits of each forecaster; {MOST_SPLITS} at "
            "most. Ask for fewer groups."
        )
    workspace = open_workspace(out)
    made = workspace.require("features", "features").summary
    settings = workspace.kept_settings()
    names, until = tuple(made["features"]), readable_until(workspace)
    study = _Study(
        read_training_set(workspace, names, settings.forecast.horizon, until),
        read_labels(workspace, until),
        replace(plan, embargo=settings.forecast.horizon),
        market_from_bars(read_bars(workspace.lake, until)[0]),
        settings,
        made["digest"],
    )
    models, left_out = usable_forecasters(settings.forecast.models, names)
    progress.start(STEP)
    try:
        found = [_model(workspace, study, name, (place, len(models)), progress) for place, name in enumerate(models)]
    finally:
        progress.close()
    paths = len(study.plan.paths())
    return {
        "models": found, "splits": study.plan.splits, "paths": paths, "left_out": left_out,
        "sentence": _sentence(found[0]),
    }  # fmt: skip


def _model(
    workspace: Workspace, study: _Study, name: str, place: tuple[int, int], progress: Progress
) -> dict[str, Any]:
    claims, tables = [], []
    for number, fitted, rows in study.forecasts(name):
        score = study.rank_ic(rows).value
        claims.append(Claim(study.trial(name, SPLIT, number, fitted, score)))
        tables.append(rows)
        done = place[0] * study.plan.splits + len(tables)
        progress.advance(done, place[1] * study.plan.splits, f"{name}, split {len(tables)} of {study.plan.splits}")
    by_path = pl.concat(tables).partition_by("path", as_dict=True, include_key=False)
    paths = [by_path[number,].sort("as_of", "symbol") for number in range(len(by_path))]
    told, figures = _judged(workspace, study, name, paths)
    excesses = [figure["excess_annual"].value for figure in figures]
    for number, (path, excess) in enumerate(zip(paths, excesses, strict=True)):
        claims.append(Claim(study.trial(name, PATH, number, path.height, excess)))
    enter(workspace, claims)
    return {"name": name, "walk_forward": told, "paths": figures}


def _judged(
    workspace: Workspace, study: _Study, name: str, paths: list[pl.DataFrame]
) -> tuple[dict[str, Figure] | None, list[dict[str, Figure]]]:
    """Rank IC and net return above equal weight a year: of the walk-forward if there is one, and of each path.

    A path reaches further back than the walk-forward. To compare the two it is judged over the sessions of the latter
    besides (``same_...``).
    """
    calendar = trading_calendar(study.settings.data.calendar)
    told = _walk_forward(workspace, name)
    signals = [signal_of(rows, calendar, study.market) for rows in paths]
    desk = Desk(study.market, study.settings, signals[0])
    traded = [desk.trade(name, signal) for signal in signals]
    figures = [
        {"rank_ic": study.rank_ic(rows), "excess_annual": or_missing(partial(annual_mean, one.excess))}
        for rows, one in zip(paths, traded, strict=True)
    ]
    if told is None:
        return None, figures
    signal = signal_of(told, calendar, study.market)
    actual = Desk(study.market, study.settings, signal).trade(name, signal)
    for figure, rows, one in zip(figures, paths, traded, strict=True):
        same = np.isin(one.result.sessions[1:], actual.result.sessions[1:])
        figure["same_rank_ic"] = study.rank_ic(rows.filter(pl.col("as_of") >= told["as_of"].min()))
        figure["same_excess_annual"] = or_missing(partial(annual_mean, one.excess[same]))
    excess = or_missing(partial(annual_mean, actual.excess))
    return {"rank_ic": study.rank_ic(told), "excess_annual": excess}, figures


def _walk_forward(workspace: Workspace, name: str) -> pl.DataFrame | None:
    """Forecasts of the run itself, where it was trained."""
    if not workspace.lake.exists(FORECASTS.name):
        return None
    rows = workspace.lake.scan(FORECASTS.name).filter(pl.col("model") == name).collect()
    return None if rows.is_empty() else rows.sort("as_of", "symbol")


def _sentence(model: dict[str, Any]) -> str:
    told, paths = model["walk_forward"], model["paths"]
    # Of a walk-forward of a few months there is no figure a year.
    short = told is None or told["excess_annual"].value is None
    kind, where = ("", "all sessions") if short else ("same_", "the sessions of the walk-forward")
    ics, gains = ([path[kind + name] for path in paths] for name in ("rank_ic", "excess_annual"))
    surely = sum((figure.low or 0.0) > 0.0 for figure in ics)
    return (
        f"{model['name']} over {where}: rank IC above 0 on {above_zero(ics)} paths, for sure (90 %) on {surely}; above "
        f"equal weight after costs on {above_zero(gains)}. Paths share their data and learn on later times: they tell "
        "how much a result hangs on the period learned from, not what could have been earned."
    )


def above_zero(figures: list[Figure]) -> str:
    """How many of the figures that could be computed are above zero."""
    known = [figure.value for figure in figures if figure.value is not None]
    return f"{sum(value > 0.0 for value in known)} of {len(known)}" if known else "-"
