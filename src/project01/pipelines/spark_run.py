"""The features of a run's folder, built on Spark on this machine."""

from pathlib import Path
from typing import Any

from project01.pipelines.progress import SilentProgress
from project01.pipelines.run import Run
from project01.pipelines.spark_features import build_on_spark, feature_session


def spark_build(out: Path, config: Path | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """Build the feature table of a run on Spark; the next `features build` goes on from it.

    Args:
        out: the run's folder.
        config: settings file; None: the run's.
        wanted: settings that differ, by dotted key; None values are not given.
    Raises:
        InputError: nothing was ingested there; MissingExtraError: pyspark is not installed.
    """
    run = Run.open(out, config, wanted, SilentProgress())
    run.workspace.require("ingest", "ingest")
    chosen, threads = run.settings.features, run.settings.compute.threads
    session = feature_session(f"local[{threads}]")
    try:
        return build_on_spark(
            run.workspace.lake.url,
            sets=chosen.sets,
            files=chosen.files,
            industries=chosen.industries,
            session=session,
        )
    finally:
        session.stop()
