"""Walk-forward training of every forecaster, and one last fit of each for live forecasts."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from project01.domain import FORECAST_SCHEMA, TIMESTAMP, NotEnoughDataError, TableSpec, TrainingSet
from project01.evaluate import Trial, TrialLedger, WalkForward, information_coefficient, scored
from project01.models import (
    ConformalForecaster,
    FitRecord,
    Provenance,
    WalkForwardResult,
    make_forecaster,
    save_forecaster,
    track_run,
    usable_forecasters,
    walk_forward,
)
from project01.pipelines.claims import Claim, enter
from project01.pipelines.doctor import library_versions
from project01.pipelines.evidence import FIT
from project01.pipelines.features import read_training_set
from project01.pipelines.holdout import read_labels, readable_until
from project01.pipelines.workspace import LIBRARIES, Workspace, code_hash, content_hash
from project01.settings import Settings

Told = Callable[[int, int, str], None]


def _arrow_schema(schema: dict[str, pl.DataType]) -> pa.Schema:
    table = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest())
    times = {"as_of", "knowledge_time"}
    return pa.schema([pa.field(f.name, TIMESTAMP if f.name in times else f.type) for f in table.schema])


FORECASTS = TableSpec(
    "forecasts",
    _arrow_schema({"model": pl.String(), "fold": pl.Int32(), **FORECAST_SCHEMA}),
    ("model", "symbol", "as_of"),
)


def splitter(settings: Settings) -> WalkForward:
    """The walk-forward split the settings ask for."""
    return WalkForward(
        train_sessions=settings.walk_forward.train_sessions,
        test_sessions=settings.walk_forward.test_sessions,
        purge=settings.purge_sessions(),
        horizon=settings.forecast.horizon,
    )


def as_of_times(training: TrainingSet) -> Any:
    """Shape (n_rows,), datetime64[us]."""
    return training.features.frame["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")


def newest_window(training: TrainingSet, sessions: int) -> TrainingSet:
    """Rows of the newest `sessions` forecast times."""
    as_of = as_of_times(training)
    times = np.unique(as_of)
    return training.take(as_of >= times[max(0, len(times) - sessions)])


def _trials(
    fits: tuple[FitRecord, ...], forecasts: pl.DataFrame, labels: pl.DataFrame, settings: Settings, digest: str
) -> list[Trial]:
    """One trial a fit, scored by the rank IC of its test window."""
    found = []
    for fit in fits:
        rows = forecasts.filter(pl.col("model") == fit.model, pl.col("fold") == fit.fold)
        score = information_coefficient(scored(rows, labels), settings.forecast.horizon).value
        found.append(
            Trial(
                model=fit.model, purpose=FIT, fold=fit.fold, seed=fit.seed,
                settings_hash=content_hash(settings.result_hash(), fit.settings_hash),
                data_digest=digest, code_hash=code_hash(), rows=fit.rows,
                score=float(score) if np.isfinite(score) else None, score_name="rank_ic",
            )
        )  # fmt: skip
    return found


def _usable(settings: Settings, names: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The forecasters these features can carry, and why the others are left out.

    Raises:
        NotEnoughDataError: the one to trade is among those left out.
    """
    kept, left_out = usable_forecasters(settings.forecast.models, names)
    traded = settings.forecast.models[0]
    if traded in left_out:
        raise NotEnoughDataError(
            f"The forecaster to trade, {traded}, {left_out[traded]}. Bring more history, or put another one first "
            "with --models."
        )
    return kept, left_out


def _save_final(
    workspace: Workspace,
    settings: Settings,
    names: tuple[str, ...],
    training: TrainingSet,
    features: dict[str, Any],
    told: Told,
) -> dict[str, str]:
    window = newest_window(training, settings.walk_forward.train_sessions)
    provenance = Provenance(
        data_digest=features["digest"],
        lake_version=workspace.lake.version("features"),
        feature_hash=features["feature_hash"],
        settings_hash=settings.result_hash(),
        trained_until=str(window.label_known_at.max()),
        libraries=library_versions(LIBRARIES),
    )
    ids = {}
    for number, name in enumerate(names):
        forecaster = make_forecaster(name, settings.forecast.seed)
        forecaster.fit(window)
        save_forecaster(forecaster, workspace.models, provenance)
        ids[name] = forecaster.model_id()
        told(number + 1, len(names), f"{name}, newest data")
    return ids


def scored_walk_forward(
    workspace: Workspace,
    settings: Settings,
    training: TrainingSet,
    makers: Sequence[Callable[[], ConformalForecaster]],
    digest: str,
    told: Told,
) -> tuple[WalkForwardResult, TrialLedger]:
    """Fit and forecast walk-forward, score every fit, and enter it in the claim ledger: there is no other way to score.

    Args:
        workspace: of the run.
        settings: of the run.
        training: from `read_training_set`.
        makers: of fresh forecasters.
        digest: of the features.
        told: progress.
    Raises:
        NotEnoughDataError: not one training and test window.
    """
    folds = list(splitter(settings).split(as_of_times(training), training.label_known_at))
    if not folds:
        raise NotEnoughDataError("No fold could be made. Bring more history or lower walk_forward.train_sessions.")
    result = walk_forward(training, folds, makers, told)
    labels = read_labels(workspace, readable_until(workspace))
    trials = _trials(result.fits, result.forecasts, labels, settings, digest)
    return result, enter(workspace, [Claim(trial) for trial in trials])


def train(workspace: Workspace, settings: Settings, features: dict[str, Any], told: Told) -> dict[str, Any]:
    """Train, keep out-of-sample forecasts and trials in the lake, save models in their own formats.

    Args:
        workspace: of the run, with features.
        settings: of the run.
        features: figures of the features step.
        told: progress.
    Returns:
        Figures of the step: folds, fits, rows, model ids, forecasters left out with the reason.
    Raises:
        NotEnoughDataError: not one training and test window, or no feature for the forecaster to trade.
    """
    names = tuple(features["features"])
    training = read_training_set(workspace, names, settings.forecast.horizon, readable_until(workspace))
    kept, left_out = _usable(settings, names)
    makers = [partial(make_forecaster, name, settings.forecast.seed) for name in kept]
    result, ledger = scored_walk_forward(workspace, settings, training, makers, features["digest"], told)
    lake = workspace.lake
    lake.replace(FORECASTS, result.forecasts)
    ids = _save_final(workspace, settings, kept, training, features, told)
    return {
        "folds": len({fit.fold for fit in result.fits}),
        "fits": len(result.fits),
        "rows": len(training.features),
        "forecasts": result.forecasts.height,
        "first_forecast": str(result.forecasts["as_of"].dt.date().min()),
        "last_forecast": str(result.forecasts["as_of"].dt.date().max()),
        "models": ids,
        "models_left_out": left_out,
        "trial_chain": ledger.head,
        "digest": lake.digest(FORECASTS.name),
    }


def track(workspace: Workspace, settings: Settings, metrics: dict[str, float], data_digest: str) -> None:
    """Record the run where the settings say."""
    parameters = {
        "settings": settings.result_hash(), "data": data_digest[:16], "code": code_hash(),
        "horizon": str(settings.forecast.horizon), "seed": str(settings.forecast.seed),
        "models": ",".join(settings.forecast.models),
    }  # fmt: skip
    name = f"{settings.forecast.models[0]}-{settings.result_hash()}"
    track_run(workspace.root, name, parameters, metrics, backend=settings.tracking.backend)
