"""Ranked forecasts at one time, from what was known then."""

import io
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from project01.domain import InputError, NotEnoughDataError
from project01.models import ConformalForecaster, load_forecaster, make_forecaster, read_manifest
from project01.pipelines.features import read_feature_rows, read_training_set
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.train import newest_window
from project01.pipelines.workspace import Workspace, write_atomically
from project01.report import ForecastPart, ForecastRow
from project01.settings import Settings

DRIVERS = 3


def _forecaster(
    workspace: Workspace, settings: Settings, names: tuple[str, ...], as_of: datetime
) -> ConformalForecaster:
    """The saved model if all it learned from was known at `as_of`; else one fitted on what was."""
    name = settings.forecast.models[0]
    folder = workspace.models / name
    if folder.exists():
        until = np.datetime64(str(read_manifest(folder)["trained_until"]))
        if until <= np.datetime64(as_of.replace(tzinfo=None)):
            trained = workspace.require("train", "train").summary["models"]
            return load_forecaster(folder, expected_id=trained[name])
    training = read_training_set(workspace, names, settings.forecast.horizon, as_of)
    forecaster = make_forecaster(name, settings.forecast.seed)
    forecaster.fit(newest_window(training, settings.walk_forward.train_sessions))
    return forecaster


def make_forecasts(
    workspace: Workspace, settings: Settings, names: tuple[str, ...], as_of: datetime = END_OF_TIME
) -> ForecastPart:
    """Forecasts for the newest session known at `as_of`, best first, each with what moved it most.

    Raises:
        NotEnoughDataError: too little was known then to fit or to forecast.
    """
    features = read_feature_rows(workspace, names, as_of)
    forecaster = _forecaster(workspace, settings, names, as_of)
    frame = forecaster.predict(features).frame
    contributions = forecaster.contributions(features)
    order = np.lexsort((frame["symbol"].to_numpy().astype(str), -frame["mean"].to_numpy()))
    if not len(order):
        raise NotEnoughDataError(f"No symbol had a bar in the newest session known at {as_of:%Y-%m-%d}.")
    rows = []
    for rank, place in enumerate(order, start=1):
        row = frame.row(int(place), named=True)
        moved = contributions[place]
        top = [int(n) for n in np.argsort(-np.abs(moved), kind="stable")[:DRIVERS] if moved[n] != 0]
        rows.append(
            ForecastRow(
                rank=rank, symbol=row["symbol"], mean=row["mean"], q05=row["q05"], q25=row["q25"], q50=row["q50"],
                q75=row["q75"], q95=row["q95"], drivers={names[n]: float(moved[n]) for n in top},
            )
        )  # fmt: skip
    session = frame["as_of"].dt.date()[0]
    return ForecastPart(as_of=str(session), horizon=settings.forecast.horizon, model=forecaster.name, rows=rows)


def only_symbols(part: ForecastPart, symbols: list[str] | None) -> ForecastPart:
    """The forecasts of some symbols, ranks as among all.

    Raises:
        InputError: a symbol without a forecast.
    """
    if symbols is None:
        return part
    known = {row.symbol for row in part.rows}
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        raise InputError(
            f"No forecast for {', '.join(unknown)} at {part.as_of}; there are {len(known)}, e.g. "
            f"{', '.join(sorted(known)[:5])}."
        )
    return part.model_copy(update={"rows": [row for row in part.rows if row.symbol in symbols]})


def write_forecasts(workspace: Workspace, part: ForecastPart) -> None:
    """``forecasts.csv`` for people and ``forecasts.json`` for machines; equal forecasts give equal bytes."""
    columns = ("rank", "symbol", "mean", "q05", "q25", "q50", "q75", "q95")
    plain: list[dict[str, Any]] = [row.model_dump(include=set(columns)) for row in part.rows]
    frame = (
        pl.DataFrame(plain)
        .select(columns)
        .with_columns(as_of=pl.lit(part.as_of), horizon=pl.lit(part.horizon), model=pl.lit(part.model))
    )
    text = io.BytesIO()
    frame.write_csv(text)
    write_atomically(workspace.root / "forecasts.csv", text.getvalue())
    write_atomically(workspace.root / "forecasts.json", part.model_dump_json(indent=2).encode() + b"\n")
