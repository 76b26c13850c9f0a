"""Runs on record: MLflow on one SQLite file, or W&B offline. Neither is imported unless it is asked for."""

import contextlib
import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from project01.domain import InputError, MissingExtraError

EXPERIMENT = "project01"
Backend = Literal["mlflow", "wandb-offline", "none"]


def track_run(
    folder: Path,
    run_name: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    artifacts: Sequence[Path] = (),
    backend: Backend = "mlflow",
) -> None:
    """Record a run where the settings say.

    Args:
        folder: of the run; all that is recorded stays below it, and nothing is sent anywhere.
        run_name: shown by the tracker.
        parameters: text by name.
        metrics: numbers by name; those that are not finite are left out, since no tracker can show them.
        artifacts: files to keep a copy of.
        backend: ``mlflow``, ``wandb-offline``, or ``none`` to record nothing.
    Raises:
        InputError: an unknown backend, or an artifact that is not there.
        MissingExtraError: wandb is asked for and not installed.
    """
    if backend == "none":
        return
    backends = {"mlflow": track_mlflow, "wandb-offline": track_wandb_offline}
    if backend not in backends:
        raise InputError(f"Unknown tracking backend {backend!r}. Choose mlflow, wandb-offline or none.")
    missing = [str(path) for path in artifacts if not path.is_file()]
    if missing:
        raise InputError(f"Nothing to record at {', '.join(missing)}. Pass files that exist.")
    backends[backend](folder, run_name, parameters, metrics, artifacts)


def track_mlflow(
    folder: Path,
    run_name: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    artifacts: Sequence[Path] = (),
) -> None:
    """Record a run in ``folder/mlflow.db``, copies of files below ``folder/mlflow``; nothing is sent anywhere.

    The first call in a folder makes the database, by MLflow's own migrations: about 2 s on top of its import's 3 to 6.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Read when MLflow is imported, which sets the levels of its loggers anew.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with warnings.catch_warnings():
        # MLflow and its migrations warn about their own use of newer libraries; none of it concerns the run.
        warnings.simplefilter("ignore")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        folder.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri=f"sqlite:///{(folder / 'mlflow.db').absolute()}")
        found = client.get_experiment_by_name(EXPERIMENT)
        place = (folder / "mlflow").absolute().as_uri()
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, place)
        run = client.create_run(experiment, run_name=run_name)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(name, value, run.info.start_time, 0) for name, value in _finite(metrics).items()],
            params=[Param(name, value) for name, value in parameters.items()],
        )
        for path in artifacts:
            client.log_artifact(run.info.run_id, str(path))
        client.set_terminated(run.info.run_id)


def track_wandb_offline(
    folder: Path,
    run_name: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    artifacts: Sequence[Path] = (),
) -> None:
    """Record a run below ``folder/wandb``, offline; `wandb sync` can send it later.

    Raises:
        MissingExtraError: wandb is not installed.
    """
    if find_spec("wandb") is None:
        raise MissingExtraError("Tracking with W&B", "track")
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        run = wandb.init(
            project=EXPERIMENT, name=run_name, mode="offline", dir=folder, config=dict(parameters), settings=settings
        )
        run.log(_finite(metrics))
        for path in artifacts:
            run.save(str(path), base_path=str(path.parent), policy="now")
        run.finish()


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
