"""A run: its folder, its settings, and its steps, each done only if something it rests on changed.

Steps are imported where they are called, so that a wrong path or setting is refused before any heavy library loads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from project01.domain import Clock, SystemClock
from project01.pipelines.instants import parse_instant
from project01.pipelines.progress import Progress
from project01.pipelines.sources import SourceChoice
from project01.pipelines.workspace import (
    Workspace,
    code_hash,
    content_hash,
    lock_hash,
    nothing_left_behind,
    open_workspace,
)
from project01.settings import Settings, load_settings

if TYPE_CHECKING:
    from project01.report import Figures


@dataclass(frozen=True)
class Run:
    """Steps of the main job over one folder.

    Attributes:
        workspace: the folder.
        settings: merged from flags, environment, file and, for a folder made before, the settings kept there.
        progress: told about each step.
        clock: the present instant.
    """

    workspace: Workspace
    settings: Settings
    progress: Progress
    clock: Clock

    @classmethod
    def open(cls, out: Path, config: Path | None, flags: dict[str, Any], progress: Progress) -> "Run":
        """Open or prepare a run's folder.

        Raises:
            InputError: the folder or a setting cannot be used.
        """
        workspace = open_workspace(out)
        kept = workspace.settings_file
        file = config if config is not None else (kept if kept.is_file() else None)
        return cls(workspace, load_settings(file, flags).settings, progress, SystemClock())

    def _step(self, name: str, inputs: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a step unless it was finished with the same inputs; its figures either way."""
        started = time.monotonic()
        done = self.workspace.record(name)
        if done is not None and done.inputs == inputs:
            self.progress.finish(name, 0.0, skipped=True)
            return done.summary
        self.progress.start(name)
        try:
            with nothing_left_behind(self.workspace.root):
                summary = work()
                self.workspace.save_settings(self.settings)
                record = self.workspace.finish(name, inputs, summary)
        except BaseException:
            self.progress.close()
            raise
        self.progress.finish(name, time.monotonic() - started, skipped=False)
        return record.summary

    def _inputs(self, *parts: Any) -> str:
        return content_hash(code_hash(), lock_hash(), *parts)

    def ingest(self, choice: SourceChoice) -> dict[str, Any]:
        """Read, check and land; see `pipelines.ingest`."""
        from project01.pipelines.ingest import ingest

        data, seed = self.settings.data, self.settings.forecast.seed
        inputs = self._inputs(
            "ingest", choice.fingerprint(), data.model_dump(mode="json"), seed if choice.simulate else 0
        )
        return self._step("ingest", inputs, lambda: ingest(self.workspace, choice, data, seed, self.clock))

    def features(self, *, full: bool = False) -> dict[str, Any]:
        """Features and labels; see `pipelines.features`. `full`: from the start, whatever there is."""
        from project01.pipelines.features import build_features, feature_inputs

        before = self.workspace.require("ingest", "ingest")
        horizon, threads = self.settings.forecast.horizon, self.settings.compute.threads
        wanted = self.settings.features
        sealed = self.settings.holdout.sessions
        inputs = self._inputs("features", before.summary["digests"], horizon, feature_inputs(wanted), sealed)

        def work() -> dict[str, Any]:
            return build_features(
                self.workspace, wanted, horizon, threads, holdout_sessions=sealed, full=full, on_rows=self._rows_done
            )

        return self._step("features", inputs, work)

    def _rows_done(self, done: int, of: int) -> None:
        self.progress.advance(done, of, "features")

    def train(self) -> dict[str, Any]:
        """Walk-forward training; see `pipelines.train`."""
        from project01.pipelines.holdout import readable_until
        from project01.pipelines.train import train

        before = self.workspace.require("features", "features")
        content = self.settings.model_dump(mode="json", include={"forecast", "walk_forward"})
        until = str(readable_until(self.workspace))
        inputs = self._inputs("train", before.summary["digest"], before.summary["labels_digest"], content, until)
        work = lambda: train(self.workspace, self.settings, before.summary, self.progress.advance)  # noqa: E731
        return self._step("train", inputs, work)

    def backtest(self) -> dict[str, Any]:
        """Costed back-tests; see `pipelines.backtest`."""
        from project01.pipelines.backtest import backtest
        from project01.pipelines.holdout import holdout_state

        before = self.workspace.require("train", "train")
        bars = self.workspace.require("ingest", "ingest").summary["digests"]["bars"]
        opened = holdout_state(self.workspace.root).get("reason")
        inputs = self._inputs("backtest", before.summary["digest"], bars, self.settings.result_hash(), opened)
        digest = before.summary["digest"]
        work = lambda: backtest(self.workspace, self.settings, digest, self.progress.advance)  # noqa: E731
        return self._step("backtest", inputs, work)

    def forecast(self, as_of: str | None = None, symbols: list[str] | None = None) -> dict[str, Any]:
        """Forecasts at one time; the newest are also written to the folder."""
        names = tuple(self.workspace.require("features", "features").summary["features"])
        self.workspace.require("train", "train")
        from project01.pipelines.forecast import make_forecasts, only_symbols, write_forecasts

        if as_of is not None:
            part = make_forecasts(self.workspace, self.settings, names, parse_instant(as_of))
            return only_symbols(part, symbols).model_dump(mode="json")
        part = make_forecasts(self.workspace, self.settings, names)
        write_forecasts(self.workspace, part)
        return only_symbols(part, symbols).model_dump(mode="json")

    def _forecast_step(self) -> dict[str, Any]:
        before = self.workspace.require("train", "train")
        inputs = self._inputs("forecast", before.summary["models"], self.settings.result_hash())

        def work() -> dict[str, Any]:
            found = self.forecast()
            return {"as_of": found["as_of"], "model": found["model"], "forecasts": len(found["rows"])}

        return self._step("forecast", inputs, work)

    def report(self) -> dict[str, Any]:
        """Judge, and write figures and report."""
        from project01.pipelines.capsule import write_capsule
        from project01.pipelines.report import assemble, write_report
        from project01.pipelines.train import track

        steps = {
            name: self.workspace.require(name, name).summary for name in ("ingest", "features", "train", "backtest")
        }
        forecast = self.workspace.require("forecast", "run")
        inputs = self._inputs("report", steps, forecast.summary, self.settings.result_hash())

        def work() -> dict[str, Any]:
            figures = assemble(self.workspace, self.settings, steps)
            write_report(self.workspace, figures)
            capsule = write_capsule(self.workspace, self.settings)
            track(self.workspace, self.settings, _metrics(figures), figures.manifest.data_digest)
            return {
                "verdict": figures.verdict.kind, "sentence": figures.verdict.sentence,
                "capsule": capsule.relative_to(self.workspace.root).as_posix(),
            }  # fmt: skip

        return self._step("report", inputs, work)

    def after_ingest(self) -> None:
        """All steps on what was landed."""
        self.features()
        self.train()
        self.backtest()
        self._forecast_step()
        self.report()

    def everything(self, choice: SourceChoice) -> dict[str, Any]:
        """The whole path; the figures of the finished run."""
        self.ingest(choice)
        self.after_ingest()
        figures: dict[str, Any] = msgspec.json.decode((self.workspace.root / "figures.json").read_bytes())
        return figures


def _metrics(figures: "Figures") -> dict[str, float]:
    found = {
        "net_sharpe": figures.backtest.sharpe.value,
        "excess_annual": figures.backtest.excess_annual.value,
        "trials": figures.backtest.trials,
        "deflated_sharpe": figures.backtest.sharpe.deflated_sharpe,
        "excess_deflated_sharpe": figures.backtest.excess_sharpe.deflated_sharpe,
        **{f"rank_ic_{model.name}": model.rank_ic.value for model in figures.models},
    }
    return {name: value for name, value in found.items() if value is not None}
